"""Searches for the precedents of a new text, in a thread of their own: they need no reader, and take a moment."""

from __future__ import annotations

from ingest.child_process import Stopped
from rag.index.manager import Indexes
from ui.web.workers.jobs import Job, Worker
from ui.web.workers.precedent_search import PrecedentQuery, PrecedentResults, find


class PrecedentJob(Job):
    """A search for the precedents of a new text."""

    def __init__(self, query: PrecedentQuery):
        super().__init__()
        self.query = query


class PrecedentWorker(Worker):
    """Finds precedents beside the answering of questions."""

    def __init__(self, indexes: Indexes):
        super().__init__()
        self._indexes = indexes

    def start(self, query: PrecedentQuery) -> PrecedentJob:
        """Begin a search; the job's result is PrecedentResults, or what `find` raises."""
        job = PrecedentJob(query)
        self._begin(job, self._find)
        return job

    def _find(self, job: PrecedentJob) -> PrecedentResults:
        if job.stop.is_set():
            raise Stopped
        return find(job.query, self._indexes)
