"""The only writer: files in, library out. Resumable and incremental, with one summary at the end.

Documents are parsed in child processes, several at a time, while this thread stores and encodes the ones before. A
document that cannot be read is reported and remembered; the others are in the library all the same.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from ingest.child_process import Children, Limits
from ingest.chunk import chunk
from ingest.folders.unpack import unpack
from ingest.kinds import AUTO, KINDS, PDF, kind_of, turns_into
from ingest.legal.case_reading import CaseReading
from ingest.pdf.assemble import geometry
from ingest.pdf.pdf_reading import pdf_recipe
from ingest.plain_text import title_of
from ingest.read import collection_of, content_id, find_files
from ingest.read_context import Member, Part, ReadContext, ReadDocument
from ingest.references.nearby import refresh_references, with_references
from rag import bounds
from rag.bounds import shortened
from rag.concepts.concept_index import update_concepts
from rag.errors import DocumentError, RagError
from rag.index.manager import Indexes
from rag.legal.casebook import update_sections
from rag.library.catalogue import Library
from rag.library.documents import DocumentEntry
from rag.models.memory import MemoryWatch
from rag.protocols import Report, silent
from rag.settings import Ingest

FAILED = "failed"
STAYS = ". The version read before stays in the library"


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of one file. `path` is as the user gave it; `status` is added, updated, unchanged or failed."""

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
    """The outcomes of one run, its seconds, and the most memory that this process and its children had at one time."""

    documents: tuple[Outcome, ...]
    seconds: float
    peak_memory_mb: int

    def count(self, status: str) -> int:
        return sum(outcome.status == status for outcome in self.documents)


@dataclass(frozen=True, slots=True)
class _Work:
    """A part to parse: its kind, its bytes' id, its recipe, and whether it is added to the library or updated there."""

    part: Part
    kind: str
    document_id: str
    recipe: str
    status: str
    stamp: tuple[int, int]


@contextlib.contextmanager
def changing(library: Library, indexes: Indexes, what: str, report: Report = silent) -> Iterator[Callable[[], None]]:
    """Hold the writer's lock for `what`; all that is derived from the catalogue follows it, at the end at the latest.

    Yields what applies the changes until then to the indexes. Raises LibraryError.
    """
    with library.writing(what):
        with indexes.updating(report) as update:
            yield update
            update_sections(library)
        update_concepts(indexes, report)


def build(
    paths: Sequence[Path],
    library: Library,
    indexes: Indexes,
    settings: Ingest,
    passwords: Sequence[str] = (),
    jobs: int = 2,
    report: Report = silent,
    kind: str = AUTO,
) -> Summary:
    """Bring the files at `paths` into the library: documents of every kind in kinds.KINDS, or of `kind` alone.

    `jobs` documents are parsed at a time. Raises LibraryError, and ModelError or ReaderError where chapters cannot be
    made; a document's own error is in its Outcome.
    """
    started = time.monotonic()
    with MemoryWatch() as memory, changing(library, indexes, "glossator ingest", report) as update:
        children = Children(threading.Semaphore(jobs), jobs, threading.Event())
        limits = Limits(settings.page_seconds, settings.memory_mb)
        run = _Run(ReadContext(library, indexes, settings, tuple(passwords), limits, children, report, kind))
        outcomes = []
        files = list(run.find(paths))
        report("documents", 0, len(files))
        with contextlib.closing(run.all(files, jobs)) as results:  # whatever ends the loop ends the children
            for outcome in results:
                outcomes.append(outcome)
                update()
                report("documents", len(outcomes), len(files))
        run.tidy()
    peak_kb = max(memory.most >> 10, *children.peaks_kb, 0)  # a child's peak may be shorter than a second
    return Summary(tuple(outcomes), time.monotonic() - started, peak_kb >> 10)


