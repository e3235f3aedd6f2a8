"""A text as windows of words with the classes that they are of, for the rules of grammar.py."""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from functools import cache
from itertools import product

from rag.read.injection import english, french, german, spanish

WINDOW = 80  # words and signs that are looked at together; what is longer is looked at in windows that overlap
STEP = 50  # words and signs from the beginning of a window to that of the next
# Of english.WORDS and its siblings those that give orders.
VERBS = ("reply", "speak", "say", "mention", "add", "frame", "switch", "act", "act_as", "send", "reveal", "override")
TOKEN = re.compile(r"[jntms]'(?:ai|ia)(?!\w)|[^\W_]+(?:_[^\W_]+)*|[^\w\s]")  # "j'ai" is no artificial intelligence
OPENS = frozenset(".:;!?|([>*\u2022#")  # signs behind which an order may begin
ENDS = frozenset(". , ; : ! ? | ) that who which whose with without named called and".split()) | frozenset(
    "que sin con y der die das ohne mit und qui sans avec et".split()
)
SCHEMES = frozenset(("http", "https", "www", "javascript"))
DASHES_AND_QUOTES = str.maketrans(
    dict.fromkeys("\u2018\u2019\u201b\u02bc", "'")
    | dict.fromkeys("\u201c\u201d\u201e\u00ab\u00bb", '"')
    | dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015", "-")
)


# -- text as it is compared --------------------------------------------------------------------------------------------


@cache
def _plain(character: str) -> str:
    """Compatibility forms undone (NFKD), without case, accents and characters that are not seen."""
    kept = (c for c in unicodedata.normalize("NFKD", character) if unicodedata.category(c) not in ("Mn", "Cf"))
    return "".join(kept).casefold().translate(DASHES_AND_QUOTES)


def normalised(text: str) -> tuple[str, Sequence[int]]:
    """The text as words are compared, and for each of its characters the offset in `text`.

    >>> normalised("I\\u00adgnor\\u00e9 \\uff21\\uff22")
    ('ignore ab', [0, 2, 3, 4, 5, 6, 7, 8, 9])
    """
    if text.isascii():
        return text.lower(), range(len(text))
    pieces = [_plain(character) for character in text]
    return "".join(pieces), [offset for offset, piece in enumerate(pieces) for _ in piece]


# -- words and their classes -------------------------------------------------------------------------------------------

Phrase = tuple[str, ...]
Span = tuple[int, int]  # first word, word behind


def expand(phrase: str) -> list[str]:
    """All that a phrase with choices stands for.

    >>> expand("read(s|) the (web |)page")
    ['reads the web page', 'reads the page', 'read the web page', 'read the page']
    """
    parts = [part.split("|") if i % 2 else [part] for i, part in enumerate(re.split(r"\(([^()]*)\)", phrase))]
    return [" ".join("".join(choice).split()) for choice in product(*parts)]


def _table() -> dict[Phrase, list[tuple[str, Phrase]]]:
    """The first two words of a phrase, or its only one -> (class, all its words)."""
    table: dict[Phrase, dict[tuple[str, Phrase], None]] = {}
    for language in (english, spanish, german, french):
        for name, phrases in language.WORDS.items():
            for phrase in (each for part in phrases.split(",") for each in expand(part.strip())):
                if words := tuple(TOKEN.findall(phrase)):
                    table.setdefault(words[:2], {})[name, words] = None
    return {first: list(entries) for first, entries in table.items()}


PHRASES = _table()


def _tagged(words: Sequence[str]) -> list[tuple[str, int, int]]:
    """(class, first word, word behind) of all phrases, in order of their beginnings."""
    found = []
    for start, word in enumerate(words):
        for name, phrase in (*PHRASES.get((word,), ()), *PHRASES.get(tuple(words[start : start + 2]), ())):
            end = start + len(phrase)
            if len(phrase) < 3 or tuple(words[start:end]) == phrase:
                found.append((name, start, end))
        after = words[start + 1] if start + 1 < len(words) else ""
        if word in SCHEMES:
            found += [("payload", start, start + 1), ("link", start, start + 1)]
        elif word + after == "![" or (word == "[" and after.isdigit()) or (word == "<" and after.isalpha()):
            found.append(("payload", start, start + 1))
        if word in ENDS:
            found.append(("ends", start, start + 1))
        if word in ":,":
            found.append(("colon" if word == ":" else "comma", start, start + 1))
    return found


