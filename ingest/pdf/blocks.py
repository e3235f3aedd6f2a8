"""Pieces of lines -> columns, lines, paragraphs and headings. Pure.

Columns are found by their gutters: an upright white strip that few lines cross and that has prose on both sides. Lines
that cross it part the page into zones, and in each zone the columns are read from left to right.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise, takewhile
from math import inf
from statistics import median

from ingest.pdf.lines import Piece
from rag.document import Box

CAPTION = re.compile(
    r"(?P<word>Figures?|Figs?\.?|Tables?|Tab\.|TABLES?|FIGURES?|FIG\.|Abbildung|Abb\.|Tabelle|Tableau|Figura|Tabla)"
    r"[ \u00a0]?(?P<number>(?:[A-Z]\.?)?\d{1,3}(?:[.\u2013-]\d{1,3})*[a-z]?|[IVX]{1,5})"
    r"(?P<end>[.:|]|\s*$|\s+[^\s\w]|\s+(?=[A-Z(]))"
)
NUMBERED = re.compile(
    r"(?:(?:Chapter|Section|Appendix|Part|CHAPTER|PART)\s+)?(?P<number>(?:\d{1,2}|[A-Z]|[IVX]{1,5})(?:\.\d{1,2}){0,3})\.?\s+\S"
)
FOOTNOTE = re.compile(r"(?:\d{1,3}|[*†‡§¶])\s?\S")
SENTENCE_END = (".", "!", "?", ":", ";", "。", "”", "»", '"', ")")
PROSE_LETTERS = 15  # of a piece that is taken for a line of prose
NARROWEST_GUTTER = 5.0  # points
ACROSS = 20.0  # points on both sides of a gutter that belong to what stands across it


@dataclass(slots=True)
class Line:
    """A line of a block's text. Of a table's row the pieces are its cells, and `places` is where each begins in it."""

    text: str
    pieces: tuple[Piece, ...]
    places: tuple[int, ...] = (0,)


@dataclass(slots=True)
class Block:
    """What is read as one: kind is text, heading, footnote, aside (turned letters), table, figure or margin.

    A table's or figure's first `caption_lines` lines are its caption. `level` of a heading counts from 1.
    """

    kind: str
    lines: list[Line]
    box: Box
    label: str = ""
    level: int = 0
    caption_lines: int = 0
    size: float = 0.0  # of its letters, points
    graphics: bool = field(default=False)  # whether there is something to see: it gets a picture

    @property
    def text(self) -> str:
        return "\n".join(line.text for line in self.lines)


def union(boxes: Iterable[Box]) -> Box:
    lefts, bottoms, rights, tops = zip(*boxes, strict=True)
    return min(lefts), min(bottoms), max(rights), max(tops)


def overlap(a: Box, b: Box, axis: int) -> float:
    """How many points of an axis (0: x, 1: y) two boxes share; negative: how far they are apart."""
    return min(a[axis + 2], b[axis + 2]) - max(a[axis], b[axis])


def is_inside(inner: Box, outer: Box, slack: float = 1.0) -> bool:
    """Whether the middle of a box lies in another."""
    x, y = (inner[0] + inner[2]) / 2, (inner[1] + inner[3]) / 2
    return outer[0] - slack <= x <= outer[2] + slack and outer[1] - slack <= y <= outer[3] + slack


def body_size(pieces: Sequence[Piece]) -> float:
    """The height of the letters that the text is set in, in points: the largest that a quarter of the prose has.

    Not the commonest: a page may have more letters in its footnotes, or in a table.
    """
    prose = [piece for piece in pieces if len(piece.text) >= PROSE_LETTERS] or list(pieces)
    letters = sum(len(piece.text) for piece in prose)
    for height in sorted({round(piece.height, 1) for piece in prose}, reverse=True):
        alike = [piece for piece in prose if abs(piece.height - height) <= 0.06 * height]
        if 4 * sum(len(piece.text) for piece in alike) >= letters:
            return median(piece.height for piece in alike)
    return 10.0


# -- columns -------------------------------------------------------------------------------------------------------


def gutters(pieces: Sequence[Piece], width: float) -> list[float]:
    """Where a page's columns part: x of the middle of each white strip, from left to right.

    A strip counts if lines of prose stand on both its sides in zones that no line crosses.
    """
    prose = sorted((p for p in pieces if len(p.text) >= PROSE_LETTERS), key=lambda piece: -piece.middle)
    if len(prose) < 6:
        return []
    left, right = min(p.box[0] for p in prose), max(p.box[2] for p in prose)
    best, at = -inf, []
    x = left + 0.12 * width
    while x < right - 0.12 * width:
        score = _parted(prose, x, width)
        if score > best + 0.5:
            best, at = score, [x]
        elif at and score > best - 0.5 and x - at[-1] <= 1.5:
            at.append(x)
        x += 1.0
    if not at:
        return []
    gutter = (at[0] + at[-1]) / 2
    sides = [[p for p in pieces if p.box[2] <= gutter + 1], [p for p in pieces if p.box[0] >= gutter - 1]]
    return [*gutters(sides[0], width), gutter, *gutters(sides[1], width)]


def _parted(prose: Sequence[Piece], x: float, width: float) -> float:
    """How many lines of prose a strip at x parts from lines on its other side, less those that cross it.

    -inf if too few reach up to it to be columns. Ragged lines leave strips inside a column too, which part many lines
    from the next column but cross as many.
    """
    half = NARROWEST_GUTTER / 2
    zones = _zones(prose, x, half)
    parted, near = sum(map(len, zones)) - len(prose), 0
    for zone in zones:
        left, right = [p for p in zone if p.box[2] <= x - half], [p for p in zone if p.box[0] >= x + half]
        near_left = [p for p in left if x - p.box[2] < 0.6 * p.width]
        near_right = [p for p in right if p.box[0] - x < 0.6 * p.width]
        if _is_column(near_left, width) and _is_column(near_right, width):
            fewer = min(near_left, near_right, key=len)
            # A column may hold a table or a figure alone; one that is above the other side's lines is beside no column.
            beside = overlap(union(p.box for p in near_left), union(p.box for p in near_right), 1) > 0
            more = 2 if beside and any(CAPTION.match(p.text) for p in fewer) else 0
            parted += min(len(left), len(right)) + more
            near += len(fewer) + more
    return parted if near >= 3 else -inf


def _zones(pieces: Sequence[Piece], x: float, half: float) -> list[list[Piece]]:
    """The pieces, given from top to bottom, between those that cross the strip; what crosses is in none."""
    zones: list[list[Piece]] = [[]]
    for piece in pieces:
        if piece.box[0] < x - half and piece.box[2] > x + half:
            zones.append([])
        else:
            zones[-1].append(piece)
    return [zone for zone in zones if zone]


def _is_column(side: Sequence[Piece], width: float) -> bool:
    """Whether lines fill the strip they stand in, as prose does and the cells of a table do not."""
    if not side:
        return False
    extent = max(p.box[2] for p in side) - min(p.box[0] for p in side)
    return extent >= 0.12 * width and median(p.width for p in side) >= 0.6 * extent


def ordered(pieces: Sequence[Piece], strips: Sequence[float], around: Sequence[Box] = ()) -> list[list[Piece]]:
    """The pieces as they are read: a list for each column of each zone, and for each row of lines across columns.

    Lines above a zone's columns are a list of their own; `around` is what else may stand beside them.
    """
    if not pieces:
        return []
    if not strips:
        return [sorted(pieces, key=lambda piece: (-piece.middle, piece.box[0]))]
    middle = len(strips) // 2
    x = strips[middle]
    around = [*around, *(piece.box for piece in pieces)]
    result: list[list[Piece]] = []
    zone: list[Piece] = []
    crossing: list[Piece] = []

    def flush() -> None:
        over = _over_columns(zone, strips, around)
        if over:
            result.append(over)
        below = [p for p in zone if not any(p is other for other in over)]
        for side, inner in (
            ([p for p in below if (p.box[0] + p.box[2]) / 2 < x], strips[:middle]),
            ([p for p in below if (p.box[0] + p.box[2]) / 2 >= x], strips[middle + 1 :]),
        ):
            result.extend(ordered(side, inner, around))
        zone.clear()

    half = NARROWEST_GUTTER / 2
    for piece in sorted(pieces, key=lambda piece: -piece.middle):
        across = piece.box[0] < x - half and piece.box[2] > x + half
        beside = bool(crossing) and any(overlap(piece.box, c.box, 1) > 0.5 * piece.height for c in crossing[-3:])
        if across or (beside and not zone):
            if zone:
                flush()
            crossing.append(piece)
        else:
            if crossing:
                result.append(crossing)
                crossing = []
            zone.append(piece)
    if crossing:
        result.append(crossing)
    flush()
    return result


def _over_columns(zone: Sequence[Piece], strips: Sequence[float], around: Sequence[Box]) -> list[Piece]:
    """The first of a zone's pieces, given from top to bottom, that belong above its columns: a short title, a date.

    Nothing stands beside them in another column, and they part from the lines below them in their own. Those of the
    first column are read first anyway.
    """

    def column(piece: Piece) -> int:
        return sum((piece.box[0] + piece.box[2]) / 2 > x for x in strips)

    def is_alone(row: Sequence[Piece]) -> bool:
        own, box = {piece.box for piece in row}, union(piece.box for piece in row)
        return len(set(map(column, row))) == 1 and not any(
            overlap(box, other, 0) <= 0 and overlap(box, other, 1) > 0.25 * min(box[3] - box[1], other[3] - other[1])
            for other in around
            if other not in own
        )

    alone = list(takewhile(is_alone, rows(zone)))
    while alone and column(alone[-1][0]) == 0:
        alone.pop()
    if not alone:
        return []
    over = [piece for row in alone for piece in row]
    last = max(alone[-1], key=lambda piece: len(piece.text))
    below = next((piece for piece in zone if column(piece) == column(last) and not any(piece is p for p in over)), None)
    goes_on = (
        below is not None
        and last.bold == below.bold
        and abs(last.height - below.height) <= 0.12 * max(last.height, below.height)
        and last.box[1] - below.box[3] <= 0.8 * below.height
    )
    return [] if goes_on else over


# -- lines and paragraphs --------------------------------------------------------------------------------------------


def rows(pieces: Sequence[Piece]) -> list[list[Piece]]:
    """The pieces in rows, from top to bottom, each from left to right. A row's pieces overlap by half of the lower."""
    found: list[list[Piece]] = []
    for piece in sorted(pieces, key=lambda piece: -piece.middle):
        row = next((r for r in reversed(found[-2:]) if _same_row(r, piece)), None)
        if row is None:
            found.append([piece])
        else:
            row.append(piece)
    return [sorted(row, key=lambda piece: piece.box[0]) for row in found]


