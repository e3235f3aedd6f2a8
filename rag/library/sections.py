"""Where a text refers to a section of its own, and which passage that section begins in. Pure.

A section is found by its heading, and a line with a number is a heading only as part of the text's outline.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from rag.library.mentions import WORD

SECTION = "section"  # what a link rests on, beside mentions.TITLE and mentions.CITATION
NUMBER = r"(?:[0-9]{1,2}|[A-Z])(?:\.[0-9]{1,2}){0,3}"
HEADING = re.compile(
    rf"^[ \t]*+(?P<word>(?:Section|SECTION|Appendix|APPENDIX)[ \t]++)?(?P<number>{NUMBER})(?P<dot>[.:]?)"
    r"[ \t]++(?:[-–—:][ \t]*+)?(?P<title>\S.*)$",
    re.MULTILINE,
)
LONGEST_HEADING = 120  # characters of its line
SENTENCE = re.compile(r"(?:[,;:]|(?<![\s.])\.)[”’\")]*\s*$")  # how a line of prose ends; "Introduction . . ." is none
REFERENCE = re.compile(
    r"(?<!\w)(?P<word>[Ss]ections?|SECTIONS?|[Ss]ecs?\.|[Aa]ppendix|[Aa]ppendices|(?P<sign>§§?))\s*+"
    rf"(?P<numbers>{NUMBER}(?:(?:,|,?\s+and)\s+{NUMBER})*)(?![\w(]|\.[0-9]|[-–][0-9]++(?!\.[0-9]))"
)
SEVERAL = ("s", "S", "s.", "ices", "§§")
# Sections of something else: "Section 3 of the Act", "section 8 § 1", "Section 1 (h)", "Section 1 thereof".
ELSEWHERE_BEHIND = re.compile(
    r"\s*§|\s*\(\w{1,2}\)|,\s*sub-?section|\s+thereof|"
    r"\s+of\b(?!\s+(?:this\s+(?!Act|Law)|our|(?:the\s+)?(?:present|current)|the\s+(?:paper|article|report|document)\b))"
)
# "Chapter 2, section 4", "Article I, section 8", "United States Code, section 106", "(Smith, 2019, Section 2)".
ELSEWHERE_BEFORE = re.compile(
    r"(?:\b(?:Article|ARTICLE|Chapter|Rule)s?\s+\w+|\bAct|\bLaw|\bCode|\bet\s+al\.|\]|\b[12][0-9]{3}[a-z]?\)?),?\s*$"
)
SIGN_BEFORE = re.compile(r"(?:\(|\b(?:[Ss]ee|[Cc]f\.|[Ii]n|also|and|from))\s*$")  # "(§3)", not "Article 6 § 1"
Number = tuple[int, ...]  # 3.2 is (3, 2), B.1 is (2, 1)


@dataclass(frozen=True, slots=True)
class Reference:
    """text[start:end] of a document, in passage number `source` of it, points to a section in passage `target`."""

    source: int
    target: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class _Heading:
    appendix: bool
    number: Number
    style: str  # how the number is written: "word" (Section 3), "dot" (3.) or "bare" (3)
    title: str
    end: int  # of its line


def references(text: str, spans: Sequence[tuple[int, int]]) -> list[Reference]:
    """References to sections of this text, from passage to passage; `spans` are the passages, in order.

    The target is the last passage that holds the end of the section's heading, where the section begins. A reference
    to a section that has no heading here, or whose heading could be either of two lines, is left out, as is one in a
    passage that itself holds the heading.
    """
    headings = _outline(text)
    found = []
    for appendix, number, start, end in _numbers(text):
        heading = headings.get((appendix, number))
        holders = _holding(spans, heading.end - 1, heading.end) if heading else []
        if holders:
            sources = (source for source in _holding(spans, start, end) if source not in holders)
            found += [Reference(source, holders[-1], start, end) for source in sources]
    return found


def _holding(spans: Sequence[tuple[int, int]], start: int, end: int) -> list[int]:
    """Which spans hold text[start:end] wholly."""
    first = bisect_left(spans, end, key=lambda span: span[1])
    behind = bisect_right(spans, start, key=lambda span: span[0])
    return [i for i in range(first, behind) if spans[i][0] <= start and end <= spans[i][1]]


def _numbers(text: str) -> Iterator[tuple[bool, Number, int, int]]:
    """(is it an appendix, number, start, end) of every reference to a section that may be one of this text."""
    for match in REFERENCE.finditer(text):
        before = text[max(0, match.start() - 40) : match.start()]
        if ELSEWHERE_BEHIND.match(text, match.end()) or ELSEWHERE_BEFORE.search(before):
            continue
        if match["sign"] and not SIGN_BEFORE.search(before):
            continue
        if before.endswith("\n") and text[match.end() : match.end() + 1] in ("\n", ""):  # a line to itself: a heading
            continue
        numbers = list(re.finditer(NUMBER, match["numbers"]))
        several = match["word"].endswith(SEVERAL)
        for i, number in enumerate(numbers if several else numbers[:1]):
            start, end = (match.start("numbers") + offset for offset in number.span())
            appendix = match["word"].lower().startswith("app") or number[0][0].isalpha()
            yield appendix, _parse(number[0]), match.start() if i == 0 else start, end


def _outline(text: str) -> dict[tuple[bool, Number], _Heading]:
    """(is it an appendix, number) -> its heading, where only one line of the text can be it.

    Numbered lines are many: lists, tables, footnotes, running heads. The headings are those that make the longest
    chain in which each number follows from the one before (3.2 from 3.1 or 3.1.4, 4 from 3.2) and the first levels are
    all written alike. A line is in doubt if another of the same number would make a chain as long; two with the same
    title are a table of contents and the heading itself, which comes last.
    """
    lines = _headings(text)
    found = {}
    for appendix in (False, True):
        chains = sorted((_longest_chain(_alike(lines, appendix, style)) for style in ("word", "dot", "bare")), key=len)
        if len(chains[-1]) > len(chains[-2]) and _is_outline(chains[-1], appendix):
            for number, headings in chains[-1].items():
                if len({heading.title for heading in headings}) == 1:
                    found[appendix, number] = headings[-1]
    return found


def _headings(text: str) -> list[_Heading]:
    """The lines that look like a heading, but for running heads (one title under more than three numbers)."""
    found = []
    numbers_of = defaultdict(set)
    for match in HEADING.finditer(text):
        if len(match[0]) > LONGEST_HEADING:  # first, for the searches below take the square of a line's length
            continue
        title = re.sub(r"[\s.]*[0-9]*\s*$", "", match["title"])  # in a table of contents a page number stands behind it
        first = WORD.search(title)
        if not first or first[0][0].islower() or first[0][0].isdigit():
            continue
        if not SENTENCE.search(match["title"]):
            word, number = (match["word"] or "").lower(), _parse(match["number"])
            style = "word" if word else "dot" if match["dot"] else "bare"
            appendix = word.startswith("app") or match["number"][0].isalpha()
            end = match.start("title") + len(match["title"].rstrip())
            found.append(_Heading(appendix, number, style, title, end))
            numbers_of[title].add((appendix, number))
    return [heading for heading in found if len(numbers_of[heading.title]) <= 3]


def _parse(number: str) -> Number:
    first, *others = number.split(".")
    return (ord(first) - ord("A") + 1 if first.isalpha() else int(first), *map(int, others))


def _alike(headings: Iterable[_Heading], appendix: bool, style: str) -> list[_Heading]:
    """ "1. Introduction" and "1.1 Background" are of one document, so only the first level need be alike."""
    return [h for h in headings if h.appendix == appendix and (h.style == style or len(h.number) > 1)]


def _longest_chain(headings: Sequence[_Heading]) -> dict[Number, list[_Heading]]:
    """Number -> the headings, in order, that a longest chain from 1 (or A) can have there."""
    before = _lengths(headings)
    behind: dict[Number, int] = {}  # at a number: how many headings can still follow, that one included
    through = []
    for heading, length in zip(reversed(headings), reversed(before), strict=True):
        rest = 1 + max(behind.get(number, 0) for number in _followers(heading.number))
        behind[heading.number] = max(behind.get(heading.number, 0), rest)
        through.append((length + rest - 1 if length else 0, heading))
    longest = max((length for length, _ in through), default=0)
    chain = defaultdict(list)
    for length, heading in reversed(through):
        if length == longest > 0:
            chain[heading.number].append(heading)
    return chain


def _lengths(headings: Sequence[_Heading]) -> list[int]:
    """The length of the longest chain that ends at each heading; 0 where none leads to it from 1 (or A)."""
    reached: dict[Number, int] = {(1,): 0}  # the number that may come next -> the longest chain that it would extend
    lengths = []
    for heading in headings:
        lengths.append(reached[heading.number] + 1 if heading.number in reached else 0)
        if lengths[-1]:
            for number in _followers(heading.number):
                reached[number] = max(reached.get(number, 0), lengths[-1])
    return lengths


def _followers(number: Number) -> list[Number]:
    return [(*number, 1), *((*number[:depth], number[depth] + 1) for depth in range(len(number)))]


def _is_outline(chain: dict[Number, list[_Heading]], appendix: bool) -> bool:
    """One numbered line alone proves nothing, two may be anything; "A" alone may be an article."""
    said = any("appendix" in heading.title.lower() or heading.style == "word" for h in chain.values() for heading in h)
    return len(chain) >= (2 if appendix else 3) or (bool(chain) and said)
