"""Path -> Document: which files are documents, judged by content and not by name alone, and what they hold."""

from __future__ import annotations

import errno
import hashlib
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from pathlib import Path
from typing import Any

from ingest import child_replies
from ingest.legal.case_files import is_collection, is_judgment, is_legal
from ingest.pdf.assemble import Assembled, assemble
from ingest.pdf.page_store import PageFile
from ingest.pdf.text_repair import mend
from ingest.podcast.episode import AUDIO, sidecars
from ingest.podcast.transcript import BESIDE, HEAD_BYTES, is_transcript
from ingest.worker import SMALLEST_PAGE, CaseReading, Limits, Reading, Request, read_transcript
from rag import bounds
from rag.bounds import shortened
from rag.errors import DocumentError
from rag.records import Document, Page
from rag.settings import Ingest

RECIPE = "pdf 3"  # raise the number when the same bytes would now be read differently
PODCAST_RECIPE = "podcast 1"
LEGAL_RECIPE = "legal 1"
SUPPORTED = {  # kind -> what its files are
    "auto": "PDFs, judgments or transcripts",
    "pdf": "PDFs",
    "legal": "judgments",
    "podcast": "transcripts",
}


def find_files(path: Path, leave_out: Path, kind: str = "auto") -> list[Path | DocumentError]:
    """The file itself, or the documents of a kind in and below a folder, sorted.

    `kind` is pdf, legal, podcast, or auto for any; legal takes every PDF, for only reading shows what is in one. Hidden
    folders and `leave_out` are passed over, and so is what lies beside a transcript and is read with it. A folder that
    cannot be listed is an error among the files. Raises DocumentError if there is nothing at `path`, or no document.
    """
    try:
        if path.is_dir():
            files = list(_walk(path, leave_out.absolute(), kind))
            if not files:
                raise DocumentError(f"{path} holds no {SUPPORTED[kind]}. Name a folder with some, or a file")
            return files
        if not path.exists():
            raise DocumentError(f"{path}: no such file or folder. Check the name")
    except OSError as error:
        raise DocumentError(f"{path}: cannot be looked at: {error.strerror}. Check name and permissions") from error
    return [path]


def _walk(folder: Path, leave_out: Path, kind: str) -> Iterator[Path | DocumentError]:
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
        if (found := _kind_by_name(path)) and (kind in ("auto", found) or (kind, found) == ("legal", "pdf")):
            yield path


def _kind_by_name(file: Path) -> str:
    """As kind_of, "" for none; what is called .pdf, .vtt or .srt is one, so that what is wrong with it is said."""
    try:
        head = _head(file) if file.is_file() else b""
    except OSError:
        head = b""
    return _kind(file.name, head) or ("pdf" if file.suffix.lower() == ".pdf" else "")


def _head(file: Path) -> bytes:
    with file.open("rb") as stream:
        return stream.read(HEAD_BYTES)


def _kind(name: str, head: bytes) -> str:
    if b"%PDF-" in head[:1024]:
        return "pdf"
    return "legal" if is_legal(head) else "podcast" if is_transcript(name, head) else ""


def kind_of(file: Path, kind: str = "auto") -> str:
    """How a file is read: "pdf" (a judgment too), "legal" or "podcast". `kind` overrules what it seems to be.

    Raises DocumentError for none of them.
    """
    try:
        if file.exists() and not file.is_file():
            raise DocumentError("is not a file (a pipe, a device or a folder). Leave it out")
        head = _head(file)
    except OSError as error:
        raise DocumentError(f"cannot be read: {error.strerror}. Check its permissions") from error
    if not head:
        raise DocumentError("is empty (0 bytes). Fetch or copy it again")
    found = "podcast" if kind == "podcast" and not BESIDE.search(file.name) else _kind(file.name, head)
    if kind == "legal":
        return "pdf" if found == "pdf" else "legal"
    if found and kind in ("auto", found):
        return found
    if BESIDE.search(file.name) and kind != "pdf":
        raise DocumentError("is no document: it is read with the transcript beside it. Name the transcript")
    if kind == "pdf" or file.suffix.lower() == ".pdf":
        raise DocumentError("is not a PDF, whatever its name says. Leave it out, or convert it to PDF")
    raise DocumentError(
        "is neither a PDF nor a transcript nor a judgment. Leave it out; of another form: --kind podcast, or legal"
    )


def content_id(file: Path, kind: str = "auto") -> str:
    """The document_id of a file's bytes: the first 16 hex digits of their sha256. Raises DocumentError as kind_of."""
    kind_of(file, kind)
    try:
        with file.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()[:16]
    except OSError as error:
        raise DocumentError(f"cannot be read: {error.strerror}. Check its permissions") from error


def holds_many(file: Path, kind: str) -> bool:
    """Whether a file is read as records of judgments, a document each. Raises DocumentError as kind_of."""
    return kind_of(file, kind) == "legal" and is_collection(_head(file))


