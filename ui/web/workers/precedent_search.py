"""Precedents of a new text: what the page asks for, and the search within its filters. No Gradio here."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from ingest.chunk import chunk
from ingest.legal.case_files import case_of
from ingest.legal.html_text import plain
from ingest.plain_text import BAD
from rag.document import Document, Page
from rag.errors import UsageError
from rag.index.manager import Indexes
from rag.legal.casebook import Parts, new_case, open_parts, open_precedents
from rag.legal.court_cases import FIELDS, CourtCase, Field, candidates, undated
from rag.legal.precedents import DEFAULT, Precedents
from rag.legal.section_index import SectionIndex
from rag.library.mentions.cited import iso_date
from rag.records import Hit
from rag.settings import Ingest
from ui.web.panels import filter_choices as filters
from ui.web.panels.filter_choices import Choice
from ui.wording import many, printable

SHOWN = 10
LONGEST = 1_000_000  # characters of a text: more than any judgment of the European Court of Human Rights has


@dataclass(frozen=True, slots=True)
class PrecedentQuery:
    """A new text, which section of earlier judgments it is compared with, and which of them are searched.

    `before`: they are dated before it, YYYY, YYYY-MM or YYYY-MM-DD; "": of any date. `chosen`: see filter_choices.py.
    """

    text: str
    field: Field = "both"
    before: str = ""
    chosen: Choice = ()


@dataclass(frozen=True, slots=True)
class PrecedentResults:
    """The hits with the title and date of each one's judgment, best first, out of how many that were searched.

    `notes`: what was not searched, and why; "" where there is no such thing.
    """

    query: PrecedentQuery
    hits: tuple[tuple[Hit, str, str], ...]
    searched: int
    notes: Sequence[str]


def precedent_query(text: str, field: str, before: str, chosen: Choice = ()) -> PrecedentQuery:
    """The query that was filled in. Raises UsageError, with what to write instead.

    >>> precedent_query(" The mill was closed. ", "law", "2010-05")
    PrecedentQuery(text='The mill was closed.', field='law', before='2010-05', chosen=())
    """
    text, before = BAD.sub(" ", plain(text)).strip(), before.strip()
    if not re.search(r"\w", text):
        raise UsageError("there is no text. Paste the facts of the new case")
    if len(text) > LONGEST:
        raise UsageError(f"the text has {len(text):,} characters; {LONGEST:,} is the most. Paste the facts alone")
    known = next((name for name in FIELDS if name == field), None)
    if known is None:
        raise UsageError(f"{printable(field)!r} is no part of a judgment. Choose one of {', '.join(FIELDS)}")
    whole = re.fullmatch(r"[0-9]{4}(-[0-9]{2}){0,2}", before)
    if before and not (whole and iso_date(before + "-01-01"[len(before) - 4 :])):
        raise UsageError(f"{printable(before)!r} is no date. Write 2023, 2023-02 or 2023-02-27")
    return PrecedentQuery(text, known, before, tuple(chosen))


@dataclass(frozen=True)
class FilteredParts(Parts):
    """Only some cases are searched: the others keep their numbers, and have no text to be found by."""

    kept: frozenset[str] = frozenset()

    def search(self, cases: Sequence[CourtCase], sections: SectionIndex) -> Precedents:
        searched = [case if case.case_id in self.kept else replace(case, parts={}) for case in cases]
        return super().search(searched, sections)


def find(query: PrecedentQuery, indexes: Indexes) -> PrecedentResults:
    """The precedents of a text. Raises UsageError where there is nothing to search, and as open_parts and
    open_precedents."""
    library, settings = indexes.library, indexes.settings.ingest
    known = {case.key: case for case in library.cases()}
    if not known:
        raise UsageError("there are no judgments in this library. Add some first")
    new = replace(_read(query.text, settings), date=query.before)  # a day in its text need not be its own
    if not new.passages("facts"):
        raise UsageError("this text has a judgment's headings, and no facts under them. Paste the facts alone")
    kept = filters.kept(library, known, query.chosen)
    parts = open_parts(indexes, DEFAULT)
    within_filters = FilteredParts(nearest=parts.nearest, numbers=parts.numbers, kept=frozenset(kept))
    with open_precedents(library, within_filters) as (searching, cases):
        hits = searching.search(new, SHOWN, "facts", query.field)
    eligible = [case.case_id for case in candidates(new, cases) if case.passages("both")]
    within = kept.intersection(eligible)
    dated = f" dated before {query.before}" if query.before else ""
    if not eligible:
        raise UsageError(f"this library has no other judgment{dated} with facts or law. Change the date, or add some")
    if not within:
        words = filters.words_of(filters.of_cases(query.chosen))
        raise UsageError(f"no judgment{dated} is within: {words}. Change the filters, or clear them")
    if not hits:
        raise UsageError("no word of this text is in the judgments searched. Paste more of the facts")
    dateless = len(undated(new, cases))
    notes = (
        filters.left_out(len(eligible) - len(within), query.chosen),
        f"Left out because no date is known: {many(dateless, 'judgment')}." if dateless else "",
    )
    titled = [(hit, known[hit.passage.document_id]) for hit in hits]
    return PrecedentResults(query, tuple((hit, case.title, case.date) for hit, case in titled), len(within), notes)


def _read(text: str, settings: Ingest) -> CourtCase:
    """A text as ingestion would read a judgment; nothing of it is kept."""
    document = Document("", "legal", "", text, (Page(1, 0, len(text)),), case=(case := case_of(text)))
    return new_case(case, chunk(document, settings.passage_tokens, settings.overlap_tokens))
