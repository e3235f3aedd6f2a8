"""The links between passages: their tables in the catalogue, how they are filled within a transaction, and read.

The connection is the library's: its rows are sqlite3.Row, and what writes runs in its one writer's transaction.

A name that more than MOST_BEARERS documents have means none of them and makes no links: else thousands of documents of
one title would be linked with each passage that says it, and each new one compared with all of them.
"""

from __future__ import annotations

import sqlite3
import zlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

from rag.library.database import IN_AT_ONCE, Database
from rag.library.mentions import stored_openings
from rag.library.mentions.references import (
    SECTION,
    Name,
    first_mention,
    names_of,
    opening,
    openings,
    pattern,
    references,
)
from rag.records import Link

# Openings have no foreign key: to follow one they would need a second index, half a kilobyte a passage. Their rows are
# deleted by hand, and a row without its passage would find nothing. A link has one row a passage and document, or a
# reference; `target` is the number of the section's passage, which leaves with the same document. A name of more than
# MOST_BEARERS documents has a key that is no opening (_common_key), so that no look-up by openings finds it.
SCHEMA = """
CREATE TABLE names (
    opening INTEGER NOT NULL, document_id TEXT NOT NULL REFERENCES documents ON DELETE CASCADE,
    kind TEXT NOT NULL, name TEXT NOT NULL);
CREATE INDEX names_by_opening ON names (opening, name);
CREATE INDEX names_of_document ON names (document_id, name);
CREATE TABLE openings (opening INTEGER, number INTEGER, PRIMARY KEY (opening, number)) WITHOUT ROWID;
CREATE TABLE links (
    number INTEGER NOT NULL REFERENCES passages ON DELETE CASCADE, start INTEGER NOT NULL, "end" INTEGER NOT NULL,
    document_id TEXT NOT NULL REFERENCES documents ON DELETE CASCADE, target INTEGER,
    kind TEXT NOT NULL, words TEXT NOT NULL, PRIMARY KEY (number, start, document_id)) WITHOUT ROWID;
CREATE INDEX links_to_document ON links (document_id, kind);
"""
MOST_BEARERS = 50


# -- filling ---------------------------------------------------------------------------------------------------------


def enter(connection: sqlite3.Connection, document_id: str, title: str, text: str) -> None:
    """Add the names of a new document, whose passages are stored, their openings, and the links from and to it."""
    _relink(connection, _add_names(connection, document_id, title, text) - {document_id})
    found = stored_openings.enter(connection, _texts(connection, document_id))
    _link_sections(connection, document_id, text)
    _link_from(connection, document_id, found)
    _link_to(connection, document_id)


def forget(connection: sqlite3.Connection, document_id: str) -> None:
    """Delete the names and openings of a document that is about to be deleted; its links go with its row.

    A name that few enough documents have then means these again.
    """
    stored_openings.forget(connection, _texts(connection, document_id))
    rows = connection.execute("SELECT opening, kind, name FROM names WHERE document_id = ?", (document_id,)).fetchall()
    connection.execute("DELETE FROM names WHERE document_id = ?", (document_id,))
    changed: set[str] = set()
    for row in rows:
        name = Name(row["kind"], row["name"])
        if row["opening"] == _common_key(name):
            bearers = _bearers(connection, _common_key(name), name)
            if len(bearers) == MOST_BEARERS:
                _move(connection, name, _common_key(name), opening(name))
                changed |= bearers
    _relink(connection, changed)


def fill(connection: sqlite3.Connection) -> None:
    """Give a catalogue without links their tables, filled from all its documents."""
    for statement in SCHEMA.split(";"):  # executescript would commit what came before
        connection.execute(statement)
    ids = [row[0] for row in connection.execute("SELECT document_id FROM documents WHERE status = 'ready'")]
    for document_id in ids:
        title, text = connection.execute(
            "SELECT title, text FROM documents WHERE document_id = ?", (document_id,)
        ).fetchone()
        _add_names(connection, document_id, title, text)
        stored_openings.enter(connection, _texts(connection, document_id))
        _link_sections(connection, document_id, text)
    for document_id in ids:
        _link_to(connection, document_id)


