"""schema.py, layout 5: titles are stored once a document, and an older catalogue becomes the same as a new one."""

from __future__ import annotations

import logging
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag.document import Document, Episode, Page, Utterance
from rag.errors import LibraryError
from rag.library import schema
from rag.library.catalogue import Library
from rag.library.database import VERSION
from rag.locator import TimeSpan, locator_json
from rag.records import Passage
from tests.test_links_catalogue import held_by_another, to_layout_1, to_layout_2, to_layout_3, to_layout_4

TITLES = st.sampled_from(["", "Oak", "OAK", "Oak mill", "İ", "a'b;c", "x" * 300])
PARTS = st.lists(st.tuples(TITLES, TITLES, TITLES, TITLES, st.sampled_from(["text", "table"])), max_size=5)
Part = tuple[str, str, str, str, str]  # section, caption, chapter, speaker, kind


def put(library: Library, name: str, parts: Sequence[Part], text: str = "said here") -> None:
    """A document of as many passages; in each its speaker and, for a shorter time, the one of the next speak."""
    passages, said, at = [], list[Utterance](), 0
    speakers = [part[3] for part in parts]
    for number, (section, caption, chapter, speaker, kind) in enumerate(parts):
        end = at + len(text)
        passages.append(
            Passage(
                f"{name}#{number}", name, "A title", f"docs/{name}", text, at, end,
                TimeSpan(None, None, speaker, chapter), kind, section=section, caption=caption,
            )
        )  # fmt: skip
        said.append(Utterance(at, at + 5, at, at + 5, speaker))
        said.append(Utterance(at + 6, end, at + 6, end, speakers[(number + 1) % len(speakers)]))
        at = end + 1
    whole = "\n".join([text] * len(parts))
    document = Document(name, "podcast", "A title", whole, (Page(1, 0, len(whole)),), episode=Episode(
        utterances=tuple(said)))  # fmt: skip
    library.put(document, passages, f"/docs/{name}", f"docs/{name}", "recipe")


def speakers_of(parts: Sequence[Part], number: int) -> set[str]:
    return {parts[number][3], parts[(number + 1) % len(parts)][3]}


def found(library: Library, one: str) -> set[str]:
    return {p.passage_id for p in library.passages_numbered(library.select([one]) or ()).values()}


def catalogue(folder: Path) -> sqlite3.Connection:
    return sqlite3.connect(folder / "catalogue.sqlite")


def check(library: Library, made: dict[str, list[Part]]) -> None:
    """All that is read of the passages is what was put."""
    every = {f"{name}#{i}": (name, i, part) for name, parts in made.items() for i, part in enumerate(parts)}
    passages = {p.passage_id: p for _, p in library.passages_since(0)}
    assert {
        i: (p.section, p.caption, *(locator_json(p.locator)[name] for name in ("chapter", "speaker")), p.kind)
        for i, p in passages.items()
    } == {i: part for i, (_, _, part) in every.items()}
    assert {p.path for p in passages.values()} <= {f"docs/{name}" for name in made}
    assert library.passages(list(passages)) == passages
    for value in ("Oak", "oak mill", "İ", "a'b;c", ""):
        chapters = {i for i, (_, _, part) in every.items() if part[2].casefold() == value.casefold() != ""}
        assert found(library, f"chapter={value}") == chapters
        speakers = {i for i, (name, n, _) in every.items()
                    if value.casefold() in {s.casefold() for s in speakers_of(made[name], n)}}  # fmt: skip
        assert found(library, f"speaker={value}") == speakers
    names = {s.casefold() for name, n, _ in every.values() for s in speakers_of(made[name], n)} - {""}
    assert {value.casefold() for value in library.values("speaker")} == names
    for i, (name, _, part) in every.items():
        same = [p for p, (of, _, other) in every.items() if (of, other[4], other[1]) == (name, "table", part[1])]
        expected = same if part[4] == "table" and part[1] else [i]
        assert [p.passage_id for p in library.table_of(passages[i])] == expected
    assert library.problems() == []


@given(st.dictionaries(st.sampled_from("abc"), PARTS, max_size=3), st.sampled_from("abc"))
@settings(max_examples=15, deadline=None)
def test_passages_filters_and_tables_are_the_same_in_every_layout(made: dict[str, list[Part]], gone: str) -> None:
    with TemporaryDirectory() as folder:
        library = Library.open(Path(folder) / "library", create=True)
        for name, parts in made.items():
            put(library, name, parts)
        put(library, "last", [("S", "", "C", "Ada", "text")])
        library.remove("last")  # its number is never given again
        check(library, made)
        numbers = library.numbers()
        with closing(catalogue(library.folder)) as connection:
            after = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'passages'").fetchone()[0] + 1
        to_layout_4(library.folder)
        check(Library(library.folder), made)  # which brings nothing up to date, as one that cannot be written
        check(opened := Library.open(library.folder), made)
        assert opened.numbers() == numbers
        put(opened, "new", [("S", "", "C", "Ada", "text")])
        assert set(opened.numbers()) - set(numbers) == {after}
        if gone in made:
            opened.remove(gone)
        check(opened, {name: parts for name, parts in made.items() if name != gone} | {
            "new": [("S", "", "C", "Ada", "text")]})  # fmt: skip


