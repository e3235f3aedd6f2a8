"""The command `precedents`: the earlier judgments that bear on one."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rag.errors import UsageError
from ui.cli import json_layouts as layouts
from ui.cli.options import JsonOption, KOption, LibraryOption, SearchedSectionOption, SectionName, SectionOption
from ui.cli.shared import load_settings, open_indexes, print_json, progress
from ui.cli.text import hits_text

if TYPE_CHECKING:
    from rag.legal.court_cases import CourtCase
    from rag.settings import Settings

log = logging.getLogger("glossator")


def precedents(
    document: Annotated[
        str, typer.Argument(help="A judgment: an id, a unique prefix of one, a path; or a new text's file.")
    ],
    library: LibraryOption,
    section: SectionOption = SectionName.facts,
    field: SearchedSectionOption = SectionName.both,
    scorer: Annotated[
        str, typer.Option("--scorer", help='How they are found: hybrid, graph, bm25, late, ...; "?" lists all.')
    ] = "hybrid",
    k: KOption = None,
    as_json: JsonOption = False,
) -> None:
    """Find the earlier judgments that bear on a judgment in the library, or on a new text."""
    from rag.legal.casebook import open_parts, open_precedents
    from rag.legal.court_cases import undated
    from rag.legal.precedents import checked

    settings = load_settings()
    how = checked(scorer)
    indexes = open_indexes(library)
    path = Path(document)
    known = not path.is_file() or indexes.library.document_at(str(path.absolute()))
    found = indexes.library.find(document) if known else None
    with progress() as report:
        parts = open_parts(indexes, how, report)
    with open_precedents(indexes.library, parts) as (searching, cases):
        query = next((case for case in cases if case.case_id == found), None) if found else _new_case(path, settings)
        if query is None:
            raise UsageError(f"{document} is no judgment. Name one: glossator documents")
        hits = searching.search(query, settings.retrieve.k if k is None else k, section.value, field.value, how)
    if not query.passages(section.value):
        log.warning("%s: no %s were found in it, so nothing was asked", document, section.value)
    if refused := undated(query, cases):
        log.warning("left out because their dates are not known: %d judgments, such as %s", len(refused), refused[0])
    if as_json:
        print_json(layouts.precedents_json(found or document, section.value, hits))
    else:
        print(hits_text(hits))


def _new_case(path: Path, settings: Settings) -> CourtCase:
    """A text that is no document of the library, read as ingestion would."""
    from ingest.chunk import chunk
    from ingest.read import read_alone
    from rag.legal.casebook import new_case

    document = read_alone(path, settings.ingest)
    assert document.case
    return new_case(document.case, chunk(document, settings.ingest.passage_tokens, settings.ingest.overlap_tokens))
