"""The site: the page at /, pictures of documents' pages at /page/, podcasts at /episode/. FastAPI and uvicorn.

On loopback by default. Nothing comes from or goes to another machine: no outside fonts or scripts, no analytics;
Gradio's routes to files are closed.
"""

from __future__ import annotations

import os
import socket
import sys
import tempfile
from collections.abc import Sequence
from typing import Any

import uvicorn
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.middleware.trustedhost import TrustedHostMiddleware
from fastapi.responses import FileResponse, PlainTextResponse, Response

from rag.errors import LibraryError, RagError
from rag.indexes import Indexes
from ui import render
from ui.casebook import Casebook
from ui.recordings import Recordings
from ui.sources import Pictures
from ui.web import Desk, mount
from ui.work import Intake, Reading, Worker

SHUTDOWN_SECONDS = 3.0
LOOPBACK = ("127.0.0.1", "localhost")
CLOSED = (
    "/gradio_api/file",
    "/gradio_api/proxy",
    "/gradio_api/run-history",
    "/gradio_api/deep_link",
    "/gradio_api/runs",
)
HEADERS = [  # 'unsafe-eval': gr.HTML makes a function of its template, a constant (Gradio 6.31)
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (
        b"content-security-policy",
        b"default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
        b"img-src 'self' data: blob:; font-src 'self' data:; frame-ancestors 'self'; form-action 'self'",
    ),
]


class Guard:
    """ASGI: headers on every reply; Gradio's routes to files, which this page does not use, are closed."""

    def __init__(self, app: Any):
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        async def send_with_headers(message: Any) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message["headers"], *HEADERS]}
            await send(message)

        if scope["type"] == "http" and scope["path"].startswith(CLOSED):
            await PlainTextResponse("not served here", 403)(scope, receive, send_with_headers)
        else:
            await self._app(scope, receive, send_with_headers)


def application(indexes: Indexes, intake: Intake, reading: Reading, host: str) -> Any:
    """The whole site: the page at /, pictures of documents' pages at /page/, audio and captions at /episode/."""
    app = FastAPI(openapi_url=None)
    if host in LOOPBACK:  # a foreign page may not reach us under a name of its own (DNS rebinding)
        app.add_middleware(TrustedHostMiddleware, allowed_hosts=list(LOOPBACK))
    app.add_middleware(Guard)
    pictures, recordings = Pictures(indexes), Recordings(indexes.library)
    desk = Desk(indexes, intake, reading, pictures, recordings, Casebook(indexes.library))

    @app.get("/page/{document_id}/{page}.png")
    def page(document_id: str, page: int, start: int = 0, end: int = 0) -> Response:
        try:
            return Response(pictures.png(document_id, page, start, end), media_type="image/png")
        except RagError as error:
            return PlainTextResponse(render.printable(str(error)), 404 if isinstance(error, LibraryError) else 422)

    @app.get("/episode/{document_id}/audio")
    def audio(document_id: str) -> Response:
        try:
            file, kind = recordings.audio(document_id)
        except RagError as error:
            return PlainTextResponse(render.printable(str(error)), 404)
        return FileResponse(file, media_type=kind)  # answers a Range, which a player asks for when it seeks

    @app.get("/episode/{document_id}/captions.vtt")
    def captions(document_id: str) -> Response:
        try:
            return Response(recordings.captions(document_id), media_type="text/vtt")
        except RagError as error:
            return PlainTextResponse(render.printable(str(error)), 404)

    @app.exception_handler(RequestValidationError)
    def invalid(request: Request, error: RequestValidationError) -> Response:
        return PlainTextResponse("page, start and end are whole numbers: /page/DOCUMENT/PAGE.png?start=S&end=E", 422)

    return mount(app, desk, host)


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, workers: Sequence[Worker]):
        super().__init__(config)
        self._workers = workers

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started and sockets:
            host, port = sockets[0].getsockname()[:2]
            host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
            print(f"glossator: open http://{f'[{host}]' if ':' in host else host}:{port}", file=sys.stderr, flush=True)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for worker in self._workers:  # or else the pages that wait for them would be waited for
            worker.stop()
        await super().shutdown(sockets)


def serve(indexes: Indexes, host: str, port: int) -> None:
    """Serve the page until Ctrl-C. Raises RagError if the port cannot be had."""
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listening = socket.create_server((host, port), family=family)
    except OSError as error:
        raise RagError(f"{host}:{port}: {error.strerror}. Choose another --port, or --host") from error
    intake, reading = Intake(indexes), Reading(indexes)
    with listening, tempfile.TemporaryDirectory(prefix="glossator-") as uploads:
        os.environ["GRADIO_TEMP_DIR"] = uploads  # ours alone, and gone afterwards
        app = application(indexes, intake, reading, host)
        config = uvicorn.Config(app, log_config=None, log_level="critical", timeout_graceful_shutdown=1)
        try:
            _Server(config, (intake, reading)).run([listening])
        except KeyboardInterrupt:  # uvicorn has ended in order, and raises the signal again
            pass
        finally:
            if not all([intake.close(SHUTDOWN_SECONDS), reading.close(SHUTDOWN_SECONDS)]):
                raise KeyboardInterrupt  # something does not stop: end the process
