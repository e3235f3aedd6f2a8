"""Judgments: their tables in the catalogue, and the graph of who cites whom.

The connection is the library's: its rows are sqlite3.Row, it knows the SQL function casefold, and what writes runs in
its one writer's transaction. A citation stays whether or not the case that it means is here; its targets are found
again whenever a case that it may mean enters or leaves, so that they do not depend on the order in which cases came.
A number or a name that more than cited.MOST_BEARERS cases have means none of them.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import astuple, fields
from functools import cache
from typing import Any

from rag.document import Case, CaseCitation, Finding, Footnote, Paragraph, Section
from rag.library.database import Database
from rag.library.mentions.cited import (
    MOST_BEARERS,
    VERSUS,
    CitationEdge,
    KnownCase,
    applicant_of,
    country_key,
    targets_of,
    words_of,
)

# `name`, `applicant_name` and `country` are for comparing: see cited.words_of. Several targets of one citation: it may
# mean any of them, or cites several numbers. `collections` has what is in the files of many documents that were read.
SCHEMA = """
CREATE TABLE cases (
    document_id TEXT PRIMARY KEY REFERENCES documents ON DELETE CASCADE, court TEXT NOT NULL, title TEXT NOT NULL,
    applicant TEXT NOT NULL, respondent TEXT NOT NULL, date TEXT NOT NULL, importance INTEGER,
    name TEXT NOT NULL, applicant_name TEXT NOT NULL, country TEXT NOT NULL);
CREATE INDEX cases_by_name ON cases (name, date);
CREATE INDEX cases_by_applicant ON cases (applicant_name, date);
CREATE TABLE case_numbers (document_id TEXT NOT NULL REFERENCES cases ON DELETE CASCADE, number TEXT NOT NULL);
CREATE INDEX numbers_of_case ON case_numbers (document_id);
CREATE INDEX cases_by_number ON case_numbers (number);
CREATE TABLE case_articles (document_id TEXT NOT NULL REFERENCES cases ON DELETE CASCADE, article TEXT NOT NULL);
CREATE INDEX articles_of_case ON case_articles (document_id);
CREATE TABLE sections (document_id TEXT NOT NULL REFERENCES cases ON DELETE CASCADE, kind TEXT NOT NULL,
    start INTEGER NOT NULL, "end" INTEGER NOT NULL, author TEXT NOT NULL, PRIMARY KEY (document_id, start))
    WITHOUT ROWID;
CREATE TABLE paragraphs (document_id TEXT NOT NULL REFERENCES cases ON DELETE CASCADE, number INTEGER NOT NULL,
    start INTEGER NOT NULL, "end" INTEGER NOT NULL, PRIMARY KEY (document_id, start)) WITHOUT ROWID;
CREATE TABLE footnotes (document_id TEXT NOT NULL REFERENCES cases ON DELETE CASCADE, number INTEGER NOT NULL,
    start INTEGER NOT NULL, "end" INTEGER NOT NULL, PRIMARY KEY (document_id, start)) WITHOUT ROWID;
CREATE TABLE citations (
    citation INTEGER PRIMARY KEY, document_id TEXT NOT NULL REFERENCES cases ON DELETE CASCADE, words TEXT NOT NULL,
    start INTEGER NOT NULL, "end" INTEGER NOT NULL, name TEXT, pinpoint TEXT, date TEXT NOT NULL, meant TEXT);
CREATE INDEX citations_of_case ON citations (document_id, start);
CREATE INDEX citations_by_name ON citations (meant, date) WHERE meant IS NOT NULL;
CREATE TABLE citation_numbers (citation INTEGER NOT NULL REFERENCES citations ON DELETE CASCADE, number TEXT NOT NULL);
CREATE INDEX numbers_of_citation ON citation_numbers (citation);
CREATE INDEX citations_by_number ON citation_numbers (number);
CREATE TABLE citation_targets (
    citation INTEGER NOT NULL REFERENCES citations ON DELETE CASCADE,
    document_id TEXT NOT NULL REFERENCES cases ON DELETE CASCADE, PRIMARY KEY (citation, document_id)) WITHOUT ROWID;
