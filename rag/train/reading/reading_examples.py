"""A question of a training as windows: around its answer, and of passages that do not have it."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rag.read.match import fold
from rag.span.windows import PairTokenizer, PassageText, Pieces, Window, tokens_of_span
from rag.train.reading.changed_questions import changed_question
from rag.train.reading.reading_questions import ReadingQuestion, needed

OWN_NEGATIVES = 2  # of a question with several passages
NEAR_SHARE = 0.7  # of the questions with one passage that get a near one of another question
WITHOUT_ANSWER_SHARE = 0.3  # of the questions with negatives that are asked of what has no answer
CHANGED_SHARE = 0.1  # of the questions with one passage that are changed so that it has no answer
RELEVANT = 2  # of the passages that serve a question, at most so many are read in one step
UNKNOWN = -1.0  # relevance of a passage of which it is not known


@dataclass(frozen=True, slots=True)
class Example:
    """The windows of one question. `first_tokens` and `last_tokens` are the gold spans' of each window: (spans, ).

    `label` is "span", "yes", "no" or "unanswerable". `kept` says in which windows a gold yes or no stands, and
    `relevance` of each window is 1, 0, or UNKNOWN.
    """

    windows: tuple[Window, ...]
    first_tokens: tuple[NDArray[np.int64], ...]
    last_tokens: tuple[NDArray[np.int64], ...]
    label: str
    relevance: tuple[float, ...]


class Examples:
    """Makes examples of questions. One depends on the question, the others of the training, and a seed alone."""

    def __init__(
        self,
        questions: Sequence[ReadingQuestion],
        near: Sequence[Sequence[PassageText]],
        tokenizer: PairTokenizer,
    ):
        """`near`: hard negatives of each question (see near_passages)."""
        self._questions = questions
        self._near = near
        self._tokenizer = tokenizer

    def example(self, index: int, seed: str) -> Example | None:
        """The example of a question; None where no gold answer fits into a window."""
        question, draw = self._questions[index], random.Random(f"{seed} {index}")
        negatives = self._negatives(question, index, draw)
        label, text, serving, known = question.label, question.question, needed(question), question.relevant is not None
        if negatives and label != "unanswerable" and draw.random() < WITHOUT_ANSWER_SHARE:
            serving, label = _without_gold(question), "unanswerable"
        elif label != "unanswerable" and self._near[index] and draw.random() < CHANGED_SHARE:
            changed = changed_question(text, question.passages[0], self._near[index], draw)
            if changed is not None:
                text, label, known = changed, "unanswerable", False
        chosen = self._serving(question, serving, draw)
        passages = [question.passages[i] for i in chosen] + negatives
        parts = [part for passage in passages for part in (passage.title, passage.text)]
        asked, *pieces = self._tokenizer.pieces([text, *parts])
        windows, firsts, lasts = [], [], []
        for place, (title, body) in enumerate(zip(pieces[::2], pieces[1::2], strict=True)):
            spans = [
                found
                for span in question.spans
                if place < len(chosen) and span.passage == chosen[place]
                and (found := _whole_words(body, span.start, span.end)) is not None
            ]  # fmt: skip
            room = self._tokenizer.room(asked, title)
            first = _first_token(len(body.ids), room, spans, draw)
            window = self._tokenizer.window(place, asked, title, body, first)
            head = len(window.ids) - 1 - min(room, len(body.ids) - first)
            fitting = [(a, b) for a, b in spans if first <= a and b < first + room and b - a < self._longest]
            windows.append(window)
            firsts.append(np.asarray([a - first + head for a, _ in fitting], dtype=np.int64))
            lasts.append(np.asarray([b - first + head for _, b in fitting], dtype=np.int64))
        if label == "span" and not any(len(tokens) for tokens in firsts):
            return None
        relevance = (1.0 if known else UNKNOWN,) * len(chosen) + (0.0,) * len(negatives)
        return Example(tuple(windows), tuple(firsts), tuple(lasts), label, relevance)

    @property
    def _longest(self) -> int:
        return self._tokenizer.sizes.answer

    def _serving(self, question: ReadingQuestion, serving: list[int], draw: random.Random) -> list[int]:
        """At most RELEVANT of the passages that serve the question, one with a gold span among them."""
        if len(serving) <= RELEVANT:
            return serving
        holding = sorted({span.passage for span in question.spans} & set(serving))
        first = draw.sample(holding, 1) if holding else []
        return first + draw.sample([i for i in serving if i not in first], RELEVANT - len(first))

    def _negatives(self, question: ReadingQuestion, index: int, draw: random.Random) -> list[PassageText]:
        """Passages without the answer: of the question's own, else a near one of another question."""
        if question.relevant is None:
            return []
        own = [i for i in range(len(question.passages)) if i not in question.relevant]
        if not own:
            near = self._near[index]
            return [draw.choice(near)] if near and draw.random() < NEAR_SHARE else []
        drawn = [question.passages[i] for i in draw.sample(own, min(OWN_NEGATIVES, len(own)))]
        return [passage for passage in drawn if not _holds_gold(question, passage)]


def _without_gold(question: ReadingQuestion) -> list[int]:
    """The passages that serve a question of several, but do not have its answer: the first hop of two."""
    if len(question.passages) == 1 or question.label != "span":
        return []
    return [i for i in needed(question) if not _holds_gold(question, question.passages[i])]


def _holds_gold(question: ReadingQuestion, passage: PassageText) -> bool:
    text = fold(passage.text)
    return question.label == "span" and any(fold(gold) in text for gold in question.golds)


def _whole_words(text: Pieces, start: int, end: int) -> tuple[int, int] | None:
    """The tokens of text[start:end], widened to whole words, as candidates are."""
    if (found := tokens_of_span(text.offsets, start, end)) is None:
        return None
    first, last = found
    while not text.begins[first]:
        first -= 1
    while not text.ends[last]:
        last += 1
    return first, last


def _first_token(tokens: int, room: int, spans: Sequence[tuple[int, int]], draw: random.Random) -> int:
    """Where a window of `room` tokens begins: anywhere, if there are no spans, else so that one of them is within."""
    if tokens <= room:
        return 0
    if not spans:
        return draw.randint(0, tokens - room)
    first, last = draw.choice(spans)
    return draw.randint(max(0, min(last + 1 - room, first)), min(first, tokens - room))
