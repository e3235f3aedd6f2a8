"""The pages of a document -> its text and regions: what recurs on every page left out, headings as a path. Pure.

Tables, figures and footnotes stand between paragraphs, never inside one, so that a sentence that runs on in the next
column or page stays whole.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import pairwise
from typing import Any

from ingest.long_text import sentences_in
from ingest.pdf.text_repair import repair_text, words_in
from rag import bounds
from rag.bounds import shortened
from rag.document import Page, Region

FLOATS = ("table", "figure", "footnote", "aside")
EDGE_LINES = 3  # of a page's top and bottom, among which a running head is looked for
EDGE_SHARE = 0.12  # of the page's height in which they lie
LONGEST_HEAD, MOST_NUMBERS = 300, 12  # characters of a running head, and numbers in it: a line with more is none
RECURS_ON = 3  # pages
NEIGHBOURS = 10  # pages on both sides that are counted alike
NUMBER = re.compile(r"(?<!\w)(?:\d{1,6}|[ivxlc]{1,7})(?!\w)")
PAGE_NUMBER = re.compile(r"\W*(?:page\s+)?(?:\d{1,5}|[ivxlc]{1,7})(?:\s*(?:/|of)\s*\d{1,5})?\W*$", re.I)
SENTENCE_ENDS = re.compile(r"[.!?:;。！？…][”’\")\]]*\s*$")
Block = dict[str, Any]
Place = tuple[int, int, int]  # page, its block, its line


@dataclass(frozen=True, slots=True)
class Assembled:
    """A document's text with its pages, regions and `raw_offsets` (see Document), and the pages read by OCR.

    `recurring` has the lines that were left out, for `geometry`.
    """

    text: str
    pages: tuple[Page, ...]
    regions: tuple[Region, ...]
    raw_offsets: tuple[tuple[int, int], ...]
    ocr_pages: tuple[int, ...]
    recurring: frozenset[Place]


def assemble(pages: Callable[[], Iterator[dict[str, Any]]], outline: Sequence[tuple[int, str, int]]) -> Assembled:
    """The document; `pages` gives its pages from the first on, and is called twice."""
    recurring = _recurring(pages())
    levels = _outline_levels(outline)
    # A word is repaired by the spelling of the whole document, so all pages are read before the first is repaired.
    waiting = deque(_raw_page(page, number, recurring) for number, page in enumerate(pages(), start=1))
    known = words_in(page.text for page in waiting)
    texts: list[str] = []
    spans: list[Page] = []
    regions: list[Region] = []
    offsets: list[tuple[int, int]] = []
    ocr_pages: list[int] = []
    path: list[tuple[int, str]] = []
    section = ""
    start = raw_start = 0
    while waiting:
        page = waiting.popleft()  # and let go: no page is held raw and repaired
        number = len(spans) + 1
        text, page_offsets = repair_text(page.text, known)
        to_repaired = _inverse(page_offsets)
        for region, level in page.regions:
            first, last = start + to_repaired(region.start), start + to_repaired(region.end)
            while last > first and text[last - start - 1].isspace():
                last -= 1
            if region.kind == "heading":
                words = " ".join(text[first - start : last - start].split())
                level = levels.get((number, _key(words))) or levels.get((0, _key(words))) or level
                path = [entry for entry in path if entry[0] < level] + [(level, shortened(words, bounds.HEADING))]
                section = shortened(" > ".join(words for _, words in path), bounds.SECTION)
            if last > first:
                caption = text[first - start : min(to_repaired(region.caption_end), last - start)]
                caption_end = first + _caption_length(caption)
                regions.append(replace(region, start=first, end=last, section=section, caption_end=caption_end))
        texts.append(text)
        spans.append(Page(number, start, start + len(text)))
        offsets += [(start + repaired, raw_start + original) for repaired, original in page_offsets]
        if page.ocr:
            ocr_pages.append(number)
        start += len(text) + 1
        raw_start += len(page.text) + 1
    return Assembled("\n".join(texts), tuple(spans), tuple(regions), tuple(offsets), tuple(ocr_pages), recurring)


def _caption_length(caption: str) -> int:
    """How much of a caption is kept as one: it stays the beginning of its table's text, so nothing is put behind it."""
    most = bounds.CAPTION
    return len(caption) if len(caption) <= most else len(shortened(caption, most)) - len("…")


