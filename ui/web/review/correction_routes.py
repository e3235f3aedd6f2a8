"""Corrections of answers: /v1/corrections. Each user has their own."""

from __future__ import annotations

import json
from typing import Any

from fastapi import APIRouter
from fastapi.responses import Response
from pydantic import Field

from rag.errors import UsageError
from rag.library.kept.corrections import Corrections
from rag.read.cite import MARKER
from rag.read.corrected.make_correction import correct, exported
from ui.web.api.answer_view import correction_view
from ui.web.api.problems import Audit, Body, InLibrary, Owner

Json = dict[str, Any]
routes = APIRouter()


class NewCorrection(Body):
    """The right answer. Of a `turn` of a conversation its question, its wrong answer and its `source`, a number of one
    of its citations (0: none), are taken from there; else `question` is needed."""

    answer: str = Field(max_length=100_000)
    reason: str = Field("", max_length=100_000)
    turn: str = Field("", max_length=60)
    source: int = 0
    question: str = Field("", max_length=100_000)
    wrong: str = Field("", max_length=100_000)
    passage_id: str = Field("", max_length=200)


@routes.get("/corrections")
def listed(library: InLibrary, owner: Owner) -> Json:
    """Your corrections in this library, the newest first."""
    return {"corrections": [correction_view(each) for each in Corrections(library.library.folder).listed(owner)]}


@routes.post("/corrections", status_code=201)
def add(new: NewCorrection, library: InLibrary, owner: Owner, audit: Audit) -> Json:
    """Keep a correction: it stands before the passages of near questions, and answers the same question."""
    question, wrong, passage_id, quote = new.question, new.wrong, new.passage_id, ""
    if new.turn:
        turn = library.conversations.turn(new.turn, owner)
        question = str(turn.understood.get("standalone") or turn.question)
        if turn.answer is not None:
            wrong = "" if turn.answer.abstained else " ".join(MARKER.sub("", turn.answer.answer).split())
            if not 0 <= new.source <= len(turn.answer.citations):
                raise UsageError(f"source {new.source}: the answer has {len(turn.answer.citations)} sources")
            if new.source:
                cited = turn.answer.citations[new.source - 1]
                passage_id, quote = cited.passage_id, cited.quote
    made = correct(library.indexes, owner, question, new.answer, new.reason, wrong, passage_id, quote)
    audit("corrected", made.question)
    return correction_view(made)


@routes.delete("/corrections/{correction_id}", status_code=204)
def remove(correction_id: str, library: InLibrary, owner: Owner) -> None:
    Corrections(library.library.folder).remove(correction_id, owner)


@routes.get("/corrections/export")
def export(library: InLibrary, owner: Owner, format: str = "open") -> Response:
    """JSON lines for `eval open`, `train sparse` or `train reader`."""
    kept = Corrections(library.library.folder).listed(owner)
    passages = library.library.passages([each.passage_id for each in kept if each.passage_id])
    lines = [json.dumps(record, ensure_ascii=False) + "\n" for record in exported(kept, passages, format)]
    headers = {"content-disposition": f'attachment; filename="corrections-{format}.jsonl"'}
    return Response("".join(lines), media_type="application/jsonl", headers=headers)
