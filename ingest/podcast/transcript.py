"""Bytes of a transcript -> its cues: WebVTT, SubRip, JSON and HTML (Podcasting 2.0), Markdown and text with times.

Formats: https://www.w3.org/TR/webvtt1/, https://github.com/Podcastindex-org/podcast-namespace (transcripts), and what
shows publish: `**Name:** words` with times such as `\\[04:17\\]` inside, `*Name (0:04:17)*: words`, `[00:04:17] words`.
webvtt-py (MIT) reads WebVTT and SubRip. HTML is cut by one regular expression here: html.parser takes quadratic time
for some broken files (20,000 times "<!--": 17 s).
"""

from __future__ import annotations

import codecs
import html
import io
import json
import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

from rag import bounds
from rag.bounds import shortened
from rag.errors import DocumentError, first_line_of

HEAD_BYTES = 65536  # is_transcript wants to see so much of a file, or all of a shorter one
MOST_BYTES = 32 << 20  # a transcript of ten hours has one or two MB, and ten with the time of each word
FORMS = "WebVTT, SubRip, Podcasting 2.0 JSON or HTML, or text with speakers or times"
BESIDE = re.compile(r"\.(?:chapters\.\w+|shownotes\.\w+|meta\.\w+|psc)$", re.I)  # ingest/podcast/episode.py's sidecars
MISNAMED = ("", "vtt", "srt")  # endings that say little of what is inside
NOT_SPOKEN = re.compile(r"(?:readme|changelog|changes|history|news|contributing|licen[cs]e)\b", re.I)

TIME = r"(?:[0-9]{1,4}:)?[0-9]{1,3}:[0-9]{2}(?:[.,][0-9]{1,6})?"
TIMESTAMP = r"(?:([0-9]{1,4}):)?([0-9]{1,3}):([0-9]{1,2})(?:[.,]([0-9]{1,9}))?"
TIMING = re.compile(rf"[ \t]*{TIMESTAMP}[ \t]*-->(?:[ \t]*{TIMESTAMP})?(?![0-9:])")
CUE_TAG = re.compile(
    r"</?(?:v|c|i|b|u|s|ruby|rt|lang|font|br|span|p|div|em|strong|a)(?:[.\s/][^<>]*)?>|<[0-9][0-9:.]*>", re.I
)
VOICE = re.compile(r"<v(?:\.[^\s<>]*)?[ \t]([^<>]*)>", re.I)
HTML_TAG = re.compile(r"<(/?)([a-zA-Z][a-zA-Z0-9]{0,15})([^<>]*)>")
HTML_TIME = re.compile(rf"<time\b[^<>]*>\s*[\[(]?{TIME}", re.I)
MOST_LABEL = 10_000  # characters of HTML between <cite> or <title> and its end, of which a name or a title is made
SILENT = {"script", "style", "template", "svg"}  # HTML elements whose text is not shown
BAD = re.compile(r"[\x00-\x08\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufeff]")

NAME = r"[^\W\d_][^:*()\[\]<>\n]{0,60}?"
BOLD = re.compile(rf"\*\*({NAME})\s*(?::\s*\*\*|\*\*\s*:)\s*(.*)")
TIMED = re.compile(rf"[*_]{{0,3}}({NAME})[*_]{{0,3}}\s*[\[(]({TIME})[\])][*_]{{0,3}}\s*:?[*_]{{0,3}}\s*(.*)")
HEADED = re.compile(rf"({NAME})\s+({TIME})\s*()$")  # the words stand on the next line
PLAIN = re.compile(rf"(?:\[({TIME})\]|\(({TIME})\)|({TIME})(?=\s))\s*(?:[-–—]\s+)?(.*)")
INLINE_TIME = re.compile(rf"\\?\[({TIME})\\?\]")
LABEL = re.compile(r"(?:>>\s*)?((?:[^\W\d_a-z][\w.'’-]*|Speaker)(?: (?:[^\W\d_a-z][\w.'’-]*|\d+)){0,3}):\s+(?=\S)")
RULE = re.compile(r"\s*(?:[-*_]\s*){3,}$")
FRONT = re.compile(r"---[ \t]*\n(.*?\n)---[ \t]*(?:\n|$)", re.S)


