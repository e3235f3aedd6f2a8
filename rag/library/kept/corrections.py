"""Corrections: what a user says is the right answer, kept in the catalogue, a list for each user.

They are written as conversations are, without the writer's lock, and leave the generation as it is. A correction
outlives the document that it is about: it is the user's own word.
"""

from __future__ import annotations

import secrets
import time
from typing import Any

from rag.errors import LibraryError, UsageError
from rag.library.database import Database
from rag.records import Correction

SCHEMA = """
CREATE TABLE corrections (
    correction_id TEXT PRIMARY KEY, owner TEXT NOT NULL, question TEXT NOT NULL, wrong TEXT NOT NULL,
    answer TEXT NOT NULL, reason TEXT NOT NULL, passage_id TEXT NOT NULL, quote TEXT NOT NULL, contradicts INTEGER,
    created REAL NOT NULL);
CREATE INDEX corrections_of_owner ON corrections (owner, created);
"""
SINCE = 9  # the catalogue's layout that has them
LONGEST = {"question": 4_000, "answer": 2_000, "reason": 2_000}  # characters
MOST = 1_000  # corrections of one user in one library


class Corrections(Database):
    """The corrections of one library. Safe from any thread. `owner` as of Conversations."""

    def add(
        self, owner: str, question: str, answer: str, reason: str = "", wrong: str = "", passage_id: str = "",
        quote: str = "", contradicts: bool | None = None,
    ) -> Correction:  # fmt: skip
        """Keep a correction, in place of an earlier one of the same question. Raises UsageError, LibraryError."""
        values = {"question": question.strip(), "answer": answer.strip(), "reason": reason.strip()}
        for name in ("question", "answer"):
            if not values[name]:
                raise UsageError(f"the {name} of a correction is empty. Write what is right")
        for name, most in LONGEST.items():
            if len(values[name]) > most:
                raise UsageError(
                    f"the {name} of a correction has {len(values[name]):,} characters, at most {most:,} are kept. "
                    "Shorten it"
                )
        made = Correction(
            secrets.token_urlsafe(9), values["question"], values["answer"], values["reason"], wrong.strip(), passage_id,
            quote, contradicts, time.time(),
        )  # fmt: skip
        with self._atomic() as connection:
            connection.execute(
                "DELETE FROM corrections WHERE owner = ? AND casefold(question) = casefold(?)", (owner, made.question)
            )
            (count,) = connection.execute("SELECT count(*) FROM corrections WHERE owner = ?", (owner,)).fetchone()
            if count >= MOST:
                raise UsageError(f"{MOST:,} corrections are kept already. Remove some that no longer matter")
            connection.execute(
                "INSERT INTO corrections VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    made.correction_id, owner, made.question, made.wrong, made.answer, made.reason, made.passage_id,
                    made.quote, contradicts, made.created,
                ),
            )  # fmt: skip
        return made

    def listed(self, owner: str) -> list[Correction]:
        """Those of a user, the newest first; none in a catalogue of before there were any."""
        if self._layout() < SINCE:
            return []
        rows = self._rows("SELECT * FROM corrections WHERE owner = ? ORDER BY created DESC, correction_id", (owner,))
        return [_correction(row) for row in rows]

    def remove(self, correction_id: str, owner: str) -> None:
        """Raises LibraryError where the user has none with this id."""
        with self._atomic() as connection:
            gone = connection.execute(
                "DELETE FROM corrections WHERE correction_id = ? AND owner = ?", (correction_id, owner)
            )
            if not gone.rowcount:
                raise LibraryError(f"there is no correction {correction_id[:40]!r} of yours (any more)")


def _correction(row: Any) -> Correction:
    contradicts = None if row["contradicts"] is None else bool(row["contradicts"])
    return Correction(
        row["correction_id"], row["question"], row["answer"], row["reason"], row["wrong"], row["passage_id"],
        row["quote"], contradicts, row["created"],
    )  # fmt: skip
