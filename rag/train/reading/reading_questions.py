"""Questions with passages and gold answers, and which of them are held out of a training."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from rag.read.match import best_answer_scores
from rag.span.span_reader import SpanAnswer
from rag.span.windows import PassageText

Label = Literal["span", "yes", "no", "unanswerable"]
HELD_OUT = 10  # one article of this many is held out


@dataclass(frozen=True, slots=True)
class GoldSpan:
    """An answer where it stands: passages[passage].text[start:end]."""

    passage: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class ReadingQuestion:
    """A question with its passages. `golds` are the answers as they are compared, "" for unanswerable.

    `spans` are alternatives, none unless the label is "span". `relevant` are the passages that serve the question;
    None where that is unknown, as of an unanswerable question.
    """

    id: str
    source: str
    question: str
    passages: tuple[PassageText, ...]
    label: Label
    spans: tuple[GoldSpan, ...]
    golds: tuple[str, ...]
    relevant: frozenset[int] | None


@dataclass(frozen=True, slots=True)
class HeldOutSplit:
    """What is learnt from, and what is not; how many are in neither, for sharing a passage with both sides."""

    learnt: tuple[ReadingQuestion, ...]
    held_out: tuple[ReadingQuestion, ...]
    left_out: int


def split_by_article(questions: Sequence[ReadingQuestion]) -> HeldOutSplit:
    """Hold out every question about one of ten articles; no passage that serves a held-out question is learnt from.

    An article is the title, or without one the text, of the first passage that serves the question; its hash decides,
    so that one article is on the same side in all files. Of the rest, questions served by such a passage are left out,
    and of the other questions' passages those among them.
    """
    held = [is_held_out(question) for question in questions]
    kept = {
        question.passages[i].text
        for question, out in zip(questions, held, strict=True)
        if out
        for i in needed(question)
    }
    learnt, left_out = [], 0
    for question, out in zip(questions, held, strict=True):
        if not out:
            if any(question.passages[i].text in kept for i in needed(question)):
                left_out += 1
            else:
                learnt.append(_without(question, kept))
    return HeldOutSplit(tuple(learnt), tuple(q for q, out in zip(questions, held, strict=True) if out), left_out)


def answer_scores(answer: SpanAnswer, question: ReadingQuestion) -> tuple[float, float]:
    """Exact match and F1, the best over the gold answers, as in SQuAD 2.0's official script: an unanswerable question
    earns 1 for "not here", and any other 0 for it."""
    if not answer.text or question.label == "unanswerable":
        right = float(not answer.text and question.label == "unanswerable")
        return right, right
    em, f1, _, _ = best_answer_scores(answer.text, question.golds)
    return em, f1


def needed(question: ReadingQuestion) -> list[int]:
    """The passages that serve a question: of one where that is unknown, all."""
    return sorted(range(len(question.passages)) if question.relevant is None else question.relevant)


def sample_by_source(questions: Sequence[ReadingQuestion], limit: int | None, seed: int) -> list[ReadingQuestion]:
    """`limit` of the questions, or all, in random order; of each source so many as the square root of its size says, so
    that small sources count. The sample of a lower limit is the beginning of that of a higher one."""
    by_source: dict[str, list[ReadingQuestion]] = {}
    for question in sorted(questions, key=lambda one: order_of(one.id, seed)):
        by_source.setdefault(question.source, []).append(question)
    ranked = [
        (rank / len(subset) ** 0.5, source, rank) for source, subset in by_source.items() for rank in range(len(subset))
    ]
    return [by_source[source][rank] for _, source, rank in sorted(ranked)[:limit]]


def order_of(identity: str, seed: int) -> str:
    """A key of an id by which records are in random order, the same for a seed everywhere."""
    return hashlib.sha256(f"order {seed} {identity}".encode("utf-8", "surrogatepass")).hexdigest()


def is_held_out(question: ReadingQuestion) -> bool:
    """Whether it is about one of the articles that no training learns from."""
    first = question.passages[needed(question)[0]]
    return is_drawn(first.title.strip() or first.text)


def is_drawn(text: str) -> bool:
    """Whether a text is one of HELD_OUT, by its hash: everywhere the same, whatever its capitals."""
    digest = hashlib.sha256(text.casefold().encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:8]) % HELD_OUT == 0


def _without(question: ReadingQuestion, texts: set[str]) -> ReadingQuestion:
    """The question without its passages of these texts, none of which serves it."""
    kept = [i for i, passage in enumerate(question.passages) if passage.text not in texts]
    if len(kept) == len(question.passages):
        return question
    place = {old: new for new, old in enumerate(kept)}
    return replace(
        question,
        passages=tuple(question.passages[i] for i in kept),
        spans=tuple(replace(span, passage=place[span.passage]) for span in question.spans),
        relevant=None if question.relevant is None else frozenset(place[i] for i in question.relevant),
    )
