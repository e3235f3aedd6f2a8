"""The commands of a library's documents: ingest, documents, remove, check."""

from __future__ import annotations

import logging
import sys
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rag.errors import RagError
from ui.cli import json_layouts as layouts
from ui.cli.options import JsonOption, LibraryOption
from ui.cli.shared import open_indexes, open_library, print_json, progress
from ui.cli.text import documents_text, summary_text

if TYPE_CHECKING:
    from ingest.build import Outcome

log = logging.getLogger("glossator")


class Kind(str, Enum):
    auto = "auto"
    pdf = "pdf"
    legal = "legal"
    podcast = "podcast"
    word = "word"
    slides = "slides"
    ebook = "ebook"
    sheet = "sheet"
    email = "email"
    web = "web"
    text = "text"
    audio = "audio"


def ingest(
    paths: Annotated[  # readable or not: one that is not must not keep the others out
        list[str], typer.Argument(help="Files, folders, or a podcast's feed: its file or address.", metavar="PATH...")
    ],
    library: LibraryOption,
    jobs: Annotated[int, typer.Option("--jobs", min=1, help="Documents parsed at the same time.")] = 2,
    kind: Annotated[Kind, typer.Option("--kind", help="What the files are; of folders only these.")] = Kind.auto,
    password: Annotated[list[str] | None, typer.Option("--password", help="For encrypted files; repeatable.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="Of a feed the newest episodes.")] = 10,
    follows: Annotated[
        bool, typer.Option("--watch", help="Then keep the library like the folders, until Ctrl-C: a line a change.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Bring documents into a library: new ones are added, changed ones replaced, the rest left alone.

    PDF, Word, slides, EPUB, web pages, Markdown, text, e-mails, spreadsheets; judgments (also JSON with a record each)
    and transcripts of podcasts, with the show notes, chapters and audio that lie beside them under their name.
    Recordings without a transcript are heard."""
    from ingest.build import build
    from ingest.feeds.subscribe import is_address, is_feed_file, subscribe

    indexes = open_indexes(library, create=True)
    with progress() as report:
        places: list[Path] = []
        for given in paths:
            if is_address(given) or is_feed_file(Path(given)):
                folder, missing = subscribe(given, indexes.library, indexes.settings.ingest, limit, report)
                places.append(folder)
                for line in missing:
                    log.warning("%s", line)
            else:
                places.append(Path(given))
        summary = build(
            places, indexes.library, indexes, indexes.settings.ingest, password or (), jobs, report, kind.value
        )
    if as_json:
        print_json(layouts.summary_json(summary))
    else:
        print(summary_text(summary))
    if follows:
        from ingest.folders.watch import watch

        told = f"watching {', '.join(paths)}. Ctrl-C ends it"
        print(f"glossator: {told}", file=sys.stderr, flush=True)
        watch(
            places, indexes, lambda what, file: print(f"{what:8} {file}", flush=True), jobs, kind.value, password or ()
        )
        return
    if summary.count("failed"):
        bad = [outcome for outcome in summary.documents if outcome.status == "failed"]
        more = f" (and {len(bad) - 1} more)" if len(bad) > 1 else ""
        raise RagError(f"{_where(bad[0])}{more}")
    if before := [outcome for outcome in summary.documents if outcome.error]:
        log.warning("%d unchanged files could not be read before either, such as %s", len(before), _where(before[0]))


def _where(outcome: Outcome) -> str:
    error = outcome.error or ""
    return error if error.startswith(outcome.path) else f"{outcome.path}: {error}"


def documents(library: LibraryOption, as_json: JsonOption = False) -> None:
    """List what is in a library."""
    entries = open_library(library).documents()
    if as_json:
        print_json(layouts.documents_json(entries))
    else:
        print(documents_text(entries))


def remove(
    document: Annotated[
        list[str], typer.Argument(help="An id, a unique prefix of one, or a path.", metavar="DOCUMENT...")
    ],
    library: LibraryOption,
    as_json: JsonOption = False,
) -> None:
    """Remove documents from a library completely."""
    from ingest.build import changing
    from ingest.uploads import remove_document

    indexes = open_indexes(library)
    removed = [indexes.library.find(name) for name in document]
    removed = list(dict.fromkeys(removed))
    with changing(indexes.library, indexes, "glossator remove"):
        for document_id in removed:
            remove_document(indexes.library, document_id)
    if as_json:
        print_json({"removed": removed})
    else:
        print(f"removed {', '.join(removed)}")


def check(
    library: LibraryOption,
    repair: Annotated[bool, typer.Option("--repair", help="Rebuild the indexes from the catalogue.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Compare the indexes with the catalogue."""
    from rag.concepts.concept_index import concept_problems, lacks_concepts, rebuild_concepts
    from rag.legal.casebook import rebuild_sections, section_problems

    indexes = open_indexes(library)

    def found() -> list[str]:
        found = indexes.library.problems() + indexes.problems() + section_problems(indexes.library)
        return found + concept_problems(indexes)

    problems = found()
    repaired: list[str] = []
    if repair and (problems or lacks_concepts(indexes)):
        with progress() as report, indexes.library.writing("glossator check --repair"):
            if problems:
                indexes.rebuild(report)
                rebuild_sections(indexes.library)
            rebuild_concepts(indexes, report)
        left = found()
        repaired, problems = [problem for problem in problems if problem not in left], left
    if as_json:
        print_json({"ok": not problems, "problems": problems, "repaired": repaired})
    else:
        for line in [*(f"repaired: {text}" for text in repaired), *(f"problem: {text}" for text in problems)]:
            print(line)
        if not problems:
            print("all is well")
    if problems:
        raise RagError(f"{library}: {len(problems)} problems. Fix them: glossator check --library {library} --repair")
