"""Documents without pages in the parent process: their child is asked, its reply checked, and a Document made of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ingest.child_process import ChildDied, ChildProcess, too_large
from ingest.child_replies import (
    check_integer,
    check_span,
    checked_list,
    checked_png,
    checked_text,
    checked_text_reply,
    checking,
)
from ingest.plain_text import title_of
from ingest.read_context import ReadContext, ReadDocument
from rag import bounds
from rag.document import Document, Page, Region

VERSION = "reflowable 1"  # raise the number when the same bytes would now be read differently
CHILD = "ingest.reflowable.formats"
REGIONS = ("text", "heading", "footnote", "aside", "table", "figure")


def recipe_of_reflowable(file: Path, document_id: str, context: ReadContext) -> str:
    """The recipe that such a document would be read by now."""
    return f"{VERSION}, {context.settings.passage_tokens}/{context.settings.overlap_tokens}"


def read_reflowable(file: Path, document_id: str, context: ReadContext, kind: str) -> ReadDocument:
    """Read a document of a kind in a limited child process. Raises DocumentError, and Stopped."""
    with context.children.slots:
        try:
            child = ChildProcess(CHILD, {"path": str(file), "name": file.name}, context.limits, context.children.stop)
        except ChildDied as died:
            raise too_large(died) from None
        try:
            title, text, warnings, pages, regions, facts = checked_document(child.opened)
            pictures = {}
            for number in sorted({number for *_, number in regions if number is not None}):
                png = checked_picture(*child.ask(number))
                pictures[number] = context.library.keep_picture(png)
        except ChildDied as died:
            raise too_large(died) from None
        finally:
            context.children.peaks_kb.append(child.peak_kb)
            child.close()
    made = tuple(
        Region(what, start, end, page, None, label, section, caption_end, pictures.get(number))
        for what, start, end, page, label, section, caption_end, number in regions
    )
    pages_of = tuple(Page(number, start, end) for number, (start, end) in enumerate(pages, start=1))
    title = title or title_of(file)
    return ReadDocument(Document(document_id, kind, title, text, pages_of, warnings, regions=made, facts=facts))


# -- the child's replies -----------------------------------------------------------------------------------------------


def checked_document(
    value: Any,
) -> tuple[str, str, tuple[str, ...], list[list[int]], list[list[Any]], dict[str, str]]:
    """Title, text, warnings, pages, regions and facts. Pages and regions are in order and lie in the text."""
    with checking("a document"):
        title, text, warnings = checked_text_reply(value, None)
        if not text.strip():
            raise ValueError("no words")
        behind = 0
        for start, end in checked_list(value["pages"], len(text) + 1):
            check_integer(start, behind, len(text))
            check_integer(end, start, len(text))
            behind = end
        if not value["pages"]:
            raise ValueError("no page")
        behind, number = 0, 0
        for kind, start, end, page, label, section, caption_end, picture in checked_list(value["regions"], len(text)):
            if kind not in REGIONS:
                raise ValueError("a region of another kind")
            check_span(start, end, behind, len(text))
            check_integer(page, 1, len(value["pages"]))
            checked_text(label, bounds.NAME)
            checked_text(section, bounds.SECTION)
            check_integer(caption_end, start, min(end, start + bounds.CAPTION))
            if picture is not None:
                check_integer(picture, number, number + 1_000)
                number = picture
            behind = end
        facts = value["facts"]
        if type(facts) is not dict or len(facts) > bounds.FACTS:
            raise ValueError("facts that are none")
        for key, fact in facts.items():
            checked_text(key, bounds.NAME)
            checked_text(fact, bounds.TITLE)
        return title, text, warnings, value["pages"], value["regions"], dict(facts)


def checked_picture(what: str, value: Any) -> bytes:
    """A picture's PNG."""
    with checking("a picture"):
        if what != "picture":
            raise ValueError("a reply of another kind")
        return checked_png(checked_text(value, 64 << 20))
