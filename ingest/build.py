"""The only writer: files in, library out. Resumable and incremental, with one summary at the end.

Documents are parsed in child processes, some at a time, while this thread stores and encodes the ones before. A
document that cannot be read is reported and remembered; the others are in the library all the same.
"""

from __future__ import annotations

import contextlib
import resource
import sys
import threading
import time
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from ingest import child_replies
from ingest.chunk import chunk
from ingest.legal.case_files import Member
from ingest.pdf.assemble import geometry
from ingest.pdf.page_store import PageFile
from ingest.podcast.chapter_store import forget_chapters, make_chapters
from ingest.read import (
    LEGAL_RECIPE,
    PODCAST_RECIPE,
    RECIPE,
    Children,
    Source,
    as_case,
    content_id,
    find_files,
    holds_many,
    kind_of,
    read_case,
    read_document,
    read_episode,
    sidecars_hash,
    title_of,
)
from ingest.worker import CaseReading, Limits
from rag import bounds
from rag.bounds import shortened
from rag.errors import DocumentError, RagError
from rag.index.manager import Indexes
from rag.library.catalogue import DocumentEntry, Library
from rag.library.episodes import AUDIO_WAS_IN
from rag.protocols import Report, silent
from rag.records import Document
from rag.settings import Ingest

_Read = tuple[Document, PageFile | None]  # a transcript has no pages to keep
FAILED = "failed"
STAYS = ". The version read before stays in the library"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one file. `path` is as the user gave it; `status` is added, updated, unchanged or failed."""

    path: str
    document_id: str | None = None
    kind: str | None = None
    title: str | None = None
    status: str = FAILED
    pages: int = 0
    passages: int = 0
    figures: int = 0
    tables: int = 0
    warnings: tuple[str, ...] = ()
    error: str | None = None
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Summary:
    documents: tuple[Outcome, ...]
    seconds: float
    peak_memory_mb: int  # this process at its largest, plus as many of its largest children as may run at a time

    def count(self, status: str) -> int:
        return sum(outcome.status == status for outcome in self.documents)


@dataclass(frozen=True, slots=True)
class _Part:
    """What may become a document: a whole file, or with `member` one of many in a file of judgments."""

    file: Path
    member: Member | None = None
    number: int = 0  # of the member, from 0
    last: bool = False  # of the members

    def at(self, path: Path) -> str:
        """What the document is called under a name of its file: "cases.jsonl#001-1"."""
        return f"{path}#{self.member.key}" if self.member else str(path)

    @property
    def shown(self) -> str:
        return self.at(self.file)

    @property
    def path(self) -> str:
        return self.at(self.file.absolute())


@dataclass(frozen=True, slots=True)
class _Work:
    """A part to parse: what it is, its bytes' id, and what the library already holds under that id or that path."""

    part: _Part
    kind: str
    document_id: str
    recipe: str
    status: str
    stamp: tuple[int, int]


def recipe(settings: Ingest) -> str:
    """How a PDF is made into passages; one made by another recipe is made again."""
    ocr = "" if settings.ocr else ", no ocr"
    return f"{RECIPE}, {settings.passage_tokens}/{settings.overlap_tokens}{ocr}"


def podcast_recipe(settings: Ingest, method: str, beside: str) -> str:
    """As `recipe`, for a transcript: how chapters are made if it has none, and the hash of what lies beside it.

    >>> podcast_recipe(Ingest(), "cohesion", "0f")
    'podcast 1, 180/30, chapters cohesion, sidecars 0f'
    """
    sizes = f"{settings.passage_tokens}/{settings.overlap_tokens}"
    return f"{PODCAST_RECIPE}, {sizes}, chapters {method}, sidecars {beside}"


def legal_recipe(settings: Ingest, said: str = "") -> str:
    """As `recipe`, for a judgment that is no PDF; `said` is the hash of what its record says beside the text."""
    return f"{LEGAL_RECIPE}, {settings.passage_tokens}/{settings.overlap_tokens}{said and f', record {said}'}"


