"""Conversations in the catalogue: what is kept comes back, each owner's own, and nothing waits for a writer."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.errors import LibraryError
from rag.library.catalogue import Library
from rag.library.kept.conversations import Conversations
from rag.locator import PageSpan, ParagraphSpan, TimeSpan
from rag.records import Answer, Attribution, Citation, Hit, MarkedAnswer, Note, Passage, Statement

SECONDS = st.floats(0, 1e5)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
LOCATORS = st.one_of(
    st.builds(PageSpan, st.integers(1, 9), st.integers(1, 9)),
    st.builds(ParagraphSpan, TEXT, TEXT, st.none() | st.integers(0, 9), st.none() | st.integers(0, 9)),
    st.builds(TimeSpan, st.none() | SECONDS, st.none() | SECONDS, TEXT, TEXT),
)
CITATIONS = st.builds(Citation, TEXT, TEXT, TEXT, TEXT, TEXT, LOCATORS, TEXT, st.integers(0), st.integers(0))
PASSAGES = st.builds(
    lambda text, at, locator, boxes: Passage("d#0", "d", "T", "p", text, at, at + len(text), locator, boxes=boxes),
    TEXT, st.integers(0, 99), LOCATORS,
    st.lists(st.tuples(st.integers(1, 3), st.tuples(SECONDS, SECONDS, SECONDS, SECONDS)), max_size=2).map(tuple),
)  # fmt: skip
HITS = st.builds(
    Hit, st.integers(1, 9), st.floats(-5, 5), PASSAGES, st.none() | st.dictionaries(TEXT, st.floats(-1, 1), max_size=2),
    st.lists(TEXT, max_size=2).map(tuple),
)  # fmt: skip
ANSWERS = st.builds(
    Answer, TEXT, TEXT, st.booleans(), st.lists(st.builds(Note, st.integers(1, 3), TEXT, TEXT), max_size=2).map(tuple),
    st.lists(CITATIONS, max_size=3).map(tuple), st.lists(HITS, max_size=3).map(tuple), st.none() | st.floats(0, 1),
    TEXT, TEXT, st.dictionaries(TEXT, SECONDS, max_size=2), st.dictionaries(TEXT, st.integers(0, 9), max_size=2),
    st.lists(st.builds(Statement, st.integers(0), st.integers(0), st.floats(0, 1), st.booleans())).map(tuple),
    st.none() | st.tuples(st.integers(0, 9), st.integers(0, 9)),
    st.none() | st.builds(Attribution, TEXT, st.just(()), TEXT, st.none() | TEXT, *[st.integers(0, 9)] * 3, TEXT),
    marked=st.none() | st.builds(MarkedAnswer, TEXT, st.floats(0, 1), st.none() | CITATIONS),
)  # fmt: skip


def answer_of(text: str) -> Answer:
    return Answer("Who?", text, False, (), (), (), 0.9, "a reader", "hash", {"answer": 2.0}, {"prompt": 9})


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Conversations:
    folder = tmp_path_factory.mktemp("kept") / "library"
    Library.open(folder, create=True)
    return Conversations(folder)


@given(ANSWERS)
def test_an_answer_comes_back_as_it_was(kept: Conversations, answer: Answer) -> None:
    turn = kept.add_turn(kept.create("").conversation_id, "", "Who?", {})
    kept.end_turn(turn.turn_id, "done", {}, answer, seconds=1.5)
    assert kept.turn(turn.turn_id, "").answer == answer


def test_a_conversation_from_its_first_question_to_its_end(kept: Conversations) -> None:
    first = kept.create("ada")
    assert (first.title, first.turns, kept.turns(first.conversation_id, "ada")) == ("", 0, [])
    kept.change(first.conversation_id, "ada", draft="Who ow", scope={"documents": ["d1"]})
    assert kept.conversation(first.conversation_id, "ada").draft == "Who ow"
    asked = kept.add_turn(first.conversation_id, "ada", "Who owned\nthe tide mill? " + "x" * 90, {"style": "short"})
    after = kept.conversation(first.conversation_id, "ada")
    assert after.title == ("Who owned the tide mill? " + "x" * 90)[:79] + "…"
    assert (after.draft, after.scope, after.turns, after.state) == ("", {"documents": ["d1"]}, 1, "waiting")
    kept.begin_turn(asked.turn_id, {"standalone": "Who?"})
    kept.end_turn(asked.turn_id, "done", {"standalone": "Who?"}, answer_of("Ada Vance"), seconds=2.0)
    kept.rate(asked.turn_id, "ada", -1, "it was her sister")
    (turn,) = kept.turns(first.conversation_id, "ada")
    assert (turn.state, turn.seconds, turn.rating, turn.reason) == ("done", 2.0, -1, "it was her sister")
    assert turn.understood == {"standalone": "Who?"} and turn.answer and turn.answer.answer == "Ada Vance"
    assert kept.past_seconds(1) == [({"style": "short"}, {"answer": 2.0}, {"prompt": 9})]
    kept.keep_answer(asked.turn_id, answer_of("Ada Vance, explained"))
    kept_answer = kept.turn(asked.turn_id, "ada").answer
    assert kept_answer and kept_answer.answer == "Ada Vance, explained"
    for nothing in (lambda: kept.keep_answer("none", kept_answer), lambda: kept.begin_turn("none", {})):
        with pytest.raises(LibraryError, match="no such question"):
            nothing()
    kept.change(first.conversation_id, "ada", title="The mill")
    kept.add_turn(first.conversation_id, "ada", "And when?", {})
    assert kept.conversation(first.conversation_id, "ada").title == "The mill"
    assert [each.title for each in kept.listed("ada", "VANCE mill")] == ["The mill"]
    assert kept.listed("ada", "vance windmill") == []
    kept.remove(first.conversation_id, "ada")
    assert kept.listed("ada") == []
    with pytest.raises(LibraryError, match="no conversation"):
        kept.turns(first.conversation_id, "ada")
    kept.restore(first.conversation_id, "ada")
    assert [each.question for each in kept.turns(first.conversation_id, "ada")][1] == "And when?"


def test_an_edited_question_replaces_what_came_after(kept: Conversations) -> None:
    conversation_id = kept.create("").conversation_id
    for question in ("one", "two", "three"):
        kept.add_turn(conversation_id, "", question, {})
    again = kept.add_turn(conversation_id, "", "two, better", {}, instead_of=2)
    assert again.number == 2
    assert [turn.question for turn in kept.turns(conversation_id, "")] == ["one", "two, better"]


def test_nobody_reads_another_ones(kept: Conversations) -> None:
    mine = kept.create("bo").conversation_id
    turn = kept.add_turn(mine, "bo", "A secret question", {})
    attempts: list[Any] = [
        lambda: kept.conversation(mine, "eve"),
        lambda: kept.turns(mine, "eve"),
        lambda: kept.turn(turn.turn_id, "eve"),
        lambda: kept.change(mine, "eve", title="mine now"),
        lambda: kept.remove(mine, "eve"),
        lambda: kept.restore(mine, "eve"),
        lambda: kept.add_turn(mine, "eve", "And?", {}),
        lambda: kept.rate(turn.turn_id, "eve", 1, ""),
    ]
    for attempt in attempts:
        with pytest.raises(LibraryError):
            attempt()
    assert kept.listed("eve") == [] and kept.listed("eve", "secret") == []
    assert kept.conversation(mine, "bo").title == "A secret question"


def test_what_was_removed_is_purged(kept: Conversations) -> None:
    gone, empty, stays = (kept.create("cy").conversation_id for _ in range(3))
    turn = kept.add_turn(gone, "cy", "Gone?", {})
    kept.add_turn(stays, "cy", "Stays?", {})
    kept.remove(gone, "cy")
    kept.purge(before=0)
    kept.restore(gone, "cy")  # too early to be purged
    kept.remove(gone, "cy")
    kept.purge(before=2e9)
    assert [each.conversation_id for each in kept.listed("cy")] == [stays]
    for missing in (gone, empty):
        with pytest.raises(LibraryError):
            kept.restore(missing, "cy")
    with pytest.raises(LibraryError):
        kept.turn(turn.turn_id, "cy")


def test_a_question_is_kept_while_documents_are_written(tmp_path: Path) -> None:
    library = Library.open(tmp_path / "library", create=True)
    conversations, generation = Conversations(library.folder), library.generation
    with library.writing("adding documents"):
        done = threading.Event()

        def ask() -> None:
            conversations.add_turn(conversations.create("").conversation_id, "", "Who?", {})
            done.set()

        threading.Thread(target=ask).start()
        assert done.wait(10)
    assert library.generation == generation


KILLED = """
import os, sys
from pathlib import Path
from rag.library.kept.conversations import Conversations
kept = Conversations(Path(sys.argv[1]))
one = kept.create("").conversation_id
kept.add_turn(one, "", "waiting", {})
kept.begin_turn(kept.add_turn(one, "", "running", {}).turn_id, {})
print(one, flush=True)
os.kill(os.getpid(), 9)
"""


def test_what_a_killed_server_left_open_is_interrupted(tmp_path: Path) -> None:
    Library.open(tmp_path / "library", create=True)
    killed = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path / "library")], capture_output=True, text=True)
    assert killed.returncode == -9
    kept = Conversations(tmp_path / "library")
    assert kept.interrupt() == 2
    assert [(turn.question, turn.state) for turn in kept.turns(killed.stdout.strip(), "")] == [
        ("waiting", "interrupted"),
        ("running", "interrupted"),
    ]


def test_an_answer_of_another_version_is_left_out(kept: Conversations) -> None:
    turn = kept.add_turn(kept.create("").conversation_id, "", "Who?", {})
    kept.end_turn(turn.turn_id, "done", {}, answer_of("Ada"))
    with sqlite3.connect(kept.folder / "catalogue.sqlite") as connection:
        connection.execute("UPDATE turns SET answer = '{\"answer\": 3}' WHERE turn_id = ?", (turn.turn_id,))
    kept_turn = kept.turn(turn.turn_id, "")
    assert (kept_turn.question, kept_turn.state, kept_turn.answer) == ("Who?", "done", None)
    assert all(seconds is not None for _, seconds, _ in kept.past_seconds())
