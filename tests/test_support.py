"""rag/read/support.py: an answer's sentences, each by what it cites; a judge in place of the reader."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.llm.chat import Messages, Usage
from rag.read.quotes import Quote
from rag.read.support import declines, statements, support_score, unmentioned
from rag.records import Hit, Statement
from tests.parts import passage

BRIDGE = Hit(1, 0.9, passage(0, "The bridge was built in 1911.", "d1", title="Bridge"))
MILL = Hit(2, 0.5, passage(0, "The mill grinds flour.", "d2", title="Mill"))
QUOTES = [Quote(BRIDGE, 0, 29, True, 2.0), Quote(MILL, 0, 22, False, 0.5)]


class Reader:
    """Sure of what names a year that its text has."""

    judges = True

    def __init__(self) -> None:
        self.asked: list[str] = []

    def yes_probability(self, messages: Messages, usage: Usage | None = None, goes_on: bool = False) -> float:
        self.asked.append(messages[-1][1])
        text, _, claim = self.asked[-1].partition("Claim:")
        return 0.9 if "1911" in text and "1911" in claim else 0.2


def stated(cited: str, support: float | None = 0.7, **more: object) -> tuple[tuple[Statement, ...], Reader]:
    reader = Reader()
    return statements(reader, cited, QUOTES, support, 0.5, Usage(), **more), reader  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("question", "names"),
    [
        ("Who built the Tarn Bridge?", []),
        ("Which Tarn Bridges are there?", []),  # a letter or two
        ("Who built the Orm Viaduct near Upper Tarn?", ["Orm Viaduct", "Upper Tarn"]),  # half of a name is not enough
        ("Did Robert Fenwick Moor build a bridge?", ["Robert Fenwick Moor"]),
        ("In Robert Moor's book, what was built?", ["Robert Moor's"]),
        ("Was Moor there?", []),  # of one word
        ("How much did Mrs Tarn get?", []),  # a form of address is no half of a name
        ("What did Prof. Dr. Moor build?", []),
        ("What did Mrs Ada Moor build?", ["Ada Moor"]),
        ("Welche Brücke ist alt?", []),
        ("", []),
    ],
)
def test_names_of_which_nothing_is_said_are_told(question: str, names: list[str]) -> None:
    bridge = Hit(1, 0.9, passage(0, "The bridge over the Tarn was built in 1911.", "d1", title="Tarn Bridge"))
    assert unmentioned(question, [bridge, MILL]) == names


def test_what_the_evidence_does_not_speak_of_has_no_support_and_costs_no_call() -> None:
    reader = Reader()
    given = (reader, "Who built the Orm Viaduct?", [BRIDGE], "1911", QUOTES[:1], Usage())
    assert support_score(*given) == 0.0 and not reader.asked  # type: ignore[arg-type]
    told = Hit(1, 0.9, passage(0, "The Orm viaduct was built in 1911.", "d1", title="Bridge"))
    assert support_score(given[0], given[1], [told], *given[3:]) > 0 and reader.asked  # type: ignore[arg-type]


@given(
    st.lists(st.sampled_from("Orm Tarn Ys Upper Moor Fenwick Bridge".split()), min_size=2, max_size=4),
    st.text(max_size=20),
)
def test_a_name_that_stands_in_the_evidence_is_spoken_of(name: list[str], more: str) -> None:
    text = f"{more} {' '.join(name)} {more}"
    assert unmentioned(f"Who built {' '.join(name)}?", [Hit(1, 1.0, passage(0, text, "d1"))]) == []


def test_an_answer_of_one_sentence_has_the_support_it_was_given() -> None:
    found, reader = stated("1911 [1]")
    assert found == (Statement(0, 8, 0.7, True),) and reader.asked == []
    assert stated("1911 [1]", 0.4)[0] == (Statement(0, 8, 0.4, False),)


def test_what_was_not_asked_for_is_not_there() -> None:
    assert stated("1911 [1]", None)[0] == () and stated("")[0] == ()


def test_each_of_several_sentences_is_asked_about_with_what_it_cites() -> None:
    cited = "The bridge is from 1911 [1]. The mill is from 1911 [2]."
    found, reader = stated(cited)
    assert [cited[statement.start : statement.end].strip() for statement in found] == [
        "The bridge is from 1911 [1].", "The mill is from 1911 [2]."
    ]  # fmt: skip
    assert [statement.supported for statement in found] == [True, False]
    assert "flour" not in reader.asked[0] and "flour" in reader.asked[1]
    assert "[1]" not in reader.asked[0], "the claim is the sentence without its markers"


def test_a_sentence_that_cites_nothing_is_asked_about_with_all_quotes() -> None:
    _, reader = stated("The bridge is old. The mill is too [2].")
    assert "1911" in reader.asked[0] and "flour" in reader.asked[0]


def test_a_judge_takes_the_readers_place() -> None:
    asked: list[tuple[str, str]] = []

    def judge(premises: Sequence[str], hypotheses: Sequence[str]) -> list[float]:
        asked.extend(zip(premises, hypotheses, strict=True))
        return [0.25] * len(premises)

    reader = Reader()
    score = support_score(reader, "Which year?", [BRIDGE], "1911", QUOTES, Usage(), judge=judge)  # type: ignore[arg-type]
    assert score == 0.25 and reader.asked == []
    assert asked[0][0].startswith("Bridge: The bridge was built in 1911.")
    assert asked[0][1] == '1911 is the answer to the question:"Which year?"'
    found, reader = stated("It is old [1]. It is red [2].", judge=judge)
    assert [statement.support for statement in found] == [0.25, 0.25] and reader.asked == []


@pytest.mark.parametrize("half", ["\ud83d", "a. \udc00 b. c."])
def test_half_a_character_breaks_nothing(half: str) -> None:
    assert all(0 <= statement.start < statement.end <= len(half) for statement in stated(half)[0])


@pytest.mark.parametrize(
    "draft",
    [
        "",
        " . ",
        "Unknown.",
        "N/A",
        "Not mentioned",
        "Not mentioned. The passages are about trees.",
        "not in the passages",
        "Not provided in the given passages",
        "It is not stated in the passages",
        "It is not explicitly stated in any of the passages.",
        "It cannot be determined from the passages.",
        "The answer is not given in the text",
        "The answer is unknown.",
        "This question cannot be answered from the text.",
        "The name of the ship is not given in the passages.",
        "The passages do not mention it.",
        "The provided text doesn't say when it was built.",
        "Passage 1 does not say.",
        "None of the passages mention a year.",
        "No information",
        "No relevant information is given.",
        "No evidence in the passages",
        "There is not enough information to answer.",
        "I don't have enough information",
        "I don't know",
        "I do not know the answer.",
        "I cannot answer the question from the passages.",
        "I can't find it in the text.",
    ],
)
def test_a_reply_that_the_answer_is_missing_is_no_answer(draft: str) -> None:
    assert declines(draft)


@pytest.mark.attack
@pytest.mark.parametrize(
    "draft",
    [
        "No",
        "No evidence of violation",
        "No, as the passages say",
        "There is no violation of Article 8",
        "There is no limit",
        "not found guilty",
        "The applicant was not found guilty",
        "Not given a fair trial",
        "He was not given access to a lawyer",
        "Not provided with a lawyer",
        "not provided by the State",
        "No information was provided to the applicant",
        "no answer was received from the Government",
        "No reasons were given for the decision",
        "No evidence was found against him",
        "not enough evidence to convict",
        "There is no question of law",
        "Not mentioned in the will",
        "Not found in Europe",
        "The body was not found in the river",
        "not available in the United States",
        "not included in the price",
        "not known for her singing",
        "unknown to the police",
        "The Unknown Soldier",
        "No Country for Old Men",
        "Not Without My Daughter",
        "None but the Brave",
        "None of them",
        "Nothing",
        "It is not a planet",
        "It does not contain sugar",
        "They did not answer the door",
        "the police did not say",
        "The evidence was not given under oath",
        "I can't swim",
        "I cannot say goodbye",
        "I Can't Help Myself",
        "I don't want to go",
        "I do not have a car",
    ],
)
def test_an_answer_with_a_no_in_it_is_an_answer(draft: str) -> None:
    assert not declines(draft) and not declines(f"{draft}.")


@given(
    st.sampled_from(["It", "The answer", "The year of her birth", "This information"]),
    st.sampled_from(["mentioned", "stated", "specified"]),
    st.sampled_from(["the passages", "the text", "the given documents", "either of the passages"]),
    st.text(max_size=30),
)
def test_what_is_missing_in_the_evidence_is_missing_whatever_follows(
    subject: str, verb: str, where: str, more: str
) -> None:
    assert declines(f"{subject} is not {verb} in {where}. {more}")
    assert not declines(f"{subject} is not {verb} in the will")
