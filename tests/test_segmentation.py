"""eval/podcast/segmentation.py, eval/podcast/texttiling.py: values worked by hand, definitions, laws."""

from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval.podcast.segmentation import boundary_f1, pk, rouge_l, units_of, window, window_diff
from eval.podcast.texttiling import texttiling_cuts

UNITS = 12
CUTS = st.sets(st.integers(1, UNITS - 1))
SECONDS = st.lists(st.integers(0, 400).map(float), max_size=6, unique=True)


@pytest.mark.parametrize(
    ("found", "expected_pk", "expected_difference"),
    [
        ({4}, 0.0, 0.0),
        (set(), 2 / 6, 2 / 6),  # windows 2-4 and 3-5 of 6 hold the boundary
        ({5}, 2 / 6, 2 / 6),  # one window has only the one, one only the other
        ({4, 5}, 1 / 6, 2 / 6),  # 4-6 has one too many; 3-5 has two for one, which only WindowDiff sees
    ],
)
def test_by_hand(found: set[int], expected_pk: float, expected_difference: float) -> None:
    assert pk(8, {4}, found, k=2) == pytest.approx(expected_pk)
    assert window_diff(8, {4}, found, k=2) == pytest.approx(expected_difference)


@given(CUTS, CUTS, st.integers(1, UNITS - 1))
def test_by_their_definitions(reference: set[int], found: set[int], k: int) -> None:
    """Window by window: the units i and i + k have boundaries between them, or not; how many."""
    between = [[sum(i < cut <= i + k for cut in cuts) for i in range(UNITS - k)] for cuts in ({*reference}, {*found})]
    pairs = list(zip(*between, strict=True))
    assert pk(UNITS, reference, found, k) == pytest.approx(sum((a > 0) != (b > 0) for a, b in pairs) / len(pairs))
    assert window_diff(UNITS, reference, found, k) == pytest.approx(sum(a != b for a, b in pairs) / len(pairs))


@given(CUTS, CUTS)
def test_laws(reference: set[int], found: set[int]) -> None:
    assert 0 <= pk(UNITS, reference, found) <= window_diff(UNITS, reference, found) <= 1
    assert pk(UNITS, reference, reference) == window_diff(UNITS, reference, reference) == 0
    k = window(UNITS, reference)
    assert window_diff(UNITS, reference, found, k) == window_diff(UNITS, found, reference, k)


def test_the_window_is_half_a_mean_segment() -> None:
    assert [window(20, range(1, 1 + cuts)) for cuts in (0, 1, 4, 19)] == [10, 5, 2, 1]


def test_a_single_unit_has_no_window() -> None:
    assert units_of([3.0], 0.0, 8.0) == (1, frozenset())
    assert pk(1, (), ()) == window_diff(1, (), ()) == 0


@given(SECONDS, SECONDS, st.integers(0, 60))
def test_f1_is_of_a_largest_matching(reference: list[float], found: list[float], tolerance: int) -> None:
    def most(ours: list[float], theirs: list[float]) -> int:
        if not ours:
            return 0
        first, *rest = ours
        with_first = [
            1 + most(rest, theirs[:i] + theirs[i + 1 :])
            for i, second in enumerate(theirs)
            if abs(first - second) <= tolerance
        ]
        return max([most(rest, theirs), *with_first])

    total = len(reference) + len(found)
    expected = 2 * most(reference, found) / total if total else 1.0
    assert boundary_f1(reference, found, tolerance) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("reference", "found", "expected"),
    [
        ("Leading the Firefox Launch", "leading the firefox launch!", 1.0),
        ("a b c d", "b x d", 2 * 2 / 7),
        ("police killed the gunman", "the gunman police killed", 2 * 2 / 8),  # order counts (Lin 2004's example)
        ("mill", "", 0.0),
        ("mill", "bees", 0.0),
    ],
)
def test_rouge_l_by_hand(reference: str, found: str, expected: float) -> None:
    assert rouge_l(reference, found) == pytest.approx(expected)


@given(st.text("ab ", max_size=12), st.text("ab ", max_size=12))
def test_rouge_l_is_of_a_longest_common_subsequence(reference: str, found: str) -> None:
    ours, theirs = reference.split(), found.split()
    common = {some for n in range(len(ours) + 1) for some in combinations(ours, n)}
    common &= {some for n in range(len(theirs) + 1) for some in combinations(theirs, n)}
    longest = max(map(len, common))
    expected = 2 * longest / (len(ours) + len(theirs)) if ours and theirs else 0.0
    assert rouge_l(reference, found) == pytest.approx(expected)


def test_texttiling_finds_where_the_words_change() -> None:
    mills = ["The mill grinds corn while wind turns heavy stones daily."] * 40
    bees = ["Queens leave hives when honey combs grow too full again."] * 40
    assert texttiling_cuts(mills + bees) == [40]
    assert texttiling_cuts([]) == texttiling_cuts(["One."]) == texttiling_cuts(mills) == []
