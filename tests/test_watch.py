"""A library that follows its folders (ingest/folders/watch.py): added, changed, renamed, deleted."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import cast

import pytest

from ingest.build import build
from ingest.folders.watch import follow, watch
from ingest.podcast import chapter_store as chaptering
from ingest.read import find_files, is_listed
from rag.index.manager import Indexes
from rag.library.catalogue import Library
from tests.reflowable_files import packed
from tests.test_podcasts_ingest import VTT, NoIndexes, halves

Follow = Callable[..., list[tuple[str, str]]]


@pytest.fixture
def indexes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Indexes:
    monkeypatch.setattr(chaptering, "chapters_of", halves)
    return cast(Indexes, NoIndexes(Library.open(tmp_path / "library", create=True)))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "papers" / "old").mkdir(parents=True)
    for name in ("a.txt", "b.txt", "old/c.txt", "old/d.txt"):
        (tmp_path / "papers" / name).write_text(f"Words of {name}.\n")
    return tmp_path / "papers"


@pytest.fixture
def followed(indexes: Indexes, folder: Path) -> Follow:
    build([folder], indexes.library, indexes, indexes.settings.ingest)

    def follow_these(*changed: Path) -> list[tuple[str, str]]:
        told: list[tuple[str, str]] = []
        follow(changed, [folder], indexes, lambda what, file: told.append((what, file)))
        return told

    return follow_these


def held(indexes: Indexes) -> dict[str, str]:
    """Name of a file -> the text of its document."""
    library = indexes.library
    return {
        Path(path).name: library.document(entry.document_id).text
        for entry in library.documents() for path in entry.paths
    }  # fmt: skip


def test_each_change_is_followed_and_told_in_a_line(followed: Follow, indexes: Indexes, folder: Path) -> None:
    (folder / "new.txt").write_text("New words.\n")
    assert followed(folder / "new.txt") == [("added", str(folder / "new.txt"))]
    (folder / "a.txt").write_text("Other words.\n")
    assert followed(folder / "a.txt") == [("updated", str(folder / "a.txt"))]
    (folder / "b.txt").rename(folder / "z.txt")
    assert followed(folder / "b.txt", folder / "z.txt") == [("renamed", f"{folder / 'b.txt'} to {folder / 'z.txt'}")]
    (folder / "new.txt").unlink()
    assert followed(folder / "new.txt") == [("removed", str(folder / "new.txt"))]
    assert held(indexes) == {
        "a.txt": "Other words.", "z.txt": "Words of b.txt.", "c.txt": "Words of old/c.txt.",
        "d.txt": "Words of old/d.txt.",
    }  # fmt: skip
    assert indexes.library.problems() == []


def test_a_folder_that_goes_takes_its_documents_and_one_that_comes_brings_them(
    followed: Follow, indexes: Indexes, folder: Path
) -> None:
    shutil.copy(folder / "old" / "c.txt", folder / "copy.txt")
    assert followed(folder / "copy.txt") == [], "the same bytes are one document with two paths"
    shutil.rmtree(folder / "old")
    assert followed(folder / "old") == []  # one of its documents has another path
    assert sorted(held(indexes)) == ["a.txt", "b.txt", "copy.txt"]
    (folder / "more").mkdir()
    (folder / "more" / "e.txt").write_text("Words of e.\n")
    assert followed(folder / "more") == [("added", str(folder / "more" / "e.txt"))]


def test_what_belongs_to_a_transcript_changes_it_and_what_is_ignored_nothing(
    followed: Follow, indexes: Indexes, folder: Path
) -> None:
    (folder / "talk.vtt").write_text(VTT)
    assert followed(folder / "talk.vtt") == [("added", str(folder / "talk.vtt"))]
    (folder / "talk.meta.md").write_text("---\ntitle: A talk\n---\n")
    assert followed(folder / "talk.meta.md") == [("updated", str(folder / "talk.vtt"))]
    (folder / ".glossatorignore").write_text("drafts/\n")
    (folder / "drafts").mkdir()
    for name in ("drafts/x.txt", ".hidden.txt", "README.md", "x.bin"):
        (folder / name).write_bytes(b"\0" if name == "x.bin" else b"Words.\n")
    assert followed(*folder.rglob("*x.*"), folder / ".hidden.txt", folder / "README.md") == []
    listed = {file for file in folder.rglob("*") if file.is_file() and is_listed(file, folder, folder / "library")}
    assert listed == set(find_files(folder, folder / "library")), "one file is listed as the folder lists it"


def test_an_archive_that_changes_or_goes_takes_its_documents_with_it(
    followed: Follow, indexes: Indexes, folder: Path
) -> None:
    archive = folder / "more.zip"
    archive.write_bytes(packed({"one.txt": b"One.\n", "two.txt": b"Two.\n"}))
    assert [what for what, _ in followed(archive)] == ["added", "added"]
    archive.write_bytes(packed({"two.txt": b"Two.\n", "three.txt": b"Three.\n"}))
    assert sorted(what for what, _ in followed(archive)) == ["added", "renamed"]
    assert sorted(held(indexes)) == ["a.txt", "b.txt", "c.txt", "d.txt", "three.txt", "two.txt"]
    archive.unlink()
    assert [what for what, _ in followed(archive)] == ["removed"]
    assert sorted(held(indexes)) == ["a.txt", "b.txt", "c.txt", "d.txt"]
    assert list((indexes.library.folder / "unpacked").iterdir()) == []


def test_a_file_that_cannot_be_read_is_told_and_what_was_read_before_stays(
    followed: Follow, indexes: Indexes, folder: Path
) -> None:
    (folder / "lease.docx").write_bytes(b"PK\x03\x04 cut")
    ((what, line),) = followed(folder / "lease.docx")
    assert what == "failed" and "is damaged" in line and len(line.splitlines()) == 1
    assert sorted(held(indexes)) == ["a.txt", "b.txt", "c.txt", "d.txt", "lease.docx"]


@pytest.mark.slow
def test_a_running_watch_sees_a_file_within_seconds(indexes: Indexes, folder: Path) -> None:
    stop, told = threading.Event(), list[tuple[str, str]]()
    thread = threading.Thread(
        target=watch, args=([folder], indexes, lambda *line: told.append(line)), kwargs={"stop": stop}
    )
    thread.start()
    try:
        time.sleep(1)
        (folder / "now.txt").write_text("Words.\n")
        deadline = time.monotonic() + 15
        while not told and time.monotonic() < deadline:
            time.sleep(0.1)
        assert told == [("added", str(folder / "now.txt"))]
    finally:
        stop.set()
        thread.join(10)
    assert not thread.is_alive()
