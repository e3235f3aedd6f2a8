"""Which files this process has read whole for their checksums: opened again unchanged, they need not be."""

from __future__ import annotations

import os
from pathlib import Path

_known: set[tuple[str, int, int, int, int]] = set()
MOST = 10_000  # files that are remembered


def is_verified(file: Path, checksum: int) -> bool:
    """Whether the file as it lies there now has had this checksum in this process. Raises OSError."""
    return _state(file, checksum) in _known


def remember(file: Path, checksum: int) -> None:
    """The file has this checksum. Raises OSError."""
    if len(_known) >= MOST:
        _known.clear()
    _known.add(_state(file, checksum))


def _state(file: Path, checksum: int) -> tuple[str, int, int, int, int]:
    found = os.stat(file)
    return str(file), found.st_ino, found.st_mtime_ns, found.st_size, checksum