def _add_names(connection: sqlite3.Connection, document_id: str, title: str, text: str) -> set[str]:
    """Store a document's names; returns the documents that have lost a name by it, since too many have that now."""
    changed: set[str] = set()
    for name in names_of(title, text):
        is_common = bool(_bearers(connection, _common_key(name), name, most=1))
        key = _common_key(name) if is_common else opening(name)
        connection.execute("INSERT INTO names VALUES (?, ?, ?, ?)", (key, document_id, name.kind, name.words))
        if not is_common and len(bearers := _bearers(connection, key, name)) > MOST_BEARERS:
            _move(connection, name, key, _common_key(name))
            changed |= bearers
    return changed


def _common_key(name: Name) -> int:
    """The key of a name that too many documents have: above the 32 bits of all openings."""
    return (1 << 33) + zlib.crc32(name.words.encode("utf-8", "surrogatepass"))


def _bearers(connection: sqlite3.Connection, key: int, name: Name, most: int = MOST_BEARERS + 1) -> set[str]:
    """The documents that have a name under this key, at most that many."""
    statement = "SELECT DISTINCT document_id FROM names WHERE opening = ? AND name = ? LIMIT ?"
    return {row[0] for row in connection.execute(statement, (key, name.words, most))}


def _move(connection: sqlite3.Connection, name: Name, old: int, new: int) -> None:
    statement = "UPDATE names SET opening = ? WHERE opening = ? AND name = ?"
    connection.execute(statement, (new, old, name.words))


def _relink(connection: sqlite3.Connection, document_ids: Iterable[str]) -> None:
    """Find the links to these documents again, whose names have changed."""
    for document_id in sorted(document_ids):
        connection.execute("DELETE FROM links WHERE document_id = ? AND kind <> ?", (document_id, SECTION))
        _link_to(connection, document_id)


def _texts(connection: sqlite3.Connection, document_id: str) -> dict[int, str]:
    """The passages of a document: catalogue number -> text."""
    rows = connection.execute("SELECT number, text FROM passages WHERE document_id = ?", (document_id,))
    return {row["number"]: row["text"] for row in rows}


def _link_sections(connection: sqlite3.Connection, document_id: str, text: str) -> None:
    """Link a document's passages to its sections that they refer to."""
    statement = 'SELECT number, start, "end" FROM passages WHERE document_id = ? ORDER BY start, number'
    passages = connection.execute(statement, (document_id,)).fetchall()
    for link in references(text, [(row["start"], row["end"]) for row in passages]):
        source, target = passages[link.source]["number"], passages[link.target]["number"]
        words = text[link.start : link.end]
        row = (source, link.start, link.end, document_id, target, SECTION, words)
        connection.execute("INSERT INTO links VALUES (?, ?, ?, ?, ?, ?, ?)", row)


def _link_from(connection: sqlite3.Connection, document_id: str, found: dict[int, set[int]]) -> None:
    """Link a document's passages, given their openings, to the documents that they name."""
    named: dict[int, list[tuple[str, Name]]] = defaultdict(list)  # opening -> who has a name that begins so
    judgment = _is_judgment(connection, document_id)  # between two of them only citations count (cases.py)
    keys = sorted(set().union(*found.values()))
    own = {row[0] for row in connection.execute("SELECT name FROM names WHERE document_id = ?", (document_id,))}
    for row in _beginning_with(connection, keys):
        if judgment and _is_judgment(connection, row["document_id"]):
            continue
        if row["document_id"] != document_id and row["name"] not in own:
            named[row["opening"]].append((row["document_id"], Name(row["kind"], row["name"])))
    for number, keys_here in found.items():
        candidates: dict[str, list[Name]] = defaultdict(list)
        for key in keys_here & named.keys():
            for other, name in named[key]:
                candidates[other].append(name)
        _link(connection, number, candidates)


def _is_judgment(connection: sqlite3.Connection, document_id: str) -> bool:
    return connection.execute("SELECT 1 FROM cases WHERE document_id = ?", (document_id,)).fetchone() is not None


