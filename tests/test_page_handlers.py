"""What the page's handlers give back where no browser is needed: of a bug, of a library that has not changed."""

from __future__ import annotations

import asyncio
import html
import logging
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import gradio as gr
import pytest
from fastapi.testclient import TestClient

from rag.document import Document
from rag.document import Page as DocumentPage
from rag.errors import ReaderError
from rag.library.catalogue import Library
from rag.pipeline import Pipeline
from rag.records import Passage
from rag.settings import load_settings
from tests.test_answer import ScriptedReader
from tests.test_filters import Within
from tests.test_instant_answer import looking_for
from ui.web.app import WebPage, Workers
from ui.web.arrivals import Arrivals
from ui.web.controls.updates import show
from ui.web.guarded_blocks import GuardedBlocks
from ui.web.panels.source_list import SourceList
from ui.web.server import application
from ui.web.workers import answer_worker, precedent_worker, upload_worker
from ui.web.workers.answer_worker import AnswerWorker
from ui.web.workers.jobs import message_of
from ui.web.workers.precedent_worker import PrecedentWorker
from ui.web.workers.upload_worker import UploadWorker

TEXT = "One part of it. Another part of it."
REQUEST = cast(gr.Request, SimpleNamespace(session_hash="a session"))
NO_FILTERS = [""] * 8
INTERNAL = "Internal error. The server's log says more"


def a_page(library: Any) -> WebPage:
    """A page over a library (or None), of which nothing is asked that needs a reader or an upload."""
    workers = Workers(*cast(Any, [SimpleNamespace(stop=None), None, None]))
    return WebPage(*cast(Any, [SimpleNamespace(library=library, settings=None), workers, None, None, None, False]))


def bug(*_: object, **__: object) -> Any:
    raise TypeError("'NoneType' object is not subscriptable")


class Served:
    """A page over a library of one document, with its workers."""

    def __init__(self, folder: Path):
        self.library = Library.open(folder / "library", create=True)
        document = Document("d0", "pdf", "A Book", TEXT, (DocumentPage(1, 0, len(TEXT)),))
        self.library.put(document, [Passage("d0#0", "d0", "", "", TEXT, 0, len(TEXT))], "/d0", "d0", "recipe")
        self.settings = load_settings(())
        indexes = cast(Any, SimpleNamespace(library=self.library, settings=self.settings))
        self.workers = Workers(UploadWorker(indexes), AnswerWorker(indexes), PrecedentWorker(indexes))
        self.arrivals = Arrivals(folder / "arrivals")
        self.page = WebPage(indexes, self.workers, cast(Any, None), cast(Any, None), self.arrivals, False)
        self.indexes = indexes
        self.blocks = self.page.blocks()

    def ask(self, *documents: str) -> list[dict[Any, Any]]:
        """All updates of the page by which a question is answered, in these documents only if there are any."""
        ask = self.page.conversation.ask(
            "What is another part?", "direct", "short", [], SourceList(), documents, REQUEST, *NO_FILTERS
        )
        return list(ask)

    def said(self, updates: list[dict[Any, Any]]) -> str:
        """The last message of the conversation, as it is shown."""
        chat = self.page.conversation.chat
        return str([update for update in updates if chat in update][-1][chat][-1]["content"]).replace("\\", "")


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    monkeypatch.setattr(answer_worker, "build_pipeline", lambda indexes, **_: Pipeline(
        Within(indexes.library), ScriptedReader("Another part of it"), indexes.library.pages_of, "", indexes.settings
    ))  # fmt: skip
    served = Served(tmp_path)
    monkeypatch.setattr(served.page.sources, "show", lambda *_, **__: {})
    yield served
    for worker in (served.workers.uploads, served.workers.answers, served.workers.precedents):
        assert worker.close(5)


def test_a_question_lists_no_documents_again_and_a_new_document_is_seen(served: Served) -> None:
    documents, listed = served.library.documents, list[object]()
    served.library.documents = lambda only=None: (listed.append(only), documents(only))[1]  # type: ignore[method-assign]
    column = served.page.documents
    assert "A Book" in column.refresh([], *NO_FILTERS)[column.documents] and listed == [None]
    updates = served.ask()
    assert served.said(updates) == "- A Book, page 1", "why this passage was found, below the answer"
    assert "A Book" in updates[-1][column.documents] and listed == [None]
    served.library.remove("d0")
    assert "No documents yet" in column.refresh([], *NO_FILTERS)[column.documents]


