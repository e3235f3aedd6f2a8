"""The headings of documents without pages: where each stands in the text, for citations and for reading."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from rag.document import Region
from rag.locator import innermost

SCHEMA = """
CREATE TABLE headings (
    document_id TEXT NOT NULL REFERENCES documents ON DELETE CASCADE, start INTEGER NOT NULL, "end" INTEGER NOT NULL,
    words TEXT NOT NULL, PRIMARY KEY (document_id, start)) WITHOUT ROWID;
"""


def enter(connection: sqlite3.Connection, document_id: str, text: str, regions: Sequence[Region]) -> None:
    """Keep the headings among the regions, with the words that a section path has of them."""
    rows = [
        (document_id, region.start, region.end, innermost(region.section))
        for region in regions
        if region.kind == "heading" and text[region.start : region.end].strip()
    ]
    enter_rows(connection, rows)


def enter_rows(connection: sqlite3.Connection, rows: Sequence[tuple[object, ...]]) -> None:
    """Keep what rows_of gave."""
    connection.executemany("INSERT INTO headings VALUES (?, ?, ?, ?)", rows)


def rows_of(connection: sqlite3.Connection, document_id: str) -> list[tuple[object, ...]]:
    """The rows of a document."""
    found = connection.execute("SELECT * FROM headings WHERE document_id = ? ORDER BY start", (document_id,))
    return [tuple(row) for row in found]
