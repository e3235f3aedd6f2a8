"""rag/read/instant_answer.py: the answer that is marked before the reader begins, and the reading model alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.answer import Evidence, Token, ask
from rag.errors import ModelError, UsageError
from rag.index.manager import Indexes
from rag.llm.chat import NoReader
from rag.models.registry import SHIPPED
from rag.pipeline import Pipeline, build_pipeline
from rag.read.instant_answer import mark_answer, quote_around
from rag.records import Answer, Hit, MarkedAnswer, Note
from rag.settings import load_settings
from rag.span.span_model import SpanModel
from rag.span.windows import PairTokenizer, WindowSizes
from tests.parts import passage, small_library
from tests.test_answer import HITS, QUESTION, ScriptedReader
from tests.test_answer import pipeline as without_model
from ui.cli.text import answer_text
from ui.web.api.answer_view import answer_view, marked_view
from ui.wording import marked_text

TOKENIZER = PairTokenizer(SHIPPED / "glossator-sparse", WindowSizes())


def looking_for(words: str, yes: float = -9.0, score: float = 9.0) -> SpanModel:
    """A model that gives a text's first and last word so high a score, and all else none; "not here" has 5."""
    [pieces] = TOKENIZER.pieces([words])

    def outputs(ids: Any, types: Any, real: Any) -> tuple[Any, ...]:
        spans = np.full((*ids.shape, 2), -9, dtype=np.float32)
        for column, token in enumerate((pieces.ids[0], pieces.ids[-1]) if words else ()):
            spans[..., column][ids == token] = score
        heads = np.tile(np.asarray([yes, -9, 5, 0], dtype=np.float32), (len(ids), 1))
        return spans, heads, np.zeros((len(ids), 3), dtype=np.float32)

    return SpanModel(outputs, TOKENIZER)


def pipeline(model: SpanModel, reader: Any, *overrides: str, hits: Sequence[Hit] = HITS) -> Pipeline:
    return replace(without_model(reader, hits, *overrides), span_model=lambda: model)


def last(events: Sequence[object]) -> Answer:
    assert isinstance(events[-1], Answer)
    return events[-1]


def test_the_answer_is_marked_before_the_reader_begins() -> None:
    reader = ScriptedReader()
    events = ask(QUESTION, pipeline(looking_for("Clyde Foundry"), reader), 5, style="short")
    assert isinstance(next(events), Evidence)
    marked = next(events)
    assert isinstance(marked, MarkedAnswer) and marked.citation is not None and not reader.asked
    assert (marked.text, marked.citation.quote) == ("Clyde Foundry", "The engineer was Clyde Foundry.")
    assert marked.citation.quote[marked.start : marked.end] == "Clyde Foundry"
    assert marked.citation.locator.first_page == 2 and marked.probability > 0.99
    rest = list(events)
    assert isinstance(rest[0], Token) and last(rest).marked == replace(marked, agrees=True)
    assert "The reading model marks the same words (100 % likely)." in answer_text(last(rest))


def test_where_both_differ_both_are_shown() -> None:
    answer = last(list(ask(QUESTION, pipeline(looking_for("1911"), ScriptedReader()), 5)))
    assert answer.answer == "Clyde Foundry [1]" and answer.marked is not None and not answer.marked.agrees
    said = "Another answer is marked in a passage: “1911” in Bridges, page 2 (100 % likely)."
    second = answer_view(answer)["second"]
    assert said in answer_text(answer) and second["text"] == "1911"
    assert second["source"]["quote"] == "It was built in 1911."
    unsure = replace(answer, marked=replace(answer.marked, probability=0.1))
    assert "1911" not in answer_text(unsure) and answer_view(unsure)["second"] is None
    same = replace(answer, marked=replace(answer.marked, probability=0.1, agrees=True))
    assert "reading model" not in answer_text(same)
    percent = MarkedAnswer("46.5%", 0.86, answer.marked.citation)
    assert marked_text(percent) == "“46.5%” in Bridges, page 2 (86 % likely)"


def test_the_page_shows_the_mark_with_its_source() -> None:
    answer = last(list(ask(QUESTION, pipeline(looking_for("1911"), ScriptedReader()), 5)))
    assert answer.marked is not None and answer.marked.citation is not None
    shown = marked_view(answer.marked)
    assert shown and (shown["text"], shown["source"]["place"]) == ("1911", "page 2") and shown["probability"] > 0.99
    assert shown["source"]["quote"] == "It was built in 1911."
    unlikely = replace(answer.marked, probability=0.2)
    assert marked_view(unlikely) is None and marked_text(unlikely) == ""
    assert marked_view(MarkedAnswer("", 0.9, None)) is None and marked_text(MarkedAnswer("", 0.9, None)) == ""


def test_the_reading_model_alone() -> None:
    reader = ScriptedReader()
    events = list(ask(QUESTION, pipeline(looking_for("Clyde Foundry"), reader), 5, strategy="extract"))
    assert [type(event) for event in events] == [Evidence, MarkedAnswer, Token, Note, Answer] and not reader.asked
    answer = last(events)
    assert answer.answer == "Clyde Foundry [1]" and answer.citations[0].quote == "The engineer was Clyde Foundry."
    assert answer.marked is not None and answer.support == answer.marked.probability
    assert [statement.supported for statement in answer.statements] == [True]
    assert "reading model" not in answer_text(replace(answer, tokens={"prompt": 0, "generated": 0}))


