"""Work that outlives a request: a Job that can be called off, and a Worker that does its jobs in a thread of its own.

Of a job the worker's thread writes what the page's threads read; what both touch stands behind the job's lock.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

from ingest.child_process import Stopped
from rag.errors import RagError

log = logging.getLogger("glossator")
CALLED_OFF = (Stopped, CancelledError)
_served = set[str]()  # the folders of libraries that hide_folder was given


class ServerBusy(RagError):
    """More is asked of the server than it takes on."""

    retry_seconds = 10


class InternalError(Exception):
    """A bug of this program. Its traceback is in the log already."""

    def __init__(self) -> None:
        super().__init__("Internal error. The server's log says more")


def hide_folder(folder: Path) -> None:
    """From now on this process serves a library: who asks need not know where on its disk that lies."""
    _served.add(str(folder))


def message_of(error: Exception) -> str:
    """What people are told of an error: its own message, but of a bug only that there is one. A bug is logged.

    The folder of a library that is served is called "the library".
    """
    if isinstance(error, RagError | OSError | InternalError):
        text = str(error)
        for folder in sorted(_served, key=len, reverse=True):
            text = text.replace(f"{folder}/catalogue.sqlite", "the library").replace(folder, "the library")
        return text
    if isinstance(error, CALLED_OFF):
        return "Stopped"
    return str(logged(error))


def logged(error: Exception) -> InternalError:
    """Write a bug's traceback to the log; what to raise or say instead of it."""
    log.error("internal error: %r", error, exc_info=error)
    return InternalError()


class Job:
    """Something under way. Setting `stop` calls it off; its thread looks at that as often as it can."""

    def __init__(self) -> None:
        self.stop = threading.Event()
        self.result: Future[Any]
        self._lock = threading.Lock()

    def report(self, what: str, done: int, total: int) -> None:
        """A progress Report (rag/protocols.py) that raises Stopped once the job is called off."""
        if self.stop.is_set():
            raise Stopped

    def ended(self, seconds: float) -> bool:
        """Wait up to `seconds` for its end; whether it is done, or called off."""
        return bool(wait([self.result], seconds).done) or self.stop.is_set()


class Worker:
    """Does its jobs, `at_once` at a time, in the order they came, whether or not a browser watches. For any thread."""

    def __init__(self, at_once: int = 1) -> None:
        self._thread = ThreadPoolExecutor(at_once, type(self).__name__)
        self._jobs: list[Job] = []
        self._lock = threading.Lock()

    def _begin(self, job: Job, do: Callable[[Any], Any]) -> None:
        """Do a job when its turn comes: job.result gets what `do(job)` gives or raises."""
        with self._lock:
            job.result = self._thread.submit(_or_internal_error, do, job)
            self._jobs = [earlier for earlier in self._jobs if not earlier.result.done()] + [job]

    def _under_way(self) -> list[Job]:
        """The jobs that are being done or wait for their turn."""
        with self._lock:
            return [job for job in self._jobs if not job.result.done()]

    @property
    def under_way(self) -> int:
        """How many jobs are being done or wait for their turn."""
        return len(self._under_way())

    def stop(self) -> None:
        """Call all jobs off."""
        for job in self._under_way():
            job.stop.set()

    def close(self, seconds: float) -> bool:
        """Stop, and wait up to `seconds` for it; whether all jobs have ended."""
        self.stop()
        self._thread.shutdown(wait=False, cancel_futures=True)
        return not wait([job.result for job in self._under_way()], seconds).not_done


def _or_internal_error(do: Callable[[Any], Any], job: Job) -> Any:
    """What `do(job)` gives. Raises InternalError for a bug, and else as it does."""
    try:
        return do(job)
    except (RagError, OSError, InternalError, *CALLED_OFF):
        raise
    except Exception as error:
        raise logged(error) from error
