"""Data files of benchmarks: records of JSON or JSON lines, gzipped or not. Errors name the file, record and field."""

from __future__ import annotations

import gzip
import json
import re
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from rag.errors import DataError, UsageError

Field = TypeVar("Field")


@dataclass(frozen=True, slots=True)
class Record:
    """One record of a file; `number` counts from 1 (a line's number in JSON lines, a place in an array)."""

    file: Path
    number: int
    fields: Mapping[str, Any]

    def get(self, kind: type[Field], *names: str) -> Field:
        """The first of these fields that is there and not null; DataError if there is none or it is of another kind.

        Identifiers may be written as numbers: a whole number does for a str.
        """
        for name in names:
            value = self.fields.get(name)
            if value is None:
                continue
            if kind is str and isinstance(value, int) and not isinstance(value, bool):
                value = str(value)
            if not isinstance(value, kind) or (kind is not bool and isinstance(value, bool)):
                raise self.error(f"{name} is {_short(value)}, not {WORDS.get(kind, kind.__name__)}")
            return value
        raise self.error(f"{' or '.join(names)} is missing")

    def text(self, *names: str) -> str:
        """As get, for a string that must say something."""
        value = self.get(str, *names)
        if not value.strip():
            raise self.error(f"{' or '.join(names)} is empty")
        return value

    def error(self, what: str) -> DataError:
        """A DataError that says where: raise it."""
        return DataError(f"{self.file}, record {self.number}: {what}. Mend the file, or name another")


SURROGATE = re.compile("[\ud800-\udfff]")  # no UTF-8 file and no database can store it
WORDS: dict[type, str] = {str: "text", list: "a list", dict: "an object", int: "a whole number"}


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:57]}..."


def read_text(file: Path) -> str:
    """The text of a UTF-8 file, gzipped or not. UsageError if there is none, DataError if it holds something else."""
    if not file.is_file():
        raise UsageError(f"{file}: no such file. Name another")
    try:
        raw = file.read_bytes()
        return (gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw).decode("utf-8-sig")
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DataError(f"{file}: damaged gzip: {error}. Get the file again") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{file}: not UTF-8 text: {error.reason} at byte {error.start}. Name another file") from error
    except OSError as error:
        raise DataError(f"{file}: cannot be read: {error.strerror}. Check its permissions") from error


def read_records(file: Path) -> list[Record]:
    """The records of a file that is one JSON array of objects, or JSON lines; DataError for anything else.

    An empty file is an error: a benchmark of nothing has no score.
    """
    text = read_text(file)
    if text.lstrip().startswith("["):
        try:
            values = list(enumerate(json.loads(text), start=1))
        except (ValueError, RecursionError) as error:
            raise DataError(f"{file}: not JSON: {error}. Get the file again, or name another") from error
    else:
        values = list(_lines(file, text))
    if not values:
        raise DataError(f"{file}: holds no record. Name a file with at least one")
    for number, value in values:
        if not isinstance(value, dict):
            raise DataError(f"{file}, record {number}: {_short(value)} is not an object. Name another file")
    records = [Record(file, number, value) for number, value in values]
    if "\\ud" in text.lower():  # the only way to write one
        _refuse_surrogates(records)
    return records


def _refuse_surrogates(records: list[Record]) -> None:
    for record in records:
        for name, value in record.fields.items():
            if SURROGATE.search(json.dumps(value, ensure_ascii=False)):
                raise record.error(f"{name} holds half a character (a surrogate without its other half)")


def _lines(file: Path, text: str) -> Iterator[tuple[int, Any]]:
    for number, line in enumerate(text.split("\n"), start=1):  # splitlines would cut at U+2028 inside a string
        if line.strip():
            try:
                yield number, json.loads(line)
            except (ValueError, RecursionError) as error:
                raise DataError(
                    f"{file}, record {number}: not JSON: {error}. Mend the line, or name another"
                ) from error
