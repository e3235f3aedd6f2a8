"""The bootstrap over questions: how much a mean, or the difference of two systems' means, can carry."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Values = Sequence[float] | NDArray[Any]
CHUNK = 500_000  # values drawn at a time, 4 MB of them and 4 MB of their places: all draws at once need gigabytes
TIE = 1e-12  # a mean that is 0 but for its rounding, as that of 0.1, 0.2 and -0.3, relative to the largest value


@dataclass(frozen=True, slots=True)
class Difference:
    """The mean of a - b over `n` questions, its 95 % interval, and p: two-sided, for no difference."""

    mean: float
    low: float
    high: float
    p: float
    n: int

    def to_json(self) -> dict[str, Any]:
        """{"difference": mean, "interval": [low, high], "p": p}, to four decimals, and 0 without a minus."""
        mean, low, high, p = (round(value, 4) + 0.0 for value in (self.mean, self.low, self.high, self.p))
        return {"difference": mean, "interval": [low, high], "p": p}


def bootstrap_interval(values: Values, seed: int = 0, draws: int = 10_000) -> tuple[float, float]:
    """95 % percentile bootstrap interval of the mean, over questions; (0, 0) without values."""
    data = np.asarray(values, dtype=float)
    return _interval(_resampled_means(data, seed, draws)) if data.size else (0.0, 0.0)


def paired_difference(a: Values, b: Values, seed: int = 0, draws: int = 10_000) -> Difference:
    """Paired bootstrap of mean(a - b); a[i] and b[i] are two systems' scores on the same question.

    Questions are resampled in pairs, as is usual for comparing systems on one test set (Berg-Kirkpatrick et al. 2012).
    The interval is the percentile interval (Efron and Tibshirani 1993, chapter 13), and p turns it round: twice the
    smaller share of the resampled means on one side of 0, with 1 added to count and draws so that it is never 0.
    Without questions all is 0 and p is 1. Raises ValueError where the lengths differ.
    """
    if len(a) != len(b):
        raise ValueError(f"{len(a)} and {len(b)} scores: a pair needs both")
    data = np.asarray(a, dtype=float) - np.asarray(b, dtype=float)
    if not data.size:
        return Difference(0.0, 0.0, 0.0, 1.0, 0)
    means = _resampled_means(data, seed, draws)
    tie = TIE * np.abs(data).max()
    count = min(np.count_nonzero(means <= tie), np.count_nonzero(means >= -tie))
    return Difference(float(data.mean()), *_interval(means), min(1.0, 2 * (count + 1) / (draws + 1)), len(data))


def summarise(
    scores: Sequence[Mapping[str, float | None]], seed: int = 0
) -> tuple[dict[str, float], dict[str, list[float]]]:
    """(means, 95 % intervals) of each measure, over the questions where it applies (is not None)."""
    means: dict[str, float] = {}
    intervals: dict[str, list[float]] = {}
    for name in dict.fromkeys(name for subset in scores for name in subset):
        if values := [value for subset in scores if (value := subset.get(name)) is not None]:
            means[name] = round(sum(values) / len(values), 12)  # enough for any comparison, and 0.3 stays 0.3
            intervals[name] = [round(bound, 4) for bound in bootstrap_interval(values, seed)]
    return means, intervals


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which `share` (0..1) of the values lie; 0 without values."""
    return float(np.percentile(values, share * 100)) if values else 0.0


def _resampled_means(data: NDArray[np.float64], seed: int, draws: int) -> NDArray[np.float64]:
    """(draws,) means of samples with replacement of the (n,) data. CHUNK changes the memory, not the numbers."""
    random = np.random.default_rng(seed)
    means = np.empty(draws)
    rows = max(1, CHUNK // len(data))
    for start in range(0, draws, rows):
        part = means[start : start + rows]
        part[:] = data[random.integers(0, len(data), size=(len(part), len(data)))].mean(axis=1)
    return means


def _interval(means: NDArray[np.float64]) -> tuple[float, float]:
    low, high = np.percentile(means, [2.5, 97.5])
    return float(low), float(high)
