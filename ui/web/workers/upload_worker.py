"""Documents on their way into the library and out of it: a thread of their own, one batch after the other."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ingest.build import Outcome, build
from ingest.uploads import UploadFolder, remove_document
from rag.errors import LibraryError, RagError
from rag.index.manager import Indexes
from rag.legal.casebook import update_sections
from ui.web.workers.jobs import CALLED_OFF, Job, Worker, logged

STAGES = ("vectors", "sparse vectors", "documents")  # of a report: of all files together, not of one
UNDO_SECONDS = 10.0  # for which a removal can be undone
LOCKED = "encrypted"  # how the error of a file begins that needs a password
RowState = Literal["waiting", "reading", "preparing", "ready", "unchanged", "failed", "locked", "stopped"]


@dataclass(frozen=True, slots=True)
class UploadRow:
    """A file that was added: how far it is, or what became of it. `done` of `total` are pages, or passages."""

    upload_id: str
    name: str
    state: RowState
    done: int = 0
    total: int = 0
    error: str = ""
    documents: tuple[str, ...] = ()


class UploadJob(Job):
    """Files that were uploaded together, with the passwords for those that are encrypted."""

    def __init__(self, files: Sequence[str], passwords: Sequence[str]):
        super().__init__()
        self.job_id = secrets.token_urlsafe(6)
        self.files = [Path(file) for file in files]
        self.passwords = passwords
        self.outcomes: list[tuple[str, Outcome]] = []
        self.error = ""
        self.version = 0  # counts what it has reported
        self._progress: dict[str, tuple[int, int]] = {}

    def begin(self, names: Sequence[str]) -> None:
        """These are the files that are read."""
        with self._lock:
            self._progress = dict.fromkeys(names, (0, 0))

    def report(self, what: str, done: int, total: int) -> None:
        super().report(what, done, total)
        with self._lock:
            self._progress[what] = (done, total)
            self.version += 1

    def rows(self) -> list[UploadRow]:
        """A row a file, and when it has ended one for each outcome."""
        if self.outcomes or self.error or (self.result.done() and self.stop.is_set()):
            return self._ended()
        with self._lock:
            progress = dict(self._progress)
        stage = next((progress[name] for name in STAGES[:2] if progress.get(name, (0, 0))[1]), (0, 0))
        rows = []
        for name in [name for name in progress if name not in STAGES] or [file.name for file in self.files]:
            done, total = progress.get(name, (0, 0))
            whole = total and done >= total
            state: RowState = "preparing" if whole else "reading" if total else "waiting"
            rows.append(UploadRow(f"{self.job_id}.{name}", name, state, *(stage if whole else (done, total))))
        return rows

    def _ended(self) -> list[UploadRow]:
        if self.error:
            return [UploadRow(f"{self.job_id}.{f.name}", f.name, "failed", error=self.error) for f in self.files]
        if not self.outcomes:
            return [UploadRow(f"{self.job_id}.{f.name}", f.name, "stopped") for f in self.files]
        return [self._row(name, outcome) for name, outcome in self.outcomes]

    def _row(self, name: str, outcome: Outcome) -> UploadRow:
        states: dict[str, RowState] = {"added": "ready", "updated": "ready", "unchanged": "unchanged"}
        state = states.get(outcome.status, "failed")
        if state == "failed" and (outcome.error or "").startswith(LOCKED):
            state = "locked"
        found = (outcome.document_id,) if outcome.document_id and state != "failed" else ()
        return UploadRow(f"{self.job_id}.{name}", name, state, 0, outcome.pages, outcome.error or "", found)


class UploadWorker(Worker):
    """Ingests uploads, renames documents, and removes them."""

    def __init__(self, indexes: Indexes):
        super().__init__()
        self._indexes = indexes
        self._folder = UploadFolder(indexes)
        self._recent: list[UploadJob] = []
        self._cleared: set[str] = set()
        self._leaving: dict[str, float] = {}  # documents that are removed at this time, unless that is undone
        self._changes = 0
        self._rows_lock = threading.Lock()

    def start(self, files: Sequence[str], passwords: Sequence[str]) -> UploadJob:
        """Begin to ingest; the job's rows tell what comes of it."""
        return self._start(UploadJob(files, passwords), self._ingest)

    def start_folder(self, folder: Path) -> UploadJob:
        """Begin to ingest the files of a folder of this machine, which stay where they are."""
        return self._start(UploadJob([str(folder)], ()), self._ingest_folder)

    def _start(self, job: UploadJob, do: Callable[[UploadJob], list[tuple[str, Outcome]]]) -> UploadJob:
        with self._rows_lock:
            self._begin(job, do)
            self._recent = [*self._recent[-20:], job]
            self._changes += 1
        return job

    def claimed(self) -> set[Path]:
        """The uploads that are being ingested, or wait for that."""
        return {file for job in self._under_way() if isinstance(job, UploadJob) for file in job.files}

    @property
    def version(self) -> str:
        """Another one whenever `rows` or `leaving` have changed."""
        with self._rows_lock:
            reported = sum(job.version for job in self._recent)
            ended = sum(job.result.done() for job in self._recent)
            return f"{self._changes}.{reported}.{ended}"

    def rows(self) -> list[UploadRow]:
        """The files that are being added, and those of the last batches with what became of them."""
        with self._rows_lock:
            jobs, cleared = list(self._recent), set(self._cleared)
        return [row for job in jobs for row in job.rows() if row.upload_id not in cleared]

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
        with self._indexes.library.writing("glossator serve: rename"), self._indexes.updating() as update:
            self._indexes.library.rename(document_id, title)
            update()
            update_sections(self._indexes.library)

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
        with self._indexes.library.writing("glossator serve: remove"), self._indexes.updating():
            remove_document(self._indexes.library, document_id)
            update_sections(self._indexes.library)

    def _ingest(self, job: UploadJob) -> list[tuple[str, Outcome]]:
        return self._noting(job, lambda: self._folder.ingest(job.files, job.passwords, job.begin, job.report))

    def _ingest_folder(self, job: UploadJob) -> list[tuple[str, Outcome]]:
        def read() -> list[tuple[str, Outcome]]:
            settings = self._indexes.settings.ingest
            done = build(job.files, self._indexes.library, self._indexes, settings, report=job.report)
            return [(Path(each.path).name, each) for each in done.documents]

        return self._noting(job, read)

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
