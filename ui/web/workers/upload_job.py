"""Files on their way into the library: how far each is, and what became of it."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from ingest.build import Outcome
from ui.web.workers.jobs import Job

STAGES = ("vectors", "sparse vectors", "documents")  # of a report: of all files together, not of one
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

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def of(cls, stored: dict[str, Any]) -> UploadRow:
        """The one that `to_json` wrote."""
        return cls(**{**stored, "documents": tuple(stored["documents"])})


class UploadJob(Job):
    """Files that were uploaded together, with the passwords for those that are encrypted; or those of a `folder`."""

    def __init__(self, files: Sequence[str | Path], passwords: Sequence[str], job_id: str = "", folder: str = ""):
        super().__init__()
        self.job_id = job_id or secrets.token_urlsafe(6)
        self.files = [Path(file) for file in files]
        self.passwords, self.folder = passwords, folder
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
