"""Pages read in a second, and peak memory: a document as ingest reads it, beside plain libraries for PDF.

A contestant reads a file in a child process of its own, so that peak memory is its own; the contestants take turns, so
that the machine's load hits all alike. `python -m eval.pdf.extraction CONTESTANT FILE` is one turn: a line of JSON.
"""

from __future__ import annotations

import hashlib
import json
import logging
import math
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from eval.core.report import cell, table
from rag.children import python
from rag.document import Document

# Nothing that is large to import stands above: it would count as every contestant's memory.

REPEAT = 3
COUNTS = (50, 100, 200, 400)  # pages
TURN_SECONDS = 600.0  # for the whole of a file
LOOK_SECONDS = 0.02  # between two looks at the memory of all children together
PAGE_SECONDS, MEMORY_MB = 60.0, 2048  # the settings' own limits of a page and of the child that parses
JOBS = 2  # children side by side, as `glossator ingest` runs them by default
OURS, WITHOUT_OCR = "ours", "ours without OCR"
RATIOS = {"seconds_ratio": "seconds", "cpu_ratio": "cpu_seconds", "memory_ratio": "peak_memory_mb"}


@dataclass(frozen=True, slots=True)
class Turn:
    """One reading of a file. Seconds count from before the library's import to the last page's text.

    `cpu_seconds` are those of all threads and children, the interpreter's start among them. `peak_memory_mb` is
    resident memory at its largest, of the process and its children together; what they share counts in each.
    """

    pages: int
    characters: int
    seconds: float
    cpu_seconds: float
    peak_memory_mb: float


# -- the child: one contestant, one file ---------------------------------------------------------------------


def _pypdf(file: Path) -> tuple[int, int]:
    from pypdf import PdfReader

    logging.disable(logging.CRITICAL)  # a warning of every flaw takes time, and ours has none
    texts = [page.extract_text() for page in PdfReader(file).pages]
    return len(texts), sum(map(len, texts))


def _pypdfium2(file: Path) -> tuple[int, int]:
    import pypdfium2

    with pypdfium2.PdfDocument(file) as document:
        texts = [page.get_textpage().get_text_range() for page in document]
    return len(texts), sum(map(len, texts))


def _pdfplumber(file: Path) -> tuple[int, int]:
    import pdfplumber

    logging.disable(logging.CRITICAL)
    texts = []
    with pdfplumber.open(file) as document:
        for page in document.pages:
            texts.append(page.extract_text())
            page.close()  # else every page's objects stay: over a gigabyte of a book
    return len(texts), sum(map(len, texts))


def _without_ocr(file: Path) -> tuple[int, int]:
    """The same without reading pictures, as the other libraries do."""
    return _ours(file, ocr=False)


def _ours(file: Path, ocr: bool = True) -> tuple[int, int]:
    document = read_alone(file, ocr)
    return len(document.pages), len(document.text)


def read_alone(file: Path, ocr: bool) -> Document:
    """The whole reading of a document as ingest does it: in limited child processes, pages and pictures on disk."""
    # Here, not above: a child that measures another library's memory must not load ours.
    from ingest.child_process import Children, Limits
    from ingest.pdf.pdf_reading import PdfSource, read_document
    from ingest.read import content_id

    source = PdfSource(file, content_id(file), (), Limits(PAGE_SECONDS, MEMORY_MB), ocr)
    children = Children(threading.Semaphore(JOBS), JOBS, threading.Event())
    with tempfile.TemporaryDirectory() as folder:

        def keep_picture(png: bytes) -> str:
            sha256 = hashlib.sha256(png).hexdigest()
            (Path(folder) / f"{sha256}.png").write_bytes(png)
            return sha256

        document, pages = read_document(source, Path(folder), keep_picture, children, lambda read, count: None)
        pages.remove()
    return document


CONTESTANTS: dict[str, Callable[[Path], tuple[int, int]]] = {  # file -> pages, characters; the name is the library's
    "pypdf": _pypdf,
    "pypdfium2": _pypdfium2,
    "pdfplumber": _pdfplumber,
    OURS: _ours,
    WITHOUT_OCR: _without_ocr,
}


def read_once(name: str, file: Path) -> Turn:
    """Read the file in this process, whose memory is measured as a whole, with its largest child's."""
    began = time.perf_counter()
    pages, characters = CONTESTANTS[name](file)
    seconds = time.perf_counter() - began
    used, children = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    cpu = used.ru_utime + used.ru_stime + children.ru_utime + children.ru_stime
    return Turn(pages, characters, seconds, cpu, _peak_mb(used) + _megabytes(children))


