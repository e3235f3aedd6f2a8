"""How far a training of a sparse encoder is."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field

from rag.train.checkpoints import TrainingState
from rag.train.sparse.pairs import Candidates, TrainingSet
from rag.train.sparse.sparse_recipe import Recipe
from rag.train.sparse.student import Student


@dataclass(frozen=True, slots=True)
class Curve:
    """What was seen at one measurement: the mean loss and FLOPs since the last one, and the held-out nDCG@10."""

    step: int
    loss: float
    flops: float
    ndcg: float


@dataclass(slots=True)
class State(TrainingState[Curve]):
    """How far the training is; its score is nDCG@10."""

    penalties: list[float] = field(default_factory=list)  # since the last measurement


def digest_of(data: TrainingSet, candidates: Sequence[Candidates], recipe: Recipe, student: Student) -> str:
    """What tells a training from any other: of its data, its recipe and its base."""
    # What is measured, too, depends on how much is read of a text.
    whose = [asdict(recipe), student.name, student.base, student.max_tokens]
    digest = hashlib.sha256(json.dumps(whose).encode())
    for text in data.texts:
        digest.update(f"{len(text)}:{text}".encode("utf-8", "surrogatepass"))
    for pair, mined in zip(data.pairs, candidates, strict=True):
        what = f"{len(pair.query)}:{pair.query}{pair.positives}{pair.source}{mined.positives}{mined.passages}"
        digest.update(what.encode("utf-8", "surrogatepass"))
    return digest.hexdigest()
