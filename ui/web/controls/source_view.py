"""The sources of an answer, and beside the conversation the page, player or judgment of the one that is chosen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import gradio as gr

from rag.errors import LibraryError
from rag.locator import start_seconds
from ui.web.controls.updates import QUIET, Update, seen, show
from ui.web.panels.case_list import JudgmentPanels
from ui.web.panels.filter_choices import Choice
from ui.web.panels.page_view import PageViews
from ui.web.panels.recordings import Recordings
from ui.web.panels.source_list import SourceList, source_label
from ui.web.templating import hint_html, problem_html


class SourceView:
    """The list of sources, and the panel of one of them, whose place precedents and heat maps take for a while."""

    def __init__(self, pages: PageViews, recordings: Recordings, judgments: JudgmentPanels):
        self._pages = pages
        self._recordings = recordings
        self._judgments = judgments

    def build(self) -> None:
        self.list = gr.State(SourceList())
        self.found = gr.State("")  # HTML of the precedents that were found last
        self.sources = gr.Radio(label="Sources", choices=[], elem_id="sources", elem_classes=seen(False))
        with gr.Row():
            self.back = gr.Button("Previous page", size="sm", interactive=False, min_width=100)
            self.forth = gr.Button("Next page", size="sm", interactive=False, min_width=100)
            self.again = gr.Button("Back to the precedents", size="sm", min_width=100, elem_classes=seen(False))
            self.close = gr.Button("Back to the page", size="sm", min_width=100, elem_classes=seen(False))
        self.panel = gr.HTML(hint_html("The page that an answer cites is shown here."), elem_id="page")
        self.timeline = gr.HTML(elem_id="timeline", elem_classes=seen(False))
        self.marker = gr.Textbox(label="Chosen marker", elem_id="marker", elem_classes=seen(False))
        self.outputs = [self.list, self.sources, self.panel, self.back, self.forth, self.again, self.close]

    def wire(self, filters: Sequence[gr.components.Component]) -> None:
        self.close.click(
            lambda sources, *chosen: self.show(sources, chosen=chosen), [self.list, *filters], self.outputs, **QUIET
        )
        self.again.click(self.show_found, self.found, self.outputs, **QUIET)
        self.sources.input(
            lambda i, sources, *chosen: self.show(sources.choose(i or 0), True, chosen),
            [self.sources, self.list, *filters], self.outputs, **QUIET,
        )  # fmt: skip
        self.marker.change(self.follow, [self.marker, self.list, self.found, *filters], self.outputs, **QUIET)
        self.back.click(lambda sources: self.turn(sources, -1), self.list, self.outputs, **QUIET)
        self.forth.click(lambda sources: self.turn(sources, 1), self.list, self.outputs, **QUIET)

    def show(self, sources: SourceList, play: bool = False, chosen: Choice = ()) -> Update:
        """The list of sources, and the page of the chosen one, the judgment, or the player, which may start at once."""
        pages, panel, citation = 0, hint_html("There is no source to show."), sources.citation
        is_spoken = citation is not None and start_seconds(citation.locator) is not None
        is_paged = citation is None or not (is_spoken or self._judgments.holds(citation))
        if citation is not None:
            try:
                if is_paged:
                    pages = self._pages.pages(citation.document_id)
                    panel = self._pages.html(citation, sources.page)
                elif is_spoken:
                    panel = self._recordings.html(citation, play)
                else:
                    panel = self._judgments.html(citation, chosen)
            except LibraryError:
                panel = problem_html(f"{citation.title} is no longer in the library")
        choices: list[str | int | float | tuple[str, str | int | float]] = [
            (source_label(int(c.marker.strip("[]")), c), i) for i, c in enumerate(sources.sources)
        ]
        return {
            self.list: sources,
            self.sources: gr.Radio(
                choices=choices, value=sources.source, label=sources.label, elem_classes=seen(bool(choices))
            ),
            self.panel: panel,
            self.back: gr.Button(interactive=1 < sources.page <= pages, elem_classes=seen(is_paged)),
            self.forth: gr.Button(interactive=1 <= sources.page < pages, elem_classes=seen(is_paged)),
            self.again: show(False),
            self.close: show(False),
        }

    def follow(self, marker: str, sources: SourceList, found: str, *chosen: str | None) -> Update:
        """Show what a marker leads to: "<citation's number> <time>", or "case <id> <place> <time>"."""
        number, *case = marker.split() or [""]
        if number != "case" or len(case) != 3:
            return self.show(sources.find(int(number)) if number.isdecimal() else sources, True, chosen)
        try:
            panel = self._judgments.open(case[0], case[1], chosen)
        except LibraryError:
            panel = problem_html("This case is no longer in the library")
        return self.put(panel) | {self.again: show(bool(found))}

    def put(self, panel: str) -> Update:
        """Something in the page's place, until one goes back to the source."""
        return {self.panel: panel, self.close: show(True), self.back: show(False), self.forth: show(False)}

    def show_found(self, panel: str) -> Update:
        """The precedents that were found last."""
        return self.put(panel) | {self.again: show(False)}

    def turn(self, sources: SourceList, by: int) -> Update:
        """Another page of the same document."""
        pages = self._pages.pages(sources.citation.document_id) if sources.citation else 0
        return self.show(replace(sources, page=min(max(1, sources.page + by), max(1, pages))))
