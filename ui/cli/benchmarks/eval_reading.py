"""The command `eval reading`: answers of a reading model alone, over the passages that its questions come with."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from eval.reading import reading_scores
from eval.reading.reading_records import Records, read_file
from rag.errors import DataError
from rag.span.span_model import open_span_model
from rag.train.reading.reading_questions import order_of
from ui.cli.benchmarks.eval_checks import warn_of_limit
from ui.cli.options import JsonOption, LimitOption, SeedOption
from ui.cli.shared import print_result, progress


def eval_reading(
    data: Annotated[
        list[Path],
        typer.Option("--data", help="Questions with context, label, answers, or claims with text, label. Repeatable."),
    ],
    model: Annotated[Path, typer.Option("--model", help="The folder that `train reader` wrote.")],
    limit: LimitOption = None,
    seed: SeedOption = 0,
    as_json: JsonOption = False,
) -> None:
    """EM, F1, yes or no, "not here", relevance and support of a reading model, over all records and by source.

    Of a file that the model was trained from, only the held-out records are asked. --limit draws a fixed sample.
    """
    began = time.monotonic()
    reader = open_span_model(model)
    asked = [reading_scores.not_learnt(read_file(file), file, model) for file in data]
    questions = [question for each in asked for question in each.questions]
    claims = [claim for each in asked for claim in each.claims]
    identities = sorted(
        [*(one.id for one in questions), *(one.id for one in claims)], key=lambda one: order_of(one, seed)
    )
    if not identities:
        raise DataError("none of the records was held out of the model's training. Name another file")
    warn_of_limit(limit, len(identities), data[0], "records")
    chosen = set(identities[:limit])
    records = Records([one for one in questions if one.id in chosen], [one for one in claims if one.id in chosen])
    with progress() as report:
        result = reading_scores.run(records, reader, seed, partial(report, "records"))
    result["seconds"] = round(time.monotonic() - began, 1)
    print_result(result, as_json, reading_scores.reading_text)
