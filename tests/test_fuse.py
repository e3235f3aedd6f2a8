"""rag/retrieve/fuse.py: fusion is the formula, and the hybrid retriever keeps the promises of a retriever."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.records import Hit, Passage
from rag.retrieve.fuse import HybridRetriever, reciprocal_rank_fusion
from tests.parts import passage

RANKINGS = st.lists(st.lists(st.sampled_from("abcdefgh"), unique=True), max_size=4)
CONSTANTS = st.integers(1, 100)


def test_by_hand() -> None:
    fused = reciprocal_rank_fusion([["a", "b", "c"], ["c", "a"], ["d"]])
    assert list(fused.items()) == [
        ("a", pytest.approx(1 / 61 + 1 / 62)),
        ("c", pytest.approx(1 / 63 + 1 / 61)),
        ("d", pytest.approx(1 / 61)),
        ("b", pytest.approx(1 / 62)),
    ]
    assert list(reciprocal_rank_fusion([["b", "a"], ["a", "b"]], 1)) == ["a", "b"]  # a tie: by id
    assert reciprocal_rank_fusion([["a"]], 9) == {"a": 0.1}
    assert reciprocal_rank_fusion([]) == reciprocal_rank_fusion([[], []]) == {}


@given(rankings=RANKINGS, constant=CONSTANTS)
def test_the_score_is_the_sum_over_the_rankings(rankings: list[list[str]], constant: int) -> None:
    fused = reciprocal_rank_fusion(rankings, constant)
    exact = {
        name: sum(Fraction(1, constant + ranking.index(name) + 1) for ranking in rankings if name in ranking)
        for name in {name for ranking in rankings for name in ranking}
    }
    assert fused == pytest.approx({name: float(score) for name, score in exact.items()})
    assert list(fused.items()) == sorted(fused.items(), key=lambda entry: (-entry[1], entry[0]))


@given(ranking=st.lists(st.sampled_from("abcdefgh"), unique=True), constant=CONSTANTS, times=st.integers(1, 3))
def test_rankings_that_agree_keep_their_order(ranking: list[str], constant: int, times: int) -> None:
    assert list(reciprocal_rank_fusion([ranking] * times, constant)) == ranking


@given(rankings=RANKINGS.filter(any), constant=CONSTANTS, data=st.data())
def test_a_passage_that_rises_in_one_ranking_does_not_fall_in_the_whole(
    rankings: list[list[str]], constant: int, data: st.DataObject
) -> None:
    which = data.draw(st.sampled_from([i for i, ranking in enumerate(rankings) if ranking]))
    name = data.draw(st.sampled_from(rankings[which]))
    risen = [list(ranking) for ranking in rankings]
    risen[which].remove(name)
    risen[which].insert(data.draw(st.integers(0, rankings[which].index(name))), name)
    before, after = reciprocal_rank_fusion(rankings, constant), reciprocal_rank_fusion(risen, constant)
    assert after[name] >= before[name] - 1e-12
    assert list(after).index(name) <= list(before).index(name)


class Fixed:
    """A retriever with a ranking for every query, which remembers what it was asked."""

    def __init__(self, **rankings: str):
        self.rankings = rankings
        self.asked: list[tuple[int, object]] = []

    def search(self, queries: Sequence[str], k: int, within: Sequence[int] | None = None) -> list[list[Hit]]:
        self.asked.append((k, within))
        return [
            [Hit(rank, 1 / rank, named(name)) for rank, name in enumerate(self.rankings.get(query, "")[:k], start=1)]
            for query in queries
        ]


def named(name: str) -> Passage:
    return passage(0, "text", name)


def test_the_hybrid_retriever_fuses_each_query_for_itself() -> None:
    words, meaning = Fixed(one="abc", two="x"), Fixed(one="cad", none="")
    one, two, none = HybridRetriever([words, meaning], 60, 100).search(["one", "two", "none"], 3)
    assert [(hit.rank, hit.passage.document_id) for hit in one] == [(1, "a"), (2, "c"), (3, "b")]
    assert [hit.score for hit in one] == pytest.approx([1 / 61 + 1 / 62, 1 / 61 + 1 / 63, 1 / 62])
    assert [(hit.rank, hit.passage) for hit in two] == [(1, named("x"))]
    assert none == []


@pytest.mark.parametrize(("k", "depth", "asked"), [(3, 100, 100), (200, 100, 200), (1, 1, 1)])
def test_each_retriever_is_asked_deep_enough_and_within_the_same_passages(k: int, depth: int, asked: int) -> None:
    parts = [Fixed(q="abcdef"), Fixed(q="fedcba")]
    hits = HybridRetriever(parts, 60, depth).search(["q"], k, within=[4, 2])[0]
    assert len(hits) == min(k, 6)
    assert [part.asked for part in parts] == [[(asked, [4, 2])], [(asked, [4, 2])]]
