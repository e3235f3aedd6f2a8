"""Pieces of a report that a person reads: Markdown tables, bars of text, and other people's words made harmless."""

from __future__ import annotations

import html
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

WIDTH = 40  # characters of the longest bar


def cell(text: object) -> str:
    """Any text on one line of Markdown, as text: no table, link or HTML comes of it.

    >>> cell("a|b <i>\\n[x](y)")
    'a\\\\|b &lt;i&gt; \\\\[x\\\\](y)'
    """
    line = html.escape(" ".join(str(text).split()), quote=False)
    return "".join(f"\\{sign}" if sign in "\\`*_[]|" else sign for sign in line)


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    """The lines of a table; cells are given as Markdown already."""
    lines = [f"| {' | '.join(header)} |", f"|{'---|' * len(header)}"]
    return [*lines, *(f"| {' | '.join(str(value) for value in row)} |" for row in rows)]


def bars(values: Sequence[tuple[str, float, str]], most: float | None = None) -> list[str]:
    """A chart in a code block: (label, value, what stands behind the bar) a line; the longest bar is `most`.

    >>> print(*bars([("one", 1.0, "n 3"), ("half", 0.5, "n 4")])[1:-1], sep="\\n")
    one   ████████████████████████████████████████ 1.00  n 3
    half  ████████████████████                     0.50  n 4
    """
    most = most or max((value for _, value, _ in values), default=0) or 1.0
    values = [(" ".join(label.split()), value, more) for label, value, more in values]  # no line may end the block
    label_width = max((len(label) for label, _, _ in values), default=0)
    lines = []
    for label, value, more in values:
        eighths = round(WIDTH * 8 * min(1.0, value / most))
        bar = "█" * (eighths // 8) + (" ▏▎▍▌▋▊▉"[eighths % 8] if eighths % 8 else "")
        lines.append(f"{label:{label_width}}  {bar:{WIDTH}} {value:.2f}  {more}".rstrip())
    return ["```", *lines, "```"]


def histogram(values: Sequence[float], unit: str, bins: int = 10) -> list[str]:
    """How values of 0 or more are spread: a bar for each of at most `bins` ranges of equal, round width."""
    if not values:
        return ["nothing was measured"]
    step = _round_up(max(values) / bins or 1.0)
    counts = [0] * (int(max(values) / step) + 1)
    for value in values:
        counts[int(value / step)] += 1
    return bars([
        (f"{i * step:g} to {(i + 1) * step:g} {unit}", count / len(values), f"{count} questions")
        for i, count in enumerate(counts)
    ])  # fmt: skip


def _round_up(width: float) -> float:
    """The next of 1, 2, 5, 10, 20, 50, ... and of 0.5, 0.2, 0.1, ..."""
    power = 1.0
    while power > width:
        power /= 10
    while power * 10 <= width:
        power *= 10
    return next(power * factor for factor in (1, 2, 5, 10) if power * factor >= width)


def with_interval(name: str, metrics: Mapping[str, float], intervals: Mapping[str, Sequence[float]]) -> str:
    """A measure as it stands in a table: "0.45 [0.37, 0.54]", or a dash where it does not apply."""
    if name not in metrics:
        return "-"
    low, high = intervals[name]
    return f"{metrics[name]:.3f} [{low:.2f}, {high:.2f}]"


def write_lines(file: Path, records: Iterable[Mapping[str, Any]]) -> None:
    """JSON lines, as a whole or not at all."""
    write_text(file, "".join(f"{json.dumps(record, ensure_ascii=False)}\n" for record in records))


def write_text(file: Path, text: str) -> None:
    """A text file, as a whole or not at all."""
    file.parent.mkdir(parents=True, exist_ok=True)
    fresh = file.with_name(f"{file.name}.new")
    fresh.write_text(text, "utf-8", "replace")  # half a character is no text
    os.replace(fresh, file)