NEW_IN = {6: ("summaries",), 7: ("turns", "conversations"), 8: ("upload_batches",), 9: ("corrections",),
          10: ("headings", "facts")}  # fmt: skip


def to_layout(folder: Path, layout: int) -> None:
    """Make the catalogue one of an older layout."""
    if layout <= 4:
        {1: to_layout_1, 2: to_layout_2, 3: to_layout_3, 4: to_layout_4}[layout](folder)
        return
    gone = (table for since, tables in NEW_IN.items() if since > layout for table in tables)
    with closing(catalogue(folder)) as connection:
        connection.executescript("".join(f"DROP TABLE {table};" for table in gone) + f"PRAGMA user_version={layout}")


@pytest.mark.parametrize("layout", range(1, VERSION))
def test_a_catalogue_of_every_layout_becomes_one_of_this(tmp_path: Path, layout: int) -> None:
    """It has the tables of a new one and loses nothing that its layout has; killed before the end, it is as it was."""

    def tables(folder: Path) -> list[str]:
        with closing(catalogue(folder)) as connection:
            return sorted(row[0] for row in connection.execute("SELECT sql FROM sqlite_master WHERE sql <> ''"))

    new = Library.open(tmp_path / "new", create=True)
    old = Library.open(tmp_path / "old", create=True)
    made = {"a": [("Oak", "Elm", "Ash", "Ada", "text")] * 3, "b": [("", "", "", "", "text")]}
    for name, parts in made.items():
        put(old, name, parts)
    before = {number: (p.passage_id, p.text, p.start, p.title) for number, p in old.passages_since(0)}
    to_layout(old.folder, layout)
    older = tables(old.folder)
    assert older != tables(new.folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(schema, "VERSION", "(")  # which fails at its very end
        with pytest.raises(LibraryError), Library(old.folder).writing("a test"):
            pass
    assert tables(old.folder) == older
    opened = Library.open(old.folder)
    assert tables(old.folder) == tables(new.folder)
    assert {number: (p.passage_id, p.text, p.start, p.title) for number, p in opened.passages_since(0)} == before
    assert [entry.title for entry in opened.documents()] == ["A title", "A title"]
    assert opened.problems() == []
    if layout >= 4:
        check(opened, made)


def test_the_sample_of_layout_4_is_of_that_layout(tmp_path: Path) -> None:
    """What to_layout_4 makes has the columns that the program of layout 4 made (tests/layout4.sql)."""
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript((Path(__file__).parent / "layout4.sql").read_text("utf-8"))
        real = {row[1] for row in connection.execute("PRAGMA table_info(passages)")}
    library = Library.open(tmp_path / "library", create=True)
    to_layout_4(library.folder)
    with closing(catalogue(library.folder)) as connection:
        assert {row[1] for row in connection.execute("PRAGMA table_info(passages)")} == real


# -- size, and nothing left behind -----------------------------------------------------------------------------------


def size(folder: Path) -> int:
    with closing(catalogue(folder)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return (folder / "catalogue.sqlite").stat().st_size


@pytest.mark.attack
@pytest.mark.parametrize("layout", [4, VERSION])
def test_a_long_title_over_many_passages_is_stored_once(tmp_path: Path, layout: int) -> None:
    sizes = []
    for length in (0, 300):
        library = Library.open(tmp_path / str(length), create=True)
        put(library, "d", [("s" * length, "c" * length, "w" * length, "Ada", "text")] * 2000)
        if layout == 4:
            to_layout_4(library.folder)
            library = Library.open(library.folder)
            with closing(catalogue(library.folder)) as connection:
                connection.execute("VACUUM")  # what was freed is used again, but stays in the file
        sizes.append(size(library.folder))
    assert sizes[1] - sizes[0] < 100 * 2000


@pytest.mark.attack
@pytest.mark.parametrize("layout", [4, VERSION])
def test_a_removed_document_leaves_no_title_in_the_files(tmp_path: Path, layout: int) -> None:
    library = Library.open(tmp_path / "library", create=True)
    secrets = ("Zeppelin section", "Zeppelin caption", "Zeppelin chapter", "Zeppelin speaker")
    put(library, "stays", [("Oak", "Elm", "Ash", "Ada", "text")] * 20)
    put(library, "goes", [(*secrets, "text")] * 200)
    if layout == 4:
        to_layout_4(library.folder)
        library = Library.open(library.folder)
    files = list(library.folder.glob("catalogue.sqlite*"))
    assert any(b"Zeppelin" in file.read_bytes() for file in files)
    library.remove("goes")
    library.forget_removals(library.generation)  # as indexes do that have applied it
    left = {file.name: file.read_bytes().count(b"Zeppelin") for file in library.folder.glob("catalogue.sqlite*")}
    assert left == {"catalogue.sqlite": 0, "catalogue.sqlite-shm": 0, "catalogue.sqlite-wal": 0}
    with closing(catalogue(library.folder)) as connection:
        assert {row[0] for row in connection.execute("SELECT words FROM titles")} == {"Oak", "Elm", "Ash", "Ada"}
    assert library.problems() == []


# -- upgrades that are killed, or come in between --------------------------------------------------------------------

STORY: list[Part] = [
    ("S", "Cap", "Mill", "Ada", "table"),
    ("S", "Cap", "Mill", "", "table"),
    ("", "", "", "Bo", "text"),
]


@pytest.mark.parametrize(
    "statement", ["CREATE TABLE titles", "UPDATE passages", "DROP COLUMN chapter", "user_version="]
)
def test_a_kill_leaves_layout_4_or_the_newest(tmp_path: Path, statement: str) -> None:
    library = Library.open(tmp_path / "library", create=True)
    put(library, "d", STORY)
    to_layout_4(library.folder)
    code = (
        "import os, signal, sys; from pathlib import Path; from rag.library.catalogue import Library\n"
        "library = Library(Path(sys.argv[1]))\n"
        "def look(sql):\n"
        "    if sys.argv[2] in sql: os.kill(os.getpid(), signal.SIGKILL)\n"
        "library._connection().set_trace_callback(look)\n"
        "library._bring_up_to_date()"
    )
    ran = subprocess.run([sys.executable, "-c", code, library.folder, statement], cwd=Path(__file__).parents[1])
    assert ran.returncode == -signal.SIGKILL
    with closing(catalogue(library.folder)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone()[0] == 4
        assert connection.execute("SELECT chapter FROM passages").fetchall() == [("Mill",), ("Mill",), ("",)]
    check(Library.open(library.folder), {"d": STORY})


def test_who_reads_while_another_brings_it_up_to_date_reads_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    library = Library.open(tmp_path / "library", create=True)
    put(library, "d", STORY)
    to_layout_4(library.folder)
    with held_by_another(library.folder), caplog.at_level(logging.ERROR, "glossator"):
        old = Library.open(library.folder)
    layouts: Iterator[int] = iter([])
    real = Library._layout
    monkeypatch.setattr(old, "_layout", lambda: next(layouts, None) or real(old))
    Library.open(library.folder)  # which brings it up to date
    reads = (
        lambda: [p.locator.chapter for p in old.passages(["d#0", "d#2"]).values()],
        lambda: old.select(["chapter=mill"]),
        lambda: old.values("speaker"),
    )
    for read, expected in zip(reads, (["Mill", ""], [1, 2], ["Ada", "Bo"]), strict=True):
        layouts = iter([4])  # it was asked a moment before
        assert read() == expected
    with closing(catalogue(library.folder)) as connection:
        connection.execute("DROP TABLE titles")
    with pytest.raises(LibraryError, match="no such table"):
        Library(library.folder).passages(["d#0"])


def test_problems_names_a_passage_with_a_title_of_another_document(tmp_path: Path) -> None:
    library = Library.open(tmp_path / "library", create=True)
    put(library, "d", [("S", "Cap", "Mill", "Ada", "text")])
    put(library, "e", [("", "", "Forge", "", "text")])
    with closing(catalogue(library.folder)) as connection:
        connection.execute("UPDATE passages SET chapter_title = (SELECT title FROM titles WHERE words = 'Forge')")
        connection.execute("UPDATE passages SET speaker_titles = '[99]' WHERE document_id = 'e'")
        connection.commit()
    assert library.problems() == [
        "catalogue: passage d#0 has a title that its document lacks",
        "catalogue: passage e#0 has a title that its document lacks",
    ]


def test_titles_are_looked_up_by_their_numbers(tmp_path: Path) -> None:
    library = Library.open(tmp_path / "library", create=True)
    put(library, "d", STORY)
    asked: list[str] = []
    connection = library._connection()
    connection.set_trace_callback(asked.append)
    library.passages(["d#0"]), library.passages_numbered([1]), library.table_of(library.passages(["d#0"])["d#0"])
    connection.set_trace_callback(None)
    assert len(asked) == 4, "one query each, and none to ask for the layout"
    for statement in asked:
        plan = [row["detail"] for row in connection.execute(f"EXPLAIN QUERY PLAN {statement}")]
        assert not [step for step in plan if step.startswith("SCAN")], plan
        assert "SEARCH titles USING INTEGER PRIMARY KEY (rowid=?)" in plan
