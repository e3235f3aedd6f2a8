"""What happens to a job: long polling over its log, and its events as a server sends them."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import Query, Request
from fastapi.responses import StreamingResponse

from ui.web.workers.turn_log import Event, LoggedJob

LOOK_SECONDS = 0.1  # between two looks at whether something has happened
STREAM_LOOK_SECONDS = 0.03  # the same, for whoever reads along
SILENCE_SECONDS = 15.0  # after which a stream says that it is still there
LONGEST_WAIT = 20.0  # of one request, for something to happen
Wait = Annotated[float, Query(ge=0, le=LONGEST_WAIT)]
First = Annotated[int, Query(ge=0, le=1 << 31)]


async def news(job: LoggedJob | None, after: int, wait: float) -> dict[str, Any]:
    """The events from number `after` on, after waiting up to `wait` seconds for one; `open`: more will come.

    Without a job nothing has happened: it ended long ago, or with an earlier server.
    """
    if job is None:
        return {"events": [], "next": after, "open": False, "seconds": 0.0}
    until = time.monotonic() + wait
    while True:
        ended = job.result.done()  # before the log is read, so that nothing comes in between
        found, following = job.log.since(after)
        if found or ended or time.monotonic() >= until:
            return {"events": found, "next": following, "open": not ended, "seconds": job.log.seconds}
        await asyncio.sleep(LOOK_SECONDS)


async def follow(job: LoggedJob) -> AsyncIterator[Event]:
    """The events of a job as they happen, to its end, and an event "silence" where there is none for long.

    It is called off where nobody reads on: the client has hung up.
    """
    following, last = 0, time.monotonic()
    try:
        while True:
            ended = job.result.done()
            found, following = job.log.since(following)
            for event in found:
                yield event
                last = time.monotonic()
            if ended:
                return
            if time.monotonic() - last > SILENCE_SECONDS:
                yield {"kind": "silence"}
                last = time.monotonic()
            await asyncio.sleep(STREAM_LOOK_SECONDS)
    finally:
        job.stop.set()


async def ended(job: LoggedJob, request: Request) -> None:
    """Wait for the end of a job, which is called off where the client hangs up."""
    try:
        while not job.result.done():
            await asyncio.sleep(STREAM_LOOK_SECONDS)
            if await request.is_disconnected():
                job.stop.set()
    finally:
        job.stop.set()


def sse(data: Any, event: str = "") -> str:
    """A server-sent event.

    >>> sse({"text": "1871"}, "words")
    'event: words\\ndata: {"text": "1871"}\\n\\n'
    """
    name = f"event: {event}\n" if event else ""
    text = data if isinstance(data, str) else json.dumps(data, ensure_ascii=False)
    return f"{name}data: {text}\n\n"


def stream(events: AsyncIterator[str]) -> StreamingResponse:
    """Server-sent events as a reply, which no proxy is to hold back."""
    headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
    return StreamingResponse(events, media_type="text/event-stream", headers=headers)
