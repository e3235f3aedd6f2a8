"""Letters of a page -> pieces of lines: letters that follow each other without a gap wider than a blank. Pure.

A piece is the whole line of a column of prose, a cell of a table, a label in a drawing.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

from ingest.pdf.glyphs import HYPHEN, Glyph
from rag.document import Box

WIDEST_BLANK = 1.05  # em; between two columns of a table or of a page there is more
SAME_LINE = 0.5  # of the lower letter's height that two letters of a line share
RIGHT_TO_LEFT = {"R", "AL"}


@dataclass(frozen=True, slots=True)
class Piece:
    """Letters on one line. edges[i] is where letter i begins (points, along the line), edges[-1] where the last ends.

    `box` is where they are shown once the page is turned so that they stand upright (see `upright`).
    """

    text: str
    edges: tuple[float, ...]
    box: Box
    bold: bool = False
    confidence: float | None = None  # 0..1 of letters read from a picture

    @property
    def height(self) -> float:
        return self.box[3] - self.box[1]

    @property
    def width(self) -> float:
        return self.box[2] - self.box[0]

    @property
    def middle(self) -> float:
        return (self.box[1] + self.box[3]) / 2


def turned(box: Box, turn: int, width: float, height: float) -> Box:
    """Where a box of a page (width x height points) lies once the page is turned clockwise by 0, 90, 180 or 270.

    >>> turned((10, 20, 30, 50), 90, 100, 200)
    (20, 70, 50, 90)
    """
    left, bottom, right, top = box
    if turn == 90:
        return bottom, width - right, top, width - left
    if turn == 180:
        return width - right, height - top, width - left, height - bottom
    if turn == 270:
        return height - top, left, height - bottom, right
    return box


def pieces_of(glyphs: Iterable[Glyph], turn: int, width: float, height: float) -> list[Piece]:
    """The pieces of the letters that are turned by `turn`, in the order of the file, on the page turned upright."""
    glyphs = [glyph for glyph in glyphs if glyph.turn == turn]
    widest = WIDEST_BLANK * _em(glyphs, turn)
    runs: list[tuple[list[tuple[str, Box]], list[bool]]] = []
    run: list[tuple[str, Box]] = []
    bolds: list[bool] = []
    blank = False
    for glyph in glyphs:
        if glyph.character.isspace():
            blank = True
            continue
        box = turned(glyph.box, turn, width, height)
        if box[2] <= box[0] and box[3] <= box[1]:  # a letter of no size is no letter that is seen
            continue
        if run and not _follows(run[-1][1], box, run[-1][0], glyph.character, widest):
            runs.append((run, bolds))
            run, bolds = [], []
        elif run and (blank or _is_gap(run[-1][1], box)):
            run.append((" ", _between(run[-1][1], box)))
        run.append((glyph.character, box))
        bolds.append(glyph.bold)
        blank = False
    return [piece for joined in _joined([*runs, (run, bolds)], widest) for piece in _piece(*joined)]


def _joined(
    runs: Iterable[tuple[list[tuple[str, Box]], list[bool]]], widest_blank: float
) -> list[tuple[list[tuple[str, Box]], list[bool]]]:
    """The runs with those put together that are one line of Hebrew or Arabic: a number in it turns the direction."""
    found: list[tuple[list[tuple[str, Box]], list[bool]]] = []
    for run, bolds in runs:
        before = found[-1][0] if found else []
        if before and run and sum(_is_rtl(character) for character, _ in (*before, *run)) * 2 > len(before) + len(run):
            a, b = (_around(letters) for letters in (before, run))
            gap = max(b[0] - a[2], a[0] - b[2])
            height = min(a[3] - a[1], b[3] - b[1])
            if min(a[3], b[3]) - max(a[1], b[1]) >= SAME_LINE * height and -1 < gap < widest_blank * max(height, 1.0):
                blank = [(" ", _between(a, b))] if _is_gap(a, b) else []
                found[-1] = ([*before, *blank, *run], [*found[-1][1], *bolds])
                continue
        found.append((run, bolds))
    return found


def _around(run: Sequence[tuple[str, Box]]) -> Box:
    lefts, bottoms, rights, tops = zip(*(box for _, box in run), strict=True)
    return min(lefts), min(bottoms), max(rights), max(tops)


def _em(glyphs: Sequence[Glyph], turn: int) -> float:
    """One em in heights of a letter's box, which some fonts make much higher than the letters: two letters' width."""
    axis = 0 if turn in (0, 180) else 1
    ratios = [
        (g.box[axis + 2] - g.box[axis]) / (g.box[3 - axis] - g.box[1 - axis])
        for g in glyphs
        if g.character.isalnum() and g.box[3 - axis] > g.box[1 - axis]
    ]
    return min(1.0, max(0.6, 2 * median(ratios))) if ratios else 1.0


def _follows(last: Box, box: Box, before: str, character: str, widest_blank: float) -> bool:
    """Whether a letter goes on where the last one ended: on its line, no further off than a wide blank."""
    heights = last[3] - last[1], box[3] - box[1]
    shared = min(last[3], box[3]) - max(last[1], box[1])
    if shared < SAME_LINE * min(heights):
        return False
    widest = widest_blank * max(min(heights), 1.0)
    if _is_rtl(character) or _is_rtl(before):
        return box[0] - last[2] < widest and last[0] - box[2] < widest
    return -widest < box[0] - last[2] < widest and box[2] > last[0]


def _is_gap(last: Box, box: Box) -> bool:
    gap = max(box[0] - last[2], last[0] - box[2])
    return gap > 0.3 * min(last[3] - last[1], box[3] - box[1])


def _between(last: Box, box: Box) -> Box:
    left, right = (last[2], box[0]) if box[0] >= last[2] else (box[2], last[0])
    return left, last[1], max(left, right), last[3]


def _is_rtl(character: str) -> bool:
    return character > "\u0590" and unicodedata.bidirectional(character) in RIGHT_TO_LEFT


def _piece(run: Sequence[tuple[str, Box]], bolds: Sequence[bool]) -> list[Piece]:
    if not run:
        return []
    if sum(_is_rtl(character) for character, _ in run) * 2 > len(run):
        run = _logical(run)
    letters: list[str] = []
    edges: list[float] = []
    for character, box in run:
        forms = _letters(character)
        letters += forms
        edges += [box[0]] * len(forms)
    boxes = [box for character, box in run if character != " "]
    last = run[-1][1]
    rtl = _is_rtl(run[0][0])
    if rtl:  # each letter begins at its right side
        edges = [box[2] for character, box in run for _ in _letters(character)]
    edges.append(last[0] if rtl else last[2])
    low, high = median(box[1] for box in boxes), median(box[3] for box in boxes)
    box = (min(b[0] for b in boxes), low, max(b[2] for b in boxes), max(high, low + 0.1))
    bold = sum(bolds) >= 0.9 * len(bolds)
    return [Piece("".join(letters), tuple(round(edge, 1) for edge in edges), box, bold)]


def _letters(character: str) -> str:
    """The letters of a glyph: Arabic and Hebrew shapes as the letters they show; no control characters."""
    if "\ufb1d" <= character <= "\ufdff" or "\ufe70" <= character <= "\ufefc":
        return unicodedata.normalize("NFKC", character).strip() or character
    if character in (HYPHEN, "\ufffe"):
        return "-"
    return "\ufffd" if unicodedata.category(character) == "Cc" else character  # which would steer a terminal


def _logical(run: Sequence[tuple[str, Box]]) -> list[tuple[str, Box]]:
    """A line of Hebrew or Arabic as it is read: from the right, but numbers and foreign words from the left."""
    ordered = sorted(run, key=lambda entry: -entry[1][0])
    result: list[tuple[str, Box]] = []
    foreign: list[tuple[str, Box]] = []
    for entry in ordered:
        if unicodedata.bidirectional(entry[0]) in {"L", "EN", "AN"} or (foreign and entry[0] in ".,:/-"):
            foreign.append(entry)
            continue
        result += [*reversed(foreign), entry]
        foreign = []
    return result + foreign[::-1]
