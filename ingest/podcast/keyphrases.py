"""A title for a part of a text, in its own words: what it says more often than the rest, and what it is about."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from rag import bounds
from rag.bounds import shortened
from rag.read.match import STOPWORDS

Likeness: TypeAlias = Callable[[Sequence[str]], NDArray[np.float32]]  # phrases -> (phrases,): cosines or the like
WORD = re.compile(r"[^\W_]+(?:['’.-][^\W_]+)*")
LONGEST = 4  # words of a phrase
LONGEST_WORD = 80  # letters of a word in a phrase: German compounds have 79, what is longer is no word
TITLE = 6  # words of a title
PHRASES = 30  # of a part, among which its title is chosen
ABOUT = 12.0  # a phrase counts e^(ABOUT x likeness); from 6 on ROUGE-L to makers' titles is the same (three episodes)
OPENING = 2000  # characters of a part that says nothing, of which its first words are taken
COUNTED = 10  # characters kept free for " (1234)"
BLOCK = 2000  # characters: about two minutes of speech, the "document" of document frequency
# Words of any conversation, which occur in no phrase; so do STOPWORDS, except "of" inside a phrase.
SAID = STOPWORDS | frozenset(
    """
    about absolutely actually after again ago ah all almost already also always am another any anybody anyone anything
    anyway around away back basically because been before being best better between big bit both called came can can't
    cannot come comes coming could couldn't course day definitely didn't different doesn't doing don't done down each
    either else end enough even ever every everybody everyone everything exactly far feel felt few find first fun gave
    get gets getting give go goes going gone gonna good got gotta great guess guys had happen happened happening hard
    having he hear heard hello hey hi him himself hmm hopefully huge i i'd i'll i'm i've idea important interesting into
    isn't it's itself just keep kind knew know known knows last later least left less let let's like liked literally
    little long look looked looking lot lots love made make makes making may maybe me mean meant might mine mm moment
    more most mostly myself need needed never new next nice no nobody none not nothing now obviously off oh ok okay old
    once one ones only other others our out over own part people perfect perhaps person place play point pretty
    probably put question quite rather real really remember right said same saw say saying says see seems seen she
    should show side since so some somebody somehow someone something sometimes sort speak start started still stuff
    such super sure take takes taking talk talked talking tell than thank thanks that's them themselves then there
    there's these they're thing things think thinking those though thought three through thinks time times today
    together told too took totally tried true try trying turn two uh um under until up upon us use used using usually
    very want wanted wants wasn't way ways we we'd we'll we're we've week well went weren't what's whatever while whole
    without won't wonderful wondering work worked working works world would wouldn't wow yeah year years yep yes yet
    you you'd you'll you're you've your yours yourself able ain't amazing but awesome bad become cool day's decided
    fact forth four five six seven eight nine ten half hundred month months minutes hour hours number okay problem
    reason second several simply someone's somewhere story talks thousand tomorrow yesterday her his hers aren't
    hadn't hasn't haven't he's she's who's i'm it'll that'll there'll where's let alone must shall against during
    per than via whether
    """.split()
)


@dataclass(frozen=True, slots=True)
class _Phrase:
    """Words that stand together in one sentence: `key` lower-cased, `words` as written."""

    key: tuple[str, ...]
    words: str
    capital: bool  # the first word has one, and does not begin its sentence


class Keyphrases:
    """Titles for parts of one text. Takes one pass over it, and one over a part for its title."""

    def __init__(self, text: str):
        self._text = text
        self._blocks = max(1, math.ceil(len(text) / BLOCK))
        # in how many blocks a word stands
        self._frequency = Counter(
            word
            for start in range(0, len(text), BLOCK)
            for word in {match.lower() for match in WORD.findall(text, start, start + BLOCK)}
        )

    def title(
        self,
        start: int,
        end: int,
        taken: Collection[str] = (),
        likeness: Likeness | None = None,
    ) -> str:
        """The best one or two phrases of text[start:end], at most TITLE words, not among `taken`, within bounds.TITLE.

        A phrase is up to LONGEST words that say something, and in a name "of" between them. It counts as often as it is
        said here, by the idf of its words over the text's blocks of BLOCK characters (tf-idf); names count twice. With
        `likeness` the best PHRASES of them count for what the part is about, too, as in KeyBERT. Of a part that says
        nothing the first words are its title; numbered where even these are taken.

        >>> text = "The mill is of granite. A mill wants wind. " * 3 + "Bees make honey. " * 200
        >>> Keyphrases(text).title(0, 150)
        'Mill, granite'
        """
        avoid = {title.casefold() for title in taken}
        ranked = self._ranked(start, end, likeness)
        for title in (shortened(title, bounds.TITLE) for title in _titles(ranked)):
            if title.casefold() not in avoid:
                return title
        words = self._text[start : min(end, start + OPENING)].split()[:TITLE]
        plain = shortened(_capital(" ".join(words).strip(" .,;:?!-–—")), bounds.TITLE - COUNTED) or "Untitled"
        title, number = plain, 1
        while title.casefold() in avoid:
            number += 1
            title = f"{plain} ({number})"
        return title

    def _ranked(self, start: int, end: int, likeness: Likeness | None) -> list[str]:
        counts: Counter[tuple[str, ...]] = Counter()
        shapes: dict[tuple[str, ...], Counter[str]] = {}
        names: Counter[tuple[str, ...]] = Counter()
        for phrase in _phrases(self._text[start:end]):
            counts[phrase.key] += 1
            names[phrase.key] += phrase.capital
            shapes.setdefault(phrase.key, Counter())[phrase.words] += 1

        def worth(key: tuple[str, ...]) -> float:
            content = [word for word in key if word not in SAID]
            idf = sum(math.log(1 + self._blocks / self._frequency.get(word, 1)) for word in content)
            # A longer phrase is said less often than its words; the root of its length makes up for that.
            return counts[key] * idf / math.sqrt(len(content)) * (1 + names[key] / counts[key])

        best = sorted(counts, key=lambda key: (-worth(key), key))[:PHRASES]
        phrases = [shapes[key].most_common(1)[0][0] for key in best]
        if likeness is None or not phrases:
            return phrases
        worths = [worth(key) * math.exp(ABOUT * cosine) for key, cosine in zip(best, likeness(phrases), strict=True)]
        order = sorted(range(len(phrases)), key=lambda i: -worths[i])
        return [phrases[i] for i in order]


def _phrases(text: str) -> Iterator[_Phrase]:
    """Every run of 1 to LONGEST content words with only blanks between them."""
    run: list[tuple[str, bool]] = []  # (word, whether it begins a sentence)
    behind = 0
    begins = True
    for match in [*WORD.finditer(text), None]:
        gap = text[behind : match.start()] if match else "."
        begins = begins or any(sign in gap for sign in ".?!:\n")
        word = match.group() if match else ""
        plain = word.lower().replace("’", "'")  # as SAID spells it
        of = plain == "of" and bool(run) and run[-1][0][0].isupper()  # Summer of Code
        if gap.strip() or not match or (plain in SAID and not of) or (len(word) < 3 and not word.isupper() and not of):
            yield from _phrases_of_run(run)
            run = []
        if match:
            if of:
                run.append((word, False))
            elif _is_content(word, plain):
                run.append((word, begins))
            else:
                yield from _phrases_of_run(run)
                run = []
            begins, behind = False, match.end()


def _is_content(word: str, plain: str) -> bool:
    """Whether a word may occur in a title; `plain` is the word as SAID spells it."""
    long_enough = len(word) > 2 or (word.isupper() and len(word) > 1)
    return plain not in SAID and long_enough and len(word) <= LONGEST_WORD and not word.isdigit()


def _phrases_of_run(run: list[tuple[str, bool]]) -> Iterator[_Phrase]:
    for first in range(len(run)):
        for last in range(first, min(first + LONGEST, len(run))):
            words = [word for word, _ in run[first : last + 1]]
            if "of" in (words[0].lower(), words[-1].lower()):
                continue
            key = tuple(word.lower() for word in words)
            yield _Phrase(key, " ".join(words), words[0][0].isupper() and not run[first][1])


def _titles(ranked: list[str]) -> Iterator[str]:
    """Titles of the ranked phrases, the best first: one of three words or more alone, else with the next new one."""
    for number, phrase in enumerate(ranked):
        if len(phrase.split()) < 3:
            own = _stems(phrase)
            for other in ranked[number + 1 :]:
                count = len(own) + len(other.split())
                if not own & _stems(other) and count <= TITLE:
                    yield _capital(f"{phrase}, {other}")
                    break
        yield _capital(phrase)


def _stems(phrase: str) -> set[str]:
    """The stems of a phrase's words: podcast and podcasts, reduction and reducing have the same."""
    words = re.split(r"[\s-]+", phrase.lower())
    return {re.sub(r"(?<=..)(?:ies|y|es|(?<!s)s)$", "", word)[:5] for word in words}


def _capital(text: str) -> str:
    """A phrase as a title: with a capital, "Haskell" for "Haskell's"."""
    text = re.sub(r"['’]s(?=,|$)", "", text)
    return text[:1].upper() + text[1:]
