"""What a request has to pass before the page sees it: its host, its origin, its route, its size and its time.

ASGI middleware. A refusal is a problem document. What is closed and why stands in SECURITY.md.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

from starlette.middleware.cors import CORSMiddleware

from ui.web.api.problems import problem
from ui.web.library.arrivals import Arrivals

UPLOAD = "/v1/uploads/"  # with PUT and a name behind it: a file
MOST_UPLOAD = 1 << 30  # bytes of a file, and of a request with several
MOST_BODY = 8 << 20  # bytes of any other request: the facts of a new case are the largest
BODY_SECONDS = 30.0  # for a body to arrive, and more for a long one:
SLOWEST = 32_768  # bytes a second
LOOK_EVERY = 16 << 20  # bytes of an upload between two looks at how full the folder is

# Gradio's routes that this page uses. The others read files, fetch addresses, list runs or describe the program.
GRADIO = tuple(
    f"/gradio_api/{name}"
    for name in (
        "queue/join",
        "queue/data",
        "heartbeat/",
        "cancel",
        "reset",
        "startup-events",
    )
)
CLOSED = ("/gradio_api/", "/openapi.json", "/redoc", "/monitoring", "/run-history")
SAFE = ("GET", "HEAD", "OPTIONS")
CORS_HEADERS = ("authorization", "content-type", "idempotency-key", "mcp-protocol-version", "mcp-session-id")
HEADERS = [  # 'unsafe-eval': gr.HTML makes a function of its template, a constant (Gradio 6.31)
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),  # with none at all, browsers name no origin in a form that is sent
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (
        b"content-security-policy",
        b"default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
        b"img-src 'self' data: blob:; font-src 'self' data:; frame-ancestors 'self'; form-action 'self'",
    ),
]


class Guard:
    """ASGI: refuses what does not come from this site's own pages to this site's own names, in bounded size and time.

    `names`: host names that the server answers to, without ports; of other names with the port, "docs.example:8443",
    pages may also send requests through a proxy that changes the Host header. `claimed` gives the uploads that
    ingestion is about to read. `origins`, "https://app.example", are sites whose pages may use /v1 and /mcp: without
    cookies, so with a token.
    """

    def __init__(
        self, app: Any, names: Collection[str], arrivals: Arrivals, claimed: Callable[[], Collection[Path]] = tuple,
        origins: Collection[str] = (),
    ):  # fmt: skip
        self._cors_origins = {origin.lower().rstrip("/") for origin in origins}
        self._app = CORSMiddleware(
            app, tuple(self._cors_origins), allow_methods=["*"], allow_headers=list(CORS_HEADERS),
            expose_headers=["etag", "retry-after", "x-request-id"],
        ) if origins else app  # fmt: skip
        self._names = {_hostname(name) for name in names}
        self._origins = {name.lower() for name in names}
        self._arrivals = arrivals
        self._claimed = claimed
        self._arriving = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":  # the page opens no WebSocket
            return

        async def send_with_headers(message: Any) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message["headers"], *HEADERS]}
            await send(message)

        if refused := self._refusal(scope):
            await problem(*refused)(scope, receive, send_with_headers)
        else:
            await self._pass_on(scope, receive, send_with_headers)

    def _refusal(self, scope: Any) -> tuple[int, str] | None:
        """(status, why) of a request that goes no further."""
        headers: dict[bytes, list[bytes]] = {}
        for name, value in scope["headers"]:
            headers.setdefault(name, []).append(value)
        host = b",".join(headers.get(b"host", [])).decode("latin-1").lower()
        if _hostname(host) not in self._names:
            return (
                400,
                "this server does not answer to that name. Whoever runs it may add it: glossator serve --name NAME",
            )
        origin = [value.decode("latin-1").lower() for value in headers.get(b"origin", [])]
        if self._cors_origins.issuperset(origin) and origin and scope["path"].startswith(("/v1/", "/mcp")):
            scope["headers"] = [(name, value) for name, value in scope["headers"] if name != b"cookie"]
            origin, headers[b"sec-fetch-site"] = [], [b"none"]
        if any(one.partition("://")[2] not in (host, *self._origins) for one in origin):
            return 403, "asked from another site's page"
        fetched = headers.get(b"sec-fetch-site", [b"none"])[0]
        if not origin and scope["method"] not in SAFE and fetched not in (b"none", b"same-origin"):
            return 403, "asked from another site's page"
        path = scope["path"]
        if path.startswith(UPLOAD):
            self._arrivals.sweep(self._claimed(), self._arriving > 0)
        if path.startswith(CLOSED) and not path.startswith(GRADIO):
            return 403, "not served here"
        length = headers.get(b"content-length", [b"0"])[0]
        if length.isdigit() and int(length) > self._most(path):
            return 413, "too large. Add fewer or smaller files at a time, or use glossator ingest"
        return None

    def _most(self, path: str) -> int:
        """How many bytes a request may have."""
        return min(MOST_UPLOAD, self._arrivals.room()) if path.startswith(UPLOAD) else MOST_BODY

    async def _pass_on(self, scope: Any, receive: Any, send: Any) -> None:
        is_upload = scope["path"].startswith(UPLOAD) and scope["method"] == "PUT"
        body = _Body(receive, lambda: self._most(scope["path"]))
        begun = False

        async def send_unless_refused(message: Any) -> None:
            nonlocal begun
            if not body.refused or begun:
                begun = True
                await send(message)

        if is_upload:
            self._arriving += 1
        try:
            await self._app(scope, body.receive, send_unless_refused)
        except Exception:
            if not body.refused:  # else what it was given made it fail
                raise
        finally:
            if is_upload:
                self._arriving -= 1
                self._arrivals.sweep(self._claimed(), self._arriving > 0)
        if body.refused and not begun:
            status, why = body.refused
            await problem(status, why, headers={"connection": "close"})(scope, receive, send)


class _Body:
    """A request's body as it arrives. Once it is too large or too late it is `refused`; to the page it is cut off."""

    def __init__(self, receive: Any, most: Callable[[], int]):
        self.refused: tuple[int, str] | None = None
        self._receive = receive
        self._most_now = most
        self._most = most()
        self._received = self._looked = 0
        self._began = time.monotonic()
        self._is_whole = False

    async def receive(self) -> Any:
        """ASGI's receive."""
        if self._is_whole:  # what comes now is that the browser has gone
            return await self._receive()
        if self.refused:
            return {"type": "http.disconnect"}
        left = self._began + BODY_SECONDS + self._received / SLOWEST - time.monotonic()
        try:
            message = await asyncio.wait_for(self._receive(), max(0.0, left))
        except TimeoutError:
            return self._refuse(408, "took too long to arrive. Try again")
        self._received += len(message.get("body", b""))
        if self._received - self._looked > LOOK_EVERY:
            self._looked = self._received
            self._most = min(self._most, self._received + self._most_now())
        if self._received > self._most:
            return self._refuse(413, "too large. Add fewer or smaller files at a time, or use glossator ingest")
        self._is_whole = not message.get("more_body")
        return message

    def _refuse(self, status: int, why: str) -> Any:
        self.refused = status, why
        return {"type": "http.disconnect"}


def _hostname(host: str) -> str:
    """The name in a Host header.

    >>> _hostname("localhost:7860"), _hostname("[::1]:7860"), _hostname("Docs.Example")
    ('localhost', '[::1]', 'docs.example')
    """
    name, colon, port = host.rpartition(":")
    return (name if colon and port.isdigit() and (name.endswith("]") or ":" not in name) else host).lower()
