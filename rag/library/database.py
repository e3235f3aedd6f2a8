"""The SQLite file of a library's catalogue: its connections, its transactions, and the lock of its one writer."""

from __future__ import annotations

import json
import os
import socket
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from pathlib import Path
from typing import TypeVar

from filelock import FileLock, Timeout

from rag.errors import LibraryBusy, LibraryError
from rag.library.shared import changed_rows
from rag.library.shared.bucket import bucket_of
from rag.library.shared.postgres import Change
from rag.library.shared.replica import replica_of
from rag.library.stored_files import Locations, storable

T = TypeVar("T")
VERSION = 10  # of the catalogue's layout that this program writes; schema.py reads older ones too
IN_AT_ONCE = 500  # values of one SQL `IN (...)`


class Database:
    """The catalogue of the library in `folder`. Reading is safe from any thread: each has a connection of its own."""

    def __init__(self, folder: Path):
        self.folder = folder
        self._locations = Locations(folder)
        self._connections = threading.local()
        self._is_newest = False  # of its catalogue's layout, which then stays
        self._replica = replica_of(folder, VERSION)  # where it is a copy of what several machines share
        self._bucket = bucket_of(folder)  # where its files are, if not in the folder alone

    @property
    def generation(self) -> int:
        """Counts the catalogue's changes; an index that records a smaller one is stale."""
        return int(self._rows("SELECT value FROM state WHERE key = 'generation'")[0]["value"])

    def _connection(self) -> sqlite3.Connection:
        connection: sqlite3.Connection | None = getattr(self._connections, "connection", None)
        if self._replica and not (connection and connection.in_transaction):
            self._replica.follow()
        if connection is None:
            # To read alone SQLite still makes a file beside the catalogue, unless it knows that nobody writes.
            frozen = not os.access(self.folder, os.W_OK) and not (self.folder / "catalogue.sqlite-wal").exists()
            address = (self.folder / "catalogue.sqlite").absolute().as_uri() + ("?immutable=1" if frozen else "")
            connection = sqlite3.connect(address, uri=True, timeout=30, isolation_level=None)
            connection.row_factory = sqlite3.Row
            connection.create_function("casefold", 1, _casefold, deterministic=True)
            connection.create_function("shown_at", 2, self._shown_at, deterministic=True)
            connection.create_function("stored_as", 1, self._stored_as, deterministic=True)
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA foreign_keys=ON")
            connection.execute("PRAGMA secure_delete=ON")  # a removed document's text is overwritten, not only unlinked
            if self._replica:
                changed_rows.watch(connection)
            self._connections.connection = connection
        return connection

    @contextmanager
    def _explaining_errors(self) -> Iterator[None]:
        """Turn SQLite's errors into LibraryErrors that say what to do."""
        try:
            yield
        except sqlite3.OperationalError as error:
            raise LibraryError(
                f"{self.folder}/catalogue.sqlite: {error}. "
                "If the disk is full or the folder read-only, fix that and run it again; nothing stored is lost"
            ) from error
        except (sqlite3.DatabaseError, UnicodeDecodeError) as error:  # in a name, bytes that are no text
            raise self._damaged(error) from error

    @contextmanager
    def _making_records(self) -> Iterator[None]:
        """Turn the errors of rows that make no record, as a flipped bit leaves them, into LibraryErrors."""
        try:
            yield
        except (ValueError, TypeError, LookupError) as error:
            raise self._damaged(error) from error

    def _damaged(self, error: Exception) -> LibraryError:
        return LibraryError(
            f"{self.folder}/catalogue.sqlite is damaged: {error}. "
            "Put a copy of it back, or ingest the documents into a new folder"
        )

    # -- paths, as functions of SQL ------------------------------------------------------------------------------

    def _stored_as(self, path: str | bytes) -> str | bytes:
        """How the catalogue names the file at an absolute path."""
        return storable(self._locations.stored(os.fsdecode(path)))

    def _shown_at(self, path: str | bytes, shown: str | bytes) -> str | bytes:
        """What people see of a stored path that was given as `shown`."""
        return storable(self._locations.shown(os.fsdecode(path), os.fsdecode(shown)))

    # -- reading -------------------------------------------------------------------------------------------------

    def _rows(self, statement: str, values: Sequence[object] = ()) -> list[sqlite3.Row]:
        with self._explaining_errors():
            return self._connection().execute(statement, values).fetchall()

    def _rows_in(self, statement: str, values: Sequence[object]) -> Iterator[sqlite3.Row]:
        """The rows of a statement with `{}` for the values of an IN, of which SQLite takes a limited number."""
        for first in range(0, len(values), IN_AT_ONCE):
            batch = values[first : first + IN_AT_ONCE]
            yield from self._rows(statement.format(",".join("?" * len(batch))), batch)

    def _layout(self) -> int:
        """The layout of the catalogue, 1 to VERSION."""
        if self._is_newest:
            return VERSION
        layout = int(self._rows("PRAGMA user_version")[0][0])
        self._is_newest = layout == VERSION
        return layout

    def _read_since(self, layout: int, default: T, read: Callable[..., T], *values: object) -> T:
        """What `read(connection, *values)` finds; `default` where the catalogue's layout is older than this one."""
        if self._layout() < layout:
            return default
        with self._explaining_errors():
            return read(self._connection(), *values)

    def _by_layout(self, read: Callable[[int], T]) -> T:
        """What `read(layout)` finds; it is called again if a writer has just brought the catalogue up to date."""
        layout = self._layout()
        try:
            return read(layout)
        except LibraryError:
            if self._layout() == layout:
                raise
            return read(self._layout())

    def copy_to(self, file: Path) -> None:
        """Copy the catalogue, as it stands at one moment, to a new file, while others read and write it."""
        with self._explaining_errors(), closing(sqlite3.connect(file)) as copy:
            self._connection().backup(copy)

    # -- writing -------------------------------------------------------------------------------------------------

    @contextmanager
    def _transaction(self) -> Iterator[tuple[sqlite3.Connection, int]]:
        """A write transaction, with the generation that its changes get."""
        with self._atomic() as connection:
            connection.execute("UPDATE state SET value = value + 1 WHERE key = 'generation'")
            yield connection, connection.execute("SELECT value FROM state WHERE key = 'generation'").fetchone()[0]

    @contextmanager
    def _atomic(self) -> Iterator[sqlite3.Connection]:
        """A write transaction that leaves the generation as it is."""
        with self._explaining_errors(), self._changing() as change:
            connection = self._connection()
            connection.execute("BEGIN IMMEDIATE")
            try:
                if change:
                    changed_rows.forget(connection)
                yield connection
                if change:
                    version = change.commit(changed_rows.changed(connection), VERSION)
                    changed_rows.set_position(connection, version)
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:  # a full disk may have ended it already
                    connection.execute("ROLLBACK")
                raise

    def _changing(self) -> AbstractContextManager[Change | None]:
        """Where several machines share the catalogue, it is locked on all of them."""
        return self._replica.changing() if self._replica else nullcontext()


