"""The web page over one library: documents at the side, the conversation, and beside it the cited page.

Gradio draws it, FastAPI serves the pictures of pages, uvicorn runs both. Nothing comes from or goes to another machine:
no outside fonts or scripts, no analytics; and Gradio's own routes to files are closed.
"""

from __future__ import annotations

import html
import os
import shutil
import socket
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import count
from pathlib import Path
from typing import Any

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # read when gradio is imported

import gradio as gr
import uvicorn
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.middleware.trustedhost import TrustedHostMiddleware
from fastapi.responses import PlainTextResponse, Response

from ingest.build import Outcome, build
from ingest.picture import page_picture
from ingest.read import content_id
from ingest.worker import Limits, Stopped
from rag.answer import Evidence, Token, check_question, open_road
from rag.answer import ask as answer_question
from rag.errors import DocumentError, LibraryError, RagError, UsageError
from rag.indexes import Indexes
from rag.records import Answer, Citation, Hit
from ui import render

UPDATE_SECONDS = 0.15  # between two versions of the page while something is under way
MAX_UPLOAD = "1gb"
SHUTDOWN_SECONDS = 3.0
LOOPBACK = ("127.0.0.1", "localhost")
CLOSED = (
    "/gradio_api/file",
    "/gradio_api/proxy",
    "/gradio_api/run-history",
    "/gradio_api/deep_link",
    "/gradio_api/runs",
)
HEADERS = [
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (
        b"content-security-policy",
        b"default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
        b"img-src 'self' data: blob:; font-src 'self' data:; frame-ancestors 'self'; form-action 'self'",
    ),
]
Update = dict[Any, Any]  # component -> its new value

# -- looks -----------------------------------------------------------------------------------------------------------

