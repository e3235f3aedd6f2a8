"""The pictures of figures and tables in a library folder: PNG files, each once, by the sha256 of its bytes."""

from __future__ import annotations

import hashlib
import os
import re
import threading
from collections.abc import Container
from pathlib import Path

from rag.errors import LibraryError


def keep(folder: Path, png: bytes) -> str:
    """The sha256 of the bytes, which the library in `folder` then holds. Safe from any thread."""
    sha256 = hashlib.sha256(png).hexdigest()
    file = _file(folder, sha256)
    if not file.exists():
        file.parent.mkdir(exist_ok=True)
        fresh = file.with_suffix(f".{threading.get_ident()}.new")
        fresh.write_bytes(png)
        os.replace(fresh, file)
    return sha256


def png(folder: Path, sha256: str) -> bytes:
    """A picture's bytes. Raises LibraryError for one that the library does not hold."""
    file = _file(folder, sha256)
    if not re.fullmatch("[0-9a-f]{64}", sha256) or not file.is_file():
        raise LibraryError(f"{folder} holds no picture {sha256[:64]!r}. Ingest its document again")
    return file.read_bytes()


def sweep(folder: Path, shown: Container[str]) -> None:
    """Delete every file but the pictures in `shown` (their sha256)."""
    for file in (folder / "pictures").glob("*"):
        if file.suffix != ".png" or file.stem not in shown:
            file.unlink(missing_ok=True)


def _file(folder: Path, sha256: str) -> Path:
    return folder / "pictures" / f"{sha256}.png"
