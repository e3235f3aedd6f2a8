"""The commands of `eval`: how well questions are answered and passages found, beside controls."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from enum import Enum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rag.errors import RagError, UsageError
from ui.cli.shared import (
    CacheOption,
    FolderOption,
    JsonOption,
    KeptOption,
    KOption,
    ReaderStyle,
    RetrieverName,
    RetrieverOption,
    default_cache,
    load_settings,
    page_counts,
    print_json,
    print_result,
    progress,
    scratch_library,
)

if TYPE_CHECKING:
    from rag.settings import Settings

eval_app = typer.Typer(no_args_is_help=True, help="Benchmarks.")

QuestionsOption = Annotated[
    Path, typer.Option("--questions", help="JSONL with id, file, question, answer, page, where.")
]
LimitOption = Annotated[int | None, typer.Option("--limit", min=1, help="A sample of N, every type with its share.")]
SeedOption = Annotated[int, typer.Option("--seed", help="Of the sample and the controls.")]
OutOption = Annotated[Path | None, typer.Option("--out", help="Folder for predictions, per_question.jsonl, report.md.")]
ControlsOption = Annotated[bool, typer.Option(help="Ask the controls in the same run.")]
JobsOption = Annotated[int, typer.Option("--jobs", min=1, help="Questions asked of an endpoint at a time.")]


class Setting(str, Enum):
    distractor = "distractor"
    open = "open"


log = logging.getLogger("glossator")


@eval_app.command("pdf")
def eval_pdf(
    questions: QuestionsOption,
    folder: FolderOption,
    library: KeptOption = None,
    where: Annotated[
        str | None, typer.Option("--where", help="Only questions on: text, table, figure or scan.")
    ] = None,
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="Only the first N questions.")] = None,
    seed: SeedOption = 0,
    reader: Annotated[ReaderStyle, typer.Option("--reader")] = ReaderStyle.notes,
    retriever: RetrieverOption = None,
    k: KOption = None,
    without_gold: Annotated[
        bool, typer.Option("--without-gold", help="Leave out the document with the answer: a control for abstaining.")
    ] = False,
    controls: ControlsOption = True,
    jobs: JobsOption = 1,
    out: OutOption = None,
    cache: CacheOption = None,
    as_json: JsonOption = False,
) -> None:
    """Gold page among the hits, answers right, citations on the gold page, beside four controls."""
    from eval.core.cache import Replies
    from eval.pdf import pdf_questions as pdf
    from rag.answer import open_road

    began = time.monotonic()
    settings = load_settings()
    name, count = _retriever(retriever, settings), _count(k, settings)
    _check_jobs(jobs, settings)
    check_out(out)
    if where not in (None, *pdf.WHERE):
        raise UsageError(f"--where {where}: choose one of {', '.join(pdf.WHERE)}")
    there = [question for question in pdf.read_questions(questions) if where in (None, question.where)]
    if not there:
        raise UsageError(f"--where {where}: {questions} has no such question. Leave it out, or name another")
    _say_limit(limit, len(there), questions)
    asked = there[:limit]
    with scratch_library(library) as kept, progress() as report:
        indexes = pdf.open_library(folder, kept, settings, report)
        rows = pdf.rows_of(asked, indexes, name, count, seed, controls, without_gold, report)
        outcomes = pdf.evaluate(
            asked, open_road(indexes, name, report), rows, count, reader.value,
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
    print_result(result | _seconds(began, outcomes), as_json)
    _say_failures(result, out)


@eval_app.command("sampling")
def eval_sampling(
    questions: QuestionsOption,
    folder: FolderOption,
    library: KeptOption = None,
    k: KOption = None,
    seed: SeedOption = 0,
    pages: Annotated[
        str, typer.Option("--pages", help="Also ask over one document of so many pages: 5,50,100,200,400.")
    ] = "",
    limit: Annotated[int, typer.Option("--limit", min=1, help="With --pages: only N of the questions on text.")] = 5,
    as_json: JsonOption = False,
) -> None:
    """Gold page among the passages: without tables and figures, captions only, without OCR, by chance, each k."""
    from eval.pdf import pdf_questions as pdf
    from eval.pdf import sampling

    settings = load_settings()
    asked = pdf.read_questions(questions)
    counts = page_counts(pages)
    with scratch_library(library) as kept, progress() as report:
        indexes = pdf.open_library(folder, kept, settings, report)
        result = sampling.ablation(asked, indexes.library, settings, _count(k, settings), seed, report)
        grown = None
        if len(counts) > 1:
            files = sorted(folder.glob("*.pdf"), key=lambda file: -file.stat().st_size)
            short = [question for question in asked if question.where == "text" and question.file != files[0].name]
            grown = sampling.growth(short[:limit], files, files[0], counts, settings, _count(k, settings), report)
    if as_json:
        print_json(result | ({"growth": grown} if grown else {}))
    else:
        print(sampling.ablation_text(result))
        print("\n" + sampling.growth_text(grown) if grown else "", end="")


@eval_app.command("retrieval")
def eval_retrieval(
    beir: Annotated[Path | None, typer.Option("--beir", help="A folder of BEIR: corpus, queries, qrels/.")] = None,
    corpus: Annotated[Path | None, typer.Option("--corpus", help="Records with id, title, text.")] = None,
    queries: Annotated[Path | None, typer.Option("--queries", help="Records with id and text, or a question.")] = None,
    qrels: Annotated[Path | None, typer.Option("--qrels", help="TSV: query, passage, grade.")] = None,
    split: Annotated[str, typer.Option("--split", help="Which qrels of a BEIR folder.")] = "test",
    retriever: RetrieverOption = None,
    seed: SeedOption = 0,
    controls: ControlsOption = True,
    run: Annotated[Path | None, typer.Option("--run", help="Write the ranking there, in TREC's format.")] = None,
    out: OutOption = None,
    cache: CacheOption = None,
    as_json: JsonOption = False,
) -> None:
    """nDCG, recall, AP and RR over a collection with judgements, beside three controls."""
    from eval.retrieval import measures as retrieval
    from eval.retrieval.collection import beir_files, read_collection
    from eval.retrieval.corpus import open_corpus

    check_out(out)
    files = (corpus, queries, qrels)
    if beir is not None and any(files):
        raise UsageError("--beir names a whole collection. Leave out --corpus, --queries and --qrels, or --beir")
    if beir is None and not all(files):
        raise UsageError("name a collection: --beir FOLDER, or --corpus, --queries and --qrels together")
    began = time.monotonic()
    settings = load_settings()
    name = _retriever(retriever, settings)
    collection = read_collection(*(beir_files(beir, split) if beir is not None else files))
    with progress() as report:
        searched = [name, retrieval.BM25] if controls else [name]
        indexed = open_corpus(collection.entries, cache or default_cache(), settings, searched, report)
        result = retrieval.run(
            collection, indexed, settings, name, controls, out, run, seed,
            partial(report, "queries"),
        )  # fmt: skip
    print_result(result | {"seconds": round(time.monotonic() - began, 1)}, as_json)


@eval_app.command("hotpotqa")
def eval_hotpotqa(
    data: Annotated[Path, typer.Option("--data", help="A file of HotpotQA, 2WikiMultihopQA or MuSiQue.")],
    setting: Annotated[
        Setting, typer.Option("--setting", help="Each question over its own paragraphs, or all over one pool.")
    ] = Setting.distractor,
    corpus: Annotated[
        Path | None, typer.Option("--corpus", help="The pool of the open setting (else all paragraphs of the file).")
    ] = None,
    qrels: Annotated[
        Path | None, typer.Option("--qrels", help="Which passages of the corpus are gold (else those of gold title).")
    ] = None,
    limit: LimitOption = None,
    seed: SeedOption = 0,
    retriever: RetrieverOption = None,
    reader: Annotated[ReaderStyle, typer.Option("--reader")] = ReaderStyle.notes,
    k: KOption = None,
    without_gold: Annotated[
        bool, typer.Option("--without-gold", help="Without the gold passages: does it abstain?")
    ] = False,
    controls: ControlsOption = True,
    jobs: JobsOption = 1,
    out: OutOption = None,
    cache: CacheOption = None,
    as_json: JsonOption = False,
) -> None:
    """Answers, supporting facts and retrieval by HotpotQA's official measures, beside four controls."""
    from eval.core.cache import Replies
    from eval.multihop import hotpotqa, hotpotqa_report
    from eval.multihop import questions as multihop
    from rag.answer import open_road

    began = time.monotonic()
    settings = load_settings()
    if setting is Setting.distractor and (corpus or qrels):
        raise UsageError("--corpus and --qrels are for --setting open. Say so, or leave them out")
    if qrels and not corpus:
        raise UsageError(f"--qrels {qrels}: judges passages of a --corpus. Name it, too")
    _check_jobs(jobs, settings)
    check_out(out)
    benchmark = multihop.read_questions(data)
    asked = multihop.sample(benchmark.questions, limit, seed)
    _say_limit(limit, len(benchmark.questions), data)
    name, count = _retriever(retriever, settings), _count(k, settings)
    kept = cache or default_cache()
    with progress() as report:
        searched = [name, hotpotqa.BM25] if controls else [name]
        pool = hotpotqa.open_pool(benchmark, setting.value, kept, settings, searched, corpus, qrels, report)
        road = open_road(pool.corpus.indexes, name, report)
        rows = hotpotqa.rows_of(asked, pool, name, count, seed, controls, report, without_gold)
        outcomes = hotpotqa.evaluate(
            asked, pool, road, rows, count, reader.value, Replies(kept, settings.reader), jobs,
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
    print_result(result | _seconds(began, outcomes), as_json)
    _say_failures(result, out)


@eval_app.command("injections")
def eval_injections(
    data: Annotated[
        Path | None, typer.Option("--data", help="Records as in eval/injection/injections.jsonl, instead of ours.")
    ] = None,
    limit: Annotated[
        int | None, typer.Option("--limit", min=1, help="Only the first N; four are one of each kind.")
    ] = None,
    out: OutOption = None,
    cache: CacheOption = None,
    as_json: JsonOption = False,
) -> None:
    """Instructions planted in passages: how often the reader follows them, beside the same questions without."""
    from eval.core.cache import Replies
    from eval.injection import injections

    began = time.monotonic()
    settings = load_settings()
    check_out(out)
    there = injections.read_injections(data or injections.FILE)
    _say_limit(limit, len(there), data or injections.FILE)
    with progress() as report:
        outcomes = injections.run(
            there[:limit], injections.open_road(settings), Replies(cache or default_cache(), settings.reader),
            partial(report, "questions"),
        )  # fmt: skip
    result = injections.result_json(outcomes, settings)
    if out is not None:
        injections.write(out, result, outcomes)
    print_result(result | {"seconds": round(time.monotonic() - began, 1)}, as_json, injections.text)
    _say_failures(result, out)


@eval_app.command("attribution")
def eval_attribution(
    data: Annotated[Path, typer.Option("--data", help="A file of HotpotQA, 2WikiMultihopQA or MuSiQue.")],
    limit: LimitOption = None,
    permutations: Annotated[int, typer.Option("--permutations", min=1, help="Of sampled Shapley values.")] = 100,
    seed: SeedOption = 0,
    retriever: RetrieverOption = None,
    reader: Annotated[ReaderStyle, typer.Option("--reader")] = ReaderStyle.direct,
    k: KOption = None,
    out: OutOption = None,
    cache: CacheOption = None,
    as_json: JsonOption = False,
) -> None:
    """Do attributions tell the truth: what the reader does without the documents that they name, by method."""
    from eval.attribution import attribution_report
    from eval.attribution import methods as attribution
    from eval.core.cache import Replies
    from eval.multihop import hotpotqa
    from eval.multihop import questions as multihop
    from rag.answer import open_road
    from rag.attribute.shapley import MOST_EXACT
    from rag.attribute.tree_reader import in_torch

    began = time.monotonic()
    settings = load_settings()
    name, count = _retriever(retriever, settings), _count(k, settings)
    if count > MOST_EXACT:
        raise UsageError(f"-k {count}: exact values need every coalition. Ask for at most {MOST_EXACT} passages")
    if reader is ReaderStyle.quotes:
        raise UsageError("--reader quotes: the answer is not read from the passages themselves. Name direct or notes")
    check_out(out)
    benchmark = multihop.read_questions(data)
    asked = multihop.sample(benchmark.questions, limit, seed)
    _say_limit(limit, len(benchmark.questions), data)
    kept = cache or default_cache()
    with progress() as report:
        pool = hotpotqa.open_pool(benchmark, Setting.distractor.value, kept, settings, [name], report=report)
        rows = hotpotqa.rows_of(asked, pool, name, count, seed, controls=False, report=report)
        road = open_road(pool.corpus.indexes, name, report)
        replies = Replies(kept, settings.reader)
        fast = in_torch(road.reader, report) if settings.attribute.runtime == "torch" else None
        if fast is not None:  # answers and parts of the evidence are then read by the same weights, and sooner
            road = replace(road, reader=fast)
            replies = Replies(kept, settings.reader.model_copy(update={"model": f"{settings.reader.model}, torch"}))
        outcomes = attribution.evaluate(
            asked, pool, road, rows, count, reader.value, replies, permutations, seed, report
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


@eval_app.command("chapters")
def eval_chapters(
    episodes: Annotated[Path, typer.Option("--episodes", help="Records with id, transcript, chapters.")],
    queries: Annotated[
        Path | None, typer.Option("--queries", help="Search, too: records with id, query, episode, start, end.")
    ] = None,
    with_reader: Annotated[bool, typer.Option("--with-reader", help="The reader's rows, too: hours on a CPU.")] = False,
    retriever: RetrieverOption = None,
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="A sample of N episodes.")] = None,
    seed: SeedOption = 0,
    out: OutOption = None,
    cache: CacheOption = None,
    as_json: JsonOption = False,
) -> None:
    """Boundaries and titles beside the makers'; with --queries, whether chapters and titles help to find passages."""
    from eval.podcast import chapter_run as evaluation

    began = time.monotonic()
    settings = load_settings()
    check_out(out)
    asked = evaluation.read(episodes, queries, limit, seed)
    _say_limit(limit, asked.of, episodes, "episodes with makers' chapters")
    with progress() as report:
        result, outcomes, found = evaluation.run(
            asked, cache or default_cache(), settings, _retriever(retriever, settings), with_reader, seed, report
        )
    result["seconds"] = round(time.monotonic() - began, 1)
    if out is not None:
        evaluation.write(out, result, asked, outcomes, found)
    print_result(result, as_json, evaluation.text)


