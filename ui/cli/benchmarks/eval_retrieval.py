"""The commands of `eval` about finding passages: retrieval, sampling, pruning."""

from __future__ import annotations

import time
from functools import partial
from typing import Annotated

import typer

from eval.core.cache import default_cache
from eval.core.trials import BM25
from eval.pdf import pdf_questions as pdf
from eval.pdf import sampling
from eval.retrieval import measures as retrieval
from eval.retrieval.collection import beir_files, read_collection
from eval.retrieval.corpus import open_corpus
from eval.retrieval.pruning import pruning, pruning_text
from rag.errors import UsageError
from ui.cli.benchmarks.eval_checks import check_out, count_of, retriever_of
from ui.cli.extras import require
from ui.cli.options import (
    BeirOption,
    CacheOption,
    ControlsOption,
    CorpusOption,
    FolderOption,
    JsonOption,
    KeptLibraryOption,
    KOption,
    LimitOption,
    OptionalBeirOption,
    OptionalQrelsOption,
    OutOption,
    PagesOption,
    QueriesOption,
    QuestionsOption,
    RetrieverOption,
    RunOption,
    SeedOption,
)
from ui.cli.shared import (
    load_settings,
    page_counts,
    print_json,
    print_result,
    progress,
    scratch_library,
)


def eval_retrieval(
    beir: OptionalBeirOption = None,
    corpus: CorpusOption = None,
    queries: QueriesOption = None,
    qrels: OptionalQrelsOption = None,
    split: Annotated[str, typer.Option("--split", help="Which qrels of a BEIR folder.")] = "test",
    retriever: RetrieverOption = None,
    seed: SeedOption = 0,
    controls: ControlsOption = True,
    run: RunOption = None,
    out: OutOption = None,
    cache: CacheOption = None,
    as_json: JsonOption = False,
) -> None:
    """nDCG, recall, AP and RR over a collection with judgements, beside three controls."""
    require("eval retrieval", "ir_measures")
    check_out(out)
    if beir is not None and (corpus or queries or qrels):
        raise UsageError("--beir names a whole collection. Leave out --corpus, --queries and --qrels, or --beir")
    if beir is not None:
        files = beir_files(beir, split)
    elif corpus and queries and qrels:
        files = corpus, queries, qrels
    else:
        raise UsageError("name a collection: --beir FOLDER, or --corpus, --queries and --qrels together")
    began = time.monotonic()
    settings = load_settings()
    name = retriever_of(retriever, settings)
    collection = read_collection(*files)
    with progress() as report:
        searched = [name, BM25] if controls else [name]
        indexed = open_corpus(collection.entries, cache or default_cache(), settings, searched, report)
        result = retrieval.run(
            collection, indexed, settings, name, controls, out, run, seed,
            partial(report, "queries"),
        )  # fmt: skip
    print_result(result | {"seconds": round(time.monotonic() - began, 1)}, as_json)


def eval_sampling(
    questions: QuestionsOption,
    folder: FolderOption,
    library: KeptLibraryOption = None,
    k: KOption = None,
    seed: SeedOption = 0,
    pages: PagesOption = "",
    limit: LimitOption = 5,
    as_json: JsonOption = False,
) -> None:
    """Gold page among the passages: without tables and figures, captions only, without OCR, at random, each k.

    --pages also asks over one document of each of these lengths, at most --limit of the questions on text.
    """
    settings = load_settings()
    asked = pdf.read_questions(questions)
    counts = page_counts(pages)
    with scratch_library(library) as kept, progress() as report:
        indexes = pdf.open_library(folder, kept, settings, report)
        result = sampling.ablation(asked, indexes.library, settings, count_of(k, settings), seed, report)
        grown = None
        if len(counts) > 1:
            files = sorted(folder.glob("*.pdf"), key=lambda file: -file.stat().st_size)
            short = [question for question in asked if question.where == "text" and question.file != files[0].name]
            grown = sampling.growth(short[:limit], files, files[0], counts, settings, count_of(k, settings), report)
    if as_json:
        print_json(result | ({"growth": grown} if grown else {}))
    else:
        print(sampling.ablation_text(result))
        print("\n" + sampling.growth_text(grown) if grown else "", end="")


def eval_pruning(
    beir: BeirOption, limit: LimitOption = None, seed: SeedOption = 0, as_json: JsonOption = False
) -> None:
    """How far the sparse encoder can be pruned or quantised before nDCG@10 drops, and what CPU time that saves.

    --limit keeps the judged passages, and of the others the first by a hash.
    """
    began = time.monotonic()
    require("eval pruning", "ir_measures")
    settings = load_settings()
    collection = read_collection(*beir_files(beir))
    with progress() as report:
        result = pruning(collection, settings, limit, seed, report=report)
    print_result(result | {"seconds": round(time.monotonic() - began, 1)}, as_json, pruning_text)
