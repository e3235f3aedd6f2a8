"""Progress on stderr: a bar with count, rate and time left on a terminal, elsewhere a plain line every 10 seconds."""

from __future__ import annotations

import sys
import threading
import time
from types import TracebackType
from typing import Any

from ui.render import printable

LINE_SECONDS = 10.0


class Progress:
    """A context manager that is also a Report: call it with (what, done, total) from any thread."""

    def __init__(self) -> None:
        self._bar: Any = None
        self._tasks: dict[str, Any] = {}
        self._lock = threading.Lock()
        self._next_line = time.monotonic() + LINE_SECONDS
        self._state: dict[str, tuple[int, int]] = {}
        self._started = time.monotonic()

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

    def __call__(self, what: str, done: int, total: int) -> None:
        what = printable(what)  # a file's name, which may be anything
        with self._lock:
            if self._bar is not None:
                self._show(what, done, total)
            else:
                self._say(what, done, total)

    def _show(self, what: str, done: int, total: int) -> None:
        if what not in self._tasks:
            self._tasks[what] = self._bar.add_task(what[-40:], total=total)
        self._bar.update(self._tasks[what], completed=done, total=total)
        if done >= total and what != "documents":
            self._bar.remove_task(self._tasks.pop(what))

    def _say(self, what: str, done: int, total: int) -> None:
        self._state[what] = (done, total)
        if done >= total and what != "documents":
            del self._state[what]
        if time.monotonic() < self._next_line or not self._state:
            return
        self._next_line = time.monotonic() + LINE_SECONDS
        parts = [f"{name} {count} of {of}" for name, (count, of) in self._state.items()]
        print(f"{time.monotonic() - self._started:.0f} s: {', '.join(parts)}", file=sys.stderr, flush=True)


def _rate_column() -> Any:
    from rich.progress import ProgressColumn, Task
    from rich.text import Text

    class RateColumn(ProgressColumn):
        def render(self, task: Task) -> Text:
            return Text(f"{task.speed:.1f}/s" if task.speed else "")

    return RateColumn()
