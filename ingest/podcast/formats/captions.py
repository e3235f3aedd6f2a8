"""Captions -> cues: WebVTT (https://www.w3.org/TR/webvtt1/) and SubRip, by webvtt-py (MIT)."""

from __future__ import annotations

import html
import io
import re
from collections.abc import Iterator

from ingest.podcast.formats.cues import CUE_TAG, FORMS, Cue, Transcript, labelled, seconds_of
from rag.errors import DocumentError, first_line_of

TIMESTAMP = r"(?:([0-9]{1,4}):)?([0-9]{1,3}):([0-9]{1,2})(?:[.,]([0-9]{1,9}))?"
TIMING = re.compile(rf"[ \t]*{TIMESTAMP}[ \t]*-->(?:[ \t]*{TIMESTAMP})?(?![0-9:])")
VOICE = re.compile(r"<v(?:\.[^\s<>]*)?[ \t]([^<>]*)>", re.I)


def read_captions(text: str, form: str) -> Transcript:
    """The cues of WebVTT (`form` "vtt") or SubRip ("srt"). Raises DocumentError.

    webvtt-py leaves out cues with a comma, 75 seconds, or a missing end or number: these are corrected first.
    """
    import webvtt  # only in the child process that reads: who recognises transcripts loads no parser
    from webvtt.errors import MalformedCaptionError, MalformedFileError

    lines: list[str] = []
    unread, number = 0, 0
    for line in text.split("\n"):
        timing = _timing(line) if "-->" in line else None
        if timing:
            number += 1
            if form == "srt":  # numbers of our own: they may be missing
                if lines and lines[-1].strip().isdigit():
                    lines.pop()
                if number == 1:
                    lines.clear()  # nothing belongs before the first cue
                lines += ["", str(number)] if lines else [str(number)]
            line = f"{_stamp(timing[0])} --> {_stamp(timing[1])}"
        elif "-->" in line:
            unread += 1
        lines.append(line)
    try:
        captions = webvtt.from_buffer(io.StringIO("\n".join(lines)), form)
    except (MalformedFileError, MalformedCaptionError) as error:
        raise DocumentError(f"cannot be read: {first_line_of(error)}. Give it {FORMS}") from error
    found = [cue for caption in captions.captions for cue in _voices(caption.raw_text, caption.start, caption.end)]
    if not any(cue.speaker for cue in found):
        found = labelled(found)
    warnings = (f"left out for a time that cannot be read: {unread} of the cues",) if unread else ()
    header = captions.header_text.strip()  # "WEBVTT - Of Mills"; else it is what a tool writes
    title = header.lstrip("- ") if header.startswith("-") else ""
    return Transcript(tuple(found), title, warnings)


def _timing(line: str) -> tuple[float, float] | None:
    """Start and end of a timing line; the end is the start if it is missing."""
    match = TIMING.match(line)
    if not match:
        return None
    groups = match.groups()

    def seconds(hours: str | None, minutes: str, rest: str, fraction: str | None) -> float:
        return int(hours or 0) * 3600 + int(minutes) * 60 + int(rest) + float(f"0.{fraction or 0}")

    start = seconds(*groups[:4])
    return start, seconds(*groups[4:]) if groups[5] else start


def _stamp(seconds: float) -> str:
    whole, milliseconds = divmod(round(seconds * 1000), 1000)
    return f"{whole // 3600:02}:{whole // 60 % 60:02}:{whole % 60:02}.{milliseconds:03}"


def _voices(raw: str, start: str, end: str) -> Iterator[Cue]:
    """One cue for each voice of a caption; the first has the caption's start, the last its end."""
    first, last = seconds_of(start), seconds_of(end)
    if first is not None and last is not None and last <= first:
        last = None
    pieces = VOICE.split(raw)  # text before any voice, then name and text in turn
    turns = [("", pieces[0]), *zip(pieces[1::2], pieces[2::2], strict=True)]
    spoken = [(name, text) for name, raw_text in turns if (text := html.unescape(CUE_TAG.sub(" ", raw_text)).strip())]
    for number, (name, text) in enumerate(spoken):
        yield Cue(text, first if not number else None, last if number == len(spoken) - 1 else None, name)
