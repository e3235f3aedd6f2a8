"""What documents say of themselves: author, date, DOI and the like, by name."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping

SCHEMA = """
CREATE TABLE facts (
    document_id TEXT NOT NULL REFERENCES documents ON DELETE CASCADE, name TEXT NOT NULL, value TEXT NOT NULL,
    PRIMARY KEY (document_id, name)) WITHOUT ROWID;
"""


def enter(connection: sqlite3.Connection, document_id: str, facts: Mapping[str, str]) -> None:
    """Keep what a document says of itself, in place of what was kept."""
    connection.execute("DELETE FROM facts WHERE document_id = ?", (document_id,))
    connection.executemany(
        "INSERT INTO facts VALUES (?, ?, ?)", ((document_id, name, value) for name, value in facts.items())
    )
