"""The passages of a document without pages: none over the end of a slide, a chapter or a sheet. Pure."""

from __future__ import annotations

import re
from bisect import bisect_left
from dataclasses import replace

from ingest.text_passages import text_passages
from rag.document import Document, between
from rag.locator import UNIT_OF, PartSpan, innermost
from rag.records import Passage


def part_passages(document: Document, max_tokens: int, overlap_tokens: int) -> list[Passage]:
    """The passages of a document: see ingest/chunk.py. They know their paragraphs, or rows, counted in their part."""
    unit = UNIT_OF[document.kind]
    ends = [match.end() for match in re.finditer(between(unit == "sheet"), document.text)]  # of what is between them

    def paragraph(place: int, begin: int) -> int:
        return bisect_left(ends, place + 1) - bisect_left(ends, begin + 1) + 1

    passages = []
    for passage in text_passages(document, max_tokens, overlap_tokens, [page.start for page in document.pages]):
        pages = document.pages_of(passage.start, passage.end)
        begin = document.pages[pages[0] - 1].start
        numbers = paragraph(passage.start, begin), paragraph(passage.end - 1, begin)
        passages.append(replace(passage, locator=PartSpan(unit, innermost(passage.section), *pages, *numbers)))
    return passages
