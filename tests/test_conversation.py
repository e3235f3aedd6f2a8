"""What a follow-up asks, and which documents a question is about: rag/read/compose/understand.py, scope.py."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from rag.answer import ask
from rag.errors import DataError, UsageError
from rag.read.compose.cite_sentences import cite_sentences
from rag.read.compose.scope import DocumentNames, Scopes, only_one
from rag.read.compose.understand import PastTurn, append_turn, read_turns, understand
from rag.read.quotes import BY_PART, QUOTED, AnswerSentence
from rag.records import Answer
from tests.conftest import LIGHT_READER, Run
from tests.parts import small_library
from tests.test_answer import ScriptedReader, pipeline

NAMES = DocumentNames([
    ("a", "OTTERNET: Swimming Embeddings for Rivers", ("papers/otternet-2021.pdf",)),
    ("b", "A History of the Ferry", ("books/history-macleod1999.pdf",)),
    ("c", "MÜLLER v. NORWAY", ("cases.jsonl#c",)),
    ("d", "A.B. AND OTHERS v. NORWAY", ("cases.jsonl#d",)),
    ("f", "Beaver Dams", ("papers/dams-1.pdf",)),
    ("g", "Beaver Dams", ("papers/dams-2.pdf",)),
    ("h", "The wheel", ("wheel.eml",)),
])  # fmt: skip


@pytest.mark.parametrize(
    ("question", "named"),
    [
        ("What is the OtterNet paper about?", "a"),
        ("in MacLeod's book, who owned the boat?", "b"),
        ("Summarise the history of the ferry", ""),
        ("Summarise A History of the Ferry", "b"),
        ("What did the court decide in Muller v Norway?", "c"),
        ("the A.B. case: was there a violation?", "d"),
        ("How do otters swim?", ""),
        ("Which paper is the best?", ""),
        ("Compare Müller v. Norway and A.B. and Others v. Norway", "cd"),
        ("What is the beavernet paper about?", ""),
        ("What do the beaver dams papers say?", "fg"),
        ("How many turns a day does the wheel make?", ""),
        ("When was the e-mail “The wheel” sent?", "h"),
    ],
)
def test_the_documents_that_a_question_names(question: str, named: str) -> None:
    assert "".join(sorted(document.document_id for document in NAMES.named_in(question))) == named


def test_a_document_that_the_user_names() -> None:
    assert only_one("otternet", NAMES.called("otternet")).document_id == "a"
    assert only_one("macleod", NAMES.called("macleod")).document_id == "b"
    with pytest.raises(UsageError, match="--in dams: 2 documents are called so: Beaver Dams"):
        only_one("dams", NAMES.called("dams"))
    with pytest.raises(UsageError, match="Did you mean: OTTERNET: Swimming Embeddings"):
        only_one("oternet", NAMES.called("oternet"), NAMES.alike("oternet"))
    assert NAMES.alike("") == []
    with pytest.raises(UsageError, match="--in oterneet: no document is called so"):
        only_one("oterneet", NAMES.called("oterneet"))


def test_a_scope_is_the_passages_of_its_documents_and_follows_the_library() -> None:
    indexes = small_library()
    scopes = Scopes(indexes.library)
    scope = scopes.of_question("in the report on the Tarn bridge, who built it?")
    assert scope is not None and scope.titles == ("The Tarn Bridge",)
    passages = indexes.library.passages_numbered(scope.numbers).values()
    assert {each.title for each in passages} == {"The Tarn Bridge"} and len(scope.numbers) == 3
    by_id = scopes.chosen([scope.documents[0].document_id[:8]])
    assert by_id is not None and by_id.numbers == scope.numbers and by_id.chosen
    assert scopes.chosen([]) is None and scopes.of_documents(["gone"]) is None


def test_an_abstention_says_that_one_document_was_searched() -> None:
    indexes = small_library()
    scope = Scopes(indexes.library).chosen(["tarn"])
    made = replace(
        pipeline(ScriptedReader("It is not mentioned in the passages.")), retriever=indexes.retriever("bm25")
    )
    *_, answer = ask("How long is the span?", made, 3, scope=scope)
    assert isinstance(answer, Answer) and answer.abstained
    assert "Searched: The Tarn Bridge (3 passages)." in answer.answer
    assert {hit.passage.title for hit in answer.evidence} == {"The Tarn Bridge"}


def test_a_follow_up_is_about_what_was_cited_before() -> None:
    indexes = small_library()
    scopes = Scopes(indexes.library)
    bridge = scopes.chosen(["tarn"])
    assert bridge is not None
    turns = [PastTurn("Who opened the Tarn bridge?", "Clyde Foundry", (bridge.documents[0].document_id,))]
    reader = ScriptedReader("When was the Tarn bridge opened?")
    understood = understand("When was it opened?", turns, reader, scopes)
    assert understood.question == "When was the Tarn bridge opened?" and understood.scope is not None
    assert understood.scope.titles == ("The Tarn Bridge",)
    # one that stands by itself is asked as it is, of everything
    alone = understand("What do carrots need?", turns, reader, scopes)
    assert (alone.question, alone.scope) == ("What do carrots need?", None)
    # a rewriting that says something else is not taken
    behind = understand("When was it opened?", turns, ScriptedReader("Who sells carrots?"), scopes)
    asked_after = "This is asked after “Who opened the Tarn bridge?”, which was answered “Clyde Foundry”."
    assert behind.question == f"When was it opened? ({asked_after})"
    # a turn without citations is about the document that its words find
    found = understand(
        "When was it opened?", [PastTurn("Who opened the Tarn bridge?", "Clyde Foundry")], reader, scopes,
        indexes.retriever("bm25"),
    )  # fmt: skip
    assert found.scope is not None and found.scope.titles == ("The Tarn Bridge",)


def test_a_turn_keeps_what_the_reader_wrote_alone() -> None:
    """Not the quotes and parts below it: they would be taken for what was said, and crowd out the answer."""
    told = [
        AnswerSentence("It spans the Tarn.", (), 0.0),
        AnswerSentence("It opened in 1900.", (), 1.0, item=True),
        AnswerSentence("The bridge was opened by the mayor.", (), 1.0, item=True, heading=QUOTED),
        AnswerSentence("Piers were sunk first.", (), 1.0, item=True, heading=BY_PART),
    ]
    text, citations, statements = cite_sentences(told, lambda quote, number: pytest.fail("no quote is cited"))
    answer = Answer("What is it?", text, False, (), citations, (), None, "", "", statements=statements)
    assert PastTurn.of(answer).answer == "It spans the Tarn.\n- It opened in 1900."
    assert PastTurn.of(replace(answer, abstained=True)).answer == ""


def test_a_long_conversation_costs_no_more_than_a_short_one() -> None:
    scopes = Scopes(small_library().library)
    asked = []
    for turns in (2, 200):
        reader = ScriptedReader("When was the Tarn bridge opened?")
        understand(
            "When was it opened?", [PastTurn("Who opened the Tarn bridge?", "Clyde Foundry")] * turns, reader, scopes
        )
        asked.append(reader.asked)
    assert asked[0] == asked[1] and len(asked[0]) == 1


def test_a_conversation_is_kept_in_a_file(tmp_path: Path) -> None:
    file = tmp_path / "talk.json"
    assert read_turns(file) == []
    first, second = PastTurn("Who?", "Ada “Lind”", ("d1",)), PastTurn("When?", "")
    append_turn(file, [], first)
    append_turn(file, read_turns(file), second)
    assert read_turns(file) == [first, second]
    assert [set(turn) for turn in json.loads(file.read_text())] == [{"question", "answer", "documents"}] * 2
    file.write_text('[{"question": "Who?", "answer": "Ada"}]')
    assert read_turns(file) == [PastTurn("Who?", "Ada")]
    for wrong in ("{", '{"question": "Who?"}', "[1]", '[{"answer": "x"}]'):
        file.write_text(wrong)
        with pytest.raises(DataError, match="is no conversation"):
            read_turns(file)


@pytest.mark.slow
def test_the_command_keeps_to_a_document_and_goes_on_with_a_conversation(tmp_path: Path, glossator: Run) -> None:
    library = ["--library", small_library().library.folder, "--json"]
    begin = ["--set", LIGHT_READER, "ask"]
    talk = tmp_path / "talk.json"
    one = glossator(*begin, "Who opened the Tarn bridge?", "--conversation", talk, "--in", "tarn", *library)
    assert one.returncode == 0, one.stderr
    assert json.loads(one.stdout)["scope"] == ["The Tarn Bridge"] and len(json.loads(talk.read_text())) == 1
    told = glossator(*begin, "Why is the garden so sunny?", "--in", "nowhere", *library)
    assert (told.returncode, told.stdout) == (2, "") and "--in nowhere: no document is called so" in told.stderr
    talk.write_text("[")
    wrong = glossator(*begin, "Who opened it?", "--conversation", talk, *library)
    assert (wrong.returncode, wrong.stdout) == (1, "") and "is no conversation" in wrong.stderr
    style = glossator(*begin, "Who opened it?", "--style", "poem", *library)
    assert (style.returncode, style.stdout) == (2, "") and "--style poem" in style.stderr
