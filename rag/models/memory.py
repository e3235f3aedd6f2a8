"""Whether a model fits into the memory that is free, said before it is loaded: a machine that swaps seems to hang."""

from __future__ import annotations

from pathlib import Path

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


def _gb(size: int) -> str:
    """
    >>> _gb(1_610_612_736)
    '1.5 GB'
    """
    return f"{size / (1 << 30):.1f} GB"