def _same_row(row: Sequence[Piece], piece: Piece) -> bool:
    biggest = max(row, key=lambda p: p.height)
    return overlap(biggest.box, piece.box, 1) >= 0.5 * min(biggest.height, piece.height)


def line_of(row: Sequence[Piece], between: str = " ") -> Line:
    """The pieces of a row as one line."""
    places, text = [], ""
    for piece in row:
        text += between if text else ""
        places.append(len(text))
        text += piece.text
    return Line(text, tuple(row), tuple(places))


def paragraphs(column: Sequence[Piece], body: float) -> list[Block]:
    """A column's lines as headings, paragraphs and footnotes."""
    lines = [line_of(row) for row in rows(column)]
    if not lines:
        return []
    boxes = [union(piece.box for piece in line.pieces) for line in lines]
    left, right = min(box[0] for box in boxes), max(box[2] for box in boxes)
    leading = [above[1] - below[1] for above, below in pairwise(boxes) if above[1] > below[1]]
    usual = median(leading) if leading else body
    groups: list[list[int]] = [[0]]
    for i in range(1, len(lines)):
        if _begins(lines[i - 1], boxes[i - 1], lines[i], boxes[i], left, right, min(usual, 2.2 * body), body):
            groups.append([])
        groups[-1].append(i)
    blocks = [_block([lines[i] for i in group], body) for group in groups]
    return _run_in(blocks, right, 0.06 * (right - left), min(usual, 2.2 * body) + 0.45 * body, body)