def geometry(pages: Iterable[dict[str, Any]], recurring: frozenset[Place]) -> Iterator[list[list[Any]]]:
    """Of each page the runs of its lines: [where it begins in the page's raw text, axis, low, high, edges].

    Axis 0: the edges of the letters are x, 1: y; all in tenths of points of the page as it is shown. `recurring` as in
    Assembled. Apart from `assemble`, so that no more than a page's runs are held: they are far larger than the text.
    """
    for number, page in enumerate(pages, start=1):
        runs: list[list[Any]] = []
        at = 0
        for i, (block, glue) in enumerate(_placed(page, number, recurring)):
            at += len(glue) if i else 0
            for j, (text, line_runs) in enumerate(block["lines"]):
                at += 1 if j else 0
                runs += [[at + offset, *rest] for offset, *rest in line_runs]
                at += len(text)
        yield runs


@dataclass(frozen=True, slots=True)
class _RawPage:
    """A page's raw text, and its regions in it: without their sections, with the levels of headings."""

    text: str
    regions: tuple[tuple[Region, int], ...]
    ocr: bool


def _raw_page(page: dict[str, Any], number: int, recurring: frozenset[Place]) -> _RawPage:
    text = ""
    regions = []
    for i, (block, glue) in enumerate(_placed(page, number, recurring)):
        text += glue if i else ""
        start = len(text)
        lines = [line for line, _ in block["lines"]]
        text += "\n".join(lines)
        caption_end = start + len("\n".join(lines[: block["caption"]]))
        left, bottom, right, top = block["box"]
        region = Region(
            block["kind"], start, len(text), number, (left, bottom, right, top), block["label"], "",
            caption_end, block["picture"], block["confidence"],
        )  # fmt: skip
        regions.append((region, block["level"]))
    return _RawPage(text, tuple(regions), page["ocr"])


def _placed(page: dict[str, Any], number: int, recurring: frozenset[Place]) -> list[tuple[Block, str]]:
    """The blocks in the order of the text, each with the line breaks before it: two begin a paragraph, one goes on."""
    main: list[Block] = []
    floats: list[tuple[int, Block]] = []
    for i, block in enumerate(page["blocks"]):
        lines = [line for j, line in enumerate(block["lines"]) if (number, i, j) not in recurring]
        if block["kind"] == "margin" or not lines:
            continue
        kept = block if len(lines) == len(block["lines"]) else {**block, "lines": lines}
        if block["kind"] in FLOATS:
            floats.append((len(main), kept))
        else:
            main.append(kept)
    goes_on = [False, *(_goes_on(a, b) for a, b in pairwise(main)), False]
    if main:
        goes_on[0], goes_on[-1] = _begins_low(main[0]), not _ends(main[-1])
    slots = [i for i, on in enumerate(goes_on) if not on] or [len(main)]
    waiting: dict[int, list[Block]] = defaultdict(list)
    for at, block in floats:
        waiting[slots[min(bisect_left(slots, at), len(slots) - 1)]].append(block)
    result: list[tuple[Block, str]] = []
    for i in range(len(main) + 1):
        result += [(block, "\n\n") for block in waiting[i]]
        if i < len(main):
            result.append((main[i], "\n" if goes_on[i] and not waiting[i] else "\n\n"))
    return result


def _goes_on(above: Block, block: Block) -> bool:
    """Whether a block is the same paragraph as the one before it, parted by a column's end or a drawing."""
    return above["kind"] == block["kind"] == "text" and not _ends(above) and _begins_low(block)


def _ends(block: Block) -> bool:
    return block["kind"] != "text" or bool(SENTENCE_ENDS.search(block["lines"][-1][0]))


