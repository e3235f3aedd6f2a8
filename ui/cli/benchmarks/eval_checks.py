"""What the commands of `eval` share: checks of their options before the work, warnings behind it."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rag.errors import UsageError
from rag.settings import Settings
from ui.cli.options import RetrieverName

log = logging.getLogger("glossator")


def check_jobs(jobs: int, settings: Settings) -> None:
    """Raise UsageError for several jobs of a reader that is not behind an endpoint."""
    if jobs > 1 and not settings.reader.model.startswith(("http://", "https://")):
        raise UsageError(f"--jobs {jobs}: the reader {settings.reader.model} answers one at a time. Leave it out")


def check_out(out: Path | None) -> None:
    """Raise UsageError where --out names a file."""
    if out is not None and out.exists() and not out.is_dir():
        raise UsageError(f"--out {out}: is a file. Name a folder")


def check_run(run: Path | None) -> None:
    """Raise UsageError where --run names a folder."""
    if run is not None and run.is_dir():
        raise UsageError(f"--run {run}: is a folder. Name a file in it")


def count_of(k: int | None, settings: Settings) -> int:
    """How many passages a question gets. Raises UsageError for fewer than one."""
    if k is not None and k < 1:
        raise UsageError(f"-k {k}: ask for at least 1 passage")
    return settings.retrieve.k if k is None else k


def retriever_of(named: RetrieverName | None, settings: Settings) -> str:
    """The name of the retriever: the option's, else the settings'."""
    return named.value if named else settings.retrieve.retriever


def warn_of_limit(limit: int | None, available: int, data: Path, what: str = "questions") -> None:
    """Warn where --limit is above what the data holds."""
    if limit is not None and limit > available:
        log.warning("--limit %d: %s holds %d %s, all of them are asked", limit, data, available, what)


def warn_of_failures(result: dict[str, Any], out: Path | None) -> None:
    """Warn of questions that failed, and say where the reasons are."""
    controls = sum(row.get("failed", 0) for row in result.get("controls", {}).values())
    if result["failed"] or controls:
        also = f" (and {controls} in the controls)" if controls else ""
        where = f" See error in {out / 'per_question.jsonl'}" if out else " --out FOLDER keeps the reasons"
        log.warning(
            "%d of %d questions failed%s and count as wrong; the same command asks them again.%s",
            result["failed"], result["n"], also, where,
        )  # fmt: skip


def seconds_of(began: float, outcomes: Mapping[str, Sequence[Any]]) -> dict[str, float]:
    """Seconds of the whole command, and those in which retriever or reader was at work on a question."""
    busy = sum(outcome.trial.busy_seconds for row in outcomes.values() for outcome in row)
    return {"seconds": round(time.monotonic() - began, 1), "busy_seconds": round(busy, 1)}
