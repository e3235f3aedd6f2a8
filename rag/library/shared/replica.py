"""A library's folder as a copy of a catalogue in PostgreSQL: it follows what others change, and hands on its changes.

The folder's catalogue.sqlite is read as any library's; before it is read, at most twice a second, what is newer in
PostgreSQL is taken over. A transaction locks the catalogue there, catches up, writes here, hands on the rows that it
changed, and is in force once PostgreSQL has them: killed at any moment it has happened on all machines or on none.
While PostgreSQL does not answer the copy is read as it is, and nothing can be written.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from functools import cache
from pathlib import Path

from rag.errors import LibraryError, UsageError
from rag.library.mentions import stored_openings
from rag.library.shared import bucket, changed_rows
from rag.library.shared.own_files import drop_copies, own_files
from rag.library.shared.postgres import Change, PostgresCatalogue

log = logging.getLogger("glossator")

FILE = "catalogue.json"  # in the library's folder: where its truth is
FOLLOW_SECONDS = 0.5  # at most so long another machine's change is not seen
WARN_SECONDS = 60.0
TEXTS_AT_ONCE = 500  # passages read together


class Replica:
    """The copy in one folder. Safe from any thread and process."""

    def __init__(self, folder: Path, truth: PostgresCatalogue, layout: int):
        """`layout` is the one that this program writes."""
        self.folder, self.truth, self._layout = folder, truth, layout
        self._looked = self._warned = float("-inf")
        self._lock = threading.Lock()

    def follow(self) -> None:
        """Take over what is newer there, unless that has just been looked for, or somebody writes here just now."""
        if time.monotonic() - self._looked < FOLLOW_SECONDS or not self._lock.acquire(blocking=False):
            return
        try:
            self.catch_up()
        except (LibraryError, sqlite3.OperationalError) as error:
            if time.monotonic() - self._warned > WARN_SECONDS:
                self._warned = time.monotonic()
                log.warning("%s", error)
        finally:
            self._looked = time.monotonic()
            self._lock.release()

    def catch_up(self) -> None:
        """Take over what is newer there. Raises LibraryError; sqlite3.OperationalError where another writes here."""
        with self.truth.lock:
            state = self.truth.state()
            if state is None:
                raise LibraryError(
                    f"{self.truth} has no catalogue {self.truth.name!r} any more. Restore it there, or make this "
                    f"folder a library of its own: delete {self.folder / FILE}"
                )
            self._check(*state)
            self._take_over(state[1], self.truth.rows_since)

    @contextmanager
    def changing(self) -> Iterator[Change]:
        """The catalogue there, locked, with this copy level with it. Raises as catch_up."""
        with self.truth.changing() as change:
            self._check(change.layout, change.version)
            self._take_over(change.version, change.rows_since)
            yield change

    def _check(self, layout: int, version: int) -> None:
        if layout > self._layout:
            raise LibraryError(
                f"{self.truth}: a newer version of glossator writes this library. Install it here, too; until then "
                "what is here already can be read"
            )
        with closing(_connect(self.folder)) as connection:
            if version < (changed_rows.position(connection) or 0):
                raise LibraryError(
                    f"{self.folder} is ahead of {self.truth}, which was put back to an earlier state. "
                    "Open the library in a new folder"
                )

    def _take_over(self, version: int, rows_since: Callable[[int], Iterator[tuple[int, changed_rows.Row]]]) -> None:
        with closing(_connect(self.folder)) as connection:
            if changed_rows.position(connection) == version:
                return
            with _transaction(connection):
                newest = before = changed_rows.position(connection) or 0  # another process may just have followed
                put: list[int] = []  # passages
                files: set[str] | None = None  # of its own, before anything went; looked for where a bucket has them
                something_left = False

                def rows() -> Iterator[changed_rows.Row]:
                    nonlocal newest, something_left, files
                    for version, row in rows_since(before):
                        if files is None and row.record is None and (self.folder / bucket.FILE).exists():
                            files = own_files(connection)
                        newest = max(newest, version)
                        something_left |= row.table == "removals"
                        if row.table == "passages":
                            (number,) = json.loads(row.key)
                            stored_openings.forget(connection, _texts(connection, [number]))
                            if row.record is not None:
                                put.append(number)
                        yield row

                changed_rows.apply(connection, rows())
                for first in range(0, len(put), TEXTS_AT_ONCE):
                    stored_openings.enter(connection, _texts(connection, put[first : first + TEXTS_AT_ONCE]))
                gone = files - own_files(connection) if files else set[str]()
                if newest > before:
                    changed_rows.set_position(connection, newest)
                if something_left:
                    shutil.rmtree(self.folder / "precedents", ignore_errors=True)  # which holds its text
            drop_copies(self.folder, gone)


def replica_of(folder: Path, layout: int) -> Replica | None:
    """The copy in a folder; None where it is a library of its own."""
    if not os.path.isfile(folder / FILE):
        return None
    try:
        about = json.loads((folder / FILE).read_text("utf-8"))
        return _replica(folder.absolute(), str(about["address"]), str(about["name"]), layout)
    except (OSError, ValueError, LookupError, TypeError, UsageError) as error:
        raise LibraryError(f"{folder / FILE} cannot be read: {error}. Delete it, and set library.catalogue") from error


@cache
def _replica(folder: Path, address: str, name: str, layout: int) -> Replica:
    return Replica(folder, PostgresCatalogue(address, name), layout)


def is_there(folder: Path, address: str) -> bool:
    """Whether PostgreSQL has a catalogue for a folder of this name."""
    return PostgresCatalogue(address, _name_of(folder)).state() is not None


def join(folder: Path, address: str, layout: int) -> Replica:
    """Make the library in a folder a copy, by the folder's name, of the catalogue at `address`.

    Where there is none it gets this library's rows, else this library must be empty. Raises LibraryError, UsageError.
    """
    truth = PostgresCatalogue(address, _name_of(folder))
    with closing(_connect(folder)) as connection:
        if truth.state() is None:
            truth.create(layout)
        with truth.changing() as change, _transaction(connection):
            if change.version == 0:
                changed_rows.watch(connection)
                changed_rows.note_all(connection)
                version = change.commit(changed_rows.changed(connection), layout)
                changed_rows.set_position(connection, version)
            elif not _is_empty(connection):
                raise LibraryError(
                    f"{folder} has documents or conversations, and {truth} has others under the name {truth.name!r}. "
                    "Name another folder, or another database"
                )
            else:
                changed_rows.set_position(connection, 0)
    fresh = folder / f"{FILE}.new"
    fresh.touch(mode=0o600)  # the address may have a password
    fresh.write_text(json.dumps({"address": address, "name": truth.name}), "utf-8")
    os.replace(fresh, folder / FILE)
    joined = _replica(folder.absolute(), address, truth.name, layout)
    joined.catch_up()
    return joined


def _name_of(folder: Path) -> str:
    return folder.resolve().name


def _is_empty(connection: sqlite3.Connection) -> bool:
    counted = "SELECT (SELECT value FROM state WHERE key = 'generation') + (SELECT count(*) FROM conversations)"
    return not connection.execute(counted).fetchone()[0]


def _texts(connection: sqlite3.Connection, numbers: Sequence[int]) -> dict[int, str]:
    """The passages with these numbers, at most TEXTS_AT_ONCE: catalogue number -> text."""
    marks = ",".join("?" * len(numbers))
    return dict(connection.execute(f"SELECT number, text FROM passages WHERE number IN ({marks})", numbers))


def _connect(folder: Path) -> sqlite3.Connection:
    """A connection that notes nothing and checks no foreign keys."""
    connection = sqlite3.connect(folder / "catalogue.sqlite", timeout=30, isolation_level=None)
    connection.execute("PRAGMA secure_delete=ON")
    return connection


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
