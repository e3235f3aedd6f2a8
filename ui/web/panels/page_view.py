"""A page of a document with the quote marked: its picture, or where it cannot be drawn its text. No Gradio here."""

from __future__ import annotations

import threading
from functools import lru_cache
from urllib.parse import urlencode

from markupsafe import Markup

from ingest.child_process import Limits
from ingest.kinds import KINDS
from ingest.page_pictures import page_picture
from rag.errors import DocumentError, LibraryError
from rag.index.manager import Indexes
from rag.records import Citation
from ui.web.templating import render
from ui.wording import printable


class PageViews:
    """Views of the library's pages. For any thread: the last few pictures are kept, two at a time are drawn."""

    def __init__(self, indexes: Indexes):
        self._library = indexes.library
        self._limits = Limits(indexes.settings.ingest.page_seconds, indexes.settings.ingest.memory_mb)
        self._drawing = threading.Semaphore(2)
        self._cached_draw = lru_cache(maxsize=48)(self._draw)

    def _draw(self, document_id: str, page: int, start: int, end: int) -> bytes:
        with self._drawing:
            return page_picture(self._library, document_id, page, start, end, self._limits)

    def pages(self, document_id: str) -> int:
        """How many pages a document has; 0 if it is not in the library (any more)."""
        return next((entry.pages for entry in self._library.documents([document_id])), 0)

    def png(self, document_id: str, page: int, start: int, end: int) -> bytes:
        """The picture of a page (from 1) with the document's text[start:end] marked as far as it is on it.

        Raises LibraryError for a page that the library does not hold, DocumentError for one that cannot be drawn.
        """
        pages = self.pages(document_id)
        if not 1 <= page <= pages:
            why = f"it has {pages} pages" if pages else "the library holds no such document"
            raise LibraryError(f"no page {page} of {document_id[:64]}: {why}")
        return self._cached_draw(document_id, page, start, end)

    def html(self, citation: Citation, page: int) -> Markup:
        """The page's picture, or if it cannot be drawn its text, with the quote marked either way."""
        document = self._library.document(citation.document_id)
        span, pages = document.pages[page - 1], len(document.pages)
        cited = citation.locator.first_page <= page <= citation.locator.last_page
        start, end = (citation.start, citation.end) if cited else (span.start, span.start)
        first, last = (min(max(at, span.start), span.end) - span.start for at in (start, end))
        text = document.text[span.start : span.end]
        if not KINDS[document.kind].page_pictures:
            return page_text_figure(citation, page, pages, "", text, first, last)
        try:
            self.png(citation.document_id, page, *((start, end) if cited else (0, 0)))
            return page_figure(citation, page, pages, first / max(1, span.end - span.start))
        except DocumentError as error:
            return page_text_figure(citation, page, pages, str(error), text, first, last)


def page_address(citation: Citation, page: int) -> str:
    """The address of the picture of a page of a cited document, with the part of the quote on it marked."""
    address = f"/page/{citation.document_id}/{page}.png"
    if not citation.locator.first_page <= page <= citation.locator.last_page:
        return address
    return f"{address}?" + urlencode({"start": citation.start, "end": citation.end})


def page_caption(citation: Citation, page: int, pages: int) -> str:
    """What the figure shows: "Free Culture, page 65 of 345, Table 1 framed, the quoted words marked"."""
    marked = ", the quoted words marked" if citation.locator.first_page <= page <= citation.locator.last_page else ""
    if marked and citation.kind != "text":
        marked = f", {printable(citation.label) or f'the {citation.kind}'} framed{marked}"
    if marked and citation.ocr_confidence is not None:
        marked += "; read by OCR"
    return f"{printable(citation.title)}, page {page} of {pages}{marked}"


def page_figure(citation: Citation, page: int, pages: int, at: float) -> Markup:
    """A page's picture with its caption; the picture is a link to itself, to see it large.

    `at` says about where on the page the quote starts, from 0 (its top) to 1.
    """
    caption = page_caption(citation, page, pages)
    return render("page_figure.html", address=page_address(citation, page), caption=caption, at=at)


def page_text_figure(citation: Citation, page: int, pages: int, why: str, text: str, start: int, end: int) -> Markup:
    """A page's text with text[start:end] marked, and why there is no picture where there could be one."""
    return render(
        "page_text.html",
        caption=page_caption(citation, page, pages),
        why=why,
        before=text[:start],
        quote=text[start:end],
        after=text[end:],
    )