def _link_to(connection: sqlite3.Connection, document_id: str) -> None:
    """Link all passages of other documents to this one, where they name it."""
    candidates: dict[int, list[Name]] = defaultdict(list)
    rows = connection.execute(
        "SELECT number, n.kind, n.name FROM names n JOIN openings USING (opening) JOIN passages p USING (number) "
        "WHERE n.document_id = ? AND p.document_id <> n.document_id AND NOT EXISTS "
        "(SELECT 1 FROM names own WHERE own.document_id = p.document_id AND own.name = n.name) AND "
        "(SELECT count(*) FROM cases k WHERE k.document_id IN (p.document_id, n.document_id)) < 2",
        (document_id,),
    )
    for row in rows:
        candidates[row["number"]].append(Name(row["kind"], row["name"]))
    for number, names in candidates.items():
        _link(connection, number, {document_id: names})


def _link(connection: sqlite3.Connection, number: int, candidates: Mapping[str, Iterable[Name]]) -> None:
    """Link a passage to the documents, each given by the names it may have here, that its text mentions."""
    if not candidates:
        return
    text, start = connection.execute("SELECT text, start FROM passages WHERE number = ?", (number,)).fetchone()
    for document_id, names in candidates.items():
        if mention := first_mention(names, text):
            words = text[mention.start : mention.end]
            row = (number, start + mention.start, start + mention.end, document_id, None, mention.kind, words)
            connection.execute("INSERT INTO links VALUES (?, ?, ?, ?, ?, ?, ?)", row)


# -- reading ---------------------------------------------------------------------------------------------------------


def links_from(connection: sqlite3.Connection, passage_ids: Sequence[str], cases: bool) -> dict[str, list[Link]]:
    """Passage id -> the links in its text, in order; without passages that have none. `cases`: also of judgments."""
    found: dict[str, list[Link]] = {}
    conditions = ("s.passage_id", "s.passage_id")
    for link in _links(connection, conditions, passage_ids, cases):
        found.setdefault(link.passage_id, []).append(link)
    return found


def links_to(connection: sqlite3.Connection, document_ids: Sequence[str], cases: bool) -> dict[str, list[Link]]:
    """Document id -> the links to it from passages of other documents; without documents that have none."""
    found: dict[str, list[Link]] = {}
    conditions = ("l.kind <> 'section' AND l.document_id", "g.document_id")
    for link in _links(connection, conditions, document_ids, cases):
        found.setdefault(link.document_id, []).append(link)
    return found


# The citations between judgments: one link a passage and judgment that is meant, at the first place.
CITED = """
SELECT s.passage_id, g.document_id, NULL AS target, 'citation' AS kind, c.words, min(c.start) AS start, c."end",
       s.number
FROM citation_targets g JOIN citations c USING (citation)
     JOIN passages s ON s.document_id = c.document_id AND c.start >= s.start AND c.start < s."end"
"""


def _links(
    connection: sqlite3.Connection, conditions: tuple[str, str], ids: Sequence[str], cases: bool
) -> Iterator[Link]:
    for first in range(0, len(ids), IN_AT_ONCE):
        batch = ids[first : first + IN_AT_ONCE]
        mentioned, cited = (f"WHERE {condition} IN ({','.join('?' * len(batch))})" for condition in conditions)
        more = f"UNION ALL {CITED} {cited} GROUP BY s.number, g.document_id" if cases else ""
        for row in connection.execute(
            'SELECT s.passage_id, l.document_id, t.passage_id AS target, l.kind, l.words, l.start, l."end", l.number '
            f"FROM links l JOIN passages s USING (number) LEFT JOIN passages t ON t.number = l.target {mentioned} "
            f"{more} ORDER BY 8, 6, 2",  # by place
            [*batch, *batch] if cases else batch,
        ):
            yield Link(*row[:7])


def mention_counts(connection: sqlite3.Connection, document_ids: Sequence[str], cases: bool) -> dict[str, int]:
    """Document id -> in how many passages of other documents it is named."""
    counts = dict.fromkeys(document_ids, 0)
    named = "SELECT document_id, count(*) FROM links WHERE kind <> 'section' AND document_id IN ({}) GROUP BY 1"
    # no passage is counted twice: between two judgments only citations count
    cited = (
        "SELECT g.document_id, count(DISTINCT s.number) FROM citation_targets g JOIN citations c USING (citation) "
        'JOIN passages s ON s.document_id = c.document_id AND c.start >= s.start AND c.start < s."end" '
        "WHERE g.document_id IN ({}) GROUP BY 1"
    )
    for first in range(0, len(document_ids), IN_AT_ONCE):
        batch = document_ids[first : first + IN_AT_ONCE]
        for statement in (named, cited) if cases else (named,):
            for document_id, count in connection.execute(statement.format(",".join("?" * len(batch))), batch):
                counts[document_id] += count
    return counts


