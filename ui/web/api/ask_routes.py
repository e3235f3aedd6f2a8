"""A question and its answer in one request: /v1/ask, for programs. Nothing of it is kept.

The page asks in conversations (conversation_routes.py), whose questions live on when the browser goes.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import asdict
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, Field

from rag.attribute.attribute import Level
from rag.errors import UsageError
from rag.pipeline import EXTRACT
from rag.read.compose.understand import PastTurn
from rag.records import Answer
from ui.cli.json_layouts import answer_json
from ui.web.api.news import ended, follow, sse, stream
from ui.web.api.problems import Audit, Body, InLibrary, Owner, detail_of, retry_after, status_of
from ui.web.library.open_library import OpenLibrary
from ui.web.workers.question_job import AskOptions, QuestionJob

Json = dict[str, Any]
Retriever = Literal["hybrid", "bm25", "sparse", "dense"]
Strategy = Literal["notes", "quotes", "direct", "extract"]
Style = Literal["auto", "short", "explain", "list", "compare", "summary"]
Words = Annotated[str, Field(max_length=2_000)]
routes = APIRouter()


class PastQuestion(Body):
    question: str = Field(max_length=200_000)
    answer: str = Field("", max_length=200_000)


class HowAsked(BaseModel):
    """How a question is answered, as of the command line: `filters` are FIELD=VALUE.

    `documents` are ids: without them all are asked, or those that the question is about. `mute` and `boost` are
    concepts of the library, by id or name: /v1/concepts lists them.
    """

    style: Style = "auto"
    reader: Strategy = "notes"
    retriever: Retriever | None = None
    k: int | None = Field(None, ge=1, le=100)
    filters: list[Words] = Field([], max_length=20)
    documents: list[Words] = Field([], max_length=1_000)
    mute: list[Words] = Field([], max_length=8)
    boost: list[Words] = Field([], max_length=8)

    def options(self, style: Style | None = None) -> AskOptions:
        """The same as the workers take it; `style` in place of its own."""
        return AskOptions(
            style or self.style, self.reader, tuple(self.documents), conditions=tuple(self.filters),
            retriever=self.retriever or "", k=self.k or 0, mute=tuple(self.mute), boost=tuple(self.boost),
        )  # fmt: skip


class Ask(Body, HowAsked):
    """A question. `history` has the ones before it, oldest first. With `stream` the reply is server-sent events."""

    question: str = Field(max_length=200_000)
    history: list[PastQuestion] = Field([], max_length=200)
    attribute: Literal["none", "document", "clause", "word"] = "none"
    stream: bool = False


@routes.post("/ask", responses={200: {"content": {"text/event-stream": {}}}})
async def ask(asked: Ask, request: Request, library: InLibrary, audit: Audit, owner: Owner) -> Response:
    """Answer a question, with citations: the JSON of `glossator ask --json`.

    With `stream` the events are: `understood` (what a follow-up is taken for), `evidence` (the passages found),
    `marked` (what the reading model marks), `words` (of a draft; `redraft`: those so far are void), `notes`, `answer`
    (the JSON), `attribution`, and in place of the answer `problem`. Hanging up calls it off.
    """
    level: Level | None = None if asked.attribute == "none" else asked.attribute
    if level and (asked.reader == EXTRACT or asked.style not in ("auto", "short")):
        raise UsageError("attribution is of short answers of a language model. Leave out attribute, reader or style")
    turns = [PastTurn(turn.question, turn.answer) for turn in asked.history]

    def begin() -> QuestionJob:
        audit("asked", asked.question)
        return start(library, asked.question, asked.options("short" if level else None), turns, owner)

    job = await asyncio.to_thread(begin)
    if asked.stream:
        return stream(events_of(library, job, level))
    await ended(job, request)
    answer = answer_of(job)
    if level:
        explanation = library.answers.explain_answer(answer, asked.reader, level)
        await ended(explanation, request)
        answer = explanation.answer
    return JSONResponse(answer_json(answer))


def start(
    library: OpenLibrary, question: str, options: AskOptions, turns: Sequence[PastTurn], owner: str = ""
) -> QuestionJob:
    """Begin to answer, after what is wrong with the question or its options was said. Raises UsageError, ServerBusy."""
    return library.answers.ask(library.answers.checked(question, options.conditions), options, turns, owner)


def answer_of(job: QuestionJob) -> Answer:
    """The answer of a question that has ended. Raises its problem, and UsageError where it was called off."""
    if job.problem is not None:
        raise job.problem
    if job.answer is None:
        raise UsageError("it was called off. Ask again")
    return job.answer


async def events_of(library: OpenLibrary, job: QuestionJob, level: Level | None) -> AsyncIterator[str]:
    """What happens to a question, as server-sent events."""
    names = {"draft": "words", "note": "notes"}
    async for event in follow(job):
        kind = event["kind"]
        if kind == "silence":
            yield ": still there\n\n"
        elif kind in ("understood", "evidence", "marked", "draft", "redraft", "note"):
            yield sse({name: value for name, value in event.items() if name != "kind"}, str(names.get(kind, kind)))
    try:
        answer = answer_of(job)
        yield sse(answer_json(answer), "answer")
        if level and not answer.abstained:
            explanation = library.answers.explain_answer(answer, job.options.strategy, level)
            async for _ in follow(explanation):
                pass
            attribution = explanation.answer.attribution
            yield sse(asdict(attribution) if attribution else None, "attribution")
    except Exception as error:  # noqa: BLE001  # the headers are sent: it is told as an event
        yield sse({"status": status_of(error), "detail": detail_of(error), **retry_after(error)}, "problem")
