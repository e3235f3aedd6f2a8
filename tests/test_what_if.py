"""rag/attribute/what_if.py and what_if: the edit, its kind, and an answer that flips iff what decides it is edited."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.attribute.what_if import Span, decisive, edited, random_span, replacement, sentence_around, spans
from rag.explain import what_if
from rag.llm.chat import Messages, Usage
from rag.locator import FIRST_PAGE
from rag.read.match import fold
from rag.records import Answer, Citation, Hit, Passage, WhatIf
from tests.test_answer import ScriptedReader, pipeline
from ui.wording import what_if_sentences

MILL = "The Kolm mill was built in 1911 by Ada Lind with 40 men. It burnt down on 12 May 1934."
OTHER = "Berta Rask bought the Vesla quarry in 1920 for 3,500 crowns."


def hit(rank: int, text: str, title: str = "Mills") -> Hit:
    return Hit(rank, 1.0, Passage(f"d{rank}#0", f"d{rank}", title, "", text, 0, len(text)))


HITS = [hit(1, MILL), hit(2, OTHER, "Quarries")]


def citation(of: Hit, quote: str) -> Citation:
    start = of.passage.text.index(quote)
    return Citation("[1]", of.passage.passage_id, of.passage.document_id, "", of.passage.title, FIRST_PAGE, quote,
                    start, start + len(quote))  # fmt: skip


def answer(text: str, *citations: Citation, question: str = "When was the Kolm mill built?") -> Answer:
    return Answer(question, f"{text} [1]", False, (), citations, tuple(HITS), 0.9, "scripted", "")


def test_dates_numbers_and_names_are_told_apart() -> None:
    assert [(span.kind, span.text) for span in spans(HITS[0])] == [
        ("name", "Kolm"), ("date", "1911"),
        ("name", "Ada Lind"), ("number", "40"), ("date", "12 May 1934"),
    ]  # fmt: skip
    assert [span.text for span in spans(HITS[1])] == ["Berta Rask", "Vesla", "1920", "3,500"]
    assert [span.text for span in spans(hit(1, "It was. Then he left, said Nils."))] == ["Nils"]


@given(st.sampled_from(["1911", "3 May 1920", "May 12, 1999", "7 June", "40", "3,500", "2.5", "9", "Ada Lind", "Oslo"]))
def test_what_is_put_in_is_another_of_its_kind_that_the_evidence_lacks(words: str) -> None:
    text = f"They say {words} and more."
    (span,) = [span for span in spans(hit(1, text)) if span.text == words]
    new = replacement(span, [hit(1, text), HITS[1]])
    assert fold(new) != fold(words) and new not in text
    (again,) = [other for other in spans(hit(1, f"They say {new} and more.")) if other.text == new]
    assert again.kind == span.kind and len(new.split()) == len(words.split())
    if span.kind == "number":
        assert re.sub(r"\d", "0", new) == re.sub(r"\d", "0", words)


def test_the_edit_is_made_wherever_the_words_stand_and_nowhere_else() -> None:
    date = next(span for span in spans(HITS[0]) if span.text == "12 May 1934")
    hits = [HITS[0], hit(2, "In 1934 it burnt; 19345 stays.", "The fire of 1934")]
    first, second = edited(hits, date, "12 May 1957")
    assert first.passage.text == MILL.replace("1934", "1957")
    assert second.passage.text == "In 1957 it burnt; 19345 stays." and second.passage.title == "The fire of 1957"
    name = next(span for span in spans(HITS[0]) if span.text == "Ada Lind")
    (changed,) = edited([hit(1, "Ada Lind came. Lind left. Linda stayed.")], name, "Berta Rask")
    assert changed.passage.text == "Berta Rask came. Rask left. Linda stayed."
    assert hits[0].passage.text == MILL  # a copy


def test_what_decides_is_what_the_answer_says_in_its_quote() -> None:
    cited = citation(HITS[0], "The Kolm mill was built in 1911 by Ada Lind with 40 men.")
    assert decisive("1911", [cited], HITS, None)[0].text == "1911"
    assert decisive("Ada Lind", [cited], HITS, None)[0].text == "Ada Lind"
    assert {span.text for span in decisive("yes", [cited], HITS, None)} == {"Kolm", "1911", "Ada Lind", "40"}
    assert decisive("1911", [], HITS, None) == []
    year = decisive("1911", [cited], HITS, None)[0]
    control = random_span(year, HITS, "When?")
    assert control is not None and control.kind == "date" and control.text in ("12 May 1934", "1920")
    assert random_span(year, [hit(1, "Built in 1911.")], "When?") is None


class FromText(ScriptedReader):
    """Says the year that stands behind "built in", 1900 where it reads none, or what it has from memory."""

    def __init__(self, memory: str = ""):
        super().__init__()
        self.memory = memory

    def stream(
        self, messages: Messages, max_tokens: int, usage: Usage | None = None, stop: Sequence[str] = ()
    ) -> Iterator[str]:
        self.asked.append(("stream", messages, max_tokens))
        found = re.search(r"built in (\d{4})", messages[-1][1])
        yield self.memory or (found[1] if found else "unknown")


def told(reader: ScriptedReader, of: Answer) -> WhatIf:
    found = what_if(of, pipeline(reader, HITS, "reader.rules="), "direct").what_if
    assert found is not None
    return found


def test_the_answer_flips_iff_what_decides_it_is_edited() -> None:
    cited = citation(HITS[0], "The Kolm mill was built in 1911 by Ada Lind with 40 men.")
    reader = FromText()
    found = told(reader, answer("1911", cited))
    assert [(change.decisive, change.flipped) for change in found.changes] == [(True, True), (False, False)]
    first = found.changes[0]
    assert (first.old, first.new, first.answer) == ("1911", "1934", "1934") or first.answer == first.new
    assert first.after == first.before.replace("1911", first.new) and MILL[first.start : first.end] == "1911"
    assert found.from_memory is None and found.readings == len(reader.asked) == 3
    assert what_if_sentences(found)[0] == f"With “{first.new}” for “1911” the answer becomes “{first.new}”."


def test_an_answer_from_memory_stays_and_is_said_to_be_from_memory() -> None:
    cited = citation(HITS[0], "The Kolm mill was built in 1911 by Ada Lind with 40 men.")
    found = told(FromText("1911"), answer("1911", cited))
    assert not any(change.flipped for change in found.changes) and found.from_memory == "1911"
    assert what_if_sentences(found)[-1] == "It stays: the reader has it from memory." and found.readings <= 6


def test_without_anything_to_change_and_of_an_abstention_nothing_is_asked() -> None:
    reader = FromText()
    found = told(reader, answer("yes"))
    assert found.changes == () and reader.asked == [] and "Nothing was changed" in what_if_sentences(found)[0]
    silent = replace(answer("x"), abstained=True)
    assert what_if(silent, pipeline(reader, HITS), "direct").what_if is None


def test_the_words_around_are_the_sentence() -> None:
    assert sentence_around(MILL, "40") == "The Kolm mill was built in 1911 by Ada Lind with 40 men."
    assert sentence_around(MILL, "12 May") == "It burnt down on 12 May 1934."
    assert len(sentence_around("word " * 500 + "here", "here")) <= 240


@pytest.mark.parametrize("text", ["", "1", "12 May", "the of"])
def test_odd_texts_have_few_spans(text: str) -> None:
    assert all(isinstance(span, Span) and span.text in text for span in spans(hit(1, text or " ")))
