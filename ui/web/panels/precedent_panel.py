"""Precedents of a new text: what the page asks for, the search, and the panel of what was found. No Gradio here."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from ingest.chunk import chunk
from ingest.legal.case_files import case_of
from ingest.legal.judgment import plain
from ingest.podcast.transcript import BAD
from rag.errors import UsageError
from rag.index.manager import Indexes
from rag.legal.casebook import Parts, new_case, open_parts, open_precedents
from rag.legal.precedents import DEFAULT, FIELDS, CourtCase, Field, Precedents, SectionIndex, candidates, undated
from rag.library.cited import iso_date
from rag.records import Document, Hit, Page
from rag.settings import Ingest
from ui.render import many, place_text, printable
from ui.web.panels import filter_choices as filters
from ui.web.panels.filter_choices import Choice
from ui.web.panels.judgment_panel import by_year, escaped, opens, tabs

COMPARED = {"both": "facts and law", "facts": "facts", "law": "law"}  # a section of earlier judgments: for people
SHOWN = 10
LONGEST = 1_000_000  # characters of a text: more than any judgment of the European Court of Human Rights has
SNIPPET = 240  # characters of a passage


@dataclass(frozen=True, slots=True)
class Asked:
    """A new text, which section of earlier judgments it is compared with, and which of them are searched.

    `before`: they are dated before it, YYYY, YYYY-MM or YYYY-MM-DD; "": of any date. `chosen`: see filter_choices.py.
    """

    text: str
    field: Field = "both"
    before: str = ""
    chosen: Choice = ()


@dataclass(frozen=True, slots=True)
class Found:
    """The hits with the title and date of each one's judgment, best first, out of how many that were searched.

    `notes`: what was not searched, and why; "" where there is no such thing.
    """

    asked: Asked
    hits: tuple[tuple[Hit, str, str], ...]
    searched: int
    notes: Sequence[str]


def asked(text: str, field: str, before: str, chosen: Choice = ()) -> Asked:
    """What was filled in. Raises UsageError, with what to write instead.

    >>> asked(" The mill was closed. ", "law", "2010-05")
    Asked(text='The mill was closed.', field='law', before='2010-05', chosen=())
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
    return Asked(text, known, before, tuple(chosen))


@dataclass(frozen=True)
class Within(Parts):
    """Some cases alone are searched: the others keep their numbers, and have no text to be found by."""

    kept: frozenset[str] = frozenset()

    def search(self, cases: Sequence[CourtCase], sections: SectionIndex) -> Precedents:
        searched = [case if case.case_id in self.kept else replace(case, parts={}) for case in cases]
        return super().search(searched, sections)


def find(asked: Asked, indexes: Indexes) -> Found:
    """The judgments that bear on a text. Raises UsageError where there is nothing to search, and as open_parts and
    open_precedents."""
    library, settings = indexes.library, indexes.settings.ingest
    known = {case.key: case for case in library.cases()}
    if not known:
        raise UsageError("there are no judgments in this library. Add some first")
    query = replace(_read(asked.text, settings), date=asked.before)  # a day in its text need not be its own
    if not query.passages("facts"):
        raise UsageError("this text has a judgment's headings, and no facts under them. Paste the facts alone")
    kept = filters.kept(library, known, asked.chosen)
    parts = open_parts(indexes, DEFAULT)
    within_filters = Within(nearest=parts.nearest, numbers=parts.numbers, kept=frozenset(kept))
    with open_precedents(library, within_filters) as (searching, cases):
        hits = searching.search(query, SHOWN, "facts", asked.field)
    eligible = [case.case_id for case in candidates(query, cases) if case.passages("both")]
    within = kept.intersection(eligible)
    dated = f" dated before {asked.before}" if asked.before else ""
    if not eligible:
        raise UsageError(f"this library has no other judgment{dated} with facts or law. Change the date, or add some")
    if not within:
        words = filters.words_of(filters.of_cases(asked.chosen))
        raise UsageError(f"no judgment{dated} is within: {words}. Change the filters, or clear them")
    if not hits:
        raise UsageError("no word of this text is in the judgments searched. Paste more of the facts")
    dateless = len(undated(query, cases))
    notes = (
        filters.left_out(len(eligible) - len(within), asked.chosen),
        f"Left out because no date is known: {many(dateless, 'judgment')}." if dateless else "",
    )
    titled = [(hit, known[hit.passage.document_id]) for hit in hits]
    return Found(asked, tuple((hit, case.title, case.date) for hit, case in titled), len(within), notes)


def _read(text: str, settings: Ingest) -> CourtCase:
    """As ingestion would read it; nothing of it is kept."""
    document = Document("", "legal", "", text, (Page(1, 0, len(text)),), case=(case := case_of(text)))
    return new_case(case, chunk(document, settings.passage_tokens, settings.overlap_tokens))


def panel(found: Found) -> str:
    """HTML of what was found: the best first, and by year."""
    asked = found.asked
    before = f", dated before {asked.before}" if asked.before else ""
    said = f"Searched: the {COMPARED[asked.field]} of {many(found.searched, 'judgment')}{before}."
    ranked = "".join(_ranked(hit, title, date) for hit, title, date in found.hits)
    shown = tabs(
        [
            (f"Best first ({len(found.hits)})", f"<ol class='cases' aria-label='Precedents, best first'>{ranked}</ol>"),
            ("Timeline", by_year(_entries(found))),
        ],
        "Orders of the precedents",
    )
    notes = "".join(f"<p class='hint'>{escaped(note)}</p>" for note in (said, *found.notes) if note)
    return (
        f"<section class='judgment precedents' aria-label='Precedents' data-visit='{time.monotonic_ns()}'>"
        f"<h2>Precedents of the new case</h2><p class='hint'>{_quoted(asked.text)}</p>{notes}{''.join(shown)}</section>"
    )


def _ranked(hit: Hit, title: str, date: str) -> str:
    passage, why = hit.passage, "".join(f"<li>{escaped(link)}</li>" for link in hit.links)
    return (
        f"<li><span class='date'>{escaped(date) or 'undated'}</span> {_opens(hit, title)} {_score(hit)}"
        f"<ul><li>{_place(hit)}: {_quoted(passage.text)}</li>{why}</ul></li>"
    )


def _entries(found: Found) -> list[tuple[str, int, str]]:
    """Those found, and where the new case stands if that was said, as by_year takes them."""
    entries = [
        (date, 0, f"<li class='earlier'><span class='date'>{escaped(date)}</span> {_opens(hit, title)} {_score(hit)}, "
         f"{_place(hit)}</li>")
        for hit, title, date in found.hits
    ]  # fmt: skip
    if before := found.asked.before:
        entries.append((before, 1, f"<li class='this'>{escaped(before)} the new case</li>"))
    return entries


def _opens(hit: Hit, title: str) -> str:
    return opens(hit.passage.document_id, title, f"{hit.passage.start}:{hit.passage.end}")


def _place(hit: Hit) -> str:
    return escaped(place_text(hit.passage)).replace("§ ", "§&nbsp;")


def _score(hit: Hit) -> str:
    return f"score {hit.score:.2f}"


def _quoted(text: str) -> str:
    """
    >>> _quoted("The mill <b>"), len(_quoted("word " * 100))
    ('“The mill &lt;b&gt;”', 243)
    """
    text = printable(text)
    cut = text if len(text) <= SNIPPET else text[:SNIPPET].rpartition(" ")[0] + " …"
    return f"“{escaped(cut)}”"