CREATE INDEX citations_of_target ON citation_targets (document_id);
CREATE TABLE findings (document_id TEXT NOT NULL REFERENCES cases ON DELETE CASCADE, article TEXT NOT NULL,
    violation INTEGER, spans TEXT NOT NULL);
CREATE INDEX findings_of_case ON findings (document_id);
CREATE TABLE collections (path TEXT PRIMARY KEY, hash TEXT NOT NULL, members TEXT NOT NULL) WITHOUT ROWID;
"""
TABLES = (
    *("collections", "findings", "citation_targets", "citation_numbers", "citations", "footnotes", "paragraphs"),
    *("sections", "case_articles", "case_numbers", "cases"),
)
KNOWN = """
SELECT k.document_id, k.title, k.date,
       (SELECT json_group_array(n.number) FROM case_numbers n WHERE n.document_id = k.document_id) AS numbers
FROM cases k
"""
# The documents that have a number or a name, by the kind of a citation's key and whether its date counts.
BEARERS = {
    ("number", False): "SELECT DISTINCT document_id FROM case_numbers WHERE number = :words",
    ("name", False): "SELECT document_id FROM cases WHERE name = :words",
    ("name", True): "SELECT document_id FROM cases WHERE name = :words AND date = :date",
    ("applicant", True): "SELECT document_id FROM cases WHERE applicant_name = :words AND date = :date",
}
CITATIONS = """
SELECT c.citation, c.document_id, c.words, c.start, c."end", c.name, c.pinpoint, c.date,
       (SELECT json_group_array(n.number) FROM citation_numbers n WHERE n.citation = c.citation) AS numbers
