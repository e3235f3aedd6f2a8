"""The concepts of a library: /v1/concepts, a map of them, the passages of one, and what is asked in vain."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query

from rag.concepts.blind_spots import blind_spots
from rag.concepts.concept_index import Concepts, open_concepts
from rag.concepts.concept_map import concept_map, part_of_document, passages_with
from rag.errors import UsageError
from rag.records import Hit
from ui.concept_view import concept_rows, spots_json
from ui.web.api.answer_view import hit_view
from ui.web.api.problems import InLibrary, Owner
from ui.web.library.open_library import OpenLibrary
from ui.wording import printable

SHOWN_CHARACTERS = 300  # of a passage in a list
Json = dict[str, Any]
routes = APIRouter()


@routes.get("/concepts")
def concepts(library: InLibrary, every: bool = False) -> Json:
    """The concepts with a name, the best first, with the documents that have most of each; with `every` all.

    An empty list where the library has none: they come with the end of an ingestion, of 50 passages or more.
    """
    found = open_concepts(library.indexes)
    return {"concepts": concept_rows(found, library.library, every) if found else []}


@routes.get("/concepts/map")
def concepts_map(
    library: InLibrary, by: Literal["document", "part", "year"] = "document", document: str = ""
) -> Json:  # fmt: skip
    """How many passages of each document, part of one document or year have each concept."""
    found = concepts_of(library)
    drawn = concept_map(found, library.library, by, document)
    return {
        "by": by,
        "columns": [
            {"key": column.key, "title": printable(column.title), "passages": column.passages}
            for column in drawn.columns
        ],
        "rows": [
            {"id": found.concept_id(concept), "label": printable(found.label(concept)), "counts": list(counts)}
            for concept, counts in zip(drawn.concepts, drawn.counts, strict=True)
        ],
        "left_out": drawn.left_out,
        "dated": bool(library.library.generations("legal") or library.library.generations("podcast")),
    }


@routes.get("/concepts/blind-spots")
def spots(library: InLibrary, owner: Owner) -> Json:
    """What you asked for often and the library holds little of, and what it holds that your questions never found."""
    found = concepts_of(library)
    asked = library.conversations.asked(owner)
    return spots_json(blind_spots(asked, found, library.indexes.encode, library.library.numbers_of), found)


@routes.get("/concepts/{concept_id}/passages")
def passages(
    concept_id: str, library: InLibrary, document: str = "", year: str = "", part: str = "",
    k: Annotated[int, Query(ge=1, le=100)] = 20,
) -> Json:  # fmt: skip
    """The passages that have a concept most strongly; of one document, one part of it, or one year."""
    found = concepts_of(library)
    concept = found.find(concept_id)
    filters = [f"document_id={document}"] * bool(document) + [f"date={year}"] * bool(year)
    within = library.library.select(filters)
    chosen = passages_with(found, library.library, concept, within, 100 if part else k)
    if part:
        chosen = [passage for passage in chosen if part_of_document(passage) == part][:k]
    hits = [hit_view(Hit(rank, 0.0, passage)) for rank, passage in enumerate(chosen, start=1)]
    texts = [printable(passage.text)[:SHOWN_CHARACTERS] for passage in chosen]
    return {
        "label": printable(found.label(concept)),
        "passages": [hit | {"text": text} for hit, text in zip(hits, texts, strict=True)],
    }


def concepts_of(library: OpenLibrary) -> Concepts:
    """Raises UsageError where there are none."""
    found = open_concepts(library.indexes)
    if found is None:
        raise UsageError("this library has no concepts yet: they are made when 50 passages or more have been added")
    return found
