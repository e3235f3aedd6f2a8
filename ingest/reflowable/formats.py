"""Which of these formats a file is in, and its reader; and the program of the child process that reads it.

| kind | formats |
|---|---|
| word | .docx, .docm |
| slides | .pptx, .pptm |
| ebook | .epub |
| sheet | .xlsx, .xlsm, .csv, .tsv |
| web | .html, .htm, .xhtml |
| email | .eml |
| text | .md, .markdown, .txt, .text |
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from ingest.plain_text import one_line
from ingest.podcast.sidecars import BESIDE
from ingest.reflowable.content import assembled
from rag import bounds
from rag.bounds import shortened
from rag.errors import DocumentError

MOST_BYTES = 512 << 20  # of a file
MOST_PICTURES = 500
ZIP = b"PK\x03\x04"
PAGE = re.compile(rb"<!doctype html|<html[\s>]|<body[\s>]", re.I)
MAIL = re.compile(
    rb"^(?:From|To|Received|Return-Path|Delivered-To|Message-ID|MIME-Version|Subject|Date|X-[\w-]+):", re.I | re.M
)


@dataclass(frozen=True, slots=True)
class Format:
    """How files of one format are known and read. `reader` is "module:function", imported in the child alone."""

    kind: str
    endings: tuple[str, ...]
    reader: str
    content: Callable[[bytes], bool]  # by its first bytes: whether it may be one


def _is_packed(head: bytes) -> bool:
    return head.startswith(ZIP)


def _is_text(head: bytes) -> bool:
    return b"\x00" not in head[:4096] or head[:2] in (b"\xff\xfe", b"\xfe\xff")


FORMATS = (
    Format("word", (".docx", ".docm"), "office.word:read_word", _is_packed),
    Format("slides", (".pptx", ".pptm"), "office.slides:read_slides", _is_packed),
    Format("ebook", (".epub",), "ebook:read_ebook", _is_packed),
    Format("sheet", (".xlsx", ".xlsm"), "office.sheets:read_workbook", _is_packed),
    Format("sheet", (".csv", ".tsv"), "office.sheets:read_csv", _is_text),
    Format("email", (".eml",), "mail:read_mail", lambda head: bool(MAIL.search(head[:8192]))),
    Format("web", (".html", ".htm", ".xhtml"), "web_page:read_web_page", lambda head: bool(PAGE.search(head))),
    Format("text", (".md", ".markdown"), "plain:read_markdown", _is_text),
    Format("text", (".txt", ".text"), "plain:read_text", _is_text),
)
ENDINGS = tuple(ending for each in FORMATS for ending in each.endings)


def format_of(name: str, head: bytes) -> Format | None:
    """The format of a file by its name and its first bytes; None for none.

    >>> format_of("Contract.DOCX", b"PK\\x03\\x04...").kind, format_of("talk.chapters.md", b"# 1")
    ('word', None)
    """
    if BESIDE.search(name) or not head.strip():
        return None
    ending = Path(name).suffix.lower()
    return next((each for each in FORMATS if ending in each.endings and each.content(head)), None)


def sniffer(kind: str) -> Callable[[str, bytes], bool]:
    """Whether a file is of a kind, as DocumentKind.sniff asks."""

    def is_of_kind(name: str, head: bytes) -> bool:
        found = format_of(name, head)
        return found is not None and found.kind == kind

    return is_of_kind


def serve(request: dict[str, Any], numbers: Iterator[int]) -> Iterator[tuple[str, Any]]:
    """What the child process replies (ingest/worker.py): ("open", the document), then each picture asked for, as PNG.

    `request` is {"path", "name"}, where the name says which format it is in.
    """
    from ingest.reflowable.figure_pictures import as_png  # and Pillow, which only the child needs

    try:
        with Path(request["path"]).open("rb") as stream:
            data = stream.read(MOST_BYTES + 1)
    except OSError as error:
        raise DocumentError(f"cannot be read: {error.strerror}. Check its permissions") from error
    if len(data) > MOST_BYTES:
        raise DocumentError(f"is larger than {MOST_BYTES >> 20} MB. Cut it in parts")
    found = format_of(request["name"], data[: 1 << 16])
    if found is None:
        raise DocumentError("is in no format that is known here. Save it as .docx, .html, .md or PDF")
    module, _, function = found.reader.partition(":")
    content = getattr(import_module(f"ingest.reflowable.{module}"), function)(data)
    made = assembled(content.pieces)
    if not made.text.strip():
        raise DocumentError("holds no words. Leave it out, or put some there")
    pictures = [as_png(picture) for picture in made.pictures[:MOST_PICTURES]]
    shown = {number for number, picture in enumerate(pictures) if picture}
    regions = [[*region[:-1], region[-1] if region[-1] in shown else None] for region in made.regions]
    yield "open", {
        "title": one_line(content.title), "text": made.text, "pages": made.pages, "regions": regions,
        "warnings": [shortened(warning, bounds.WARNING) for warning in content.warnings[: bounds.WARNINGS]],
        "facts": {key: shortened(value, bounds.TITLE) for key, value in content.facts.items() if value},
    }  # fmt: skip
    for number in numbers:
        yield "picture", base64.b64encode(pictures[number] or b"").decode()
