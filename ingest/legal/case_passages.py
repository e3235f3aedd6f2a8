"""The passages of a judgment: each in one section, beginning with its numbered paragraphs where it can. Pure."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import replace
from itertools import count, groupby, pairwise

from ingest.legal.subheadings import blocks
from ingest.long_text import sentences_in
from ingest.pdf.assemble import references
from ingest.text_passages import count_tokens, packed, passage_of, stretches, table_rows, text_passages
from rag.document import Case, Document, Section
from rag.locator import ParagraphSpan, heading_of
from rag.records import Passage


def case_passages(document: Document, max_tokens: int, overlap_tokens: int) -> list[Passage]:
    """The passages of a judgment: see ingest/chunk.py."""
    if document.case is None:
        return text_passages(document, max_tokens, overlap_tokens)
    return list(_passages(document, document.case, max_tokens, overlap_tokens))


def _passages(document: Document, case: Case, max_tokens: int, overlap_tokens: int) -> Iterator[Passage]:
    context, ordinal = references(document.text, document.regions), count()
    starts, paths = zip(*blocks(case, document.text), strict=True) if case.sections else ((), ())
    for begin, end, region in stretches(document, max_tokens):
        cuts = [begin, *starts[bisect_right(starts, begin) : bisect_left(starts, end)], end]
        pieces = [piece for piece in pairwise(cuts) if document.text[slice(*piece)].strip()]
        for _, in_section in groupby(pieces, key=lambda piece: bisect_right(case.sections, piece[0], key=_start)):
            whole: list[tuple[int, int]] = []
            begins = set()
            for piece in in_section:
                units = (sentences_in if region is None else table_rows)(document.text, *piece)
                while len(units) > 1 and count_tokens(document.text[slice(*units[0])]) < max_tokens // 8:
                    units[:2] = [(units[0][0], units[1][1])]  # headings and the paragraph's number
                begins.add(units[0][0])
                whole += units
            for first, last in packed(document.text, whole, max_tokens, 0 if region else overlap_tokens, begins):
                numbers = case.paragraphs_in(first, last) or (None, None)
                path = paths[bisect_right(starts, first) - 1]
                yield replace(
                    passage_of(document, next(ordinal), first, last, region, context),
                    section=path,
                    locator=ParagraphSpan(case.section_at(first).kind, heading_of(path), *numbers),
                )


def _start(section: Section) -> int:
    return section.start
