"""The whole site, put together: the page at /, REST at /v1, OpenAI's protocol beside it, MCP at /mcp. FastAPI."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import Response
from fastapi_offline import FastAPIOffline

from ui.mcp_server import LibraryServer
from ui.web import telemetry
from ui.web.access.api_tokens import Tokens
from ui.web.access.audit import AuditLog
from ui.web.access.guard import Guard
from ui.web.access.identity import ANYONE
from ui.web.access.login import Doors, Login
from ui.web.access.rate_limit import RateLimit
from ui.web.access.users import Users
from ui.web.api import (
    ask_routes,
    conversation_routes,
    document_routes,
    evaluation_routes,
    library_routes,
    reading_routes,
    search_routes,
    settings_routes,
)  # fmt: skip
from ui.web.api.problems import audit_of, identity_of, problem, report_problems
from ui.web.app import mount
from ui.web.concepts import concept_routes
from ui.web.known_paths import KnownPaths
from ui.web.library.idempotency import FirstReplies
from ui.web.library.libraries import Libraries
from ui.web.openai import chat_routes, model_routes, responses_routes
from ui.web.review import correction_routes
from ui.web.telemetry import Metrics, Telemetry

LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
PARTS = {  # of one library, by what /docs calls them
    "Ask": (ask_routes, search_routes), "OpenAI's protocol": (chat_routes, responses_routes, model_routes),
    "Documents": (document_routes, reading_routes), "Conversations": (conversation_routes,),
    "Concepts": (concept_routes,), "Corrections": (correction_routes,),
    "Evaluation": (evaluation_routes,), "Settings": (settings_routes,),
}  # fmt: skip
ABOUT = (
    "Questions to a library of documents, answered with citations. Every route of a library stands under /v1 for the "
    "one that the server began with, and under /v1/libraries/NAME for another. Errors are problem documents "
    "(RFC 9457), but those of chat/completions, responses, models and embeddings OpenAI's."
)


@dataclass(frozen=True, slots=True)
class Reach:
    """Who reaches a server, and as whom.

    `names` are what it answers to besides the names of loopback, `origins` other sites whose pages may use it. Without
    `users_file` and `user_header` nobody has to log in.
    """

    names: Sequence[str] = ()
    origins: Sequence[str] = ()
    users_file: Path | None = None
    user_header: str = ""

    @property
    def has_login(self) -> bool:
        return self.users_file is not None or bool(self.user_header)

    def doors(self) -> Doors:
        """Raises RagError for files that cannot be used."""
        users = Users(self.users_file) if self.users_file else None
        tokens = Tokens(self.users_file, users) if self.users_file and users else None
        return Doors(users, tokens, self.user_header)


def application(libraries: Libraries, reach: Reach) -> Any:
    """The whole site: the page at /, and what programs ask for at /v1, /v1/libraries/NAME and /mcp.

    Raises RagError for users and tokens that cannot be read.
    """
    limit = RateLimit()

    def asked_by_mcp(request: Request, question: str) -> None:
        who = identity_of(request)
        if reach.has_login:
            limit.check_question(who.name)
        audit_of(request)("asked", question)

    mcp = LibraryServer(
        lambda request, name: libraries.get(name, identity_of(request) if request else ANYONE), asked_by_mcp
    )

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with mcp.session_manager.run():
            yield

    app = FastAPIOffline(
        redoc_url=None, openapi_url="/v1/openapi.json", static_url="/docs/files", title="Glossator",
        version=version("glossator"), description=ABOUT, lifespan=lifespan,
        swagger_ui_parameters={"validatorUrl": None},
    )  # fmt: skip
    audit = AuditLog(libraries.get("").library.folder / "audit.jsonl") if reach.has_login else None
    metrics = Metrics(libraries)
    app.state.libraries, app.state.arrivals = libraries, libraries.arrivals
    app.state.first_replies, app.state.audit, app.state.metrics = FirstReplies(), audit, metrics
    routers = [part.routes for parts in PARTS.values() for part in parts]
    app.state.paths = paths = KnownPaths([*routers, library_routes.routes, document_routes.arriving])
    app.include_router(telemetry.routes)
    for tag, parts in PARTS.items():
        for part in parts:
            app.include_router(part.routes, prefix="/v1", tags=[tag])
            app.include_router(part.routes, prefix="/v1/libraries/{library_name}", include_in_schema=False)
    app.include_router(document_routes.arriving, prefix="/v1", tags=["Documents"])
    app.include_router(library_routes.routes, prefix="/v1", tags=["Libraries"])
    mcp.mount_on(app)
    report_problems(app)
    app.add_api_route("/v1/{rest:path}", no_route, methods=list(METHODS), include_in_schema=False)
    site = mount(app, libraries.arrivals, reach.users_file is not None and not reach.user_header)
    inner = Login(site, reach.doors(), limit, audit) if reach.has_login else site
    guard = Guard(inner, [*LOOPBACK, *reach.names], libraries.arrivals, libraries.claimed, reach.origins)
    return Telemetry(guard, metrics, paths)


def no_route(request: Request) -> Response:
    """What is answered under /v1 where no route is: 405 where there is one for another method."""
    paths: KnownPaths = request.app.state.paths
    allowed = paths.methods(request.url.path)
    if allowed:
        return problem(405, f"this is asked for with {' or '.join(allowed)}", headers={"allow": ", ".join(allowed)})
    return problem(404, "there is no such address. See /docs")
