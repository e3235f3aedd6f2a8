"""The functions of torch.nn.functional that BERT needs, in numpy, under their names and with their arguments.

For one question they take some ten milliseconds, and torch two seconds to be imported. For many texts torch is three
times as fast, and ten times in bfloat16.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from functools import cache
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import ThreadpoolController

Array: TypeAlias = NDArray[np.float32]


@cache
def _pools() -> ThreadpoolController:
    return ThreadpoolController()


def one_thread() -> AbstractContextManager[Any]:
    """While it lasts numpy multiplies with one thread.

    With the small matrices of one question more gain nothing, and beside a busy program they wait for each other: on
    two cores of which a reader takes both a question took 108 ms (738 at worst) in place of 40 (48): eval/log.md.
    """
    limit: AbstractContextManager[Any] = _pools().limit(limits=1, user_api="blas")
    return limit


def linear(states: Array, weight: Array, bias: Array) -> Array:
    """(..., inputs) by a matrix (outputs, inputs) and a bias (outputs,): (..., outputs)."""
    sums: Array = states @ weight.T + bias
    return sums


def layer_norm(states: Array, shape: Sequence[int], weight: Array, bias: Array, epsilon: float) -> Array:
    """Mean 0 and variance 1 over the last axis, whose length is `shape`, then times `weight` and plus `bias`."""
    centred = states - states.mean(axis=-1, keepdims=True)
    variance = np.square(centred).mean(axis=-1, keepdims=True)
    normal: Array = centred / np.sqrt(variance + np.float32(epsilon)) * weight + bias
    return normal


def gelu(states: Array) -> Array:
    """x times the normal distribution's share below x, (1 + erf(x / sqrt 2)) / 2."""
    share: Array = (erf(states * np.float32(0.5**0.5)) + 1) * np.float32(0.5)
    return states * share


def erf(x: Array) -> Array:
    """Within 4e-7: Abramowitz and Stegun, Handbook of Mathematical Functions, 7.1.26. numpy has none.

    >>> import numpy as np
    >>> [f"{value:.4f}" for value in erf(np.asarray([-3, -0.5, 0, 0.5, 1], np.float32))]
    ['-1.0000', '-0.5205', '0.0000', '0.5205', '0.8427']
    """
    far = np.abs(x)
    t = 1 / (1 + 0.3275911 * far)
    rest = ((((1.061405429 * t - 1.453152027) * t + 1.421413741) * t - 0.284496736) * t + 0.254829592) * t
    share: Array = np.sign(x) * (1 - rest * np.exp(-far * far))
    return share


def scaled_dot_product_attention(query: Array, key: Array, value: Array, attn_mask: NDArray[np.bool_]) -> Array:
    """softmax(query key^T / sqrt d) value over the keys that the mask lets be seen: (..., tokens, d)."""
    scores = query @ key.swapaxes(-1, -2) * np.float32(query.shape[-1] ** -0.5)
    scores = np.where(attn_mask, scores, np.float32(-np.inf))
    weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
    mean: Array = weights @ value / weights.sum(axis=-1, keepdims=True)
    return mean
