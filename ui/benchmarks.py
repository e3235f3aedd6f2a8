"""The commands of eval/: how well questions are answered, and how long things take."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from ui.command import (
    JsonOption,
    KOption,
    ReaderStyle,
    RetrieverOption,
    existing,
    load_settings,
    open_indexes,
    print_json,
    progress,
)

eval_app = typer.Typer(no_args_is_help=True, help="Benchmarks.")
bench_app = typer.Typer(no_args_is_help=True, help="How long things take on this machine.")

EXAMPLES = Path(__file__).parents[1] / "examples"  # in a checkout; an installed package has none
FolderOption = Annotated[Path, typer.Option("--folder", help="The folder with the PDFs.")]
QuestionsOption = Annotated[
    Path, typer.Option("--questions", help="JSONL with id, file, question, answer, page, where.")
]
BenchQuestionsOption = Annotated[Path, typer.Option("--questions", help="JSONL as for `eval pdf`.")]
KeptOption = Annotated[Path | None, typer.Option("--library", help="Keep the library there.")]


@contextmanager
def _scratch(library: Path | None) -> Iterator[Path]:
    """The library named, or one that is gone afterwards."""
    if library is not None:
        yield library
        return
    import tempfile

    with tempfile.TemporaryDirectory(prefix="glossator-") as folder:
        yield Path(folder) / "library"


@eval_app.command("pdf")
def eval_pdf(
    questions: QuestionsOption,
    folder: FolderOption,
    library: KeptOption = None,
    where: Annotated[
        str | None, typer.Option("--where", help="Only questions on: text, table, figure or scan.")
    ] = None,
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="Only the first N questions.")] = None,
    reader: Annotated[ReaderStyle, typer.Option("--reader")] = ReaderStyle.notes,
    retriever: RetrieverOption = None,
    k: KOption = None,
    without_gold: Annotated[
        bool, typer.Option("--without-gold", help="Leave out the document with the answer: a control for abstaining.")
    ] = False,
    out: Annotated[Path | None, typer.Option("--out", help="Folder for per_question.jsonl and report.md.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Gold page among the hits, answers right, citations on the gold page."""
    from eval import pdf
    from rag.answer import open_road

    settings = load_settings()
    asked = [question for question in pdf.read_questions(existing(questions)) if where in (None, question.where)][
        :limit
    ]
    with _scratch(library) as kept, progress() as report:
        indexes = pdf.open_library(folder, kept, settings, report)
        road = open_road(indexes, retriever.value if retriever else None, report)
        result = pdf.run(
            asked,
            road,
            k or settings.retrieve.k,
            reader.value,
            out,
            indexes.library if without_gold else None,
            lambda done, of: report("questions", done, of),
        )
    _print_result(result, as_json)


def _print_result(result: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(result)
        return
    for name, value in result.get("metrics", result).items():
        low, high = result.get("intervals", {}).get(name, (None, None))
        print(f"{name:24} {value}" + (f"   [{low}, {high}]" if low is not None else ""))


@bench_app.command("ingest")
def bench_ingest(
    file: Annotated[Path, typer.Option("--file", help="A PDF.")] = EXAMPLES / "specter-acl2020.pdf",
    as_json: JsonOption = False,
) -> None:
    """Wall time of an ingestion over its extraction and its encoding alone."""
    from eval import bench

    with _scratch(None) as library:
        indexes = open_indexes(library, create=True)
        _print_result(bench.ingest(existing(file), indexes, indexes.settings), as_json)


@bench_app.command("retrieval")
def bench_retrieval(
    questions: BenchQuestionsOption = EXAMPLES / "questions.jsonl",
    folder: FolderOption = EXAMPLES,
    library: KeptOption = None,
    as_json: JsonOption = False,
) -> None:
    """Milliseconds a query of each retriever."""
    from eval import bench, pdf

    queries = [question.question for question in pdf.read_questions(existing(questions))]
    with _scratch(library) as kept, progress() as report:
        indexes = pdf.open_library(folder, kept, load_settings(), report)
        _print_result(bench.retrieval(indexes, queries, 10), as_json)


@bench_app.command("answer")
def bench_answer(
    questions: BenchQuestionsOption = EXAMPLES / "questions.jsonl",
    folder: FolderOption = EXAMPLES,
    library: KeptOption = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="Only the first N questions.")] = 5,
    as_json: JsonOption = False,
) -> None:
    """Seconds to the first token and to the end, prompt tokens."""
    from eval import bench, pdf
    from rag.answer import open_road

    asked = [question.question for question in pdf.read_questions(existing(questions))][:limit]
    settings = load_settings()
    with _scratch(library) as kept, progress() as report:
        road = open_road(pdf.open_library(folder, kept, settings, report), None, report)
        _print_result(bench.answer(road, asked, settings.retrieve.k), as_json)