@eval_app.command("pruning")
def eval_pruning(
    beir: Annotated[Path, typer.Option("--beir", help="A folder of BEIR: corpus, queries, qrels/test.tsv.")],
    limit: Annotated[
        int | None, typer.Option("--limit", min=1, help="So many passages: the judged ones, and others by a hash.")
    ] = None,
    seed: SeedOption = 0,
    as_json: JsonOption = False,
) -> None:
    """How far the sparse encoder can be pruned or quantised before nDCG@10 drops, and what CPU time that saves."""
    from eval.retrieval.collection import beir_files, read_collection
    from eval.retrieval.pruning import pruning, pruning_text

    began = time.monotonic()
    settings = load_settings()
    collection = read_collection(*beir_files(beir))
    with progress() as report:
        result = pruning(collection, settings, limit, seed, report=report)
    print_result(result | {"seconds": round(time.monotonic() - began, 1)}, as_json, pruning_text)


@eval_app.command("compare")
def eval_compare(
    a: Annotated[Path, typer.Argument(help="A folder that `eval ... --out` wrote, or a control's folder in it.")],
    b: Annotated[Path, typer.Argument(help="Another.")],
    seed: SeedOption = 0,
    as_json: JsonOption = False,
) -> None:
    """The difference between two runs over the same questions, with its interval and p."""
    from eval.core.compare import compare, compare_text

    print_result(compare(a, b, seed), as_json, compare_text)


