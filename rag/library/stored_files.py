"""The files of a library's folder: where its documents' files lie, and its pictures of figures and tables.

What is in a library's folder is stored relative to it, so the folder may be moved. Stored forms: "uploads/talk.vtt" for
a file in the folder, "uploads/cases.json#001-1" for one of the many judgments in a file (ingest/build.py), an absolute
path for a file elsewhere. A relative path that leads out of the folder is no location: a catalogue may have been
tampered with. Pictures are PNG files, each stored once, named by the sha256 of its bytes.
"""

from __future__ import annotations

import hashlib
import os
import re
import threading
import time
from collections.abc import Container, Iterable, Iterator, Mapping
from pathlib import Path

from rag.errors import LibraryError
from rag.library.shared.bucket import Bucket, key_of

UPLOADS, PICTURES = "uploads", "pictures"  # folders, or links to folders that several machines share
UNOWNED_SECONDS = 86400.0  # a file is under way from the page into the library for minutes, behind others for hours


class Locations:
    """The paths of one library's files; `root` is the folder's place without symbolic links."""

    def __init__(self, folder: Path):
        self.root = os.path.realpath(folder)
        self._content_ids: dict[str, str] = {}  # of uploads that `moved` has read, of which one may hold many documents

    @property
    def uploads(self) -> Path:
        """The folder of the files that came through the web page."""
        return Path(self.root, UPLOADS)

    def stored(self, path: str) -> str:
        """How the catalogue names a file: relative if it lies in the library's folder, else by its absolute path."""
        path = path if path.startswith("/") else os.path.join(os.getcwd(), path)
        parent = os.path.dirname(path)
        while not os.path.isdir(parent):  # a member's key may have slashes
            parent = os.path.dirname(parent)
        inside = self._inside(parent)
        if inside is None or (os.path.islink(path) and self._inside(path) is None):
            return path
        return os.path.join(inside, path[len(parent) :].lstrip("/"))

    def resolved(self, stored: str) -> str | None:
        """The present absolute path of a stored one; None if it is relative and leads out of the folder."""
        if is_outside(stored):
            return stored
        path = os.path.join(self.root, stored)
        return None if is_outside(self.stored(path)) else path

    def shown(self, stored: str, given: str) -> str:
        """What people see of a path: as it was `given`, or the present place of a file in the library's folder."""
        return given if is_outside(stored) or ".." in stored.split("/") else os.path.join(self.root, stored)

    def _inside(self, path: str) -> str | None:
        """The path relative to the folder ("" for itself), None outside. The uploads may lie on another disk."""
        real = os.path.realpath(path)
        for base, name in ((os.path.realpath(self.uploads), UPLOADS), (self.root, "")):
            if real == base:
                return name
            if real.startswith(f"{base}/"):
                return os.path.join(name, real[len(base) + 1 :])
        return None

    # -- catalogues that stored absolute paths -------------------------------------------------------------------

    def moved(self, path: str, content_ids: Mapping[str, str]) -> str | None:
        """The stored form of an upload whose absolute path is that of a place where the library lay before.

        Nothing is at the old place, or a library still, of which this one is a copy. The uploads folder has a file of
        that name, with the bytes that the old path of the file has in `content_ids`, if it is there.
        """
        before, folder, name = path.rpartition(f"/{UPLOADS}/")
        while folder:
            for file in files_named(name):
                old, here = f"{before}/{UPLOADS}/{file}", str(self.uploads / file)
                if "/" in file or not os.path.isfile(here) or os.path.islink(here):
                    continue
                has_gone = not os.path.exists(old) or os.path.isfile(f"{before}/catalogue.sqlite")
                if has_gone and content_ids.get(old) in (None, self._content_id(here)):
                    return f"{UPLOADS}/{name}"
            before, folder, behind = before.rpartition(f"/{UPLOADS}/")
            name = f"{behind}/{UPLOADS}/{name}"  # the key of a judgment may hold anything
        return None

    def _content_id(self, file: str) -> str:
        """As that of ingest/read.py; "" of a file that cannot be read."""
        if file not in self._content_ids:
            try:
                with open(file, "rb") as stream:
                    self._content_ids[file] = hashlib.file_digest(stream, "sha256").hexdigest()[:16]
            except OSError:
                self._content_ids[file] = ""
        return self._content_ids[file]

    # -- checks --------------------------------------------------------------------------------------------------

    def missing(self, stored: Iterable[str], elsewhere: Container[str] = ()) -> Iterator[str]:
        """What is wrong with these relative paths: those that lead out of the folder, and those of missing files.

        `elsewhere` are the keys of files that lie in a bucket.
        """
        for path in stored:
            place = self.resolved(path)
            if place is None:
                yield f"{path} leads out of the library's folder. Remove its document"
            elif not any(os.path.isfile(file) for file in files_named(place)) and not any(
                key_of(file) in elsewhere for file in files_named(path)
            ):
                yield f"{path} is missing from the library's folder. Put it back there, or remove its document"

    def unowned(self, stored: Iterable[str]) -> list[str]:
        """The uploads that belong to none of these paths, unless they may be on their way into the library.

        What came with a transcript has its name with another ending (ingest/uploads.py).
        """
        names = {Path(file).name for path in stored for file in files_named(path)}
        beside = tuple({f"{Path(name).stem}." for name in names})
        found = []
        try:
            for file in sorted(self.uploads.iterdir()):
                is_owned = file.name in names or file.name.startswith((".", *beside))
                if file.is_file() and not is_owned and time.time() - file.stat().st_mtime > UNOWNED_SECONDS:
                    found.append(f"{UPLOADS}/{file.name} belongs to no document. Delete it, or ingest it")
        except OSError:  # there are no uploads, or one has just been removed
            pass
        return found


