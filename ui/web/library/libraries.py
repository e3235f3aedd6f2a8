"""The libraries that a server serves: the one it was started with, and those that were made in the page.

The latter lie in the former's folder: libraries/NAME, each with a file name.txt that says what people call it, and
where people log in access.json, which says whose it is and whether the others see it. No folder elsewhere is looked at.
A library is opened when it is first asked for.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rag.errors import LibraryError, UsageError
from rag.index.manager import Indexes
from rag.library.catalogue import Library
from ui.web.access.identity import ANYONE, Identity
from ui.web.library.arrivals import Arrivals
from ui.web.library.open_library import OpenLibrary
from ui.web.workers.jobs import Worker
from ui.web.workers.reader_queue import ReaderQueue

MOST = 100
LONGEST = 80  # characters of a name


@dataclass(frozen=True, slots=True)
class ListedLibrary:
    """A library by its name in addresses, and as people call it. `owner`: whose it is, "" for everybody's.

    One that is not `shared` is there for its owner alone, and for admins.
    """

    name: str
    title: str
    owner: str = ""
    shared: bool = True

    def is_for(self, who: Identity) -> bool:
        return self.shared or self.is_of(who)

    def is_of(self, who: Identity) -> bool:
        """Whether they may rename it, share it and remove it."""
        return who.may("admin") or (bool(self.owner) and self.owner == who.name)


class Libraries:
    """Open libraries by the last part of their folder; "" is the one that the server began with. For any thread.

    A library that is not for whoever asks is not there for them.
    """

    def __init__(self, indexes: Indexes, arrivals: Arrivals, folders: Sequence[Path] = (), reads: bool = True):
        """`folders`: those of this machine whose files may be added by their path. `reads`: as of OpenLibrary."""
        self._folder = indexes.library.folder / "libraries"
        self._settings = indexes.settings
        self._queue = ReaderQueue()
        self.arrivals = arrivals
        self.folders = [folder.resolve() for folder in folders]
        self._reads = reads
        self._open = {"": OpenLibrary(indexes, arrivals, self._queue, reads)}
        self._lock = threading.Lock()

    def listed(self, who: Identity = ANYONE) -> list[ListedLibrary]:
        """Those for `who`; first the one that the server began with, which is for all and called as its folder is."""
        first = ListedLibrary("", self._folder.resolve().parent.stem)
        made = [_listed(file.parent) for file in self._folder.glob("*/name.txt")]
        made = [library for library in made if library.is_for(who)]
        return [first, *sorted(made, key=lambda library: (library.title.casefold(), library.name))]

    def find(self, name: str, who: Identity) -> ListedLibrary:
        """Raises LibraryError for one that is not there (any more), or not for them."""
        folder = self._folder / name
        if name and re.fullmatch(r"[a-z0-9]{1,40}", name) and (folder / "name.txt").is_file():
            found = _listed(folder)
            if found.is_for(who):
                return found
        raise LibraryError("there is no such library (any more). Choose another one")

    def get(self, name: str, who: Identity = ANYONE) -> OpenLibrary:
        """Raises LibraryError as `find`."""
        if name:
            self.find(name, who)
        with self._lock:
            if name not in self._open:
                indexes = Indexes(Library.open(self._folder / name), self._settings)
                self._open[name] = OpenLibrary(indexes, self.arrivals, self._queue, self._reads)
            return self._open[name]

    def create(self, title: str, who: Identity = ANYONE) -> str:
        """Make an empty library, for whoever makes it alone where people log in; its name.

        Raises UsageError, and LibraryError where it cannot be written.
        """
        title = _checked(title)
        if len(self.listed()) > MOST:
            raise UsageError(f"there are {MOST} libraries already. Remove one first")
        name = secrets.token_hex(6)
        folder = self._folder / name
        Library.open(folder, create=True)
        if who.name:
            _write(folder / "access.json", json.dumps({"owner": who.name, "shared": False}))
        _write(folder / "name.txt", title + "\n")  # from now on it is there
        return name

    def change(self, name: str, who: Identity, title: str | None = None, shared: bool | None = None) -> None:
        """Rename it, or share it with all who log in. Raises UsageError where it is not theirs, LibraryError as get."""
        found = self.find(name, who)
        if not found.is_of(who):
            raise UsageError("this library is somebody else's. Ask them")
        if shared is not None:
            if not found.owner:
                raise UsageError("this library is everybody's already")
            _write(self._folder / name / "access.json", json.dumps({"owner": found.owner, "shared": shared}))
        if title is not None:
            _write(self._folder / name / "name.txt", _checked(title) + "\n")

    def remove(self, name: str, who: Identity = ANYONE) -> None:
        """Delete a library that was made in the page, with all that is in it. Raises as `change`."""
        if not name:
            raise UsageError("this library was not made in the page. Remove its folder")
        if not self.find(name, who).is_of(who):
            raise UsageError("this library is somebody else's. Ask them")
        library = self.get(name, who)
        for worker in library.workers:
            worker.close(3.0)
        with self._lock:
            del self._open[name]
        with library.library.writing("removing the library"):
            (library.library.folder / "name.txt").unlink(missing_ok=True)  # from now on it is none, whatever happens
        shutil.rmtree(library.library.folder, ignore_errors=True)

    @property
    def opened(self) -> list[OpenLibrary]:
        """Those that were asked for since the server began."""
        with self._lock:
            return list(self._open.values())

    @property
    def workers(self) -> list[Worker]:
        """Of all libraries that are open."""
        return [worker for library in self.opened for worker in library.workers]

    def claimed(self) -> set[Path]:
        """The uploads that ingestion is about to read, of all libraries."""
        return {file for library in self.opened for file in library.uploads.claimed()}


def _listed(folder: Path) -> ListedLibrary:
    """What its files say. One whose access.json cannot be read is for admins alone."""
    try:
        title = (folder / "name.txt").read_text("utf-8", errors="replace").strip()[:LONGEST] or folder.name
    except OSError:  # it was removed just now
        title = folder.name
    try:
        access = json.loads((folder / "access.json").read_text("utf-8"))
        return ListedLibrary(folder.name, title, str(access["owner"]), access["shared"] is True)
    except FileNotFoundError:
        return ListedLibrary(folder.name, title)
    except (OSError, ValueError, KeyError, TypeError):
        return ListedLibrary(folder.name, title, shared=False)


def _checked(title: str) -> str:
    """Raises UsageError for what is no name."""
    title = " ".join(title.split())
    if not title or len(title) > LONGEST:
        raise UsageError(f"a library needs a name of at most {LONGEST} characters. Type one")
    return title


def _write(file: Path, text: str) -> None:
    """Write a file as a whole. Raises LibraryError."""
    try:
        fresh = file.with_name(f"{file.name}.new")
        fresh.write_text(text, "utf-8")
        os.replace(fresh, file)
    except OSError as error:
        raise LibraryError(f"the library cannot be written: {error.strerror}. Free some disk space") from error
