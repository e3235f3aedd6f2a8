"""What the commands share: the options before the command, settings, opened libraries, output, progress."""

from __future__ import annotations

import json
import signal
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rag.errors import UsageError
from ui.cli.progress import Progress

if TYPE_CHECKING:
    from rag.index.manager import Indexes
    from rag.library.catalogue import Library
    from rag.settings import Settings


class CommandState:
    """The options before the command (--debug and --set), and whether a signal has come since."""

    debug = False
    interrupted = False
    overrides: tuple[str, ...] = ()


@contextmanager
def until_interrupted() -> Iterator[Callable[[], bool]]:
    """Ctrl-C asks what runs to end with what it has, instead of throwing it away; a second one ends the program."""
    pressed = threading.Event()

    def press(number: int, frame: object) -> None:
        pressed.set()
        signal.signal(signal.SIGINT, before)

    before = signal.signal(signal.SIGINT, press)
    try:
        yield pressed.is_set
    finally:
        signal.signal(signal.SIGINT, before)


def load_settings() -> Settings:
    """The settings, with the overrides of --set."""
    from rag import settings

    return settings.load_settings(CommandState.overrides)


def open_indexes(library: Path, create: bool = False) -> Indexes:
    """The library in a folder, with its indexes."""
    from rag.index.manager import Indexes

    return Indexes(open_library(library, create), load_settings())


def open_library(library: Path, create: bool = False) -> Library:
    """The library in a folder."""
    from rag.library.catalogue import Library

    settings = load_settings().library
    return Library.open(library, create, settings.catalogue, settings.files)


@contextmanager
def scratch_library(library: Path | None) -> Iterator[Path]:
    """The library named, or a temporary one that is removed afterwards."""
    if library is not None:
        yield library
        return
    with tempfile.TemporaryDirectory(prefix="glossator-") as folder:
        yield Path(folder) / "library"


def existing(file: Path) -> Path:
    """The file. Raises UsageError where there is none."""
    if not file.is_file():
        raise UsageError(f"{file}: no such file. Name another; the examples come with a checkout, not with the package")
    return file


def page_counts(text: str) -> list[int]:
    """The numbers in "5,50,100"; what is not a number is left out."""
    return [int(count) for count in text.split(",") if count.strip().isdecimal()]


def print_json(value: dict[str, Any]) -> None:
    # In UTF-8 what cannot be printed becomes \udcXX, which JSON reads; elsewhere everything is escaped.
    ascii_only = sys.stdout is not None and sys.stdout.encoding.lower() != "utf-8"
    print(json.dumps(value, ensure_ascii=ascii_only, indent=1))


def measures_text(result: dict[str, Any]) -> str:
    """A line a measure: the system's value, its interval, and the controls' values."""
    lines = []
    controls = result.get("controls", {})
    if controls:
        lines.append(" ".join([f"{'':24} {result['retriever']:>8} {'95 %':18}", *(f"{name:>11}" for name in controls)]))
    for name, value in result.get("metrics", result).items():
        low, high = result.get("intervals", {}).get(name, (None, None))
        interval = f"[{_number(low)}, {_number(high)}]" if low is not None else ""
        others = [f"{_number(row['metrics'].get(name, '-')):>11}" for row in controls.values()]
        lines.append(" ".join([f"{name:24} {_number(value):>8} {interval:18}", *others]).rstrip())
    if "latency_ms" in result:
        median = result["latency_ms"]["p50"]
        lines.append(f"{result['n']} questions, {median} ms a question (median), {result['seconds']} s in all")
    return "\n".join(lines)


def _number(value: Any) -> str:
    return str(value) if not isinstance(value, float) else f"{value:.3f}" if abs(value) <= 1 else f"{value:.1f}"


def print_result(result: dict[str, Any], as_json: bool, text: Callable[[dict[str, Any]], str] = measures_text) -> None:
    """The result as JSON, or as its text for people."""
    if as_json:
        print_json(result)
    else:
        print(text(result))


@contextmanager
def progress() -> Iterator[Callable[..., None]]:
    """A Report that shows how far the work is; it takes a note behind its three arguments, and ends an interrupted
    command."""
    with Progress() as shown:

        def report(what: str, done: int, total: int, note: str = "") -> None:
            # A library may swallow an interruption that is raised once, so it is raised until the command ends.
            if CommandState.interrupted and threading.current_thread() is threading.main_thread():
                raise KeyboardInterrupt
            shown(what, done, total, note)

        yield report
