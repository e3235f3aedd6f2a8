"""Files with judgments -> cases: text, HTML, and JSON with a record for each (the layout of cases-a).

`serve` runs in a child process; the parent only asks whether a file holds judgments.
"""

from __future__ import annotations

import codecs
import hashlib
import html
import json
import re
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import astuple
from functools import cache
from pathlib import Path
from typing import Any

from ingest.legal.courts import OPENING, SECTION_KINDS, Court, court_of, read_courts
from ingest.legal.html_text import plain, text_of_html
from ingest.legal.judgment import of_record, read_judgment
from ingest.legal.judgment_sections import sections_of
from ingest.plain_text import BAD, decoded
from ingest.read_context import Member
from rag import bounds
from rag.document import Case
from rag.errors import DocumentError, first_line_of
from rag.library import cases

MOST_BYTES = 512 << 20  # of a file, unpacked: twenty thousand judgments
LEAST_HEADED = 2  # kinds of sections with a heading, by which a text is known as a judgment
GZIP = b"\x1f\x8b"
RECORD = re.compile(r'"text"\s*:\s*"')
FIELDS = re.compile(r'"(?:itemid|application_numbers)"\s*:')
TAG = re.compile(r"<[^<>]*>")
MARKUP = re.compile(r"\s*<(?:!doctype|!--|\?xml|html|head|body|div|p|h\d|title|meta)\b", re.I)
NO_COURT = "no court is named in its opening: it was read as a judgment of the {}"


@cache
def courts() -> Mapping[str, Court]:
    return read_courts()


# -- recognising judgments ------------------------------------------------------------------------------------------


def is_legal(head: bytes) -> bool:
    """Whether a file holds judgments, by the bytes it begins with (HEAD_BYTES are enough) and not by its name."""
    if b"\0" in head[:1024] and not _packed(head) and not _is_utf_16(head):
        return False
    text = decoded(_unpacked(head, OPENING * 16) if _packed(head) else head, is_cut=True)
    if _is_json(text):
        return bool(RECORD.search(text) and FIELDS.search(text))
    # markup is only blanked here: to parse what is hostile is the child's work
    return is_judgment(html.unescape(TAG.sub("\n", text)) if MARKUP.match(text) else text)


def is_judgment(text: str) -> bool:
    """Whether a text is headed as a judgment of a court in courts.toml, and at least two kinds of sections in it are.

    >>> is_judgment("EUROPEAN COURT OF HUMAN RIGHTS\\nTHE FACTS\\n1. A.\\nTHE LAW\\n2. B.")
    True
    """
    if not any(court.sign.search(text[:OPENING]) for court in courts().values()):
        return False
    found = sections_of(plain(text), court_of(text, courts()))
    return len({section.kind for section in found} & set(SECTION_KINDS)) >= LEAST_HEADED


def is_collection(head: bytes) -> bool:
    """Whether a file of judgments, by the bytes it begins with, has records, each of which becomes a document."""
    return _is_json(decoded(_unpacked(head, 1024) if _packed(head) else head[:1024], is_cut=True))


def _is_json(text: str) -> bool:
    return bool(re.match(r"\s*(?:\{|\[\s*\{)", text))


def _packed(data: bytes) -> bool:
    return data.startswith(GZIP)


def _is_utf_16(head: bytes) -> bool:
    return head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))


def _unpacked(data: bytes, most: int) -> bytes:
    """At most `most` bytes of gzip data, of several members too; data that is cut off or damaged ends there."""
    found = bytearray()
    while data.startswith(GZIP) and len(found) < most:
        unpacker = zlib.decompressobj(wbits=31)
        try:
            found += unpacker.decompress(data, most - len(found))
        except zlib.error:
            break
        data = unpacker.unused_data
    return bytes(found)


# -- reading ---------------------------------------------------------------------------------------------------------


class CaseFile:
    """The judgments of a file, read one by one. Raises DocumentError, without the path, for a file without any."""

    def __init__(self, path: Path) -> None:
        text = _text_of(path)
        self.records = list(_records(text)) if _is_json(text) else [text]
        if not self.records:
            raise DocumentError("holds no records. Put them there, or leave the file out")
        keys: set[str] = set()
        self.members = [_member(record, number, keys) for number, record in enumerate(self.records, start=1)]

    def read(self, number: int) -> tuple[str, Case]:
        """(text, case) of the judgment with this number, from 0. Raises DocumentError."""
        record = self.records[number]
        if isinstance(record, dict):
            text = BAD.sub(" ", plain(str(record.get("text"))))
            return of_record(record | {"text": text}, court_of(text, courts()))
        if isinstance(record, DocumentError):
            raise record
        text = BAD.sub(" ", plain(text_of_html(record) if MARKUP.match(record) else record))
        if not text.strip():
            raise DocumentError("holds no text. Put the judgment there, or leave the file out")
        return text, case_of(text)


