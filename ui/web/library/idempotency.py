"""Requests that may be sent twice: the second with the same Idempotency-Key gets the first one's reply.

After draft-ietf-httpapi-idempotency-key-header. A client whose connection broke sends it again without adding a
document twice.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from typing import Any

from rag.errors import UsageError

MOST = 1_000  # keys that are remembered
SECONDS = 24 * 3600.0  # for which one is
LONGEST = 200  # characters of a key


class FirstReplies:
    """The replies to requests with keys. For any thread."""

    def __init__(self, most: int = MOST, seconds: float = SECONDS):
        self._most, self._seconds = most, seconds
        self._replies: OrderedDict[tuple[str, str], tuple[float, str, dict[str, Any]]] = OrderedDict()
        self._lock = threading.Lock()

    def find(self, owner: str, key: str | None, request: str) -> dict[str, Any] | None:
        """The reply to an earlier request of `owner` with this key; None where there was none, or is no key.

        Raises UsageError for a key that was used for another `request`, or is too long.
        """
        if key is None:
            return None
        if not 0 < len(key) <= LONGEST:
            raise UsageError(f"Idempotency-Key: 1 to {LONGEST} characters")
        with self._lock:
            found = self._replies.get((owner, key))
            if found is None or time.monotonic() - found[0] > self._seconds:
                return None
            if found[1] != request:
                raise UsageError("Idempotency-Key: it was used for another request. Send a new one")
            return found[2]

    def keep(self, owner: str, key: str | None, request: str, reply: dict[str, Any]) -> dict[str, Any]:
        """Remember the reply to a request with a key; the reply."""
        if key is not None:
            with self._lock:
                self._replies[owner, key] = time.monotonic(), request, reply
                while len(self._replies) > self._most:
                    self._replies.popitem(last=False)
        return reply
