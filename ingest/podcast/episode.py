"""A transcript and the files beside it -> Document: sentences with speaker and seconds, the maker's chapters, notes."""

from __future__ import annotations

import json
import os
import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date
from itertools import pairwise
from pathlib import Path
from xml.parsers import expat

from ingest.podcast.transcript import (
    BAD,
    FRONT,
    MOST_BYTES,
    TIME,
    Cue,
    Transcript,
    decoded,
    front_matter,
    one_line,
    plain,
    read_transcript,
    seconds_of,
)
from rag import bounds
from rag.bounds import shortened
from rag.errors import DocumentError, first_line_of
from rag.records import Chapter, Document, Episode, Page, Utterance
from rag.sentences import sentence_spans

AUDIO = (".mp3", ".m4a", ".ogg", ".opus", ".wav", ".flac", ".aac", ".mp4")
NOTES = (".meta.md", ".shownotes.md")
CHAPTERS = (".chapters.json", ".psc", ".xml", ".chapters.vtt")  # the first that has some is believed
ENDINGS = (*CHAPTERS, *NOTES, *AUDIO)
USUAL = re.compile(r"[-_. ](?:transcript|transcription|captions|subtitles)(?:[-_. ]final)?$", re.I)
MOST_NOTES = 4 << 20  # bytes of a file beside a transcript

RATE = 15.0  # characters a second, of English as it is spoken; the 22 episodes of shared/data have 10 to 19
UNBROKEN, LONGEST = 40, 120  # words of a sentence without punctuation, and of one with it
PAUSE = 2.0  # seconds of silence that end a sentence without punctuation
ROLLING = 0.5  # share of cues that begin with the end of the one before
COMPARED = 60  # words of a rolling caption

LISTED = re.compile(rf"\s*(?:[-*+•]\s+)?[\[(]?({TIME})(?:\]\([^()\s]*\)|[\])])?\s*[-–—:|]?\s*(\S.*)")


def sidecars(file: Path) -> tuple[Path, ...]:
    """The files beside the transcript that belong to it, sorted: chapters, show notes, what it is, its audio.

    They have its name, or its name without "-transcript" and the like, and an ending of ENDINGS.
    """
    stem = file.name.removesuffix(file.suffix)
    found = {file.parent / (name + ending) for name in {stem, USUAL.sub("", stem)} if name for ending in ENDINGS}
    # by os.path, for which a name too long for the file system is no file; Path.is_file raises OSError
    return tuple(sorted(path for path in found if path != file and os.path.isfile(path)))


def read_podcast(file: Path, document_id: str, title: str) -> Document:
    """The episode as a document of one page: a line for each turn, its sentences joined by a space.

    Its title is that of NAME.meta.md, else the transcript's own, else that of the chapters file if this names its
    podcast too (a tool that makes chapters calls them "Index"), else `title`. Raises DocumentError without the path.
    """
    try:
        if file.stat().st_size > MOST_BYTES:
            raise DocumentError(f"is larger than any transcript ({MOST_BYTES >> 20} MB). Cut it in parts")
        data = file.read_bytes()
    except OSError as error:
        raise DocumentError(f"cannot be read: {error.strerror}. Check its permissions") from error
    transcript = read_transcript(data, file.name)
    warnings = list(transcript.warnings)
    beside = _Beside(sidecars(file), warnings)
    timed, problems = with_times(unrolled(transcript.cues))
    warnings += problems
    text, utterances = sentences(timed)
    chapters, problems = maker_chapters(beside.chapters(transcript), text, utterances)
    warnings += problems
    about = beside.front
    episode = Episode(
        show=one_line(about.get("show") or about.get("podcast") or beside.show),
        description=beside.description(),
        date=next(filter(None, (_iso(about.get(key, "")) for key in ("published", "date", "recorded"))), ""),
        audio=beside.audio(),
        utterances=utterances,
        chapters=chapters,
    )
    named = about.get("title") or transcript.title or (beside.title if beside.show else "") or title
    told = tuple(shortened(BAD.sub("\ufffd", warning), bounds.WARNING) for warning in warnings)
    return Document(document_id, "podcast", one_line(named), text, (Page(1, 0, len(text)),), told, episode=episode)


