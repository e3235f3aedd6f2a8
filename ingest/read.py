"""Path -> Document: which files are documents, judged by content and not by name alone, and what they hold."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any

from ingest.assemble import Assembled, assemble
from ingest.mend import mend
from ingest.pages import PageFile
from ingest.worker import Limits, Reading, Request
from rag.errors import DocumentError
from rag.records import Document

RECIPE = "pdf 3"  # raise the number when the same bytes would now be read differently


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


@dataclass(frozen=True, slots=True)
class Source:
    """A document to read: its file and id, the passwords that may open it, limits, whether its pictures are read."""

    file: Path
    document_id: str
    passwords: tuple[str, ...]
    limits: Limits
    ocr: bool = True

    @property
    def recipe(self) -> str:
        return f"{RECIPE}, ocr {self.ocr}, {self.limits}"


@dataclass(frozen=True, slots=True)
class Children:
    """The children that may run at a time, over all documents (`slots`) and for one (`jobs`), and what stops them."""

    slots: threading.Semaphore
    jobs: int
    stop: threading.Event
    peaks_kb: list[int] = field(default_factory=list)  # of each that has ended: its memory at the largest


def read_document(
    source: Source,
    folder: Path,
    keep_picture: Callable[[bytes], str],
    children: Children,
    on_page: Callable[[int, int], None],
) -> tuple[Document, PageFile]:
    """Read a PDF in limited child processes; `on_page(read, pages)` follows it.

    The pages lie in a file in `folder` until the caller removes it: whoever comes after a kill goes on behind them.
    Raises DocumentError, and worker.Stopped when the children are stopped.
    """
    reading = Reading(
        Request(source.file, source.passwords, source.ocr), source.limits, children.slots, children.jobs, children.stop
    )
    pages = PageFile(folder / f"{source.document_id}.pages", source.recipe, keep_picture)
    try:
        if not pages.count:
            pages.begin(source.recipe, *reading.outline())
        missing = pages.missing()
        done = pages.count - len(missing)

        def store(number: int, what: str, value: Any) -> None:
            nonlocal done
            pages.keep(number, what, value)
            done += 1
            on_page(done, pages.count)

        reading.pages(missing, store)
        if len(pages.bad) == pages.count:
            why = next(iter(pages.bad.values())).rstrip(".")
            raise DocumentError(
                f"none of its pages can be read: {why}. Open and save it anew, or raise "
                "ingest.page_seconds or memory_mb"
            )
        read = assemble(lambda: iter(pages), pages.outline["outline"])
        pages.recurring = read.recurring
    except DocumentError:
        pages.remove()
        raise
    except BaseException:
        pages.close()
        raise
    finally:
        children.peaks_kb.extend(reading.peaks_kb)
    title = pages.outline["title"] or title_of(source.file)
    document = Document(
        source.document_id, "pdf", title, read.text, read.pages, _warnings(pages, read), read.raw_offsets, read.regions
    )
    return document, pages


def _warnings(pages: PageFile, read: Assembled) -> tuple[str, ...]:
    """The pages that could not be read, and why; which have no text; which were read from their pictures."""
    warnings = []
    for why, run in groupby(sorted(pages.bad.items()), key=lambda entry: entry[1]):
        numbers = [number for number, _ in run]
        for some in _ranges(numbers).split(", "):
            warnings.append(f"{'pages' if '-' in some else 'page'} {some}: could not be read: {why}")
    blank = [p.number for p in read.pages if p.number not in pages.bad and not read.text[p.start : p.end].strip()]
    if blank:
        some = f"page {_ranges(blank)} has" if len(blank) == 1 else f"pages {_ranges(blank)} have"
        warnings.append(f"{some} no text that could be read, so nothing there can be found")
    seen = [number for number in read.ocr_pages if number not in blank]
    if seen:
        some = f"page {_ranges(seen)} was" if len(seen) == 1 else f"pages {_ranges(seen)} were"
        warnings.append(f"{some} read from the picture (OCR): words may be wrong")
    return tuple(warnings)


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