SERIF = ["Iowan Old Style", "Palatino Linotype", "Palatino", "Georgia", "DejaVu Serif", "serif"]
CSS = """
.gradio-container { max-width: 1900px !important; }
.gradio-container > .main { padding: .75rem 1rem !important; }
.gradio-container main { padding: 0 !important; }
#heading h1 { display: inline; font-size: 1.5rem; font-weight: 600; }
#heading p { display: inline; margin-left: .75rem; color: var(--body-text-color-subdued); }
#library h2, #heading h1, .gradio-container .html-container { margin: 0; padding: 0; }
#library h2 { font-size: 1.1rem; font-weight: 600; }
#chat .message a { font-weight: 600; text-decoration: underline; padding: 0 .15em; }
#chat .placeholder, #chat .placeholder-content { color: var(--body-text-color-subdued); padding: 1rem; }
#sources label { align-items: flex-start; width: 100%; }
#sources label span { white-space: normal; overflow-wrap: anywhere; line-height: 1.4; }
#sources .wrap { max-height: 13rem; overflow-y: auto; flex-wrap: nowrap; flex-direction: column; }
figure.page, figure.page * { margin: 0 !important; }
figure.page a { display: block; }
#chat .bot em { animation: waiting 1.8s ease-in-out infinite; }  /* only a status is set in italics */
@keyframes waiting { 50% { opacity: .45; } }
@media (prefers-reduced-motion: reduce) { #chat .bot em { animation: none; } }
figure.page figcaption { font-style: italic; padding-bottom: .4rem; background: var(--body-background-fill); }
figure.page img { display: block; width: 100%; min-height: 8rem; border: 1px solid var(--border-color-primary); }
pre.page-text { white-space: pre-wrap; overflow-wrap: anywhere; font-family: inherit; line-height: 1.5; }
pre.page-text mark { background: #ffe43c; color: #1c1917; outline: 1px solid #965a00; }
#library ul { list-style: none; margin: 0; padding: 0; overflow-wrap: anywhere; line-height: 1.35; }
#library li { padding: .35rem 0; border-bottom: 1px solid var(--border-color-primary); }
#library small { display: block; color: var(--body-text-color-subdued); }
#library ul.documents { max-height: 42dvh; overflow-y: auto; }
#library progress { width: 100%; accent-color: var(--color-accent); }
.hint { color: var(--body-text-color-subdued); margin: 0; }
.problem, #library small.problem { color: var(--error-text-color); }
:focus-visible { outline: 3px solid var(--color-accent) !important; outline-offset: 1px; }
@media (min-width: 1000px) {
  #desk { flex-wrap: nowrap; height: calc(100dvh - 5.25rem); }
  #desk > .column { height: 100%; flex-wrap: nowrap; }
  #library { order: -1; overflow-y: auto; flex: 0 0 17rem !important; min-width: 0 !important; }
  #chat { flex: 1 1 0; min-height: 0; height: auto !important; }
  #page figcaption { position: sticky; top: 0; }
  #page { flex: 1 1 0; min-height: 0; overflow-y: auto !important; }
}
@media (max-width: 999px) { #chat { height: 60dvh !important; } #desk > .column { flex-basis: 100% !important; } }
"""
# A click or Enter on a marker chooses its source. A page's picture is scrolled to the quote. And two things that Gradio
# 6.31 leaves out: one name for the radio buttons of a group (for the arrow keys), and one for the note's button.
HEAD = """
<script>
document.addEventListener("click", (event) => {
  const link = event.target.closest && event.target.closest('a[href*="#citation-"]');
  const box = document.querySelector("#marker textarea, #marker input");
  if (!link || !box) return;
  event.preventDefault();
  event.stopPropagation();
  box.value = link.getAttribute("href").split("#citation-")[1] + " " + Date.now();
  box.dispatchEvent(new Event("input", { bubbles: true }));
}, true);
document.addEventListener("load", (event) => {
  const picture = event.target, page = document.getElementById("page");
  if (picture.dataset && picture.dataset.at && page)
    page.scrollTop = picture.dataset.at * picture.height - page.clientHeight / 2;
}, true);
new MutationObserver(() => {
  document.querySelectorAll("#sources input[type=radio]").forEach((radio) => { radio.name = "source"; });
  document.querySelectorAll('#chat button[aria-label=""]').forEach((button) => {
    button.setAttribute("aria-label", "Show or hide the note");
  });
}).observe(document, { childList: true, subtree: true });
</script>
"""
PAPER = {
    "body_background_fill": ("#faf7f0", "#1b1917"),
    "body_text_color_subdued": ("#6b6259", "#b8aea3"),
    "block_background_fill": ("#fffdf8", "#24211e"),
    "border_color_primary": ("#ddd5c6", "#45403a"),
    "input_background_fill": ("#ffffff", "#1b1917"),
    "color_accent_soft": ("#f3ecdd", "#332e29"),
    "background_fill_secondary": ("#fffdf8", "#24211e"),
    "button_primary_background_fill": ("#7a2626", "#8c3030"),
    "button_primary_background_fill_hover": ("#8f3232", "#a33a3a"),
    "button_primary_text_color": ("#ffffff", "#ffffff"),
    "button_secondary_background_fill": ("#ece5d6", "#3a3530"),
    "button_secondary_background_fill_hover": ("#e0d6c1", "#4a443d"),
    "checkbox_label_background_fill": ("#f6f1e5", "#2d2925"),
    "checkbox_label_background_fill_hover": ("#efe7d6", "#38332e"),
    "checkbox_label_background_fill_selected": ("#f1e6cf", "#40382d"),
    "link_text_color": ("#7a2626", "#f0b47a"),
    "link_text_color_hover": ("#a33a3a", "#ffd0a0"),
    "link_text_color_visited": ("#7a2626", "#f0b47a"),
    "error_text_color": ("#9b1c1c", "#ffb4a8"),
}


def theme() -> gr.themes.Base:
    """Ink on paper, and the same by lamplight; only fonts that the reader's machine has."""
    base = gr.themes.Base(
        primary_hue=gr.themes.colors.red, neutral_hue=gr.themes.colors.stone, font=SERIF, font_mono=["monospace"]
    )
    light = {name: colour for name, (colour, _) in PAPER.items()}
    dark = {f"{name}_dark": colour for name, (_, colour) in PAPER.items()}
    return base.set(color_accent="#a34545", **light, **dark)


