"""Quotes: spans of the evidence, copied and never written, of which notes and citations are made."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from rag.read.match import content_words, holds_answer
from rag.records import Hit, Passage
from rag.sentences import sentence_spans

QUOTE_CHARACTERS = 320


# Headings in an answer, above what the reader did not write for this question.
QUOTED = "In the documents’ words:"
BY_PART = "Part by part:"


@dataclass(frozen=True, slots=True)
class Quote:
    """A span of one hit's passage: passage.text[start:end].

    `holds` says whether the answer's words stand in it; `score` is the share of the question's words in it, plus 1 if
    it holds the answer, plus a little for the passage's rank.
    """

    hit: Hit
    start: int
    end: int
    holds: bool
    score: float

    @property
    def text(self) -> str:
        return self.hit.passage.text[self.start : self.end]


@dataclass(frozen=True, slots=True)
class AnswerSentence:
    """A sentence of the answer, the quotes that support it, and how well they do, 0..1.

    `item`: it stands on a line of its own, behind a bullet. `heading` stands above the first of those that share it.
    """

    text: str
    quotes: tuple[Quote, ...]
    support: float
    item: bool = False
    heading: str = ""


def choose_quotes(question: str, answer: str, evidence: Sequence[Hit], most: int = 5) -> list[Quote]:
    """The sentences that best show the answer, best first: those that hold it, then by words shared with the question.

    At most `most`, and none of the same words twice (neighbouring passages overlap).
    """
    wanted = content_words(question)
    ranked: list[Quote] = []
    for hit in evidence:
        for start, end in units(hit.passage):
            sentence = hit.passage.text[start:end]
            holds = holds_answer(sentence, answer)
            shared = len(wanted & content_words(f"{hit.passage.title} {sentence}" if holds else sentence))
            score = shared / max(1, len(wanted)) + holds + 0.1 / hit.rank
            ranked.append(Quote(hit, *_window(hit.passage.text, start, end, answer, wanted), holds, score))
    ranked.sort(key=lambda quote: -quote.score)
    return _few(ranked, most)


def units(passage: Passage) -> list[tuple[int, int]]:
    """The spans of a passage that may be quoted: sentences, and of a table its rows."""
    if passage.kind != "table":
        return sentence_spans(passage.text)
    body = len(passage.caption) if passage.text.startswith(passage.caption) else 0
    rows = [(body + row.start(), body + row.end()) for row in re.finditer(r"\S[^\n]*", passage.text[body:])]
    return [*sentence_spans(passage.text[:body]), *rows]


def _few(quotes: Sequence[Quote], most: int) -> list[Quote]:
    chosen: list[Quote] = []
    for quote in quotes:
        if len(chosen) < most and not any(overlap(quote, other) for other in chosen):
            chosen.append(quote)
    return chosen


def overlap(one: Quote, other: Quote) -> bool:
    """Whether two quotes share words of one document, be it in two passages that overlap."""
    first, second = one.hit.passage, other.hit.passage
    return (
        first.document_id == second.document_id
        and first.start + one.start < second.start + other.end
        and second.start + other.start < first.start + one.end
    )


def _window(text: str, start: int, end: int, answer: str, wanted: set[str]) -> tuple[int, int]:
    """The sentence, or for a very long one (a table, a list) the stretch of it around the answer."""
    if end - start <= QUOTE_CHARACTERS:
        return start, end
    words = [match.span() for match in re.finditer(r"\S+", text[start:end])]
    aim = content_words(answer) or wanted
    near = [i for i, (s, e) in enumerate(words) if content_words(text[start + s : start + e]) & aim] or [0]
    middle = near[len(near) // 2]
    stretches = (_stretch(words, centre) for centre in (middle, *near, *range(len(words))))
    if holds_answer(text[start:end], answer):
        stretches = (span for span in stretches if holds_answer(text[start + span[0] : start + span[1]], answer))
    first, last = next(stretches, _stretch(words, middle))
    return start + first, start + last


def _stretch(words: Sequence[tuple[int, int]], centre: int) -> tuple[int, int]:
    """(start, end) of the words around one of them that fit a quote; a word too long for it is cut."""
    first = last = centre

    def fits(first: int, last: int) -> bool:
        return first >= 0 and last < len(words) and words[last][1] - words[first][0] <= QUOTE_CHARACTERS

    while (right := fits(first, last + 1)) or fits(first - 1, last):
        wider_left = words[last][1] - words[centre][1] <= words[centre][0] - words[first][0]
        if right and (wider_left or not fits(first - 1, last)):
            last += 1
        else:
            first -= 1
    return words[first][0], min(words[last][1], words[first][0] + QUOTE_CHARACTERS)
