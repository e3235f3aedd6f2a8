"""Low-rank adapters (LoRA, Hu et al., arXiv 2106.09685) of a chat model: the loss of a reply, and their training."""

from __future__ import annotations

import hashlib
import random
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rag.encode.checkpoint import base_of
from rag.errors import DataError, ModelError, not_loaded
from rag.llm.chat import Messages
from rag.protocols import Report, silent
from rag.train.checkpoints import TrainingState, checkpoint_of, read_state, write_state
from rag.train.common import has_bfloat16, write_folder

if TYPE_CHECKING:
    from torch import Tensor

Row = tuple[list[int], int]  # token ids of a prompt and the reply, and where the reply begins
Rows = tuple[Row, ...]  # of one example
MAX_TOKENS = 32_768  # of a row; longer ones are left out
RANK = 16
RATE = 2e-4


@dataclass(frozen=True, slots=True)
class AdapterRecipe:
    """How to train: `batch` examples a step, AdamW at `rate`, the adapters' first weights and the order by `seed`."""

    batch: int
    epochs: int = 1
    seed: int = 0
    rate: float = RATE
    rank: int = RANK


@dataclass(frozen=True, slots=True)
class AdapterStep:
    """One step: the sum of its examples' losses before it."""

    loss: float


@dataclass(frozen=True, slots=True)
class TunedChatModel:
    """A chat model tuned on examples, the mean loss of each epoch, and how many examples were too long for it."""

    model: Any
    tokenizer: Any
    examples: int
    left_out: int
    recipe: AdapterRecipe
    losses: list[float]

    def save(self, out: Path, task: str, base: str, data: str, **more: Any) -> None:
        """Write the folder that reader.model can name: tuned from `base` with `data`. The checkpoint goes.

        Raises UsageError if `out` is there.
        """

        def write(folder: Path) -> dict[str, Any]:
            save_chat_model(self.model, self.tokenizer, base, folder)
            return {
                "task": task,
                "base": base_of(base),
                "data": data,
                "examples": self.examples,
                **more,
                "epochs": self.recipe.epochs,
                "seed": self.recipe.seed,
                "rate": self.recipe.rate,
                "rank": self.recipe.rank,
                "losses": self.losses,
            }

        write_folder(out, write)
        shutil.rmtree(checkpoint_of(out), ignore_errors=True)


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


def save_chat_model(model: Any, tokenizer: Any, base: str, folder: Path) -> None:
    """Write a trained model, which is changed, in the precision that `base` is stored in, and its tokenizer."""
    from transformers import AutoConfig

    stored: Any = AutoConfig.from_pretrained(base)
    (model if stored.dtype is None else model.to(stored.dtype)).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def with_adapters(model: Any, rank: int, seed: int) -> Any:
    """The model with low-rank adapters (LoRA, arXiv 2106.09685) on every linear layer but the head, drawn by `seed`."""
    import torch
    from peft import LoraConfig, get_peft_model

    adapters = LoraConfig(r=rank, lora_alpha=2 * rank, target_modules="all-linear", task_type="CAUSAL_LM")
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return get_peft_model(model, adapters)


def row_of(messages: Messages, reply: str, tokenizer: Any) -> Row:
    """The prompt as the reader gets it through its chat template, and the reply to its end."""
    prompt = prompt_ids(messages, tokenizer)
    ids = tokenizer(reply, add_special_tokens=False)["input_ids"]
    return [*prompt, *ids, tokenizer.eos_token_id], len(prompt)


def prompt_ids(messages: Messages, tokenizer: Any) -> list[int]:
    """Token ids of a prompt, up to where the reply begins."""
    turns = [{"role": role, "content": content} for role, content in messages]
    ids: list[int] = tokenizer.apply_chat_template(turns, add_generation_prompt=True, return_dict=True)["input_ids"]
    return ids


