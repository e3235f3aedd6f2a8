"""The audit log: who asked, added, removed and changed what, when. A file of JSON lines in the library's folder.

Only servers where people log in keep one. It is as private as the library: questions stand in it.
"""

from __future__ import annotations

import json
import logging
import os
import threading
import time
from pathlib import Path
from typing import Any

from ui.wording import printable

MOST_BYTES = 10 << 20  # of the file, which then becomes FILE.1; the one before that is deleted
LONGEST = 300  # characters of what was asked or added
log = logging.getLogger("glossator")


class AuditLog:
    """Entries in the order they happened. For any thread; where the disk is full a warning is logged, and no more."""

    def __init__(self, file: Path):
        self._file = file
        self._lock = threading.Lock()

    def add(self, who: str, did: str, what: str = "", **more: str) -> None:
        """`did` is a word of its own: asked, added, removed, ..."""
        entry = {"at": _now(), "who": who, "did": did, "what": printable(what)[:LONGEST]}
        entry |= {name: value for name, value in more.items() if value}
        line = json.dumps(entry, ensure_ascii=False) + "\n"
        try:
            with self._lock:
                if self._file.exists() and self._file.stat().st_size > MOST_BYTES:
                    os.replace(self._file, self._file.with_name(f"{self._file.name}.1"))
                handle = os.open(self._file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
                with open(handle, "a", encoding="utf-8") as out:
                    out.write(line)
        except OSError as error:
            log.warning("%s: cannot be written: %s. Free some disk space", self._file, error.strerror)

    def last(self, most: int) -> list[dict[str, Any]]:
        """The last entries, the newest first; a line that a full disk has cut off is left out."""
        try:
            lines = self._file.read_text("utf-8", errors="replace").splitlines()
        except FileNotFoundError:
            return []
        entries: list[dict[str, Any]] = []
        for line in reversed(lines):
            if len(entries) == most:
                break
            try:
                entries.append(json.loads(line))
            except ValueError:
                continue
        return entries


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