class _Run:
    """One call of build."""

    def __init__(self, context: ReadContext):
        self.context = context
        self.library = context.library
        self.turns: dict[str, threading.Lock] = {}  # of each document_id, and of each file of many documents
        self.readings: dict[Path, CaseReading] = {}  # of the files of many documents that are under way

    def find(self, paths: Sequence[Path]) -> Iterator[Part | Outcome]:
        folder, of = self.library.folder, self.context
        unpacked = partial(unpack, below=folder / "unpacked", limits=of.limits, children=of.children)
        for path in paths:
            try:
                for found in find_files(path, folder, of.wanted, unpacked):
                    if isinstance(found, DocumentError):
                        yield Outcome(str(path), error=str(found))
                    else:
                        yield from self._parts(found)
            except DocumentError as error:
                yield Outcome(str(path), error=str(error))

    def _parts(self, file: Path) -> Iterator[Part | Outcome]:
        """The file itself, or the documents in it: a file that was seen before costs no more than its hash."""
        try:
            found = collection_of(file, self.context.wanted)
        except DocumentError:
            found = None  # _plan reports the error
        if not found:
            yield Part(file)
            return
        kind, path = found[0], str(file.absolute())
        try:
            seen = f"{KINDS[kind].version}, {content_id(file, kind)}"
            rows = self.library.members(path, seen)
            if rows is None:
                rows = self._reading(kind, file).members()
                self.library.keep_members(path, seen, rows)
        except DocumentError as error:
            yield Outcome(str(file), error=str(error))
            return
        finally:
            self._close(file)  # until its turn comes it would take up memory
        for number, row in enumerate(rows):
            part = Part(file, Member(*row), kind, number, number == len(rows) - 1)
            yield Outcome(part.shown, error=part.member.error) if part.member and part.member.error else part

    def _reading(self, kind: str, file: Path) -> CaseReading:
        with self.turns.setdefault(str(file), threading.Lock()):
            if file not in self.readings:
                collection = KINDS[kind].collection
                assert collection is not None
                self.readings[file] = collection.open(file, self.context)
            return self.readings[file]

    def _close(self, file: Path) -> None:
        if reading := self.readings.pop(file, None):
            reading.close()

    def all(self, files: Sequence[Part | Outcome], jobs: int) -> Generator[Outcome, None, None]:
        """An Outcome a document, in order; at most 2 * jobs parsed documents wait in memory for their turn."""
        waiting = list(reversed(files))
        queue: list[tuple[float, Part | Outcome, Outcome | _Work, Future[ReadDocument] | None]] = []
        with ThreadPoolExecutor(jobs) as pool:
            try:
                while waiting or queue:
                    while waiting and len(queue) < 2 * jobs:
                        part, began = waiting.pop(), time.monotonic()
                        work = self._plan(part) if isinstance(part, Part) else part
                        future = pool.submit(self._read, work) if isinstance(work, _Work) else None
                        if future and len(queue) == 0:
                            threading.Thread(target=_load_encoder, args=(self.context.indexes,), daemon=True).start()
                        queue.append((began, part, work, future))
                    began, part, work, future = queue.pop(0)
                    outcome = self._store(work, future) if isinstance(work, _Work) and future else work
                    assert isinstance(outcome, Outcome)
                    if isinstance(part, Part) and part.last:
                        self._close(part.file)
                    yield replace(outcome, seconds=time.monotonic() - began)
            finally:
                self.context.children.stop.set()  # whatever ended the loop, no child outlives it
                pool.shutdown(cancel_futures=True)  # they look at `stop` five times a second
                for file in list(self.readings):
                    self._close(file)

    def tidy(self) -> None:
        """Remove the page files of copies that were read in vain, and the pictures that no passage shows any more."""
        for file in (self.library.folder / "reading").glob("*.pages"):
            entry = self._entry(file.stem)
            if entry and self._is_current(entry, _recipe_of_pdf_as(entry.kind, pdf_recipe(self.context.settings))):
                file.unlink(missing_ok=True)
        self.library.sweep_pictures()

    def _plan(self, part: Part) -> Outcome | _Work:
        """Decide by content what a part needs; what needs no parsing is done here."""
        try:
            kind = part.kind or kind_of(part.file, self.context.wanted)
            document_id = part.member.document_id if part.member else content_id(part.file, kind)
            stamp = _stamp(part.file)
        except (DocumentError, OSError) as error:
            stays = STAYS if self.library.document_at(part.path) else ""
            return Outcome(part.shown, error=f"{error}{stays}")
        entry, recipe = self._entry(document_id), self._recipe(kind, document_id, part)
        if entry and self._is_current(entry, recipe):
            return self._known(entry, part)
        status = "updated" if entry or self.library.document_at(part.path) else "added"
        return _Work(part, kind, document_id, recipe, status, stamp)

    def _recipe(self, kind: str, document_id: str, part: Part) -> str:
        """The recipe that a part would be read by now."""
        how = KINDS[kind]
        if part.member and how.collection:
            return how.collection.recipe(part.member, self.context)
        recipe = how.recipe(self._file_of(kind, document_id, part), document_id, self.context)
        if kind != PDF:
            return recipe
        entry, wanted = self._entry(document_id), self.context.wanted
        return _recipe_of_pdf_as(entry.kind if entry and wanted == AUTO else wanted, recipe)

    def _file_of(self, kind: str, document_id: str, part: Part) -> Path:
        """The file to read: of a kind with sidecars the first copy that is still there, whose sidecars count."""
        file = part.file
        if KINDS[kind].sidecars:
            for copy in sorted([file.absolute(), *self.library.files_of(document_id)]):
                self.library.bring(copy)
                with contextlib.suppress(DocumentError):
                    if copy == file.absolute() or content_id(copy, kind) == document_id:
                        return copy
        return file

    def _entry(self, document_id: str) -> DocumentEntry | None:
        return next(iter(self.library.documents([document_id])), None)

    def _is_current(self, entry: DocumentEntry, recipe: str) -> bool:
        if entry.status == FAILED:
            same = entry.recipe == self._failed_recipe(recipe)
            return same and not (self.context.passwords and "password" in (entry.error or ""))
        return entry.recipe == recipe

    def _failed_recipe(self, recipe: str) -> str:
        return f"{recipe}, {self.context.limits}"  # a failure is tried again under other limits

    def _known(self, entry: DocumentEntry, part: Part) -> Outcome:
        """The outcome of a part whose bytes the library has read before, or failed to read."""
        path, shown, note = part.path, part.shown, tuple[str, ...]()
        before = self.library.document_at(path)
        if entry.status == FAILED and before not in (None, entry.document_id):
            return Outcome(shown, entry.document_id, entry.kind, entry.title, error=f"{entry.error}{STAYS}")
        again = before == entry.document_id  # failed at this path before: reported, but not as a failure of this run
        if not again:
            self.library.add_path(entry.document_id, path, shown)
            note = (f"the same bytes as {entry.paths[0]}: one document with two paths",) if entry.paths else ()
        entry = refresh_references(self.library, entry, part.file) if entry.status != FAILED else entry
        return _outcome_of(shown, entry, FAILED if entry.status == FAILED and not again else "unchanged", note)

    def _read(self, work: _Work) -> ReadDocument:
        with self.turns.setdefault(work.document_id, threading.Lock()):  # copies of a file share one page file
            return self._read_alone(work)

    def _read_alone(self, work: _Work) -> ReadDocument:
        part = work.part
        if part.member:
            reading = self._reading(work.kind, part.file)
            return ReadDocument(reading.document(part.number, part.file, work.document_id))
        file = self._file_of(work.kind, work.document_id, part)
        read = KINDS[work.kind].read(file, work.document_id, self.context)
        if read.pages is None:  # which are reported one by one
            self.context.report(part.file.name, 1, 1)
            return read
        try:
            return self._converted(read)
        except DocumentError:
            read.pages.remove()
            raise
        except BaseException:
            read.pages.close()
            raise

    def _converted(self, read: ReadDocument) -> ReadDocument:
        """A PDF as the kind of document that its text shows it to be, or that the user wanted."""
        wanted = self.context.wanted
        for name, kind in KINDS.items():
            how = kind.of_text
            if how and (wanted == name or (wanted == AUTO and how.sniff(read.document.text))):
                return replace(read, document=how.convert(read.document, self.context))
        return read

    def _store(self, work: _Work, future: Future[ReadDocument]) -> Outcome:
        part, kind, settings = work.part, KINDS[work.kind], self.context.settings
        entry, recipe = self._entry(work.document_id), self._recipe(work.kind, work.document_id, part)
        if entry and self._is_current(entry, recipe):  # a copy earlier in this very run
            future.add_done_callback(_drop_pages)
            return self._known(entry, part)
        try:
            read = future.result()
        except DocumentError as error:
            return self._failure(work, str(error))
        try:
            changed = "changed while it was read. Run the command again" if _stamp(part.file) != work.stamp else ""
        except OSError as error:
            changed = f"cannot be read: {error.strerror}. Check that it is still there"
        document, pages = read.document, read.pages
        if changed:
            if pages:
                pages.remove()
            return Outcome(part.shown, error=changed)
        if kind.complete:
            document = kind.complete(document, entry, self.context)
        document = with_references(document, part.file)
        passages = chunk(document, settings.passage_tokens, settings.overlap_tokens)
        runs = geometry(pages, pages.recurring) if pages else ()
        recipe = _recipe_of_pdf_as(document.kind, pdf_recipe(settings)) if work.kind == PDF else work.recipe
        self.library.put(document, passages, part.path, part.shown, recipe, runs)
        if pages:
            pages.remove()
        if kind.stored:
            kind.stored(self.library, work.document_id)
        stored = self._entry(work.document_id)
        assert stored is not None
        return _outcome_of(part.shown, stored, work.status)

    def _failure(self, work: _Work, error: str) -> Outcome:
        part, entry, error = work.part, self._entry(work.document_id), shortened(error, bounds.WARNING)
        title = part.at(Path(title_of(part.file)))
        if (entry and entry.status != FAILED) or self.library.document_at(part.path) not in (None, work.document_id):
            error += STAYS
        else:
            failed = self._failed_recipe(work.recipe)
            self.library.put_failure(work.document_id, work.kind, title, error, part.path, part.shown, failed)
        return Outcome(part.shown, work.document_id, work.kind, title, error=error)


def _outcome_of(shown: str, entry: DocumentEntry, status: str, more: tuple[str, ...] = ()) -> Outcome:
    """The outcome of a file, called `shown`, from its document's catalogue entry; `more` are further warnings."""
    counts = (entry.pages, entry.passages, entry.figures, entry.tables)
    warnings = entry.warnings + more
    return Outcome(shown, entry.document_id, entry.kind, entry.title, status, *counts, warnings, entry.error)


def _recipe_of_pdf_as(kind: str, recipe: str) -> str:
    """The recipe of a PDF that was, or will be, found to be of this kind."""
    return f"{KINDS[kind].version}, {recipe}" if turns_into(PDF, kind) else recipe


def _drop_pages(future: Future[ReadDocument]) -> None:
    if not future.cancelled() and future.exception() is None and (pages := future.result().pages):
        pages.remove()


def _stamp(file: Path) -> tuple[int, int]:
    """Size and time of the last change of a file."""
    status = file.stat()
    return status.st_size, status.st_mtime_ns


def _load_encoder(indexes: Indexes) -> None:
    """Load the encoder while the first document is parsed; an error is raised again where the encoder is used."""
    with contextlib.suppress(RagError):
        indexes.encoder()
