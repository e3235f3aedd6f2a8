"""Documents on their way into the library and out of it: a thread of their own, one batch after the other."""

from __future__ import annotations

import os
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from ingest.build import Outcome, build, changing
from ingest.child_process import Stopped
from ingest.uploads import UploadFolder, remove_document
from rag.errors import LibraryBusy, LibraryError, RagError
from rag.index.manager import Indexes
from ui.web.workers.jobs import CALLED_OFF, Job, Worker, logged
from ui.web.workers.upload_job import RowState, UploadJob, UploadRow
from ui.web.workers.upload_queue import Batch, UploadQueue

UNDO_SECONDS = 10.0  # for which a removal can be undone
LOOK_SECONDS = 2.0  # between two looks at whether there is something to take up
BEAT_SECONDS = 1.0  # between two signs of life of whoever reads a batch
BUSY_SECONDS = 2.0  # until it is tried again where another process writes to the library


class UploadWorker(Worker):
    """Ingests uploads, renames documents, and removes them.

    What is to be read stands in the library's queue. Where it `reads`, this process takes what it adds itself, and what
    a process that was killed has left; else it is left to another one (`glossator worker`).
    """

    def __init__(self, indexes: Indexes, reads: bool = True):
        super().__init__()
        self._indexes, self._reads = indexes, reads
        self._queue = UploadQueue(indexes.library.folder)
        self._name = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"
        self._closing = threading.Event()
        self._adding = threading.Lock()  # what is added here is begun before it can be taken up
        self._folder = UploadFolder(indexes)
        self._recent: list[UploadJob] = []
        self._cleared: set[str] = set()
        self._leaving: dict[str, float] = {}  # documents that are removed at this time, unless that is undone
        self._changes = 0
        self._rows_lock = threading.Lock()

    def start(self, files: Sequence[str], passwords: Sequence[str]) -> UploadJob:
        """Begin to ingest, or leave it to another process; the rows tell what comes of it."""
        return self._add([Path(file) for file in files], passwords, "")

    def start_folder(self, folder: Path) -> UploadJob:
        """Begin to ingest the files of a folder of this machine, which stay where they are."""
        return self._add([], (), str(folder))

    def _add(self, files: Sequence[Path], passwords: Sequence[str], folder: str) -> UploadJob:
        try:
            with self._adding:
                batch = self._queue.add(files, passwords, folder)
                if self._reads:
                    return self._start(batch)
        except LibraryError as error:  # a full disk, or a library that cannot be written
            job = UploadJob(files, passwords, folder=folder)
            job.error, job.result = str(error), Future()
            job.result.set_exception(error)
            with self._rows_lock:
                self._list(job)
            return job
        return UploadJob(batch.files, passwords, batch.batch_id, folder)

    def _start(self, batch: Batch) -> UploadJob:
        job = UploadJob(batch.files or [Path(batch.folder)], batch.passwords, batch.batch_id, batch.folder)
        with self._rows_lock:
            self._begin(job, self._read)
            self._list(job)
        return job

    def _list(self, job: UploadJob) -> None:
        """Show its rows. The caller holds the lock."""
        self._recent = [*self._recent[-20:], job]
        self._changes += 1

    def claimed(self) -> set[Path]:
        """The uploads that are being ingested, or wait for that."""
        return {file for job in self._under_way() if isinstance(job, UploadJob) for file in job.files}

    @property
    def version(self) -> str:
        """Another one whenever `rows` or `leaving` have changed."""
        with self._rows_lock:
            reported = sum(job.version for job in self._recent)
            ended = sum(job.result.done() for job in self._recent)
            return f"{self._changes}.{reported}.{ended}.{self._queue.version}"

    def rows(self) -> list[UploadRow]:
        """The files that are being added, here or by another process, and what became of those of the last batches."""
        with self._rows_lock:
            jobs, cleared = list(self._recent), set(self._cleared)
        here = {job.job_id for job in jobs}
        elsewhere = [row for batch in self._queue.listed() if batch.batch_id not in here for row in rows_of(batch)]
        return [row for row in (*(r for job in jobs for r in job.rows()), *elsewhere) if row.upload_id not in cleared]

    def forget(self, upload_id: str) -> None:
        """Clear a row; of files that are being read, stop their batch. Raises LibraryError for an unknown one."""
        if all(row.upload_id != upload_id for row in self.rows()):
            raise LibraryError("there is no such upload (any more)")
        with self._rows_lock:
            for job in self._recent:
                if upload_id.startswith(f"{job.job_id}.") and not job.result.done():
                    job.stop.set()
            self._cleared.add(upload_id)
            self._changes += 1
        if batch := next((b for b in self._queue.listed() if upload_id.startswith(f"{b.batch_id}.")), None):
            self._queue.stop(batch.batch_id)

    # -- removing and renaming -------------------------------------------------------------------------------------

    @property
    def leaving(self) -> frozenset[str]:
        """The documents whose removal can still be undone."""
        with self._rows_lock:
            return frozenset(self._leaving)

    def remove_soon(self, document_id: str) -> float:
        """Remove a document after UNDO_SECONDS, which are returned. Raises LibraryError for an unknown one."""
        if not self._indexes.library.documents([document_id]):
            raise LibraryError("there is no such document (any more)")
        with self._rows_lock:
            self._leaving[document_id] = time.monotonic() + UNDO_SECONDS
            self._changes += 1
        timer = threading.Timer(UNDO_SECONDS, self._begin_removal, (document_id,))
        timer.daemon = True
        timer.start()
        return UNDO_SECONDS

    def keep(self, document_id: str) -> bool:
        """Undo a removal; whether it was in time."""
        with self._rows_lock:
            self._changes += 1
            return self._leaving.pop(document_id, None) is not None

    def rename(self, document_id: str, title: str) -> None:
        """Give a document another title, by which it is listed, cited and found. Raises LibraryError."""
        with changing(self._indexes.library, self._indexes, "glossator serve: rename") as update:
            self._indexes.library.rename(document_id, title)
            update()

    def close(self, seconds: float) -> bool:
        ended = super().close(seconds)
        for document_id in self.leaving:  # who asked for it does not expect it to come back
            with suppress(RagError):
                self.remove(document_id)
        return ended

    def _begin_removal(self, document_id: str) -> None:
        with suppress(RuntimeError):  # the server has stopped since, and `close` has removed it
            self._begin(Job(), lambda _: self._remove_due(document_id))

    def _remove_due(self, document_id: str) -> None:
        with self._rows_lock:
            due = self._leaving.get(document_id)
            if due is None or time.monotonic() < due - 0.5:  # it was undone, and maybe removed again since
                return
        try:
            self.remove(document_id)
        finally:
            with self._rows_lock:
                self._leaving.pop(document_id, None)
                self._changes += 1

    def remove(self, document_id: str) -> None:
        """Remove a document from the library. Raises LibraryError."""
        with changing(self._indexes.library, self._indexes, "glossator serve: remove"):
            remove_document(self._indexes.library, document_id)

    def take_up(self) -> None:
        """Begin with what waits in the queue, now and whenever something comes, until this worker is closed."""
        threading.Thread(target=self._take_up, name="uploads", daemon=True).start()

    def _take_up(self) -> None:
        with suppress(LibraryError):  # of a library that cannot be written
            self._queue.purge()
        while True:
            with suppress(LibraryError), self._adding:
                for batch in () if self.under_way else self._queue.unread():
                    self._start(batch)
            if self._closing.wait(LOOK_SECONDS):
                return

    def stop(self) -> None:
        """Call all jobs off; what was being read stays in the queue."""
        self._closing.set()
        super().stop()

    def _read(self, job: UploadJob) -> list[tuple[str, Outcome]]:
        """Read a batch under a lease. Another process may have taken it, and then nothing is done."""
        if self._queue.take(self._name, job.job_id) is None:
            with self._rows_lock:
                self._recent = [other for other in self._recent if other is not job]
            return []
        put_back = False
        with self._heartbeat(job):
            try:
                return self._noting(job, lambda: self._ingest(job))
            except CALLED_OFF:
                put_back = self._closing.is_set()
                raise
            finally:
                if put_back:
                    self._queue.release(job.job_id, self._name)
                else:
                    self._end(job)

    def _end(self, job: UploadJob) -> None:
        rows = job.rows() if job.outcomes or job.error else [replace(row, state="stopped") for row in job.rows()]
        self._queue.end(job.job_id, self._name, [row.to_json() for row in rows])

    @contextmanager
    def _heartbeat(self, job: UploadJob) -> Iterator[None]:
        """Renew the lease of a batch while it is read. Who has lost it, because it was asleep for long, stops."""
        ended = threading.Event()

        def beat() -> None:
            while not ended.wait(BEAT_SECONDS):
                with suppress(LibraryError):
                    if self._queue.renew(job.job_id, self._name, [row.to_json() for row in job.rows()]) != "running":
                        job.stop.set()

        thread = threading.Thread(target=beat, name="lease", daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    def _ingest(self, job: UploadJob) -> list[tuple[str, Outcome]]:
        """Ingest, once no other process writes to the library. Raises Stopped."""
        while True:
            try:
                return self._ingest_folder(job) if job.folder else self._ingest_files(job)
            except LibraryBusy:
                if job.stop.wait(BUSY_SECONDS):
                    raise Stopped from None

    def _ingest_files(self, job: UploadJob) -> list[tuple[str, Outcome]]:
        """The files stay in the queue's folder until the batch has ended: what is ingested is deleted on the way."""
        files = self._queue.lent(job.job_id, job.files)
        return self._folder.ingest(files, job.passwords, job.begin, job.report)

    def _ingest_folder(self, job: UploadJob) -> list[tuple[str, Outcome]]:
        settings = self._indexes.settings.ingest
        done = build([Path(job.folder)], self._indexes.library, self._indexes, settings, report=job.report)
        return [(Path(each.path).name, each) for each in done.documents]

    def _noting(self, job: UploadJob, read: Callable[[], list[tuple[str, Outcome]]]) -> list[tuple[str, Outcome]]:
        """What `read` gives; the job's rows tell what came of it, or why nothing did."""
        try:
            job.outcomes = read()
            return job.outcomes
        except (RagError, OSError) as error:
            job.error = str(error)
            raise
        except CALLED_OFF:
            raise
        except Exception as error:
            job.error = str(bug := logged(error))
            raise bug from error
        finally:
            with self._rows_lock:
                self._changes += 1


def rows_of(batch: Batch) -> list[UploadRow]:
    """The rows of a batch that another process reads, or is to read."""
    if batch.rows:
        return [UploadRow.of(dict(row)) for row in batch.rows]
    state: RowState = "stopped" if batch.state == "ended" else "waiting"
    error = "reading it ended the program several times. Leave it out" if state == "stopped" and batch.attempts else ""
    names = [file.name for file in batch.files] or [Path(batch.folder).name]
    return [UploadRow(f"{batch.batch_id}.{name}", name, "failed" if error else state, error=error) for name in names]