# -- uploads ---------------------------------------------------------------------------------------------------------


class Batch:
    """Files on their way into the library. `state` is (done, total) by stage; setting `stop` calls it off."""

    def __init__(self, files: Sequence[str], passwords: Sequence[str]):
        self.files = [Path(file) for file in files]
        self.passwords = passwords
        self.state: dict[str, tuple[int, int]] = {file.name: (0, 0) for file in self.files}
        self.stop = threading.Event()
        self.outcomes: Future[list[tuple[str, Outcome]]]

    def report(self, what: str, done: int, total: int) -> None:
        if self.stop.is_set():
            raise Stopped
        self.state = {**self.state, what: (done, total)}


class Intake:
    """Uploads become documents, one batch at a time, whether or not a browser still watches."""

    def __init__(self, indexes: Indexes):
        self._indexes = indexes
        self._folder = (indexes.library.folder / "uploads").resolve()
        self._thread = ThreadPoolExecutor(1, "intake")
        self._batches: list[Batch] = []

    def start(self, files: Sequence[str], passwords: Sequence[str]) -> Batch:
        batch = Batch(files, passwords)
        self._batches = [b for b in self._batches if not b.outcomes.done()] + [batch]
        batch.outcomes = self._thread.submit(self._take, batch)
        return batch

    def stop(self) -> None:
        for batch in self._batches:
            batch.stop.set()

    def close(self, seconds: float) -> bool:
        """Stop, and wait so long for it; whether all has ended."""
        self.stop()
        self._thread.shutdown(wait=False, cancel_futures=True)
        return not wait([batch.outcomes for batch in self._batches], seconds).not_done

    def _take(self, batch: Batch) -> list[tuple[str, Outcome]]:
        """Keep the files and ingest them; (name, outcome) in the order they came."""
        kept: dict[Path, Path | Outcome] = {}
        try:
            for file in batch.files:
                kept[file] = self._keep(file)
            paths = list(dict.fromkeys(path for path in kept.values() if isinstance(path, Path)))
            outcomes = {outcome.path: outcome for outcome in self._ingest(paths, batch)}
            return [(file.name, outcomes[str(k)] if isinstance(k, Path) else k) for file, k in kept.items()]
        finally:
            for path in kept.values():
                self._forget(path)
            for file in batch.files:
                file.unlink(missing_ok=True)

    def _ingest(self, paths: Sequence[Path], batch: Batch) -> Sequence[Outcome]:
        if not paths:
            return ()
        library, settings = self._indexes.library, self._indexes.settings.ingest
        return build(paths, library, self._indexes, settings, batch.passwords, report=batch.report).documents

    def _keep(self, upload: Path) -> Path | Outcome:
        """Where the bytes lie from now on: where they already did, or in the library's uploads folder."""
        try:
            document_id = content_id(upload)
        except DocumentError as error:
            return Outcome(upload.name, error=str(error))
        for known in self._indexes.library.files_of(document_id):
            if _holds(known, document_id):
                return known
        for number in count(1):
            target = self._folder / safe_name(upload.name, number)
            if _holds(target, document_id):
                return target
            if not target.exists():
                break
        self._folder.mkdir(exist_ok=True)
        shutil.copyfile(upload, self._folder / ".incoming")
        os.replace(self._folder / ".incoming", target)
        return target

    def _forget(self, kept: Path | Outcome) -> None:
        """Delete a copy that did not become a document."""
        if isinstance(kept, Path) and kept.is_relative_to(self._folder):
            with suppress(LibraryError, OSError):
                if not self._indexes.library.document_at(str(kept)):
                    kept.unlink()


def _holds(file: Path, document_id: str) -> bool:
    try:
        return content_id(file) == document_id
    except DocumentError:
        return False


