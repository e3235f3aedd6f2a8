"""Two runs on the same questions: is one better, or is it the choice of questions? Paired by question."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from eval.core.bootstrap import paired_difference
from eval.core.files import Record, read_records
from rag.errors import UsageError

FILE = "per_question.jsonl"
Scores = Mapping[str, float | None]


def compare(a: Path, b: Path, seed: int = 0) -> dict[str, Any]:
    """The command line's JSON for two folders that an evaluation's --out wrote: for each score both means, a - b,
    its 95 % interval and two-sided p, over the `n` questions for which both have that score.

    Raises UsageError for a folder without results, or for two without a question or a score in common, and DataError
    for a record that has no id or no scores, or whose id is there twice.
    """
    started = time.monotonic()
    of_a, of_b = _read(a), _read(b)
    # In the order of ids, so that neither side's order matters, and b against a is the mirror of a against b.
    pairs = [(of_a[id], of_b[id]) for id in sorted(of_a.keys() & of_b.keys())]
    if not pairs:
        raise UsageError(f"{a} and {b}: no question in common. Name two runs on the same questions")
    metrics = {}
    for name in dict.fromkeys(name for scores, _ in pairs for name in scores):
        both = [
            (x, y) for left, right in pairs if (x := left.get(name)) is not None and (y := right.get(name)) is not None
        ]
        if both:
            metrics[name] = _metric([x for x, _ in both], [y for _, y in both], seed)
    if not metrics:
        raise UsageError(f"{a} and {b}: no score in common. Name two runs of the same evaluation")
    return {
        "task": "compare",
        "a": str(a),
        "b": str(b),
        "n": len(pairs),
        "only_a": len(of_a) - len(pairs),
        "only_b": len(of_b) - len(pairs),
        "metrics": metrics,
        "seconds": round(time.monotonic() - started, 1),
    }


def compare_text(result: Mapping[str, Any]) -> str:
    """The result of compare as a table for a terminal."""
    lines = [f"A {result['a']}, B {result['b']}: {result['n']} questions in both, paired bootstrap"]
    if result["only_a"] or result["only_b"]:
        lines.append(f"left out: {result['only_a']} questions only in A, {result['only_b']} only in B")
    rows = [("", "A", "B", "A - B", "95 %", "p", "n")]
    for name, row in result["metrics"].items():
        low, high = row["interval"]
        interval = f"[{low:+.4f}, {high:+.4f}]"
        numbers = (f"{row['a']:.4f}", f"{row['b']:.4f}", f"{row['difference']:+.4f}", interval, f"{row['p']:.4f}")
        rows.append((name, *numbers, str(row["n"])))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for name, *cells in rows:
        aligned = (cell.rjust(width) for cell, width in zip(cells, widths[1:], strict=True))
        lines.append("  ".join([name.ljust(widths[0]), *aligned]))
    return "\n".join(lines)


def _metric(a: list[float], b: list[float], seed: int) -> dict[str, Any]:
    found = paired_difference(a, b, seed)
    return {
        "a": _rounded(sum(a) / len(a)),
        "b": _rounded(sum(b) / len(b)),
        **found.to_json(),
        "n": found.n,
    }


def _rounded(value: float) -> float:
    return round(value, 4) + 0.0  # + 0.0: no -0.0


def _read(folder: Path) -> dict[str, Scores]:
    """The scores by question. UsageError if there are none, DataError for a record that is none of ours."""
    file = folder / FILE
    if not file.is_file():
        what = f"no {FILE} in it" if folder.is_dir() else "no such folder"
        raise UsageError(f"{folder}: {what}. Name a folder that `glossator eval ... --out` wrote")
    scores: dict[str, Scores] = {}
    for record in read_records(file):
        id = record.text("id")
        if id in scores:
            raise record.error(f"id {id!r:.60} is there twice")
        scores[id] = _scores(record)
    return scores


def _scores(record: Record) -> Scores:
    scores = record.get(dict, "scores")
    for name, value in scores.items():
        # The comparison is false for NaN and infinity, which Python's reader of JSON lets through.
        number = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max
        if value is not None and not number:
            raise record.error(f"scores: {name!r:.60} is {value!r:.60}, not a number or null")
    return scores
