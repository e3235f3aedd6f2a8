"""Which sentences of the evidence support a sentence that a reader wrote: by their words, numbers, names and meaning.

A reader's own word for it costs a prompt a sentence, and small readers say yes to nearly everything; matching costs
milliseconds, points to the words, and treats all readers alike.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rag.protocols import DenseEncoder
from rag.read.compose.excerpts import Sentences
from rag.read.match import NUMBER, content_words, fold, mentioned
from rag.read.notes import NAME
from rag.read.quotes import Quote

ENOUGH = 0.55  # of a support of 0..1, the mean of the share of the sentence's words and the cosine
ADDS = 0.15  # how much a second quote must add to the support to be cited, too
LONGER = 0.08  # how much better two sentences must be than one


@dataclass(frozen=True, slots=True)
class Support:
    """The quotes that support a sentence, best first, and how well they do, 0..1. No quotes: nothing does."""

    quotes: tuple[Quote, ...]
    value: float


def find_support(written: Sequence[str], question: str, read: Sentences, encoder: DenseEncoder) -> list[Support]:
    """For each written sentence the quotes that support it.

    A quote is a sentence of the evidence, or two that follow each other. Every number and every name of two words of a
    written sentence must stand in its quotes, in their passage, or in the question.
    """
    if not written or not read.quotes:
        return [Support((), 0.0) for _ in written]
    units = [*((i,) for i in range(len(read.quotes))), *_pairs(read.quotes)]
    # what a sentence is about stands in the title or in the question, and a pronoun for it in the sentence
    about = content_words(question)
    held = [
        set().union(
            about,
            content_words(read.quotes[unit[0]].hit.passage.title),
            *(content_words(read.quotes[i].text) for i in unit),
        )
        for unit in units
    ]
    cosines = encoder.encode(list(written)) @ read.vectors.T
    return [
        _support(sentence, question, read, units, held, row) for sentence, row in zip(written, cosines, strict=True)
    ]


def _pairs(quotes: Sequence[Quote]) -> list[tuple[int, ...]]:
    return [(i, i + 1) for i in range(len(quotes) - 1) if quotes[i].hit is quotes[i + 1].hit]


def _support(
    sentence: str,
    question: str,
    read: Sentences,
    units: Sequence[tuple[int, ...]],
    held: Sequence[set[str]],
    cosines: np.ndarray[tuple[int, ...], np.dtype[np.float32]],
) -> Support:
    wanted = content_words(sentence)
    if not wanted:
        return Support((), 0.0)

    def value(words: set[str], cosine: float, length: int) -> float:
        return (len(wanted & words) / len(wanted) + max(0.0, cosine)) / 2 - LONGER * (length - 1)

    ranked = sorted(
        (
            (value(words, float(max(cosines[i] for i in unit)), len(unit)), unit, words)
            for unit, words in zip(units, held, strict=True)
        ),
        key=lambda each: -each[0],
    )
    best, unit, words = ranked[0]
    chosen = [unit]
    for _, other, more in ranked[1:20]:
        if read.quotes[other[0]].hit is read.quotes[unit[0]].hit:
            continue
        together = value(words | more, float(max(cosines[i] for i in (*unit, *other))), 1)
        if together >= best + ADDS:
            chosen.append(other)
            best = together
            break
    quotes = tuple(_quote(read.quotes, each) for each in chosen)
    if best < ENOUGH or not _holds_figures_and_names(sentence, question, quotes):
        return Support((), round(min(best, ENOUGH - 0.01), 4))
    return Support(quotes, round(min(1.0, best), 4))


def _quote(quotes: Sequence[Quote], unit: Sequence[int]) -> Quote:
    first, last = quotes[unit[0]], quotes[unit[-1]]
    return Quote(first.hit, first.start, last.end, True, first.score)


def _holds_figures_and_names(sentence: str, question: str, quotes: Sequence[Quote]) -> bool:
    texts = [f"{quote.hit.passage.title} {quote.hit.passage.text}" for quote in quotes]
    known = {number for text in (*texts, question) for number in NUMBER.findall(fold(text))}
    if not {number for number in NUMBER.findall(fold(sentence)) if len(number) > 1} <= known:
        return False
    names = [match[0].strip(".'") for match in NAME.finditer(sentence) if match.start() > 0]
    names = [re.sub(r"'s$", "", name) for name in names if " " in name]
    return all(mentioned(name, [*texts, question]) > 0.5 for name in names)