def safe_name(name: str, number: int = 1) -> str:
    """A file name without folders, control characters or a leading dot, of a length that every disk takes.

    >>> safe_name("../../etc/pass\\nwd.PDF", 2)
    'passwd (2).pdf'
    """
    stem = Path(name.replace("\\", "/").rpartition("/")[2]).stem
    stem = "".join(letter for letter in stem if letter.isprintable()).strip(". ")
    stem = stem.encode()[:180].decode(errors="ignore") or "document"
    return f"{stem}{f' ({number})' if number > 1 else ''}.pdf"


# -- questions -------------------------------------------------------------------------------------------------------


class Question:
    """A question on its way. The reading thread writes how far it is; setting `stop` calls it off."""

    def __init__(self, text: str):
        self.text = text
        self.status = "Waiting for another question to be answered …"
        self.draft = ""
        self.stop = threading.Event()
        self.answer: Future[Answer | None]


class Reading:
    """Questions are answered one at a time, in the order they came; each sees the newest state of the library."""

    def __init__(self, indexes: Indexes):
        self._indexes = indexes
        self._thread = ThreadPoolExecutor(1, "reading")
        self._loading = self._thread.submit(self._load)
        self._last: Future[Answer | None] | None = None

    def start(self, text: str) -> Question:
        question = Question(text)
        if not self._loading.done():
            question.status = "Loading the models …"
        question.answer = self._last = self._thread.submit(self._answer, question)
        return question

    def close(self, seconds: float) -> bool:
        self._thread.shutdown(wait=False, cancel_futures=True)
        return not wait([future for future in (self._loading, self._last) if future], seconds).not_done

    def has_documents(self) -> bool:
        return any(entry.status == "ready" for entry in self._indexes.library.documents())

    def _load(self) -> None:
        """Load the models before they are needed; what is wrong with them is said when they are."""
        with suppress(RagError):
            if self.has_documents():
                open_road(self._indexes)

    def _answer(self, question: Question) -> Answer | None:
        if question.stop.is_set():
            return None
        question.status = "Searching …"
        for step in answer_question(question.text, open_road(self._indexes), self._indexes.settings.retrieve.k):
            if question.stop.is_set():
                return None
            if isinstance(step, Answer):
                return step
            if isinstance(step, Evidence):
                question.status = f"Reading {render.evidence_text(step.hits)} …"
            elif isinstance(step, Token):
                question.draft += step.text
            else:
                question.status = "Checking the draft against the passages …"
        return None


# -- sources ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Shelf:
    """The sources of every answer of a conversation, and what of them is shown: an answer's, one of them, a page."""

    answers: tuple[tuple[Citation, ...], ...] = ()
    answer: int = 0
    source: int = 0
    page: int = 0

    @property
    def sources(self) -> tuple[Citation, ...]:
        return self.answers[self.answer] if self.answers else ()

    @property
    def citation(self) -> Citation | None:
        return self.sources[self.source] if self.sources else None

    @property
    def count(self) -> int:
        return sum(map(len, self.answers))

    def put(self, sources: Sequence[Citation]) -> Shelf:
        return Shelf((*self.answers, tuple(sources)), len(self.answers)).choose(0)

    def choose(self, source: int) -> Shelf:
        """Another source of the same answer, at the page where its quote starts."""
        if not 0 <= source < len(self.sources):
            return self
        return replace(self, source=source, page=self.sources[source].first_page)

    def find(self, number: int) -> Shelf:
        """The citation with this number, counted through the whole conversation from 1."""
        for answer, sources in enumerate(self.answers):
            if 1 <= number <= len(sources):
                return replace(self, answer=answer).choose(number - 1)
            number -= len(sources)
        return self


def nearest(hit: Hit) -> Citation:
    """A passage that was found, as a source: what an abstaining answer has to show."""
    p = hit.passage
    return Citation(
        f"[{hit.rank}]", p.passage_id, p.document_id, p.path, p.title, p.first_page, p.last_page, p.text, p.start, p.end
    )