def _orders(
    words: Sequence[str], spaced: Sequence[bool], fresh: Set[int], tags: Sequence[tuple[str, int, int]]
) -> frozenset[int]:
    """The words where an order may begin, by their numbers; `fresh` are words with a capital that begin a line.

    At the beginning, there, and behind signs that end a clause, over words that may stand before an order ("please",
    "now", "you must"). Behind a comma or "and" only if the sentence began with an order, or with "if": "we ask them to
    read the text and answer" orders nothing.
    """
    skips: dict[int, int] = {}
    leading, joins = set(), set()
    for name, start, end in tags:
        if name in ("before", "from_now"):
            skips[start] = max(skips.get(start, 0), end)
        elif name in VERBS or name == "if":
            leading.add(start)
        elif name == "and":
            joins.add(start)
    found: set[int] = set()
    free, leads, quoted = True, False, True
    until = 0  # words before this one are of a phrase that may stand before an order
    for i, word in enumerate(words):
        free = free or i in fresh
        if free:
            found.add(i)
            leads = leads or i in leading
            until = max(until, skips.get(i, 0))
        if word in ".!?":
            leads = False
        if word in OPENS:
            free = word != "." or (i > 0 and len(words[i - 1]) > 3)  # not behind "No." and "v."
        elif word == "-" and spaced[i]:
            free = True
        elif word == "," or i in joins:
            free = free or leads
        elif word[0].isalnum():
            free = free and i < until
        elif word in "\"'":
            free = free and quoted
        quoted = quoted and not word[0].isalnum()
    return frozenset(found)


# -- windows ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Cues:
    """Words that are looked at together: where each class stands, and where orders may begin."""

    words: Sequence[str]
    at: Mapping[str, Sequence[Span]]
    orders: frozenset[int]

    def spans(self, names: Sequence[str], ordering: bool) -> Iterator[Span]:
        """Where one of the classes stands; `ordering`: only where an order begins with it."""
        for name in names:
            for span in self.at.get(name, ()):
                if not ordering or span[0] in self.orders:
                    yield span

    def order(self, *names: str) -> bool:
        return any(True for _ in self.spans(names, ordering=True))


def windows(line: str, original: str) -> Iterator[tuple[int, int, Cues]]:
    """The stretches of a normalised text that are looked at together: their characters, and their cues.

    `original` has a character for each of `line`, with its case.
    """
    tokens = list(TOKEN.finditer(line))
    words = [token[0] for token in tokens]
    padded = f" {line} "
    spaced = [padded[token.start()].isspace() and padded[token.end() + 1].isspace() for token in tokens]
    tags = _tagged(words)
    fresh = {
        i
        for i in range(1, len(tokens))
        if "\n" in line[tokens[i - 1].end() : tokens[i].start()] and original[tokens[i].start()].isupper()
    }
    orders = _orders(words, spaced, fresh, tags)
    beginnings = [start for _, start, _ in tags]
    for first in range(0, max(1, len(words) - WINDOW + STEP), STEP):
        last = min(first + WINDOW, len(words))
        if first >= last:
            return
        at: dict[str, list[Span]] = {}
        for name, start, end in tags[bisect_left(beginnings, first) : bisect_left(beginnings, last)]:
            if end <= last:
                at.setdefault(name, []).append((start - first, end - first))
        cased = [original[token.start() : token.end()] for token in tokens[first:last]]
        at["ends"] = [*at.get("ends", ()), (last - first, last - first)]
        if any(map(str.islower, cased)):
            at["loud"] = [
                (i, i + 1) for i, word in enumerate(cased) if len(word) > 3 and word.isalpha() and word.isupper()
            ]
        cues = Cues(words[first:last], at, frozenset(i for i in range(last - first) if first + i in orders))
        yield tokens[first].start(), tokens[last - 1].end(), cues
