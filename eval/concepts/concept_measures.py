"""What a dictionary of concepts is worth, in figures: how much it explains, names, separates and steers. Pure.

As the seeds ask of sparse autoencoders (Makelov et al., arXiv 2405.08366: approximation, control, interpretability;
Chanin et al., arXiv 2409.14507: absorption), each beside PCA and random directions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rag.concepts.concept_dictionary import Dictionary

Rows = NDArray[np.float32]
Mask = NDArray[np.bool_]
TOP = 5  # hits of a question that are explained
LARGEST = 3  # concepts that are read of a hit
SPLIT_FROM = 0.5  # of a class: F1 from which a concept counts as one of it


@dataclass(frozen=True, slots=True)
class Explained:
    """Of one question's hits: what of their scores, apart from the mean passage, concepts explain, and the largest
    alone. `left` and `whole` are sums of sizes: what is explained too much counts as much as what is not."""

    left: float
    whole: float
    largest: float

    @property
    def share(self) -> float:
        return 1 - self.left / max(self.whole, 1e-9)


def explained(dictionary: Dictionary, query: Rows, hits: Rows) -> Explained:
    """Of a question (d,) and its hits (n, d)."""
    parts, rest = dictionary.contributions(query, hits)
    whole = parts.sum(axis=1) + rest
    largest = -np.sort(-parts, axis=1)[:, :LARGEST].sum(axis=1) / np.where(np.abs(whole) < 1e-6, 1, whole)
    return Explained(float(np.abs(rest).sum()), float(np.abs(whole).sum()), float(np.mean(largest)))


def matched(first: Rows, second: Rows) -> NDArray[np.float64]:
    """The cosines (m,) of the first atoms with those of the second that they are matched with, one to one.

    By the greatest sum of cosines (the Hungarian method): how far two trainings found the same concepts.
    """
    from scipy.optimize import linear_sum_assignment

    cosines = first @ second.T
    rows, columns = linear_sum_assignment(-cosines)
    return np.asarray(cosines[rows, columns], dtype=np.float64)


def f1(told: Mask, wanted: Mask) -> float:
    """
    >>> f1(np.array([True, True, False]), np.array([True, False, False])).__round__(2)
    0.67
    """
    return 2 * float((told & wanted).sum()) / max(float(told.sum() + wanted.sum()), 1.0)


def best_threshold(values: Rows, wanted: Mask) -> float:
    """The value from which on telling gives the best F1; infinite where nothing is wanted.

    >>> best_threshold(np.float32([3, 2, 1]), np.array([True, True, False]))
    2.0
    """
    if not wanted.any():
        return np.inf
    order = np.argsort(-values, kind="stable")
    right = np.cumsum(wanted[order])
    scores = 2 * right / (np.arange(1, len(order) + 1) + wanted.sum())
    return float(values[order[int(scores.argmax())]])


@dataclass(frozen=True, slots=True)
class ClassFit:
    """How well one class of the metadata is told, by F1 on passages that chose nothing: by its own direction (the mean
    difference, which saw the classes: the ceiling), by the one best concept, and by the one best random direction.

    `split`: concepts that tell it well alone, on the choosing part. `absorbed`: of its passages that the best concept
    misses, the share for which another concept stands: one that is most of what points along the class's direction.
    """

    name: str
    passages: int
    ceiling: float
    concept: float
    random: float
    split: int
    absorbed: float


def class_fit(
    name: str, vectors: Rows, codes: Rows, having: Mask, dictionary: Dictionary, wanted: Mask, chosen_on: Mask,
    controls: Rows,
) -> ClassFit:  # fmt: skip
    """`codes` and `having` (n, m), `wanted` (n,) the class, `controls` (m, d) random directions."""
    judged = ~chosen_on
    direction = vectors[chosen_on & wanted].mean(axis=0) - vectors[chosen_on & ~wanted].mean(axis=0)

    def along(directions: Rows) -> float:
        values = vectors @ directions.T
        least = [best_threshold(column[chosen_on], wanted[chosen_on]) for column in values.T]
        scores = [f1(c[chosen_on] >= t, wanted[chosen_on]) for c, t in zip(values.T, least, strict=True)]
        best = int(np.argmax(scores))
        return f1(values[judged, best] >= least[best], wanted[judged])

    scores = np.asarray([f1(having[chosen_on, i], wanted[chosen_on]) for i in range(having.shape[1])])
    best = int(scores.argmax())
    missed = np.flatnonzero(wanted & ~having[:, best] & judged)
    pull = np.maximum(codes[missed] * (dictionary.atoms @ direction), 0)
    absorbed = (pull.max(axis=1, initial=0) > 0.5 * pull.sum(axis=1)) & (pull.argmax(axis=1) != best) if len(
        missed) else np.zeros(0)  # fmt: skip
    return ClassFit(
        name, int(wanted.sum()), along(direction[None, :]), f1(having[judged, best], wanted[judged]), along(controls),
        int((scores >= SPLIT_FROM).sum()), float(np.mean(absorbed)) if len(missed) else 0.0,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Muting:
    """What is left in the ten best after a mute: of the passages that have the concept, and of the others."""

    target: float
    others: float


def muting(before: Sequence[str], after: Sequence[str], with_it: set[str]) -> Muting | None:
    """Of passage ids, best first; None where the ten best have none with the concept, or none without.

    >>> muting(["a", "b", "c"], ["c", "a"], {"a", "b"})
    Muting(target=0.5, others=1.0)
    """
    first, kept = list(before[:10]), set(after[:10])
    target, others = [each for each in first if each in with_it], [each for each in first if each not in with_it]
    if not target or not others:
        return None
    return Muting(
        sum(each in kept for each in target) / len(target), sum(each in kept for each in others) / len(others)
    )
