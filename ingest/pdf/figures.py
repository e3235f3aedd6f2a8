"""Figures: the drawings and pictures that belong to a caption, with the text inside them. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from ingest.pdf.blocks import CAPTION, Block, Line, is_inside, line_of, overlap, rows, union
from ingest.pdf.glyphs import Graphic
from ingest.pdf.lines import Piece
from ingest.pdf.tables import TABLE_WORDS, caption_lines, column_of, label_of, take_tables
from rag.document import Box

SMALLEST_PICTURE = 60.0  # points a side of a picture without a caption that is worth showing


def take_figures(
    pieces: Sequence[Piece],
    graphics: Sequence[Graphic],
    strips: Sequence[float],
    body: float,
    width: float,
    height: float,
) -> tuple[list[Block], list[Piece]]:
    """The figures, and the pieces that are left. A picture without a caption is one too, unless it is a background.

    No figure holds the caption of another, or a table with its caption.
    """
    page = (0.0, 0.0, width, height)
    visible = [g for g in graphics if _on_page(g.box, page) and _share(g.box, page) < 0.85]
    boxes = [_clip(g.box, page) for g in visible]
    rest = list(pieces)
    blocks: list[Block] = []
    tables = _captioned_tables(pieces, visible, strips, body, width)
    starts = [
        piece for piece in pieces
        if (m := CAPTION.match(piece.text)) and m["word"][0] not in TABLE_WORDS and _is_caption(piece, pieces, body)
    ]  # fmt: skip
    captions = [caption_lines(start, pieces, strips, body) for start in starts]
    ends = [*(table.box for table in tables), *map(_around, captions)]
    titles = [*captions, *(table.lines[: table.caption_lines] for table in tables)]
    reserved = {id(piece) for title in titles for line in title for piece in line.pieces}
    for start, caption in zip(starts, captions, strict=True):
        if not any(start is piece for piece in rest) or any(start.box == b.lines[0].pieces[0].box for b in blocks):
            continue
        box = _around(caption)
        taken = {id(p) for line in caption for p in line.pieces}
        others = [p for p in rest if id(p) not in reserved]
        other_ends = [end for end in ends if min(overlap(end, box, 0), overlap(end, box, 1)) <= 0]
        area = _area(box, others, boxes, other_ends, strips, body, width)
        match = CAPTION.match(start.text)
        assert match is not None
        inside: list[Piece] = []
        if area is not None:
            inside = [p for p in others if is_inside(p.box, area)]
            boxes = [b for b in boxes if not is_inside(b, area, 2)]
        blocks.append(_figure(caption, inside, area or box, label_of(match), area is not None))
        taken |= set(map(id, inside))
        rest = [p for p in rest if id(p) not in taken]
    for graphic in visible:
        box = _clip(graphic.box, page)
        if graphic.kind == "image" and min(box[2] - box[0], box[3] - box[1]) >= SMALLEST_PICTURE:
            inside = [p for p in rest if id(p) not in reserved and is_inside(p.box, box)]
            if any(is_inside(box, block.box, 2) for block in blocks) or sum(len(p.text) for p in inside) > 400:
                continue
            if any(is_inside(table.box, box) for table in tables):
                continue
            blocks.append(_figure([], inside, box, "", True))
            rest = [p for p in rest if not any(p is other for other in inside)]
    return blocks, rest


def _captioned_tables(
    pieces: Sequence[Piece], graphics: Sequence[Graphic], strips: Sequence[float], body: float, width: float
) -> list[Block]:
    """The tables with a caption, as far as they can be found before the words in the figures are known.

    The words in a picture or a drawing of its own are left out: they may stand in rows under a table as its cells do.
    """
    own = [g.box for g in graphics if g.kind != "path" and not is_rule(g.box)]
    outside = [p for p in pieces if not any(is_inside(p.box, box) for box in own)]
    return [table for table in take_tables(outside, graphics, strips, body, width)[0] if table.label]


def _around(caption: Sequence[Line]) -> Box:
    return union(piece.box for line in caption for piece in line.pieces)


def _figure(caption: list[Line], inside: Sequence[Piece], box: Box, label: str, seen: bool) -> Block:
    lines = [*caption, *(line_of(row, " | ") for row in rows(inside))]
    return Block("figure", lines, box, label, caption_lines=len(caption), graphics=seen)


def _is_caption(start: Piece, pieces: Sequence[Piece], body: float) -> bool:
    """Whether the words begin a caption and not a line of prose that happens to begin with "Figure 3"."""
    match = CAPTION.match(start.text)
    assert match is not None
    if match["end"][:1] in (".", ":", "|"):
        return True
    above = [p for p in pieces if overlap(p.box, start.box, 0) > 0 and 0 <= p.box[1] - start.box[3] < 0.7 * body]
    return not any(len(p.text) > 30 and abs(p.height - start.height) < 0.1 * body for p in above)


def is_rule(box: Box) -> bool:
    """Whether a box is a line: under a head, around a table, above footnotes."""
    return min(box[2] - box[0], box[3] - box[1]) <= 3.0


def _on_page(box: Box, page: Box) -> bool:
    return box[2] > box[0] - 1 and overlap(box, page, 0) > 0 and overlap(box, page, 1) > 0


def _share(box: Box, page: Box) -> float:
    box = _clip(box, page)
    return (box[2] - box[0]) * (box[3] - box[1]) / max(page[2] * page[3], 1)


def _clip(box: Box, page: Box) -> Box:
    return max(box[0], 0.0), max(box[1], 0.0), min(box[2], page[2]), min(box[3], page[3])


def _area(
    caption: Box,
    pieces: Sequence[Piece],
    boxes: Sequence[Box],
    ends: Sequence[Box],
    strips: Sequence[float],
    body: float,
    width: float,
) -> Box | None:
    """The drawings between the caption and the next prose above it, or else below it; None if there are none.

    `ends` are other captions, and tables: they end it as prose does. What is drawn may lie about the caption as well: a
    frame.
    """
    left, right = column_of(caption, [*pieces, Piece("", (), caption)], strips)
    frame = [
        b for b in boxes if b[0] <= caption[0] and caption[2] <= b[2] and b[1] <= caption[1] and caption[3] <= b[3]
    ]
    if frame:
        smallest = min(frame, key=lambda b: (b[2] - b[0]) * (b[3] - b[1]))
        prose = sum(len(p.text) >= 40 and is_inside(p.box, smallest) for p in pieces)
        alone = not any(is_inside(end, smallest) for end in ends)
        if smallest[3] - smallest[1] > 6 * (caption[3] - caption[1]) and prose <= 6 and alone:
            return smallest
    wide = [b for b in boxes if _reaches_over(b, caption, pieces, body)]
    left, right = min([left, *(b[0] for b in wide)]), max([right, *(b[2] for b in wide)])
    nearby = [b for b in boxes if left - 5 <= (b[0] + b[2]) / 2 <= right + 5]
    prose_boxes = [
        p.box for p in pieces
        if len(p.text) >= 30 and p.width > 0.5 * min(right - left, width / 2) and p.height > 0.8 * body
        and overlap(p.box, caption, 0) > 0
    ]  # fmt: skip
    solid = [b for b in nearby if not is_rule(b)]
    framed = [b for b in solid if b[2] - b[0] > 60 and b[3] - b[1] > 40]
    prose_boxes = [b for b in prose_boxes if not any(is_inside(b, f) for f in framed)]
    ends = [
        end for end in ends
        if overlap(end, caption, 0) > 0 or (overlap(end, (left, 0, right, 0), 0) > 0 and not _is_beside(end, solid))
    ]  # fmt: skip
    # A rule right at prose may be the figure's; one right at a table is the table's.
    above = caption[3] - 4, min(
        min((b[1] for b in prose_boxes if b[1] >= caption[3] - 2), default=1e9) + 4,
        min((b[1] for b in ends if b[1] >= caption[3] - 2), default=1e9) - 1,
    )  # fmt: skip
    below = max(
        max((b[3] for b in prose_boxes if b[3] <= caption[1] + 2), default=-1e9) - 4,
        max((b[3] for b in ends if b[3] <= caption[1] + 2), default=-1e9) + 1,
    ), caption[1] + 4  # fmt: skip
    for low, high in (above, below):
        near = [b for b in nearby if low <= (b[1] + b[3]) / 2 <= high]
        if any(not is_rule(b) for b in near):
            area = union(near)
            area = max(area[0], left - 5), max(area[1], low), min(area[2], right + 5), min(area[3], high)
            labels = [p.box for p in pieces if is_inside(p.box, (left, low, right, high)) and len(p.text) < 40]
            return union([area, *(b for b in labels if overlap(b, area, 0) > -20 and overlap(b, area, 1) > -12)])
    return None


def _is_beside(box: Box, others: Sequence[Box]) -> bool:
    """Whether one of the others stands to the left or the right of a box."""
    return any(overlap(box, other, 0) <= 0 < overlap(box, other, 1) for other in others)


def _reaches_over(box: Box, caption: Box, pieces: Sequence[Piece], body: float) -> bool:
    """Whether a drawing right above or below a caption is the caption's, however far to the sides it reaches."""
    near = max(box[1] - caption[3], caption[1] - box[3]) < 3 * body and overlap(box, caption, 1) < 4
    solid = not is_rule(box) and overlap(box, caption, 0) > 0.8 * (caption[2] - caption[0])
    return near and solid and not any(len(p.text) >= 30 and is_inside(p.box, box) for p in pieces)
