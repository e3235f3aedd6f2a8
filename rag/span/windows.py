"""A question and its passages as windows of tokens, in which each token knows its place in the passage.

A window reads [CLS] question [SEP] title [SEP] text [SEP], the question of token type 0 and the rest of type 1 (Devlin
et al. 2019, sections 4.2 and 4.3). A text that is longer than a window is cut into windows that overlap; the doc stride
is what a window holds of the text, less the overlap. A span is a candidate in one window only, the one in which its
first token has the most text around it, so that no candidate counts twice.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

SURROGATE = re.compile("[\ud800-\udfff]")  # half a character, which no tokenizer takes
CONTINUES = "##"  # begins a WordPiece inside a word


@dataclass(frozen=True, slots=True)
class PassageText:
    """What is read of a passage. Answers stand in the text; the title only says what the text is about."""

    title: str
    text: str


@dataclass(frozen=True, slots=True)
class WindowSizes:
    """Lengths in tokens: of a window, at most of a question and of a title, of the overlap, at most of an answer.

    An answer is at most half the overlap long, so that it stands whole in the window in which it is a candidate.
    """

    window: int = 256
    question: int = 64
    title: int = 24
    overlap: int = 64
    answer: int = 30


@dataclass(frozen=True, slots=True)
class Pieces:
    """The tokens of one text: ids (tokens,), character offsets (tokens, 2), and where whole words begin and end."""

    ids: NDArray[np.int64]
    offsets: NDArray[np.int64]
    begins: NDArray[np.bool_]
    ends: NDArray[np.bool_]

    def cut(self, tokens: slice) -> Pieces:
        """Some of the tokens."""
        return Pieces(self.ids[tokens], self.offsets[tokens], self.begins[tokens], self.ends[tokens])


@dataclass(frozen=True, slots=True)
class Window:
    """A part of one passage behind the question. All arrays are (tokens,), offsets (tokens, 2).

    `begins` and `ends` are the tokens with which a candidate may begin and end; `offsets` are characters of the
    passage's text, (0, 0) outside of it. `passage` is the index of the passage among those of the question.
    """

    passage: int
    ids: NDArray[np.int64]
    types: NDArray[np.int64]
    offsets: NDArray[np.int64]
    begins: NDArray[np.bool_]
    ends: NDArray[np.bool_]


class PairTokenizer:
    """Questions and passages to windows, with the tokenizer of a BERT."""

    def __init__(self, folder: Path | str, sizes: WindowSizes):
        """Raises what tokenizers raises for a damaged file."""
        self.sizes = sizes
        self._tokenizer: Any = Tokenizer.from_file(str(Path(folder, "tokenizer.json")))
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        self._cls, self._sep = self._tokenizer.encode("").ids
        vocabulary = self._tokenizer.get_vocab()
        self._continues = np.zeros(max(vocabulary.values()) + 1, dtype=np.bool_)
        self._continues[[number for piece, number in vocabulary.items() if piece.startswith(CONTINUES)]] = True

    def pieces(self, texts: Sequence[str]) -> list[Pieces]:
        """The tokens of each text, without special tokens."""
        whole = [SURROGATE.sub("\ufffd", text) for text in texts]
        encodings = self._tokenizer.encode_batch(whole, add_special_tokens=False)
        return [self._pieces(encoding) for encoding in encodings]

    def _pieces(self, encoding: Any) -> Pieces:
        ids = np.asarray(encoding.ids, dtype=np.int64)
        offsets = np.asarray(encoding.offsets, dtype=np.int64).reshape(-1, 2)
        inside = self._continues[ids]
        return Pieces(ids, offsets, ~inside, ~np.append(inside[1:], False))

    def windows(self, question: str, passages: Sequence[PassageText]) -> list[Window]:
        """The windows of all passages, in their order; a passage without text has one window without candidates."""
        asked, *rest = self.pieces(
            [question, *(part for passage in passages for part in (passage.title, passage.text))]
        )
        found = []
        for index, (title, text) in enumerate(zip(rest[::2], rest[1::2], strict=True)):
            room = self.room(asked, title)
            for first, owned in window_starts(len(text.ids), room, min(self.sizes.overlap, room // 2)):
                found.append(self.window(index, asked, title, text, first, owned))
        return found

    def room(self, question: Pieces, title: Pieces) -> int:
        """How many tokens of the text a window holds behind this question and title."""
        return self.sizes.window - len(self._head(question, title)) - 1

    def window(
        self, passage: int, question: Pieces, title: Pieces, text: Pieces, first: int, owned: range | None = None
    ) -> Window:
        """One window, whose text begins with the token `first`; candidates begin with the tokens `owned`, or any."""
        head = self._head(question, title)
        asked = 2 + min(len(question.ids), self.sizes.question)  # with [CLS] and [SEP]
        part = text.cut(slice(first, first + self.sizes.window - len(head) - 1))
        ids = np.concatenate([head, part.ids, [self._sep]])
        inner = slice(len(head), len(ids) - 1)
        offsets = np.zeros((len(ids), 2), dtype=np.int64)
        begins, ends = np.zeros(len(ids), dtype=np.bool_), np.zeros(len(ids), dtype=np.bool_)
        offsets[inner], begins[inner], ends[inner] = part.offsets, part.begins, part.ends
        if owned is not None:
            places = np.arange(first, first + len(part.ids))
            begins[inner] &= (places >= owned.start) & (places < owned.stop)
        return Window(passage, ids, (np.arange(len(ids)) >= asked).astype(np.int64), offsets, begins, ends)

    def _head(self, question: Pieces, title: Pieces) -> NDArray[np.int64]:
        """What stands before the text."""
        parts: list[Any] = [[self._cls], question.ids[: self.sizes.question], [self._sep]]
        if len(title.ids):
            parts += [title.ids[: self.sizes.title], [self._sep]]
        return np.concatenate(parts).astype(np.int64)


def window_starts(tokens: int, room: int, overlap: int) -> list[tuple[int, range]]:
    """(first token, tokens that it owns) of each window over a text of `tokens` tokens; windows hold `room` of them.

    A token in an overlap belongs to the window in which it has more text on its shorter side.

    >>> window_starts(10, 6, 2)
    [(0, range(0, 5)), (4, range(5, 10))]
    >>> window_starts(0, 6, 2)
    [(0, range(0, 0))]
    """
    stride = room - overlap
    starts = [0]
    while starts[-1] + room < tokens:
        starts.append(starts[-1] + stride)
    borders = [0, *(start + overlap // 2 for start in starts[1:]), tokens]
    return [(start, range(borders[i], borders[i + 1])) for i, start in enumerate(starts)]


def tokens_of_span(offsets: NDArray[np.int64], start: int, end: int) -> tuple[int, int] | None:
    """The first and the last token that share a character with text[start:end]; None where no token does.

    >>> tokens_of_span(np.asarray([[0, 3], [4, 9], [9, 10]]), 4, 9)
    (1, 1)
    """
    shared = np.flatnonzero((offsets[:, 0] < end) & (offsets[:, 1] > start))
    return (int(shared[0]), int(shared[-1])) if len(shared) else None
