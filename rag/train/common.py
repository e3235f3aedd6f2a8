"""What all trainers share: a folder that is written whole or not at all, and a chat model with adapters to train."""

from __future__ import annotations

import json
import os
import random
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from rag.encode.checkpoint import base_of
from rag.errors import ModelError, UsageError, not_loaded
from rag.protocols import Report

if TYPE_CHECKING:
    from torch import Tensor

Example = TypeVar("Example")
RANK = 16  # of the adapters of a tuned chat model
RATE = 2e-4  # at which they are trained


def check_out(out: Path) -> None:
    """UsageError if there is something already: a trained folder is never changed, indexes were built with it."""
    if out.exists():
        raise UsageError(f"--out {out}: is there already. Name a new folder")


def has_bfloat16(device: str) -> bool:
    """Whether bfloat16 is arithmetic there ("cpu" or "cuda"), and not only a format."""
    import torch

    if device == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return device == "cpu" and bool(torch.cpu.get_capabilities().get("avx512_bf16"))


def write_folder(out: Path, save: Callable[[Path], dict[str, Any]], record: str = "trained.json") -> None:
    """Have `save` write its files into a new folder, and in the file `record` what it returns: what it is trained from.

    It is written beside and renamed, so that a kill leaves nothing half. Raises UsageError if `out` is there.
    """
    check_out(out)
    fresh = out.with_name(f"{out.name}.new")
    shutil.rmtree(fresh, ignore_errors=True)  # of one that was killed
    fresh.mkdir(parents=True)
    (fresh / record).write_text(json.dumps(save(fresh), indent=1) + "\n", "utf-8")
    for file in fresh.iterdir():
        with file.open("r+b") as written:
            os.fsync(written.fileno())
    os.replace(fresh, out)


@dataclass(frozen=True, slots=True)
class TunedChatModel:
    """A chat model tuned on examples, the mean loss of each epoch, and how many examples were too long for it."""

    model: Any
    tokenizer: Any
    examples: int
    left_out: int
    epochs: int
    seed: int
    losses: list[float]

    def save(self, out: Path, task: str, base: str, data: str, **more: Any) -> None:
        """Write the folder that reader.model can name: tuned from `base` with `data`. UsageError if `out` is there."""

        def write(folder: Path) -> dict[str, Any]:
            self.model.save_pretrained(folder)
            self.tokenizer.save_pretrained(folder)
            return {
                "task": task,
                "base": base_of(base),
                "data": data,
                "examples": self.examples,
                **more,
                "epochs": self.epochs,
                "seed": self.seed,
                "rate": RATE,
                "rank": RANK,
                "losses": self.losses,
            }

        write_folder(out, write)


def open_chat_model(model: str) -> tuple[Any, Any]:
    """A causal language model in full precision, and its tokenizer, by a folder or hub id, on the GPU if there is one.

    Raises ModelError for a model that cannot be loaded, or is no chat model, since a reader must be one.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from transformers.utils import logging

    logging.disable_progress_bar()
    logging.set_verbosity_error()  # what cannot be used is said below, in one line
    try:
        tokenizer: Any = AutoTokenizer.from_pretrained(model)
        loaded: Any = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32)
    except Exception as error:  # transformers and the hub raise many kinds; all mean that it cannot be loaded
        remedy = "Name a causal language model: a hub id or folder that transformers can load"
        raise not_loaded(f"--model {model}", error, remedy) from error
    if not tokenizer.chat_template or tokenizer.eos_token_id is None:
        raise ModelError(f"--model {model} has no chat template or no end token. Name a model that is made for chat")
    return loaded.to("cuda" if torch.cuda.is_available() else "cpu"), tokenizer


def with_adapters(model: Any, rank: int, seed: int) -> Any:
    """The model with low-rank adapters (LoRA, arXiv 2106.09685) on every linear layer but the head, drawn by `seed`."""
    import torch
    from peft import LoraConfig, get_peft_model

    adapters = LoraConfig(r=rank, lora_alpha=2 * rank, target_modules="all-linear", task_type="CAUSAL_LM")
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return get_peft_model(model, adapters)


def adapted(
    model: Any,
    examples: Sequence[Example],
    loss_of: Callable[[Any, Example], Tensor],
    rank: int,
    rate: float,
    batch: int,
    epochs: int,
    seed: int,
    report: Report,
) -> tuple[Any, list[float]]:
    """The model with trained adapters merged into it, and each epoch's mean loss before the step that it is for.

    `loss_of(model with adapters, example)` is a loss to lower; a step follows the sum of `batch` gradients. The same
    seed gives the same weights on the same machine. There is no dropout. Products are in bfloat16 where that is faster.
    """
    import torch

    tuned = with_adapters(model, rank, seed).eval()
    optimiser = torch.optim.AdamW([weight for weight in tuned.parameters() if weight.requires_grad], lr=rate)
    draw, half = random.Random(seed), has_bfloat16(tuned.device.type)
    losses = []
    for epoch in range(epochs):
        summed = 0.0
        order = draw.sample(examples, len(examples))
        for done, example in enumerate(order, start=1):
            with torch.autocast(tuned.device.type, torch.bfloat16, enabled=half):
                loss = loss_of(tuned, example)
            loss.backward()  # type: ignore[no-untyped-call]
            summed += loss.item()
            if done % batch == 0 or done == len(order):
                optimiser.step()  # along the sum of the gradients: of their scale AdamW takes no notice
                optimiser.zero_grad()
            report("training", epoch * len(order) + done, epochs * len(order))
        losses.append(round(summed / len(order), 6))
    return tuned.merge_and_unload(), losses
