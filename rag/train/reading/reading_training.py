"""The trainer of the reading model: AdamW over questions and claims, the best on held-out articles kept.

A step is a function of the seed and its number, so that a training that was cut off goes on as if it had not been.
"""

from __future__ import annotations

import hashlib
import json
import math
import random
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rag.errors import DataError, ModelError
from rag.span.span_model import WEIGHTS
from rag.span.span_reader import read_spans
from rag.train.checkpoints import TrainingState, read_state, write_state
from rag.train.common import has_bfloat16, write_folder
from rag.train.reading.claims import LabelledClaim, claim_loss
from rag.train.reading.reading_examples import Example, Examples
from rag.train.reading.reading_losses import answer_loss, outputs_of, relevance_loss
from rag.train.reading.reading_questions import ReadingQuestion, answer_scores
from rag.train.reading.reading_student import ReadingStudent

if TYPE_CHECKING:
    from torch import Tensor

Noted = Callable[[str, int, int, str], None]  # progress: (what, done, total, a running score)
RELEVANCE_WEIGHT = 0.5  # of its loss beside the answer's
SUPPORT_WEIGHT = 0.5
LATE = 0.75  # the share of the steps after which the best is chosen: before that the rate is still high
POOL = 64  # steps whose questions are sorted by length, so that little is padded


@dataclass(frozen=True, slots=True)
class ReadingRecipe:
    """How to train. `questions` and `claims` are of a step, `epochs` of the questions; `warm_up` is a share of the
    steps, `every` counts steps between two measurements, each with a checkpoint."""

    epochs: float = 1.5
    questions: int = 12
    claims: int = 8
    rate: float = 1.5e-4
    warm_up: float = 0.1
    decay: float = 0.01
    every: int = 200
    seed: int = 0


@dataclass(frozen=True, slots=True)
class ReadingPoint:
    """One measurement: the mean loss since the last one (None before the first step), and the held-out F1."""

    step: int
    loss: float | None
    f1: float


ReadingState = TrainingState[ReadingPoint]  # its score is F1


def train(
    questions: Sequence[ReadingQuestion],
    held_out: Sequence[ReadingQuestion],
    student: ReadingStudent,
    recipe: ReadingRecipe,
    checkpoint: Path,
    report: Noted,
    claims: Sequence[LabelledClaim] = (),
) -> ReadingState:
    """Train `student` on the questions and claims, and leave it where its mean F1 on the questions held out is best, of
    the last quarter of the steps: the best of all was one at half of them, and lost on other data (eval/log.md).

    `checkpoint` is a folder: a training of the same data and recipe that was cut off goes on from there.
    Raises DataError without a question, ModelError for a loss that is no number, UsageError where the folder is of
    another training.
    """
    import torch

    if not questions:
        raise DataError("training: there is no question to learn from. Name more data with --data")
    batches = Batches([_length_of(question) for question in questions], recipe.questions, recipe.seed)
    claim_batches = Batches([len(claim.claim) + len(claim.text) for claim in claims], recipe.claims, recipe.seed)
    steps = math.ceil(batches.of_epoch * recipe.epochs)
    examples = Examples(questions, student.tokenizer)
    named = student.named
    groups = [  # as is usual, biases and norms do not decay
        {"params": [weight for weight in named.values() if weight.ndim > 1], "weight_decay": recipe.decay},
        {"params": [weight for weight in named.values() if weight.ndim == 1], "weight_decay": 0.0},
    ]
    optimiser = torch.optim.AdamW(groups, lr=recipe.rate)
    whose = _digest_of(questions, claims, recipe, student)
    state = read_state(checkpoint, whose, ReadingState(), ReadingPoint, named, optimiser)
    half = has_bfloat16("cpu")
    while state.step < steps:
        drawn = [examples.example(index, f"{recipe.seed} {state.step}") for index in batches.of_step(state.step)]
        loss = loss_of([example for example in drawn if example is not None], student, half)
        if claims:
            drawn_claims = [claims[index] for index in claim_batches.of_step(state.step)]
            loss = loss + SUPPORT_WEIGHT * claim_loss(drawn_claims, student, half)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        norm = torch.nn.utils.clip_grad_norm_(named.values(), 1.0)
        if not math.isfinite(loss.item()) or not math.isfinite(norm.item()):
            shutil.rmtree(checkpoint, ignore_errors=True)
            raise ModelError(f"training: the loss is no number any more at step {state.step + 1}. Nothing was changed")
        for group in optimiser.param_groups:
            group["lr"] = recipe.rate * rate_share(state.step, steps, recipe.warm_up)
        optimiser.step()
        state.step += 1
        state.losses.append(loss.item())
        if state.step % recipe.every == 0 or state.step == steps:
            _measure(state, student, held_out, half, steps)
            write_state(checkpoint, whose, state, named, optimiser)
        score = f", F1 {state.curve[-1].f1:.3f}" if state.curve else ""
        report("training", state.step, steps, f"loss {loss.item():.3f}{score}")
    with torch.no_grad():
        for name, weight in named.items():
            weight.copy_(state.best[name])
    return state


