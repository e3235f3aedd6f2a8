"""One library as the site serves it: its documents, its conversations, and the workers that wait on them."""

from __future__ import annotations

import logging
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rag.errors import LibraryError
from rag.index.manager import Indexes
from rag.library.catalogue import Library
from rag.library.kept.conversations import Conversations
from ui.web.library.arrivals import Arrivals
from ui.web.library.page_settings import PageSettings, values_of
from ui.web.panels.case_list import JudgmentPanels
from ui.web.panels.document_list import DocumentList
from ui.web.panels.filter_choices import FilterChoices
from ui.web.panels.page_view import PageViews
from ui.web.panels.recordings import Recordings
from ui.web.workers.answer_worker import AnswerWorker
from ui.web.workers.evaluation_worker import EvaluationWorker
from ui.web.workers.jobs import Worker, hide_folder
from ui.web.workers.precedent_worker import PrecedentWorker
from ui.web.workers.reader_queue import ReaderQueue
from ui.web.workers.upload_worker import UploadWorker

RESTORABLE_SECONDS = 7 * 24 * 3600.0  # for which a removed conversation is kept
log = logging.getLogger("glossator")


class OpenLibrary:
    """The parts of the site over one library.

    `arrivals` is where uploads to it arrive, `queue` whose turn it is at the reader, which all libraries share.
    `reads`: what is uploaded is read by this process.
    """

    def __init__(self, indexes: Indexes, arrivals: Arrivals, queue: ReaderQueue, reads: bool = True):
        library = indexes.library
        hide_folder(library.folder)
        self._settings = PageSettings(library.folder, indexes.settings)
        indexes.settings = self._settings.load()
        self.indexes = indexes
        self.library = library
        self.arrivals = arrivals
        self.conversations, self.keeps_conversations = _conversations_of(library)
        self.answers = AnswerWorker(indexes, self.conversations, queue)
        self.uploads = UploadWorker(indexes, reads)
        if reads:
            self.uploads.take_up()
        self.precedents = PrecedentWorker(indexes)
        self.evaluations = EvaluationWorker(indexes, queue)
        self.documents = DocumentList(library)
        self.filters = FilterChoices(library)
        self.pages = PageViews(indexes)
        self.recordings = Recordings(library)
        self.judgments = JudgmentPanels(library)

    @property
    def workers(self) -> tuple[Worker, ...]:
        return self.uploads, self.answers, self.precedents, self.evaluations

    def change_settings(self, values: Mapping[str, Any]) -> None:
        """Change settings for all questions from now on. Raises UsageError, LibraryError."""
        self.indexes.settings = self._settings.change({**values_of(self.indexes.settings), **values})
        self.answers.load()


def _conversations_of(library: Library) -> tuple[Conversations, bool]:
    """The library's conversations, and whether they last: of one that cannot be written they are kept until the end."""
    kept = Conversations(library.folder)
    try:
        kept.interrupt()
        kept.purge(time.time() - RESTORABLE_SECONDS)
        return kept, True
    except LibraryError as error:
        log.warning("%s. Conversations are kept until the server stops", error)
        aside = Path(tempfile.mkdtemp(prefix="glossator-conversations-")) / "library"
        Library.open(aside, create=True)
        return Conversations(aside), False