def test_what_is_marked_may_be_several_sentences() -> None:
    hits = [Hit(1, 1.0, passage(0, "They sold No. 5. It was Ada. So ends it.", "d1"))]
    parts = replace(pipeline(looking_for("5. It was Ada"), NoReader("marks"), hits=hits))
    answer = last(list(ask("What did they sell?", parts, 5, strategy="extract")))
    assert answer.answer == "5. It was Ada [1]" and len(answer.statements) == 1


def test_a_sentence_that_two_passages_share_is_cited_once() -> None:
    text = "It was built in 1911. The engineer was Clyde Foundry."
    hits = [Hit(1, 0.9, passage(0, text, "d1", start=100)), Hit(2, 0.8, passage(1, text[22:], "d1", start=122))]
    parts = pipeline(looking_for("Clyde Foundry"), NoReader("marks"), hits=hits)
    assert len(last(list(ask(QUESTION, parts, 5, strategy="extract"))).citations) == 1


def test_it_abstains_by_its_own_threshold() -> None:
    nothing = last(list(ask(QUESTION, pipeline(looking_for(""), ScriptedReader()), 5, strategy="extract")))
    assert nothing.abstained and not nothing.citations and nothing.marked is not None and nothing.marked.text == ""
    unsure = looking_for("Clyde Foundry", score=2.7)  # e^5.4 against e^5: it is here, by a little
    for threshold, abstains in ((0.3, False), (0.9, True)):
        parts = pipeline(unsure, ScriptedReader(), f"extract.threshold={threshold}")
        assert last(list(ask(QUESTION, parts, 5, strategy="extract"))).abstained == abstains


def test_yes_stands_in_the_sentence_that_is_nearest_to_the_question() -> None:
    parts = pipeline(looking_for("", yes=9.0), ScriptedReader())
    answer = last(list(ask("Was Clyde Foundry the engineer?", parts, 5, strategy="extract")))
    assert answer.answer.startswith("yes") and answer.citations[0].quote == "The engineer was Clyde Foundry."
    assert answer.marked is not None and (answer.marked.start, answer.marked.end) == (0, 0)


def test_what_is_asked_for_in_vain() -> None:
    with pytest.raises(UsageError, match="--reader extract marks a phrase"):
        next(ask(QUESTION, pipeline(looking_for("x"), ScriptedReader()), 5, strategy="extract", style="explain"))
    with pytest.raises(UsageError, match=r"Set extract\.model"):
        next(ask(QUESTION, without_model(ScriptedReader()), 5, strategy="extract"))


def test_alone_it_opens_no_language_model() -> None:
    settings = load_settings(["reader.model=nowhere.gguf"])
    made = build_pipeline(Indexes(small_library().library, settings), "bm25", strategy="extract")
    assert made.reader.name == "glossator-reader" and not made.reader.judges


def test_without_the_language_model_it_says_what_answers_without_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GLOSSATOR_MODELS", str(tmp_path))
    with pytest.raises(
        ModelError, match=r"glossator models fetch qwen2\.5-coder-1\.5b.*; or ask without it: --reader ext"
    ):
        build_pipeline(Indexes(small_library().library, load_settings()), "bm25")


@given(st.text(alphabet="ab .\n", max_size=60), st.data())
def test_a_quote_holds_what_is_marked(text: str, data: st.DataObject) -> None:
    """In whole sentences of the passage, and of a table in its rows."""
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, len(text)))
    for kind in ("text", "table"):
        quote = quote_around(Hit(1, 1.0, replace(passage(0, text), kind=kind)), start, end)
        assert quote.start <= start and end <= quote.end <= len(text)


def test_a_table_is_read_row_by_row_and_marked_where_the_answer_stands() -> None:
    text = "Boat: Heron; Crew: fourteen\nBoat: Gannet; Crew: many\nBoat: Petrel; Crew: nine"
    table = replace(passage(0, text), kind="table")
    mark = mark_answer("Who?", [Hit(1, 1.0, passage(0, "No boat.", "e")), Hit(2, 0.9, table)], looking_for("many"))
    assert mark.quote is not None and text[mark.start : mark.end] == mark.text == "many"
    assert mark.quote.text == "Boat: Gannet; Crew: many" and mark.quote.hit.rank == 2
    asked = list[int]()

    class Counting(SpanModel):
        def scores(self, windows: Sequence[Any]) -> Any:
            asked.append(len(windows))
            return super().scores(windows)

    model = looking_for("many")
    mark_answer("Who?", [Hit(1, 1.0, table)], Counting(model.outputs, TOKENIZER))
    assert asked == [3]


def test_a_passage_of_blanks_is_marked_nowhere() -> None:
    hits = [Hit(1, 1.0, passage(0, " ")), Hit(2, 0.5, passage(1, ""))]
    assert mark_answer(QUESTION, hits, looking_for("Clyde Foundry")).quote is None
    assert mark_answer(QUESTION, [], looking_for("Clyde Foundry")).text == ""
    assert mark_answer(QUESTION, hits, looking_for("", yes=9.0)).text == "yes"
