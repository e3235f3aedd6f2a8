"""Evaluations: /v1/evaluation, a file of questions asked in one way or in two. One at a time."""

from __future__ import annotations

from typing import Any, Literal

from fastapi import APIRouter
from pydantic import Field

from rag.errors import UsageError
from ui.web.api.news import First, Wait, news
from ui.web.api.problems import Body, InLibrary
from ui.web.workers.evaluation_worker import Way

Json = dict[str, Any]
routes = APIRouter()


class AskedWay(Body):
    retriever: Literal["hybrid", "bm25", "sparse", "dense"] = "hybrid"
    strategy: Literal["notes", "quotes", "direct", "extract"] = "notes"


class NewEvaluation(Body):
    """A file that was uploaded, the most questions of it that are asked, and in which ways."""

    upload: str
    limit: int = Field(20, ge=1, le=100_000)
    ways: list[AskedWay] = Field(default=[AskedWay()], min_length=1, max_length=2)


@routes.post("/evaluation", status_code=202)
def evaluate(new: NewEvaluation, library: InLibrary) -> Json:
    """Begin an evaluation in place of the one before; /v1/evaluation/events tells how far it is."""
    file = library.arrivals.file(new.upload)
    if file is None:
        raise UsageError("the file of questions is no longer here. Choose it again")
    ways = list(dict.fromkeys(Way(way.retriever, way.strategy) for way in new.ways))
    library.evaluations.start(file, ways, new.limit)
    return {"ways": len(ways)}


@routes.get("/evaluation/events")
async def events(library: InLibrary, after: First = 0, wait: Wait = 0.0) -> Json:
    return await news(library.evaluations.last, after, wait)


@routes.post("/evaluation/stop", status_code=204)
def stop(library: InLibrary) -> None:
    """Stop it; the table is of what was asked until then."""
    if job := library.evaluations.last:
        job.stop.set()
