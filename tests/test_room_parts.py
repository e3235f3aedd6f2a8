"""The room's parts without a browser: the queue at the reader, the log of a question, routes, and bugs in them."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st

from ingest.build import Outcome
from ingest.child_process import Stopped
from rag.document import Document
from rag.document import Page as DocumentPage
from rag.errors import ReaderError
from rag.index.manager import Indexes
from rag.library.catalogue import Library
from rag.pipeline import Pipeline
from rag.records import Passage
from rag.settings import load_settings
from tests.test_answer import ScriptedReader
from tests.test_filters import Within
from tests.test_instant_answer import looking_for
from ui.web.library.arrivals import Arrivals
from ui.web.library.libraries import Libraries
from ui.web.site import Reach, application
from ui.web.workers import answer_worker, precedent_worker, upload_worker
from ui.web.workers.jobs import message_of
from ui.web.workers.reader_queue import QueuedReader, ReaderQueue
from ui.web.workers.turn_log import TurnLog
from ui.web.workers.upload_job import UploadJob

TEXT = "One part of it. Another part of it."
INTERNAL = "Internal error. The server's log says more"
QUESTION = "What is another part?"


# ---- whose turn it is at the reader


def never() -> bool:
    return False


def test_questions_go_before_explanations_and_else_by_their_order() -> None:
    queue, order = ReaderQueue(), list[str]()
    holding = queue.place(True, never)
    holding.wait()
    places = {
        name: queue.place(urgent, never) for name, urgent in (("e1", False), ("q1", True), ("e2", False), ("q2", True))
    }

    def take(name: str) -> None:
        places[name].wait()
        order.append(name)
        places[name].leave()

    threads = [threading.Thread(target=take, args=(name,)) for name in places]
    for thread in threads:
        thread.start()
        time.sleep(0.05)
    assert [queue.ahead(places[name]) for name in ("e1", "q1", "e2", "q2")] == [3, 1, 4, 2]
    holding.leave()
    for thread in threads:
        thread.join(10)
    assert order == ["q1", "q2", "e1", "e2"]


def test_an_explanation_gives_way_and_one_that_is_called_off_leaves() -> None:
    queue, order = ReaderQueue(), list[str]()
    explaining, stop = queue.place(False, never), threading.Event()
    explaining.wait()
    asked, other = queue.place(True, never), queue.place(True, stop.is_set)

    def ask() -> None:
        asked.wait()
        order.append("question")
        asked.leave()

    def called_off() -> None:
        with pytest.raises(Stopped):
            other.wait()
        order.append("called off")

    threads = [threading.Thread(target=ask), threading.Thread(target=called_off)]
    threads[0].start()
    time.sleep(0.05)
    explaining.give_way()
    order.append("explanation")
    threads[1].start()
    time.sleep(0.05)
    stop.set()
    threads[1].join(10)
    explaining.give_way()  # nobody waits any more
    assert order == ["question", "explanation", "called off"]


def test_a_reader_is_asked_when_its_turn_has_come_and_counts_at_once() -> None:
    waited = list[int]()
    reader = QueuedReader(ScriptedReader("yes"), lambda: waited.append(1))  # type: ignore[arg-type]
    assert reader.count([("user", "words")]) > 0 and not waited
    assert "".join(reader.stream([("user", "words")], 5)) == "yes" and waited == [1]
    assert reader.yes_probability([("user", "words")]) == 0.9 and waited == [1, 1]


# ---- what happens to a question


@given(st.lists(st.sampled_from(["draft", "doing", "redraft"]), max_size=30), st.data())
def test_whoever_reads_on_from_anywhere_has_the_whole_draft(kinds: list[str], data: st.DataObject) -> None:
    log = TurnLog()
    for number, kind in enumerate(kinds):
        log.add(kind, **({"text": f"{number} "} if kind == "draft" else {}))
    whole, heard, at = "", "", 0
    for number, kind in enumerate(kinds):
        whole = "" if kind == "redraft" else whole + f"{number} " * (kind == "draft")
    while at < log.count:
        events, at = log.since(at) if data.draw(st.booleans()) else (log.since(at)[0], log.count)
        for event in events:
            heard = "" if event["kind"] == "redraft" else heard + event.get("text", "")
    assert heard == whole and log.since(at) == ([], at)
    assert all(
        a["kind"] != "draft" or b["kind"] != "draft" for a, b in zip(log.since(0)[0], log.since(0)[0][1:], strict=False)
    )


# ---- routes


class Site:
    """The site over a library of one document, and a client of it."""

    def __init__(self, folder: Path):
        self.library = Library.open(folder / "library", create=True)
        document = Document("d0", "pdf", "A Book", TEXT, (DocumentPage(1, 0, len(TEXT)),))
        self.library.put(document, [Passage("d0#0", "d0", "A Book", "", TEXT, 0, len(TEXT))], "/d0", "d0", "recipe")
        settings = load_settings(())
        self.indexes = cast(Indexes, SimpleNamespace(library=self.library, settings=settings, searchable_generation=99))
        arrivals = folder / "arrivals"
        arrivals.mkdir()
        self.libraries = Libraries(self.indexes, Arrivals(arrivals))
        self.parts = self.libraries.get("")
        self.client = TestClient(application(self.libraries, Reach(["testserver"])), raise_server_exceptions=False)

    def get(self, path: str, status: int = 200, **params: Any) -> Any:
        reply = self.client.get(f"/v1{path}", params=params)
        assert reply.status_code == status, reply.text
        return reply.json() if "json" in reply.headers.get("content-type", "") else reply

    def send(self, method: str, path: str, body: Any = None, status: int = 200) -> Any:
        reply = self.client.request(method, f"/v1{path}", json=body)
        assert reply.status_code == status, reply.text
        return reply.json() if reply.content else None

    def conversation(self) -> str:
        return str(self.send("POST", "/conversations", status=201)["id"])

    def ask(self, conversation: str, question: str = QUESTION, **more: Any) -> dict[str, Any]:
        """Ask, and wait for what becomes of it."""
        asked = {"question": question, "strategy": "direct", "way": "short", **more}
        turn = self.send("POST", f"/conversations/{conversation}/turns", asked, status=202)
        return self.ended(turn["id"])

    def ended(self, turn_id: str) -> dict[str, Any]:
        job = self.parts.answers.question(turn_id)
        assert job is not None
        job.result.result(60)
        return cast(dict[str, Any], self.get(f"/turns/{turn_id}"))

    def events(self, turn_id: str) -> list[dict[str, Any]]:
        return cast(list[dict[str, Any]], self.get(f"/turns/{turn_id}/events", wait=5)["events"])


def reading(monkeypatch: pytest.MonkeyPatch, reader: Any = None, **parts: Any) -> None:
    """Have questions answered by a scripted reader."""
    monkeypatch.setattr(answer_worker, "build_pipeline", lambda indexes, *_, **__: Pipeline(
        Within(indexes.library), reader or ScriptedReader("Another part of it"), indexes.library.locate, "",
        indexes.settings, **parts,
    ))  # fmt: skip


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    reading(monkeypatch)
    served = Site(tmp_path)
    yield served
    for worker in served.libraries.workers:
        assert worker.close(5)


def text_of(turn: dict[str, Any]) -> str:
    return "".join(run["text"] for line in turn["answer"]["lines"] for run in line["runs"])


def test_a_conversation_is_kept_with_its_answers(site: Site) -> None:
    conversation = site.conversation()
    site.send("PATCH", f"/conversations/{conversation}", {"draft": "What is ano"}, 204)
    assert site.get(f"/conversations/{conversation}")["draft"] == "What is ano"
    turn = site.ask(conversation)
    assert (turn["state"], text_of(turn)) == ("done", "Another part of it")
    kinds = [event["kind"] for event in site.events(turn["id"])]
    assert kinds.index("evidence") < kinds.index("draft") < kinds.index("answer") == len(kinds) - 1
    (listed,) = site.get("/conversations")["conversations"]
    assert (listed["title"], listed["turns"], listed["open"]) == (QUESTION, 1, False)
    again = Site.__new__(Site)  # another server over the same library
    again.libraries = Libraries(site.indexes, site.libraries.arrivals)
    again.client = TestClient(application(again.libraries, Reach(["testserver"])))
    kept = again.get(f"/conversations/{conversation}")["turns"]
    assert text_of(kept[0]) == "Another part of it" and again.get(f"/turns/{turn['id']}/events")["open"] is False
    exported = again.client.get(f"/v1/conversations/{conversation}/export")
    assert exported.text.startswith(f"# {QUESTION}\n") and "attachment" in exported.headers["content-disposition"]
    again.get(f"/conversations/{conversation}/export", 422, format="docx")
    for worker in again.libraries.workers:
        assert worker.close(5)


def test_what_is_marked_is_told_before_the_reader_says_a_word(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = threading.Event()

    class WaitingReader(ScriptedReader):
        def stream(self, *arguments: Any, **named: Any) -> Iterator[str]:
            assert seen.wait(10), "the mark is not told before the reader begins"
            yield from super().stream(*arguments, **named)

    reading(monkeypatch, WaitingReader("Another part of it"), span_model=lambda: looking_for("Another"))
    asked = {"question": QUESTION, "strategy": "direct", "way": "short"}
    turn = site.send("POST", f"/conversations/{site.conversation()}/turns", asked, status=202)
    after, marked = 0, None
    while marked is None:
        news = site.get(f"/turns/{turn['id']}/events", after=after, wait=10)
        after = news["next"]
        marked = next((event["marked"] for event in news["events"] if event["kind"] == "marked"), None)
    assert (marked["text"], marked["source"]["quote"], marked["source"]["page"]) == (
        "Another",
        "Another part of it.",
        1,
    )
    seen.set()
    assert site.ended(turn["id"])["answer"]["explainable"]


def test_a_follow_up_goes_on_from_the_answer_before_and_an_edited_question_does_not(site: Site) -> None:
    conversation = site.conversation()
    first = site.ask(conversation)
    after = site.ask(conversation, "And when?")
    assert "asked after" in after["understood"]["standalone"] and after["number"] == 2
    edited = site.ask(conversation, "And when?", instead_of=1)
    assert (edited["number"], edited["understood"]) == (1, {})
    assert (
        [turn["id"] for turn in site.get(f"/conversations/{conversation}")["turns"]] == [edited["id"]] != [first["id"]]
    )


class HeldReader(ScriptedReader):
    """Says that it has begun, and replies when it is let go on."""

    def __init__(self, reply: str) -> None:
        super().__init__(reply)
        self.begun, self.go_on = threading.Event(), threading.Event()

    def stream(self, *arguments: Any, **named: Any) -> Iterator[str]:
        self.begun.set()
        assert self.go_on.wait(10)
        yield from super().stream(*arguments, **named)


def test_one_question_at_a_time_in_a_conversation_and_several_in_others(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = HeldReader("Another part of it")
    reading(monkeypatch, held)
    one, other = site.conversation(), site.conversation()
    asked = {"question": QUESTION, "strategy": "direct", "way": "short"}
    first = site.send("POST", f"/conversations/{one}/turns", asked, status=202)
    assert held.begun.wait(10)
    refused = site.send("POST", f"/conversations/{one}/turns", asked, status=422)
    assert refused["detail"].startswith("The question before is still being answered")
    second = site.send("POST", f"/conversations/{other}/turns", asked, status=202)
    deadline = time.monotonic() + 10
    while not any(event.get("what") == "waiting" for event in site.events(second["id"])):
        assert time.monotonic() < deadline
    waiting = [event for event in site.events(second["id"]) if event.get("what") == "waiting"]
    assert waiting[0]["ahead"] == 1
    stopped = site.send("POST", f"/conversations/{site.conversation()}/turns", asked, status=202)
    site.send("POST", f"/turns/{stopped['id']}/stop", status=204)
    assert site.ended(stopped["id"])["state"] == "stopped"
    held.go_on.set()
    assert site.ended(first["id"])["state"] == site.ended(second["id"])["state"] == "done"


def test_what_needs_no_reader_does_not_wait_for_it(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    held = HeldReader("Another part of it")
    reading(monkeypatch, held, span_model=lambda: looking_for("Another"))
    asked = {"question": QUESTION, "strategy": "direct", "way": "short"}
    slow = site.send("POST", f"/conversations/{site.conversation()}/turns", asked, status=202)
    assert held.begun.wait(10)
    assert text_of(site.ask(site.conversation(), strategy="extract")) == "Another"
    held.go_on.set()
    assert site.ended(slow["id"])["state"] == "done"


def test_chosen_documents_alone_are_asked_and_one_that_has_gone_is_said(site: Site) -> None:
    text = "A part of another thing."
    site.library.put(
        Document("d1", "pdf", "Another Book", text, (DocumentPage(1, 0, len(text)),)),
        [Passage("d1#0", "d1", "Another Book", "", text, 0, len(text))], "/d1", "d1", "recipe",
    )  # fmt: skip
    conversation = site.conversation()
    assert site.ask(conversation, documents=["d0"])["answer"]["scope"] == ["A Book"]
    gone = site.ask(conversation, documents=["gone"])
    assert gone["state"] == "failed" and "no longer in this library" in gone["error"]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"question": " "}, "The question is empty"),
        ({"question": "x" * 100_000}, "The question has 100,000 characters"),
        ({"question": QUESTION, "strategy": "magic"}, "There is no such way of answering"),
        ({"question": QUESTION, "filters": {"colour": "red"}}, "There is no filter 'colour'"),
        ({"question": QUESTION, "filters": {"date>": "last year"}}, "'last year' is no date"),
        ({"question": 3}, "question: Input should be a valid string"),
        ({}, "question: Field required"),
    ],
)
def test_what_is_asked_wrongly_is_said_in_one_sentence(site: Site, body: dict[str, Any], said: str) -> None:
    problem = site.send("POST", f"/conversations/{site.conversation()}/turns", body, 422)
    assert said in problem["detail"] and "\n" not in problem["detail"] and problem["status"] == 422


def test_what_there_is_none_of_is_not_found(site: Site) -> None:
    for path in (
        "/conversations/none", "/turns/none", "/turns/none/events", "/documents/none", "/documents/none/pages/1",
        "/documents/d0/pages/9", "/documents/d0/pages/0", "/documents/none/find?q=x", "/documents/none/audio",
        "/documents/..%2f..%2fcatalogue.sqlite/pages/1.png",
    ):  # fmt: skip
        reply = site.client.get(f"/v1{path}")
        assert reply.status_code == 404, path
    for path in (
        "/documents/d0/pages/one",
        "/documents/d0/marks?start=x&end=1",
        "/turns/x/events?wait=99",
        "/search?q=",
    ):
        assert site.client.get(f"/v1{path}").status_code == 422, path


def test_a_page_that_cannot_be_drawn_shows_its_text_and_words_are_found_in_it(site: Site) -> None:
    page = site.get("/documents/d0/pages/1")
    assert (page["picture"], page["text"]) == (None, TEXT) and "moved or changed" in page["why"]
    assert site.get("/documents/d0/find", q="PART  of")["found"] == [
        {"start": 4, "end": 11, "page": 1}, {"start": 24, "end": 31, "page": 1},
    ]  # fmt: skip
    assert site.get("/documents/d0/find", q=" ")["found"] == []


def test_the_list_is_sent_again_only_when_it_has_changed(site: Site) -> None:
    first = site.client.get("/v1/documents")
    (row,) = first.json()["documents"]
    assert (row["title"], row["state"], row["group"]) == ("A Book", "ready", "documents")
    tag = {"if-none-match": first.headers["etag"]}
    assert site.client.get("/v1/documents", headers=tag).status_code == 304
    site.send("DELETE", "/documents/d0", status=202)
    changed = site.client.get("/v1/documents", headers=tag)
    assert changed.status_code == 200 and changed.json()["documents"] == []
    site.send("POST", "/documents/d0/restore", status=204)
    assert site.client.get("/v1/documents", headers=tag).json()["documents"] == [row]
    site.send("POST", "/documents/d0/restore", status=422)
    site.send("DELETE", "/documents/none", status=404)


def test_a_removal_that_is_not_undone_happens(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upload_worker, "UNDO_SECONDS", 0.05)
    monkeypatch.setattr(
        upload_worker.UploadWorker, "remove", lambda self, document_id: site.library.remove(document_id)
    )
    assert site.send("DELETE", "/documents/d0", status=202) == {"seconds": 0.05}
    deadline = time.monotonic() + 10
    while site.library.documents():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_uploads_arrive_whole_under_a_plain_name(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    taken = list[tuple[str, bytes]]()

    def ingest(
        self: Any, files: list[Path], passwords: list[str], begin: Any, report: Any
    ) -> list[tuple[str, Outcome]]:
        taken.extend((file.name, file.read_bytes()) for file in files)
        begin([file.name for file in files])
        report("talk.vtt", 1, 1)
        return [("talk.vtt", Outcome("talk.vtt", error="encrypted: it needs a password", status="failed"))]

    monkeypatch.setattr(upload_worker.UploadFolder, "ingest", ingest)
    reply = site.client.put("/v1/uploads/..%2f..%2ftalk.vtt", content=b"WEBVTT\n")
    assert reply.status_code == 201
    job = site.send("POST", "/documents", {"uploads": [reply.json()["id"]]}, 202)
    deadline = time.monotonic() + 10
    while (rows := site.get("/documents")["uploads"])[0]["state"] in ("waiting", "reading", "preparing"):
        assert time.monotonic() < deadline
    assert [(row["name"], row["state"]) for row in rows] == [("talk.vtt", "locked")]
    assert taken == [("talk.vtt", b"WEBVTT\n")]
    site.send("DELETE", f"/uploads/{job['job']}.talk.vtt", status=204)
    assert site.get("/documents")["uploads"] == []
    site.send("POST", "/documents", {"uploads": ["0" * 32]}, 422)
    site.send("POST", "/documents", {"uploads": ["../../etc"]}, 422)


def test_rows_of_an_upload_say_how_far_each_file_is() -> None:
    job = UploadJob(["/a/one.pdf", "/a/two.pdf"], ())
    job.result = cast(Any, SimpleNamespace(done=lambda: False))
    assert [(row.name, row.state) for row in job.rows()] == [("one.pdf", "waiting"), ("two.pdf", "waiting")]
    job.begin(["one.pdf", "two.pdf"])
    job.report("one.pdf", 3, 9)
    assert [(row.state, row.done, row.total) for row in job.rows()] == [("reading", 3, 9), ("waiting", 0, 0)]
    job.report("one.pdf", 9, 9)
    job.report("vectors", 5, 20)
    assert [(row.state, row.done, row.total) for row in job.rows()] == [("preparing", 5, 20), ("waiting", 0, 0)]


def test_examples_are_made_from_the_library(site: Site) -> None:
    assert site.get("/suggestions")["questions"] == [
        {"question": "Summarise A Book in three sentences.", "document": "d0"}
    ]


# ---- bugs


def bug(*_: object, **__: object) -> Any:
    raise TypeError("'NoneType' object is not subscriptable")


def logs_the_bug(caplog: pytest.LogCaptureFixture) -> bool:
    (record,) = (each for each in caplog.records if each.levelno >= logging.ERROR)
    return record.exc_info is not None and "not subscriptable" in str(record.exc_info[1]) and record.name == "glossator"


def test_a_bug_in_answering_is_an_internal_error(
    site: Site, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(answer_worker, "answer_question", bug)
    turn = site.ask(site.conversation())
    assert (turn["state"], turn["error"]) == ("failed", INTERNAL) and logs_the_bug(caplog), "once, with its traceback"


def test_a_bug_in_explaining_is_an_internal_error(
    site: Site, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(answer_worker, "explain_answer", bug)
    turn = site.ask(site.conversation())
    site.send("POST", f"/turns/{turn['id']}/explanation", {"level": "word"}, 202)
    job = site.parts.answers.explanation(turn["id"])
    assert job is not None
    job.result.result(10)
    last = site.get(f"/turns/{turn['id']}/explanation/events")["events"][-1]
    assert (last["kind"], last["error"]) == ("failed", INTERNAL) and logs_the_bug(caplog)


def test_a_bug_in_finding_precedents_is_an_internal_error(
    site: Site, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(precedent_worker, "find", bug)
    assert site.send("POST", "/precedents", {"text": "The mill was closed."}, 500)["detail"] == INTERNAL


def test_a_bug_in_ingesting_is_an_internal_error(
    site: Site, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(upload_worker.UploadFolder, "ingest", bug)
    upload = site.client.put("/v1/uploads/talk.vtt", content=b"WEBVTT\n").json()["id"]
    site.send("POST", "/documents", {"uploads": [upload]}, 202)
    deadline = time.monotonic() + 10
    while (row := site.get("/documents")["uploads"][0])["state"] == "waiting":
        assert time.monotonic() < deadline
    assert (row["state"], row["error"]) == ("failed", INTERNAL) and logs_the_bug(caplog)


def test_a_bug_in_a_route_is_an_internal_error(
    site: Site, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("ui.web.panels.page_view.PageViews.picture", bug)
    reply = site.client.get("/v1/documents/d0/pages/1.png")
    assert (reply.status_code, reply.json()["detail"]) == (500, INTERNAL) and logs_the_bug(caplog)


@pytest.mark.parametrize("fails", [lambda: ReaderError("reader x did not answer"), lambda: OSError(28, "no space")])
def test_what_is_no_bug_says_itself_and_is_not_logged(
    fails: Callable[[], Exception], caplog: pytest.LogCaptureFixture
) -> None:
    assert message_of(fails()) == str(fails()) and not caplog.records
