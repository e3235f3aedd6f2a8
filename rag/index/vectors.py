"""Sparse vectors as arrays: of each passage its terms with 8-bit impacts, and of each term its passages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rag.errors import RagError
from rag.protocols import SparseVector
from rag.records import Passage


@dataclass(frozen=True, slots=True)
class Vectors:
    """Passages as compressed sparse rows (CSR), ascending by catalogue number: what everything else is made from.

    Row i has the term ids terms[starts[i]:starts[i + 1]], ascending, each with its impact, and the passage's own
    token ids words[word_starts[i]:word_starts[i + 1]], ascending. A weight is an impact times the passage's step, its
    largest weight / 255: so it depends on the passage alone, not on what else is indexed or when it came in, and on
    no model's range. Of the ten best among 2,000 to 20,000 random vectors this keeps about 0.995; one step for all, of
    4 / 255 (no encoder weighs a term with more than 4), keeps about 0.99, and one for each term about 0.995 too, but
    would move with every passage.
    The same 8 bits as in the postings: a merge then moves no score, and who scores these gets the same scores.
    """

    numbers: NDArray[np.int64]  # (passages,)
    steps: NDArray[np.float32]  # (passages,)
    starts: NDArray[np.int64]  # (passages + 1,)
    terms: NDArray[np.unsignedinteger[Any]]  # uint16 where the dimensions fit, as WordPiece's 30,522 do; else uint32
    impacts: NDArray[np.uint8]  # as `terms`
    word_starts: NDArray[np.int64]  # (passages + 1,)
    words: NDArray[np.unsignedinteger[Any]]

    def row(self, number: int) -> int | None:
        """The row of a catalogue number, or None."""
        row = int(self.numbers.searchsorted(number))
        return row if row < len(self.numbers) and self.numbers[row] == number else None

    def take(self, rows: NDArray[np.int64]) -> Vectors:
        """These rows, in this order."""
        starts, entries = take(self.starts, rows)
        word_starts, words = take(self.word_starts, rows)
        return Vectors(
            self.numbers[rows],
            self.steps[rows],
            starts,
            self.terms[entries],
            self.impacts[entries],
            word_starts,
            self.words[words],
        )


@dataclass(frozen=True, slots=True)
class Postings:
    """The vectors turned over: term t is in the rows slots[offsets[t]:offsets[t + 1]], each with its impact."""

    offsets: NDArray[np.int64]  # (dimensions + 1,)
    slots: NDArray[np.uint32]
    slot_impacts: NDArray[np.uint8]


def pack(
    numbered: Sequence[tuple[int, Passage]],
    vectors: Sequence[SparseVector],
    words: Sequence[list[int]],
    dimensions: int,
) -> Vectors:
    """Encoded passages as rows. Raises RagError for terms or weights that break the encoder's promise."""
    lengths = [len(terms) for terms, _ in vectors]
    if not len(numbered) == len(vectors) == len(words) or lengths != [len(weights) for _, weights in vectors]:
        raise RagError(f"sparse encoder: no vector for each of {len(numbered)} texts. Choose another sparse.model")
    row = np.arange(len(numbered)).repeat(lengths)
    terms = np.concatenate([terms for terms, _ in vectors]).astype(np.int64)
    weights = np.concatenate([weights for _, weights in vectors]).astype(np.float32)
    ascending = np.diff(terms + row * dimensions, prepend=-1) > 0  # in one row, and from each row to the next
    wrong = ~(ascending & (terms >= 0) & (terms < dimensions) & (weights > 0) & np.isfinite(weights))
    if wrong.any():
        raise RagError(
            f"sparse encoder: the vector of passage {numbered[row[wrong.argmax()]][1].passage_id} has terms out of "
            "order or weights that are no finite numbers above 0. Choose another sparse.model"
        )
    steps = np.full(len(numbered), np.finfo(np.float32).tiny)
    np.maximum.at(steps, row, weights / np.float32(255))
    own = [np.unique(np.asarray(ids, dtype=np.int64)) for ids in words]
    narrow = np.uint16 if dimensions <= 1 << 16 else np.uint32
    return Vectors(
        np.asarray([number for number, _ in numbered], dtype=np.int64),
        steps,
        starts_of(lengths),
        terms.astype(narrow),
        np.clip(np.rint(weights / steps[row]), 1, 255).astype(np.uint8),  # at least 1: what has the term is found by it
        starts_of([len(ids) for ids in own]),
        np.concatenate(own).astype(narrow),
    )


def invert(vectors: Vectors, dimensions: int) -> Postings:
    """Of each term the rows that have it, ascending; needs 12 bytes a posting meanwhile."""
    by_term = np.argsort(vectors.terms, kind="stable")
    rows = np.arange(len(vectors.numbers), dtype=np.uint32).repeat(np.diff(vectors.starts))
    lengths = np.bincount(vectors.terms, minlength=dimensions)
    return Postings(starts_of(lengths), rows[by_term], vectors.impacts[by_term])


def join(parts: Sequence[Vectors]) -> Vectors:
    """All rows of these (one part at least), ascending by number."""
    if len(parts) == 1:
        return parts[0]
    numbers, steps, starts, terms, impacts, word_starts, words = zip(*map(astuple, parts), strict=True)
    joined = Vectors(
        np.concatenate(numbers),
        np.concatenate(steps),
        starts_of(np.concatenate([np.diff(part) for part in starts])),
        np.concatenate(terms),
        np.concatenate(impacts),
        starts_of(np.concatenate([np.diff(part) for part in word_starts])),
        np.concatenate(words),
    )
    if (np.diff(joined.numbers) > 0).all():  # as it is when documents are only added
        return joined
    return joined.take(np.argsort(joined.numbers))


def starts_of(lengths: Sequence[int] | NDArray[Any]) -> NDArray[np.int64]:
    """Where rows of these lengths begin, and where the last one ends."""
    starts = np.zeros(len(lengths) + 1, dtype=np.int64)
    np.cumsum(lengths, out=starts[1:])
    return starts


def take(starts: NDArray[np.int64], rows: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The starts of these rows when they stand one behind the other, and the indices where their entries are now."""
    lengths = np.diff(starts)[rows]
    taken = starts_of(lengths)
    return taken, np.repeat(starts[rows] - taken[:-1], lengths) + np.arange(taken[-1])


def among(numbers: NDArray[np.int64], chosen: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which of the ascending `numbers` are chosen."""
    among = np.zeros(len(numbers), dtype=np.bool_)
    if len(numbers):
        indices = numbers.searchsorted(chosen).clip(max=len(numbers) - 1)
        among[indices[numbers[indices] == chosen]] = True
    return among
