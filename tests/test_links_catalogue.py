"""rag/library/links.py: the links in the catalogue are those of its documents, whatever came before."""

from __future__ import annotations

import logging
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag.document import Document, Page
from rag.library.cases import TABLES
from rag.library.catalogue import Library
from rag.library.database import VERSION
from rag.library.links import MOST_BEARERS
from rag.library.schema import NEW_IN_3, NEW_IN_4, TITLED
from rag.records import Link, Passage

Content = tuple[str, tuple[str, ...]]  # title, texts of the passages
TITLES = st.sampled_from(["Tarn Bridge", "Tarn Bridge (1911)", "Garden Book", "A (b) [c", "x", ""])
TEXTS = st.lists(st.sampled_from(["Tarn Bridge", "Tarn\nBridge", "Garden Book", "A (b) [c", "Tarn Bridges",
                                  "(Application no. 1/02)", "no. 1/02"]), max_size=3).map(" and ".join)  # fmt: skip
CONTENTS = st.tuples(TITLES, st.lists(TEXTS.filter(bool), max_size=3).map(tuple))


def put(library: Library, name: str, content: Content, path: str = "") -> None:
    title, texts = content
    text = "\n".join(texts)
    passages, at = [], 0
    for ordinal, piece in enumerate(texts):
        passages.append(Passage(f"{name}#{ordinal}", name, title, "", piece, at, at + len(piece)))
        at += len(piece) + 1
    document = Document(name, "text", title, text, (Page(1, 0, len(text)),))
    library.put(document, passages, path or f"/{name}", name, "")


def links(library: Library) -> set[Link]:
    ids = [passage.passage_id for _, passage in library.passages_since(0)]
    return {link for some in library.links_from(ids).values() for link in some}


def rows(library: Path, table: str) -> int:
    with closing(sqlite3.connect(library / "catalogue.sqlite")) as connection:
        return int(connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0])


def to_layout_1(folder: Path) -> None:
    to_layout_2(folder)
    with closing(sqlite3.connect(folder / "catalogue.sqlite")) as connection:
        connection.executescript("DROP TABLE links; DROP TABLE openings; DROP TABLE names; PRAGMA user_version=1;")


NEW_AFTER_4 = ("titles", "summaries", "turns", "conversations", "upload_batches", "corrections", "headings", "facts")


def to_layout_4(folder: Path) -> None:
    """Titles with each passage again, and absolute paths for what lies in the folder."""
    columns = "".join(f"ALTER TABLE passages ADD COLUMN {name} TEXT NOT NULL DEFAULT '';" for name in TITLED)
    words = ", ".join(f"{n} = coalesce((SELECT words FROM titles WHERE title = {n}_title), '')" for n in TITLED)
    gone = (*(f"{name}_title" for name in TITLED), "speaker_titles")
    with closing(sqlite3.connect(folder / "catalogue.sqlite")) as connection:
        connection.executescript(
            f"{columns} ALTER TABLE passages ADD COLUMN speakers TEXT NOT NULL DEFAULT '[]';"
            f"UPDATE passages SET {words}, speakers = (SELECT json_group_array(t.words) "
            "FROM json_each(passages.speaker_titles) s JOIN titles t ON t.title = s.value);"
            + "".join(f"ALTER TABLE passages DROP COLUMN {name};" for name in gone)
            + "".join(f"DROP TABLE {name};" for name in NEW_AFTER_4)
            + "PRAGMA user_version=4;"
        )
        for table, column in (("paths", "path"), ("paths", "shown"), ("collections", "path"), ("episodes", "audio")):
            connection.execute(f"UPDATE {table} SET {column} = ? || {column} WHERE {column} GLOB 'uploads/*'",
                               (f"{folder.resolve()}/",))  # fmt: skip
        connection.commit()


def to_layout_3(folder: Path) -> None:
    to_layout_4(folder)
    columns = "".join(f"ALTER TABLE passages DROP COLUMN {name};" for name in (*NEW_IN_4, "speakers"))
    with closing(sqlite3.connect(folder / "catalogue.sqlite")) as connection:
        tables = "".join(f"DROP TABLE {name};" for name in ("episodes", *TABLES))
        connection.executescript(f"{tables} {columns} PRAGMA user_version=3;")


def to_layout_2(folder: Path) -> None:
    to_layout_3(folder)
    columns = "".join(f"ALTER TABLE passages DROP COLUMN {name};" for name in NEW_IN_3)
    with closing(sqlite3.connect(folder / "catalogue.sqlite")) as connection:
        connection.executescript(f"DROP TABLE geometry; DROP INDEX passages_of_label; {columns} PRAGMA user_version=2;")


