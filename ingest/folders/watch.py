"""A library that follows its folders: what is added, changed, renamed or deleted there, as it happens."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TypeVar

import watchfiles

from ingest.build import FAILED, Outcome, build, changing
from ingest.folders.unpack import outdated
from ingest.kinds import AUTO
from ingest.podcast.sidecars import sidecars
from ingest.read import is_listed
from ingest.references.bibliography import LISTS
from rag.errors import LibraryBusy
from rag.index.manager import Indexes
from rag.protocols import Report, silent

QUIET_MS = 800  # without a change before what changed is read: a file that is copied changes many times
BUSY_SECONDS = 2.0  # until it is tried again where another process writes to the library
T = TypeVar("T")
Told = Callable[[str, str], None]  # (what happened: added, updated, renamed, removed or failed; the file, or why)


def watch(
    paths: Sequence[Path], indexes: Indexes, told: Told, jobs: int = 2, kind: str = AUTO, passwords: Sequence[str] = (),
    report: Report = silent, stop: threading.Event | None = None,
) -> None:  # fmt: skip
    """Keep the library like the folders and files at `paths`, until `stop` is set or Ctrl-C.

    Raises LibraryError for a library that cannot be written.
    """
    roots = [path.absolute() for path in paths]
    for changes in watchfiles.watch(
        *roots, step=100, debounce=QUIET_MS, stop_event=stop, raise_interrupt=True, ignore_permission_denied=True
    ):
        follow({Path(name) for _, name in changes}, roots, indexes, told, jobs, kind, passwords, report)


def follow(
    changed: Iterable[Path], roots: Sequence[Path], indexes: Indexes, told: Told, jobs: int = 2, kind: str = AUTO,
    passwords: Sequence[str] = (), report: Report = silent,
) -> None:  # fmt: skip
    """Bring what changed into the library: files that are there are read, those that are gone leave it."""
    library = indexes.library
    there, gone = set[Path](), set[Path]()
    for path in changed:
        if path.is_dir():
            there |= {file for file in path.rglob("*") if file.is_file()}
        elif path.exists():
            there |= {path, *_read_with(path)}
            if path.suffix.lower() in LISTS:
                there |= {file for file in path.parent.rglob("*") if file.is_file()}
        else:
            gone.add(path)
            there |= _read_with(path)
    files = sorted(file for file in there if any(is_listed(file, root, library.folder, kind) for root in roots))
    outcomes = _patiently(
        lambda: build(files, library, indexes, indexes.settings.ingest, passwords, jobs, report, kind)
    )
    folders = outdated(gone | there, library.folder / "unpacked")
    left = {path: ids for path in (*gone, *folders) if (ids := library.documents_below(path))}
    renamed: dict[str, Path] = {}
    if left:

        def forget() -> tuple[str, ...]:
            with changing(library, indexes, "glossator ingest", report):
                return tuple(document for path in left for document in library.forget_path(path))

        removed = set(_patiently(forget))
        for path, ids in left.items():
            kept = [document for document in ids if document not in removed]
            if kept:
                renamed |= dict.fromkeys(kept, path)
            else:
                told("removed", str(path))
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)
    for outcome in outcomes.documents if files else ():
        if before := renamed.get(outcome.document_id or ""):
            told("renamed", f"{before} to {outcome.path}")
        elif outcome.status != "unchanged" or outcome.error:
            told(outcome.status, _line(outcome))


def _line(outcome: Outcome) -> str:
    return f"{outcome.path}: {outcome.error}" if outcome.status == FAILED else outcome.path


def _read_with(path: Path) -> set[Path]:
    """The files beside one that may be read with it: what belongs to a transcript changes its episode."""
    stem = path.name.split(".")[0]
    if not path.parent.is_dir() or not stem:
        return set()
    return {other for other in path.parent.iterdir() if other.name.startswith(stem) and path in sidecars(other)}


def _patiently(act: Callable[[], T]) -> T:
    """What `act` returns, once no other process writes to the library."""
    while True:
        try:
            return act()
        except LibraryBusy:
            time.sleep(BUSY_SECONDS)
