"""The commands of `eval` that ask a reader: pdf, hotpotqa, injections."""

from __future__ import annotations

import time
from enum import Enum
from functools import partial
from typing import Annotated

import typer

from eval.core.cache import Replies, default_cache
from eval.core.trials import BM25
from eval.injection import injections
from eval.multihop import hotpotqa, hotpotqa_report
from eval.multihop import questions as multihop
from eval.pdf import pdf_questions as pdf
from rag.errors import UsageError
from rag.pipeline import build_pipeline
from ui.cli.benchmarks.eval_checks import (
    check_jobs,
    check_out,
    count_of,
    retriever_of,
    seconds_of,
    warn_of_failures,
    warn_of_limit,
)
from ui.cli.options import (
    CacheOption,
    ControlsOption,
    CorpusOption,
    DataOption,
    FolderOption,
    JobsOption,
    JsonOption,
    KeptLibraryOption,
    KOption,
    LimitOption,
    OptionalDataOption,
    OptionalQrelsOption,
    OutOption,
    QuestionsOption,
    ReaderOption,
    ReaderStyle,
    RetrieverOption,
    SeedOption,
    StyleOption,
    WithoutGoldOption,
)
from ui.cli.shared import load_settings, print_result, progress, scratch_library


class Setting(str, Enum):
    distractor = "distractor"
    open = "open"


def eval_pdf(
    questions: QuestionsOption,
    folder: FolderOption,
    library: KeptLibraryOption = None,
    where: Annotated[
        str | None, typer.Option("--where", help="Only questions on: text, table, figure or scan.")
    ] = None,
    limit: LimitOption = None,
    seed: SeedOption = 0,
    reader: ReaderOption = ReaderStyle.notes,
    retriever: RetrieverOption = None,
    k: KOption = None,
    without_gold: WithoutGoldOption = False,
    controls: ControlsOption = True,
    jobs: JobsOption = 1,
    out: OutOption = None,
    cache: CacheOption = None,
    as_json: JsonOption = False,
) -> None:
    """Gold page among the hits, answers right, citations on the gold page, beside four controls.

    --limit takes the first questions.
    """
    began = time.monotonic()
    settings = load_settings()
    name, count = retriever_of(retriever, settings), count_of(k, settings)
    check_jobs(jobs, settings)
    check_out(out)
    if where not in (None, *pdf.WHERE):
        raise UsageError(f"--where {where}: choose one of {', '.join(pdf.WHERE)}")
    available = [question for question in pdf.read_questions(questions) if where in (None, question.where)]
    if not available:
        raise UsageError(f"--where {where}: {questions} has no such question. Leave it out, or name another")
    warn_of_limit(limit, len(available), questions)
    asked = available[:limit]
    with scratch_library(library) as kept, progress() as report:
        indexes = pdf.open_library(folder, kept, settings, report)
        rows = pdf.rows_of(asked, indexes, name, count, seed, controls, without_gold, report)
        outcomes = pdf.evaluate(
            asked, build_pipeline(indexes, name, report, reader.value), rows, count, reader.value,
            Replies(cache or default_cache(), settings.reader), jobs,
            partial(report, "questions"),
        )  # fmt: skip
    request = {
        "gold_document": "left out" if without_gold else "searched",
        "retriever": name, "reader": reader.value, "k": count, "seed": seed,
    }  # fmt: skip
    result = pdf.result_json(request, outcomes, settings)
    if out is not None:
        pdf.write(out, result, outcomes)
    print_result(result | seconds_of(began, outcomes), as_json)
    warn_of_failures(result, out)


def eval_hotpotqa(
    data: DataOption,
    setting: Annotated[
        Setting, typer.Option("--setting", help="Each question over its own paragraphs, or all over one pool.")
    ] = Setting.distractor,
    corpus: CorpusOption = None,
    qrels: OptionalQrelsOption = None,
    limit: LimitOption = None,
    seed: SeedOption = 0,
    retriever: RetrieverOption = None,
    reader: ReaderOption = ReaderStyle.notes,
    k: KOption = None,
    without_gold: WithoutGoldOption = False,
    controls: ControlsOption = True,
    jobs: JobsOption = 1,
    out: OutOption = None,
    cache: CacheOption = None,
    as_json: JsonOption = False,
) -> None:
    """Answers, supporting facts and retrieval by HotpotQA's official measures, beside four controls.

    --limit draws a sample in which every type of question has its share. With --setting open, --corpus is the pool
    that is searched (else all paragraphs of the file), and --qrels says which of its passages are gold (else those
    with a gold title).
    """
    began = time.monotonic()
    settings = load_settings()
    if setting is Setting.distractor and (corpus or qrels):
        raise UsageError("--corpus and --qrels are for --setting open. Say so, or leave them out")
    if qrels and not corpus:
        raise UsageError(f"--qrels {qrels}: judges passages of a --corpus. Name it, too")
    check_jobs(jobs, settings)
    check_out(out)
    benchmark = multihop.read_questions(data)
    asked = multihop.sample(benchmark.questions, limit, seed)
    warn_of_limit(limit, len(benchmark.questions), data)
    name, count = retriever_of(retriever, settings), count_of(k, settings)
    kept = cache or default_cache()
    with progress() as report:
        searched = [name, BM25] if controls else [name]
        pool = hotpotqa.open_pool(benchmark, setting.value, kept, settings, searched, corpus, qrels, report)
        pipeline = build_pipeline(pool.corpus.indexes, name, report, reader.value)
        rows = hotpotqa.rows_of(asked, pool, name, count, seed, controls, report, without_gold)
        outcomes = hotpotqa.evaluate(
            asked, pool, pipeline, rows, count, reader.value, Replies(kept, settings.reader), jobs,
            partial(report, "questions"),
        )  # fmt: skip
    request = {
        "data": str(data), "setting": setting.value, "of": len(benchmark.questions), "passages": len(pool.corpus.ids),
        "retriever": name, "reader": reader.value, "k": count, "seed": seed,
        "gold_passages": "left out" if without_gold else "searched",
    }  # fmt: skip
    result = hotpotqa_report.result_json(benchmark.name, request, outcomes, settings)
    if out is not None:
        hotpotqa_report.write(out, f"{data.name}, {setting.value} setting", benchmark.name, result, outcomes, pool.gold)
    print_result(result | seconds_of(began, outcomes), as_json)
    warn_of_failures(result, out)


def eval_injections(
    data: OptionalDataOption = None,
    limit: LimitOption = None,
    style: StyleOption = "short",
    out: OutOption = None,
    cache: CacheOption = None,
    as_json: JsonOption = False,
) -> None:
    """Instructions planted in passages: how often the reader follows them, beside the same questions without.

    Without --data the project's own records are asked. --limit takes the first; four are one of each kind.
    """
    began = time.monotonic()
    settings = load_settings()
    check_out(out)
    available = injections.read_injections(data or injections.FILE)
    warn_of_limit(limit, len(available), data or injections.FILE)
    with progress() as report:
        outcomes = injections.run(
            available[:limit], injections.build_pipeline(settings), Replies(cache or default_cache(), settings.reader),
            partial(report, "questions"), style,
        )  # fmt: skip
    result = injections.result_json(outcomes, settings) | {"style": style}
    if out is not None:
        injections.write(out, result, outcomes)
    print_result(result | {"seconds": round(time.monotonic() - began, 1)}, as_json, injections.text)
    warn_of_failures(result, out)
