"""What the files of commands share: what stands before the command, options, an opened library, JSON, progress."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rag.errors import UsageError

if TYPE_CHECKING:
    from rag.indexes import Indexes
    from rag.settings import Settings


class State:
    """What stands before the command (--debug and --set), and whether a signal has come since."""

    debug = False
    interrupted = False
    overrides: tuple[str, ...] = ()


class RetrieverName(str, Enum):
    bm25 = "bm25"
    sparse = "sparse"
    dense = "dense"
    hybrid = "hybrid"


class ReaderStyle(str, Enum):
    notes = "notes"
    quotes = "quotes"
    direct = "direct"


LibraryOption = Annotated[
    Path, typer.Option("--library", envvar="GLOSSATOR_LIBRARY", help="The library folder.", show_default=False)
]
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")]
RetrieverOption = Annotated[RetrieverName | None, typer.Option("--retriever", help="How passages are found.")]
KOption = Annotated[int | None, typer.Option("-k", help="How many passages.")]


def load_settings() -> Settings:
    """The settings, with what --set says of them."""
    from rag import settings

    return settings.load_settings(State.overrides)


def open_indexes(library: Path, create: bool = False) -> Indexes:
    """The library in a folder, with its indexes."""
    from rag.indexes import Indexes
    from rag.library import Library

    settings = load_settings()
    return Indexes(Library.open(library, create=create), settings)


def existing(file: Path) -> Path:
    if not file.is_file():
        raise UsageError(f"{file}: no such file. Name another; the examples come with a checkout, not with the package")
    return file


def print_json(value: dict[str, Any]) -> None:
    # In UTF-8 what cannot be printed becomes \udcXX, which JSON reads; elsewhere everything is escaped.
    ascii_only = sys.stdout is not None and sys.stdout.encoding.lower() != "utf-8"
    print(json.dumps(value, ensure_ascii=ascii_only, indent=1))


@contextmanager
def progress() -> Iterator[Callable[..., None]]:
    """A Report that shows what goes on; it takes a note behind its three arguments, and ends an interrupted command."""
    from ui.progress import Progress

    with Progress() as shown:

        def report(what: str, done: int, total: int, note: str = "") -> None:
            # Raised once, an interruption may fall into a library that swallows it: so it is raised until it is heard.
            if State.interrupted and threading.current_thread() is threading.main_thread():
                raise KeyboardInterrupt
            shown(what, done, total, note)

        yield report