FROM citations c
"""


# -- filling ---------------------------------------------------------------------------------------------------------


def enter(connection: sqlite3.Connection, document_id: str, case: Case | None) -> None:
    """Add the case of a new document, if it is one, with the edges from and to it."""
    if case is None:
        return
    name, applicant = " ".join(words_of(case.title)), " ".join(words_of(applicant_of(case.title)))
    known = (case.court, case.title, *case.parties, case.date, case.importance)
    row = (document_id, *known, name, applicant, country_key(case.parties[1]))
    connection.execute(f"INSERT INTO cases VALUES ({','.join('?' * len(row))})", row)

    def insert(table: str, rows: Iterable[Sequence[object]]) -> None:
        for values in rows:
            marks = ",".join("?" * (len(values) + 1))
            connection.execute(f"INSERT INTO {table} VALUES ({marks})", (document_id, *values))

    insert("case_numbers", ((number,) for number in case.application_numbers))
    insert("case_articles", ((article,) for article in case.articles))
    insert("sections", map(astuple, case.sections))
    insert("paragraphs", map(astuple, case.paragraphs))
    insert("footnotes", map(astuple, case.notes))
    insert("findings", ((found.article, found.violation, json.dumps(found.spans)) for found in case.outcome))
    for cited in case.citations:
        meant = " ".join(words_of(cited.name)) if cited.name else None
        place = (document_id, cited.words, cited.start, cited.end, cited.name, cited.pinpoint, cited.date, meant)
        added = connection.execute("INSERT INTO citations VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?)", place).lastrowid
        pairs = [(added, number) for number in cited.application_numbers]
        connection.executemany("INSERT INTO citation_numbers VALUES (?, ?)", pairs)
    own = connection.execute("SELECT citation FROM citations WHERE document_id = ?", (document_id,))
    _resolve(connection, {row[0] for row in own} | _that_may_mean(connection, document_id))


def forget(connection: sqlite3.Connection, document_id: str) -> None:
    """Take the case of a document out, if it is one. Citations that meant it stay, and may mean another one now."""
    others = _that_may_mean(connection, document_id)
    connection.execute("DELETE FROM cases WHERE document_id = ?", (document_id,))
    _resolve(connection, others)


def _that_may_mean(connection: sqlite3.Connection, document_id: str) -> set[int]:
    """The citations of other cases whose targets depend on this one: by a number or a name that few enough have."""
    statement = "SELECT name, applicant_name, date FROM cases WHERE document_id = ?"
    row = connection.execute(statement, (document_id,)).fetchone()
    if row is None:
        return set()
    numbers = connection.execute("SELECT DISTINCT number FROM case_numbers WHERE document_id = ?", (document_id,))
    keys = [("number", number, "") for (number,) in numbers.fetchall()]
    if _count(connection, "name", row["name"], "") <= MOST_BEARERS + 1:
        keys.append(("name", row["name"], ""))
    else:  # where the date of a citation does not choose it means none before and after
        keys.append(("name", row["name"], row["date"]))
    keys.append(("applicant", row["applicant_name"], row["date"]))
    found: set[int] = set()
    for kind, words, date in keys:
        if _count(connection, kind, words, date) > MOST_BEARERS + 1:  # too many with this one or without it
            continue
        if kind == "number":
            cited = "SELECT citation FROM citation_numbers JOIN citations USING (citation) WHERE number = :words"
        else:
            cited = "SELECT citation FROM citations WHERE meant = :words" + " AND date = :date" * bool(date)
        values = {"words": words, "date": date, "case": document_id}
        found |= {row[0] for row in connection.execute(f"{cited} AND document_id <> :case", values)}
    return found


def _count(connection: sqlite3.Connection, kind: str, words: str, date: str) -> int:
    """How many cases have a number or a name, with the date if one is given; counted up to MOST_BEARERS + 2."""
    statement = BEARERS.get((kind, bool(date)))
    if statement is None:  # a name without a country means nothing without a date
        return MOST_BEARERS + 2
    values = {"words": words, "date": date, "most": MOST_BEARERS + 2}
    return int(connection.execute(f"SELECT count(*) FROM ({statement} LIMIT :most)", values).fetchone()[0])


def _resolve(connection: sqlite3.Connection, citations: Iterable[int]) -> None:
    """Find the targets of these citations again."""

    @cache
    def bearers(kind: str, words: str, date: str) -> list[KnownCase]:
        having = f"{BEARERS[kind, bool(date)]} LIMIT :most"
        values = {"words": words, "date": date, "most": MOST_BEARERS + 1}
        rows = connection.execute(f"{KNOWN} WHERE k.document_id IN ({having}) ORDER BY k.document_id", values)
        found = [_known(row) for row in rows]
        return found if len(found) <= MOST_BEARERS else []

    @cache
    def case_of(document_id: str) -> KnownCase:
        return _known(connection.execute(f"{KNOWN} WHERE k.document_id = ?", (document_id,)).fetchone())

    ids = json.dumps(sorted(citations))
    these = "IN (SELECT value FROM json_each(?))"
    rows = connection.execute(f"{CITATIONS} WHERE c.citation {these}", (ids,)).fetchall()
    connection.execute(f"DELETE FROM citation_targets WHERE citation {these}", (ids,))
    for row in rows:
        targets = targets_of(_citation(row), case_of(row["document_id"]), bearers)
        pairs = [(row["citation"], target) for target in targets]
        connection.executemany("INSERT INTO citation_targets VALUES (?, ?)", pairs)


def keep_members(connection: sqlite3.Connection, path: str | bytes, file_hash: str, members: Sequence[object]) -> None:
    """Remember which documents a file with these bytes holds."""
    row = (path, file_hash, json.dumps(members))
    connection.execute("INSERT OR REPLACE INTO collections VALUES (?, ?, ?)", row)


def members(connection: sqlite3.Connection, path: str | bytes, file_hash: str) -> list[Any] | None:
    """What keep_members kept of the same bytes at the same path."""
    found = "SELECT members FROM collections WHERE path = ? AND hash = ?"
    row = connection.execute(found, (path, file_hash)).fetchone()
    return None if row is None else list(json.loads(row[0]))


# -- reading ---------------------------------------------------------------------------------------------------------


def case(connection: sqlite3.Connection, document_id: str) -> Case | None:
    """The case that a stored document is; None for another kind of document. Its warnings are the document's."""
    row = connection.execute("SELECT * FROM cases WHERE document_id = ?", (document_id,)).fetchone()
    if row is None:
        return None

    def rows(columns: str, table: str, order: str) -> list[sqlite3.Row]:
        query = f"SELECT {columns} FROM {table} WHERE document_id = ? ORDER BY {order}"
        return connection.execute(query, (document_id,)).fetchall()

    cited = connection.execute(f"{CITATIONS} WHERE c.document_id = ? ORDER BY c.start", (document_id,))
    return Case(
        row["court"],
        row["title"],
        (row["applicant"], row["respondent"]),
        tuple(number for (number,) in rows("number", "case_numbers", "rowid")),
        row["date"],
        row["importance"],
        tuple(article for (article,) in rows("article", "case_articles", "rowid")),
        tuple(Section(*row) for row in rows('kind, start, "end", author', "sections", "start")),
        tuple(Paragraph(*row) for row in rows('number, start, "end"', "paragraphs", "start")),
        tuple(Footnote(*row) for row in rows('number, start, "end"', "footnotes", "start")),
        tuple(map(_citation, cited)),
        tuple(_finding(*row) for row in rows("article, violation, spans", "findings", "rowid")),
    )


