"""Judgments as the search for precedents takes them, and which of them a case may have as precedents."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from rag.records import Passage

Field = Literal["facts", "law", "both"]
FIELDS: tuple[Field, ...] = ("facts", "law", "both")
Scores = dict[str, float]  # case id -> score, best first, ties by id


@dataclass(frozen=True, slots=True)
class CourtCase:
    """What is needed of a judgment, or of an application that is none yet (its date is then "", or that of today).

    `parts`: "facts" and "law" -> passages in the order of the text, which may overlap. `cites`: the ids of the cases
    it cites. Cases that share an application number are versions of one case.
    """

    case_id: str
    date: str  # YYYY-MM-DD; "": none is known
    application_numbers: tuple[str, ...]
    parts: Mapping[str, tuple[Passage, ...]]
    cites: tuple[str, ...] = ()

    def passages(self, field: Field) -> tuple[Passage, ...]:
        """Of one section, or of the facts and then the law."""
        names = ("facts", "law") if field == "both" else (field,)
        return tuple(passage for name in names for passage in self.parts.get(name, ()))

    def text(self, field: Field) -> str:
        """The whole section: what passages share is there once."""
        pieces, end = [], 0
        for passage in self.passages(field):
            pieces.append(passage.text[max(0, min(end, passage.end) - passage.start) :])
            end = max(end, passage.end)
        return "\n".join(filter(None, pieces))


def candidates(query: CourtCase, cases: Iterable[CourtCase]) -> list[CourtCase]:
    """The cases dated before the query's date; all, for a query without a date. Never the query's own case.

    A case without a date is no candidate of a dated query: see `undated`.
    """
    return [
        case for case in cases if not _is_same_case(query, case) and (not query.date or "" < case.date < query.date)
    ]


def undated(query: CourtCase, cases: Iterable[CourtCase]) -> list[str]:
    """The ids of the cases that are refused because nobody knows whether they are earlier."""
    return [case.case_id for case in cases if query.date and not case.date and not _is_same_case(query, case)]


def _is_same_case(query: CourtCase, case: CourtCase) -> bool:
    return case.case_id == query.case_id or not set(query.application_numbers).isdisjoint(case.application_numbers)