class Pictures:
    """Pictures of the library's pages: the last few are kept, two at a time are drawn."""

    def __init__(self, indexes: Indexes):
        self._library = indexes.library
        self._limits = Limits(indexes.settings.ingest.page_seconds, indexes.settings.ingest.memory_mb)
        self._drawing = threading.Semaphore(2)
        self._draw = lru_cache(maxsize=48)(self._draw_anew)

    def _draw_anew(self, document_id: str, page: int, start: int, end: int) -> bytes:
        with self._drawing:
            return page_picture(self._library, document_id, page, start, end, self._limits)

    def pages(self, document_id: str) -> int:
        """How many pages a document has; 0 if it is not in the library (any more)."""
        return next((entry.pages for entry in self._library.documents([document_id])), 0)

    def png(self, document_id: str, page: int, start: int, end: int) -> bytes:
        """Raises LibraryError for a page that the library does not hold, DocumentError for one that cannot be drawn."""
        if not 1 <= page <= (pages := self.pages(document_id)):
            why = f"it has {pages} pages" if pages else "the library holds no such document"
            raise LibraryError(f"no page {page} of {document_id[:64]}: {why}")
        return self._draw(document_id, page, start, end)

    def html(self, citation: Citation, page: int) -> str:
        """The page's picture, or if there is none its text, with the quote marked either way."""
        document = self._library.document(citation.document_id)
        span, pages = document.pages[page - 1], len(document.pages)
        cited = citation.first_page <= page <= citation.last_page
        start, end = (citation.start, citation.end) if cited else (span.start, span.start)
        first, last = (min(max(at, span.start), span.end) - span.start for at in (start, end))
        try:
            self.png(citation.document_id, page, *((start, end) if cited else (0, 0)))
            return render.page_figure(citation, page, pages, first / max(1, span.end - span.start))
        except DocumentError as error:
            quoted = render.quote_in_page(document.text[span.start : span.end], first, last)
            return render.page_text_figure(citation, page, pages, str(error), quoted)


# -- the page --------------------------------------------------------------------------------------------------------


