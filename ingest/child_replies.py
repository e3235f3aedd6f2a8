"""Checks of what child processes reply (ingest/child_process.py), before the parent believes it.

A hostile document may have taken its child over. So the parent copies only what has the shape of an honest reply and
keeps to its bounds (rag/bounds.py): types, lengths, offsets inside the text, spans in order. The functions here check
single values; each kind of document checks its own replies with them (pdf_reading.py, episode_reading.py,
case_reading.py, reflowable_reading.py). A check takes JSON as it was parsed, takes time in proportion to its size, and
raises DocumentError ("the parser returned ...") for anything else. Only what chunking and the catalogue rely on is
checked: a child that was taken over can still lie, as the document itself can.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rag import bounds
from rag.errors import DocumentError, first_line_of

LARGEST = 1e300  # a damaged PDF has letters at any position; but a larger number is none to calculate with
PNG = b"\x89PNG\r\n\x1a\n"
DATE = re.compile(r"\d{4}-\d\d-\d\d|")


@contextmanager
def checking(what: str) -> Iterator[None]:
    """Turn the errors that a malformed reply raises inside the block into a DocumentError that names `what`."""
    try:
        yield
    except (TypeError, ValueError, LookupError, OverflowError, AttributeError) as error:
        raise DocumentError(
            f"the parser returned {what} that cannot be right ({first_line_of(error)}). It may mean harm: leave it out"
        ) from error


def checked_text_reply(value: Any, text: str | None) -> tuple[str, str, tuple[str, ...]]:
    """Title, text and warnings of a reply that has these keys; `text` where the parent has the text already."""
    title, warnings = checked_text(value["title"], bounds.TITLE), checked_list(value["warnings"], bounds.WARNINGS)
    if text is None:
        text = checked_text(value["text"], len(value["text"]))
    return title, text, tuple(checked_text(warning, bounds.WARNING) for warning in warnings)


def checked_text(value: Any, most: int) -> str:
    """`value`, if it is a text of at most `most` characters that can be encoded; else ValueError."""
    if type(value) is not str or len(value) > most:
        raise ValueError(f"no text of at most {most:,} characters")
    value.encode()  # half a character cannot be stored; UnicodeEncodeError is a ValueError
    return value


def check_date(value: Any) -> None:
    """ValueError for anything but YYYY-MM-DD and ""."""
    if not DATE.fullmatch(value):
        raise ValueError("a date that is none")


def check_integer(value: Any, least: int, most: int) -> None:
    """ValueError for anything but an integer from `least` to `most`."""
    if type(value) is not int or not least <= value <= most:  # True is an int to isinstance
        raise ValueError(f"no number from {least} to {most}")


def check_number(value: Any, least: float = -LARGEST, most: float = LARGEST) -> None:
    """ValueError for anything but a number from `least` to `most`."""
    if type(value) not in (int, float) or not least <= value <= most:  # nan is neither
        raise ValueError(f"no number from {least:g} to {most:g}")


def check_span(start: Any, end: Any, least: int, most: int) -> None:
    """ValueError unless least <= start < end <= most, all integers."""
    if type(start) is not int or type(end) is not int or not least <= start < end <= most:
        raise ValueError("offsets that are not in order, or outside the text")


def checked_png(value: Any) -> bytes:
    """The bytes of a PNG in base64, as a child replies with a picture; else ValueError."""
    data = base64.b64decode(value, validate=True)
    if not data.startswith(PNG):
        raise ValueError("a picture that is no PNG")
    return data


def checked_list(value: Any, most: int) -> list[Any]:
    """`value`, if it is a list of at most `most` entries; else ValueError."""
    if type(value) is not list or len(value) > most:
        raise ValueError(f"no list of at most {most:,} entries")
    return value
