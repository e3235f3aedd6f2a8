"""The site: the page at /, REST at /v1. FastAPI and uvicorn.

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
from typing import Any

import uvicorn
from fastapi import FastAPI

from rag.index.manager import Indexes
from ui.web.api import (
    conversation_routes,
    document_routes,
    evaluation_routes,
    library_routes,
    reading_routes,
    search_routes,
    settings_routes,
)  # fmt: skip
from ui.web.api.problems import report_problems
from ui.web.app import mount
from ui.web.connections import BoundedProtocol, raise_descriptor_limit
from ui.web.guard import Guard
from ui.web.library.arrivals import Arrivals
from ui.web.library.libraries import Libraries
from ui.web.login import Login
from ui.web.reach import BACKLOG, is_loopback, listen
from ui.web.users import Users

SHUTDOWN_SECONDS = 3.0
LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
ANYWHERE = ("0.0.0.0", "::")


def application(libraries: Libraries, names: Sequence[str], users: Users | None) -> Any:
    """The whole site: the page at /, and what it asks for at /v1 and /v1/libraries/NAME.

    `names` are what it answers to besides the names of loopback; without `users` nobody has to log in.
    """
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    app.state.libraries, app.state.arrivals = libraries, libraries.arrivals
    app.include_router(document_routes.arriving, prefix="/v1")
    app.include_router(library_routes.routes, prefix="/v1")
    parts = (conversation_routes, document_routes, reading_routes, search_routes, evaluation_routes, settings_routes)
    for part in parts:
        for prefix in ("/v1", "/v1/libraries/{library_name}"):
            app.include_router(part.routes, prefix=prefix)
    report_problems(app)
    site = mount(app, libraries.arrivals, users is not None)
    return Guard(Login(site, users) if users else site, [*LOOPBACK, *names], libraries.arrivals, libraries.claimed)


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, libraries: Libraries):
        super().__init__(config)
        self._libraries = libraries

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started and sockets:
            host, port = sockets[0].getsockname()[:2]
            host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
            print(f"glossator: open http://{f'[{host}]' if ':' in host else host}:{port}", file=sys.stderr, flush=True)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for worker in self._libraries.workers:  # or else the pages that wait for them would be waited for
            worker.stop()
        await super().shutdown(sockets)


def serve(
    indexes: Indexes, host: str, port: int, names: Sequence[str] = (), users: Users | None = None,
    folders: Sequence[Path] = (),
) -> None:  # fmt: skip
    """Serve the page until Ctrl-C; without `users` nobody has to log in. Raises RagError for a port it cannot have.

    `folders`: those of this machine whose files the page may add by their path.
    """
    if host not in ANYWHERE:
        names = [*names, f"[{host}]" if ":" in host else host]
    listening = listen(host, port)
    if users is None and not is_loopback(host):
        print(
            f"glossator: no login: whoever reaches {host}:{port} can read, add and remove every document here",
            file=sys.stderr,
        )
    raise_descriptor_limit()
    with listening, tempfile.TemporaryDirectory(prefix="glossator-") as uploads:
        os.environ["GRADIO_TEMP_DIR"] = uploads  # ours alone, and gone afterwards
        libraries = Libraries(indexes, Arrivals(Path(uploads)), folders)
        app = application(libraries, names, users)
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
            _Server(config, libraries).run([listening])
        except KeyboardInterrupt:  # uvicorn has ended in order, and raises the signal again
            pass
        finally:
            have_ended = [worker.close(SHUTDOWN_SECONDS) for worker in libraries.workers]
            if not all(have_ended):
                raise KeyboardInterrupt  # something does not stop: end the process
