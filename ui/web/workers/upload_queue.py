"""Uploads that wait to be read: a queue in the catalogue, from which the workers of any process take batch after batch.

A batch is leased: its worker says every few seconds that it lives. When one was killed its lease runs out, and another
takes the batch up. The files lie in the library's folder arriving/BATCH until the batch has ended. The queue is written
as conversations are, without the writer's lock and leaves the generation as it is.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from rag.errors import LibraryError
from rag.library.database import Database

LEASE_SECONDS = 12.0
MOST_ATTEMPTS = 3  # retries of a batch whose workers died, before it is given up
SHOWN_SECONDS = 600.0  # for which a batch that has ended is listed
State = Literal["waiting", "running", "stopping", "ended"]
Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Batch:
    """Files that were added together: in arriving/BATCH, or those of a `folder` of this machine, which stay there.

    `rows` say how far each file is, as its worker said last; `attempts` counts the workers that took it.
    """

    batch_id: str
    files: tuple[Path, ...]
    folder: str
    passwords: tuple[str, ...]
    state: State
    attempts: int
    rows: tuple[Row, ...]


class UploadQueue(Database):
    """The batches of one library. Safe from any thread and process. Raises LibraryError as the catalogue does."""

    def add(self, files: Sequence[Path], passwords: Sequence[str] = (), folder: str = "") -> Batch:
        """Put a batch behind the others; its files are moved. A file that is not there is named where it was."""
        batch_id, now = secrets.token_urlsafe(6), time.time()
        moved = tuple(self._moved(file, batch_id, number) for number, file in enumerate(files))
        row = (batch_id, json.dumps([str(file) for file in moved]), folder, json.dumps(list(passwords)), now, now)
        with self._atomic() as connection:
            connection.execute(
                "INSERT INTO upload_batches (batch_id, files, folder, passwords, state, added, changed) "
                "VALUES (?, ?, ?, ?, 'waiting', ?, ?)",
                row,
            )
        return Batch(batch_id, moved, folder, tuple(passwords), "waiting", 0, ())

    def take(self, worker: str, batch_id: str = "", now: float | None = None) -> Batch | None:
        """Lease the first batch that nobody reads, or the one named; None where there is none.

        One that has ended MOST_ATTEMPTS workers is given up: it ends.
        """
        now = time.time() if now is None else now
        with self._atomic() as connection:
            connection.execute(
                "UPDATE upload_batches SET state = 'ended', passwords = '[]', changed = ? "
                "WHERE state IN ('running', 'stopping') AND leased_until < ? AND attempts >= ?",
                (now, now, MOST_ATTEMPTS),
            )
            row = connection.execute(
                "SELECT * FROM upload_batches WHERE (state = 'waiting' OR (state IN ('running', 'stopping') AND "
                "leased_until < ?)) AND (? = '' OR batch_id = ?) ORDER BY added, batch_id LIMIT 1",
                (now, batch_id, batch_id),
            ).fetchone()
            if row is None:
                return None
            connection.execute(
                "UPDATE upload_batches SET state = 'running', worker = ?, leased_until = ?, attempts = attempts + 1, "
                "changed = ? WHERE batch_id = ?",
                (worker, now + LEASE_SECONDS, now, row["batch_id"]),
            )
        return _batch(row)

    def unread(self) -> list[Batch]:
        """The batches that nobody reads: they wait, or their worker was killed."""
        rows = self._rows(
            "SELECT * FROM upload_batches WHERE state = 'waiting' OR (state IN ('running', 'stopping') "
            "AND leased_until < ?) ORDER BY added, batch_id",
            (time.time(),),
        )
        return [_batch(row) for row in rows]

    def renew(self, batch_id: str, worker: str, rows: Sequence[Row]) -> State | None:
        """Say that its worker lives, and how far it is; the batch's state, None where another has taken it up."""
        now = time.time()
        with self._atomic() as connection:
            connection.execute(
                "UPDATE upload_batches SET leased_until = ?, rows = ?, changed = ? WHERE batch_id = ? AND worker = ? "
                "AND state IN ('running', 'stopping')",
                (now + LEASE_SECONDS, json.dumps(list(rows)), now, batch_id, worker),
            )
        found = self._rows("SELECT state FROM upload_batches WHERE batch_id = ? AND worker = ?", (batch_id, worker))
        state: State | None = found[0]["state"] if found else None
        return state

    def release(self, batch_id: str, worker: str) -> None:
        """Put a batch back whose worker ends in order: it does not count as an attempt."""
        with self._atomic() as connection:
            connection.execute(
                "UPDATE upload_batches SET state = 'waiting', worker = '', rows = '[]', "
                "attempts = max(attempts - 1, 0), changed = ? "
                "WHERE batch_id = ? AND worker = ?",
                (time.time(), batch_id, worker),
            )

    def end(self, batch_id: str, worker: str, rows: Sequence[Row]) -> None:
        """It has been read, or was stopped: its files are deleted, and its passwords."""
        with self._atomic() as connection:
            ended = connection.execute(
                "UPDATE upload_batches SET state = 'ended', passwords = '[]', rows = ?, changed = ? "
                "WHERE batch_id = ? AND worker = ?",
                (json.dumps(list(rows)), time.time(), batch_id, worker),
            ).rowcount
        if ended:
            shutil.rmtree(self._arriving(batch_id), ignore_errors=True)

    def stop(self, batch_id: str) -> None:
        """Have its worker stop it; one that waits ends at once."""
        now = time.time()
        with self._atomic() as connection:
            connection.execute(
                "UPDATE upload_batches SET state = CASE state WHEN 'waiting' THEN 'ended' ELSE 'stopping' END, "
                "changed = ? WHERE batch_id = ? AND state IN ('waiting', 'running')",
                (now, batch_id),
            )

    def listed(self) -> list[Batch]:
        """What waits, is read, or ended lately, in the order it was added."""
        since = time.time() - SHOWN_SECONDS
        rows: list[Any] = self._read_since(
            8,
            [],
            lambda connection: connection.execute(
                "SELECT * FROM upload_batches WHERE state <> 'ended' OR changed > ? ORDER BY added, batch_id", (since,)
            ).fetchall(),
        )
        return [_batch(row) for row in rows]

    @property
    def version(self) -> str:
        """Another one whenever a batch has changed."""
        found = self._read_since(8, None, lambda connection: connection.execute(
            "SELECT count(*), coalesce(max(changed), 0) FROM upload_batches"
        ).fetchone())  # fmt: skip
        return "" if found is None else f"{found[0]}-{found[1]}"

    def purge(self) -> None:
        """Forget what ended long ago, and delete files of batches that nobody knows."""
        with self._atomic() as connection:
            old = time.time() - SHOWN_SECONDS
            connection.execute("DELETE FROM upload_batches WHERE state = 'ended' AND changed < ?", (old,))
            rows = connection.execute("SELECT batch_id FROM upload_batches WHERE state <> 'ended'")
            known = {row["batch_id"] for row in rows}
        for folder in (self.folder / "arriving").glob("*"):
            if folder.name not in known and time.time() - folder.stat().st_mtime > SHOWN_SECONDS:
                shutil.rmtree(folder, ignore_errors=True)

    def lent(self, batch_id: str, files: Sequence[Path]) -> list[Path]:
        """Other names of a batch's files, for who reads and then deletes them: the files stay until it has ended."""
        folder = self._arriving(batch_id) / "reading"
        shutil.rmtree(folder, ignore_errors=True)
        copies = []
        for number, file in enumerate(files):
            copy = folder / str(number) / file.name
            copy.parent.mkdir(parents=True)
            with suppress(FileNotFoundError):  # which is said when it is read
                _link(file, copy)
            copies.append(copy)
        return copies

    def _arriving(self, batch_id: str) -> Path:
        return self.folder / "arriving" / batch_id

    def _moved(self, file: Path, batch_id: str, number: int) -> Path:
        """Where a file lies now: two of one name may be in one batch. Raises LibraryError for a full disk."""
        target = self._arriving(batch_id) / str(number) / file.name
        if not file.is_file():
            return file
        try:
            target.parent.mkdir(parents=True)
            with suppress(OSError):  # of another disk, say
                os.replace(file, target)
                return target
            shutil.copyfile(file, target)
            file.unlink(missing_ok=True)
        except OSError as error:
            shutil.rmtree(self._arriving(batch_id), ignore_errors=True)
            raise LibraryError(f"{file.name}: cannot be kept: {error.strerror}. Free some disk space") from error
        return target


def _link(file: Path, copy: Path) -> None:
    """Another name for a file, or a copy where the disk has one name a file."""
    try:
        os.link(file, copy)
    except FileNotFoundError:
        raise
    except OSError:
        shutil.copyfile(file, copy)


def _batch(row: Any) -> Batch:
    return Batch(
        row["batch_id"], tuple(map(Path, json.loads(row["files"]))), row["folder"], tuple(json.loads(row["passwords"])),
        row["state"], row["attempts"], tuple(json.loads(row["rows"])),
    )  # fmt: skip
