"""How far a training of a sparse encoder is, and its checkpoint."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rag.train.checkpoints import read_checkpoint, write_checkpoint
from rag.train.sparse.pairs import Candidates, TrainingSet
from rag.train.sparse.sparse_recipe import Recipe
from rag.train.sparse.student import Student

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, slots=True)
class Curve:
    """What was seen at one measurement: the mean loss and FLOPs since the last one, and the held-out nDCG@10."""

    step: int
    loss: float
    flops: float
    ndcg: float


@dataclass(slots=True)
class State:
    """How far a training is. `best` has the weights at the highest nDCG@10 so far, as they were measured."""

    step: int = 0
    curve: list[Curve] = field(default_factory=list)
    best: dict[str, Tensor] = field(default_factory=dict)
    best_step: int = 0
    losses: list[float] = field(default_factory=list)  # since the last measurement
    penalties: list[float] = field(default_factory=list)


def write_state(folder: Path, whose: str, state: State, named: dict[str, Any], optimiser: Any) -> None:
    """Write a checkpoint. `whose` is the digest of the training's data and recipe, `named` has its weights by name."""
    record = {"step": state.step, "best": state.best_step, "curve": [asdict(point) for point in state.curve]}
    write_checkpoint(folder, whose, record, named, state.best, optimiser)


def read_state(folder: Path, whose: str, named: dict[str, Any], optimiser: Any) -> State | None:
    """The state of a training that was cut off, its weights put into `named`; None if there is none."""
    if (found := read_checkpoint(folder, whose, named, optimiser)) is None:
        return None
    record, best = found
    return State(record["step"], [Curve(**point) for point in record["curve"]], best, record["best"])


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