# ---- sentences


def unrolled(cues: Sequence[Cue]) -> list[Cue]:
    """Without what each cue of rolling captions repeats of the one before; other transcripts as they are.

    Captions roll if half of the cues begin with the last words of the one before. A cue that says nothing new only
    makes the one before it longer.
    """
    words = [cue.text.split() for cue in cues]
    again = [0, *(_overlap(before, behind) for before, behind in pairwise(words))]
    if len(cues) < 4 or sum(map(bool, again)) < ROLLING * (len(cues) - 1):
        return list(cues)
    kept: list[Cue] = []
    for cue, said, repeated in zip(cues, words, again, strict=True):
        if repeated < len(said):
            kept.append(replace(cue, text=" ".join(said[repeated:])))
        elif cue.end_seconds is not None:
            kept[-1] = replace(kept[-1], end_seconds=max(cue.end_seconds, kept[-1].end_seconds or 0))
    return kept


def _overlap(before: list[str], behind: list[str]) -> int:
    """How many words end the one and begin the other."""
    for count in range(min(len(before), len(behind), COMPARED), 0, -1):
        if before[-count] == behind[0] and before[-count:] == behind[:count]:
            return count
    return 0


def with_times(cues: Sequence[Cue]) -> tuple[list[tuple[Cue, float, float]], list[str]]:
    """Each cue with its first and last second, which never run backwards and never overlap; and warnings.

    A known start is one behind the start known before. The cues from one known start up to the next share the time
    between them by their characters; of the last ones it ends where they say, else after RATE characters a second.
    What stands before the first known start is as long as RATE says, and begins at 0 at the earliest.
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
    """The text, and its sentences in order: a change of speaker ends one. Seconds within a cue go by characters."""
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
    """What one speaker says in one go: its text and where each cue begins in it."""

    def __init__(self, timed: Sequence[tuple[Cue, float, float]]) -> None:
        self.timed = timed
        self.text = " ".join(cue.text for cue, _, _ in timed)
        self.starts = [0]
        for cue, _, _ in timed[:-1]:
            self.starts.append(self.starts[-1] + len(cue.text) + 1)

    def second(self, offset: int, behind: bool = False) -> float:
        """When the character is said: the moment before it, or the one behind it."""
        number = bisect_right(self.starts, offset) - 1
        cue, start, end = self.timed[number]
        share = min(1.0, (offset + behind - self.starts[number]) / len(cue.text))
        return min(start + (end - start) * share, end) if share < 1 else end

    def spans(self) -> Iterator[tuple[int, int]]:
        """(start, end) of each sentence; of what has no punctuation, of up to UNBROKEN words, cut at pauses."""
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


# ---- chapters


def maker_chapters(
    made: Sequence[tuple[float, str]], text: str, utterances: Sequence[Utterance]
) -> tuple[tuple[Chapter, ...], list[str]]:
    """Chapters of whole sentences for the maker's (second, title), and warnings about those that are left out.

    Each begins with the sentence whose start is nearest to the maker's second, or the next one if another chapter has
    that; the first begins with the first sentence, and each ends where the next begins, the last with the last. No more
    than bounds.CHAPTERS are made of them.
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
    """(second, title) of Podcasting 2.0 chapters, its title, its podcast, and how many have no time or no title.

    Those that are not for the table of contents ("toc": false) are passed over. Raises ValueError for other JSON.
    """
    found = json.loads(text)
    listed = found.get("chapters") if isinstance(found, dict) else None
    if not isinstance(listed, list):
        raise ValueError('it has no list "chapters"')
    shown = [chapter for chapter in listed if not (isinstance(chapter, dict) and chapter.get("toc") is False)]
    chapters = []
    for chapter in shown:
        second = seconds_of(chapter.get("startTime")) if isinstance(chapter, dict) else None
        title = _words(chapter.get("title")) if isinstance(chapter, dict) else ""
        if second is not None and title:
            chapters.append((second, title))
    return chapters, _words(found.get("title")), _words(found.get("podcastName")), len(shown) - len(chapters)


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
        second, title = seconds_of(attributes.get("start")), _words(attributes.get("title"))
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
    found = [(second, _words(plain(m.group(2)))) for m in lines if (second := seconds_of(m.group(1))) is not None]
    found = [(second, title) for second, title in found if title]
    return found if len(found) > 1 and all(a[0] < b[0] for a, b in pairwise(found)) else []


