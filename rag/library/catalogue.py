"""The library folder: one SQLite catalogue that is the truth, beside indexes derived from it (see index/manager.py).

    catalogue.sqlite     documents, their texts and passages, links, removals; every change gets the next generation
    lexical/ sparse/ dense/ precedents/   derived: each records the generation it was built from
    writer.lock          held by the one writer; writer.json names the holder (database.py)
    pictures/            of figures and tables (stored_files.py)
    reading/             pages and chapters that are being read or made (page_store.py, chapter_store.py)
    uploads/             files that came through the web page, whose paths are stored relative (stored_files.py)

A document enters, is replaced or leaves in one transaction, so it is in the library completely or not at all, and the
links from and to it with it (links.py). Whoever can write to the library brings a catalogue of an older layout
(schema.py) up to date, and until then it is read as it is. What is read of it stands in documents.py,
stored_passages.py, links.py, cases.py and summaries.py.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path

from rag.document import Document
from rag.errors import LibraryError
from rag.library import boxes, cases, episodes, links, schema, stored_files
from rag.library.boxes import Run
from rag.library.database import IN_AT_ONCE, VERSION, WriterLock, holding
from rag.library.described import document_facts, headings
from rag.library.documents import StoredDocuments
from rag.library.links import StoredLinks
from rag.library.shared import bucket
from rag.library.shared.own_files import named_files, own_files
from rag.library.shared.replica import FILE, is_there, join
from rag.library.stored_files import files_named, storable
from rag.library.stored_passages import StoredPassages
from rag.library.summaries import StoredSummaries
from rag.locator import UNIT_OF
from rag.records import Passage

log = logging.getLogger("glossator")

UNFINISHED = {"writer.lock", "writer.json", "catalogue.sqlite.new", "catalogue.sqlite.new-journal"}


class Library(StoredDocuments, StoredPassages, StoredLinks, StoredSummaries):
    """One open library folder. Reading is safe from any thread; writing needs the `writing()` lock."""

    @classmethod
    def open(cls, folder: Path, create: bool = False, shared: str = "", files: str = "") -> Library:
        """Open the library in `folder`; LibraryError if there is none (and not `create`) or it is not ours.

        `shared` is the address of the PostgreSQL that has its catalogue, for several machines: a new folder becomes a
        copy of what is there, and where nothing is there yet it gets this library's. `files` is the address of the
        bucket that has its files; it gets those that there are. The folder remembers both.
        """
        library = cls(folder)
        replica = library._replica
        if replica and shared not in ("", replica.truth.address):
            raise LibraryError(
                f"{folder} is a copy of the catalogue in {replica.truth}, library.catalogue says another. "
                "Change the setting back, or name another folder"
            )
        if library._bucket and files not in ("", library._bucket.address):
            raise LibraryError(
                f"{folder} has its files in {library._bucket.address}, library.files says another bucket. "
                "Change the setting back, or name another folder"
            )
        create = create or replica is not None or bool(shared and is_there(folder, shared))
        if isinstance(storable(str(folder.absolute())), bytes):
            raise LibraryError(f"{folder}: its name holds bytes that are no text. Rename it, or choose another")
        if not (folder / "catalogue.sqlite").is_file():
            if not create:
                raise LibraryError(f"{folder} holds no library. Make one: glossator ingest FOLDER --library {folder}")
            library._create()
        version = library._layout()
        if not 1 <= version <= VERSION:
            raise LibraryError(
                f"{folder}/catalogue.sqlite has layout {version}, this program reads layout {VERSION}. "
                "Ingest the documents into a new folder, or use the version of glossator that made it"
            )
        if version < VERSION:
            try:
                with library.writing("bringing its layout up to date"):
                    pass  # who may write does that first
            except LibraryError as error:
                log.warning("%s. It is read as it is, without what newer versions keep", error)
        if shared and replica is None:
            with library.writing("sharing its catalogue"):
                join(folder, shared, VERSION)
            library = cls(folder)
        if files and library._bucket is None:
            with library.writing("sharing its files"):
                bucket.join(folder, files, own_files(library._connection()))
            library = cls(folder)
        return library

    def _create(self) -> None:
        if self.folder.is_dir() and any(self.folder.iterdir()):
            names = {entry.name for entry in self.folder.iterdir()}
            if FILE not in names and not names <= {*UNFINISHED, bucket.FILE}:
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

    @contextmanager
    def writing(self, what: str) -> Iterator[None]:
        """Hold the writer's lock, or LibraryError that names who holds it. `what` is shown to the others."""
        with WriterLock(self.folder).hold(what), self._shared_writer(what):
            self._bring_up_to_date()
            yield

    def _shared_writer(self, what: str) -> AbstractContextManager[None]:
        """The lock of the one writer of all machines that share the catalogue."""
        return self._replica.truth.writer(holding(what)) if self._replica else nullcontext()

    def holder(self) -> int | None:
        """The process that holds the writer's lock, as far as it says so; None if nobody does."""
        return WriterLock(self.folder).holder()

    def put(
        self,
        document: Document,
        passages: Sequence[Passage],
        path: str | None,
        shown: str,
        recipe: str,
        geometry: Iterable[Sequence[Run]] = (),
    ) -> None:
        """Store a document, in place of an earlier reading of the same bytes, and give it this absolute path.

        `geometry` has the runs of each page (boxes.py). Another document that had the path loses it, and leaves the
        library if it has no other. Without a `path` it is a document of the library that is put again, with another
        title or other chapters: it keeps its paths and headings.
        """
        episode = document.episode
        if episode and episode.audio.startswith("/"):
            episode = replace(episode, audio=self._locations.stored(episode.audio))
        self._send(path, {passage.picture for passage in passages}, episode.audio if episode else "")
        with self._transaction() as (connection, generation):
            pages = [(page.number, page.start, page.end) for page in document.pages]
            read = (json.dumps(document.warnings), recipe, generation, document.text, json.dumps(pages))
            row = (document.document_id, document.kind, document.title, "ready", None, *read)
            kept = headings.rows_of(connection, document.document_id) if path is None else []
            self._replace(connection, generation, (*row, json.dumps(document.raw_offsets)), path, shown)
            schema.enter(connection, passages, episode)
            episodes.enter(connection, document.document_id, episode)
            cases.enter(connection, document.document_id, document.case)
            boxes.enter(connection, document.document_id, geometry)
            links.enter(connection, document.document_id, document.title, document.text)
            document_facts.enter(connection, document.document_id, document.facts)
            if document.kind in UNIT_OF:
                headings.enter(connection, document.document_id, document.text, document.regions)
                headings.enter_rows(connection, kept)

    def put_failure(
        self, document_id: str, kind: str, title: str, error: str, path: str, shown: str, recipe: str
    ) -> None:
        """Remember that these bytes could not be read, and why; what the path held before leaves the library."""
        with self._transaction() as (connection, generation):
            row = (document_id, kind, title, "failed", error, "[]", recipe, generation, "", "[]", "[]")
            self._replace(connection, generation, row, path, shown)

    def add_path(self, document_id: str, path: str, shown: str) -> None:
        """Give a stored document one more path (the same bytes under another name)."""
        self._send(path)
        with self._transaction() as (connection, generation):
            self._assign(connection, generation, document_id, path, shown)

    def _send(self, path: str | None, pictures: Iterable[str | None] = (), audio: str = "") -> None:
        """Put what the catalogue is about to name into the bucket, if there is one: as far as it lies in the folder."""
        if self._bucket:
            paths = [self._locations.stored(path) if path else "", audio]
            named = [
                file
                for each in paths
                if not each.startswith(("/", "https://", "http://"))
                for file in files_named(each)
            ]
            self._bucket.send([*named, *(stored_files.picture_name(each) for each in pictures if each)])

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
        key, displayed = storable(stored), storable(shown if stored.startswith("/") else stored)
        before = connection.execute("SELECT document_id FROM paths WHERE path = ?", (key,)).fetchone()
        connection.execute("INSERT OR REPLACE INTO paths VALUES (?, ?, ?)", (key, document_id, displayed))
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
        self.delete_files(filter(self.is_upload, files))
        (self.folder / "reading" / f"{document_id}.chapters").unlink(missing_ok=True)
        self.sweep_pictures()

    def delete_files(self, files: Iterable[Path]) -> None:
        """Delete files, and those of the library's own in its bucket, too."""
        gone = [(self._locations.stored(str(file)), file) for file in files]
        for _, file in gone:
            file.unlink(missing_ok=True)
        if self._bucket:
            self._bucket.remove(stored for stored, _ in gone if not stored.startswith("/"))

    def bring_all(self) -> None:
        """Fetch all that the bucket has and this machine lacks."""
        if self._bucket:
            for name in sorted(own_files(self._connection())):
                self._bucket.bring(name)

    def forget_path(self, path: Path) -> list[str]:
        """Forget a file that is gone, or all files of a folder that is; the documents that left the library with it.

        A document that was read from another path, too, stays.
        """
        removed, forgotten = [], set[str]()
        with self._transaction() as (connection, generation):
            for document_id in self.documents_below(path):
                keys = [row["path"] for row in self._paths_below(path, document_id)]
                forgotten.update(name for key in keys for name in files_named(os.fsdecode(key)) if name[0] != "/")
                connection.executemany("DELETE FROM paths WHERE path = ?", [(key,) for key in keys])
                if not connection.execute("SELECT 1 FROM paths WHERE document_id = ?", (document_id,)).fetchone():
                    self._delete(connection, generation, document_id)
                    removed.append(document_id)
        if self._bucket:
            self._bucket.remove(forgotten - own_files(self._connection()))
        self.sweep_pictures()
        return removed

    def describe(self, document_id: str, title: str, facts: Mapping[str, str]) -> None:
        """Give a document other facts, and another title if it is another. Raises LibraryError."""
        with self._atomic() as connection:
            document_facts.enter(connection, document_id, facts)
        if title != self.documents([document_id])[0].title:
            self.rename(document_id, title)

    def rename(self, document_id: str, title: str) -> None:
        """Give a document another title, which its passages are found and cited by. Raises LibraryError."""
        document, entry = self.document(document_id), self.documents([document_id])[0]
        numbers = self._rows("SELECT number FROM passages WHERE document_id = ? ORDER BY number", (document_id,))
        stored = self.passages_numbered([row["number"] for row in numbers])
        geometry = self._read_since(3, list[list[Run]](), boxes.geometry, document_id, len(document.pages))
        passages = [replace(passage, title=title) for passage in stored.values()]
        self.put(replace(document, title=title), passages, None, "", entry.recipe, geometry)

    def keep_picture(self, png: bytes) -> str:
        """The sha256 of the bytes, which the library then holds; a passage put later may name it."""
        return stored_files.keep_picture(self.folder, png)

    def sweep_pictures(self) -> None:
        """Delete the pictures that no passage shows, unless a document that is still being read may need them."""
        if not any((self.folder / "reading").glob("*.pages")):
            shown = {row[0] for row in self._rows("SELECT DISTINCT picture FROM passages")}
            stored_files.sweep_pictures(self.folder, shown)
            if self._bucket:
                there = self._bucket.keys(stored_files.PICTURES)
                self._bucket.remove(there - {stored_files.picture_name(each) for each in shown})

    def _bring_up_to_date(self) -> None:
        layout = self._layout()
        if layout == VERSION:
            return
        if self._replica:
            raise LibraryError(
                f"{self.folder}: its shared catalogue is of an older version. Delete {FILE} in one machine's folder, "
                "open it there, and set library.catalogue to an empty database"
            )
        log.warning("%s: bringing its catalogue up to date, once", self.folder)
        with self._atomic() as connection:
            schema.upgrade(connection, layout, self._locations)

    def problems(self) -> list[str]:
        """What is wrong with the catalogue itself: SQLite's own check, and each passage against its text."""
        found = [str(row[0]) for row in self._rows("PRAGMA integrity_check") if row[0] != "ok"]
        found += [f"foreign key: {tuple(row)}" for row in self._rows("PRAGMA foreign_key_check")]
        for row in self._rows(
            "SELECT p.passage_id FROM passages p JOIN documents d USING (document_id) "
            'WHERE substr(d.text, p.start + 1, p."end" - p.start) <> p.text'
        ):
            found.append(f"passage {row['passage_id']} does not quote its document")
        numbers = self.numbers()
        for first in range(0, len(numbers), IN_AT_ONCE):
            try:
                self.passages_numbered(numbers[first : first + IN_AT_ONCE])
            except LibraryError as error:
                found.append(str(error))
        found += self._read_since(2, list[str](), links.problems) + self._read_since(4, list[str](), cases.problems)
        found += self._read_since(5, list[str](), schema.problems)
        found += self._read_since(5, list[str](), self._file_problems)
        return [f"catalogue: {problem}" for problem in found]

    def _file_problems(self, connection: sqlite3.Connection) -> list[str]:
        """The files of the library's own folder that are missing, and uploads that belong to no document."""
        paths, audio = named_files(connection)
        there = self._bucket.keys() if self._bucket else set[str]()
        missing = list(self._locations.missing([*paths, *audio], there))
        if (self.folder / "writer.json").exists():  # files are under way
            return missing
        unowned = self._locations.unowned(paths)
        if self._bucket:
            left = there - {bucket.key_of(name) for name in own_files(connection)}
            where = self._bucket.address
            unowned += [f"{key} in {where} belongs to no document. Delete it there" for key in sorted(left)]
        return missing + unowned