def _run_in(blocks: list[Block], right: float, slack: float, usual: float, body: float) -> list[Block]:
    """With bold words that only begin a paragraph, up to the end of their line, as part of it."""
    merged: list[Block] = []
    for block in blocks:
        before = merged[-1] if merged else None
        if before and before.kind == "heading" and block.kind == "text" and before.size <= 1.13 * body:
            last = union(piece.box for piece in before.lines[-1].pieces)
            gap = last[1] - union(piece.box for piece in block.lines[0].pieces)[1]
            if last[2] > right - slack and gap <= usual and not NUMBERED.match(before.text):
                merged[-1] = Block(
                    "text", [*before.lines, *block.lines], union([before.box, block.box]), size=block.size
                )
                continue
        merged.append(block)
    return merged


def _begins(
    above: Line, above_box: Box, line: Line, box: Box, left: float, right: float, usual: float, body: float
) -> bool:
    """Whether a line begins a new block under the line above it."""
    size, size_above = _size(line), _size(above)
    if CAPTION.match(line.text) and line.pieces[0].bold != above.pieces[-1].bold:
        return True
    if abs(size - size_above) > 0.12 * max(size, size_above) and min(len(line.text), len(above.text)) > 3:
        return True
    if above_box[1] - box[1] > usual + 0.45 * body or box[1] > above_box[3]:
        return True
    bold, bold_above = (all(p.bold for p in one.pieces) for one in (line, above))
    if bold != bold_above and (bold or len(above.text) < 100):
        return True
    if bold:
        return False
    indent = box[0] - above_box[0]
    ends = above.text.rstrip().endswith(SENTENCE_END)
    short = above_box[2] < right - 0.12 * (right - left)
    if 0.6 * body < indent < 6 * body and (ends or short) and above_box[0] < left + 1.5 * body:
        return True
    return ends and short and box[2] > above_box[2] and abs(indent) < 0.6 * body and right - above_box[2] > 3 * body


