"""Judgments in the parent process: their child is asked, its replies checked, and each judgment made a Document."""

from __future__ import annotations

import contextlib
import re
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from ingest.child_process import ChildDied, ChildProcess, Children, Limits, too_large
from ingest.child_replies import (
    check_date,
    check_integer,
    check_span,
    checked_list,
    checked_text,
    checked_text_reply,
    checking,
)
from ingest.legal.case_files import courts
from ingest.legal.courts import SECTION_KINDS
from ingest.plain_text import title_of
from ingest.read_context import Member, ReadContext, ReadDocument
from rag import bounds
from rag.bounds import shortened
from rag.document import Case, Document, Page
from rag.errors import DocumentError
from rag.library import cases
from rag.settings import Ingest

VERSION = "legal 1"  # raise the number when the same bytes would now be read differently
CHILD = "ingest.legal.case_files"
SECTIONS = ("header", "text", *SECTION_KINDS)
HASH = re.compile(r"[0-9a-f]{16}|")


def legal_recipe(settings: Ingest, metadata_hash: str = "") -> str:
    """How a judgment that is no PDF is made into passages; with the hash of its record's metadata, if it has a record.

    >>> legal_recipe(Ingest(), "0f")
    'legal 1, 180/30, record 0f'
    """
    sizes = f"{settings.passage_tokens}/{settings.overlap_tokens}"
    return f"{VERSION}, {sizes}{metadata_hash and f', record {metadata_hash}'}"


def recipe_of_judgment(file: Path, document_id: str, context: ReadContext) -> str:
    """The recipe that a judgment alone in its file would be read by now."""
    return legal_recipe(context.settings)


def recipe_of_record(member: Member, context: ReadContext) -> str:
    """The recipe that one of many judgments in a file would be read by now."""
    return legal_recipe(context.settings, member.metadata_hash)


class CaseReading:
    """The judgments in a file, or in a text that was read already, read one after the other by a child process.

    A judgment that takes the child down fails alone: the next one gets a new child. May be used from any thread. All
    methods but `close` raise DocumentError, and Stopped.
    """

    def __init__(self, source: Path | str, limits: Limits, children: Children):
        self._request = {"path": str(source)} if isinstance(source, Path) else {"text": source}
        self._text = None if isinstance(source, Path) else source
        self._limits, self._children = limits, children
        self._child: ChildProcess | None = None
        self._lock = threading.Lock()

    def members(self) -> list[list[str]]:
        """The fields of a Member for each judgment in the file, in order."""
        with self._lock, self._children.slots, self._explaining():
            reply = self._open().opened
        return checked_members(reply)

    def read(self, number: int) -> tuple[str, str, tuple[str, ...], Case]:
        """Title, text, warnings and case of one judgment, by its number from 0."""
        with self._lock, self._children.slots, self._explaining():
            what, value = self._open().ask(number)
        if what == "bad":
            raise DocumentError(shortened(str(value), bounds.WARNING))
        return checked_case(value, self._text)

    def document(self, number: int, file: Path, document_id: str) -> Document:
        """One judgment as a document of one page, by its number from 0; `file` gives the title that it lacks."""
        title, text, warnings, case = self.read(number)
        pages = (Page(1, 0, len(text)),)
        return Document(document_id, "legal", title or title_of(file), text, pages, warnings, case=case)

    def close(self) -> None:
        with self._lock:
            self._end()

    def _open(self) -> ChildProcess:
        if self._child is None:
            self._child = ChildProcess(CHILD, self._request, self._limits, self._children.stop)
        return self._child

    def _end(self) -> None:
        if self._child is not None:
            self._child.close()
            self._children.peaks_kb.append(self._child.peak_kb)
            self._child = None

    @contextlib.contextmanager
    def _explaining(self) -> Iterator[None]:
        try:
            yield
        except ChildDied as died:
            self._end()
            raise too_large(died) from None


def open_cases(file: Path, context: ReadContext) -> CaseReading:
    """The judgments in a file of records."""
    return CaseReading(file, context.limits, context.children)


