"""The queue of uploads: leases, and workers that are killed, put to sleep, stopped in order, or are several."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from rag.library.catalogue import Library
from tests.conftest import command
from tests.pages import Endpoint, Site, replies
from tests.pdfs import make_pdf
from tests.processes import until
from ui.web.workers.upload_queue import LEASE_SECONDS, MOST_ATTEMPTS, UploadQueue

pytestmark = [pytest.mark.timeout(180)]


def a_queue(folder: Path) -> UploadQueue:
    Library.open(folder / "library", create=True)
    return UploadQueue(folder / "library")


def a_file(folder: Path, name: str = "a.pdf", content: str = "words") -> Path:
    folder.mkdir(exist_ok=True, parents=True)
    (folder / name).write_text(content)
    return folder / name


# -- leases --------------------------------------------------------------------------------------------------------


def test_a_batch_has_its_files_until_it_has_ended(tmp_path: Path) -> None:
    queue = a_queue(tmp_path)
    same = [a_file(tmp_path / "1", content="one"), a_file(tmp_path / "2", content="two"), tmp_path / "gone.pdf"]
    batch = queue.add(same, ["secret"])
    assert not same[0].exists() and [file.read_text() for file in batch.files[:2]] == ["one", "two"]
    assert batch.files[2] == same[2], "what is not there is named where it was"
    taken = queue.take("w")
    assert taken is not None and (taken.files, taken.passwords) == (batch.files, ("secret",))
    lent = queue.lent(batch.batch_id, batch.files)
    assert [file.name for file in lent] == ["a.pdf", "a.pdf", "gone.pdf"]
    lent[0].unlink()
    assert batch.files[0].read_text() == "one", "who reads them may delete them"
    queue.end(batch.batch_id, "w", [{"name": "a.pdf"}])
    assert not batch.files[0].exists() and queue.take("w") is None
    (ended,) = queue.listed()
    assert ended.state == "ended" and ended.passwords == () and ended.rows == ({"name": "a.pdf"},)
    with closing(sqlite3.connect(tmp_path / "library" / "catalogue.sqlite")) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone()[0] == "ok"


def test_a_lease_that_ran_out_is_anothers_and_the_first_has_lost_it(tmp_path: Path) -> None:
    queue = a_queue(tmp_path)
    batch = queue.add([a_file(tmp_path / "1")])
    assert queue.take("first") is not None and queue.take("second") is None
    assert queue.renew(batch.batch_id, "first", [{"done": 1}]) == "running"
    later = time.time() + LEASE_SECONDS + 1
    taken = queue.take("second", now=later)
    assert taken is not None and taken.rows == ({"done": 1},)
    assert queue.renew(batch.batch_id, "first", []) is None
    queue.end(batch.batch_id, "first", [])
    assert queue.listed()[0].state == "running" and batch.files[0].exists(), "who has lost it ends nothing"
    queue.release(batch.batch_id, "second")
    assert queue.listed()[0].state == "waiting"


def test_a_batch_that_ends_its_workers_is_given_up(tmp_path: Path) -> None:
    queue = a_queue(tmp_path)
    queue.add([a_file(tmp_path / "1")])
    now = time.time()
    for attempt in range(MOST_ATTEMPTS):
        assert queue.take(f"w{attempt}", now=now) is not None
        now += LEASE_SECONDS + 1
    assert queue.take("another", now=now) is None and queue.listed()[0].state == "ended"


class Queue(RuleBasedStateMachine):
    """Two workers, and a clock: no batch is read by two at a time, and none is lost."""

    def __init__(self) -> None:
        super().__init__()
        self._folder = tempfile.TemporaryDirectory()
        self.queue = a_queue(Path(self._folder.name))
        self.now = time.time()
        self.added: list[str] = []
        self.ended: set[str] = set()
        self.held: dict[str, tuple[str, float]] = {}  # batch -> its worker, and until when

    @rule()
    def add(self) -> None:
        self.added.append(self.queue.add([]).batch_id)

    @rule(worker=st.sampled_from("ab"))
    def take(self, worker: str) -> None:
        batch = self.queue.take(worker, now=self.now)
        if batch is None:
            return
        holder = self.held.get(batch.batch_id)
        assert holder is None or holder[1] < self.now, "it was another's"
        assert batch.batch_id not in self.ended
        self.held[batch.batch_id] = worker, self.now + LEASE_SECONDS

    @rule(seconds=st.sampled_from([1.0, LEASE_SECONDS + 1]))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @precondition(lambda self: self.held)
    @rule(data=st.data(), in_order=st.booleans())
    def leave(self, data: st.DataObject, in_order: bool) -> None:
        batch = data.draw(st.sampled_from(sorted(self.held)))
        worker, _ = self.held.pop(batch)
        if in_order:
            self.queue.release(batch, worker)
        else:
            self.queue.end(batch, worker, [])
            self.ended.add(batch)

    @invariant()
    def none_is_lost(self) -> None:
        states = {batch.batch_id: batch.state for batch in self.queue.listed()}
        given_up = {name for name, state in states.items() if state == "ended"} - self.ended
        assert set(states) == set(self.added) and not given_up & set(self.held) - {
            name for name, (_, until) in self.held.items() if until < self.now
        }

    def teardown(self) -> None:
        self._folder.cleanup()


TestQueue = Queue.TestCase
TestQueue.settings = settings(max_examples=15, stateful_step_count=20, deadline=None)


@given(st.integers(2, 6))
@settings(max_examples=3, deadline=None)
def test_each_batch_goes_to_one_of_those_who_take_at_once(workers: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        queue = a_queue(Path(folder))
        for _ in range(12):
            queue.add([])
        taken: list[str] = []

        def take(name: str) -> None:
            while (batch := queue.take(name)) is not None:
                taken.append(batch.batch_id)

        threads = [threading.Thread(target=take, args=(f"w{number}",)) for number in range(workers)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(taken) == len(set(taken)) == 12


# -- processes -----------------------------------------------------------------------------------------------------


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """A server that reads nothing itself."""
    Library.open(tmp_path / "library", create=True)
    with Endpoint(replies({})) as reader:
        site = Site(tmp_path / "library", tmp_path / "log", reader, options=["--no-ingest"])
        yield site
        site.interrupt()


def a_worker(site: Site, log: Path) -> subprocess.Popen[bytes]:
    with log.open("a") as said:
        return subprocess.Popen(command("worker", "--library", site.library), stdout=said, stderr=said)


def send(site: Site, file: Path) -> str:
    arrived = httpx.put(f"{site.address}/v1/uploads/{file.name}", content=file.read_bytes(), timeout=30).json()["id"]
    job = httpx.post(f"{site.address}/v1/documents", json={"uploads": [arrived]}, timeout=30)
    assert job.status_code == 202
    return str(job.json()["job"])


def rows(site: Site) -> list[dict[str, Any]]:
    return list(httpx.get(f"{site.address}/v1/documents", timeout=30).json()["uploads"])


READ = ("ready", "unchanged")  # it may have been stored, and not been reported, before the kill
LONG = [[f"Page {number} is about the tide of week {number} and what it brought ashore."] for number in range(200)]


@pytest.mark.slow
def test_a_workers_death_in_the_middle_loses_nothing(site: Site, tmp_path: Path) -> None:
    long = make_pdf(tmp_path / "long.pdf", LONG, "The Tides")
    send(site, long)
    assert [row["state"] for row in rows(site)] == ["waiting"], "the server leaves it"
    first = a_worker(site, tmp_path / "first.log")
    until(lambda: rows(site)[0]["state"] in ("reading", "preparing"))
    first.send_signal(signal.SIGKILL)
    first.wait(20)
    assert not Library.open(site.library).documents() or rows(site)[0]["state"] != "ready"
    second = a_worker(site, tmp_path / "second.log")
    try:
        until(lambda: rows(site)[0]["state"] in READ)
        until(lambda: ": long.pdf" in (tmp_path / "second.log").read_text())
    finally:
        second.send_signal(signal.SIGINT)
    assert second.wait(30) == 0
    (entry,) = Library.open(site.library).documents()
    assert (entry.title, entry.pages) == ("The Tides", 200)
    assert not list((site.library / "arriving").glob("*")), "nothing is left in the queue's folder"


@pytest.mark.slow
def test_a_worker_that_ends_in_order_puts_its_work_back_and_two_share_it(site: Site, tmp_path: Path) -> None:
    for number in range(3):
        send(site, make_pdf(tmp_path / f"{number}.pdf", LONG[: 40 + number], f"Part {number}"))
    first = a_worker(site, tmp_path / "first.log")
    until(lambda: any(row["state"] != "waiting" for row in rows(site)))
    first.send_signal(signal.SIGINT)
    assert first.wait(30) == 0
    assert all(row["state"] in ("waiting", *READ) for row in rows(site)), rows(site)
    workers = [a_worker(site, tmp_path / f"w{number}.log") for number in range(2)]
    try:
        until(lambda: all(row["state"] in READ for row in rows(site)))
    finally:
        for worker in workers:
            worker.send_signal(signal.SIGINT)
        for worker in workers:
            worker.wait(30)
    assert sorted(entry.title for entry in Library.open(site.library).documents()) == ["Part 0", "Part 1", "Part 2"]


@pytest.mark.slow
def test_what_a_killed_server_was_reading_is_read_by_the_next(tmp_path: Path) -> None:
    Library.open(tmp_path / "library", create=True)
    with Endpoint(replies({})) as reader:
        site = Site(tmp_path / "library", tmp_path / "log", reader)
        send(site, make_pdf(tmp_path / "long.pdf", LONG, "The Tides"))
        until(lambda: rows(site)[0]["state"] in ("reading", "preparing"))
        site.process.kill()
        site.process.wait(20)
        again = Site(tmp_path / "library", tmp_path / "log2", reader)
        try:
            until(lambda: [row["state"] in READ for row in rows(again)] == [True])
        finally:
            again.interrupt()
    assert [entry.pages for entry in Library.open(tmp_path / "library").documents()] == [200]