def _begins_low(block: Block) -> bool:
    return block["kind"] == "text" and not block["lines"][0][0].lstrip("“‘\"'( ")[:1].isupper()


# -- what recurs -----------------------------------------------------------------------------------------------------


def _recurring(pages: Iterable[dict[str, Any]]) -> frozenset[Place]:
    """The lines that are running heads, feet and page numbers.

    A line in the page's outer eighth recurs if three pages have it at that height, alike or with one number that counts
    along with the pages. So does one of the two outermost with a number by which three pages nearby are counted there,
    two of them with the same words beside it: a chapter's heads change their words, but headings that are counted like
    their pages ("1 Introduction", "2 Method") have words of their own each. So does a number alone at the very edge.
    Turned words recur where three pages have them.
    """
    seen: dict[tuple[str, int, int], set[int]] = defaultdict(set)
    lines: list[tuple[Place, list[tuple[str, int, int]], bool, list[tuple[str, int, int]]]] = []
    for number, page in enumerate(pages, start=1):
        for position, text, middle, outer, alone in _edge_lines(page):
            height = round(middle / 6)
            keys = [(words, value - number, height) for value, words in _numbers(text.lower())]
            is_number = alone and bool(PAGE_NUMBER.match(text))
            lines.append(((number, *position), [*keys, (text.lower(), 0, height)], is_number, keys if outer else []))
            for key, count, at in lines[-1][1]:
                for near in (-1, 0, 1):
                    seen[key, count, at + near].add(number)
        for i, block in enumerate(page["blocks"]):
            if block["kind"] == "aside":
                for j, (text, _) in enumerate(block["lines"]):
                    seen[text, 0, -1].add(number)
                    lines.append(((number, i, j), [(text, 0, -1)], False, []))
    # (count, height) -> page -> the words beside the numbers of that count in its outer rows
    numbered: dict[tuple[int, int], dict[int, set[str]]] = defaultdict(lambda: defaultdict(set))
    for (number, _, _), _, _, counted in lines:
        for words, count, height in counted:
            for near in (-1, 0, 1):
                numbered[count, height + near][number].add(words.strip("# "))  # left pages may begin with the number

    @cache  # a page may have thousands of lines at one height
    def is_counted(number: int, count: int, height: int) -> bool:
        alike = numbered[count, height]
        near = [alike[n] for n in range(number - NEIGHBOURS, number + NEIGHBOURS + 1) if n in alike]
        return len(near) > RECURS_ON and len(set().union(*near)) < sum(map(len, near))

    return frozenset(
        place
        for place, keys, is_number, counted in lines
        if is_number
        or any(is_counted(place[0], count, height) for _, count, height in counted)
        or any(len(seen[key]) >= RECURS_ON for key in keys)
    )


def _value(number: str) -> int:
    """Of an Arabic or a small Roman number.

    >>> _value("12"), _value("xiv")
    (12, 14)
    """
    if number.isdecimal():
        return int(number)
    values = [{"i": 1, "v": 5, "x": 10, "l": 50, "c": 100}[letter] for letter in number]
    return sum(-v if v < max(values[i:]) else v for i, v in enumerate(values))


def _numbers(text: str) -> list[tuple[int, str]]:
    """Each number in a line, with the words beside it; [] for a line with more of them than a running head has.

    >>> _numbers("chapter 3 of 12")
    [(3, 'chapter # of 12'), (12, 'chapter 3 of #')]
    """
    first: dict[str, re.Match[str]] = {}
    for match in NUMBER.finditer(text):
        first.setdefault(match[0], match)
        if len(first) > MOST_NUMBERS:
            return []
    return [(_value(found), f"{text[: match.start()]}#{text[match.end() :]}") for found, match in first.items()]


