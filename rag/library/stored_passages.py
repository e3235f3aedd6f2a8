"""The passages of a library: by id, by number, by label or filter, and what indexes need to follow their changes."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path

from rag.library import schema, stored_files
from rag.library.database import IN_AT_ONCE, Database
from rag.library.filters import VALUES, VALUES_4, where
from rag.library.schema import SHOWN
from rag.library.stored_files import storable
from rag.records import Passage, Removal


class StoredPassages(Database):
    """The part of a library that reads its passages."""

    def passages(self, passage_ids: Sequence[str]) -> dict[str, Passage]:
        """The passages that are (still) here, by id."""
        rows = self._passage_rows("p.passage_id IN ({})", passage_ids)
        return {row["passage_id"]: schema.passage(row) for row in rows}

    def passages_numbered(self, numbers: Sequence[int]) -> dict[int, Passage]:
        """The passages that are (still) here, by catalogue number."""
        rows = self._passage_rows("p.number IN ({}) ORDER BY p.number", numbers)
        with self._making_records():
            return {row["number"]: schema.passage(row) for row in rows}

    def labelled(self, labels: Sequence[str]) -> list[Passage]:
        """The passages of tables and figures with one of these labels ("Table 3"), whatever its case."""
        wanted = [label.lower() for label in labels]
        if self._layout() < 3:
            return []
        rows = self._passage_rows("p.label <> '' AND lower(p.label) IN ({})", wanted)
        return [schema.passage(row) for row in rows]

    def table_of(self, passage: Passage) -> list[Passage]:
        """All passages of the table that this one is part of, in order; itself for what is no table."""
        if passage.kind != "table":
            return [passage]
        # `caption` is the column of select_passages: older layouts have it in the table, this one a title's number
        same = "p.document_id = ? AND p.kind = 'table' AND p.label = ? AND caption = ? ORDER BY p.start"
        rows = self._passage_rows(same, (passage.document_id, passage.label, passage.caption))
        return [schema.passage(row) for row in rows] if passage.label or passage.caption else [passage]

    def _passage_rows(self, condition: str, values: Sequence[object]) -> list[sqlite3.Row]:
        """The rows of the passages p that meet a condition, with `{}` for the values of an IN."""
        return self._by_layout(
            lambda layout: list(self._rows_in(f"{schema.select_passages(layout)} WHERE {condition}", values))
        )

    def picture(self, sha256: str) -> bytes:
        """A picture's PNG. Raises LibraryError for one that the library does not hold."""
        return stored_files.picture(self.folder, sha256, self._bucket)

    def numbers_of(self, passage_ids: Sequence[str]) -> dict[str, int]:
        """Passage id -> catalogue number, of those that are (still) here."""
        rows = self._rows_in("SELECT passage_id, number FROM passages WHERE passage_id IN ({})", passage_ids)
        return {row["passage_id"]: row["number"] for row in rows}

    def passages_since(self, generation: int) -> Iterator[tuple[int, Passage]]:
        """(number, passage) of every document that came after `generation`, by number."""
        rows = self._rows(
            "SELECT number FROM passages WHERE document_id IN (SELECT document_id FROM documents WHERE generation > ?) "
            "ORDER BY number",
            (generation,),
        )
        for first in range(0, len(rows), IN_AT_ONCE):
            yield from self.passages_numbered([row["number"] for row in rows[first : first + IN_AT_ONCE]]).items()

    def first_passages(self, document_ids: Sequence[str]) -> dict[str, Passage]:
        """The first passage of each document that has one, by passage id."""
        statement = "SELECT min(number) FROM passages WHERE document_id IN ({}) GROUP BY document_id"
        firsts = [row[0] for row in self._rows_in(statement, document_ids)]
        return {passage.passage_id: passage for passage in self.passages_numbered(firsts).values()}

    def removals_since(self, generation: int) -> list[Removal]:
        """The documents that left after `generation`, with the numbers of their passages, oldest first."""
        rows = self._rows("SELECT * FROM removals WHERE generation > ? ORDER BY generation", (generation,))
        return [Removal(row["document_id"], row["first_number"], row["last_number"]) for row in rows]

    def forget_removals(self, generation: int) -> None:
        """Drop the removals up to `generation`: every index has applied them. Those of other machines may not have."""
        with self._explaining_errors():
            if not self._replica:
                self._connection().execute("DELETE FROM removals WHERE generation <= ?", (generation,))
            # Else what was removed stays in the write-ahead log for as long as a program has the library open.
            self._connection().execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def numbers(self) -> list[int]:
        """The catalogue numbers of all passages, ascending."""
        return [row["number"] for row in self._rows("SELECT number FROM passages ORDER BY number")]

    def owners(self) -> dict[int, str]:
        """Catalogue number -> document_id of all passages."""
        rows = self._rows("SELECT number, document_id FROM passages ORDER BY number")
        return {row["number"]: row["document_id"] for row in rows}

    def numbers_outside(self, file_name: str) -> list[int]:
        """Catalogue numbers of the passages of all documents but those whose path ends in this file name."""
        paths = self._rows(f"SELECT document_id, {SHOWN} AS shown FROM paths")
        gone = list({row["document_id"] for row in paths if Path(os.fsdecode(row["shown"])).name == file_name})
        marks = ",".join("?" * len(gone))
        rows = self._rows(f"SELECT number FROM passages WHERE document_id NOT IN ({marks}) ORDER BY number", gone)
        return [row["number"] for row in rows]

    def select(self, filters: Sequence[str]) -> list[int] | None:
        """Catalogue numbers of the passages that meet every FIELD=VALUE; None without filters.

        FIELD is a key of filters.FILTERS; names count in any case. Raises UsageError for another.
        """
        if not filters:
            return None

        def numbers(layout: int) -> list[int]:
            found = where(filters, layout)
            if found is None:
                return []
            rows = self._rows(
                f"SELECT p.number FROM passages p JOIN documents d USING (document_id) WHERE {found[0]}",
                [storable(value) for value in found[1]],
            )
            return [row["number"] for row in rows]

        return self._by_layout(numbers)

    def values(self, field: str) -> list[str]:
        """What `select` can be asked for in a field, a key of filters.VALUES: each finds a passage."""

        def found(layout: int) -> list[str]:
            statement = VALUES_4.get(field, VALUES[field]) if layout == 4 else VALUES[field]
            return [str(row[0]) for row in self._rows(statement)] if layout >= 4 else []

        return self._by_layout(found)
