"""The text of a document without pages -> HTML: headings, numbered paragraphs, tables, the cited words marked. Pure.

Of a long document the part around the mark is shown, with a way to what stands before and behind it.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from markupsafe import Markup

from rag.document import Document, Page, between, counted
from rag.library.documents import StoredPart
from rag.locator import UNIT_OF, heading_of
from ui.web.templating import render
from ui.wording import printable

WINDOW = 60_000  # characters shown before and behind the mark
NAMES = {"slide": "Slide", "sheet": "Sheet", "chapter": "Chapter", "paragraph": ""}
Run = tuple[bool, str]  # whether it is marked, its words


@dataclass(frozen=True, slots=True)
class TextBlock:
    """A paragraph with its number, a heading, or a table: `rows` are (number or None, cells), a cell's runs each."""

    kind: str  # text, heading or table
    number: int | None = None
    runs: tuple[Run, ...] = ()
    rows: tuple[tuple[int | None, tuple[tuple[Run, ...], ...]], ...] = ()


@dataclass(frozen=True, slots=True)
class TextPart:
    """A slide, a chapter or a sheet, or the whole document."""

    name: str  # "Slide 4", "Sheet 2: Stock"; "" for the whole document
    blocks: tuple[TextBlock, ...]


def text_panel(
    document: Document, headings: Sequence[tuple[int, int]], stored: Sequence[StoredPart], span: tuple[int, int]
) -> Markup:
    """The document with text[span] marked; an empty span marks nothing, and shows what stands there."""
    unit = UNIT_OF[document.kind]
    first, last = max(0, span[0] - WINDOW), span[1] + WINDOW
    names = {start for start, _ in headings}
    tables = sorted((part.start, part.end) for part in stored if part.kind == "table")
    parts = []
    for page in document.pages:
        blocks = tuple(_blocks(document.text, page, (first, last), span, names, tables, unit))
        if blocks:
            named = f"{NAMES[unit]} {page.number}" if NAMES[unit] and len(document.pages) > 1 else ""
            if unit in ("sheet", "chapter") and blocks[0].kind != "heading":
                inside = next((part.section for part in stored if page.start <= part.start < page.end), "")
                named = ": ".join(filter(None, (named, printable(heading_of(inside)))))
            parts.append(TextPart(named, blocks))
    return render(
        "document_text.html",
        parts=parts,
        before=max(0, first - WINDOW) if first > 0 else None,
        behind=min(len(document.text), last) if last < len(document.text) else None,
    )


def _blocks(
    text: str, page: Page, window: tuple[int, int], span: tuple[int, int], names: set[int],
    tables: Sequence[tuple[int, int]], unit: str,
) -> Iterator[TextBlock]:  # fmt: skip
    start, end = max(page.start, window[0]), min(page.end, window[1])
    if start >= end:
        return
    rows = unit == "sheet"
    mark = between(rows)
    start = (
        text.rfind(mark, page.start, start) + len(mark)
        if start > page.start and mark in text[page.start : start]
        else page.start
    )
    behind = text.find(mark, end, page.end)
    end = page.end if behind < 0 else behind
    number = counted(text[page.start : end], start - page.start, start - page.start, rows)[0]
    if rows:
        lines = tuple(_rows(text, start, end, span, number))
        if lines:
            yield TextBlock("table", rows=lines)
        return
    at = start
    for words in text[start:end].split(mark):
        stop = at + len(words)
        inside = bisect_left(tables, (at + 1, 0)) - 1
        if words.strip():
            if (inside >= 0 and at < tables[inside][1]) or bisect_left(tables, (at, 0)) < bisect_left(
                tables, (stop, 0)
            ):
                yield TextBlock("table", number, rows=tuple(_rows(text, at, stop, span, None)))
            else:
                kind = "heading" if at in names else "text"
                yield TextBlock(kind, number, _runs(text, at, stop, span))
        at, number = stop + len(mark), number + 1


def _rows(
    text: str, start: int, end: int, span: tuple[int, int], number: int | None
) -> Iterator[tuple[int | None, tuple[tuple[Run, ...], ...]]]:
    at = start
    for line in text[start:end].split("\n"):
        cells, cell_at = [], at
        for cell in line.split(" | "):
            cells.append(_runs(text, cell_at, cell_at + len(cell), span))
            cell_at += len(cell) + 3
        if line.strip():
            yield number, tuple(cells)
        at += len(line) + 1
        number = None if number is None else number + 1


def _runs(text: str, start: int, end: int, span: tuple[int, int]) -> tuple[Run, ...]:
    cuts = sorted({start, end, *(cut for cut in span if start < cut < end)})
    return tuple(
        (span[0] <= first and last <= span[1], re.sub(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", "", text[first:last]))
        for first, last in pairwise(cuts)
    )
