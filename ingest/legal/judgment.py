"""The text of a judgment -> its structure: title, parties, sections, numbered paragraphs, notes, what it decides.

All offsets count code points of the given text, and are half-open.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from ingest.legal.citations import application_numbers, citations
from ingest.legal.courts import Court
from ingest.legal.html_text import plain
from ingest.legal.judgment_sections import sections_of
from ingest.legal.numbered_paragraphs import numbered_paragraphs
from ingest.legal.operative_part import articles_in, findings
from rag import bounds
from rag.bounds import shortened
from rag.document import Case, Footnote, Section
from rag.errors import DocumentError
from rag.library.mentions.cited import iso_date

NUMBERED = ("text", "procedure", "facts", "law")  # the sections that share one series of paragraph numbers
NOTE = re.compile(r"^[ \t\xa0]*\[(\d{1,4})\]\.?(?=\s)", re.M)
ALLEGED = re.compile(r"^.{0,12}\b(?:ALLEGED VIOLATIONS?|VIOLATIONS? ALLÉGUÉES?) (?:OF|DE) .*$", re.M)
DATE_LINE = re.compile(r"^[ \t\xa0]*(\d{1,2}(?:er)?\s+\w+\s+\d{4})[ \t\xa0]*$", re.M)
NO_HEADINGS = "no headings were found: the whole text is one section"
NO_OPERATIVE = "no operative part was found: what was decided is not known; the judgment may be cut off"
NO_DATE = "no date was found: it cannot be compared with earlier and later cases"


def read_judgment(text: str, court: Court) -> Case:
    """The structure of a judgment's text. Takes time in proportion to its length; never raises for odd texts.

    Headings, an operative part or a date that cannot be found are warnings.
    """
    sections = sections_of(text, court)
    body = [section for section in sections if section.kind in NUMBERED]
    operative = next((section for section in sections if section.kind == "operative"), None)
    outcome = findings(text, operative.start, operative.end) if operative else ()
    header = text[: min(5_000, sections[0].end if sections else 0)]
    title, parties = _title(header, court)
    law = "\n".join(text[section.start : section.end] for section in body)
    alleged = [article for line in ALLEGED.finditer(law) for article in articles_in(line[0])]
    date = next((iso_date(match[1]) for match in DATE_LINE.finditer(header)), "")
    return Case(
        court.name,
        title,
        parties,
        _own_numbers(header, court),
        date,
        None,
        tuple(dict.fromkeys([*(finding.article for finding in outcome), *alleged]))[: bounds.ARTICLES],
        sections,
        numbered_paragraphs(text, body, court),
        _notes(text, sections),
        citations(text, court.citations),
        outcome,
        _warnings(sections, date),
    )


def of_record(record: Mapping[str, Any], court: Court) -> tuple[str, Case]:
    """(text, case) of a record in the layout of the corpus "Mining Legal Arguments".

    Title, application numbers, date and importance are the record's, within bounds.py; sections and findings are read
    from its field `text`. Raises DocumentError for a record without text, or with a field of another type.
    """
    text, named = record.get("text"), shortened(str(record.get("itemid", "a record")), bounds.NAME)
    if not isinstance(text, str) or not text.strip():
        raise DocumentError(f"{named}: no text in its field text. Leave it out, or fix it")
    text = plain(text)
    case = read_judgment(text, court)
    title, date, importance = (record.get(name) for name in ("title", "date", "importance"))
    numbers = record.get("application_numbers") or []
    if not isinstance(numbers, list) or not all(isinstance(number, str) for number in numbers):
        raise DocumentError(f"{named}: application_numbers is not a list of texts. Mend it")
    if isinstance(title, str) and title.strip():
        title = " ".join(title.split())
        case = replace(case, title=shortened(title, bounds.TITLE), parties=_parties(title))
    if isinstance(date, str) and iso_date(date):
        warnings = tuple(warning for warning in case.warnings if warning != NO_DATE)
        case = replace(case, date=iso_date(date), warnings=warnings)
    if isinstance(importance, int) and not isinstance(importance, bool) and 1 <= importance <= 4:
        case = replace(case, importance=importance)
    numbers = tuple(shortened(number, bounds.NAME) for number in numbers[: bounds.NUMBERS])
    return text, replace(case, application_numbers=numbers) if numbers else case


def _warnings(sections: Sequence[Section], date: str) -> tuple[str, ...]:
    kinds = {section.kind for section in sections}
    found = {
        NO_HEADINGS: kinds <= {"text"},
        NO_OPERATIVE: "operative" not in kinds and not kinds <= {"text"},
        NO_DATE: not date,
    }
    return tuple(warning for warning, holds in found.items() if holds)


def _title(header: str, court: Court) -> tuple[str, tuple[str, str]]:
    match = court.case_name.search(header)
    title = " ".join(match["name"].split()).rstrip(" ,") if match else ""
    return shortened(title, bounds.TITLE), _parties(title)


def _parties(title: str) -> tuple[str, str]:
    """
    >>> _parties("A. AND OTHERS v. COUNTRY")
    ('A. AND OTHERS', 'COUNTRY')
    """
    parts = re.split(r"\s+(?:v\.?|c\.)\s+", " ".join(title.split()), maxsplit=1)
    applicant, respondent = parts if len(parts) == 2 else ("", "")
    return shortened(applicant, bounds.TITLE), shortened(respondent, bounds.TITLE)


def _own_numbers(header: str, court: Court) -> tuple[str, ...]:
    for match in court.own_numbers.finditer(header):
        if numbers := court.citations.numbers.match(header, match.end()):
            return tuple(dict.fromkeys(application_numbers(numbers[0], court.citations)))[: bounds.NUMBERS]
    return ()


def _notes(text: str, sections: Sequence[Section]) -> tuple[Footnote, ...]:
    """The footnotes at the end, each with its mark at the beginning of a line; those of a quotation are elsewhere."""
    tail = max(
        (section.start for section in sections if section.kind in ("operative", "opinion", "annex")), default=None
    )
    if tail is None:
        tail = sections[-1].start if sections else 0
    marks = list(NOTE.finditer(text, tail))
    ends = [mark.start() for mark in marks[1:]] + [len(text)] * bool(marks)
    return tuple(
        Footnote(int(mark[1]), mark.start(), mark.start() + len(text[mark.start() : end].rstrip()))
        for mark, end in zip(marks, ends, strict=True)
    )
