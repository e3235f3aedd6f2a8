"""Protocols of one method: what the parts of the pipeline promise each other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Protocol, TypeAlias, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from rag.records import Hit, Passage, Removal

SparseVector: TypeAlias = "tuple[NDArray[np.int32], NDArray[np.float32]]"  # term ids ascending; their weights, > 0
Report = Callable[[str, int, int], None]  # progress: (what, done, total)


def silent(what: str, done: int, total: int) -> None:
    """A Report for nobody."""


class Retriever(Protocol):
    def search(self, queries: Sequence[str], k: int, within: Sequence[int] | None = None) -> list[list[Hit]]:
        """At most k hits per query, best first, ties by passage_id; [] where nothing matches.

        `within` limits the search to passages with these catalogue numbers (None: all of them).
        """
        ...


class DenseEncoder(Protocol):
    def encode(self, texts: Sequence[str], report: Callable[[int], None] = ...) -> NDArray[np.float32]:
        """One unit-length row per text, in order: shape (len(texts), dimensions). `report` gets the count so far."""
        ...


@runtime_checkable
class PictureEncoder(DenseEncoder, Protocol):
    """A dense encoder that also sees: its vectors of texts and of pictures lie in one space."""

    def encode_pictures(self, pictures: Sequence[bytes], report: Callable[[int], None] = ...) -> NDArray[np.float32]:
        """One unit-length row per PNG file, in order: (len(pictures), dimensions). Raises LibraryError for another."""
        ...


@runtime_checkable
class CaptionEncoder(DenseEncoder, Protocol):
    """A dense encoder with a side of its own for the words that stand for a table or figure it cannot see."""

    def encode_captions(self, texts: Sequence[str], report: Callable[[int], None] = ...) -> NDArray[np.float32]:
        """As `encode`, for a caption with the text inside the table or figure."""
        ...


class SparseQueries(Protocol):
    def encode_queries(self, texts: Sequence[str]) -> list[SparseVector]:
        """One vector per text, in order; an empty one where no term is known."""
        ...

    def token_ids(self, texts: Sequence[str]) -> list[list[int]]:
        """Each text's own tokens, unique and ascending: what it says, not what the model adds."""
        ...

    def term(self, term_id: int) -> str:
        """The term as people read it; "##" marks a WordPiece that continues a word."""
        ...


class SparseEncoder(SparseQueries, Protocol):
    dimensions: int  # of the vocabulary: term ids count from 0

    def encode_documents(self, texts: Sequence[str], report: Callable[[int], None] = ...) -> list[SparseVector]:
        """One vector per text, in order; an empty one for an empty text. `report` gets the count so far."""
        ...


class Reader(Protocol):
    def stream(self, messages: Sequence[tuple[str, str]], max_tokens: int) -> Iterator[str]:
        """Pieces of the reply to (role, content) messages, as they are generated. Raises ReaderError."""
        ...


class DerivedIndex(Protocol):
    """An index that can be rebuilt from the catalogue. Applying the same changes twice is the same as once."""

    @property
    def built_with(self) -> str:
        """What its content depends on besides the passages (the encoder, the analyzer)."""
        ...

    @property
    def count(self) -> int:
        """Passages in it, as opened or written last."""
        ...

    def open(self) -> None:
        """Open for searching what was committed last. Raises LibraryError if it is damaged."""
        ...

    def apply(self, removals: Sequence[Removal], passages: Iterable[tuple[int, Passage]], report: Report) -> None:
        """Take the removed documents out, then add (catalogue number, passage) pairs."""
        ...

    def commit(self) -> None:
        """Make what was applied durable, and visible to whoever opens from now on."""
        ...

    def close(self) -> None:
        """Let go of the folder; what was not committed is dropped."""
        ...
