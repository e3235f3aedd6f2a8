"""rag/index/leases.py and manager.py: a replaced index is closed with its last reader, and never under one."""

from __future__ import annotations

import gc
from pathlib import Path

import pytest

from rag.document import Document, Page
from rag.index.leases import OpenIndex
from rag.index.manager import Indexes
from rag.library.catalogue import Library
from rag.protocols import DerivedIndex
from rag.records import Passage
from rag.search import open_retriever
from rag.settings import load_settings
from tests.parts import encoder


class Index:
    closed = 0

    def close(self) -> None:
        self.closed += 1


class Retriever:
    pass


def test_it_is_closed_with_the_last_reader_once() -> None:
    index = Index()
    opened = OpenIndex(index)  # type: ignore[arg-type]
    first, second = opened.lend(Retriever()), opened.lend(Retriever())
    opened.replace()
    assert index.closed == 0
    del first
    assert index.closed == 0
    del second
    assert index.closed == 1


def test_without_readers_it_is_closed_when_it_is_replaced_and_else_stays_open() -> None:
    index = Index()
    opened = OpenIndex(index)  # type: ignore[arg-type]
    reader = opened.lend(Retriever())
    del reader
    assert index.closed == 0
    opened.replace()
    assert index.closed == 1


def put(library: Library, number: int) -> None:
    text = f"The Tarn Bridge, note {number}."
    passage = Passage(f"d{number}#0", f"d{number}", "Notes", "n.txt", text, 0, len(text))
    document = Document(f"d{number}", "pdf", "Notes", text, (Page(1, 0, len(text)),))
    library.put(document, [passage], f"/{number}.pdf", f"{number}.pdf", "")


@pytest.mark.parametrize("name", ["bm25", "sparse", "dense", "hybrid"])
def test_of_an_index_that_changes_only_the_newest_state_stays_open(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = Library.open(tmp_path / "library", create=True)
    put(library, 0)
    indexes = Indexes(library, load_settings())
    indexes.encoders._dense = encoder()
    state: dict[DerivedIndex, bool] = {}  # index -> whether it is open
    make = Indexes.index

    def recorded(self: Indexes, kind: str) -> DerivedIndex:
        index = make(self, kind)
        real_open, real_close = index.open, index.close

        def opened() -> None:
            real_open()  # closes itself first, where there is something to close
            state[index] = True

        def closed() -> None:
            real_close()
            state[index] = False

        index.open, index.close = opened, closed  # type: ignore[method-assign]
        return index

    monkeypatch.setattr(Indexes, "index", recorded)

    def still_open() -> list[DerivedIndex]:
        return [index for index, is_open in state.items() if is_open]

    with indexes.updating():
        pass
    held = open_retriever(indexes, name)
    before, serving = held.search(["bridge"], 9), still_open()
    needed = 3 if name == "hybrid" else 1
    assert len(serving) == needed and len(before[0]) == 1
    for number in range(1, 4):  # the library changes, and each state is searched
        put(library, number)
        fresh = open_retriever(indexes, name)
        assert len(fresh.search(["bridge"], 9)[0]) == number + 1
        del fresh
        assert all(index in still_open() for index in serving), "closed under a reader"
        assert len(still_open()) == 2 * needed
    del held
    gc.collect()
    assert not any(index in still_open() for index in serving)
    assert len(still_open()) == needed
