"""POST /v1/chat/completions: a question in a list of messages, an answer with its citations.

https://platform.openai.com/docs/api-reference/chat. A stream carries the final answer alone: a draft may turn out to be
unsupported, and what was sent cannot be taken back. Until then its comments say that it is still there.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import AsyncIterator
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from pydantic import Field

from rag.records import Answer
from ui.web.api.ask_routes import answer_of, start
from ui.web.api.news import ended, follow, sse, stream
from ui.web.api.problems import AllLibraries, Audit, Who
from ui.web.openai.cited_text import annotations_of, citations_of, cited_text, pieces
from ui.web.openai.openai_errors import OpenAIRoute, error_body
from ui.web.openai.protocol import LenientBody, LibraryFields, Message, asked_in, refuse
from ui.web.workers.question_job import QuestionJob

Json = dict[str, Any]
DONE = "[DONE]"
routes = APIRouter(route_class=OpenAIRoute)


class StreamOptions(LenientBody):
    include_usage: bool = False


class ChatRequest(LibraryFields):
    messages: list[Message] = Field(min_length=1, max_length=1_000)
    stream: bool = False
    stream_options: StreamOptions | None = None
    n: int | None = None
    tools: list[Any] | None = None
    logprobs: bool | None = None


@routes.post("/chat/completions", responses={200: {"content": {"text/event-stream": {}}}})
async def chat(
    body: ChatRequest, request: Request, libraries: AllLibraries, who: Who, audit: Audit
) -> Response:  # fmt: skip
    """Answer the last message from a library. `citations`, and the message's `annotations`, say where it stands.

    Fields beside OpenAI's: `library`, `filters`, `documents`, `style`, `reader`, `retriever`, `k`, `footnotes`.
    """
    refuse(body, n=1, tools=[], logprobs=False)
    name = body.library_name(request.path_params.get("library_name", ""))
    asked = asked_in(body.messages)
    audit("asked", asked.question)
    job = start(libraries.get(name, who), asked.question, body.options, asked.turns)
    site = str(request.base_url).rstrip("/")
    reply = _Reply(body, name, site)
    if body.stream:
        return stream(reply.stream(job))
    await ended(job, request)
    return JSONResponse(reply.whole(answer_of(job)))


class _Reply:
    """The JSON of one completion."""

    def __init__(self, body: ChatRequest, library: str, site: str):
        self._body, self._library, self._site = body, library, site
        self._head: Json = {"id": f"chatcmpl-{secrets.token_hex(12)}", "created": int(time.time()), "model": body.model}

    def whole(self, answer: Answer) -> Json:
        text, citations = self._cited(answer)
        message = {
            "role": "assistant", "content": text, "refusal": None, "annotations": annotations_of(text, citations, True),
        }  # fmt: skip
        choice = {"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}
        return {
            **self._head, "object": "chat.completion", "choices": [choice], "usage": usage(answer),
            **_known(answer, citations),
        }  # fmt: skip

    async def stream(self, job: QuestionJob) -> AsyncIterator[str]:
        """Chunks: the role at once, the text when it stands, and last the annotations and citations."""
        yield self._chunk({"role": "assistant", "content": ""})
        async for event in follow(job):
            if event["kind"] in ("doing", "silence"):
                yield f": {event.get('what', 'still there')}\n\n"
        try:
            answer = answer_of(job)
        except Exception as error:  # noqa: BLE001  # the headers are sent: clients read an error in the stream
            yield sse(error_body(error)[1])
            return
        text, citations = self._cited(answer)
        for piece in pieces(text):
            yield self._chunk({"content": piece})
        yield self._chunk({"annotations": annotations_of(text, citations, True)}, "stop", **_known(answer, citations))
        if self._body.stream_options and self._body.stream_options.include_usage:
            yield sse({**self._head, "object": "chat.completion.chunk", "choices": [], "usage": usage(answer)})
        yield sse(DONE)

    def _cited(self, answer: Answer) -> tuple[str, list[Json]]:
        citations = citations_of(answer, self._site, self._library)
        return cited_text(answer, citations if self._body.footnotes else ()), citations

    def _chunk(self, delta: Json, finish: str | None = None, **more: Any) -> str:
        choice = {"index": 0, "delta": delta, "finish_reason": finish, "logprobs": None}
        return sse({**self._head, "object": "chat.completion.chunk", "choices": [choice], **more})


def usage(answer: Answer) -> Json:
    """The reader's tokens."""
    prompt, generated = answer.tokens.get("prompt", 0), answer.tokens.get("generated", 0)
    return {"prompt_tokens": prompt, "completion_tokens": generated, "total_tokens": prompt + generated}


def _known(answer: Answer, citations: list[Json]) -> Json:
    """What is known of an answer beside its text."""
    return {
        "citations": citations, "abstained": answer.abstained, "support": answer.support,
        "probability": answer.probability,
    }  # fmt: skip
