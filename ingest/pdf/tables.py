"""Tables: found from their captions, their rules or their columns, and written as rows that can be read alone. Pure.

A row is written with the column's head before each cell: "SPECTER | MAG F1: 82.0 | MeSH F1: 86.4".
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise
from statistics import median

from ingest.pdf.blocks import CAPTION, PROSE_LETTERS, Block, Line, line_of, overlap, rows, union
from ingest.pdf.glyphs import Graphic
from ingest.pdf.lines import Piece
from rag.document import Box

CAPTION_END = re.compile(
    CAPTION.pattern.rsplit("(?P<end>", 1)[0] + "[.:|]"
)  # not a sentence that begins with "Table 3"
NUMBER = re.compile(r"[^\w]*[\d.,]+\s?(?:%|[a-zA-Z]{1,3}|\([\d.]+\))?[^\w]*$|[-–—.…]+$|[xX✓✗]$")
YEAR = re.compile(r"(?:19|20)\d\d$")  # heads of columns, more often than cells
WIDE = 0.9  # of a letter's width; a blank between words is half as wide as one
LEADERS = re.compile(r"(?:\s?\.){3,}\s*$")  # the dots between a row's name and its numbers
TABLE_WORDS = ("T",)  # what a table's label begins with, in the languages that CAPTION knows


def take_tables(
    pieces: Sequence[Piece], graphics: Sequence[Graphic], strips: Sequence[float], body: float, width: float
) -> tuple[list[Block], list[Piece]]:
    """The tables that have a caption, and the pieces that are left."""
    rules = whole_rules(graphics)
    rest = list(pieces)
    blocks = []
    for start in [piece for piece in pieces if (m := CAPTION.match(piece.text)) and m["word"][0] in TABLE_WORDS]:
        if not any(start is piece for piece in rest):
            continue
        found = _captioned(start, rest, rules, strips, body, width)
        if found is None and not CAPTION_END.match(start.text):
            continue
        caption, cells = found or (caption_lines(start, rest, strips, body), [])
        taken = set(map(id, [*(p for line in caption for p in line.pieces), *cells]))
        rest = [piece for piece in rest if id(piece) not in taken]
        blocks.append(table_block(caption, cells, rules, body))
    for top, second in _ruled_heads(rules, width):
        inside = [p for p in rest if p.middle < top[1] and top[0] - 2 <= p.box[0] and p.box[2] <= top[2] + 2]
        cells = _cells(rows(inside), rules, top[1], top[0], top[2], body)
        if (
            _tabular(cells) < 3
            or median(len(LEADERS.sub("", p.text)) for p in cells) > 24
            or not any(p.middle < second[1] for p in cells)
        ):
            continue
        title = [p for p in rest if 0 < p.middle - top[1] < 2.2 * body and top[0] < p.box[0] and p.box[2] < top[2]]
        caption = [line_of(row) for row in rows(title)] if len(rows(title)) == 1 else []
        taken = set(map(id, [*(p for line in caption for p in line.pieces), *cells]))
        rest = [piece for piece in rest if id(piece) not in taken]
        blocks.append(table_block(caption, cells, rules, body))
    return blocks, rest


def _ruled_heads(rules: Sequence[Box], width: float) -> list[tuple[Box, Box]]:
    """Pairs of long rules, one under the other and as wide, that may be the first two of a table without a caption."""
    long = sorted((r for r in rules if r[2] - r[0] > 0.3 * width), key=lambda r: -r[1])
    return [
        (a, b) for a, b in pairwise(long) if abs(a[0] - b[0]) < 4 and abs(a[2] - b[2]) < 4 and 8 < a[1] - b[1] < 120
    ]


def whole_rules(graphics: Sequence[Graphic]) -> list[Box]:
    """The level rules of a page, those that are drawn in pieces (a cell at a time) put together."""
    flat = sorted((g.box for g in graphics if g.box[3] - g.box[1] <= 2.5), key=lambda b: (round(b[1]), b[0]))
    found: list[Box] = []
    for box in flat:
        if found and abs(found[-1][1] - box[1]) <= 1 and -2 <= box[0] - found[-1][2] <= 3:
            found[-1] = union([found[-1], box])
        elif not (found and abs(found[-1][1] - box[1]) <= 1 and box[2] <= found[-1][2]):
            found.append(box)
    return [box for box in found if box[2] - box[0] >= 20]


def caption_lines(start: Piece, pieces: Sequence[Piece], strips: Sequence[float], body: float) -> list[Line]:
    """The caption's lines: from its label down, as long as the lines keep size and distance."""
    left, right = column_of(start.box, pieces, strips)
    for piece in pieces:  # the lines under a label alone may run across the page
        if 0 < start.box[1] - piece.box[3] + body < 1.6 * body and abs(piece.box[0] - start.box[0]) < body:
            right = max(right, piece.box[2])
    below = [
        p for p in pieces
        if p.box[3] <= start.box[3] + 1 and p.middle <= start.middle + 1
        and left - 2 <= p.box[0] and p.box[2] <= right + 2
    ]  # fmt: skip
    lines: list[Line] = []
    last = start.box
    for row in rows(below):
        box = union(p.box for p in row)
        if not lines and not any(p is start for p in row):
            continue
        if lines:
            size = max(row, key=lambda p: len(p.text)).height
            gap = last[1] - box[3]
            apart = len(row) > 1 and any(b.box[0] - a.box[2] > 1.5 * body for a, b in pairwise(row))
            other = CAPTION.match(row[0].text) or abs(size - start.height) > 0.15 * start.height
            if gap > 0.55 * body or apart or other or len(lines) >= 12:
                break
            if box[0] < last[0] - 3 * body and len(lines) == 1 and box[2] < start.box[0]:
                break
        lines.append(line_of(row))
        last = box
        text = line_of(row).text.rstrip()
        if text.endswith(".") and box[2] < right - 0.2 * (right - left) and len(lines) > 1:
            break  # a caption ends where a sentence ends before the line is full
    return lines or [line_of([start])]


