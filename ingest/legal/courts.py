"""Profiles of courts: how each court's judgments are headed, numbered and cited, from courts.toml."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files as package_files
from importlib.resources.abc import Traversable
from typing import Any

from rag.errors import DataError

PROFILES: Traversable = package_files("ingest.legal").joinpath("courts.toml")
OPENING = 5_000  # characters in which a judgment says whose it is
SECTION_KINDS = ("procedure", "facts", "law", "operative", "opinion", "annex")  # of sections that have a heading


@dataclass(frozen=True, slots=True)
class CitationStyle:
    """How a court's cases are cited: see courts.toml. Without `versus` the pattern `before` finds a name and number."""

    number: re.Pattern[str]
    numbers: re.Pattern[str]  # one or several: "1/01, 2/01 and 3/01"
    pinpoint: re.Pattern[str]
    introduction: re.Pattern[str] | None = None
    foreign: re.Pattern[str] | None = None
    versus: re.Pattern[str] | None = None  # with the respondents behind it, as the group `respondent`
    before: re.Pattern[str] | None = None


@dataclass(frozen=True, slots=True)
class Court:
    """One court's profile. `headings`: kind of section -> the pattern of a whole line that heads it."""

    name: str
    title: str
    sign: re.Pattern[str]
    case_name: re.Pattern[str]
    own_numbers: re.Pattern[str]
    paragraph: re.Pattern[str]
    citations: CitationStyle
    headings: Mapping[str, re.Pattern[str]] = field(default_factory=dict)


def read_courts(file: Traversable = PROFILES) -> dict[str, Court]:
    """The courts of a profile file by name, in its order. Raises DataError naming the court and entry that is wrong."""
    try:
        tables = tomllib.loads(file.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise DataError(f"{file.name}: not a profile of courts: {error}. Mend it") from error
    return {name: _court(name, table, file.name) for name, table in tables.items()}


def court_of(text: str, courts: Mapping[str, Court]) -> Court:
    """The court whose sign stands first in the opening of a judgment; where there is none, the first court.

    >>> court_of("JUDGMENT OF THE COURT (Grand Chamber)", read_courts()).name
    'cjeu'
    """
    opening = text[:OPENING]
    found = [
        (match.start(), index) for index, court in enumerate(courts.values()) if (match := court.sign.search(opening))
    ]
    return list(courts.values())[min(found)[1] if found else 0]


def _court(name: str, table: Any, file: str) -> Court:
    def pattern(of: Mapping[str, Any], entry: str) -> re.Pattern[str]:
        value = of.get(entry) if isinstance(of, dict) else None
        if not isinstance(value, str):
            raise DataError(f"{file}: {name} has no text as its {entry}. Give one")
        return compiled(value, entry)

    def compiled(value: str, entry: str) -> re.Pattern[str]:
        try:
            return re.compile(value)
        except re.error as error:
            raise DataError(f"{file}: {name}: {entry} is not a regular expression: {error}. Mend it") from error

    def optional(entry: str) -> re.Pattern[str] | None:
        return pattern(style, entry) if entry in style else None

    if not isinstance(table, dict) or not isinstance(table.get("title"), str):
        raise DataError(f"{file}: {name} is not a court with a title. Give it one")
    headings, style = table.get("headings", {}), table.get("citations", {})
    if unknown := set(headings) - set(SECTION_KINDS):
        raise DataError(f"{file}: {name}: {min(unknown)} is no kind of section. The kinds: {', '.join(SECTION_KINDS)}")
    number = pattern(style, "number").pattern
    versus = optional("versus")
    if versus:
        versus = compiled(f"{versus.pattern}(?P<respondent>{_respondents(style.get('respondents', []))})", "versus")
    return Court(
        name,
        table["title"],
        pattern(table, "sign"),
        pattern(table, "name"),
        pattern(table, "own"),
        compiled(rf"(?:^|(?<=\n))[ \t\xa0]*{pattern(table, 'paragraph').pattern}", "paragraph"),
        CitationStyle(
            re.compile(number),
            compiled(rf"{number}(?:(?:\s*,\s*(?:and\s+|et\s+)?|\s*;\s*|\s+(?:and|et|&)\s+){number})*", "number"),
            pattern(style, "pinpoint"),
            optional("introduction"),
            optional("foreign"),
            versus,
            optional("before"),
        ),
        {kind: compiled("|".join(f"(?:{line})" for line in lines), kind) for kind, lines in headings.items()},
    )


def _respondents(names: Sequence[str]) -> str:
    """One state or several; spaces may be line breaks; none named: whatever begins with a capital."""
    if not names:
        return r"[A-Z][\w.’'-]*(?:\s+[A-Z][\w.’'-]*){0,5}"
    one = "|".join(
        re.escape(name).replace(r"\ ", r"\s+") for name in sorted(set(names), key=lambda name: (-len(name), name))
    )
    one = rf"(?:(?i:the\s+|la\s+|le\s+|les\s+|l[’'])?(?i:{one})\b)"
    return rf"{one}(?:\s+(?:and|et|AND|ET)\s+{one})*"
