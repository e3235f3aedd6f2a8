"""Chapters as JSON, as a list for show notes, as Podcasting 2.0 chapters, and as WebVTT. Pure."""

from __future__ import annotations

import html
import json
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

from rag.document import Chapter
from rag.locator import timecode, timestamp
from ui.wording import printable


def without_gaps(chapters: Sequence[Chapter]) -> list[Chapter]:
    """The chapters, each extended to the start of the next, so that silence between two belongs to the first.

    >>> [c.end_seconds for c in without_gaps([Chapter("a", 0, 1, 0.0, 2.0), Chapter("b", 1, 2, 2.5, 4.0)])]
    [2.5, 4.0]
    """
    filled = [replace(chapter, end_seconds=behind.start_seconds) for chapter, behind in pairwise(chapters)]
    return [*filled, *chapters[-1:]]


def chapters_json(document_id: str, title: str, chapters: Sequence[Chapter]) -> dict[str, Any]:
    """The chapters as `glossator chapters --json` prints them (contract.md); times in seconds."""
    listed = [
        {
            "start_seconds": chapter.start_seconds,
            "end_seconds": chapter.end_seconds,
            "title": chapter.title,
            "source": chapter.source,
        }
        for chapter in without_gaps(chapters)
    ]
    return {"document_id": document_id, "title": title, "chapters": listed}


def line(chapter: Chapter) -> str:
    """A chapter as one line: its start and its title.

    >>> line(Chapter("The winds", 0, 1, 3723.5, 4000.0))
    '1:02:03 The winds'
    """
    return f"{timecode(chapter.start_seconds)} {printable(chapter.title)}"


def text(chapters: Sequence[Chapter]) -> str:
    """One line per chapter, as players and video sites read them in show notes."""
    return "".join(f"{line(chapter)}\n" for chapter in chapters)


def podcasting(chapters: Sequence[Chapter]) -> str:
    """Podcasting 2.0 chapters (github.com/Podcastindex-org/podcast-namespace, chapters/jsonChapters.md)."""
    listed = [
        {"startTime": chapter.start_seconds, "endTime": chapter.end_seconds, "title": chapter.title}
        for chapter in without_gaps(chapters)
    ]
    return json.dumps({"version": "1.2.0", "chapters": listed}, ensure_ascii=False, indent=1) + "\n"


def webvtt(chapters: Sequence[Chapter]) -> str:
    """A WebVTT track of the kind "chapters": one cue per chapter, its text the title.

    >>> print(webvtt([Chapter("Q & A", 0, 1, 3723.5, 4000.0)]), end="")
    WEBVTT
    <BLANKLINE>
    1
    01:02:03.500 --> 01:06:40.000
    Q &amp; A
    """
    cues = [
        f"\n{number}\n{timestamp(chapter.start_seconds)} --> {timestamp(chapter.end_seconds)}\n"
        f"{html.escape(printable(chapter.title), quote=False)}\n"
        for number, chapter in enumerate(without_gaps(chapters), start=1)
    ]
    return "WEBVTT\n" + "".join(cues)


FORMATS = {"text": text, "podcasting": podcasting, "webvtt": webvtt}
