"""Where a text's letters are shown on its page: runs of letters, their table in the catalogue, and their rectangles.

A run is letters that follow each other on a line: where it begins in the page's text, the axis along which it is read
(0: x, 1: y), its low and high side across that axis, and where each letter begins, with the end of the last. Lengths
are tenths of points of the page as it is shown, from its lower left corner.

The connection is the library's: its rows are sqlite3.Row, and what writes runs in its one writer's transaction.
"""

from __future__ import annotations

import json
import sqlite3
import zlib
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from typing import Any

from rag.document import Box

SCHEMA = """
CREATE TABLE geometry (
    document_id TEXT NOT NULL REFERENCES documents ON DELETE CASCADE, page INTEGER NOT NULL, runs BLOB NOT NULL,
    PRIMARY KEY (document_id, page)) WITHOUT ROWID;
"""
Run = Sequence[Any]  # [start, axis, low, high, [edges]]


# -- in the catalogue ------------------------------------------------------------------------------------------------


def enter(connection: sqlite3.Connection, document_id: str, geometry: Iterable[Sequence[Run]]) -> None:
    """Add the runs of each page of a new document; they leave with its row."""
    connection.executemany(
        "INSERT INTO geometry VALUES (?, ?, ?)",
        ((document_id, page, pack(runs)) for page, runs in enumerate(geometry, start=1) if runs),
    )


def geometry(connection: sqlite3.Connection, document_id: str, pages: int) -> list[list[Run]]:
    """The runs of each page of a document, as `enter` takes them."""
    rows = connection.execute("SELECT page, runs FROM geometry WHERE document_id = ?", (document_id,))
    known: dict[int, list[Run]] = {row["page"]: [*unpack(row["runs"])] for row in rows}
    return [known.get(page, []) for page in range(1, pages + 1)]


def lines(connection: sqlite3.Connection, document_id: str, start: int, end: int) -> list[tuple[int, Box]]:
    """(page, rectangle) of each line of text[start:end] of a document, in reading order; [] where none is known."""
    statement = "SELECT pages, raw_offsets FROM documents WHERE document_id = ?"
    row = connection.execute(statement, (document_id,)).fetchone()
    if not row or start >= end:
        return []
    offsets = [tuple(pair) for pair in json.loads(row["raw_offsets"])]
    raw_start, raw_end = raw_offset(offsets, start), raw_offset(offsets, end - 1) + 1
    found: list[tuple[int, Box]] = []
    for number, page_start, page_end in json.loads(row["pages"]):
        if page_start >= end or page_end <= start:
            continue
        page = connection.execute(
            "SELECT runs FROM geometry WHERE document_id = ? AND page = ?", (document_id, number)
        ).fetchone()
        if page:
            first = raw_offset(offsets, page_start)
            boxes = boxes_of(unpack(page["runs"]), raw_start - first, raw_end - first)
            found += [(number, box) for box in boxes]
    return found


def text_lines(connection: sqlite3.Connection, document_id: str, page: int) -> list[tuple[int, int, Box]]:
    """(start, end, rectangle) of each run of letters of a page: offsets in the document's text; [] for unknown ones."""
    rows = connection.execute(
        "SELECT pages, raw_offsets, runs FROM documents JOIN geometry USING (document_id) "
        "WHERE document_id = ? AND page = ?",
        (document_id, page),
    ).fetchall()
    found: list[tuple[int, int, Box]] = []
    for row in rows:
        offsets = [tuple(pair) for pair in json.loads(row["raw_offsets"])]
        span = next(((start, end) for number, start, end in json.loads(row["pages"]) if number == page), (0, 0))
        first = raw_offset(offsets, span[0])
        for run in unpack(row["runs"]):
            letters = len(run[4]) - 1
            start = max(corrected_offset(offsets, first + run[0]), span[0])
            end = min(corrected_offset(offsets, first + run[0] + letters - 1) + 1, span[1])
            if letters > 0 and start < end:
                found += [(start, end, box) for box in boxes_of([run], run[0], run[0] + letters)]
    return found


def frames(connection: sqlite3.Connection, document_id: str, start: int, end: int) -> list[tuple[int, Box]]:
    """(page, rectangle) of each table and figure that text[start:end] of a document lies in."""
    rows = connection.execute(
        "SELECT DISTINCT boxes FROM passages WHERE document_id = ? AND kind IN ('table', 'figure') AND "
        'start < ? AND "end" > ?',
        (document_id, end, start),
    )
    return [(page, (b[0], b[1], b[2], b[3])) for row in rows for page, b in json.loads(row["boxes"])]


# -- runs and rectangles ---------------------------------------------------------------------------------------------


def pack(runs: Sequence[Run]) -> bytes:
    """The runs in about two bytes a letter: edges as differences, compressed."""
    flat = [[*run[:4], [b - a for a, b in zip([0, *run[4]], run[4], strict=False)]] for run in runs]
    return zlib.compress(json.dumps(flat, separators=(",", ":")).encode())


def unpack(packed: bytes) -> list[list[Any]]:
    """What `pack` packed."""
    runs: list[list[Any]] = json.loads(zlib.decompress(packed))
    for run in runs:
        at, edges = 0, []
        for step in run[4]:
            at += step
            edges.append(at)
        run[4] = edges
    return runs


def boxes_of(runs: Sequence[Run], start: int, end: int) -> list[Box]:
    """The rectangles of the letters start..end (half-open), one for each run that they touch, in points.

    >>> boxes_of([[0, 0, 100, 200, [0, 50, 100, 150]]], 1, 3)
    [(5.0, 10.0, 15.0, 20.0)]
    """
    boxes: list[Box] = []
    for at, axis, low, high, edges in runs:
        first, last = max(start - at, 0), min(end - at, len(edges) - 1)
        if first >= last:
            continue
        sides = edges[first : last + 1]
        near, far = min(sides) / 10, max(sides) / 10
        boxes.append((near, low / 10, far, high / 10) if axis == 0 else (low / 10, near, high / 10, far))
    return boxes


def raw_offset(offsets: Sequence[tuple[int, ...]], at: int) -> int:
    """The offset in the extractor's text of the character at `at` in the corrected text; `offsets` as in Document."""
    behind = bisect_right(offsets, at, key=lambda pair: pair[0])
    corrected, raw = offsets[behind - 1]
    # "ffi" from one letter: all three stand where that one stood
    last = offsets[behind][1] - 1 if behind < len(offsets) else raw + at - corrected
    return min(raw + at - corrected, last)


def corrected_offset(offsets: Sequence[tuple[int, ...]], raw: int) -> int:
    """The offset in the corrected text of the character at `raw` in the extractor's; `offsets` as in Document.

    >>> corrected_offset([(0, 0), (5, 6)], 7), corrected_offset([(0, 0), (5, 6)], 5)
    (6, 4)
    """
    behind = bisect_right(offsets, raw, key=lambda pair: pair[1])
    corrected, at = offsets[behind - 1]
    last = offsets[behind][0] - 1 if behind < len(offsets) else corrected + raw - at
    return min(corrected + raw - at, last)
