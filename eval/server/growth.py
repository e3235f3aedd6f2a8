"""How a library behaves as it grows: built, opened, searched, changed, at 10,000 passages and more, embedded.

    python -m eval.server.growth --passages 10000 --corpus ../shared/data/hotpotqa/corpus-a.jsonl.gz

Catalogue, Lucene, FAISS and the sparse index are the real ones; only the encoders are simulated, because a million
passages would take hours to encode: dense vectors lie around one of 1,000 centres, sparse ones have the words of the
text and 60 more. The text is drawn from the words of a corpus, so that they are as frequent as there. Queries are
words of passages. Seconds of encoding a query (some 10 ms, whatever the size) are therefore not in the figures.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import resource
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from eval.core.files import read_records
from rag.document import Document, Page
from rag.index.manager import Indexes
from rag.library.catalogue import Library
from rag.protocols import SparseVector
from rag.records import Passage
from rag.search import open_retriever
from rag.settings import load_settings

DIMENSIONS, TERMS, CENTRES = 384, 30_522, 1_000
WORDS, PASSAGES = 120, 100  # of a passage, of a document
EXPANSIONS = 60
QUERIES = 100


class SimulatedEncoder:
    """Both encoders of a library: vectors that depend on the text alone, in the time of a hash."""

    dimensions = TERMS

    def __init__(self) -> None:
        self._centres = _unit(np.random.default_rng(0).standard_normal((CENTRES, DIMENSIONS), dtype=np.float32))

    def encode(self, texts: Sequence[str], report: Callable[[int], None] = lambda done: None) -> NDArray[np.float32]:
        """One unit-length row a text."""
        rows = np.empty((len(texts), DIMENSIONS), dtype=np.float32)
        for row, text in zip(rows, texts, strict=True):
            chance = _chance(text)
            row[:] = self._centres[chance.integers(CENTRES)] + 0.06 * chance.standard_normal(
                DIMENSIONS, dtype=np.float32
            )
        report(len(texts))
        return _unit(rows)

    def encode_documents(
        self, texts: Sequence[str], report: Callable[[int], None] = lambda done: None
    ) -> list[SparseVector]:
        """The terms of a text's words, and EXPANSIONS more."""
        vectors = [self._sparse(text, EXPANSIONS) for text in texts]
        report(len(texts))
        return vectors

    def encode_queries(self, texts: Sequence[str]) -> list[SparseVector]:
        return [self._sparse(text, 0) for text in texts]

    def token_ids(self, texts: Sequence[str]) -> list[list[int]]:
        return [sorted({_term(word) for word in text.lower().split()}) for text in texts]

    def term(self, term_id: int) -> str:
        return str(term_id)

    def _sparse(self, text: str, more: int) -> SparseVector:
        own = self.token_ids([text])[0]
        chance = _chance(text)
        terms = np.unique(np.concatenate([own, chance.zipf(1.3, more) % TERMS]).astype(np.int32))
        return terms, (0.1 + chance.exponential(0.5, len(terms))).astype(np.float32)


