"""Precedents of a new text -> HTML of the panel of what was found. Pure."""

from __future__ import annotations

import time
from dataclasses import dataclass

from markupsafe import Markup

from rag.records import Hit
from ui.web.panels.judgment_panel import TimelineEntry, by_year
from ui.web.templating import render
from ui.web.workers.precedent_search import PrecedentResults
from ui.wording import many, place_text, printable

COMPARED = {"both": "facts and law", "facts": "facts", "law": "law"}  # a section of earlier judgments: for people
SNIPPET = 240  # characters of a passage


@dataclass(frozen=True, slots=True)
class RankedPrecedent:
    """A hit as the list shows it; `span` is where it opens: "120:140", the offsets of its passage."""

    date: str
    document_id: str
    title: str
    span: str
    score: str
    place: str
    quote: str
    links: tuple[str, ...]


def panel(found: PrecedentResults) -> Markup:
    """HTML of what was found: the best first, and by year."""
    query = found.query
    before = f", dated before {query.before}" if query.before else ""
    searched = f"Searched: the {COMPARED[query.field]} of {many(found.searched, 'judgment')}{before}."
    ranked = [_ranked(hit, title, date) for hit, title, date in found.hits]
    entries = [
        TimelineEntry(hit.date, 0, "earlier", hit.title, hit.document_id, hit.span, f" {hit.score}, {hit.place}")
        for hit in ranked
    ]
    if query.before:
        entries.append(TimelineEntry(query.before, 1, "this", "the new case"))
    return render(
        "precedents.html",
        text=_quoted(query.text),
        notes=(searched, *found.notes),
        tabs=[
            (f"Best first ({len(ranked)})", render("precedents_ranked.html", hits=ranked)),
            ("Timeline", by_year(entries)),
        ],
        visit=time.monotonic_ns(),
    )


def _ranked(hit: Hit, title: str, date: str) -> RankedPrecedent:
    passage = hit.passage
    place = printable(place_text(passage)).replace("§ ", "§\N{NO-BREAK SPACE}")
    return RankedPrecedent(
        date, passage.document_id, title, f"{passage.start}:{passage.end}", f"score {hit.score:.2f}",
        place, _quoted(passage.text), hit.links,
    )  # fmt: skip


def _quoted(text: str) -> str:
    """The beginning of a text on one line, in quotation marks.

    >>> _quoted("The mill"), len(_quoted("word " * 100))
    ('“The mill”', 243)
    """
    text = printable(text)
    cut = text if len(text) <= SNIPPET else text[:SNIPPET].rpartition(" ")[0] + " …"
    return f"“{cut}”"
