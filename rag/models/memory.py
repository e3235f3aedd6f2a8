"""Memory: whether a model fits into what is free, said before it is loaded, as a machine that swaps seems to hang; and
what this process and its children take together."""

from __future__ import annotations

import threading
from pathlib import Path
from types import TracebackType

import psutil

from rag.errors import ModelError

CGROUP = Path("/sys/fs/cgroup")  # of a container: its own limit may be lower than the machine's memory


def free_memory() -> int:
    """Bytes that this process may still take without swapping."""
    available = int(psutil.virtual_memory().available)
    try:
        limit, used = ((CGROUP / name).read_text().strip() for name in ("memory.max", "memory.current"))
        return available if limit == "max" else min(available, max(0, int(limit) - int(used)))
    except (OSError, ValueError):
        return available


def require_memory(what: str, needed: int, remedy: str) -> None:
    """Raise ModelError with both figures where fewer than `needed` bytes are free."""
    if (free := free_memory()) < needed:
        raise ModelError(f"{what} needs about {_gb(needed)} of memory, and {_gb(free)} are free. {remedy}")


class MemoryWatch:
    """The most memory that this process and its children have had at one time, looked at once a second in a block.

    What they share counts once where the system says so (Linux's proportional set size), else in each.
    """

    SECONDS = 1.0

    def __init__(self) -> None:
        self.most = 0  # bytes
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="memory", daemon=True)

    def __enter__(self) -> MemoryWatch:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        this, ended = psutil.Process(), False
        while not ended:  # once more at the end
            ended = self._ended.wait(self.SECONDS)
            self.most = max(self.most, sum(map(_memory_of, [this, *this.children(recursive=True)])))


def _memory_of(process: psutil.Process) -> int:
    """Bytes; 0 of one that has ended."""
    try:
        used = process.memory_full_info()
        return int(getattr(used, "pss", used.rss))
    except psutil.Error:
        return 0


def _gb(size: int) -> str:
    """
    >>> _gb(1_610_612_736)
    '1.5 GB'
    """
    return f"{size / (1 << 30):.1f} GB"
