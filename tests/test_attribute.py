"""rag/attribute/game.py and attribute.py: the reader's game, its laws with scripted readers, and what is told of it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.attribute.attribute import attribute
from rag.attribute.game import ReaderGame
from rag.attribute.players import documents
from rag.errors import ReaderError
from rag.explain import explain
from rag.llm.chat import ChatModel, Messages, Usage
from rag.pipeline import Pipeline
from rag.records import Answer, Attribution, Hit
from rag.settings import load_settings
from tests.parts import passage

TEXTS = [
    "The Tarn Bridge is old.", "Clyde Foundry built it, and it cost 90 pounds.", "Tomatoes want sun.", "Rain fell.",
    "The foundry opened in 1911.",
]  # fmt: skip
HITS = [Hit(i, 1 / i, passage(0, text, f"d{i}", title=f"T{i}")) for i, text in enumerate(TEXTS, start=1)]
Read = Callable[[Sequence[Hit]], str]


def text_of(hits: Sequence[Hit]) -> str:
    return " ".join(hit.passage.text for hit in hits)


def both(hits: Sequence[Hit]) -> str:
    """The answer needs the second and the fifth passage."""
    return "1911" if "Clyde" in text_of(hits) and "opened" in text_of(hits) else "no idea"


def either(hits: Sequence[Hit]) -> str:
    """Two passages that say the same."""
    return "old" if "Tarn" in text_of(hits) or "Tomatoes" in text_of(hits) else "young"


def voted(read: Read) -> Callable[[Sequence[Hit]], dict[str, float]]:
    return lambda hits: {read(hits): 1.0}


def played(
    read: Read, level: str = "document", shown: str | None = None, **more: object
) -> tuple[Attribution, ReaderGame]:
    game = ReaderGame(HITS, voted(read), {read(HITS) if shown is None else shown: 1.0}, **more)  # type: ignore[arg-type]
    return attribute(game, read(HITS) if shown is None else shown, level), game  # type: ignore[arg-type]


# ---- known games


def test_two_documents_that_are_both_needed_share_the_answer() -> None:
    found, game = played(both)
    assert [player.score for player in found.players] == pytest.approx([0, 0.5, 0, 0, 0.5])
    assert [player.text for player in found.players] == TEXTS
    assert (found.baseline_answer, found.answer, found.permutations, found.stopped) == ("no idea", "1911", 0, "")
    assert (found.reader_calls, game.calls, found.naive_reader_calls) == (31, 31, 600)  # all but the one shown


def test_two_that_say_the_same_share_it_too_and_a_memory_leaves_nothing() -> None:
    found, _ = played(either)
    assert [player.score for player in found.players] == pytest.approx([0.5, 0, 0.5, 0, 0])
    found, _ = played(lambda hits: "by heart")
    assert [player.score for player in found.players] == [0] * 5 and found.baseline_answer == "by heart"


def test_scores_add_up_to_what_the_evidence_changes() -> None:
    for read in (both, either, lambda hits: str(len(hits) % 3), lambda hits: hits[0].passage.title if hits else "?"):
        found, _ = played(read)
        changed = (read(HITS) == found.answer) - (read([]) == found.answer)
        assert math.fsum(player.score for player in found.players) == pytest.approx(changed)


def test_clauses_and_words_of_the_documents_that_matter() -> None:
    found, _ = played(both, "word")
    kinds = [player.kind for player in found.players]
    assert kinds == sorted(kinds, key=("document", "clause", "word").index) and set(kinds) == {
        "document",
        "clause",
        "word",
    }
    best = {kind: max((p for p in found.players if p.kind == kind), key=lambda p: p.score) for kind in set(kinds)}
    assert best["clause"].text.strip() in ("Clyde Foundry built it,", "The foundry opened in 1911.")
    assert best["word"].text.strip() in ("Clyde", "opened")
    assert all(player.score == 0 for player in found.players if "Tomatoes" in player.text)
    clauses = [p for p in found.players if p.kind == "clause" and p.passage_id == "d2#0" and p.end > p.start]
    assert "".join(p.text for p in clauses) == TEXTS[1] and found.permutations == 10


def test_a_likelihood_is_a_game_of_one_number_that_is_read_for_everything_too() -> None:
    def read(hits: Sequence[Hit]) -> dict[str, float]:
        return {"log-probability": -1.0 - 2.0 * ("Clyde" not in text_of(hits)) - 0.5 * ("Rain" not in text_of(hits))}

    game = ReaderGame(HITS, read)
    found = attribute(game, "log-probability", "document")
    assert [player.score for player in found.players] == pytest.approx([0, 2, 0, 0.5, 0])
    assert game.calls == 32


def test_words_are_reached_within_the_budget_of_a_long_text() -> None:
    """Forty clauses of eight words in five documents: ten permutations of each level would be a thousand calls."""
    filler = " ".join(f"Nothing of note{i} was said of it on that day." for i in range(7))
    hits = [
        Hit(
            i,
            1 / i,
            passage(0, f"{filler} {'The bridge of Perth fell in 1879.' if i == 3 else 'No one came.'}", f"d{i}"),
        )
        for i in range(1, 6)
    ]

    def read(some: Sequence[Hit]) -> str:
        return "1879" if any("1879" in hit.passage.text for hit in some) else "no idea"

    game = ReaderGame(hits, voted(read), {"1879": 1.0}, budget=300)
    found = attribute(game, "1879", "word")
    words = [player for player in found.players if player.kind == "word"]
    assert game.calls <= 300 and words
    best = max(words, key=lambda player: player.score)
    assert "1879" in best.text and best.score == pytest.approx(1)
    assert all(player.score == 0 for player in words if player is not best)


# ---- the order, the budget, failures


def test_each_evidence_is_read_once_in_an_order_that_shares_beginnings() -> None:
    read: list[list[int]] = []

    def reader(hits: Sequence[Hit]) -> str:
        read.append([hit.rank for hit in hits])
        return "a"

    played(reader, shown="a")
    subsets = [list(some) for n in range(5) for some in combinations(range(1, 6), n)]
    assert sorted(read) == sorted(subsets)
    assert read == sorted(read), "one walk through the tree of beginnings"


def test_a_budget_an_interruption_and_a_reader_that_fails_leave_what_was_found() -> None:
    found, game = played(both, level="clause", budget=20)
    assert game.calls <= 20 and "of 10 permutations" in found.stopped and "20 calls are the limit" in found.stopped
    found, game = played(both, budget=20)
    assert game.calls <= 20 and "20 calls are the limit" in found.stopped, "no room for all 32: permutations"
    found, game = played(both, level="clause", budget=3)
    assert game.calls == 3 and "budget of 3" in found.stopped, "no room for one permutation"
    found, game = played(both, stop=lambda: True)
    assert game.calls == 0 and found.stopped == "cancelled" and found.players == () and found.baseline_answer is None
    calls = 0

    def failing(hits: Sequence[Hit]) -> str:
        nonlocal calls
        calls += 1
        if calls > 28:
            raise ReaderError("it went to sleep")
        return both(hits)

    found, _ = played(failing, shown="1911")
    assert found.stopped == "it went to sleep"
    assert len(found.players) == 5 and found.permutations == 0
    truth = [0, 0.5, 0, 0, 0.5]
    for player, score in zip(found.players, truth, strict=True):
        assert 0 < player.standard_error < 0.5 and abs(player.score - score) <= player.standard_error


@given(st.integers(1, 31), st.lists(st.booleans(), min_size=32, max_size=32))
def test_what_was_not_read_is_within_the_error(calls: int, says: list[bool]) -> None:
    def read(hits: Sequence[Hit]) -> str:
        return "a" if says[sum(1 << hit.rank - 1 for hit in hits)] else "b"

    def until(most: int) -> Attribution:
        game = ReaderGame(HITS, voted(read), {"a": 1.0}, stop=lambda: game.calls >= most)
        return attribute(game, "a", "document")

    exact, early = until(32), until(calls)
    assert exact.stopped == "" and (early.stopped == "cancelled") == (calls < 31)
    for one, other in zip(exact.players, early.players, strict=True):
        assert abs(one.score - other.score) <= other.standard_error + 1e-9
        assert (other.standard_error > 0) == (calls < 31)


def test_what_was_read_before_is_not_read_again() -> None:
    kept: dict[str, dict[str, float]] = {}
    first = attribute(ReaderGame(HITS, voted(both), {"1911": 1.0}, kept=kept), "1911", "document")
    again = attribute(ReaderGame(HITS, voted(both), {"1911": 1.0}, kept=kept), "1911", "document")
    assert (first.reader_calls, again.reader_calls) == (31, 0) and again.players == first.players
    deeper, alone = (
        attribute(ReaderGame(HITS, voted(both), {"1911": 1.0}, kept=some), "1911", "clause") for some in (kept, {})
    )
    assert deeper.players == alone.players and deeper.reader_calls < alone.reader_calls


def test_no_evidence_and_one_passage() -> None:
    nothing = attribute(ReaderGame([], voted(lambda hits: "a")), "a", "word")
    assert nothing.players == () and nothing.reader_calls == 0 and "no evidence" in nothing.stopped
    alone = attribute(ReaderGame(HITS[:1], voted(lambda hits: "a" if hits else "b"), {"a": 1.0}), "a", "document")
    assert [player.score for player in alone.players] == [1] and alone.reader_calls == 1


def test_two_hundred_passages_are_sampled_within_the_budget() -> None:
    many = [Hit(i, 1 / i, passage(0, f"Text {i}.", f"d{i}", title=f"T{i}")) for i in range(1, 201)]
    game = ReaderGame(
        many, voted(lambda hits: "7" if any(hit.rank == 7 for hit in hits) else "?"), {"7": 1.0}, budget=500
    )
    found = attribute(game, "7", "document")
    assert game.calls <= 500 and "2 of 100 permutations: 500 calls" in found.stopped and found.permutations == 2
    assert [player.score for player in found.players if player.score] == [1] == [found.players[6].score]


def test_absence_is_a_parameter() -> None:
    for absence in ("deleted", "filler", "swapped"):
        game = ReaderGame(HITS, voted(both), {"1911": 1.0}, absence, passage(0, "Snow lies.", "x", title="X"))  # type: ignore[arg-type]
        found = attribute(game, "1911", "document")
        assert [player.score for player in found.players] == pytest.approx([0, 0.5, 0, 0, 0.5])
        assert found.absence == absence
    assert len(game.evidence(documents(HITS)[:2])) == 5, "swapped passages stay in their places"


# ---- an answer explained


class Reader(ChatModel):
    name, sees = "scripted", False

    def __init__(self) -> None:
        self.reused = 0

    def going_on(self) -> Reader:
        self.reused += 1
        return self

    def stream(
        self, messages: Messages, max_tokens: int, usage: Usage | None = None, stop: Sequence[str] = ()
    ) -> Iterator[str]:
        text = messages[-1][1]
        yield "1911\nas it says" if "Clyde" in text and "opened" in text else "unclear"


def test_an_answer_is_explained_by_the_evidence_that_the_reader_got() -> None:
    pipeline = Pipeline(None, Reader(), lambda *span: (1, 1), "", load_settings())  # type: ignore[arg-type]
    evidence = (*HITS[:2], replace(HITS[2], ignored="weakly related"), HITS[4])
    answer = Answer("When did its builder open?", "1911 [5]", False, (), (), evidence, 0.9, "m", "h", {"note": 1.0})
    told = explain(answer, pipeline, "direct", "document")
    assert told.attribution is not None and told.attribution.answer == "1911"
    assert [player.passage_id for player in told.attribution.players] == ["d1#0", "d2#0", "d5#0"]
    assert [player.score for player in told.attribution.players] == pytest.approx([0, 0.5, 0.5])
    assert told.seconds.keys() == {"note", "attribute"} and replace(told, attribution=None, seconds={}) == replace(
        answer, seconds={}
    )
    assert explain(replace(answer, abstained=True), pipeline, "direct", "document").attribution is None
