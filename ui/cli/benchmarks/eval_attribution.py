"""The commands `eval attribution`, `eval what-if` and `eval corrections`."""

from __future__ import annotations

import logging
import time
from dataclasses import replace
from typing import Annotated

import typer

from eval.attribution import attribution_report, clause_truth, what_if_trials
from eval.attribution import faithfulness_trials as trials
from eval.core.cache import Replies, default_cache
from eval.corrected import correction_trials
from eval.multihop import hotpotqa
from eval.multihop import questions as multihop
from rag.attribute.shapley import MOST_EXACT
from rag.attribute.tree_reader import in_torch
from rag.encode.dense_encoder import open_encoder
from rag.errors import UsageError
from rag.llm.open import open_reader
from rag.pipeline import build_pipeline
from rag.span.span_model import shared_span_model
from ui.cli.benchmarks.eval_checks import check_out, count_of, retriever_of, warn_of_limit
from ui.cli.extras import require
from ui.cli.options import (
    CacheOption,
    DataOption,
    JsonOption,
    KOption,
    LimitOption,
    OutOption,
    ReaderOption,
    ReaderStyle,
    RetrieverOption,
    SeedOption,
)
from ui.cli.shared import load_settings, print_result, progress

log = logging.getLogger("glossator")


def eval_what_if(
    data: DataOption,
    wanted: Annotated[int, typer.Option("--answers", min=1, help="Right answers that are changed.")] = 40,
    seed: SeedOption = 0,
    as_json: JsonOption = False,
) -> None:
    """How many right answers change when what decides them is changed, and when something else of its kind is."""
    settings = load_settings()
    benchmark = multihop.read_questions(data)
    asked = multihop.sample(benchmark.questions, None, seed)
    with progress() as report:
        result = what_if_trials.run(asked, open_reader(settings.reader), settings, wanted, seed, report)
    print_result(result, as_json, what_if_trials.what_if_text)


def eval_clauses(
    data: DataOption,
    wanted: Annotated[int, typer.Option("--answers", min=1, help="Questions whose clauses are left out.")] = 20,
    seed: SeedOption = 0,
    as_json: JsonOption = False,
) -> None:
    """Nats that an answer loses without the clauses and words that each method of attribution calls the best."""
    settings = load_settings()
    asked = multihop.sample(multihop.read_questions(data).questions, None, seed)
    with progress() as report:
        reader = open_reader(settings.reader)
        fast = in_torch(reader, report)
        model = shared_span_model(settings.extract.model)
        result = clause_truth.run(asked, fast or reader, fast or reader, model, settings, wanted, seed, report)
    print_result(result, as_json, clause_truth.clauses_text)


def eval_corrections(seed: SeedOption = 0, as_json: JsonOption = False) -> None:
    """Made-up rules that the documents contradict, with and without their corrections; repeats; unrelated questions."""
    settings = load_settings()
    encoder = open_encoder(settings.dense.model, settings.dense.max_tokens, settings.dense.batch_size)
    with progress() as report:
        result = correction_trials.run(open_reader(settings.reader), encoder.encode, settings, seed, report)
    print_result(result, as_json, correction_trials.corrections_text)


def eval_attribution(
    data: DataOption,
    limit: LimitOption = None,
    permutations: Annotated[int, typer.Option("--permutations", min=1, help="Of sampled Shapley values.")] = 100,
    seed: SeedOption = 0,
    retriever: RetrieverOption = None,
    reader: ReaderOption = ReaderStyle.direct,
    k: KOption = None,
    out: OutOption = None,
    cache: CacheOption = None,
    as_json: JsonOption = False,
) -> None:
    """Do attributions tell the truth: what the reader does without the documents that they name, by method.

    --limit draws a sample in which every type of question has its share.
    """
    began = time.monotonic()
    require("eval attribution", "scipy")
    settings = load_settings()
    name, count = retriever_of(retriever, settings), count_of(k, settings)
    if count > MOST_EXACT:
        raise UsageError(f"-k {count}: exact values need every coalition. Ask for at most {MOST_EXACT} passages")
    if reader is ReaderStyle.quotes:
        raise UsageError("--reader quotes: the answer is not read from the passages themselves. Name direct or notes")
    check_out(out)
    benchmark = multihop.read_questions(data)
    asked = multihop.sample(benchmark.questions, limit, seed)
    warn_of_limit(limit, len(benchmark.questions), data)
    kept = cache or default_cache()
    with progress() as report:
        pool = hotpotqa.open_pool(benchmark, "distractor", kept, settings, [name], report=report)
        rows = hotpotqa.rows_of(asked, pool, name, count, seed, controls=False, report=report)
        pipeline = build_pipeline(pool.corpus.indexes, name, report)
        replies = Replies(kept, settings.reader)
        fast = in_torch(pipeline.reader, report) if settings.attribute.runtime == "torch" else None
        if fast is not None:  # answers and parts of the evidence are then read by the same weights, and sooner
            pipeline = replace(pipeline, reader=fast)
            replies = Replies(kept, settings.reader.model_copy(update={"model": f"{settings.reader.model}, torch"}))
        outcomes = trials.evaluate(
            asked, pool, pipeline, rows, count, reader.value, replies, permutations, seed, report
        )
    request = {
        "data": str(data), "of": len(benchmark.questions), "retriever": name, "reader": reader.value, "k": count,
        "permutations": permutations, "seed": seed,
    }  # fmt: skip
    result = attribution_report.result_json(request, outcomes, settings)
    result["seconds"] = round(time.monotonic() - began, 1)
    if out is not None:
        attribution_report.write(out, f"{data.name}, attribution", result, outcomes)
    print_result(result, as_json, attribution_report.text)
    if result["failed"]:
        where = f" See error in {out / 'per_question.jsonl'}" if out else " --out FOLDER keeps the reasons"
        log.warning(
            "%d of %d questions failed and are left out; the same command asks them again.%s",
            result["failed"], result["n"], where,
        )  # fmt: skip
