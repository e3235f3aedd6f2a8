"""What a search costs over HTTP beside the same search in this process, and how soon a stream begins."""

from __future__ import annotations

import re
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import httpx

from rag.children import glossator
from rag.errors import DataError
from rag.index.manager import Indexes
from rag.library.catalogue import Library
from rag.search import open_retriever
from rag.settings import load_settings

BLOCK = 10  # queries of each kind in a row: two processes that take turns query by query cool each other's caches
DEPTH = 8
STREAMS = 20
START_SECONDS = 60.0
WORDS = ("lighthouse lamp", "triplet loss function", "noise at night", "the tide of a week", "who kept the light")
NOBODY = "reader.model=http://127.0.0.1:9/v1#nobody"  # the first event of a stream is there before a reader is asked


def measure(library: Path, rounds: int) -> dict[str, Any]:
    """Medians in milliseconds, and the ratio of a search over HTTP to one in this process.

    Both are measured in one run, BLOCK queries of each in turn, so that a busy machine is busy for both. The server
    answers with the quotes, facets and explanations that the page shows, too. Raises DataError where it does not start.
    """
    indexes = Indexes(Library.open(library), load_settings())
    here, there = list[float](), list[float]()
    with running(library) as address, httpx.Client(base_url=address, timeout=60) as client:
        for block in range(rounds // BLOCK + 1):
            queries = [f"{WORDS[number % len(WORDS)]} {block} {number}" for number in range(BLOCK)]
            for query in queries:
                began = time.perf_counter()
                open_retriever(indexes, "hybrid").search([query], DEPTH)
                here.append(1000 * (time.perf_counter() - began))
            for query in queries:
                began = time.perf_counter()
                client.get("/v1/search", params={"q": query, "k": DEPTH}).raise_for_status()
                there.append(1000 * (time.perf_counter() - began))
        first = [_first_event(client, f"When was lighthouse {number} built?") for number in range(STREAMS)]
    here, there = here[BLOCK:], there[BLOCK:]  # the first block warms both
    metrics = {
        "library_ms": round(median(here), 1), "http_ms": round(median(there), 1),
        "http_ratio": round(median(there) / median(here), 3), "first_event_ms": round(median(first), 1),
    }  # fmt: skip
    return {"task": "bench server", "n": len(here), "metrics": metrics}


def _first_event(client: httpx.Client, question: str) -> float:
    """Milliseconds until a stream tells of the passages that were found."""
    began = time.perf_counter()
    with client.stream("POST", "/v1/ask", json={"question": question, "stream": True, "style": "short"}) as reply:
        for line in reply.iter_lines():
            if line == "event: evidence":
                break
    return 1000 * (time.perf_counter() - began)


@contextmanager
def running(library: Path) -> Iterator[str]:
    """A server over a library on a free port of loopback; its address. Raises DataError where it does not start."""
    with tempfile.TemporaryFile("w+") as said:
        serve = glossator("--set", NOBODY, "serve", "--library", str(library), "--port", "0")
        process = subprocess.Popen(serve, stderr=said, stdout=said)
        try:
            deadline = time.monotonic() + START_SECONDS
            while time.monotonic() < deadline and process.poll() is None:
                said.seek(0)
                if found := re.search(r"glossator: open (\S+)\n", said.read()):
                    yield found[1]
                    return
                time.sleep(0.1)
            said.seek(0)
            raise DataError(f"the server over {library} did not start: {said.read()[-200:].strip()}")
        finally:
            process.terminate()
            process.wait(20)
