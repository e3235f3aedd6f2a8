"""Which known cases a citation means: by number, by "Name v. Country", or by name and date.

A number or a name that more than MOST_BEARERS cases have means none of them: else thousands of judgments of one number
that cite it would be linked with each other, and each new one would be compared with all of them.
"""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date as Date

from rag.document import CaseCitation

MONTHS = {
    month: number
    for months in (
        "january february march april may june july august september october november december",
        "janvier février mars avril mai juin juillet août septembre octobre novembre décembre",
    )
    for number, month in enumerate(months.split(), start=1)
}
MOST_BEARERS = 50  # of a name also those of one date; versions and translations of one case are a few
DAY = re.compile(r"\b(\d{1,2})(?:er)?\s+([^\W\d_]+)\s+(\d{4})\b")


@dataclass(frozen=True, slots=True)
class KnownCase:
    """A case that may be cited; `key` tells it from all others, versions of one case among them."""

    key: str
    title: str
    application_numbers: tuple[str, ...]
    date: str  # YYYY-MM-DD; "" where none is known


@dataclass(frozen=True, slots=True)
class CitationEdge:
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


# A citation's key of cases: ("number", an application number), ("name", the words of "Name v. Country"), or
# ("applicant", the words of a name without a country).
Key = tuple[str, str]
# (kind and words of a key, date) -> the cases that have it: with this date, or with any where it is "".
BearersOf = Callable[[str, str, str], Sequence[KnownCase]]


def keys_of(citation: CaseCitation) -> list[Key]:
    """By what a citation names cases: its numbers; else its name, which without a country needs the judgment's date."""
    if citation.application_numbers:
        return [("number", number) for number in citation.application_numbers]
    if citation.name and _is_versus(citation.name):
        return [("name", " ".join(words_of(citation.name)))]
    if citation.name and citation.date:
        return [("applicant", " ".join(words_of(citation.name)))]
    return []


def targets_of(citation: CaseCitation, citing: KnownCase, bearers_of: BearersOf) -> tuple[str, ...]:
    """The keys of the cases that a citation may mean: earlier than the citing case, and not that case itself.

    Of several cases with its number or name the date of the citation chooses. Whatever shares a number with the citing
    case is the same case in another version. Cases without a date, on either side, mean nothing, since nobody knows
    which is earlier. `bearers_of` gives no cases for a number, a name, or a name and date that more than MOST_BEARERS
    have.
    """
    if not citing.date:
        return ()
    candidates: dict[str, KnownCase] = {}
    for kind, words in keys_of(citation):
        dates = {"number": [""], "name": [citation.date, ""], "applicant": [citation.date]}[kind]
        for date in dict.fromkeys(dates):
            candidates.update((case.key, case) for case in bearers_of(kind, words, date))
    own = set(citing.application_numbers)
    earlier = [
        case
        for case in candidates.values()
        if case.key != citing.key and "" < case.date < citing.date and own.isdisjoint(case.application_numbers)
    ]
    of_date = [case for case in earlier if case.date == citation.date]
    return tuple(case.key for case in of_date or earlier)


class KnownCases:
    """Cases in memory by number and by name. Cases may share both: each keeps its key."""

    def __init__(self, cases: Iterable[KnownCase]) -> None:
        self.cases = {case.key: case for case in cases}
        self._bearers: dict[tuple[str, str, str], list[KnownCase]] = defaultdict(list)
        for case in self.cases.values():
            name, applicant = (" ".join(words_of(words)) for words in (case.title, applicant_of(case.title)))
            keys = [("number", number, "") for number in case.application_numbers]
            keys += [("name", name, ""), ("name", name, case.date), ("applicant", applicant, case.date)]
            for key in dict.fromkeys(keys):
                self._bearers[key].append(case)

    def meant(self, citation: CaseCitation, citing: KnownCase) -> tuple[str, ...]:
        """As targets_of, of these cases."""
        return targets_of(citation, citing, self._bearers_of)

    def _bearers_of(self, kind: str, words: str, date: str) -> Sequence[KnownCase]:
        bearers = self._bearers.get((kind, words, date), ())
        return bearers if len(bearers) <= MOST_BEARERS else ()


def edges(found: Iterable[CaseCitation], citing: KnownCase, known: KnownCases) -> tuple[CitationEdge, ...]:
    """The citations of a case that mean known cases, with those they may mean."""
    edges = (CitationEdge(citation, known.meant(citation, citing)) for citation in found)
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


def country_key(respondent: str) -> str:
    """The words of a respondent for comparing: without what tells cases of one name apart."""
    return " ".join(words_of(re.sub(r"\((?:no|n°)\.?\s*\d+\)", "", respondent, flags=re.I)))
