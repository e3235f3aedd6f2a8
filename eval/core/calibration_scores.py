"""Whether a probability can be believed: AUC, expected calibration error, and what a threshold costs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

BINS = 10  # of equal width, of the calibration error (Guo et al. 2017, section 2)
DRAWS = 1000  # of the bootstrap
Measure = Callable[[NDArray[np.bool_], NDArray[np.float64]], float]
THRESHOLDS = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8)


def auc(right: NDArray[np.bool_], probabilities: NDArray[np.float64]) -> float:
    """The chance that a right answer has a higher probability than a wrong one, ties half (Mann and Whitney 1947).

    0.5 where all are right or all wrong.

    >>> auc(np.asarray([True, False, True]), np.asarray([0.9, 0.5, 0.5]))
    0.75
    """
    positives, negatives = probabilities[right], np.sort(probabilities[~right])
    if not len(positives) or not len(negatives):
        return 0.5
    below = np.searchsorted(negatives, positives, "left") + np.searchsorted(negatives, positives, "right")
    return float(below.mean() / 2 / len(negatives))


def expected_calibration_error(right: NDArray[np.bool_], probabilities: NDArray[np.float64]) -> float:
    """How far the share of right answers is from the mean probability, in bins, weighted by their size: 0..1.

    >>> round(expected_calibration_error(np.asarray([True, False]), np.asarray([0.75, 0.75])), 4)
    0.25
    """
    bins = _bin_of(probabilities)
    gaps = (
        abs(right[bins == i].mean() - probabilities[bins == i].mean()) * (bins == i).mean() for i in np.unique(bins)
    )
    return float(sum(gaps))


def bootstrap_interval(
    measure: Measure, right: NDArray[np.bool_], probabilities: NDArray[np.float64], seed: int
) -> list[float]:
    """The 95 % interval of a measure over answers drawn again: [low, high]."""
    draw = np.random.default_rng(seed)
    drawn = (draw.integers(0, len(right), len(right)) for _ in range(DRAWS))
    values = [measure(right[rows], probabilities[rows]) for rows in drawn]
    return [round(float(bound), 4) for bound in np.percentile(values, [2.5, 97.5])]


def calibration(right: Sequence[bool], probabilities: Sequence[float], seed: int = 0) -> dict[str, Any]:
    """AUC and calibration error with 95 % bootstrap intervals, the reliability of each bin, the risk of each threshold.

    A bin has its mean probability, the share of right answers and how many there are. A threshold has the share of the
    answers that reach it, and the share of wrong ones among these. {} without answers.
    """
    if not right:
        return {}
    truth, said = np.asarray(right, dtype=np.bool_), np.asarray(probabilities, dtype=np.float64)
    measures: dict[str, Measure] = {"auc": auc, "ece": expected_calibration_error}
    bins = _bin_of(said)
    return {
        "n": len(truth),
        **{name: round(measure(truth, said), 4) for name, measure in measures.items()},
        "intervals": {name: bootstrap_interval(measure, truth, said, seed) for name, measure in measures.items()},
        "reliability": [
            {
                "n": int((bins == i).sum()),
                "probability": round(float(said[bins == i].mean()), 4),
                "right": round(float(truth[bins == i].mean()), 4),
            }
            for i in np.unique(bins)
        ],
        "risk": [
            {
                "threshold": threshold,
                "shown": round(float((said >= threshold).mean()), 4),
                "wrong": round(float((~truth[said >= threshold]).mean()), 4),
            }
            for threshold in THRESHOLDS
            if (said >= threshold).any()
        ],
    }


def _bin_of(probabilities: NDArray[np.float64]) -> NDArray[np.int64]:
    return np.minimum((probabilities * BINS).astype(np.int64), BINS - 1)
