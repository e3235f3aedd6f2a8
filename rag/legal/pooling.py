"""A case's vector from those of its passages: their mean, by attention, or by what was trained; and the trained folder.

Vectors of passages have unit length, and so has what they are pooled to.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from rag.errors import ModelError, first_line_of

RECORD = "precedents.json"  # in a trained folder: what it was trained from
WEIGHTS = "pooling.safetensors"


def mean_pool(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """The mean of passage vectors (n, d) at unit length: (d,); zeros where nothing is left."""
    return _unit(vectors.sum(axis=0))


def attention_pool(vectors: NDArray[np.float32], query: NDArray[np.float32], temperature: float) -> NDArray[np.float32]:
    """The mean of (n, d) vectors weighted by softmax(their cosines to the query (d,) / temperature), at unit length.

    Untrained attention, by the case that asks; `Pooling` has the attention that was learned.
    """
    return _unit(_attended(vectors, query / temperature))


def late_interaction(query: NDArray[np.float32], vectors: NDArray[np.float32]) -> float:
    """The mean over the query's passages (m, d) of the cosine of the most similar passage (n, d): 0 without either."""
    return float((query @ vectors.T).max(axis=1).mean()) if len(query) and len(vectors) else 0.0


@dataclass(frozen=True, slots=True)
class Pooling:
    """What was learned: passages v_i (n, d) pool to W sum_i a_i v_i at unit length, a = softmax(v_i . u).

    `projection` W is (d, d), `attention` u (d,). With the identity and zeros it is the mean.
    """

    projection: NDArray[np.float32]
    attention: NDArray[np.float32]

    def __call__(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        """(n, d) -> (d,); zeros for no passage. Raises ModelError for vectors of another size."""
        if vectors.shape[1] != len(self.attention):
            raise ModelError(
                f"precedents.pooling is for vectors of {len(self.attention)} dimensions, dense.model gives "
                f"{vectors.shape[1]}. Train it again: glossator train precedents"
            )
        return _unit(self.projection @ _attended(vectors, self.attention))

    def save(self, folder: Path) -> None:
        save_file({"projection": self.projection, "attention": self.attention}, folder / WEIGHTS)


def open_pooling(folder: Path, base: str) -> Pooling:
    """What `glossator train precedents` wrote, for vectors of the dense encoder `base`.

    Raises ModelError for a folder that is missing or damaged, and for one that was trained on another encoder's.
    """
    try:
        record: dict[str, Any] = json.loads((folder / RECORD).read_text("utf-8"))
        trained_on = str(record["base"])
        tensors = load_file(folder / WEIGHTS)
        pooling = Pooling(*(np.asarray(tensors[name], dtype=np.float32) for name in ("projection", "attention")))
        if pooling.attention.ndim != 1 or pooling.projection.shape != pooling.attention.shape * 2:
            raise ValueError(f"its shapes are {pooling.projection.shape} and {pooling.attention.shape}")
        if not (np.isfinite(pooling.projection).all() and np.isfinite(pooling.attention).all()):
            raise ValueError("some of its numbers are none")
    except Exception as error:  # no such file, no such tensor, no such format
        raise ModelError(
            f"precedents.pooling {folder} cannot be used: {first_line_of(error)}. "
            "Name a folder of: glossator train precedents"
        ) from error
    if trained_on != base:
        raise ModelError(
            f"precedents.pooling {folder} was trained on vectors of {trained_on}, dense.model is {base}. "
            "Set that dense.model, or train it again: glossator train precedents"
        )
    return pooling


def _attended(vectors: NDArray[np.float32], query: NDArray[np.float32]) -> NDArray[np.float32]:
    """The mean of (n, d) vectors weighted by softmax(v_i . query): (d,); the sum of none is zeros."""
    likeness = vectors @ query
    weights = np.exp(likeness - likeness.max(initial=-np.inf))
    mean: NDArray[np.float32] = (weights / max(weights.sum(), 1e-9)) @ vectors
    return mean


def _unit(vector: NDArray[np.float32]) -> NDArray[np.float32]:
    length = float(np.linalg.norm(vector))
    return (vector / length).astype(np.float32) if length > 1e-6 else np.zeros_like(vector, dtype=np.float32)