def known_cases(connection: sqlite3.Connection) -> list[KnownCase]:
    """All cases by document_id, in the order of their dates; those without one come first."""
    return [_known(row) for row in connection.execute(f"{KNOWN} ORDER BY k.date, k.document_id")]


def numbered(connection: sqlite3.Connection, numbers: Sequence[str]) -> list[KnownCase]:
    """The cases that have one of these application numbers, by document_id."""
    having = "SELECT document_id FROM case_numbers WHERE number IN (SELECT value FROM json_each(?))"
    statement = f"{KNOWN} WHERE k.document_id IN ({having}) ORDER BY k.document_id"
    return [_known(row) for row in connection.execute(statement, (json.dumps(list(numbers)),))]


def named(connection: sqlite3.Connection, name: str, most: int) -> list[KnownCase]:
    """The cases of a name as words_of compares it, at most that many: "A v. B" by the title, "A" by the applicant."""
    column = "name" if VERSUS.search(name) else "applicant_name"
    statement = f"{KNOWN} WHERE k.{column} = ? LIMIT ?"
    return [_known(row) for row in connection.execute(statement, (" ".join(words_of(name)), most))]


def edges(connection: sqlite3.Connection, document_id: str) -> list[CitationEdge]:
    """The citations of a case that mean cases here, in order, each with the document_ids of those it may mean."""
    rows = connection.execute(
        f"{CITATIONS} WHERE c.document_id = ? AND c.citation IN (SELECT citation FROM citation_targets) "
        "ORDER BY c.start",
        (document_id,),
    ).fetchall()
    return [CitationEdge(_citation(row), _targets(connection, row["citation"])) for row in rows]


def _targets(connection: sqlite3.Connection, citation: int) -> tuple[str, ...]:
    rows = connection.execute("SELECT document_id FROM citation_targets WHERE citation = ? ORDER BY 1", (citation,))
    return tuple(row[0] for row in rows)


def graph(connection: sqlite3.Connection) -> dict[str, dict[str, int]]:
    """Citing document_id -> cited document_id -> times cited."""
    found: dict[str, dict[str, int]] = {}
    for source, target, times in connection.execute(
        "SELECT c.document_id, t.document_id, count(*) FROM citation_targets t JOIN citations c USING (citation) "
        "GROUP BY 1, 2 ORDER BY 1, 2"
    ):
        found.setdefault(source, {})[target] = times
    return found


def paragraphs_in(connection: sqlite3.Connection, document_id: str, start: int, end: int) -> tuple[int, int] | None:
    """As Case.paragraphs_in, of a stored document."""
    where = 'document_id = ? AND "end" > ? AND start < ?'
    query = f"SELECT min(number), max(number) FROM paragraphs WHERE {where}"
    first, last = connection.execute(query, (document_id, start, end)).fetchone()
    return None if first is None else (first, last)


def problems(connection: sqlite3.Connection) -> list[str]:
    """Citations whose words do not stand in their text, and edges that do not lead back in time."""
    found = [
        f"document {document_id} does not hold the words of its citation {words!r}"
        for document_id, words in connection.execute(
            "SELECT c.document_id, c.words FROM citations c JOIN documents d USING (document_id) "
            'WHERE substr(d.text, c.start + 1, c."end" - c.start) <> c.words'
        )
    ]
    return found + [
        f"document {source} cites {target}, which is not earlier"
        for source, target in connection.execute(
            "SELECT DISTINCT c.document_id, t.document_id FROM citation_targets t JOIN citations c USING (citation) "
            "JOIN cases a ON a.document_id = c.document_id JOIN cases b ON b.document_id = t.document_id "
            "WHERE b.date = '' OR b.date >= a.date"
        )
    ]


