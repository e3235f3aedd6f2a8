"""The filters that the page offers, and words for those that are chosen. No Gradio here.

A choice is what each of FIELDS is set to, in their order; "" (or None) where a field is left open.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from rag.library.catalogue import Library
from ui.web.panels.judgment_panel import IMPORTANCE, NAMES
from ui.wording import many, printable

Choice = Sequence[str | None]


@dataclass(frozen=True, slots=True)
class FilterField:
    """A filter of the page: what it is called, its name in rag.library.filters.FILTERS, and its values' in VALUES."""

    label: str
    name: str
    values: str

    @property
    def typed(self) -> bool:
        """Whether it is typed: of days only the years are known here."""
        return self.values == "date"


FIELDS = (
    FilterField("Section", "part", "part"),
    FilterField("Article", "article", "article"),
    FilterField("From", "date>", "date"),
    FilterField("To", "date<", "date"),
    FilterField("Respondent state", "country", "country"),
    FilterField("Importance", "importance", "importance"),
    FilterField("Show", "show", "show"),
    FilterField("Speaker", "speaker", "speaker"),
)
MARK = {"show": "show ", "speaker": "said by "}  # what stands before a value that does not say what it is
OF_CASES = ("article", "date>", "date<", "country", "importance")  # what a whole judgment has


class FilterChoices:
    """The values that there are to choose from, read again only when the library has changed. For any thread."""

    def __init__(self, library: Library):
        self._library = library
        self._lock = threading.Lock()
        self._generation = -1
        self._choices: list[list[tuple[str, str]]] = []

    def choices(self) -> list[list[tuple[str, str]]]:
        """Of each of FIELDS its (name, value) in a sensible order; [] for one that this library cannot serve."""
        with self._lock:
            generation = self._library.generation
            if generation != self._generation:
                self._choices = [self._of(field) for field in FIELDS]
                self._generation = generation
            return self._choices

    def _of(self, field: FilterField) -> list[tuple[str, str]]:
        values = sorted(self._library.values(field.values), key=lambda value: _order(field, value))
        return [(name_of(field, value), value) for value in values]


def name_of(field: FilterField, value: str) -> str:
    """The name of a value, for people.

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


def _order(field: FilterField, value: str) -> tuple[object, ...]:
    """Sections as they stand in a judgment, articles of the Convention before those of protocols, the rest by name."""
    if field.name == "part":
        return (list(NAMES).index(value),)
    if field.name == "article":
        numbers = [int(number) for number in re.findall(r"\d+", value)]
        protocol = "protocol" in value.casefold()
        return (protocol, numbers[::-1] if protocol else numbers, value)
    return (value.casefold(), value)


def filters_of(chosen: Choice) -> tuple[str, ...]:
    """As Library.select takes them.

    >>> filters_of(("law", "", "2010", None))
    ('part=law', 'date>=2010')
    """
    return tuple(f"{field.name}={value}" for field, value in _set(chosen))


def _set(chosen: Choice) -> list[tuple[FilterField, str]]:
    pairs = zip(FIELDS, chosen, strict=False)
    return [(field, value.strip()) for field, value in pairs if value and value.strip()]


def words_of(chosen: Choice) -> str:
    """The part of the library that is searched, for people; "" for all of it.

    >>> words_of(("law", "Article 8", "2010", "2015", "russia", "", "", "Ada Lind"))
    'The law, Article 8, 2010 to 2015, Russia, said by Ada Lind'
    >>> words_of(("", "", "2010")), words_of(("", "", "", "2015", "", "1"))
    ('from 2010', 'until 2015, importance: key case (1 of 4)')
    """
    names = {field.name: name_of(field, value) for field, value in _set(chosen)}
    begin, end = names.get("date>"), names.get("date<")
    days = f"{begin} to {end}" if begin and end else f"from {begin}" if begin else f"until {end}" if end else ""
    importance = f"importance: {names['importance']}" if "importance" in names else ""
    rest = (f"{MARK[name]}{names[name]}" if name in names else "" for name in MARK)
    return ", ".join(
        filter(None, (names.get("part"), names.get("article"), days, names.get("country"), importance, *rest))
    )


# -- judgments ---------------------------------------------------------------------------------------------------------


def of_cases(chosen: Choice) -> list[str | None]:
    """A choice without what no whole judgment has: a section, a show, a speaker.

    >>> of_cases(("law", "Article 8", "2010"))
    ['', 'Article 8', '2010']
    """
    return [value if field.name in OF_CASES else "" for field, value in zip(FIELDS, chosen, strict=False)]


def kept(library: Library, document_ids: Collection[str], chosen: Choice) -> set[str]:
    """The judgments among these that pass the filters. Raises UsageError for a filter that is no date."""
    numbers = library.select(filters_of(of_cases(chosen)))
    if numbers is None:
        return set(document_ids)
    within, firsts = set(numbers), library.first_passages(list(document_ids))  # any passage passes if its judgment does
    places = library.numbers_of(list(firsts))
    return {passage.document_id for name, passage in firsts.items() if places.get(name) in within}


def left_out(count: int, chosen: Choice) -> str:
    """
    >>> left_out(2, ("law", "Article 8")), left_out(0, ("", "Article 8"))
    ('Left out by the filters (Article 8): 2 judgments.', '')
    """
    return f"Left out by the filters ({words_of(of_cases(chosen))}): {many(count, 'judgment')}." if count else ""
