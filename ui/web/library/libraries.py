"""The libraries that a server serves: the one it was started with, and those that were made in the page.

The latter lie in the former's folder: libraries/NAME, each with a file name.txt that says what people call it. No
folder elsewhere is looked at. A library is opened when it is first asked for.
"""

from __future__ import annotations

import re
import secrets
import shutil
import threading
from collections.abc import Sequence
from pathlib import Path

from rag.errors import LibraryError, UsageError
from rag.index.manager import Indexes
from rag.library.catalogue import Library
from ui.web.library.arrivals import Arrivals
from ui.web.library.open_library import OpenLibrary
from ui.web.workers.jobs import Worker
from ui.web.workers.reader_queue import ReaderQueue

MOST = 100
LONGEST = 80  # characters of a name


class Libraries:
    """Open libraries by the last part of their folder; "" is the one that the server began with. For any thread."""

    def __init__(self, indexes: Indexes, arrivals: Arrivals, folders: Sequence[Path] = ()):
        """`folders`: those of this machine whose files may be added by their path."""
        self._folder = indexes.library.folder / "libraries"
        self._settings = indexes.settings
        self._queue = ReaderQueue()
        self.arrivals = arrivals
        self.folders = [folder.resolve() for folder in folders]
        self._open = {"": OpenLibrary(indexes, arrivals, self._queue)}
        self._lock = threading.Lock()

    def listed(self) -> list[tuple[str, str]]:
        """(name, what people call it) of each; first the one that the server began with, called as its folder is."""
        first = "", self._folder.resolve().parent.stem
        made = [(file.parent.name, _title(file)) for file in self._folder.glob("*/name.txt")]
        return [first, *sorted(made, key=lambda each: (each[1].casefold(), each[0]))]

    def get(self, name: str) -> OpenLibrary:
        """Raises LibraryError for one that is not there (any more)."""
        with self._lock:
            if name not in self._open:
                folder = self._folder / name
                if not re.fullmatch(r"[a-z0-9]{1,40}", name) or not (folder / "name.txt").is_file():
                    raise LibraryError("there is no such library (any more). Choose another one")
                indexes = Indexes(Library.open(folder), self._settings)
                self._open[name] = OpenLibrary(indexes, self.arrivals, self._queue)
            return self._open[name]

    def create(self, title: str) -> str:
        """Make an empty library; its name. Raises UsageError, and LibraryError where it cannot be written."""
        title = " ".join(title.split())
        if not title or len(title) > LONGEST:
            raise UsageError(f"a library needs a name of at most {LONGEST} characters. Type one")
        if len(self.listed()) > MOST:
            raise UsageError(f"there are {MOST} libraries already. Remove one first")
        name = secrets.token_hex(6)
        folder = self._folder / name
        Library.open(folder, create=True)
        (folder / "name.txt").write_text(title + "\n", "utf-8")
        return name

    def remove(self, name: str) -> None:
        """Delete a library that was made in the page, with all that is in it. Raises LibraryError, UsageError."""
        if not name:
            raise UsageError("this library was not made in the page. Remove its folder")
        library = self.get(name)
        for worker in library.workers:
            worker.close(3.0)
        with self._lock:
            del self._open[name]
        with library.library.writing("removing the library"):
            (library.library.folder / "name.txt").unlink(missing_ok=True)  # from now on it is none, whatever happens
        shutil.rmtree(library.library.folder, ignore_errors=True)

    @property
    def workers(self) -> list[Worker]:
        """Of all libraries that are open."""
        with self._lock:
            return [worker for library in self._open.values() for worker in library.workers]

    def claimed(self) -> set[Path]:
        """The uploads that ingestion is about to read, of all libraries."""
        with self._lock:
            return {file for library in self._open.values() for file in library.uploads.claimed()}


def _title(file: Path) -> str:
    return file.read_text("utf-8", errors="replace").strip()[:LONGEST] or file.parent.name
