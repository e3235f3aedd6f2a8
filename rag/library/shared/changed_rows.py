"""The rows that a transaction of the catalogue changes, as records that another copy of it takes over.

Triggers of the connection note the keys of rows; what they hold is read at the end, so a row counts once, as it is
then. A row's key is its number in SQLite, or its primary key where its table has no row numbers. Passages have the same
numbers in every copy, so that each machine's indexes can follow its own.
"""

from __future__ import annotations

import base64
import json
import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

POSITION = "shared_position"  # the table of a copy that says which version of the truth it has
LOCAL = {"upload_batches", POSITION}  # of one machine: what waits to be read lies in its folder
DERIVED = {"openings"}  # of the rows of other tables: each copy makes its own (replica.py)
COUNTERS = "sqlite_sequence"  # the last numbers given, which are never given again
MOST_KEYS = 4  # columns of a primary key


class Row(NamedTuple):
    """A row: its table, its key and its values, both as JSON lists; `record` is None where it is gone."""

    table: str
    key: str
    record: str | None


@dataclass(frozen=True)
class _Table:
    name: str
    columns: tuple[str, ...]
    keys: tuple[str, ...]  # "rowid", or the columns of its primary key
    is_counter: bool  # whether its one key is the row's number itself

    @cached_property
    def written(self) -> tuple[str, ...]:
        """The columns that a record has values for."""
        return self.columns if self.is_counter or self.keys != ("rowid",) else ("rowid", *self.columns)


def _tables(connection: sqlite3.Connection) -> list[_Table]:
    found = []
    for row in connection.execute("PRAGMA main.table_list").fetchall():
        schema, name, kind, _, without_rowid = row[:5]
        if schema != "main" or kind != "table" or name in LOCAL | DERIVED or name.startswith("sqlite_"):
            continue
        columns = connection.execute(f"PRAGMA main.table_info({_quoted(name)})").fetchall()
        keys = [column[1] for column in sorted(columns, key=lambda column: column[5]) if column[5]]
        is_counter = not without_rowid and len(keys) == 1 and any(c[5] and c[2].upper() == "INTEGER" for c in columns)
        used = tuple(keys) if without_rowid or is_counter else ("rowid",)
        found.append(_Table(name, tuple(column[1] for column in columns), used, is_counter))
    return found


def watch(connection: sqlite3.Connection) -> None:
    """Note from now on the rows that this connection changes."""
    columns = ", ".join(f"k{i} NOT NULL DEFAULT ''" for i in range(MOST_KEYS))
    keys = ", ".join(f"k{i}" for i in range(MOST_KEYS))
    connection.execute("PRAGMA recursive_triggers=ON")  # what REPLACE deletes counts, too
    connection.execute(
        f"CREATE TEMP TABLE IF NOT EXISTS changed_rows (name, {columns}, PRIMARY KEY (name, {keys})) WITHOUT ROWID"
    )
    for table in _tables(connection):
        for event, sides in (("INSERT", ("NEW",)), ("DELETE", ("OLD",)), ("UPDATE", ("OLD", "NEW"))):
            notes = "".join(
                f"INSERT OR REPLACE INTO changed_rows VALUES ({_literal(table.name)}, {_key_values(table, side)}); "
                for side in sides
            )
            connection.execute(
                f"CREATE TEMP TRIGGER IF NOT EXISTS {_quoted(f'{table.name} {event}')} "
                f"AFTER {event} ON main.{_quoted(table.name)} BEGIN {notes}END"
            )


def forget(connection: sqlite3.Connection) -> None:
    """What was noted so far counts no more."""
    connection.execute("DELETE FROM temp.changed_rows")


def note_all(connection: sqlite3.Connection) -> None:
    """Note every row."""
    for table in _tables(connection):
        connection.execute(
            f"INSERT OR REPLACE INTO temp.changed_rows SELECT {_literal(table.name)}, {_key_values(table, 't')} "
            f"FROM main.{_quoted(table.name)} t"
        )


