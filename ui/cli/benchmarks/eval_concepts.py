"""The command `eval concepts`: what the concepts of a library explain, name and steer, beside controls."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from eval.concepts.concept_trials import concepts_text, read_questions, run
from rag.concepts.concept_dictionary import KINDS
from rag.errors import UsageError
from ui.cli.options import JsonOption, LibraryOption, LimitOption, SeedOption
from ui.cli.shared import open_indexes, print_result, progress


def eval_concepts(
    library: LibraryOption,
    questions: Annotated[Path, typer.Option("--questions", help="JSONL with question, query or text.")],
    kind: Annotated[
        list[str] | None, typer.Option("--kind", help=f"Only these of {', '.join(KINDS)}. Repeatable.")
    ] = None,
    limit: LimitOption = None,
    seed: SeedOption = 0,
    as_json: JsonOption = False,
) -> None:
    """The kinds of dictionaries in one table, how stable they are, what one concept tells of the metadata's classes,
    and what muting the largest concept of a question does to its ten best passages."""
    if unknown := set(kind or ()) - set(KINDS):
        raise UsageError(f"--kind {sorted(unknown)[0]}: choose one of {', '.join(KINDS)}")
    chosen = [each for each in KINDS if not kind or each in kind]
    indexes = open_indexes(library)
    with progress() as report:
        result = run(indexes, read_questions(questions, limit), chosen, seed, partial(report))
    print_result(result, as_json, concepts_text)
