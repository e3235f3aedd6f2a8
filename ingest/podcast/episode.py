"""A transcript and its sidecars -> Document: sentences with speaker and seconds, the maker's chapters, show notes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path
from typing import Any

from ingest.plain_text import BAD, decoded, one_line
from ingest.podcast.formats.cues import FRONT, Cue, Transcript, front_matter, plain
from ingest.podcast.formats.transcript import MOST_BYTES, read_transcript
from ingest.podcast.maker_chapters import (
    chapters_in_notes,
    chapters_of_json,
    chapters_of_psc,
    maker_chapters,
    plain_title,
)
from ingest.podcast.sidecars import AUDIO, CHAPTERS, ENDINGS, NOTES, sidecars
from ingest.podcast.utterances import sentences, unrolled, with_times
from rag import bounds
from rag.bounds import shortened
from rag.document import Document, Episode, Page
from rag.errors import DocumentError, first_line_of
from rag.library import episodes

MOST_NOTES = 4 << 20  # bytes of a file beside a transcript


def read_podcast(file: Path, document_id: str, title: str, heard: Transcript | None = None) -> Document:
    """The episode as a document of one page: a line for each speaker's turn, its sentences joined by a space.

    The title is that of NAME.meta.md, else the transcript's own, else that of the chapters file if the file also names
    its podcast (a tool that makes chapters calls them "Index"), else `title`. With `heard` the file is a recording, and
    this its transcript. Raises DocumentError without the path.
    """
    transcript = heard or _transcript_in(file)
    warnings = list(transcript.warnings)
    beside = _Sidecars(sidecars(file), warnings)
    timed, problems = with_times(unrolled(transcript.cues))
    warnings += problems
    text, utterances = sentences(timed)
    chapters, problems = maker_chapters(beside.chapters(transcript), text, utterances)
    warnings += problems
    about = beside.front
    episode = Episode(
        show=one_line(about.get("show") or about.get("podcast") or beside.show),
        description=beside.description(),
        date=next(filter(None, (_iso(about.get(key, "")) for key in ("published", "date", "recorded"))), ""),
        audio=beside.audio(),
        utterances=utterances,
        chapters=chapters,
    )
    named = about.get("title") or transcript.title or (beside.title if beside.show else "") or title
    kept = tuple(shortened(BAD.sub("\ufffd", warning), bounds.WARNING) for warning in warnings)
    return Document(document_id, "podcast", one_line(named), text, (Page(1, 0, len(text)),), kept, episode=episode)


def _transcript_in(file: Path) -> Transcript:
    try:
        if file.stat().st_size > MOST_BYTES:
            raise DocumentError(f"is larger than any transcript ({MOST_BYTES >> 20} MB). Cut it in parts")
        data = file.read_bytes()
    except OSError as error:
        raise DocumentError(f"cannot be read: {error.strerror}. Check its permissions") from error
    return read_transcript(data, file.name)


def serve(request: dict[str, Any], numbers: Iterator[int]) -> Iterator[tuple[str, Any]]:
    """What the child process replies (ingest/worker.py): ("open", title, text, warnings and episode of the transcript).

    `request` is {"path"}, and of a recording "cues": (words, first second, last second); there is nothing more to ask.
    """
    cues = [(BAD.sub("", text), start, end) for text, start, end in request.get("cues", ())]
    heard = Transcript(tuple(Cue(*cue) for cue in cues if cue[0].strip())) if cues else None
    read = read_podcast(Path(request["path"]), "", "", heard)
    episode = episodes.to_json(read.episode or Episode())
    yield "open", {"title": read.title, "text": read.text, "warnings": read.warnings, "episode": episode}


# -- sidecars ----------------------------------------------------------------------------------------------------------


class _Sidecars:
    """The contents of the sidecars of a transcript; a file that cannot be read is left out with a warning."""

    def __init__(self, files: Sequence[Path], warnings: list[str]) -> None:
        self.files, self.warnings = files, warnings
        self.title, self.show = "", ""
        self.front: dict[str, str] = {}
        self.bodies: list[str] = []
        for file in sorted((file for file in files if file.name.endswith(NOTES)), key=_priority):
            text = decoded(self._bytes(file)).replace("\r\n", "\n")
            if front := FRONT.match(text):
                pairs = front_matter(front.group(1)).items()
                self.front = {**{key: plain_title(value) for key, value in pairs}, **self.front}
                text = text[front.end() :]
            self.bodies.append(text)

    def _bytes(self, file: Path) -> bytes:
        try:
            if file.stat().st_size <= MOST_NOTES:
                return file.read_bytes()
            self.warnings.append(f"{file.name} is larger than {MOST_NOTES >> 20} MB and was left out")
        except OSError as error:
            self.warnings.append(f"{file.name} cannot be read ({error.strerror}) and was left out")
        return b""

    def chapters(self, transcript: Transcript) -> Sequence[tuple[float, str]]:
        """(second, title) of the maker's chapters: those of the first chapters file that has some, else those in the
        transcript, else a list in the notes."""
        made: Sequence[tuple[float, str]] = ()
        for file in sorted((file for file in self.files if file.name.endswith(CHAPTERS)), key=_priority):
            found = self._chapters_of(file)
            made = made or found
        return made or transcript.chapters or next(filter(None, map(chapters_in_notes, self.bodies)), [])

    def _chapters_of(self, file: Path) -> Sequence[tuple[float, str]]:
        data = self._bytes(file)
        if not data or (file.suffix == ".xml" and b"chapters" not in data):
            return ()
        try:
            if file.suffix == ".json":
                made, self.title, self.show, left_out = chapters_of_json(decoded(data))
                if left_out:
                    self.warnings.append(
                        f"{file.name}: left out for want of a time or a title: {left_out} of the chapters"
                    )
                return made
            if file.suffix == ".vtt":
                cues = read_transcript(data, "chapters.vtt").cues
                return [(cue.start_seconds, cue.text) for cue in cues if cue.start_seconds is not None]
            return chapters_of_psc(data)
        except (ValueError, RecursionError, DocumentError) as error:
            self.warnings.append(f"{file.name} holds no chapters that can be read: {first_line_of(error)}")
            return ()

    def description(self) -> str:
        about = [self.front[key] for key in ("description", "summary", "subtitle") if key in self.front]
        lines = (" ".join(line.split()) for text in [*about, *self.bodies] for line in plain(text).split("\n"))
        text = "\n".join(line for line in lines if line.strip("-*_ "))
        return shortened(BAD.sub("", text), bounds.DESCRIPTION)

    def audio(self) -> str:
        beside = [file for ending in AUDIO for file in self.files if file.suffix == ending]
        named = self.front.get("audio", "")
        path = str(beside[0].absolute()) if beside else ""
        if BAD.search(path) or len(path) > bounds.ADDRESS:
            why = "its path is too long, or holds bytes that are no text. Rename it"
            self.warnings.append(f"{beside[0].name} cannot be played: {why}")
        elif path:
            return path
        return named if len(named) <= bounds.ADDRESS and re.fullmatch(r"https?://\S+", named) else ""


def _priority(file: Path) -> tuple[int, str]:
    """The order in which sidecars are used: by their endings, then by name."""
    return next(number for number, ending in enumerate(ENDINGS) if file.name.endswith(ending)), file.name


def _iso(value: str) -> str:
    try:
        return date.fromisoformat(value[:10]).isoformat()
    except ValueError:
        return ""
