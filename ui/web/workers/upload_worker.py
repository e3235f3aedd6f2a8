"""Uploads on their way into the library: a thread of their own ingests them, one batch after the other."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ingest.build import Outcome
from ingest.uploads import UploadFolder, remove_document
from rag.index.manager import Indexes
from rag.legal.casebook import update_sections
from ui.web.workers.jobs import Job, Worker


class UploadJob(Job):
    """Files that were uploaded together, with the passwords for those that are encrypted."""

    def __init__(self, files: Sequence[str], passwords: Sequence[str]):
        super().__init__()
        self.files = [Path(file) for file in files]
        self.passwords = passwords
        self._progress: dict[str, tuple[int, int]] = {file.name: (0, 0) for file in self.files}

    @property
    def progress(self) -> dict[str, tuple[int, int]]:
        """(done, total) by file name, and by stage ("vectors", "documents") of what all files share."""
        with self._lock:
            return dict(self._progress)

    def begin(self, names: Sequence[str]) -> None:
        """From now on these are the files."""
        with self._lock:
            self._progress = dict.fromkeys(names, (0, 0))

    def report(self, what: str, done: int, total: int) -> None:
        super().report(what, done, total)
        with self._lock:
            self._progress[what] = (done, total)


class UploadWorker(Worker):
    """Ingests uploads, and removes documents."""

    def __init__(self, indexes: Indexes):
        super().__init__()
        self._indexes = indexes
        self._folder = UploadFolder(indexes)

    def start(self, files: Sequence[str], passwords: Sequence[str]) -> UploadJob:
        """Begin to ingest; the job's result is what UploadFolder.ingest gives: (name, outcome) of each document."""
        job = UploadJob(files, passwords)
        self._begin(job, self._ingest)
        return job

    def claimed(self) -> set[Path]:
        """The uploads that are being ingested, or wait for that."""
        return {file for job in self._under_way() if isinstance(job, UploadJob) for file in job.files}

    def remove(self, document_id: str) -> None:
        """Remove a document from the library. Raises LibraryError."""
        with self._indexes.library.writing("glossator serve: remove"), self._indexes.updating():
            remove_document(self._indexes.library, document_id)
            update_sections(self._indexes.library)

    def _ingest(self, job: UploadJob) -> list[tuple[str, Outcome]]:
        return self._folder.ingest(job.files, job.passwords, job.begin, job.report)
