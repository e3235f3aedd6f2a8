"""Shapley values of a game whose outcome is a text, and what they are compared with.

After TextGenSHAP (arXiv 2312.01279), its voting form: v(S) is the distribution over whole output strings when only the
players in S are there, one string if decoding is greedy. What a player does is counted for each string apart: the gain,
how much of it the player brought about, and the loss, how much of it the player did away with.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import comb, fsum
from typing import TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

Unit = TypeVar("Unit", bound=Hashable)
Value: TypeAlias = Mapping[str, float]  # probability by output string, a missing one 0; log-probability by one name
Coalition: TypeAlias = frozenset[int]  # the players present, 0..players-1
# A game is asked for many coalitions at once, each one once, so that it can choose the cheapest order; it answers all.
GameOver: TypeAlias = Callable[[Sequence[frozenset[Unit]]], Mapping[frozenset[Unit], Value]]
Game: TypeAlias = GameOver[int]

MOST_EXACT = 8  # players: 256 coalitions
BATCH = 10  # permutations between two looks at whether it is enough


@dataclass(frozen=True, slots=True, eq=False)
class Scores:
    """What each player does to each output: arrays (players, outputs), means over samples.

    The errors are standard errors as the paper's release has them, sqrt(variance over samples / samples) with the
    variance's divisor the number of samples: 0 where all samples agree, and so from one sample. `samples` is 0 where
    nothing was sampled. `asked` counts the different coalitions that the game was asked for.
    """

    outputs: tuple[str, ...]
    gain: NDArray[np.float64]
    loss: NDArray[np.float64]
    gain_error: NDArray[np.float64]
    loss_error: NDArray[np.float64]
    signed_error: NDArray[np.float64]
    samples: int
    asked: int

    @property
    def signed(self) -> NDArray[np.float64]:
        return self.gain - self.loss

    @property
    def score(self) -> NDArray[np.float64]:
        """(players,): the most that a player surely gains for any output, max over outputs of gain - error [paper].

        0 where there is no output at all.
        """
        if not self.outputs:
            return np.zeros(len(self.gain))
        surely: NDArray[np.float64] = (self.gain - self.gain_error).max(axis=1)
        return surely

    def score_for(self, output: str) -> NDArray[np.float64]:
        """(players,): the signed values for one output, the answer shown; 0 for an output never seen."""
        return self._column(self.signed, output)

    def error_for(self, output: str) -> NDArray[np.float64]:
        """(players,): the standard errors of `score_for`."""
        return self._column(self.signed_error, output)

    def settled(self, threshold: float) -> bool:
        """Whether every mean gain lies on one side of the threshold by more than its standard error."""
        return bool((np.abs(self.gain - threshold) > self.gain_error).all())

    def of(self, players: slice) -> Scores:
        """The rows of some of the players."""
        return replace(
            self,
            gain=self.gain[players],
            loss=self.loss[players],
            gain_error=self.gain_error[players],
            loss_error=self.loss_error[players],
            signed_error=self.signed_error[players],
        )

    def _column(self, values: NDArray[np.float64], output: str) -> NDArray[np.float64]:
        return values[:, self.outputs.index(output)] if output in self.outputs else np.zeros(len(values))


class Tally:
    """Sums of gains and losses over samples. In a sample a player takes one step (before, after), or none."""

    def __init__(self, players: int):
        self.samples = 0
        self._players = players
        self._sums: dict[str, NDArray[np.float64]] = {}  # output -> (4, players): gain, its square, loss, its square

    def add(self, steps: Iterable[tuple[int, Value, Value]]) -> None:
        """Count one sample: (player, value before it came, value after) of each."""
        self.samples += 1
        for player, before, after in steps:
            for output in {**before, **after}:
                sums = self._sums.setdefault(output, np.zeros((4, self._players)))
                if change := after.get(output, 0.0) - before.get(output, 0.0):
                    at = 0 if change > 0 else 2
                    sums[at, player] += abs(change)
                    sums[at + 1, player] += change * change

    def scores(self, asked: int) -> Scores:
        """The means so far. ValueError before the first sample."""
        if not self.samples:
            raise ValueError("no sample was counted")
        means = np.zeros((4, self._players, len(self._sums)))
        for column, sums in enumerate(self._sums.values()):
            means[:, :, column] = sums / self.samples
        gain, gain_squares, loss, loss_squares = means

        def error(mean: NDArray[np.float64], squares: NDArray[np.float64]) -> NDArray[np.float64]:
            spread: NDArray[np.float64] = np.sqrt(np.maximum(squares - mean * mean, 0) / self.samples)
            return spread

        return Scores(
            tuple(self._sums),
            gain,
            loss,
            error(gain, gain_squares),
            error(loss, loss_squares),
            error(gain - loss, gain_squares + loss_squares),  # in one sample one of the two is 0
            self.samples,
            asked,
        )


def ask(
    game: GameOver[Unit], coalitions: Iterable[frozenset[Unit]], known: dict[frozenset[Unit], Value]
) -> Sequence[frozenset[Unit]]:
    """Add to `known` what the game says of the coalitions not in it yet, in one call. Returns those it left out."""
    missing = [coalition for coalition in dict.fromkeys(coalitions) if coalition not in known]
    if missing:
        known.update(game(missing))
    return [coalition for coalition in missing if coalition not in known]


def permutation_shapley(
    players: int,
    game: Game,
    seed: int,
    permutations: int = 100,
    *,
    sentinel: bool = False,
    threshold: float | None = None,
) -> Scores:
    """Shapley values estimated from random permutations, to which players are added one at a time.

    With a `threshold` it stops after the first ten permutations, twenty, ... that settle on which side of it each gain
    lies, an addition to the paper. `sentinel`: see `shapley_over`. ValueError unless permutations > 0.
    """
    if permutations < 1:
        raise ValueError(f"{permutations} permutations: at least one is needed")
    generator = np.random.default_rng(seed)
    orders: list[list[int]] = [generator.permutation(players).tolist() for _ in range(permutations)]
    return shapley_over(players, game, orders, sentinel=sentinel, threshold=threshold)


def shapley_over(
    players: int,
    game: Game,
    orders: Sequence[Sequence[int]],
    *,
    sentinel: bool = False,
    threshold: float | None = None,
) -> Scores:
    """The means over given permutations: of player i with S before it, the change from v(S) to v(S + i).

    In each permutation the signed changes of an output add up to v(all) - v(nobody). `sentinel` for parity with the
    release: not v(nobody) but an output of its own, in no column, stands before the first player, who so gains the
    first answer even where the model gives it without evidence. It makes no sense for log-probabilities.

    >>> def both(coalitions):
    ...     return {c: {"yes" if c >= {0, 1} else "no": 1.0} for c in coalitions}
    >>> shapley_over(3, both, [(0, 1, 2), (2, 1, 0)]).score_for("yes").tolist()
    [0.5, 0.5, 0.0]
    """
    tally = Tally(players)
    known: dict[Coalition, Value] = {}
    batch = len(orders) if threshold is None else BATCH
    for begin in range(0, len(orders), batch):
        runs = [list(_steps(order)) for order in orders[begin : begin + batch]]
        needed = [c for run in runs for _, *both in run for c in both if c or not sentinel]
        ask(game, needed, known)
        for run in runs:
            tally.add((i, {} if sentinel and not before else known[before], known[after]) for i, before, after in run)
        if threshold is not None and tally.scores(0).settled(threshold):
            break
    return tally.scores(len(known))


def _steps(order: Sequence[int]) -> Iterable[tuple[int, Coalition, Coalition]]:
    before: Coalition = frozenset()
    for player in order:
        after = before | {player}
        yield player, before, after
        before = after


def exact_shapley(players: int, game: Game) -> Scores:
    """Shapley values by all subsets S of the others, each weighing |S|! (n - |S| - 1)! / n!; at most 8 players."""
    return _enumerated(players, game, [1 / (players * comb(players - 1, size)) for size in range(players)])


def exact_banzhaf(players: int, game: Game, p: float = 0.5) -> Scores:
    """The mean over all subsets of the others, each of whom is in with probability p; at most 8 players."""
    _check_probability(p)
    return _enumerated(players, game, [p**size * (1 - p) ** (players - 1 - size) for size in range(players)])


def _enumerated(players: int, game: Game, weights: Sequence[float]) -> Scores:
    """Sums over the subsets of the others, by weights[size of the subset].

    They are rounded once, whatever their order, so that symmetric players come out equal to the last bit.
    """
    if players > MOST_EXACT:
        raise ValueError(f"{players} players: exact values are for at most {MOST_EXACT}")
    subsets = [frozenset(i for i in range(players) if bits >> i & 1) for bits in range(2**players)]
    known: dict[Coalition, Value] = {}
    ask(game, subsets, known)
    outputs = tuple(dict.fromkeys(output for subset in subsets for output in known[subset]))
    values = np.array([[known[subset].get(output, 0.0) for output in outputs] for subset in subsets])
    gain, loss = (np.zeros((players, len(outputs))) for _ in range(2))
    for i in range(players):
        lacking = [bits for bits in range(2**players) if not bits >> i & 1]
        weight = np.array([weights[bits.bit_count()] for bits in lacking])
        changes = (values[[bits | 1 << i for bits in lacking]] - values[lacking]) * weight[:, None]
        gain[i] = [fsum(column) for column in np.maximum(changes, 0).T]
        loss[i] = [fsum(column) for column in np.maximum(-changes, 0).T]
    return _sure(outputs, gain, loss, len(subsets))


def banzhaf(players: int, game: Game, seed: int, samples: int = 100, p: float = 0.5) -> Scores:
    """Banzhaf values estimated from random subsets, each player in with probability p, of which each player is flipped.

    With p = 0.1 they say what a player does when little else is there. ValueError unless samples > 0 and 0 <= p <= 1.
    """
    _check_probability(p)
    if samples < 1:
        raise ValueError(f"{samples} samples: at least one is needed")
    generator = np.random.default_rng(seed)
    drawn = [frozenset(np.flatnonzero(generator.random(players) < p).tolist()) for _ in range(samples)]
    runs = [[(i, subset - {i}, subset | {i}) for i in range(players)] for subset in drawn]
    return _tallied(players, game, runs)


def leave_one_out(players: int, game: Game) -> Scores:
    """What is lost when one player alone is absent, v(all) - v(all but i): a control."""
    everyone = frozenset(range(players))
    return _tallied(players, game, [[(i, everyone - {i}, everyone) for i in range(players)]])


def _tallied(players: int, game: Game, runs: Sequence[Sequence[tuple[int, Coalition, Coalition]]]) -> Scores:
    tally = Tally(players)
    known: dict[Coalition, Value] = {}
    ask(game, [c for run in runs for _, *both in run for c in both], known)
    for run in runs:
        tally.add((i, known[before], known[after]) for i, before, after in run)
    return tally.scores(len(known))


def random_scores(players: int, game: Game, seed: int) -> Scores:
    """The random baseline: gains drawn from 0..1 for each output of all players together."""
    known: dict[Coalition, Value] = {}
    ask(game, [frozenset(range(players))], known)
    outputs = tuple(next(iter(known.values())))
    gain = np.random.default_rng(seed).random((players, len(outputs)))
    return _sure(outputs, gain, np.zeros_like(gain), 1)


def _sure(outputs: tuple[str, ...], gain: NDArray[np.float64], loss: NDArray[np.float64], asked: int) -> Scores:
    """Scores that are not estimates."""
    none = np.zeros_like(gain)
    return Scores(outputs, gain, loss, none, none, none, 0, asked)


def _check_probability(p: float) -> None:
    if not 0 <= p <= 1:
        raise ValueError(f"p = {p}: a probability is from 0 to 1")
