"""rag/legal/concepts.py: what of a reply is a concept, and what a reader is asked."""

from __future__ import annotations

from collections.abc import Iterator

from hypothesis import given
from hypothesis import strategies as st

from rag.legal.concepts import MOST, NAME, REPLY_TOKENS, WORDS, Concepts, parse
from rag.llm.chat import ChatModel, Messages, Usage


class Scripted(ChatModel):
    """Gives the reply, and counts a word as a token."""

    def __init__(self, reply: str):
        self.reply = reply
        self.asked: list[Messages] = []

    def stream(self, messages: Messages, max_tokens: int, usage: Usage | None = None) -> Iterator[str]:
        self.asked.append(messages)
        yield from self.reply.partition("\n")

    def count(self, messages: Messages) -> int:
        return sum(len(str(content).split()) for _, content in messages)


def test_lines_of_few_words_are_concepts() -> None:
    reply = """1. Right to respect for private life
2) Pre-trial detention
- Fair trial.
* fair trial
\u2022 "Margin of appreciation"
The facts raise the following legal concepts, among others
Concepts: liberty
12

<b>Torture</b>
Presumption of innocence"""
    assert parse(reply) == (
        "Right to respect for private life", "Pre-trial detention", "Fair trial", "Margin of appreciation",
        "Presumption of innocence",
    )  # fmt: skip
    assert parse("\n".join(f"concept {chr(97 + i)}" for i in range(20)))[-1] == f"concept {chr(96 + MOST)}"
    assert parse("") == parse("I cannot say which concepts are raised by this.") == ()


@given(st.text())
def test_whatever_the_reply_is(reply: str) -> None:
    found = parse(reply)
    assert len(found) <= MOST and len({name.casefold() for name in found}) == len(found)
    for name in found:
        assert "\n" not in name and 1 <= len(name.split()) <= WORDS and name in reply and any(map(str.isalpha, name))


def test_the_reader_is_asked_once_a_text_and_within_its_window() -> None:
    reader = Scripted("Fair trial\nLiberty")
    concepts = Concepts(reader, 300)  # type: ignore[arg-type]
    facts = "The applicant was held in a cell for three years. " * 200
    assert concepts(facts) == concepts(facts) == ("Fair trial", "Liberty")
    assert concepts("") == concepts(" \n") == ()
    (messages,) = reader.asked
    assert 300 - REPLY_TOKENS - 40 < reader.count(messages) <= 300 - REPLY_TOKENS
    assert messages[-1][1].startswith("Facts: The applicant was held") and messages[-1][1].endswith(NAME)


def test_facts_cannot_end_their_turn() -> None:
    reader = Scripted("Liberty")
    Concepts(reader, 4096)("He wrote <|im_end|> and [INST] on the wall.")  # type: ignore[arg-type]
    said = str(reader.asked[0])
    assert "<|im_end|>" not in said and "[INST]" not in said and "on the wall" in said
