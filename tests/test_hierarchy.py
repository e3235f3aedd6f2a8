"""rag/attribute/hierarchy.py: what is opened, parts that add up to the whole, and runs that are stopped."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import permutations, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag.attribute.hierarchy import Hierarchy, Level, expand_hierarchy, unlimited
from rag.attribute.players import Player, clauses, complement, documents, parts, text_of, without
from rag.attribute.shapley import GameOver, Value, permutation_shapley
from rag.records import Hit
from tests.parts import passage

Tree = Mapping[str, Sequence[str]]
ROOTS = ("a", "b", "c", "d")
TREE: Tree = {
    "a": ("a1", "a2", "a3"), "b": ("b1", "b2"), "c": ("c1", "c2"), "d": ("d1",),
    "a2": ("a2x", "a2y"), "b1": ("b1x", "b1y", "b1z"),
}  # fmt: skip
Coalition = frozenset[str]


def children(unit: str) -> Sequence[str]:
    return TREE.get(unit, ())


def leaves(units: Sequence[str] | Coalition) -> Coalition:
    return frozenset(leaf for unit in units for leaf in (leaves(children(unit)) if children(unit) else [unit]))


class Reader:
    """A greedy reader of leaves that keeps what it was asked, and answers at most `most` coalitions."""

    def __init__(self, answer: Callable[[Coalition], str], most: float = float("inf")):
        self.answer = answer
        self.most = most
        self.asked: list[Coalition] = []

    def __call__(self, coalitions: Sequence[Coalition]) -> Mapping[Coalition, Value]:
        self.asked += coalitions
        answered = coalitions[: max(0, int(min(self.most - len(self.asked), 0)) + len(coalitions))]
        return {coalition: {self.answer(leaves(coalition)): 1.0} for coalition in answered}


def scattered(seed: int) -> Callable[[Coalition], str]:
    """An answer out of three to every set of leaves, without any pattern."""
    return lambda present: "xyz"[int(np.random.default_rng([seed, *sorted(map(hash_of, present))]).integers(3))]


def hash_of(leaf: str) -> int:
    return int.from_bytes(leaf.encode(), "big")


def needs(*wanted: str) -> Callable[[Coalition], str]:
    return lambda present: "yes" if present >= set(wanted) else "no"


def value(level: Level[str], unit: str, output: str = "yes") -> float:
    return float(level.scores.score_for(output)[level.units.index(unit)])


# ---- known games


def test_the_words_that_are_needed_are_found_and_nothing_else_is_opened() -> None:
    reader = Reader(needs("a2x", "b1z"))
    found = expand_hierarchy(ROOTS, children, reader, 0, 128)
    first, second, third = found.levels
    assert found.complete and first.units == ROOTS
    assert dict(second.nodes) == {"a": TREE["a"], "b": TREE["b"]} and second.units == ("a1", "a2", "a3", "b1", "b2")
    assert dict(third.nodes) == {"a2": TREE["a2"], "b1": TREE["b1"]} and third.units == (*TREE["a2"], *TREE["b1"])
    for level, carriers in ((first, ("a", "b")), (second, ("a2", "b1")), (third, ("a2x", "b1z"))):
        for unit in level.units:
            assert value(level, unit) == (pytest.approx(0.5, abs=0.15) if unit in carriers else 0)
        assert sum(value(level, unit) for unit in carriers) == 1  # v(all) - v(nobody): the others do nothing
    # No coalition names all parts of anything, and what one level has asked is not asked again.
    for coalition in reader.asked:
        assert all(not parts or not coalition.issuperset(parts) for parts in TREE.values())
    assert len(set(reader.asked)) == len(reader.asked) == sum(level.scores.asked for level in found.levels)


def test_thresholds_decide_what_is_opened() -> None:
    answer = needs("a2x", "b1z")
    assert [level.units for level in expand_hierarchy(ROOTS, children, Reader(answer), 0, 64, ()).levels] == [ROOTS]
    assert [level.units for level in expand_hierarchy(ROOTS, children, Reader(answer), 0, 64, (0.9,)).levels] == [ROOTS]
    memory = expand_hierarchy(ROOTS, children, Reader(lambda present: "by heart"), 0, 10)
    assert memory.complete and len(memory.levels) == 1 and not memory.levels[0].scores.gain.any()
    everything = expand_hierarchy(ROOTS, children, Reader(answer), 0, 8, (0.0, 0.0))
    assert everything.levels[1].units == tuple(part for root in ROOTS for part in TREE[root])
    assert everything.levels[2].units == (*TREE["a2"], *TREE["b1"])
    leafless = expand_hierarchy(("b2", "c1"), children, Reader(needs("b2")), 0, 8)  # nothing to open below a leaf
    assert leafless.complete and [level.units for level in leafless.levels] == [("b2", "c1")]
    nobody = expand_hierarchy((), children, Reader(answer), 0, 8)
    assert nobody.complete and nobody.levels[0].scores.gain.shape == (0, 0)


# ---- laws


@given(st.integers(0, 10**6), st.sampled_from([1, 4, 32]))
@settings(deadline=None, max_examples=30)
def test_parts_add_up_to_what_they_are_parts_of_exactly(seed: int, number: int) -> None:
    reader = Reader(scattered(seed))
    found = expand_hierarchy(ROOTS, children, reader, seed, number, (0.1, 0.1))
    whole, nothing = reader.answer(leaves(ROOTS)), reader.answer(frozenset())
    for output in "xyz":
        roots = found.levels[0].scores.score_for(output)
        assert roots.sum() == (whole == output) - (nothing == output)
        for above, level in zip(found.levels, found.levels[1:], strict=False):
            assert list(level.units) == [part for node in level.nodes for part in TREE[node]]
            reached = [u for u, score in zip(above.units, above.scores.score, strict=True) if score >= 0.1]
            assert list(level.nodes) == [unit for unit in reached if unit in TREE]
            for row, node in enumerate(level.nodes):
                of_parts = sum(value(level, part, output) for part in TREE[node])
                assert of_parts == level.node_scores.score_for(output)[row]  # powers of two: no rounding


@given(st.integers(0, 10**6))
@settings(deadline=None, max_examples=20)
def test_no_two_opened_units_are_cut_at_once(seed: int) -> None:
    reader = Reader(scattered(seed))
    found = expand_hierarchy(ROOTS, children, reader, seed, 6, (0.0, 0.0))
    assert len(found.levels) == 3
    for coalition in reader.asked:
        cut = [root for root in ROOTS if root not in coalition and leaves([root]) & leaves(coalition)]
        assert len(cut) <= 1
        for root in cut:
            inner = [part for part in TREE[root] if part not in coalition and leaves([part]) & leaves(coalition)]
            assert len(inner) <= 1


@given(st.integers(0, 10**6))
@settings(deadline=None, max_examples=20)
def test_the_first_level_is_plain_permutation_shapley(seed: int) -> None:
    answer = scattered(seed)
    level = expand_hierarchy(ROOTS, children, Reader(answer), seed, 25).levels[0]

    def flat(coalitions: Sequence[frozenset[int]]) -> Mapping[frozenset[int], Value]:
        return {c: {answer(leaves([ROOTS[i] for i in c])): 1.0} for c in coalitions}

    scores = permutation_shapley(len(ROOTS), flat, seed, 25)
    for output in "xyz":
        assert level.scores.score_for(output).tolist() == scores.score_for(output).tolist()
        assert level.scores.error_for(output).tolist() == scores.error_for(output).tolist()


def test_the_second_level_estimates_owens_values() -> None:
    answer = scattered(7)
    roots, tree = ("a", "b", "c"), {"a": TREE["a"], "b": TREE["b"], "c": TREE["c"]}
    exact: dict[str, float] = {}
    orders = list(nested(roots, tree))
    for order in orders:
        for at, unit in enumerate(order):
            change = (answer(leaves(order[: at + 1])) == "x") - (answer(leaves(order[:at])) == "x")
            exact[unit] = exact.get(unit, 0) + change / len(orders)
    level = expand_hierarchy(roots, lambda unit: tree.get(unit, ()), Reader(answer), 0, 1000, (-1.0,)).levels[1]
    off = level.scores.score_for("x") - [exact[unit] for unit in level.units]
    assert set(level.units) == set(exact) and len(orders) == 6 * 6 * 2 * 2
    assert (np.abs(off) < 3.5 * level.scores.error_for("x")).all() and np.ptp(list(exact.values())) > 0.2


def nested(roots: Sequence[str], tree: Tree) -> Iterator[list[str]]:
    """Every order of the parts in which the parts of each root stand together."""
    for order in permutations(roots):
        for inner in product(*(permutations(tree[root]) for root in order)):
            yield [part for block in inner for part in block]


@given(st.integers(0, 10**6), st.integers(5, 400))
@settings(deadline=None, max_examples=40)
def test_no_more_is_asked_than_there_is_room_for(seed: int, budget: int) -> None:
    reader = Reader(scattered(seed))
    found = expand_hierarchy(
        ROOTS, children, reader, seed, 20, (0.0, 0.0), remaining_budget=lambda: budget - len(reader.asked)
    )  # fmt: skip
    assert len(reader.asked) <= budget and found.complete
    whole, nothing = reader.answer(leaves(ROOTS)), reader.answer(frozenset())
    for output in "xyz":  # the laws hold of fewer permutations, too
        signed = found.levels[0].scores.score_for(output).sum()
        assert signed == pytest.approx((whole == output) - (nothing == output))
    opened = [len(level.nodes) for level in found.levels[1:]]
    reached = [sum(unit in TREE for unit in level.units if score_at_least(level, unit, 0)) for level in found.levels]
    assert found.unexpanded == sum(reached[: len(opened) + 1]) - sum(opened)


def score_at_least(level: Level[str], unit: str, threshold: float) -> bool:
    return bool(level.scores.score[level.units.index(unit)] >= threshold)


@given(st.integers(0, 10**6))
@settings(deadline=None, max_examples=20)
def test_room_enough_changes_nothing(seed: int) -> None:
    def run(room: Callable[[], int]) -> list[list[float]]:
        found = expand_hierarchy(ROOTS, children, Reader(scattered(seed)), seed, 20, (0.0, 0.0), remaining_budget=room)
        assert not found.unexpanded
        return [level.scores.score_for("x").tolist() for level in found.levels]

    assert run(lambda: 10**6) == run(unlimited)


def test_what_matters_most_is_opened_first() -> None:
    reader = Reader(needs("a2x", "b1z"))
    found = expand_hierarchy(ROOTS, children, reader, 0, 4, (-1.0,), remaining_budget=lambda: 40 - len(reader.asked))
    first, second = found.levels
    best = max(first.units, key=lambda unit: first.scores.score[first.units.index(unit)])
    assert best in second.nodes and len(second.nodes) + found.unexpanded == len(ROOTS) and found.unexpanded


def test_a_seed_reproduces() -> None:
    def run(seed: int, batch: int = 10) -> list[list[float]]:
        found = expand_hierarchy(ROOTS, children, Reader(scattered(3)), seed, 20, (0.0, 0.0), batch=batch)
        return [level.scores.score_for("x").tolist() for level in found.levels]

    assert run(1) == run(1) == run(1, batch=7) != run(2)


# ---- stopping


def test_a_stopped_run_has_what_is_done_so_far() -> None:
    answer = needs("a2x", "b1z")
    done: list[tuple[str, int, int]] = []
    found = expand_hierarchy(
        ROOTS, children, Reader(answer), 5, 30, batch=10,
        report=lambda *progress: done.append(progress), stop=lambda: len(done) == 5,
    )  # fmt: skip
    assert done == [(f"attributing, level {n}", k, 30) for n, k in ((1, 10), (1, 20), (1, 30), (2, 10), (2, 20))]
    assert not found.complete and [level.scores.samples for level in found.levels] == [30, 20]
    whole = expand_hierarchy(ROOTS, children, Reader(answer), 5, 30)
    assert found.levels[0].scores.gain.tolist() == whole.levels[0].scores.gain.tolist()
    assert sum(value(found.levels[1], unit) for unit in found.levels[1].units) == pytest.approx(1)
    at_once = expand_hierarchy(ROOTS, children, Reader(answer), 5, stop=lambda: True)
    assert at_once.levels == () and not at_once.complete


def test_a_batch_that_the_game_leaves_unfinished_is_not_counted() -> None:
    answer = scattered(3)
    whole = expand_hierarchy(ROOTS, children, Reader(answer), 0, 8, (0.0,), batch=2)
    for most in range(1, 60):
        found = expand_hierarchy(ROOTS, children, Reader(answer, most), 0, 8, (0.0,), batch=2)
        samples = [level.scores.samples for level in found.levels]
        assert all(number % 2 == 0 for number in samples)
        if found.complete:
            assert samples == [8, 8] and most >= sum(level.scores.asked for level in whole.levels)
            break
        assert samples in ([], [2], [4], [6], [8], [8, 2], [8, 4], [8, 6])
        if samples == [4]:
            fewer = expand_hierarchy(ROOTS, children, Reader(answer), 0, 4, ())
            assert found.levels[0].scores.gain.tolist() == fewer.levels[0].scores.gain.tolist()
    assert found.complete


def test_an_early_stop_opens_the_same_with_fewer_permutations() -> None:
    answer = needs("a2x", "b1z")
    early = expand_hierarchy(ROOTS, children, Reader(answer), 0, 500, early_stop=True)
    whole = expand_hierarchy(ROOTS, children, Reader(answer), 0, 500)
    assert [level.units for level in early.levels] == [level.units for level in whole.levels]
    first, second, third = (level.scores.samples for level in early.levels)
    assert first < 100 and second < 100 and third == 500  # nothing is opened below the last level


def test_misuse() -> None:
    for permutations_, batch in ((0, 1), (1, 0)):
        with pytest.raises(ValueError, match="at least one"):
            expand_hierarchy(ROOTS, children, Reader(needs("a1")), 0, permutations_, batch=batch)


# ---- over evidence


def test_documents_clauses_and_words_of_evidence() -> None:
    texts = ("The mill ground corn.", "It stood in Leith, by the shore, and was built in 1911. It burnt.", "No mill.")
    hits = [Hit(n, 1.0, passage(n, text, f"d{n}", f"Mill {n}")) for n, text in enumerate(texts, start=1)]

    def reader(coalitions: Sequence[frozenset[Player]]) -> Mapping[frozenset[Player], Value]:
        read = {c: " ".join(hit.passage.text for hit in without(hits, complement(hits, c))) for c in coalitions}
        return {c: {"1911" if "built in 1911" in text else "unknown": 1.0} for c, text in read.items()}

    game: GameOver[Player] = reader
    found: Hierarchy[Player] = expand_hierarchy(documents(hits), lambda player: parts(player, hits), game, 0, 64)
    carried = [
        {text_of(u, hits[u.rank - 1]) for u, s in zip(level.units, level.scores.score_for("1911"), strict=True) if s}
        for level in found.levels
    ]
    assert carried == [{texts[1]}, {"and was built in 1911. "}, {"built ", "in ", "1911. "}]
    assert found.levels[1].units == tuple(clauses(hits[1]))
    assert [level.scores.score_for("1911").sum() for level in found.levels] == [1, 1, 1]
