"""What the children of worker.py reply, checked before the parent believes it.

A hostile document may have taken its child over. So the parent copies only what has the shape of an honest reply and
keeps to its bounds (rag/bounds.py): types, lengths, offsets inside the text, spans in order. There is a function for
each kind of reply. It takes JSON as it was parsed, takes time in proportion to its size, and raises DocumentError
("the parser returned ...") for anything else. What chunking and the catalogue rely on is checked, and no more: a child
that was taken over can still tell lies, as the document itself can.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any

from ingest.legal.courts import KINDS
from rag import bounds
from rag.bounds import shortened
from rag.errors import DocumentError, first_line_of
from rag.library import cases, episodes
from rag.records import Case, Episode

FAR = 1e300  # a damaged PDF places its letters anywhere; but what is larger is no number to calculate with
MOST_SECONDS = 1e9
MOST_PAGE_TEXT = 1_000_000  # characters of a page, that is of glyphs.MOST_GLYPHS letters and what stands between them
BLOCKS = ("text", "heading", "footnote", "aside", "table", "figure", "margin")
SECTIONS = ("header", "text", *KINDS)
HASH = re.compile(r"[0-9a-f]{16}|")
ADDRESS = re.compile(r"https?://\S+")
DATE = re.compile(r"\d{4}-\d\d-\d\d|")
PNG = b"\x89PNG\r\n\x1a\n"


@contextmanager
def _believed(what: str) -> Iterator[None]:
    try:
        yield
    except (TypeError, ValueError, LookupError, OverflowError, AttributeError) as error:
        raise DocumentError(
            f"the parser returned {what} that cannot be right ({first_line_of(error)}). It may mean harm: leave it out"
        ) from error


# -- PDFs --------------------------------------------------------------------------------------------------------------


def outline(pages: Any, value: Any, most_pages: int) -> tuple[int, dict[str, Any]]:
    """The number of pages, and {"title": text, "outline": [[level from 1, title, page from 1], ...]}."""
    with _believed("an outline"):
        _integer(pages, 1, most_pages)
        _text(value["title"], bounds.TITLE)
        for level, title, number in _list(value["outline"], bounds.OUTLINE):
            _integer(level, 1, 100)
            _text(title, bounds.TITLE)
            _integer(number, 1, 1 << 32)
        return pages, {"title": value["title"], "outline": value["outline"]}


def page(what: Any, value: Any) -> tuple[str, Any]:
    """("page", the page as pdf.read_page gives it) or ("bad", why it cannot be read)."""
    with _believed("a page"):
        if what == "bad":
            _text(value, len(value))
            return what, shortened(value, bounds.WARNING)
        if what != "page" or type(value["ocr"]) is not bool:
            raise ValueError("it is none")
        for side in ("width", "height"):
            _number(value[side])
        characters = 0
        for block in _list(value["blocks"], MOST_PAGE_TEXT):
            characters += _block(block)
        if characters > MOST_PAGE_TEXT:
            raise ValueError(f"it has {characters:,} characters")
        return what, value


def _block(block: Any) -> int:
    """How many characters a block has. Its letters may be any: `mend` looks through them."""
    if block["kind"] not in BLOCKS:
        raise ValueError("a block of another kind")
    left, bottom, right, top = block["box"]
    for number in (left, bottom, right, top, block["size"]):
        _number(number)
    _text(block["label"], bounds.NAME)
    _integer(block["level"], 0, 100)
    lines = _list(block["lines"], MOST_PAGE_TEXT)
    _integer(block["caption"], 0, len(lines))
    if block["confidence"] is not None:
        _number(block["confidence"], 0, 1)
    if block["picture"] is not None and not base64.b64decode(block["picture"], validate=True).startswith(PNG):
        raise ValueError("a picture that is no PNG")
    for text, runs in lines:
        if type(text) is not str:
            raise ValueError("a line without text")
        for at, axis, low, high, edges in runs:
            _integer(at, 0, len(text))
            _integer(axis, 0, 1)
            if not all(type(edge) is int and -FAR < edge < FAR for edge in (low, high, *edges)):
                raise ValueError("letters without a place")
    return sum(len(text) for text, _ in lines)


# -- transcripts -------------------------------------------------------------------------------------------------------


def transcript(value: Any, beside: Collection[str] = ()) -> tuple[str, str, tuple[str, ...], Episode]:
    """Title, text, warnings and episode. Its sentences are in order, and not blank; its chapters leave no gaps.

    Its audio is an address or one of the files `beside` it: the page plays it, so it must be no file of another's.
    """
    with _believed("a transcript"):
        title, text, warnings = _said(value, None)
        show, description, date, audio, utterances, chapters = value["episode"]
        _text(show, bounds.TITLE)
        _text(description, bounds.DESCRIPTION)
        _date(date)
        if _text(audio, bounds.ADDRESS) and audio not in beside and not ADDRESS.fullmatch(audio):
            raise ValueError("a recording that does not lie beside it")
        _utterances(_list(utterances, len(text)), text)
        _chapters(_list(chapters, bounds.CHAPTERS), len(text))
        return title, text, warnings, episodes.from_json(value["episode"])


def _utterances(rows: list[Any], text: str) -> None:
    behind, second = 0, 0.0
    for start, end, first, last, speaker in rows:
        _span(start, end, behind, len(text))
        if text[start].isspace() or text[end - 1].isspace():
            raise ValueError("a sentence with white space around it")
        _number(first, second, MOST_SECONDS)
        _number(last, first, MOST_SECONDS)
        _text(speaker, bounds.NAME)
        behind, second = end, first


def _chapters(rows: list[Any], length: int) -> None:
    behind: int | None = None
    for title, start, end, first, last, source in rows:
        _text(title, bounds.TITLE)
        _span(start, end, behind or 0, length)
        _number(first, 0, MOST_SECONDS)
        _number(last, first, MOST_SECONDS)
        if source != "maker" or (behind is not None and behind != start):
            raise ValueError("a chapter that does not begin where the one before it ends")
        behind = end


# -- judgments ---------------------------------------------------------------------------------------------------------


def members(value: Any) -> list[list[str]]:
    """The fields of a legal.Member for each judgment in a file."""
    with _believed("records"):
        for key, document_id, said, error in _list(value, bounds.RECORDS):
            _text(key, bounds.NAME)
            _text(error, bounds.WARNING)
            if not HASH.fullmatch(document_id) or not HASH.fullmatch(said):
                raise ValueError("an id that is no hash")
        return list(value)


def case(value: Any, text: str | None = None) -> tuple[str, str, tuple[str, ...], Case]:
    """Title, text, warnings and case; `text` where the parent has it. Sections cover the text, the rest is in order."""
    from ingest.legal.case_files import courts  # which a child that reads pages does without

    with _believed("a judgment"):
        title, text, warnings = _said(value, text)
        court, name, parties, numbers, date, importance, articles, sections, *lists, outcome = value["case"]
        paragraphs, notes, citations = lists
        applicant, respondent = parties
        for some in (name, applicant, respondent):
            _text(some, bounds.TITLE)
        for some in (*_list(numbers, bounds.NUMBERS), *_list(articles, bounds.ARTICLES)):
            _text(some, bounds.NAME)
        _date(date)
        if court not in courts():
            raise ValueError("a court that nobody knows")
        if importance is not None:
            _integer(importance, 1, 4)
        _sections(sections, len(text))
        for rows in (paragraphs, notes):
            _numbered(_list(rows, len(text)), len(text))
        _citations(_list(citations, bounds.CITATIONS), text)
        for article, violation, spans in _list(outcome, bounds.ARTICLES):
            _text(article, bounds.NAME)
            if violation is not None and type(violation) is not bool:
                raise ValueError("a finding that is neither yes nor no")
            for start, end in spans:
                _span(start, end, 0, len(text))
        return title, text, warnings, cases.from_json(value["case"])


def _sections(rows: list[Any], length: int) -> None:
    behind = 0
    for kind, start, end, author in rows:
        _span(start, end, behind, length)
        _text(author, bounds.TITLE)
        if kind not in SECTIONS or start != behind:
            raise ValueError("a section that does not begin where the one before it ends")
        behind = end
    if behind != length:
        raise ValueError("sections that leave some of the text out")


def _numbered(rows: list[Any], length: int) -> None:
    """Of paragraphs, or of notes: their numbers may be any."""
    behind = 0
    for number, start, end in rows:
        _integer(number, 0, 1 << 32)
        _span(start, end, behind, length)
        behind = end


def _citations(rows: list[Any], text: str) -> None:
    behind = 0
    for words, start, end, numbers, name, pinpoint, date in rows:
        _span(start, end, behind, len(text))
        _text(words, bounds.CITATION)
        if words != text[start:end]:
            raise ValueError("a citation that the text does not hold")
        for number in _list(numbers, bounds.CITED_NUMBERS):
            _text(number, bounds.NAME)
        for some in (name, pinpoint):
            _text("" if some is None else some, bounds.TITLE)
        _date(date)
        behind = end


# -- values ------------------------------------------------------------------------------------------------------------


def _said(value: Any, text: str | None) -> tuple[str, str, tuple[str, ...]]:
    """Title, text and warnings of a transcript or a judgment."""
    title, warnings = _text(value["title"], bounds.TITLE), _list(value["warnings"], bounds.WARNINGS)
    if text is None:
        text = _text(value["text"], len(value["text"]))
    return title, text, tuple(_text(warning, bounds.WARNING) for warning in warnings)


def _text(value: Any, most: int) -> str:
    if type(value) is not str or len(value) > most:
        raise ValueError(f"no text of at most {most:,} characters")
    value.encode()  # half a character cannot be stored; UnicodeEncodeError is a ValueError
    return value


def _date(value: Any) -> None:
    if not DATE.fullmatch(value):
        raise ValueError("a date that is none")


def _integer(value: Any, least: int, most: int) -> None:
    if type(value) is not int or not least <= value <= most:  # True is an int to isinstance
        raise ValueError(f"no number from {least} to {most}")


def _number(value: Any, least: float = -FAR, most: float = FAR) -> None:
    if type(value) not in (int, float) or not least <= value <= most:  # nan is neither
        raise ValueError(f"no number from {least:g} to {most:g}")


def _span(start: Any, end: Any, least: int, most: int) -> None:
    if type(start) is not int or type(end) is not int or not least <= start < end <= most:
        raise ValueError("offsets that are not in order, or outside the text")


def _list(value: Any, most: int) -> list[Any]:
    if type(value) is not list or len(value) > most:
        raise ValueError(f"no list of at most {most:,} entries")
    return value
