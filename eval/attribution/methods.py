"""Methods that score documents by a table of readings: Shapley, Banzhaf, leave-one-out, a linear surrogate, controls.

Each method is scored from the same table, with the number of different coalitions that it needs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eval.attribution.coalition_readings import LIKELIHOOD, LOGIT, VOTES, Readings, coalitions
from eval.attribution.context_cite import installed, package_scores
from rag.attribute.game import LOG_P
from rag.attribute.shapley import (
    Coalition,
    Game,
    Scores,
    Value,
    banzhaf,
    exact_banzhaf,
    exact_shapley,
    leave_one_out,
    permutation_shapley,
)

OURS = ("Shapley, votes", "Shapley, likelihood")  # what `ask --attribute document` shows, and the labelled alternative
RETRIEVER, RANDOM, SURROGATE = "retriever's order", "random", "linear surrogate (as ContextCite)"
PACKAGE = "context-cite (package)"  # only where it is installed
ATTENTION = "attention"
PENALTY = 0.01  # of the lasso, ContextCite's


@dataclass(frozen=True, slots=True)
class Scored:
    """Scores of a method, one a document. `value` is what they divide, "" if nothing; `asked` are the coalitions used.

    `budget` is the row's number of calls: 0 for controls, else the most coalitions that are asked.
    """

    scores: tuple[float, ...]
    value: str
    budget: int
    asked: frozenset[Coalition]


class _Table:
    """Readings as a value function with a column for votes and one for log p; it records which coalitions are asked."""

    def __init__(self, readings: Readings):
        self._readings = readings
        self.asked: set[Coalition] = set()

    def __call__(self, subset: Sequence[Coalition]) -> dict[Coalition, Value]:
        self.asked |= set(subset)
        return {c: {self._readings.vote(c): 1.0, LOG_P: self._readings.log_p[c]} for c in subset}


def scored_by_all(readings: Readings, permutations: int, seed: int, budgets: Sequence[int]) -> dict[str, Scored]:
    """Row name -> its scores. `budgets` are the numbers of calls to which samples are cut."""
    players = readings.players
    sampled: dict[str, Callable[[Game, int], Scores]] = {
        "permutation Shapley": lambda game, samples: permutation_shapley(players, game, seed, samples),
        "Banzhaf 0.5": lambda game, samples: banzhaf(players, game, seed, samples, 0.5),
        "Banzhaf 0.1": lambda game, samples: banzhaf(players, game, seed, samples, 0.1),
    }
    whole: dict[str, Callable[[Game], Scores]] = {
        "Shapley": lambda game: exact_shapley(players, game),
        "permutation Shapley": lambda game: sampled["permutation Shapley"](game, permutations),
        "Banzhaf 0.5": lambda game: exact_banzhaf(players, game, 0.5),
        "Banzhaf 0.1": lambda game: exact_banzhaf(players, game, 0.1),
    }
    rows: dict[str, Scored] = {}
    for name, estimate in whole.items():
        game = _Table(readings)
        rows |= _both(name, readings, estimate(game), 2**players, game.asked)
    rows[SURROGATE] = _surrogate(readings, seed, 2**players)
    if installed():
        rows[PACKAGE] = _by_package(readings, 2**players)
    for budget in sorted(budgets, reverse=True):
        for name, sample in sampled.items():
            scores, asked = _within(budget, readings, sample, permutations)
            rows |= _both(name, readings, scores, budget, asked, f", {budget} calls")
        rows[f"{SURROGATE}, {budget} calls"] = _surrogate(readings, seed, budget)
        if installed():
            rows[f"{PACKAGE}, {budget} calls"] = _by_package(readings, budget)
    game = _Table(readings)
    rows |= _both("leave-one-out", readings, leave_one_out(players, game), players + 1, game.asked)
    drawn = np.random.default_rng(seed).random(players)
    rows[RANDOM] = Scored(tuple(drawn.tolist()), "", 0, frozenset())
    rows[RETRIEVER] = Scored(tuple(1 / rank for rank in range(1, players + 1)), "", 0, frozenset())
    if readings.attention is not None:
        rows[ATTENTION] = Scored(readings.attention, "", 0, frozenset())
    return rows


def _both(
    name: str, readings: Readings, scores: Scores, budget: int, asked: Collection[Coalition], suffix: str = ""
) -> dict[str, Scored]:
    """A row by votes and one by the likelihood."""
    columns = {VOTES: readings.shown, LIKELIHOOD: LOG_P}
    return {
        f"{name}, {value}{suffix}": Scored(tuple(scores.score_for(column).tolist()), value, budget, frozenset(asked))
        for value, column in columns.items()
    }


def _within(
    budget: int, readings: Readings, sample: Callable[[Game, int], Scores], most: int
) -> tuple[Scores, set[Coalition]]:
    """The estimate from as many samples as ask for at most `budget` coalitions, from one at least."""
    game = _Table(readings)
    best = sample(game, 1), game.asked
    for samples in range(2, most + 1):
        game = _Table(readings)
        scores = sample(game, samples)
        if len(game.asked) > budget:
            break
        best = scores, game.asked
    return best


def _surrogate(readings: Readings, seed: int, budget: int) -> Scored:
    """The weights of a linear model of the answer's logit, from different random ablations."""
    every = coalitions(readings.players)
    drawn = np.random.default_rng(seed).permutation(len(every))[:budget].tolist()
    subset = [every[i] for i in drawn]
    design = np.array([[float(player in c) for player in range(readings.players)] for c in subset])
    weights = lasso(design, np.array([readings.value_of(LOGIT, c) for c in subset]))
    return Scored(tuple(weights.tolist()), LOGIT, budget, frozenset(subset))


def _by_package(readings: Readings, budget: int) -> Scored:
    """The same by the package itself, which draws ablations with repeats; each draw counts as a call."""
    scores, asked = package_scores(readings.players, lambda c: readings.value_of(LOGIT, c), readings.tokens, budget)
    return Scored(scores, LOGIT, budget, asked)


def lasso(
    design: NDArray[np.float64], target: NDArray[np.float64], penalty: float = PENALTY, sweeps: int = 1000
) -> NDArray[np.float64]:
    """(columns,): the w that minimises |target - design w - b|² / (2 rows) + penalty |w|₁, by coordinate descent.

    As in ContextCite (arXiv 2409.00729, section 3) the columns are brought to mean 0 and deviation 1 first, and w is
    given in the columns' own unit. A column that is the same in all rows has no weight. Unlike its package this does
    not divide the target by the answer's number of tokens, which is few here.
    """
    spread = design.std(axis=0)
    columns = (design - design.mean(axis=0)) / np.where(spread, spread, 1.0)
    left = target - target.mean()
    weights = np.zeros(design.shape[1])
    for _ in range(sweeps):
        before = weights.copy()
        for j in np.flatnonzero(spread):
            left = left + columns[:, j] * weights[j]
            slope = float(columns[:, j] @ left) / len(left)
            weights[j] = math.copysign(max(0.0, abs(slope) - penalty), slope)
            left = left - columns[:, j] * weights[j]
        if np.abs(weights - before).max(initial=0.0) <= 1e-10 * max(1.0, np.abs(weights).max(initial=0.0)):
            break
    scaled: NDArray[np.float64] = weights / np.where(spread, spread, 1.0)
    return scaled
