"""The conversation: questions, how they are read, and their answers as they are made."""

from __future__ import annotations

import html
from collections.abc import Iterator, Sequence
from typing import Any

import gradio as gr

from rag.errors import RagError, UsageError
from rag.pipeline import EXTRACT, check_question
from rag.settings import Settings
from ui.web import answer_markdown as markdown
from ui.web.controls.document_column import DocumentColumn
from ui.web.controls.explanation_row import ExplanationRow
from ui.web.controls.filter_bar import FilterBar
from ui.web.controls.source_view import SourceView
from ui.web.controls.updates import MANY, OFF, ON, QUIET, UPDATE_SECONDS, Update, seen, sentence, show
from ui.web.panels.filter_choices import Choice
from ui.web.panels.source_list import SourceList
from ui.web.workers.answer_worker import AnswerWorker, QuestionJob
from ui.web.workers.jobs import message_of
from ui.web.workers.open_questions import OpenQuestions
from ui.wording import printable

WAYS = {  # `style` of rag.answer.ask -> its name
    "auto": "As the question asks", "short": "A phrase", "explain": "Sentences", "list": "A list",
    "compare": "Two sides", "summary": "A summary",
}  # fmt: skip
STYLES = {  # `strategy` of rag.answer.ask -> its name, and what it does
    "notes": ("Notes", "answers and shows what supports it."),
    "quotes": ("Quotes", "picks sentences and answers from them."),
    "direct": ("Direct", "answers at once; nothing is checked."),
    "extract": ("Mark", "marks the answer in a passage at once; no language model, a phrase only."),
}


# Buttons below an answer that take back what was understood of its question.
AS_TYPED, EVERYWHERE = "Ask exactly as typed", "Ask in all documents"


