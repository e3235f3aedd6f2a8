"""Milvus in place of the embedded indexes (rag/index/milvus.py), with Milvus Lite: the same rankings, one library.

One process at a time has Milvus Lite's file open: what runs the program comes before what opens the library here.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from rag.errors import LibraryError
from rag.index.manager import Indexes
from rag.index.milvus import MilvusIndex
from rag.index.move import copy_to_milvus as moving
from rag.index.move.copy_to_milvus import Moved, copy_to_milvus
from rag.library.catalogue import Library
from rag.search import open_retriever
from rag.settings import load_settings
from tests.conftest import Run

pytest.importorskip("pymilvus")
pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]
MILVUS = ("--set", "library.engine=milvus")
SUBJECTS = {
    "mill": "The mill at Kolm grinds rye with three stones", "bridge": "The bridge over the Tarn is built of oak",
    "light": "The lighthouse of Port Merrow burns whale oil", "school": "The school in Lund teaches forty children",
}  # fmt: skip
QUESTIONS = ("What does the mill grind?", "What is the bridge built of?", "oak", "children of Lund", "stones")


def papers(folder: Path) -> Path:
    folder.mkdir()
    for name, fact in SUBJECTS.items():
        lines = [f"{fact} since {year}. It was mended in {year + 7} by the smith." for year in range(1871, 1901, 3)]
        (folder / f"{name}.txt").write_text("\n\n".join(f"{line} {line}" for line in lines))
    return folder


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory, glossator: Run) -> tuple[Path, Path]:
    """The same documents in a library with embedded indexes and in one with Milvus; in each one was replaced."""
    folder = tmp_path_factory.mktemp("milvus")
    shelf = papers(folder / "papers")
    libraries = folder / "embedded", folder / "milvus"
    for library, options in zip(libraries, ((), MILVUS), strict=True):
        (shelf / "mill.txt").write_text("The mill was a ruin.\n")
        assert glossator(*options, "ingest", shelf, "--library", library, "--json").returncode == 0
    for library, options in zip(libraries, ((), MILVUS), strict=True):
        (shelf / "mill.txt").write_text(f"{SUBJECTS['mill']}.\n")
        done = glossator(*options, "ingest", shelf, "--library", library, "--json")
        assert json.loads(done.stdout)["updated"] == 1, done.stderr
    return libraries


def ranking(library: Path, name: str, question: str, *options: str) -> list[tuple[str, float]]:
    settings = load_settings([option for option in options if "=" in option])
    hits = open_retriever(Indexes(Library.open(library), settings), name).search([question], 5)[0]
    return [(hit.passage.text, round(hit.score, 2)) for hit in hits]


def test_what_is_removed_is_gone_there_too_and_a_rebuild_has_the_rest(both: tuple[Path, Path], glossator: Run) -> None:
    for library, options in zip(both, ((), MILVUS), strict=True):
        document = next(e.document_id for e in Library.open(library).documents() if e.title == "light")
        assert glossator(*options, "remove", document, "--library", library).returncode == 0

    def found(question: str) -> str:
        asked = glossator(*MILVUS, "search", question, "--library", both[1], "--json")
        return str(json.loads(asked.stdout)["hits"][0]["text"])

    assert "whale" not in found("whale oil")
    (both[1] / "milvus" / "built.json").unlink()
    assert glossator(*MILVUS, "check", "--repair", "--library", both[1]).returncode == 0
    assert found(QUESTIONS[0]).startswith("The mill at Kolm")


def test_a_server_that_is_not_there_is_one_line(both: tuple[Path, Path], glossator: Run) -> None:
    asked = ("--set", "library.uri=http://127.0.0.1:9", "search", "mill", "--library", both[1])
    done = glossator(*MILVUS, *asked, timeout=120)
    assert done.returncode == 1 and len(done.stderr.strip().splitlines()) == 1, done.stderr
    assert "Milvus at http://127.0.0.1:9" in done.stderr


def test_rankings_are_those_of_the_embedded_indexes(both: tuple[Path, Path]) -> None:
    """By vectors to the score; by words the best, as Milvus counts words otherwise."""
    for question in QUESTIONS:
        for name in ("dense", "sparse"):
            ours, theirs = ranking(both[0], name, question), ranking(both[1], name, question, *MILVUS)
            assert [text for text, _ in ours] == [text for text, _ in theirs], (name, question)
            assert np.allclose([s for _, s in ours], [s for _, s in theirs], atol=0.02), (name, question)
        for name in ("bm25", "hybrid"):
            ours, theirs = ranking(both[0], name, question), ranking(both[1], name, question, *MILVUS)
            assert ours[0][0][:20] == theirs[0][0][:20], (name, question)
            assert [score for _, score in theirs] == sorted((score for _, score in theirs), reverse=True)


def test_what_is_beside_it_is_counted_alike(both: tuple[Path, Path]) -> None:
    """Document frequencies, rows, and what check says; a filter finds what it allows alone."""
    embedded = Indexes(Library.open(both[0]), load_settings())
    other = Indexes(Library.open(both[1]), load_settings([MILVUS[1]]))
    assert embedded.problems() == other.problems() == []
    ours, theirs = embedded.sparse().index.document_frequency(), other.sparse().index.document_frequency()
    assert (ours == theirs).all() and ours.sum() > 100
    numbers = other.library.numbers()[3:5]
    for name in ("bm25", "sparse", "dense"):
        hits = open_retriever(other, name).search(["the school, the bridge and the mill"], 10, numbers)[0]
        found = other.library.numbers_of([hit.passage.passage_id for hit in hits])
        assert set(found.values()) == set(numbers), name
        assert open_retriever(other, name).search(["the mill"], 10, [])[0] == [], name


def test_a_library_is_moved_and_what_was_cut_off_goes_on(
    both: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(moving, "BATCH", 1)
    indexes, uri = Indexes(Library.open(both[0]), load_settings()), str(tmp_path / "moved.db")
    total, last = len(indexes.library.numbers()), indexes.library.numbers()[-1]

    def stop(what: str, done: int, of: int) -> None:
        if done >= 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        copy_to_milvus(indexes, uri, stop)
    assert copy_to_milvus(indexes, uri) == Moved(total, 2)
    assert copy_to_milvus(indexes, uri) == Moved(total, total)
    options = (*MILVUS, "--set", f"library.uri={uri}")
    for question in QUESTIONS:
        assert [text for text, _ in ranking(both[0], "dense", question)] == [
            text for text, _ in ranking(both[0], "dense", question, *options)
        ]
    moved = Indexes(indexes.library, load_settings([MILVUS[1], f"library.uri={uri}"]))
    assert moved.problems() == []
    index = moved.index("milvus")
    assert isinstance(index, MilvusIndex)
    index.open()
    index.put(
        [(0, indexes.library.passages_numbered([last])[last])],
        np.ones((1, 384)),
        [(np.zeros(0, np.int32), np.zeros(0, np.float32))],
        [[]],
    )  # type: ignore[list-item]
    index.close()
    with pytest.raises(LibraryError, match=f"Milvus has {total + 1} rows for {total} passages"):
        copy_to_milvus(indexes, uri)
