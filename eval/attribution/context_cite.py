"""ContextCite by its own package, with our readings in place of its model: only for comparison, an optional extra.

The package (context-cite 0.0.4 of arXiv 2409.00729) asks a model of transformers in a prompt of its own. Only its
draws of ablations (which sources each leaves) and its solver (the weights of the answer's logit) are used here. So it
explains the same answer of the same reader as all other methods.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from rag.attribute.shapley import Coalition

KEPT = 0.5  # a source's probability of being left, the package's own


def installed() -> bool:
    return importlib.util.find_spec("context_cite") is not None


def package_scores(
    players: int, logit: Callable[[Coalition], float], tokens: int, ablations: int
) -> tuple[tuple[float, ...], frozenset[Coalition]]:
    """A weight for each source, and the coalitions asked for; one that is drawn twice is fitted twice.

    `tokens` is the answer's length, by which the package divides the logit before its penalty. Its draws are the same
    for every question: it seeds the first with 0, the second with 1.
    """
    draw, solver = _package()
    masks = np.array([draw(players, KEPT, seed) for seed in range(ablations)])
    drawn = [frozenset(np.flatnonzero(mask).tolist()) for mask in masks]
    weights, _ = solver.fit(masks, np.array([logit(coalition) for coalition in drawn]), tokens)
    return tuple(weights.tolist()), frozenset(drawn)


@cache
def _package() -> tuple[Callable[[int, float, int], Any], Any]:
    """The package's draw of one ablation, and its solver. Its import would fetch a sentence splitter."""
    import nltk

    fetch, nltk.download = nltk.download, lambda *_, **__: True
    try:
        from context_cite.solver import LassoRegression
        from context_cite.utils import _create_mask
    finally:
        nltk.download = fetch
    return _create_mask, LassoRegression()