def changed(connection: sqlite3.Connection) -> Iterator[Row]:
    """The rows noted, as they are now."""
    tables = {table.name: table for table in _tables(connection)}
    names = [row[0] for row in connection.execute("SELECT DISTINCT name FROM temp.changed_rows").fetchall()]
    for table in (tables[name] for name in names):
        key = [f"c.k{i}" for i in range(len(table.keys))]
        same = " AND ".join(f"t.{_quoted(column)} = {k}" for column, k in zip(table.keys, key, strict=True))
        values = ", ".join(f"t.{_quoted(column)}" for column in table.written)
        cursor = connection.execute(
            f"SELECT {', '.join(key)}, t.{_quoted(table.keys[0])}, {values} FROM temp.changed_rows c "
            f"LEFT JOIN main.{_quoted(table.name)} t ON {same} WHERE c.name = ?",
            (table.name,),
        )
        for row in cursor:
            of_key, is_there, record = row[: len(key)], row[len(key)] is not None, row[len(key) + 1 :]
            yield Row(table.name, _json(of_key), _json(record) if is_there else None)
    for name, last in connection.execute(f"SELECT name, seq FROM {COUNTERS}").fetchall():
        if name in names:
            yield Row(COUNTERS, _json([name]), _json([name, last]))


def apply(connection: sqlite3.Connection, rows: Iterable[Row]) -> None:
    """Make the rows what they are elsewhere, within a transaction; those that are gone come first.

    The connection leaves foreign keys unchecked: rows come in no order, and those that are gone name all that went.
    """
    statements: dict[str, tuple[str, str]] = {COUNTERS: (
        f"DELETE FROM {COUNTERS} WHERE name = ?", f"INSERT INTO {COUNTERS} (name, seq) VALUES (?, ?)",
    )}  # fmt: skip
    for table in _tables(connection):
        same = " AND ".join(f"{_quoted(column)} = ?" for column in table.keys)
        columns = ", ".join(map(_quoted, table.written))
        marks = ",".join("?" * len(table.written))
        name = f"main.{_quoted(table.name)}"
        statements[table.name] = (
            f"DELETE FROM {name} WHERE {same}", f"INSERT OR REPLACE INTO {name} ({columns}) VALUES ({marks})",
        )  # fmt: skip
    for row in rows:
        remove, put = statements[row.table]
        if row.record is None or row.table == COUNTERS:
            connection.execute(remove, _values(row.key))
        if row.record is not None:
            connection.execute(put, _values(row.record))


def position(connection: sqlite3.Connection) -> int | None:
    """The version of the truth that this copy has; None of a catalogue that is no copy."""
    try:
        row = connection.execute(f"SELECT version FROM {POSITION}").fetchone()
    except sqlite3.OperationalError:
        return None
    return int(row[0]) if row else None


def set_position(connection: sqlite3.Connection, version: int) -> None:
    connection.execute(f"CREATE TABLE IF NOT EXISTS {POSITION} (version INTEGER NOT NULL)")
    connection.execute(f"DELETE FROM {POSITION}")
    connection.execute(f"INSERT INTO {POSITION} VALUES (?)", (version,))


def _key_values(table: _Table, side: str) -> str:
    values = [f"{side}.{_quoted(column)}" for column in table.keys]
    return ", ".join(values + ["''"] * (MOST_KEYS - len(values)))


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _json(values: Iterable[Any]) -> str:
    """JSON of values of SQLite; bytes, of names that are no text and of geometry, are {"bytes": base64}."""
    return json.dumps(
        [{"bytes": base64.b64encode(v).decode()} if isinstance(v, bytes) else v for v in values], separators=(",", ":")
    )


def _values(text: str) -> list[Any]:
    return [base64.b64decode(v["bytes"]) if isinstance(v, dict) else v for v in json.loads(text)]
