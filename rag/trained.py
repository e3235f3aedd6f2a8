"""What all trainers share: a folder that is written whole or not at all, and a chat model with adapters to train."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rag.errors import ModelError, UsageError, not_loaded


def check_out(out: Path) -> None:
    """UsageError if there is something already: a trained folder is never changed, indexes were built with it."""
    if out.exists():
        raise UsageError(f"--out {out}: is there already. Name a new folder")


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


def base_of(model: str) -> str:
    """How a record names the model that a training began from: a folder by its whole path, a hub id as it is."""
    return str(Path(model).absolute()) if Path(model).is_dir() else model


def open_chat_model(model: str) -> tuple[Any, Any]:
    """A causal language model in full precision, and its tokenizer, by a folder or hub id, on the GPU if there is one.

    Raises ModelError for a model that is not to be had, or is no chat model, since a reader must be one.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from transformers.utils import logging

    logging.disable_progress_bar()
    logging.set_verbosity_error()  # what cannot be used is said below, in one line
    try:
        tokenizer: Any = AutoTokenizer.from_pretrained(model)
        loaded: Any = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32)
    except Exception as error:  # transformers and the hub raise many kinds, and all mean: not to be had
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
