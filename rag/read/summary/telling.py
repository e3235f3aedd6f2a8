"""Summaries: the sentences that say most of a whole document, in its order, each where it stands.

Passages are chosen by their stored vectors, so that a book takes no longer than a paper; then their sentences. A
sentence is worth what it has in common with the whole (its cosine with the mean), with the question, and where it
stands: what a document is about is said at its beginning, what comes of it at its end. What is like a sentence already
chosen is worth less (maximal marginal relevance, Carbonell and Goldstein 1998).
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rag.locator import part_of
from rag.protocols import DenseEncoder
from rag.read.compose.compose import Choose
from rag.read.compose.excerpts import Sentences, inside, read_sentences
from rag.read.quotes import Quote
from rag.records import Hit, Passage

PASSAGES = 16  # whose sentences are looked at
LEAD, END = 0.05, 0.95  # of a document's length: its beginning and its end
LEAD_WEIGHT, END_WEIGHT, QUESTION_WEIGHT, LIKENESS_WEIGHT = 0.2, 0.1, 0.5, 0.5
LIKE = 0.3  # cosine from which two sentences are alike
SENTENCE_WORDS = 8, 60  # a sentence of fewer is a heading or a scrap, of more a list or a table
APPARATUS = re.compile(r"\b(?:references|bibliography|acknowledge?ments?|contents|index|footnotes?)\b", re.IGNORECASE)
PARTS = ("facts", "law", "operative")  # of a judgment: each has its say
Row = NDArray[np.float32]


def telling_passages(passages: Sequence[Passage], vectors: NDArray[np.float32], most: int = PASSAGES) -> list[Hit]:
    """The passages of one document that say most of it, in its order. `vectors` are their unit vectors (n, d)."""
    kept = [i for i, passage in enumerate(passages) if passage.kind == "text" and not apparatus(passage)]
    kept = kept or list(range(len(passages)))
    groups = [[i for i in kept if part_of(passages[i].locator) == part] for part in PARTS]
    groups = [group for group in groups if group] or [kept]
    share, chosen = -(-most // len(groups)), list[int]()
    for group in groups:
        worth = vectors[group] @ _mean(vectors[kept]) + _by_place([passages[i] for i in group], passages)
        chosen += [group[i] for i in _diverse(worth, vectors[group], share)]
    return [Hit(rank, 0.0, passages[i]) for rank, i in enumerate(sorted(chosen), start=1)]


def telling_sentences(question: str, hits: Sequence[Hit], encoder: DenseEncoder) -> tuple[Sentences, Choose]:
    """The sentences of these passages, and which of them tell most in so many words, in the document's order."""
    read = read_sentences(question, hits, encoder)
    passages = [hit.passage for hit in hits]

    def choose(words: int, known: Sequence[Quote] = ()) -> list[Quote]:
        new = [i for i, quote in enumerate(read.quotes) if not any(inside(quote, other) for other in known)]
        whole = [i for i in new if _whole(read.quotes[i])] or new
        if not whole:
            return []
        vectors = read.vectors[whole]
        worth = vectors @ _mean(vectors) + QUESTION_WEIGHT * read.cosines[whole]
        worth = worth + _by_place([read.quotes[i].hit.passage for i in whole], passages)
        lengths = [len(read.quotes[i].text.split()) for i in whole]
        order, left, taken = _diverse(worth, vectors, len(whole)), words, list[int]()
        for i in order:
            if lengths[i] <= left or not taken:
                taken.append(whole[i])
                left -= lengths[i]
        return [read.quotes[i] for i in sorted(taken)]

    return read, choose


def in_section(question: str, passages: Sequence[Passage]) -> list[Passage]:
    """The passages of the chapter or section that a question names; all of them where it names none that there is.

    By its number ("chapter 3", "section 4.2") or by its whole title.
    """
    numbered = re.search(r"\b(?:chapter|section|part|§)\s*([\dIVXivx]+(?:\.\d+)*)\b", question)
    if numbered:
        wanted = re.compile(
            rf"(?:^|> )\s*(?:chapter |section |part |§ ?)?{re.escape(numbered[1])}\b(?!\.\d)", re.IGNORECASE
        )
        found = [passage for passage in passages if wanted.search(passage.section) or wanted.search(_chapter(passage))]
        if found:
            return found
    asked = question.casefold()
    titled = [
        passage
        for passage in passages
        if any(
            len(title) > 6 and title.casefold() in asked for title in (_chapter(passage), *passage.section.split(" > "))
        )
    ]
    return titled or list(passages)


def _chapter(passage: Passage) -> str:
    return str(getattr(passage.locator, "chapter", ""))


def apparatus(passage: Passage) -> bool:
    """Whether it stands under the references, the contents or the like, which say nothing of what a text says."""
    return bool(APPARATUS.search(passage.section))


def _whole(quote: Quote) -> bool:
    shortest, longest = SENTENCE_WORDS
    return shortest <= len(quote.text.split()) <= longest and quote.text.rstrip()[-1:] in ".!?”\"'"


def _mean(vectors: NDArray[np.float32]) -> Row:
    mean: Row = vectors.mean(0)
    return mean / max(float(np.linalg.norm(mean)), 1e-9)


def _by_place(passages: Sequence[Passage], of: Sequence[Passage]) -> Row:
    """What each passage is worth for where it stands in its document."""
    first, last = min(passage.start for passage in of), max(passage.end for passage in of)
    at = np.asarray([(passage.start - first) / max(1, last - first) for passage in passages])
    return np.asarray(LEAD_WEIGHT * (at < LEAD) + END_WEIGHT * (at > END), np.float32)


def _diverse(worth: Row, vectors: NDArray[np.float32], most: int) -> list[int]:
    """At most so many rows, the best first, each of them less worth by what it is like those before."""
    left, chosen = worth.astype(np.float64), list[int]()
    for _ in range(min(most, len(left))):
        best = int(left.argmax())
        chosen.append(best)
        left = left - LIKENESS_WEIGHT * np.maximum(0.0, vectors @ vectors[best] - LIKE)
        left[chosen] = -np.inf
    return chosen
