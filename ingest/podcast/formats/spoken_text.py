"""Markdown and plain text with speakers or times -> cues, as shows publish them.

`**Name:** words` with times such as `\\[04:17\\]` inside, `*Name (0:04:17)*: words`, `[00:04:17] words`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace

from ingest.podcast.formats.cues import FRONT, TIME, Cue, Transcript, front_matter, labelled, plain, seconds_of

NAME = r"[^\W\d_][^:*()\[\]<>\n]{0,60}?"
BOLD = re.compile(rf"\*\*({NAME})\s*(?::\s*\*\*|\*\*\s*:)\s*(.*)")
TIMED = re.compile(rf"[*_]{{0,3}}({NAME})[*_]{{0,3}}\s*[\[(]({TIME})[\])][*_]{{0,3}}\s*:?[*_]{{0,3}}\s*(.*)")
HEADED = re.compile(rf"({NAME})\s+({TIME})\s*()$")  # the words stand on the next line
PLAIN = re.compile(rf"(?:\[({TIME})\]|\(({TIME})\)|({TIME})(?=\s))\s*(?:[-–—]\s+)?(.*)")
INLINE_TIME = re.compile(rf"\\?\[({TIME})\\?\]")
RULE = re.compile(r"\s*(?:[-*_]\s*){3,}$")


@dataclass(frozen=True, slots=True)
class _Line:
    text: str
    speaker: str = ""
    seconds: float | None = None


def is_spoken(name: str, head: str) -> bool:
    """Whether text is what people say: it begins with a speaker or a time, and goes on so."""
    front = FRONT.match(head)
    body = head[front.end() :] if front else head
    lines = [line for line in body.split("\n") if line.strip() and not _is_heading_or_rule(line)]
    named = "transcript" in name.lower()
    found = [_line(line) for line in lines]
    timed = [i for i, line in enumerate(found) if line and line.seconds is not None]
    labels = [line.speaker for line in found if line and line.speaker]
    if not any(found[:5]):
        return False
    if BOLD.match(lines[0]):
        # "**Added:**", "**Fixed:**" begin a list of changes; people have two names, or the text has times
        again = [label for label, times in Counter(labels).items() if times > 1]
        return bool(INLINE_TIME.search(head)) or (len(again) > 1 and (named or any(" " in label for label in again)))
    if any(line and line.speaker and line.seconds is not None for line in found[:3]):
        return len(timed) > 1 or named  # "Name (0:04:17): words"
    first = found[timed[0]] if timed else None
    if len(timed) < 3 or len(timed) * 4 < len(lines) or not first or (first.seconds or 0) > 600:
        return False  # a log begins at any hour
    said = [
        " ".join(line.text if line else raw for line, raw in zip(found[i:j], lines[i:j], strict=True))
        for i, j in zip(timed, [*timed[1:], len(lines)], strict=True)
    ]
    # "00:00 Intro", "02:10 Winds" are a list of chapters: no sentences
    return named or 2 * sum(words.rstrip()[-1:] in ".?!…" or len(words) > 60 for words in said) > len(said)


def read_text(text: str) -> Transcript:
    """A line with a name or a time begins a cue, an empty line too, a time inside cuts one; a name stays."""
    title = ""
    if front := FRONT.match(text):
        title = front_matter(front.group(1)).get("title", "")
        text = text[front.end() :]
    cues: list[Cue] = []
    words: list[str] = []
    start: float | None = None
    speaker = ""

    def flush() -> None:
        nonlocal start
        if not words:
            return
        pieces = INLINE_TIME.split(" ".join(words))
        words.clear()
        for number, piece in enumerate(pieces):
            if number % 2:
                start = seconds_of(piece)
            elif said := plain(piece).strip():
                cues.append(Cue(said, start, None, speaker))
                start = None

    for raw in text.split("\n"):
        if _is_heading_or_rule(raw):
            flush()
            title = title or (plain(raw).strip() if raw.startswith("# ") else "")
        elif not raw.strip():
            flush()
        elif found := _line(raw):
            flush()
            start = start if found.seconds is None else found.seconds
            if found.speaker.lower() != "break":  # the show's pause: nobody speaks
                speaker = found.speaker or speaker
            words.append(found.text)
        else:
            words.append(raw.strip())
    flush()
    return Transcript(tuple(_with_full_names(cues if any(cue.speaker for cue in cues) else labelled(cues))), title)


def _line(raw: str) -> _Line | None:
    """A line that begins with a speaker or a time; None: it goes on with what was before."""
    line = raw.strip()
    if match := BOLD.match(line):
        return _Line(match.group(2), match.group(1))
    if match := TIMED.match(line) or HEADED.match(line):
        return _Line(match.group(3), match.group(1), seconds_of(match.group(2)))
    if match := PLAIN.match(line):
        return _Line(match.group(4), "", seconds_of(match.group(1) or match.group(2) or match.group(3)))
    return None


def _is_heading_or_rule(line: str) -> bool:
    return line.lstrip().startswith(("# ", "##")) or bool(RULE.match(line))


def _with_full_names(cues: list[Cue]) -> Iterable[Cue]:
    """With initials made the full name where they are those of one speaker before only.

    >>> [cue.speaker for cue in _with_full_names([Cue("Hi.", 0, None, "First Speaker"), Cue("Yes.", 1, None, "FS")])]
    ['First Speaker', 'First Speaker']
    """
    names: dict[str, set[str]] = {}
    for cue in cues:
        full = names.get(cue.speaker, set()) if cue.speaker.isupper() else set()
        yield replace(cue, speaker=next(iter(full))) if len(full) == 1 else cue
        if " " in cue.speaker.strip():
            names.setdefault("".join(word[0] for word in cue.speaker.split()), set()).add(cue.speaker)
