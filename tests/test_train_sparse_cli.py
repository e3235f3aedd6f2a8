"""glossator train sparse: on a small library, what it changes there, the way back, and what is refused in one line."""

from __future__ import annotations

import json
import math
import random
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from eval.retrieval.sparse_gain import FEWEST, FitOutcome, ndcg_of, watched_and_reported
from rag.errors import DataError, RagError, UsageError
from rag.index.manager import Indexes
from rag.library.catalogue import Library
from rag.settings import load_settings
from rag.train.sparse.pairs import Pair, TrainingSet
from tests.benchmarks import hotpot, written
from tests.conftest import DATA, Run, needs_data
from tests.pdfs import make_pdf
from tests.test_links_catalogue import put
from tests.test_train_sparse import ASKED, OFTEN, SAID, tiny
from ui.cli.main import app
from ui.cli.training.train_sparse import _format

pytestmark = pytest.mark.usefixtures("one_thread")
# Every field that matters: what the defaults are is not the point here.
RECIPE = [
    f"--recipe={change}"
    for change in (
        "steps=120", "queries=16", "negatives=4", "rate=0.01", "warm_up=2", "max_tokens=32", "teachers=bm25",
        "distillation=none", "labels=1", "penalty_weight=0.001", "ramp_steps=40", "every=40", "patience=9", "scale=1",
        "free_terms=0", "idf_aware=true", "train_idf=false", "share=1", "epochs=99",
    )
]  # fmt: skip


def texts(count: int, seed: int = 0) -> list[str]:
    """Passages whose first sentence says with other words what the second says."""
    draw = random.Random(seed)
    made = []
    for _ in range(count):
        topics = draw.sample(range(len(ASKED)), 3)
        first = [*(ASKED[i] for i in topics), *draw.sample(OFTEN, 3)]
        second = [*(SAID[i] for i in topics), *draw.sample(OFTEN, 4)]
        made.append(" ".join(f"{' '.join(words).capitalize()}." for words in (first, second)))
    return made


def library_of(folder: Path, base: Path, content: Sequence[str], names: Sequence[str]) -> Path:
    """A library of documents of five passages each."""
    indexes = Indexes(Library.open(folder, create=True), load_settings([f"sparse.model={base}"]))
    with indexes.library.writing("a test"):
        for i in range(0, len(content), 5):
            put(indexes.library, f"doc{i}", ("", tuple(content[i : i + 5])))
        with indexes.updating(names=names):
            pass
    return folder


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny(tmp_path_factory.mktemp("model") / "tiny")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, base: Path) -> Path:
    return library_of(tmp_path_factory.mktemp("made") / "library", base, texts(100), ("lexical", "sparse", "dense"))


@pytest.fixture
def library(made: Path, tmp_path: Path) -> Path:
    shutil.copytree(made, tmp_path / "library")
    return tmp_path / "library"


def told(base: Path, *arguments: object) -> dict[str, Any]:
    """What a command says as JSON, run in this process."""
    done = CliRunner().invoke(app, ["--set", f"sparse.model={base}", *map(str, arguments), "--json"])
    if done.exception:
        raise done.exception
    return dict(json.loads(done.stdout))


def refused(kind: type[RagError], base: Path, *arguments: object) -> str:
    """The one line of an error, whose kind decides the exit code (2 of a UsageError, else 1)."""
    with pytest.raises(RagError) as error:
        told(base, "train", "sparse", *arguments)
    assert isinstance(error.value, UsageError) == (kind is UsageError) and isinstance(error.value, kind)
    assert "\n" not in str(error.value)
    return str(error.value)


def entries(library: Path) -> set[str]:
    """What lies in a library, without what comes and goes with who has it open."""
    return {e.name for e in library.iterdir() if not e.name.startswith(("writer.", "catalogue.sqlite-"))}


def found(base: Path, library: Path, query: str) -> list[str]:
    hits = told(base, "search", query, "--library", library, "--retriever", "sparse", "-k", 10)["hits"]
    return [hit["text"] for hit in hits]


# -- a library of one's own


