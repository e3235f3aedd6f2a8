"""The list of the library's documents, and how uploads to it go. No Gradio here."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence

from markupsafe import Markup

from ingest.build import Outcome
from rag.library.catalogue import Library
from rag.library.documents import DocumentEntry
from ui.web.templating import hint_html, render


class DocumentList:
    """The library's documents, read again only when the library has changed. For any thread."""

    def __init__(self, library: Library):
        self._library = library
        self._lock = threading.Lock()
        self._generation = -1
        self._entries: tuple[DocumentEntry, ...] = ()

    def entries(self) -> tuple[DocumentEntry, ...]:
        """Every document, by path. Raises LibraryError."""
        with self._lock:
            generation = self._library.generation
            if generation != self._generation:
                self._entries = tuple(self._library.documents())
                self._generation = generation
            return self._entries


def documents_html(entries: Sequence[DocumentEntry]) -> Markup:
    """The list of documents: title, pages, and for a failed one why."""
    if not entries:
        return hint_html("No documents yet. Add PDFs, judgments or transcripts below.")
    return render("documents.html", entries=entries)


def progress_html(progress: Mapping[str, tuple[int, int]]) -> Markup:
    """How far an upload is, as (done, total) by file name; "vectors" and "documents" are stages of all files."""
    return render("progress.html", progress=progress)


def outcomes_html(outcomes: Sequence[tuple[str, Outcome]]) -> Markup:
    """The outcome of each uploaded file: (its name, outcome)."""
    return render("outcomes.html", outcomes=outcomes)
