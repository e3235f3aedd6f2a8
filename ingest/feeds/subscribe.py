"""A podcast's feed -> files in the library's folder `feeds`, as they would lie beside each other on a disk.

Of each episode: its transcript, or its recording where there is none (ingest/audio/ hears it), its chapters, its show
notes, and what the feed says of it. What is there already is not fetched again.
"""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Sequence
from pathlib import Path

from ingest.child_process import Children, Limits
from ingest.feeds.feed import MOST_BYTES, Feed, FeedEpisode, is_feed, read_feed
from ingest.feeds.fetch import fetch
from ingest.kinds import head_of
from rag.errors import DocumentError
from rag.library.catalogue import Library
from rag.protocols import Report, silent
from rag.settings import Ingest

MOST_TRANSCRIPT, MOST_CHAPTERS, MOST_AUDIO = 32 << 20, 4 << 20, 1 << 30  # bytes
NAMED = 80  # characters of an episode's title in its files' names


def is_address(given: str) -> bool:
    """Whether what a user gives is a web address and no path.

    >>> is_address("https://example.org/feed.xml"), is_address("feed.xml")
    (True, False)
    """
    return re.match(r"https?://", given, re.I) is not None


def is_feed_file(path: Path) -> bool:
    """Whether a path is a feed that was saved."""
    try:
        return path.is_file() and path.suffix.lower() in (".xml", ".rss") and is_feed(head_of(path))
    except OSError:
        return False


def subscribe(
    given: str, library: Library, settings: Ingest, most: int, report: Report = silent
) -> tuple[Path, list[str]]:
    """The folder with the files of the `most` newest episodes of a feed, given by address or file; and what is missing.

    What cannot be fetched of an episode is a line among what is missing; the others are there. Raises DocumentError
    for what is no feed.
    """
    children = Children(threading.Semaphore(), 1, threading.Event())
    limits = Limits(settings.page_seconds, settings.memory_mb)
    key = hashlib.sha256(given.encode()).hexdigest()[:12]
    feeds = library.folder / "feeds"
    file = Path(given)
    if is_address(given):
        file = feeds / f"{key}.xml"
        file.unlink(missing_ok=True)  # a feed grows: what was fetched before is of its day
        fetch(given, file, MOST_BYTES)
    try:
        feed = read_feed(file, limits, children)
    except DocumentError as error:
        raise DocumentError(f"{given}: {error}") from error
    folder = feeds / f"{_plain(feed.show) or 'feed'}-{key}"
    newest = sorted(feed.episodes, key=lambda episode: episode.date, reverse=True)[:most]
    missing: list[str] = []
    for number, episode in enumerate(newest):
        report("episodes", number, len(newest))
        missing += _bring(episode, feed, folder)
    report("episodes", len(newest), len(newest))
    return folder, missing


def _bring(episode: FeedEpisode, feed: Feed, folder: Path) -> Sequence[str]:
    key = hashlib.sha256((episode.audio or episode.transcript or episode.title).encode()).hexdigest()[:6]
    name = " ".join(filter(None, (episode.date, _plain(episode.title), key)))
    wanted = [(episode.transcript, episode.transcript_ending, MOST_TRANSCRIPT)] if episode.transcript else []
    wanted += [(episode.audio, episode.audio_ending, MOST_AUDIO)] if episode.audio and not wanted else []
    if not wanted:
        return [f"{episode.title}: the feed names neither a transcript nor a recording"]
    wanted += [(episode.chapters, ".chapters.json", MOST_CHAPTERS)] if episode.chapters else []
    try:
        for address, ending, most_bytes in wanted:
            fetch(address, folder / f"{name}{ending}", most_bytes)
    except DocumentError as error:
        return [f"{episode.title}: {error}"]
    said = {"title": episode.title, "show": feed.show, "published": episode.date, "audio": episode.audio}
    lines = "".join(f"{key}: {' '.join(value.split())}\n" for key, value in said.items() if value)
    (folder / f"{name}.meta.md").write_text(f"---\n{lines}---\n{episode.notes}\n", "utf-8")
    return ()


def _plain(title: str) -> str:
    """A title as a file's name has it.

    >>> _plain("../Old Trades: No. 3?")
    'Old Trades No 3'
    """
    return " ".join(re.findall(r"[\w-]+", title))[:NAMED].strip()