def _peak_mb(used: resource.struct_rusage) -> float:
    """Of this process. Linux hands the maximum of whoever starts a program on to it in ru_maxrss, but not in VmHWM."""
    status = Path("/proc/self/status")
    found = re.search(r"^VmHWM:\s*(\d+) kB", status.read_text(), re.M) if status.exists() else None
    return int(found[1]) / 1024 if found else _megabytes(used)


def _megabytes(used: resource.struct_rusage) -> float:
    return used.ru_maxrss / (1 << 20 if sys.platform == "darwin" else 1 << 10)  # macOS counts in bytes


# -- the parent: turns ---------------------------------------------------------------------------------------


def take_turn(name: str, file: Path) -> Turn | str:
    """One reading in a new process, or one line on why there is none: a damaged file is read by some and not by all."""
    if name not in (OURS, WITHOUT_OCR) and find_spec(name) is None:
        return "not installed"
    command = python("-m", "eval.pdf.extraction", name, str(file))
    deadline, memory = time.monotonic() + TURN_SECONDS, 0.0
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        while True:
            try:
                output, errors = child.communicate(timeout=LOOK_SECONDS)
                break
            except subprocess.TimeoutExpired:
                memory = max(memory, family_mb(child.pid))
                if time.monotonic() > deadline:
                    child.kill()
                    return f"took longer than {TURN_SECONDS:g} s"
    if child.returncode == 0:
        turn = Turn(**json.loads(output))
        return replace(turn, peak_memory_mb=max(turn.peak_memory_mb, memory))
    return (errors.strip().splitlines() or [f"ended with exit code {child.returncode}"])[-1]


def family_mb(process: int) -> float:
    """Resident memory, at this moment, of a process and all that it started: several children may read side by side.

    0.0 for one that is gone, and where there is no /proc: then Turn has the largest child's alone.
    """
    try:
        found = re.search(r"^VmRSS:\s*(\d+) kB", Path(f"/proc/{process}/status").read_text(), re.M)
        lists = [file.read_text() for file in Path(f"/proc/{process}/task").glob("*/children")]  # one a thread
    except OSError:
        return 0.0
    own = int(found[1]) / 1024 if found else 0.0
    return own + sum(family_mb(int(child)) for subset in lists for child in subset.split())


def extraction(files: Sequence[Path], repeat: int = REPEAT) -> dict[str, Any]:
    """Every contestant on every file, to be printed as JSON: medians of `repeat` rounds, of memory the maximum.

    Each round begins with another contestant. The ratios are ours over that row's; that of CPU-seconds hardly
    moves with the machine's load. A row without figures says in `note` why.
    """
    return {"task": "extraction", "repeat": repeat, "files": [_one_file(file, repeat) for file in files]}


def _one_file(file: Path, repeat: int) -> dict[str, Any]:
    file.read_bytes()  # so that none waits for the disk
    names = list(CONTESTANTS)
    turns: dict[str, list[Turn | str]] = {name: [] for name in names}
    for i in range(repeat):
        first = i % len(names)
        for name in names[first:] + names[:first]:
            turns[name].append(take_turn(name, file))
    rows = {name: summarise_turns(subset) for name, subset in turns.items()}
    ours = rows[OURS]
    for row in rows.values():
        if "note" not in row and "note" not in ours:
            for ratio, of in RATIOS.items():
                row[ratio] = round(ours[of] / row[of], 2)
    return {"file": file.name, "rows": [{"contestant": name, **row} for name, row in rows.items()]}


def summarise_turns(turns: Sequence[Turn | str]) -> dict[str, Any]:
    """The figures of a contestant's turns at one file, or the note of the first that failed."""
    read = [turn for turn in turns if isinstance(turn, Turn)]
    if len(read) < len(turns):
        return {"note": next(turn for turn in turns if isinstance(turn, str))}
    seconds = statistics.median(turn.seconds for turn in read)
    return {
        "pages": read[0].pages,
        "characters": read[0].characters,
        "seconds": round(seconds, 3),
        "cpu_seconds": round(statistics.median(turn.cpu_seconds for turn in read), 3),
        "pages_per_second": round(read[0].pages / seconds, 1),
        "peak_memory_mb": round(max(turn.peak_memory_mb for turn in read)),
    }


