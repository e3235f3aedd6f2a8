"""Answer matching, which our benchmarks share."""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Sequence, Set
from typing import Any

from rag.read.notes import fold


def normalise(text: str) -> str:
    """HotpotQA's and SQuAD's answer normalisation (lower case, no punctuation, no articles), after folding dashes.

    >>> normalise("The AD 2018–23–51.")
    'ad 20182351'
    """
    # Folded once more: without the sign between them a letter and an accent become one character.
    text = fold("".join(character for character in fold(text) if character not in string.punctuation))
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", text).split())


def contains_gold(answer: str, golds: Sequence[str]) -> bool:
    """Whether the answer contains one of the gold strings as whole words, both normalised.

    >>> contains_gold("about 684K triples", ["684K"]), contains_gold("1620", ["162"])
    (True, False)
    """
    words = f" {normalise(answer)} "
    return any(f" {normalise(gold)} " in words for gold in golds if normalise(gold))


def normalise_answer(text: str) -> str:
    """The official normalisation of HotpotQA and SQuAD: lower case, no ASCII punctuation, no articles, single blanks.

    >>> normalise_answer("The  A.B. of an é–x")
    'ab of é–x'
    """
    text = "".join(character for character in text.lower() if character not in string.punctuation)
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", text).split())


Scores = tuple[float, float, float, float]  # exact match, F1, precision, recall
NOTHING: Scores = (0.0, 0.0, 0.0, 0.0)


def answer_scores(prediction: str, gold: str) -> Scores:
    """HotpotQA's answer measures (hotpot_evaluate_v1.py): exact match, and F1 over words with their counts.

    Where one of the two is yes, no or noanswer and they differ, F1 is 0: "no" earns nothing from "no one".

    >>> answer_scores("the Eiffel Tower in Paris", "Eiffel Tower")
    (0.0, 0.6666666666666666, 0.5, 1.0)
    """
    ours, theirs = normalise_answer(prediction), normalise_answer(gold)
    if ours != theirs and {ours, theirs} & {"yes", "no", "noanswer"}:
        return NOTHING
    em = float(ours == theirs)
    shared = (Counter(ours.split()) & Counter(theirs.split())).total()
    if not shared:
        return (em, 0.0, 0.0, 0.0)
    precision, recall = shared / len(ours.split()), shared / len(theirs.split())
    return (em, 2 * precision * recall / (precision + recall), precision, recall)


def best_answer_scores(prediction: str, golds: Sequence[str]) -> Scores:
    """The best over the gold answer and its aliases: exact match and F1 each, precision and recall of the best F1."""
    each = [answer_scores(prediction, gold) for gold in golds]
    best = max(each, key=lambda scores: scores[1])
    return (max(scores[0] for scores in each), *best[1:])


def set_scores(predicted: Set[Any], gold: Set[Any]) -> Scores:
    """HotpotQA's supporting-fact measures: exact match, F1, precision and recall of a set; of nothing they are 0."""
    shared = len(predicted & gold)
    precision = shared / len(predicted) if predicted else 0.0
    recall = shared / len(gold) if gold else 0.0
    f1 = 2 * precision * recall / (precision + recall) if shared else 0.0
    return (float(predicted == gold), f1, precision, recall)


def joint_scores(answer: Scores, facts: Scores) -> Scores:
    """HotpotQA's joint measures: precisions and recalls multiplied, F1 of the products; both exact for a match."""
    precision, recall = answer[2] * facts[2], answer[3] * facts[3]
    f1 = 2 * precision * recall / (precision + recall) if precision + recall else 0.0
    return (answer[0] * facts[0], f1, precision, recall)
