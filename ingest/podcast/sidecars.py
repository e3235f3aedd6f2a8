"""The files beside a transcript that are read with it: chapters, show notes, metadata, audio."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable
from pathlib import Path

AUDIO = (".mp3", ".m4a", ".ogg", ".opus", ".wav", ".flac", ".aac", ".mp4")
NOTES = (".meta.md", ".shownotes.md")
CHAPTERS = (".chapters.json", ".psc", ".xml", ".chapters.vtt")  # the first that has some is used
ENDINGS = (*CHAPTERS, *NOTES, *AUDIO)
USUAL = re.compile(r"[-_. ](?:transcript|transcription|captions|subtitles)(?:[-_. ]final)?$", re.I)
BESIDE = re.compile(r"\.(?:chapters\.\w+|shownotes\.\w+|meta\.\w+|psc)$", re.I)  # names of sidecars that look like text


def sidecars(file: Path) -> tuple[Path, ...]:
    """The files beside the transcript that belong to it, sorted: chapters, show notes, metadata, its audio.

    They have its name, or its name without "-transcript" and the like, and an ending of ENDINGS.
    """
    stem = file.name.removesuffix(file.suffix)
    found = {file.parent / (name + ending) for name in {stem, USUAL.sub("", stem)} if name for ending in ENDINGS}
    # by os.path, for which a name too long for the file system is no file; Path.is_file raises OSError
    return tuple(sorted(path for path in found if path != file and os.path.isfile(path)))


def sidecars_hash(file: Path, stored_as: Callable[[str], str] = str) -> str:
    """16 hex digits that change with the sidecars of a transcript: their bytes, but of its audio only the path.

    `stored_as` maps the audio's absolute path to the one that is hashed: a library's own files may move with it.
    """
    digest = hashlib.sha256()
    for sidecar in sidecars(file):
        name = stored_as(str(sidecar.absolute())) if sidecar.suffix in AUDIO else sidecar.name
        digest.update(os.fsencode(name) + b"\0")
        if sidecar.suffix not in AUDIO:
            try:
                with sidecar.open("rb") as stream:
                    digest.update(hashlib.file_digest(stream, "sha256").digest())
            except OSError as error:
                digest.update(f"{error.strerror}\0".encode())
    return digest.hexdigest()[:16]
