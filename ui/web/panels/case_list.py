"""The library's judgments as the page shows them, with the cases that they cite and that cite them. No Gradio here."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Sequence

from markupsafe import Markup

from ingest.legal.case_files import courts
from rag.document import Case, Document
from rag.errors import LibraryError, UsageError
from rag.library.catalogue import Library
from rag.library.mentions.cited import CitationEdge, KnownCase
from ui.web.panels import filter_choices as filters
from ui.web.panels import judgment_panel as judgment
from ui.web.panels.filter_choices import Choice
from ui.web.panels.judgment_panel import CaseMention, Neighbour


class JudgmentPanels:
    """Panels of the library's judgments, by document id."""

    def __init__(self, library: Library):
        self._library = library

    def open(self, document_id: str, place: str, chosen: Choice = ()) -> Markup:
        """A judgment at a place: "120:140" (offsets), a paragraph's number, or "-". Raises LibraryError.

        Its timeline keeps to the filters that are chosen; the lists of cited and citing cases are whole.
        """
        document, case = self._judgment(document_id)
        cited, citing = self._around(document_id, case)
        court = courts().get(case.court)
        return judgment.panel(
            document,
            court.title if court else case.court,
            span_of(case, place, len(document.text)),
            cited,
            citing,
            self._line(document, cited, citing, chosen),
            time.monotonic_ns(),
        )

    def _line(
        self, document: Document, cited: Sequence[Neighbour], citing: Sequence[Neighbour], chosen: Choice
    ) -> Markup:
        around = {case.document_id for case in (*cited, *citing)}
        try:
            kept = filters.kept(self._library, around, chosen)
            note = filters.left_out(len(around - kept), chosen)
        except UsageError as error:  # a date that is half typed
            kept, note = around, f"The filters are not applied: {str(error).removeprefix('--filter ')}."
        earlier, later = ([case for case in cases if case.document_id in kept] for cases in (cited, citing))
        return judgment.timeline(document, earlier, later, note)

    def _judgment(self, document_id: str) -> tuple[Document, Case]:
        document = self._library.document(document_id)
        if document.case is None:
            raise LibraryError(f"{document_id[:64]} is no judgment")
        return document, document.case

    def _around(self, document_id: str, case: Case) -> tuple[list[Neighbour], list[Neighbour]]:
        """The cases that a case cites, and those that cite it."""
        known = {case.key: case for case in self._library.cases()}
        return self._cited(document_id, case, known), self._citing(document_id, known)

    def _cited(self, document_id: str, case: Case, known: dict[str, KnownCase]) -> list[Neighbour]:
        """The cases that a case cites, by date; each opens at the paragraph that is cited."""
        found: dict[str, list[CaseMention]] = {}
        for edge in self._library.citations_of(document_id):
            numbers = re.search(r"\d+", edge.citation.pinpoint or "")
            paragraph = case.paragraph_at(edge.citation.start)
            number, place = paragraph.number if paragraph else None, numbers[0] if numbers else "-"
            for target in edge.targets:
                mention = mention_of(edge, target, known, number, place)
                found.setdefault(target, []).append(mention)
        return _by_date(found, known)

    def _citing(self, document_id: str, known: dict[str, KnownCase]) -> list[Neighbour]:
        """The cases that cite a case, by date; each opens at the words that do."""
        found: dict[str, list[CaseMention]] = {}
        sources = [source for source, targets in self._library.citation_graph().items() if document_id in targets]
        for source in sources:
            for edge in self._library.citations_of(source):
                if document_id in edge.targets:
                    start, end = edge.citation.start, edge.citation.end
                    numbers = self._library.paragraphs_of(source, start, end)
                    mention = mention_of(edge, document_id, known, numbers and numbers[0], f"{start}:{end}")
                    found.setdefault(source, []).append(mention)
        return _by_date(found, known)


def mention_of(
    edge: CitationEdge, target: str, known: dict[str, KnownCase], paragraph: int | None, place: str
) -> CaseMention:
    """A citation as one of `target`; it is ambiguous where it has no number, or others have the same one."""
    numbers = set(edge.citation.application_numbers)
    if target in known:
        numbers &= set(known[target].application_numbers)
    others = [
        f"{other.title}, {other.date}"
        for other in (known[key] for key in edge.targets if key != target and key in known)
        if not edge.citation.application_numbers or numbers & set(other.application_numbers)
    ]
    return CaseMention(edge.citation.words, paragraph, edge.citation.pinpoint or "", place, tuple(others))


def span_of(case: Case, place: str, length: int) -> tuple[int, int]:
    """The offsets that a place means (see JudgmentPanels.open); (0, 0) where it means none.

    >>> span_of(Case("", "", ("", ""), (), "", None, (), (), (), (), (), ()), "3:99", 9)
    (3, 9)
    """
    if offsets := re.fullmatch(r"(\d{1,9}):(\d{1,9})", place):
        start, end = (min(int(offset), length) for offset in offsets.groups())
        return start, max(start, end)
    meant = (p for p in case.paragraphs if str(p.number) == place)
    return next(((p.start, p.end) for p in meant), (0, 0))


def _by_date(found: dict[str, list[CaseMention]], known: dict[str, KnownCase]) -> list[Neighbour]:
    def row(key: str) -> Neighbour:
        return Neighbour(key, known[key].title, known[key].date, tuple(found[key]))

    keys: Iterable[str] = found.keys() & known.keys()
    return sorted(map(row, keys), key=lambda neighbour: (neighbour.date, neighbour.document_id))
