"""The command `eval reading`: answers of a reading model alone, over the passages that its questions come with."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from eval.reading import reading_scores
from eval.reading.reading_records import read_reading
from rag.errors import DataError
from rag.span.span_model import open_span_model
from rag.train.common import has_bfloat16
from rag.train.reading.reading_questions import order_of
from ui.cli.benchmarks.eval_checks import warn_of_limit
from ui.cli.options import JsonOption, LimitOption, SeedOption
from ui.cli.shared import print_result, progress


def eval_reading(
    data: Annotated[
        list[Path],
        typer.Option("--data", help="Questions with context, label, answers; one record format. Repeatable."),
    ],
    model: Annotated[Path, typer.Option("--model", help="The folder that `train reader` wrote.")],
    limit: LimitOption = None,
    seed: SeedOption = 0,
    as_json: JsonOption = False,
) -> None:
    """EM, F1, yes or no, "not here" and relevance of a reading model, over all questions and by source.

    Of a file that the model was trained from, only the held-out questions are asked. --limit draws a fixed sample.
    """
    began = time.monotonic()
    reader = open_span_model(model)
    questions = [question for file in data for question in reading_scores.not_learnt(read_reading(file), file, model)]
    if not questions:
        raise DataError("none of the questions was held out of the model's training. Name another file")
    warn_of_limit(limit, len(questions), data[0])
    questions = sorted(questions, key=lambda question: order_of(question, seed))[:limit]
    in_torch = reader.in_torch("bfloat16" if has_bfloat16("cpu") else "float32")
    with progress() as report:
        result = reading_scores.run(questions, in_torch, seed, partial(report, "questions"))
    result["seconds"] = round(time.monotonic() - began, 1)
    print_result(result, as_json, reading_scores.reading_text)
