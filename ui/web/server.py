"""The server: the site (site.py) on a socket, and its end. uvicorn.

On loopback by default. Nothing comes from or goes to another machine: no outside fonts or scripts, no analytics. What
a request has to pass first stands in access/guard.py, who may come in in access/login.py.
"""

from __future__ import annotations

import os
import socket
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import uvicorn

from rag.index.manager import Indexes
from ui.web.access.reach import BACKLOG, is_loopback, listen
from ui.web.connections import BoundedProtocol, raise_descriptor_limit
from ui.web.library.arrivals import Arrivals
from ui.web.library.libraries import Libraries
from ui.web.site import Reach, application

SHUTDOWN_SECONDS = 3.0
ANYWHERE = ("0.0.0.0", "::")


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
    indexes: Indexes, host: str, port: int, reach: Reach, folders: Sequence[Path] = (), reads: bool = True
) -> None:  # fmt: skip
    """Serve the page until Ctrl-C. Raises RagError for a port it cannot have.

    `folders`: those of this machine whose files the page may add by their path. Without `reads` what is uploaded is
    left to `glossator worker`.
    """
    if host not in ANYWHERE:
        reach = replace(reach, names=[*reach.names, f"[{host}]" if ":" in host else host])
    listening = listen(host, port)
    if not reach.has_login and not is_loopback(host):
        print(
            f"glossator: no login: whoever reaches {host}:{port} can read, add and remove every document here",
            file=sys.stderr,
        )
    raise_descriptor_limit()
    with listening, tempfile.TemporaryDirectory(prefix="glossator-") as uploads:
        os.environ["GRADIO_TEMP_DIR"] = uploads  # ours alone, and gone afterwards
        libraries = Libraries(indexes, Arrivals(Path(uploads)), folders, reads)
        app = application(libraries, reach)
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
