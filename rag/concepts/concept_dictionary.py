"""A dictionary of concepts: directions in the space of a library's dense vectors, of which each vector has a few.

A vector x is read as mean + sum over concepts of code * atom + a remainder, so every inner product with it, and with it
the dense score of a passage, splits into what each concept adds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from rag.concepts.sparse_codes import abs_top_k, pursuit, top_afa, top_k

Kind = Literal["topk", "abstopk", "afa", "pursuit", "pca", "random"]
KINDS: tuple[Kind, ...] = ("topk", "abstopk", "afa", "pursuit", "pca", "random")
AT_ONCE = 4096  # vectors that are encoded together: 16 MB of codes for 1,024 concepts
Rows = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Dictionary:
    """`mean` (d,); `atoms` (m, d) of unit length; `reading` (m, d): what reads each concept off a centred vector.

    At most `active` concepts of a vector are not 0. `kind`: "topk", "abstopk", "afa" and "pursuit" are trained sparse
    autoencoders, "pca" are principal components and "random" is random directions by matching pursuit: controls.
    """

    kind: Kind
    mean: Rows
    atoms: Rows
    reading: Rows
    active: int

    def codes(self, vectors: Rows) -> Rows:
        """The codes (n, m) of vectors (n, d)."""
        centred = vectors - self.mean
        if self.kind in ("pursuit", "random"):
            return pursuit(centred, self.atoms, self.active)
        values = (centred @ self.reading.T).astype(np.float32, copy=False)
        if self.kind == "afa":
            return top_afa(values, centred)
        return top_k(values, self.active) if self.kind == "topk" else abs_top_k(values, self.active)

    def decoded(self, codes: Rows) -> Rows:
        """What the codes (n, m) say of the vectors: (n, d)."""
        return (self.mean + codes @ self.atoms).astype(np.float32)

    def main_codes(self, vectors: Rows) -> tuple[NDArray[np.int32], Rows]:
        """The concepts (n, active) of each vector and their weights, heaviest first; weight 0 where there is none."""
        ids, weights = [], []
        width = min(self.active, len(self.atoms))
        for first in range(0, len(vectors), AT_ONCE):
            codes = self.codes(vectors[first : first + AT_ONCE])
            some = np.sort(np.argpartition(-np.abs(codes), width - 1, axis=1)[:, :width], axis=1)
            kept = np.take_along_axis(codes, some, axis=1)
            order = np.argsort(-np.abs(kept), axis=1, kind="stable")
            ids.append(np.take_along_axis(some, order, axis=1).astype(np.int32))
            weights.append(np.take_along_axis(kept, order, axis=1))
        if not ids:
            return np.zeros((0, width), dtype=np.int32), np.zeros((0, width), dtype=np.float32)
        return np.concatenate(ids), np.concatenate(weights)

    def contributions(self, query: Rows, vectors: Rows) -> tuple[Rows, Rows]:
        """What each concept adds to the inner products of a query (d,) with vectors (n, d): (n, m); and the rest, (n,).

        Both add up to what sets a vector apart from the mean, query @ (vector - mean). By matching pursuit on the
        atoms, which leaves less of a score unexplained than the codes that choose a passage's concepts, and needs fewer
        concepts for it (eval/log.md).
        """
        centred = vectors - self.mean
        codes = pursuit(centred, self.atoms, self.active, self.kind in ("topk", "afa"))
        parts: Rows = codes * (self.atoms @ query)
        return parts, centred @ query - parts.sum(axis=1)

    def unexplained(self, vectors: Rows) -> float:
        """The share of the variance about the mean that the codes leave, 0..1 (and above, where they add to it)."""
        left = vectors - self.decoded(self.codes(vectors))
        return float((left**2).sum() / max(((vectors - self.mean) ** 2).sum(), 1e-12))


def without(query: Rows, atoms: Rows) -> Rows:
    """The query (d,) without its part in the span of the atoms (n, d), which need not be orthogonal.

    >>> without(np.float32([3, 4]), np.float32([[1, 0]])).tolist()
    [0.0, 4.0]
    """
    if not len(atoms):
        return query
    weights = np.linalg.lstsq(atoms.T.astype(np.float64), query.astype(np.float64), rcond=1e-6)[0]
    return (query - atoms.T @ weights).astype(np.float32)