def test_a_library_is_searched_with_what_it_taught(base: Path, library: Path, tmp_path: Path, glossator: Run) -> None:
    before = entries(library)
    old = (library / "sparse" / "built.json").read_text()
    result = told(base, "train", "sparse", "--library", library, *RECIPE)
    assert result["kept"] and result["gain"]["before"]["interval"][0] > 0 and result["n"] >= FEWEST
    assert result["out"] == str(library / "encoder") and result["base"] == str(base)
    assert set(result["queries"]["learnt"]) == {"sentence"} and result["steps"] == 120
    assert entries(library) == before | {"encoder"}
    assert (library / "sparse" / "built.json").read_text() != old

    # What its own encoder learnt is used for what comes later, and everything else goes on as before.
    make_pdf(tmp_path / "later.pdf", [["The otter sleeps in the reeds by day."]], "Later")
    summary = told(base, "ingest", tmp_path / "later.pdf", "--library", library)
    assert (summary["added"], summary["failed"]) == (1, 0)
    assert found(base, library, f"{ASKED[3]} {ASKED[8]}")
    assert told(base, "check", "--library", library)["ok"]
    assert len(told(base, "documents", "--library", library)["documents"]) == 21

    again = refused(UsageError, base, "--library", library, *RECIPE)
    assert again.endswith(f"train sparse --library {library} --undo")

    done = glossator("--set", f"sparse.model={base}", "train", "sparse", "--library", library, "--undo")
    assert (done.returncode, done.stdout) == (0, f"{library} uses {base} again\n"), done.stderr
    assert not any(name.startswith("encoder") for name in entries(library))
    assert told(base, "check", "--library", library)["ok"]
    assert json.loads((library / "sparse" / "built.json").read_text())["built_with"] == json.loads(old)["built_with"]
    assert "has no encoder of its own" in refused(UsageError, base, "--library", library, "--undo")


def test_what_is_not_better_changes_nothing(base: Path, library: Path, glossator: Run) -> None:
    before = {file: file.read_bytes() for file in sorted((library / "sparse").rglob("*")) if file.is_file()}
    names = entries(library)
    shorter = [*RECIPE, "--recipe=steps=1", "--recipe=every=1", "--recipe=rate=1e-9"]
    done = glossator("--set", f"sparse.model={base}", "train", "sparse", "--library", library, *shorter)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "not better for certain: nothing was changed"
    assert entries(library) == names
    assert before == {file: file.read_bytes() for file in sorted((library / "sparse").rglob("*")) if file.is_file()}


@pytest.mark.parametrize(("gain", "hint"), [(0.019, ". With more documents there would be"), (0.0, ""), (-0.1, "")])
def test_a_gain_that_may_be_chance_wants_more_documents(gain: float, hint: str) -> None:
    result = {
        "n": 9, "steps": 5, "best_step": 5, "metrics": {}, "intervals": {}, "kept": False, "out": None,
        "gain": {"before": {"difference": gain, "interval": [-0.2, 0.2]}}, "terms_a_text": {"before": 1, "after": 1},
    }  # fmt: skip
    last = _format(result, None).splitlines()[-1]
    assert last.startswith(f"not better for certain: nothing was changed{hint}")
    assert bool(hint) == last.endswith("to tell by")


def test_what_is_interrupted_goes_on(base: Path, library: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from rag.train.sparse import sparse_training as train

    shorter = [*RECIPE, "--recipe=steps=6", "--recipe=every=2"]
    step = train.loss_of_step

    def until(number: int, *others: Any) -> Any:
        if number == 5:
            raise KeyboardInterrupt
        numbers.append(number)
        return step(number, *others)

    numbers: list[int] = []
    monkeypatch.setattr(train, "loss_of_step", until)
    with pytest.raises((KeyboardInterrupt, SystemExit)):
        told(base, "train", "sparse", "--library", library, *shorter)
    assert numbers == [0, 1, 2, 3, 4] and (library / "encoder.partial").is_dir()
    assert told(base, "check", "--library", library)["ok"]
    monkeypatch.setattr(train, "loss_of_step", lambda number, *others: numbers.append(number) or step(number, *others))
    assert told(base, "train", "sparse", "--library", library, *shorter)["steps"] == 6
    assert numbers == [0, 1, 2, 3, 4, 4, 5] and not (library / "encoder.partial").exists()


def test_a_folder_of_its_own_leaves_the_library_alone(base: Path, library: Path, tmp_path: Path) -> None:
    names, out = entries(library), tmp_path / "out"
    result = told(base, "train", "sparse", "--library", library, "--out", out, *RECIPE)
    assert result["kept"] and result["out"] == str(out) and entries(library) == names
    assert "is there already" in refused(UsageError, base, "--library", library, "--out", out, *RECIPE)
    assert told(base, "check", "--library", library)["ok"]


# -- what is refused


def test_three_passages_are_too_few(base: Path, tmp_path: Path) -> None:
    few = library_of(tmp_path / "few", base, texts(3), ["sparse"])
    assert "3 passages are too few" in refused(DataError, base, "--library", few, *RECIPE)
    assert "encoder" not in entries(few) and "encoder.partial" not in entries(few)


def test_duplicates_alone_teach_nothing(base: Path, tmp_path: Path) -> None:
    same = library_of(tmp_path / "same", base, texts(1) * 40, ["sparse"])
    assert "leave no query" in refused(DataError, base, "--library", same, *RECIPE)


@needs_data
def test_a_withheld_file_is_refused(base: Path, tmp_path: Path) -> None:
    file = DATA / "hotpotqa" / "dev-a.jsonl.gz"
    refusal = refused(UsageError, base, "--data", file, "--out", tmp_path / "out", *RECIPE)
    assert "Name a training file" in refusal


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("nonsense=1", "there is no such field. Choose one of steps, "),
        ("steps", "there is no such field"),
        ("steps=abc", "valid integer"),
        ("teachers=owl", "'bm25', 'dense' or 'sparse'"),
        ("distillation=owl", "'kl', 'margin' or 'none'"),
        ("steps=0", "Give 1 or more"),
        ("given=2", "Give 1 or less"),
    ],
)
def test_a_recipe_that_is_none_is_refused_before_anything_is_read(base: Path, change: str, says: str) -> None:
    assert says in refused(UsageError, base, "--library", "nowhere", f"--recipe={change}")


