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
    connection.executemany(
        "INSERT INTO headings VALUES (?, ?, ?, ?)",
        (
            (document_id, region.start, region.end, innermost(region.section))
            for region in regions
            if region.kind == "heading" and text[region.start : region.end].strip()
        ),
    )
