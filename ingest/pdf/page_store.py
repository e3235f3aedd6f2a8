"""The pages of a PDF while it is read: one file in the library folder, so that a kill costs one page.

Each line is a page as it came from the child. The first line has the recipe that it was read by, and a file with
another recipe is started again. Pages may come in any order. Pictures are taken out and kept by their hash.
"""

from __future__ import annotations

import base64
import contextlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from rag.errors import LibraryError

OUTLINE = 0  # what a child is asked for beside the pages, which count from 1: the document's title and outline
SMALLEST_PAGE = 4  # bytes of a file


def most_pages(file: Path) -> int:
    """The most pages that a PDF's bytes can hold, and 1,000 at least; a file that claims more has no more."""
    return max(1000, file.stat().st_size // SMALLEST_PAGE)


class PageFile:
    """The pages of one PDF read so far. `recipe` is everything that their content depends on beside the bytes."""

    def __init__(self, file: Path, recipe: str, keep_picture: Callable[[bytes], str]):
        self._file = file
        self._keep_picture = keep_picture
        self._at: dict[int, tuple[int, int]] = {}  # page -> where its line begins and ends, in bytes
        self.bad: dict[int, str] = {}  # page -> why it could not be read
        self.count = 0
        self.outline: dict[str, Any] = {}
        self.recurring: frozenset[tuple[int, int, int]] = frozenset()  # as assemble found it, for geometry
        with self._writing():
            file.parent.mkdir(parents=True, exist_ok=True)
            self._stream = file.open("a+b")
            self._resume(recipe)

    def _resume(self, recipe: str) -> None:
        self._stream.seek(0)
        end = 0
        for number, line in enumerate(self._stream):
            record = _record(line)
            if number == 0:
                if record.get("recipe") != recipe:
                    break
                self.count, self.outline = record["pages"], record["outline"]
            elif record.get("number") in range(1, self.count + 1) and ("bad" in record or record.get("page")):
                self._note(record, end, end + len(line))
            else:
                break
            end += len(line)
        self._stream.truncate(end)

    def begin(self, recipe: str, count: int, outline: dict[str, Any]) -> None:
        """Note what the document is made of; once, before its pages."""
        self.count, self.outline = count, outline
        self._append({"recipe": recipe, "pages": count, "outline": outline})

    def keep(self, number: int, what: str, value: Any) -> None:
        """A page as the child gave it: ("page", JSON) or ("bad", why)."""
        record = {"number": number, what: value}
        if what == "page":
            for block in value["blocks"]:
                if block["picture"]:  # one without a word is in no passage that could show it
                    png, words = base64.b64decode(block["picture"]), any(text.strip() for text, _ in block["lines"])
                    with self._writing():
                        block["picture"] = self._keep_picture(png) if words else None
        start, end = self._append(record)
        self._note(record, start, end)

    def _append(self, record: dict[str, Any]) -> tuple[int, int]:
        with self._writing():
            start = self._stream.seek(0, 2)
            self._stream.write(json.dumps(record, separators=(",", ":")).encode() + b"\n")
            self._stream.flush()
            return start, self._stream.tell()

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        """What cannot be written is the library's failure, not the document's."""
        try:
            yield
        except OSError as error:
            raise LibraryError(
                f"{self._file.parent}: cannot be written: {error.strerror}. Make room or fix its permissions, and run "
                "it again; nothing stored is lost"
            ) from error

    def _note(self, record: dict[str, Any], start: int, end: int) -> None:
        self._at[record["number"]] = (start, end)
        if "bad" in record:
            self.bad[record["number"]] = record["bad"]

    def missing(self) -> list[int]:
        """The pages that are still to be read, from 1."""
        return [number for number in range(1, self.count + 1) if number not in self._at]

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Every page in order, one in memory at a time; an empty one for a page that could not be read."""
        for number in range(1, self.count + 1):
            start, end = self._at[number]
            self._stream.seek(start)
            record = json.loads(self._stream.read(end - start))
            yield record.get("page") or {"width": 0.0, "height": 0.0, "ocr": False, "blocks": []}

    def close(self) -> None:
        with contextlib.suppress(OSError):  # what a full disk had no room for is not written now either
            self._stream.close()

    def remove(self) -> None:
        self.close()
        self._file.unlink(missing_ok=True)


def _record(line: bytes) -> dict[str, Any]:
    """What a line says; {} if it was torn by a kill, or was never ours."""
    try:
        record = json.loads(line) if line.endswith(b"\n") else {}
    except (ValueError, RecursionError):
        return {}
    return record if isinstance(record, dict) else {}
