"""The command of a library's concepts: what its documents are about, and what is asked of it in vain."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from rag.errors import UsageError
from ui.cli.options import JsonOption, LibraryOption
from ui.cli.shared import open_indexes, print_json, progress
from ui.concept_view import concept_rows, spots_json
from ui.wording import many, percent, printable

if TYPE_CHECKING:
    from rag.concepts.blind_spots import BlindSpots
    from rag.concepts.concept_index import Concepts


def concepts(
    library: LibraryOption,
    every: Annotated[bool, typer.Option("--all", help="Also those without a name.")] = False,
    name: Annotated[
        bool, typer.Option("--name", help="Let the reader name the concepts; some seconds for each.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """List the concepts of a library, as search shows, mutes and boosts them; and what is asked of it in vain."""
    from rag.concepts.blind_spots import blind_spots
    from rag.concepts.concept_index import open_concepts
    from rag.library.kept.conversations import Conversations

    indexes = open_indexes(library)
    found = open_concepts(indexes)
    if found is None:
        raise UsageError(
            f"{library} has no concepts: they are made at the end of an ingestion, of 50 passages or more. "
            f"Make them: glossator check --library {library} --repair"
        )
    if name:
        from rag.concepts.naming import name_concepts
        from rag.llm.open import open_reader

        with progress() as report:
            found = name_concepts(indexes, found, open_reader(indexes.settings.reader), report)
    asked = Conversations(indexes.library.folder).asked()
    spots = blind_spots(asked, found, indexes.encode, indexes.library.numbers_of)
    rows = concept_rows(found, indexes.library, every)
    if as_json:
        print_json(
            {"concepts": rows, "passages": len(found.numbers), "all": len(found.labels)} | spots_json(spots, found)
        )
        return
    print(
        f"{many(len(rows), 'concept')} of {len(found.labels)}, in {many(len(found.numbers), 'passage')}; precision and "
        "recall of a name are those on passages that did not choose it"
    )
    for row in rows:
        documents = "; ".join(f"{printable(each['title'])} ({each['passages']})" for each in row["documents"])
        told = f"precision {percent(row['precision'])}, recall {percent(row['recall'])}" if row["label"] else "no name"
        print(f"{row['concept_id']:9} {printable(row['label']):44} {row['passages']:5} passages  {told}  {documents}")
    print(_spots_text(spots, found), end="")


def _spots_text(spots: BlindSpots, found: Concepts) -> str:
    lines = []
    for each in spots.wanted:
        label = found.label(each.concept) or found.concept_id(each.concept)
        lines.append(
            f"asked in vain: {printable(label)}: {each.unanswered} of {many(each.asked, 'question')} without an "
            f"answer, {many(each.held, 'passage')}, such as: {printable(each.questions[0])}"
        )
    lines += [f"about nothing here: {printable(question)}" for question in spots.unmatched]
    lines += [
        f"never found in {many(spots.asked, 'question')}: {printable(found.label(each.concept))}, "
        f"{many(each.held, 'passage')}"
        for each in spots.unseen
    ]
    return "".join(f"{line}\n" for line in lines)
