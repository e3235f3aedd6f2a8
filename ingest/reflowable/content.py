"""What readers of documents without pages find, piece by piece, and the document's text and regions made of it. Pure.

A reader of a format (word.py, slides.py, web_page.py, ...) yields pieces in reading order. Their text stands with an
empty line between two of them, so that paragraphs can be counted in the text alone (rag/document.py: counted).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

from ingest.pdf.blocks import CAPTION
from ingest.pdf.tables import label_of
from ingest.plain_text import BAD
from rag import bounds
from rag.bounds import shortened

UNSEEN = re.compile("[\u00ad\u200b\u2060\ufeff]")  # soft hyphens and the like, within words
NUMBER = re.compile(r"[^\w]*[-+(]?[\d.,\u2009\u00a0 ]+\s?(?:%|[a-zA-Z€$£]{1,3})?\)?[^\w]*$")
PageRow: TypeAlias = list[int]  # [start, end]
RegionRow: TypeAlias = list[Any]  # [kind, start, end, page, label, section, caption_end, picture or None]


@dataclass(frozen=True, slots=True)
class Piece:
    """A paragraph, a heading, a table, a picture, or the beginning of a part (a slide, a chapter, a sheet).

    `kind` is text, code, heading, footnote, aside, caption, table, figure or part; `level` is a heading's, from 1 on.
    `rows` are a table's cells; `head` says whether its first row names the columns, where the format says so. `whole`:
    each row is a line whether or not it is empty, as a spreadsheet's rows are counted.
    """

    kind: str
    text: str = ""
    level: int = 1
    rows: tuple[tuple[str, ...], ...] = ()
    head: bool | None = None
    whole: bool = False
    picture: bytes | None = None


@dataclass(slots=True)
class Content:
    """A document as its format's reader gives it: the title, "" for none, and an iterator over its pieces.

    `facts` and `warnings` may grow while the pieces are read.
    """

    title: str
    pieces: Iterable[Piece]
    facts: dict[str, str] = field(default_factory=dict)  # author, date, doi: Document.facts
    warnings: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Assembled:
    """The text with its pages (parts) and regions as rows, ready for JSON, and the pictures of its figures."""

    text: str
    pages: list[PageRow]
    regions: list[RegionRow]
    pictures: list[bytes]


def clean(text: str) -> str:
    """A paragraph's text: white space taken together, but for line breaks; no control characters, no soft hyphens.

    >>> clean(" One\\tline \\n\\n and\\u00adanother ")
    'One line\\nandanother'
    """
    text = UNSEEN.sub("", BAD.sub(" ", text))
    return "\n".join(line for line in (" ".join(part.split()) for part in text.split("\n")) if line)


def line_of(text: str) -> str:
    """A text on one line.

    >>> line_of(" A \\n heading ")
    'A heading'
    """
    return " ".join(clean(text).split())


def assembled(pieces: Iterable[Piece]) -> Assembled:
    """The document that the pieces make."""
    made = _Assembly()
    for piece in with_captions(pieces):
        made.add(piece)
    return made.finished()


def with_captions(pieces: Iterable[Piece]) -> Iterator[Piece]:
    """The pieces, captions given to the table or figure before or after them; one that stands alone is text.

    A caption stands above its table and below its figure where there is a choice.
    """
    waiting: list[Piece] = []  # at most a figure or table without a caption, or a caption

    def flushed() -> Iterator[Piece]:
        for piece in waiting:
            yield replace(piece, kind="text") if piece.kind == "caption" else piece
        waiting.clear()

    for piece in pieces:
        before = waiting[0] if waiting else None
        if before and {before.kind, piece.kind} in ({"caption", "table"}, {"caption", "figure"}):
            caption, other = (before, piece) if before.kind == "caption" else (piece, before)
            if not (other.kind == "figure" and other is before and _names_a_table(caption.text)):
                waiting.clear()
                yield replace(other, text=caption.text)
                continue
        yield from flushed()
        if piece.kind == "caption" or (piece.kind in ("table", "figure") and not piece.text):
            waiting.append(piece)
        else:
            yield piece
    yield from flushed()


def _names_a_table(caption: str) -> bool:
    match = CAPTION.match(caption)
    return match is not None and match["word"][0] in "Tt"


def table_lines(rows: Sequence[Sequence[str]], head: bool | None = None, whole: bool = False) -> list[str]:
    """A line for each row, the column's name before each cell, as the rows of PDFs' tables are written.

    `head`: whether the first row that holds several cells names the columns; None: if it looks like names. `whole`:
    an empty row is a line, too.

    >>> table_lines([["", "2020", "2021"], ["Mills", "3", "4"]])
    ['2020 | 2021', 'Mills | 2020: 3 | 2021: 4']
    >>> table_lines([["Mills"], [], ["Name", "Wheels"], ["Kolm", "3"]], whole=True)
    ['Mills', '', 'Name | Wheels', 'Kolm | Wheels: 3']
    """
    cells = [[line_of(cell) for cell in row] for row in rows]
    names: list[str] = []
    lines: list[str] = []
    for number, row in enumerate(cells):
        filled = sum(map(bool, row))
        if not filled:
            if whole:
                lines.append("")
            continue
        if not names and filled > 1 and (head if head is not None else _names_columns(cells, number)):
            names, head = row, False
            lines.append(" | ".join(filter(None, row)))
            continue
        if filled > 1:
            head = False  # names of columns stand above the cells
            named = [row[0], *(_named(names, i, cell) for i, cell in enumerate(row[1:], start=1) if cell)]
            lines.append(" | ".join(filter(None, named)))
        else:
            lines.append(next(filter(None, row)))
    while lines and not lines[-1]:
        lines.pop()
    return lines


def _named(names: Sequence[str], column: int, cell: str) -> str:
    name = names[column] if column < len(names) else ""
    return f"{name}: {cell}" if name else cell


def _names_columns(cells: Sequence[Sequence[str]], number: int) -> bool:
    """Whether a row looks like the names of the columns: words, or years, above a row that has a number or as many."""
    row = cells[number]
    below = next((other for other in cells[number + 1 :] if sum(map(bool, other)) > 1), None)
    if below is None or len(set(filter(None, row))) < sum(map(bool, row)):
        return False
    words = [not NUMBER.match(cell) or re.fullmatch(r"(?:19|20)\d\d", cell) for cell in row[1:] if cell]
    return all(words) and not (NUMBER.match(row[0]) and row[0]) and sum(map(bool, row)) + 1 >= sum(map(bool, below))


class _Assembly:
    def __init__(self) -> None:
        self._texts: list[str] = []
        self._length = 0
        self._pages: list[PageRow] = [[0, 0]]
        self._regions: list[RegionRow] = []
        self._pictures: list[bytes] = []
        self._path: list[tuple[int, str]] = []
        self._begun = False  # an empty slide is a slide, too: parts are counted

    def add(self, piece: Piece) -> None:
        if piece.kind == "part":
            self._begin(line_of(piece.text))
            return
        caption = line_of(piece.text) if piece.kind in ("table", "figure") else ""
        lines = self._lines(piece, caption)
        text = "\n".join(lines)
        if not text.strip():
            return
        self._begun = True
        start = self._put("\n\n" * (self._pages[-1][0] < self._pages[-1][1]), text)
        if piece.kind == "heading":
            words = shortened(line_of(text), bounds.HEADING)
            self._path = [entry for entry in self._path if entry[0] < piece.level] + [(piece.level, words)]
        kept = caption if len(caption) <= bounds.CAPTION else shortened(caption, bounds.CAPTION)[:-1]
        match = CAPTION.match(caption)
        picture = None
        if piece.picture is not None:
            picture = len(self._pictures)
            self._pictures.append(piece.picture)
        section = shortened(" > ".join(words for _, words in self._path), bounds.SECTION)
        label = shortened(label_of(match), bounds.NAME) if match else ""
        span = (start, start + len(text))
        kind = "text" if piece.kind == "code" else piece.kind
        self._regions.append([kind, *span, len(self._pages), label, section, start + len(kept), picture])

    def _lines(self, piece: Piece, caption: str) -> list[str]:
        if piece.kind == "table":
            rows = table_lines(piece.rows, piece.head, piece.whole)
            return [caption, *rows] if caption and rows else rows
        if piece.kind == "figure":
            return [caption]
        if piece.kind == "heading":
            return [line_of(piece.text)]
        if piece.kind == "code":
            return [line for line in (line.rstrip() for line in BAD.sub(" ", piece.text).split("\n")) if line]
        return clean(piece.text).split("\n")

    def _begin(self, title: str) -> None:
        """A new page, its `title` the outermost heading of what stands on it."""
        if self._begun:
            self._put("", "\n\n")
            self._pages.append([self._length, self._length])
        self._begun = True
        self._path = [(0, shortened(title, bounds.HEADING))] if title else []

    def _put(self, before: str, text: str) -> int:
        """Where the text begins that is put behind `before`."""
        start = self._length + len(before)
        self._texts += [before, text]
        self._length = start + len(text)
        if text.strip():
            self._pages[-1][1] = self._length
        return start

    def finished(self) -> Assembled:
        return Assembled("".join(self._texts), self._pages, self._regions, self._pictures)
