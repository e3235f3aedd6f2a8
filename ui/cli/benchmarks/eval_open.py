"""The command `eval open`: questions as people ask them, over a library."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from eval.core.cache import Replies
from eval.open import open_answers
from eval.open.nuggets import read_open_questions
from rag.pipeline import build_pipeline
from rag.read.compose.scope import Scopes
from ui.cli.benchmarks.eval_checks import check_out, count_of, retriever_of, warn_of_failures, warn_of_limit
from ui.cli.options import (
    CacheOption,
    ControlsOption,
    JsonOption,
    KOption,
    LibraryOption,
    LimitOption,
    OutOption,
    RetrieverOption,
    StyleOption,
)
from ui.cli.shared import default_cache, load_settings, open_indexes, print_result, progress


def eval_open(
    questions: Annotated[Path, typer.Option("--questions", help="Records with question, kind and nuggets (facts).")],
    library: LibraryOption,
    limit: LimitOption = None,
    style: StyleOption = "auto",
    retriever: RetrieverOption = None,
    k: KOption = None,
    controls: ControlsOption = True,
    out: OutOption = None,
    cache: CacheOption = None,
    as_json: JsonOption = False,
) -> None:
    """Facts found, sentences cited, citations at the right place, and refusals, beside three controls.

    --limit takes the first questions.
    """
    began = time.monotonic()
    settings = load_settings()
    name, count = retriever_of(retriever, settings), count_of(k, settings)
    check_out(out)
    available = read_open_questions(questions)
    warn_of_limit(limit, len(available), questions)
    with progress() as report:
        indexes = open_indexes(library)
        rows = open_answers.run(
            available[:limit], build_pipeline(indexes, name, report), Scopes(indexes.library), count, style,
            [row for row in open_answers.CONTROLS if row != style] if controls else [],
            Replies(cache or default_cache(), settings.reader), partial(report, "questions"),
        )  # fmt: skip
    result = open_answers.result_json({"style": style, "retriever": name, "k": count}, rows, settings)
    if out is not None:
        open_answers.write(out, result, rows)
    print_result(result | {"seconds": round(time.monotonic() - began, 1)}, as_json)
    warn_of_failures(result, out)
