"""What happens to a question, in the order it happens: pages that watch it read on from where they have got to."""

from __future__ import annotations

import threading
import time
from typing import Any

from ui.web.workers.jobs import Job

Event = dict[str, Any]


class TurnLog:
    """Events, each {"kind": ..., "at": seconds since the log began, ...}. For any thread; only ever appended to.

    kind "doing": `what` is under way; "understood"; "evidence": the sources found; "marked"; "draft": more `text` of
    it; "redraft": what was drafted is void; "answer"; "failed": `error`; "stopped"; "explained".
    """

    def __init__(self) -> None:
        self._events: list[Event] = []
        self._began = time.monotonic()
        self._lock = threading.Lock()

    def add(self, kind: str, **values: Any) -> None:
        with self._lock:
            self._events.append({"kind": kind, "at": round(time.monotonic() - self._began, 2), **values})

    @property
    def count(self) -> int:
        with self._lock:
            return len(self._events)

    @property
    def seconds(self) -> float:
        """Since the log began."""
        return round(time.monotonic() - self._began, 2)

    def since(self, first: int) -> tuple[list[Event], int]:
        """The events from number `first` (from 0) on, consecutive pieces of a draft as one; and the next number."""
        with self._lock:
            events, following = self._events[max(first, 0) :], len(self._events)
        joined: list[Event] = []
        for event in events:
            if joined and event["kind"] == joined[-1]["kind"] == "draft":
                joined[-1] = {**event, "text": joined[-1]["text"] + event["text"]}
            else:
                joined.append(event)
        return joined, following


class LoggedJob(Job):
    """A job whose log pages watch."""

    def __init__(self) -> None:
        super().__init__()
        self.log = TurnLog()
