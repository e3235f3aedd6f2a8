"""rag/retrieve/fuse.py: fusion is the formula, and the hybrid retriever keeps the promises of a retriever."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.records import Hit, Passage
from rag.retrieve.fuse import Fusion, HybridRetriever, alpha_fusion, minmax_fusion, reciprocal_rank_fusion
from tests.parts import passage

RANKINGS = st.lists(st.lists(st.sampled_from("abcdefgh"), unique=True), max_size=4)
CONSTANTS = st.integers(1, 100)
SCORES = st.dictionaries(st.sampled_from("abcdefgh"), st.integers(-40, 40).map(lambda n: n / 8))
WEIGHTS = st.integers(1, 20).map(lambda n: n / 10)
FUSIONS: list[Fusion] = ["linear", "rrf"]
Scores = dict[str, float]


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


@given(rankings=RANKINGS, weight=WEIGHTS)
def test_weighted_ranks(rankings: list[list[str]], weight: float) -> None:
    assert reciprocal_rank_fusion(rankings, 60, [1] * len(rankings)) == reciprocal_rank_fusion(rankings)
    one_more = reciprocal_rank_fusion([*rankings, ["a"]], 60, [1] * len(rankings) + [weight])
    assert one_more["a"] == pytest.approx(reciprocal_rank_fusion(rankings).get("a", 0) + weight / 61)


# ---- min-max


def test_minmax_by_hand() -> None:
    lexical, dense = {"a": 12.0, "b": 9.0, "c": 4.0}, {"b": 0.5, "d": 0.25, "a": -0.5}
    assert list(minmax_fusion([lexical, dense], [0.4, 0.6]).items()) == [
        ("b", pytest.approx(0.4 * 5 / 8 + 0.6)),
        ("d", pytest.approx(0.6 * 0.75 / 1)),
        ("a", pytest.approx(0.4)),
        ("c", 0),
    ]
    assert minmax_fusion([{"a": -7.0, "b": -7.0}], [3]) == {"a": 1, "b": 1}  # a range of 0
    assert minmax_fusion([{"z": 5.0}, {"a": 0.1}], [1, 1]) == {"a": 0.5, "z": 0.5}
    assert list(minmax_fusion([{"z": 5.0}, {"a": 0.1}], [1, 1])) == ["a", "z"]  # a tie: by id
    assert minmax_fusion([], []) == minmax_fusion([{}, {}], [1, 0]) == {}
    with pytest.raises(ValueError, match="argument"):
        minmax_fusion([{"a": 1.0}], [1, 1])


@given(rankings=st.lists(st.tuples(SCORES, WEIGHTS), max_size=4))
def test_minmax_is_the_weighted_mean_of_the_places(rankings: list[tuple[Scores, float]]) -> None:
    fused = minmax_fusion([scores for scores, _ in rankings], [weight for _, weight in rankings])
    expected: dict[str, Fraction] = {}
    for scores, weight in rankings:
        low, high = (Fraction(bound(scores.values(), default=0)) for bound in (min, max))
        for name, score in scores.items():
            place = (Fraction(score) - low) / (high - low) if high > low else Fraction(1)
            expected[name] = expected.get(name, Fraction()) + Fraction(weight) * place
    total = sum(Fraction(weight) for _, weight in rankings)
    assert fused == pytest.approx({name: float(value / total) for name, value in expected.items()})
    assert list(fused.items()) == sorted(fused.items(), key=lambda entry: (-entry[1], entry[0]))
    assert all(0 <= score <= 1 + 1e-12 for score in fused.values())


@given(
    first=SCORES,
    second=SCORES,
    times=st.sampled_from([0.25, 2.0, 8.0]),
    more=st.integers(-9, 9),
    scale=st.integers(1, 9),
)
def test_minmax_knows_no_units(first: Scores, second: Scores, times: float, more: int, scale: int) -> None:
    converted = {name: times * score + more for name, score in first.items()}
    expected = minmax_fusion([first, second], [0.25, 0.75])
    assert minmax_fusion([converted, second], [0.25 * scale, 0.75 * scale]) == pytest.approx(expected)


# ---- alpha * sparse + dense


def toolkit(sparse: Scores, dense: Scores, alpha: float, normalise: bool) -> Scores:
    """pyserini 1.6, HybridSearcher._hybrid_results, in its own words."""
    least_dense, most_dense = min(dense.values(), default=0), max(dense.values(), default=1)
    least_sparse, most_sparse = min(sparse.values(), default=0), max(sparse.values(), default=1)
    fused = {}
    for name in {*sparse, *dense}:
        one, other = sparse.get(name, least_sparse), dense.get(name, least_dense)
        if normalise:
            one = (one - (least_sparse + most_sparse) / 2) / (most_sparse - least_sparse)
            other = (other - (least_dense + most_dense) / 2) / (most_dense - least_dense)
        fused[name] = alpha * one + other
    return fused


WIDE = SCORES.filter(lambda scores: len(set(scores.values())) > 1)


@given(sparse=WIDE, dense=WIDE, alpha=WEIGHTS, normalise=st.booleans())
def test_alpha_fusion_is_the_toolkits_and_normalised_that_of_minmax(
    sparse: Scores, dense: Scores, alpha: float, normalise: bool
) -> None:
    fused = alpha_fusion(sparse, dense, alpha, normalise)
    assert fused == pytest.approx(toolkit(sparse, dense, alpha, normalise))
    assert list(fused.items()) == sorted(fused.items(), key=lambda entry: (-entry[1], entry[0]))
    # The lowest score of a list is 0 after min-max, so "its minimum" and "0" are one rule for what is missing.
    same = minmax_fusion([sparse, dense], [alpha, 1])
    shifted = {name: score * (alpha + 1) - (alpha + 1) / 2 for name, score in same.items()}
    assert alpha_fusion(sparse, dense, alpha, normalise=True) == pytest.approx(shifted)


def test_alpha_fusion_where_the_range_is_0() -> None:
    flat, dense = {"a": 3.0, "b": 3.0}, {"b": 0.5, "c": 0.25}
    assert alpha_fusion(flat, dense, 0.5, normalise=True) == {"b": 0.5, "a": -0.5, "c": -0.5}
    assert alpha_fusion(flat, {"c": 7.0}, 0.5, normalise=True) == {"a": 0, "b": 0, "c": 0}
    assert alpha_fusion(flat, dense, 0.5) == {"b": 2, "a": 1.75, "c": 1.75}
    assert alpha_fusion({}, {}, 0.5, normalise=True) == alpha_fusion({}, {}, 0.5) == {}
    assert alpha_fusion({}, dense, 0.5, normalise=True) == {"b": 0.5, "c": -0.5}
    assert alpha_fusion(flat, {}, 0.5) == {"a": 1.5, "b": 1.5}


# ---- the retriever


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
    one, two, none = HybridRetriever({"words": words, "meaning": meaning}, 100, fusion="rrf").search(
        ["one", "two", "none"], 3
    )
    assert [(hit.rank, hit.passage.document_id) for hit in one] == [(1, "a"), (2, "c"), (3, "b")]
    assert [hit.score for hit in one] == pytest.approx([1 / 61 + 1 / 62, 1 / 61 + 1 / 63, 1 / 62])
    assert [(hit.rank, hit.passage) for hit in two] == [(1, named("x"))]
    assert none == []


def test_the_hybrid_retriever_fuses_scores() -> None:
    words, meaning = Fixed(one="abc", two="x"), Fixed(one="cad", none="")  # scores 1, 1/2, 1/3: places 1, 1/4, 0
    one, two, none = HybridRetriever({"words": words, "meaning": meaning}, 100).search(["one", "two", "none"], 3)
    assert [(hit.rank, hit.passage.document_id, hit.score, hit.terms) for hit in one] == [
        (1, "a", pytest.approx(0.625), pytest.approx({"words": 0.5, "meaning": 0.125})),
        (2, "c", pytest.approx(0.5), pytest.approx({"meaning": 0.5})),
        (3, "b", pytest.approx(0.125), pytest.approx({"words": 0.125})),
    ]
    assert [(hit.passage, hit.score) for hit in two] == [(named("x"), 0.5)]  # all that words has, nothing of meaning
    assert none == []
    rather = HybridRetriever({"words": words, "meaning": meaning}, 100, {"words": 1, "meaning": 3}).search(["one"], 9)[
        0
    ]
    assert [(hit.passage.document_id, hit.score) for hit in rather] == [
        ("c", 0.75),
        ("a", pytest.approx(0.25 + 0.75 / 4)),
        ("b", pytest.approx(0.25 / 4)),
        ("d", 0),
    ]


@pytest.mark.parametrize("fusion", FUSIONS)
def test_a_retriever_without_weight_is_not_searched(fusion: Fusion) -> None:
    idle, busy = Fixed(q="xyz"), Fixed(q="cab")
    hits = HybridRetriever({"idle": idle, "busy": busy}, 100, {"idle": 0, "busy": 2}, fusion).search(["q"], 5)[0]
    assert [hit.passage.document_id for hit in hits] == list("cab")
    assert (idle.asked, len(busy.asked)) == ([], 1)
    assert HybridRetriever({"idle": idle}, 100, {"idle": 0}, fusion).search(["q", "r"], 5) == [[], []]


@given(first=st.permutations("abcdef"), second=st.permutations("cdefgh"), k=st.integers(1, 8))
def test_neither_order_nor_scores_depend_on_k(first: list[str], second: list[str], k: int) -> None:
    for fusion in FUSIONS:
        parts = {"one": Fixed(q="".join(first)), "two": Fixed(q="".join(second))}
        hybrid = HybridRetriever(parts, 8, {"one": 1, "two": 2}, fusion)
        everything = hybrid.search(["q"], 8)[0]
        assert hybrid.search(["q"], k)[0] == everything[:k]
        assert [sum((hit.terms or {}).values()) for hit in everything] == pytest.approx([h.score for h in everything])


@pytest.mark.parametrize(("k", "depth", "asked"), [(3, 100, 100), (200, 100, 200), (1, 1, 1)])
def test_each_retriever_is_asked_deep_enough_and_within_the_same_passages(k: int, depth: int, asked: int) -> None:
    parts = [Fixed(q="abcdef"), Fixed(q="fedcba")]
    hits = HybridRetriever(dict(zip("ab", parts, strict=True)), depth).search(["q"], k, within=[4, 2])[0]
    assert len(hits) == min(k, 6)
    assert [part.asked for part in parts] == [[(asked, [4, 2])], [(asked, [4, 2])]]
