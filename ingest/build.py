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

from ingest.assemble import geometry
from ingest.chunk import chunk
from ingest.pages import PageFile
from ingest.read import RECIPE, Children, Source, content_id, find_files, read_document, title_of
from ingest.worker import Limits
from rag.errors import DocumentError, RagError
from rag.indexes import Indexes
from rag.interfaces import Report, silent
from rag.library import DocumentEntry, Library
from rag.records import Document
from rag.settings import Ingest

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
class _Work:
    """A file to parse: its bytes' id, and what the library already holds under that id or that path."""

    file: Path
    document_id: str
    status: str
    stamp: tuple[int, int]


def recipe(settings: Ingest) -> str:
    """How a document is made into passages; one made by another recipe is made again."""
    ocr = "" if settings.ocr else ", no ocr"
    return f"{RECIPE}, {settings.passage_tokens}/{settings.overlap_tokens}{ocr}"


def build(
    paths: Sequence[Path],
    library: Library,
    indexes: Indexes,
    settings: Ingest,
    passwords: Sequence[str] = (),
    jobs: int = 2,
    report: Report = silent,
) -> Summary:
    """Bring the files at `paths` into the library. Raises LibraryError; a document's own error is in its Outcome."""
    started = time.monotonic()
    with library.writing("glossator ingest"), indexes.updating(report) as update:
        run = _Run(library, settings, passwords, jobs, report)
        outcomes = []
        files = list(run.find(paths))
        report("documents", 0, len(files))
        with contextlib.closing(run.all(files, jobs, indexes)) as results:  # whatever ends the loop ends the children
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

    def __init__(self, library: Library, settings: Ingest, passwords: Sequence[str], jobs: int, report: Report):
        self.library = library
        self.settings = settings
        self.passwords = passwords
        self.report = report
        self.recipe = recipe(settings)
        self.limits = Limits(settings.page_seconds, settings.memory_mb)
        self.failed_recipe = f"{self.recipe}, {self.limits}"  # a failure is tried again under other limits
        self.stop = threading.Event()
        self.turns: dict[str, threading.Lock] = {}
        self.children = Children(threading.Semaphore(jobs), jobs, self.stop)

    def find(self, paths: Sequence[Path]) -> Iterator[Path | Outcome]:
        for path in paths:
            try:
                for found in find_files(path, self.library.folder):
                    yield Outcome(str(path), error=str(found)) if isinstance(found, DocumentError) else found
            except DocumentError as error:
                yield Outcome(str(path), error=str(error))

    def all(self, files: Sequence[Path | Outcome], jobs: int, indexes: Indexes) -> Generator[Outcome, None, None]:
        """An Outcome a file, in order; at most 2 * jobs parsed documents wait in memory for their turn."""
        waiting = list(reversed(files))
        queue: list[tuple[float, Outcome | _Work, Future[tuple[Document, PageFile]] | None]] = []
        with ThreadPoolExecutor(jobs) as pool:
            try:
                while waiting or queue:
                    while waiting and len(queue) < 2 * jobs:
                        file, began = waiting.pop(), time.monotonic()
                        work = self._plan(file) if isinstance(file, Path) else file
                        future = pool.submit(self._read, work) if isinstance(work, _Work) else None
                        if future and len(queue) == 0:
                            threading.Thread(target=_warm, args=(indexes,), daemon=True).start()
                        queue.append((began, work, future))
                    began, work, future = queue.pop(0)
                    outcome = self._store(work, future) if isinstance(work, _Work) and future else work
                    assert isinstance(outcome, Outcome)
                    yield replace(outcome, seconds=time.monotonic() - began)
            finally:
                self.stop.set()  # whatever ended the loop, no child outlives it
                pool.shutdown(cancel_futures=True)  # they look at `stop` five times a second

    def tidy(self) -> None:
        """Remove the pages of copies that were read in vain, and the pictures that nothing shows any more."""
        for file in (self.library.folder / "reading").glob("*.pages"):
            entry = self._entry(file.stem)
            if entry and self._is_current(entry):
                file.unlink(missing_ok=True)
        self.library.sweep_pictures()

    def _plan(self, file: Path) -> Outcome | _Work:
        """Decide by content what a file needs; what needs no parsing is done here."""
        shown = str(file)
        try:
            document_id = content_id(file)
            stamp = _stamp(file)
        except (DocumentError, OSError) as error:
            stays = STAYS if self.library.document_at(str(file.absolute())) else ""
            return Outcome(shown, error=f"{error}{stays}")
        entry = self._entry(document_id)
        if entry and self._is_current(entry):
            return self._known(entry, file, shown)
        had_before = self.library.document_at(str(file.absolute()))
        return _Work(file, document_id, "updated" if entry or had_before else "added", stamp)

    def _entry(self, document_id: str) -> DocumentEntry | None:
        return next(iter(self.library.documents([document_id])), None)

    def _is_current(self, entry: DocumentEntry) -> bool:
        if entry.status == FAILED:
            return entry.recipe == self.failed_recipe and not (self.passwords and "password" in (entry.error or ""))
        return entry.recipe == self.recipe

    def _known(self, entry: DocumentEntry, file: Path, shown: str) -> Outcome:
        """The outcome of a file whose bytes the library has read before, or failed to read."""
        path = str(file.absolute())
        before, note = self.library.document_at(path), tuple[str, ...]()
        if entry.status == FAILED and before not in (None, entry.document_id):
            return Outcome(shown, entry.document_id, entry.kind, entry.title, error=f"{entry.error}{STAYS}")
        again = before == entry.document_id  # failed at this path before: said again, but it is not this run's failure
        if not again:
            self.library.add_path(entry.document_id, path, shown)
            note = (f"the same bytes as {entry.paths[0]}: one document with two paths",) if entry.paths else ()
        return _outcome(shown, entry, FAILED if entry.status == FAILED and not again else "unchanged", note)

    def _read(self, work: _Work) -> tuple[Document, PageFile]:
        with self.turns.setdefault(work.document_id, threading.Lock()):  # copies of a file share one page file
            return self._read_alone(work)

    def _read_alone(self, work: _Work) -> tuple[Document, PageFile]:
        def on_page(page: int, pages: int) -> None:
            self.report(work.file.name, page, pages)

        source = Source(work.file, work.document_id, tuple(self.passwords), self.limits, self.settings.ocr)
        folder = self.library.folder / "reading"
        return read_document(source, folder, self.library.keep_picture, self.children, on_page)

    def _store(self, work: _Work, future: Future[tuple[Document, PageFile]]) -> Outcome:
        shown, path = str(work.file), str(work.file.absolute())
        entry = self._entry(work.document_id)
        if entry and self._is_current(entry):  # a copy earlier in this very run
            future.add_done_callback(_drop_pages)
            return self._known(entry, work.file, shown)
        try:
            document, pages = future.result()
        except DocumentError as error:
            return self._failure(work, path, shown, str(error))
        try:
            changed = "changed while it was read. Run the command again" if _stamp(work.file) != work.stamp else ""
        except OSError as error:
            changed = f"cannot be read: {error.strerror}. Check that it is still there"
        if changed:
            pages.remove()
            return Outcome(shown, error=changed)
        passages = chunk(document, self.settings.passage_tokens, self.settings.overlap_tokens)
        self.library.put(document, passages, path, shown, self.recipe, geometry(pages, pages.recurring))
        pages.remove()
        stored = self._entry(work.document_id)
        assert stored is not None
        return _outcome(shown, stored, work.status)

    def _failure(self, work: _Work, path: str, shown: str, error: str) -> Outcome:
        title, entry, before = title_of(work.file), self._entry(work.document_id), self.library.document_at(path)
        if (entry and entry.status != FAILED) or before not in (None, work.document_id):
            error += STAYS
        else:
            self.library.put_failure(work.document_id, "pdf", title, error, path, shown, self.failed_recipe)
        return Outcome(shown, work.document_id, "pdf", title, error=error)


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


def _drop_pages(future: Future[tuple[Document, PageFile]]) -> None:
    if not future.cancelled() and future.exception() is None:
        future.result()[1].remove()


def _stamp(file: Path) -> tuple[int, int]:
    status = file.stat()
    return status.st_size, status.st_mtime_ns


def _warm(indexes: Indexes) -> None:
    """Load the encoder while the first document is parsed; an error is raised again where the encoder is used."""
    with contextlib.suppress(RagError):
        indexes.encoder()
