"""Conversations and their questions: /v1/conversations, /v1/turns."""

from __future__ import annotations

import asyncio
from typing import Any, Literal

from fastapi import APIRouter
from fastapi.responses import Response
from pydantic import Field

from rag.attribute.attribute import Level
from rag.errors import UsageError
from rag.library.kept.conversations import OPEN, Conversation, Turn
from rag.pipeline import EXTRACT
from rag.read.compose.style import AUTO, STYLES
from rag.read.strategies import STRATEGIES
from rag.records import Answer
from ui.web.api.answer_view import answer_view
from ui.web.api.exports import EXPORTS
from ui.web.api.news import First, Wait, news
from ui.web.api.paging import After, Limit, part_of_list
from ui.web.api.problems import Audit, Body, InLibrary, Owner
from ui.web.panels.filter_choices import FIELDS, filters_of, words_of
from ui.web.workers.question_job import AskOptions

Json = dict[str, Any]
routes = APIRouter()


class ConversationChange(Body):
    """What is to be changed; what is left out stays."""

    title: str | None = Field(None, max_length=300)
    draft: str | None = Field(None, max_length=100_000)
    scope: dict[str, Any] | None = None


class Question(Body):
    """A question, and how it is to be answered. `instead_of`: the number of the turn that it replaces."""

    question: str = Field(max_length=200_000)
    way: str = AUTO
    strategy: str = "notes"
    documents: list[str] = Field([], max_length=1_000)
    filters: dict[str, str] = Field({}, max_length=20)
    standalone: str = Field("", max_length=20_000)
    everywhere: bool = False
    mute: list[str] = Field([], max_length=8)
    boost: list[str] = Field([], max_length=8)
    instead_of: int | None = None


class Rating(Body):
    rating: Literal[-1, 1] | None
    reason: str = Field("", max_length=2_000)


class Explanation(Body):
    level: Level = "document"


@routes.get("/conversations")
def listed(library: InLibrary, owner: Owner, q: str = "", limit: Limit = None, after: After = "") -> Json:
    """Conversations, the last changed first; with `q` those in which its words stand. In parts as /v1/documents."""
    views = [conversation_view(each) for each in library.conversations.listed(owner, q[:200])]
    found, following = part_of_list(views, limit, after)
    return {"conversations": found, "next": following, "lasting": library.keeps_conversations}


@routes.post("/conversations", status_code=201)
def create(library: InLibrary, owner: Owner) -> Json:
    return conversation_view(library.conversations.create(owner))


@routes.get("/conversations/{conversation_id}")
def conversation(conversation_id: str, library: InLibrary, owner: Owner) -> Json:
    found = library.conversations.conversation(conversation_id, owner)
    turns = library.conversations.turns(conversation_id, owner)
    return conversation_view(found) | {
        "draft": found.draft,
        "scope": found.scope,
        "turns": [turn_view(turn) for turn in turns],
    }


@routes.patch("/conversations/{conversation_id}", status_code=204)
def change(conversation_id: str, changed: ConversationChange, library: InLibrary, owner: Owner) -> None:
    title = None if changed.title is None else " ".join(changed.title.split())
    if title == "":
        raise UsageError("a conversation needs a name. Type one")
    library.conversations.change(conversation_id, owner, title, changed.draft, changed.scope)


@routes.delete("/conversations/{conversation_id}", status_code=204)
def remove(conversation_id: str, library: InLibrary, owner: Owner) -> None:
    for turn in library.conversations.turns(conversation_id, owner):
        if job := library.answers.question(turn.turn_id):
            job.stop.set()
    library.conversations.remove(conversation_id, owner)


@routes.post("/conversations/{conversation_id}/restore", status_code=204)
def restore(conversation_id: str, library: InLibrary, owner: Owner) -> None:
    library.conversations.restore(conversation_id, owner)


@routes.get("/conversations/{conversation_id}/export")
def export(conversation_id: str, library: InLibrary, owner: Owner, format: str = "markdown") -> Response:
    if format not in EXPORTS:
        raise UsageError(f"format {format}: choose one of {', '.join(EXPORTS)}")
    kind = EXPORTS[format]
    found = library.conversations.conversation(conversation_id, owner)
    text = kind.write(found, library.conversations.turns(conversation_id, owner), library.library.facts)
    name = f"conversation.{kind.ending}"
    return Response(text, media_type=kind.media_type, headers={"content-disposition": f'attachment; filename="{name}"'})


# -- questions ---------------------------------------------------------------------------------------------------------


