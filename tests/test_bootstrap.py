"""eval/core/bootstrap.py: intervals cover what they should, and p is uniform where there is nothing to find."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from eval.core.bootstrap import CHUNK, Difference, bootstrap_interval, paired_difference, percentile

SAMPLES, N, DRAWS = 300, 60, 1000
SCORE = st.floats(0, 1, allow_subnormal=False)
PAIRS = st.lists(st.tuples(SCORE, SCORE), min_size=1, max_size=30)
Draw = Callable[[np.random.Generator], NDArray[np.float64]]

# What scores look like: right or wrong, a share of words, and a difference of two of them.
SCORES: dict[str, tuple[Draw, float]] = {
    "right or wrong": (lambda random: random.binomial(1, 0.4, N).astype(float), 0.4),
    "a share": (lambda random: random.beta(2, 3, N), 0.4),
    "normal": (lambda random: random.normal(0.4, 2, N), 0.4),
}


def resampled_means(data: NDArray[np.float64], seed: int, draws: int) -> NDArray[np.float64]:
    """The bootstrap as it is written in books: all draws at once."""
    picks = np.random.default_rng(seed).integers(0, len(data), size=(draws, len(data)))
    return np.asarray(data[picks].mean(axis=1))


def test_the_interval_holds_the_mean_and_shrinks_with_n() -> None:
    few, many = [0.0, 1.0] * 10, [0.0, 1.0] * 1000
    (low, high), (closer_low, closer_high) = bootstrap_interval(few), bootstrap_interval(many)
    assert low < 0.5 < high and closer_low < 0.5 < closer_high
    assert closer_high - closer_low < (high - low) / 5
    # The normal approximation of a mean of 2,000 fair coins: 1.96 * 0.5 / sqrt(2000) = 0.0219.
    assert closer_high - closer_low == pytest.approx(2 * 0.0219, rel=0.1)
    assert bootstrap_interval(few) == bootstrap_interval(few), "a fixed seed"
    assert bootstrap_interval([]) == (0.0, 0.0)


def test_percentiles_are_numpys() -> None:
    values = [5.0, 1.0, 9.0, 3.0]
    assert percentile(values, 0.5) == np.median(values) == 4.0
    assert percentile([], 0.5) == 0.0


@pytest.mark.parametrize("kind", SCORES)
def test_95_of_100_intervals_hold_the_true_mean(kind: str) -> None:
    draw, mean = SCORES[kind]
    random = np.random.default_rng(7)
    intervals = [bootstrap_interval(draw(random), seed, DRAWS) for seed in range(SAMPLES)]
    assert 0.90 <= np.mean([low <= mean <= high for low, high in intervals]) <= 0.99


@pytest.mark.parametrize("kind", SCORES)
def test_95_of_100_paired_intervals_hold_the_true_difference(kind: str) -> None:
    draw, _ = SCORES[kind]
    random = np.random.default_rng(8)
    held = []
    for seed in range(SAMPLES):
        hard = random.normal(0, 3, N)  # a hard question is hard for both
        found = paired_difference(draw(random) + hard + 0.3, draw(random) + hard, seed, DRAWS)
        held.append(found.low <= 0.3 <= found.high)
    assert 0.90 <= np.mean(held) <= 0.99


def test_under_the_null_p_is_uniform() -> None:
    random = np.random.default_rng(9)
    found = [
        paired_difference(random.normal(0, 1, N), random.normal(0, 1, N), seed, DRAWS).p for seed in range(SAMPLES)
    ]
    assert 0.01 <= np.mean(np.array(found) < 0.05) <= 0.10
    for share in (0.2, 0.5, 0.8):
        assert np.mean(np.array(found) < share) == pytest.approx(share, abs=0.1)


def test_a_real_difference_has_a_small_p_that_shrinks_with_n() -> None:
    random = np.random.default_rng(10)
    a, b = random.binomial(1, 0.7, 400), random.binomial(1, 0.5, 400)
    some, all_of_them = paired_difference(a[:100], b[:100]), paired_difference(a, b)
    assert all_of_them.p <= some.p and all_of_them.p < 0.001
    assert all_of_them.low > 0
    assert paired_difference([1.0] * 50, [0.0] * 50) == Difference(1.0, 1.0, 1.0, 2 / 10_001, 50)


def test_pairing_finds_what_two_intervals_hide() -> None:
    hard = np.random.default_rng(11).normal(0, 1, 200)
    a, b = hard + 0.1 + np.random.default_rng(12).normal(0, 0.1, 200), hard
    assert bootstrap_interval(a)[0] < bootstrap_interval(b)[1]
    assert paired_difference(a, b).p < 0.001


def test_three_questions_by_hand() -> None:
    # Differences 1, 0, 0: a resampled mean is Binomial(3, 1/3) / 3, which is 0 in 8 and 1 in 1 of 27 cases.
    found = paired_difference([1, 1, 0], [0, 1, 0])
    assert (found.mean, found.low, found.high, found.n) == (pytest.approx(1 / 3), 0.0, 1.0, 3)
    assert found.p == pytest.approx(2 * 8 / 27, abs=0.02)


def test_without_a_difference_or_without_questions() -> None:
    assert paired_difference([0.3, 1.0, 0.0], [0.3, 1.0, 0.0]) == Difference(0.0, 0.0, 0.0, 1.0, 3)
    assert paired_difference([], []) == Difference(0.0, 0.0, 0.0, 1.0, 0)


def test_json_has_four_decimals_and_no_minus_before_0() -> None:
    found = Difference(-0.00001, -0.12345678, 0.9999999, 2 / 10_001, 50).to_json()
    assert json.dumps(found) == '{"difference": 0.0, "interval": [-0.1235, 1.0], "p": 0.0002}'


def test_a_mean_that_is_0_but_for_rounding_is_a_tie() -> None:
    # In binary 0.1 + 0.2 - 0.3 is 5.6e-17: samples whose mean is 0 must count on both sides, as for 1, 2, 3.
    tenths, whole = paired_difference([0.1, 0.2, 0], [0, 0, 0.3]), paired_difference([1, 2, 0], [0, 0, 3])
    assert tenths.p == whole.p


def test_unequal_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="2 and 1 scores"):
        paired_difference([1, 0], [1])


@pytest.mark.parametrize(("n", "draws"), [(1, 50), (60, 1000), (521, 10_000), (CHUNK + 1, 3)])
def test_in_chunks_or_at_once_the_numbers_are_the_same(n: int, draws: int) -> None:
    data = np.random.default_rng(13).random(n)
    means = resampled_means(data, 5, draws)
    low, high = np.percentile(means, [2.5, 97.5])
    assert bootstrap_interval(data, 5, draws) == (low, high) == bootstrap_interval(data.tolist(), 5, draws)
    found = paired_difference(data - 0.5, np.zeros(n), 5, draws)
    assert (found.low, found.high) == pytest.approx((low - 0.5, high - 0.5))
    smaller = min(np.sum(means <= 0.5), np.sum(means >= 0.5))
    assert found.p == pytest.approx(min(1, 2 * (smaller + 1) / (draws + 1)))


def test_all_of_hotpotqa_fits_into_50_mb() -> None:
    data = np.random.default_rng(14).random(7405)
    tracemalloc.start()
    try:
        bootstrap_interval(data)
        assert tracemalloc.get_traced_memory()[1] < 50e6
    finally:
        tracemalloc.stop()


@given(values=st.lists(st.floats(-100, 100), min_size=1, max_size=30), seed=st.integers(0, 99))
@settings(max_examples=50, deadline=None)
def test_the_interval_holds_the_sample_mean_and_lies_within_the_values(values: list[float], seed: int) -> None:
    low, high = bootstrap_interval(values, seed, DRAWS)
    assert low <= high
    mean = float(np.mean(values))
    assert min(values) - 1e-9 <= low <= mean + 1e-9 and mean - 1e-9 <= high <= max(values) + 1e-9


@given(pairs=PAIRS, seed=st.integers(0, 99))
@settings(max_examples=50, deadline=None)
def test_b_against_a_is_the_mirror_of_a_against_b(pairs: list[tuple[float, float]], seed: int) -> None:
    a, b = [x for x, _ in pairs], [y for _, y in pairs]
    there, back = paired_difference(a, b, seed, DRAWS), paired_difference(b, a, seed, DRAWS)
    assert (back.mean, back.p, back.n) == (-there.mean, there.p, there.n)
    assert (back.low, back.high) == pytest.approx((-there.high, -there.low), abs=1e-12)


@given(pairs=PAIRS, seed=st.integers(0, 99))
@settings(max_examples=50, deadline=None)
def test_p_and_the_interval_say_the_same(pairs: list[tuple[float, float]], seed: int) -> None:
    found = paired_difference([x for x, _ in pairs], [y for _, y in pairs], seed, DRAWS)
    assert found.low - 1e-9 <= found.mean <= found.high + 1e-9 and found.low <= found.high
    assert 0 < found.p <= 1
    assert found.p > 0.045 or not found.low <= 0 <= found.high
    assert found.p < 0.055 or (found.low <= 1e-9 and found.high >= -1e-9)
