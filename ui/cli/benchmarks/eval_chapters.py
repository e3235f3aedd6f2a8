"""The command `eval chapters`."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from eval.core.cache import default_cache
from eval.podcast import chapter_run as evaluation
from ui.cli.benchmarks.eval_checks import check_out, retriever_of, warn_of_limit
from ui.cli.extras import require
from ui.cli.options import (
    CacheOption,
    EpisodesOption,
    JsonOption,
    LimitOption,
    OutOption,
    QueriesOption,
    RetrieverOption,
    SeedOption,
)
from ui.cli.shared import load_settings, print_result, progress


def eval_chapters(
    episodes: EpisodesOption,
    queries: QueriesOption = None,
    with_reader: Annotated[bool, typer.Option("--with-reader", help="The reader's rows, too: hours on a CPU.")] = False,
    retriever: RetrieverOption = None,
    limit: LimitOption = None,
    seed: SeedOption = 0,
    out: OutOption = None,
    cache: CacheOption = None,
    as_json: JsonOption = False,
) -> None:
    """Boundaries and titles beside the makers'; with --queries, whether chapters and titles help to find passages.

    --limit draws a sample of episodes.
    """
    began = time.monotonic()
    require("eval chapters", "nltk", *(("ir_measures",) if queries else ()))
    settings = load_settings()
    check_out(out)
    asked = evaluation.read(episodes, queries, limit, seed)
    warn_of_limit(limit, asked.of, episodes, "episodes with makers' chapters")
    with progress() as report:
        result, outcomes, found = evaluation.run(
            asked, cache or default_cache(), settings, retriever_of(retriever, settings), with_reader, seed, report
        )
    result["seconds"] = round(time.monotonic() - began, 1)
    if out is not None:
        evaluation.write(out, result, asked, outcomes, found)
    print_result(result, as_json, evaluation.text)
