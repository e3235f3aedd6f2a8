"""Text -> passages: whole sentences up to a size, with an overlap of whole sentences. Pure.

What the kinds of documents share. A table or figure is a passage of its own; a table too long for one is cut between
its rows. What the rest of the document says about it goes with it as its context.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence, Set
from dataclasses import replace
from itertools import pairwise

from ingest.long_text import sentences_in
from ingest.pdf.assemble import references
from rag.document import Document, Region
from rag.locator import PageSpan
from rag.records import Passage

# A piece is what a subword tokenizer makes about one token of: up to seven letters or digits, one ideograph or
# Hangul syllable, one sign. On our English PDFs it counts up to 5 % more than MiniLM's tokenizer does (2026-11-24).
PIECE = re.compile(
    r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]|[^\W\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]{1,7}|[^\w\s]"
)


_Stretch = tuple[int, int, Region | None]  # start, end, the table or figure that it is


def count_tokens(text: str) -> int:
    """About how many tokens an encoder or a reader makes of the text.

    >>> count_tokens("A retrieval test.")
    5
    """
    return sum(1 for _ in PIECE.finditer(text))


def text_passages(document: Document, max_tokens: int, overlap_tokens: int, cuts: Sequence[int] = ()) -> list[Passage]:
    """The passages of a text with tables and figures: see ingest/chunk.py. None of them crosses an offset in `cuts`."""
    passages: list[Passage] = []
    contexts = references(document.text, document.regions)
    for start, end, region in _cut_at(cuts, stretches(document, max_tokens // 4)):
        if region is None:
            spans = packed(document.text, sentences_in(document.text, start, end), max_tokens, overlap_tokens)
        else:
            spans = packed(document.text, table_rows(document.text, start, end), max_tokens, 0)
        for first, last in spans:
            passages.append(passage_of(document, len(passages), first, last, region, contexts))
    return passages


def _cut_at(cuts: Sequence[int], parts: Iterable[_Stretch]) -> Iterator[_Stretch]:
    """The parts, those that hold one of these offsets, in order, cut there."""
    for start, end, region in parts:
        inside = cuts[bisect_right(cuts, start) : bisect_left(cuts, end)]
        for first, last in pairwise([start, *inside, end]):
            yield first, last, region


def stretches(document: Document, enough: int) -> list[_Stretch]:
    """The parts of the text whose ends no passage crosses: (start, end, the table or figure that the part is, or None).

    A heading begins a part once the part before it has `enough` tokens.
    """
    found: list[_Stretch] = []
    begin, counted, tokens = 0, 0, 0  # text[begin:counted] has `tokens` tokens
    for region in document.regions:
        if region.kind in ("table", "figure"):
            found.append((begin, region.start, None))
            found.append((region.start, region.end, region))
            begin, counted, tokens = region.end, region.end, 0
        elif region.kind == "heading":
            tokens += count_tokens(document.text[counted : region.start])
            counted = region.start
            if tokens >= enough:
                found.append((begin, region.start, None))
                begin, tokens = region.start, 0
    found.append((begin, len(document.text), None))
    return [(start, end, region) for start, end, region in found if document.text[start:end].strip()]


def table_rows(text: str, start: int, end: int) -> list[tuple[int, int]]:
    """(start, end) of each line of text[start:end] that is not blank."""
    return [(start + m.start(), start + m.end()) for m in re.finditer(r"\S[^\n]*\S|\S", text[start:end])]


def packed(
    text: str,
    whole: Sequence[tuple[int, int]],
    max_tokens: int,
    overlap_tokens: int,
    begins: Set[int] = frozenset(),
) -> list[tuple[int, int]]:
    """(start, end) of passages of at most `max_tokens`, made of these units: sentences or rows, as (start, end).

    A passage best begins with one of the units that start at the offsets `begins`.
    """
    units = [unit for span in whole for unit in _cut(text, *span, max_tokens)]
    sizes = [count_tokens(text[s:e]) for s, e in units]
    spans: list[tuple[int, int]] = []
    first = 0
    while first < len(units):
        last = _last_that_fits(sizes, first, max_tokens)
        if begins and last < len(units):
            earlier = (at for at in range(last, first, -1) if units[at][0] in begins)
            last = next((at for at in earlier if sum(sizes[first:at]) >= max_tokens // 4), last)
        spans.append((units[first][0], units[last - 1][1]))
        if last == len(units):
            break
        behind = _overlap_start(sizes, first, last, min(overlap_tokens, max_tokens - sizes[last]))
        first = next((at for at in range(last, behind, -1) if units[at][0] in begins), behind)
    return spans


def _last_that_fits(sizes: list[int], first: int, max_tokens: int) -> int:
    """One past the index of the last unit that still fits; at least one unit is taken."""
    last, total = first + 1, sizes[first]
    while last < len(sizes) and total + sizes[last] <= max_tokens:
        total += sizes[last]
        last += 1
    return last


def _overlap_start(sizes: list[int], first: int, last: int, overlap_tokens: int) -> int:
    """The index of the unit with which the next passage starts: those before `last` that fit the overlap, never all."""
    start, total = last, 0
    while start - 1 > first and total + sizes[start - 1] <= overlap_tokens:
        start -= 1
        total += sizes[start]
    return start


def _cut(text: str, start: int, end: int, max_tokens: int) -> list[tuple[int, int]]:
    """The span itself if it fits, else pieces of at most `max_tokens` cut at white space where there is any."""
    pieces = [match.start() for match in PIECE.finditer(text, start, end)]
    spans = []
    first = 0
    while len(pieces) - first > max_tokens:
        half = first + max_tokens // 2
        blanks = (at for at in range(first + max_tokens, half, -1) if text[pieces[at] - 1].isspace())
        behind = next(blanks, first + max_tokens)
        spans.append((start, start + len(text[start : pieces[behind]].rstrip())))
        start, first = pieces[behind], behind
    return [*spans, (start, end)]


def passage_of(
    document: Document, ordinal: int, start: int, end: int, region: Region | None, contexts: dict[str, str]
) -> Passage:
    """The passage text[start:end] of a document, its `ordinal`-th; `region` is the table or figure that it is part of.

    `contexts` has what the document says about a table or figure, by its label.
    """
    passage = Passage(
        f"{document.document_id}#{ordinal}",
        document.document_id,
        document.title,
        "",  # the catalogue knows the path
        document.text[start:end],
        start,
        end,
        PageSpan(*document.pages_of(start, end)),
    )
    around = region or _region_at(document.regions, start)
    if around is None:
        return passage
    under = _regions_in(document.regions, start, end)
    passage = replace(
        passage,
        section=around.section,
        boxes=tuple((part.page, part.box) for part in under if part.box is not None),
        ocr_confidence=min((c for part in under if (c := part.ocr_confidence) is not None), default=None),
    )
    if region is None:
        return passage
    return replace(
        passage,
        kind=region.kind,
        label=region.label,
        caption=document.text[region.start : region.caption_end],
        context=contexts.get(region.label, ""),
        picture=region.picture,
    )


def _region_at(regions: Sequence[Region], start: int) -> Region | None:
    """The region that holds the character at `start`, if the document has regions."""
    at = bisect_right(regions, start, key=lambda region: region.start) - 1
    return regions[max(at, 0)] if regions else None


def _regions_in(regions: Sequence[Region], start: int, end: int) -> Sequence[Region]:
    """The regions that text[start:end] touches."""
    first = bisect_right(regions, start, key=lambda region: region.end)
    last = bisect_left(regions, end, key=lambda region: region.start)
    return regions[first:last]
