"""Bytes of a transcript -> its cues: which format they are in, and the reader of each format.

Formats: WebVTT and SubRip (captions.py), JSON and HTML (json_and_html.py), Markdown and text (spoken_text.py).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

from ingest.plain_text import BAD, HEAD_BYTES, decoded, one_line
from ingest.podcast.formats.captions import TIMING, read_captions
from ingest.podcast.formats.cues import FORMS, Cue, Transcript, speaker_name
from ingest.podcast.formats.json_and_html import HTML_TIME, read_html, read_json
from ingest.podcast.formats.spoken_text import is_spoken, read_text
from ingest.podcast.sidecars import BESIDE
from rag.errors import DocumentError

MOST_BYTES = 32 << 20  # a transcript of ten hours has one or two MB, and ten with the time of each word
MISNAMED = ("", "vtt", "srt")  # endings that say little of what is inside
NOT_SPOKEN = re.compile(r"(?:readme|changelog|changes|history|news|contributing|licen[cs]e)\b", re.I)
READERS: dict[str, Callable[[str], Transcript]] = {
    "vtt": lambda text: read_captions(text, "vtt"),
    "srt": lambda text: read_captions(text, "srt"),
    "json": read_json,
    "html": read_html,
    "text": read_text,
}


def is_transcript(name: str, head: bytes) -> bool:
    """Whether a file is a transcript, by the bytes it begins with (HEAD_BYTES are enough) and its name.

    A file called .vtt or .srt is one even if it is broken, so that its reader can report what is wrong with it.

    >>> is_transcript("talk.txt", b"WEBVTT\\n\\n00:01.000 --> 00:02.000\\nHello"), is_transcript("a.md", b"# Hello")
    (True, False)
    """
    if BESIDE.search(name) or head.lstrip()[:5] == b"%PDF-":
        return False
    if re.search(r"\.(?:vtt|srt)$", name, re.I):
        return True
    return bool(_format_of(name, _clean(decoded(head[:HEAD_BYTES], is_cut=True))))


def read_transcript(data: bytes, name: str) -> Transcript:
    """The cues of a transcript. Raises DocumentError, without the path, for a file that is too large, in no known
    format, or without words."""
    if len(data) > MOST_BYTES:
        raise DocumentError(f"is larger than any transcript ({MOST_BYTES >> 20} MB). Cut it in parts")
    text = _clean(decoded(data))
    if not text.strip():
        raise DocumentError("is empty. Put the transcript there, or leave the file out")
    form = _format_of(name, text)
    if not form:
        raise DocumentError(f"is no transcript that this program can read. Give it {FORMS}")
    transcript = READERS[form](text)
    names = {label: speaker_name(label) for label in {cue.speaker for cue in transcript.cues}}
    cues = tuple(
        Cue(words, cue.start_seconds, cue.end_seconds, names[cue.speaker])
        for cue in transcript.cues
        if (words := " ".join(BAD.sub("", cue.text).split()))
    )
    if not cues:
        raise DocumentError("is a transcript without words. Put them there, or leave the file out")
    return replace(transcript, cues=cues, title=one_line(BAD.sub("", transcript.title)))


def _clean(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n").replace("\x00", "")


def _format_of(name: str, text: str) -> str:
    """The key in READERS; "" for a text in none of the formats."""
    if text.startswith("WEBVTT"):
        return "vtt"
    head = text.lstrip()[:HEAD_BYTES]
    lines = [line for line in head.split("\n") if line.strip()]
    if any(TIMING.match(line) for line in lines[:3]):
        return "srt"
    ending = name.lower().rpartition(".")[2] if "." in name else ""
    if head.startswith("{") and ending in ("json", "txt", *MISNAMED):
        has_words = re.search(r'"(?:body|text)"\s*:', head) and re.search(r'"start(?:Time)?"\s*:', head)
        return "json" if '"segments"' in head and (has_words or (ending == "json" and len(head) < HEAD_BYTES)) else ""
    if ending in ("html", "htm", "txt", *MISNAMED) and HTML_TIME.search(head):
        return "html" if re.search(r"<cite\b", head, re.I) else ""
    if ending in ("md", "markdown", "txt", "text", *MISNAMED) and not NOT_SPOKEN.match(name):
        return "text" if is_spoken(name, head) else ""
    return ""