def _chance(text: str) -> np.random.Generator:
    return np.random.default_rng(int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little"))


def _unit(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    unit: NDArray[np.float32] = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return unit


def _term(word: str) -> int:
    return int.from_bytes(hashlib.sha256(word.encode()).digest()[:4], "little") % TERMS


def texts_of(corpus: Path, count: int) -> Iterator[str]:
    """`count` texts of WORDS words each, drawn by how often the corpus has them."""
    words = Counter[str]()
    for record in read_records(corpus):
        words.update(re.findall(r"\w+", str(record.fields.get("text", ""))))
    names = np.array(list(words))
    shares = np.array(list(words.values()), dtype=np.float64)
    drawing = np.random.default_rng(1)
    for first in range(0, count, 10_000):
        some = drawing.choice(names, (min(10_000, count - first), WORDS), p=shares / shares.sum())
        yield from (" ".join(row) for row in some)


def document(number: int, texts: Sequence[str]) -> tuple[Document, list[Passage]]:
    """A document of these passages."""
    name, at, passages = f"{number:016x}", 0, []
    for index, text in enumerate(texts):
        passages.append(Passage(f"{name}#{index}", name, f"Document {number}", "", text, at, at + len(text)))
        at += len(text) + 1
    whole = "\n".join(texts)
    return Document(name, "text", f"Document {number}", whole, (Page(1, 0, len(whole)),)), passages


def measure(folder: Path, corpus: Path, count: int) -> dict[str, float]:
    """The figures of a library of `count` passages, made in `folder` unless it is there already."""
    figures: dict[str, float] = {"passages": count}
    texts, made = list(texts_of(corpus, count)), count // PASSAGES
    if not (folder / "catalogue.sqlite").exists():
        figures["build, s"] = _build(folder, texts)
    library = Library.open(folder)
    indexes = _indexes(library)
    size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    figures["bytes a passage"] = size / count
    for part in ("catalogue.sqlite", "lexical", "dense", "sparse"):
        of_part = [folder / part] if part.endswith("sqlite") else (folder / part).rglob("*")
        figures[f"{part.partition('.')[0]}, bytes a passage"] = (
            sum(f.stat().st_size for f in of_part if f.is_file()) / count
        )
    again = _indexes(Library.open(folder))
    began = time.monotonic()
    retrievers = {name: open_retriever(again, name) for name in ("bm25", "sparse", "dense", "hybrid")}
    retrievers["hybrid"].search(["warm"], 10)
    figures["open, s"] = time.monotonic() - began
    queries = [" ".join(texts[i].split()[:6]) for i in np.random.default_rng(2).integers(count, size=QUERIES)]
    for name, retriever in retrievers.items():
        taken = []
        for query in queries:
            began = time.monotonic()
            retriever.search([query], 10)
            taken.append(1000 * (time.monotonic() - began))
        figures[f"{name} p50, ms"], figures[f"{name} p95, ms"] = map(float, np.percentile(taken, (50, 95)))
    figures["memory, MB"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    changes: dict[str, Callable[[], None]] = {
        "add a document, s": lambda: library.put(*document(made, texts[:PASSAGES]), "/new", "new", "growth"),
        "remove a document, s": lambda: library.remove(f"{made:016x}"),
    }
    for what, change in changes.items():
        began = time.monotonic()
        with library.writing("growth"), indexes.updating():
            change()
        open_retriever(again, "hybrid").search(["warm"], 10)
        figures[what] = time.monotonic() - began
    return figures


def _build(folder: Path, texts: Sequence[str]) -> float:
    """Make the library; how long it took."""
    library = Library.open(folder, create=True)
    began = time.monotonic()
    with library.writing("growth"), _indexes(library).updating() as update:
        for number, first in enumerate(range(0, len(texts), PASSAGES)):
            library.put(*document(number, texts[first : first + PASSAGES]), f"/{number}", str(number), "growth")
            if number % 100 == 99:
                update()
                took = time.monotonic() - began
                print(f"{first + PASSAGES:,} of {len(texts):,} passages, {took:.0f} s", file=sys.stderr)
    return time.monotonic() - began


def _indexes(library: Library) -> Indexes:
    indexes = Indexes(library, load_settings(["sparse.method=SPLADE", "dense.model=all-minilm-l6-v2"]))
    encoder = SimulatedEncoder()
    indexes.encoders.dense = lambda: encoder  # type: ignore[method-assign]
    indexes.encoders.sparse = lambda: encoder  # type: ignore[method-assign, assignment, return-value]
    return indexes


def main() -> None:
    parser = argparse.ArgumentParser(description="How a library behaves as it grows.")
    parser.add_argument("--passages", type=int, default=10_000)
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--folder", type=Path, help="keep the library there, or measure the one that is there")
    given = parser.parse_args()
    folder = given.folder or Path(tempfile.mkdtemp())
    try:
        print(
            json.dumps({name: round(value, 3) for name, value in measure(folder, given.corpus, given.passages).items()})
        )
    finally:
        if not given.folder:
            shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
