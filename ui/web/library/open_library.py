"""One library as the site serves it: its documents, its conversations, and the workers that wait on them."""

from __future__ import annotations

import logging
import tempfile
import time
from pathlib import Path

from rag.errors import LibraryError
from rag.index.manager import Indexes
from rag.library.catalogue import Library
from rag.library.conversations import Conversations
from ui.web.library.arrivals import Arrivals
from ui.web.panels.case_list import JudgmentPanels
from ui.web.panels.document_list import DocumentList
from ui.web.panels.filter_choices import FilterChoices
from ui.web.panels.page_view import PageViews
from ui.web.panels.recordings import Recordings
from ui.web.workers.answer_worker import AnswerWorker
from ui.web.workers.jobs import Worker
from ui.web.workers.precedent_worker import PrecedentWorker
from ui.web.workers.upload_worker import UploadWorker

RESTORABLE_SECONDS = 7 * 24 * 3600.0  # for which a removed conversation is kept
log = logging.getLogger("glossator")


class OpenLibrary:
    """The parts of the site over one library. `arrivals` is where uploads to it arrive."""

    def __init__(self, indexes: Indexes, arrivals: Arrivals):
        library = indexes.library
        self.indexes = indexes
        self.library = library
        self.arrivals = arrivals
        self.conversations, self.keeps_conversations = _conversations_of(library)
        self.answers = AnswerWorker(indexes, self.conversations)
        self.uploads = UploadWorker(indexes)
        self.precedents = PrecedentWorker(indexes)
        self.documents = DocumentList(library)
        self.filters = FilterChoices(library)
        self.pages = PageViews(indexes)
        self.recordings = Recordings(library)
        self.judgments = JudgmentPanels(library)

    @property
    def workers(self) -> tuple[Worker, ...]:
        return self.uploads, self.answers, self.precedents


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