def is_outside(stored: str) -> bool:
    """Whether a file that the catalogue names lies outside the library's folder."""
    return stored.startswith("/")


def files_named(path: str) -> Iterator[str]:
    """The files that a path may mean: itself, and what stands before a "#", for it may be one of many in a file.

    >>> list(files_named("uploads/a.json#1#2"))
    ['uploads/a.json#1#2', 'uploads/a.json#1', 'uploads/a.json']
    """
    while path:
        yield path
        path = path.rpartition("#")[0]


def storable(path: str) -> str | bytes:
    """The path as SQLite can store it: its bytes where they are no text; os.fsdecode undoes it."""
    try:
        path.encode()
    except UnicodeEncodeError:
        return os.fsencode(path)
    return path


# -- pictures --------------------------------------------------------------------------------------------------------


def keep_picture(folder: Path, png: bytes) -> str:
    """The sha256 of the bytes, which the library in `folder` then holds. Safe from any thread."""
    sha256 = hashlib.sha256(png).hexdigest()
    file = _picture_file(folder, sha256)
    if not file.exists():
        file.parent.mkdir(exist_ok=True)
        fresh = file.with_suffix(f".{threading.get_ident()}.new")
        fresh.write_bytes(png)
        os.replace(fresh, file)
    return sha256


def picture(folder: Path, sha256: str, bucket: Bucket | None = None) -> bytes:
    """A picture's bytes. Raises LibraryError for one that the library does not hold."""
    file, is_name = _picture_file(folder, sha256), re.fullmatch("[0-9a-f]{64}", sha256)
    if is_name and bucket:
        bucket.bring(picture_name(sha256), lambda png: hashlib.sha256(png).hexdigest() == sha256)
    if not is_name or not file.is_file():
        raise LibraryError(f"{folder} holds no picture {sha256[:64]!r}. Ingest its document again")
    return file.read_bytes()


def sweep_pictures(folder: Path, shown: Container[str]) -> None:
    """Delete every file but the pictures in `shown` (their sha256)."""
    for file in (folder / PICTURES).glob("*"):
        if file.suffix != ".png" or file.stem not in shown:
            file.unlink(missing_ok=True)


def picture_name(sha256: str) -> str:
    """The name of a picture's file in the library's folder."""
    return f"{PICTURES}/{sha256}.png"


def _picture_file(folder: Path, sha256: str) -> Path:
    return folder / picture_name(sha256)
