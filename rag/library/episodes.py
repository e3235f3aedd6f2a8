"""Podcast episodes: their table in the catalogue, and who speaks when in a part of a transcript.

The connection is the library's: its rows are sqlite3.Row, it knows the SQL function casefold, and what writes runs in
its one writer's transaction.
"""

from __future__ import annotations

import json
import sqlite3
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import astuple
from typing import Any

from rag.document import Chapter, Episode, Utterance

# Utterances and chapters are lists of lists, each in the order of its record's fields.
SCHEMA = """
CREATE TABLE episodes (
    document_id TEXT PRIMARY KEY REFERENCES documents ON DELETE CASCADE, show TEXT NOT NULL,
    description TEXT NOT NULL, date TEXT NOT NULL, audio TEXT NOT NULL, utterances TEXT NOT NULL,
    chapters TEXT NOT NULL) WITHOUT ROWID;
"""
_OF_EPISODE = "EXISTS (SELECT 1 FROM episodes e WHERE e.document_id = p.document_id AND {})"
FILTERS = {
    "show": _OF_EPISODE.format("casefold(e.show) = casefold(?)"),
    "chapter": "p.chapter_title IN (SELECT title FROM titles WHERE words <> '' AND casefold(words) = casefold(?))",
    "speaker": "EXISTS (SELECT 1 FROM json_each(p.speaker_titles) s "
    "WHERE s.value IN (SELECT title FROM titles WHERE casefold(words) = casefold(?)))",
}
FILTERS_4 = {  # where they differ in layout 4 (schema.py)
    "chapter": "(p.chapter <> '' AND casefold(p.chapter) = casefold(?))",
    "speaker": "EXISTS (SELECT 1 FROM json_each(p.speakers) s WHERE casefold(s.value) = casefold(?))",
}
# Stands in the recipe of an episode whose audio lies in the library's folder and was put there under layout 4, before
# the folder that it lay in then: the hash in the recipe was made of that absolute path (ingest/build.py).
AUDIO_WAS_IN = ", audio was in "


def enter(connection: sqlite3.Connection, document_id: str, episode: Episode | None) -> None:
    """Add the episode of a new document, if it is one; it leaves with the document's row."""
    if episode is not None:
        row = to_json(episode)
        connection.execute(
            "INSERT INTO episodes VALUES (?, ?, ?, ?, ?, ?, ?)",
            (document_id, *row[:4], *(json.dumps(part, separators=(",", ":")) for part in row[4:])),
        )


def episode(connection: sqlite3.Connection, document_id: str) -> Episode | None:
    """The episode that a stored document is; None for another kind of document."""
    row = connection.execute("SELECT * FROM episodes WHERE document_id = ?", (document_id,)).fetchone()
    return None if row is None else from_json([*row[1:5], json.loads(row[5]), json.loads(row[6])])


def to_json(episode: Episode) -> list[Any]:
    """The fields of the record in their order, utterances and chapters as lists of lists."""
    rows = ([list(astuple(part)) for part in parts] for parts in (episode.utterances, episode.chapters))
    return [episode.show, episode.description, episode.date, episode.audio, *rows]


def from_json(row: Sequence[Any]) -> Episode:
    """
    >>> episode = Episode("A show", utterances=(Utterance(0, 3, 0.0, 1.5, "Ada"),))
    >>> from_json(json.loads(json.dumps(to_json(episode)))) == episode
    True
    """
    show, description, date, audio, utterances, chapters = row
    said, parts = (Utterance(*part) for part in utterances), (Chapter(*part) for part in chapters)
    return Episode(show, description, date, audio, tuple(said), tuple(parts))


# -- who speaks when -------------------------------------------------------------------------------------------------


def utterances_in(utterances: Sequence[Utterance], start: int, end: int) -> Sequence[Utterance]:
    """The utterances that text[start:end] touches; `utterances` in order."""
    first = bisect_right(utterances, start, key=lambda utterance: utterance.end)
    return utterances[first : bisect_left(utterances, end, key=lambda utterance: utterance.start)]


def speakers_in(utterances: Sequence[Utterance], start: int, end: int) -> list[str]:
    """Who speaks in text[start:end], whoever says most of it first; "" stands for whoever has no name.

    >>> spoken = (Utterance(0, 4, 0, 1, "Ada"), Utterance(5, 15, 1, 3, "Eda"))
    >>> speakers_in(spoken, 0, 15), speakers_in(spoken, 0, 7), speakers_in(spoken, 0, 4)
    (['Eda', 'Ada'], ['Ada', 'Eda'], ['Ada'])
    """
    said: dict[str, int] = {}
    for part in utterances_in(utterances, start, end):
        said[part.speaker] = said.get(part.speaker, 0) + min(end, part.end) - max(start, part.start)
    return sorted(said, key=lambda speaker: -said[speaker])


def seconds_of(utterances: Sequence[Utterance], start: int, end: int) -> tuple[float, float] | None:
    """From which second to which text[start:end] is spoken; None where nothing is.

    Within an utterance time is taken to run with its characters.

    >>> seconds_of((Utterance(0, 10, 4.0, 6.0),), 5, 10)
    (5.0, 6.0)
    """
    spoken = utterances_in(utterances, start, end)
    return (_second(spoken[0], start), _second(spoken[-1], end)) if spoken else None


def _second(spoken: Utterance, at: int) -> float:
    if at <= spoken.start:
        return spoken.start_seconds
    if at >= spoken.end:
        return spoken.end_seconds
    share = (at - spoken.start) / (spoken.end - spoken.start)
    return round(spoken.start_seconds + share * (spoken.end_seconds - spoken.start_seconds), 3)
