"""The catalogue's tables, how a catalogue of an older layout gets today's, and passages read from any of them.

Layout 1 has no links (links.py), layout 2 no places on pages (places.py), nor what kind of thing a passage is, layout
3 no episodes (episodes.py), nor who says a passage when, and no judgments (cases.py), nor where in one a passage is.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterable

from rag import cases, episodes, links, places
from rag.records import Episode, Passage

VERSION = 4
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
# Layout 4: who says a passage, and when; with episodes.SCHEMA. `speakers` has all of them, for filters. And in which
# part and paragraphs of a judgment it stands; with cases.SCHEMA.
LAYOUT_4 = """
ALTER TABLE passages ADD COLUMN chapter TEXT NOT NULL DEFAULT '';
ALTER TABLE passages ADD COLUMN speaker TEXT NOT NULL DEFAULT '';
ALTER TABLE passages ADD COLUMN start_seconds REAL;
ALTER TABLE passages ADD COLUMN end_seconds REAL;
ALTER TABLE passages ADD COLUMN speakers TEXT NOT NULL DEFAULT '[]';
ALTER TABLE passages ADD COLUMN part TEXT NOT NULL DEFAULT '';
ALTER TABLE passages ADD COLUMN first_paragraph INTEGER;
ALTER TABLE passages ADD COLUMN last_paragraph INTEGER;
"""
NEW_IN_4 = {
    "chapter": "''",
    "speaker": "''",
    "start_seconds": "NULL",
    "end_seconds": "NULL",
    "part": "''",
    "first_paragraph": "NULL",
    "last_paragraph": "NULL",
}
# One path a document: the first in alphabetical order speaks for it in hits and citations.
PASSAGES = """
SELECT p.number, p.passage_id, p.document_id, d.title,
       coalesce((SELECT shown FROM paths WHERE document_id = p.document_id ORDER BY path LIMIT 1), '') AS path,
       p.text, p.start, p."end", p.first_page, p.last_page, p.kind, {new}
FROM passages p JOIN documents d USING (document_id)
"""
DESCRIPTION = "coalesce((SELECT description FROM episodes WHERE document_id = p.document_id), '')"
INSERT = (
    'INSERT INTO passages (passage_id, document_id, kind, start, "end", first_page, last_page, text, label, section, '
    "boxes, caption, context, picture, ocr_confidence, chapter, speaker, start_seconds, end_seconds, part, "
    f"first_paragraph, last_paragraph, speakers) VALUES ({','.join('?' * 23)})"
)
NEW_TABLES_4 = LAYOUT_4 + episodes.SCHEMA + cases.SCHEMA


def create(connection: sqlite3.Connection) -> None:
    """Make the tables of an empty catalogue."""
    start = f"INSERT INTO state VALUES ('generation', 0);PRAGMA user_version={VERSION};COMMIT;"
    # in one transaction: each would wait for the disk
    connection.executescript("BEGIN;" + LAYOUT_1 + links.SCHEMA + LAYOUT_3 + places.SCHEMA + NEW_TABLES_4 + start)


def upgrade(connection: sqlite3.Connection, layout: int) -> None:
    """Give a catalogue of layout 1 its links, and an older one its new tables and columns, within a transaction."""
    new = (LAYOUT_3 + places.SCHEMA) * (layout < 3) + NEW_TABLES_4
    for statement in filter(str.strip, new.split(";")):  # executescript would commit
        connection.execute(statement)
    if layout == 1:
        links.fill(connection)
    connection.execute(f"PRAGMA user_version={VERSION}")


def select_passages(layout: int) -> str:
    """SQL for the passages p of a catalogue, with the defaults of what an older one does not say."""
    new = [f"p.{name}" if layout >= 3 else f"{default} AS {name}" for name, default in NEW_IN_3.items()]
    new += [f"p.{name}" if layout >= 4 else f"{default} AS {name}" for name, default in NEW_IN_4.items()]
    new.append(f"{DESCRIPTION if layout >= 4 else repr('')} AS description")
    return PASSAGES.replace("{new}", ", ".join(new))


def enter(connection: sqlite3.Connection, passages: Iterable[Passage], episode: Episode | None) -> None:
    """Add the passages of a new document."""
    said = episode.utterances if episode else ()
    connection.executemany(
        INSERT,
        (
            (
                *(p.passage_id, p.document_id, p.kind, p.start, p.end, p.first_page, p.last_page, p.text),
                *(p.label, p.section, json.dumps(p.boxes), p.caption, p.context, p.picture, p.ocr_confidence),
                *(p.chapter, p.speaker, p.start_seconds, p.end_seconds, p.part, p.first_paragraph, p.last_paragraph),
                json.dumps(episodes.speakers_in(said, p.start, p.end), ensure_ascii=False),
            )
            for p in passages
        ),
    )


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
        row["chapter"],
        row["speaker"],
        row["start_seconds"],
        row["end_seconds"],
        row["description"],
        row["part"],
        row["first_paragraph"],
        row["last_paragraph"],
    )
