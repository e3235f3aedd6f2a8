"""Document -> passages: whole sentences up to a size, with an overlap of whole sentences. Pure.

A table or figure is a passage of its own; a table too long for one is cut between its rows. What is said about it
elsewhere goes with it as its context. The sentences of a transcript are its utterances. The passages of a judgment
begin with its numbered paragraphs.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence, Set
from dataclasses import replace
from itertools import count, groupby, pairwise

from ingest.legal.subheadings import blocks
from ingest.long_text import sentences_in
from ingest.pdf.assemble import references
from rag.library.episodes import seconds_of, speakers_in
from rag.records import Case, Document, Episode, Passage, Region, Section, Utterance

# A piece is what a subword tokenizer makes about one token of: up to seven letters or digits, one ideograph or
# Hangul syllable, one sign. On our English PDFs it counts up to 5 % more than MiniLM's tokenizer does (2026-11-24).
PIECE = re.compile(
    r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]|[^\W\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]{1,7}|[^\w\s]"
)


def count_tokens(text: str) -> int:
    """About how many tokens an encoder or a reader makes of the text.

    >>> count_tokens("A retrieval test.")
    5
    """
    return sum(1 for _ in PIECE.finditer(text))


def chunk(document: Document, max_tokens: int, overlap_tokens: int) -> list[Passage]:
    """Passages of at most `max_tokens`, each a contiguous span of whole sentences of document.text.

    A passage starts with the last sentences of the one before, as many as fit `overlap_tokens`. A sentence longer than
    `max_tokens` is cut at white space. Passages of text do not run over a table or figure, nor over a heading once they
    hold a quarter of `max_tokens`, nor over the end of a chapter or of a judgment's section. In a judgment a passage
    that would end within a numbered paragraph ends before it, if it holds a quarter of `max_tokens` then, and the next
    one begins there, without an overlap. Every character that is not white space is in a passage.
    """
    if document.episode and document.episode.utterances:
        return list(_spoken(document, document.episode, max_tokens, overlap_tokens))
    if document.case:
        return list(_of_case(document, document.case, max_tokens, overlap_tokens))
    passages: list[Passage] = []
    said = references(document.text, document.regions)
    for start, end, region in _stretches(document, max_tokens // 4):
        if region is None:
            spans = _packed(document.text, sentences_in(document.text, start, end), max_tokens, overlap_tokens)
        else:
            spans = _packed(document.text, _rows(document.text, start, end), max_tokens, 0)
        for first, last in spans:
            passages.append(_passage(document, len(passages), first, last, region, said))
    return passages


def _stretches(document: Document, enough: int) -> list[tuple[int, int, Region | None]]:
    """Parts of the text that no passage runs over: (start, end, the table or figure that it is, or None)."""
    found: list[tuple[int, int, Region | None]] = []
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


def _rows(text: str, start: int, end: int) -> list[tuple[int, int]]:
    return [(start + m.start(), start + m.end()) for m in re.finditer(r"\S[^\n]*\S|\S", text[start:end])]


def _packed(
    text: str,
    whole: Sequence[tuple[int, int]],
    max_tokens: int,
    overlap_tokens: int,
    begins: Set[int] = frozenset(),
) -> list[tuple[int, int]]:
    """The spans of passages made of these sentences or rows; `begins`: the offsets of those that best begin one."""
    units = [unit for span in whole for unit in _cut(text, *span, max_tokens)]
    sizes = [count_tokens(text[s:e]) for s, e in units]
    spans: list[tuple[int, int]] = []
    first = 0
    while first < len(units):
        last = _fill(sizes, first, max_tokens)
        if begins and last < len(units):
            room = (at for at in range(last, first, -1) if units[at][0] in begins)
            last = next((at for at in room if sum(sizes[first:at]) >= max_tokens // 4), last)
        spans.append((units[first][0], units[last - 1][1]))
        if last == len(units):
            break
        behind = _back(sizes, first, last, min(overlap_tokens, max_tokens - sizes[last]))
        first = next((at for at in range(last, behind, -1) if units[at][0] in begins), behind)
    return spans


def _fill(sizes: list[int], first: int, max_tokens: int) -> int:
    """One past the last unit that still fits, at least one unit."""
    last, total = first + 1, sizes[first]
    while last < len(sizes) and total + sizes[last] <= max_tokens:
        total += sizes[last]
        last += 1
    return last


def _back(sizes: list[int], first: int, last: int, overlap_tokens: int) -> int:
    """Where the next passage starts: units before `last` that fit the overlap, never the whole passage again."""
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


def _spoken(document: Document, episode: Episode, max_tokens: int, overlap_tokens: int) -> Iterator[Passage]:
    """The passages of a transcript: whole utterances of one chapter."""
    said, ordinal = episode.utterances, count()

    def chapter_at(utterance: Utterance) -> int:
        return bisect_right(episode.chapters, utterance.start, key=lambda chapter: chapter.start)

    for number, utterances in groupby(said, key=chapter_at):
        title = episode.chapters[number - 1].title if number else ""
        spans = [(utterance.start, utterance.end) for utterance in utterances]
        for start, end in _packed(document.text, spans, max_tokens, overlap_tokens):
            seconds = seconds_of(said, start, end)
            yield replace(
                _passage(document, next(ordinal), start, end, None, {}),
                chapter=title,
                speaker=speakers_in(said, start, end)[0],
                start_seconds=seconds[0] if seconds else None,
                end_seconds=seconds[1] if seconds else None,
            )


def _of_case(document: Document, case: Case, max_tokens: int, overlap_tokens: int) -> Iterator[Passage]:
    """The passages of a judgment, each in one section; tables and figures are passages of their own, as elsewhere."""
    said, ordinal = references(document.text, document.regions), count()
    starts, paths = zip(*blocks(case, document.text), strict=True) if case.sections else ((), ())
    for begin, end, region in _stretches(document, max_tokens):
        cuts = [begin, *starts[bisect_right(starts, begin) : bisect_left(starts, end)], end]
        pieces = [piece for piece in pairwise(cuts) if document.text[slice(*piece)].strip()]
        for _, some in groupby(pieces, key=lambda piece: bisect_right(case.sections, piece[0], key=_start)):
            whole: list[tuple[int, int]] = []
            begins = set()
            for piece in some:
                units = (sentences_in if region is None else _rows)(document.text, *piece)
                while len(units) > 1 and count_tokens(document.text[slice(*units[0])]) < max_tokens // 8:
                    units[:2] = [(units[0][0], units[1][1])]  # headings and the paragraph's number
                begins.add(units[0][0])
                whole += units
            for first, last in _packed(document.text, whole, max_tokens, 0 if region else overlap_tokens, begins):
                numbers = case.paragraphs_in(first, last) or (None, None)
                yield replace(
                    _passage(document, next(ordinal), first, last, region, said),
                    section=paths[bisect_right(starts, first) - 1],
                    part=case.section_at(first).kind,
                    first_paragraph=numbers[0],
                    last_paragraph=numbers[1],
                )


def _start(section: Section) -> int:
    return section.start


def _passage(
    document: Document, ordinal: int, start: int, end: int, region: Region | None, said: dict[str, str]
) -> Passage:
    first_page, last_page = document.pages_of(start, end)
    passage = Passage(
        f"{document.document_id}#{ordinal}",
        document.document_id,
        document.title,
        "",  # the catalogue knows the path
        document.text[start:end],
        start,
        end,
        first_page,
        last_page,
    )
    around = region or _region_at(document.regions, start)
    if around is None:
        return passage
    under = _regions_in(document.regions, start, end)
    passage = replace(
        passage,
        section=around.section,
        boxes=tuple((part.page, part.box) for part in under),
        ocr_confidence=min((c for part in under if (c := part.ocr_confidence) is not None), default=None),
    )
    if region is None:
        return passage
    return replace(
        passage,
        kind=region.kind,
        label=region.label,
        caption=document.text[region.start : region.caption_end],
        context=said.get(region.label, ""),
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
