"""Catalogues in PostgreSQL (pg8000): the rows of each as they are, with the version at which a row changed last.

    glossator_catalogues   one row a library: its layout, its version, who writes
    glossator_rows         one row for each row of its tables: key and values as JSON; without values once it is gone

A change locks the library's row, so changes come one after the other, each with the next version; a copy asks for what
is newer than it has. Of a row that is gone only the key is left: a removed document's text is deleted here, too.
"""

from __future__ import annotations

import getpass
import hashlib
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from rag.errors import LibraryBusy, LibraryError, UsageError, first_line_of
from rag.library.shared.changed_rows import Row

SCHEMA = (
    "CREATE TABLE IF NOT EXISTS glossator_catalogues (catalogue text PRIMARY KEY, layout integer NOT NULL, "
    "version bigint NOT NULL DEFAULT 0, holder text NOT NULL DEFAULT '')",
    "CREATE TABLE IF NOT EXISTS glossator_rows (catalogue text NOT NULL REFERENCES glossator_catalogues, "
    "table_name text NOT NULL, digest text NOT NULL, key text NOT NULL, version bigint NOT NULL, record text, "
    "PRIMARY KEY (catalogue, table_name, digest))",
    "CREATE INDEX IF NOT EXISTS glossator_rows_by_version ON glossator_rows (catalogue, version)",
)
PUT = (
    "INSERT INTO glossator_rows SELECT :catalogue, r.table_name, r.digest, r.key, :version, r.record FROM unnest("
    "CAST(:tables AS text[]), CAST(:digests AS text[]), CAST(:keys AS text[]), CAST(:records AS text[])) "
    "AS r (table_name, digest, key, record) ON CONFLICT (catalogue, table_name, digest) "
    "DO UPDATE SET version = excluded.version, record = excluded.record"
)
NEWER = (
    "DECLARE newer NO SCROLL CURSOR FOR SELECT version, table_name, key, record FROM glossator_rows "
    "WHERE catalogue = :catalogue AND version > :version ORDER BY record IS NOT NULL"  # what is gone comes first
)
ROWS, CHARACTERS = 1_000, 4_000_000  # of one statement, at most about
SECONDS = 60.0  # that an answer may take
IDLE_SECONDS = 5.0  # after which a connection is tried before it is used
PREFIXES = ("postgresql://", "postgres://")
Run = Callable[..., list[list[Any]]]


class PostgresCatalogue:
    """One library's catalogue there. Safe from any thread; a process has one connection, and one more while it writes.

    Every method raises LibraryError where PostgreSQL does not answer, or refuses.
    """

    def __init__(self, address: str, name: str):
        """`address` is postgresql://user@host:port/database, `name` tells its libraries apart.

        Without a password in it $PGPASSWORD counts; ?sslmode=verify-full or disable, else TLS where the server has it.
        """
        self.address, self.name = address, name
        self._connect_with = _arguments(address)
        self.lock = threading.RLock()  # of the connection; taken before the lock of a copy, never after it
        self._open: tuple[int, Any] | None = None  # the process, its connection
        self._used = 0.0  # when it answered last

    def state(self) -> tuple[int, int] | None:
        """Its layout and its version; None while there is none."""
        with self._running() as run:
            rows = run("SELECT to_regclass('glossator_catalogues')")
            if rows[0][0] is None:
                return None
            rows = run("SELECT layout, version FROM glossator_catalogues WHERE catalogue = :name", name=self.name)
            return (int(rows[0][0]), int(rows[0][1])) if rows else None

    def create(self, layout: int) -> None:
        """Make it, without rows; nothing happens where it is there."""
        with self._running() as run:
            run("SELECT pg_advisory_lock(7370)")  # IF NOT EXISTS alone fails for two at once
            try:
                for statement in SCHEMA:
                    run(statement)
            finally:
                run("SELECT pg_advisory_unlock(7370)")
            run(
                "INSERT INTO glossator_catalogues (catalogue, layout) VALUES (:name, :layout) ON CONFLICT DO NOTHING",
                name=self.name, layout=layout,
            )  # fmt: skip

    def rows_since(self, version: int) -> Iterator[tuple[int, Row]]:
        """(version, row) of what has changed since a version, as it stood at one moment; what is gone comes first."""
        with self._running() as run:
            run("START TRANSACTION READ ONLY")
            yield from _newer(run, self.name, version)
            run("ROLLBACK")

    @contextmanager
    def changing(self) -> Iterator[Change]:
        """A change, for which all others wait. It is in force once its `commit` has returned, else nothing happened."""
        with self._running() as run:
            run("START TRANSACTION")
            rows = run(
                "SELECT layout, version FROM glossator_catalogues WHERE catalogue = :name FOR UPDATE", name=self.name
            )
            if not rows:
                raise LibraryError(f"{self} has no catalogue {self.name!r} any more. Restore it there")
            change = Change(self.name, int(rows[0][0]), int(rows[0][1]), run)
            yield change
            if not change.is_committed:
                run("ROLLBACK")

    @contextmanager
    def writer(self, what: str) -> Iterator[None]:
        """Be the one writer. Raises LibraryBusy, which says who is."""
        lock = int.from_bytes(hashlib.sha256(self.name.encode()).digest()[:8], "big", signed=True)
        with self._explaining():
            connection = self._connected()
        try:
            with self._explaining():
                if not connection.run("SELECT pg_try_advisory_lock(:lock)", lock=lock)[0][0]:
                    found = connection.run(
                        "SELECT holder FROM glossator_catalogues WHERE catalogue = :name", name=self.name
                    )
                    holder = (found and found[0][0]) or "another process"
                    raise LibraryBusy(f"{self.name} is being written by {holder}. Wait for it, or stop it")
                connection.run(
                    "UPDATE glossator_catalogues SET holder = :what WHERE catalogue = :name", what=what, name=self.name
                )
            yield
        finally:
            connection.close()  # with which the lock goes

    def __str__(self) -> str:
        parts = urlsplit(self.address)
        return f"PostgreSQL at {parts.hostname or 'this machine'}{parts.path}"

    # -- the connection ------------------------------------------------------------------------------------------------

    @contextmanager
    def _running(self) -> Iterator[Run]:
        """A function that runs a statement. After an error the connection, and with it any transaction, is closed."""
        with self.lock:
            connection = self._connection()

            def run(statement: str, **values: Any) -> list[list[Any]]:
                with self._explaining():
                    return connection.run(statement, **values) or []

            try:
                yield run
                self._used = time.monotonic()
            except BaseException:
                self._close()
                raise

    def _connection(self) -> Any:
        if self._open is not None and self._open[0] == os.getpid():
            if time.monotonic() - self._used < IDLE_SECONDS:
                return self._open[1]
            try:
                self._open[1].run("SELECT 1")  # the server may have been started again
                return self._open[1]
            except _failures():
                self._close()
        with self._explaining():
            self._open = os.getpid(), self._connected()
        return self._open[1]

    def _close(self) -> None:
        if self._open is not None:
            connection, self._open = self._open[1], None
            try:
                connection.close()
            except _failures():  # it has gone already
                return

    def _connected(self) -> Any:
        from pg8000.native import Connection

        return Connection(**self._connect_with, timeout=SECONDS, application_name="glossator")

    @contextmanager
    def _explaining(self) -> Iterator[None]:
        failures = _failures()
        try:
            yield
        except failures as error:
            raise LibraryError(
                f"{self} does not answer: {_said(error)}. Check library.catalogue and the server. "
                "What is here already can be read meanwhile"
            ) from error


