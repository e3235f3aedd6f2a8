"""The sources of a conversation's answers, and the pictures of the pages they stand on. No Gradio here."""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from functools import lru_cache

from ingest.page_pictures import page_picture
from ingest.worker import Limits
from rag.errors import DocumentError, LibraryError
from rag.index.manager import Indexes
from rag.records import Answer, Citation, Hit
from ui import render


@dataclass(frozen=True, slots=True)
class Shelf:
    """The sources of every answer of a conversation, and what of them is shown: an answer's, one of them, a page."""

    answers: tuple[tuple[str, tuple[Citation, ...]], ...] = ()  # (what they are called, the sources)
    answer: int = 0
    source: int = 0
    page: int = 0

    @property
    def sources(self) -> tuple[Citation, ...]:
        return self.answers[self.answer][1] if self.answers else ()

    @property
    def label(self) -> str:
        return self.answers[self.answer][0] if self.answers else "Sources"

    @property
    def citation(self) -> Citation | None:
        return self.sources[self.source] if self.sources else None

    @property
    def count(self) -> int:
        return sum(len(sources) for _, sources in self.answers)

    def put(self, answer: Answer) -> Shelf:
        """With the sources of one more answer; for want of any, the passages that came nearest."""
        new = ("Sources", answer.citations)
        if not answer.citations:
            new = ("Nearest passages", tuple(map(nearest, answer.evidence)))
        return Shelf((*self.answers, new), len(self.answers)).choose(0)

    def choose(self, source: int) -> Shelf:
        """Another source of the same answer, at the page where its quote starts."""
        if not 0 <= source < len(self.sources):
            return self
        return replace(self, source=source, page=self.sources[source].first_page)

    def find(self, number: int) -> Shelf:
        """The citation with this number, counted through the whole conversation from 1."""
        for answer, (_, sources) in enumerate(self.answers):
            if 1 <= number <= len(sources):
                return replace(self, answer=answer).choose(number - 1)
            number -= len(sources)
        return self


def nearest(hit: Hit) -> Citation:
    """A passage that was found, as a source."""
    p = hit.passage
    return Citation(
        f"[{hit.rank}]", p.passage_id, p.document_id, p.path, p.title, p.first_page, p.last_page, p.text,
        p.start, p.end, p.kind, p.label, p.section, p.ocr_confidence, p.chapter, p.speaker, p.start_seconds,
        p.end_seconds, p.part, p.first_paragraph, p.last_paragraph,
    )  # fmt: skip


class Pictures:
    """Pictures of the library's pages: the last few are kept, two at a time are drawn."""

    def __init__(self, indexes: Indexes):
        self._library = indexes.library
        self._limits = Limits(indexes.settings.ingest.page_seconds, indexes.settings.ingest.memory_mb)
        self._drawing = threading.Semaphore(2)
        self._draw = lru_cache(maxsize=48)(self._draw_anew)

    def _draw_anew(self, document_id: str, page: int, start: int, end: int) -> bytes:
        with self._drawing:
            return page_picture(self._library, document_id, page, start, end, self._limits)

    def pages(self, document_id: str) -> int:
        """How many pages a document has; 0 if it is not in the library (any more)."""
        return next((entry.pages for entry in self._library.documents([document_id])), 0)

    def png(self, document_id: str, page: int, start: int, end: int) -> bytes:
        """Raises LibraryError for a page that the library does not hold, DocumentError for one that cannot be drawn."""
        pages = self.pages(document_id)
        if not 1 <= page <= pages:
            why = f"it has {pages} pages" if pages else "the library holds no such document"
            raise LibraryError(f"no page {page} of {document_id[:64]}: {why}")
        return self._draw(document_id, page, start, end)

    def html(self, citation: Citation, page: int) -> str:
        """The page's picture, or if there is none its text, with the quote marked either way."""
        document = self._library.document(citation.document_id)
        span, pages = document.pages[page - 1], len(document.pages)
        cited = citation.first_page <= page <= citation.last_page
        start, end = (citation.start, citation.end) if cited else (span.start, span.start)
        first, last = (min(max(at, span.start), span.end) - span.start for at in (start, end))
        try:
            self.png(citation.document_id, page, *((start, end) if cited else (0, 0)))
            return render.page_figure(citation, page, pages, first / max(1, span.end - span.start))
        except DocumentError as error:
            quoted = render.quote_in_page(document.text[span.start : span.end], first, last)
            return render.page_text_figure(citation, page, pages, str(error), quoted)
