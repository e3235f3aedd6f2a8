"""Which corrections bear on a question, and what is wrong with one: Tandon et al.'s memory of explanations, by cosine.

The nearest corrections of earlier answers stand before the passages (learning from explanations, arXiv 2201.06009 and
its kind); the same question again gets the right answer without asking the reader. Of a question that none is near,
nothing changes. A correction is a user's word, and is masked as a passage is: it may have been copied from one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from rag.read.injection.mask import masked
from rag.read.match import content_words, fold, holds_answer
from rag.read.notes import write_note
from rag.read.quotes import choose_quotes
from rag.read.strategies import Event, Reading
from rag.records import Correction, Hit
from rag.span.claim_support import verdicts
from rag.span.span_model import SpanModel

NEAR = 0.77  # cosine of two questions from which the correction of the one is shown to the reader of the other
SAME = 0.96  # from which they are one question, if they name the same numbers
MOST = 3  # corrections that stand before the passages
REFUTED = 0.5  # probability from which a passage is said to contradict
NAME = re.compile(r"\b(?:[^\W\d_a-z]\w+|\d[\w.,]*\d|\d)")
Encode = Callable[[Sequence[str]], NDArray[np.float32]]


@dataclass(frozen=True, slots=True)
class Near:
    """A correction and the cosine of its question with the one that is asked; `same`: it is the one that is asked."""

    correction: Correction
    cosine: float
    same: bool


def nearest(question: str, corrections: Sequence[Correction], encode: Encode) -> list[Near]:
    """At most MOST corrections whose question is near enough, the nearest first.

    Only those that share a word with the question, and are about no other named thing, are compared at all. What is
    nothing but instructions to a reader is never used.
    """
    words = content_words(question)
    possible = [
        each for each in corrections
        if words & content_words(each.question) and not about_another(question, each.question) and clean(each)
    ]  # fmt: skip
    if not possible:
        return []
    vectors = _vectors((question, *(each.question for each in possible)), encode)
    cosines = vectors[1:] @ vectors[0]
    found = [
        Near(each, float(cosine), _is_same(question, each.question, float(cosine)))
        for each, cosine in zip(possible, cosines, strict=True)
        if cosine >= NEAR
    ]
    return sorted(found, key=lambda near: (-near.cosine, near.correction.correction_id))[:MOST]


def about_another(one: str, other: str) -> bool:
    """Whether two questions name things, and none in common: then they are not near, however near their vectors.

    A name is a word with a capital letter or a digit behind the first word.

    >>> about_another("Who is the mayor of Aldmoor?", "Who is the mayor of Brennick?")
    True
    >>> about_another("Who is the mayor of Aldmoor?", "who is its mayor?")
    False
    """
    names = [{fold(name) for name in NAME.findall(text.partition(" ")[2])} for text in (one, other)]
    return bool(names[0] and names[1]) and not names[0] & names[1]


def _is_same(one: str, other: str, cosine: float) -> bool:
    """Whether two questions are one: with other numbers they are not, however near their vectors."""
    if fold(one).strip(" ?.") == fold(other).strip(" ?."):
        return True
    numbers = [{word for word in content_words(text) if any(map(str.isdigit, word))} for text in (one, other)]
    return cosine >= SAME and numbers[0] == numbers[1]


@lru_cache(maxsize=64)
def _kept(texts: tuple[str, ...], encode: Encode) -> NDArray[np.float32]:
    return encode(texts)


def _vectors(texts: tuple[str, ...], encode: Encode) -> NDArray[np.float32]:
    """Of the question and of those of the corrections, which are encoded once."""
    return np.concatenate([encode(texts[:1]), _kept(texts[1:], encode)])


def clean(correction: Correction) -> Correction | None:
    """The correction as a reader gets it, without what speaks to a reader; None where nothing is left of its answer."""
    question, answer, reason = (
        " ".join(masked(text).split()) for text in (correction.question, correction.answer, correction.reason)
    )
    return replace(correction, question=question, answer=answer, reason=reason) if question and answer else None


def contradicts(correction_of: str, answer: str, wrong: str, passage: str, model: SpanModel | None) -> bool:
    """Whether the passage that was cited says otherwise than the right answer to the question.

    It does not where the answer's words stand in it; it does where those of the wrong one do, or where the reading
    model takes it to refute the answer.
    """
    if not passage or holds_answer(passage, answer):
        return False
    if wrong and holds_answer(passage, wrong):
        return True
    if model is None:
        return False
    (verdict,) = verdicts(model, [f'The answer to "{correction_of}" is "{answer}".'], [passage])
    return verdict["refutes"] >= REFUTED and verdict["refutes"] > verdict["supports"]


def answer_by(correction: Correction, reading: Reading, cited: Hit | None) -> Iterator[Event]:
    """The right answer of the same question, without asking the reader: cited where its words stand in a passage."""
    if cited is not None and all(hit.passage.passage_id != cited.passage.passage_id for hit in reading.evidence):
        hits = [cited, *reading.evidence]
        reading.evidence = tuple(reading.fit([replace(hit, rank=rank) for rank, hit in enumerate(hits, start=1)]))
        yield reading.evidence
    shown = clean(correction) or correction
    reading.draft = shown.answer
    yield reading.draft
    quotes = choose_quotes(reading.question, reading.draft, reading.read)
    reading.quotes = [quote for quote in quotes if quote.holds]
    yield write_note(reading.question, reading.draft, reading.quotes, 1)
    reading.support = None  # it is the user's word