def column_of(box: Box, pieces: Sequence[Piece], strips: Sequence[float]) -> tuple[float, float]:
    """Left and right of the column that a box stands in; of the whole text if it crosses a gutter."""
    left, right = min(p.box[0] for p in pieces), max(p.box[2] for p in pieces)
    if any(box[0] < x < box[2] for x in strips):
        return left, right
    bounds = [left, *strips, right]
    middle = (box[0] + box[2]) / 2
    for a, b in pairwise(bounds):
        if a <= middle <= b:
            return a, b
    return left, right


def _captioned(
    start: Piece, pieces: Sequence[Piece], rules: Sequence[Box], strips: Sequence[float], body: float, width: float
) -> tuple[list[Line], list[Piece]] | None:
    """The caption's lines and the cells, or None if nothing like a table is above or below it."""
    caption = caption_lines(start, pieces, strips, body)
    box = union(piece.box for line in caption for piece in line.pieces)
    taken = {id(p) for line in caption for p in line.pieces}
    left, right = column_of(box, pieces, strips)
    near = [r for r in rules if -3 <= _distance(r, box) <= 4 * body and overlap(r, box, 0) > 0]
    if near:  # a table's rules show how wide it is, whatever its caption
        left, right = min(left, *(r[0] for r in near)), max(right, *(r[2] for r in near))
        wide = max(near, key=lambda r: r[2] - r[0])
        if wide[2] - wide[0] > 0.15 * width:
            left, right = wide[0], max(wide[2], left + 1)
    nearby = [p for p in pieces if id(p) not in taken and left - 3 * body <= p.box[0] and p.box[2] <= right + 3 * body]
    below = _cells(rows([p for p in nearby if p.middle < box[1]]), rules, box[1], left, right, body)
    above = _cells(rows([p for p in nearby if p.middle > box[3]])[::-1], rules, box[3], left, right, body)
    across = [r for r in rules if overlap(r, (left, 0, right, 0), 0) > 0.5 * (right - left)]
    inside = [r[1] for r in across if box[3] < r[1] and above and r[1] < max(p.box[3] for p in above) + body]
    if len(inside) >= 2:  # nothing stands above a table's first rule but the page's head
        above = [p for p in above if p.middle < max(inside)]
    inside = [r[1] for r in across if r[1] < box[1] and below and r[1] > min(p.box[1] for p in below) - body]
    if len(inside) >= 3 or (len(inside) == 2 and min(inside) < box[1] - 4 * body):
        below = [p for p in below if p.middle > min(inside)]
    best = max(below, above, key=_tabular)
    return (caption, best) if _tabular(best) >= 2 else None


