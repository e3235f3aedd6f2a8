"""What was heard of a recording so far: a file in the library's folder, so that a kill costs half a minute of it.

Each line is a stretch as it came from the child; the first has the recipe. A file with another recipe is started again,
and a line torn by a kill is left out.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from rag.errors import LibraryError
from rag.library.catalogue import Library


class HeardFile:
    """The stretches of one recording, in order; `at` is the millisecond up to which it was heard."""

    def __init__(self, library: Library, document_id: str, recipe: str):
        self._file = _file(library, document_id)
        self.stretches: list[dict[str, Any]] = []
        self.at, self.done = 0, False
        lines = self._file.read_bytes().split(b"\n")[:-1] if self._file.exists() else []
        if lines and _json(lines[0]) == {"recipe": recipe}:
            for line in lines[1:]:
                stretch = _json(line)
                if not stretch or stretch["until"] <= self.at:
                    break
                self._note(stretch)
        self._write([{"recipe": recipe}, *self.stretches], "wb")

    def keep(self, stretch: dict[str, Any]) -> None:
        self._write([stretch], "ab")
        self._note(stretch)

    def _note(self, stretch: dict[str, Any]) -> None:
        self.stretches.append(stretch)
        self.at, self.done = stretch["until"], stretch["done"]

    def _write(self, lines: list[dict[str, Any]], mode: str) -> None:
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            with self._file.open(mode) as stream:
                stream.write(b"".join(json.dumps(line).encode() + b"\n" for line in lines))
        except OSError as error:
            raise LibraryError(
                f"{self._file.parent}: cannot be written: {error.strerror}. Make room or fix its permissions, and run "
                "it again; nothing stored is lost"
            ) from error


def forget_heard(library: Library, document_id: str) -> None:
    """Delete what was heard of a recording: it is stored with the document."""
    _file(library, document_id).unlink(missing_ok=True)


def _file(library: Library, document_id: str) -> Path:
    return library.folder / "reading" / f"{document_id}.heard"


def _json(line: bytes) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
