"""The catalogue's tables, how a catalogue of an older layout gets today's, and passages read from any of them.

Layout 1 has no links (links.py), layout 2 no places on pages (places.py), nor what kind of thing a passage is.
"""

from __future__ import annotations

import json
import os
import sqlite3

from rag import links, places
from rag.records import Passage

VERSION = 3
LAYOUT_1 = """
CREATE TABLE state (key TEXT PRIMARY KEY, value INTEGER NOT NULL);
CREATE TABLE documents (
    document_id TEXT PRIMARY KEY, kind TEXT NOT NULL, title TEXT NOT NULL, status TEXT NOT NULL,
    error TEXT, warnings TEXT NOT NULL, recipe TEXT NOT NULL, generation INTEGER NOT NULL,
    text TEXT NOT NULL, pages TEXT NOT NULL, raw_offsets TEXT NOT NULL);
CREATE TABLE paths (path TEXT PRIMARY KEY, document_id TEXT NOT NULL REFERENCES documents ON DELETE CASCADE,
    shown TEXT NOT NULL);
CREATE TABLE passages (
    number INTEGER PRIMARY KEY AUTOINCREMENT, passage_id TEXT NOT NULL UNIQUE,
    document_id TEXT NOT NULL REFERENCES documents ON DELETE CASCADE, kind TEXT NOT NULL,
    start INTEGER NOT NULL, "end" INTEGER NOT NULL, first_page INTEGER NOT NULL, last_page INTEGER NOT NULL,
    text TEXT NOT NULL);
CREATE INDEX passages_of_document ON passages (document_id);
CREATE INDEX paths_of_document ON paths (document_id);
CREATE TABLE removals (generation INTEGER NOT NULL, document_id TEXT NOT NULL,
    first_number INTEGER NOT NULL, last_number INTEGER NOT NULL);
"""
# Layout 3: what kind of thing a passage is and where it stands; with places.SCHEMA.
LAYOUT_3 = """
ALTER TABLE passages ADD COLUMN label TEXT NOT NULL DEFAULT '';
ALTER TABLE passages ADD COLUMN section TEXT NOT NULL DEFAULT '';
ALTER TABLE passages ADD COLUMN boxes TEXT NOT NULL DEFAULT '[]';
ALTER TABLE passages ADD COLUMN caption TEXT NOT NULL DEFAULT '';
ALTER TABLE passages ADD COLUMN context TEXT NOT NULL DEFAULT '';
ALTER TABLE passages ADD COLUMN picture TEXT;
ALTER TABLE passages ADD COLUMN ocr_confidence REAL;
CREATE INDEX passages_of_label ON passages (lower(label)) WHERE label <> '';
"""
NEW_IN_3 = {
    "label": "''",
    "section": "''",
    "boxes": "'[]'",
    "caption": "''",
    "context": "''",
    "picture": "NULL",
    "ocr_confidence": "NULL",
}
# One path a document: the first in alphabetical order speaks for it in hits and citations.
PASSAGES = """
SELECT p.number, p.passage_id, p.document_id, d.title,
       coalesce((SELECT shown FROM paths WHERE document_id = p.document_id ORDER BY path LIMIT 1), '') AS path,
       p.text, p.start, p."end", p.first_page, p.last_page, p.kind, {new}
FROM passages p JOIN documents d USING (document_id)
"""


def create(connection: sqlite3.Connection) -> None:
    """Make the tables of an empty catalogue."""
    start = f"INSERT INTO state VALUES ('generation', 0);PRAGMA user_version={VERSION};"
    connection.executescript(LAYOUT_1 + links.SCHEMA + LAYOUT_3 + places.SCHEMA + start)


def upgrade(connection: sqlite3.Connection, layout: int) -> None:
    """Give a catalogue of layout 1 its links, and one of layout 2 its new columns, within a transaction."""
    if layout == 1:
        links.fill(connection)
    for statement in filter(str.strip, (LAYOUT_3 + places.SCHEMA).split(";")):  # executescript would commit
        connection.execute(statement)
    connection.execute(f"PRAGMA user_version={VERSION}")


def select_passages(layout: int) -> str:
    """SQL for the passages p of a catalogue, with the defaults of what an older one does not say."""
    new = [f"p.{name}" if layout >= 3 else f"{default} AS {name}" for name, default in NEW_IN_3.items()]
    return PASSAGES.replace("{new}", ", ".join(new))


def passage(row: sqlite3.Row) -> Passage:
    """The passage in a row of select_passages."""
    return Passage(
        row["passage_id"],
        row["document_id"],
        row["title"],
        os.fsdecode(row["path"]),
        row["text"],
        row["start"],
        row["end"],
        row["first_page"],
        row["last_page"],
        row["kind"],
        row["label"],
        row["section"],
        tuple((page, (box[0], box[1], box[2], box[3])) for page, box in json.loads(row["boxes"])),
        row["caption"],
        row["context"],
        row["picture"],
        row["ocr_confidence"],
    )
