"""The chapters of a stored episode made again: passages follow them, and the indexes follow the passages."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from ingest.chunk import chunk
from ingest.podcast.chapter_store import forget_chapters, make_chapters
from ingest.podcast.episode_reading import podcast_recipe
from rag.document import Chapter, Episode
from rag.errors import UsageError
from rag.index.manager import Indexes
from rag.protocols import Report, silent


def episode_of(indexes: Indexes, document_id: str) -> Episode:
    """The stored episode; UsageError for a document that is none."""
    entry = indexes.library.documents([document_id])[0]
    episode = indexes.library.episode(document_id)
    if episode is None:
        raise UsageError(f"{entry.title or document_id} is no podcast ({entry.kind}): only transcripts have chapters")
    return episode


def rechapter(indexes: Indexes, document_id: str, method: str, report: Report = silent) -> Iterator[Chapter]:
    """The chapters, each as soon as it is made; when the last was taken they are stored instead of those before.

    The next ingestion leaves them, until the transcript, what lies beside it, or the settings change. Raises
    LibraryError, UsageError, and RagError as make_chapters.
    """
    library, settings = indexes.library, indexes.settings
    episode = episode_of(indexes, document_id)
    with library.writing("glossator chapters"), indexes.updating(report):
        document = replace(library.document(document_id), episode=replace(episode, chapters=()))
        made = []
        for chapter in make_chapters(document, method, indexes, report):
            made.append(chapter)
            yield chapter
        document = replace(document, episode=replace(episode, chapters=tuple(made)))
        passages = chunk(document, settings.ingest.passage_tokens, settings.ingest.overlap_tokens)
        beside = library.documents([document_id])[0].recipe.partition(", sidecars ")[2]
        recipe = podcast_recipe(settings.ingest, settings.chapters.method, beside)
        library.put(document, passages, None, "", recipe)
        forget_chapters(library, document_id)
