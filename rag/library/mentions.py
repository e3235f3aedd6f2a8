"""Where a passage names another document or a cited case. Pure.

A document is named by its title, and a judgment also by its application numbers. A name counts where it stands in a
passage letter by letter, case and all, as whole words; only white space may differ. To compare every name with every
passage would cost their product, so both have openings: a name's is its first two words, a passage has one at every
word that may begin a name. A name stands in a passage only if its opening is among the passage's.
"""

from __future__ import annotations

import re
import unicodedata
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

TITLE, CITATION = "title", "citation"  # what a link rests on
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