def namesakes(connection: sqlite3.Connection, words: Iterable[str]) -> dict[str, int]:
    """Words of a mention -> how many documents have that name; without those that are no document's."""
    names = {mention: " ".join(mention.split()) for mention in words}
    keys = sorted({key(Name("", name)) for name in names.values() for key in (opening, _common_key)})
    counts: dict[str, int] = {}
    for row in _beginning_with(connection, keys):
        counts[row["name"]] = counts.get(row["name"], 0) + 1
    return {mention: counts[name] for mention, name in names.items() if name in counts}


def named_in(connection: sqlite3.Connection, text: str, most: int) -> set[str]:
    """The documents that a question names: not within a longer name, nor by a name that more than `most` have.

    `most` counts up to MOST_BEARERS. A name of several words counts in any case, for people type as they like.
    """
    keys = sorted(openings(text, any_case=True))
    bearers: dict[str, list[str]] = {}
    for row in _beginning_with(connection, keys):
        bearers.setdefault(row["name"], []).append(row["document_id"])
    found = []
    for name, documents in bearers.items():
        if len(documents) <= most and (match := pattern(name, any_case=" " in name).search(text)):
            found.append((*match.span(), documents))
    outermost = [
        documents
        for start, end, documents in found
        if not any(first <= start and end <= last and (first, last) != (start, end) for first, last, _ in found)
    ]
    return {document_id for documents in outermost for document_id in documents}


def _beginning_with(connection: sqlite3.Connection, keys: Sequence[int]) -> Iterator[sqlite3.Row]:
    """The names, with their documents, that have these openings."""
    for first in range(0, len(keys), IN_AT_ONCE):
        batch = keys[first : first + IN_AT_ONCE]
        yield from connection.execute(f"SELECT * FROM names WHERE opening IN ({','.join('?' * len(batch))})", batch)


def problems(connection: sqlite3.Connection) -> list[str]:
    """The links whose words do not stand in their passage."""
    rows = connection.execute(
        "SELECT p.passage_id, l.words FROM links l JOIN passages p USING (number) "
        'WHERE l.start < p.start OR substr(p.text, l.start - p.start + 1, l."end" - l.start) <> l.words'
    )
    return [f"passage {row['passage_id']} does not hold the words of its link {row['words']!r}" for row in rows]


class StoredLinks(Database):
    """The part of a library that reads its links; a catalogue of an older layout has none."""

    def links_from(self, passage_ids: Sequence[str]) -> dict[str, list[Link]]:
        """Passage id -> the links in its text, in order; without passages that have none.

        A passage has one link to each document that it names, at the first place, and one for each section reference.
        What a document is itself called points to no other document.
        """
        return self._read_since(2, {}, links_from, passage_ids, self._layout() >= 4)

    def links_to(self, document_ids: Sequence[str]) -> dict[str, list[Link]]:
        """Document id -> the links to it from passages of other documents; without documents that have none.

        A document whose title is a common word has very many: ask `mention_counts` first.
        """
        return self._read_since(2, {}, links_to, document_ids, self._layout() >= 4)

    def mention_counts(self, document_ids: Sequence[str]) -> dict[str, int]:
        """Document id -> in how many passages of other documents it is named."""
        none = dict.fromkeys(document_ids, 0)
        return self._read_since(2, none, mention_counts, document_ids, self._layout() >= 4)

    def namesakes(self, words: Iterable[str]) -> dict[str, int]:
        """Words of a mention -> how many documents have that name; without those that are no document's."""
        return self._read_since(2, {}, namesakes, words)

    def named_in(self, text: str, most: int) -> set[str]:
        """The documents that a question names: not within a longer name, nor by a name that more than `most` have."""
        return self._read_since(2, set(), named_in, text, most)
