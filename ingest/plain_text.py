"""Bytes and file names as text: decoding, and what is no text in them."""

from __future__ import annotations

import codecs
import re
from email.utils import parsedate_to_datetime
from pathlib import Path

from ingest.pdf.text_repair import repair_text
from rag import bounds
from rag.bounds import shortened

HEAD_BYTES = 65536  # of a file, by which its kind is recognised
BAD = re.compile(r"[\x00-\x08\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufeff]")  # control characters, half characters


def decoded(data: bytes, is_cut: bool = False) -> str:
    """UTF-16 by its byte order mark, else UTF-8 if the bytes are valid UTF-8, else Windows-1252.

    `is_cut`: the bytes may end within a character.
    """
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return data.decode("utf-16", "replace")
    try:
        return codecs.getincrementaldecoder("utf-8-sig")().decode(data, final=not is_cut)
    except UnicodeDecodeError:
        return data.decode("cp1252", "replace")


def one_line(title: str) -> str:
    """A title on one line, at most bounds.TITLE characters long."""
    return shortened(" ".join(title.split()), bounds.TITLE)


def mail_date(text: str) -> str:
    """A date as mails and feeds write it (RFC 2822) as YYYY-MM-DD; "" for none.

    >>> mail_date("Tue, 02 May 2023 10:00:00 +0000"), mail_date("soon")
    ('2023-05-02', '')
    """
    try:
        return parsedate_to_datetime(text).date().isoformat()
    except (ValueError, TypeError, OverflowError):
        return ""


def title_of(file: Path) -> str:
    """The title of a document that has none: its file's name, without the bytes that are no text."""
    return one_line(repair_text(file.stem)[0])
