"""What is searched: the documents that the user chose, and the filters above which the page says so."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import gradio as gr

from rag.errors import LibraryError
from rag.library.catalogue import Library
from rag.library.documents import DocumentEntry
from ui.web.controls.updates import QUIET, Update, seen, show
from ui.web.panels import filter_choices as filters
from ui.web.panels.case_list import JudgmentPanels
from ui.web.panels.judgment_panel import OPEN_CASE
from ui.wording import printable


class FilterBar:
    """The documents that are asked, and a control for each of filter_choices.FIELDS.

    These are folded away, and hidden where the library has no values for them.
    """

    def __init__(self, library: Library, judgments: JudgmentPanels):
        self._choices = filters.FilterChoices(library)
        self._judgments = judgments

    def build_documents(self) -> None:
        self.documents = gr.Dropdown(
            label="Ask only in", multiselect=True, choices=[], value=[],
            interactive=True, elem_id="asked", elem_classes=seen(False),
        )  # fmt: skip

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

    def refresh_documents(self, entries: Sequence[DocumentEntry], asked: Sequence[str] | None) -> Update:
        """The documents there are to choose from; one that has gone is no longer chosen. A program may choose None."""
        asked = asked or ()
        ready = [entry for entry in entries if entry.status == "ready"]
        titles = Counter(printable(entry.title) for entry in ready)
        choices = [
            (title if titles[title := printable(e.title)] == 1 else f"{title} ({e.document_id[:6]})", e.document_id)
            for e in ready
        ]
        held = {entry.document_id for entry in ready}
        kept = [document for document in asked if document in held]
        changed: dict[str, Any] = (
            {"value": kept} if kept != list(asked) else {}
        )  # else a choice made meanwhile would be undone
        return {self.documents: gr.update(choices=choices, elem_classes=seen(len(choices) > 1), **changed)}

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
