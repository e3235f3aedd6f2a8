"""eval/attribution/faithfulness.py: values worked by hand, laws of additive games, correlations by definition."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations, permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eval.attribution.faithfulness import (
    LEAST,
    deletion_auc,
    deletion_gain,
    efficiency_gap,
    insertion_auc,
    insertion_gain,
    kendall_tau,
    lds,
    recall_area,
    spearman,
    support_recall,
    top_drop,
)
from rag.attribute.shapley import Coalition, exact_shapley

WEIGHTS = st.lists(st.integers(-20, 20).map(float), min_size=2, max_size=5)
SOME = st.lists(st.sampled_from([-1.0, 0.0, 0.5, 2.0]), min_size=3, max_size=7)


def additive(weights: Sequence[float], nobody: float = -9.0) -> Callable[[Coalition], float]:
    return lambda present: nobody + sum(weights[player] for player in present)


def random_game(players: int, seed: int) -> Callable[[Coalition], float]:
    table = -np.random.default_rng(seed).exponential(4, 2**players)
    return lambda present: float(table[sum(1 << player for player in present)])


def subsets(players: int) -> list[Coalition]:
    return [frozenset(some) for n in range(players + 1) for some in combinations(range(players), n)]


def both(present: Coalition) -> float:
    """-1 if players 0 and 1 are there, else -5."""
    return -1.0 if present >= {0, 1} else -5.0


# ---- worked by hand


def test_what_the_best_take_along() -> None:
    value = additive([4, 1, 0])
    assert [top_drop(value, [0.9, 0.5, 0.1], k) for k in (1, 2, 3)] == [4, 5, 5]
    assert top_drop(value, [0.1, 0.5, 0.9], 1) == 0
    assert top_drop(value, [1, 1, 0], 1) == 2.5  # either of the two, so (4 + 1) / 2
    assert top_drop(value, [7, 7, 7], 1) == pytest.approx(5 / 3)


def test_areas_of_a_game_of_two() -> None:
    value = additive([3, 1])  # heights: 1, then what is left, then 0
    assert deletion_auc(value, [1, 0]) == pytest.approx((1 / 2 + 1 / 4 + 0) / 2)
    assert deletion_auc(value, [0, 1]) == pytest.approx((1 / 2 + 3 / 4 + 0) / 2)
    assert insertion_auc(value, [1, 0]) == pytest.approx((0 + 3 / 4 + 1 / 2) / 2)
    assert deletion_auc(value, [0, 0]) == insertion_auc(value, [0, 0]) == pytest.approx(1 / 2)
    assert deletion_gain(value, [1, 0]) == insertion_gain(value, [1, 0]) == pytest.approx(1 / 8)
    assert deletion_gain(value, [0, 1]) == pytest.approx(-1 / 8)


def test_areas_where_both_are_needed() -> None:
    assert deletion_auc(both, [1, 0.5, 0]) == pytest.approx((1 / 2 + 0 + 0 + 0) / 3)
    assert insertion_auc(both, [1, 0.5, 0]) == pytest.approx((0 + 0 + 1 + 1 / 2) / 3)
    # all orders: without one player it still says so in 1 of 3 cases, with two players in 1 of 3
    assert deletion_auc(both, [0, 0, 0]) == pytest.approx((1 / 2 + 1 / 3) / 3)
    assert insertion_gain(both, [0, 0, 1]) == pytest.approx((0 + 0 + 0 + 1 / 2) / 3 - (1 / 3 + 1 / 2) / 3)


def test_a_game_that_its_players_do_not_make_has_no_areas() -> None:
    for weights in ([0.0, 0.0], [LEAST / 2, LEAST / 4], [-5.0, 1.0]):
        value = additive(weights)
        measures = (deletion_auc, insertion_auc, deletion_gain, insertion_gain)
        assert [measure(value, [1.0, 0.0]) for measure in measures] == [None] * 4
    assert deletion_auc(additive([LEAST, 0.0]), [1.0, 0.0]) == pytest.approx(1 / 4)


def test_ranks_of_ablations() -> None:
    assert lds(both, [1, 1, 0], subsets(3)) == pytest.approx(np.sqrt(2 / 3))
    assert lds(both, [0, 0, 0], subsets(3)) == 0
    assert lds(lambda present: -1.0, [1, 1, 0], subsets(3)) is None
    assert lds(additive([1, 2]), [1, 2], subsets(2)[:2]) is None
    assert lds(additive([1, 2]), [-1, -2], subsets(2)) == pytest.approx(-1)


def test_orders_against_an_order() -> None:
    assert kendall_tau([1, 2, 3, 4], [1, 2, 4, 3]) == pytest.approx(4 / 6)
    assert kendall_tau([1, 1, 2], [1, 2, 3]) == pytest.approx(2 / np.sqrt(2 * 3))
    assert kendall_tau([0, 0, 0], [1, 2, 3]) == 0
    assert kendall_tau([1, 2, 3], [0, 0, 0]) is None
    assert kendall_tau([0.1 + 0.2, 0.3, 1], [1, 1, 2]) == pytest.approx(1)  # a tie but for rounding


def test_gold_passages_among_the_best() -> None:
    scores = [0.1, 0.7, 0.0, 0.2, 0.0]
    assert support_recall(scores, {1, 3}) == 1 and support_recall(scores, {0, 3}) == 0.5
    assert support_recall(scores, {1}, missed=1) == 0.5  # the other one was not found
    assert support_recall([1, 0, 0, 0, 0], {0, 4}) == pytest.approx((1 + 1 / 4) / 2)
    assert support_recall([0.3], {0}) == 1
    assert recall_area(scores, {1, 3}) == pytest.approx((0.5 + 1 + 1 + 1 + 1) / 5)
    assert recall_area([0, 0, 0, 0], {2}) == pytest.approx((0.25 + 0.5 + 0.75 + 1) / 4)


def test_a_gap_is_what_is_not_shared_out() -> None:
    assert efficiency_gap(both, [2, 2, 0]) == 0
    assert efficiency_gap(both, [4, 4, 0]) == 4  # leave-one-out where both are needed
    assert efficiency_gap(both, [0, 0, 0]) == 4


# ---- laws


@settings(deadline=None)
@given(WEIGHTS)
def test_weights_tell_the_whole_truth_of_an_additive_game(weights: list[float]) -> None:
    value = additive(weights)
    assert efficiency_gap(value, weights) == pytest.approx(0)
    assert lds(value, weights, subsets(len(weights))) == (pytest.approx(1) if any(weights) else None)
    assert kendall_tau(weights, weights) == (pytest.approx(1) if len(set(weights)) > 1 else None)
    if sum(weights) >= LEAST:
        gains = deletion_gain(value, weights), insertion_gain(value, weights)
        assert min(gains) >= -1e-9 and gains[0] == pytest.approx(gains[1])
        assert deletion_auc(value, weights) + insertion_auc(value, weights) == pytest.approx(1)  # type: ignore[operator]


@settings(deadline=None)
@given(st.integers(1, 5), st.integers(0, 999))
def test_exact_values_leave_no_gap(players: int, seed: int) -> None:
    value = random_game(players, seed)
    scores = exact_shapley(players, lambda asked: {c: {"log": value(c)} for c in asked}).score_for("log").tolist()
    assert efficiency_gap(value, scores) == pytest.approx(0, abs=1e-9)
    assert top_drop(value, scores, players) == pytest.approx(value(frozenset(range(players))) - value(frozenset()))


@settings(deadline=None)
@given(st.integers(0, 999))
def test_constant_scores_are_the_mean_over_all_orders(seed: int) -> None:
    value, flat = random_game(4, seed), [3.0] * 4
    orders = list(permutations(range(4)))
    for measure in (deletion_auc, insertion_auc):
        if (constant := measure(value, flat)) is not None:
            assert constant == pytest.approx(np.mean([measure(value, order) for order in orders]))
            assert deletion_gain(value, flat) == insertion_gain(value, flat) == 0
    for k in (1, 3):
        assert top_drop(value, flat, k) == pytest.approx(np.mean([top_drop(value, order, k) for order in orders]))
    assert recall_area(flat, {1, 2}) == pytest.approx(np.mean([recall_area(order, {1, 2}) for order in orders]))


@settings(deadline=None)
@given(st.data(), SOME)
def test_correlations_by_their_definitions(data: st.DataObject, a: list[float]) -> None:
    """Spearman's as Pearson's of mean ranks, Kendall's tau-b as a count of pairs, ties on both sides among them."""
    b = data.draw(st.lists(st.sampled_from([0.0, 1.0, 3.0]), min_size=len(a), max_size=len(a)))
    if len(set(a)) > 1 and len(set(b)) > 1:
        ranks = [[sum(x < y for x in values) + sum(x == y for x in values) / 2 for y in values] for values in (a, b)]
        assert spearman(a, b) == pytest.approx(np.corrcoef(*ranks)[0, 1])
        signs = [(np.sign(a[i] - a[j]), np.sign(b[i] - b[j])) for i, j in combinations(range(len(a)), 2)]
        untied = sum(x != 0 for x, _ in signs) * sum(y != 0 for _, y in signs)
        assert kendall_tau(a, b) == pytest.approx(sum(x * y for x, y in signs) / np.sqrt(untied))


@settings(deadline=None)
@given(SOME, st.sampled_from([1e-6, 0.1, 3.0, 1e6]))
def test_only_the_order_counts_not_the_unit(scores: list[float], unit: float) -> None:
    value, scaled = random_game(len(scores), 5), [unit * score for score in scores]
    assert top_drop(value, scaled, 2) == pytest.approx(top_drop(value, scores, 2))
    assert support_recall(scaled, {0, 2}) == support_recall(scores, {0, 2})
    assert lds(value, scaled, subsets(len(scores))) == pytest.approx(lds(value, scores, subsets(len(scores))))
