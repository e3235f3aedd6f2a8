"""The library folder: one SQLite catalogue that is the truth, beside indexes derived from it (see indexes.py).

    catalogue.sqlite     documents, their texts and passages, links, removals; every change gets the next generation
    lexical/ sparse/ dense/ precedents/   derived: each records the generation it was built from
    writer.lock          held by the one writer; writer.json names the holder
    pictures/            of figures and tables (pictures.py)
    reading/             pages and chapters that are being read or made (page_store.py, chapter_store.py)
    uploads/             files that came through the web page, whose paths are stored relative (locations.py)

A document enters, is replaced or leaves in one transaction, so it is in the library wholly or not at all, and the
links from and to it with it (links.py). Whoever can write to the library brings a catalogue of an older layout
(schema.py) up to date, and until then it is read as it is.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import socket
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from rag.errors import LibraryBusy, LibraryError
from rag.library import boxes as places
from rag.library import cases, episodes, links, pictures, schema
from rag.library.boxes import Run
from rag.library.cited import Edge, KnownCase
from rag.library.filters import VALUES, VALUES_4, where
from rag.library.locations import Locations
from rag.library.schema import SHOWN, storable
from rag.records import Box, Case, Document, Episode, Link, Page, Passage, Removal

T = TypeVar("T")
log = logging.getLogger("glossator")


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


class Library:
    """One open library folder. Reading is safe from any thread; writing needs the `writing()` lock."""

    def __init__(self, folder: Path):
        self.folder = folder
        self._locations = Locations(folder)
        self._connections = threading.local()
        self._is_newest = False  # of its catalogue's layout, which then stays

    @classmethod
    def open(cls, folder: Path, create: bool = False) -> Library:
        """Open the library in `folder`; LibraryError if there is none (and not `create`) or it is not ours."""
        library = cls(folder)
        if isinstance(storable(str(folder.absolute())), bytes):
            raise LibraryError(f"{folder}: its name holds bytes that are no text. Rename it, or choose another")
        if not (folder / "catalogue.sqlite").is_file():
            if not create:
                raise LibraryError(f"{folder} holds no library. Make one: glossator ingest FOLDER --library {folder}")
            library._create()
        version = library._layout()
        if not 1 <= version <= schema.VERSION:
            raise LibraryError(
                f"{folder}/catalogue.sqlite has layout {version}, this program reads layout {schema.VERSION}. "
                "Ingest the documents into a new folder, or use the version of glossator that made it"
            )
        if version < schema.VERSION:
            try:
                with library.writing("bringing its layout up to date"):
                    pass  # who may write does that first
            except LibraryError as error:
                log.warning("%s. It is read as it is, without what newer versions keep", error)
        return library

    def _create(self) -> None:
        if self.folder.is_dir() and any(self.folder.iterdir()):
            names = {entry.name for entry in self.folder.iterdir()}
            if not names <= {"writer.lock", "writer.json", "catalogue.sqlite.new", "catalogue.sqlite.new-journal"}:
                raise LibraryError(f"{self.folder} is not empty and holds no library. Choose an empty or new folder")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            # Built aside and renamed, so that a kill leaves either no catalogue or a whole one.
            fresh = self.folder / "catalogue.sqlite.new"
            fresh.unlink(missing_ok=True)
            connection = sqlite3.connect(fresh)
            schema.create(connection)
            connection.close()
            os.replace(fresh, self.folder / "catalogue.sqlite")
        except (OSError, sqlite3.Error) as error:
            raise LibraryError(f"{self.folder}: cannot make a library there: {error}. Choose another folder") from error

    def _connection(self) -> sqlite3.Connection:
        connection: sqlite3.Connection | None = getattr(self._connections, "connection", None)
        if connection is None:
            # To read alone SQLite still makes a file beside the catalogue, unless it is told that nobody writes.
            frozen = not os.access(self.folder, os.W_OK) and not (self.folder / "catalogue.sqlite-wal").exists()
            address = (self.folder / "catalogue.sqlite").absolute().as_uri() + ("?immutable=1" if frozen else "")
            connection = sqlite3.connect(address, uri=True, timeout=30, isolation_level=None)
            connection.row_factory = sqlite3.Row
            connection.create_function("casefold", 1, _casefold, deterministic=True)
            connection.create_function("shown_at", 2, self._shown_at, deterministic=True)
            connection.create_function("stored_as", 1, self._stored_as, deterministic=True)
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA foreign_keys=ON")
            connection.execute("PRAGMA secure_delete=ON")  # a removed document's text is overwritten, not only unlinked
            self._connections.connection = connection
        return connection

    @contextmanager
    def _explaining(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.OperationalError as error:
            raise LibraryError(
                f"{self.folder}/catalogue.sqlite: {error}. "
                "If the disk is full or the folder read-only, mend that and run it again; nothing stored is lost"
            ) from error
        except sqlite3.DatabaseError as error:
            raise LibraryError(
                f"{self.folder}/catalogue.sqlite is damaged: {error}. "
                "Put a copy of it back, or ingest the documents into a new folder"
            ) from error

    def _rows(self, statement: str, values: Sequence[object] = ()) -> list[sqlite3.Row]:
        with self._explaining():
            return self._connection().execute(statement, values).fetchall()

    def _stored_as(self, path: str | bytes) -> str | bytes:
        """How the catalogue names the file at an absolute path; also a function of its SQL, as the next."""
        return storable(self._locations.stored(os.fsdecode(path)))

    def _shown_at(self, path: str | bytes, shown: str | bytes) -> str | bytes:
        return storable(self._locations.shown(os.fsdecode(path), os.fsdecode(shown)))

    def _found(self, layout: int, none: T, read: Callable[..., T], *values: object) -> T:
        """What `read` finds in the catalogue; `none` in one older than this layout."""
        if self._layout() < layout:
            return none
        with self._explaining():
            return read(self._connection(), *values)

    @contextmanager
    def _transaction(self) -> Iterator[tuple[sqlite3.Connection, int]]:
        """A write transaction, with the generation that its changes get."""
        with self._wholly() as connection:
            connection.execute("UPDATE state SET value = value + 1 WHERE key = 'generation'")
            yield connection, connection.execute("SELECT value FROM state WHERE key = 'generation'").fetchone()[0]

    @contextmanager
    def _wholly(self) -> Iterator[sqlite3.Connection]:
        """A write transaction."""
        with self._explaining():
            connection = self._connection()
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:  # a full disk may have ended it already
                    connection.execute("ROLLBACK")
                raise

    # -- the one writer ------------------------------------------------------------------------------------------

    @contextmanager
    def writing(self, what: str) -> Iterator[None]:
        """Hold the writer's lock, or LibraryError that names who holds it. `what` is shown to the others."""
        from filelock import FileLock, Timeout

        holder_file = self.folder / "writer.json"
        try:
            lock = FileLock(self.folder / "writer.lock", timeout=0)
            lock.acquire()
        except Timeout:
            raise LibraryBusy(
                f"{self.folder} is being written by {_holder(holder_file)}. Wait for it, or stop it"
            ) from None
        except OSError as error:
            raise LibraryError(f"{self.folder} cannot be written: {error}. Check its permissions") from error
        try:
            holder = {"pid": os.getpid(), "host": socket.gethostname(), "what": what, "since": time.strftime("%F %T")}
            try:
                holder_file.write_text(json.dumps(holder))
            except OSError as error:
                raise LibraryError(f"{self.folder} cannot be written: {error}. Mend that and run it again") from error
            self._bring_up_to_date()
            yield
        finally:
            holder_file.unlink(missing_ok=True)
            lock.release()

    def holder(self) -> int | None:
        """The process that holds the writer's lock, as far as it says so; None if nobody does."""
        try:
            return int(json.loads((self.folder / "writer.json").read_text())["pid"])
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def put(
        self,
        document: Document,
        passages: Sequence[Passage],
        path: str | None,
        shown: str,
        recipe: str,
        geometry: Iterable[Sequence[Run]] = (),
    ) -> None:
        """Store a document wholly, in place of an earlier reading of the same bytes, and give it this absolute path.

        `geometry` has the runs of each page (places.py). Another document that had the path loses it, and leaves the
        library if it has no other. An episode's chapters are replaced, with their passages, by putting it again: then
        `path` may be None, for it keeps its paths.
        """
        episode = document.episode
        if episode and episode.audio.startswith("/"):
            episode = replace(episode, audio=self._locations.stored(episode.audio))
        with self._transaction() as (connection, generation):
            pages = [(page.number, page.start, page.end) for page in document.pages]
            read = (json.dumps(document.warnings), recipe, generation, document.text, json.dumps(pages))
            row = (document.document_id, document.kind, document.title, "ready", None, *read)
            self._replace(connection, generation, (*row, json.dumps(document.raw_offsets)), path, shown)
            schema.enter(connection, passages, episode)
            episodes.enter(connection, document.document_id, episode)
            cases.enter(connection, document.document_id, document.case)
            places.enter(connection, document.document_id, geometry)
            links.enter(connection, document.document_id, document.title, document.text)

    def put_failure(
        self, document_id: str, kind: str, title: str, error: str, path: str, shown: str, recipe: str
    ) -> None:
        """Remember that these bytes could not be read, and why; what the path held before leaves the library."""
        with self._transaction() as (connection, generation):
            row = (document_id, kind, title, "failed", error, "[]", recipe, generation, "", "[]", "[]")
            self._replace(connection, generation, row, path, shown)

    def add_path(self, document_id: str, path: str, shown: str) -> None:
        """Give a stored document one more path (the same bytes under another name)."""
        with self._transaction() as (connection, generation):
            self._assign(connection, generation, document_id, path, shown)

    def _replace(
        self, connection: sqlite3.Connection, generation: int, row: Sequence[object], path: str | None, shown: str
    ) -> None:
        """Put a row in place of the document with its id, whose paths it keeps, and give it this path too, if any."""
        document_id = str(row[0])
        paths = connection.execute("SELECT path, shown FROM paths WHERE document_id = ?", (document_id,)).fetchall()
        self._delete(connection, generation, document_id)
        connection.execute(f"INSERT INTO documents VALUES ({','.join('?' * len(row))})", row)
        for kept in paths:
            connection.execute("INSERT INTO paths VALUES (?, ?, ?)", (kept["path"], document_id, kept["shown"]))
        if path is not None:
            self._assign(connection, generation, document_id, path, shown)

    def _assign(self, connection: sqlite3.Connection, generation: int, document_id: str, path: str, shown: str) -> None:
        stored = self._locations.stored(path)
        key, said = storable(stored), storable(shown if stored.startswith("/") else stored)
        before = connection.execute("SELECT document_id FROM paths WHERE path = ?", (key,)).fetchone()
        connection.execute("INSERT OR REPLACE INTO paths VALUES (?, ?, ?)", (key, document_id, said))
        if before and before["document_id"] != document_id:
            left = connection.execute("SELECT 1 FROM paths WHERE document_id = ?", (before["document_id"],)).fetchone()
            if not left:
                self._delete(connection, generation, before["document_id"])

    def _delete(self, connection: sqlite3.Connection, generation: int, document_id: str) -> None:
        first, last = connection.execute(
            "SELECT min(number), max(number) FROM passages WHERE document_id = ?", (document_id,)
        ).fetchone()
        if first is not None:
            connection.execute("INSERT INTO removals VALUES (?, ?, ?, ?)", (generation, document_id, first, last))
        links.forget(connection, document_id)
        cases.forget(connection, document_id)
        shutil.rmtree(self.folder / "precedents", ignore_errors=True)  # casebook.py's index, which holds its text
        connection.execute("DELETE FROM documents WHERE document_id = ?", (document_id,))

    def remove(self, document_id: str) -> None:
        """Take a document out, with its passages and paths; its uploaded file, if it has one, is deleted too."""
        files = self.files_of(document_id)
        with self._transaction() as (connection, generation):
            self._delete(connection, generation, document_id)
        for file in filter(self.is_upload, files):
            file.unlink(missing_ok=True)
        (self.folder / "reading" / f"{document_id}.chapters").unlink(missing_ok=True)
        self.sweep_pictures()

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

    def keep_picture(self, png: bytes) -> str:
        """The sha256 of the bytes, which the library then holds; a passage put later may name it."""
        return pictures.keep(self.folder, png)

    def sweep_pictures(self) -> None:
        """Delete the pictures that no passage shows, unless a document that is still being read may need them."""
        if not any((self.folder / "reading").glob("*.pages")):
            pictures.sweep(self.folder, {row[0] for row in self._rows("SELECT DISTINCT picture FROM passages")})

    def _bring_up_to_date(self) -> None:
        layout = self._layout()
        if layout == schema.VERSION:
            return
        log.warning("%s: bringing its catalogue up to date, once", self.folder)
        with self._wholly() as connection:
            schema.upgrade(connection, layout, self._locations)

    def _layout(self) -> int:
        if self._is_newest:
            return schema.VERSION
        layout = int(self._rows("PRAGMA user_version")[0][0])
        self._is_newest = layout == schema.VERSION
        return layout

    # -- reading -------------------------------------------------------------------------------------------------

    @property
    def generation(self) -> int:
        """Counts the catalogue's changes; an index that records a smaller one is stale."""
        return int(self._rows("SELECT value FROM state WHERE key = 'generation'")[0]["value"])

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
            "SELECT document_id, kind, title, status, error, warnings, recipe, json_array_length(pages) AS pages, "
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
            )
            for row in rows
        ]
        return sorted(entries, key=lambda entry: (entry.paths, entry.document_id))

    def _count(self, kind: str) -> str:
        """SQL for how many figures or tables the document d has, a table of several passages once."""
        what = (
            f"SELECT count(DISTINCT p.boxes) FROM passages p WHERE p.document_id = d.document_id AND p.kind = '{kind}'"
        )
        return f"({what})" if self._layout() >= 3 else "0"

    def document_at(self, path: str) -> str | None:
        """The id of the document that was read from this absolute path."""
        rows = self._rows("SELECT document_id FROM paths WHERE path IN (?, stored_as(?))", [storable(path)] * 2)
        return str(rows[0]["document_id"]) if rows else None

    def documents_from(self, file: Path) -> list[str]:
        """The ids of the documents that were read from a file: one, or the many in it (FILE#KEY)."""
        stored = self._locations.stored(str(file.absolute()))
        within = storable(f"{stored}#")
        rows = self._rows(
            "SELECT DISTINCT document_id FROM paths WHERE path = ? OR substr(path, 1, length(?)) = ?",
            (storable(stored), within, within),
        )
        return [str(row["document_id"]) for row in rows]

    def document(self, document_id: str) -> Document:
        """The stored document with its text; LibraryError if it is not here."""
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
        )

    def episode(self, document_id: str) -> Episode | None:
        """Who says what when in a document, and its chapters; None if it is no podcast's."""
        episode = self._found(4, None, episodes.episode, document_id)
        if episode is None or not episode.audio or episode.audio.startswith(("/", "https://", "http://")):
            return episode
        # of one that leads out of the folder the relative path stays, which nobody plays
        return replace(episode, audio=self._locations.resolved(episode.audio) or episode.audio)

    def case(self, document_id: str) -> Case | None:
        """A judgment's structure; None if a document is none. Its warnings are the document's."""
        return self._found(4, None, cases.case, document_id)

    def cases(self) -> list[KnownCase]:
        """All judgments, with document_ids as keys, by date; those without a date come first."""
        return self._found(4, [], cases.known_cases)

    def citations_of(self, document_id: str) -> list[Edge]:
        """The citations of a judgment that mean others here, with their document_ids: several where that is open."""
        return self._found(4, [], cases.edges, document_id)

    def citation_graph(self) -> dict[str, dict[str, int]]:
        """Citing document_id -> cited document_id -> times cited. Edges lead strictly back in time."""
        return self._found(4, {}, cases.graph)

    def paragraphs_of(self, document_id: str, start: int, end: int) -> tuple[int, int] | None:
        """The numbers of a judgment's first and last paragraph that text[start:end] touches; None: of none."""
        return self._found(4, None, cases.paragraphs_in, document_id, start, end)

    def members(self, path: str, file_hash: str) -> list[Any] | None:
        """What keep_members kept of these bytes at this path."""
        return self._found(4, None, cases.members, self._stored_as(path), file_hash)

    def keep_members(self, path: str, file_hash: str, members: Sequence[object]) -> None:
        """Remember, as JSON, which documents a file with these bytes holds."""
        with self._wholly() as connection:
            cases.keep_members(connection, self._stored_as(path), file_hash, members)

    def pages_of(self, document_id: str, start: int, end: int) -> tuple[int, int]:
        """First and last page of text[start:end] of a document, without loading its text."""
        rows = self._rows("SELECT pages FROM documents WHERE document_id = ?", (document_id,))
        pages = tuple(Page(*page) for page in json.loads(rows[0]["pages"])) if rows else ()
        return Document(document_id, "", "", "", pages).pages_of(start, end)

    def files_of(self, document_id: str) -> list[Path]:
        """Where the document's bytes were read from: absolute paths. Files outside the library may have moved since."""
        rows = self._rows("SELECT path FROM paths WHERE document_id = ? ORDER BY path", (document_id,))
        return [Path(path) for row in rows if (path := self._locations.resolved(os.fsdecode(row["path"])))]

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

    def _rows_in(self, statement: str, values: Sequence[object]) -> Iterator[sqlite3.Row]:
        """The rows of a statement with `{}` for the values of an IN, of which SQLite takes so many at a time."""
        for first in range(0, len(values), 500):
            some = values[first : first + 500]
            yield from self._rows(statement.format(",".join("?" * len(some))), some)

    def passages(self, passage_ids: Sequence[str]) -> dict[str, Passage]:
        """The passages that are (still) here, by id."""
        rows = self._passage_rows("p.passage_id IN ({})", passage_ids)
        return {row["passage_id"]: schema.passage(row) for row in rows}

    def passages_numbered(self, numbers: Sequence[int]) -> dict[int, Passage]:
        """The passages that are (still) here, by catalogue number."""
        rows = self._passage_rows("p.number IN ({})", numbers)
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

    def _by_layout(self, read: Callable[[int], T]) -> T:
        """What `read` finds in a catalogue of its layout; asked again if a writer has just brought that up to date."""
        layout = self._layout()
        try:
            return read(layout)
        except LibraryError:
            if self._layout() == layout:
                raise
            return read(self._layout())

    def picture(self, sha256: str) -> bytes:
        """A picture's PNG. Raises LibraryError for one that the library does not hold."""
        return pictures.png(self.folder, sha256)

    def frames(self, document_id: str, start: int, end: int) -> list[tuple[int, Box]]:
        """(page, rectangle) of each table and figure that text[start:end] of a document lies in."""
        return self._found(3, [], places.frames, document_id, start, end)

    def places(self, document_id: str, start: int, end: int) -> list[tuple[int, Box]]:
        """(page, rectangle) of each line of text[start:end] of a document, in reading order; [] where none is known."""
        return self._found(3, [], places.lines, document_id, start, end)

    def numbers_of(self, passage_ids: Sequence[str]) -> dict[str, int]:
        """Passage id -> catalogue number, of those that are (still) here."""
        rows = self._rows_in("SELECT passage_id, number FROM passages WHERE passage_id IN ({})", passage_ids)
        return {row["passage_id"]: row["number"] for row in rows}

    def passages_since(self, generation: int) -> Iterator[tuple[int, Passage]]:
        """(number, passage) of every document that came after `generation`, by number."""
        with self._explaining():
            cursor = self._connection().execute(
                f"{schema.select_passages(self._layout())} WHERE d.generation > ? ORDER BY p.number", (generation,)
            )
            for row in cursor:
                yield row["number"], schema.passage(row)

    def links_from(self, passage_ids: Sequence[str]) -> dict[str, list[Link]]:
        """Passage id -> the links in its text, in order; without passages that have none.

        A passage has one link to each document that it names, at the first place, and one for each section reference.
        What a document is itself called points to no other document.
        """
        return self._found(2, {}, links.links_from, passage_ids, self._layout() >= 4)

    def links_to(self, document_ids: Sequence[str]) -> dict[str, list[Link]]:
        """Document id -> the links to it from passages of other documents; without documents that have none.

        A document whose title is a common word has very many: ask `mention_counts` first.
        """
        return self._found(2, {}, links.links_to, document_ids, self._layout() >= 4)

    def mention_counts(self, document_ids: Sequence[str]) -> dict[str, int]:
        """Document id -> in how many passages of other documents it is named."""
        none = dict.fromkeys(document_ids, 0)
        return self._found(2, none, links.mention_counts, document_ids, self._layout() >= 4)

    def namesakes(self, words: Iterable[str]) -> dict[str, int]:
        """Words of a mention -> how many documents have that name; without those that are no document's."""
        return self._found(2, {}, links.namesakes, words)

    def named_in(self, text: str, most: int) -> set[str]:
        """The documents that a question names: not within a longer name, nor by a name that more than `most` have."""
        return self._found(2, set(), links.named_in, text, most)

    def first_passages(self, document_ids: Sequence[str]) -> dict[str, Passage]:
        """The first passage of each document that has one, by passage id."""
        statement = "SELECT min(number) FROM passages WHERE document_id IN ({}) GROUP BY document_id"
        firsts = [row[0] for row in self._rows_in(statement, document_ids)]
        return {passage.passage_id: passage for passage in self.passages_numbered(firsts).values()}

    @property
    def passage_count(self) -> int:
        return int(self._rows("SELECT count(*) FROM passages")[0][0])

    def removals_since(self, generation: int) -> list[Removal]:
        rows = self._rows("SELECT * FROM removals WHERE generation > ? ORDER BY generation", (generation,))
        return [Removal(row["document_id"], row["first_number"], row["last_number"]) for row in rows]

    def forget_removals(self, generation: int) -> None:
        """Drop the removals up to `generation`: every index has applied them."""
        with self._explaining():
            self._connection().execute("DELETE FROM removals WHERE generation <= ?", (generation,))
            # Else what was removed stays in the write-ahead log for as long as a program has the library open.
            self._connection().execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def numbers(self) -> list[int]:
        return [row["number"] for row in self._rows("SELECT number FROM passages ORDER BY number")]

    def numbers_outside(self, file_name: str) -> list[int]:
        """Catalogue numbers of the passages of all documents but those whose path ends in this file name."""
        gone = [entry.document_id for entry in self.documents() if any(Path(p).name == file_name for p in entry.paths)]
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

    def problems(self) -> list[str]:
        """What is wrong with the catalogue itself: SQLite's own check, and each passage against its text."""
        found = [str(row[0]) for row in self._rows("PRAGMA integrity_check") if row[0] != "ok"]
        found += [f"foreign key: {tuple(row)}" for row in self._rows("PRAGMA foreign_key_check")]
        for row in self._rows(
            "SELECT p.passage_id FROM passages p JOIN documents d USING (document_id) "
            'WHERE substr(d.text, p.start + 1, p."end" - p.start) <> p.text'
        ):
            found.append(f"passage {row['passage_id']} does not quote its document")
        found += self._found(2, list[str](), links.problems) + self._found(4, list[str](), cases.problems)
        found += self._found(5, list[str](), schema.problems)
        found += self._found(5, list[str](), self._file_problems)
        return [f"catalogue: {problem}" for problem in found]

    def _file_problems(self, connection: sqlite3.Connection) -> list[str]:
        """The files of the library's own folder that are missing, and uploads that belong to no document."""
        own = (  # of an upload that could not be read nothing is kept but what was wrong with it
            "SELECT path FROM paths JOIN documents USING (document_id) "
            "WHERE substr(path, 1, 1) NOT IN ('/', x'2f') AND status = 'ready'"
        )
        stored = [os.fsdecode(row[0]) for row in connection.execute(own)]
        audio = "SELECT audio FROM episodes WHERE audio <> '' AND audio NOT GLOB '/*' AND audio NOT GLOB 'http*://*'"
        missing = list(self._locations.missing([*stored, *(row[0] for row in connection.execute(audio))]))
        under_way = (self.folder / "writer.json").exists()
        return missing + ([] if under_way else self._locations.unowned(stored))


def _casefold(value: str | bytes | None) -> str | bytes | None:
    return value.casefold() if isinstance(value, str) else value


def _holder(file: Path) -> str:
    try:
        holder = json.loads(file.read_text())
        return f"process {holder['pid']} on {holder['host']} ({holder['what']}, since {holder['since']})"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"
