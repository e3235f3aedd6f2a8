"""PDFs in the parent process: children are asked for pages, their replies checked, and the pages made a Document.

A page that takes too long, or takes its child down, is named and skipped, and a new child goes on. Several children
read the pages of one document side by side.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from ingest.child_process import ChildDied, ChildProcess, Children, Limits, Stopped
from ingest.child_replies import LARGEST, check_integer, check_number, checked_list, checked_png, checked_text, checking
from ingest.pdf.assemble import Assembled, assemble
from ingest.pdf.page_store import OUTLINE, PageFile, most_pages
from ingest.plain_text import title_of
from ingest.read_context import ReadContext, ReadDocument
from ingest.references.identifiers import identifiers
from rag import bounds
from rag.bounds import shortened
from rag.document import Document
from rag.errors import DocumentError
from rag.settings import Ingest

VERSION = "pdf 4"  # raise the number when the same bytes would now be read differently
CHILD = "ingest.pdf.extract"
GIVE_UP_AFTER = 5  # pages one after the other that take a child down, before the rest of the document is left out
PAGES_A_CHILD = 24  # that a further child must have to read before its start is worth it
MOST_PAGE_TEXT = 1_000_000  # characters of a page, that is of glyphs.MOST_GLYPHS letters and what stands between them
BLOCKS = ("text", "heading", "footnote", "aside", "table", "figure", "margin")


def pdf_recipe(settings: Ingest) -> str:
    """How a PDF is made into passages; one made by another recipe is made again.

    >>> pdf_recipe(Ingest())
    'pdf 4, 180/30'
    """
    ocr = "" if settings.ocr else ", no ocr"
    return f"{VERSION}, {settings.passage_tokens}/{settings.overlap_tokens}{ocr}"


def recipe_of_pdf(file: Path, document_id: str, context: ReadContext) -> str:
    """The recipe that a PDF would be read by now."""
    return pdf_recipe(context.settings)


@dataclass(frozen=True, slots=True)
class PdfSource:
    """A PDF to read: its file and id, the passwords that may open it, limits, and whether its pictures are read."""

    file: Path
    document_id: str
    passwords: tuple[str, ...]
    limits: Limits
    ocr: bool = True

    @property
    def recipe(self) -> str:
        return f"{VERSION}, ocr {self.ocr}, {self.limits}"


def read_pdf(file: Path, document_id: str, context: ReadContext) -> ReadDocument:
    """Read a PDF in limited child processes; `context.report` follows its pages. Raises as read_document."""

    def on_page(page: int, pages: int) -> None:
        context.report(file.name, page, pages)

    source = PdfSource(file, document_id, context.passwords, context.limits, context.settings.ocr)
    library = context.library
    document, pages = read_document(source, library.folder / "reading", library.keep_picture, context.children, on_page)
    return ReadDocument(document, pages)


def read_document(
    source: PdfSource,
    folder: Path,
    keep_picture: Callable[[bytes], str],
    children: Children,
    on_page: Callable[[int, int], None],
) -> tuple[Document, PageFile]:
    """Read a PDF in limited child processes; `on_page(read, pages)` follows it.

    The pages are kept in a file in `folder` until the caller removes it: a reading after a kill continues from them.
    Raises DocumentError, and Stopped when the children are stopped.
    """
    reader = PageReader(source.file, source.passwords, source.ocr, source.limits, children)
    pages = PageFile(folder / f"{source.document_id}.pages", source.recipe, keep_picture)
    try:
        if not pages.count:
            pages.begin(source.recipe, *checked_outline(*reader.outline(), most_pages(source.file)))
        missing = pages.missing()
        done = pages.count - len(missing)

        def store(number: int, what: str, value: Any) -> None:
            nonlocal done
            pages.keep(number, *checked_page(what, value))
            done += 1
            on_page(done, pages.count)

        reader.pages(missing, store)
        if len(pages.bad) == pages.count:
            why = next(iter(pages.bad.values())).rstrip(".")
            raise DocumentError(
                f"none of its pages can be read: {why}. Open and save it again, or raise "
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
    title = pages.outline["title"] or title_of(source.file)
    warnings, facts = page_warnings(pages, read), identifiers(read.text)
    if author := pages.outline.get("author", ""):
        facts["author"] = author
    return (
        Document(
            source.document_id, "pdf", title, read.text, read.pages, warnings, read.raw_offsets, read.regions,
            facts=facts,
        ),
        pages,
    )  # fmt: skip


def page_warnings(pages: PageFile, read: Assembled) -> tuple[str, ...]:
    """Warnings that name the pages that could not be read, and why; those without text; those read by OCR."""

    def about(numbers: Sequence[int], one: str, several: str) -> str:
        ranges = shortened(_ranges(numbers), bounds.WARNING // 2)
        return f"page {ranges} {one}" if len(numbers) == 1 else f"pages {ranges} {several}"

    warnings = []
    for why, run in groupby(sorted(pages.bad.items()), key=lambda entry: entry[1]):
        numbers = [number for number, _ in run]
        for ranges in _ranges(numbers).split(", "):
            warnings.append(f"{'pages' if '-' in ranges else 'page'} {ranges}: could not be read: {why}")
    if len(warnings) > (most := bounds.WARNINGS // 2):
        warnings[most:] = [f"{len(warnings) - most} more pages, or runs of pages, could not be read"]
    blank = [p.number for p in read.pages if p.number not in pages.bad and not read.text[p.start : p.end].strip()]
    if blank:
        warnings.append(f"{about(blank, 'has', 'have')} no text that could be read, so nothing there can be found")
    seen = sorted(set(read.ocr_pages).difference(blank))
    if seen:
        warnings.append(f"{about(seen, 'was', 'were')} read from the picture (OCR): words may be wrong")
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


class PageReader:
    """The reading of one PDF's pages by up to `children.jobs` children at a time.

    Pages arrive in any order: `store(number, what, value)` gets ("page", JSON) or ("bad", why) as the child replies
    (see checked_page), from one thread at a time. `ocr` allows the children to read pictures.
    """

    def __init__(self, file: Path, passwords: Sequence[str], ocr: bool, limits: Limits, children: Children):
        self._request = {"path": str(file), "passwords": list(passwords), "ocr": ocr}
        self._limits = limits
        self._children = children
        self._lock = threading.Lock()
        self._failure: BaseException | None = None
        self._downs = 0  # pages in a row that took a child down

    def outline(self) -> tuple[Any, Any]:
        """The number of pages, and title and outline (empty if asking for them takes the child down), as the child
        replies: see checked_outline."""
        with self._children.slots:
            try:
                child = self._open()
            except ChildDied as died:
                raise DocumentError(
                    f"{died} while opening it. Open and save it again, or raise ingest.page_seconds or memory_mb"
                ) from None
            try:
                return child.opened, child.ask(OUTLINE)[1]
            except ChildDied:
                return child.opened, {"title": "", "outline": []}
            finally:
                self._end(child)

    def pages(self, numbers: Iterable[int], store: Callable[[int, str, Any], None]) -> None:
        """Read these pages. Raises Stopped; DocumentError if the document can no longer be opened."""
        waiting = list(numbers)
        count = max(1, min(self._children.jobs, len(waiting) // PAGES_A_CHILD))
        queue = iter(waiting)
        threads = [threading.Thread(target=self._work, args=(queue, store), daemon=True) for _ in range(count - 1)]
        for thread in threads:
            thread.start()
        self._work(queue, store)
        for thread in threads:
            thread.join()
        if self._failure is not None:
            raise self._failure
        if self._children.stop.is_set():
            raise Stopped

    def _work(self, queue: Iterator[int], store: Callable[[int, str, Any], None]) -> None:
        try:
            with self._children.slots:
                self._read(queue, store)
        except BaseException as error:  # noqa: BLE001  # raised again by `pages`, in the caller's thread
            self._failure = self._failure or error

    def _read(self, queue: Iterator[int], store: Callable[[int, str, Any], None]) -> None:
        child: ChildProcess | None = None
        try:
            while self._failure is None:
                with self._lock:
                    number = next(queue, None)
                if number is None:
                    return
                if self._downs >= GIVE_UP_AFTER:
                    self._keep(store, number, "bad", f"left out after {GIVE_UP_AFTER} bad pages")
                    continue
                try:
                    child = child or self._open()
                    what, value = child.ask(number)
                    self._downs = 0
                except ChildDied as died:
                    self._end(child)
                    child, what, value = None, "bad", str(died)
                    self._downs += 1
                self._keep(store, number, what, value)
        finally:
            self._end(child)

    def _open(self) -> ChildProcess:
        return ChildProcess(CHILD, self._request, self._limits, self._children.stop)

    def _end(self, child: ChildProcess | None) -> None:
        if child is not None:
            child.close()
            self._children.peaks_kb.append(child.peak_kb)

    def _keep(self, store: Callable[[int, str, Any], None], number: int, what: str, value: Any) -> None:
        with self._lock:
            store(number, what, value)


# -- the child's replies -----------------------------------------------------------------------------------------------


def checked_outline(pages: Any, value: Any, most: int) -> tuple[int, dict[str, Any]]:
    """The number of pages, and {"title", "author", "outline": [[level from 1, title, page from 1], ...]}."""
    with checking("an outline"):
        check_integer(pages, 1, most)
        checked_text(value["title"], bounds.TITLE)
        for level, title, number in checked_list(value["outline"], bounds.OUTLINE):
            check_integer(level, 1, 100)
            checked_text(title, bounds.TITLE)
            check_integer(number, 1, 1 << 32)
        author = checked_text(value["author"], bounds.TITLE)
        return pages, {"title": value["title"], "outline": value["outline"], "author": author}


def checked_page(what: Any, value: Any) -> tuple[str, Any]:
    """("page", the page as extract.read_page gives it) or ("bad", why it cannot be read)."""
    with checking("a page"):
        if what == "bad":
            checked_text(value, len(value))
            return what, shortened(value, bounds.WARNING)
        if what != "page" or type(value["ocr"]) is not bool:
            raise ValueError("it is none")
        for side in ("width", "height"):
            check_number(value[side])
        characters = 0
        for block in checked_list(value["blocks"], MOST_PAGE_TEXT):
            characters += _characters_of(block)
        if characters > MOST_PAGE_TEXT:
            raise ValueError(f"it has {characters:,} characters")
        return what, value


def _characters_of(block: Any) -> int:
    """The number of characters of a block, which is checked. Its letters may be any: repair_text looks through them."""
    if block["kind"] not in BLOCKS:
        raise ValueError("a block of another kind")
    left, bottom, right, top = block["box"]
    for number in (left, bottom, right, top, block["size"]):
        check_number(number)
    checked_text(block["label"], bounds.NAME)
    check_integer(block["level"], 0, 100)
    lines = checked_list(block["lines"], MOST_PAGE_TEXT)
    check_integer(block["caption"], 0, len(lines))
    if block["confidence"] is not None:
        check_number(block["confidence"], 0, 1)
    if block["picture"] is not None:
        checked_png(block["picture"])
    for text, runs in lines:
        if type(text) is not str:
            raise ValueError("a line without text")
        for at, axis, low, high, edges in runs:
            check_integer(at, 0, len(text))
            check_integer(axis, 0, 1)
            if not all(type(edge) is int and -LARGEST < edge < LARGEST for edge in (low, high, *edges)):
                raise ValueError("letters without a place")
    return sum(len(text) for text, _ in lines)
