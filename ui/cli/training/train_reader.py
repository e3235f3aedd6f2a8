"""The command `train reader`: it makes the reading model of questions with passages and gold answers."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from eval.reading.reading_records import read_for_training
from rag.errors import DataError
from rag.train.checkpoints import checkpoint_of
from rag.train.common import check_out
from rag.train.reading.claims import fitting_claims, split_claims
from rag.train.reading.reading_questions import sample_by_source, split_by_article
from rag.train.reading.reading_student import ReadingStudent
from rag.train.reading.reading_training import ReadingRecipe, save, train
from ui.cli.extras import require
from ui.cli.options import JsonOption, LimitOption, SeedOption
from ui.cli.shared import print_result, progress

WATCHED = 200  # held-out questions by which the best weights are chosen


def train_reader(
    data: Annotated[
        list[Path],
        typer.Option("--data", help="Questions with context, label, answers, or claims with text, label. Repeatable."),
    ],
    out: Annotated[Path, typer.Option("--out", help="A new folder for the reading model.")],
    model: Annotated[str, typer.Option("--model", help="A BERT: a name of `models list`, or a folder.")] = (
        "all-minilm-l6-v2"
    ),
    limit: LimitOption = None,
    epochs: Annotated[float, typer.Option("--epochs", min=0.1, help="How often each question is seen.")] = 1.5,
    seed: SeedOption = 0,
    as_json: JsonOption = False,
) -> None:
    """Teach a small encoder to mark the answer in its passage, to say yes or no, or that it is not here.

    Of claims it learns whether a text supports them. One article of ten is held out. --limit draws a sample of the
    questions. An interrupted training goes on when it is called again.
    """
    began = time.monotonic()
    check_out(out)
    require("train reader", "onnx")
    records = read_for_training(data)
    split = split_by_article(records.questions)
    if not split.held_out or not split.learnt:
        raise DataError(
            f"{len(records.questions)} questions: too few articles to learn from some and to hold out others. "
            "Name more data"
        )
    learnt = sample_by_source(split.learnt, limit, seed)
    watched = sample_by_source(split.held_out, WATCHED, 0)  # the same for all seeds, so that curves can be compared
    recipe = ReadingRecipe(epochs=epochs, seed=seed)
    student = ReadingStudent(model, seed)
    checkpoint = checkpoint_of(out)
    learnt_claims = fitting_claims(split_claims(records.claims)[0], student.tokenizer)
    with progress() as report:
        state = train(learnt, watched, student, recipe, checkpoint, report, learnt_claims)
    counts = {"learnt": len(learnt), "held_out": len(split.held_out), "left_out": split.left_out}
    counts["claims"] = len(learnt_claims)
    save(student, state, recipe, {"files": [file.name for file in data], "questions": counts}, out)
    shutil.rmtree(checkpoint, ignore_errors=True)
    result = {
        "task": "train reader",
        "out": str(out),
        "base": model,
        **counts,
        "steps": state.step,
        "best_step": state.best_step,
        "f1": max(point.f1 for point in state.curve),
        "seconds": round(time.monotonic() - began, 1),
    }
    print_result(result, as_json, _format)


def _format(result: dict[str, Any]) -> str:
    claims = f" and {result['claims']} claims" if result["claims"] else ""
    return (
        f"trained from {result['learnt']} questions{claims}, {result['steps']} steps\n"
        f"best after {result['best_step']} steps: F1 {result['f1']:.3f} on held-out articles\n"
        f"to measure it: glossator eval reading --model {result['out']} --data FILE"
    )
