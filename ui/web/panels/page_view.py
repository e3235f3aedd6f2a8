"""Pages of documents as pictures. For any thread: the last few are kept, two at a time are drawn."""

from __future__ import annotations

import threading
from functools import lru_cache

from ingest.child_process import Limits
from ingest.kinds import KINDS
from ingest.page_pictures import PagePicture, page_picture
from rag.errors import DocumentError, LibraryError
from rag.index.manager import Indexes

KEPT = 96  # pictures, of about 150 kB


class PageViews:
    """Pictures of the library's pages."""

    def __init__(self, indexes: Indexes):
        self._library = indexes.library
        self._limits = Limits(indexes.settings.ingest.page_seconds, indexes.settings.ingest.memory_mb)
        self._drawing = threading.Semaphore(2)
        self._cached_draw = lru_cache(maxsize=KEPT)(self._draw)

    def _draw(self, document_id: str, page: int) -> PagePicture:
        with self._drawing:
            return page_picture(self._library, document_id, page, self._limits)

    def are_drawn(self, kind: str) -> bool:
        """Whether documents of a kind have pages that can be drawn."""
        return kind in KINDS and KINDS[kind].page_pictures

    def picture(self, document_id: str, page: int) -> PagePicture:
        """The picture of a page (from 1).

        Raises LibraryError for a page that the library does not hold, DocumentError for one that cannot be drawn.
        """
        pages = next((entry.pages for entry in self._library.documents([document_id])), 0)
        if not 1 <= page <= pages:
            why = f"it has {pages} pages" if pages else "the library holds no such document"
            raise LibraryError(f"no page {page} of {document_id[:64]}: {why}")
        try:
            return self._cached_draw(document_id, page)
        except DocumentError as error:  # who looks at the page need not know where the file lies
            text = str(error)
            for file in self._library.files_of(document_id):
                text = text.replace(str(file), file.name)
            raise DocumentError(text) from error
