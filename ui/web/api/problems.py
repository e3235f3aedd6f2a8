"""Errors as problem+json (RFC 9457), in the words of the command line; and who asks for what in which library."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse

from rag.errors import LibraryBusy, LibraryError, RagError, UsageError
from ui.web.library.libraries import Libraries
from ui.web.library.open_library import OpenLibrary
from ui.web.workers.jobs import logged
from ui.wording import for_page

STATUS: tuple[tuple[type[RagError], int], ...] = ((LibraryBusy, 409), (LibraryError, 404), (UsageError, 422))


def problem(status: int, detail: str, title: str = "") -> JSONResponse:
    """A problem document. `detail` is one sentence that says what to do."""
    body = {"type": "about:blank", "title": title or detail, "status": status, "detail": detail}
    return JSONResponse(body, status, media_type="application/problem+json")


def report_problems(app: FastAPI) -> None:
    """Have the app answer errors with problem documents: no traceback, no HTML."""

    @app.exception_handler(RagError)
    def known(request: Request, error: RagError) -> JSONResponse:
        status = next((status for kind, status in STATUS if isinstance(error, kind)), 503)
        return problem(status, for_page(str(error)))

    @app.exception_handler(RequestValidationError)
    def invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        where = " ".join(str(part) for part in first["loc"] if part != "body")
        return problem(422, f"{where}: {first['msg']}".strip(": "))

    @app.exception_handler(Exception)
    def bug(request: Request, error: Exception) -> JSONResponse:
        return problem(500, str(logged(error)))


def libraries_of(request: Request) -> Libraries:
    """All libraries of the server."""
    libraries: Libraries = request.app.state.libraries
    return libraries


def library_of(request: Request) -> OpenLibrary:
    """The library that a request is about. Raises LibraryError for one that is not there (any more)."""
    return libraries_of(request).get(request.path_params.get("library_name", ""))


def owner_of(request: Request) -> str:
    """Who asks: the name that they logged in with; "" where nobody has to."""
    return str(request.scope.get("glossator_user", ""))


AllLibraries = Annotated[Libraries, Depends(libraries_of)]
InLibrary = Annotated[OpenLibrary, Depends(library_of)]
Owner = Annotated[str, Depends(owner_of)]
