"""Filters: FIELD=VALUE -> SQL over the passages p and their documents d, and the values it compares.

And the values that there are to choose from.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from rag.errors import UsageError
from rag.library import episodes
from rag.library.mentions.cited import country_key
from rag.library.schema import SHOWN

_DATE = " OR ".join(
    f"EXISTS (SELECT 1 FROM {table} e WHERE e.document_id = p.document_id "
    "AND e.date <> '' AND substr(e.date, 1, length(?)) {} ?)"  # 2023 is the year, 2023-02 the month
    for table in ("episodes", "cases")
)
_OF_CASE = "EXISTS (SELECT 1 FROM cases k WHERE k.document_id = p.document_id AND {})"
_CASE_FILTERS = {
    "part": "(p.part <> '' AND p.part = casefold(?))",
    "article": "EXISTS (SELECT 1 FROM case_articles a WHERE a.document_id = p.document_id "
    "AND (casefold(a.article) = ? OR substr(casefold(a.article), 1, length(?) + 2) = ? || ' §'))",
    "country": _OF_CASE.format("instr(' ' || k.country || ' ', ' ' || ? || ' ') > 0"),
    "importance": _OF_CASE.format("k.importance = CAST(? AS INTEGER)"),
    "court": _OF_CASE.format("k.court = casefold(?)"),
    "application_number": "EXISTS (SELECT 1 FROM case_numbers n WHERE n.document_id = p.document_id AND n.number = ?)",
    # by the number that it cites, or by the number or the id of a case that is here
    "cites": "p.document_id IN (SELECT c.document_id FROM citations c WHERE c.citation IN ("
    "SELECT citation FROM citation_numbers WHERE number = ? UNION ALL "
    "SELECT citation FROM citation_targets WHERE document_id = ? UNION ALL "
    "SELECT citation FROM citation_targets JOIN case_numbers USING (document_id) WHERE number = ?))",
}
PARTS = ("header", "procedure", "facts", "law", "operative", "opinion", "annex", "text")
NEW_IN_4 = {
    **episodes.FILTERS,
    **_CASE_FILTERS,
    "date": f"({_DATE.format('=', '=')})",
    "date>": f"({_DATE.format('>=', '>=')})",  # "date>=2023" is split at its first "="
    "date<": f"({_DATE.format('<=', '<=')})",
}
FILTERS = {
    "document_id": "p.document_id = ?",
    "title": "d.title = ?",
    "kind": "(p.kind = ? OR d.kind = ?)",
    "label": "lower(p.label) = lower(?)",
    "path": f"p.document_id IN (SELECT document_id FROM paths WHERE {SHOWN} = ? "
    "OR (substr(?, 1, 1) IN ('/', x'2f') AND path IN (?, stored_as(?))))",
    "page": "CAST(? AS INTEGER) BETWEEN p.first_page AND p.last_page",
    **NEW_IN_4,
}

# Field -> SQL for the values that documents of a library have in it: each leads to a passage. Nothing here reads the
# passages of anything but podcasts; a part of judgments is looked for until one passage has it.
VALUES = {
    "part": "SELECT k.kind FROM (SELECT DISTINCT kind FROM sections) k WHERE EXISTS (SELECT 1 FROM sections s "
    "JOIN passages p ON p.document_id = s.document_id AND p.part = s.kind WHERE s.kind = k.kind)",
    "article": "SELECT min(article) FROM case_articles GROUP BY casefold(article)",
    "date": "SELECT substr(date, 1, 4) FROM cases WHERE date <> '' UNION "  # years
    "SELECT substr(date, 1, 4) FROM episodes WHERE date <> ''",
    "country": "SELECT DISTINCT country FROM cases WHERE country <> ''",  # as cited.country_key has it
    "importance": "SELECT DISTINCT importance FROM cases WHERE importance BETWEEN 1 AND 4",
    "show": "SELECT min(show) FROM episodes WHERE show <> '' GROUP BY casefold(show)",
    "speaker": "SELECT min(words) FROM titles WHERE words <> '' AND title IN (SELECT s.value FROM episodes e "
    "CROSS JOIN passages p ON p.document_id = e.document_id "  # e first
    "CROSS JOIN json_each(p.speaker_titles) s) GROUP BY casefold(words)",
}
VALUES_4 = {  # where they differ in layout 4 (schema.py)
    "speaker": "SELECT min(s.value) FROM episodes e CROSS JOIN passages p ON p.document_id = e.document_id "
    "CROSS JOIN json_each(p.speakers) s WHERE s.value <> '' GROUP BY casefold(s.value)",
}


def where(filters: Sequence[str], layout: int) -> tuple[str, list[str]] | None:
    """The condition that all filters hold, and its values; None where nothing in a catalogue of this layout can.

    Raises UsageError for what is no filter.
    """
    clauses, values, possible = [], list[str](), True
    for text in filters:
        field, equals, value = text.partition("=")
        if not equals or field not in FILTERS:
            names = ", ".join(name for name in FILTERS if name[-1] not in "<>")
            raise UsageError(f"--filter {text}: write FIELD=VALUE with FIELD one of {names}; or date>=, date<=")
        if field.startswith("date") and not re.fullmatch(r"\d{4}(-\d\d(-\d\d)?)?", value):
            raise UsageError(f"--filter date: {value!r} is no date. Write 2023, 2023-02 or 2023-02-27")
        value = filter_value(field, value)
        possible &= layout >= 4 or field not in NEW_IN_4
        clause = episodes.FILTERS_4.get(field, FILTERS[field]) if layout == 4 else FILTERS[field]
        clauses.append(clause)
        values += [value] * clause.count("?")
    return (" AND ".join(clauses), values) if possible else None


def filter_value(field: str, value: str) -> str:
    """What FILTERS compares. Raises UsageError for what cannot be meant.

    >>> filter_value("article", "6 § 1"), filter_value("article", "P1-1"), filter_value("country", "the Netherlands")
    ('article 6 § 1', 'article 1 of protocol no. 1', 'netherlands')
    """
    if field == "country":
        return country_key(value)
    if field == "importance" and value not in ("1", "2", "3", "4"):
        raise UsageError(f"--filter importance={value}: write a number from 1 (a key case) to 4")
    if field == "part" and value.casefold() not in PARTS:
        raise UsageError(f"--filter part={value}: the parts of a judgment are {', '.join(PARTS)}")
    if field == "article":
        words = " ".join(value.split()).casefold().removeprefix("article ")
        protocol = re.fullmatch(r"p(\d+)-(\d+)", words)
        return f"article {protocol[2]} of protocol no. {protocol[1]}" if protocol else f"article {words}"
    return value
