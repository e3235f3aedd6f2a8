"""The web page over one library: documents at the side, the conversation, and beside it the cited page or episode."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr

from rag.index.manager import Indexes
from ui.web.arrivals import Arrivals
from ui.web.controls.conversation import Conversation
from ui.web.controls.document_column import DocumentColumn
from ui.web.controls.explanation_row import ExplanationRow
from ui.web.controls.filter_bar import FilterBar
from ui.web.controls.new_case_form import NewCaseForm
from ui.web.controls.source_view import SourceView
from ui.web.guarded_blocks import GuardedBlocks
from ui.web.panels.case_list import JudgmentPanels
from ui.web.panels.page_view import PageViews
from ui.web.panels.recordings import Recordings
from ui.web.templating import render, static
from ui.web.theme import theme
from ui.web.workers.answer_worker import AnswerWorker
from ui.web.workers.open_questions import OpenQuestions
from ui.web.workers.precedent_worker import PrecedentWorker
from ui.web.workers.upload_worker import UploadWorker

MAX_UPLOAD = "1gb"
STYLES = ("page.css", "heat_map.css", "player.css", "judgment.css")
SCRIPTS = ("page.js", "player.js", "judgment.js")


@dataclass(frozen=True, slots=True)
class Workers:
    """What the page waits for, each in a thread of its own."""

    uploads: UploadWorker
    answers: AnswerWorker
    precedents: PrecedentWorker


class WebPage:
    """The page: its parts (ui/web/controls), how they are laid out, and what happens in one when another is used."""

    def __init__(
        self, indexes: Indexes, workers: Workers, pages: PageViews, recordings: Recordings, arrivals: Arrivals,
        has_login: bool,
    ):  # fmt: skip
        library, questions = indexes.library, OpenQuestions()
        judgments = JudgmentPanels(library)
        self._arrivals = arrivals
        self._has_login = has_login
        self.sources = SourceView(pages, recordings, judgments)
        self.filters = FilterBar(library, judgments)
        self.new_case = NewCaseForm(workers.precedents, self.sources)
        self.documents = DocumentColumn(library, workers.uploads, arrivals, self.filters, self.new_case)
        self.explanation = ExplanationRow(workers.answers, questions, self.sources)
        self.conversation = Conversation(indexes.settings, workers.answers, questions)

    def blocks(self) -> GuardedBlocks:
        """Gradio's Blocks of the page."""
        blocks = GuardedBlocks(self._arrivals)
        with blocks:
            gr.HTML(render("heading.html", has_login=self._has_login), elem_id="heading")
            with gr.Row(elem_id="desk"):  # the order of the Tab key, and from top to bottom on a narrow screen
                with gr.Column(scale=5, min_width=300, elem_id="conversation"):
                    self.conversation.build_chat()
                    self.conversation.build_take_back()
                    self.explanation.build()
                    self.conversation.build_question()
                    self.filters.build_documents()
                    self.filters.build()
                    self.new_case.build()
                    self.conversation.build_styles()
                with gr.Column(scale=6, min_width=300, elem_id="proof"):
                    self.sources.build()
                with gr.Column(scale=3, min_width=240, elem_id="library"):
                    self.documents.build()
            self.documents.wire(blocks)
            self.filters.wire(self.sources.marker, self.sources.timeline)
            self.conversation.wire(blocks, self.sources, self.explanation, self.filters, self.documents)
            self.explanation.wire()
            self.new_case.wire(self.filters.boxes)
            self.sources.wire(self.filters.boxes)
        blocks.queue(api_open=False, default_concurrency_limit=1, max_size=64)
        return blocks


def mount(app: Any, page: WebPage) -> Any:
    """The FastAPI app with the page at "/"."""
    head = f"<style>\n{static('colours.css')}</style>\n"
    head += "".join(f"<script>\n{static(name)}</script>\n" for name in SCRIPTS)
    return gr.mount_gradio_app(
        app, page.blocks(), path="/", footer_links=[], run_history=False, allowed_paths=[],
        max_file_size=MAX_UPLOAD, ssr_mode=False, enable_monitoring=False, pwa=False, mcp_server=False,
        theme=theme(), css="".join(map(static, STYLES)), head=head,
    )  # fmt: skip