def case_of(text: str) -> Case:
    """The structure of a judgment's text, by the profile of its court."""
    return read_judgment(text, court_of(text, courts()))


def warnings_of(text: str, case: Case) -> list[str]:
    """The warnings of a case, and one if its court was guessed."""
    court = courts()[case.court]
    guessed = [] if court.sign.search(text[:OPENING]) else [NO_COURT.format(court.title)]
    return [*guessed, *case.warnings]


def serve(request: dict[str, Any], numbers: Iterator[int]) -> Iterator[tuple[str, Any]]:
    """What the child process replies (ingest/worker.py): ("open", fields of a Member for each judgment), then for each
    number ("case", title, text, warnings and case) or ("bad", why).

    `request` is {"path"}, or {"text"} of one judgment, whose text is not sent back.
    """
    file = CaseFile(Path(request["path"])) if "path" in request else None
    yield "open", [astuple(member) for member in (file.members if file else [Member()])]
    for number in numbers:
        try:
            text, case = file.read(number) if file else (request["text"], case_of(request["text"]))
        except DocumentError as error:
            yield "bad", str(error)
            continue
        sent = text if file else None
        yield (
            "case",
            {"title": case.title, "text": sent, "warnings": warnings_of(text, case), "case": cases.to_json(case)},
        )


def _text_of(path: Path) -> str:
    try:
        data = path.read_bytes() if path.stat().st_size <= MOST_BYTES else b"\0"
    except OSError as error:
        raise DocumentError(f"cannot be read: {error.strerror}. Check its permissions") from error
    if _packed(data):
        data = _unpacked(data, MOST_BYTES + 1)
    if len(data) > MOST_BYTES or data == b"\0":
        raise DocumentError(f"is larger than {MOST_BYTES >> 20} MB. Cut it in parts")
    if b"\0" in data[:1024] and not _is_utf_16(data):
        raise DocumentError("is no text, HTML or JSON. Leave it out, or convert it")
    text = decoded(data)
    if not text.strip():
        raise DocumentError("is empty. Put the judgment there, or leave the file out")
    return text


def _records(text: str) -> Iterator[dict[str, Any] | DocumentError]:
    """The records of JSON lines, or of one list or object; an error in place of each that is no record."""
    lines = [line for line in text.split("\n") if line.strip()]
    try:
        by_line = isinstance(json.loads(lines[0]), dict)
    except (ValueError, RecursionError):
        by_line = False
    if not by_line:
        try:
            found = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise DocumentError(f"is no JSON that can be read: {first_line_of(error)}. Mend it") from error
        lines = found if isinstance(found, list) else [found]
    if len(lines) > bounds.RECORDS:
        raise DocumentError(f"holds more than {bounds.RECORDS:,} records. Cut it in parts")
    for number, line in enumerate(lines, start=1):
        try:
            record = json.loads(line) if by_line else line
        except (ValueError, RecursionError) as error:
            yield DocumentError(f"record {number} is no JSON that can be read: {first_line_of(error)}. Mend it")
            continue
        yield _cleaned(record) if isinstance(record, dict) else DocumentError(f"record {number} is no object. Mend it")


def _cleaned(record: dict[str, Any]) -> dict[str, Any]:
    """The record's known fields without characters that are no text; its `text` keeps every offset."""

    def clean(value: Any) -> Any:
        if isinstance(value, list):
            return [clean(part) for part in value]
        return BAD.sub(" ", value) if isinstance(value, str) else value

    kept = ("itemid", "text", "title", "application_numbers", "date", "importance")
    return {name: value if name == "text" else clean(value) for name, value in record.items() if name in kept}


def _member(record: object, number: int, keys: set[str]) -> Member:
    if isinstance(record, str):
        return Member()
    if isinstance(record, DocumentError):
        return Member(str(number), error=str(record))
    assert isinstance(record, dict)
    item, text = record.get("itemid"), record.get("text")
    item = item.strip() if isinstance(item, str) else ""
    key = item if 0 < len(item) <= bounds.NAME else str(number)  # one of 300 kB is no name
    if key in keys:
        return Member(str(number), error=f"the itemid {key} comes twice: this is record {number}. Name it otherwise")
    keys.add(key)
    metadata = json.dumps([record.get(name) for name in ("title", "application_numbers", "date", "importance")])
    return Member(key, _hash(f"{key}\0{BAD.sub(' ', str(text))}"), _hash(metadata))


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
