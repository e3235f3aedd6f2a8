"""The library's judgments as the page shows them, with what they cite and who cites them. No Gradio here."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable

from ingest.legal import courts
from rag.cited import Edge, KnownCase
from rag.errors import LibraryError
from rag.library import Library
from rag.records import Case, Citation
from ui import judgment
from ui.judgment import Mention, Neighbour


class Casebook:
    """Panels of judgments, by document_id."""

    def __init__(self, library: Library):
        self._library = library

    def holds(self, citation: Citation) -> bool:
        """Whether a citation is of a judgment that has no page to show: one that was not read from a PDF."""
        if not citation.part:
            return False
        entries = self._library.documents([citation.document_id])
        return any(entry.kind == "legal" and ", pdf " not in entry.recipe for entry in entries)  # ingest/build.py

    def html(self, citation: Citation) -> str:
        """The judgment with the cited words marked. Raises LibraryError if it is no longer there."""
        return self._panel(citation.document_id, f"{citation.start}:{citation.end}")

    def open(self, document_id: str, place: str) -> str:
        """A judgment at a place: "120:140" (offsets), a paragraph's number, or "-". Raises LibraryError."""
        return self._panel(document_id, place)

    def _panel(self, document_id: str, place: str) -> str:
        document = self._library.document(document_id)
        if document.case is None:
            raise LibraryError(f"{document_id[:64]} is no judgment")
        known = {case.key: case for case in self._library.cases()}
        court = courts().get(document.case.court)
        return judgment.panel(
            document,
            court.title if court else document.case.court,
            span_of(document.case, place, len(document.text)),
            self._cited(document_id, document.case, known),
            self._citing(document_id, known),
            time.monotonic_ns(),
        )

    def _cited(self, document_id: str, case: Case, known: dict[str, KnownCase]) -> list[Neighbour]:
        """What a case cites, by date; each opens at the paragraph that is cited."""
        found: dict[str, list[Mention]] = {}
        for edge in self._library.citations_of(document_id):
            numbers = re.search(r"\d+", edge.citation.pinpoint or "")
            paragraph = case.paragraph_at(edge.citation.start)
            number, place = paragraph.number if paragraph else None, numbers[0] if numbers else "-"
            for target in edge.targets:
                mention = mention_of(edge, target, known, number, place)
                found.setdefault(target, []).append(mention)
        return _by_date(found, known)

    def _citing(self, document_id: str, known: dict[str, KnownCase]) -> list[Neighbour]:
        """Who cites a case, by date; each opens at the words that do."""
        found: dict[str, list[Mention]] = {}
        sources = [source for source, targets in self._library.citation_graph().items() if document_id in targets]
        for source in sources:
            for edge in self._library.citations_of(source):
                if document_id in edge.targets:
                    start, end = edge.citation.start, edge.citation.end
                    numbers = self._library.paragraphs_of(source, start, end)
                    mention = mention_of(edge, document_id, known, numbers and numbers[0], f"{start}:{end}")
                    found.setdefault(source, []).append(mention)
        return _by_date(found, known)


def mention_of(edge: Edge, target: str, known: dict[str, KnownCase], paragraph: int | None, place: str) -> Mention:
    """A citation as one of `target`; it is ambiguous where it has no number, or others have the same one."""
    numbers = set(edge.citation.application_numbers)
    if target in known:
        numbers &= set(known[target].application_numbers)
    others = [
        f"{other.title}, {other.date}"
        for other in (known[key] for key in edge.targets if key != target and key in known)
        if not edge.citation.application_numbers or numbers & set(other.application_numbers)
    ]
    return Mention(edge.citation.words, paragraph, edge.citation.pinpoint or "", place, tuple(others))


def span_of(case: Case, place: str, length: int) -> tuple[int, int]:
    """The offsets that a place means; nothing, at the beginning, where it means none.

    >>> span_of(Case("", "", ("", ""), (), "", None, (), (), (), (), (), ()), "3:99", 9)
    (3, 9)
    """
    if offsets := re.fullmatch(r"(\d{1,9}):(\d{1,9})", place):
        start, end = (min(int(offset), length) for offset in offsets.groups())
        return start, max(start, end)
    meant = (p for p in case.paragraphs if str(p.number) == place)
    return next(((p.start, p.end) for p in meant), (0, 0))


def _by_date(found: dict[str, list[Mention]], known: dict[str, KnownCase]) -> list[Neighbour]:
    def row(key: str) -> Neighbour:
        return Neighbour(key, known[key].title, known[key].date, tuple(found[key]))

    keys: Iterable[str] = found.keys() & known.keys()
    return sorted(map(row, keys), key=lambda neighbour: (neighbour.date, neighbour.document_id))
