"""How far a training of a sparse encoder is, and its checkpoint."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors import safe_open

from rag.errors import UsageError, first_line_of
from rag.train.sparse.pairs import Candidates, TrainingSet
from rag.train.sparse.sparse_recipe import Recipe
from rag.train.sparse.student import Student

if TYPE_CHECKING:
    from torch import Tensor

CHECKPOINT = "checkpoint.safetensors"
MOMENTS = ("step", "exp_avg", "exp_avg_sq")  # of AdamW, of each weight


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
    """Write one file, replaced as a whole. It is no pickle: tensors by name, the rest as JSON in its header.

    `whose` is the digest of the training's data and recipe, `named` has its weights by name.
    """
    from safetensors.torch import save_file

    tensors = {f"now/{name}": weight.detach().cpu().contiguous() for name, weight in named.items()}
    tensors |= {f"best/{name}": weight.cpu().contiguous() for name, weight in state.best.items()}
    for name, weight in named.items():
        for moment, values in optimiser.state[weight].items():
            tensors[f"{moment}/{name}"] = values.cpu().contiguous()
    record = {"whose": whose, "step": state.step, "best": state.best_step, "curve": [asdict(p) for p in state.curve]}
    folder.mkdir(parents=True, exist_ok=True)
    fresh = folder / f"{CHECKPOINT}.new"
    save_file(tensors, fresh, {"record": json.dumps(record)})
    os.replace(fresh, folder / CHECKPOINT)


def read_state(folder: Path, whose: str, named: dict[str, Any], optimiser: Any) -> State | None:
    """The state of a training that was cut off, its weights put into `named`; None if there is none."""
    import torch

    if not (folder / CHECKPOINT).is_file():
        return None
    try:
        with safe_open(folder / CHECKPOINT, "pt") as file:
            record = json.loads(file.metadata()["record"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (it is no mapping)
        if record["whose"] == whose:
            with torch.no_grad():
                for name, weight in named.items():
                    weight.copy_(tensors[f"now/{name}"])
                    if f"{MOMENTS[0]}/{name}" in tensors:  # a weight that nothing depends on has none
                        optimiser.state[weight] = {
                            # torch.optim keeps the count of steps on the processor.
                            moment: tensors[f"{moment}/{name}"].to("cpu" if moment == "step" else weight.device)
                            for moment in MOMENTS
                        }
            best = {name: tensors[f"best/{name}"] for name in named}
            return State(record["step"], [Curve(**point) for point in record["curve"]], best, record["best"])
    except Exception as error:  # no such format, no such tensor, no such record
        raise UsageError(
            f"{folder / CHECKPOINT} cannot be read: {first_line_of(error)}. Remove it, and begin again"
        ) from error
    raise UsageError(f"{folder} holds a training of other data or with other options. Remove it, and begin again")


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
