"""A bound on connections and on how long one may take to say what it wants: uvicorn has neither.

A server that waits for headers as long as it takes is held by a client that sends none (slowloris): each such socket
costs a file descriptor until there are no more.
"""

from __future__ import annotations

import asyncio
import resource
from contextlib import suppress
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

HEADER_SECONDS = 10.0
MOST_CONNECTIONS = 512
DESCRIPTORS = 4096


def raise_descriptor_limit() -> None:
    """Let this process have as many files and sockets open as it may ask for, up to DESCRIPTORS."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < DESCRIPTORS:
        wanted = DESCRIPTORS if hard == resource.RLIM_INFINITY else min(DESCRIPTORS, hard)
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def most_connections() -> int:
    """How many connections are held: a third of the files that this process may have open, at most 512."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MOST_CONNECTIONS if soft == resource.RLIM_INFINITY else min(MOST_CONNECTIONS, soft // 3)


class BoundedProtocol(H11Protocol):
    """An HTTP connection that is closed when its headers take too long, or when there are too many.

    Where there are, the one that has waited longest without a request makes room; if all have one, the new one does.
    """

    _most: int | None = None
    _deadline: asyncio.TimerHandle | None = None
    _since = 0.0

    @property
    def _is_waiting(self) -> bool:
        """Whether no request is under way."""
        return self.cycle is None or self.cycle.response_complete

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._since = self.loop.time()
        if BoundedProtocol._most is None:
            BoundedProtocol._most = most_connections()
        if len(self.connections) > BoundedProtocol._most:
            waiting = [c for c in self.connections if isinstance(c, BoundedProtocol) and c._is_waiting]
            oldest = min((c for c in waiting if c is not self), key=lambda c: c._since, default=self)
            self.connections.discard(oldest)  # its end comes later, and the next one is not to be sent away for it
            oldest.transport.abort()
        self._limit()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if not self._is_waiting:
            self._unlimit()
        elif self._deadline is None:  # the beginning of another request
            self._limit()

    def connection_lost(self, exc: Exception | None) -> None:
        self._unlimit()
        super().connection_lost(exc)

    def _limit(self) -> None:
        self._deadline = self.loop.call_later(HEADER_SECONDS, self._expire)

    def _unlimit(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _expire(self) -> None:
        self._deadline = None
        if self._is_waiting:
            self.transport.abort()