@eval_app.command("expected")
def eval_expected(
    names: Annotated[list[str] | None, typer.Argument(help="Rows of eval/expected.toml (default: all).")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Only the rows of a few minutes.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Run the commands behind the figures we publish again, and say OK or by how much they drifted."""
    from dataclasses import asdict

    from eval.core.expected import checks_text, replay

    with progress() as report:
        checks = replay(names or (), quick, report=report)
    result = {"task": "expected", "checks": [asdict(check) for check in checks]}
    print_result(result, as_json, lambda _: checks_text(checks))
    if bad := [check for check in checks if check.status in ("drift", "failed")]:
        raise RagError(f"{len(bad)} of {len(checks)} figures were not reproduced: {', '.join(c.name for c in bad)}")


def _seconds(began: float, outcomes: Mapping[str, Sequence[Any]]) -> dict[str, float]:
    """Seconds of the whole command, and those in which retriever or reader was at work on a question."""
    busy = sum(outcome.trial.busy_seconds for some in outcomes.values() for outcome in some)
    return {"seconds": round(time.monotonic() - began, 1), "busy_seconds": round(busy, 1)}


def _check_jobs(jobs: int, settings: Settings) -> None:
    if jobs > 1 and not settings.reader.model.startswith(("http://", "https://")):
        raise UsageError(f"--jobs {jobs}: the reader {settings.reader.model} answers one at a time. Leave it out")


def check_out(out: Path | None) -> None:
    if out is not None and out.exists() and not out.is_dir():
        raise UsageError(f"--out {out}: is a file. Name a folder")


def _count(k: int | None, settings: Settings) -> int:
    if k is not None and k < 1:
        raise UsageError(f"-k {k}: ask for at least 1 passage")
    return settings.retrieve.k if k is None else k


def _retriever(named: RetrieverName | None, settings: Settings) -> str:
    return named.value if named else settings.retrieve.retriever


def _say_limit(limit: int | None, there: int, data: Path, what: str = "questions") -> None:
    if limit is not None and limit > there:
        log.warning("--limit %d: %s holds %d %s, all of them are asked", limit, data, there, what)


def _say_failures(result: dict[str, Any], out: Path | None) -> None:
    controls = sum(row.get("failed", 0) for row in result.get("controls", {}).values())
    if result["failed"] or controls:
        also = f" (and {controls} in the controls)" if controls else ""
        where = f" See error in {out / 'per_question.jsonl'}" if out else " --out FOLDER keeps the reasons"
        log.warning(
            "%d of %d questions failed%s and count as wrong; the same command asks them again.%s",
            result["failed"], result["n"], also, where,
        )  # fmt: skip
