"""Measures that our benchmarks share: answer matching and bootstrap intervals."""

from __future__ import annotations

import re
import string
from collections.abc import Sequence

import numpy as np

from rag.read.notes import fold


def normalise(text: str) -> str:
    """HotpotQA's and SQuAD's answer normalisation (lower case, no punctuation, no articles), after folding dashes.

    >>> normalise("The AD 2018–23–51.")
    'ad 20182351'
    """
    text = "".join(character for character in fold(text) if character not in string.punctuation)
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", text).split())


def contains_gold(answer: str, golds: Sequence[str]) -> bool:
    """Whether the answer contains one of the gold strings as whole words, both normalised.

    >>> contains_gold("about 684K triples", ["684K"]), contains_gold("1620", ["162"])
    (True, False)
    """
    words = f" {normalise(answer)} "
    return any(f" {normalise(gold)} " in words for gold in golds if normalise(gold))


def bootstrap_interval(values: Sequence[float], seed: int = 0, draws: int = 10_000) -> tuple[float, float]:
    """95 % percentile bootstrap interval of the mean, over questions; (0, 0) without values."""
    if not values:
        return 0.0, 0.0
    data = np.asarray(values, dtype=float)
    picks = np.random.default_rng(seed).integers(0, len(data), size=(draws, len(data)))
    low, high = np.percentile(data[picks].mean(axis=1), [2.5, 97.5])
    return float(low), float(high)


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which `share` (0..1) of the values lie; 0 without values."""
    return float(np.percentile(values, share * 100)) if values else 0.0
