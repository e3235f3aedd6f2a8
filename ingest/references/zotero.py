"""Zotero's own database (zotero.sqlite), above the folder `storage` of its files: read where it lies, never written."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from itertools import groupby
from pathlib import Path
from urllib.parse import quote

from ingest.references.bibliography import Field, Reference, ReferenceList, reference_of

DATABASE = "zotero.sqlite"
MOST_ROWS = 1_000_000  # limit of each query: more than any library of Zotero has
FIELDS = {"title": "title", "date": "date", "DOI": "doi"}
STORED = "storage:"  # how Zotero names a file in its folder `storage`
OF_ITEMS = """SELECT d.itemID, f.fieldName, v.value FROM itemData d JOIN fields f USING (fieldID)
JOIN itemDataValues v USING (valueID) WHERE f.fieldName IN ('title', 'date', 'DOI') ORDER BY d.itemID LIMIT ?"""
AUTHORS = """SELECT i.itemID, c.firstName, c.lastName FROM itemCreators i JOIN creators c USING (creatorID)
JOIN creatorTypes t USING (creatorTypeID) WHERE t.creatorType = 'author' ORDER BY i.itemID, i.orderIndex LIMIT ?"""
FILES = """SELECT coalesce(a.parentItemID, a.itemID) AS owner, i.key, a.path FROM itemAttachments a
JOIN items i USING (itemID) WHERE a.path IS NOT NULL AND owner NOT IN (SELECT itemID FROM deletedItems)
ORDER BY owner LIMIT ?"""


def read_database(file: Path) -> ReferenceList:
    """The references of the files in Zotero's folder `storage`, each by its folder and name; none of another database.

    The database is opened as if nobody wrote to it: so it can be read while Zotero runs, which locks it.
    """
    address = f"file:{quote(str(file.absolute()))}?mode=ro&immutable=1"
    try:
        with closing(sqlite3.connect(address, uri=True)) as connection:
            connection.execute("PRAGMA trusted_schema = OFF")
            fields = _by_item(connection, OF_ITEMS)
            authors = _by_item(connection, AUTHORS)
            files = _by_item(connection, FILES)
    except (sqlite3.Error, ValueError):  # damaged, or another program's
        return ReferenceList(())
    return ReferenceList(
        reference for item, rows in files.items()
        if (reference := _reference(fields.get(item, []), authors.get(item, []), rows))
    )  # fmt: skip


def _by_item(connection: sqlite3.Connection, query: str) -> dict[int, list[tuple[str, str]]]:
    """The two other columns of the rows of each item."""
    rows = connection.execute(query, (MOST_ROWS,))
    return {
        item: [(str(first or ""), str(second or "")) for _, first, second in those]
        for item, those in groupby(rows, key=lambda row: int(row[0]))
    }


def _reference(
    fields: list[tuple[str, str]], authors: list[tuple[str, str]], files: list[tuple[str, str]]
) -> Reference | None:
    said: list[Field] = [(FIELDS[name], value) for name, value in fields]
    said += [("author", f"{first} {last}".strip()) for first, last in authors]
    found = reference_of(said)
    names = [f"{key}/{path.removeprefix(STORED)}" for key, path in files if path.startswith(STORED)]
    return Reference(found.facts, frozenset(names)) if found and names else None
