"""Child processes with limits on time and memory: documents are untrusted, and parsers hang.

A child runs ingest/worker.py, which limits itself and hands one request to the module named on its command line. That
module replies in lines of JSON: first what it says of the document as a whole, then one line for each number that it is
asked for (a page of a PDF, one of several judgments).
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import subprocess
import threading
import time
from dataclasses import dataclass, field
from typing import Any

from rag import bounds
from rag.bounds import shortened
from rag.children import python
from rag.errors import DocumentError

OUT_OF_MEMORY = 77  # the child's exit code
START_SECONDS = 10.0  # for a loaded machine to start the child at all
LONGEST_REPLY = 64 << 20  # bytes


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of a child process: seconds for one reply (a page), megabytes of memory."""

    page_seconds: float
    memory_mb: int


@dataclass(frozen=True, slots=True)
class Children:
    """How many children may run at a time, for all documents (`slots`) and for one (`jobs`), and what stops them."""

    slots: threading.Semaphore
    jobs: int
    stop: threading.Event
    peaks_kb: list[int] = field(default_factory=list)  # the peak memory of each child that has ended


class Stopped(Exception):
    """The reading was cancelled (Ctrl-C, a cancelled upload)."""


class ChildDied(Exception):
    """Why a child ended: "took longer than 30 s"."""


class ChildProcess:
    """One child that has a document open. `opened` is its first reply: the pages of a PDF, a whole transcript.

    `module` has a generator `serve(request, numbers)` that yields the replies (see ingest/worker.py). Raises ChildDied,
    DocumentError for a document that the child refuses, and Stopped when `stop` is set.
    """

    def __init__(self, module: str, request: dict[str, Any], limits: Limits, stop: threading.Event):
        self._limits = limits
        self._process = _start(module, request, limits)
        self._stop = stop
        self._received = bytearray()
        self.peak_kb = 0  # its peak memory
        try:
            self.opened = self._reply(START_SECONDS)[1]
        except BaseException:
            self.close()
            raise

    def _reply(self, more_seconds: float = 0.0) -> tuple[str, Any]:
        """The next (what, value). Raises ChildDied when the child ends or is late, DocumentError for its refusal."""
        line = self._line(time.monotonic() + self._limits.page_seconds + more_seconds)
        if line is None:
            code = self._process.wait()
            if code == 0:  # our own child answers before it ends
                raise DocumentError("ended the parser before it answered. It may mean harm: leave it out")
            if code == OUT_OF_MEMORY:
                raise ChildDied(f"needed more than {self._limits.memory_mb} MB of memory")
            raise ChildDied(
                f"crashed the parser (exit code {code}); it may need more than {self._limits.memory_mb} MB of memory"
            )
        try:
            what, value, peak_kb = json.loads(line)
            self.peak_kb = int(peak_kb)
        except (ValueError, TypeError, OverflowError, RecursionError) as error:
            raise DocumentError("made the parser answer nonsense. It may mean harm: leave it out") from error
        if what == "error":
            raise DocumentError(shortened(str(value), bounds.WARNING))
        return what, value

    def _line(self, deadline: float) -> bytes | None:
        """The child's next line; None at its end. Raises Stopped when `stop` is set."""
        assert self._process.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            while True:
                if self._stop.is_set():
                    raise Stopped
                if time.monotonic() > deadline:
                    raise ChildDied(f"took longer than {self._limits.page_seconds:g} s")
                if len(self._received) > LONGEST_REPLY:
                    raise ChildDied(f"holds more than {LONGEST_REPLY >> 20} MB of text and pictures")
                if not selector.select(timeout=0.2):
                    continue
                received = os.read(self._process.stdout.fileno(), 1 << 16)
                if not received:
                    return None
                self._received += received
                if b"\n" in received:  # one reply to each request: nothing follows the line
                    line = bytes(self._received)
                    self._received.clear()
                    return line

    def ask(self, number: int) -> tuple[str, Any]:
        """The child's reply (what, value) to a number. Raises as the constructor."""
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(b"%d\n" % number)
            self._process.stdin.flush()
        return self._reply()

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()


def first_reply(module: str, request: dict[str, Any], limits: Limits, children: Children) -> Any:
    """The first reply of a child, for documents that one reply holds as a whole: JSON that is still to be checked.

    Raises DocumentError, and Stopped.
    """
    with children.slots:
        try:
            child = ChildProcess(module, request, limits, children.stop)
        except ChildDied as died:
            raise too_large(died) from None
        children.peaks_kb.append(child.peak_kb)
        child.close()
    return child.opened


def too_large(died: ChildDied) -> DocumentError:
    """The error of a document that took its child down."""
    return DocumentError(f"{died}. Cut it in parts, or raise ingest.page_seconds or memory_mb")


def limited_output(module: str, request: dict[str, Any], limits: Limits) -> bytes:
    """The output of `module`'s main for one request. Raises DocumentError with the child's error line, or its end."""
    with _start(module, request, limits, errors=subprocess.PIPE) as child:
        try:
            output, errors = child.communicate(timeout=limits.page_seconds)
        except subprocess.TimeoutExpired:
            child.kill()
            raise DocumentError(f"{request['path']}: took longer than {limits.page_seconds:g} s") from None
    if child.returncode == 0:
        return bytes(output)
    lines = errors.decode(errors="replace").strip().splitlines() if child.returncode == 1 else []
    raise DocumentError(lines[-1] if lines else f"{request['path']}: ended with exit code {child.returncode}")


def _start(
    module: str, request: dict[str, Any], limits: Limits, errors: int = subprocess.DEVNULL
) -> subprocess.Popen[bytes]:
    child = subprocess.Popen(
        python("-m", "ingest.worker", module, str(limits.memory_mb), str(limits.page_seconds)),
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
