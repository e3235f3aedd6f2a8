"""Answer matching, which our benchmarks share."""

from __future__ import annotations

import re
import string
from collections.abc import Sequence, Set
from typing import Any

from rag.read.match import Scores, fold
from rag.read.match import answer_scores as answer_scores  # the reward of training needs these, too
from rag.read.match import best_answer_scores as best_answer_scores
from rag.read.match import normalise_answer as normalise_answer


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
