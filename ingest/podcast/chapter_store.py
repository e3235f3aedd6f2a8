"""Chapters of an episode while they are made: kept in the library folder, so that a kill costs one of them.

The file has one line for each chapter, after a first line with the recipe by which they are made. A file with another
recipe is started again, and a line torn by a kill is left out.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import astuple
from pathlib import Path

from ingest.podcast.chapters import chapters_of
from rag.document import Chapter, Document
from rag.errors import LibraryError
from rag.index.manager import Indexes
from rag.library.catalogue import Library
from rag.llm.open import open_reader
from rag.protocols import Report, silent

NEED_ENCODER, NEED_READER = ("cohesion", "combined"), ("reader", "combined")


def make_chapters(document: Document, method: str, indexes: Indexes, report: Report = silent) -> Iterator[Chapter]:
    """The chapters of an episode by chapters_of's `method`, each as soon as it is made, first those made before a kill.

    They are kept until `forget_chapters`. Raises RagError for a model that cannot be loaded, or a reader that fails.
    """
    settings = indexes.settings
    encoder = indexes.encoder() if method in NEED_ENCODER else None
    reader = open_reader(settings.reader) if method in NEED_READER else None
    models = settings.dense.model if encoder else "", reader.name if reader else "", settings.reader.context_tokens
    recipe = json.dumps([method, *models, len(document.text)])
    file = _file(indexes.library, document.document_id)
    kept = _kept(file, recipe)
    _write(file, [recipe, *map(_line, kept)], "w")
    yield from kept
    for chapter in chapters_of(document, method, encoder, reader, report, kept, settings.reader.context_tokens):
        _write(file, [_line(chapter)], "a")
        yield chapter


def forget_chapters(library: Library, document_id: str) -> None:
    """Delete the file of a document's chapters: they are stored with the document."""
    _file(library, document_id).unlink(missing_ok=True)


def _file(library: Library, document_id: str) -> Path:
    return library.folder / "reading" / f"{document_id}.chapters"


def _line(chapter: Chapter) -> str:
    return json.dumps(astuple(chapter))


def _kept(file: Path, recipe: str) -> tuple[Chapter, ...]:
    """The chapters in a file with this recipe, up to the first line that is not a chapter."""
    try:
        first, *lines = file.read_text("utf-8", errors="replace").split("\n")
    except OSError:
        return ()
    chapters: list[Chapter] = []
    for line in lines[:-1] if first == recipe else ():  # after the last line's end there is nothing, or a torn line
        try:
            chapters.append(Chapter(*json.loads(line)))
        except (ValueError, TypeError, RecursionError):
            break
    return tuple(chapters)


def _write(file: Path, lines: list[str], mode: str) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open(mode, encoding="utf-8") as stream:
            stream.write("".join(f"{line}\n" for line in lines))
    except OSError as error:
        raise LibraryError(
            f"{file.parent}: cannot be written: {error.strerror}. Make room or fix its permissions, and run it again; "
            "nothing stored is lost"
        ) from error