class Desk:
    """The page's parts (components) and what they do (handlers, which return component -> new value)."""

    def __init__(self, indexes: Indexes, intake: Intake, reading: Reading, pictures: Pictures):
        self._indexes = indexes
        self._library = indexes.library
        self._intake = intake
        self._reading = reading
        self._pictures = pictures
        self._asked: dict[str, Question] = {}  # the last question of each browser session

    def blocks(self) -> gr.Blocks:
        with gr.Blocks(title="Glossator", analytics_enabled=False, fill_width=True, delete_cache=(600, 3600)) as blocks:
            self.shelf = gr.State(Shelf())
            gr.HTML(
                "<h1>Glossator</h1><p>Ask your documents; every answer says on which page it stands.</p>",
                elem_id="heading",
            )
            with gr.Row(elem_id="desk"):  # the order of the Tab key, and from top to bottom on a narrow screen
                with gr.Column(scale=5, min_width=300):
                    self._conversation_panel()
                with gr.Column(scale=6, min_width=300, elem_id="proof"):
                    self._sources_panel()
                with gr.Column(scale=3, min_width=240, elem_id="library"):
                    self._documents_panel()
            self._wire(blocks)
        blocks.queue(api_open=False, default_concurrency_limit=1, max_size=64)
        return blocks

    def _conversation_panel(self) -> None:
        self.chat = gr.Chatbot(
            label="Conversation", show_label=False, elem_id="chat", buttons=[], latex_delimiters=[], allow_tags=False,
            feedback_options=None, layout="panel", placeholder="Ask a question below. The answer names its sources.",
        )  # fmt: skip
        self.box = gr.Textbox(label="Question", elem_id="question", max_lines=4, autofocus=True)
        with gr.Row():
            self.ask_button = gr.Button("Ask", variant="primary", size="md", min_width=80, scale=3)
            self.stop_button = gr.Button("Stop", size="md", interactive=False, min_width=80, scale=1)

    def _sources_panel(self) -> None:
        self.sources = gr.Radio(label="Sources", choices=[], visible=False, elem_id="sources")
        with gr.Row():
            self.back = gr.Button("Previous page", size="sm", interactive=False, min_width=100)
            self.forth = gr.Button("Next page", size="sm", interactive=False, min_width=100)
        self.page = gr.HTML(render.hint_html("The page that an answer cites is shown here."), elem_id="page")
        self.marker = gr.Textbox(label="Chosen marker", elem_id="marker", visible="hidden")

    def _documents_panel(self) -> None:
        gr.HTML("<h2>Documents</h2>")
        self.documents = gr.HTML()
        self.uploads = gr.File(label="Add PDFs", file_count="multiple", file_types=[".pdf"], height=130)
        self.progress = gr.HTML(visible=False)
        self.halt = gr.Button("Stop reading", size="sm", visible=False)
        with gr.Accordion("Password for encrypted PDFs", open=False):
            self.password = gr.Textbox(label="Password", info="Type it before you add the file.", type="password")
        with gr.Accordion("Remove a document", open=False):
            self.removable = gr.Dropdown(label="Document", choices=[], interactive=True)
            self.remove_button = gr.Button("Remove", size="sm")

    def _wire(self, blocks: gr.Blocks) -> None:
        quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
        writer = {"concurrency_id": "writer", "concurrency_limit": 1}
        listing = [self.documents, self.removable]
        view = [self.shelf, self.sources, self.page, self.back, self.forth]
        blocks.load(self.refresh, None, listing, **quiet)

        asked = gr.on(
            [self.box.submit, self.ask_button.click], self.ask, [self.box, self.chat, self.shelf],
            [self.chat, self.box, self.ask_button, self.stop_button, *view],
            concurrency_limit=16, **quiet,
        )  # fmt: skip
        asked.then(self.refresh, None, listing, **quiet)
        self.stop_button.click(self.stop, None, None, **quiet)
        blocks.unload(self.forget)

        self.sources.input(lambda i, shelf: self.show(shelf.choose(i)), [self.sources, self.shelf], view, **quiet)
        self.marker.change(self.follow, [self.marker, self.shelf], view, **quiet)
        self.back.click(lambda shelf: self.turn(shelf, -1), self.shelf, view, **quiet)
        self.forth.click(lambda shelf: self.turn(shelf, 1), self.shelf, view, **quiet)

        self.uploads.upload(
            self.add, [self.uploads, self.password],
            [self.uploads, self.password, self.progress, self.halt, *listing], **writer, **quiet,
        )  # fmt: skip
        self.halt.click(self._intake.stop, None, None, **quiet)
        self.remove_button.click(self.remove, self.removable, [self.progress, *listing], **writer, **quiet)

    # -- documents

    def refresh(self) -> Update:
        try:
            entries = self._library.documents()
        except RagError as error:
            return {self.documents: render.problem_html(str(error))}
        choices = [(f"{render.printable(e.title)} ({e.document_id[:6]})", e.document_id) for e in entries]
        removable = gr.Dropdown(choices=choices, value=None)
        return {self.documents: render.documents_html(entries), self.removable: removable}

    def add(self, files: Sequence[str], password: str) -> Iterator[Update]:
        """Ingest uploaded files, showing how far they are."""
        batch = self._intake.start(files, [password] if password else [])
        yield {self.uploads: None, self.halt: gr.Button(visible=True)}
        while not wait([batch.outcomes], UPDATE_SECONDS).done:
            yield self._report(render.progress_html(batch.state))
        try:
            shown = render.outcomes_html(batch.outcomes.result())
        except (Stopped, CancelledError):
            shown = render.problem_html("Stopped. The documents that were finished are kept")
        except (RagError, OSError) as error:
            shown = render.problem_html(str(error))
        yield {**self._report(shown), self.password: "", self.halt: gr.Button(visible=False), **self.refresh()}

    def remove(self, document_id: str | None) -> Update:
        if not document_id:
            return self._report(render.hint_html("Choose the document to remove first."))
        try:
            with self._library.writing("glossator serve: remove"), self._indexes.updating():
                self._library.remove(document_id)
        except RagError as error:
            return self._report(render.problem_html(str(error)))
        return {**self._report(render.hint_html("Removed.")), **self.refresh()}

    def _report(self, html: str) -> Update:
        return {self.progress: gr.HTML(html, visible=True)}

    # -- questions

    def ask(self, text: str, chat: list[Any], shelf: Shelf, request: gr.Request) -> Iterator[Update]:
        """Answer in the conversation, a version of it at a time."""
        settings = self._indexes.settings
        try:
            text = check_question(text, settings.retrieve.k, settings)
            if not self._reading.has_documents():
                raise UsageError("there are no documents to search yet. Add PDFs first")
        except RagError as error:
            hint = render.printable(str(error))
            gr.Info(html.escape(hint[:1].upper() + hint[1:]), title="Not asked")
            return
        chat = [*chat, _said("user", render.markdown(text))]
        question = self._asked[str(request.session_hash)] = self._reading.start(text)
        yield {self.chat: chat, self.box: "", self.ask_button: OFF, self.stop_button: ON}
        try:
            yield from self._follow(question, chat)
            yield from self._final(question, chat, shelf)
        except (RagError, CancelledError) as error:
            yield {self.chat: [*chat, _said("assistant", f"**No answer.** {render.markdown(str(error))}")]}
        finally:
            question.stop.set()  # also when the browser has gone
        yield {self.ask_button: ON, self.stop_button: OFF}

    def _follow(self, question: Question, chat: list[Any]) -> Iterator[Update]:
        """The status and the draft, whenever they have changed."""
        shown = ("", "")
        while not wait([question.answer], UPDATE_SECONDS).done and not question.stop.is_set():
            if (now := (question.status, question.draft)) != shown:
                draft = f"{render.markdown(question.draft)}\n\n" if question.draft else ""
                yield {self.chat: [*chat, _said("assistant", f"{draft}*{render.markdown(question.status)}*")]}
                shown = now

    def _final(self, question: Question, chat: list[Any], shelf: Shelf) -> Iterator[Update]:
        """The answer, its note and its sources."""
        answer = None if question.stop.is_set() else question.answer.result()
        if answer is None:
            yield {self.chat: [*chat, _said("assistant", "Stopped.")]}
            return
        said = [_said("assistant", render.answer_markdown(answer, shelf.count + 1))]
        for note in answer.notes:
            title = {"title": "Evidence note: what the passages say", "status": "done"}
            said.append(_said("assistant", render.note_markdown(note)) | {"metadata": title})
        yield {self.chat: [*chat, *said]}
        yield self.show(shelf.put(answer.citations or [nearest(hit) for hit in answer.evidence]))

    def stop(self, request: gr.Request) -> None:
        if question := self._asked.get(str(request.session_hash)):
            question.stop.set()

    def forget(self, request: gr.Request) -> None:
        self.stop(request)
        self._asked.pop(str(request.session_hash), None)

    # -- sources

    def show(self, shelf: Shelf) -> Update:
        """The list of sources, and the page of the chosen one."""
        pages, page, citation = 0, render.hint_html("There is no source to show."), shelf.citation
        if citation is not None:
            try:
                pages, page = self._pictures.pages(citation.document_id), self._pictures.html(citation, shelf.page)
            except LibraryError:
                page = render.problem_html(f"{citation.title} is no longer in the library")
        choices = [(render.source_label(int(c.marker.strip("[]")), c), i) for i, c in enumerate(shelf.sources)]
        return {
            self.shelf: shelf,
            self.sources: gr.Radio(choices=choices, value=shelf.source, visible=bool(choices)),
            self.page: page,
            self.back: gr.Button(interactive=1 < shelf.page <= pages),
            self.forth: gr.Button(interactive=1 <= shelf.page < pages),
        }

    def follow(self, marker: str, shelf: Shelf) -> Update:
        """A marker in the conversation was chosen: "<number of the citation> <time>"."""
        number = marker.split()[0] if marker.split() else ""
        return self.show(shelf.find(int(number)) if number.isdecimal() else shelf)

    def turn(self, shelf: Shelf, by: int) -> Update:
        pages = self._pictures.pages(shelf.citation.document_id) if shelf.citation else 0
        return self.show(replace(shelf, page=min(max(1, shelf.page + by), max(1, pages))))