@dataclass(frozen=True, slots=True)
class Cue:
    """Words as the transcript has them together: plain text in one line, never empty; None: a time is not known."""

    text: str
    start_seconds: float | None
    end_seconds: float | None
    speaker: str = ""


@dataclass(frozen=True, slots=True)
class Transcript:
    """The cues in the file's order; `chapters` are (seconds, title) that the file itself has."""

    cues: tuple[Cue, ...]
    title: str = ""
    warnings: tuple[str, ...] = ()
    chapters: tuple[tuple[float, str], ...] = ()


def is_transcript(name: str, head: bytes) -> bool:
    """Whether a file that begins with `head` (HEAD_BYTES are enough) is one: by its content, its name as a help.

    A file called .vtt or .srt is one even if it is broken, so that its reader can say what is wrong with it.

    >>> is_transcript("talk.txt", b"WEBVTT\\n\\n00:01.000 --> 00:02.000\\nHello"), is_transcript("a.md", b"# Hello")
    (True, False)
    """
    if BESIDE.search(name) or head.lstrip()[:5] == b"%PDF-":
        return False
    if re.search(r"\.(?:vtt|srt)$", name, re.I):
        return True
    return bool(_form(name, _clean(decoded(head[:HEAD_BYTES], is_cut=True))))


def read_transcript(data: bytes, name: str) -> Transcript:
    """Its cues. Raises DocumentError, without the path, if it is too large, none that we know, or without words."""
    if len(data) > MOST_BYTES:
        raise DocumentError(f"is larger than any transcript ({MOST_BYTES >> 20} MB). Cut it in parts")
    text = _clean(decoded(data))
    if not text.strip():
        raise DocumentError("is empty. Put the transcript there, or leave the file out")
    form = _form(name, text)
    if not form:
        raise DocumentError(f"is no transcript that this program can read. Give it {FORMS}")
    transcript = READERS[form](text)
    names = {label: speaker_name(label) for label in {cue.speaker for cue in transcript.cues}}
    cues = tuple(
        Cue(said, cue.start_seconds, cue.end_seconds, names[cue.speaker])
        for cue in transcript.cues
        if (said := " ".join(BAD.sub("", cue.text).split()))
    )
    if not cues:
        raise DocumentError("is a transcript without words. Put them there, or leave the file out")
    return replace(transcript, cues=cues, title=one_line(BAD.sub("", transcript.title)))


def one_line(title: str) -> str:
    """A title in one line, at most bounds.TITLE characters long."""
    return shortened(" ".join(title.split()), bounds.TITLE)


def decoded(data: bytes, is_cut: bool = False) -> str:
    """UTF-8 or UTF-16 by their marks, else UTF-8 if it is that, else Windows-1252. `is_cut`: maybe in a character."""
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return data.decode("utf-16", "replace")
    try:
        return codecs.getincrementaldecoder("utf-8-sig")().decode(data, final=not is_cut)
    except UnicodeDecodeError:
        return data.decode("cp1252", "replace")


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
    """Markdown's words: the text of links, without the signs for emphasis, code and headings, and without tags.

    >>> plain("*much* [purer](https://a.b) than \\\\[laughs\\\\] `C*`")
    'much purer than [laughs] C*'
    """
    for pattern, kept in MARKS:
        text = pattern.sub(kept, text)
    return html.unescape(text)


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