def reply_loss(model: Any, row: Row) -> Tensor:
    """-log p(reply | prompt) in nats: the sum over the reply's tokens, its end included. A scalar.

    The logits of a prompt over a vocabulary are gigabytes, so only the reply's are computed, where the model can.
    """
    import torch

    ids = torch.tensor(row[0], device=model.device)
    reply = ids[row[1] :]
    logits = model(input_ids=ids[None], use_cache=False, logits_to_keep=len(reply) + 1).logits[0]
    # Logits i are of token i + 1, and those of the last token of none. Some models keep more than they are asked to.
    return torch.nn.functional.cross_entropy(logits[-len(reply) - 1 : -1].float(), reply, reduction="sum")


def tune(
    model: Any,
    tokenizer: Any,
    examples: Sequence[Rows],
    loss_of: Callable[[Any, Rows], Tensor],
    recipe: AdapterRecipe,
    called: str,
    shorten: str,
    checkpoint: Path | None = None,
    report: Report = silent,
) -> TunedChatModel:
    """Train adapters on the examples that are short enough, and merge them into the model, which is changed.

    `loss_of(model with adapters, example)` is a loss to lower; a step follows the sum of a batch's gradients. The same
    seed gives the same weights on the same machine. There is no dropout. Products are in bfloat16 where that is faster.
    `checkpoint` is a folder, written after each step: a training of the same examples and recipe that was cut off goes
    on from there. UsageError where it is of another. Raises DataError if all examples, `called` so, are too long; it
    advises to `shorten` them.
    """
    longest = min(MAX_TOKENS, getattr(model.config, "max_position_embeddings", None) or MAX_TOKENS)
    fitting = [rows for rows in examples if max(len(ids) for ids, _ in rows) <= longest]
    if not fitting:
        raise DataError(f"none of {len(examples)} {called} is short enough for {longest:,} tokens. {shorten}")
    merged, losses = _adapted(model, fitting, loss_of, recipe, checkpoint, report)
    return TunedChatModel(merged, tokenizer, len(fitting), len(examples) - len(fitting), recipe, losses)


def _adapted(
    model: Any,
    examples: Sequence[Rows],
    loss_of: Callable[[Any, Rows], Tensor],
    recipe: AdapterRecipe,
    checkpoint: Path | None,
    report: Report,
) -> tuple[Any, list[float]]:
    """The model with trained adapters merged into it, and each epoch's mean loss before the step that it is for."""
    import torch

    tuned = with_adapters(model, recipe.rank, recipe.seed).eval()
    named = {name: weight for name, weight in tuned.named_parameters() if weight.requires_grad}
    optimiser = torch.optim.AdamW(named.values(), lr=recipe.rate)
    draw, half = random.Random(recipe.seed), has_bfloat16(tuned.device.type)
    orders = [draw.sample(examples, len(examples)) for _ in range(recipe.epochs)]
    steps = [order[i : i + recipe.batch] for order in orders for i in range(0, len(order), recipe.batch)]
    whose = hashlib.sha256(repr((model.config.name_or_path, recipe, examples)).encode()).hexdigest()
    state = TrainingState[AdapterStep]()
    if checkpoint:
        state = read_state(checkpoint, whose, state, AdapterStep, named, optimiser)
    done = sum(map(len, steps[: state.step]))
    for step in steps[state.step :]:
        summed = 0.0
        for example in step:
            with torch.autocast(tuned.device.type, torch.bfloat16, enabled=half):
                loss = loss_of(tuned, example)
            loss.backward()  # type: ignore[no-untyped-call]
            summed += loss.item()
            done += 1
            report("training", done, recipe.epochs * len(examples))
        optimiser.step()  # along the sum of the gradients: of their scale AdamW takes no notice
        optimiser.zero_grad()
        state.step += 1
        state.curve.append(AdapterStep(summed))
        if checkpoint:
            write_state(checkpoint, whose, state, named, optimiser)
    each = len(steps) // recipe.epochs
    epochs = [state.curve[i : i + each] for i in range(0, len(steps), each)]
    losses = [round(sum(step.loss for step in epoch) / len(examples), 6) for epoch in epochs]
    return tuned.merge_and_unload(), losses
