"""The library's podcasts as the page plays them: which audio file is served, captions, the player. No Gradio here."""

from __future__ import annotations

import time
from pathlib import Path

from markupsafe import Markup

from rag.document import Document
from rag.errors import LibraryError
from rag.library.catalogue import Library
from rag.records import Citation
from ui.web.panels import player

AUDIO_TYPES = {
    ".mp3": "audio/mpeg",
    ".m4a": "audio/mp4",
    ".mp4": "audio/mp4",
    ".ogg": "audio/ogg",
    ".opus": "audio/ogg",
    ".wav": "audio/wav",
    ".flac": "audio/flac",
    ".aac": "audio/aac",
}


class Recordings:
    """Audio, captions and players of episodes, by document id: no path comes from a request."""

    def __init__(self, library: Library):
        self._library = library

    def audio(self, document_id: str) -> tuple[Path, str]:
        """The audio file of an episode and its type. Raises LibraryError if there is none (any more)."""
        episode = self._library.episode(document_id)
        found = self._audio_file(episode.audio) if episode else None
        if found is None:
            raise LibraryError(f"no audio of {document_id[:64]}: the library names no file for it that is still there")
        return found

    def captions(self, document_id: str) -> str:
        """An episode as WebVTT. Raises LibraryError for a document that is no podcast."""
        return player.captions(self._episode(document_id))

    def html(self, citation: Citation, play: bool, address: str) -> Markup:
        """The player at a citation's place; below `address` lie /audio and /captions.vtt.

        Raises LibraryError if the episode is no longer there.
        """
        document = self._episode(citation.document_id)
        has_audio = bool(document.episode and self._audio_file(document.episode.audio))
        return player.panel(document, citation, has_audio, play, address, time.monotonic_ns())

    def _audio_file(self, audio: str) -> tuple[Path, str] | None:
        self._library.bring(Path(audio))
        return _audio_file(audio)

    def _episode(self, document_id: str) -> Document:
        document = self._library.document(document_id)
        if document.episode is None:
            raise LibraryError(f"{document_id[:64]} is no podcast")
        return document


def _audio_file(audio: str) -> tuple[Path, str] | None:
    """The file that is meant and its type; a link with an audio file's name must lead to an audio file."""
    try:
        file = Path(audio).resolve(strict=True)
    except (OSError, RuntimeError):  # it is gone, or its links lead in a circle
        return None
    known = AUDIO_TYPES.get(Path(audio).suffix.lower()) and AUDIO_TYPES.get(file.suffix.lower())
    return (file, known) if known and Path(audio).is_absolute() and file.is_file() else None
