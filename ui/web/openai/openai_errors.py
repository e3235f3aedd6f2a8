"""Errors as OpenAI's clients read them: {"error": {"message", "type", "param", "code"}}."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from fastapi.routing import APIRoute

from rag.errors import LibraryError, RagError, UsageError
from ui.web.api.problems import detail_of, first_error, retry_after, status_of
from ui.web.workers.jobs import ServerBusy

Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class OpenAIRoute(APIRoute):
    """A route whose errors are OpenAI's: 400 for a wrong request, which their clients do not send again."""

    def get_route_handler(self) -> Handler:
        handle: Callable[[Request], Awaitable[Response]] = super().get_route_handler()

        async def handled(request: Request) -> Response:
            try:
                return await handle(request)
            except RequestValidationError as error:
                return error_reply(UsageError(first_error(error)))
            except (RagError, OSError) as error:
                return error_reply(error)

        return handled


def error_body(error: Exception) -> tuple[int, dict[str, Any]]:
    """The status, and the body.

    >>> error_body(UsageError("k is 0"))
    (400, {'error': {'message': 'K is 0', 'type': 'invalid_request_error', 'param': None, 'code': None}})
    """
    kind, status = "server_error", status_of(error)
    if isinstance(error, UsageError):
        kind, status = "invalid_request_error", 400
    elif isinstance(error, ServerBusy):
        kind = "rate_limit_error"
    elif isinstance(error, LibraryError):
        kind = "invalid_request_error"
    return status, {"error": {"message": detail_of(error), "type": kind, "param": None, "code": None}}


def error_reply(error: Exception) -> JSONResponse:
    """The reply to a request that failed."""
    status, body = error_body(error)
    return JSONResponse(body, status, retry_after(error))
