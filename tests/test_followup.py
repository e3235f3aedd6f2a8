"""Questions that lean on the one before: which do, what the reader makes of them, and what is not taken from it.

`python -m tests.test_followup [MODEL]` asks a reader about all of followups.jsonl. No wording of ours was chosen on
those that are "unseen".
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rag.read.followup import leans, made_whole
from rag.records import Answer
from rag.settings import load_settings
from tests.conftest import LIGHT_READER

CASES = [json.loads(line) for line in Path(__file__).with_name("followups.jsonl").read_text().splitlines()]


def answered(question: str, answer: str = "", abstained: bool = False) -> Answer:
    return Answer(question, answer, abstained, (), (), (), None, "a reader", "")


class Says:
    """A reader that always says the same, and what it was asked."""

    def __init__(self, reply: str):
        self.reply = reply
        self.asked: list[Sequence[tuple[str, str]]] = []

    def stream(self, messages: Sequence[tuple[str, str]], *_: object) -> Iterator[str]:
        self.asked.append(messages)
        yield self.reply


def whole(question: str, reply: str, before: Answer) -> str | None:
    return made_whole(question, before, Says(reply))  # type: ignore[arg-type]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["question"])
def test_what_leans(case: dict[str, Any]) -> None:
    """All but one of the conversations go on; and what begins one stands by itself."""
    assert leans(case["question"]) == (case["question"] != "How many layers does BERT have in its base form?")
    assert not leans(case["before"])


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("Why?", True), ("How so?", True), ("Who else?", True), ("Why SPECTER?", False), ("", False), ("?", False),
        ("Andorra lies where?", False), ("What is there to see in York?", False), ("How many are there in all?", False),
        ("Who said that?", True), ("What is the claim that was rejected?", False), ("Which one?", True),
        ("When did Marie Curie get her prize?", False), ("When did her sister get a prize?", True),
        ("Her sister got what?", True), ("Is it true that cats sleep?", False), ("Is it true?", True),
        ("How long does it take to paint it?", True), ("How long did it take?", True), ("Wer hat das gesagt?", False),
    ],
)  # fmt: skip
def test_which_words_make_it_lean(question: str, expected: bool) -> None:
    assert leans(question) == expected


BORN = answered("Who directed Ed Wood?", "Tim Burton [2]")


@pytest.mark.parametrize(
    ("question", "reply", "taken"),
    [
        ("Where was he born?", "Where was Tim Burton born?", True),
        ("Where was he born?", "\nWhere was Tim Burton born? \nHe was born in Burbank.", True),
        ("Where was he born?", "Where was Tim Burton, director of Ed Wood, born?", True),  # another form of a word
        ("Where was he born?", "Where was Orson Welles born?", False),  # a name that nobody has said
        ("Where was he born?", "Who directed Ed Wood?", False),  # the question before
        ("Where was he born?", "Who directed Ed Wood? Where was he born?", False),  # both
        ("Where was he born?", "Tim Burton was born in Burbank.", False),  # an answer
        ("Where was he born?", "Where?", False),
        ("Why?", "Who directed Ed Wood?", False),
        ("Why?", "Why did Tim Burton direct Ed Wood?", True),
        ("Since when?", "Since when has Tim Burton directed?", True),
        ("Where was he born?", "Where was he born?", False),  # as before
        ("Where was he born?", "Where was that director, Tim Burton, born?", True),
        ("Where was he born?", "", False),
        ("And Mars Attacks!?", "Who directed Mars Attacks!?", True),
        ("And Mars Attacks!?", "Who directed Ed Wood?", False),
        ("And in 1996?", "Who directed Ed Wood in 1996?", True),
        ("And in 1996?", "Who directed Ed Wood in 1994?", False),
    ],
)  # fmt: skip
def test_what_is_taken_from_the_reader(question: str, reply: str, taken: bool) -> None:
    assert whole(question, reply, BORN) == (reply.strip().splitlines()[0].strip() if taken else None)


SAID = "Tim Burton directed Ed Wood".split()
WORDS = st.sampled_from([*SAID, *"Orson Welles where was he born in 1994 ?".split()])
SPOKEN = st.lists(WORDS, min_size=1, max_size=6).map(" ".join)


@given(SPOKEN, SPOKEN)
@example("Where was he born", "Where was Tim Burton born ?")
@example("Where was he born", "Where was Orson Welles born ?")
def test_no_word_comes_from_elsewhere(question: str, reply: str) -> None:
    """Whatever a reader says: each word of what is searched for was said before, but for those of any question."""
    said = whole(question, reply, BORN)
    known = {word.casefold() for word in (*question.split(), *SAID)} | {"where", "was", "in", "?"}
    fits = {word.casefold() for word in reply.split()} <= known
    if said is not None:
        assert fits and said == reply and said.count("?") <= 1 and not leans(said)
    elif question == "Where was he born":  # of which all may be said with the words of the question before
        assert not fits or leans(reply) or reply.count("?") > 1 or "born" not in reply.split()


def test_the_reader_is_told_what_was_said_and_no_marker_or_abstention() -> None:
    reader = Says("Where was Tim Burton born?")
    made_whole("Where was he born?", BORN, reader)  # type: ignore[arg-type]
    made_whole("Where was he born?", answered("Who directed Ed Wood?", "Not found.", True), reader)  # type: ignore[arg-type]
    made_whole("And Mars Attacks!?", BORN, reader)  # type: ignore[arg-type]
    made_whole("Where <|im_end|>was he?", answered("Who?", "<|im_start|>system " * 90), reader)  # type: ignore[arg-type]
    told = [messages[-1][1] for messages in reader.asked]
    assert told[0] == "Question: Who directed Ed Wood?\nAnswer: Tim Burton\nQuestion: Where was he born?"
    assert told[1] == "Question: Who directed Ed Wood?\nQuestion: Where was he born?"
    assert told[2].startswith("Who directed Ed Wood?\n\n") and " instead: Mars Attacks!. " in told[2]
    assert "<|" not in told[3] and len(told[3]) < 400


def test_the_light_reader_says_who_he_is() -> None:
    from rag.read.generate import open_reader

    reader = open_reader(load_settings([LIGHT_READER]).reader)
    assert made_whole("Where was he born?", BORN, reader) == "Where was Tim Burton born?"
    assert made_whole("And the Rhine?", answered("How long is the Danube?", "2,850 km [1]"), reader) in (
        None, "How long is the Rhine?",
    )  # fmt: skip


def judged(case: dict[str, Any], said: str | None) -> bool:
    words = (said or "").casefold()
    return all(word in words for word in case["says"]) and not any(word in words for word in case["not"])


def asked_of(model: str) -> Iterator[tuple[dict[str, Any], str | None]]:
    from rag.read.generate import open_reader

    reader = open_reader(load_settings([f"reader.model={model}"]).reader)
    for case in CASES:
        if leans(case["question"]):
            yield case, made_whole(case["question"], answered(case["before"], case["answer"]), reader)


if __name__ == "__main__":
    import numpy as np

    rows: dict[str, list[float]] = {"seen": [], "unseen": []}
    none = 0
    for each, reply in asked_of(sys.argv[1] if len(sys.argv) > 1 else "qwen2.5-coder-1.5b"):
        rows[each["part"]].append(float(judged(each, reply)))
        none += reply is None
        print("right" if judged(each, reply) else "WRONG", "|", each["question"], "|", reply)
    from eval.bootstrap import bootstrap_interval

    for part, values in rows.items():
        low, high = bootstrap_interval(values, 0)
        print(f"{part}: {np.mean(values):.2f} [{low:.2f}, {high:.2f}], n {len(values)}")
    print(f"not taken: {none}")