OFF, ON = gr.update(interactive=False), gr.update(interactive=True)


def _said(role: str, content: str) -> dict[str, Any]:
    return {"role": role, "content": content}


# -- the server ------------------------------------------------------------------------------------------------------


class Guard:
    """ASGI: headers on every reply; Gradio's routes to files, which this page does not use, are closed."""

    def __init__(self, app: Any):
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        async def send_with_headers(message: Any) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message["headers"], *HEADERS]}
            await send(message)

        if scope["type"] == "http" and scope["path"].startswith(CLOSED):
            await PlainTextResponse("not served here", 403)(scope, receive, send_with_headers)
        else:
            await self._app(scope, receive, send_with_headers)


def application(indexes: Indexes, intake: Intake, reading: Reading, host: str) -> FastAPI:
    """The whole site: the page at /, the pictures of documents' pages at /page/."""
    app = FastAPI(openapi_url=None)
    if host in LOOPBACK:  # a foreign page may not reach us under a name of its own (DNS rebinding)
        app.add_middleware(TrustedHostMiddleware, allowed_hosts=list(LOOPBACK))
    app.add_middleware(Guard)
    pictures = Pictures(indexes)
    desk = Desk(indexes, intake, reading, pictures)

    @app.get("/page/{document_id}/{page}.png")
    def page(document_id: str, page: int, start: int = 0, end: int = 0) -> Response:
        try:
            return Response(pictures.png(document_id, page, start, end), media_type="image/png")
        except RagError as error:
            return PlainTextResponse(render.printable(str(error)), 404 if isinstance(error, LibraryError) else 422)

    @app.exception_handler(RequestValidationError)
    def invalid(request: Request, error: RequestValidationError) -> Response:
        return PlainTextResponse("page, start and end are whole numbers: /page/DOCUMENT/PAGE.png?start=S&end=E", 422)

    return gr.mount_gradio_app(
        app, desk.blocks(), path="/", server_name=host, footer_links=[], run_history=False, allowed_paths=[],
        max_file_size=MAX_UPLOAD, ssr_mode=False, enable_monitoring=False, pwa=False, mcp_server=False,
        theme=theme(), css=CSS, head=HEAD,
    )  # fmt: skip