def test_there_must_be_something_to_learn_from_and_somewhere_to_write_to(base: Path, tmp_path: Path) -> None:
    assert "Name a library with --library" in refused(UsageError, base)
    data = written(tmp_path / "train.json", hotpot())
    assert "Name a new folder with --out" in refused(UsageError, base, "--data", data)
    assert "of which library" in refused(UsageError, base, "--undo")


def test_a_refusal_is_one_line_and_an_exit_code(base: Path, tmp_path: Path, glossator: Run) -> None:
    done = glossator("train", "sparse", "--json")
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (2, "", 1)


# -- when it is better


@given(count=st.integers(1, 40))
@settings(max_examples=20, deadline=None)
def test_no_query_that_ends_the_training_is_reported_on(count: int) -> None:
    texts = tuple(f"text {i}" for i in range(2 * count))
    origins = tuple(i if i < count else i - count for i in range(2 * count))  # the second half was cut from the first
    pairs = tuple(Pair(f"query {i}", (i + count * (i % 2),), "given") for i in range(count))
    held_out = TrainingSet(texts, texts, origins, pairs)
    watched, reported = watched_and_reported(held_out)
    queries = [{pair.query for pair in part.pairs} for part in (watched, reported)]
    assert not queries[0] & queries[1] and queries[0] | queries[1] == {pair.query for pair in pairs}
    assert len(queries[0]) == math.ceil(count / 3)
    for part in (watched, reported):  # each query still asks for the same text, among its pool
        for pair in part.pairs:
            (positive,) = pair.positives
            assert part.texts[positive] == next(texts[p.positives[0]] for p in pairs if p.query == pair.query)
            assert positive in part.pool(pair)


def test_a_query_is_measured_with_its_words_cut_out_and_without() -> None:
    """By hand: of text 0, "the miller sleeps" was cut out (text 3). The query's scores rank 0, 1, 3, 2."""
    held_out = TrainingSet(("a", "b", "c", "a cut"), ("d",) * 4, (0, 1, 2, 0), (Pair("asked", (3,), "sentence"),))
    scores = np.array([[4.0, 3.0, 1.0, 2.0]], dtype=np.float32)
    assert ndcg_of(lambda _: scores, held_out) == [(1 / math.log2(3) + 1) / 2]  # behind text 1; before it
    given = replace(held_out, pairs=(Pair("asked", (1,), "given"),))
    assert ndcg_of(lambda _: scores, given) == [1 / math.log2(3)]  # nothing is cut out: asked once
    both = replace(held_out, pairs=(Pair("asked", (2, 3), "heading"),))
    ideal = 1 + 1 / math.log2(3)  # cut: ranks 2 and 3; whole: 1 and 3
    cut, whole = (1 / math.log2(3) + 0.5) / ideal, 1.5 / ideal
    assert ndcg_of(lambda _: scores, both) == [pytest.approx((cut + whole) / 2)]


def test_a_gain_on_a_handful_of_queries_is_not_certain() -> None:
    nothing = TrainingSet((), (), (), ())

    def better(before: list[float], after: list[float]) -> bool:
        return FitOutcome(None, None, nothing, nothing, before, after, before, (1, 1)).better  # type: ignore[arg-type]

    assert FEWEST == 6
    assert not better([0.1] * 5, [0.9] * 5)
    assert better([0.1] * 6, [0.9] * 6)
    assert not better([0.1] * 6, [0.1] * 6)
    assert not better([0.9, 0.1] * 6, [0.1, 0.9] * 6)
