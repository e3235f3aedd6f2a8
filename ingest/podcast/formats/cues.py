"""The cues of a transcript, whatever its format, and the parts that several formats share: times, names, mark-up."""

from __future__ import annotations

import html
import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from ingest.plain_text import BAD
from rag import bounds
from rag.bounds import shortened

FORMS = "WebVTT, SubRip, Podcasting 2.0 JSON or HTML, or text with speakers or times"
TIME = r"(?:[0-9]{1,4}:)?[0-9]{1,3}:[0-9]{2}(?:[.,][0-9]{1,6})?"
CUE_TAG = re.compile(
    r"</?(?:v|c|i|b|u|s|ruby|rt|lang|font|br|span|p|div|em|strong|a)(?:[.\s/][^<>]*)?>|<[0-9][0-9:.]*>", re.I
)
LABEL = re.compile(r"(?:>>\s*)?((?:[^\W\d_a-z][\w.'’-]*|Speaker)(?: (?:[^\W\d_a-z][\w.'’-]*|\d+)){0,3}):\s+(?=\S)")
FRONT = re.compile(r"---[ \t]*\n(.*?\n)---[ \t]*(?:\n|$)", re.S)
MARKS = (
    (re.compile(r"!?(?<!\\)\[([^\[\]]{0,500})\]\([^()\s]{0,1000}(?:\([^()\s]{0,500}\)[^()\s]{0,500})?\)"), r"\1"),
    (re.compile(r"^[ \t]{0,3}#{1,6}[ \t]+", re.M), ""),
    (re.compile(r"<(https?://[^<>\s]{1,1000})>"), r"\1"),
    (CUE_TAG, ""),
    (re.compile(r"(?<![\w\\*])(\*{1,3})(?=\S)([^*\n]{1,1000})(?<=\S)\1(?![\w*])"), r"\2"),
    (re.compile(r"(?<![\w\\_])(_{1,2})(?=\S)([^_\n]{1,1000})(?<=\S)\1(?!\w)"), r"\2"),
    (re.compile(r"(?<![\w\\`])`([^`\n]{1,1000})`"), r"\1"),
    (re.compile(r"\\([!-/:-@\[-`{-~])"), r"\1"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Cue:
    """Words that the transcript gives as one unit: plain text on one line, never empty. None: the time is unknown."""

    text: str
    start_seconds: float | None
    end_seconds: float | None
    speaker: str = ""


@dataclass(frozen=True, slots=True)
class Transcript:
    """The cues in the file's order; `chapters` are the (seconds, title) pairs in the file itself."""

    cues: tuple[Cue, ...]
    title: str = ""
    warnings: tuple[str, ...] = ()
    chapters: tuple[tuple[float, str], ...] = ()


def seconds_of(time: object) -> float | None:
    """Seconds of a number or of "h:mm:ss.fff", "mm:ss", "ss"; None if it is no time, negative, or a year long.

    >>> seconds_of("1:02:03.5"), seconds_of("04:17"), seconds_of(8), seconds_of("soon")
    (3723.5, 257.0, 8.0, None)
    """
    if isinstance(time, bool) or not isinstance(time, (int, float, str)):
        return None
    total = 0.0
    try:
        for part in str(time).replace(",", ".").split(":"):
            total = total * 60 + float(part)
    except ValueError:
        return None
    return total if math.isfinite(total) and 0 <= total < 1e7 else None


def speaker_name(label: str) -> str:
    """A name without tags, entities and the colon behind it, at most bounds.NAME characters long.

    >>> speaker_name(" First  Speaker: ")
    'First Speaker'
    """
    name = BAD.sub("", html.unescape(CUE_TAG.sub("", label)))
    return shortened(" ".join(name.split()).strip(" :*_"), bounds.NAME)


def plain(text: str) -> str:
    """The words of Markdown: the text of links, without the signs for emphasis, code and headings, and without tags.

    >>> plain("*much* [purer](https://a.b) than \\\\[laughs\\\\] `C*`")
    'much purer than [laughs] C*'
    """
    for pattern, kept in MARKS:
        text = pattern.sub(kept, text)
    return html.unescape(text)


def labelled(cues: Sequence[Cue]) -> list[Cue]:
    """The cues with a leading "Name: " moved from the text to the speaker, who speaks until the next name.

    Names count only if one of the first five cues has one. A name of a single word counts only if it occurs twice:
    otherwise "Note: " is something that is said.
    """
    found = [LABEL.match(cue.text) for cue in cues]
    if not any(found[:5]):
        return list(cues)
    times = Counter(match.group(1) for match in found if match)
    first = next(match.group(1) for match in found if match)
    named, speaker = [], ""
    for cue, match in zip(cues, found, strict=True):
        if match and (" " in match.group(1) or times[match.group(1)] > 1 or match.group(1) == first):
            speaker = match.group(1)
            cue = replace(cue, text=cue.text[match.end() :])
        named.append(replace(cue, speaker=speaker))
    return named


def front_matter(lines: str) -> dict[str, str]:
    """The `key: value` lines of a front matter, keys in lower case; nested values are left out.

    >>> front_matter('title: "On Mills"\\ndate: 2024-05-01\\n')
    {'title': 'On Mills', 'date': '2024-05-01'}
    """
    pairs = (line.partition(":") for line in lines.split("\n") if line[:1].isalpha() and ":" in line)
    return {key.strip().lower(): value.strip().strip("\"'") for key, _, value in pairs if value.strip(" >|-")}
