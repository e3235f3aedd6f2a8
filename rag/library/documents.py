"""The documents of a library: the list of them, one with its text and structure, its files, its places on pages."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rag.document import Box, Document, Episode, Page, counted
from rag.errors import LibraryError
from rag.library import boxes, episodes
from rag.library.cases import StoredCases
from rag.library.schema import SHOWN
from rag.library.stored_files import files_named, is_outside, storable
from rag.locator import UNIT_OF, Locator, PageSpan, ParagraphSpan, PartSpan, TimeSpan
from rag.records import Passage


@dataclass(frozen=True, slots=True)
class DocumentEntry:
    """A catalogue row: what `documents` lists. `status` is "ready" or "failed"; a failed one has an `error`."""

    document_id: str
    paths: tuple[str, ...]
    kind: str
    title: str
    status: str
    pages: int
    passages: int
    error: str | None
    warnings: tuple[str, ...]
    recipe: str
    figures: int = 0
    tables: int = 0
    generation: int = 0  # at which it was put last


@dataclass(frozen=True, slots=True)
class StoredPart:
    """A passage of a document without its text: its kind, its offsets, and the headings it stands under."""

    kind: str
    start: int
    end: int
    section: str


class StoredDocuments(StoredCases):
    """The part of a library that reads its documents."""

    def __init__(self, folder: Path):
        super().__init__(folder)
        self._counted: tuple[int, tuple[int, int]] | None = None  # the generation, and the size of the library then

    def documents(self, only: Sequence[str] | None = None) -> list[DocumentEntry]:
        """Every document (or those with the ids in `only`), by path."""
        where, values = (
            ("", ()) if only is None else (f"WHERE document_id IN ({','.join('?' * len(only))})", tuple(only))
        )
        paths: dict[str, list[str]] = {}
        shown = f"SELECT document_id, {SHOWN} AS shown FROM paths {where} ORDER BY path"
        for row in self._rows(shown, values):
            paths.setdefault(row["document_id"], []).append(os.fsdecode(row["shown"]))
        rows = self._rows(
            "SELECT document_id, kind, title, status, error, warnings, recipe, generation, "
            "json_array_length(pages) AS pages, "
            "(SELECT count(*) FROM passages p WHERE p.document_id = d.document_id) AS passages, "
            f"{self._count('figure')} AS figures, {self._count('table')} AS tables "
            f"FROM documents d {where}",
            values,
        )
        entries = [
            DocumentEntry(
                row["document_id"],
                tuple(paths.get(row["document_id"], ())),
                row["kind"],
                row["title"],
                row["status"],
                row["pages"],
                row["passages"],
                row["error"],
                tuple(json.loads(row["warnings"])),
                row["recipe"],
                row["figures"],
                row["tables"],
                row["generation"],
            )
            for row in rows
        ]
        return sorted(entries, key=lambda entry: (entry.paths, entry.document_id))

    def names(self) -> list[tuple[str, str, tuple[str, ...]]]:
        """(document_id, title, paths as the user gave them) of each document that can be searched, by id."""
        paths: dict[str, list[str]] = {}
        for row in self._rows(f"SELECT document_id, {SHOWN} AS shown FROM paths ORDER BY path"):
            paths.setdefault(row["document_id"], []).append(os.fsdecode(row["shown"]))
        rows = self._rows("SELECT document_id, title FROM documents WHERE status = 'ready' ORDER BY document_id")
        return [(row["document_id"], row["title"], tuple(paths.get(row["document_id"], ()))) for row in rows]

    def size(self) -> tuple[int, int]:
        """How many documents can be searched (those with status "ready"), and how many passages there are.

        Counted once for each generation of the catalogue: to count reads a row of every document.
        """
        generation = self.generation
        if self._counted is None or self._counted[0] != generation:
            statement = (
                "SELECT (SELECT count(*) FROM documents WHERE status = 'ready'), (SELECT count(*) FROM passages)"
            )
            documents, passages = self._rows(statement)[0]
            self._counted = generation, (documents, passages)
        return self._counted[1]

    @property
    def passage_count(self) -> int:
        """How many passages there are."""
        return self.size()[1]

    def _count(self, kind: str) -> str:
        """SQL for how many figures or tables the document d has, a table of several passages once."""
        which = "CASE WHEN p.boxes = '[]' THEN p.first_page || ' ' || p.label ELSE p.boxes END"
        what = (
            f"SELECT count(DISTINCT {which}) FROM passages p WHERE p.document_id = d.document_id AND p.kind = '{kind}'"
        )
        return f"({what})" if self._layout() >= 3 else "0"

    def document_at(self, path: str) -> str | None:
        """The id of the document that was read from this absolute path."""
        rows = self._rows("SELECT document_id FROM paths WHERE path IN (?, stored_as(?))", [storable(path)] * 2)
        return str(rows[0]["document_id"]) if rows else None

    def documents_below(self, path: Path) -> list[str]:
        """The ids of the documents that were read from a file, from one in a file of many, or from below a folder."""
        return list(dict.fromkeys(str(row["document_id"]) for row in self._paths_below(path)))

    def _paths_below(self, path: Path, document_id: str | None = None) -> list[sqlite3.Row]:
        stored = self._locations.stored(str(path.absolute()))
        inside, below = storable(f"{stored}#"), storable(f"{stored}/")
        values: list[object] = [storable(stored), inside, inside, below, below]
        chosen = "" if document_id is None else " AND document_id = ?"
        return self._rows(
            "SELECT path, document_id FROM paths WHERE (path = ? OR substr(path, 1, length(?)) = ? "
            f"OR substr(path, 1, length(?)) = ?){chosen} ORDER BY path",
            [*values, *([] if document_id is None else [document_id])],
        )

    def generations(self, kind: str) -> dict[str, int]:
        """The documents of a kind that can be searched, each with the generation at which it was put last."""
        rows = self._rows(
            "SELECT document_id, generation FROM documents WHERE kind = ? AND status = 'ready' ORDER BY document_id",
            (kind,),
        )
        return {row["document_id"]: row["generation"] for row in rows}

    def document(self, document_id: str) -> Document:
        """The stored document with its text, without its regions; LibraryError if it is not here."""
        rows = self._rows("SELECT * FROM documents WHERE document_id = ?", (document_id,))
        if not rows:
            raise LibraryError(f"{self.folder} holds no document {document_id!r}. See: glossator documents")
        row = rows[0]
        return Document(
            row["document_id"],
            row["kind"],
            row["title"],
            row["text"],
            tuple(Page(*page) for page in json.loads(row["pages"])),
            tuple(json.loads(row["warnings"])),
            tuple((text, raw) for text, raw in json.loads(row["raw_offsets"])),
            episode=self.episode(document_id),
            case=self.case(document_id),
            facts=self.facts(document_id),
        )

    def parts_of(self, document_id: str) -> list[StoredPart]:
        """The passages of a document in order, without their text."""
        section = (
            "coalesce((SELECT words FROM titles WHERE title = p.section_title), '')" * (self._layout() > 4) or "''"
        )
        what = f'p.kind, p.start, p."end", {section} AS section'
        statement = f"SELECT {what} FROM passages p WHERE p.document_id = ? ORDER BY p.start"
        return [StoredPart(*row) for row in self._rows(statement, (document_id,))]

    def dates(self, only: Sequence[str] | None = None) -> dict[str, str]:
        """Document_id -> the date of a judgment or an episode, where it has one; of all, or of those in `only`."""
        if self._layout() < 4:
            return {}
        chosen = "" if only is None else f" AND document_id IN ({','.join('?' * len(only))})"
        statement = " UNION ALL ".join(
            f"SELECT document_id, date FROM {table} WHERE date <> ''{chosen}" for table in ("episodes", "cases")
        )
        return {row["document_id"]: row["date"] for row in self._rows(statement, 2 * tuple(only or ()))}

    def episode(self, document_id: str) -> Episode | None:
        """Who says what when in a document, and its chapters; None if it is no podcast's."""
        episode = self._read_since(4, None, episodes.episode, document_id)
        if episode is None or not episode.audio or episode.audio.startswith(("/", "https://", "http://")):
            return episode
        # of one that leads out of the folder the relative path stays, which nobody plays
        return replace(episode, audio=self._locations.resolved(episode.audio) or episode.audio)

    def pages_of(self, document_id: str, start: int, end: int) -> tuple[int, int]:
        """First and last page of text[start:end] of a document, without loading its text."""
        return Document(document_id, "", "", "", self._pages(document_id)).pages_of(start, end)

    def _pages(self, document_id: str) -> tuple[Page, ...]:
        rows = self._rows("SELECT pages FROM documents WHERE document_id = ?", (document_id,))
        return tuple(Page(*page) for page in json.loads(rows[0]["pages"])) if rows else ()

    def paragraphs_of(self, document_id: str, start: int, end: int) -> tuple[int, int] | None:
        """The numbers of the first and last paragraph, or row, that text[start:end] touches; None: of none.

        A judgment's are as the court numbered them, elsewhere they count from 1 in each part (rag/locator.py).
        """
        statement = "SELECT kind, pages, substr(text, 1, ?) AS text FROM documents WHERE document_id = ?"
        rows = self._rows(statement, (end, document_id))
        unit = UNIT_OF.get(rows[0]["kind"]) if rows else None
        if unit is None:
            return super().paragraphs_of(document_id, start, end)
        begin = max((first for _, first, _ in json.loads(rows[0]["pages"]) if first <= start), default=0)
        return counted(rows[0]["text"][begin:], start - begin, end - begin, unit == "sheet")

    def locate(self, passage: Passage, start: int, end: int) -> Locator:
        """Where document.text[start:end], words of the passage, stands: narrower than the passage where it is known."""
        place, document_id = passage.locator, passage.document_id
        if isinstance(place, ParagraphSpan):
            paragraphs = self.paragraphs_of(document_id, start, end)
            return ParagraphSpan(place.part, place.heading, *(paragraphs or (None, None)))
        if isinstance(place, PartSpan):
            paragraphs, pages = self.paragraphs_of(document_id, start, end), self._pages(document_id)
            first, last = Document(document_id, "", "", "", pages).pages_of(start, end)
            heading = self._heading_between(document_id, pages[first - 1].start, start) or place.heading
            return PartSpan(place.unit, heading, first, last, *(paragraphs or (None, None)))
        if isinstance(place, TimeSpan):
            episode = None if place.start_seconds is None else self.episode(document_id)
            if episode and (spoken := episodes.seconds_of(episode.utterances, start, end)):
                speaker = episodes.speakers_in(episode.utterances, start, end)[0]
                return TimeSpan(*spoken, speaker, place.chapter)
            return place
        return PageSpan(*self.pages_of(document_id, start, end))

    def headings(self, document_id: str) -> list[tuple[int, int]]:
        """Where the headings of a document without pages stand: offsets in its text, in order."""
        statement = 'SELECT start, "end" FROM headings WHERE document_id = ? ORDER BY start'
        return (
            [(row["start"], row["end"]) for row in self._rows(statement, (document_id,))] if self._layout() > 9 else []
        )

    def facts(self, document_id: str) -> dict[str, str]:
        """What a document says of itself, by name: author, date, doi."""
        statement = "SELECT name, value FROM facts WHERE document_id = ? ORDER BY name"
        rows = self._rows(statement, (document_id,)) if self._layout() > 9 else []
        return {row["name"]: row["value"] for row in rows}

    def _heading_between(self, document_id: str, begin: int, start: int) -> str:
        """The last heading that begins in text[begin : start + 1]; "" for none."""
        statement = (
            "SELECT words FROM headings WHERE document_id = ? AND start BETWEEN ? AND ? ORDER BY start DESC LIMIT 1"
        )
        rows = self._rows(statement, (document_id, begin, start)) if self._layout() > 9 else []
        return str(rows[0]["words"]) if rows else ""

    def files_of(self, document_id: str) -> list[Path]:
        """Where the document's bytes were read from: absolute paths. Files outside the library may have moved since."""
        rows = self._rows("SELECT path FROM paths WHERE document_id = ? ORDER BY path", (document_id,))
        return [Path(path) for row in rows if (path := self._locations.resolved(os.fsdecode(row["path"])))]

    def bring(self, file: Path) -> None:
        """Fetch a file of the library's own that lies in its bucket, where this machine has no copy of it."""
        if self._bucket and not file.exists():
            stored = self._locations.stored(str(file))
            for name in () if is_outside(stored) else files_named(stored):
                self._bucket.bring(name)

    def find(self, name: str) -> str:
        """The document_id meant by an id, a unique prefix of one, or a path; LibraryError otherwise."""
        rows = self._rows(
            f"SELECT DISTINCT document_id FROM paths WHERE {SHOWN} = ? OR path IN (?, stored_as(?))",
            (storable(name), *[storable(str(Path(name).absolute()))] * 2),
        ) or self._rows(
            "SELECT document_id FROM documents WHERE substr(document_id, 1, ?) = ?", (len(name), storable(name))
        )
        if len(rows) == 1 and name:
            return str(rows[0]["document_id"])
        why = f"{len(rows)} documents are meant by" if rows and name else "no document is"
        raise LibraryError(f"{self.folder}: {why} {name!r}. Give a path or an id from: glossator documents")

    def frames(self, document_id: str, start: int, end: int) -> list[tuple[int, Box]]:
        """(page, rectangle) of each table and figure that text[start:end] of a document lies in."""
        return self._read_since(3, [], boxes.frames, document_id, start, end)

    def text_lines(self, document_id: str, page: int) -> list[tuple[int, int, Box]]:
        """(start, end, rectangle) of each line of a page, in reading order: offsets in the document's text."""
        return self._read_since(3, [], boxes.text_lines, document_id, page)

    def places(self, document_id: str, start: int, end: int) -> list[tuple[int, Box]]:
        """(page, rectangle) of each line of text[start:end] of a document, in reading order; [] where none is known."""
        return self._read_since(3, [], boxes.lines, document_id, start, end)

    def is_upload(self, file: Path) -> bool:
        """Whether a file lies in the uploads folder itself: no path is believed that leads out of it again."""
        return os.path.realpath(file.parent) == os.path.realpath(self.uploads)

    @property
    def uploads(self) -> Path:
        """The folder of the files that came through the web page, as files_of has it; there may be none."""
        return self._locations.uploads

    def stored_as(self, path: str) -> str:
        """How the catalogue names the file at an absolute path: relative to the folder if the file lies there."""
        return self._locations.stored(path)
