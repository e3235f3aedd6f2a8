"""Summaries of parts of documents, kept as they were written, until their document is read again or leaves.

What a summary says is made from the document with these settings, so both are part of its key.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from rag.errors import LibraryError
from rag.library.database import Database, WriterLock

SCHEMA = """
CREATE TABLE summaries (
    document_id TEXT NOT NULL REFERENCES documents ON DELETE CASCADE, start INTEGER NOT NULL, "end" INTEGER NOT NULL,
    settings_hash TEXT NOT NULL, sentences TEXT NOT NULL,
    PRIMARY KEY (document_id, settings_hash, start, "end")) WITHOUT ROWID;
"""


@dataclass(frozen=True, slots=True)
class StoredSentence:
    """A written sentence, how well the document supports it (0..1), and where: half-open offsets in its text."""

    text: str
    support: float
    spans: tuple[tuple[int, int], ...]


class StoredSummaries(Database):
    """The part of a library that keeps summaries; a catalogue of an older layout has none."""

    def summary_of(self, document_id: str, start: int, end: int, settings_hash: str) -> list[StoredSentence] | None:
        """What was kept of document.text[start:end]; None where nothing was."""
        if self._layout() < 6:
            return None
        rows = self._rows(
            'SELECT sentences FROM summaries WHERE (document_id, settings_hash, start, "end") = (?, ?, ?, ?)',
            (document_id, settings_hash, start, end),
        )
        if not rows:
            return None
        return [
            StoredSentence(text, support, tuple((a, b) for a, b in spans))
            for text, support, spans in json.loads(rows[0]["sentences"])
        ]

    def keep_summary(
        self, document_id: str, start: int, end: int, settings_hash: str, sentences: list[StoredSentence], made_at: int
    ) -> bool:
        """Keep a summary of document.text[start:end]; whether it was kept.

        It is not where another process writes just now, where the library cannot be written, or where the document left
        or was read again since generation `made_at`: a summary can be made again.
        """
        stored = json.dumps([(each.text, each.support, each.spans) for each in sentences], ensure_ascii=False)
        if self._layout() < 6:
            return False
        try:
            with WriterLock(self.folder).hold("keeping a summary"), self._atomic() as connection:
                there = connection.execute(
                    "SELECT 1 FROM documents WHERE document_id = ? AND generation <= ?", (document_id, made_at)
                ).fetchone()
                if there:
                    row = (document_id, start, end, settings_hash, stored)
                    connection.execute("INSERT OR REPLACE INTO summaries VALUES (?, ?, ?, ?, ?)", row)
                return bool(there)
        except LibraryError:
            return False
