"""POST /v1/chat/completions: a question in a list of messages, an answer with its citations.

https://platform.openai.com/docs/api-reference/chat. A stream carries the final answer alone: a draft may turn out to be
unsupported, and what was sent cannot be taken back. Until then its comments say that it is still there.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic import Field

from rag.records import Answer
from ui.web.api.news import sse
from ui.web.api.problems import AllLibraries, Audit, Who
from ui.web.openai.cited_text import annotations_of, pieces
from ui.web.openai.openai_errors import OpenAIRoute, error_body
from ui.web.openai.protocol import LenientBody, LibraryFields, Message, refuse
from ui.web.openai.reply import Reply, known, reply_to

Json = dict[str, Any]
DONE = "[DONE]"
routes = APIRouter(route_class=OpenAIRoute)


class StreamOptions(LenientBody):
    include_usage: bool = False


class ChatRequest(LibraryFields):
    messages: list[Message] = Field(min_length=1, max_length=1_000)
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
    return await reply_to(_Completion, body, body.messages, request, libraries, who, audit)


class _Completion(Reply):
    """The JSON of one completion."""

    _body: ChatRequest

    def __init__(self, body: LibraryFields, library: str, site: str):
        super().__init__(body, library, site)
        self._head: Json = {"id": f"chatcmpl-{secrets.token_hex(12)}", "created": int(time.time()), "model": body.model}

    def whole(self, answer: Answer) -> Json:
        text, citations = self.cited(answer)
        message = {
            "role": "assistant", "content": text, "refusal": None, "annotations": annotations_of(text, citations, True),
        }  # fmt: skip
        choice = {"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}
        return {
            **self._head, "object": "chat.completion", "choices": [choice], "usage": usage(answer),
            **known(answer, citations),
        }  # fmt: skip

    def begun(self) -> Iterator[str]:
        yield self._chunk({"role": "assistant", "content": ""})

    def written(self, answer: Answer) -> Iterator[str]:
        """Chunks of the text, and last the annotations and citations."""
        text, citations = self.cited(answer)
        for piece in pieces(text):
            yield self._chunk({"content": piece})
        yield self._chunk({"annotations": annotations_of(text, citations, True)}, "stop", **known(answer, citations))
        if self._body.stream_options and self._body.stream_options.include_usage:
            yield sse({**self._head, "object": "chat.completion.chunk", "choices": [], "usage": usage(answer)})
        yield sse(DONE)

    def failed(self, error: Exception) -> str:
        return sse(error_body(error)[1])

    def _chunk(self, delta: Json, finish: str | None = None, **more: Any) -> str:
        choice = {"index": 0, "delta": delta, "finish_reason": finish, "logprobs": None}
        return sse({**self._head, "object": "chat.completion.chunk", "choices": [choice], **more})


def usage(answer: Answer) -> Json:
    """The reader's tokens."""
    prompt, generated = answer.tokens.get("prompt", 0), answer.tokens.get("generated", 0)
    return {"prompt_tokens": prompt, "completion_tokens": generated, "total_tokens": prompt + generated}
