"""The maker's chapters of an episode: from Podcasting 2.0 JSON, Podlove XML or a list in the show notes, as whole
sentences of its transcript."""

from __future__ import annotations

import json
import re
from bisect import bisect_left
from collections.abc import Sequence
from itertools import pairwise
from xml.parsers import expat

from ingest.plain_text import BAD, one_line
from ingest.podcast.formats.cues import TIME, plain, seconds_of
from rag import bounds
from rag.document import Chapter, Utterance
from rag.errors import first_line_of

LISTED = re.compile(rf"\s*(?:[-*+•]\s+)?[\[(]?({TIME})(?:\]\([^()\s]*\)|[\])])?\s*[-–—:|]?\s*(\S.*)")


def maker_chapters(
    made: Sequence[tuple[float, str]], text: str, utterances: Sequence[Utterance]
) -> tuple[tuple[Chapter, ...], list[str]]:
    """Chapters of whole sentences for the maker's (second, title) pairs, and warnings about those that are left out.

    A chapter begins with the sentence whose start is nearest to the maker's second, or with the next sentence if
    another chapter begins there. The first chapter begins with the first sentence; each ends where the next begins, the
    last with the last sentence. At most bounds.CHAPTERS are kept.
    """
    warnings: list[str] = []
    if not made or not utterances:
        return (), warnings

    def leave_out(count: int, why: str) -> None:
        if count > 0:
            warnings.append(f"left out because {why}: {count} of the maker's chapters")

    if any(behind[0] < before[0] for before, behind in pairwise(made)):
        warnings.append("the maker's chapters were not in the order of their times and have been sorted")
        made = sorted(made, key=lambda chapter: chapter[0])
    within = [(second, title) for second, title in made if second < utterances[-1].end_seconds]
    leave_out(len(made) - len(within), "the transcript ends before them")
    starts = [utterance.start_seconds for utterance in utterances]
    begins: list[tuple[int, str]] = []
    for second, title in within:
        later = bisect_left(starts, second)
        nearest = (
            later - 1
            if later and (later == len(starts) or second - starts[later - 1] < starts[later] - second)
            else later
        )
        sentence = nearest if not begins or nearest > begins[-1][0] else later
        if sentence < len(starts) and (not begins or sentence > begins[-1][0]):
            begins.append((sentence, title))
    leave_out(len(within) - len(begins), "no sentence of their own begins there")
    leave_out(len(begins) - bounds.CHAPTERS, f"they are more than {bounds.CHAPTERS:,}")
    del begins[bounds.CHAPTERS :]
    chapters = []
    for number, (first, title) in enumerate(begins):
        first = first if number else 0
        follows = utterances[begins[number + 1][0]] if number + 1 < len(begins) else None
        end, end_seconds = (
            (follows.start, follows.start_seconds) if follows else (len(text), utterances[-1].end_seconds)
        )
        begin = utterances[first]
        chapters.append(Chapter(one_line(title), begin.start, end, begin.start_seconds, end_seconds, "maker"))
    return tuple(chapters), warnings


def chapters_of_json(text: str) -> tuple[list[tuple[float, str]], str, str, int]:
    """(second, title) of Podcasting 2.0 chapters, the file's title, its podcast, and how many have no time or no title.

    Chapters that are not for the table of contents ("toc": false) are left out. Raises ValueError for other JSON.
    """
    found = json.loads(text)
    listed = found.get("chapters") if isinstance(found, dict) else None
    if not isinstance(listed, list):
        raise ValueError('it has no list "chapters"')
    shown = [chapter for chapter in listed if not (isinstance(chapter, dict) and chapter.get("toc") is False)]
    chapters = []
    for chapter in shown:
        second = seconds_of(chapter.get("startTime")) if isinstance(chapter, dict) else None
        title = plain_title(chapter.get("title")) if isinstance(chapter, dict) else ""
        if second is not None and title:
            chapters.append((second, title))
    return chapters, plain_title(found.get("title")), plain_title(found.get("podcastName")), len(shown) - len(chapters)


def chapters_of_psc(data: bytes) -> list[tuple[float, str]]:
    """(second, title) of Podlove Simple Chapters (https://podlove.org/simple-chapters/).

    Raises ValueError for XML that declares a document type, which could hold entities that expand without end, and for
    a feed with the chapters of several episodes.
    """
    chapters: list[tuple[float, str]] = []
    lists = 0

    def element(name: str, attributes: dict[str, str]) -> None:
        nonlocal lists
        lists += name.endswith("chapters")
        second, title = seconds_of(attributes.get("start")), plain_title(attributes.get("title"))
        if name.rpartition(":")[2] == "chapter" and second is not None and title:
            chapters.append((second, title))

    def refuse(*_: object) -> None:
        raise ValueError("it declares a document type")

    parser = expat.ParserCreate()
    parser.StartElementHandler = element
    parser.StartDoctypeDeclHandler = refuse
    parser.EntityDeclHandler = refuse
    try:
        parser.Parse(data, True)
    except (expat.ExpatError, LookupError) as error:
        raise ValueError(first_line_of(error)) from error
    if lists > 1:
        raise ValueError("it has the chapters of several episodes")
    return chapters


def chapters_in_notes(text: str) -> list[tuple[float, str]]:
    """(second, title) of the lines "02:22 The winds" if there are two or more and their times run forwards.

    >>> chapters_in_notes("Of mills.\\n0:00 Intro\\n- [2:22](#t=2:22) – The winds\\n")
    [(0.0, 'Intro'), (142.0, 'The winds')]
    """
    lines = filter(None, (LISTED.fullmatch(line[:1000]) for line in text.split("\n")))
    found = [(second, plain_title(plain(m.group(2)))) for m in lines if (second := seconds_of(m.group(1))) is not None]
    found = [(second, title) for second, title in found if title]
    return found if len(found) > 1 and all(a[0] < b[0] for a, b in pairwise(found)) else []


def plain_title(value: object) -> str:
    """A title on one line; "" for a value that is no text."""
    return " ".join(BAD.sub(" ", value).split()) if isinstance(value, str) else ""
