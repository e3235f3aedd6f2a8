"""Faithfulness of attribution scores: what they predict, against what the reader does without the players.

Every measure takes a value function v, coalition -> log p(shown answer | the players present), and scores, one a
player. Where scores tie, no order is the right one: each measure is the mean over the ways to break the tie. So
constant scores are the random order, and for their curves all 2^players coalitions are evaluated.

Sources: the drop and LDS are those of ContextCite (arXiv 2409.00729), LDS after Park et al. (arXiv 2303.14186); the
curves are those of RISE (arXiv 1806.07421), here over players and with the ends of the game as the unit.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from itertools import combinations
from math import fsum
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from rag.attribute.shapley import Coalition

LogLikelihood: TypeAlias = Callable[[Coalition], float]  # natural log of p(shown answer | the players present)
Order: TypeAlias = Sequence[float]  # a score a player

LEAST = 1.0  # nats between v(all) and v(nobody): divided by less, a curve says how small that is and not much else
DIGITS = 9  # of the largest value: what is equal up to rounding is a tie


def top_drop(value: LogLikelihood, scores: Order, k: int) -> float:
    """v(all) - v(all but the k best): nats that the answer loses with them. Higher is better.

    >>> top_drop(lambda present: 2.0 * (0 in present) + 1.0 * (1 in present), [5, 1, 0], k=1)
    2.0
    """
    everyone = frozenset(range(len(scores)))
    return value(everyone) - _mean(value, [everyone - best for best in _best(scores, min(k, len(scores)))])


def top_alone(value: LogLikelihood, scores: Order, k: int) -> float:
    """v(the k best alone); v may be another value of coalitions, too, such as the correctness of the answer.

    >>> top_alone(lambda present: 2.0 * (0 in present) + 1.0 * (1 in present), [5, 1, 0], k=1)
    2.0
    """
    return _mean(value, _best(scores, min(k, len(scores))))


def deletion_auc(value: LogLikelihood, scores: Order) -> float | None:
    """Area under (v - v(nobody)) / (v(all) - v(nobody)) while the best player goes first, then the next. Low is good.

    The abscissa is the share of players gone, 0..1, between them by trapezoids. Of an additive game it is 1/2 for a
    random order. None where v(all) is not at least LEAST above v(nobody): the players do not make this answer.
    """
    everyone = frozenset(range(len(scores)))
    return _area(value, scores, [[everyone - best for best in _best(scores, n)] for n in range(len(scores) + 1)])


def insertion_auc(value: LogLikelihood, scores: Order) -> float | None:
    """The same area while players come to nobody, the best first. High is good."""
    return _area(value, scores, [_best(scores, n) for n in range(len(scores) + 1)])


def deletion_gain(value: LogLikelihood, scores: Order) -> float | None:
    """How far `deletion_auc` lies below its mean over all orders. Higher is better, 0 for constant scores."""
    ours, random = deletion_auc(value, scores), deletion_auc(value, [0.0] * len(scores))
    return None if ours is None or random is None else random - ours


def insertion_gain(value: LogLikelihood, scores: Order) -> float | None:
    """How far `insertion_auc` lies above its mean over all orders. Higher is better, 0 for constant scores."""
    ours, random = insertion_auc(value, scores), insertion_auc(value, [0.0] * len(scores))
    return None if ours is None or random is None else ours - random


def lds(value: LogLikelihood, scores: Order, subsets: Collection[Coalition]) -> float | None:
    """Linear datamodelling score: Spearman's rho between v and the sum of the scores of who is present, over subsets.

    Of 1 the scores rank what happens under any ablation; 0 for constant scores. None where v is the same for all
    subsets, or there are fewer than three.
    """
    predicted = [fsum(scores[player] for player in subset) for subset in subsets]
    values = [value(subset) for subset in subsets]
    return spearman(predicted, values) if len(values) > 2 else None


def spearman(predicted: Sequence[float], values: Sequence[float]) -> float | None:
    """Spearman's rho, ties at their mean rank. 0 if all predictions tie, None if all values do."""
    from scipy.stats import spearmanr

    ours, theirs = _levels(predicted), _levels(values)
    if not np.ptp(theirs):
        return None
    return float(spearmanr(ours, theirs).statistic) if np.ptp(ours) else 0.0


def kendall_tau(scores: Order, reference: Order) -> float | None:
    """Kendall's tau-b to the reference, which is exact Shapley values here. 0 if all scores tie, None if those do.

    >>> round(kendall_tau([3, 2, 1], [0.6, 0.1, 0.3]), 4)  # two pairs in the same order, one in the other
    0.3333
    """
    from scipy.stats import kendalltau

    ours, theirs = _levels(scores), _levels(reference)
    if not np.ptp(theirs):
        return None
    return float(kendalltau(ours, theirs).statistic) if np.ptp(ours) else 0.0


def efficiency_gap(value: LogLikelihood, scores: Order) -> float:
    """|sum of the scores - (v(all) - v(nobody))|, in the value's own unit: 0 for Shapley values, by their axiom."""
    return abs(fsum(scores) - (value(frozenset(range(len(scores)))) - value(frozenset())))


def support_recall(scores: Order, gold: Collection[int], k: int = 2, missed: int = 0) -> float:
    """Share of the gold passages among the k best-scored players; `missed` are those that are no players at all.

    >>> support_recall([0.5, 0.0, 0.0, 0.0, 0.5], {0, 4}), support_recall([0.0] * 5, {0, 4})
    (1.0, 0.4)
    """
    ways = _best(scores, min(k, len(scores)))
    found = fsum(len(best & frozenset(gold)) for best in ways) / len(ways)
    return found / (len(gold) + missed)


def recall_area(scores: Order, gold: Collection[int], missed: int = 0) -> float:
    """Mean of the recall at 1, 2, ..., all players: TextGenSHAP's area under recall against k, of re-ranked passages.

    >>> recall_area([0.1, 0.9], {1}), recall_area([0.9, 0.1], {1})
    (1.0, 0.5)
    """
    return fsum(support_recall(scores, gold, k, missed) for k in range(1, len(scores) + 1)) / len(scores)


def _best(scores: Order, count: int) -> list[Coalition]:
    """The `count` best players, in every way to break a tie at the end of them."""
    if count == 0:
        return [frozenset()]
    levels = _levels(scores)
    last = np.sort(levels)[-count]
    surely = frozenset(np.flatnonzero(levels > last).tolist())
    tied = np.flatnonzero(levels == last).tolist()
    return [surely | frozenset(chosen) for chosen in combinations(tied, count - len(surely))]


def _area(value: LogLikelihood, scores: Order, steps: Sequence[Sequence[Coalition]]) -> float | None:
    nobody = value(frozenset())
    span = value(frozenset(range(len(scores)))) - nobody
    if not scores or span < LEAST:
        return None
    heights = [(_mean(value, coalitions) - nobody) / span for coalitions in steps]
    return (fsum(heights) - (heights[0] + heights[-1]) / 2) / len(scores)


def _mean(value: LogLikelihood, coalitions: Sequence[Coalition]) -> float:
    return fsum(map(value, coalitions)) / len(coalitions)


def _levels(values: Sequence[float]) -> NDArray[np.float64]:
    """The values in units of the largest, rounded: equal where they differ by rounding only."""
    data = np.asarray(values, dtype=float)
    most = np.abs(data).max(initial=0.0)
    return np.round(data / most, DIGITS) if most else data
