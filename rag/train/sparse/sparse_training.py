"""The trainer of sparse encoders: weights that find what a query asks for, and few of them.

Two losses rank: the queries' labels, over all texts of a step (InfoNCE with in-batch negatives), and, where it is asked
for, an ensemble of teachers, over each query's own candidates (KL or MarginMSE); a penalty makes weights few (Geng,
Wang, Ru and Yang, arXiv 2411.04403, whose inference-free queries are the default; SPLADE's tied queries and echo
decoders train alike).
A step is a function of the seed and its number, so that a training that was cut off goes on as if it had not been.
"""

from __future__ import annotations

import hashlib
import math
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rag.encode.checkpoint import TRAINED
from rag.errors import LibraryError, ModelError, first_line_of
from rag.train.checkpoints import read_state, write_state
from rag.train.common import has_bfloat16, write_folder
from rag.train.sparse.pairs import Candidates, TrainingSet
from rag.train.sparse.sparse_recipe import Recipe
from rag.train.sparse.student import Student
from rag.train.sparse.training_state import Curve, State, digest_of
from rag.train.sparse.training_step import Steps, loss_of_step, rate_share

if TYPE_CHECKING:
    from torch import Tensor

Noted = Callable[[str, int, int, str], None]  # progress: (what, done, total, a running score)
Measure = Callable[[Student], float]  # nDCG@10 of what is held out, 0..1


def train(
    data: TrainingSet,
    candidates: Sequence[Candidates],
    student: Student,
    recipe: Recipe,
    measure: Measure,
    checkpoint: Path,
    report: Noted,
) -> State:
    """Train `student` on the pairs of `data`, whose `candidates` are in their order, and leave it at its best.

    `checkpoint` is a folder: a training of the same data and recipe that was cut off continues from there.
    Raises ModelError for a loss that is no number, LibraryError where memory is short, UsageError where the folder is
    of another training, DataError where there is nothing to tell a positive from.
    """
    import torch

    recipe = recipe.fitted(len(data.pairs))
    torch.manual_seed(recipe.seed)
    named = student.named_parameters()
    if not recipe.train_idf:
        del named["idf change"]
    # A tiny epsilon would make full steps of the penalty's tiny gradients, whatever its weight.
    optimiser = torch.optim.AdamW(named.values(), lr=recipe.rate, eps=1e-6, weight_decay=0.0)
    steps = Steps(data, candidates, recipe)
    whose = digest_of(data, candidates, recipe, student)
    base = _copy_of(named)
    state = read_state(checkpoint, whose, State(), Curve, named, optimiser)
    half = has_bfloat16(student.device)
    if not state.step:
        _measure(state, student, measure, named, base, recipe.share)
        report("training", 0, recipe.steps, f"nDCG@10 {state.curve[-1].ndcg:.3f}")
    while state.step < recipe.steps and not _ends_early(state, recipe):
        with _explaining_failures(state, recipe, checkpoint):
            loss, penalty = loss_of_step(state.step, steps.drawn(state.step), data, candidates, student, recipe, half)
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            norm = torch.nn.utils.clip_grad_norm_(named.values(), 5.0)
            if not math.isfinite(loss.item()) or not math.isfinite(norm.item()):
                raise FloatingPointError
            for group in optimiser.param_groups:
                group["lr"] = recipe.rate * rate_share(state.step, recipe)
            optimiser.step()
            state.step += 1
            state.losses.append(loss.item())
            state.penalties.append(penalty.item())
            if state.step % recipe.every == 0 or state.step == recipe.steps:
                _measure(state, student, measure, named, base, recipe.share)
                write_state(checkpoint, whose, state, named, optimiser)
        status = f"loss {loss.item():.3f}, FLOPs {penalty.item():.1f}, nDCG@10 {state.curve[-1].ndcg:.3f}"
        report("training", state.step, recipe.steps, status)
    _assign(named, {name: weight.half() for name, weight in state.best.items()})  # as it is written
    return state


def faster_device() -> str:
    """Where torch trains the sooner here: "cuda" where there is one (CUDA_VISIBLE_DEVICES= hides it), else "cpu"."""
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


@contextmanager
def _explaining_failures(state: State, recipe: Recipe, checkpoint: Path) -> Iterator[None]:
    """What can go wrong in a step, as our own errors. A training that failed for good leaves no checkpoint."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and not any(words in str(error) for words in ("allocat", "enough memory")):
            raise
        raise LibraryError(
            f"training: out of memory at step {state.step + 1}, {recipe.queries} queries a step "
            f"({first_line_of(error)}). Close other programs, or try --recipe queries={max(1, recipe.queries // 2)}"
        ) from error
    except (FloatingPointError, ModelError) as error:  # ModelError: of a measurement, whose weights are no numbers
        shutil.rmtree(checkpoint, ignore_errors=True)
        raise ModelError(
            f"training: the loss is no number any more at step {state.step + 1}. Nothing was changed. "
            f"Train with a lower rate: --recipe rate={recipe.rate / 10:g}"
        ) from error


# -- measurements ----------------------------------------------------------------------------------------------------


def _measure(
    state: State, student: Student, measure: Measure, named: dict[str, Any], base: dict[str, Tensor], share: float
) -> None:
    """Add a point to the curve: of weights a share of the way from `base`, kept if they are the best. The training goes
    on from those that it has."""
    trained = _copy_of(named)
    mixed = {name: weight.lerp(trained[name], share) for name, weight in base.items()}
    _assign(named, mixed)
    ndcg = measure(student)
    _assign(named, trained)
    losses, penalties = state.losses or [math.nan], state.penalties or [math.nan]
    state.curve.append(Curve(state.step, sum(losses) / len(losses), sum(penalties) / len(penalties), ndcg))
    state.losses, state.penalties = [], []
    if not state.best or ndcg > max(point.ndcg for point in state.curve[:-1]):
        state.best, state.best_step = mixed, state.step


def _copy_of(named: dict[str, Any]) -> dict[str, Tensor]:
    return {name: weight.detach().clone() for name, weight in named.items()}


def _assign(named: dict[str, Any], weights: dict[str, Tensor]) -> None:
    import torch

    with torch.no_grad():
        for name, weight in named.items():
            weight.copy_(weights[name])


def _ends_early(state: State, recipe: Recipe) -> bool:
    """Whether it ends early: the best measurement lies `patience` measurements back."""
    best = max(range(len(state.curve)), key=lambda i: state.curve[i].ndcg)
    return len(state.curve) - 1 - best >= recipe.patience


# -- the folder ------------------------------------------------------------------------------------------------------


def save(student: Student, state: State, recipe: Recipe, data: dict[str, Any], out: Path) -> None:
    """Write the folder that sparse.model can name, with a record of what it was trained from. UsageError if it is
    there."""

    def write(folder: Path) -> dict[str, Any]:
        student.save(folder)
        weights = sorted(file for file in folder.iterdir() if file.suffix == ".safetensors")
        return {
            "base": student.base,
            "data": data,
            "recipe": asdict(recipe),
            "steps": state.step,
            "best_step": state.best_step,
            "curve": [_recorded(point) for point in state.curve],
            # Two trainings differ in their weights, and so in this record, by which an index knows its encoder.
            "sha256": {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in weights},
        }

    write_folder(out, write, TRAINED)


def _recorded(point: Curve) -> dict[str, float | None]:
    """Before the first step there is no loss, and JSON knows no nan."""
    return {name: None if math.isnan(value) else value for name, value in asdict(point).items()}
