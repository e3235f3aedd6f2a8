"""The commands of corrections: what is right where an answer was wrong, kept in the library."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from rag.errors import UsageError
from ui.cli.options import JsonOption, LibraryOption
from ui.cli.shared import open_indexes, print_json
from ui.wording import correction_text, printable


def correct(
    question: Annotated[str, typer.Argument(help="The question that was answered wrongly.")],
    answer: Annotated[str, typer.Option("--answer", help="The right answer.")],
    library: LibraryOption,
    reason: Annotated[str, typer.Option("--reason", help="Why.")] = "",
    wrong: Annotated[str, typer.Option("--wrong", help="The answer that was given.")] = "",
    passage: Annotated[str, typer.Option("--passage", help="The id of the passage that shows it.")] = "",
    as_json: JsonOption = False,
) -> None:
    """Keep the right answer to a question: the same question gets it from now on, near ones are read with it."""
    from dataclasses import asdict

    from rag.read.corrected.make_correction import correct as keep

    made = keep(open_indexes(library), "", question, answer, reason, wrong, passage)
    if as_json:
        print_json(asdict(made))
    else:
        print(f"kept {made.correction_id}: {correction_text(made)}")


def corrections(
    library: LibraryOption,
    remove: Annotated[list[str] | None, typer.Option("--remove", help="Forget this one, by id; repeatable.")] = None,
    export: Annotated[
        str,
        typer.Option("--export", metavar="open|sparse|reader", help="JSON lines for eval and train."),
    ] = "",
    as_json: JsonOption = False,
) -> None:
    """List the corrections of a library's answers, forget some, or export them as questions and training data."""
    from dataclasses import asdict

    from rag.library.kept.corrections import Corrections
    from rag.read.corrected.make_correction import exported

    indexes = open_indexes(library)
    kept = Corrections(indexes.library.folder)
    for correction_id in remove or ():
        kept.remove(correction_id, "")
    found = kept.listed("")
    if export:
        if as_json:
            raise UsageError("--export prints JSON lines already. Leave out --json")
        passages = indexes.library.passages([each.passage_id for each in found if each.passage_id])
        for record in exported(found, passages, export):
            print(json.dumps(record, ensure_ascii=False))
        return
    if as_json:
        rows: list[dict[str, Any]] = [asdict(each) for each in found]
        print_json({"corrections": rows})
        return
    for each in found:
        print(f"{each.correction_id}  {printable(each.question)}  {correction_text(each)}")
    if not found:
        print("no corrections yet")
