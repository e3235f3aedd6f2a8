"""JSON and HTML transcripts -> cues (https://github.com/Podcastindex-org/podcast-namespace, and Whisper's JSON).

HTML is cut by one regular expression here: html.parser takes quadratic time for some broken files (20,000 times "<!--":
17 s).
"""

from __future__ import annotations

import html
import json
import re

from ingest.podcast.formats.cues import CUE_TAG, TIME, Cue, Transcript, seconds_of
from rag.errors import DocumentError, first_line_of

HTML_TAG = re.compile(r"<(/?)([a-zA-Z][a-zA-Z0-9]{0,15})([^<>]*)>")
HTML_TIME = re.compile(rf"<time\b[^<>]*>\s*[\[(]?{TIME}", re.I)
MOST_LABEL = 10_000  # characters of HTML between <cite> or <title> and its end, of which a name or a title is made
SILENT = {"script", "style", "template", "svg"}  # HTML elements whose text is not shown


def read_json(text: str) -> Transcript:
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


def read_html(text: str) -> Transcript:
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


def _without_comments(text: str) -> str:
    kept, after = [], 0
    while (start := text.find("<!--", after)) >= 0:
        kept.append(text[after:start])
        end = text.find("-->", start)
        after = len(text) if end < 0 else end + 3
    return re.sub(r"<[!?][^<>]*>", "", "".join([*kept, text[after:]]))  # and without <!DOCTYPE html>
