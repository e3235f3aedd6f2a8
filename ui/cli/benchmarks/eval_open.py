"""The command `eval open`: questions as people ask them, over a library."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from eval.core.cache import Replies, default_cache
from eval.open import open_answers
from eval.open.nuggets import OpenQuestion, read_open_questions
from eval.open.open_scores import is_held
from rag.errors import UsageError
from rag.library.catalogue import Library
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
from ui.cli.shared import load_settings, open_indexes, print_result, progress

log = logging.getLogger("glossator")


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

    --limit takes the first questions. Those about documents that the library does not hold are left out.
    """
    began = time.monotonic()
    settings = load_settings()
    name, count = retriever_of(retriever, settings), count_of(k, settings)
    check_out(out)
    indexes = open_indexes(library)
    available = _held(read_open_questions(questions), indexes.library)
    warn_of_limit(limit, len(available), questions)
    with progress() as report:
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


def _held(questions: Sequence[OpenQuestion], library: Library) -> list[OpenQuestion]:
    """The questions whose documents are in the library. Raises UsageError where there are none."""
    names = [(title, *(path.rpartition("/")[2] for path in paths)) for _, title, paths in library.names()]
    held = [question for question in questions if is_held(question, names)]
    if not held:
        raise UsageError("none of the questions is about a document in this library. Ingest their documents first")
    if left_out := len(questions) - len(held):
        log.warning("%d questions are about documents that this library does not hold: left out", left_out)
    return held
