"""Excerpts: the stretches of the evidence that a question is answered from, a few sentences each, copied.

They are what the reader reads and what the answer quotes. Sentences that stand together are easier to understand than
the same number of single ones, and hold more of what is asked: 0.66 against 0.50 of the vital facts in 150 words
(eval/log.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rag.protocols import DenseEncoder
from rag.read.match import content_words
from rag.read.quote_selection import sentences
from rag.read.quotes import Quote
from rag.records import Hit

EXCERPT_WORDS = 80  # of one excerpt
# What a stretch is worth: the cosine with the question of its best sentence and of all, the share of the question's
# words in it, and its passage's rank.
WORDS_WEIGHT, RANK_WEIGHT = 0.5, 0.15
NOT_PROSE = 0.25  # less for rows of tables and words in figures, which are read badly by themselves
SCRAP = 8  # words: what is shorter is a heading, and is worth nothing alone


@dataclass(frozen=True, slots=True)
class Sentences:
    """Sentences of the evidence in its order, their unit vectors (n, d), and their cosines with the question (n,)."""

    quotes: tuple[Quote, ...]
    vectors: NDArray[np.float32]
    cosines: NDArray[np.float32]


def read_sentences(question: str, evidence: Sequence[Hit], encoder: DenseEncoder) -> Sentences:
    """All sentences of the evidence, of tables the rows, none of the same words twice."""
    quotes = tuple(quote for quote in sentences(question, evidence) if quote.text.strip())
    if not quotes:
        return Sentences((), np.zeros((0, 1), np.float32), np.zeros(0, np.float32))
    vectors = encoder.encode([question, *(" ".join(quote.text.split()) for quote in quotes)])
    return Sentences(quotes, vectors[1:], vectors[1:] @ vectors[0])


def choose_excerpts(question: str, read: Sentences, words: int, known: Sequence[Quote] = ()) -> list[Quote]:
    """The best stretches of whole sentences, of `words` words together at most, in the order of the evidence.

    A stretch of which every sentence lies in a quote of `known` is left out. Of one sentence that is longer, its
    beginning.
    """
    wanted = content_words(question)
    lengths = [len(quote.text.split()) for quote in read.quotes]
    held = [content_words(quote.text) for quote in read.quotes]
    stretches = _stretches(read.quotes, lengths)
    told = {i for i, quote in enumerate(read.quotes) if any(inside(quote, other) for other in known)}
    taken: set[int] = set()
    left = words
    while True:
        best, best_worth = range(0), -np.inf
        for stretch in stretches:
            new = [i for i in stretch if i not in taken]
            if told.issuperset(new) or not min(SCRAP, words) <= sum(lengths[i] for i in new) <= left:
                continue
            hit = read.quotes[new[0]].hit
            shared = len(wanted & set().union(content_words(hit.passage.title), *(held[i] for i in new)))
            cosines = read.cosines[new]
            worth = (
                float(cosines.max() + cosines.mean()) / 2
                + WORDS_WEIGHT * shared / max(1, len(wanted))
                + RANK_WEIGHT / hit.rank
                - NOT_PROSE * (hit.passage.kind != "text")
            )
            if worth > best_worth:
                best, best_worth = stretch, worth
        if not best:
            break
        left -= sum(lengths[i] for i in best if i not in taken)
        taken |= set(best)
    chosen = _joined(read.quotes, sorted(taken))
    return chosen or ([] if known else _beginning(read, words))


def inside(quote: Quote, other: Quote) -> bool:
    """Whether a quote lies in another one of the same passage."""
    same = quote.hit.passage.passage_id == other.hit.passage.passage_id
    return same and other.start <= quote.start and quote.end <= other.end


def _stretches(quotes: Sequence[Quote], lengths: Sequence[int]) -> list[range]:
    """For each sentence the ones from it on that stand in its passage and are EXCERPT_WORDS long together at most."""
    found = []
    for first, quote in enumerate(quotes):
        last, words = first, lengths[first]
        while (
            last + 1 < len(quotes) and quotes[last + 1].hit is quote.hit and words + lengths[last + 1] <= EXCERPT_WORDS
        ):
            last += 1
            words += lengths[last]
        found.append(range(first, last + 1))
    return found


def _joined(quotes: Sequence[Quote], taken: Sequence[int]) -> list[Quote]:
    """Sentences that follow each other in a passage as one quote."""
    joined: list[Quote] = []
    before = -2
    for i in taken:
        quote = quotes[i]
        if joined and i == before + 1 and joined[-1].hit is quote.hit:
            last = joined[-1]
            joined[-1] = Quote(last.hit, last.start, quote.end, last.holds, max(last.score, quote.score))
        else:
            joined.append(quote)
        before = i
    return joined


def _beginning(read: Sentences, words: int) -> list[Quote]:
    """The first words of the sentence nearest to the question."""
    if not read.quotes:
        return []
    quote = read.quotes[int(read.cosines.argmax())]
    ends = [i for i, sign in enumerate(quote.text) if sign.isspace()]
    end = ends[words - 1] if len(ends) >= words else len(quote.text)
    return [Quote(quote.hit, quote.start, quote.start + end, quote.holds, quote.score)]