def _edge_lines(page: dict[str, Any]) -> list[tuple[tuple[int, int], str, float, bool, bool]]:
    """((block, line), text, height, whether in the two outer rows, alone in a block at the very edge) of edge lines."""
    height = page["height"] or 1.0
    lines = []
    for i, block in enumerate(page["blocks"]):
        if block["kind"] in ("table", "figure", "margin"):
            continue
        for j, (text, runs) in enumerate(block["lines"]):
            if runs and runs[0][1] == 0:
                alone = len(block["lines"]) == 1
                lines.append(((i, j), text, (runs[0][2] + runs[0][3]) / 20, alone))
    lines.sort(key=lambda line: line[2])
    found = []
    for edge, low, high in ((lines, -1e9, EDGE_SHARE * height), (lines[::-1], (1 - EDGE_SHARE) * height, 1e9)):
        rows: list[float] = []
        for place, text, middle, alone in edge:
            if not low < middle < high:
                break
            if not rows or abs(middle - rows[-1]) > 3:
                rows.append(middle)
            if len(rows) > EDGE_LINES:
                break
            if len(text) <= LONGEST_HEAD:
                found.append((place, text, middle, len(rows) <= 2, alone and len(rows) == 1))
    return found


# -- headings --------------------------------------------------------------------------------------------------------


def _outline_levels(outline: Sequence[Sequence[Any]]) -> dict[tuple[int, str], int]:
    """(page, heading) -> level, and (0, heading) where a heading has one level only."""
    levels: dict[tuple[int, str], int] = {}
    every: dict[str, set[int]] = defaultdict(set)
    for level, title, page in outline:
        levels[page, _key(title)] = level
        every[_key(title)].add(level)
    return levels | {(0, title): next(iter(found)) for title, found in every.items() if len(found) == 1}


def _key(title: str) -> str:
    """A heading without its number, case and signs."""
    return re.sub(r"\W+", "", re.sub(r"^[\dA-Z]{1,2}(?:\.\d+)*\.?\s+", "", title).lower())


def _inverse(offsets: Sequence[tuple[int, int]]) -> Callable[[int], int]:
    """From an offset in a page's raw text to one in its repaired text; see repair_text."""
    raws = [raw for _, raw in offsets]

    def to_repaired(raw: int) -> int:
        at = bisect_right(raws, raw) - 1
        repaired, original = offsets[at]
        limit = offsets[at + 1][0] if at + 1 < len(offsets) else repaired + raw - original
        return min(repaired + raw - original, limit)

    return to_repaired


# -- references ------------------------------------------------------------------------------------------------------


REFERENCE = re.compile(
    r"\b(?P<word>Figures?|Figs?\.?|Tables?|Tabs?\.|figures?|tables?)[ \u00a0\n]+"
    r"(?P<number>(?:[A-Z]\.?)?\d{1,3}(?:[.\u2013-]\d{1,3})*|[IVX]{1,5})\b"
)


def references(text: str, regions: Sequence[Region]) -> dict[str, str]:
    """Label -> the sentences of the text that refer to it, joined; at most three, not those of captions."""
    labels = {region.label for region in regions if region.label}
    found: dict[str, list[str]] = defaultdict(list)
    for region in regions:
        if region.kind in ("table", "figure") or not labels:
            continue
        words = text[region.start : region.end]
        mentions = [
            (m.start(), f"{'Table' if m['word'][0] in 'Tt' else 'Figure'} {m['number']}")
            for m in REFERENCE.finditer(words)
        ]
        mentions = [(at, label) for at, label in mentions if label in labels]
        spans = sentences_in(words, 0, len(words)) if mentions else []
        for at, label in mentions:
            number = bisect_right(spans, at, key=lambda span: span[0]) - 1
            if number >= 0 and at < spans[number][1] and len(found[label]) < bounds.REFERENCES:
                start, end = spans[number]
                sentence = words[start : min(end, start + 10 * bounds.REFERENCE)]  # white space is taken together
                sentence = shortened(" ".join(sentence.split()), bounds.REFERENCE)
                if sentence not in found[label]:
                    found[label].append(sentence)
    return {label: " ".join(sentences) for label, sentences in found.items()}