def _known(row: sqlite3.Row) -> KnownCase:
    return KnownCase(row["document_id"], row["title"], tuple(json.loads(row["numbers"])), row["date"])


def _citation(row: sqlite3.Row) -> CaseCitation:
    numbers = tuple(json.loads(row["numbers"]))
    return CaseCitation(row["words"], row["start"], row["end"], numbers, row["name"], row["pinpoint"], row["date"])


def _finding(article: str, violation: int | None, spans: str) -> Finding:
    return Finding(article, None if violation is None else bool(violation), _spans(json.loads(spans)))


def _spans(pairs: Iterable[Sequence[int]]) -> tuple[tuple[int, int], ...]:
    return tuple((start, end) for start, end in pairs)


# -- JSON --------------------------------------------------------------------------------------------------------------


def to_json(case: Case) -> list[Any]:
    """The fields of the record in their order, without its warnings; records in them as lists."""
    return list(astuple(case))[: len(fields(Case)) - 1]


def from_json(row: Sequence[Any]) -> Case:
    """
    >>> case = Case("ecthr", "A. v. B.", ("A.", "B."), ("1/01",), "", 1, (), (Section("law", 0, 9),), (), (), (), ())
    >>> from_json(json.loads(json.dumps(to_json(case)))) == case
    True
    """
    court, title, parties, numbers, date, importance, articles, sections, paragraphs, notes, citations, outcome = row
    return Case(
        *(court, title, (parties[0], parties[1]), tuple(numbers), date, importance, tuple(articles)),
        tuple(Section(*row) for row in sections),
        tuple(Paragraph(*row) for row in paragraphs),
        tuple(Footnote(*row) for row in notes),
        tuple(
            CaseCitation(words, start, end, tuple(cited), name, pinpoint, day)
            for words, start, end, cited, name, pinpoint, day in citations
        ),
        tuple(Finding(article, violation, _spans(spans)) for article, violation, spans in outcome),
    )


class StoredCases(Database):
    """The part of a library that reads its judgments; a catalogue of an older layout has none."""

    def case(self, document_id: str) -> Case | None:
        """A judgment's structure; None if a document is none. Its warnings are the document's."""
        return self._read_since(4, None, case, document_id)

    def cases(self) -> list[KnownCase]:
        """All judgments, with document_ids as keys, by date; those without a date come first."""
        return self._read_since(4, [], known_cases)

    def cases_numbered(self, numbers: Sequence[str]) -> list[KnownCase]:
        """The judgments that have one of these application numbers."""
        return self._read_since(4, [], numbered, numbers)

    def cases_named(self, name: str, most: int) -> list[KnownCase]:
        """The judgments called "A v. B", or those of the applicant "A", in any case and spelling; at most that many."""
        return self._read_since(4, [], named, name, most)

    def citations_of(self, document_id: str) -> list[CitationEdge]:
        """The citations of a judgment that mean others here, with their document_ids: several where that is open."""
        return self._read_since(4, [], edges, document_id)

    def citation_graph(self) -> dict[str, dict[str, int]]:
        """Citing document_id -> cited document_id -> times cited. Edges lead strictly back in time."""
        return self._read_since(4, {}, graph)

    def paragraphs_of(self, document_id: str, start: int, end: int) -> tuple[int, int] | None:
        """The numbers of a judgment's first and last paragraph that text[start:end] touches; None: of none."""
        return self._read_since(4, None, paragraphs_in, document_id, start, end)

    def members(self, path: str, file_hash: str) -> list[Any] | None:
        """What keep_members kept of these bytes at this path."""
        return self._read_since(4, None, members, self._stored_as(path), file_hash)

    def keep_members(self, path: str, file_hash: str, members: Sequence[object]) -> None:
        """Remember, as JSON, which documents a file with these bytes holds."""
        with self._atomic() as connection:
            keep_members(connection, self._stored_as(path), file_hash, members)
