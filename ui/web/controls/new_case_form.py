"""The form in which the facts of a new case are pasted, to find its precedents."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import gradio as gr

from ui.web.controls.source_view import SourceView
from ui.web.controls.updates import MANY, OFF, ON, QUIET, UPDATE_SECONDS, Update, seen, sentence
from ui.web.panels.precedent_panel import COMPARED, panel
from ui.web.templating import hint_html, problem_html
from ui.web.workers.jobs import CALLED_OFF, message_of
from ui.web.workers.precedent_search import precedent_query
from ui.web.workers.precedent_worker import PrecedentWorker


class NewCaseForm:
    """A new case's facts, and which sections of earlier judgments they are compared with."""

    def __init__(self, worker: PrecedentWorker, sources: SourceView):
        self._worker = worker
        self._sources = sources

    def build(self) -> None:
        with gr.Accordion(
            "Precedents of a new case", open=False, elem_id="new-case", elem_classes=seen(False)
        ) as self.accordion:
            self.facts = gr.Textbox(
                label="Facts of a new case", lines=4, max_lines=8,
                info="Judgments within the filters above are searched.",
            )  # fmt: skip
            with gr.Row():
                self.compared = gr.Dropdown(
                    label="Compare with their", choices=[(name, field) for field, name in COMPARED.items()],
                    value="both", min_width=150, interactive=True,
                )  # fmt: skip
                self.before = gr.Textbox(
                    label="Dated before", placeholder="2010 or 2010-06-30", max_lines=1, min_width=150
                )
            self.find_button = gr.Button("Find precedents", size="md")
            self.searching = gr.HTML(elem_id="searching", elem_classes=seen(False))

    def wire(self, filters: Sequence[gr.components.Component]) -> None:
        searched = self.find_button.click(
            self.find, [self.facts, self.compared, self.before, *filters],
            [self.searching, self.find_button, self._sources.found, *self._sources.outputs], **MANY, **QUIET,
        )  # fmt: skip
        searched.failure(lambda: ON, None, self.find_button, **QUIET)

    def find(self, text: str, field: str, before: str, *chosen: str | None) -> Iterator[Update]:
        """Search, and show what was found in the page's place."""
        found = said = ""
        try:
            job = self._worker.start(precedent_query(text, field, before, chosen))
            try:
                searching = gr.HTML(hint_html("Searching …"), elem_classes=seen(True))
                yield {self.searching: searching, self.find_button: OFF}
                while not job.ended(UPDATE_SECONDS):
                    pass
                found = panel(job.result.result(0))
            finally:
                job.stop.set()  # also when the browser has gone
        except (TimeoutError, *CALLED_OFF):  # the site is being shut down
            said = hint_html("Stopped.")
        except Exception as error:  # noqa: BLE001  # message_of logs what is a bug
            said = problem_html(sentence(message_of(error)))
        shown = self._sources.show_found(found) | {self._sources.found: found} if found else {}
        yield {self.searching: gr.HTML(said, elem_classes=seen(bool(said))), self.find_button: ON, **shown}
