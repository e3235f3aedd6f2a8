"""The folder in which uploads arrive: what lies in it, how much may, and what nobody has claimed is deleted.

What is under way is FOLDER/tmpNAME, a finished file FOLDER/ID/NAME.
"""

from __future__ import annotations

import os
import re
import secrets
import time
from collections.abc import AsyncIterator, Collection, Iterator
from contextlib import suppress
from pathlib import Path

from rag.errors import DocumentError

MOST_BYTES = 2 << 30  # of all files together
UNCLAIMED_SECONDS = 900.0  # after which a finished file is deleted that no ingestion has taken


class Arrivals:
    """The uploads that have arrived in a folder of the server's own."""

    def __init__(self, folder: Path, most_bytes: int = MOST_BYTES):
        self._folder = folder.resolve()
        self._most_bytes = most_bytes

    async def receive(self, name: str, chunks: AsyncIterator[bytes]) -> str:
        """Write a file as it arrives; the id by which `file` finds it. Raises DocumentError for a full disk."""
        upload_id = secrets.token_hex(16)
        part = self._folder / f"tmp{upload_id}"
        try:
            with part.open("xb") as file:
                async for chunk in chunks:
                    file.write(chunk)
            folder = self._folder / upload_id
            folder.mkdir()
            os.replace(part, folder / plain_name(name))
        except OSError as error:
            raise DocumentError(
                f"{plain_name(name)}: cannot be kept: {error.strerror}. Free some disk space"
            ) from error
        finally:
            part.unlink(missing_ok=True)
        return upload_id

    def file(self, upload_id: str) -> Path | None:
        """A finished upload by its id; None where there is none (any more)."""
        if not re.fullmatch(r"[0-9a-f]{32}", upload_id):
            return None
        return next(iter(sorted((self._folder / upload_id).glob("*"))), None)

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


def plain_name(name: str) -> str:
    """A file's name without folders and control characters, short enough for every disk.

    >>> plain_name("../../etc/pass\\nwd.pdf"), plain_name("..")
    ('passwd.pdf', 'document')
    """
    last = name.replace("\\", "/").rpartition("/")[2]
    shown = "".join(letter for letter in last if letter.isprintable()).lstrip(". ")
    stem, dot, ending = shown.rpartition(".")
    if len(shown.encode()) > 200:
        shown = stem.encode()[:180].decode(errors="ignore") + dot + ending[:12]
    return shown or "document"
