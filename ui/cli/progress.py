"""Progress on stderr: a bar with count, rate and time left on a terminal, elsewhere a plain line every 10 seconds."""

from __future__ import annotations

import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any

from ui.wording import printable

LINE_SECONDS = 10.0
WINDOW_SECONDS = 60.0  # what comes from a cache comes in a burst, which says nothing about the rest: it is forgotten
MINUTES_ABOVE = 120  # seconds


class Count:
    """How far one thing is, and how fast it went lately."""

    def __init__(self) -> None:
        self._done, self._total, self._note = 0, 0, ""
        self._reports: deque[tuple[float, int]] = deque()  # (time, done)

    def report(self, now: float, done: int, total: int, note: str = "") -> None:
        self._done, self._total, self._note = done, total, note
        self._reports.append((now, done))
        # The last one from before the window stays: where a step takes minutes, the window alone holds but one report.
        while len(self._reports) > 2 and self._reports[1][0] <= now - WINDOW_SECONDS:
            self._reports.popleft()

    def seconds_left(self, now: float) -> float | None:
        """None where there is nothing to judge it by, and at the end."""
        since, before = self._reports[0]
        if self._done <= before or now <= since or self._done >= self._total:
            return None
        return (self._total - self._done) * (now - since) / (self._done - before)

    def text(self, what: str, now: float) -> str:
        left = self.seconds_left(now)
        parts = [f"{what} {self._done} of {self._total}", self._note, "" if left is None else f"{duration(left)} left"]
        return ", ".join(part for part in parts if part)


def duration(seconds: float) -> str:
    """
    >>> duration(119.6), duration(121), duration(1862)
    ('120 s', '2 min', '31 min')
    """
    return f"{seconds:.0f} s" if round(seconds) <= MINUTES_ABOVE else f"{seconds / 60:.0f} min"


def plain_line(started: float, now: float, counts: Mapping[str, Count]) -> str:
    """120 s: questions 57 of 114, EM 0.45 F1 0.53, 120 s left"""
    return f"{now - started:.0f} s: {', '.join(count.text(what, now) for what, count in counts.items())}"


class Progress:
    """A context manager that is also a Report: call it with (what, done, total) from any thread.

    A fourth argument, a note such as a running score, is shown behind the count.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._bar: Any = None
        self._tasks: dict[str, Any] = {}
        self._lock = threading.Lock()
        self._counts: dict[str, Count] = {}
        self._clock = clock
        self._started = clock()
        self._next_line = self._started + LINE_SECONDS

    def __enter__(self) -> Progress:
        if sys.stderr.isatty():
            from rich import progress
            from rich.console import Console

            self._bar = progress.Progress(
                progress.TextColumn("{task.description}", markup=False),  # a file may be called [/x].pdf
                progress.BarColumn(),
                progress.MofNCompleteColumn(),
                _rate_column(),
                progress.TimeRemainingColumn(),
                progress.TextColumn("{task.fields[note]}", markup=False),
                console=Console(stderr=True),
                transient=True,
            )
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def __call__(self, what: str, done: int, total: int, note: str = "") -> None:
        what, note = printable(what), printable(note)  # a file's name, which may be anything
        with self._lock:
            if self._bar is not None:
                self._show(what, done, total, note)
            else:
                self._say(what, done, total, note)

    def _show(self, what: str, done: int, total: int, note: str) -> None:
        if what not in self._tasks:
            self._tasks[what] = self._bar.add_task(what[-40:], total=total, note=note)
        self._bar.update(self._tasks[what], completed=done, total=total, note=note)
        if done >= total and what != "documents":
            self._bar.remove_task(self._tasks.pop(what))

    def _say(self, what: str, done: int, total: int, note: str) -> None:
        now = self._clock()
        self._counts.setdefault(what, Count()).report(now, done, total, note)
        if done >= total and what != "documents":
            del self._counts[what]
        if now < self._next_line or not self._counts:
            return
        self._next_line = now + LINE_SECONDS
        print(plain_line(self._started, now, self._counts), file=sys.stderr, flush=True)


def _rate_column() -> Any:
    from rich.progress import ProgressColumn, Task
    from rich.text import Text

    class RateColumn(ProgressColumn):
        def render(self, task: Task) -> Text:
            return Text(f"{task.speed:.1f}/s" if task.speed else "")

    return RateColumn()
