"""How a sparse encoder is trained: the numbers of a recipe, and what they must be at least."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

from rag.errors import UsageError

LEAST = {
    "steps": 1, "epochs": 1, "queries": 1, "given": 0, "negatives": 0, "rate": 0, "warm_up": 0, "max_tokens": 8,
    "labels": 0, "penalty_weight": 0, "ramp_steps": 0, "share": 0, "every": 1, "patience": 1,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Recipe:
    """How to train; eval/log.md says how the defaults were chosen."""

    steps: int = 500
    epochs: int = 5  # no more steps than pass each query this often: a small library is soon known by heart
    queries: int = 20  # a step
    given: float = 0.6  # share of them that are given, not self-made, where there are both
    negatives: int = 7  # a query's own; those of the step's other queries come on top
    rate: float = 3e-4
    warm_up: int = 20  # steps
    max_tokens: int = 128  # learnt of a text, however many are indexed and measured; twice as many cost twice the time
    teachers: tuple[Literal["bm25", "dense", "sparse"], ...] = ("bm25", "dense", "sparse")
    # "none": the teachers only find the hard negatives. With labels alone libraries gained more, see eval/log.md.
    distillation: Literal["kl", "margin", "none"] = "none"
    # Of the student's scores in the losses. It changes no ranking, but at 1 the softmax is so sharp that the first
    # steps do nothing but make all weights smaller.
    scale: float = 0.3
    labels: float = 2.0  # weight of the contrastive loss beside the distillation's and the penalty's
    penalty: Literal["flops", "l1"] = "flops"
    penalty_weight: float = 0.01
    free_terms: int = 150  # a text with fewer pays nothing
    ramp_steps: int = 30
    idf_aware: bool = True  # the penalty is on the weights, and not on weight times idf
    train_idf: bool = False
    # Of the way from the base's weights to the trained ones, which is what is measured and kept: what the base knows of
    # other texts is not lost (WiSE-FT: Wortsman et al., arXiv 2109.01903).
    share: float = 0.7
    every: int = 100  # steps between two measurements, each with a checkpoint
    patience: int = 4  # measurements without a new best, after which it ends early: the first is often below the base
    seed: int = 0

    def __post_init__(self) -> None:
        """Raises UsageError for a number that is too small to train with."""
        for name, least in LEAST.items():
            if not getattr(self, name) >= least:  # nor is it, of what is no number
                raise UsageError(f"recipe: {name} is {getattr(self, name)}. Give {least} or more")
        for name in ("given", "share"):
            if getattr(self, name) > 1:
                raise UsageError(f"recipe: {name} is {getattr(self, name)}, and a share. Give 1 or less")

    def fitted(self, queries: int) -> Recipe:
        """The recipe for this number of queries to learn from. One with fewer steps is measured five times, too."""
        steps = math.ceil(self.epochs * queries / self.queries)
        return self if steps >= self.steps else replace(self, steps=steps, every=min(self.every, math.ceil(steps / 5)))
