"""The commands of `bench`: how long things take on this machine."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from eval.core import bench
from eval.core.cache import default_cache
from eval.pdf import extraction
from eval.pdf import pdf_questions as pdf
from eval.retrieval import retrieval_tables as tables
from eval.server import server_overhead
from rag.pipeline import build_pipeline
from ui.cli.extras import require
from ui.cli.options import (
    CacheOption,
    FolderOption,
    JsonOption,
    KeptLibraryOption,
    LibraryOption,
    LimitOption,
    PagesOption,
    QuestionsOption,
)
from ui.cli.shared import (
    existing,
    load_settings,
    open_indexes,
    page_counts,
    print_json,
    print_result,
    progress,
    scratch_library,
)

app = typer.Typer()

EXAMPLES = Path(__file__).parents[3] / "examples"  # in a checkout; an installed package has none


class BenchLevel(str, Enum):
    document = "document"
    word = "word"


@app.command("ingest")
def bench_ingest(
    file: Annotated[Path, typer.Option("--file", help="A PDF.")] = EXAMPLES / "specter-acl2020.pdf",
    as_json: JsonOption = False,
) -> None:
    """Wall time of an ingestion over its extraction and its encoding alone."""
    with scratch_library(None) as library:
        indexes = open_indexes(library, create=True)
        print_result(bench.ingest(existing(file), indexes, indexes.settings), as_json)


@app.command("extraction")
def bench_extraction(
    files: Annotated[list[Path], typer.Argument(help="PDFs.")],
    repeat: Annotated[int, typer.Option("--repeat", min=1, help="Turns of each contestant.")] = 3,
    pages: PagesOption = "",
    as_json: JsonOption = False,
) -> None:
    """Pages a second and peak memory of reading PDFs, beside pypdf, pypdfium2 and pdfplumber.

    --pages also reads the first file brought to each of these lengths.
    """
    counts = page_counts(pages)
    result = extraction.extraction([existing(file) for file in files], repeat)
    grown = extraction.scaling(files[0], counts, 1) if len(counts) > 1 else None
    if as_json:
        print_json(result | ({"scaling": grown} if grown else {}))
    else:
        print(extraction.extraction_text(result))
        print(extraction.scaling_text(grown) if grown else "", end="")


@app.command("retrieval")
def bench_retrieval(
    questions: QuestionsOption = EXAMPLES / "questions.jsonl",
    folder: FolderOption = EXAMPLES,
    library: KeptLibraryOption = None,
    data: Annotated[
        Path | None, typer.Option("--data", help="Folder with hotpotqa/, 2wiki/ and beir/scifact/: print the tables.")
    ] = None,
    made: Annotated[
        int, typer.Option("--made", min=0, help="How many synthetic vectors the engines search, too.")
    ] = 100_000,
    cache: CacheOption = None,
    as_json: JsonOption = False,
) -> None:
    """Milliseconds a query of each retriever; with --data the tables of ways to search, engines and encoders."""
    if data is not None:
        require("bench retrieval --data", "ir_measures", "scipy", "numba")
        with progress() as report:
            result = tables.run(data, cache or default_cache(), load_settings(), made, report)
        print_result(result, as_json, tables.text)
        return
    queries = [question.question for question in pdf.read_questions(existing(questions))]
    with scratch_library(library) as kept, progress() as report:
        indexes = pdf.open_library(folder, kept, load_settings(), report)
        print_result(bench.retrieval(indexes, queries, 10), as_json)


@app.command("answer")
def bench_answer(
    questions: QuestionsOption = EXAMPLES / "questions.jsonl",
    folder: FolderOption = EXAMPLES,
    library: KeptLibraryOption = None,
    limit: LimitOption = 5,
    as_json: JsonOption = False,
) -> None:
    """Seconds to the first token and to the end, prompt tokens. --limit takes the first questions."""
    asked = [question.question for question in pdf.read_questions(existing(questions))][:limit]
    settings = load_settings()
    with scratch_library(library) as kept, progress() as report:
        pipeline = build_pipeline(pdf.open_library(folder, kept, settings, report), None, report)
        print_result(bench.answer(pipeline, asked, settings.retrieve.k), as_json)


@app.command("attribution")
def bench_attribution(
    questions: QuestionsOption = EXAMPLES / "questions.jsonl",
    folder: FolderOption = EXAMPLES,
    library: KeptLibraryOption = None,
    limit: LimitOption = 3,
    level: Annotated[BenchLevel, typer.Option("--level", help="Of whole documents, or down to words.")] = (
        BenchLevel.document
    ),
    as_json: JsonOption = False,
) -> None:
    """Calls, prompt tokens and seconds of document scores: as the paper does it, with a cache, in prefix order.

    With --level word: of scores down to words, as the paper does it and as `ask --attribute word` does.
    """
    asked = [question.question for question in pdf.read_questions(existing(questions))][:limit]
    settings = load_settings()
    with scratch_library(library) as kept, progress() as report:
        pipeline = build_pipeline(pdf.open_library(folder, kept, settings, report), None, report)
        measure = bench.word_attribution if level is BenchLevel.word else bench.attribution
        print_result(measure(pipeline, asked, settings.retrieve.k, report=report), as_json, bench.attribution_text)


@app.command("server")
def bench_server(
    library: LibraryOption,
    rounds: Annotated[int, typer.Option("--rounds", min=10, help="Searches of each kind.")] = 100,
    as_json: JsonOption = False,
) -> None:
    """A search over HTTP beside the same search in this process, and the milliseconds until a stream begins."""
    print_result(server_overhead.measure(library, rounds), as_json)