class Change:
    """What one transaction reads and writes. `layout` and `version` are those of the catalogue before it."""

    def __init__(self, name: str, layout: int, version: int, run: Run):
        self.layout, self.version, self.is_committed = layout, version, False
        self._name, self._run = name, run

    def rows_since(self, version: int) -> Iterator[tuple[int, Row]]:
        """As PostgresCatalogue.rows_since."""
        return _newer(self._run, self._name, version)

    def commit(self, rows: Iterable[Row], layout: int) -> int:
        """Write rows, in a catalogue of this layout from now on; the version that they have got."""
        waiting, written = iter(rows), 0
        while batch := _batch(waiting):
            self._run(
                PUT, catalogue=self._name, version=self.version + 1, tables=[row.table for row in batch],
                digests=[hashlib.sha256(row.key.encode()).hexdigest() for row in batch],
                keys=[row.key for row in batch], records=[row.record for row in batch],
            )  # fmt: skip
            written += len(batch)
        version = self.version + bool(written)
        if written or layout != self.layout:
            self._run(
                "UPDATE glossator_catalogues SET version = :version, layout = :layout WHERE catalogue = :name",
                version=version, layout=layout, name=self._name,
            )  # fmt: skip
        self._run("COMMIT")
        self.is_committed = True
        return version


def _newer(run: Run, name: str, version: int) -> Iterator[tuple[int, Row]]:
    run(NEWER, catalogue=name, version=version)
    while rows := run(f"FETCH {ROWS} FROM newer"):
        for newer, *row in rows:
            yield int(newer), Row(*row)
    run("CLOSE newer")


def _batch(rows: Iterator[Row]) -> list[Row]:
    """The next rows, as many as one statement takes."""
    batch, size = list[Row](), 0
    for row in islice(rows, ROWS):
        batch.append(row)
        size += len(row.key) + len(row.record or "")
        if size > CHARACTERS:
            break
    return batch


def _arguments(address: str) -> dict[str, Any]:
    """How pg8000 is asked for a connection. Raises UsageError for an address that is none."""
    import ssl

    try:
        parts = urlsplit(address)
        port = parts.port or 5432
    except ValueError:
        parts, port = urlsplit(""), 0
    options = {name: values[-1] for name, values in parse_qs(parts.query).items()}
    host = options.pop("host", "") or unquote(parts.hostname or "") or "localhost"
    mode = options.pop("sslmode", "prefer")
    tls: dict[str, Any] = {"prefer": None, "disable": False, "verify-full": ssl.create_default_context()}
    database = unquote(parts.path.lstrip("/"))
    if not address.startswith(PREFIXES) or not database or options or mode not in tls:
        raise UsageError(
            "library.catalogue is no address of PostgreSQL. Write it as postgresql://user@host:5432/database, "
            "with ?sslmode=verify-full or disable where that is wanted"
        )
    user = unquote(parts.username or "") or os.environ.get("PGUSER") or getpass.getuser()
    password = unquote(parts.password or "") or os.environ.get("PGPASSWORD")
    found: dict[str, Any] = {"user": user, "password": password, "database": database, "port": port}
    if host.startswith("/"):
        return {**found, "unix_sock": f"{host}/.s.PGSQL.{port}", "ssl_context": False}
    return {**found, "host": host, "ssl_context": tls[mode]}


def _failures() -> tuple[type[Exception], ...]:
    """What pg8000 raises."""
    from pg8000.exceptions import Error

    return Error, OSError


def _said(error: BaseException) -> str:
    """What PostgreSQL says: pg8000's errors hold its message as a field."""
    fields = error.args[0] if error.args else ""
    return str(fields.get("M", fields)) if isinstance(fields, dict) else first_line_of(error)
