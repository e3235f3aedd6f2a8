"""One child process per document, with limits on time and memory: documents are untrusted and parsers hang.

The child runs `python -m ingest.worker`, takes one request as a line of JSON and answers with a line of JSON a page. A
page that takes too long, or takes the child down, is named and skipped: the next child goes on behind it.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rag.errors import DocumentError

OUT_OF_MEMORY = 77  # the child's exit code
START_SECONDS = 10.0  # for a loaded machine to start the child at all
GIVE_UP_AFTER = 5  # pages that take a child down, before the rest of the document is left out


@dataclass(frozen=True, slots=True)
class Limits:
    page_seconds: float
    memory_mb: int


@dataclass(slots=True)
class ReadDocument:
    """What came out of the child: the extractor's text of each page, and why a page is missing."""

    title: str = ""
    page_count: int = 0
    pages: list[str] = field(default_factory=list)
    bad_pages: dict[int, str] = field(default_factory=dict)

    def skip(self, why: str, until: int) -> None:
        for number in range(len(self.pages) + 1, until + 1):
            self.pages.append("")
            self.bad_pages[number] = why


class Stopped(Exception):
    """The reading was called off (Ctrl-C, a cancelled upload)."""


# -- parent --------------------------------------------------------------------------------------------------


def read_limited(
    path: Path,
    passwords: Sequence[str],
    limits: Limits,
    on_page: Callable[[int, int], None] = lambda page, pages: None,
    stop: threading.Event | None = None,
) -> ReadDocument:
    """Read a document in child processes; `on_page(page, pages)` follows it. Raises DocumentError, Stopped."""
    read = ReadDocument()
    stop = stop or threading.Event()
    while True:
        died = _read_on(path, passwords, limits, read, on_page, stop)
        if died is None:
            return read
        if not read.page_count:
            raise DocumentError(
                f"{died} while opening it. Open and save it anew, or raise ingest.page_seconds or memory_mb"
            )
        read.skip(died, until=len(read.pages) + 1)
        if len(read.bad_pages) >= GIVE_UP_AFTER:
            read.skip(f"left out after {GIVE_UP_AFTER} bad pages", until=read.page_count)
        if len(read.pages) >= read.page_count:
            return read


def _read_on(
    path: Path,
    passwords: Sequence[str],
    limits: Limits,
    read: ReadDocument,
    on_page: Callable[[int, int], None],
    stop: threading.Event,
) -> str | None:
    """Go on behind the pages already read. None when the document's end was reached, else why the child ended."""
    request = {"path": str(path), "passwords": list(passwords), "first_page": len(read.pages) + 1}
    with _child("ingest.pdf", request, limits) as child:
        try:
            for line in _lines(child, limits.page_seconds, stop):
                what, value = json.loads(line)
                if what == "open":
                    read.page_count = value
                elif what == "title":
                    read.title = value
                elif what == "error":
                    raise DocumentError(value)
                else:
                    number, text = value
                    read.pages.append(text if what == "page" else "")
                    if what == "bad":
                        read.bad_pages[number] = text
                    on_page(number, read.page_count)
        except TimeoutError:
            return f"took longer than {limits.page_seconds:g} s"
        finally:
            child.kill()
    if len(read.pages) == read.page_count and read.page_count:
        return None
    if child.returncode == OUT_OF_MEMORY:
        return f"needed more than {limits.memory_mb} MB of memory"
    return f"crashed the parser (exit code {child.returncode})"


def limited_output(module: str, request: dict[str, Any], limits: Limits) -> bytes:
    """What `module`'s main writes for one request. Raises DocumentError with the child's own line, or why it ended."""
    with _child(module, request, limits, errors=subprocess.PIPE) as child:
        try:
            output, errors = child.communicate(timeout=limits.page_seconds)
        except subprocess.TimeoutExpired:
            child.kill()
            raise DocumentError(f"{request['path']}: took longer than {limits.page_seconds:g} s") from None
    if child.returncode == 0:
        return bytes(output)
    lines = errors.decode(errors="replace").strip().splitlines() if child.returncode == 1 else []
    raise DocumentError(lines[-1] if lines else f"{request['path']}: ended with exit code {child.returncode}")


def _child(
    module: str, request: dict[str, Any], limits: Limits, errors: int = subprocess.DEVNULL
) -> subprocess.Popen[bytes]:
    child = subprocess.Popen(
        [sys.executable, "-m", "ingest.worker", module, str(limits.memory_mb), str(limits.page_seconds)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=errors,
        start_new_session=True,  # Ctrl-C in the terminal reaches the parent only, which ends its children in order
    )
    assert child.stdin is not None
    with contextlib.suppress(BrokenPipeError):
        child.stdin.write(json.dumps(request).encode() + b"\n")
        child.stdin.flush()
    return child


def _lines(child: subprocess.Popen[bytes], seconds: float, stop: threading.Event) -> Iterator[bytes]:
    """The child's lines as they come. TimeoutError when one is late, Stopped when `stop` is set."""
    assert child.stdout is not None
    buffer = b""
    deadline = time.monotonic() + seconds + START_SECONDS
    with selectors.DefaultSelector() as selector:
        selector.register(child.stdout, selectors.EVENT_READ)
        while True:
            if stop.is_set():
                raise Stopped
            if time.monotonic() > deadline:
                raise TimeoutError
            if not selector.select(timeout=0.2):
                continue
            received = os.read(child.stdout.fileno(), 1 << 16)
            if not received:
                child.wait()
                return
            *lines, buffer = (buffer + received).split(b"\n")
            if lines:
                deadline = time.monotonic() + seconds
                yield from lines


# -- child ---------------------------------------------------------------------------------------------------


def main() -> int:
    """Limit this process, then hand the request on standard input to the module named in the arguments."""
    module, memory_mb, page_seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
    _limit(memory_mb)
    _allow_processor_time(START_SECONDS + page_seconds)
    try:
        if module == "ingest.page":
            from ingest import page

            return page.main()
        _serve_pages(page_seconds)
    except MemoryError:
        return OUT_OF_MEMORY
    return 0


def _limit(memory_mb: int) -> None:
    import resource

    resource.setrlimit(resource.RLIMIT_AS, (memory_mb << 20, memory_mb << 20))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))  # a parser has nothing to write
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _serve_pages(page_seconds: float) -> None:
    from ingest.pdf import read_pdf

    request = json.loads(sys.stdin.readline())
    try:
        for answer in read_pdf(Path(request["path"]), request["passwords"], request["first_page"]):
            print(json.dumps(answer), flush=True)
            _allow_processor_time(page_seconds)
    except DocumentError as error:
        print(json.dumps(("error", str(error))), flush=True)


def _allow_processor_time(page_seconds: float) -> None:
    """A child whose parent was killed ends by itself, at the latest when a page has used up its time."""
    import resource

    used = resource.getrusage(resource.RUSAGE_SELF)
    soft = int(used.ru_utime + used.ru_stime + page_seconds) + 2
    resource.setrlimit(resource.RLIMIT_CPU, (soft, resource.getrlimit(resource.RLIMIT_CPU)[1]))


if __name__ == "__main__":
    sys.exit(main())
