"""A library's pictures and uploads in an S3 bucket: a real server's, and each folder here stands for a machine."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import random
import signal
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from ingest.build import build
from ingest.uploads import remove_document
from rag.document import Document, Page
from rag.errors import LibraryError, UsageError
from rag.index.manager import Indexes
from rag.library.catalogue import Library
from rag.library.copies.backup import write_backup
from rag.library.copies.restore import read_backup
from rag.library.shared import bucket
from rag.library.shared.bucket import Bucket, key_of
from rag.library.shared.own_files import drop_copies, own_files
from rag.records import Passage
from rag.settings import load_settings
from tests import s3_server
from tests.conftest import Run, needs_postgres
from tests.postgres_server import PostgresServer
from tests.processes import until
from tests.s3_server import S3Server

needs_server = pytest.mark.skipif(not s3_server.IS_THERE, reason="no S3 server (radosgw 17) on this machine")


@pytest.fixture(scope="module")
def running() -> Iterator[S3Server]:
    with closing(S3Server()) as server:
        yield server


@pytest.fixture
def server(running: S3Server, monkeypatch: pytest.MonkeyPatch) -> S3Server:
    for name, value in running.environment.items():
        monkeypatch.setenv(name, value)
    return running


def address(tmp_path: Path) -> str:
    return f"s3://{s3_server.BUCKET}/{hashlib.sha256(str(tmp_path).encode()).hexdigest()[:12]}"


def opened(tmp_path: Path, machine: str = "one", shared: str = "") -> Library:
    return Library.open(tmp_path / machine / "firm", create=True, shared=shared, files=address(tmp_path))


def put(library: Library, number: int, pictures: int = 1) -> list[str]:
    """Add a document that was uploaded, with pictures; their sha256."""
    name, text = f"{number:016x}", f"Note {number} says where the bridge is."
    kept = [library.keep_picture(f"picture {i} of {number}".encode()) for i in range(pictures)]
    passages = [
        Passage(f"{name}#{i}", name, f"Note {number}", "", text, 0, len(text), kind="figure", picture=sha256)
        for i, sha256 in enumerate(kept)
    ]
    file = library.folder / "uploads" / f"nóte {number}%.txt"
    file.parent.mkdir(exist_ok=True)
    file.write_text(text)
    with library.writing("a test"):
        library.put(Document(name, "text", "", text, (Page(1, 0, len(text)),)), passages, str(file), file.name, "")
    return kept


def there(library: Library) -> set[str]:
    """What the bucket has of it."""
    assert library._bucket
    return library._bucket.keys()


@needs_server
def test_what_a_library_has_goes_to_the_bucket_and_comes_from_it(server: S3Server, tmp_path: Path) -> None:
    alone = Library.open(tmp_path / "one" / "firm", create=True)
    kept = put(alone, 1, pictures=3)
    unread = alone.folder / "uploads" / "waiting.pdf"  # on its way into the library
    unread.write_bytes(b"%PDF")
    library = opened(tmp_path)
    assert there(library) == {f"pictures/{sha256}.png" for sha256 in kept} | {"uploads/nóte 1%.txt"}
    kept += put(library, 2)
    assert there(library) == own_files(library._connection())
    again = Library.open(library.folder)  # the folder remembers
    for file in [*(again.folder / "pictures").iterdir(), *(again.folder / "uploads").glob("n*")]:
        file.unlink()
    assert again.problems() == []
    assert [again.picture(sha256) for sha256 in kept[:3]] == [f"picture {i} of 1".encode() for i in range(3)]
    (file,) = again.files_of(f"{2:016x}")
    assert not file.exists()
    again.bring(file)
    assert file.read_text() == "Note 2 says where the bridge is."
    write_backup(again, tmp_path / "backup.tar")
    read_backup(tmp_path / "backup.tar", tmp_path / "restored")
    restored = Library.open(tmp_path / "restored")
    assert restored._bucket is None and restored.problems() == []
    assert restored.picture(kept[3]) == b"picture 0 of 2"
    with again.writing("a test"):
        remove_document(again, f"{1:016x}")
        remove_document(again, f"{2:016x}")
    assert there(again) == set() and list((again.folder / "pictures").iterdir()) == []
    assert [file.name for file in (again.folder / "uploads").iterdir()] == ["waiting.pdf"]


@needs_server
def test_a_file_that_is_forgotten_leaves_the_bucket_with_its_last_document(server: S3Server, tmp_path: Path) -> None:
    library = opened(tmp_path)
    put(library, 1), put(library, 2)
    both = library.folder / "uploads" / "cases.json"
    both.write_text("[1, 2]")
    with library.writing("a test"):
        for number in (1, 2):
            library.add_path(f"{number:016x}", f"{both}#{number}", "cases.json")
    assert "uploads/cases.json" in there(library)
    with library.writing("a test"):
        assert library.forget_path(Path(f"{both}#1")) == []
        assert "uploads/cases.json" in there(library)
        assert library.forget_path(both) == [] and "uploads/cases.json" not in there(library)
        assert library.forget_path(library.folder / "uploads") == [f"{1:016x}", f"{2:016x}"]
    assert there(library) == set()


@needs_server
@needs_postgres
def test_two_machines_share_catalogue_and_files(server: S3Server, postgres: PostgresServer, tmp_path: Path) -> None:
    here, away = (opened(tmp_path, machine, postgres.address) for machine in ("one", "two"))
    settings = load_settings()
    text = here.folder / "uploads" / "bridge.md"
    text.parent.mkdir()
    text.write_text("The bridge is 2,460 m long.")
    assert build([text], here, Indexes(here, settings), settings.ingest).count("added") == 1
    kept = put(here, 7)

    def look() -> None:
        assert away._replica
        away._replica.catch_up()

    look()
    assert away.picture(kept[0]) == b"picture 0 of 7"
    (document_id,) = {entry.document_id for entry in away.documents()} - {f"{7:016x}"}
    (copy,) = away.files_of(document_id)
    away.bring(copy)
    assert copy.is_relative_to(away.folder) and copy.read_text() == text.read_text()
    assert build([copy], away, Indexes(away, settings), settings.ingest).count("unchanged") == 1
    with here.writing("a test"):
        remove_document(here, document_id)
    look()
    assert not copy.exists() and (away.folder / "pictures" / f"{kept[0]}.png").exists()
    with here.writing("a test"):
        remove_document(here, f"{7:016x}")
    look()
    assert list((away.folder / "pictures").iterdir()) == [] == list((away.folder / "uploads").iterdir())
    assert there(here) == set()


@needs_server
def test_other_bytes_for_a_picture_are_not_shown(server: S3Server, tmp_path: Path) -> None:
    library = opened(tmp_path)
    (sha256,) = put(library, 1)
    file = library.folder / "pictures" / f"{sha256}.png"
    file.write_bytes(b"something else, later")
    assert library._bucket
    library._bucket.send([f"pictures/{sha256}.png"])
    file.unlink()
    with pytest.raises(LibraryError, match="has other bytes for"):
        library.picture(sha256)
    assert not list((library.folder / "pictures").iterdir())
    for name in ("../../catalogue.sqlite", "0" * 63, "0" * 64):
        with pytest.raises(LibraryError, match="holds no picture"):
            library.picture(name)


@needs_server
def test_while_the_server_is_away_nothing_is_named_that_others_could_not_have(server: S3Server, tmp_path: Path) -> None:
    library = opened(tmp_path)
    (first,) = put(library, 1)
    server.stop()
    try:
        began = time.monotonic()
        with pytest.raises(LibraryError, match=r"does not answer: .*Check library\.files"):
            put(library, 2)
        assert time.monotonic() - began < 30
        assert [entry.document_id for entry in library.documents()] == [f"{1:016x}"]
        assert library.picture(first) == b"picture 0 of 1"  # this machine has a copy
        (library.folder / "pictures" / f"{first}.png").unlink()
        with pytest.raises(LibraryError, match="does not answer"):
            library.picture(first)
    finally:
        server.start()
    assert library.picture(first) == b"picture 0 of 1"
    put(library, 2)
    assert there(library) == own_files(library._connection())


def _write_until_killed(folder: Path) -> None:
    library = Library.open(folder)
    for number in range(1000):
        put(library, number, pictures=2)
        if number % 3 == 2:
            with library.writing("a test"):
                remove_document(library, f"{number - 1:016x}")


@needs_server
def test_killed_at_any_moment_the_bucket_has_what_the_catalogue_names(server: S3Server, tmp_path: Path) -> None:
    library = opened(tmp_path)
    moments = random.Random(0)
    for _ in range(3):
        before = library.generation
        # spawned: what runs the client does not survive a fork
        writer = multiprocessing.get_context("spawn").Process(target=_write_until_killed, args=(library.folder,))
        writer.start()
        until(lambda: library.generation > before)  # noqa: B023 - called at once
        time.sleep(moments.random() / 2)
        os.kill(writer.pid or 0, signal.SIGKILL)
        writer.join()
        named = own_files(library._connection())
        assert library.generation > before and named <= there(library)
        with library.writing("a test"):
            pass  # the writer that was killed left its name
        said = [problem.removeprefix("catalogue: ").partition(" in s3://")[0] for problem in library.problems()]
        assert said == sorted(there(library) - named)
    put(library, 2000)
    with library.writing("a test"):
        for entry in library.documents():
            remove_document(library, entry.document_id)
    assert {key for key in there(library) if key.startswith("pictures/")} == set()


@needs_server
def test_the_command_line_says_what_is_wrong_in_one_line(server: S3Server, tmp_path: Path, glossator: Run) -> None:
    notes = tmp_path / "notes"
    notes.mkdir()
    (notes / "bridge.md").write_text("# The bridge\n\nThe bridge over the Tarn is 2,460 metres long.\n")
    files = ("--set", f"library.files={address(tmp_path)}")
    made = glossator(*files, "ingest", notes, "--library", tmp_path / "firm", env=server.environment)
    assert made.returncode == 0, made.stderr
    wrong = {**server.environment, "AWS_SECRET_ACCESS_KEY": "wrong"}
    other = tmp_path / "other"
    put(Library.open(other, create=True), 1)
    refused = glossator(*files, "documents", "--library", other, env=wrong)
    assert refused.returncode == 1 and refused.stderr.count("\n") == 1 and "does not answer" in refused.stderr
    elsewhere = glossator("--set", "library.files=s3://another", "documents", "--library", tmp_path / "firm")
    assert elsewhere.returncode == 1 and "library.files says another bucket" in elsewhere.stderr


@pytest.mark.parametrize("wrong", ["bucket", "https://host/bucket", "s3://", "s3://b/p?x=1", "s3:///p"])
def test_an_address_that_is_none_is_said_to_be_none(wrong: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="s3://bucket/prefix"):
        Bucket(tmp_path, wrong, "firm")


def test_a_name_that_is_no_text_has_a_key(tmp_path: Path) -> None:
    assert key_of("uploads/a b%é.pdf") == "uploads/a b%é.pdf"
    assert key_of(os.fsdecode(b"uploads/\xff.pdf")) == "uploads/%FF.pdf"
    (tmp_path / bucket.FILE).write_text("{}")
    with pytest.raises(LibraryError, match=r"bucket\.json cannot be read"):
        Library.open(tmp_path, create=True)


def test_copies_are_dropped_inside_of_the_folder_alone(tmp_path: Path) -> None:
    folder, outside = tmp_path / "firm", tmp_path / "mine.txt"
    (folder / "uploads").mkdir(parents=True)
    inside = folder / "uploads" / "a.txt"
    for file in (inside, outside):
        file.write_text("words")
    drop_copies(folder, ["uploads/a.txt", "../mine.txt", str(outside), "uploads/none"])
    assert outside.exists() and not inside.exists()
