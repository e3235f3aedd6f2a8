"""rag/attribute/estimate.py: the reading model's leave-one-out, against reading everything again each time."""

from __future__ import annotations

import pytest

from rag.attribute.estimate import SAID, estimate
from rag.attribute.players import clauses, disjoint, without
from rag.read.instant_answer import same_answer
from rag.records import AttributedPlayer, Hit, Passage
from rag.settings import load_settings
from rag.span.span_model import SpanModel, shared_span_model
from rag.span.span_reader import read_span
from rag.span.windows import PassageText

QUESTION = "When was the Kolm mill built?"
TEXTS = (
    ("Mills", "The Kolm mill, which burnt twice, was built in 1911 by Ada Lind. It ground rye, and later oats."),
    ("Quarries", "The Vesla quarry was bought in 1920 by Berta Rask, who sold it."),
)
HITS = [
    Hit(rank, 1.0, Passage(f"d{rank}#0", f"d{rank}", title, "", text, 100, 100 + len(text)))
    for rank, (title, text) in enumerate(TEXTS, start=1)
]


@pytest.fixture(scope="module")
def model() -> SpanModel:
    return shared_span_model(load_settings().extract.model)


def probability(model: SpanModel, hits: list[Hit]) -> float:
    read = read_span(model, QUESTION, [PassageText(hit.passage.title, hit.passage.text) for hit in hits])
    return sum(share for text, share in read.likely if same_answer(text, "1911"))


def test_drops_are_those_of_reading_everything_again(model: SpanModel) -> None:
    """But for the rounding of int8, which depends on what else is in a batch."""
    found = estimate(QUESTION, "1911", HITS, model, "clause")
    assert found is not None and found.stopped == SAID and found.reader_calls == 0
    kept = disjoint(HITS)
    whole = probability(model, kept)
    parts = {(part.passage_id, part.start, part.end): part.score for part in found.players}
    for hit in kept:
        others = [other for other in kept if other is not hit]
        passage = hit.passage
        assert parts[passage.passage_id, passage.start, passage.end] == pytest.approx(
            whole - probability(model, others), abs=3e-3
        )
        for clause in clauses(hit):
            if not clause.header:
                key = passage.passage_id, passage.start + clause.start, passage.start + clause.end
                assert parts[key] == pytest.approx(whole - probability(model, without(kept, [clause])), abs=3e-3)


def test_what_matters_is_the_clause_and_the_word_that_say_it(model: SpanModel) -> None:
    found = estimate(QUESTION, "1911", HITS, model, "word")
    assert found is not None

    def best(kind: str) -> AttributedPlayer:
        return max((part for part in found.players if part.kind == kind), key=lambda part: part.score)

    assert best("document").passage_id == "d1#0"
    assert "1911" in best("clause").text and best("word").text.startswith("1911")


def test_nothing_is_guessed_where_the_model_does_not_find_the_answer(model: SpanModel) -> None:
    assert estimate(QUESTION, "a parliament of owls", HITS, model, "clause") is None
