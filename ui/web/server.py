"""The site: the page at /, pictures of documents' pages at /page/, podcasts at /episode/. FastAPI and uvicorn.

On loopback by default. Nothing comes from or goes to another machine: no outside fonts or scripts, no analytics. What
a request has to pass first stands in guard.py, who may come in in login.py.
"""

from __future__ import annotations

import os
import socket
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import uvicorn
from fastapi import FastAPI, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, PlainTextResponse, Response

from rag.errors import LibraryError, RagError
from rag.index.manager import Indexes
from ui.web.app import WebPage, Workers, mount
from ui.web.arrivals import Arrivals
from ui.web.connections import BoundedProtocol, raise_descriptor_limit
from ui.web.guard import Guard
from ui.web.login import Login
from ui.web.panels.page_view import PageViews
from ui.web.panels.recordings import Recordings
from ui.web.reach import BACKLOG, is_loopback, listen
from ui.web.users import Users
from ui.web.workers.answer_worker import AnswerWorker
from ui.web.workers.jobs import Worker, logged
from ui.web.workers.precedent_worker import PrecedentWorker
from ui.web.workers.upload_worker import UploadWorker
from ui.wording import printable

SHUTDOWN_SECONDS = 3.0
LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
ANYWHERE = ("0.0.0.0", "::")
Offset = Annotated[int, Query(ge=0, le=1 << 40)]


def application(
    indexes: Indexes, workers: Workers, arrivals: Arrivals, names: Sequence[str], users: Users | None
) -> Any:
    """The whole site: the page at /, pictures of documents' pages at /page/, audio and captions at /episode/.

    `names` are what it answers to besides the names of loopback; without `users` nobody has to log in.
    """
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    pages, recordings = PageViews(indexes), Recordings(indexes.library)

    @app.get("/page/{document_id}/{page}.png")
    def page(document_id: str, page: int, start: Offset = 0, end: Offset = 0) -> Response:
        try:
            return Response(pages.png(document_id, page, start, end), media_type="image/png")
        except RagError as error:
            return PlainTextResponse(printable(str(error)), 404 if isinstance(error, LibraryError) else 422)

    @app.get("/episode/{document_id}/audio")
    def audio(document_id: str) -> Response:
        try:
            file, kind = recordings.audio(document_id)
        except RagError as error:
            return PlainTextResponse(printable(str(error)), 404)
        return FileResponse(file, media_type=kind)  # answers a Range, which a player asks for when it seeks

    @app.get("/episode/{document_id}/captions.vtt")
    def captions(document_id: str) -> Response:
        try:
            return Response(recordings.captions(document_id), media_type="text/vtt")
        except RagError as error:
            return PlainTextResponse(printable(str(error)), 404)

    @app.exception_handler(RequestValidationError)
    def invalid(request: Request, error: RequestValidationError) -> Response:
        return PlainTextResponse("page, start and end are whole numbers: /page/DOCUMENT/PAGE.png?start=S&end=E", 422)

    @app.exception_handler(Exception)
    def internal_error(request: Request, error: Exception) -> Response:
        return PlainTextResponse(str(logged(error)), 500)

    site = mount(app, WebPage(indexes, workers, pages, recordings, arrivals, users is not None))
    return Guard(Login(site, users) if users else site, [*LOOPBACK, *names], arrivals, workers.uploads.claimed)


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


def serve(indexes: Indexes, host: str, port: int, names: Sequence[str] = (), users: Users | None = None) -> None:
    """Serve the page until Ctrl-C; without `users` nobody has to log in. Raises RagError for a port it cannot have."""
    if host not in ANYWHERE:
        names = [*names, f"[{host}]" if ":" in host else host]
    listening = listen(host, port)
    if users is None and not is_loopback(host):
        print(
            f"glossator: no login: whoever reaches {host}:{port} can read, add and remove every document here",
            file=sys.stderr,
        )
    raise_descriptor_limit()
    workers = Workers(UploadWorker(indexes), AnswerWorker(indexes), PrecedentWorker(indexes))
    all_workers = (workers.uploads, workers.answers, workers.precedents)
    with listening, tempfile.TemporaryDirectory(prefix="glossator-") as uploads:
        os.environ["GRADIO_TEMP_DIR"] = uploads  # ours alone, and gone afterwards
        app = application(indexes, workers, Arrivals(Path(uploads)), names, users)
        config = uvicorn.Config(
            app,
            http=BoundedProtocol,
            ws="none",
            log_config=None,
            log_level="critical",
            timeout_graceful_shutdown=1,
            backlog=BACKLOG,
        )
        try:
            _Server(config, all_workers).run([listening])
        except KeyboardInterrupt:  # uvicorn has ended in order, and raises the signal again
            pass
        finally:
            have_ended = [worker.close(SHUTDOWN_SECONDS) for worker in all_workers]
            if not all(have_ended):
                raise KeyboardInterrupt  # something does not stop: end the process
