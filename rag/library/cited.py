"""Which known cases a citation means: by number, by "Name v. Country", or by name and date."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date as Date

from rag.records import CaseCitation

MONTHS = {
    month: number
    for months in (
        "january february march april may june july august september october november december",
        "janvier février mars avril mai juin juillet août septembre octobre novembre décembre",
    )
    for number, month in enumerate(months.split(), start=1)
}
DAY = re.compile(r"\b(\d{1,2})(?:er)?\s+([^\W\d_]+)\s+(\d{4})\b")


@dataclass(frozen=True, slots=True)
class KnownCase:
    """A case that may be cited; `key` tells it from all others, versions of one case among them."""

    key: str
    title: str
    application_numbers: tuple[str, ...]
    date: str  # YYYY-MM-DD; "" where none is known


@dataclass(frozen=True, slots=True)
class Edge:
    """A citation and the known cases it may mean, by key: more than one where the citation leaves that open."""

    citation: CaseCitation
    targets: tuple[str, ...]


def iso_date(words: str) -> str:
    """YYYY-MM-DD of a date in English or French, or of one in that form; "" where there is none.

    >>> iso_date("STRASBOURG, 1er août 2004"), iso_date("31 June 2004"), iso_date("2004-08-01")
    ('2004-08-01', '', '2004-08-01')
    """
    iso = re.match(r"\s*(\d{4})-(\d{2})-(\d{2})\b", words)
    match = None if iso else DAY.search(words)
    if iso:
        year, month, day = (int(part) for part in iso.groups())
    elif match and match[2].lower() in MONTHS:
        year, month, day = int(match[3]), MONTHS[match[2].lower()], int(match[1])
    else:
        return ""
    try:
        return Date(year, month, day).isoformat()
    except ValueError:
        return ""


class KnownCases:
    """Cases by number and by name. Cases may share both: each keeps its key."""

    def __init__(self, cases: Iterable[KnownCase]) -> None:
        self.cases = {case.key: case for case in cases}
        self._by_number: dict[str, list[str]] = defaultdict(list)
        self._by_name: dict[tuple[str, ...], list[str]] = defaultdict(list)
        self._by_applicant: dict[tuple[str, ...], list[str]] = defaultdict(list)
        for case in self.cases.values():
            for number in dict.fromkeys(case.application_numbers):
                self._by_number[number].append(case.key)
            self._by_name[tuple(words_of(case.title))].append(case.key)
            self._by_applicant[tuple(words_of(applicant_of(case.title)))].append(case.key)

    def meant(self, citation: CaseCitation, citing: KnownCase) -> tuple[str, ...]:
        """The keys of the known cases that a citation may mean: earlier than the citing case, and not that case itself.

        A number decides, where there is one; then the whole name; a name without a country only with the judgment's
        date. Of several the date of the citation chooses. Whatever shares a number with the citing case is the same
        case in another version. Cases without a date, on either side, mean nothing: earlier cannot be told.
        """
        if not citing.date:
            return ()
        if citation.application_numbers:
            keys = [key for number in citation.application_numbers for key in self._by_number.get(number, ())]
        elif citation.name and _is_versus(citation.name):
            keys = self._by_name.get(tuple(words_of(citation.name)), [])
        elif citation.name and citation.date:
            applicants = self._by_applicant.get(tuple(words_of(citation.name)), [])
            keys = [key for key in applicants if self.cases[key].date == citation.date]
        else:
            keys = []
        own = set(citing.application_numbers)
        earlier = [
            key
            for key in dict.fromkeys(keys)
            if key != citing.key
            and "" < self.cases[key].date < citing.date
            and not own.intersection(self.cases[key].application_numbers)
        ]
        return tuple([key for key in earlier if citation.date and self.cases[key].date == citation.date] or earlier)


def edges(found: Iterable[CaseCitation], citing: KnownCase, known: KnownCases) -> tuple[Edge, ...]:
    """The citations of a case that mean known cases, with those they may mean."""
    edges = (Edge(citation, known.meant(citation, citing)) for citation in found)
    return tuple(edge for edge in edges if edge.targets)


VERSUS = re.compile(r"\s\[?(?:v|c)\.?\s+", re.I)


def _is_versus(name: str) -> bool:
    return bool(VERSUS.search(name))


def applicant_of(name: str) -> str:
    return VERSUS.split(name, maxsplit=1)[0]


def words_of(name: str) -> list[str]:
    """A name's words for comparing: without case, accents, points, "the", and how the parties are joined.

    >>> words_of("The Ağ Co. v. the Netherlands (No. 2)"), words_of("AG CO. v. NETHERLANDS (no. 2)")[:3]
    (['ag', 'co', 'v', 'netherlands', 'no', '2'], ['ag', 'co', 'v'])
    """
    plain = unicodedata.normalize("NFKD", name.replace("ı", "i").casefold())
    plain = "".join(letter for letter in plain if not unicodedata.combining(letter)).replace("ı", "i")
    words = re.findall(r"\w+", VERSUS.sub(" v ", plain))
    return [word for word in words if word not in ("the", "la", "le", "les")]
