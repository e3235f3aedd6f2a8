"""The catalogue's tables, how a catalogue of an older layout gets today's, and passages read from any of them.

Layout 1 has no links (links.py), layout 2 no places on pages (boxes.py), nor what kind of thing a passage is, layout
3 no episodes (episodes.py), nor who says a passage when, and no judgments (cases.py), nor where in one a passage is.
Layout 4 repeats titles with each passage, and names the library's own files by absolute paths (stored_files.py).
Layout 5 keeps no summaries (summaries.py), layout 6 no conversations (kept/conversations.py), layout 7 no queue of
uploads, layout 8 no corrections (kept/corrections.py), layout 9 neither headings nor what documents say of themselves
(described/).
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterable

from rag.document import Episode
from rag.library import boxes, cases, episodes, links, summaries
from rag.library.database import VERSION
from rag.library.described import document_facts, headings
from rag.library.kept import conversations, corrections
from rag.library.stored_files import Locations, is_outside, storable
from rag.locator import UNITS, Locator, PageSpan, ParagraphSpan, PartSpan, TimeSpan, heading_of, innermost, locator_json
from rag.records import Passage

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
# Layout 3: what kind of thing a passage is and where it stands; with boxes.SCHEMA.
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
# Layout 5: what passages of a document share is stored once, for a chapter's title of 300 kB over 2,000 passages would
# be 600 MB. Passages have its number, `speaker_titles` a JSON list of them ("" is who has no name). They are no foreign
# keys, each of which would need an index: both leave with their document.
TITLED = ("section", "caption", "chapter", "speaker")
_NUMBER = "SELECT title FROM titles WHERE titles.document_id = passages.document_id AND titles.words"
_NUMBERS = ", ".join(f"{name}_title = ({_NUMBER} = nullif({name}, ''))" for name in TITLED)
LAYOUT_5 = f"""
CREATE TABLE titles (
    title INTEGER PRIMARY KEY, document_id TEXT NOT NULL REFERENCES documents ON DELETE CASCADE, words TEXT NOT NULL,
    UNIQUE (document_id, words));
INSERT INTO titles (document_id, words)
    SELECT document_id, section FROM passages WHERE section <> '' UNION
    SELECT document_id, caption FROM passages WHERE caption <> '' UNION
    SELECT document_id, chapter FROM passages WHERE chapter <> '' UNION
    SELECT document_id, speaker FROM passages WHERE speaker <> '' UNION
    SELECT document_id, s.value FROM passages JOIN json_each(passages.speakers) s;
ALTER TABLE passages ADD COLUMN section_title INTEGER;
ALTER TABLE passages ADD COLUMN caption_title INTEGER;
ALTER TABLE passages ADD COLUMN chapter_title INTEGER;
ALTER TABLE passages ADD COLUMN speaker_title INTEGER;
ALTER TABLE passages ADD COLUMN speaker_titles TEXT NOT NULL DEFAULT '[]';
UPDATE passages SET {_NUMBERS},
    speaker_titles = (SELECT json_group_array(({_NUMBER} = s.value)) FROM json_each(passages.speakers) s);
ALTER TABLE passages DROP COLUMN section;
ALTER TABLE passages DROP COLUMN caption;
ALTER TABLE passages DROP COLUMN chapter;
ALTER TABLE passages DROP COLUMN speaker;
ALTER TABLE passages DROP COLUMN speakers;
"""
LAYOUT_8 = """
CREATE TABLE upload_batches (
    batch_id TEXT PRIMARY KEY, files TEXT NOT NULL, folder TEXT NOT NULL, passwords TEXT NOT NULL, state TEXT NOT NULL,
    worker TEXT NOT NULL DEFAULT '', leased_until REAL NOT NULL DEFAULT 0, attempts INTEGER NOT NULL DEFAULT 0,
    rows TEXT NOT NULL DEFAULT '[]', added REAL NOT NULL, changed REAL NOT NULL);
