"""POST /v1/responses: as chat completions, in OpenAI's newer layout. https://platform.openai.com/docs/api-reference/responses.

Nothing is stored here: a conversation is sent whole, as `input`.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from typing import Annotated, Any

from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic import Field

from rag.records import Answer
from ui.web.api.news import sse
from ui.web.api.problems import AllLibraries, Audit, Who
from ui.web.openai.cited_text import annotations_of, pieces
from ui.web.openai.openai_errors import OpenAIRoute, error_body
from ui.web.openai.protocol import LONGEST, LibraryFields, Message, refuse
from ui.web.openai.reply import Reply, known, reply_to

Json = dict[str, Any]
routes = APIRouter(route_class=OpenAIRoute)


class ResponsesRequest(LibraryFields):
    input: Annotated[str, Field(max_length=LONGEST)] | list[Message] = Field(min_length=1, max_length=LONGEST)
    previous_response_id: str | None = None
    tools: list[Any] | None = None
    background: bool | None = None


@routes.post("/responses", responses={200: {"content": {"text/event-stream": {}}}})
async def respond(
    body: ResponsesRequest, request: Request, libraries: AllLibraries, who: Who, audit: Audit
) -> Response:  # fmt: skip
    """Answer the last message of `input` from a library; the fields of ours as of /v1/chat/completions."""
    refuse(body, previous_response_id="", tools=[], background=False)
    messages = [Message(role="user", content=body.input)] if isinstance(body.input, str) else body.input
    return await reply_to(_Response, body, messages, request, libraries, who, audit)


class _Response(Reply):
    """The JSON of one response, whole or as the events that make it."""

    def __init__(self, body: LibraryFields, library: str, site: str):
        super().__init__(body, library, site)
        self._item_id, self._number = f"msg_{secrets.token_hex(12)}", 0
        self._head: Json = {
            "id": f"resp_{secrets.token_hex(12)}", "object": "response", "created_at": int(time.time()),
            "model": body.model, "parallel_tool_calls": False, "tool_choice": "none", "tools": [], "error": None,
            "incomplete_details": None, "instructions": None, "metadata": {},
        }  # fmt: skip

    def whole(self, answer: Answer) -> Json:
        text, citations = self.cited(answer)
        prompt, generated = answer.tokens.get("prompt", 0), answer.tokens.get("generated", 0)
        usage = {
            "input_tokens": prompt, "input_tokens_details": {"cached_tokens": 0}, "output_tokens": generated,
            "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": prompt + generated,
        }  # fmt: skip
        return {
            **self._head, "status": "completed", "output": [self._item(text, citations)], "usage": usage,
            **known(answer, citations),
        }  # fmt: skip

    def _item(self, text: str, citations: list[Json]) -> Json:
        content = [self._part(text, citations)]
        return {
            "type": "message", "id": self._item_id, "status": "completed", "role": "assistant", "content": content
        }  # fmt: skip

    def _part(self, text: str, citations: list[Json]) -> Json:
        return {
            "type": "output_text",
            "text": text,
            "annotations": annotations_of(text, citations, False),
            "logprobs": [],
        }

    def begun(self) -> Iterator[str]:
        response = {**self._head, "status": "in_progress", "output": [], "usage": None}
        yield self._event("response.created", response=response)
        yield self._event("response.in_progress", response=response)

    def failed(self, error: Exception) -> str:
        told = error_body(error)[1]["error"]
        return self._event("error", code=told["type"], message=told["message"], param=None)

    def written(self, answer: Answer) -> Iterator[str]:
        text, citations = self.cited(answer)
        item = {"type": "message", "id": self._item_id, "status": "in_progress", "role": "assistant", "content": []}
        yield self._event("response.output_item.added", output_index=0, item=item)
        at = {"item_id": self._item_id, "output_index": 0, "content_index": 0}
        empty = {"type": "output_text", "text": "", "annotations": [], "logprobs": []}
        yield self._event("response.content_part.added", **at, part=empty)
        for piece in pieces(text):
            yield self._event("response.output_text.delta", **at, delta=piece, logprobs=[])
        part = self._part(text, citations)
        for number, annotation in enumerate(part["annotations"]):
            yield self._event(
                "response.output_text.annotation.added", **at, annotation_index=number, annotation=annotation
            )
        yield self._event("response.output_text.done", **at, text=text, logprobs=[])
        yield self._event("response.content_part.done", **at, part=part)
        yield self._event("response.output_item.done", output_index=0, item=self._item(text, citations))
        yield self._event("response.completed", response=self.whole(answer))

    def _event(self, kind: str, **fields: Any) -> str:
        self._number += 1
        return sse({"type": kind, "sequence_number": self._number - 1, **fields}, kind)
