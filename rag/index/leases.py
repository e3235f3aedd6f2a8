"""An opened index that several retrievers read: when it has been replaced, it is closed with the last of them."""

from __future__ import annotations

import threading
import weakref
from typing import TypeVar

from rag.protocols import DerivedIndex

T = TypeVar("T")


class OpenIndex:
    """Counts the retrievers that read an index. Without it a server would keep each state that it ever searched."""

    def __init__(self, index: DerivedIndex):
        self.index = index
        # A finalizer may run wherever Python collects garbage, in a thread that holds other locks: nothing waits here.
        self._lock = threading.RLock()
        self._readers = 0
        self._replaced = False

    def lend(self, retriever: T) -> T:
        """The retriever, counted as a reader for as long as anybody holds it."""
        with self._lock:
            self._readers += 1
        weakref.finalize(retriever, self._give_back).atexit = False
        return retriever

    def replace(self) -> None:
        """Nobody opens this state any more: close it now, or with its last reader."""
        with self._lock:
            self._replaced = True
            unused = not self._readers
        if unused:
            self.index.close()

    def _give_back(self) -> None:
        with self._lock:
            self._readers -= 1
            unused = self._replaced and not self._readers
        if unused:
            self.index.close()
