"""The buttons below the conversation that show what made the last answer, as a heat map in the page's place."""

from __future__ import annotations

from collections.abc import Iterator

import gradio as gr

from rag.records import Answer
from ui.web.controls.source_view import SourceView
from ui.web.controls.updates import MANY, OFF, ON, QUIET, UPDATE_SECONDS, Update, seen, show
from ui.web.panels.heat_map import LEVEL_NAMES, attribution_html
from ui.web.templating import hint_html, problem_html
from ui.web.workers.answer_worker import AnswerWorker, ExplanationJob
from ui.web.workers.jobs import CALLED_OFF, message_of
from ui.web.workers.open_questions import OpenQuestions


class ExplanationRow:
    """A button for each level of attribution, and how far the explanation is."""

    def __init__(self, worker: AnswerWorker, questions: OpenQuestions, sources: SourceView):
        self._worker = worker
        self._questions = questions
        self._sources = sources

    def build(self) -> None:
        with gr.Row(elem_id="why", elem_classes=seen(False)) as self.row:
            gr.HTML("<span aria-hidden='true'>What made this answer?</span>")
            self.levels = [gr.Button(name, size="sm", min_width=60) for name in LEVEL_NAMES]
            self.stop_button = gr.Button("Stop explaining", size="sm", min_width=60, elem_classes=seen(False))
        self.status = gr.HTML(elem_id="explaining", elem_classes=seen(False))
        self.outputs = [*self.levels, self.stop_button, self.status]

    def wire(self) -> None:
        shown = [self._sources.panel, self._sources.back, self._sources.forth, self._sources.close]
        for button in self.levels:
            explained = button.click(
                self.explain, button, [*self.outputs, *shown], concurrency_id="explain", **MANY, **QUIET
            )
            explained.failure(self.reset, None, self.outputs, **QUIET)
        self.stop_button.click(self.stop, None, None, **QUIET)

    def stop(self, request: gr.Request) -> None:
        self._questions.stop(str(request.session_hash))

    def explain(self, name: str, request: gr.Request) -> Iterator[Update]:
        """Show in the page's place which documents, clauses or words made the last answer."""
        session, level = str(request.session_hash), LEVEL_NAMES[name]
        question = self._questions.last(session)
        if question is None:  # the server was started again
            yield self.reset(problem_html("The answer is no longer at hand. Ask again"))
            return
        answer, said = question.explained(level), ""
        if answer is None:
            explanation = self._worker.explain(question, level)
            if explanation is None:  # pressed twice
                yield {self.status: gr.skip()}
                return
            try:
                yield from self._watch(explanation)
                answer, said = self._outcome(explanation)
            finally:
                explanation.stop.set()  # also when the browser has gone
        yield self.reset(said)
        if answer is not None and question is self._questions.last(session):  # else there is another question by now
            yield self._sources.put(attribution_html(answer))

    def _watch(self, explanation: ExplanationJob) -> Iterator[Update]:
        """How far it is, whenever that has changed."""
        off = dict.fromkeys(self.levels, OFF)
        yield {**off, self.stop_button: show(True), self.status: show(True)}
        shown = ""
        while not explanation.ended(UPDATE_SECONDS):
            called_off = explanation.stop.is_set()
            if (now := "Stopping after the reading under way …" if called_off else explanation.status) != shown:
                yield {self.status: hint_html(now)}
                shown = now

    def _outcome(self, explanation: ExplanationJob) -> tuple[Answer | None, str]:
        """The explained answer, and what else there is to say. One that was called off is not kept."""
        try:
            answer: Answer | None = explanation.result.result(0)
        except (TimeoutError, *CALLED_OFF):
            answer = None
        except Exception as error:  # noqa: BLE001  # message_of logs what is a bug
            return None, problem_html(message_of(error))
        if answer is None:
            return None, hint_html("Stopped.")
        if not explanation.stop.is_set():
            explanation.question.keep_explained(explanation.level, answer)
        return answer, ""

    def reset(self, said: str = "") -> Update:
        """Nothing is under way (any more)."""
        status = gr.HTML(said, elem_classes=seen(bool(said)))
        return dict.fromkeys(self.levels, ON) | {self.stop_button: show(False), self.status: status}
