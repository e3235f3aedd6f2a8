"""workers/: what the page's threads and a worker's thread share is whole, however they meet."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from typing import Any, cast

import pytest

from ui.web.access.users import Users, add_user
from ui.web.panels.document_list import DocumentList
from ui.web.panels.filter_choices import FilterChoices
from ui.web.workers.jobs import Job, Worker
from ui.web.workers.question_job import AskOptions, QuestionJob
from ui.web.workers.turn_log import TurnLog
from ui.web.workers.upload_job import UploadJob

THREADS = 8


@pytest.fixture(autouse=True)
def interleaved() -> Iterator[None]:
    """Threads take turns after every few instructions."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


def all_at_once(do: Callable[[int], object]) -> None:
    """do(0), do(1), ... in threads of their own, begun together."""
    together, errors = threading.Barrier(THREADS), list[BaseException]()

    def run(number: int) -> None:
        together.wait()
        try:
            do(number)
        except BaseException as error:  # noqa: BLE001  # raised below, in the test's thread
            errors.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


def test_no_report_of_an_upload_is_lost() -> None:
    job = UploadJob([], [])
    job.result = Future()
    all_at_once(lambda number: [job.report(f"{number}-{i}.pdf", i, 50) or job.rows() for i in range(50)])
    found = {row.name: (row.done, row.total) for row in job.rows()}
    assert found == {f"{number}-{i}.pdf": (i, 50) for number in range(THREADS) for i in range(50)}


class Waiting(Worker):
    """A worker whose jobs wait until they are called off."""

    def start(self) -> Job:
        job = Job()
        self._begin(job, lambda job: job.stop.wait(60))
        return job


def test_every_job_is_known_and_called_off_whichever_thread_began_it() -> None:
    worker, jobs = Waiting(), list[Job]()
    all_at_once(lambda _: jobs.extend(worker.start() for _ in range(20)))
    worker.stop()
    assert len(jobs) == 20 * THREADS and all(job.stop.is_set() for job in jobs)
    assert worker.close(10)


def test_stop_ends_a_summary_with_what_it_has_and_a_second_one_calls_it_off() -> None:
    question = QuestionJob("Summarise it", AskOptions())
    question.summarising = True
    question.end_early()
    assert question.finish.is_set() and not question.stop.is_set()
    question.end_early()
    assert question.stop.is_set()
    other = QuestionJob("Why?", AskOptions())
    other.end_early()
    assert other.stop.is_set() and not other.finish.is_set()


def test_no_piece_of_a_draft_is_lost_or_out_of_order() -> None:
    log, seen = TurnLog(), list[str]()

    def work(number: int) -> None:
        at = 0
        for i in range(300):
            if number:
                events, at = log.since(at)
                seen.extend(event["text"] for event in events if number == 1)
            else:
                log.add("draft", text=f"{i} ")

    all_at_once(work)
    assert "".join(event["text"] for event in log.since(0)[0]) == "".join(f"{i} " for i in range(300))
    assert "".join(f"{i} " for i in range(300)).startswith("".join(seen))


class Slow:
    """A library that counts how often it is read, and takes a moment for it."""

    def __init__(self) -> None:
        self.generation, self.reads = 0, 0

    def documents(self) -> list[Any]:
        self.reads += 1
        time.sleep(0.01)
        return [self.generation]

    def values(self, field: str) -> list[str]:
        self.documents()
        return ["law"]


def test_what_is_known_of_a_library_is_read_once_a_change() -> None:
    library = Slow()
    listed = DocumentList(cast(Any, library))
    for generation in (0, 1):
        library.generation = generation
        all_at_once(lambda _: listed.entries())
        assert (listed.entries(), library.reads) == ((generation,), generation + 1)
    library.reads = 0
    choices = FilterChoices(cast(Any, library))
    all_at_once(lambda _: choices.choices())
    assert library.reads == len(choices.choices())


def test_no_thread_takes_users_for_those_of_a_file_that_has_changed(tmp_path: Any, monkeypatch: Any) -> None:
    add_user(tmp_path / "users", "ada", "a password")
    known = Users(tmp_path / "users")
    add_user(tmp_path / "users", "bo", "a password")
    read = known._file._read
    monkeypatch.setattr(known._file, "_read", lambda file: (time.sleep(0.05), read(file))[1])
    found = list[bool]()
    all_at_once(lambda _: found.append(known.identity("bo") is not None))
    assert found == [True] * THREADS
