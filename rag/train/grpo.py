"""The arithmetic of group relative policy optimisation (GRPO): DeepSeekMath (arXiv 2402.03300), section 4.1."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

KL = 0.001  # the weight of the divergence from the reference: EviNote-RAG's
CLIP = 0.2  # usual since PPO (arXiv 1707.06347)


def advantages(rewards: Sequence[float]) -> list[float]:
    """How much better than its group each rollout is: (r - mean) / standard deviation; all 0 where rewards are equal.

    DeepSeekMath, section 4.1.2; the deviation is the sample's (n - 1), as in the release's framework (verl).

    >>> advantages([0.0, 1.0, 2.0]), advantages([0.1, 0.1, 0.1])
    ([-1.0, 0.0, 1.0], [0.0, 0.0, 0.0])
    """
    if len(set(rewards)) < 2:
        return [0.0] * len(rewards)
    mean = sum(rewards) / len(rewards)
    deviation = (sum((r - mean) ** 2 for r in rewards) / (len(rewards) - 1)) ** 0.5
    return [(r - mean) / deviation for r in rewards]


def kl_estimate(new: Tensor, reference: Tensor) -> Tensor:
    """The divergence from the reference at each token, q / p - log(q / p) - 1 with q the reference's probability.

    Log-probabilities in, one each. Never negative, unbiased and of low variance: "k3" of Schulman's note on estimating
    it (2020), DeepSeekMath's equation 4.
    """
    ratio = reference - new
    return ratio.exp() - ratio - 1


def grpo_loss(new: Tensor, old: Tensor, reference: Tensor, generated: Tensor, advantage: float) -> Tensor:
    """The loss of one rollout, a mean over the tokens that the model generated: DeepSeekMath, equation 3.

    Log-probabilities (tokens,) by the weights as they are, as they were when the rollout was made, and as they were
    before training; `generated` is a mask (tokens,) with at least one True.
    """
    import torch

    new, old, reference = new[generated], old[generated], reference[generated]
    ratio = (new - old).exp()
    gain = torch.minimum(ratio * advantage, ratio.clamp(1 - CLIP, 1 + CLIP) * advantage)
    return (KL * kl_estimate(new, reference) - gain).mean()