def _clean(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n").replace("\x00", "")


# ---- which form


def _form(name: str, text: str) -> str:
    """The key in READERS, "" if it is none of them."""
    if text.startswith("WEBVTT"):
        return "vtt"
    head = text.lstrip()[:HEAD_BYTES]
    lines = [line for line in head.split("\n") if line.strip()]
    if any(TIMING.match(line) for line in lines[:3]):
        return "srt"
    ending = name.lower().rpartition(".")[2] if "." in name else ""
    if head.startswith("{") and ending in ("json", "txt", *MISNAMED):
        words = re.search(r'"(?:body|text)"\s*:', head) and re.search(r'"start(?:Time)?"\s*:', head)
        return "json" if '"segments"' in head and (words or (ending == "json" and len(head) < HEAD_BYTES)) else ""
    if ending in ("html", "htm", "txt", *MISNAMED) and HTML_TIME.search(head):
        return "html" if re.search(r"<cite\b", head, re.I) else ""
    if ending in ("md", "markdown", "txt", "text", *MISNAMED) and not NOT_SPOKEN.match(name):
        return "text" if _is_spoken(name, head) else ""
    return ""


def _is_spoken(name: str, head: str) -> bool:
    """Whether text is what people say: it begins with a speaker or a time, and goes on so."""
    front = FRONT.match(head)
    body = head[front.end() :] if front else head
    lines = [line for line in body.split("\n") if line.strip() and not _is_furniture(line)]
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


# ---- WebVTT and SubRip


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


def _read_captions(text: str, form: str) -> Transcript:
    """By webvtt-py, which leaves cues out for a comma, 75 seconds, a missing end or number: these are mended first."""
    import webvtt
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
        found = _labelled(found)
    warnings = (f"left out for a time that cannot be read: {unread} of the cues",) if unread else ()
    header = captions.header_text.strip()  # "WEBVTT - Of Mills"; else it is what a tool writes
    title = header.lstrip("- ") if header.startswith("-") else ""
    return Transcript(tuple(found), title, warnings)


def _voices(raw: str, start: str, end: str) -> Iterator[Cue]:
    """A caption's voices, a cue each; the first has the caption's start, the last its end."""
    first, last = seconds_of(start), seconds_of(end)
    if first is not None and last is not None and last <= first:
        last = None
    pieces = VOICE.split(raw)  # text before any voice, then name and text in turn
    turns = [("", pieces[0]), *zip(pieces[1::2], pieces[2::2], strict=True)]
    said = [(name, text) for name, raw_text in turns if (text := html.unescape(CUE_TAG.sub(" ", raw_text)).strip())]
    for number, (name, text) in enumerate(said):
        yield Cue(text, first if not number else None, last if number == len(said) - 1 else None, name)


def _labelled(cues: list[Cue]) -> list[Cue]:
    """With "Name: " taken from the text and kept until the next one.

    Names are believed if one of the first five cues has one, and one of a single word only if it comes twice: else
    "Note: " is what someone says.
    """
    found = [LABEL.match(cue.text) for cue in cues]
    if not any(found[:5]):
        return cues
    times = Counter(match.group(1) for match in found if match)
    first = next(match.group(1) for match in found if match)
    named, speaker = [], ""
    for cue, match in zip(cues, found, strict=True):
        if match and (" " in match.group(1) or times[match.group(1)] > 1 or match.group(1) == first):
            speaker = match.group(1)
            cue = replace(cue, text=cue.text[match.end() :])
        named.append(replace(cue, speaker=speaker))
    return named


# ---- JSON and HTML


def _read_json(text: str) -> Transcript:
    """Podcasting 2.0 (startTime, endTime, body), or Whisper's (start, end, text)."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DocumentError(f"is no JSON: {first_line_of(error)}. Export it again") from error
    segments = found.get("segments") if isinstance(found, dict) else None
    if not isinstance(segments, list):
        raise DocumentError('is JSON without a list "segments". Give it the Podcasting 2.0 transcript format')
    cues, left_out, speaker = [], 0, ""
    for segment in segments:
        body = (segment.get("body") or segment.get("text")) if isinstance(segment, dict) else None
        if not isinstance(body, str):
            left_out += 1
            continue
        start = seconds_of(segment.get("startTime", segment.get("start")))
        end = seconds_of(segment.get("endTime", segment.get("end")))
        speaker = named if isinstance(named := segment.get("speaker"), str) else speaker
        words = html.unescape(CUE_TAG.sub(" ", body))
        cues.append(Cue(words, start, end if start is None or (end or 0) > start else None, speaker))
    warnings = (f"left out for want of text: {left_out} of the segments",) if left_out else ()
    title = found.get("title")
    return Transcript(tuple(cues), title if isinstance(title, str) else "", warnings)


def _without_comments(text: str) -> str:
    kept, after = [], 0
    while (start := text.find("<!--", after)) >= 0:
        kept.append(text[after:start])
        end = text.find("-->", start)
        after = len(text) if end < 0 else end + 3
    return re.sub(r"<[!?][^<>]*>", "", "".join([*kept, text[after:]]))  # and without <!DOCTYPE html>


def _read_html(text: str) -> Transcript:
    """<cite>Name:</cite> <time>0:53</time> <p>words</p>: name and time are those of what follows them."""
    text = _without_comments(text)
    cues: list[Cue] = []
    words: list[str] = []
    inside, speaker, title, after = "", "", "", 0
    start: float | None = None

    def flush() -> None:
        nonlocal start
        if any(part.strip() for part in words):
            cues.append(Cue(html.unescape("".join(words)), start, None, speaker))
            start = None
        words.clear()

    for tag in [*HTML_TAG.finditer(text), None]:
        piece, after = text[after : tag.start() if tag else None], tag.end() if tag else len(text)
        if inside == "cite":
            speaker = (speaker + piece)[:MOST_LABEL]
        elif inside == "time":
            start = seconds_of(piece.strip(" \t\n[]()")) if piece.strip() else start
        elif inside == "title":
            title = (title + html.unescape(piece))[:MOST_LABEL]
        elif not inside:
            words.append(piece)
        closing, element = (bool(tag.group(1)), tag.group(2).lower()) if tag else (False, "")
        if inside in SILENT:
            inside = "" if closing and element == inside else inside
        elif element in ("cite", "time", "title", *SILENT):
            flush()
            inside = "" if closing else element
            speaker = "" if inside == "cite" else speaker
        elif element in ("p", "div", "li", "br", "h1", "h2", "h3", "body", "html"):
            words.append(" ")
            if element != "br":
                flush()
    flush()
    return Transcript(tuple(cues), title)


# ---- Markdown and plain text


@dataclass(frozen=True, slots=True)
class _Line:
    text: str
    speaker: str = ""
    seconds: float | None = None


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


def _is_furniture(line: str) -> bool:
    return line.lstrip().startswith(("# ", "##")) or bool(RULE.match(line))


def _read_text(text: str) -> Transcript:
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
        if _is_furniture(raw):
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
    return Transcript(tuple(_in_full(cues if any(cue.speaker for cue in cues) else _labelled(cues))), title)


def _in_full(cues: list[Cue]) -> Iterable[Cue]:
    """With initials made the full name where they are those of one speaker before only.

    >>> [cue.speaker for cue in _in_full([Cue("Hi.", 0, None, "First Speaker"), Cue("Yes.", 1, None, "FS")])]
    ['First Speaker', 'First Speaker']
    """
    names: dict[str, set[str]] = {}
    for cue in cues:
        full = names.get(cue.speaker, set()) if cue.speaker.isupper() else set()
        yield replace(cue, speaker=next(iter(full))) if len(full) == 1 else cue
        if " " in cue.speaker.strip():
            names.setdefault("".join(word[0] for word in cue.speaker.split()), set()).add(cue.speaker)


def front_matter(lines: str) -> dict[str, str]:
    """The `key: value` lines of a front matter, keys in small letters; nested values are passed over.

    >>> front_matter('title: "On Mills"\\ndate: 2024-05-01\\n')
    {'title': 'On Mills', 'date': '2024-05-01'}
    """
    pairs = (line.partition(":") for line in lines.split("\n") if line[:1].isalpha() and ":" in line)
    return {key.strip().lower(): value.strip().strip("\"'") for key, _, value in pairs if value.strip(" >|-")}


READERS: dict[str, Callable[[str], Transcript]] = {
    "vtt": lambda text: _read_captions(text, "vtt"),
    "srt": lambda text: _read_captions(text, "srt"),
    "json": _read_json,
    "html": _read_html,
    "text": _read_text,
}
