"""A podcast's feed (RSS 2.0 with Podcasting 2.0's elements) -> its episodes; the program of the child that parses it.

Only what an episode names is ever fetched: its transcript, its chapters, its recording (ingest/feeds/fetch.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ingest.child_process import Children, Limits, first_reply
from ingest.child_replies import check_date, checked_list, checked_text, checking
from ingest.plain_text import mail_date, one_line
from ingest.reflowable.content import clean
from ingest.reflowable.markup import (
    Element,
    attribute,
    descendants,
    first,
    name_of,
    parsed_xml,
    pieces_of_html,
    root_of,
)
from rag import bounds
from rag.bounds import shortened
from rag.errors import DocumentError

CHILD = "ingest.feeds.feed"
MOST_BYTES = 64 << 20
MOST_EPISODES = 10_000
# types of transcripts, the best first -> the ending of their files
TRANSCRIPTS = {
    "text/vtt": ".vtt", "application/x-subrip": ".srt", "application/srt": ".srt", "text/srt": ".srt",
    "application/json": ".json", "text/html": ".html",
}  # fmt: skip
RECORDINGS = {
    "audio/mpeg": ".mp3", "audio/mp3": ".mp3", "audio/mp4": ".m4a", "audio/x-m4a": ".m4a", "audio/aac": ".aac",
    "audio/ogg": ".ogg", "audio/opus": ".opus", "audio/flac": ".flac", "audio/wav": ".wav", "video/mp4": ".mp4",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class FeedEpisode:
    """An episode as its feed tells of it. Addresses are "" where it names none."""

    title: str
    date: str  # YYYY-MM-DD; "": none is known
    notes: str
    transcript: str
    transcript_ending: str
    chapters: str
    audio: str
    audio_ending: str


@dataclass(frozen=True, slots=True)
class Feed:
    """A show and its episodes, in the feed's order: the newest first, as a rule."""

    show: str
    episodes: tuple[FeedEpisode, ...]


def is_feed(head: bytes) -> bool:
    """Whether a file is a feed, by its first bytes.

    >>> is_feed(b'<?xml version="1.0"?><rss version="2.0"><channel>'), is_feed(b"<html>")
    (True, False)
    """
    start = head.lstrip(b"\xef\xbb\xbf \r\n\t")
    return start.startswith((b"<?xml", b"<rss", b"<!--")) and b"<rss" in head


def read_feed(file: Path, limits: Limits, children: Children) -> Feed:
    """Read a feed's file in a limited child process. Raises DocumentError, and Stopped."""
    value = first_reply(CHILD, {"path": str(file)}, limits, children)
    with checking("a feed"):
        show = checked_text(value["show"], bounds.TITLE)
        episodes = []
        for row in checked_list(value["episodes"], MOST_EPISODES):
            title, date, notes, *addresses = row
            checked_text(title, bounds.TITLE)
            check_date(date)
            checked_text(notes, bounds.DESCRIPTION)
            for text in addresses:
                checked_text(text, bounds.ADDRESS)
            episodes.append(FeedEpisode(title, date, notes, *addresses))
        return Feed(show, tuple(episodes))


def serve(request: dict[str, Any], numbers: Iterator[int]) -> Iterator[tuple[str, Any]]:
    """What the child process replies (ingest/worker.py): ("open", the show and the fields of its episodes)."""
    with Path(request["path"]).open("rb") as stream:
        data = stream.read(MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        raise DocumentError(f"is larger than any feed ({MOST_BYTES >> 20} MB)")
    root = parsed_xml(data)
    channel = first(root, "channel")
    if channel is None:
        raise DocumentError("is no feed of a podcast: it has no channel. Give the address of its RSS feed")
    items = [each for each in channel if name_of(each) == "item"][:MOST_EPISODES]
    yield "open", {"show": _said(channel, "title"), "episodes": [_episode(item) for item in items]}


def _episode(item: Element) -> list[str]:
    transcripts = sorted(
        (rank, _address(each, "url"), TRANSCRIPTS[kind])
        for each in descendants(item, "transcript")
        if (kind := attribute(each, "type").partition(";")[0].strip().lower()) in TRANSCRIPTS
        for rank in (list(TRANSCRIPTS).index(kind),)
        if _address(each, "url")
    )
    chapters = next((address for each in descendants(item, "chapters") if (address := _address(each, "url"))), "")
    audio, ending = "", ""
    for each in descendants(item, "enclosure"):
        address = _address(each, "url")
        found = RECORDINGS.get(attribute(each, "type").lower()) or Path(urlsplit(address).path).suffix.lower()
        if not audio and found in RECORDINGS.values():
            audio, ending = address, found
    _, transcript, transcript_ending = transcripts[0] if transcripts else (0, "", "")
    return [
        _said(item, "title") or "untitled", mail_date(_said(item, "pubDate")), _notes(item), transcript,
        transcript_ending, chapters, audio, ending if audio else "",
    ]  # fmt: skip


def _said(parent: Element, name: str) -> str:
    found = next((each for each in parent if name_of(each) == name and (each.text or "").strip()), None)
    return one_line(found.text or "") if found is not None else ""


def _notes(item: Element) -> str:
    """The show notes as plain text: the fullest of the elements that may hold them."""
    texts = [each.text or "" for each in item if name_of(each) in ("description", "encoded", "summary")]
    text = max(texts, key=len, default="")
    lines = "\n".join(piece.text for piece in pieces_of_html(root_of(f"<div>{text}</div>"))) if text.strip() else ""
    return shortened(clean(lines), bounds.DESCRIPTION)


def _address(element: Element, name: str) -> str:
    """A web address, or "": any other leads where nobody is to be led."""
    address = attribute(element, name).strip()
    try:
        parts = urlsplit(address) if len(address) <= bounds.ADDRESS else urlsplit("")
    except ValueError:  # half an IPv6 address
        return ""
    return address if parts.scheme in ("http", "https") and parts.hostname and not parts.username else ""