def holding(what: str) -> str:
    """What others are told of this process while it writes."""
    return f"process {os.getpid()} on {socket.gethostname()} ({what}, since {time.strftime('%F %T')})"


class WriterLock:
    """The lock of a library's one writer: the file writer.lock in `folder`, with writer.json that names the holder."""

    def __init__(self, folder: Path):
        self._folder = folder
        self._holder_file = folder / "writer.json"

    @contextmanager
    def hold(self, what: str) -> Iterator[None]:
        """Hold the lock; `what` is shown to the others. Raises LibraryBusy, which names the present holder."""
        try:
            lock = FileLock(self._folder / "writer.lock", timeout=0)
            lock.acquire()
        except Timeout:
            raise LibraryBusy(f"{self._folder} is being written by {self._who()}. Wait for it, or stop it") from None
        except OSError as error:
            raise LibraryError(f"{self._folder} cannot be written: {error}. Check its permissions") from error
        try:
            holder = {"pid": os.getpid(), "what": holding(what)}
            try:
                self._holder_file.write_text(json.dumps(holder))
            except OSError as error:
                raise LibraryError(f"{self._folder} cannot be written: {error}. Fix that and run it again") from error
            yield
        finally:
            self._holder_file.unlink(missing_ok=True)
            lock.release()

    def holder(self) -> int | None:
        """The id of the process that holds the lock, as far as it says so; None if nobody does."""
        try:
            return int(json.loads(self._holder_file.read_text())["pid"])
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def _who(self) -> str:
        try:
            return str(json.loads(self._holder_file.read_text())["what"])
        except (OSError, ValueError, KeyError, TypeError):
            return "another process"


def _casefold(value: str | bytes | None) -> str | bytes | None:
    return value.casefold() if isinstance(value, str) else value