def _distance(a: Box, b: Box) -> float:
    return max(a[1] - b[3], b[1] - a[3])


def _tabular(cells: Sequence[Piece]) -> int:
    return sum(len(row) >= 2 for row in rows(cells)) if cells else 0


def _cells(
    found: Sequence[Sequence[Piece]], rules: Sequence[Box], edge: float, left: float, right: float, body: float
) -> list[Piece]:
    """The rows that go on from the caption's edge as a table does: until prose, another caption, or a wide gap.

    A line of prose is a cell as long as a rule of the table stands beyond it; three of them in a row are prose.
    """
    across = [(r[1] + r[3]) / 2 for r in rules if overlap(r, (left, 0, right, 0), 0) > 0.5 * (right - left)]
    cells: list[Piece] = []
    doubtful: list[list[Piece]] = []  # rows that are the table's if it goes on behind them
    last = edge
    for row in found:
        box = union(p.box for p in row)
        near, far = (box[3], box[1]) if box[3] <= edge else (box[1], box[3])
        ruled = any(min(last, near) - body <= y <= max(last, near) + body for y in across)
        if abs(near - last) > (3.2 if ruled else 1.8) * body or CAPTION.match(row[0].text):
            break
        beyond = any(y < box[1] if box[3] <= edge else y > box[3] for y in across)
        alone = len(row) == 1 and len(row[0].text) >= PROSE_LETTERS
        if alone and len(row[0].text) >= 40 and row[0].width > 0.6 * (right - left):
            if (doubtful and not (ruled or beyond)) or len(doubtful) == 3:
                break
            doubtful.append(list(row))
        elif alone and not cells and not doubtful and not across:
            doubtful.append(list(row))
        else:
            before = doubtful if cells or across else []
            cells += [*(piece for earlier in before for piece in earlier), *row]
            doubtful = []
        last = far
    return cells


def take_loose_tables(column: Sequence[Piece], body: float) -> tuple[list[Block], list[Piece]]:
    """Tables without a caption in one column: three or more rows in a row, of three or more cells in line."""
    runs: list[list[list[Piece]]] = [[]]
    for row in rows(column):
        gaps = [b.box[0] - a.box[2] for a, b in pairwise(row)]
        if len(row) >= 3 and sum(gap > 0.9 * body for gap in gaps) >= 2:
            runs[-1].append(row)
        elif runs[-1]:
            runs.append([])
    blocks = []
    taken: set[int] = set()
    for run in runs:
        cells = [piece for row in run for piece in row]
        if len(run) >= 3 and median(len(p.text) for p in cells) < 25 and len(_columns(run, body)) >= 3:
            blocks.append(table_block([], cells, [], body))
            taken |= set(map(id, cells))
    return blocks, [piece for piece in column if id(piece) not in taken]


# -- rows ------------------------------------------------------------------------------------------------------------


