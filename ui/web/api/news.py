"""What has happened to a job since a page last asked: long polling over its log."""

from __future__ import annotations

import asyncio
import time
from typing import Annotated, Any

from fastapi import Query

from ui.web.workers.turn_log import LoggedJob

LOOK_SECONDS = 0.1  # between two looks at whether something has happened
LONGEST_WAIT = 20.0  # of one request, for something to happen
Wait = Annotated[float, Query(ge=0, le=LONGEST_WAIT)]
First = Annotated[int, Query(ge=0)]


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
