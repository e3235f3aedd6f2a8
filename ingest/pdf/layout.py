"""The blocks of a page in the order in which they are read, with its tables and figures where they belong. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from statistics import median

from ingest.pdf.blocks import (
    ACROSS,
    PROSE_LETTERS,
    Block,
    body_size,
    gutters,
    line_of,
    ordered,
    overlap,
    paragraphs,
    rows,
    union,
)
from ingest.pdf.figures import is_rule, take_figures
from ingest.pdf.glyphs import Graphic
from ingest.pdf.lines import Piece
from ingest.pdf.tables import take_loose_tables, take_tables, whole_rules
from rag.document import Box


def layout(pieces: Sequence[Piece], graphics: Sequence[Graphic], width: float, height: float) -> list[Block]:
    """The blocks of an upright page in reading order."""
    body = body_size(pieces)
    numbers, rest = _margin_numbers(pieces, body)
    strips = gutters(rest, width)
    figures, rest = take_figures(rest, graphics, strips, body, width, height)
    tables, rest = take_tables(rest, graphics, strips, body, width)
    blocks: list[Block] = list(numbers)
    head, rest, foot = _head_and_foot(rest, body, height)
    floats = [block.box for block in (*figures, *tables)]
    drawn = floats + whole_rules(graphics)
    seen = [*floats, *(graphic.box for graphic in graphics if not is_rule(graphic.box))]
    for column in [head, *ordered([*rest, *_partings(drawn, rest, strips)], strips, seen), foot]:
        loose, prose = take_loose_tables([piece for piece in column if piece.text], body)
        blocks += _interleaved([*paragraphs(prose, body), *loose])
    for float_ in [*figures, *tables]:
        _insert(blocks, float_, strips)
    return blocks


def _head_and_foot(pieces: Sequence[Piece], body: float, height: float) -> tuple[list[Piece], list[Piece], list[Piece]]:
    """The row in the upper twelfth that stands apart over all columns, what is between, and that in the lower."""
    found = rows(pieces)
    if len(found) < 3:
        return [], list(pieces), []
    boxes = [union(piece.box for piece in row) for row in found]
    head = boxes[0][1] > 11 / 12 * height and boxes[0][1] - boxes[1][3] > 0.8 * body
    foot = boxes[-1][3] < height / 12 and boxes[-2][1] - boxes[-1][3] > 0.8 * body
    middle = found[1 if head else 0 : -1 if foot else None]
    return found[0] if head else [], [p for row in middle for p in row], found[-1] if foot else []


def _partings(drawn: Sequence[Box], pieces: Sequence[Piece], strips: Sequence[float]) -> list[Piece]:
    """Tables, figures and rules that part the page as a line across does: over a gutter, with nothing beside them."""
    return [
        Piece("", (), box)
        for box in drawn
        if any(box[0] < x - ACROSS and x + ACROSS < box[2] for x in strips)
        and not any(overlap(piece.box, box, 1) > 0.5 * piece.height for piece in pieces)
    ]


def _interleaved(blocks: Sequence[Block]) -> list[Block]:
    return sorted(blocks, key=lambda block: -block.box[3])


def _insert(blocks: list[Block], block: Block, strips: Sequence[float]) -> None:
    """Put a table or figure before the first block of its column that stands below it, else behind its column."""

    def column(box: Box) -> int:
        return sum((box[0] + box[2]) / 2 > x for x in strips)

    wide = any(block.box[0] < x < block.box[2] for x in strips)
    behind = len(blocks)
    for i, other in enumerate(blocks):
        if other.kind in ("margin", "aside"):
            continue
        same = wide or column(other.box) == column(block.box) or any(other.box[0] < x < other.box[2] for x in strips)
        if same and other.box[3] <= block.box[1] + 2:
            behind = i
            break
        if same:
            behind = i + 1
    blocks.insert(behind, block)


def _margin_numbers(pieces: Sequence[Piece], body: float) -> tuple[list[Block], list[Piece]]:
    """Line numbers in a margin: five or more pieces that are only numbers, in one strip beside the text, ascending."""
    numbers = [piece for piece in pieces if piece.text.isdecimal() and len(piece.text) <= 4]
    others = [piece for piece in pieces if not piece.text.isdecimal() and len(piece.text) >= PROSE_LETTERS]
    if len(numbers) < 5 or len(others) < 5:
        return [], list(pieces)
    left, right = (
        sorted(p.box[0] for p in others)[len(others) // 20],
        sorted(p.box[2] for p in others)[-1 - len(others) // 20],
    )
    found: list[Piece] = []
    for side in ([p for p in numbers if p.box[2] < left], [p for p in numbers if p.box[0] > right]):
        values = [int(p.text) for p in sorted(side, key=lambda p: -p.middle)]
        steps = [b - a for a, b in pairwise(values)]
        if len(values) >= 5 and sum(step == median(steps) for step in steps) >= 0.8 * len(steps) and median(steps) > 0:
            found += side
    if not found:
        return [], list(pieces)
    taken = set(map(id, found))
    block = Block("margin", [line_of([p]) for p in found], union(p.box for p in found))
    return [block], [piece for piece in pieces if id(piece) not in taken]
