"""Recordings in the parent process: a child hears them stretch by stretch, and the words become an episode.

What stands beside a recording (chapters, show notes) is read as with a transcript. Each sentence has the mean
probability of its words, so that what was heard with little certainty can be marked.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ingest.audio.heard_file import HeardFile, forget_heard
from ingest.child_process import ChildDied, ChildProcess, Limits, first_reply, too_large
from ingest.child_replies import check_integer, check_number, checked_list, checked_text, checking
from ingest.plain_text import title_of
from ingest.podcast.chapter_store import forget_chapters
from ingest.podcast.episode_reading import CHILD as EPISODE
from ingest.podcast.episode_reading import checked_transcript, podcast_recipe, sidecars_of, with_chapters
from ingest.podcast.sidecars import sidecars
from ingest.read_context import ReadContext, ReadDocument
from rag import bounds
from rag.document import Document, Page, Utterance
from rag.errors import DocumentError, ModelError
from rag.library.catalogue import Library
from rag.models.registry import opening

VERSION = "audio 1"  # raise the number when the same bytes would now be heard differently
CHILD = "ingest.audio.transcribe"
VOICE = "silero-vad"
STRETCH_SECONDS = 120.0  # for which a child may work at a stretch of half a minute, on a slow machine
MEMORY_MB = 4096  # address space of the child: the model maps more than it uses
MOST_WORDS = 1_000  # of a stretch
LONGEST_SECONDS = 100 * 3600
LANGUAGES = ("", "en")  # of these nothing is said


def recipe_of_recording(file: Path, document_id: str, context: ReadContext) -> str:
    """The recipe that a recording would be heard by now."""
    settings = context.indexes.settings
    beside = sidecars_of(file, document_id, context)
    return f"{podcast_recipe(context.settings, settings.chapters.method, beside, VERSION)}, {settings.audio.model}"


def read_recording(file: Path, document_id: str, context: ReadContext) -> ReadDocument:
    """Hear a recording; what a killed run heard is not heard again. Raises DocumentError, Stopped, and LibraryError."""
    model = context.indexes.settings.audio.model
    if any(find_spec(module) is None for module in ("ctranslate2", "miniaudio")):
        raise DocumentError("is a recording. To hear it, install: pip install 'glossator[audio]'")
    try:
        with opening(model) as whisper, opening(VOICE) as voice:  # a child loads them: they are compared before
            folders = Path(whisper), Path(voice)
    except ModelError as error:
        raise DocumentError(f"is a recording. To hear it, fetch: glossator models fetch {model} {VOICE}") from error
    heard = HeardFile(context.library, document_id, f"{VERSION}, {model}")
    seconds = _hear(file, heard, folders, context) if not heard.done else heard.at / 1000
    words = [word for stretch in heard.stretches for word in stretch["words"]]
    if not words:
        raise DocumentError("holds no speech that could be made out. Leave it out, or put a transcript beside it")
    cues = [[text, start, end] for text, start, end, _ in words]
    beside = {str(path.absolute()) for path in sidecars(file)}
    reply = first_reply(EPISODE, {"path": str(file), "cues": cues}, context.limits, context.children)
    title, text, warnings, episode = checked_transcript(reply, beside)
    certain = with_certainty(text, episode.utterances, [(word, share) for word, _, _, share in words])
    episode = replace(episode, utterances=certain, audio=str(file.absolute()))
    languages = {stretch["language"] for stretch in heard.stretches} - set(LANGUAGES)
    about = (f"heard in the language {', '.join(sorted(languages))}",) if languages else ()
    pages = (Page(1, 0, len(text)),)
    facts = {"language": languages.pop()} if len(languages) == 1 else {}
    document = Document(document_id, "podcast", title or title_of(file), text, pages, (*warnings, *about),
                        episode=episode, facts=facts)  # fmt: skip
    context.report(file.name, round(seconds), max(1, round(seconds)))
    return ReadDocument(document)


def _hear(file: Path, heard: HeardFile, folders: tuple[Path, Path], context: ReadContext) -> float:
    request = {
        "path": str(file), "whisper": str(folders[0]), "voice": str(folders[1]),
        "threads": max(1, (os.cpu_count() or 2) // context.children.jobs),
    }  # fmt: skip
    limits = Limits(max(STRETCH_SECONDS, context.limits.page_seconds), max(MEMORY_MB, context.limits.memory_mb))
    with context.children.slots:
        try:
            child = ChildProcess(CHILD, request, limits, context.children.stop)
        except ChildDied as died:
            raise too_large(died) from None
        try:
            with checking("a recording"):
                check_number(child.opened["seconds"], 0, LONGEST_SECONDS)
                seconds = float(child.opened["seconds"])
            for stretch in stretches(child, heard.at):
                heard.keep(stretch)
                context.report(file.name, round(min(heard.at / 1000, seconds)), max(1, round(seconds)))
            return max(seconds, heard.at / 1000)
        except ChildDied as died:
            raise too_large(died) from None
        finally:
            context.children.peaks_kb.append(child.peak_kb)
            child.close()


def stretches(child: ChildProcess, at: int) -> Iterator[dict[str, Any]]:
    """What a child hears from a millisecond on, stretch by stretch to the end. Raises as ChildProcess.ask."""
    done = False
    while not done:
        stretch = checked_stretch(child.ask(at)[1], at)
        at, done = stretch["until"], stretch["done"]
        yield stretch


def checked_stretch(value: Any, begin: int) -> dict[str, Any]:
    """A stretch that was heard from a millisecond on: it goes on, and its words are in order."""
    with checking("a recording"):
        check_integer(value["until"], begin if value["done"] else begin + 1, 1000 * LONGEST_SECONDS)
        if type(value["done"]) is not bool:
            raise ValueError("an end that is neither yes nor no")
        checked_text(value["language"], bounds.NAME)
        second = 0.0
        for text, start, end, share in checked_list(value["words"], MOST_WORDS):
            checked_text(text, bounds.TITLE * 10)
            check_number(start, second, LONGEST_SECONDS)
            check_number(end, start, LONGEST_SECONDS)
            check_number(share, 0, 1)
            second = start
        return {key: value[key] for key in ("until", "done", "words", "language")}


def with_certainty(
    text: str, utterances: Sequence[Utterance], words: Sequence[tuple[str, float]]
) -> tuple[Utterance, ...]:
    """The sentences, each with the mean probability of its words: (word, probability), in the order of the text.

    >>> said = (Utterance(0, 8, 0.0, 1.0), Utterance(9, 14, 1.0, 2.0))
    >>> [u.certainty for u in with_certainty("The mill turns", said, [("The", 1.0), ("mill", 0.5), ("turns", 0.25)])]
    [0.75, 0.25]
    """
    shares = [share for word, share in words for _ in word.split()]
    found, at = [], 0
    for utterance in utterances:
        count = len(text[utterance.start : utterance.end].split())
        own = shares[at : at + count] or [0.0]
        at += count
        found.append(replace(utterance, certainty=round(sum(own) / len(own), 3)))
    return tuple(found)


def forget_recording(library: Library, document_id: str) -> None:
    """Delete what was kept of a recording while it was read: it is stored with the document."""
    forget_heard(library, document_id)
    forget_chapters(library, document_id)


with_chapters_of_recording = partial(with_chapters, version=VERSION)