"""  # uploads that wait to be read: ui/web/workers/upload_queue.py
# What people see of a path (stored_files.py), for most without a call of Python: to read passages took 5 % longer.
SHOWN = "CASE WHEN path GLOB '/*' THEN shown ELSE shown_at(path, shown) END"
# One path a document: the first in alphabetical order speaks for it in hits and citations.
PASSAGES = f"""
SELECT p.number, p.passage_id, p.document_id, d.title,
       coalesce((SELECT {SHOWN} FROM paths WHERE document_id = p.document_id ORDER BY path LIMIT 1), '') AS path,
       p.text, p.start, p."end", p.first_page, p.last_page, p.kind, {{new}}
FROM passages p JOIN documents d USING (document_id)
"""
DESCRIPTION = "coalesce((SELECT description FROM episodes WHERE document_id = p.document_id), '')"
INSERT = (
    'INSERT INTO passages (passage_id, document_id, kind, start, "end", first_page, last_page, text, label, boxes, '
    "context, picture, ocr_confidence, start_seconds, end_seconds, part, first_paragraph, last_paragraph, "
    "section_title, caption_title, chapter_title, speaker_title, speaker_titles) "
    f"VALUES ({','.join('?' * 23)})"
)
LAYOUT_10 = headings.SCHEMA + document_facts.SCHEMA
NEW_TABLES_4 = LAYOUT_4 + episodes.SCHEMA + cases.SCHEMA


def create(connection: sqlite3.Connection) -> None:
    """Make the tables of an empty catalogue."""
    tables = LAYOUT_1 + links.SCHEMA + LAYOUT_3 + boxes.SCHEMA + NEW_TABLES_4 + LAYOUT_5
    tables += summaries.SCHEMA + conversations.SCHEMA + LAYOUT_8 + corrections.SCHEMA + LAYOUT_10
    start = f"INSERT INTO state VALUES ('generation', 0);PRAGMA user_version={VERSION};COMMIT;"
    connection.executescript("BEGIN;" + tables + start)  # in one transaction: each would wait for the disk


def upgrade(connection: sqlite3.Connection, layout: int, locations: Locations) -> None:
    """Give a catalogue of an older layout the tables and columns of this one, filled, within a transaction."""
    new = (LAYOUT_3 + boxes.SCHEMA) * (layout < 3) + NEW_TABLES_4 * (layout < 4) + LAYOUT_5 * (layout < 5)
    new += summaries.SCHEMA * (layout < 6) + conversations.SCHEMA * (layout < 7) + LAYOUT_8 * (layout < 8)
    new += corrections.SCHEMA * (layout < 9) + LAYOUT_10
    for statement in filter(str.strip, new.split(";")):  # executescript would commit
        connection.execute(statement)
    if layout == 1:
        links.fill(connection)
    if layout < 5:
        _make_paths_relative(connection, locations)
    connection.execute(f"PRAGMA user_version={VERSION}")


def _make_paths_relative(connection: sqlite3.Connection, locations: Locations) -> None:
    """Store the paths of the library's own files as layout 5 does, also where its folder was moved before."""
    paths = [(os.fsdecode(path), owner) for path, owner in connection.execute("SELECT path, document_id FROM paths")]
    files = [(os.fsdecode(path), content) for path, content in connection.execute("SELECT path, hash FROM collections")]
    content_ids = dict(paths) | {path: content[-16:] for path, content in files}  # a collection's hash ends with it

    def relative(path: str) -> str | None:
        stored = locations.stored(path)
        return locations.moved(path, content_ids) if is_outside(stored) else stored

    for path, owner in sorted(paths, key=lambda row: is_outside(locations.stored(row[0]))):  # what is here first
        if new := relative(path):
            old, new_key = storable(path), storable(new)
            taken = connection.execute("SELECT document_id FROM paths WHERE path = ?", (new_key,)).fetchone()
            if taken is None:
                connection.execute("UPDATE paths SET path = ?, shown = ? WHERE path = ?", (new_key, new_key, old))
            elif taken[0] == owner:  # it was added again since
                connection.execute("DELETE FROM paths WHERE path = ?", (old,))
    for path, _ in files:
        if new := relative(path):
            keys = (storable(new), storable(path))
            connection.execute("UPDATE OR REPLACE collections SET path = ? WHERE path = ?", keys)
    of_own_files = (
        "SELECT document_id, audio FROM episodes WHERE substr(audio, 1, 1) = '/' AND document_id IN "
        "(SELECT document_id FROM paths WHERE substr(path, 1, 1) NOT IN ('/', x'2f'))"
    )
    for document_id, audio in connection.execute(of_own_files).fetchall():
        if new := relative(audio):
            was_in = episodes.AUDIO_WAS_IN + os.path.dirname(audio)
            connection.execute("UPDATE episodes SET audio = ? WHERE document_id = ?", (new, document_id))
            connection.execute("UPDATE documents SET recipe = recipe || ? WHERE document_id = ?", (was_in, document_id))


