"""The list of the library's documents."""

from __future__ import annotations

import threading

from rag.library.catalogue import Library
from rag.library.documents import DocumentEntry


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