def table_block(caption: Sequence[Line], cells: Sequence[Piece], rules: Sequence[Box], body: float) -> Block:
    """The table with its caption's lines first, then a line for each row."""
    if not cells:
        match = CAPTION.match(caption[0].text)
        box = union(piece.box for line in caption for piece in line.pieces)
        return Block(
            "table", list(caption), box, label_of(match) if match else "", caption_lines=len(caption), size=body
        )
    cells = [piece for piece in cells if LEADERS.sub("", piece.text).strip(" .")]
    found = rows([part for piece in cells for part in _numbers_apart(piece)])
    columns = _columns(found, body)
    head = _head_rows(found, rules)
    names, titles = _names(found[:head], columns)
    lines = [
        *caption,
        *(line_of([title]) for title in titles),
        *(_row_line(row, columns, names) for row in found[head:]),
    ]
    if head == len(found):  # only heads: say them
        lines += [line_of(row, " | ") for row in found]
    match = CAPTION.match(caption[0].text) if caption else None
    label = label_of(match) if match else ""
    box = union([*(piece.box for piece in cells), *(p.box for line in caption for p in line.pieces)])
    drawn = [r for r in rules if overlap(r, box, 0) > 0.3 * (r[2] - r[0]) and box[1] - body < r[1] < box[3] + body]
    box = union([box, *drawn])
    return Block("table", lines, box, label, caption_lines=len(caption), size=body, graphics=True)


def _numbers_apart(piece: Piece) -> list[Piece]:
    """A piece cut where a wide blank parts two numbers: narrow columns stand closer than words of a heading."""
    cuts = [0]
    for blank in re.finditer(" ", piece.text):
        at = blank.start()
        before, behind = piece.text[cuts[-1] : at].split()[-1:], piece.text[at + 1 :].split()[:1]
        wide = piece.edges[at + 1] - piece.edges[at] > WIDE * piece.width / len(piece.text)
        if wide and before and behind and NUMBER.match(before[0]) and NUMBER.match(behind[0]):
            cuts.append(at + 1)
    return [part(piece, start, end) for start, end in zip(cuts, [*cuts[1:], len(piece.text) + 1], strict=True)]


def part(piece: Piece, start: int, end: int) -> Piece:
    """The letters from start to before the blank at end - 1 as a piece of their own."""
    if start == 0 and end > len(piece.text):
        return piece
    edges = piece.edges[start:end]
    left, right = min(edges), max(edges)
    return Piece(
        piece.text[start : end - 1], edges, (left, piece.box[1], right, piece.box[3]), piece.bold, piece.confidence
    )


def label_of(match: re.Match[str]) -> str:
    """What a caption calls its table or figure, in one spelling.

    >>> label_of(CAPTION.match("Fig. 7-26. Self-locking nuts"))
    'Figure 7-26'
    """
    word = match["word"].lower()
    kind = "Table" if word[0] == "t" else "Figure"
    return f"{kind} {match['number']}"


def _columns(found: Sequence[Sequence[Piece]], body: float) -> list[tuple[float, float]]:
    """Left and right of each column: where the cells of the fullest rows stand."""
    fullest = max(map(len, found))
    share = 0.9 if sum(len(row) >= 0.9 * fullest for row in found) >= 3 else 0.7
    spans = sorted(piece.box[::2] for row in found if len(row) >= max(2, share * fullest) for piece in row)
    columns: list[list[float]] = []
    for left, right in spans or sorted(piece.box[::2] for row in found for piece in row):
        if columns and left < columns[-1][1] - 0.1 * body:
            columns[-1][1] = max(columns[-1][1], right)
        else:
            columns.append([left, right])
    return [(left, right) for left, right in columns]


def _column(piece: Piece, columns: Sequence[tuple[float, float]]) -> int:
    """The column that a piece shares most with, else the nearest."""
    return max(range(len(columns)), key=lambda i: _shared(piece, columns[i]))


