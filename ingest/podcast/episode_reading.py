"""Transcripts in the parent process: their child is asked, its reply checked, and the episode made a Document."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import Any

from ingest.child_process import first_reply
from ingest.child_replies import (
    check_date,
    check_number,
    check_span,
    checked_list,
    checked_text,
    checked_text_reply,
    checking,
)
from ingest.plain_text import title_of
from ingest.podcast.chapter_store import forget_chapters, make_chapters
from ingest.podcast.sidecars import sidecars, sidecars_hash
from ingest.read_context import ReadContext, ReadDocument
from rag import bounds
from rag.document import Document, Episode, Page
from rag.library import episodes
from rag.library.catalogue import Library
from rag.library.documents import DocumentEntry
from rag.library.episodes import AUDIO_WAS_IN
from rag.settings import Ingest

VERSION = "podcast 2"  # raise the number when the same bytes would now be read differently
CHILD = "ingest.podcast.episode"
MOST_SECONDS = 1e9
ADDRESS = re.compile(r"https?://\S+")


def podcast_recipe(settings: Ingest, method: str, sidecars: str, version: str = VERSION) -> str:
    """How a transcript is made into passages: sizes, the method of chapters if it has none, the hash of its sidecars.

    >>> podcast_recipe(Ingest(), "cohesion", "0f")
    'podcast 2, 180/30, chapters cohesion, sidecars 0f'
    """
    sizes = f"{settings.passage_tokens}/{settings.overlap_tokens}"
    return f"{version}, {sizes}, chapters {method}, sidecars {sidecars}"


def recipe_of_transcript(file: Path, document_id: str, context: ReadContext) -> str:
    """The recipe that the transcript would be read by now."""
    beside = sidecars_of(file, document_id, context)
    return podcast_recipe(context.settings, context.indexes.settings.chapters.method, beside)


def sidecars_of(file: Path, document_id: str, context: ReadContext) -> str:
    """The hash of the sidecars and, where the stored recipe has it, the folder that the audio was in."""
    library = context.library
    entry = next(iter(library.documents([document_id])), None)
    was_in = entry.recipe.partition(AUDIO_WAS_IN)[2] if entry else ""

    def stored_as(audio: str) -> str:
        stored = library.stored_as(audio)
        return f"{was_in}/{Path(audio).name}" if was_in and not stored.startswith("/") else stored

    return sidecars_hash(file, stored_as) + (f"{AUDIO_WAS_IN}{was_in}" if was_in else "")


def read_episode(file: Path, document_id: str, context: ReadContext) -> ReadDocument:
    """Read a transcript and its sidecars in a limited child process. Raises DocumentError, and Stopped."""
    reply = first_reply(CHILD, {"path": str(file)}, context.limits, context.children)
    title, text, warnings, episode = checked_transcript(reply, {str(path.absolute()) for path in sidecars(file)})
    pages = (Page(1, 0, len(text)),)
    title = title or title_of(file)
    return ReadDocument(Document(document_id, "podcast", title, text, pages, warnings, episode=episode))


def stored_transcript(library: Library, document_id: str) -> None:
    """What follows when a transcript was stored: it stands in place of its recording, if that was heard before."""
    forget_chapters(library, document_id)
    episode = library.episode(document_id)
    if episode and library.document_at(episode.audio) not in (None, document_id):
        library.forget_path(Path(episode.audio))


def with_chapters(
    document: Document, entry: DocumentEntry | None, context: ReadContext, version: str = VERSION
) -> Document:
    """The episode with chapters of ours if its maker gave none.

    The stored ones, of the catalogue's `entry`, are kept if nothing that they depend on has changed. Raises RagError
    where chapters cannot be made.
    """
    episode = document.episode
    if episode is None or episode.chapters or not episode.utterances:
        return document
    method, before = context.indexes.settings.chapters.method, context.library.episode(document.document_id)
    if before and entry and before.utterances == episode.utterances and before.chapters:
        ours = all(chapter.source == "ours" for chapter in before.chapters)
        parts = entry.recipe.split(", ")
        if ours and parts[0] == version and f"chapters {method}" in parts:
            return replace(document, episode=replace(episode, chapters=before.chapters))
    made = tuple(make_chapters(document, method, context.indexes, context.report))
    return replace(document, episode=replace(episode, chapters=made))


# -- the child's reply -------------------------------------------------------------------------------------------------


def checked_transcript(value: Any, beside: Collection[str] = ()) -> tuple[str, str, tuple[str, ...], Episode]:
    """Title, text, warnings and episode. Its sentences are in order, and not blank; its chapters leave no gaps.

    Its audio is a web address or one of the files `beside` it: the page plays it, so it must be no other file.
    """
    with checking("a transcript"):
        title, text, warnings = checked_text_reply(value, None)
        show, description, date, audio, utterances, chapters = value["episode"]
        checked_text(show, bounds.TITLE)
        checked_text(description, bounds.DESCRIPTION)
        check_date(date)
        if checked_text(audio, bounds.ADDRESS) and audio not in beside and not ADDRESS.fullmatch(audio):
            raise ValueError("a recording that does not lie beside it")
        _check_utterances(checked_list(utterances, len(text)), text)
        _check_chapters(checked_list(chapters, bounds.CHAPTERS), len(text))
        return title, text, warnings, episodes.from_json(value["episode"])


def _check_utterances(rows: list[Any], text: str) -> None:
    behind, second = 0, 0.0
    for start, end, first, last, speaker, certainty in rows:
        check_span(start, end, behind, len(text))
        if text[start].isspace() or text[end - 1].isspace():
            raise ValueError("a sentence with white space around it")
        check_number(first, second, MOST_SECONDS)
        check_number(last, first, MOST_SECONDS)
        checked_text(speaker, bounds.NAME)
        if certainty is not None:
            check_number(certainty, 0, 1)
        behind, second = end, first


def _check_chapters(rows: list[Any], length: int) -> None:
    behind: int | None = None
    for title, start, end, first, last, source in rows:
        checked_text(title, bounds.TITLE)
        check_span(start, end, behind or 0, length)
        check_number(first, 0, MOST_SECONDS)
        check_number(last, first, MOST_SECONDS)
        if source != "maker" or (behind is not None and behind != start):
            raise ValueError("a chapter that does not begin where the one before it ends")
        behind = end