def _size(line: Line) -> float:
    return max(line.pieces, key=lambda piece: len(piece.text)).height


def _block(lines: list[Line], body: float) -> Block:
    box = union(piece.box for line in lines for piece in line.pieces)
    size = median(_size(line) for line in lines)
    text = " ".join(line.text for line in lines)
    bold = all(piece.bold for line in lines for piece in line.pieces)
    if level := _heading_level(text, size, bold, len(lines), body):
        return Block("heading", lines, box, level=level, size=size)
    kind = "footnote" if size < 0.93 * body and FOOTNOTE.match(text) else "text"
    return Block(kind, lines, box, size=size)


def _heading_level(text: str, size: float, bold: bool, lines: int, body: float) -> int:
    """1 or more if the words are a heading: few, without the end of a sentence, and larger, bold or in capitals."""
    if lines > 4 or len(text) > 160 or not text[0].isalnum() or sum(map(str.isalpha, text)) < 3 or CAPTION.match(text):
        return 0
    numbered = NUMBERED.match(text)
    large = size > (1.13 if numbered or bold else 1.25) * body
    capitals = text.isupper() and sum(map(str.isalpha, text)) >= 5
    if text.rstrip().endswith((".", ",", ";")) and not (numbered and large):
        return 0
    if not (large or bold or (capitals and lines <= 2 and len(text) < 80)):
        return 0
    if numbered:
        return 1 + numbered["number"].count(".")
    return 1 if size > 1.35 * body else 2
