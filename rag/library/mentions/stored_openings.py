"""The openings of passages in the catalogue, by which a name finds the passages that may hold it (references.py).

They follow from a passage's text alone: a copy of a catalogue makes its own, some seventy a passage.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping

from rag.library.mentions.references import openings


def enter(connection: sqlite3.Connection, texts: Mapping[int, str]) -> dict[int, set[int]]:
    """Store the openings of new passages, given by catalogue number; returns them."""
    found = {number: openings(text) for number, text in texts.items()}
    # In order, for neighbours go to the same page of the file.
    pairs = sorted((key, number) for number, keys in found.items() for key in keys)
    connection.executemany("INSERT INTO openings VALUES (?, ?)", pairs)
    return found


def forget(connection: sqlite3.Connection, texts: Mapping[int, str]) -> None:
    """Delete the openings of passages that had these texts."""
    for number, text in texts.items():
        keys = [(key, number) for key in openings(text)]
        connection.executemany("DELETE FROM openings WHERE opening = ? AND number = ?", keys)