class _Server(uvicorn.Server):
    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started and sockets:
            host, port = sockets[0].getsockname()[:2]
            host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
            print(f"glossator: open http://{f'[{host}]' if ':' in host else host}:{port}", file=sys.stderr, flush=True)


def serve(indexes: Indexes, host: str, port: int) -> None:
    """Serve the page until Ctrl-C. Raises RagError if the port cannot be had."""
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listening = socket.create_server((host, port), family=family)
    except OSError as error:
        raise RagError(f"{host}:{port}: {error.strerror}. Choose another: glossator serve --port {port + 1}") from error
    intake, reading = Intake(indexes), Reading(indexes)
    with listening, tempfile.TemporaryDirectory(prefix="glossator-") as uploads:
        os.environ["GRADIO_TEMP_DIR"] = uploads  # ours alone, and gone afterwards
        app = application(indexes, intake, reading, host)
        server = _Server(uvicorn.Config(app, log_config=None, log_level="critical", timeout_graceful_shutdown=1))
        try:
            server.run([listening])
        except KeyboardInterrupt:  # uvicorn has ended in order, and raises the signal again
            pass
        finally:
            if not all([intake.close(SHUTDOWN_SECONDS), reading.close(SHUTDOWN_SECONDS)]):
                raise KeyboardInterrupt  # something is still in a library's hands: end the process