def _head_rows(found: Sequence[Sequence[Piece]], rules: Sequence[Box]) -> int:
    """How many rows from the top are heads of columns: down to the first row of numbers, else to a rule above."""
    if len(found) < 2:
        return 0
    numbers = next((i for i, row in enumerate(found) if _is_numbers(row)), None)
    if numbers is not None:
        return numbers if numbers <= min(6, len(found) // 2 + 1) else 1
    box = union(piece.box for row in found for piece in row)
    across = [r for r in rules if overlap(r, box, 0) > 0.6 * (box[2] - box[0]) and box[1] < r[1] < box[3]]
    above = [sum(row[0].middle > rule[1] for row in found) for rule in across]
    if len(set(above) - {0, len(found)}) == len(found) - 1:  # a rule under every row says nothing
        return 1
    return max((count for count in above if count <= min(3, len(found) // 2)), default=int(len(found[0]) >= 2))


def _is_numbers(row: Sequence[Piece]) -> bool:
    rest = row[1:] if len(row) > 1 else row
    numbers = sum(bool(NUMBER.match(piece.text)) and not YEAR.match(piece.text) for piece in rest)
    return 2 * numbers >= len(rest)


def _names(head: Sequence[Sequence[Piece]], columns: Sequence[tuple[float, float]]) -> tuple[list[str], list[Piece]]:
    """The words above each column, from top to bottom, and the pieces of the head that stand above none."""
    names: list[list[str]] = [[] for _ in columns]
    used: set[int] = set()
    for row in head:
        cells = [part_ for piece in row for part_ in _words_apart(piece, columns)]
        if len(cells) == 1 and 2 * sum(_shared(cells[0], column) > 0 for column in columns) >= len(columns) > 1:
            continue  # a title over the whole table
        for i, column in enumerate(columns):
            over = [p for p in cells if _shared(p, column) > 0] or _spanning(cells, column, columns)
            names[i] += [p.text.strip() for p in over]
            used |= {id(piece) for piece in row for p in over if _shared(piece, p.box[::2]) > 0}
    return [" ".join(words) for words in names], [piece for row in head for piece in row if id(piece) not in used]


def _spanning(
    cells: Sequence[Piece], column: tuple[float, float], columns: Sequence[tuple[float, float]]
) -> list[Piece]:
    """The head of a group of columns, in a row of few: the nearest by its middle, but not for the names of the rows."""
    if not 2 <= len(cells) <= len(columns) / 2 or (column == columns[0] and cells[0].box[0] > column[1]):
        return []
    middles = [(p.box[0] + p.box[2]) / 2 for p in cells]
    reach = 0.75 * median(b - a for a, b in pairwise(middles))
    distance, nearest = min((abs(middle - (column[0] + column[1]) / 2), i) for i, middle in enumerate(middles))
    return [cells[nearest]] if distance <= reach else []


def _words_apart(piece: Piece, columns: Sequence[tuple[float, float]]) -> list[Piece]:
    """A head over several columns cut at its wide blanks, if that leaves one part over each column."""
    under = [column for column in columns if _shared(piece, column) > 0]
    if len(under) < 2:
        return [piece]
    blanks = [(piece.edges[b.end()] - piece.edges[b.start()], b.end()) for b in re.finditer(" ", piece.text)]
    widest = sorted(blanks, reverse=True)[: len(under) - 1]
    if len(widest) < len(under) - 1 or any(width < WIDE * piece.width / len(piece.text) for width, _ in widest):
        return [piece]
    starts = [0, *sorted(start for _, start in widest)]
    parts = [part(piece, start, end) for start, end in zip(starts, [*starts[1:], len(piece.text) + 1], strict=True)]
    return parts if all(_shared(p, column) > 0 for p, column in zip(parts, under, strict=True)) else [piece]


def _shared(piece: Piece, column: tuple[float, ...]) -> float:
    return min(piece.box[2], column[1]) - max(piece.box[0], column[0])


def _row_line(row: Sequence[Piece], columns: Sequence[tuple[float, float]], names: Sequence[str]) -> Line:
    text, places = "", []
    for i, piece in enumerate(row):
        at = _column(piece, columns) if columns else 0
        first = i == 0 and at == 0
        same = i > 0 and columns and _column(row[i - 1], columns) == at
        text += "" if not text else (" " if same else " | ")
        if names and names[at] and not first and not same:
            text += f"{names[at]}: "
        places.append(len(text))
        text += LEADERS.sub("", piece.text)
    return Line(text, tuple(row), tuple(places))