def read_judgment_file(file: Path, document_id: str, context: ReadContext) -> ReadDocument:
    """Read a judgment that is alone in its file in a limited child process. Raises DocumentError, and Stopped."""
    reading = open_cases(file, context)
    try:
        return ReadDocument(reading.document(0, file, document_id))
    finally:
        reading.close()


def with_structure(document: Document, context: ReadContext) -> Document:
    """A document that was read as a PDF as a judgment, with its structure. Raises DocumentError, and Stopped."""
    reading = CaseReading(document.text, context.limits, context.children)
    try:
        title, _, warnings, case = reading.read(0)
    finally:
        reading.close()
    title, warnings = title or document.title, (*document.warnings, *warnings)
    return replace(document, kind="legal", title=title, warnings=warnings, case=case)


# -- the child's replies -----------------------------------------------------------------------------------------------


def checked_members(value: Any) -> list[list[str]]:
    """The fields of a Member for each judgment in a file."""
    with checking("records"):
        for key, document_id, metadata_hash, error in checked_list(value, bounds.RECORDS):
            checked_text(key, bounds.NAME)
            checked_text(error, bounds.WARNING)
            if not HASH.fullmatch(document_id) or not HASH.fullmatch(metadata_hash):
                raise ValueError("an id that is no hash")
        return list(value)


def checked_case(value: Any, text: str | None = None) -> tuple[str, str, tuple[str, ...], Case]:
    """Title, text, warnings and case; `text` where the parent has it. Sections cover the text, the rest is in order."""
    with checking("a judgment"):
        title, text, warnings = checked_text_reply(value, text)
        court, name, parties, numbers, date, importance, articles, sections, *lists, outcome = value["case"]
        paragraphs, notes, citations = lists
        applicant, respondent = parties
        for words in (name, applicant, respondent):
            checked_text(words, bounds.TITLE)
        for words in (*checked_list(numbers, bounds.NUMBERS), *checked_list(articles, bounds.ARTICLES)):
            checked_text(words, bounds.NAME)
        check_date(date)
        if court not in courts():
            raise ValueError("a court that nobody knows")
        if importance is not None:
            check_integer(importance, 1, 4)
        _check_sections(sections, len(text))
        for rows in (paragraphs, notes):
            _check_numbered(checked_list(rows, len(text)), len(text))
        _check_citations(checked_list(citations, bounds.CITATIONS), text)
        for article, violation, spans in checked_list(outcome, bounds.ARTICLES):
            checked_text(article, bounds.NAME)
            if violation is not None and type(violation) is not bool:
                raise ValueError("a finding that is neither yes nor no")
            for start, end in spans:
                check_span(start, end, 0, len(text))
        return title, text, warnings, cases.from_json(value["case"])


def _check_sections(rows: list[Any], length: int) -> None:
    behind = 0
    for kind, start, end, author in rows:
        check_span(start, end, behind, length)
        checked_text(author, bounds.TITLE)
        if kind not in SECTIONS or start != behind:
            raise ValueError("a section that does not begin where the one before it ends")
        behind = end
    if behind != length:
        raise ValueError("sections that leave some of the text out")


def _check_numbered(rows: list[Any], length: int) -> None:
    """Check paragraphs, or notes: their numbers may be any."""
    behind = 0
    for number, start, end in rows:
        check_integer(number, 0, 1 << 32)
        check_span(start, end, behind, length)
        behind = end


def _check_citations(rows: list[Any], text: str) -> None:
    behind = 0
    for words, start, end, numbers, name, pinpoint, date in rows:
        check_span(start, end, behind, len(text))
        checked_text(words, bounds.CITATION)
        if words != text[start:end]:
            raise ValueError("a citation that the text does not hold")
        for number in checked_list(numbers, bounds.CITED_NUMBERS):
            checked_text(number, bounds.NAME)
        for field in (name, pinpoint):
            checked_text("" if field is None else field, bounds.TITLE)
        check_date(date)
        behind = end
