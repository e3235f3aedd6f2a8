"""Which files are documents, judged by content and not by name alone, and the ids of their contents."""

from __future__ import annotations

import errno
import hashlib
import threading
from collections.abc import Iterator
from pathlib import Path

from ingest.child_process import Children, Limits
from ingest.kinds import AUTO, KINDS, PDF, FileCollection, head_of, kind_of, listed_kind, turns_into
from ingest.legal.case_reading import CaseReading
from rag.document import Document
from rag.errors import DocumentError
from rag.settings import Ingest


def find_files(path: Path, leave_out: Path, wanted: str = AUTO) -> list[Path | DocumentError]:
    """The file itself, or the documents of a kind in and below a folder, sorted.

    `wanted` is a name in KINDS or AUTO for any; PDFs are listed for every kind that they may turn out to be. Hidden
    folders and `leave_out` are skipped, and so is what is read with a transcript beside it. A folder that cannot be
    listed is an error among the files. Raises DocumentError if there is nothing at `path`, or no document.
    """
    try:
        if path.is_dir():
            files = list(_walk(path, leave_out.absolute(), wanted))
            if not files:
                raise DocumentError(f"{path} holds no {_plural(wanted)}. Name a folder with some, or a file")
            return files
        if not path.exists():
            raise DocumentError(f"{path}: no such file or folder. Check the name")
    except OSError as error:
        raise DocumentError(f"{path}: cannot be looked at: {error.strerror}. Check name and permissions") from error
    return [path]


def _plural(wanted: str) -> str:
    """What the files of a kind, or of any, are called: "PDFs, judgments or transcripts"."""
    *names, last = [kind.plural for kind in KINDS.values()] if wanted == AUTO else [KINDS[wanted].plural]
    return f"{', '.join(names)} or {last}" if names else last


def _walk(folder: Path, leave_out: Path, wanted: str) -> Iterator[Path | DocumentError]:
    waiting = [folder]  # the next one last: recursion would end at a thousand folders in one another
    while waiting:
        path = waiting.pop()
        try:
            if path.is_dir():
                if path is folder or not path.is_symlink():  # a link may lead back here
                    entries = sorted(path.iterdir(), key=lambda entry: entry.name, reverse=True)
                    waiting += [e for e in entries if not e.name.startswith(".") and e.absolute() != leave_out]
                continue
        except OSError as error:
            cure = "Shorten its path" if error.errno == errno.ENAMETOOLONG else "Check its permissions"
            yield DocumentError(f"{path}: cannot be listed: {error.strerror}. {cure}")
            continue
        if (found := listed_kind(path)) and (wanted in (AUTO, found) or turns_into(found, wanted)):
            yield path


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
