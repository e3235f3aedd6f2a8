"""How far a training is, and its checkpoint: one file, replaced as a whole, by which one that was cut off goes on."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from safetensors import safe_open

from rag.errors import UsageError, first_line_of

if TYPE_CHECKING:
    from torch import Tensor

CHECKPOINT = "checkpoint.safetensors"
MOMENTS = ("step", "exp_avg", "exp_avg_sq")  # of AdamW, of each weight


def checkpoint_of(out: Path) -> Path:
    """The folder with the checkpoint of the training that makes `out`."""
    return out.with_name(f"{out.name}.partial")


Point = TypeVar("Point")  # one measurement: a dataclass


@dataclass(slots=True)
class TrainingState(Generic[Point]):
    """How far a training is. `best` has the weights at the highest score so far, as they were measured, if any were."""

    step: int = 0
    curve: list[Point] = field(default_factory=list)
    best: dict[str, Tensor] = field(default_factory=dict)
    best_step: int = 0
    losses: list[float] = field(default_factory=list)  # since the last measurement


State = TypeVar("State", bound=TrainingState[Any])


def write_state(folder: Path, whose: str, state: TrainingState[Any], named: Mapping[str, Any], optimiser: Any) -> None:
    """Write a checkpoint. It is no pickle: tensors by name, the rest as JSON in its header.

    `whose` is the digest of the training's data and recipe, `named` has its weights by name.
    """
    from safetensors.torch import save_file

    record = {"step": state.step, "best": state.best_step, "curve": [asdict(point) for point in state.curve]}
    tensors = {f"now/{name}": weight.detach().cpu().contiguous() for name, weight in named.items()}
    tensors |= {f"best/{name}": weight.cpu().contiguous() for name, weight in state.best.items()}
    for name, weight in named.items():
        for moment, values in optimiser.state[weight].items():
            tensors[f"{moment}/{name}"] = values.cpu().contiguous()
    folder.mkdir(parents=True, exist_ok=True)
    fresh = folder / f"{CHECKPOINT}.new"
    save_file(tensors, fresh, {"record": json.dumps({"whose": whose, **record})})
    os.replace(fresh, folder / CHECKPOINT)


def read_state(
    folder: Path, whose: str, begun: State, point: type[Any], named: Mapping[str, Any], optimiser: Any
) -> State:
    """The state of a training that was cut off, its weights put into `named`; `begun`, of which it is made, if there is
    none. `point` is what its curve consists of.

    Raises UsageError for a file that cannot be read, or that is of another training.
    """
    import torch

    if not (folder / CHECKPOINT).is_file():
        return begun
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
            begun.step, begun.best_step = record["step"], record["best"]
            begun.curve = [point(**measured) for measured in record["curve"]]
            begun.best = {name: tensors[f"best/{name}"] for name in named if f"best/{name}" in tensors}
            return begun
    except Exception as error:  # no such format, no such tensor, no such record
        raise UsageError(
            f"{folder / CHECKPOINT} cannot be read: {first_line_of(error)}. Remove it, and begin again"
        ) from error
    raise UsageError(f"{folder} holds a training of other data or with other options. Remove it, and begin again")
