"""How often one may ask: a token bucket for each user, for requests at all and for questions."""

from __future__ import annotations

import math
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass

from ui.web.access.identity import IN_LIBRARY
from ui.web.workers.jobs import ServerBusy

MOST_REMEMBERED = 4_096  # users whose buckets are kept; the longest unused are full again by then
QUESTIONS = ("/ask", "/chat/completions", "/responses", "/embeddings", "/precedents")


@dataclass(frozen=True, slots=True)
class Rate:
    """A token bucket: its size, and how fast it refills."""

    at_once: float
    per_second: float


REQUESTS = Rate(200, 40)
ASKING = Rate(20, 0.5)


class Buckets:
    """The buckets of one rate, by user. For any thread."""

    def __init__(self, rate: Rate):
        self._rate = rate
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()  # what is left, and as of when
        self._lock = threading.Lock()

    def take(self, user: str, now: float | None = None) -> float:
        """Take one; 0.0, or how many seconds it is until there is one.

        >>> buckets = Buckets(Rate(at_once=2, per_second=0.5))
        >>> [buckets.take("ada", now=now) for now in (0, 0, 0, 1, 2)]
        [0.0, 0.0, 2.0, 1.0, 0.0]
        """
        now = time.monotonic() if now is None else now
        with self._lock:
            left, at = self._left.pop(user, (self._rate.at_once, now))
            left = min(self._rate.at_once, left + (now - at) * self._rate.per_second)
            wait = 0.0 if left >= 1 else (1 - left) / self._rate.per_second
            self._left[user] = (left - 1 if left >= 1 else left), now
            if len(self._left) > MOST_REMEMBERED:
                self._left.popitem(last=False)
        return wait


class RateLimit:
    """Both rates. For any thread."""

    def __init__(self, requests: Rate = REQUESTS, asking: Rate = ASKING):
        self._requests, self._asking = Buckets(requests), Buckets(asking)

    def check_question(self, user: str) -> None:
        """Take a question that comes by MCP. Raises ServerBusy where it is one too many."""
        if wait := self._asking.take(user):
            raise ServerBusy(f"that was too often. Ask again in {math.ceil(wait)} s")

    def wait_seconds(self, user: str, method: str, path: str) -> float:
        """0.0 for a request that may go on, else how long its user has to wait."""
        if wait := self._requests.take(user):
            return wait
        return self._asking.take(user) if is_question(method, path) else 0.0


def is_question(method: str, path: str) -> bool:
    """
    >>> is_question("POST", "/v1/libraries/ab/chat/completions"), is_question("POST", "/v1/conversations/1/turns")
    (True, True)
    >>> is_question("GET", "/v1/turns/1/events"), is_question("POST", "/mcp")
    (False, False)
    """
    rest = IN_LIBRARY.sub("", path, count=1)
    of_conversation = rest.startswith("/conversations/") and rest.endswith("/turns")
    return method == "POST" and (rest.startswith(QUESTIONS) or of_conversation)