def select_passages(layout: int) -> str:
    """SQL for the passages p of a catalogue, with the defaults of what an older one does not say."""

    def column(name: str, default: str, since: int) -> str:
        if layout < since:
            return f"{default} AS {name}"
        if layout >= 5 and name in TITLED:
            return f"coalesce((SELECT words FROM titles WHERE title = p.{name}_title), '') AS {name}"
        return f"p.{name}"

    new = [column(*pair, 3) for pair in NEW_IN_3.items()] + [column(*pair, 4) for pair in NEW_IN_4.items()]
    new.append(f"{DESCRIPTION if layout >= 4 else repr('')} AS description")
    return PASSAGES.replace("{new}", ", ".join(new))


def enter(connection: sqlite3.Connection, passages: Iterable[Passage], episode: Episode | None) -> None:
    """Add the passages of a new document, with their titles."""
    utterances = episode.utterances if episode else ()
    numbers: dict[tuple[str, str], int] = {}

    def number(document_id: str, words: str) -> int:
        if (document_id, words) not in numbers:
            row = connection.execute("INSERT INTO titles (document_id, words) VALUES (?, ?)", (document_id, words))
            numbers[document_id, words] = row.lastrowid or 0
        return numbers[document_id, words]

    for p in passages:
        titles = [
            number(p.document_id, words) if words else None for words in (p.section, p.caption, p.locator.searched)
        ]
        speakers = [number(p.document_id, name) for name in episodes.speakers_in(utterances, p.start, p.end)]
        place = locator_json(p.locator)
        speaker = number(p.document_id, place["speaker"]) if place["speaker"] else None
        row = (
            *(p.passage_id, p.document_id, p.kind, p.start, p.end, place["first_page"], place["last_page"]),
            *(p.text, p.label, json.dumps(p.boxes), p.context, p.picture, p.ocr_confidence),
            *(place["start_seconds"], place["end_seconds"], place["part"], place["first_paragraph"]),
            *(place["last_paragraph"], *titles, speaker, json.dumps(speakers)),
        )
        connection.execute(INSERT, row)


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
        _locator(row),
        row["kind"],
        row["label"],
        row["section"],
        tuple((page, (box[0], box[1], box[2], box[3])) for page, box in json.loads(row["boxes"])),
        row["caption"],
        row["context"],
        row["picture"],
        row["ocr_confidence"],
        row["description"],
    )


def _locator(row: sqlite3.Row) -> Locator:
    if row["part"] in UNITS:
        pages, paragraphs = (row["first_page"], row["last_page"]), (row["first_paragraph"], row["last_paragraph"])
        return PartSpan(row["part"], innermost(row["section"]), *pages, *paragraphs)
    if row["part"]:
        heading = heading_of(row["section"])
        return ParagraphSpan(row["part"], heading, row["first_paragraph"], row["last_paragraph"])
    if row["start_seconds"] is not None or row["speaker"] or row["chapter"]:
        return TimeSpan(row["start_seconds"], row["end_seconds"], row["speaker"], row["chapter"])
    return PageSpan(row["first_page"], row["last_page"])


def problems(connection: sqlite3.Connection) -> list[str]:
    """The passages with a title that is not their document's."""
    columns = ((f"p.{name}_title", "passages p") for name in TITLED)
    speakers = ("s.value", "passages p JOIN json_each(p.speaker_titles) s")
    return [
        f"passage {row[0]} has a title that its document lacks"
        for number, passages in (*columns, speakers)
        for row in connection.execute(
            f"SELECT DISTINCT p.passage_id FROM {passages} LEFT JOIN titles t ON t.title = {number} "
            f"WHERE {number} IS NOT NULL AND t.document_id IS NOT p.document_id"
        )
    ]