@contextmanager
def held_by_another(folder: Path) -> Iterator[None]:
    """The library's lock, in another process."""
    code = (
        "import sys; from pathlib import Path; from filelock import FileLock\n"
        "with FileLock(Path(sys.argv[1]) / 'writer.lock'): print('held', flush=True); sys.stdin.read()"
    )
    holder = subprocess.Popen([sys.executable, "-c", code, folder], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert holder.stdout is not None and holder.stdout.readline() == b"held\n"
    yield
    holder.communicate()


BRIDGE = ("Tarn Bridge", ("1 One\nsee Section 2", "2 Two\nwords", "3 Three\nlike the Garden\nBook"))
GARDEN = ("Garden Book", ("Garden Book itself", "near Tarn Bridge, Tarn Bridge"))
JUDGMENT = ("A. v. B.", ("(Application no. 12/34)", "words"))
CITING = ("C. v. D.", ("as in no. 12/34",))


@pytest.fixture
def library(tmp_path: Path) -> Library:
    library = Library.open(tmp_path / "library", create=True)
    for name, content in (("b", BRIDGE), ("g", GARDEN), ("j", JUDGMENT), ("k", CITING)):
        put(library, name, content)
    return library


def test_links_by_hand(library: Library) -> None:
    section = Link("b#0", "b", "b#1", "section", "Section 2", 10, 19)
    garden = Link("b#2", "g", None, "title", "Garden\nBook", 49, 60)
    bridge = Link("g#1", "b", None, "title", "Tarn Bridge", 24, 35)  # the first of two
    case = Link("k#0", "j", None, "citation", "12/34", 10, 15)
    assert library.links_from(["b#0", "b#1", "b#2", "g#1", "k#0", "none"]) == {
        "b#0": [section], "b#2": [garden], "g#1": [bridge], "k#0": [case],
    }  # fmt: skip
    assert library.links_to(["b", "g", "j", "k", "none"]) == {"b": [bridge], "g": [garden], "j": [case]}
    assert library.mention_counts(["b", "k", "none"]) == {"b": 1, "k": 0, "none": 0}
    assert library.links_from([]) == library.links_to([]) == library.mention_counts([]) == {}
    assert library.problems() == []


def test_a_removed_document_takes_its_links_along_both_ways_and_brings_them_back(library: Library) -> None:
    before = links(library)
    library.remove("g")
    assert links(library) == {link for link in before if "g" not in (link.passage_id[0], link.document_id)}
    put(library, "g", GARDEN)
    assert links(library) == before
    put(library, "new", ("x", ("words",)), path="/g")  # the path's new content drops the old
    assert {link.document_id for link in links(library)} == {"b", "j"}
    for name in ("b", "j", "k", "new"):
        library.remove(name)
    assert [rows(library.folder, table) for table in ("names", "openings", "links")] == [0, 0, 0]


@settings(max_examples=40, deadline=None)
@given(
    steps=st.lists(st.tuples(st.sampled_from("abcd"), CONTENTS | st.none()), max_size=10),
    most=st.sampled_from([1, 2, MOST_BEARERS]),
)
def test_the_links_are_those_of_the_documents_whatever_the_order(
    steps: list[tuple[str, Content | None]], most: int
) -> None:
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr("rag.library.links.MOST_BEARERS", most)
        grown, fresh = (Library.open(Path(folder) / name, create=True) for name in ("grown", "fresh"))
        here: dict[str, Content] = {}
        for name, content in steps:
            if content:
                put(grown, name, content)
                here[name] = content
            else:
                grown.remove(name)
                here.pop(name, None)
        for name in sorted(here):
            put(fresh, name, here[name])
        assert links(grown) == links(fresh)
        assert [rows(grown.folder, t) for t in ("openings", "names")] == [
            rows(fresh.folder, t) for t in ("openings", "names")
        ]
        to_layout_1(fresh.folder)
        assert links(Library.open(fresh.folder)) == links(grown)
        assert grown.problems() == []


def test_a_name_of_too_many_documents_links_none_until_some_leave(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rag.library.links.MOST_BEARERS", 2)
    library = Library.open(tmp_path / "library", create=True)
    put(library, "text", ("x", ("near Tarn Bridge", "near Mill Bridge")))
    for name, title in (("a", "Tarn Bridge (1911)"), ("b", "Tarn Bridge (1912)"), ("m", "Mill Bridge")):
        put(library, name, (title, ("words",)))
    both = {("text#0", "a"), ("text#0", "b"), ("text#1", "m")}
    assert {(link.passage_id, link.document_id) for link in links(library)} == both
    put(library, "c", ("Tarn Bridge (1913)", ("words",)))
    assert {(link.passage_id, link.document_id) for link in links(library)} == {("text#1", "m")}
    assert library.namesakes(["Tarn  Bridge", "Mill Bridge"]) == {"Tarn  Bridge": 3, "Mill Bridge": 1}
    assert library.named_in("what of Tarn Bridge (1913)?", 3) == {"c"}
    library.remove("c")
    assert {(link.passage_id, link.document_id) for link in links(library)} == both


@pytest.mark.attack
@pytest.mark.parametrize("text", ["near the Tarn Bridge", "an Old Mill near the Tarn Bridge"])
def test_many_documents_of_one_name_take_time_in_proportion(tmp_path: Path, text: str) -> None:
    def seconds(count: int) -> float:
        library = Library.open(tmp_path / str(count), create=True)

        def add(number: int) -> None:
            put(library, f"d{number}", ("Old Mill" if number % 2 else "Tarn Bridge", (text,)))

        for number in range(200):  # until a name has too many documents they are linked
            add(number)
        started = time.thread_time()
        for number in range(200, 200 + count):
            add(number)
        return time.thread_time() - started

    assert seconds(800) < 16 * seconds(100) + 0.1  # a quadratic way takes 64 times


def test_problems_names_a_link_that_does_not_quote(library: Library) -> None:
    with closing(sqlite3.connect(library.folder / "catalogue.sqlite")) as connection:
        connection.execute("UPDATE links SET start = start - 1 WHERE kind = 'citation'")
        connection.commit()
    assert library.problems() == ["catalogue: passage k#0 does not hold the words of its link '12/34'"]


# -- layouts 1 and 2 -------------------------------------------------------------------------------------------------


def test_layout_1_gets_its_links_once(library: Library, caplog: pytest.LogCaptureFixture) -> None:
    before, generation = links(library), library.generation
    to_layout_1(library.folder)
    with caplog.at_level(logging.WARNING, "glossator"):
        opened = Library.open(library.folder)
        assert links(opened) == links(Library.open(library.folder)) == before != set()
    assert len(caplog.records) == 1
    assert opened.generation == generation  # no index is stale
    assert opened.problems() == []


def test_layout_1_is_read_while_another_writes_and_gets_its_links_from_the_next_writer(library: Library) -> None:
    before = links(library)
    to_layout_1(library.folder)
    with held_by_another(library.folder):
        opened = Library.open(library.folder)
        assert len(opened.documents()) == 4
        assert links(opened) == set()
        assert opened.links_to(["b"]) == {}
        assert opened.mention_counts(["b"]) == {"b": 0}
        assert opened.problems() == []
    with opened.writing("a test"):
        pass
    assert links(opened) == before


@pytest.mark.skipif(os.getuid() == 0, reason="root may write anywhere")
def test_layout_1_is_read_in_a_folder_that_cannot_be_written(library: Library) -> None:
    to_layout_1(library.folder)
    library.folder.chmod(0o500)
    try:
        assert links(Library.open(library.folder)) == set()
    finally:
        library.folder.chmod(0o700)


@pytest.mark.parametrize("at", [1, 3, 9])
def test_a_kill_leaves_layout_1_or_the_newest(library: Library, at: int) -> None:
    before = links(library)
    to_layout_1(library.folder)
    code = (
        "import os, signal, sys; from pathlib import Path; from rag.library import catalogue as library, links\n"
        "calls, real = [], links.names_of\n"
        "def names_of(*given):\n"
        "    calls.append(1)\n"
        "    if len(calls) == int(sys.argv[2]): os.kill(os.getpid(), signal.SIGKILL)\n"
        "    return real(*given)\n"
        "links.names_of = names_of\n"
        "library.Library.open(Path(sys.argv[1]))"
    )
    killed = subprocess.run([sys.executable, "-c", code, library.folder, str(at)], cwd=Path(__file__).parents[1])
    assert killed.returncode == (-signal.SIGKILL if at <= 4 else 0)
    with closing(sqlite3.connect(library.folder / "catalogue.sqlite")) as connection:
        assert connection.execute("PRAGMA user_version").fetchone()[0] == (1 if at <= 4 else VERSION)
    opened = Library.open(library.folder)
    assert links(opened) == before
    assert opened.problems() == []


def test_layout_2_is_read_as_it_is_and_keeps_its_passages(library: Library) -> None:
    before = list(library.passages_since(0))
    to_layout_2(library.folder)
    with held_by_another(library.folder):
        opened = Library.open(library.folder)
        assert list(opened.passages_since(0)) == before != []
        assert opened.passages(["b#0"])["b#0"] == before[0][1]
        assert opened.labelled(["Table 1"]) == opened.places("b", 0, 9) == opened.frames("b", 0, 9) == []
        assert {(entry.figures, entry.tables) for entry in opened.documents()} == {(0, 0)}
        assert opened.select(["title=Garden Book"]) != []
        assert opened.problems() == []
    opened = Library.open(library.folder)
    assert links(opened) != set()
    assert list(opened.passages_since(0)) == before
    put(opened, "g", GARDEN)
    assert opened.problems() == []


def test_every_lookup_uses_an_index(library: Library) -> None:
    asked: list[str] = []
    connection = library._connection()
    connection.set_trace_callback(asked.append)
    library.links_from(["b#0"]), library.links_to(["b"]), library.mention_counts(["b"])
    put(library, "g", GARDEN)
    connection.set_trace_callback(None)
    selects = [statement for statement in asked if statement.startswith("SELECT") and "state" not in statement]
    assert len(selects) > 8
    for statement in selects:
        plan = [row["detail"] for row in connection.execute(f"EXPLAIN QUERY PLAN {statement}")]
        assert not [step for step in plan if step.startswith("SCAN")], (statement, plan)
