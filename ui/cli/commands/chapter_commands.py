"""The command `chapters`: the chapters of a podcast, listed, made, or written to a file."""

from __future__ import annotations

import sys
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from ui import chapter_formats
from ui.cli.options import JsonOption, LibraryOption
from ui.cli.shared import open_indexes, print_json, progress


class ChapterMethod(str, Enum):
    cohesion = "cohesion"
    reader = "reader"
    combined = "combined"


class ChapterFormat(str, Enum):
    text = "text"
    podcasting = "podcasting"
    webvtt = "webvtt"


def chapters(
    document: Annotated[str, typer.Argument(help="An id, a unique prefix of one, or a path.", metavar="DOCUMENT")],
    library: LibraryOption,
    method: Annotated[
        ChapterMethod | None, typer.Option("--method", help="Make new ones, in place of those stored.")
    ] = None,
    form: Annotated[
        ChapterFormat, typer.Option("--format", help="For show notes, for podcast apps, or for players.")
    ] = ChapterFormat.text,
    out: Annotated[Path | None, typer.Option("--out", help="Write them to this file.")] = None,
    as_json: JsonOption = False,
) -> None:
    """List the chapters of a podcast: the maker's, or ours where there are none."""
    from ingest.podcast.rechapter import episode_of, rechapter

    indexes = open_indexes(library)
    document_id = indexes.library.find(document)
    found = episode_of(indexes, document_id).chapters
    to_file = chapter_formats.FORMATS[form.value]
    streamed = form is ChapterFormat.text and sys.stdout.isatty() and not (as_json or out)
    if method is not None:
        made = []
        with progress() as report:
            for chapter in rechapter(indexes, document_id, method.value, report):
                made.append(chapter)
                if streamed:
                    print(chapter_formats.line(chapter), flush=True)
        found = tuple(made)
    if out is not None:
        out.write_text(to_file(found), "utf-8")
    if as_json:
        title = indexes.library.documents([document_id])[0].title
        print_json(chapter_formats.chapters_json(document_id, title, found))
    elif out is None and not (method and streamed):
        print(to_file(found), end="")
