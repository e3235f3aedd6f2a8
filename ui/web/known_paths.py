"""Which of the program's routes a request's path is of, and the methods of that path."""

from __future__ import annotations

from collections.abc import Iterable

from fastapi import APIRouter
from fastapi.routing import APIRoute
from starlette.routing import compile_path

from ui.web.access.identity import IN_LIBRARY

UNLISTED = ("/", "/health", "/ready", "/metrics", "/mcp", "/docs", "/v1/openapi.json", "/login", "/logout")


class KnownPaths:
    """The paths of routers under /v1. Those in a library made in the page count as the first library's."""

    def __init__(self, routers: Iterable[APIRouter]):
        routes = [route for router in routers for route in router.routes if isinstance(route, APIRoute)]
        self._routes = [(compile_path(f"/v1{r.path}")[0], f"/v1{r.path}", sorted(r.methods or ())) for r in routes]

    def pattern(self, path: str) -> str:
        """The pattern, such as /v1/documents/{document_id}; "other" where there is none."""
        if path in UNLISTED or not path.startswith("/v1/"):
            return path if path in UNLISTED else "other"
        return next((name for name, _ in self._of(path)), "other")

    def methods(self, path: str) -> list[str]:
        """The methods by which a path is asked for; [] where there is none."""
        return list(dict.fromkeys(method for _, methods in self._of(path) for method in methods))

    def _of(self, path: str) -> Iterable[tuple[str, list[str]]]:
        within = IN_LIBRARY.sub("/v1", path, count=1)
        return (
            (name, known) for regex, name, known in self._routes if regex.fullmatch(path) or regex.fullmatch(within)
        )
