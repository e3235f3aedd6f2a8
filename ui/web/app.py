"""The page: Gradio's, with one custom component, the reading room, whose scripts and styles stand in static/room/.

All that it shows comes from the routes of ui/web/api; nothing comes from another machine.
"""

from __future__ import annotations

from functools import cache
from hashlib import sha256
from typing import Any

import gradio as gr
from starlette.middleware.gzip import GZipMiddleware
from starlette.staticfiles import StaticFiles
from starlette.types import Receive, Scope, Send

from ui.web.guarded_blocks import GuardedBlocks
from ui.web.library.arrivals import Arrivals
from ui.web.templating import STATIC, render
from ui.web.theme import theme

ROOM = STATIC / "room"
FOREVER = b"public, max-age=31536000, immutable"


@cache
def version() -> str:
    """Another one whenever a file of the room has changed: it is part of their addresses, which are kept for ever."""
    digest = sha256()
    for file in sorted(path for path in ROOM.rglob("*") if path.is_file()):
        digest.update(file.relative_to(ROOM).as_posix().encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()[:12]


def assets() -> str:
    """The address under which the room's files are served."""
    return f"/room/{version()}"


class Assets:
    """ASGI: the room's files, which a browser keeps."""

    def __init__(self) -> None:
        self._files = StaticFiles(directory=ROOM)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_kept(message: Any) -> None:
            if message["type"] == "http.response.start" and message["status"] == 200:
                message = {**message, "headers": [*message["headers"], (b"cache-control", FOREVER)]}
            await send(message)

        await self._files(scope, receive, send_kept)


def blocks(arrivals: Arrivals) -> GuardedBlocks:
    """Gradio's Blocks of the page."""
    page = GuardedBlocks(arrivals)
    with page:
        gr.HTML('<div id="room" class="room"></div>', elem_id="room-holder", container=False, apply_default_css=False)
    page.queue(api_open=False, default_concurrency_limit=1, max_size=64)
    return page


def mount(app: Any, arrivals: Arrivals, has_login: bool) -> Any:
    """The FastAPI app with the page at "/" and its files below it."""
    app.mount(assets(), GZipMiddleware(Assets(), minimum_size=1000))
    scripts = [path.relative_to(ROOM).as_posix() for path in sorted(ROOM.rglob("*.js"))]
    head = render("head.html", assets=assets(), scripts=scripts, has_login=has_login)
    return gr.mount_gradio_app(
        app, blocks(arrivals), path="/", footer_links=[], run_history=False, allowed_paths=[],
        ssr_mode=False, enable_monitoring=False, pwa=False, mcp_server=False, theme=theme(), head=str(head),
    )  # fmt: skip