def sidecars_hash(file: Path, stored_as: Callable[[str], str] = str) -> str:
    """16 hex digits that change with what lies beside a transcript; of its audio only the place counts.

    `stored_as` makes of the audio's absolute path what counts: a library's own files may move with it.
    """
    said = hashlib.sha256()
    for beside in sidecars(file):
        place = stored_as(str(beside.absolute())) if beside.suffix in AUDIO else beside.name
        said.update(os.fsencode(place) + b"\0")
        if beside.suffix not in AUDIO:
            try:
                with beside.open("rb") as stream:
                    said.update(hashlib.file_digest(stream, "sha256").digest())
            except OSError as error:
                said.update(f"{error.strerror}\0".encode())
    return said.hexdigest()[:16]


def title_of(file: Path) -> str:
    """What a document without a title is called: its file's name, without the bytes that are no text."""
    return shortened(" ".join(mend(file.stem)[0].split()), bounds.TITLE)


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
            most = max(1000, source.file.stat().st_size // SMALLEST_PAGE)
            pages.begin(source.recipe, *child_replies.outline(*reading.outline(), most))
        missing = pages.missing()
        done = pages.count - len(missing)

        def store(number: int, what: str, value: Any) -> None:
            nonlocal done
            pages.keep(number, *child_replies.page(what, value))
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


def read_episode(file: Path, document_id: str, limits: Limits, children: Children) -> Document:
    """Read a transcript, and what lies beside it, in a limited child process. Raises DocumentError, and Stopped."""
    read = read_transcript(file, limits, children.slots, children.stop, children.peaks_kb)
    title, text, warnings, episode = child_replies.transcript(
        read, {str(beside.absolute()) for beside in sidecars(file)}
    )
    pages = (Page(1, 0, len(text)),)
    return Document(document_id, "podcast", title or title_of(file), text, pages, warnings, episode=episode)


def read_case(reading: CaseReading, number: int, file: Path, document_id: str) -> Document:
    """Read one of a file's judgments in a limited child process. Raises DocumentError, and Stopped."""
    title, text, warnings, case = child_replies.case(reading.read(number))
    pages = (Page(1, 0, len(text)),)
    return Document(document_id, "legal", title or title_of(file), text, pages, warnings, case=case)


def read_alone(file: Path, settings: Ingest) -> Document:
    """A judgment's text or HTML that is to be no document of a library. Raises DocumentError with the path."""
    reading = CaseReading(
        file, Limits(settings.page_seconds, settings.memory_mb), threading.Semaphore(), threading.Event(), []
    )
    try:
        if holds_many(file, "legal") or kind_of(file, "legal") == "pdf":
            raise DocumentError("is no text of one judgment. Ingest it, and name the document")
        return read_case(reading, 0, file, "")
    except DocumentError as error:
        raise DocumentError(f"{file}: {error}") from error
    finally:
        reading.close()


def as_case(document: Document, kind: str, limits: Limits, children: Children) -> Document:
    """A document that was read as a PDF, with its structure if it is a judgment, or if `kind` says so."""
    if kind != "legal" and not (kind == "auto" and is_judgment(document.text)):
        return document
    reading = CaseReading(document.text, limits, children.slots, children.stop, children.peaks_kb)
    try:
        title, _, warnings, case = child_replies.case(reading.read(0), document.text)
    finally:
        reading.close()
    title, warnings = title or document.title, (*document.warnings, *warnings)
    return replace(document, kind="legal", title=title, warnings=warnings, case=case)


def _warnings(pages: PageFile, read: Assembled) -> tuple[str, ...]:
    """The pages that could not be read, and why; which have no text; which were read from their pictures."""

    def told(numbers: Sequence[int], one: str, several: str) -> str:
        some = shortened(_ranges(numbers), bounds.WARNING // 2)
        return f"page {some} {one}" if len(numbers) == 1 else f"pages {some} {several}"

    warnings = []
    for why, run in groupby(sorted(pages.bad.items()), key=lambda entry: entry[1]):
        numbers = [number for number, _ in run]
        for some in _ranges(numbers).split(", "):
            warnings.append(f"{'pages' if '-' in some else 'page'} {some}: could not be read: {why}")
    if len(warnings) > (most := bounds.WARNINGS // 2):
        warnings[most:] = [f"{len(warnings) - most} more pages, or runs of pages, could not be read"]
    blank = [p.number for p in read.pages if p.number not in pages.bad and not read.text[p.start : p.end].strip()]
    if blank:
        warnings.append(f"{told(blank, 'has', 'have')} no text that could be read, so nothing there can be found")
    seen = sorted(set(read.ocr_pages).difference(blank))
    if seen:
        warnings.append(f"{told(seen, 'was', 'were')} read from the picture (OCR): words may be wrong")
    return tuple(shortened(warning, bounds.WARNING) for warning in warnings)


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