def test_what_is_marked_is_shown_with_its_source_before_the_reader_says_a_word(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen, sources = threading.Event(), list[SourceList]()

    class WaitingReader(ScriptedReader):
        def stream(self, *arguments: Any, **named: Any) -> Iterator[str]:
            assert seen.wait(10), "the mark is not shown before the reader begins"
            yield from super().stream(*arguments, **named)

    monkeypatch.setattr(answer_worker, "build_pipeline", lambda indexes, **_: Pipeline(
        Within(indexes.library), WaitingReader("Another part of it"), indexes.library.pages_of, "", indexes.settings,
        span_model=lambda: looking_for("Another"),
    ))  # fmt: skip
    monkeypatch.setattr(served.page.sources, "show", lambda shown, **_: (sources.append(shown), {})[1])
    updates, chat = list[dict[Any, Any]](), served.page.conversation.chat
    ask = served.page.conversation.ask(
        "What is another part?", "direct", "short", [], SourceList(), (), REQUEST, *NO_FILTERS
    )
    for update in ask:
        updates.append(update)
        if chat in update and "**Another** <small>[A Book, page 1](#citation-1)" in str(update[chat][-1]["content"]):
            seen.set()
    assert seen.is_set() and sources[0].citation is not None and sources[0].citation.quote == "Another part of it."
    assert "The reading model marks the same words (" in "".join(map(str, updates)).replace("\\", "")


@pytest.mark.parametrize(("strategy", "offered"), [("direct", True), ("extract", False)])
def test_what_made_an_answer_is_asked_only_where_a_language_model_made_it(
    served: Served, monkeypatch: pytest.MonkeyPatch, strategy: str, offered: bool
) -> None:
    monkeypatch.setattr(answer_worker, "build_pipeline", lambda indexes, **_: Pipeline(
        Within(indexes.library), ScriptedReader("Another part"), indexes.library.pages_of, "", indexes.settings,
        span_model=lambda: looking_for("Another"),
    ))  # fmt: skip
    row, conversation = served.page.explanation.row, served.page.conversation
    updates = list(conversation.ask(
        "What is another part?", strategy, "short", [], SourceList(), (), REQUEST, *NO_FILTERS
    ))  # fmt: skip
    *_, last = (update[row] for update in updates if row in update)
    assert last == show(offered)


def test_chosen_documents_alone_are_asked_and_one_that_has_gone_is_said_and_dropped(served: Served) -> None:
    text = "A part of another thing."
    served.library.put(
        Document("d1", "pdf", "A Book", text, (DocumentPage(1, 0, len(text)),)),
        [Passage("d1#0", "d1", "", "", text, 0, len(text))], "/d1", "d1", "recipe",
    )  # fmt: skip
    page = served.page
    offered = page.documents.refresh(["d0", "gone"], *NO_FILTERS)[page.filters.documents]
    assert sorted(offered["choices"]) == [("A Book (d0)", "d0"), ("A Book (d1)", "d1")] and offered["value"] == ["d0"]
    assert "value" not in page.documents.refresh(["d0"], *NO_FILTERS)[page.filters.documents]
    assert "Searched only: A Book." in "".join(str(update) for update in served.ask("d0")).replace("\\", "")
    assert "no longer in this library" in served.said(served.ask("gone"))
    assert "Searched only" not in "".join(map(str, served.ask()))


def told(part: gr.HTML) -> bool:
    """Whether a part of the page says that there is an internal error."""
    return INTERNAL in html.unescape(str(part.value))


def logs_the_bug(caplog: pytest.LogCaptureFixture) -> bool:
    (record,) = (each for each in caplog.records if each.levelno >= logging.ERROR)
    return record.exc_info is not None and "not subscriptable" in str(record.exc_info[1]) and record.name == "glossator"


def test_a_bug_in_answering_is_an_internal_error(
    served: Served, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(answer_worker, "answer_question", bug)
    updates = served.ask()
    assert served.said(updates) == f"**No answer.** {INTERNAL}"
    assert logs_the_bug(caplog), "once, with its traceback"
    assert served.page.conversation.box not in updates[-1], "it is no question that was asked wrongly"


def test_a_bug_in_showing_an_answer_is_an_internal_error(
    served: Served, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(served.page.sources, "show", bug)
    assert served.said(served.ask()) == f"**No answer.** {INTERNAL}" and logs_the_bug(caplog)


def test_a_bug_in_explaining_is_an_internal_error(
    served: Served, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(answer_worker, "explain_answer", bug)
    served.ask()
    updates = list(served.page.explanation.explain("Words", REQUEST))
    assert told(updates[-1][served.page.explanation.status]) and logs_the_bug(caplog)


def test_a_bug_in_finding_precedents_is_an_internal_error(
    served: Served, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(precedent_worker, "find", bug)
    updates = list(served.page.new_case.find("The mill was closed.", "both", "", *NO_FILTERS))
    assert told(updates[-1][served.page.new_case.searching]) and logs_the_bug(caplog)


def test_a_bug_in_ingesting_is_an_internal_error(
    served: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(upload_worker.UploadFolder, "ingest", bug)
    file = tmp_path / "arrivals" / "0a" / "talk.vtt"
    file.parent.mkdir(parents=True)
    file.write_text("WEBVTT\n")
    updates = list(served.page.documents.add([str(file)], "", [], *NO_FILTERS))
    assert told(updates[-1][served.page.documents.progress]) and logs_the_bug(caplog)


def test_a_bug_in_any_handler_is_an_internal_error(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with GuardedBlocks(Arrivals(tmp_path)) as blocks:
        box = gr.Textbox()
        box.change(bug, box, box)
    (handler,) = blocks.fns.values()
    # in another thread: while a browser of other tests is open, this one has a loop of events already
    with ThreadPoolExecutor(1) as other, pytest.raises(gr.Error) as error:
        other.submit(asyncio.run, blocks.call_function(handler, ["words"])).result()
    assert str(error.value.message) == INTERNAL and not error.value.print_exception and logs_the_bug(caplog)


def test_a_bug_in_a_route_is_an_internal_error(
    served: Served, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    site = application(served.indexes, served.workers, served.arrivals, ["testserver"], None)
    monkeypatch.setattr("ui.web.panels.page_view.PageViews.png", bug)
    reply = TestClient(site, raise_server_exceptions=False).get("/page/d0/1.png")
    assert (reply.status_code, reply.text) == (500, INTERNAL) and logs_the_bug(caplog)


@pytest.mark.parametrize("fails", [lambda: ReaderError("reader x did not answer"), lambda: OSError(28, "no space")])
def test_what_is_no_bug_says_itself_and_is_not_logged(
    fails: Callable[[], Exception], caplog: pytest.LogCaptureFixture
) -> None:
    assert message_of(fails()) == str(fails()) and not caplog.records
