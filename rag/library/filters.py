"""Filters: FIELD=VALUE -> SQL over the passages p and their documents d, and the values it compares.

And the values that there are to choose from.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from rag.errors import UsageError
from rag.library import cases, episodes
from rag.library.schema import SHOWN

_DATE = " OR ".join(
    f"EXISTS (SELECT 1 FROM {table} e WHERE e.document_id = p.document_id "
    "AND e.date <> '' AND substr(e.date, 1, length(?)) {} ?)"  # 2023 is the year, 2023-02 the month
    for table in ("episodes", "cases")
)
NEW_IN_4 = {
    **episodes.FILTERS,
    **cases.FILTERS,
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
    "country": "SELECT DISTINCT country FROM cases WHERE country <> ''",  # as cases.country_key has it
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
        value = cases.filter_value(field, value)
        possible &= layout >= 4 or field not in NEW_IN_4
        clause = episodes.FILTERS_4.get(field, FILTERS[field]) if layout == 4 else FILTERS[field]
        clauses.append(clause)
        values += [value] * clause.count("?")
    return (" AND ".join(clauses), values) if possible else None
