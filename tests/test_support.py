"""rag/read/support.py: an answer's sentences, each by what it cites; a judge in place of the reader."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from rag.read.generate import Messages, Usage
from rag.read.quotes import Quote
from rag.read.support import statements, support_score
from rag.records import Hit, Statement
from tests.parts import passage

BRIDGE = Hit(1, 0.9, passage(0, "The bridge was built in 1911.", "d1", title="Bridge"))
MILL = Hit(2, 0.5, passage(0, "The mill grinds flour.", "d2", title="Mill"))
QUOTES = [Quote(BRIDGE, 0, 29, True, 2.0), Quote(MILL, 0, 22, False, 0.5)]


class Reader:
    """Sure of what names a year that its text has."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def yes_probability(self, messages: Messages, usage: Usage | None = None, goes_on: bool = False) -> float:
        self.asked.append(messages[-1][1])
        text, _, claim = self.asked[-1].partition("Claim:")
        return 0.9 if "1911" in text and "1911" in claim else 0.2


def stated(cited: str, support: float | None = 0.7, **more: object) -> tuple[tuple[Statement, ...], Reader]:
    reader = Reader()
    return statements(reader, cited, QUOTES, support, 0.5, Usage(), **more), reader  # type: ignore[arg-type]


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
