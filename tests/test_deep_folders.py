"""Folders nested deeper than Python recurses, paths longer than the system takes, and names of odd bytes."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import cast

import pytest

from ingest.podcast import chapter_store as chaptering
from ingest.podcast.sidecars import sidecars
from ingest.read import find_files
from rag.errors import DocumentError
from rag.index.manager import Indexes
from rag.library.catalogue import Library
from tests.test_podcasts_ingest import META, SRT, VTT, NoIndexes, halves, ingested

DEPTH = 1_500  # Python's own limit of recursion is 1,000


@contextmanager
def nested(folder: Path, name: str, depth: int) -> Iterator[int]:
    """So many folders of one name in each other; the file descriptor of the innermost. pytest could not remove them."""
    folder.mkdir()
    inner = os.open(folder, os.O_RDONLY)
    try:
        for _ in range(depth):  # step by step: the whole path may be longer than the system takes
            os.mkdir(name, dir_fd=inner)
            outer, inner = inner, os.open(name, os.O_RDONLY, dir_fd=inner)
            os.close(outer)
        yield inner
    finally:
        os.close(inner)
        subprocess.run(["rm", "-rf", str(folder)], check=True)


def write(name: str, text: str, folder: int) -> None:
    with os.fdopen(os.open(name, os.O_WRONLY | os.O_CREAT, dir_fd=folder), "w") as file:
        file.write(text)


@pytest.fixture
def indexes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Indexes:
    monkeypatch.setattr(chaptering, "chapters_of", halves)
    return cast(Indexes, NoIndexes(Library.open(tmp_path / "library", create=True)))


@pytest.mark.attack
def test_folders_nested_deeper_than_recursion_are_read(tmp_path: Path, indexes: Indexes) -> None:
    folder = tmp_path / "shelf"
    with nested(folder, "d", DEPTH) as inner:
        write("bees.srt", SRT, inner)
        (folder / "mill.vtt").write_text(VTT)
        (folder / "a.vtt").write_text(VTT.replace("oak", "ash"))
        found = [str(file) for file in find_files(folder, tmp_path / "library")]
        deep = str(folder) + "/d" * DEPTH + "/bees.srt"
        assert found == [str(folder / "a.vtt"), deep, str(folder / "mill.vtt")]  # in the order of the names
        outcomes = ingested(indexes, folder).documents
        assert [(outcome.path, outcome.status) for outcome in outcomes] == [(path, "added") for path in found]


@pytest.mark.attack
def test_a_path_longer_than_the_system_takes_is_one_error(tmp_path: Path, indexes: Indexes) -> None:
    folder = tmp_path / "shelf"
    with nested(folder, "d" * 200, 30) as inner:  # 6,000 characters, of 4,096
        write("bees.srt", SRT, inner)
        (folder / "mill.vtt").write_text(VTT)
        found = find_files(folder, tmp_path / "library")
        assert [isinstance(file, DocumentError) for file in found] == [True, False]
        assert "File name too long. Shorten its path" in str(found[0])
        outcomes = ingested(indexes, folder).documents
        assert [outcome.status for outcome in outcomes] == ["failed", "added"]


def test_links_and_hidden_folders_are_left_out(tmp_path: Path) -> None:
    folder = tmp_path / "shelf"
    for name in ("b/c", ".hidden", "library"):
        (folder / name).mkdir(parents=True)
        (folder / name / "talk.vtt").write_text(VTT)
    (folder / "a").symlink_to(folder)
    assert find_files(folder, folder / "library") == [folder / "b" / "c" / "talk.vtt"]
    (tmp_path / "linked").symlink_to(folder)
    assert find_files(tmp_path / "linked", folder / "library") == [
        tmp_path / "linked" / "b" / "c" / "talk.vtt", tmp_path / "linked" / "library" / "talk.vtt"
    ]  # fmt: skip


@pytest.mark.attack
def test_a_name_as_long_as_may_be_leaves_no_room_for_files_beside_it(tmp_path: Path, indexes: Indexes) -> None:
    folder = tmp_path / "shelf"
    folder.mkdir()
    file = folder / ("a" * 251 + ".vtt")  # 255 bytes: "….shownotes.md" is no name that a file could have
    file.write_text(VTT)
    assert sidecars(file) == ()
    assert [outcome.status for outcome in ingested(indexes, folder).documents] == ["added"]


@pytest.mark.attack
@pytest.mark.parametrize("name", [b"m\xff", b"\xff/m"])
def test_audio_whose_path_is_no_text_is_named_and_the_episode_is_there(
    tmp_path: Path, indexes: Indexes, name: bytes
) -> None:
    stem = os.fsencode(tmp_path / "shelf") + b"/" + name
    os.makedirs(os.path.dirname(stem))
    for ending, text in ((b".vtt", VTT), (b".meta.md", META), (b".mp3", "ID3")):
        Path(os.fsdecode(stem + ending)).write_text(text)
    [outcome] = ingested(indexes, tmp_path / "shelf").documents
    assert outcome.status == "added"
    assert len(outcome.warnings) == 1 and "cannot be played" in outcome.warnings[0]
    episode = indexes.library.episode(str(outcome.document_id))
    assert episode and episode.audio == "" and episode.show == "Old Trades"