@routes.post("/conversations/{conversation_id}/turns", status_code=202)
def ask(conversation_id: str, asked: Question, library: InLibrary, owner: Owner, audit: Audit) -> Json:
    """Ask in a conversation. What becomes of it is told by /v1/turns/{turn_id}/events, and kept."""
    if asked.strategy not in STRATEGIES or asked.way not in (AUTO, *STYLES):
        raise UsageError("there is no such way of answering. Choose another one")
    unknown = set(asked.filters) - {field.name for field in FIELDS}
    if unknown:
        raise UsageError(f"there is no filter {sorted(unknown)[0]!r}")
    text = library.answers.checked(asked.question, filters_of(AskOptions(filters=asked.filters).chosen))
    turns = library.conversations.turns(conversation_id, owner)
    earlier = [turn for turn in turns if asked.instead_of is None or turn.number < asked.instead_of]
    for turn in turns:
        job = library.answers.question(turn.turn_id)
        if job is None or job.result.done():
            continue
        if turn in earlier:
            raise UsageError(
                "the question before is still being answered. Yours is kept: send it when this is done, or stop it"
            )
        job.stop.set()
    options = AskOptions(
        asked.way, asked.strategy, tuple(asked.documents), dict(asked.filters), asked.standalone, asked.everywhere,
        mute=tuple(asked.mute), boost=tuple(asked.boost),
    )  # fmt: skip
    audit("asked", text)
    turn = library.conversations.add_turn(conversation_id, owner, text, options.to_json(), asked.instead_of)
    library.answers.start(turn, latest_answer(earlier), owner)
    return turn_view(turn)


def latest_answer(turns: list[Turn]) -> Answer | None:
    """The latest answer of these turns: the context of a follow-up."""
    return next((turn.answer for turn in reversed(turns) if turn.answer), None)


@routes.get("/turns/{turn_id}")
def turn(turn_id: str, library: InLibrary, owner: Owner) -> Json:
    return turn_view(library.conversations.turn(turn_id, owner))


@routes.get("/turns/{turn_id}/events")
async def events(turn_id: str, library: InLibrary, owner: Owner, after: First = 0, wait: Wait = 0.0) -> Json:
    """What happened from event `after` on, after waiting up to `wait` seconds for one; `open`: more will come."""
    await asyncio.to_thread(library.conversations.turn, turn_id, owner)
    return await news(library.answers.question(turn_id), after, wait)


@routes.post("/turns/{turn_id}/stop", status_code=204)
def stop(turn_id: str, library: InLibrary, owner: Owner) -> None:
    """Stop it; a summary ends with what was read until then, and stops when it is called off again."""
    library.conversations.turn(turn_id, owner)
    if job := library.answers.question(turn_id):
        job.end_early()


@routes.put("/turns/{turn_id}/rating", status_code=204)
def rate(turn_id: str, rating: Rating, library: InLibrary, owner: Owner) -> None:
    library.conversations.rate(turn_id, owner, rating.rating, rating.reason.strip())


@routes.post("/turns/{turn_id}/explanation", status_code=202)
def explain(turn_id: str, wanted: Explanation, library: InLibrary, owner: Owner) -> Json:
    """Begin to find out what the answer depended on; /v1/turns/{turn_id}/explanation/events tells how far it is."""
    found = library.conversations.turn(turn_id, owner)
    if found.answer is None or found.answer.abstained:
        raise UsageError("there is no answer to explain. Ask again")
    library.answers.explain(found, found.answer, wanted.level)
    return {"turn": turn_id, "level": wanted.level}


@routes.get("/turns/{turn_id}/explanation/events")
async def explained(turn_id: str, library: InLibrary, owner: Owner, after: First = 0, wait: Wait = 0.0) -> Json:
    await asyncio.to_thread(library.conversations.turn, turn_id, owner)
    return await news(library.answers.explanation(turn_id), after, wait)


@routes.post("/turns/{turn_id}/explanation/stop", status_code=204)
def stop_explaining(turn_id: str, library: InLibrary, owner: Owner) -> None:
    library.conversations.turn(turn_id, owner)
    if job := library.answers.explanation(turn_id):
        job.stop.set()


@routes.post("/turns/{turn_id}/what-if", status_code=202)
def what_if(turn_id: str, library: InLibrary, owner: Owner) -> Json:
    """Begin to find out what would change the answer; /v1/turns/{turn_id}/what-if/events tells it."""
    found = library.conversations.turn(turn_id, owner)
    if found.answer is None or found.answer.abstained:
        raise UsageError("there is no answer to change. Ask again")
    library.answers.what_if(found, found.answer)
    return {"turn": turn_id}


@routes.get("/turns/{turn_id}/what-if/events")
async def changed(turn_id: str, library: InLibrary, owner: Owner, after: First = 0, wait: Wait = 0.0) -> Json:
    await asyncio.to_thread(library.conversations.turn, turn_id, owner)
    return await news(library.answers.changing(turn_id), after, wait)


# -- views -------------------------------------------------------------------------------------------------------------


def conversation_view(found: Conversation) -> Json:
    return {
        "id": found.conversation_id,
        "title": found.title,
        "created": found.created,
        "changed": found.changed,
        "turns": found.turns,
        "open": found.state in OPEN,
    }


def turn_view(turn: Turn) -> Json:
    """A turn, with its answer where there is one."""
    return {
        "id": turn.turn_id,
        "number": turn.number,
        "question": turn.question,
        "options": turn.options,
        "state": turn.state,
        "understood": turn.understood,
        "within": words_of(AskOptions.of(turn.options).chosen),
        "answer": answer_view(turn.answer, turn.options.get("strategy") != EXTRACT) if turn.answer else None,
        "error": turn.error,
        "began": turn.began,
        "seconds": turn.seconds,
        "rating": turn.rating,
        "reason": turn.reason,
    }
