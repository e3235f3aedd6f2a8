"""Which files are recordings, by their first bytes, and which of them have a transcript beside them, which wins."""

from __future__ import annotations

import glob
from collections.abc import Callable
from pathlib import Path

from ingest.podcast.sidecars import AUDIO, USUAL

ENDINGS = (*AUDIO, ".webm", ".mkv", ".mov", ".aif", ".aiff")
MOST_BESIDE = 50  # files of one name that are looked at


def is_recording(name: str, head: bytes) -> bool:
    """Whether a file is a recording: by its ending and its first bytes.

    >>> is_recording("talk.MP3", b"ID3" + bytes(20)), is_recording("talk.mp3", b"words"), is_recording("a.txt", b"ID3")
    (True, False, False)
    """
    if Path(name).suffix.lower() not in ENDINGS:
        return False
    if head[:3] == b"ID3" or head[:4] in (b"OggS", b"fLaC", b"FORM", b"\x1aE\xdf\xa3"):
        return True
    if head[:4] == b"RIFF" or head[4:8] == b"ftyp":
        return True
    return len(head) > 2 and head[0] == 0xFF and head[1] & 0xE0 == 0xE0  # a frame of MPEG audio


def transcript_beside(file: Path, is_transcript: Callable[[Path], bool]) -> Path | None:
    """The transcript of a recording: the file beside it that has its name, or its name and "-transcript"; or None."""
    pattern = glob.escape(file.stem) + "*"
    for number, other in enumerate(sorted(file.parent.glob(pattern))):
        if number == MOST_BESIDE:
            break
        named = file.stem in (other.stem, USUAL.sub("", other.stem))
        if named and other.suffix.lower() not in ENDINGS and other.is_file() and is_transcript(other):
            return other
    return None
