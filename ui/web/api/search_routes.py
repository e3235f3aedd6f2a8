"""Search without a reader, precedents of a new case, example questions, and how the server is."""

from __future__ import annotations

import resource
import sys
import time
from collections import Counter
from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import Field

from rag.concepts.steering import Steering, ranks_before
from rag.errors import UsageError
from rag.locator import TimeSpan
from rag.pipeline import check_question
from rag.read.compose.scope import Scopes
from rag.read.quotes import choose_quotes
from rag.records import Hit
from rag.search import open_retriever
from ui.cli.json_layouts import concepts_json
from ui.web.api.answer_view import hit_view
from ui.web.api.document_routes import GROUPS
from ui.web.api.problems import Body, InLibrary
from ui.web.api.reading_routes import chosen_of
from ui.web.library.open_library import OpenLibrary
from ui.web.library.suggestions import suggestions_of
from ui.web.panels.filter_choices import FIELDS, filters_of
from ui.web.panels.precedent_panel import panel
from ui.web.workers.precedent_search import precedent_query
from ui.wording import printable

SHOWN = 30
FACETS = ("group", "kind", "section", "speaker", "year")
RETRIEVERS = ("hybrid", "bm25", "sparse", "dense")
Json = dict[str, Any]
routes = APIRouter()


class NewCase(Body):
    """A new case's facts, and which section of earlier judgments they are compared with."""

    text: str = Field(max_length=4_000_000)
    field: str = "both"
    before: str = Field("", max_length=40)
    filters: dict[str, str] = Field({}, max_length=20)


@routes.get("/search")
def search(
    library: InLibrary, q: str, k: Annotated[int, Query(ge=1, le=100)] = SHOWN, retriever: str = "hybrid",
    documents: Annotated[list[str], Query(max_length=1_000)] = [], filters: str = "",  # noqa: B006  # FastAPI copies it
    filter: Annotated[list[str], Query(max_length=20)] = [],  # noqa: B006
    mute: Annotated[list[str], Query(max_length=8)] = [],  # noqa: B006
    boost: Annotated[list[str], Query(max_length=8)] = [],  # noqa: B006
) -> Json:  # fmt: skip
    """The best passages for words or a question, each with its best sentence and why it was found; facets of them.

    `filter` is FIELD=VALUE, as of the command line, and may be given several times; `terms` of a hit are what its score
    is the sum of, and `concepts` what of that its meaning owes to which. With `mute` or `boost`, concepts of
    /v1/concepts by id or name, hits say their `rank_before`.
    """
    began = time.monotonic()
    query = check_question(q, k, library.indexes.settings)
    if retriever not in RETRIEVERS:
        raise UsageError(f"retriever {retriever}: choose one of {', '.join(RETRIEVERS)}")
    within = library.library.select([*filters_of(chosen_of(filters)), *filter])
    if documents:
        scope = Scopes(library.library).of_documents(documents)
        numbers = set(scope.numbers) if scope else set()
        within = sorted(numbers if within is None else numbers & set(within))
    steering = Steering(tuple(mute), tuple(boost))
    hits = [] if within == [] else open_retriever(library.indexes, retriever, steering=steering).search(
        [query], k, within
    )[0]  # fmt: skip
    found = [_found(query, hit) for hit in hits]
    if steering and hits:
        before = ranks_before(hits, open_retriever(library.indexes, retriever), query, within)
        found = [view | {"rank_before": before.get(view["passage_id"])} for view in found]
    _describe(library, found)
    return {
        "hits": found,
        "facets": facets(found),
        "seconds": round(time.monotonic() - began, 3),
    }


def _found(query: str, hit: Hit) -> Json:
    """A hit, with the sentence of it that has most of the query's words."""
    view = hit_view(hit)
    quotes = choose_quotes(query, "", [hit], most=1)
    if quotes:
        first = hit.passage.start + quotes[0].start
        view |= {"quote": printable(quotes[0].text), "start": first, "end": hit.passage.start + quotes[0].end}
    locator = hit.passage.locator
    return view | {
        "passage_id": hit.passage.passage_id,
        "text": printable(hit.passage.text),
        "kind": hit.passage.kind,
        "section": printable(hit.passage.section),
        "speaker": printable(locator.speaker) if isinstance(locator, TimeSpan) else "",
        "score": round(hit.score, 4),
        "terms": hit.terms or {},
        "concepts": concepts_json(hit),
        "links": list(hit.links),
    }


def _describe(library: OpenLibrary, found: Sequence[Json]) -> None:
    """Add to each what its document is: its group, and the year of a judgment or an episode ("" for others)."""
    documents = {view["document"] for view in found}
    kinds = {each.document_id: each.kind for each in library.library.documents([*documents])}
    groups = {document: GROUPS.get(kind, "documents") for document, kind in kinds.items()}
    dates = library.library.dates([*documents])
    for view in found:
        year = dates.get(view["document"], "")[:4]
        view |= {"group": groups.get(view["document"], "documents"), "year": year}


def facets(found: Sequence[Json]) -> Json:
    """How many of the hits have each value of each of FACETS, most first; and how many are of each document."""
    titles = {view["document"]: view["title"] for view in found}
    counts = Counter(view["document"] for view in found)
    values = {name: Counter(view[name] for view in found if view[name]).most_common(12) for name in FACETS}
    return {
        "documents": [{"id": each, "title": titles[each], "count": count} for each, count in counts.most_common(8)],
        **{name: [{"name": value, "count": count} for value, count in each] for name, each in values.items()},
    }


@routes.post("/precedents")
def precedents(case: NewCase, library: InLibrary) -> Json:
    """The precedents of a new case's facts, as HTML: the best first, and by year."""
    chosen = [case.filters.get(field.name, "") for field in FIELDS]
    job = library.precedents.start(precedent_query(case.text, case.field, case.before, chosen))
    return {"html": str(panel(job.result.result()))}


@routes.get("/suggestions")
def suggestions(library: InLibrary) -> Json:
    """Three questions that this library can answer."""
    return {"questions": suggestions_of(library.library)}


@routes.get("/status")
def status(library: InLibrary) -> Json:
    """How the server is: its reader, its library, its memory."""
    documents, passages = library.library.size()
    unit = 1 << 20 if sys.platform == "darwin" else 1 << 10
    return {
        "reader": library.indexes.settings.reader.model,
        "documents": documents,
        "passages": passages,
        "lasting": library.keeps_conversations,
        "judgments": bool(library.library.generations("legal")),
        "peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // unit,
    }
