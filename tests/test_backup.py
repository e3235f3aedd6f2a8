"""Backups (rag/library/copies/): a library as one file and back, while it is served, killed, cut, damaged, hostile."""

from __future__ import annotations

import hashlib
import io
import json
import random
import signal
import subprocess
import tarfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag.errors import DataError, LibraryError, RagError
from rag.library.catalogue import Library
from rag.library.copies.backup import MANIFEST, write_backup
from rag.library.copies.restore import read_backup
from rag.library.kept.conversations import Conversations
from tests.conftest import Run, command


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory, glossator: Run) -> Path:
    """A library of three documents, with a conversation, a picture, and a library made in its page."""
    folder = tmp_path_factory.mktemp("backed-up")
    (folder / "papers").mkdir()
    for name in ("mill", "bridge", "road"):
        (folder / "papers" / f"{name}.txt").write_text(f"The {name}\n\nThe {name} was built of oak in 1871.\n")
    for into in ("library", "library/libraries/other"):
        assert glossator("ingest", folder / "papers", "--library", folder / into, "--json").returncode == 0
    Library.open(folder / "library").keep_picture(b"\x89PNG")
    return folder / "library"


def found(library: Path, glossator: Run) -> object:
    hits = json.loads(glossator("search", "What is the mill built of?", "--library", library, "--json").stdout)
    return [(hit["passage_id"], hit["score"], hit["text"]) for hit in hits["hits"]]


def test_what_was_backed_up_is_restored_and_is_found_alike(library: Path, tmp_path: Path, glossator: Run) -> None:
    packed = write_backup(Library.open(library), tmp_path / "a.tar.gz")
    assert read_backup(packed.file, tmp_path / "unpacked").files == packed.files
    made = glossator("backup", tmp_path / "a.tar", "--library", library)
    assert made.stdout.startswith(f"wrote {tmp_path / 'a.tar'}: 3 documents and 1 more libraries"), made.stderr
    restored = tmp_path / "restored"
    assert glossator("restore", tmp_path / "a.tar", "--library", restored).returncode == 0
    assert found(restored, glossator) == found(library, glossator)
    assert glossator("check", "--library", restored).stdout == "all is well\n"
    assert Library.open(restored / "libraries" / "other").problems() == []
    for folder in (restored, tmp_path / "unpacked"):
        assert (folder / "pictures" / f"{hashlib.sha256(bytes([0x89]) + b'PNG').hexdigest()}.png").is_file()
    again = glossator("restore", tmp_path / "a.tar", "--library", restored)
    assert (again.returncode, again.stdout) == (1, "") and "is there already" in again.stderr


def test_the_catalogue_is_of_one_moment_while_it_is_written(library: Path, tmp_path: Path) -> None:
    """A conversation gets turn after turn meanwhile; the copy has the first so many, and is whole."""
    opened, stop = Library.open(library), threading.Event()
    conversations = Conversations(opened.folder)

    def talk() -> None:
        conversation = conversations.create("").conversation_id
        while not stop.is_set():
            conversations.add_turn(conversation, "", "What?", {})

    thread = threading.Thread(target=talk)
    thread.start()
    try:
        for number in range(5):
            write_backup(opened, tmp_path / f"{number}.tar")
    finally:
        stop.set()
        thread.join()
    read_backup(tmp_path / "4.tar", tmp_path / "restored")
    assert Library.open(tmp_path / "restored").problems() == []


def test_a_kill_leaves_no_half_a_backup(library: Path, tmp_path: Path) -> None:
    for seconds in (0.2, 0.4, 0.6, 0.8):
        process = subprocess.Popen(command("backup", tmp_path / "b.tar", "--library", library))
        time.sleep(seconds)
        process.send_signal(signal.SIGKILL)
        process.wait()
        if (tmp_path / "b.tar").exists():
            read_backup(tmp_path / "b.tar", tmp_path / f"after {seconds}")
            (tmp_path / "b.tar").unlink()
    write_backup(Library.open(library), tmp_path / "b.tar")
    assert [file.name for file in tmp_path.glob("b.tar*")] == ["b.tar"]