def build(
    paths: Sequence[Path],
    library: Library,
    indexes: Indexes,
    settings: Ingest,
    passwords: Sequence[str] = (),
    jobs: int = 2,
    report: Report = silent,
    kind: str = "auto",
) -> Summary:
    """Bring the files at `paths` into the library: PDFs, judgments and transcripts, or of `kind` alone.

    Raises LibraryError, and ModelError or ReaderError where chapters cannot be made; a document's own error is in its
    Outcome.
    """
    started = time.monotonic()
    with library.writing("glossator ingest"), indexes.updating(report) as update:
        run = _Run(library, indexes, settings, passwords, jobs, report, kind)
        outcomes = []
        files = list(run.find(paths))
        report("documents", 0, len(files))
        with contextlib.closing(run.all(files, jobs)) as results:  # whatever ends the loop ends the children
            for outcome in results:
                outcomes.append(outcome)
                update()
                report("documents", len(outcomes), len(files))
        run.tidy()
    unit = 1 << 10 if sys.platform == "darwin" else 1  # bytes there, KiB elsewhere
    largest = sum(sorted(run.children.peaks_kb)[-jobs:])
    peak = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // unit + largest) // 1024
    return Summary(tuple(outcomes), time.monotonic() - started, peak)


class _Run:
    """One call of build: what it was given, and what the library held when it began."""

    def __init__(
        self,
        library: Library,
        indexes: Indexes,
        settings: Ingest,
        passwords: Sequence[str],
        jobs: int,
        report: Report,
        kind: str,
    ):
        self.library = library
        self.indexes = indexes
        self.settings = settings
        self.passwords = passwords
        self.report = report
        self.kind = kind
        self.limits = Limits(settings.page_seconds, settings.memory_mb)
        self.stop = threading.Event()
        self.turns: dict[str, threading.Lock] = {}
        self.children = Children(threading.Semaphore(jobs), jobs, self.stop)
        self.readings: dict[Path, CaseReading] = {}  # of the files of many documents that are under way

    def find(self, paths: Sequence[Path]) -> Iterator[_Part | Outcome]:
        for path in paths:
            try:
                for found in find_files(path, self.library.folder, self.kind):
                    if isinstance(found, DocumentError):
                        yield Outcome(str(path), error=str(found))
                    else:
                        yield from self._parts(found)
            except DocumentError as error:
                yield Outcome(str(path), error=str(error))

    def _parts(self, file: Path) -> Iterator[_Part | Outcome]:
        """The file itself, or the judgments in it: a file that was seen before costs no more than its hash."""
        try:
            many = holds_many(file, self.kind)
        except DocumentError:
            many = False  # _plan says so
        if not many:
            yield _Part(file)
            return
        path = str(file.absolute())
        try:
            seen = f"{LEGAL_RECIPE}, {content_id(file, 'legal')}"
            rows = self.library.members(path, seen)
            if rows is None:
                rows = child_replies.members(self._reading(file).members())
                self.library.keep_members(path, seen, rows)
        except DocumentError as error:
            yield Outcome(str(file), error=str(error))
            return
        finally:
            self._close(file)  # until its turn comes it would take up memory
        for number, row in enumerate(rows):
            part = _Part(file, Member(*row), number, number == len(rows) - 1)
            yield Outcome(part.shown, error=part.member.error) if part.member and part.member.error else part

    def _reading(self, file: Path) -> CaseReading:
        with self.turns.setdefault(str(file), threading.Lock()):
            if file not in self.readings:
                children = self.children
                self.readings[file] = CaseReading(file, self.limits, children.slots, self.stop, children.peaks_kb)
            return self.readings[file]

    def _close(self, file: Path) -> None:
        if reading := self.readings.pop(file, None):
            reading.close()

    def all(self, files: Sequence[_Part | Outcome], jobs: int) -> Generator[Outcome, None, None]:
        """An Outcome a document, in order; at most 2 * jobs parsed documents wait in memory for their turn."""
        waiting = list(reversed(files))
        queue: list[tuple[float, _Part | Outcome, Outcome | _Work, Future[_Read] | None]] = []
        with ThreadPoolExecutor(jobs) as pool:
            try:
                while waiting or queue:
                    while waiting and len(queue) < 2 * jobs:
                        part, began = waiting.pop(), time.monotonic()
                        work = self._plan(part) if isinstance(part, _Part) else part
                        future = pool.submit(self._read, work) if isinstance(work, _Work) else None
                        if future and len(queue) == 0:
                            threading.Thread(target=_warm, args=(self.indexes,), daemon=True).start()
                        queue.append((began, part, work, future))
                    began, part, work, future = queue.pop(0)
                    outcome = self._store(work, future) if isinstance(work, _Work) and future else work
                    assert isinstance(outcome, Outcome)
                    if isinstance(part, _Part) and part.last:
                        self._close(part.file)
                    yield replace(outcome, seconds=time.monotonic() - began)
            finally:
                self.stop.set()  # whatever ended the loop, no child outlives it
                pool.shutdown(cancel_futures=True)  # they look at `stop` five times a second
                for file in list(self.readings):
                    self._close(file)

    def tidy(self) -> None:
        """Remove the pages of copies that were read in vain, and the pictures that nothing shows any more."""
        for file in (self.library.folder / "reading").glob("*.pages"):
            entry = self._entry(file.stem)
            if entry and self._is_current(entry, self._pdf_recipe(entry.kind)):
                file.unlink(missing_ok=True)
        self.library.sweep_pictures()

    def _plan(self, part: _Part) -> Outcome | _Work:
        """Decide by content what a part needs; what needs no parsing is done here."""
        try:
            kind = "legal" if part.member else kind_of(part.file, self.kind)
            document_id = part.member.document_id if part.member else content_id(part.file, kind)
            stamp = _stamp(part.file)
        except (DocumentError, OSError) as error:
            stays = STAYS if self.library.document_at(part.path) else ""
            return Outcome(part.shown, error=f"{error}{stays}")
        entry, made_by = self._entry(document_id), self._recipe(kind, document_id, part)
        if entry and self._is_current(entry, made_by):
            return self._known(entry, part)
        had_before = self.library.document_at(part.path)
        return _Work(part, kind, document_id, made_by, "updated" if entry or had_before else "added", stamp)

    def _recipe(self, kind: str, document_id: str, part: _Part) -> str:
        if kind == "pdf":
            entry = self._entry(document_id)
            return self._pdf_recipe(entry.kind if entry and self.kind == "auto" else self.kind)
        if kind == "legal":
            return legal_recipe(self.settings, part.member.said if part.member else "")
        beside = self._beside(document_id, self._spokesman(document_id, part.file))
        return podcast_recipe(self.settings, self.indexes.settings.chapters.method, beside)

    def _beside(self, document_id: str, file: Path) -> str:
        """The hash of what lies beside a transcript, and where its audio was, if the stored recipe says that."""
        entry = self._entry(document_id)
        was_in = entry.recipe.partition(AUDIO_WAS_IN)[2] if entry else ""

        def stored_as(audio: str) -> str:
            stored = self.library.stored_as(audio)
            return f"{was_in}/{Path(audio).name}" if was_in and not stored.startswith("/") else stored

        return sidecars_hash(file, stored_as) + (f"{AUDIO_WAS_IN}{was_in}" if was_in else "")

    def _pdf_recipe(self, kind: str) -> str:
        """Of a PDF that was, or will be, found to be a judgment, or not."""
        return f"{LEGAL_RECIPE}, {recipe(self.settings)}" if kind == "legal" else recipe(self.settings)

    def _spokesman(self, document_id: str, file: Path) -> Path:
        """The first of the transcript's copies that is still there: what lies beside that one counts."""
        for copy in sorted([file.absolute(), *self.library.files_of(document_id)]):
            with contextlib.suppress(DocumentError):
                if copy == file.absolute() or content_id(copy, "podcast") == document_id:
                    return copy
        return file

    def _entry(self, document_id: str) -> DocumentEntry | None:
        return next(iter(self.library.documents([document_id])), None)

    def _is_current(self, entry: DocumentEntry, made_by: str) -> bool:
        if entry.status == FAILED:
            same = entry.recipe == self._failed_recipe(made_by)
            return same and not (self.passwords and "password" in (entry.error or ""))
        return entry.recipe == made_by

    def _failed_recipe(self, made_by: str) -> str:
        return f"{made_by}, {self.limits}"  # a failure is tried again under other limits

    def _known(self, entry: DocumentEntry, part: _Part) -> Outcome:
        """The outcome of a part whose bytes the library has read before, or failed to read."""
        path, shown = part.path, part.shown
        before, note = self.library.document_at(path), tuple[str, ...]()
        if entry.status == FAILED and before not in (None, entry.document_id):
            return Outcome(shown, entry.document_id, entry.kind, entry.title, error=f"{entry.error}{STAYS}")
        again = before == entry.document_id  # failed at this path before: said again, but it is not this run's failure
        if not again:
            self.library.add_path(entry.document_id, path, shown)
            note = (f"the same bytes as {entry.paths[0]}: one document with two paths",) if entry.paths else ()
        return _outcome(shown, entry, FAILED if entry.status == FAILED and not again else "unchanged", note)

    def _read(self, work: _Work) -> _Read:
        with self.turns.setdefault(work.document_id, threading.Lock()):  # copies of a file share one page file
            return self._read_alone(work)

    def _read_alone(self, work: _Work) -> _Read:
        file = work.part.file
        if work.kind == "podcast":
            document = read_episode(
                self._spokesman(work.document_id, file), work.document_id, self.limits, self.children
            )
            self.report(file.name, 1, 1)
            return document, None
        if work.kind == "legal":
            document = read_case(self._reading(file), work.part.number, file, work.document_id)
            if not work.part.member:
                self._close(file)
                self.report(file.name, 1, 1)
            return document, None

        def on_page(page: int, pages: int) -> None:
            self.report(file.name, page, pages)

        source = Source(file, work.document_id, tuple(self.passwords), self.limits, self.settings.ocr)
        folder = self.library.folder / "reading"
        document, pages = read_document(source, folder, self.library.keep_picture, self.children, on_page)
        try:
            return as_case(document, self.kind, self.limits, self.children), pages
        except DocumentError:
            pages.remove()
            raise
        except BaseException:
            pages.close()
            raise

    def _store(self, work: _Work, future: Future[_Read]) -> Outcome:
        part = work.part
        entry, made_by = self._entry(work.document_id), self._recipe(work.kind, work.document_id, part)
        if entry and self._is_current(entry, made_by):  # a copy earlier in this very run
            future.add_done_callback(_drop_pages)
            return self._known(entry, part)
        try:
            document, pages = future.result()
        except DocumentError as error:
            return self._failure(work, str(error))
        try:
            changed = "changed while it was read. Run the command again" if _stamp(part.file) != work.stamp else ""
        except OSError as error:
            changed = f"cannot be read: {error.strerror}. Check that it is still there"
        if changed:
            if pages:
                pages.remove()
            return Outcome(part.shown, error=changed)
        document = self._with_chapters(document, entry)
        passages = chunk(document, self.settings.passage_tokens, self.settings.overlap_tokens)
        runs = geometry(pages, pages.recurring) if pages else ()
        made_by = self._pdf_recipe(document.kind) if work.kind == "pdf" else work.recipe
        self.library.put(document, passages, part.path, part.shown, made_by, runs)
        if pages:
            pages.remove()
        forget_chapters(self.library, work.document_id)
        stored = self._entry(work.document_id)
        assert stored is not None
        return _outcome(part.shown, stored, work.status)

    def _with_chapters(self, document: Document, entry: DocumentEntry | None) -> Document:
        """An episode without its maker's chapters gets ours; those that it has stay if nothing they rest on changed."""
        episode = document.episode
        if episode is None or episode.chapters or not episode.utterances:
            return document
        method, before = self.indexes.settings.chapters.method, self.library.episode(document.document_id)
        if before and entry and before.utterances == episode.utterances and before.chapters:
            ours = all(chapter.source == "ours" for chapter in before.chapters)
            parts = entry.recipe.split(", ")
            if ours and parts[0] == PODCAST_RECIPE and f"chapters {method}" in parts:
                return replace(document, episode=replace(episode, chapters=before.chapters))
        made = tuple(make_chapters(document, method, self.indexes, self.report))
        return replace(document, episode=replace(episode, chapters=made))

    def _failure(self, work: _Work, error: str) -> Outcome:
        part, entry, error = work.part, self._entry(work.document_id), shortened(error, bounds.WARNING)
        title = part.at(Path(title_of(part.file)))
        if (entry and entry.status != FAILED) or self.library.document_at(part.path) not in (None, work.document_id):
            error += STAYS
        else:
            failed = self._failed_recipe(work.recipe)
            self.library.put_failure(work.document_id, work.kind, title, error, part.path, part.shown, failed)
        return Outcome(part.shown, work.document_id, work.kind, title, error=error)


def _outcome(shown: str, entry: DocumentEntry, status: str, more: tuple[str, ...] = ()) -> Outcome:
    return Outcome(
        shown,
        entry.document_id,
        entry.kind,
        entry.title,
        status,
        entry.pages,
        entry.passages,
        entry.figures,
        entry.tables,
        warnings=entry.warnings + more,
        error=entry.error,
    )


def _drop_pages(future: Future[_Read]) -> None:
    if not future.cancelled() and future.exception() is None and (pages := future.result()[1]):
        pages.remove()


def _stamp(file: Path) -> tuple[int, int]:
    status = file.stat()
    return status.st_size, status.st_mtime_ns


def _warm(indexes: Indexes) -> None:
    """Load the encoder while the first document is parsed; an error is raised again where the encoder is used."""
    with contextlib.suppress(RagError):
        indexes.encoder()