def held_out_f1(student: ReadingStudent, questions: Sequence[ReadingQuestion], half: bool) -> float:
    """The mean F1 of the answers over these questions, 0..1; 0 without any."""
    import torch

    with torch.autocast("cpu", torch.bfloat16, enabled=half):
        answers = read_spans(student.model, [(question.question, question.passages) for question in questions])
    scores = [answer_scores(answer, question)[1] for answer, question in zip(answers, questions, strict=True)]
    return sum(scores) / max(1, len(scores))


def loss_of(examples: Sequence[Example], student: ReadingStudent, half: bool) -> Tensor:
    """The loss of a step over its examples, in bfloat16 as far as that is safe where `half`; 0 without an example."""
    import torch

    if not examples:
        nothing: Tensor = next(iter(student.named.values())).sum() * 0
        return nothing
    with torch.autocast("cpu", torch.bfloat16, enabled=half):
        spans, heads = outputs_of(examples, student)
    answers = answer_loss(examples, spans, heads, student.tokenizer.sizes.answer)
    return answers + RELEVANCE_WEIGHT * relevance_loss(examples, heads)


def rate_share(step: int, steps: int, warm_up: float) -> float:
    """The share of the rate at a step: it rises in a line over the warm-up, a share of the steps, and falls to 0.

    >>> [rate_share(step, 10, 0.2) for step in (0, 1, 2, 6, 9)]
    [0.5, 1.0, 1.0, 0.5, 0.125]
    """
    rising = max(1, round(warm_up * steps))
    return (step + 1) / rising if step < rising else (steps - step) / max(1, steps - rising)


class Batches:
    """Which questions or claims each step is of: in an epoch all, in a random order, those of like length together."""

    def __init__(self, lengths: Sequence[int], size: int, seed: int):
        """`size` of them are of a step; an epoch has `of_epoch` steps."""
        self._lengths, self._size, self._seed = lengths, size, seed
        self.of_epoch = math.ceil(len(lengths) / size)
        self._epoch, self._drawn = -1, list[list[int]]()

    def of_step(self, step: int) -> list[int]:
        """The indices of those of a step."""
        epoch, place = divmod(step, self.of_epoch)
        if epoch != self._epoch:
            self._epoch, self._drawn = epoch, self._draw(epoch)
        return self._drawn[place]

    def _draw(self, epoch: int) -> list[list[int]]:
        draw, size = random.Random(f"{self._seed} {epoch}"), self._size
        order = draw.sample(range(len(self._lengths)), len(self._lengths))
        steps = []
        for first in range(0, len(order), POOL * size):
            pool = sorted(order[first : first + POOL * size], key=lambda i: self._lengths[i])
            cut = [pool[i : i + size] for i in range(0, len(pool), size)]
            steps += draw.sample(cut, len(cut))
        return steps


def save(student: ReadingStudent, state: ReadingState, recipe: ReadingRecipe, data: dict[str, Any], out: Path) -> None:
    """Write the folder of the model, with a record of what it was trained from. UsageError if it is there."""

    def write(folder: Path) -> dict[str, Any]:
        student.save(folder)
        return {
            "task": "reader",
            "base": student.base,
            "data": data,
            "recipe": asdict(recipe),
            "steps": state.step,
            "best_step": state.best_step,
            "curve": [asdict(point) for point in state.curve],
            "sha256": hashlib.sha256((folder / WEIGHTS).read_bytes()).hexdigest(),
        }

    write_folder(out, write)


# -- parts -------------------------------------------------------------------------------------------------------------


def _length_of(question: ReadingQuestion) -> int:
    """Characters of a passage, on average: what decides how long the windows of a question are."""
    return sum(len(passage.text) for passage in question.passages) // len(question.passages)


def _measure(
    state: ReadingState, student: ReadingStudent, held_out: Sequence[ReadingQuestion], half: bool, steps: int
) -> None:
    f1 = held_out_f1(student, held_out, half)
    state.curve.append(ReadingPoint(state.step, sum(state.losses) / len(state.losses), f1))
    state.losses = []
    before = [point.f1 for point in state.curve[:-1] if point.step > LATE * steps]
    if not state.best or (state.step > LATE * steps and f1 > max(before, default=-1.0)):
        state.best = {name: weight.detach().clone() for name, weight in student.named.items()}
        state.best_step = state.step


def _digest_of(
    questions: Sequence[ReadingQuestion],
    claims: Sequence[LabelledClaim],
    recipe: ReadingRecipe,
    student: ReadingStudent,
) -> str:
    """What tells a training from any other: its data, its recipe and its base."""
    digest = hashlib.sha256(json.dumps([asdict(recipe), student.base]).encode())
    for question in questions:
        digest.update(repr((question.id, question.question, question.passages, question.spans)).encode())
    for claim in claims:
        digest.update(repr(claim).encode())
    return digest.hexdigest()
