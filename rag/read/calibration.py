"""How likely an answer is to be right, from what is known when it stands.

Known are the reader's own yes (support.py), and how likely the reading model finds the same answer. A logistic model
(Platt 1999) makes a probability of the two.
"""

from __future__ import annotations

from math import exp, log

from rag.read.instant_answer import Mark

# Fitted on the 1.5B's answers to 146 questions of HotpotQA and 2WikiMultihopQA that neither the reading model nor any
# rule has seen, and to 50 of these without their gold passages, which count half; eval/log.md has what else was tried.
BIAS, SUPPORT, SAME = 0.04, 2.08, 0.34
LEAST = 1e-3  # a probability counts as at least that, and as at most what is left of 1


def probability_right(support: float, mark: Mark, answer: str) -> float:
    """The probability, 0..1, that an answer is right; 0 for a support of 0, as of an answer without a source.

    It rises with the support, and with the probability that the reading model gives to the same answer.
    """
    if not support:
        return 0.0
    same = min(max(mark.probability_of(answer), LEAST), 1 - LEAST)
    return 1 / (1 + exp(-(BIAS + SUPPORT * support + SAME * log(same / (1 - same)))))