class Conversation:
    """The chat, the box for questions with its buttons, and the choice of the answering style."""

    def __init__(self, settings: Settings, worker: AnswerWorker, questions: OpenQuestions):
        self._settings = settings
        self._worker = worker
        self._questions = questions

    def build_chat(self) -> None:
        self.chat = gr.Chatbot(
            label="Conversation", show_label=False, elem_id="chat", buttons=[], latex_delimiters=[], allow_tags=False,
            feedback_options=None, layout="panel", placeholder="Ask a question below. The answer names its sources.",
        )  # fmt: skip

    def build_take_back(self) -> None:
        with gr.Row(elem_id="take-back"):
            self.as_typed = gr.Button(AS_TYPED, size="sm", min_width=60, elem_classes=seen(False))
            self.everywhere = gr.Button(EVERYWHERE, size="sm", min_width=60, elem_classes=seen(False))

    def build_question(self) -> None:
        self.box = gr.Textbox(label="Question", elem_id="question", max_lines=4, autofocus=True)
        with gr.Row():
            self.ask_button = gr.Button("Ask", variant="primary", size="md", min_width=80, scale=3)
            self.stop_button = gr.Button("Stop", size="md", interactive=False, min_width=80, scale=1)

    def build_styles(self) -> None:
        self.way = gr.Dropdown(
            label="Way of answering", choices=[(name, way) for way, name in WAYS.items()], value="auto", elem_id="way",
        )  # fmt: skip
        with gr.Accordion(_title("notes"), open=False) as self.styles:
            self.style = gr.Radio(
                label="How to read", choices=[(f"{name}: {what}", style) for style, (name, what) in STYLES.items()],
                value="notes", elem_id="style", container=False,
            )  # fmt: skip

    def wire(
        self, blocks: gr.Blocks, sources: SourceView, explanation: ExplanationRow, filters: FilterBar,
        documents: DocumentColumn,
    ) -> None:  # fmt: skip
        self._sources, self._explanation, self._filters, self._documents = sources, explanation, filters, documents
        how = [self.style, self.way, self.chat, sources.list, filters.documents, *filters.boxes]
        outputs = [
            self.chat, self.box, self.ask_button, self.stop_button, self.as_typed, self.everywhere, explanation.row,
            *explanation.outputs, *sources.outputs, *documents.outputs,
        ]  # fmt: skip
        for asked in (
            gr.on([self.box.submit, self.ask_button.click], self.ask, [self.box, *how], outputs, **MANY, **QUIET),
            self.as_typed.click(self.ask_again, [self.as_typed, *how], outputs, **MANY, **QUIET),
            self.everywhere.click(self.ask_again, [self.everywhere, *how], outputs, **MANY, **QUIET),
        ):
            asked.failure(lambda: (ON, OFF), None, [self.ask_button, self.stop_button], **QUIET)
        self.stop_button.click(self.stop, None, None, **QUIET)
        self.chat.clear(lambda: (show(False), show(False)), None, [self.as_typed, self.everywhere], **QUIET)
        self.style.input(lambda style: gr.Accordion(label=_title(style)), self.style, self.styles, **QUIET)
        blocks.unload(self.forget)

    def stop(self, request: gr.Request) -> None:
        self._questions.stop(str(request.session_hash))

    def forget(self, request: gr.Request) -> None:
        self._questions.forget(str(request.session_hash))

    def ask(
        self, text: str, style: str, way: str, chat: list[Any], sources: SourceList, documents: Sequence[str] | None,
        request: gr.Request, *chosen: str | None,
    ) -> Iterator[Update]:  # fmt: skip
        """Answer in the conversation, a version of it at a time."""
        yield from self._ask(text, "", style, way, chat, sources, documents, request, *chosen)

    def ask_again(
        self, name: str, style: str, way: str, chat: list[Any], sources: SourceList, documents: Sequence[str] | None,
        request: gr.Request, *chosen: str | None,
    ) -> Iterator[Update]:  # fmt: skip
        """Ask the last question again, as the button of this name says."""
        last = self._questions.last(str(request.session_hash))
        if last is None:  # the server was started again
            gr.Info("The question is no longer at hand. Type it again.")
            yield {self.box: gr.skip()}
            return
        standalone, asked = (last.text, documents) if name == AS_TYPED else (last.standalone, ())
        yield from self._ask(last.text, standalone, style, way, chat, sources, asked, request, *chosen)

    def _ask(
        self, text: str, standalone: str, style: str, way: str, chat: list[Any], sources: SourceList,
        documents: Sequence[str] | None, request: gr.Request, *chosen: str | None,
    ) -> Iterator[Update]:  # fmt: skip
        """`standalone` is what the question is taken for; "": that is to be understood."""
        try:
            text = check_question(text, self._settings.retrieve.k, self._settings)
            if not self._worker.has_passages():
                raise UsageError("there are no documents to search yet. Add PDFs, judgments or transcripts first")
            question = self._questions.begin(
                str(request.session_hash),
                lambda last: self._worker.start(
                    text, style, chosen, last.answer if last and chat else None, way, documents or (), standalone
                ),
            )  # without an answer before it in a conversation that was cleared
        except RagError as error:
            gr.Info(html.escape(sentence(printable(str(error)))))
            yield {self.box: gr.skip()}  # a generator that yields nothing would empty every output (Gradio 6.31)
            return
        chat = [*chat, _message("user", markdown.markdown(text))]
        yield {
            self.chat: chat, self.box: "", self.ask_button: OFF, self.stop_button: ON,
            self._filters.accordion: gr.Accordion(open=False), self._explanation.row: show(False),
            self.as_typed: show(False), self.everywhere: show(False),
            **self._explanation.reset(),
        }  # fmt: skip
        try:
            yield from self._follow(question, chat, sources, chosen)
            yield from self._final(question, chat, sources, chosen)
        except Exception as error:  # noqa: BLE001  # message_of logs what is a bug
            is_usage = isinstance(error, UsageError)  # to be asked again; the reader did not read
            why = sentence(message_of(error)) if is_usage else message_of(error)
            failed = _message("assistant", f"**No answer.** {markdown.markdown(why)}")
            yield {self.chat: [*chat, failed], **({self.box: text} if is_usage else {})}
        finally:
            question.stop.set()  # also when the browser has gone
        yield {
            self.ask_button: ON, self.stop_button: OFF,
            self.as_typed: show(question.unclear or question.standalone != text),
            self.everywhere: show(bool(question.narrowed)),
            **self._documents.refresh(documents, *chosen),
        }  # fmt: skip

    def _follow(self, question: QuestionJob, chat: list[Any], sources: SourceList, chosen: Choice) -> Iterator[Update]:
        """The status and the draft, whenever they have changed; above them what is marked, with its page beside."""
        before, marked, instant = ("", ""), None, ""
        while not question.ended(UPDATE_SECONDS):
            if question.marked is not marked:
                marked = question.marked
                instant = markdown.instant_markdown(marked, sources.count + 1) if marked else ""
                if instant and marked and marked.citation:
                    yield self._sources.show(sources.put_marked(marked.citation), chosen=chosen)
                before = ("", "")
            if (shown := question.shown) != before:
                status, draft = map(markdown.markdown, shown)
                above = f"{draft}\n\n" if shown[1] else ""
                yield {self.chat: [*chat, _message("assistant", f"{instant}{above}*{status}*")]}
                before = shown

    def _final(self, question: QuestionJob, chat: list[Any], sources: SourceList, chosen: Choice) -> Iterator[Update]:
        """The answer, its note and its sources."""
        answer = None if question.stop.is_set() else question.result.result()
        if answer is None:
            yield {self.chat: [*chat, _message("assistant", "Stopped.")]}
            return
        understood = markdown.understood_markdown(question.text, question.standalone)
        shown = markdown.answer_markdown(answer, sources.count + 1, question.within, question.narrowed)
        messages = [_message("assistant", understood + shown)]
        for note in answer.notes:
            messages.append(_folded(markdown.note_title(note, answer), markdown.note_markdown(note)))
        if answer.evidence:
            title = markdown.reasons_title(answer.evidence)
            messages.append(_folded(title, markdown.reasons_markdown(answer.evidence)))
        yield {self.chat: [*chat, *messages]}
        question.stop.set()  # the next one may come
        yield {
            **self._sources.show(sources.put(answer), chosen=chosen),
            self._explanation.row: show(not answer.abstained and answer.style == "short" and question.style != EXTRACT),
        }


def _title(style: str) -> str:
    return f"How to read: {STYLES[style][0]}"


def _message(role: str, content: str) -> dict[str, Any]:
    return {"role": role, "content": content}


def _folded(title: str, content: str) -> dict[str, Any]:
    """A message of the assistant's that is folded away below its title."""
    return _message("assistant", content) | {"metadata": {"title": title, "status": "done"}}