# ---- what lies beside


class _Beside:
    """The files beside a transcript, read; one that cannot be is left out with a warning."""

    def __init__(self, files: Sequence[Path], warnings: list[str]) -> None:
        self.files, self.warnings = files, warnings
        self.title, self.show = "", ""
        self.front: dict[str, str] = {}
        self.bodies: list[str] = []
        for file in sorted((file for file in files if file.name.endswith(NOTES)), key=_ending):
            text = decoded(self._bytes(file)).replace("\r\n", "\n")
            if front := FRONT.match(text):
                pairs = front_matter(front.group(1)).items()
                self.front = {**{key: _words(value) for key, value in pairs}, **self.front}
                text = text[front.end() :]
            self.bodies.append(text)

    def _bytes(self, file: Path) -> bytes:
        try:
            if file.stat().st_size <= MOST_NOTES:
                return file.read_bytes()
            self.warnings.append(f"{file.name} is larger than {MOST_NOTES >> 20} MB and was left out")
        except OSError as error:
            self.warnings.append(f"{file.name} cannot be read ({error.strerror}) and was left out")
        return b""

    def chapters(self, transcript: Transcript) -> Sequence[tuple[float, str]]:
        """The maker's: of the first chapters file that has some, else the transcript's, else a list in the notes."""
        made: Sequence[tuple[float, str]] = ()
        for file in sorted((file for file in self.files if file.name.endswith(CHAPTERS)), key=_ending):
            found = self._chapters_of(file)
            made = made or found
        return made or transcript.chapters or next(filter(None, map(chapters_in_notes, self.bodies)), [])

    def _chapters_of(self, file: Path) -> Sequence[tuple[float, str]]:
        data = self._bytes(file)
        if not data or (file.suffix == ".xml" and b"chapters" not in data):
            return ()
        try:
            if file.suffix == ".json":
                made, self.title, self.show, left_out = chapters_of_json(decoded(data))
                if left_out:
                    self.warnings.append(
                        f"{file.name}: left out for want of a time or a title: {left_out} of the chapters"
                    )
                return made
            if file.suffix == ".vtt":
                cues = read_transcript(data, "chapters.vtt").cues
                return [(cue.start_seconds, cue.text) for cue in cues if cue.start_seconds is not None]
            return chapters_of_psc(data)
        except (ValueError, RecursionError, DocumentError) as error:
            self.warnings.append(f"{file.name} holds no chapters that can be read: {first_line_of(error)}")
            return ()

    def description(self) -> str:
        about = [self.front[key] for key in ("description", "summary", "subtitle") if key in self.front]
        lines = (" ".join(line.split()) for text in [*about, *self.bodies] for line in plain(text).split("\n"))
        text = "\n".join(line for line in lines if line.strip("-*_ "))
        return shortened(BAD.sub("", text), bounds.DESCRIPTION)

    def audio(self) -> str:
        beside = [file for ending in AUDIO for file in self.files if file.suffix == ending]
        named = self.front.get("audio", "")
        place = str(beside[0].absolute()) if beside else ""
        if BAD.search(place) or len(place) > bounds.ADDRESS:
            why = "its path is too long, or holds bytes that are no text. Rename it"
            self.warnings.append(f"{beside[0].name} cannot be played: {why}")
        elif place:
            return place
        return named if len(named) <= bounds.ADDRESS and re.fullmatch(r"https?://\S+", named) else ""


def _ending(file: Path) -> tuple[int, str]:
    return next(number for number, ending in enumerate(ENDINGS) if file.name.endswith(ending)), file.name


def _words(value: object) -> str:
    """A title in one line; "" of what is no text."""
    return " ".join(BAD.sub(" ", value).split()) if isinstance(value, str) else ""


def _iso(value: str) -> str:
    try:
        return date.fromisoformat(value[:10]).isoformat()
    except ValueError:
        return ""
