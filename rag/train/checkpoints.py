"""Checkpoints of a training: one file, replaced as a whole, by which one that was cut off goes on."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors import safe_open

from rag.errors import UsageError, first_line_of

if TYPE_CHECKING:
    from torch import Tensor

CHECKPOINT = "checkpoint.safetensors"
MOMENTS = ("step", "exp_avg", "exp_avg_sq")  # of AdamW, of each weight


def write_checkpoint(
    folder: Path,
    whose: str,
    record: Mapping[str, Any],
    named: Mapping[str, Any],
    best: Mapping[str, Tensor],
    optimiser: Any,
) -> None:
    """Write one file, replaced as a whole. It is no pickle: tensors by name, the rest as JSON in its header.

    `whose` is the digest of the training's data and recipe, `named` has its weights by name, `best` the best so far.
    """
    from safetensors.torch import save_file

    tensors = {f"now/{name}": weight.detach().cpu().contiguous() for name, weight in named.items()}
    tensors |= {f"best/{name}": weight.cpu().contiguous() for name, weight in best.items()}
    for name, weight in named.items():
        for moment, values in optimiser.state[weight].items():
            tensors[f"{moment}/{name}"] = values.cpu().contiguous()
    folder.mkdir(parents=True, exist_ok=True)
    fresh = folder / f"{CHECKPOINT}.new"
    save_file(tensors, fresh, {"record": json.dumps({"whose": whose, **record})})
    os.replace(fresh, folder / CHECKPOINT)


def read_checkpoint(
    folder: Path, whose: str, named: Mapping[str, Any], optimiser: Any
) -> tuple[dict[str, Any], dict[str, Tensor]] | None:
    """The record and the best weights of a training that was cut off, its weights put into `named`; None if there is
    none. Raises UsageError for a file that cannot be read, or that is of another training."""
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
            return record, {name: tensors[f"best/{name}"] for name in named}
    except Exception as error:  # no such format, no such tensor, no such record
        raise UsageError(
            f"{folder / CHECKPOINT} cannot be read: {first_line_of(error)}. Remove it, and begin again"
        ) from error
    raise UsageError(f"{folder} holds a training of other data or with other options. Remove it, and begin again")
