"""How the server fares: a request's id, a line in the log for each, counts for Prometheus, and whether it is well.

https://prometheus.io/docs/instrumenting/exposition_formats/. Names of routes are those of the program: no id, no
question and no user's name is in a label.
"""

from __future__ import annotations

import json
import logging
import re
import secrets
import time
from collections.abc import Iterable
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import PlainTextResponse, Response
from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from rag.errors import RagError
from ui.web.api.problems import AllLibraries, problem
from ui.web.known_paths import KnownPaths
from ui.web.library.libraries import Libraries

METHODS = ("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE")
REQUEST_ID = re.compile(r"[\w.-]{1,64}")
BUCKETS = (0.005, 0.02, 0.05, 0.1, 0.3, 1, 3, 10, 30, 100)  # seconds
log = logging.getLogger("glossator.requests")
routes = APIRouter()


class Metrics:
    """The counts of one server."""

    def __init__(self, libraries: Libraries):
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "glossator_requests", "Requests by route, method and status", ("route", "method", "status"),
            registry=self.registry,
        )  # fmt: skip
        self.seconds = Histogram(
            "glossator_request_seconds", "Time until a reply was sent", ("route",), registry=self.registry,
            buckets=BUCKETS,
        )  # fmt: skip
        ProcessCollector(registry=self.registry)
        self.registry.register(_LibraryCounts(libraries))


class _LibraryCounts(Collector):
    """What there is, and what is under way, at the time of asking."""

    def __init__(self, libraries: Libraries):
        self._libraries = libraries

    def collect(self) -> Iterable[GaugeMetricFamily]:
        opened = self._libraries.opened
        sizes = [library.library.size() for library in opened]
        yield GaugeMetricFamily("glossator_documents", "Documents in open libraries", sum(size[0] for size in sizes))
        yield GaugeMetricFamily("glossator_passages", "Passages in open libraries", sum(size[1] for size in sizes))
        questions = sum(library.answers.under_way for library in opened)
        yield GaugeMetricFamily("glossator_open_questions", "Questions and explanations under way", questions)
        uploads = sum(library.uploads.under_way for library in opened)
        yield GaugeMetricFamily("glossator_open_uploads", "Batches of documents that are read, or wait", uploads)


class Telemetry:
    """ASGI, outermost: gives each request an id, and counts and logs it."""

    def __init__(self, app: Any, metrics: Metrics, paths: KnownPaths):
        self._app, self._metrics, self._paths = app, metrics, paths

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = next((value.decode("latin-1") for name, value in scope["headers"] if name == b"x-request-id"), "")
        request_id = given if REQUEST_ID.fullmatch(given) else secrets.token_hex(8)
        began, status = time.perf_counter(), 500

        async def send_with_id(message: Any) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message = {**message, "headers": [*message["headers"], (b"x-request-id", request_id.encode())]}
            await send(message)

        try:
            await self._app(scope, receive, send_with_id)
        finally:
            seconds, route = time.perf_counter() - began, self._paths.pattern(scope["path"])
            method = scope["method"] if scope["method"] in METHODS else "other"  # a client may invent some without end
            self._metrics.requests.labels(route, method, str(status)).inc()
            self._metrics.seconds.labels(route).observe(seconds)
            identity = scope.get("glossator_identity")
            log.info(
                "%s %s %d", method, route, status,
                extra={"request": {
                    "request_id": request_id, "method": method, "route": route, "status": status,
                    "milliseconds": round(1000 * seconds, 1), "user": identity.name if identity else "",
                }},
            )  # fmt: skip


class JsonLines(logging.Formatter):
    """A log's record as a line of JSON."""

    def format(self, record: logging.LogRecord) -> str:
        at = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        entry = {
            "at": f"{at}.{int(record.msecs):03}Z",
            "level": record.levelname.lower(),
            "message": record.getMessage(),
        }
        if record.exc_info:
            entry["traceback"] = self.formatException(record.exc_info)
        return json.dumps(entry | getattr(record, "request", {}), ensure_ascii=False)


def log_as_json() -> None:
    """From now on the log's lines are JSON, and there is one for each request."""
    for handler in logging.getLogger().handlers:
        handler.setFormatter(JsonLines())
    log.setLevel(logging.INFO)


def log_no_requests() -> None:
    """No line for a request."""
    log.setLevel(logging.WARNING)


@routes.get("/health", include_in_schema=False)
def health() -> Response:
    """The process lives."""
    return PlainTextResponse("ok")


@routes.get("/ready", include_in_schema=False)
def ready(libraries: AllLibraries) -> Response:
    """Its library can be read."""
    try:
        return PlainTextResponse(f"ok: generation {libraries.get('').library.generation}")
    except RagError as error:
        return problem(503, str(error))


@routes.get("/metrics", include_in_schema=False)
def metrics(request: Request) -> Response:
    """For Prometheus."""
    counts: Metrics = request.app.state.metrics
    return Response(generate_latest(counts.registry), media_type="text/plain; version=0.0.4; charset=utf-8")
