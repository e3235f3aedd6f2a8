"""A question of a training as windows: around its answer, and of passages that do not have it."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rag.read.match import fold
from rag.span.windows import PairTokenizer, PassageText, Pieces, Window, tokens_of_span
from rag.train.reading.reading_questions import ReadingQuestion, needed, order_of

OWN_NEGATIVES = 2  # of a question with several passages
OTHER_NEGATIVE_SHARE = 0.4  # of the questions with one passage that get one of another question, of its article if any
WITHOUT_ANSWER_SHARE = 0.15  # of the questions with negatives that are asked of these alone
RELEVANT = 2  # of the passages that serve a question, at most so many are read in one step
TRIES = 4  # passages looked at for one without the answer
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

    def __init__(self, questions: Sequence[ReadingQuestion], tokenizer: PairTokenizer):
        self._questions = questions
        self._tokenizer = tokenizer
        self._by_article: dict[tuple[str, str], list[int]] = {}
        for index in sorted(range(len(questions)), key=lambda i: order_of(questions[i].id, 0)):
            self._by_article.setdefault(_article(questions[index]), []).append(index)

    def example(self, index: int, seed: str) -> Example | None:
        """The example of a question; None where no gold answer fits into a window."""
        question, draw = self._questions[index], random.Random(f"{seed} {index}")
        negatives = self._negatives(question, index, draw)
        label = question.label
        serving = needed(question)
        if negatives and label != "unanswerable" and draw.random() < WITHOUT_ANSWER_SHARE:
            serving, label = [], "unanswerable"
        chosen = self._serving(question, serving, draw)
        known = 1.0 if question.relevant is not None else UNKNOWN
        passages = [question.passages[i] for i in chosen] + negatives
        parts = [part for passage in passages for part in (passage.title, passage.text)]
        asked, *pieces = self._tokenizer.pieces([question.question, *parts])
        windows, firsts, lasts = [], [], []
        for place, (title, text) in enumerate(zip(pieces[::2], pieces[1::2], strict=True)):
            spans = [
                found
                for span in question.spans
                if place < len(chosen) and span.passage == chosen[place]
                and (found := _whole_words(text, span.start, span.end)) is not None
            ]  # fmt: skip
            room = self._tokenizer.room(asked, title)
            first = _first_token(len(text.ids), room, spans, draw)
            window = self._tokenizer.window(place, asked, title, text, first)
            head = len(window.ids) - 1 - min(room, len(text.ids) - first)
            fitting = [(a, b) for a, b in spans if first <= a and b < first + room and b - a < self._longest]
            windows.append(window)
            firsts.append(np.asarray([a - first + head for a, _ in fitting], dtype=np.int64))
            lasts.append(np.asarray([b - first + head for _, b in fitting], dtype=np.int64))
        if label == "span" and not any(len(tokens) for tokens in firsts):
            return None
        relevance = (known,) * len(chosen) + (0.0,) * len(negatives)
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
        """Passages without the answer: of the question's own, else of another question, where there are any."""
        if question.relevant is None:
            return []
        own = [i for i in range(len(question.passages)) if i not in question.relevant]
        if own:
            drawn = [question.passages[i] for i in draw.sample(own, min(OWN_NEGATIVES, len(own)))]
        elif draw.random() < OTHER_NEGATIVE_SHARE:
            of_article = self._by_article[_article(question)]
            others = of_article if len(of_article) > 1 else range(len(self._questions))
            texts = {passage.text for passage in question.passages}
            tried = [self._questions[others[draw.randrange(len(others))]] for _ in range(TRIES)]
            drawn = [p for other in tried for p in (draw.choice(other.passages),) if p.text not in texts][:1]
        else:
            return []
        golds = [fold(gold) for gold in question.golds] if question.label == "span" else []
        return [passage for passage in drawn if not any(gold in fold(passage.text) for gold in golds)]


def _article(question: ReadingQuestion) -> tuple[str, str]:
    return question.source.split("-")[0], question.passages[needed(question)[0]].title


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