# -- the same, longer and longer -----------------------------------------------------------------------------


def scaling(file: Path, counts: Sequence[int] = COUNTS, repeat: int = 1) -> dict[str, Any]:
    """Our time and memory for PDFs of `counts` pages, made by repeating the file's, and the exponents of their growth.

    Starting the children is a constant in all seconds, and lowers an exponent while documents are short. Raises
    ValueError if ours cannot read the file.
    """
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        longer = {count: repeat_pages(file, count, Path(folder) / f"{count}.pdf") for count in counts}
        turns: dict[int, list[Turn | str]] = {count: [] for count in counts}
        for _ in range(repeat):
            for count, path in longer.items():
                turns[count].append(take_turn(OURS, path))
    for count, subset in turns.items():
        row = summarise_turns(subset)
        if "note" in row:
            raise ValueError(f"{count} pages of {file.name}: {row['note']}")
        rows.append(row)
    pages = [row["pages"] for row in rows]
    exponents = {
        f"{what}_exponent": round(exponent(pages, [row[what] for row in rows]), 3)
        for what in ("seconds", "cpu_seconds", "peak_memory_mb")
    }
    return {"task": "scaling", "file": file.name, "repeat": repeat, "rows": rows, **exponents}


def repeat_pages(file: Path, count: int, to: Path) -> Path:
    """Write a PDF of `count` pages, those of `file` over and over; each time with fonts and pictures of its own."""
    return pages_and_padding([], file, count, to)


def pages_and_padding(first: Sequence[tuple[Path, int]], file: Path, count: int, to: Path) -> Path:
    """The same, with these pages of other files (from 1) before them."""
    from pypdf import PdfReader, PdfWriter

    writer = PdfWriter()
    for other, page in first:
        writer.append(PdfReader(other), pages=(page - 1, page), import_outline=False)
    while len(writer.pages) < count:
        reader = PdfReader(
            file
        )  # opened again: objects of one reader are written once, however often its pages are added
        writer.append(reader, pages=(0, min(len(reader.pages), count - len(writer.pages))), import_outline=False)
    writer.write(to)
    return to


def exponent(sizes: Sequence[float], costs: Sequence[float]) -> float:
    """The e of cost = c * size ** e that fits best in logarithms: 1.0 is linear, 2.0 quadratic.

    >>> exponent([1, 2, 4], [3, 12, 48])
    2.0
    """
    return statistics.linear_regression(list(map(math.log, sizes)), list(map(math.log, costs))).slope


# -- for a person to read ------------------------------------------------------------------------------------


def extraction_text(result: Mapping[str, Any]) -> str:
    """The result of extraction as Markdown."""
    ratios = ("ours: times seconds", "times CPU-seconds", "times memory")
    header = ["", "pages", "seconds", "CPU-seconds", "pages a second", "peak MB", *ratios]
    keys = ("pages", "seconds", "cpu_seconds", "pages_per_second", "peak_memory_mb", *RATIOS)
    lines = [f"# Reading PDFs, medians of {result['repeat']} rounds", ""]
    for file in result["files"]:
        rows = []
        for row in file["rows"]:
            note = [cell(row["note"]), *[""] * (len(keys) - 1)] if "note" in row else None
            rows.append([row["contestant"], *(note or [row.get(key, "-") for key in keys])])
        lines += [f"## {cell(file['file'])}", "", *table(header, rows), ""]
    return "\n".join(lines)


def scaling_text(result: Mapping[str, Any]) -> str:
    """The result of scaling as Markdown."""
    keys = ("pages", "seconds", "cpu_seconds", "peak_memory_mb")
    lines = [
        f"## {cell(result['file'])}, its pages repeated",
        "",
        *table(["pages", "seconds", "CPU-seconds", "peak MB"], [[row[key] for key in keys] for row in result["rows"]]),
        "",
        f"Cost grows with pages to the power of {result['seconds_exponent']:.2f} (seconds), "
        f"{result['cpu_seconds_exponent']:.2f} (CPU-seconds), {result['peak_memory_mb_exponent']:.2f} (memory).",
    ]
    return "\n".join(lines) + "\n"


def main() -> int:
    """One turn, for take_turn."""
    name, file = sys.argv[1:]
    print(json.dumps(asdict(read_once(name, Path(file)))))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
