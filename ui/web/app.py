"""The web page over one library: documents at the side, the conversation, and beside it the cited page or episode."""

from __future__ import annotations

import html
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import CancelledError
from contextlib import suppress
from dataclasses import replace
from typing import Any

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # read when gradio is imported

import gradio as gr

from ingest.worker import Stopped
from rag.answer import check_question
from rag.errors import LibraryError, RagError, UsageError
from rag.index.manager import Indexes
from rag.records import Answer
from ui import render
from ui.web.arrivals import Arrivals
from ui.web.jobs import UPLOADED, Explanation, Intake, Question, Reading
from ui.web.login import SIGN_OUT
from ui.web.panels import filter_choices as filters
from ui.web.panels import heat_map as heat
from ui.web.panels import judgment_panel as judgment
from ui.web.panels import player
from ui.web.panels import precedent_panel as precedents
from ui.web.panels.case_list import Casebook
from ui.web.panels.recordings import Recordings
from ui.web.panels.source_list import Pictures, Shelf

UPDATE_SECONDS = 0.15  # between two versions of the page while something is under way
MAX_UPLOAD = "1gb"
Update = dict[Any, Any]  # component -> its new value

SERIF = ["Iowan Old Style", "Palatino Linotype", "Palatino", "Georgia", "DejaVu Serif", "serif"]
PAPER = {
    "body_background_fill": ("#faf7f0", "#1b1917"),
    "body_text_color_subdued": ("#6b6259", "#b8aea3"),
    "block_background_fill": ("#fffdf8", "#24211e"),
    "border_color_primary": ("#ddd5c6", "#45403a"),
    "input_background_fill": ("#ffffff", "#1b1917"),
    "input_border_color": ("#cfc5b2", "#57514a"),
    "input_border_width": ("1px", "1px"),
    "color_accent_soft": ("#f3ecdd", "#332e29"),
    "background_fill_secondary": ("#fffdf8", "#24211e"),
    "button_primary_background_fill": ("#7a2626", "#8c3030"),
    "button_primary_background_fill_hover": ("#8f3232", "#a33a3a"),
    "button_primary_text_color": ("#ffffff", "#ffffff"),
    "button_secondary_background_fill": ("#ece5d6", "#3a3530"),
    "button_secondary_background_fill_hover": ("#e0d6c1", "#4a443d"),
    "checkbox_border_color": ("#8a7f70", "#9a9086"),
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


class Desk:
    """The page's parts (components) and what they do (handlers, which return component -> new value)."""

    def __init__(
        self, indexes: Indexes, intake: Intake, reading: Reading,
        pictures: Pictures, recordings: Recordings, casebook: Casebook, arrivals: Arrivals, has_login: bool,
    ):  # fmt: skip
        self._indexes = indexes
        self._library = indexes.library
        self._intake = intake
        self._reading = reading
        self._pictures = pictures
        self._recordings = recordings
        self._casebook = casebook
        self._arrivals = arrivals
        self._has_login = has_login
        self._offer = filters.Offer(indexes.library)
        self._asked: dict[str, Question] = {}  # the last question of each browser session

    def blocks(self) -> gr.Blocks:
        with _Page(self._arrivals) as blocks:
            self.shelf = gr.State(Shelf())
            self.found = gr.State("")  # HTML of the precedents that were found last
            gr.HTML(
                "<h1>Glossator</h1>"
                "<p>Ask your documents; every answer says on which page, in which paragraph or at which second.</p>"
                + (SIGN_OUT if self._has_login else ""),
                elem_id="heading",
            )
            with gr.Row(elem_id="desk"):  # the order of the Tab key, and from top to bottom on a narrow screen
                with gr.Column(scale=5, min_width=300, elem_id="conversation"):
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
        with gr.Row(elem_id="why", **seen(False)) as self.why:
            gr.HTML("<span aria-hidden='true'>What made this answer?</span>")
            self.levels = [gr.Button(name, size="sm", min_width=60) for name in heat.NAMES]
            self.stop_explaining = gr.Button("Stop explaining", size="sm", min_width=60, **seen(False))
        self.explaining = gr.HTML(elem_id="explaining", **seen(False))
        self.box = gr.Textbox(label="Question", elem_id="question", max_lines=4, autofocus=True)
        with gr.Row():
            self.ask_button = gr.Button("Ask", variant="primary", size="md", min_width=80, scale=3)
            self.stop_button = gr.Button("Stop", size="md", interactive=False, min_width=80, scale=1)
        with gr.Accordion(filters.where_to(()), open=False, elem_id="filters", **seen(False)) as self.where, gr.Row():
            common: dict[str, Any] = {"value": "", "min_width": 150, "interactive": True, **seen(False)}
            self.filters = [
                gr.Textbox(label=field.label, max_lines=1, **common)
                if field.typed
                else gr.Dropdown(label=field.label, choices=[filters.ANY], **common)
                for field in filters.FIELDS
            ]
        self.clear = gr.Button("Clear filters", size="sm", **seen(False))
        with gr.Accordion("Precedents of a new case", open=False, elem_id="new-case", **seen(False)) as self.new_case:
            self.facts = gr.Textbox(
                label="Facts of a new case", lines=4, max_lines=8,
                info="Judgments within the filters above are searched.",
            )  # fmt: skip
            with gr.Row():
                choices = [(name, field) for field, name in precedents.COMPARED.items()]
                self.compared = gr.Dropdown(
                    label="Compare with their", choices=choices, value="both", min_width=150, interactive=True
                )
                self.before = gr.Textbox(
                    label="Dated before", placeholder="2010 or 2010-06-30", max_lines=1, min_width=150
                )
            self.find_button = gr.Button("Find precedents", size="md")
            self.searching = gr.HTML(elem_id="searching", **seen(False))
        with gr.Accordion(_how("notes"), open=False) as self.how:
            choices = [(f"{name}: {what}", style) for style, (name, what) in render.STYLES.items()]
            self.style = gr.Radio(label="How to read", choices=choices, value="notes", elem_id="style", container=False)

    def _sources_panel(self) -> None:
        self.sources = gr.Radio(label="Sources", choices=[], elem_id="sources", **seen(False))
        with gr.Row():
            self.back = gr.Button("Previous page", size="sm", interactive=False, min_width=100)
            self.forth = gr.Button("Next page", size="sm", interactive=False, min_width=100)
            self.again = gr.Button("Back to the precedents", size="sm", min_width=100, **seen(False))
            self.close = gr.Button("Back to the page", size="sm", min_width=100, **seen(False))
        self.page = gr.HTML(render.hint_html("The page that an answer cites is shown here."), elem_id="page")
        self.timeline = gr.HTML(elem_id="timeline", **seen(False))
        self.marker = gr.Textbox(label="Chosen marker", elem_id="marker", **seen(False))

    def _documents_panel(self) -> None:
        gr.HTML("<h2>Documents</h2>")
        self.documents = gr.HTML()
        self.uploads = gr.File(
            label="Add PDFs, judgments or transcripts", file_count="multiple", file_types=list(UPLOADED), height=160
        )
        gr.HTML(render.hint_html("With a transcript, add its audio, NAME.chapters.json and NAME.shownotes.md."))
        gr.HTML(render.hint_html("Judgments: PDF, .txt, .html, .json or .jsonl, packed (.gz) or not."))
        self.progress = gr.HTML(**seen(False))
        self.halt = gr.Button("Stop reading", size="sm", **seen(False))
        with gr.Accordion("Password for encrypted PDFs", open=False):
            self.password = gr.Textbox(label="Password", info="Type it before you add the file.", type="password")
        with gr.Accordion("Remove a document", open=False):
            self.removable = gr.Dropdown(label="Document", choices=[], interactive=True)
            self.remove_button = gr.Button("Remove", size="sm")

    def _wire(self, blocks: gr.Blocks) -> None:
        quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
        writer: dict[str, Any] = {"concurrency_id": "writer", "concurrency_limit": 1}
        listing = [self.documents, self.removable, self.where, self.new_case, *self.filters]
        view = [self.shelf, self.sources, self.page, self.back, self.forth, self.again, self.close]
        blocks.load(self.refresh, self.filters, listing, **quiet)
        gr.on(
            [box.change for box in self.filters], self.narrow, [self.marker, *self.filters],
            [self.where, self.clear, self.timeline], js=judgment.OPEN_CASE, **quiet,
        )  # fmt: skip
        self.clear.click(lambda: [""] * len(self.filters), None, self.filters, **quiet)

        asked = gr.on(
            [self.box.submit, self.ask_button.click], self.ask,
            [self.box, self.style, self.chat, self.shelf, *self.filters],
            [
                self.chat, self.box, self.ask_button, self.stop_button, self.why, self.explaining, self.stop_explaining,
                *self.levels, *view, *listing,
            ],
            concurrency_limit=16, trigger_mode="multiple", **quiet,
        )  # fmt: skip
        asked.failure(lambda: (ON, OFF), None, [self.ask_button, self.stop_button], **quiet)
        self.stop_button.click(self.stop, None, None, **quiet)
        blocks.unload(self.forget)
        self.style.input(lambda style: gr.Accordion(label=_how(style)), self.style, self.how, **quiet)

        explaining = [*self.levels, self.stop_explaining, self.explaining]
        for button in self.levels:
            explained = button.click(
                self.explain, button, [*explaining, self.page, self.back, self.forth, self.close],
                concurrency_id="explain", concurrency_limit=16, trigger_mode="multiple", **quiet,
            )  # fmt: skip
            explained.failure(self._explaining, None, explaining, **quiet)
        self.stop_explaining.click(self.stop, None, None, **quiet)
        self.close.click(
            lambda shelf, *chosen: self.show(shelf, chosen=chosen), [self.shelf, *self.filters], view, **quiet
        )  # fmt: skip

        searched = self.find_button.click(
            self.find, [self.facts, self.compared, self.before, *self.filters],
            [self.searching, self.find_button, self.found, *view],
            concurrency_limit=16, trigger_mode="multiple", **quiet,
        )  # fmt: skip
        searched.failure(lambda: ON, None, self.find_button, **quiet)
        self.again.click(self.show_found, self.found, view, **quiet)

        self.sources.input(
            lambda i, shelf, *chosen: self.show(shelf.choose(i or 0), True, chosen),
            [self.sources, self.shelf, *self.filters], view, **quiet,
        )  # fmt: skip
        self.marker.change(self.follow, [self.marker, self.shelf, self.found, *self.filters], view, **quiet)
        self.back.click(lambda shelf: self.turn(shelf, -1), self.shelf, view, **quiet)
        self.forth.click(lambda shelf: self.turn(shelf, 1), self.shelf, view, **quiet)

        self.uploads.upload(
            self.add, [self.uploads, self.password, *self.filters],
            [self.uploads, self.password, self.progress, self.halt, *listing], **writer, **quiet,
        )  # fmt: skip
        self.halt.click(self._intake.stop, None, None, **quiet)
        self.remove_button.click(
            self.remove, [self.removable, *self.filters], [self.progress, *listing], **writer, **quiet
        )  # fmt: skip

    # -- documents

    def refresh(self, *chosen: str | None) -> Update:
        """The documents, and what of them may be chosen; a filter that is set to what has gone is open again."""
        try:
            entries, offered = self._library.documents(), self._offer.choices()
        except RagError as error:
            return {self.documents: render.problem_html(str(error))}
        choices = [(f"{render.printable(e.title)} ({e.document_id[:6]})", e.document_id) for e in entries]
        removable = gr.Dropdown(choices=choices, value=None)
        shown = {self.documents: render.documents_html(entries), self.removable: removable}
        for field, box, now, some in zip(filters.FIELDS, self.filters, chosen, offered, strict=True):
            shown[box] = gr.update(**filters.control(field, now, some), **seen(bool(some)))
        judged = any(entry.kind == "legal" and entry.status == "ready" for entry in entries)
        return shown | {self.where: gr.update(**seen(any(offered))), self.new_case: gr.update(**seen(judged))}

    def add(self, files: Sequence[str], password: str, *chosen: str | None) -> Iterator[Update]:
        """Ingest uploaded files, showing how far they are."""
        if not all(map(self._arrivals.holds, files)):
            yield {self.uploads: None, **self._report(render.problem_html(NOT_UPLOADED))}
            return
        batch = self._intake.start(files, [password] if password else [])
        yield {self.uploads: None, self.halt: gr.update(**seen(True))}
        while not batch.ended(UPDATE_SECONDS):
            yield self._report(render.progress_html(batch.state))
        try:
            shown = render.outcomes_html(batch.result.result(0))
        except (Stopped, CancelledError, TimeoutError):
            shown = render.problem_html("Stopped. The documents that were finished are kept")
        except (RagError, OSError) as error:
            shown = render.problem_html(str(error))
        yield {**self._report(shown), self.password: "", self.halt: gr.update(**seen(False)), **self.refresh(*chosen)}

    def remove(self, document_id: str | None, *chosen: str | None) -> Update:
        if not document_id:
            return self._report(render.hint_html("Choose the document to remove first."))
        try:
            self._intake.remove(document_id)
        except RagError as error:
            return self._report(render.problem_html(str(error)))
        return {**self._report(render.hint_html("Removed.")), **self.refresh(*chosen)}

    def _report(self, html: str) -> Update:
        return {self.progress: gr.HTML(html, **seen(True))}

    # -- questions

    def narrow(self, open_case: str, *chosen: str | None) -> Update:
        """What is searched from now on; and the timeline of the judgment that is open, if one is."""
        limited, line = bool(filters.filters_of(chosen)), ""
        if open_case:
            with suppress(LibraryError):  # it was removed
                line = self._casebook.timeline(open_case, chosen)
        return {
            self.where: gr.Accordion(label=filters.where_to(chosen)), self.clear: gr.update(**seen(limited)),
            self.timeline: line,
        }  # fmt: skip

    def ask(
        self, text: str, style: str, chat: list[Any], shelf: Shelf, request: gr.Request, *chosen: str | None
    ) -> Iterator[Update]:
        """Answer in the conversation, a version of it at a time."""
        settings, session = self._indexes.settings, str(request.session_hash)
        try:
            text = check_question(text, settings.retrieve.k, settings)
            if not self._reading.has_documents():
                raise UsageError("there are no documents to search yet. Add PDFs, judgments or transcripts first")
            if (last := self._asked.get(session)) and not last.stop.is_set():
                raise UsageError("the question before is still being answered. Wait for it, or press Stop")
        except RagError as error:
            gr.Info(html.escape(_sentence(render.printable(str(error)))))
            yield {self.box: gr.skip()}  # a generator that yields nothing would empty every output (Gradio 6.31)
            return
        self.stop(request)  # what made the answer before
        before = last.answer if last and chat else None  # a conversation may have been cleared
        chat = [*chat, _said("user", render.markdown(text))]
        question = self._asked[session] = self._reading.start(text, style, chosen, before)
        yield {
            self.chat: chat, self.box: "", self.ask_button: OFF, self.stop_button: ON,
            self.where: gr.Accordion(open=False), self.why: gr.update(**seen(False)), **self._explaining(),
        }  # fmt: skip
        try:
            yield from self._follow(question, chat)
            yield from self._final(question, chat, shelf, chosen)
        except (RagError, OSError, CancelledError) as error:
            asked_wrong = isinstance(error, UsageError)  # to be asked again; the reader did not read
            why = _sentence(str(error).removeprefix("--filter ")) if asked_wrong else str(error)
            said = _said("assistant", f"**No answer.** {render.markdown(why)}")
            yield {self.chat: [*chat, said], **({self.box: text} if asked_wrong else {})}
        finally:
            question.stop.set()  # also when the browser has gone
        yield {self.ask_button: ON, self.stop_button: OFF, **self.refresh(*chosen)}

    def _follow(self, question: Question, chat: list[Any]) -> Iterator[Update]:
        """The status and the draft, whenever they have changed."""
        shown = ("", "")
        while not question.ended(UPDATE_SECONDS):
            if (now := (question.status, question.draft)) != shown:
                draft = f"{render.markdown(question.draft)}\n\n" if question.draft else ""
                yield {self.chat: [*chat, _said("assistant", f"{draft}*{render.markdown(question.status)}*")]}
                shown = now

    def _final(self, question: Question, chat: list[Any], shelf: Shelf, chosen: filters.Choice) -> Iterator[Update]:
        """The answer, its note and its sources."""
        answer = None if question.stop.is_set() else question.result.result()
        if answer is None:
            yield {self.chat: [*chat, _said("assistant", "Stopped.")]}
            return
        understood = render.understood_markdown(question.text, question.whole)
        said = [_said("assistant", understood + render.answer_markdown(answer, shelf.count + 1, question.within))]
        for note in answer.notes:
            title = {"title": render.note_title(note, answer), "status": "done"}
            said.append(_said("assistant", render.note_markdown(note)) | {"metadata": title})
        if answer.evidence:
            title = {"title": render.reasons_title(answer.evidence), "status": "done"}
            said.append(_said("assistant", render.reasons_markdown(answer.evidence)) | {"metadata": title})
        yield {self.chat: [*chat, *said]}
        question.stop.set()  # the next one may come
        yield {**self.show(shelf.put(answer), chosen=chosen), self.why: gr.update(**seen(not answer.abstained))}

    def stop(self, request: gr.Request) -> None:
        if question := self._asked.get(str(request.session_hash)):
            question.stop.set()
            if question.explanation:
                question.explanation.stop.set()

    def forget(self, request: gr.Request) -> None:
        self.stop(request)
        self._asked.pop(str(request.session_hash), None)

    # -- what made an answer

    def explain(self, name: str, request: gr.Request) -> Iterator[Update]:
        """Show in the page's place which documents, clauses or words made the last answer."""
        session, level = str(request.session_hash), heat.NAMES[name]
        question = self._asked.get(session)
        if question is None:  # the server was started again
            yield self._explaining(render.problem_html("The answer is no longer at hand. Ask again"))
            return
        if question.explanation and not question.explanation.stop.is_set():  # pressed twice
            yield {self.explaining: gr.skip()}
            return
        answer, said = question.explained.get(level), ""
        if answer is None:
            explanation = self._reading.explain(question, level)
            try:
                yield from self._watch(explanation)
                answer, said = self._outcome(explanation)
            finally:
                explanation.stop.set()  # also when the browser has gone
        yield self._explaining(said)
        if answer is not None and question is self._asked.get(session):  # else there is another question by now
            yield {
                self.page: heat.attribution_html(answer), self.close: gr.update(**seen(True)),
                self.back: gr.update(**seen(False)), self.forth: gr.update(**seen(False)),
            }  # fmt: skip

    def _watch(self, explanation: Explanation) -> Iterator[Update]:
        """How far it is, whenever that has changed."""
        off = dict.fromkeys(self.levels, OFF)
        yield {**off, self.stop_explaining: gr.update(**seen(True)), self.explaining: gr.update(**seen(True))}
        shown = ""
        while not explanation.ended(UPDATE_SECONDS):
            called_off = explanation.stop.is_set()
            if (now := "Stopping after the reading under way …" if called_off else explanation.status) != shown:
                yield {self.explaining: render.hint_html(now)}
                shown = now

    def _outcome(self, explanation: Explanation) -> tuple[Answer | None, str]:
        """The explained answer, and what else there is to say. One that was called off is not kept."""
        try:
            answer = explanation.result.result(0)
        except (Stopped, CancelledError, TimeoutError):
            answer = None
        except (RagError, OSError) as error:
            return None, render.problem_html(str(error))
        if answer is None:
            return None, render.hint_html("Stopped.")
        if not explanation.stop.is_set():
            explanation.question.explained[explanation.level] = answer
        return answer, ""

    def _explaining(self, said: str = "") -> Update:
        """Nothing is under way (any more)."""
        told = gr.HTML(said, **seen(bool(said)))
        return dict.fromkeys(self.levels, ON) | {
            self.stop_explaining: gr.update(**seen(False)), self.explaining: told,
        }  # fmt: skip

    # -- sources

    def show(self, shelf: Shelf, play: bool = False, chosen: filters.Choice = ()) -> Update:
        """The list of sources, and the page of the chosen one, the judgment, or the player, which may start at once."""
        pages, page, citation = 0, render.hint_html("There is no source to show."), shelf.citation
        paged = citation is None or not (citation.start_seconds is not None or self._casebook.holds(citation))
        if citation is not None:
            try:
                if paged:
                    pages, page = self._pictures.pages(citation.document_id), self._pictures.html(citation, shelf.page)
                elif citation.start_seconds is not None:
                    page = self._recordings.html(citation, play)
                else:
                    page = self._casebook.html(citation, chosen)
            except LibraryError:
                page = render.problem_html(f"{citation.title} is no longer in the library")
        choices = [(render.source_label(int(c.marker.strip("[]")), c), i) for i, c in enumerate(shelf.sources)]
        return {
            self.shelf: shelf,
            self.sources: gr.Radio(choices=choices, value=shelf.source, label=shelf.label, **seen(bool(choices))),
            self.page: page,
            self.back: gr.Button(interactive=1 < shelf.page <= pages, **seen(paged)),
            self.forth: gr.Button(interactive=1 <= shelf.page < pages, **seen(paged)),
            self.again: gr.update(**seen(False)),
            self.close: gr.update(**seen(False)),
        }

    def follow(self, marker: str, shelf: Shelf, found: str, *chosen: str | None) -> Update:
        """A marker in the conversation was chosen, "<citation's number> <time>"; or "case <id> <place> <time>"."""
        number, *case = marker.split() or [""]
        if number != "case" or len(case) != 3:
            return self.show(shelf.find(int(number)) if number.isdecimal() else shelf, True, chosen)
        try:
            page = self._casebook.open(case[0], case[1], chosen)
        except LibraryError:
            page = render.problem_html("This case is no longer in the library")
        return self._instead(page) | {self.again: gr.update(**seen(bool(found)))}

    def _instead(self, page: str) -> Update:
        """Something in the page's place, until one goes back to the source."""
        hidden = gr.update(**seen(False))
        return {self.page: page, self.close: gr.update(**seen(True)), self.back: hidden, self.forth: hidden}

    # -- precedents of a new text

    def find(self, text: str, field: str, before: str, *chosen: str | None) -> Iterator[Update]:
        """Search, and show what was found in the page's place."""
        try:
            search = self._reading.clerk.start(precedents.asked(text, field, before, chosen))
            try:
                yield {self.searching: gr.HTML(render.hint_html("Searching …"), **seen(True)), self.find_button: OFF}
                while not search.ended(UPDATE_SECONDS):
                    pass
                found = search.result.result(0)
            finally:
                search.stop.set()  # also when the browser has gone
            html, said = precedents.panel(found), ""
        except (Stopped, CancelledError, TimeoutError):  # the site is being shut down
            html, said = "", render.hint_html("Stopped.")
        except (RagError, OSError) as error:
            html, said = "", render.problem_html(_sentence(str(error).removeprefix("--filter ")))
        shown = self.show_found(html) | {self.found: html} if html else {}
        yield {self.searching: gr.HTML(said, **seen(bool(said))), self.find_button: ON, **shown}

    def show_found(self, html: str) -> Update:
        """The precedents that were found last."""
        return self._instead(html) | {self.again: gr.update(**seen(False))}

    def turn(self, shelf: Shelf, by: int) -> Update:
        pages = self._pictures.pages(shelf.citation.document_id) if shelf.citation else 0
        return self.show(replace(shelf, page=min(max(1, shelf.page + by), max(1, pages))))


OFF, ON = gr.update(interactive=False), gr.update(interactive=True)


def seen(yes: bool) -> dict[str, list[str]]:
    """Whether one sees a part of the page.

    By a class, not by Gradio's `visible`: a part with visible=False is built only when it is to be seen, and what is
    said to several parts at once in that moment is lost on a slow machine, for good (6.31: an answer without sources).
    """
    return {"elem_classes": [] if yes else ["absent"]}


def _how(style: str) -> str:
    return f"How to read: {render.STYLES[style][0]}"


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def _said(role: str, content: str) -> dict[str, Any]:
    return {"role": role, "content": content}


class _Page(gr.Blocks):
    """Blocks that believe no path or address that a client names: only what it has uploaded is read.

    Gradio checks that only where its own server was launched, lets addresses through even then, and fetches them
    (6.31). The refusal is the same whether or not there is such a file.
    """

    def __init__(self, arrivals: Arrivals):
        super().__init__(title="Glossator", analytics_enabled=False, fill_width=True, delete_cache=(600, 3600))
        self._arrivals = arrivals
        self.has_launched = True

    async def preprocess_data(
        self, block_fn: Any, inputs: list[Any], state: Any, explicit_call: bool = False
    ) -> list[Any]:
        """As Gradio's, behind the check. Raises gr.Error."""
        for path in _paths_in(inputs):
            if not self._arrivals.holds(path):
                raise gr.Error(NOT_UPLOADED, print_exception=False)
        return await super().preprocess_data(block_fn, inputs, state, explicit_call)


NOT_UPLOADED = "Only files that were uploaded to this page are read. Add the file again."


def _paths_in(value: Any) -> Iterator[Any]:
    """What a client says of where files lie, however deep in its data.

    >>> list(_paths_in([{"path": "/a", "meta": {}}, [{"b": {"path": "/c", "url": "d"}}], "e"]))
    ['/a', '/c']
    """
    if isinstance(value, dict):
        if "path" in value:
            yield value["path"]
        value = list(value.values())
    if isinstance(value, list | tuple):
        for part in value:
            yield from _paths_in(part)


def mount(app: Any, desk: Desk) -> Any:
    """The FastAPI app with the page at "/"."""
    return gr.mount_gradio_app(
        app, desk.blocks(), path="/", footer_links=[], run_history=False, allowed_paths=[],
        max_file_size=MAX_UPLOAD, ssr_mode=False, enable_monitoring=False, pwa=False, mcp_server=False,
        theme=theme(), css=render.STYLE + heat.STYLE + player.STYLE + judgment.STYLE,
        head=render.SCRIPT + player.SCRIPT + judgment.SCRIPT,
    )  # fmt: skip
