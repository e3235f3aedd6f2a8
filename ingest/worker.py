"""Child processes with limits on time and memory: documents are untrusted and parsers hang.

A child runs ingest/worker.py, is told which document, and then asked for one page after the other: a line in,
a line of JSON out. A page that takes too long, or takes the child down, is named and skipped, and a new child goes on.
Several children read the pages of one document side by side. A transcript has no pages: one child reads the whole. Of
a file of judgments one child reads one after the other.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import selectors
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

from rag import bounds
from rag.bounds import shortened
from rag.children import python
from rag.errors import DocumentError

OUT_OF_MEMORY = 77  # the child's exit code
START_SECONDS = 10.0  # for a loaded machine to start the child at all
GIVE_UP_AFTER = 5  # pages one after the other that take a child down, before the rest of the document is left out
LONGEST_ANSWER = 64 << 20  # bytes
SMALLEST_PAGE = 4  # bytes of a file; what claims to hold more pages does not
PAGES_A_CHILD = 24  # that a further child must have to read before its start is worth it
OUTLINE = 0  # what a child is asked for beside the pages, which count from 1


@dataclass(frozen=True, slots=True)
class Limits:
    page_seconds: float
    memory_mb: int


@dataclass(frozen=True, slots=True)
class Request:
    """What a child is told of a document. `ocr` allows it to read pictures."""

    path: Path
    passwords: tuple[str, ...] = ()
    ocr: bool = True


class Stopped(Exception):
    """The reading was called off (Ctrl-C, a cancelled upload)."""


# -- parent --------------------------------------------------------------------------------------------------


class _Child:
    """One child that has the document open. `opened` is what it says of it: pages of a PDF, all of a transcript."""

    def __init__(self, module: str, request: dict[str, Any], limits: Limits, stop: threading.Event):
        self._limits = limits
        self._process = _child(module, request, limits)
        self._stop = stop
        self._received = bytearray()
        self.peak_kb = 0  # its memory at the largest
        try:
            self.opened = self._answer(START_SECONDS)[1]
        except BaseException:
            self.close()
            raise

    def _answer(self, more_seconds: float = 0.0) -> tuple[str, Any]:
        """The next (what, value). Raises _Died when the child ends or is late, DocumentError for what it refuses."""
        line = self._line(time.monotonic() + self._limits.page_seconds + more_seconds)
        if line is None:
            code = self._process.wait()
            if code == 0:  # our own child answers before it ends
                raise DocumentError("ended the parser before it answered. It may mean harm: leave it out")
            if code == OUT_OF_MEMORY:
                raise _Died(f"needed more than {self._limits.memory_mb} MB of memory")
            raise _Died(
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
                    raise _Died(f"took longer than {self._limits.page_seconds:g} s")
                if len(self._received) > LONGEST_ANSWER:
                    raise _Died(f"holds more than {LONGEST_ANSWER >> 20} MB of text and pictures")
                if not selector.select(timeout=0.2):
                    continue
                received = os.read(self._process.stdout.fileno(), 1 << 16)
                if not received:
                    return None
                self._received += received
                if b"\n" in received:  # one answer a question: nothing stands behind the line
                    line = bytes(self._received)
                    self._received.clear()
                    return line

    def ask(self, page: int) -> tuple[str, Any]:
        """("page", its JSON) or ("bad", why); for OUTLINE ("outline", what read_outline says)."""
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(b"%d\n" % page)
            self._process.stdin.flush()
        return self._answer()

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()


class _Died(Exception):
    """Why a child ended: "took longer than 30 s"."""


class Reading:
    """The reading of one document's pages by up to `jobs` children at a time.

    `slots` bounds the children of all documents together. Pages arrive in any order: `store(number, what, value)` gets
    ("page", JSON) or ("bad", why) as the child says it (see child_replies.page), from one thread at a time.
    """

    def __init__(
        self,
        request: Request,
        limits: Limits,
        slots: threading.Semaphore,
        jobs: int,
        stop: threading.Event | None = None,
    ):
        self.peaks_kb: list[int] = []  # of each child that has ended: its memory at the largest
        self._request = {"path": str(request.path), "passwords": list(request.passwords), "ocr": request.ocr}
        self._limits = limits
        self._slots = slots
        self._jobs = jobs
        self._stop = stop or threading.Event()
        self._lock = threading.Lock()
        self._failure: BaseException | None = None
        self._downs = 0  # pages in a row that took a child down

    def outline(self) -> tuple[Any, Any]:
        """The number of pages, and title and outline (empty if asking for them takes the child down), as the child says
        them: see child_replies.outline."""
        with self._slots:
            try:
                child = self._open()
            except _Died as died:
                raise DocumentError(
                    f"{died} while opening it. Open and save it anew, or raise ingest.page_seconds or memory_mb"
                ) from None
            try:
                return child.opened, child.ask(OUTLINE)[1]
            except _Died:
                return child.opened, {"title": "", "outline": []}
            finally:
                self._end(child)

    def pages(self, numbers: Iterable[int], store: Callable[[int, str, Any], None]) -> None:
        """Read these pages. Raises Stopped; DocumentError if the document can no longer be opened."""
        waiting = list(numbers)
        count = max(1, min(self._jobs, len(waiting) // PAGES_A_CHILD))
        queue = iter(waiting)
        threads = [threading.Thread(target=self._work, args=(queue, store), daemon=True) for _ in range(count - 1)]
        for thread in threads:
            thread.start()
        self._work(queue, store)
        for thread in threads:
            thread.join()
        if self._failure is not None:
            raise self._failure
        if self._stop.is_set():
            raise Stopped

    def _work(self, queue: Iterator[int], store: Callable[[int, str, Any], None]) -> None:
        try:
            with self._slots:
                self._read(queue, store)
        except BaseException as error:  # noqa: BLE001  # raised again by `pages`, in the caller's thread
            self._failure = self._failure or error

    def _read(self, queue: Iterator[int], store: Callable[[int, str, Any], None]) -> None:
        child: _Child | None = None
        try:
            while self._failure is None:
                with self._lock:
                    number = next(queue, None)
                if number is None:
                    return
                if self._downs >= GIVE_UP_AFTER:
                    self._keep(store, number, "bad", f"left out after {GIVE_UP_AFTER} bad pages")
                    continue
                try:
                    child = child or self._open()
                    what, value = child.ask(number)
                    self._downs = 0
                except _Died as died:
                    self._end(child)
                    child, what, value = None, "bad", str(died)
                    self._downs += 1
                self._keep(store, number, what, value)
        finally:
            self._end(child)

    def _open(self) -> _Child:
        return _Child("ingest.pdf.extract", self._request, self._limits, self._stop)

    def _end(self, child: _Child | None) -> None:
        if child is not None:
            child.close()
            self.peaks_kb.append(child.peak_kb)

    def _keep(self, store: Callable[[int, str, Any], None], number: int, what: str, value: Any) -> None:
        with self._lock:
            store(number, what, value)


def read_transcript(
    path: Path, limits: Limits, slots: threading.Semaphore, stop: threading.Event, peaks_kb: list[int]
) -> Any:
    """Title, text, warnings and episode of a transcript, as a child says them: see child_replies.transcript.

    `peaks_kb` gets the child's memory at the largest. Raises DocumentError, and Stopped.
    """
    with slots:
        try:
            child = _Child("ingest.podcast.episode", {"path": str(path)}, limits, stop)
        except _Died as died:
            raise DocumentError(f"{died}. Cut it in parts, or raise ingest.page_seconds or memory_mb") from None
        peaks_kb.append(child.peak_kb)
        child.close()
    return child.opened


class CaseReading:
    """The judgments in a file, or in a text that was read already, one after the other by a child that has them open.

    One that takes the child down fails alone: the next one gets a new child. For any thread; `slots` bounds the
    children that work at a time, and `peaks_kb` gets the memory of each at the largest.
    """

    def __init__(
        self,
        source: Path | str,
        limits: Limits,
        slots: threading.Semaphore,
        stop: threading.Event,
        peaks_kb: list[int],
    ):
        self._request = {"path": str(source)} if isinstance(source, Path) else {"text": source}
        self._limits, self._slots, self._stop, self._peaks_kb = limits, slots, stop, peaks_kb
        self._child: _Child | None = None
        self._lock = threading.Lock()

    def members(self) -> Any:
        """The fields of a legal.Member each, as a child says them: see child_replies.members. Raises DocumentError, and
        Stopped."""
        with self._lock, self._slots, self._explaining():
            return self._open().opened

    def read(self, number: int) -> Any:
        """Title, text, warnings and case of one, by its number from 0, as a child says them: see child_replies.case.
        Raises as `members`."""
        with self._lock, self._slots, self._explaining():
            what, value = self._open().ask(number)
        if what == "bad":
            raise DocumentError(shortened(str(value), bounds.WARNING))
        return value

    def close(self) -> None:
        with self._lock:
            self._end()

    def _open(self) -> _Child:
        if self._child is None:
            self._child = _Child("ingest.legal.case_files", self._request, self._limits, self._stop)
        return self._child

    def _end(self) -> None:
        if self._child is not None:
            self._child.close()
            self._peaks_kb.append(self._child.peak_kb)
            self._child = None

    @contextlib.contextmanager
    def _explaining(self) -> Iterator[None]:
        try:
            yield
        except _Died as died:
            self._end()
            raise DocumentError(f"{died}. Cut it in parts, or raise ingest.page_seconds or memory_mb") from None


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


# -- child ---------------------------------------------------------------------------------------------------


def main() -> int:
    """Limit this process, then hand the request on standard input to the module named in the arguments."""
    module, memory_mb, page_seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
    _limit(memory_mb)
    _allow_processor_time(START_SECONDS + page_seconds)
    try:
        if module == "ingest.pdf.draw_page":
            from ingest.pdf import draw_page as page

            return page.main()
        if module == "ingest.podcast.episode":
            _serve_transcript()
        elif module == "ingest.legal.case_files":
            _serve_cases(page_seconds)
        else:
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
    from ingest.pdf.extract import open_document, read_outline, read_page

    logging.disable(logging.CRITICAL)  # pypdf warns of every flaw of every file
    request = json.loads(sys.stdin.readline())
    path = Path(request["path"])
    try:
        document, password = open_document(path, request["passwords"])
    except DocumentError as error:
        _say("error", str(error))
        return
    _say("open", min(len(document), max(1000, path.stat().st_size // SMALLEST_PAGE)))
    for line in sys.stdin:
        _allow_processor_time(page_seconds)
        number = int(line)
        if number == OUTLINE:
            _say("outline", read_outline(path, password))
        else:
            _say(*read_page(document, number, request["ocr"]))


def _serve_transcript() -> None:
    from ingest.podcast.episode import read_podcast
    from rag.library.episodes import to_json
    from rag.records import Episode

    request = json.loads(sys.stdin.readline())
    try:
        read = read_podcast(Path(request["path"]), "", "")
    except DocumentError as error:
        _say("error", str(error))
        return
    episode = to_json(read.episode or Episode())
    _say("open", {"title": read.title, "text": read.text, "warnings": read.warnings, "episode": episode})


def _serve_cases(page_seconds: float) -> None:
    from ingest.legal.case_files import CaseFile, Member, case_of, warnings_of
    from rag.library.cases import to_json

    request = json.loads(sys.stdin.readline())
    try:
        file = CaseFile(Path(request["path"])) if "path" in request else None
    except DocumentError as error:
        _say("error", str(error))
        return
    _say("open", [astuple(member) for member in (file.members if file else [Member()])])
    for line in sys.stdin:
        _allow_processor_time(page_seconds)
        try:
            text, case = file.read(int(line)) if file else (request["text"], case_of(request["text"]))
        except DocumentError as error:
            _say("bad", str(error))
            continue
        whole = text if file else None  # who gave the text has it
        _say("case", {"title": case.title, "text": whole, "warnings": warnings_of(text, case), "case": to_json(case)})


def _say(what: str, value: Any) -> None:
    print(json.dumps((what, value, _peak_kb())), flush=True)


def _peak_kb() -> int:
    """This process at its largest. Not by getrusage where that can be helped: in Linux that counts the parent too."""
    import resource

    with contextlib.suppress(OSError, StopIteration), Path("/proc/self/status").open(encoding="utf-8") as status:
        return int(next(line for line in status if line.startswith("VmHWM")).split()[1])
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return used // 1024 if sys.platform == "darwin" else used


def _allow_processor_time(page_seconds: float) -> None:
    """A child whose parent was killed ends by itself, at the latest when a page has used up its time."""
    import resource

    used = resource.getrusage(resource.RUSAGE_SELF)
    soft = int(used.ru_utime + used.ru_stime + page_seconds) + 2
    resource.setrlimit(resource.RLIMIT_CPU, (soft, resource.getrlimit(resource.RLIMIT_CPU)[1]))


if __name__ == "__main__":
    sys.exit(main())
