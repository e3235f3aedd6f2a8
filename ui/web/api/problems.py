"""Errors as problem+json (RFC 9457), in the words of the command line; and who asks for what in which library."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, model_validator
from starlette.exceptions import HTTPException

from rag.errors import LibraryBusy, LibraryError, RagError, UsageError
from ui.web.access.audit import AuditLog
from ui.web.access.identity import ANYONE, Identity
from ui.web.library.libraries import Libraries
from ui.web.library.open_library import OpenLibrary
from ui.web.workers.jobs import ServerBusy, logged, message_of
from ui.wording import for_page

STATUS: tuple[tuple[type[RagError], int], ...] = (
    (ServerBusy, 429), (LibraryBusy, 409), (LibraryError, 404), (UsageError, 422),
)  # fmt: skip


class Body(BaseModel):
    """The JSON of a request. A field that is not known is refused: it may be one that was misspelt; so is half a
    character (JSON may name one), which is no text."""

    model_config = ConfigDict(extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _is_text(cls, given: Any) -> Any:
        try:
            json.dumps(given, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            raise ValueError("a text holds half a character. Leave it out") from None
        return given


def problem(status: int, detail: str, title: str = "", headers: Mapping[str, str] | None = None) -> JSONResponse:
    """A problem document. `detail` is one sentence that says what to do."""
    body = {"type": "about:blank", "title": title or detail, "status": status, "detail": detail}
    return JSONResponse(body, status, headers, media_type="application/problem+json")


def status_of(error: Exception) -> int:
    """The status that an error is answered with.

    >>> status_of(UsageError("k is 0")), status_of(ServerBusy("wait")), status_of(RagError("broken"))
    (422, 429, 503)
    """
    if not isinstance(error, RagError):
        return 500
    return next((status for kind, status in STATUS if isinstance(error, kind)), 503)


def detail_of(error: Exception) -> str:
    """What a program is told of an error: as the page, but with a field's name as it is written.

    >>> detail_of(UsageError("n: leave it out")), detail_of(UsageError("the question is empty (see --help)"))
    ('n: leave it out', 'The question is empty')
    """
    text = message_of(error)
    shown = for_page(text)
    return text[:1] + shown[1:] if re.match(r"[a-z_][\w.]*: ", text) else shown


def retry_after(error: Exception) -> dict[str, str]:
    """The header that says when to ask again, where that would help."""
    return {"retry-after": str(error.retry_seconds)} if isinstance(error, ServerBusy) else {}


def first_error(error: RequestValidationError) -> str:
    """What is wrong with a request first, and where."""
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"] if part not in ("body", "query", "path"))
    what = {"extra_forbidden": "is not known here. Leave it out", "json_invalid": "the body is no JSON"}
    return f"{where}: {what.get(first['type'], first['msg'])}".strip(": ")


def report_problems(app: FastAPI) -> None:
    """Have the app answer errors with problem documents: no traceback, no HTML."""

    @app.exception_handler(RagError)
    def known(request: Request, error: RagError) -> JSONResponse:
        return problem(status_of(error), detail_of(error), headers=retry_after(error))

    @app.exception_handler(RequestValidationError)
    def invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        return problem(422, first_error(error))

    @app.exception_handler(HTTPException)
    def refused(request: Request, error: HTTPException) -> JSONResponse:
        return problem(error.status_code, str(error.detail), headers=error.headers)

    @app.exception_handler(Exception)
    def bug(request: Request, error: Exception) -> JSONResponse:
        return problem(500, str(logged(error)))


def libraries_of(request: Request) -> Libraries:
    """All libraries of the server."""
    libraries: Libraries = request.app.state.libraries
    return libraries


def identity_of(request: Request) -> Identity:
    """Who asks."""
    identity: Identity = request.scope.get("glossator_identity", ANYONE)
    return identity


def library_of(request: Request) -> OpenLibrary:
    """The library that a request is about. Raises LibraryError for one that is not there (any more)."""
    return libraries_of(request).get(request.path_params.get("library_name", ""), identity_of(request))


def owner_of(request: Request) -> str:
    """The name that they logged in with; "" where nobody has to."""
    return identity_of(request).name


def audit_of(request: Request) -> Callable[[str, str], None]:
    """What writes down what was done, and to what; nothing where nobody logs in."""
    log: AuditLog | None = getattr(request.app.state, "audit", None)
    who, library = identity_of(request), request.path_params.get("library_name", "")

    def add(did: str, what: str = "") -> None:
        if log is not None and who.name:
            log.add(who.name, did, what, library=library, token=who.token_id)

    return add


AllLibraries = Annotated[Libraries, Depends(libraries_of)]
InLibrary = Annotated[OpenLibrary, Depends(library_of)]
Owner = Annotated[str, Depends(owner_of)]
Who = Annotated[Identity, Depends(identity_of)]
Audit = Annotated[Callable[..., None], Depends(audit_of)]
