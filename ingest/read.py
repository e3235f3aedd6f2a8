"""Which files are documents, judged by content and not by name alone, and the ids of their contents."""

from __future__ import annotations

import errno
import hashlib
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from ingest.child_process import Children, Limits
from ingest.folders.ignore import Ignored
from ingest.folders.packed_files import MAIL, may_have_attachments
from ingest.folders.unpack import ENDINGS as ARCHIVES
from ingest.folders.unpack import is_archive
from ingest.kinds import AUTO, KINDS, PDF, FileCollection, head_of, is_wanted, kind_of, listed_kind
from ingest.legal.case_reading import CaseReading
from rag.document import Document
from rag.errors import DocumentError
from rag.settings import Ingest

Unpack = Callable[[Path], Path]


def find_files(
    path: Path, leave_out: Path, wanted: str = AUTO, unpack: Unpack | None = None
) -> list[Path | DocumentError]:
    """The file itself, or the documents of a kind in and below a folder, sorted.

    `wanted` is a name in KINDS or AUTO for any; PDFs are listed for every kind that they may turn out to be. Hidden
    folders and `leave_out` are skipped, and so is what is read with a transcript beside it, and what the ignore files
    of the folders name (ingest/folders/ignore.py). A folder that cannot be listed is an error among the files. `unpack`
    gives the folder of an archive's files, and of an e-mail's attachments; archives within them, and all without it,
    are left alone. Raises DocumentError if there is nothing at `path`, or no document.
    """
    try:
        if path.is_dir() or (unpack and (is_packed(path) or (wanted == AUTO and _may_have_attachments(path)))):
            files = list(_walk(path, leave_out.absolute(), wanted, unpack))
            if not files:
                raise DocumentError(f"{path} holds no {_plural(wanted)}. Name a folder with some, or a file")
            return files
        if not path.exists():
            raise DocumentError(f"{path}: no such file or folder. Check the name")
    except OSError as error:
        raise DocumentError(f"{path}: cannot be looked at: {error.strerror}. Check name and permissions") from error
    return [path]


def is_listed(file: Path, root: Path, leave_out: Path, wanted: str = AUTO) -> bool:
    """Whether `find_files` of `root` lists a file that lies in or below it, or is it."""
    if file == root:
        return True
    if not file.is_relative_to(root) or file.is_relative_to(leave_out.absolute()):
        return False
    ignored, folder = Ignored(), root
    try:
        for name in file.relative_to(root).parts:
            ignored, folder = ignored.within(folder), folder / name
            if name.startswith(".") or ignored.names(folder) or (folder != file and folder.is_symlink()):
                return False
    except OSError:
        return False
    found = listed_kind(file)
    return is_wanted(found, wanted) if found else is_packed(file)


def _plural(wanted: str) -> str:
    """What the files of a kind, or of any, are called: "judgments"."""
    return "documents that can be read" if wanted == AUTO else KINDS[wanted].plural


def _walk(folder: Path, leave_out: Path, wanted: str, unpack: Unpack | None) -> Iterator[Path | DocumentError]:
    # the next one last: recursion would end at a thousand folders in one another
    waiting = [(folder, Ignored(), unpack)]
    while waiting:
        path, ignored, unpacked = waiting.pop()
        try:
            if path.is_dir():
                if path is folder or not path.is_symlink():  # a link may lead back here
                    entries = sorted(path.iterdir(), key=lambda entry: entry.name, reverse=True)
                    ignored = ignored.within(path)
                    waiting += [
                        (e, ignored, unpacked) for e in entries
                        if not e.name.startswith(".") and e.absolute() != leave_out and not ignored.names(e)
                    ]  # fmt: skip
                continue
        except OSError as error:
            cure = "Shorten its path" if error.errno == errno.ENAMETOOLONG else "Check its permissions"
            yield DocumentError(f"{path}: cannot be listed: {error.strerror}. {cure}")
            continue
        if (found := listed_kind(path)) and is_wanted(found, wanted):
            yield path
        if unpacked and (_may_have_attachments(path) if found else is_packed(path)):
            try:
                waiting.append((unpacked(path), Ignored(), None))
            except DocumentError as error:
                yield DocumentError(f"{path}: {error}")


def is_packed(file: Path) -> bool:
    """Whether a file is an archive that may have documents in it."""
    try:
        return file.name.lower().endswith(ARCHIVES) and file.is_file() and is_archive(file.name, head_of(file))
    except OSError:
        return False


def _may_have_attachments(file: Path) -> bool:
    """Whether a file is an e-mail that may have files attached."""
    try:
        return file.suffix.lower() == MAIL and listed_kind(file) == "email" and may_have_attachments(file)
    except (OSError, DocumentError):
        return False


def content_id(file: Path, wanted: str = AUTO) -> str:
    """The document_id of a file's bytes: the first 16 hex digits of their sha256. Raises DocumentError as kind_of."""
    kind_of(file, wanted)
    try:
        with file.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()[:16]
    except OSError as error:
        raise DocumentError(f"cannot be read: {error.strerror}. Check its permissions") from error


def collection_of(file: Path, wanted: str) -> tuple[str, FileCollection] | None:
    """The kind of a file that holds many documents, and how they are read; None for a file that is one document.

    Raises DocumentError as kind_of.
    """
    kind = kind_of(file, wanted)
    collection = KINDS[kind].collection
    return (kind, collection) if collection and collection.sniff(head_of(file)) else None


def read_alone(file: Path, settings: Ingest) -> Document:
    """A judgment's text or HTML that is not to be stored in a library. Raises DocumentError with the path."""
    children = Children(threading.Semaphore(), 1, threading.Event())
    reading = CaseReading(file, Limits(settings.page_seconds, settings.memory_mb), children)
    try:
        if collection_of(file, "legal") or kind_of(file, "legal") == PDF:
            raise DocumentError("is no text of one judgment. Ingest it, and name the document")
        return reading.document(0, file, "")
    except DocumentError as error:
        raise DocumentError(f"{file}: {error}") from error
    finally:
        reading.close()
