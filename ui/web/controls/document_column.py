"""The library at the page's side: its documents, what is added to it, and what is removed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import gradio as gr

from ingest.uploads import UPLOADED
from rag.errors import RagError
from rag.library.catalogue import Library
from ui.web.arrivals import Arrivals
from ui.web.controls.filter_bar import FilterBar
from ui.web.controls.new_case_form import NewCaseForm
from ui.web.controls.updates import QUIET, UPDATE_SECONDS, Update, seen, show
from ui.web.guarded_blocks import NOT_UPLOADED
from ui.web.panels.document_list import DocumentList, documents_html, outcomes_html, progress_html
from ui.web.templating import hint_html, problem_html
from ui.web.workers.jobs import CALLED_OFF, message_of
from ui.web.workers.upload_worker import UploadWorker
from ui.wording import printable


class DocumentColumn:
    """The list of documents, the box for uploads, and the form to remove a document."""

    def __init__(
        self, library: Library, uploads: UploadWorker, arrivals: Arrivals, filters: FilterBar, new_case: NewCaseForm
    ):
        self._list = DocumentList(library)
        self._worker = uploads
        self._arrivals = arrivals
        self._filters = filters
        self._new_case = new_case

    def build(self) -> None:
        gr.HTML("<h2>Documents</h2>")
        self.documents = gr.HTML()
        self.uploads = gr.File(
            label="Add PDFs, judgments or transcripts", file_count="multiple", file_types=list(UPLOADED), height=160
        )
        gr.HTML(hint_html("With a transcript, add its audio, NAME.chapters.json and NAME.shownotes.md."))
        gr.HTML(hint_html("Judgments: PDF, .txt, .html, .json or .jsonl, packed (.gz) or not."))
        self.progress = gr.HTML(elem_classes=seen(False))
        self.halt = gr.Button("Stop reading", size="sm", elem_classes=seen(False))
        with gr.Accordion("Password for encrypted PDFs", open=False):
            self.password = gr.Textbox(label="Password", info="Type it before you add the file.", type="password")
        with gr.Accordion("Remove a document", open=False):
            self.removable = gr.Dropdown(label="Document", choices=[], interactive=True)
            self.remove_button = gr.Button("Remove", size="sm")
        self.outputs = [
            self.documents, self.removable, self._filters.accordion, self._filters.documents, self._new_case.accordion,
            *self._filters.boxes,
        ]  # fmt: skip

    def wire(self, blocks: gr.Blocks) -> None:
        boxes = [self._filters.documents, *self._filters.boxes]
        blocks.load(self.refresh, boxes, self.outputs, **QUIET)
        self.uploads.upload(
            self.add, [self.uploads, self.password, *boxes],
            [self.uploads, self.password, self.progress, self.halt, *self.outputs],
            concurrency_id="writer", concurrency_limit=1, **QUIET,
        )  # fmt: skip
        self.halt.click(self._worker.stop, None, None, **QUIET)
        self.remove_button.click(
            self.remove, [self.removable, *boxes], [self.progress, *self.outputs],
            concurrency_id="writer", concurrency_limit=1, **QUIET,
        )  # fmt: skip

    def refresh(self, asked: Sequence[str] | None, *chosen: str | None) -> Update:
        """The documents, and what depends on them: what can be asked, and whether there are precedents to find."""
        try:
            entries, filters = self._list.entries(), self._filters.refresh(chosen)
        except RagError as error:
            return {self.documents: problem_html(str(error))}
        choices: list[str | int | float | tuple[str, str | int | float]] = [
            (f"{printable(e.title)} ({e.document_id[:6]})", e.document_id) for e in entries
        ]
        has_judgments = any(entry.kind == "legal" and entry.status == "ready" for entry in entries)
        return {
            self.documents: documents_html(entries),
            self.removable: gr.Dropdown(choices=choices, value=None),
            self._new_case.accordion: show(has_judgments),
            **self._filters.refresh_documents(entries, asked),
            **filters,
        }

    def add(
        self, files: Sequence[str], password: str, asked: Sequence[str] | None, *chosen: str | None
    ) -> Iterator[Update]:
        """Ingest uploaded files, showing how far they are."""
        if not all(map(self._arrivals.holds, files)):
            yield {self.uploads: None, **self._report(problem_html(NOT_UPLOADED))}
            return
        job = self._worker.start(files, [password] if password else [])
        yield {self.uploads: None, self.halt: show(True)}
        while not job.ended(UPDATE_SECONDS):
            yield self._report(progress_html(job.progress))
        try:
            shown = outcomes_html(job.result.result(0))
        except (TimeoutError, *CALLED_OFF):
            shown = problem_html("Stopped. The documents that were finished are kept")
        except Exception as error:  # noqa: BLE001  # message_of logs what is a bug
            shown = problem_html(message_of(error))
        yield {**self._report(shown), self.password: "", self.halt: show(False), **self.refresh(asked, *chosen)}

    def remove(self, document_id: str | None, asked: Sequence[str] | None, *chosen: str | None) -> Update:
        """Remove the chosen document."""
        if not document_id:
            return self._report(hint_html("Choose the document to remove first."))
        try:
            self._worker.remove(document_id)
        except RagError as error:
            return self._report(problem_html(str(error)))
        return {**self._report(hint_html("Removed.")), **self.refresh(asked, *chosen)}

    def _report(self, html: str) -> Update:
        return {self.progress: gr.HTML(html, elem_classes=seen(True))}
