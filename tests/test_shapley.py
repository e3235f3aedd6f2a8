"""rag/attribute/shapley.py: known games, the axioms, and samples against enumeration."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag.attribute.shapley import (
    Coalition,
    Game,
    Scores,
    Value,
    banzhaf,
    exact_banzhaf,
    exact_shapley,
    leave_one_out,
    permutation_shapley,
    random_scores,
    shapley_over,
)


def decoded(answer: Callable[[Coalition], str]) -> Game:
    """A greedy reader that gives one answer to a coalition."""
    return lambda coalitions: {coalition: {answer(coalition): 1.0} for coalition in coalitions}


def answered(yes: Callable[[Coalition], bool]) -> Game:
    return decoded(lambda coalition: "yes" if yes(coalition) else "no")


BOTH = answered(lambda c: c >= {2, 5})
EITHER = answered(lambda c: bool(c & {0, 3}))
ODD = decoded(lambda c: "odd" if len(c & {1, 2}) == 1 else "even")


class Counted:
    """A game that keeps what it was asked."""

    def __init__(self, game: Game):
        self.game = game
        self.calls: list[list[Coalition]] = []

    def __call__(self, coalitions: Sequence[Coalition]) -> Mapping[Coalition, Value]:
        self.calls.append(list(coalitions))
        return self.game(coalitions)


@st.composite
def games(draw: st.DrawFn, most: int = 5, greedy: bool | None = None) -> tuple[int, Game]:
    """A number of players, and for every coalition an answer out of three, or a distribution over them."""
    players = draw(st.integers(1, most))
    generator = np.random.default_rng(draw(st.integers(0, 2**32)))
    if draw(st.booleans()) if greedy is None else greedy:
        table = np.eye(3)[generator.integers(0, 3, 2**players)]
    else:
        table = generator.dirichlet([1, 1, 1], 2**players)

    def play(coalitions: Sequence[Coalition]) -> Mapping[Coalition, Value]:
        rows = {coalition: table[sum(1 << i for i in coalition)] for coalition in coalitions}
        return {c: {name: float(p) for name, p in zip("abc", row, strict=True) if p} for c, row in rows.items()}

    return players, play


def columns(scores: Scores, names: Iterable[str] = "abc") -> np.ndarray:
    """(gain or loss, players, names): in one order, whatever was seen first."""
    zero = np.zeros(len(scores.gain))
    at = scores.outputs.index
    return np.array(
        [
            [values[:, at(name)] if name in scores.outputs else zero for name in names]
            for values in (scores.gain, scores.loss)
        ]
    ).transpose(0, 2, 1)


# ---- known games


def test_two_that_are_both_needed_share_the_answer() -> None:
    scores = exact_shapley(7, BOTH)
    assert scores.score_for("yes").tolist() == [0, 0, 0.5, 0, 0, 0.5, 0]
    assert scores.score_for("no").tolist() == [0, 0, -0.5, 0, 0, -0.5, 0]
    assert scores.score.tolist() == [0, 0, 0.5, 0, 0, 0.5, 0]
    assert scores.score_for("perhaps").tolist() == [0] * 7 == scores.error_for("yes").tolist()
    assert leave_one_out(7, BOTH).score_for("yes").tolist() == [0, 0, 1, 0, 0, 1, 0]


def test_two_that_say_the_same_share_it_too_where_leaving_one_out_sees_nothing() -> None:
    assert exact_shapley(4, EITHER).score_for("yes").tolist() == [0.5, 0, 0, 0.5]
    assert leave_one_out(4, EITHER).score_for("yes").tolist() == [0, 0, 0, 0]


def test_what_cancels_has_gains_and_losses_and_no_signed_value() -> None:
    scores = exact_shapley(3, ODD)
    odd = scores.outputs.index("odd")
    assert scores.gain[:, odd].tolist() == scores.loss[:, odd].tolist() == [0, 0.5, 0.5]
    assert scores.score_for("odd").tolist() == [0, 0, 0] and scores.score.tolist() == [0, 0.5, 0.5]


def test_banzhaf_by_hand() -> None:
    # Both needed: a player brings "yes" where the other is in, with probability p. Two of three: where just one of the
    # others is in, 2 p (1 - p); Shapley: where it comes second of three.
    two_of_three = answered(lambda c: len(c) >= 2)
    for p in (0.5, 0.1):
        assert exact_banzhaf(7, BOTH, p).score_for("yes") == pytest.approx([0, 0, p, 0, 0, p, 0])
        assert exact_banzhaf(3, two_of_three, p).score_for("yes") == pytest.approx([2 * p * (1 - p)] * 3)
    assert exact_shapley(3, two_of_three).score_for("yes") == pytest.approx([1 / 3] * 3)


def test_likelihood_is_a_game_of_one_output() -> None:
    worth = np.array([0.5, 2.0, -1.0])

    def game(coalitions: Sequence[Coalition]) -> Mapping[Coalition, Value]:
        return {c: {"log p": -7.0 + sum(worth[i] for i in c)} for c in coalitions}

    for scores in (exact_shapley(3, game), permutation_shapley(3, game, 0, 10), leave_one_out(3, game)):
        assert scores.score_for("log p") == pytest.approx(worth)
        assert scores.error_for("log p") == pytest.approx([0, 0, 0], abs=1e-7)


# ---- laws


@given(games())
@settings(deadline=None)
def test_all_permutations_are_the_exact_values(game: tuple[int, Game]) -> None:
    players, play = game
    sampled = shapley_over(players, play, list(permutations(range(players))))
    exact = exact_shapley(players, play)
    assert columns(sampled) == pytest.approx(columns(exact), abs=1e-12)
    assert sampled.asked == exact.asked == 2**players


@given(games(greedy=True), st.integers(0, 99), st.sampled_from([1, 2, 8, 64]))
@settings(deadline=None)
def test_signed_changes_add_up_to_the_whole_exactly(game: tuple[int, Game], seed: int, number: int) -> None:
    players, play = game
    scores = permutation_shapley(players, play, seed, number)  # a power of two: the means are exact
    everyone, nobody = frozenset(range(players)), frozenset[int]()
    values = play([everyone, nobody])
    for output in scores.outputs:
        whole = values[everyone].get(output, 0) - values[nobody].get(output, 0)
        assert scores.score_for(output).sum() == whole
    assert set(scores.outputs) >= {*values[everyone], *values[nobody]}


@given(games(greedy=False), st.integers(0, 99))
@settings(deadline=None)
def test_distributions_add_up_too(game: tuple[int, Game], seed: int) -> None:
    players, play = game
    values = play([frozenset(range(players)), frozenset()])
    for scores in (permutation_shapley(players, play, seed, 7), exact_shapley(players, play)):
        for output in "abc":
            whole = values[frozenset(range(players))].get(output, 0) - values[frozenset()].get(output, 0)
            assert scores.score_for(output).sum() == pytest.approx(whole, abs=1e-12)


ESTIMATORS: dict[str, Callable[[int, Game], Scores]] = {
    "permutations": lambda players, game: permutation_shapley(players, game, 3, 20),
    "exact": exact_shapley,
    "banzhaf": lambda players, game: banzhaf(players, game, 3, 20),
    "banzhaf10": lambda players, game: banzhaf(players, game, 3, 20, 0.1),
    "exact banzhaf": exact_banzhaf,
    "leave one out": leave_one_out,
}


@pytest.mark.parametrize("name", ESTIMATORS)
@given(game=games(most=4))
@settings(deadline=None, max_examples=25)
def test_a_player_that_changes_nothing_scores_nothing(name: str, game: tuple[int, Game]) -> None:
    players, play = game

    def ignoring(coalitions: Sequence[Coalition]) -> Mapping[Coalition, Value]:
        values = play([frozenset(i - 1 for i in c if i) for c in coalitions])
        return {c: values[frozenset(i - 1 for i in c if i)] for c in coalitions}

    scores = ESTIMATORS[name](players + 1, ignoring)
    for of_null in (scores.gain[0], scores.loss[0], scores.gain_error[0], scores.loss_error[0], scores.signed_error[0]):
        assert not of_null.any()


@given(st.lists(st.sampled_from("abc"), min_size=7, max_size=7), st.integers(2, 6))
@settings(deadline=None)
def test_symmetric_players_score_the_same_to_the_last_bit(answers: list[str], players: int) -> None:
    game = decoded(lambda c: answers[len(c)])  # who is there does not matter
    for scores in (exact_shapley(players, game), exact_banzhaf(players, game, 0.1)):
        assert (scores.gain == scores.gain[0]).all() and (scores.loss == scores.loss[0]).all()


def test_symmetric_players_score_alike_in_a_sample() -> None:
    scores = permutation_shapley(6, BOTH, 1, 400)
    (_, _, first, _, _, second), error = scores.score_for("yes"), scores.error_for("yes")[2]
    assert 0 < error < 0.03 and abs(first - second) < 3 * error * 2**0.5 and abs(first - 0.5) < 3 * error


# ---- samples


def test_the_error_shrinks_with_the_root_and_is_what_the_standard_error_says() -> None:
    game = decoded(lambda c: str(sum(1 << i for i in c) * 7 % 11 % 4))
    names = "0123"
    exact = columns(exact_shapley(4, game), names)

    def root_mean_squares(number: int) -> tuple[float, float]:
        runs = [permutation_shapley(4, game, seed, number) for seed in range(60)]
        off = np.array([columns(run, names) - exact for run in runs])
        told = np.array([[run.gain_error, run.loss_error] for run in runs])
        return float(np.sqrt((off**2).mean())), float(np.sqrt((told**2).mean()))

    (few, told_few), (many, told_many) = root_mean_squares(20), root_mean_squares(320)
    assert few / many == pytest.approx(4, rel=0.15)
    assert told_few == pytest.approx(few, rel=0.1) and told_many == pytest.approx(many, rel=0.1)


@pytest.mark.parametrize("p", [0.5, 0.1])
def test_banzhaf_samples_agree_with_enumeration(p: float) -> None:
    game = decoded(lambda c: str(sum(1 << i for i in c) * 7 % 11 % 4))
    exact, sampled = exact_banzhaf(5, game, p), banzhaf(5, game, 0, 1000, p)
    for output in "0123":
        off = np.abs(sampled.score_for(output) - exact.score_for(output))
        assert (off < 3.5 * sampled.error_for(output) + 1e-12).all()
    assert sampled.samples == 1000 and sampled.asked <= 32


def test_standard_errors_by_hand() -> None:
    # Player 1 gains "yes" in one of two permutations: mean 1/2, variance 1/4, over two samples: root of 1/8.
    scores = shapley_over(2, answered(lambda c: c == {0, 1}), [(0, 1), (1, 0)])
    yes = scores.outputs.index("yes")
    assert scores.gain_error[:, yes] == pytest.approx([0.125**0.5] * 2) == scores.signed_error[:, yes]
    assert not scores.loss_error[:, yes].any()
    assert scores.score == pytest.approx([0.5 - 0.125**0.5] * 2)


@given(games(), st.integers(0, 99))
@settings(deadline=None)
def test_a_seed_reproduces_and_a_game_is_asked_once(game: tuple[int, Game], seed: int) -> None:
    players, play = game
    runs: list[Callable[[Game], Scores]] = [
        lambda asked: permutation_shapley(players, asked, seed, 12),
        lambda asked: permutation_shapley(players, asked, seed, 30, threshold=0.3),
        lambda asked: banzhaf(players, asked, seed, 12),
        lambda asked: random_scores(players, asked, seed),
        lambda asked: exact_shapley(players, asked),
        lambda asked: leave_one_out(players, asked),
    ]
    for at, run in enumerate(runs):
        counted = Counted(play)
        first, second = run(counted), run(play)
        assert first.outputs == second.outputs
        assert (first.gain == second.gain).all() and (first.loss == second.loss).all()
        asked = [coalition for call in counted.calls for coalition in call]
        assert len(set(asked)) == len(asked) == first.asked
        assert len(counted.calls) == 1 or at == 1


def test_other_seeds_sample_otherwise() -> None:
    assert len({tuple(permutation_shapley(6, BOTH, seed, 11).score_for("yes")) for seed in range(5)}) > 1
    assert len({tuple(banzhaf(6, BOTH, seed, 11).score_for("yes")) for seed in range(5)}) > 1
    controls = [random_scores(6, BOTH, seed).score_for("yes") for seed in range(5)]
    assert len({tuple(control) for control in controls}) == 5 and 0 <= np.min(controls) <= np.max(controls) <= 1


def test_the_sentinel_credits_the_first_player_and_stands_in_no_column() -> None:
    memory = Counted(decoded(lambda c: "known by heart"))
    plain, parity = permutation_shapley(3, memory, 0, 12), permutation_shapley(3, memory, 0, 12, sentinel=True)
    assert plain.outputs == parity.outputs == ("known by heart",)
    assert not plain.gain.any() and parity.gain.sum() == pytest.approx(1) and not parity.loss.any()
    assert frozenset() in memory.calls[0] and frozenset() not in memory.calls[1]
    no = exact_shapley(6, BOTH).outputs.index("no")  # the release's index -1 would put a loss here
    lost = permutation_shapley(6, BOTH, 0, 64, sentinel=True).loss
    assert lost[:, no].sum() == 1 and lost.sum() == 1


def test_an_early_stop_decides_alike_with_fewer_permutations() -> None:
    whole = permutation_shapley(7, BOTH, 0, 1000)
    early = permutation_shapley(7, BOTH, 0, 1000, threshold=0.3)
    assert whole.samples == 1000 and early.samples < 100 and early.samples % 10 == 0
    assert ((early.score >= 0.3) == (whole.score >= 0.3)).all() and early.settled(0.3)
    assert not early.settled(float(early.gain.max()))


def test_nobody_and_misuse() -> None:
    assert permutation_shapley(0, BOTH, 0).gain.shape == (0, 0)
    assert permutation_shapley(0, BOTH, 0).score.shape == leave_one_out(0, BOTH).score.shape == (0,)
    assert exact_shapley(0, BOTH).gain.shape == (0, 1) and exact_shapley(0, BOTH).outputs == ("no",)
    with pytest.raises(ValueError, match="9 players"):
        exact_shapley(9, BOTH)
    for run in (lambda: permutation_shapley(2, BOTH, 0, 0), lambda: banzhaf(2, BOTH, 0, 0)):
        with pytest.raises(ValueError, match="at least one"):
            run()
    for run in (lambda: banzhaf(2, BOTH, 0, 5, 1.5), lambda: exact_banzhaf(2, BOTH, -0.1)):
        with pytest.raises(ValueError, match="probability"):
            run()
