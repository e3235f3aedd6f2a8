"""What a text refers to: other documents by their names, cited cases by number, and sections of its own. Pure.

A document is named by its title, and a judgment also by its application numbers. A name counts where it stands in a
passage letter by letter, case and all, as whole words; only white space may differ. To compare every name with every
passage would cost their product, so both have openings: a name's is its first two words, a passage has one at every
word that may begin a name. A name stands in a passage only if its opening is among the passage's.

A section is found by its heading, and a line with a number is a heading only as part of the text's outline.
"""

from __future__ import annotations

import re
import unicodedata
import zlib
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

TITLE, CITATION, SECTION = "title", "citation", "section"  # what a link rests on
LETTERS = r"[^\W_]"
WORD = re.compile(rf"{LETTERS}+")
LONG = 3  # letters that make a single word a name: "Bees" is one, and a passage counts it only with its capital
LONGEST_NAME = 200  # characters; nobody cites a longer title in full, and a longer one costs time

PLACE = re.compile(r"([^,]+), [^\W\d_a-z][^,\s]*(?: [^,\s]+){0,2}")  # "Reading, Pennsylvania"
ENDING = re.compile(r",? (?:(?:[A-Z]\.?)?F\.?C\.?|Inc\.?|Jr\.?|Sr\.?|Ltd\.?|Corporation|Company)$")

# The head of a judgment of the European Court of Human Rights: "(Applications nos. 54321/08, 1/09 and 2 others)".
HEAD = 2000  # characters
APPLICATION = r"[0-9]{1,6}/[0-9]{2}(?![0-9])"
APPLICATIONS = re.compile(rf"\bApplications?\s+nos?\b\.?\s*{APPLICATION}(?:(?:,|\s+and|,\s+and)\s+{APPLICATION})*")


@dataclass(frozen=True, slots=True)
class Name:
    """What a document is called in others, white space collapsed; `kind` is "title" or "citation"."""

    kind: str
    words: str


@dataclass(frozen=True, slots=True)
class Mention:
    """text[start:end] of a passage is a document's name, of this kind."""

    kind: str
    start: int
    end: int


def names_of(title: str, text: str) -> list[Name]:
    """The names of a document, without repetition: its title, shorter forms of that, application numbers.

    The shorter forms leave out a last "(...)", and from the rest a place behind a comma, or a company's or a person's
    ending: each finds links in HotpotQA that the others miss (eval/log.md). None begins or ends with punctuation. One
    is a name if it has two words, or one word of three letters with a capital; it does not begin with a small letter,
    and is not a number. In a script without case it needs two words; scripts without spaces have no names.

    >>> [name.words for name in names_of("Reading, Pennsylvania (city)", "")]
    ['Reading, Pennsylvania (city', 'Reading, Pennsylvania', 'Reading']
    """
    whole = " ".join(unicodedata.normalize("NFC", title).split())
    bare = re.sub(r" ?\([^()]*\)$", "", whole)
    place = PLACE.fullmatch(bare)
    forms = [whole, bare, place[1] if place else bare, ENDING.sub("", bare)] if len(whole) <= LONGEST_NAME else []
    names = [Name(TITLE, words) for words in map(_trimmed, forms) if _is_name(words)]
    if found := APPLICATIONS.search(text[:HEAD]):
        names += [Name(CITATION, words) for words in re.findall(APPLICATION, found[0])]
    return list(dict.fromkeys(names))


def _trimmed(title: str) -> str:
    words = list(WORD.finditer(title))
    return title[words[0].start() : words[-1].end()] if words else ""


def _is_name(title: str) -> bool:
    words = WORD.findall(title)
    if not words or words[0][0].islower() or all(word.isdigit() for word in words):
        return False
    if len(words) == 1:
        return words[0][0].isupper() and len(words[0]) >= LONG
    return len(title.split()) > 1 or words[0][0].isupper() or words[0][0].isdigit()


def opening(name: Name) -> int:
    """The key under which passages are looked up that may hold the name; one of their `openings`."""
    return _key(WORD.findall(name.words)[:2])


def openings(text: str, any_case: bool = False) -> set[int]:
    """The keys of all names that the text may hold, in time linear in its length.

    With `any_case` also where a name has lost its capitals: in what people type.
    """
    words = WORD.findall(text)
    starts = [i for i, word in enumerate(words) if any_case or not word[0].islower()]
    pairs = {(words[i], words[i + 1]) for i in starts if i + 1 < len(words)}
    alone = [words[i] for i in starts if len(words[i]) >= LONG and (any_case or words[i][0].isupper())]
    return {_key(pair) for pair in pairs} | {_key([word]) for word in alone}


def _key(words: Iterable[str]) -> int:
    # 32 bits, signed as SQLite likes them: where two keys collide the text is looked at once more, for nothing.
    return zlib.crc32(" ".join(words).casefold().encode("utf-8", "surrogatepass")) - (1 << 31)


@lru_cache(maxsize=1024)
def pattern(words: str, any_case: bool = False) -> re.Pattern[str]:
    """What a name looks like in a text: its words with any white space between, no letter or digit beside."""
    spaced = r"\s++".join(map(re.escape, words.split()))
    return re.compile(rf"(?<!{LETTERS}){spaced}(?!{LETTERS})", re.IGNORECASE if any_case else re.NOFLAG)


def first_mention(names: Iterable[Name], text: str) -> Mention | None:
    """Where a document with these names is first mentioned in the text, the longest of those that begin there."""
    found = ((name.kind, match) for name in names if (match := pattern(name.words).search(text)))
    mentions = [Mention(kind, *match.span()) for kind, match in found]
    return min(mentions, key=lambda mention: (mention.start, -mention.end), default=None)


# -- references to sections -------------------------------------------------------------------------------------------

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
    """Which spans hold all of text[start:end]."""
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
