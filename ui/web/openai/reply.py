"""From messages to a reply: what chat completions and responses share."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Any

from fastapi import Request
from fastapi.responses import JSONResponse, Response

from rag.records import Answer
from ui.web.api.ask_routes import answer_of, start
from ui.web.api.news import ended, follow, stream
from ui.web.openai.cited_text import citations_of, cited_text
from ui.web.openai.protocol import LibraryFields, Message, asked_in
from ui.web.workers.question_job import QuestionJob

Json = dict[str, Any]


class Reply(ABC):
    """The reply to one request, whole or as events. `site` is where browsers reach this server."""

    def __init__(self, body: LibraryFields, library: str, site: str):
        self._body, self._library, self._site = body, library, site

    @abstractmethod
    def whole(self, answer: Answer) -> Json:
        """The body of a reply that is not streamed."""

    @abstractmethod
    def begun(self) -> Iterable[str]:
        """The events that are sent at once."""

    @abstractmethod
    def written(self, answer: Answer) -> Iterable[str]:
        """The events that are sent when the answer stands."""

    @abstractmethod
    def failed(self, error: Exception) -> str:
        """The event that is sent in place of an answer: the headers are sent already."""

    async def stream(self, job: QuestionJob) -> AsyncIterator[str]:
        """The events; comments in between say that the server is still there."""
        for event in self.begun():
            yield event
        async for happened in follow(job):
            if happened["kind"] in ("doing", "silence"):
                yield f": {happened.get('what', 'still there')}\n\n"
        try:
            answer = answer_of(job)
        except Exception as error:  # noqa: BLE001  # clients read an error in the stream
            yield self.failed(error)
            return
        for event in self.written(answer):
            yield event

    def cited(self, answer: Answer) -> tuple[str, list[Json]]:
        """The answer's text, and its citations."""
        citations = citations_of(answer, self._site, self._library)
        return cited_text(answer, citations if self._body.footnotes else ()), citations


def known(answer: Answer, citations: list[Json]) -> Json:
    """What is known of an answer beside its text."""
    return {
        "citations": citations, "abstained": answer.abstained, "support": answer.support,
        "probability": answer.probability,
    }  # fmt: skip


async def reply_to(
    kind: type[Reply], body: LibraryFields, messages: Sequence[Message], request: Request, libraries: Any, who: Any,
    audit: Any,
) -> Response:  # fmt: skip
    """Ask the last message of a library, and reply with its answer, or a stream. Raises UsageError, LibraryError."""
    name = body.library_name(request.path_params.get("library_name", ""))
    asked = asked_in(messages)

    def begin() -> QuestionJob:
        audit("asked", asked.question)
        return start(libraries.get(name, who), asked.question, body.options(), asked.turns)

    job = await asyncio.to_thread(begin)
    reply = kind(body, name, str(request.base_url).rstrip("/"))
    if body.stream:
        return stream(reply.stream(job))
    await ended(job, request)
    return JSONResponse(reply.whole(answer_of(job)))
