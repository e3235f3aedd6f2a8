"""Path -> Document: which files are documents, judged by content and not by name alone, and what they hold."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from ingest.mend import join_pages, mend
from ingest.worker import Limits, read_limited
from rag.errors import DocumentError
from rag.records import Document

RECIPE = "pdf 1"  # raise the number when the same bytes would now be read differently


def find_files(path: Path, leave_out: Path) -> list[Path | DocumentError]:
    """The file itself, or the PDFs in and below a folder, sorted; hidden folders and `leave_out` are passed over.

    A folder that cannot be listed is an error among the files. Raises DocumentError if there is nothing at `path`, or
    no PDF in it.
    """
    try:
        if path.is_dir():
            files = list(_walk(path, leave_out.absolute()))
            if not files:
                raise DocumentError(f"{path} holds no PDF files. Name a folder with PDFs, or a PDF")
            return files
        if not path.exists():
            raise DocumentError(f"{path}: no such file or folder. Check the name")
    except OSError as error:
        raise DocumentError(f"{path}: cannot be looked at: {error.strerror}. Check name and permissions") from error
    return [path]


def _walk(folder: Path, leave_out: Path) -> Iterator[Path | DocumentError]:
    try:
        entries = sorted(folder.iterdir())
    except OSError as error:
        yield DocumentError(f"{folder}: cannot be listed: {error.strerror}. Check its permissions")
        return
    for entry in entries:
        if entry.name.startswith(".") or entry.absolute() == leave_out:
            continue
        if entry.is_dir():
            if not entry.is_symlink():  # it may lead back here
                yield from _walk(entry, leave_out)
        elif _is_pdf(entry):
            yield entry


def _is_pdf(file: Path) -> bool:
    if file.suffix.lower() == ".pdf":
        return True
    if not file.is_file():
        return False
    try:
        with file.open("rb") as stream:
            return b"%PDF-" in stream.read(1024)
    except OSError:
        return False


def content_id(file: Path) -> str:
    """The document_id of a file's bytes: the first 16 hex digits of their sha256. Raises DocumentError."""
    try:
        if file.exists() and not file.is_file():
            raise DocumentError("is not a file (a pipe, a device or a folder). Leave it out")
        with file.open("rb") as stream:
            head = stream.read(1024)
            if not head:
                raise DocumentError("is empty (0 bytes). Fetch or copy it again")
            if b"%PDF-" not in head:
                raise DocumentError("is not a PDF, whatever its name says. Leave it out, or convert it to PDF")
            stream.seek(0)
            return hashlib.file_digest(stream, "sha256").hexdigest()[:16]
    except OSError as error:
        raise DocumentError(f"cannot be read: {error.strerror}. Check its permissions") from error


def title_of(file: Path) -> str:
    """What a document without a title is called: its file's name, without the bytes that are no text."""
    return " ".join(mend(file.stem)[0].split())


def read_document(
    file: Path,
    document_id: str,
    passwords: Sequence[str],
    limits: Limits,
    on_page: Callable[[int, int], None],
    stop: threading.Event,
) -> Document:
    """Read a PDF in a limited child process. Raises DocumentError, and worker.Stopped when `stop` is set."""
    read = read_limited(file, passwords, limits, on_page, stop)
    text, pages, raw_offsets = join_pages(read.pages)
    warnings = [f"page {number}: could not be read: {why}" for number, why in sorted(read.bad_pages.items())]
    blank = [
        page.number for page in pages if page.number not in read.bad_pages and not text[page.start : page.end].strip()
    ]
    if blank:
        some = f"page {_ranges(blank)} has" if len(blank) == 1 else f"pages {_ranges(blank)} have"
        warnings.append(f"{some} no text layer (a scan or a picture), so nothing there can be found")
    return Document(document_id, "pdf", read.title or title_of(file), text, pages, tuple(warnings), raw_offsets)


def _ranges(numbers: Sequence[int]) -> str:
    """
    >>> _ranges([1, 2, 3, 7])
    '1-3, 7'
    """
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ", ".join(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs)
