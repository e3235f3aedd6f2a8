"""Hard negatives: for each question, the passages of other questions that lie nearest to it and have no answer."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rag.protocols import DenseEncoder
from rag.read.match import fold
from rag.span.windows import PassageText
from rag.train.reading.reading_questions import ReadingQuestion

DEPTH = 8  # of the nearest passages of a question, so many are looked at
AT_ONCE = 512  # questions compared with all passages


def near_passages(questions: Sequence[ReadingQuestion], encoder: DenseEncoder) -> list[tuple[PassageText, ...]]:
    """Of each question the DEPTH passages nearest by cosine, nearest first, less those that may answer it.

    Both are of the questions with one passage: one with several has negatives of its own, and gets none here. Left out
    are the question's own passage and any with a gold answer in it.
    """
    found: list[tuple[PassageText, ...]] = [()] * len(questions)
    alone = [i for i, question in enumerate(questions) if len(question.passages) == 1]
    alone.sort(key=lambda i: len(questions[i].question))  # texts of like length are encoded together
    only = (questions[i].passages[0] for i in alone)
    passages = sorted({passage.text: passage for passage in only}.values(), key=lambda passage: len(passage.text))
    if not alone:
        return found
    vectors = encoder.encode([f"{passage.title} {passage.text}" for passage in passages])
    folded = [fold(passage.text) for passage in passages]
    for first in range(0, len(alone), AT_ONCE):
        subset = alone[first : first + AT_ONCE]
        likeness = encoder.encode([questions[i].question for i in subset]) @ vectors.T
        nearest = np.argsort(-likeness, axis=1, kind="stable")[:, :DEPTH]
        for i, places in zip(subset, nearest, strict=True):
            question = questions[i]
            golds = [fold(gold) for gold in question.golds] if question.label == "span" else []
            own = {passage.text for passage in question.passages}
            found[i] = tuple(
                passages[place]
                for place in places
                if passages[place].text not in own and not any(gold in folded[place] for gold in golds)
            )
    return found
