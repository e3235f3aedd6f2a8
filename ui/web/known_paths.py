"""The addresses as the program's own description has them: which pattern a request's path is of, and its methods."""

from __future__ import annotations

import re
from functools import cached_property
from typing import Any

from starlette.routing import compile_path

from ui.web.access.identity import IN_LIBRARY

UNLISTED = ("/", "/health", "/ready", "/metrics", "/mcp", "/docs", "/v1/openapi.json", "/login", "/logout")


class KnownPaths:
    """The paths of a FastAPI app; of those in a library made in the page the ones of the first one stand for them."""

    def __init__(self, app: Any):
        self._app = app

    @cached_property
    def _patterns(self) -> list[tuple[re.Pattern[str], str, tuple[str, ...]]]:
        paths = self._app.openapi()["paths"]
        return [(compile_path(path)[0], path, tuple(method.upper() for method in paths[path])) for path in paths]

    def of(self, path: str) -> tuple[str, tuple[str, ...]]:
        """The pattern, such as /v1/documents/{document_id}, and its methods; ("other", ()) where there is none."""
        if path in UNLISTED:
            return path, ()
        within = IN_LIBRARY.sub("/v1", path, count=1)
        pattern, methods = "other", list[str]()
        for regex, name, of_name in self._patterns:
            if regex.fullmatch(path) or regex.fullmatch(within):
                pattern = name if pattern == "other" else pattern
                methods += [method for method in of_name if method not in methods]
        return pattern, tuple(methods)
