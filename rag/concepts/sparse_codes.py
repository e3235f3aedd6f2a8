"""How a dense vector becomes a few weighted concepts: TopK, AbsTopK, top-AFA and matching pursuit.

All take rows: `values` (n, m) are what each of m concepts reads off each of n vectors, `centred` (n, d) the vectors
minus their mean, `atoms` (m, d) the concepts' unit directions. All give codes (n, m), mostly zeros, whose product with
the atoms is near `centred`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.float32]


def top_k(values: Rows, k: int) -> Rows:
    """The k largest values of each row that are above 0, the others 0: Gao et al., arXiv 2406.04093, eq. of TopK.

    >>> top_k(np.float32([[3, -4, 1, 2]]), 2).tolist()
    [[3.0, 0.0, 0.0, 2.0]]
    """
    return _kept(np.maximum(values, 0), np.maximum(values, 0), k)


def abs_top_k(values: Rows, k: int) -> Rows:
    """The k values of each row that are furthest from 0, with their signs: AbsTopK, arXiv 2510.00404.

    >>> abs_top_k(np.float32([[3, -4, 1, 2]]), 2).tolist()
    [[3.0, -4.0, 0.0, 0.0]]
    """
    return _kept(values, np.abs(values), k)


def _kept(values: Rows, sizes: Rows, k: int) -> Rows:
    codes = np.zeros_like(values)
    if k >= values.shape[1]:
        return values.copy()
    chosen = np.argpartition(-sizes, k - 1, axis=1)[:, :k]
    np.put_along_axis(codes, chosen, np.take_along_axis(values, chosen, axis=1), axis=1)
    return codes


def top_afa(values: Rows, centred: Rows) -> Rows:
    """As many of the largest values above 0 as bring the squared length nearest to the vector's own.

    top-AFA, arXiv 2503.24277: with atoms of unit length and nearly orthogonal, the squared length of what is decoded is
    about the sum of the squares of the codes, so each row says itself how many it needs. At least one.

    >>> top_afa(np.float32([[3, 2, 1]]), np.float32([[3, 2, 0]])).tolist()
    [[3.0, 2.0, 0.0]]
    """
    positive = np.maximum(values, 0)
    order = np.argsort(-positive, axis=1)
    lengths = np.cumsum(np.take_along_axis(positive, order, axis=1) ** 2, axis=1)
    wanted = np.abs(lengths - (centred**2).sum(axis=1, keepdims=True)).argmin(axis=1)
    ranks = np.empty_like(order)
    np.put_along_axis(ranks, order, np.arange(values.shape[1])[None, :], axis=1)
    return np.where(ranks <= wanted[:, None], positive, 0).astype(np.float32)


def pursuit(centred: Rows, atoms: Rows, steps: int, positive: bool = False) -> Rows:
    """Matching pursuit: `steps` times the atom with the largest inner product with what is left is taken from it.

    MP-SAE, arXiv 2506.03093; Mallat and Zhang 1993. An atom may be taken again: its weights add up. What is left gets
    shorter with every step. `positive`: only atoms that point its way are taken.

    >>> pursuit(np.float32([[2, -3]]), np.eye(2, dtype=np.float32), 1).tolist()
    [[0.0, -3.0]]
    >>> pursuit(np.float32([[2, -3]]), np.eye(2, dtype=np.float32), 1, positive=True).tolist()
    [[2.0, 0.0]]
    """
    left, codes = centred.copy(), np.zeros((len(centred), len(atoms)), dtype=np.float32)
    rows = np.arange(len(centred))
    for _ in range(steps):
        products = left @ atoms.T
        chosen = (products if positive else np.abs(products)).argmax(axis=1)
        weights = products[rows, chosen]
        if positive:
            weights = np.maximum(weights, 0)
        codes[rows, chosen] += weights
        left -= weights[:, None] * atoms[chosen]
    return codes