def test_who_writes_is_named_and_a_place_in_the_library_refused(library: Path, tmp_path: Path) -> None:
    with Library.open(library).writing("a test"), pytest.raises(LibraryError, match=r"is being written by .*a test"):
        write_backup(Library.open(library), tmp_path / "a.tar")
    with pytest.raises(DataError, match="lies in the library itself"):
        write_backup(Library.open(library), library / "a.tar")
    with pytest.raises(DataError, match=r"cannot be written: No such file or directory. Check"):
        write_backup(Library.open(library), tmp_path / "no" / "a.tar")
    assert not (tmp_path / "a.tar").exists()


@pytest.fixture(scope="module")
def whole(library: Path, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    file = tmp_path_factory.mktemp("whole") / "a.tar"
    write_backup(Library.open(library), file)
    return file.read_bytes()


def restored(data: bytes, folder: Path) -> list[str]:
    """The one line that a backup is refused with, if it is, and the files that it left."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "a.tar").write_bytes(data)
    try:
        read_backup(folder / "a.tar", folder / "library")
    except RagError as error:
        left = [str(path) for path in folder.rglob("*") if path.name != "a.tar"]
        return [str(error), *left]
    return []


def test_a_flipped_byte_or_a_cut_is_found_and_leaves_nothing(whole: bytes, tmp_path: Path) -> None:
    """A bit at 60 places, and 20 cuts: refused, or outside of what is restored (the padding of the tar)."""
    draw, refused = random.Random(7), 0
    for number in range(60):
        at = draw.randrange(len(whole))
        data = bytearray(whole)
        data[at] ^= 1 << draw.randrange(8)
        said = restored(bytes(data), tmp_path / f"flip {number}")
        refused += bool(said)
        assert len(said) < 2 and all(len(line.splitlines()) == 1 for line in said), said
        if not said:
            same = {}
            for folder in (tmp_path / f"flip {number}" / "library", tmp_path / "whole"):
                if not folder.exists():
                    assert restored(whole, tmp_path / "w") == []
                    (tmp_path / "w" / "library").rename(folder)
                same[folder] = {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()}
            first, second = same.values()
            assert {str(p): d for p, d in first.items() if "-" not in p.name} == {
                str(p): d for p, d in second.items() if "-" not in p.name
            }
    assert refused > 40
    for number in range(20):
        (line,) = restored(whole[: draw.randrange(len(whole) - 20_480)], tmp_path / f"cut {number}")
        assert "is no backup" in line or "damaged" in line or "cut" in line


def packed(*members: tuple[tarfile.TarInfo, bytes], manifest: bool = True) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        for info, data in members:
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
        if manifest:
            files = {info.name: hashlib.sha256(data).hexdigest() for info, data in members}
            data = json.dumps({"format": 1, "files": files}).encode()
            info = tarfile.TarInfo(MANIFEST)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return made.getvalue()


def linked(name: str, kind: bytes, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


HOSTILE: dict[str, Callable[[], bytes]] = {
    "climbs": lambda: packed((tarfile.TarInfo("../out.txt"), b"x")),
    "absolute": lambda: packed((tarfile.TarInfo("/tmp/out-of-a-backup.txt"), b"x")),
    "inside climbs": lambda: packed((tarfile.TarInfo("uploads/../../out.txt"), b"x")),
    "a link": lambda: packed((linked("uploads", tarfile.SYMTYPE, "/etc"), b"")),
    "a hard link": lambda: packed((linked("x", tarfile.LNKTYPE, "/etc/passwd"), b"")),
    "a device": lambda: packed((linked("x", tarfile.CHRTYPE), b"")),
    "no catalogue": lambda: packed((tarfile.TarInfo("uploads/a.txt"), b"x")),
    "a catalogue of junk": lambda: packed((tarfile.TarInfo("catalogue.sqlite"), b"junk" * 2000)),
    "no list": lambda: packed((tarfile.TarInfo("catalogue.sqlite"), b"junk"), manifest=False),
    "nothing": lambda: b"",
    "text": lambda: b"words " * 1000,
}


@pytest.mark.parametrize("how", HOSTILE)
def test_a_hostile_backup_is_one_line_and_writes_nothing(how: str, tmp_path: Path) -> None:
    (line, *left) = restored(HOSTILE[how](), tmp_path / "deep" / "er")
    assert left == [] and len(line.splitlines()) == 1 and line.endswith((". Use another", ". Do not use it"))
    assert not list(tmp_path.rglob("out*")) and not Path("/tmp/out-of-a-backup.txt").exists()


@settings(max_examples=50)
@given(st.binary(max_size=2000))
def test_any_bytes_are_no_backup(data: bytes) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        assert len(restored(data, Path(folder))) == 1
