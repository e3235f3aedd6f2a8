"""What a sparse encoder is trained by: ranking losses, what many terms cost, and teachers made one.

A query has candidates: scores are (queries, candidates), a higher score is a better candidate, and where a query has
fewer candidates than others its row ends in -inf. Weights are (texts, vocabulary), 0 or more.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

SCALE = 30.0  # of an ensemble's scores from 0 to 1, before the softmax (arXiv 2411.04403)
CLOSE = 1e-6  # teachers whose scores differ by less say nothing (the same code's epsilon)


def contrastive(scores: Tensor, positive: Tensor) -> Tensor:
    """The mean over queries, and over each one's positives, of -log of the share that a positive has in the softmax of
    itself and the negatives: InfoNCE with any number of positives.

    `positive` (queries, candidates) says which they are, at least one a row. With one it is cross-entropy. A question
    that takes several passages must find each: of the share that they have together the easiest one satisfies all.
    """
    import torch

    least = torch.finfo(scores.dtype).min  # and not -inf, which has no gradient where there is no negative
    negatives = torch.logsumexp(scores.masked_fill(positive | scores.isneginf(), least), 1, keepdim=True)
    losses = torch.nn.functional.softplus(negatives - scores.masked_fill(~positive, 0))
    return ((losses * positive).sum(1) / positive.sum(1)).mean()


def margin_mse(scores: Tensor, teacher: Tensor) -> Tensor:
    """The mean squared difference of margins, first candidate over each other one, between student and teacher.

    Hofstätter et al., arXiv 2010.02666. The first candidate of a row is its positive; there are at least two columns.
    """
    present = scores[:, 1:].isfinite()
    difference = (scores[:, :1] - scores[:, 1:])[present] - (teacher[:, :1] - teacher[:, 1:])[present]
    return difference.square().mean()


def kl_divergence(scores: Tensor, teacher: Tensor) -> Tensor:
    """The mean over queries of KL(softmax(teacher) || softmax(scores)), in nats."""
    import torch

    present = scores.isfinite()
    goal = torch.softmax(teacher.masked_fill(~present, -torch.inf), 1)
    # 0 log 0 is 0: a candidate that is not there has no share, and no logarithm is taken of it.
    log_goal = goal.clamp(min=torch.finfo(goal.dtype).tiny).log()
    log_share = torch.log_softmax(scores, 1).masked_fill(~present, 0)
    return (goal * (log_goal - log_share)).sum(1).mean()


def ensemble(teachers: Sequence[Tensor], present: Tensor) -> Tensor:
    """One teacher made of several, whatever their scales: the mean of their scores from 0 to 1, times SCALE.

    Each teacher's scores (queries, candidates) are stretched so that a query's lowest is 0 and its highest 1, over the
    candidates that are `present`. A teacher that tells a query's candidates not apart gives 0 for all. Geng et al.,
    arXiv 2411.04403 (heterogeneous ensemble distillation).
    """
    import torch

    total = torch.zeros(present.shape, device=present.device)
    for scores in teachers:
        low = scores.masked_fill(~present, torch.inf).amin(1, keepdim=True)
        high = scores.masked_fill(~present, -torch.inf).amax(1, keepdim=True)
        stretched = (scores - low) / (high - low).clamp(min=CLOSE)
        total = total + stretched.masked_fill(~present, 0)
    return total * (SCALE / len(teachers))


def flops(weights: Tensor) -> Tensor:
    """The sum over terms of the squared mean weight: about how often a query's term meets a text (arXiv 2004.05665).

    Where queries weigh terms by idf and this does not, a frequent term pays the full price for a small part of the
    match: the idf-aware penalty of arXiv 2411.04403.
    """
    return weights.mean(0).square().sum()


def l1(weights: Tensor) -> Tensor:
    """The mean over texts of the sum of weights."""
    return weights.sum(1).mean()


def ramp(step: int, steps: int) -> float:
    """The share of the penalty at `step`, from 0: it grows as (step / steps)^2 and stays 1 (arXiv 2109.10086).

    >>> [ramp(step, 4) for step in (0, 2, 4, 8)]
    [0.0, 0.25, 1.0, 1.0]
    """
    return min(1.0, step / steps) ** 2 if steps else 1.0
