"""The filters above which the page says what is searched."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import gradio as gr

from rag.errors import LibraryError
from rag.library.catalogue import Library
from ui.web.controls.updates import QUIET, Update, seen, show
from ui.web.panels import filter_choices as filters
from ui.web.panels.case_list import JudgmentPanels
from ui.web.panels.judgment_panel import OPEN_CASE


class FilterBar:
    """A control for each of filter_choices.FIELDS, folded away, and hidden where the library has no values for it."""

    def __init__(self, library: Library, judgments: JudgmentPanels):
        self._choices = filters.FilterChoices(library)
        self._judgments = judgments

    def build(self) -> None:
        with gr.Accordion(
            filters.where_to(()), open=False, elem_id="filters", elem_classes=seen(False)
        ) as self.accordion, gr.Row():  # fmt: skip
            common: dict[str, Any] = {
                "value": "", "min_width": 150, "interactive": True, "elem_classes": seen(False)
            }  # fmt: skip
            self.boxes = [
                gr.Textbox(label=field.label, max_lines=1, **common)
                if field.typed
                else gr.Dropdown(label=field.label, choices=[filters.ANY], **common)
                for field in filters.FIELDS
            ]
        self.clear = gr.Button("Clear filters", size="sm", elem_classes=seen(False))

    def wire(self, marker: gr.Textbox, timeline: gr.HTML) -> None:
        """`marker` stands in for the judgment that is open, whose new timeline `timeline` gets."""
        self._timeline = timeline
        gr.on(
            [box.change for box in self.boxes], self.narrow, [marker, *self.boxes],
            [self.accordion, self.clear, timeline], js=OPEN_CASE, **QUIET,
        )  # fmt: skip
        self.clear.click(lambda: [""] * len(self.boxes), None, self.boxes, **QUIET)

    def refresh(self, chosen: filters.Choice) -> Update:
        """The values there are to choose from; a filter that is set to a value that has gone is cleared."""
        offered = self._choices.choices()
        update: Update = {self.accordion: show(any(offered))}
        for field, box, value, choices in zip(filters.FIELDS, self.boxes, chosen, offered, strict=True):
            update[box] = gr.update(**filters.control(field, value, choices), elem_classes=seen(bool(choices)))
        return update

    def narrow(self, open_case: str, *chosen: str | None) -> Update:
        """What is searched from now on; and the timeline of the judgment that is open, if one is."""
        timeline = ""
        if open_case:
            with suppress(LibraryError):  # it was removed
                timeline = self._judgments.timeline(open_case, chosen)
        return {
            self.accordion: gr.Accordion(label=filters.where_to(chosen)),
            self.clear: show(bool(filters.filters_of(chosen))),
            self._timeline: timeline,
        }
