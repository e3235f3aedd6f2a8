"""A catalogue in PostgreSQL that several machines share: each folder here stands for a machine."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import sqlite3
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as some

from ingest.build import build
from rag.document import Document, Page
from rag.errors import LibraryBusy, LibraryError, UsageError
from rag.index.manager import Indexes
from rag.library.catalogue import Library
from rag.library.copies.backup import write_backup
from rag.library.copies.restore import read_backup
from rag.library.kept.conversations import Conversations
from rag.library.shared import changed_rows
from rag.library.shared.postgres import PostgresCatalogue
from rag.library.shared.replica import FILE
from rag.records import Passage
from rag.search import open_retriever
from rag.settings import load_settings
from tests.conftest import Run, needs_postgres
from tests.postgres_server import PostgresServer


@pytest.fixture
def machines(postgres: PostgresServer, tmp_path: Path) -> tuple[Library, Library]:
    """Two machines that share a library."""
    return opened(postgres, tmp_path, "one"), opened(postgres, tmp_path, "two")


def opened(postgres: PostgresServer, tmp_path: Path, machine: str) -> Library:
    return Library.open(tmp_path / machine / tmp_path.name, create=True, shared=postgres.address)


def put(library: Library, number: int, words: str = "", title: str = "") -> None:
    text = f"Note {number} says: {words or 'the bridge over the Tarn is 2,460 m long'}."
    name = f"{number:016x}"
    passage = Passage(f"{name}#0", name, title or f"Note {number}", "", text, 0, len(text))
    document = Document(name, "text", title or f"Note {number}", text, (Page(1, 0, len(text)),))
    with library.writing("a test"):
        library.put(document, [passage], f"/notes/{number}.txt", f"{number}.txt", "")


def rows_of(library: Library) -> dict[str, list[tuple[object, ...]]]:
    """All rows of its copy, but those of its machine alone."""
    library.generation  # noqa: B018 - to look is to follow
    if library._replica:
        library._replica.catch_up()
    found = {}
    with closing(sqlite3.connect(library.folder / "catalogue.sqlite")) as connection:
        for table in changed_rows._tables(connection):
            statement = f"SELECT {', '.join(map(changed_rows._quoted, table.written))} FROM {table.name}"
            found[table.name] = sorted(map(tuple, connection.execute(statement)), key=repr)
        found["openings"] = connection.execute("SELECT * FROM openings").fetchall()
        found["counters"] = connection.execute("SELECT name, seq FROM sqlite_sequence").fetchall()
    return found


# ---- rows -----------------------------------------------------------------------------------------------------------

TEXT = some.text(some.characters(exclude_categories=["Cs"]))
VALUES = some.one_of(some.none(), some.integers(-(2**63), 2**63 - 1), some.binary(), some.floats(allow_nan=False), TEXT)
TABLES = """
CREATE TABLE kept (key TEXT PRIMARY KEY, value);
CREATE TABLE numbered (number INTEGER PRIMARY KEY AUTOINCREMENT, value, owner REFERENCES kept ON DELETE CASCADE);
CREATE TABLE paired (a, b, value, PRIMARY KEY (a, b)) WITHOUT ROWID;
"""


@given(some.lists(some.tuples(some.sampled_from("kno-x="), some.integers(0, 3), VALUES), max_size=20))
@hypothesis_settings(max_examples=60)
def test_changed_rows_make_of_a_copy_what_the_original_is(changes: list[tuple[str, int, object]]) -> None:
    original, copy = sqlite3.connect(":memory:"), sqlite3.connect(":memory:")
    for connection in (original, copy):
        connection.executescript(TABLES)
    original.execute("PRAGMA foreign_keys=ON")
    changed_rows.watch(original)
    for number, (what, key, value) in enumerate(changes):
        name = str(key)
        if what == "k":
            original.execute("INSERT OR REPLACE INTO kept VALUES (?, ?)", (name, value))
        elif what == "n":
            owner = original.execute("SELECT min(key) FROM kept").fetchone()[0]
            original.execute("INSERT INTO numbered (value, owner) VALUES (?, ?)", (value, owner))
        elif what == "o":
            original.execute("INSERT OR REPLACE INTO paired VALUES (?, ?, ?)", (key, b"\xff" * key, value))
        elif what == "-":
            original.execute("DELETE FROM kept WHERE key = ?", (name,))  # and what it owns
        elif what == "x":
            original.execute("DELETE FROM numbered WHERE number = (SELECT max(number) FROM numbered)")
        else:
            original.execute("UPDATE OR REPLACE paired SET a = a + 4, value = ? WHERE a = ?", (value, key))
        if number % 3 == 2:  # the copy follows now and then
            changed_rows.apply(copy, sorted(changed_rows.changed(original), key=lambda row: row.record is not None))
            changed_rows.forget(original)
    changed_rows.apply(copy, sorted(changed_rows.changed(original), key=lambda row: row.record is not None))
    for statement in ("SELECT rowid, * FROM kept", "SELECT * FROM numbered", "SELECT * FROM paired"):
        assert copy.execute(statement).fetchall() == original.execute(statement).fetchall()
    for connection in (original, copy):  # the next number is the same, too
        connection.execute("INSERT INTO numbered (value) VALUES (1)")
    last = "SELECT max(number) FROM numbered"
    assert copy.execute(last).fetchone() == original.execute(last).fetchone()


# ---- machines -------------------------------------------------------------------------------------------------------


@needs_postgres
def test_what_one_machine_adds_and_removes_is_so_on_the_other(
    machines: tuple[Library, Library], postgres: PostgresServer
) -> None:
    here, there = machines
    put(here, 1), put(here, 2, "a secret of the \x00 firm")
    time.sleep(0.6)  # at most so long it may be behind
    assert [entry.title for entry in there.documents()] == ["Note 1", "Note 2"]
    put(there, 3)
    assert rows_of(here) == rows_of(there)
    assert here.numbers() == [1, 2, 3] and there.generation == 3
    for library in machines:
        (library.folder / "precedents").mkdir()
    with there.writing("a test"):
        there.remove(f"{2:016x}")
    here._replica.catch_up()  # type: ignore[union-attr]
    assert not any((library.folder / "precedents").exists() for library in machines), "its sections are in there"
    assert rows_of(here) == rows_of(there) and len(here.documents()) == 2
    assert [removal.first_number for removal in here.removals_since(2)] == [2]
    kept = postgres.rows("SELECT count(*) FROM glossator_rows WHERE record LIKE '%secret%'")
    assert kept == [[0]]


@needs_postgres
def test_copies_stay_equal_whoever_changes_what(
    machines: tuple[Library, Library], postgres: PostgresServer, tmp_path: Path
) -> None:
    chance = random.Random(31)
    asked: list[str] = []
    for step in range(60):
        library = chance.choice(machines)
        kept = Conversations(library.folder)
        what = chance.choice("ppprcct")
        if what == "p":
            put(library, chance.randrange(6), f"version {step}", chance.choice(["", "The Tarn Bridge"]))
        elif what == "r" and (documents := library.documents()):
            with library.writing("a test"):
                library.remove(chance.choice(documents).document_id)
        elif what == "c":
            asked.append(kept.create("").conversation_id)
            kept.add_turn(asked[-1], "", f"Question {step}?", {})
        elif what == "t" and asked:
            kept.change(chance.choice(asked), "", title=f"Title {step}")
    late = opened(postgres, tmp_path, "three")
    assert rows_of(machines[0]) == rows_of(machines[1]) == rows_of(late)
    assert late.problems() == [] and len(late.documents()) == len(machines[0].documents())
    assert len(Conversations(late.folder).listed("")) == len(asked)


def _asks(folder: Path, count: int) -> None:
    kept = Conversations(folder)
    conversation = kept.create(folder.parent.name).conversation_id
    for number in range(count):
        kept.add_turn(conversation, folder.parent.name, f"Question {number}?", {})


@needs_postgres
def test_two_machines_write_at_once_and_nothing_is_lost(
    machines: tuple[Library, Library], postgres: PostgresServer, tmp_path: Path
) -> None:
    fork = multiprocessing.get_context("spawn")
    asking = [fork.Process(target=_asks, args=(library.folder, 25)) for library in machines]
    for process in asking:
        process.start()
    for process in asking:
        process.join(60)
    assert [process.exitcode for process in asking] == [0, 0]
    assert rows_of(machines[0]) == rows_of(machines[1])
    assert len(rows_of(machines[0])["turns"]) == 50


@needs_postgres
def test_threads_that_follow_and_threads_that_write_do_not_wait_for_each_other(
    machines: tuple[Library, Library],
) -> None:
    here, there = machines
    kept, until, longest = Conversations(there.folder), time.monotonic() + 3, [0.0]

    def repeated(work: Callable[[], object]) -> None:
        while time.monotonic() < until:
            began = time.monotonic()
            work()
            longest.append(time.monotonic() - began)

    assert there._replica
    changes = Conversations(here.folder)  # of another machine, so that there is something to follow
    with ThreadPoolExecutor(4) as pool:
        follow = there._replica.catch_up
        works = (lambda: changes.create(""), follow, follow, lambda: kept.create(""))
        for done in [pool.submit(repeated, work) for work in works]:
            done.result()
    assert len(longest) > 20 and max(longest) < 10
    assert rows_of(here) == rows_of(there)


def _puts(folder: Path) -> None:
    library = Library.open(folder)
    for number in range(1000):
        put(library, number % 7, f"version {number}")


@needs_postgres
def test_a_machine_killed_at_any_moment_leaves_the_others_whole(machines: tuple[Library, Library]) -> None:
    here, there = machines
    chance, before = random.Random(9), 0
    for _ in range(4):
        process = multiprocessing.get_context("fork").Process(target=_puts, args=(here.folder,))
        process.start()
        assert process.pid and there._replica
        deadline = time.monotonic() + 60
        while there.generation <= before:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        time.sleep(chance.random() * 0.2)
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        there._replica.catch_up()
        assert there.problems() == []
        before = there.generation
        assert rows_of(here) == rows_of(there)
        put(there, 8, f"after {before}")  # the lock of the dead one holds nobody up


@needs_postgres
def test_one_machine_writes_at_a_time_and_the_other_is_told_which(machines: tuple[Library, Library]) -> None:
    here, there = machines
    with here.writing("glossator ingest"):
        with pytest.raises(LibraryBusy, match=rf"process {os.getpid()} on .*glossator ingest"), there.writing("a test"):
            pass
        Conversations(there.folder).create("")  # which needs no writer's lock
    put(there, 1)


@needs_postgres
def test_while_the_server_is_away_a_copy_is_read_and_not_written(
    machines: tuple[Library, Library], postgres: PostgresServer
) -> None:
    here, there = machines
    put(here, 1)
    assert there._replica
    there._replica.catch_up()
    postgres.stop()
    try:
        time.sleep(0.6)
        assert len(there.documents()) == 1
        for wanted in (lambda: put(there, 2), lambda: Conversations(there.folder).create("")):
            with pytest.raises(LibraryError, match=r"PostgreSQL at 127\.0\.0\.1/postgres does not answer: .*meanwhile"):
                wanted()
    finally:
        postgres.start()
    put(there, 2)
    assert rows_of(here) == rows_of(there) and len(here.documents()) == 2


@needs_postgres
def test_a_library_that_there_is_becomes_shared_with_all_that_it_has(postgres: PostgresServer, tmp_path: Path) -> None:
    folder = tmp_path / "one" / tmp_path.name
    alone = Library.open(folder, create=True)
    put(alone, 1), put(alone, 2)
    Conversations(folder).create("")
    before = rows_of(alone)
    shared = opened(postgres, tmp_path, "one")
    assert rows_of(shared) == before == rows_of(opened(postgres, tmp_path, "two"))
    assert oct((folder / FILE).stat().st_mode)[-3:] == "600"
    assert Library.open(folder)._replica is not None  # the folder remembers
    (folder / "catalogue.sqlite").unlink()  # a copy that is lost is made anew
    assert rows_of(Library.open(folder)) == before


@needs_postgres
def test_files_and_pictures_lie_in_a_folder_that_all_have(postgres: PostgresServer, tmp_path: Path) -> None:
    machines = []
    for machine in ("one", "two"):
        machines.append(opened(postgres, tmp_path, machine))
        for name in ("uploads", "pictures"):
            (tmp_path / "mounted" / name).mkdir(parents=True, exist_ok=True)
            (machines[-1].folder / name).symlink_to(tmp_path / "mounted" / name)
    here, there = machines
    file = here.folder / "uploads" / "bridge.md"
    file.write_text("The bridge is 2,460 m long.")
    settings = load_settings()
    indexes = [Indexes(library, settings) for library in machines]
    assert build([file], here, indexes[0], settings.ingest).count("added") == 1
    sha256 = here.keep_picture(b"a picture")
    assert there.picture(sha256) == b"a picture"
    there._replica.catch_up()  # type: ignore[union-attr]
    (entry,) = there.documents()
    assert there.files_of(entry.document_id)[0].read_text() == file.read_text()
    (hit,) = open_retriever(indexes[1], "bm25").search(["bridge"], 5)[0]
    assert "2,460" in hit.passage.text
    write_backup(there, tmp_path / "backup.tar")
    read_backup(tmp_path / "backup.tar", tmp_path / "restored")
    alone = Library.open(tmp_path / "restored")
    assert alone._replica is None and alone.picture(sha256) == b"a picture"
    assert [entry.title for entry in alone.documents()] == [entry.title]


@needs_postgres
def test_what_cannot_be_shared_is_refused(postgres: PostgresServer, tmp_path: Path) -> None:
    put(opened(postgres, tmp_path, "one"), 1)
    other = Library.open(tmp_path / "two" / tmp_path.name, create=True)
    put(other, 2)
    with pytest.raises(LibraryError, match="has others under the name"):
        opened(postgres, tmp_path, "two")
    assert [entry.title for entry in Library.open(other.folder).documents()] == ["Note 2"]
    with pytest.raises(LibraryError, match=r"library\.catalogue says another"):
        Library.open(tmp_path / "one" / tmp_path.name, shared=postgres.address + "2")
    postgres.rows(f"UPDATE glossator_catalogues SET layout = 99 WHERE catalogue = '{tmp_path.name}'")
    with pytest.raises(LibraryError, match="a newer version of glossator"):
        put(Library.open(tmp_path / "one" / tmp_path.name), 3)
    postgres.rows(f"UPDATE glossator_catalogues SET layout = 10, version = 0 WHERE catalogue = '{tmp_path.name}'")
    with pytest.raises(LibraryError, match="put back to an earlier state"):
        put(Library.open(tmp_path / "one" / tmp_path.name), 3)


@pytest.mark.parametrize(
    "address",
    ["mysql://me@host/db", "postgresql://host", "postgresql://host:port/db", "postgresql://h/d?sslmode=x", "db"],
)
def test_an_address_that_is_none_is_said_to_be_none(address: str) -> None:
    with pytest.raises(UsageError, match=r"postgresql://user@host:5432/database"):
        PostgresCatalogue(address, "library")


@needs_postgres
def test_the_command_line_on_two_machines(postgres: PostgresServer, tmp_path: Path, glossator: Run) -> None:
    notes = tmp_path / "notes"
    notes.mkdir()
    (notes / "bridge.md").write_text("# The bridge\n\nThe bridge over the Tarn is 2,460 metres long.\n")
    shared = ("--set", f"library.catalogue={postgres.address}")
    one, two = (tmp_path / machine / tmp_path.name for machine in ("one", "two"))
    for folder in (one, two):
        folder.parent.mkdir()
    made = glossator(*shared, "ingest", notes, "--library", one)
    assert made.returncode == 0, made.stderr
    found = glossator(*shared, "search", "How long is the bridge?", "--library", two)
    assert found.returncode == 0 and "2,460" in found.stdout, found.stderr
    listed = glossator("documents", "--library", two)
    assert "bridge.md" in listed.stdout
    wrong = glossator(
        "--set", "library.catalogue=postgresql://nobody@127.0.0.1:1/x", "ingest", notes, "--library", tmp_path / "z"
    )
    assert wrong.returncode == 1 and wrong.stderr.count("\n") == 1 and "does not answer" in wrong.stderr
