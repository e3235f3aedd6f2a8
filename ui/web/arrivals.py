"""The folder in which uploads arrive: what lies in it, how much may, and what nobody has claimed is deleted.

Gradio writes there: a part of a request that is under way as FOLDER/tmpNAME, a finished file as FOLDER/SHA256/NAME.
"""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Iterator
from contextlib import suppress
from pathlib import Path

MOST_BYTES = 2 << 30  # of all files together
UNCLAIMED_SECONDS = 900.0  # after which a finished file is deleted that no ingestion has taken


class Arrivals:
    """The uploads that have arrived in a folder of the server's own."""

    def __init__(self, folder: Path, most_bytes: int = MOST_BYTES):
        self._folder = folder.resolve()
        self._most_bytes = most_bytes

    def holds(self, path: object) -> bool:
        """Whether it names a finished upload; no file elsewhere is looked at, so that nothing is told of it."""
        if not isinstance(path, str) or "\0" in path or ".." in Path(path).parts:
            return False
        file = Path(path)
        if file.parent.parent not in (self._folder, Path(os.path.abspath(self._folder))):
            return False
        return file.is_file() and not file.is_symlink() and file.resolve().parent.parent == self._folder

    def room(self) -> int:
        """How many more bytes may arrive."""
        return self._most_bytes - sum(size for _, size, _ in self._files())

    def sweep(self, claimed: Collection[Path], are_arriving: bool) -> None:
        """Delete what was left behind: parts of requests that have ended, and files that nobody has claimed in time.

        `are_arriving`: requests are under way, whose parts stay.
        """
        kept = {file.resolve() for file in claimed}
        for file, _, modified in list(self._files()):
            is_part = file.parent == self._folder
            if is_part and are_arriving:
                continue
            if file not in kept and (is_part or time.time() - modified > UNCLAIMED_SECONDS):
                with suppress(OSError):
                    file.unlink()
                    if not is_part:
                        file.parent.rmdir()

    def _files(self) -> Iterator[tuple[Path, int, float]]:
        """(file, bytes, when it was written) of all that lies in the folder."""
        for folder, _, names in os.walk(self._folder):
            for name in names:
                with suppress(OSError):
                    status = os.lstat(os.path.join(folder, name))
                    yield Path(folder, name), status.st_size, status.st_mtime
