"""The cues of a transcript -> its text and sentences (utterances), each with its speaker, start and end. Pure."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise

from ingest.podcast.formats.cues import Cue
from rag.document import Utterance
from rag.sentences import sentence_spans

RATE = 15.0  # characters a second, of English as it is spoken; the 22 episodes of shared/data have 10 to 19
UNBROKEN, LONGEST = 40, 120  # words of a sentence without punctuation, and of one with it
PAUSE = 2.0  # seconds of silence that end a sentence without punctuation
ROLLING = 0.5  # share of cues that begin with the end of the one before
COMPARED = 60  # words of a rolling caption


def unrolled(cues: Sequence[Cue]) -> list[Cue]:
    """The cues without the words that each cue of rolling captions repeats from the one before.

    Captions roll if half of the cues begin with the last words of the one before; other transcripts are returned as
    they are. A cue without new words only makes the one before it longer.
    """
    words = [cue.text.split() for cue in cues]
    repeats = [0, *(_overlap(before, behind) for before, behind in pairwise(words))]
    if len(cues) < 4 or sum(map(bool, repeats)) < ROLLING * (len(cues) - 1):
        return list(cues)
    kept: list[Cue] = []
    for cue, spoken, repeated in zip(cues, words, repeats, strict=True):
        if repeated < len(spoken):
            kept.append(replace(cue, text=" ".join(spoken[repeated:])))
        elif cue.end_seconds is not None:
            kept[-1] = replace(kept[-1], end_seconds=max(cue.end_seconds, kept[-1].end_seconds or 0))
    return kept


def _overlap(before: list[str], behind: list[str]) -> int:
    """How many words both end `before` and begin `behind`."""
    for count in range(min(len(before), len(behind), COMPARED), 0, -1):
        if before[-count] == behind[0] and before[-count:] == behind[:count]:
            return count
    return 0


def with_times(cues: Sequence[Cue]) -> tuple[list[tuple[Cue, float, float]], list[str]]:
    """(cue, first second, last second) of each cue, which never run backwards and never overlap; and warnings.

    A start counts as known if it is later than the start known before it. The cues from one known start up to the next
    share the time between them in proportion to their characters; the last group ends at its own last end time, else
    after RATE characters a second. The cues before the first known start last as long as RATE says, from 0 at the
    earliest.
    """
    backwards = 0
    known: list[tuple[int, float]] = []
    for number, cue in enumerate(cues):
        if cue.start_seconds is None:
            continue
        if not known or cue.start_seconds > known[-1][1]:
            known.append((number, cue.start_seconds))
        elif cue.start_seconds < known[-1][1]:
            backwards += 1
    warnings = []
    if backwards:
        warnings.append(
            f"times that run backwards: {backwards}; what is said then was put behind what stands before it"
        )
    if not known:
        warnings.append("the transcript has no times: all seconds are estimated at 15 characters a second")
        known = [(0, 0.0)]
    if known[0][0]:
        length = sum(len(cue.text) for cue in cues[: known[0][0]]) / RATE
        known.insert(0, (0, max(0.0, known[0][1] - length)))
    timed = []
    for (first, start), following in zip(known, [*known[1:], None], strict=True):
        group = cues[first : following[0] if following else None]
        characters = sum(len(cue.text) for cue in group)
        ends = [cue.end_seconds for cue in group if cue.end_seconds is not None and cue.end_seconds > start]
        latest = following[1] if following else max(ends, default=start + characters / RATE)
        end = min(max(ends, default=latest), latest)
        done = 0
        for cue in group:
            begins = start + (end - start) * done / characters
            done += len(cue.text)
            timed.append((cue, min(begins, end), min(start + (end - start) * done / characters, end)))
    return timed, warnings


def sentences(timed: Sequence[tuple[Cue, float, float]]) -> tuple[str, tuple[Utterance, ...]]:
    """The text and its sentences in order: a change of speaker ends a sentence.

    Times within a cue are interpolated by characters.
    """
    lines: list[str] = []
    found: list[Utterance] = []
    after, first = 0, 0
    for end in range(1, len(timed) + 1):
        if end < len(timed) and timed[end][0].speaker == timed[first][0].speaker:
            continue
        turn = _Turn(timed[first:end])
        pieces = []
        for start, stop in turn.spans():
            pieces.append(turn.text[start:stop])
            begins, ends = round(turn.second(start), 3), round(turn.second(stop - 1, behind=True), 3)
            found.append(Utterance(after, after + stop - start, begins, ends, timed[first][0].speaker))
            after += stop - start + 1  # a space or, behind the turn, a line's end
        lines.append(" ".join(pieces))
        first = end
    return "\n".join(lines), tuple(found)


class _Turn:
    """One speaker's turn: its text, and the offset at which each cue begins in it."""

    def __init__(self, timed: Sequence[tuple[Cue, float, float]]) -> None:
        self.timed = timed
        self.text = " ".join(cue.text for cue, _, _ in timed)
        self.starts = [0]
        for cue, _, _ in timed[:-1]:
            self.starts.append(self.starts[-1] + len(cue.text) + 1)

    def second(self, offset: int, behind: bool = False) -> float:
        """The time at which the character at `offset` is spoken: its beginning, or with `behind` its end."""
        number = bisect_right(self.starts, offset) - 1
        cue, start, end = self.timed[number]
        share = min(1.0, (offset + behind - self.starts[number]) / len(cue.text))
        return min(start + (end - start) * share, end) if share < 1 else end

    def spans(self) -> Iterator[tuple[int, int]]:
        """(start, end) of each sentence; text without punctuation is cut at pauses into up to UNBROKEN words."""
        spans: list[tuple[int, int]] = []
        for start, end in sentence_spans(self.text):
            if spans and spans[-1][1] == start:  # "well....NET": a sentence begins behind white space
                spans[-1] = spans[-1][0], end
            else:
                spans.append((start, end))
        for start, end in spans:
            words = [(start + m.start(), start + m.end()) for m in re.finditer(r"\S+", self.text[start:end])]
            signs = sum(self.text[stop - 1] in ".,;:?!…–—" for _, stop in words)
            if len(words) <= UNBROKEN or (len(words) <= LONGEST and signs * UNBROKEN >= len(words)):
                yield start, end
            else:
                yield from self._cut(words)

    def _cut(self, words: Sequence[tuple[int, int]]) -> Iterator[tuple[int, int]]:
        """At each long pause; else behind a sign or at the longest pause in the second half of UNBROKEN words."""
        pauses = [
            self.second(behind[0]) - self.second(before[1] - 1, behind=True) for before, behind in pairwise(words)
        ]
        first = 0
        while first < len(words):
            window = range(first, min(first + UNBROKEN, len(pauses)))
            last = next((i for i in window if pauses[i] >= PAUSE), None)
            if last is None:
                if len(words) - first <= UNBROKEN:
                    last = len(words) - 1
                else:
                    late = window[UNBROKEN // 2 :]
                    last = max(late, key=lambda i: (self.text[words[i][1] - 1] in ".,;:?!…–—", pauses[i], i))
            yield words[first][0], words[last][1]
            first = last + 1
