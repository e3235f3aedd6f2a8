"""What of the library is searched: the filters that the page offers, and words for those chosen. No Gradio here.

A choice is what each of FIELDS is set to, in their order; "" (or None) where a field is left open.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from rag.library.catalogue import Library
from ui.render import many, printable
from ui.web.panels.judgment_panel import IMPORTANCE, NAMES

Choice = Sequence[str | None]
ANY = ("any", "")


@dataclass(frozen=True, slots=True)
class Field:
    """A filter of the page: what it is called, its name in rag.library.filters.FILTERS, and its values' in VALUES."""

    label: str
    name: str
    values: str

    @property
    def typed(self) -> bool:
        """Whether it is typed: of days only the years are known here."""
        return self.values == "date"


FIELDS = (
    Field("Section", "part", "part"),
    Field("Article", "article", "article"),
    Field("From", "date>", "date"),
    Field("To", "date<", "date"),
    Field("Respondent state", "country", "country"),
    Field("Importance", "importance", "importance"),
    Field("Show", "show", "show"),
    Field("Speaker", "speaker", "speaker"),
)
MARK = {"show": "show ", "speaker": "said by "}  # what stands before a value that does not say what it is
OF_CASES = ("article", "date>", "date<", "country", "importance")  # what a whole judgment has


class Offer:
    """The values that there are to choose from: looked up anew only when the library has changed."""

    def __init__(self, library: Library):
        self._library = library
        self._known: tuple[int, list[list[tuple[str, str]]]] = (-1, [])

    def choices(self) -> list[list[tuple[str, str]]]:
        """Of each of FIELDS its (name, value) in a sensible order; [] for one that this library cannot serve."""
        generation = self._library.generation
        if self._known[0] != generation:
            self._known = generation, [self._of(field) for field in FIELDS]
        return self._known[1]

    def _of(self, field: Field) -> list[tuple[str, str]]:
        values = sorted(self._library.values(field.values), key=lambda value: _order(field, value))
        return [(name_of(field, value), value) for value in values]


def name_of(field: Field, value: str) -> str:
    """What a value is called.

    >>> name_of(FIELDS[0], "law"), name_of(FIELDS[4], "republic of moldova"), name_of(FIELDS[5], "1")
    ('The law', 'Republic of Moldova', 'key case (1 of 4)')
    """
    if field.name == "part":
        return NAMES.get(value, value)
    if field.name == "country":
        return re.sub(r"\b(?!(?:and|of|the)\b)\w", lambda first: first[0].upper(), value)
    if field.name == "importance" and value.isdecimal():
        return IMPORTANCE.get(int(value), value)
    return printable(value)


def _order(field: Field, value: str) -> tuple[object, ...]:
    """Sections as they stand in a judgment, articles of the Convention before those of protocols, the rest by name."""
    if field.name == "part":
        return (list(NAMES).index(value),)
    if field.name == "article":
        numbers = [int(number) for number in re.findall(r"\d+", value)]
        protocol = "protocol" in value.casefold()
        return (protocol, numbers[::-1] if protocol else numbers, value)
    return (value.casefold(), value)


def where_to(chosen: Choice) -> str:
    """What the list of filters is called while it is folded."""
    return f"Search in: {words_of(chosen) or 'everything'}"


def control(field: Field, value: str | None, choices: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """What its control is to show that is set to a value: nothing chosen if that is gone, or else what it has."""
    gone = bool(value) and value not in {known for _, known in choices}
    offered: dict[str, Any] = {"choices": [ANY, *choices]}
    if field.typed:
        gone, offered = not choices, {"placeholder": _bound(field, choices)}
    return {**offered, **({"value": ""} if gone else {})}


def _bound(field: Field, years: Sequence[tuple[str, str]]) -> str:
    """How to type a time's beginning, in the first year that there is, or its end, in the last."""
    if not years:
        return ""
    year, day = (min(years), "01-01") if field.name == "date>" else (max(years), "12-31")
    return f"{year[0]} or {year[0]}-{day}"


def filters_of(chosen: Choice) -> tuple[str, ...]:
    """As Library.select takes them.

    >>> filters_of(("law", "", "2010", None))
    ('part=law', 'date>=2010')
    """
    return tuple(f"{field.name}={value}" for field, value in _set(chosen))


def _set(chosen: Choice) -> list[tuple[Field, str]]:
    pairs = zip(FIELDS, chosen, strict=False)
    return [(field, value.strip()) for field, value in pairs if value and value.strip()]


def words_of(chosen: Choice) -> str:
    """What is searched, for people; "" where that is all of the library.

    >>> words_of(("law", "Article 8", "2010", "2015", "russia", "", "", "Ada Lind"))
    'The law, Article 8, 2010 to 2015, Russia, said by Ada Lind'
    >>> words_of(("", "", "2010")), words_of(("", "", "", "2015", "", "1"))
    ('from 2010', 'until 2015, importance: key case (1 of 4)')
    """
    said = {field.name: name_of(field, value) for field, value in _set(chosen)}
    begin, end = said.get("date>"), said.get("date<")
    days = f"{begin} to {end}" if begin and end else f"from {begin}" if begin else f"until {end}" if end else ""
    importance = f"importance: {said['importance']}" if "importance" in said else ""
    rest = (f"{MARK[name]}{said[name]}" if name in said else "" for name in MARK)
    return ", ".join(
        filter(None, (said.get("part"), said.get("article"), days, said.get("country"), importance, *rest))
    )


# -- judgments ---------------------------------------------------------------------------------------------------------


def of_cases(chosen: Choice) -> list[str | None]:
    """A choice without what no whole judgment has: a section, a show, a speaker.

    >>> of_cases(("law", "Article 8", "2010"))
    ['', 'Article 8', '2010']
    """
    return [value if field.name in OF_CASES else "" for field, value in zip(FIELDS, chosen, strict=False)]


def kept(library: Library, document_ids: Collection[str], chosen: Choice) -> set[str]:
    """Those of these judgments that a choice lets through. Raises UsageError for one that cannot be meant."""
    numbers = library.select(filters_of(of_cases(chosen)))
    if numbers is None:
        return set(document_ids)
    within, firsts = set(numbers), library.first_passages(list(document_ids))  # any passage tells for its judgment
    places = library.numbers_of(list(firsts))
    return {passage.document_id for name, passage in firsts.items() if places.get(name) in within}


def left_out(count: int, chosen: Choice) -> str:
    """
    >>> left_out(2, ("law", "Article 8")), left_out(0, ("", "Article 8"))
    ('Left out by the filters (Article 8): 2 judgments.', '')
    """
    return f"Left out by the filters ({words_of(of_cases(chosen))}): {many(count, 'judgment')}." if count else ""
