"""Attribution of a shown answer by TextGenSHAP (arXiv 2312.01279), with a reader as the value function.

Documents come first; those that matter are expanded into clauses, and these into words.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from math import comb, fsum
from typing import Literal, TypeAlias

from rag.attribute.game import LOG_P, ReaderGame
from rag.attribute.hierarchy import Hierarchy, expand_hierarchy
from rag.attribute.players import Player, documents, parts, text_of
from rag.attribute.shapley import MOST_EXACT, Scores, Value, exact_shapley
from rag.records import AttributedPlayer, Attribution

Level: TypeAlias = Literal["document", "clause", "word"]
LEVELS: tuple[Level, ...] = ("document", "clause", "word")
THRESHOLDS = (0.3, 0.1)  # of a document's and of a clause's score, to be expanded [paper]
PERMUTATIONS = {"document": 100, "clause": 10, "word": 10}  # the paper's default, and its quick setting
SEED = 0


def attribute(
    game: ReaderGame,
    shown: str,
    level: Level,
    permutations: int | None = None,
    thresholds: Sequence[float] = THRESHOLDS,
    seed: int = SEED,
) -> Attribution:
    """Score the evidence of `game` for the answer `shown`, down to a level.

    Values are Owen's from `permutations` random orders, with standard errors. Up to eight documents alone are scored
    exactly, by all their coalitions if the budget suffices: of five there are 32, which 100 permutations need anyway,
    and visited in one walk they share more of their prompts' prefixes than in batches.

    Each level takes its part of the budget; `stopped` says if that meant fewer permutations, or that not all that
    matters was expanded. If a game ends early, its first permutations are reported, and why it ended. If it should have
    been exact, a score is the middle of the interval that the missing coalitions leave open, and its error half the
    width. `stopped` also says if the reader gives another answer to the whole evidence: the scores are then of an
    answer that it does not give.

    A game whose values are {LOG_P: log-probability of the answer shown} is scored in nats; thresholds are nats then.
    """
    number = PERMUTATIONS[level] if permutations is None else permutations
    roots = documents(game.hits)
    if not roots:
        return Attribution(level, (), shown, None, 0, 0, 0, game.absence, "there is no evidence to attribute to")
    depth = LEVELS.index(level)
    if level == "document" and len(roots) <= MOST_EXACT and 2 ** len(roots) <= min(game.budget, number * len(roots)):
        values = game(_subsets(roots))
        if not game.stopped or (len(values) > 1 and not _likelihood(values)):
            return _exact(game, shown, roots, values, number)
    found = expand_hierarchy(
        roots, lambda player: parts(player, game.hits), game, seed, number, thresholds[:depth],
        remaining_budget=lambda: game.budget - game.calls,
    )  # fmt: skip
    return _from_levels(game, shown, level, found, number)


def _exact(
    game: ReaderGame, shown: str, roots: Sequence[Player], values: Mapping[frozenset[Player], Value], number: int
) -> Attribution:
    def numbered(coalitions: Sequence[frozenset[int]]) -> dict[frozenset[int], Value]:
        return {coalition: known[frozenset(roots[i] for i in coalition)] for coalition in coalitions}

    unread = [coalition for coalition in _subsets(roots) if coalition not in values]
    known = {**values, **{coalition: {shown: 0.5} for coalition in unread}}
    scores = exact_shapley(len(roots), numbered)
    players = [
        replace(player, standard_error=_half_width(roots[i], len(roots), unread))
        for i, player in enumerate(_players(game, roots, scores, shown))
    ]
    baseline = _reply_in(values.get(frozenset()))
    whole = values.get(frozenset(roots))
    return Attribution(
        "document", tuple(players), shown, baseline, game.calls, number * (len(roots) + 1), 0, game.absence,
        game.stopped or (_another(whole, shown) if whole is not None else ""),
    )  # fmt: skip


def _half_width(player: Player, players: int, unread: Sequence[frozenset[Player]]) -> float:
    """Half of what a player's Shapley value may vary by if each of these coalitions is worth anything from 0 to 1."""
    others = [len(coalition - {player}) for coalition in unread]  # the coalition with it or without it
    return fsum(1 / (players * comb(players - 1, size)) for size in others) / 2


def _subsets(roots: Sequence[Player]) -> list[frozenset[Player]]:
    return [frozenset(subset) for n in range(len(roots) + 1) for subset in combinations(roots, n)]


def _from_levels(game: ReaderGame, shown: str, level: Level, found: Hierarchy[Player], number: int) -> Attribution:
    """All levels, a document before its clauses and a clause before its words."""
    players = [player for each in found.levels for player in _players(game, each.units, each.scores, shown)]
    samples = [each.scores.samples for each in found.levels]
    units = [len(each.units) + len(each.nodes) for each in found.levels]
    naive = sum(count * (size + 1) for count, size in zip(samples, units, strict=True))
    empty = game([frozenset()]) if found.levels else {}
    baseline = _reply_in(empty.get(frozenset()))
    everything = frozenset(documents(game.hits))
    whole = game([everything]).get(everything) if found.levels else None
    return Attribution(
        level, tuple(players), shown, baseline, game.calls, naive, min(samples, default=0), game.absence,
        game.stopped or (_another(whole, shown) if whole is not None else "") or _cut_short(game, found, number),
    )  # fmt: skip


def _cut_short(game: ReaderGame, found: Hierarchy[Player], number: int) -> str:
    """What the budget did not suffice for, in words."""
    fewer = min((level.scores.samples for level in found.levels), default=number)
    said = [f"{fewer} of {number} permutations"] if fewer < number else []
    if found.unexpanded:
        said.append(f"{found.unexpanded} more that matter not opened")
    return f"{', '.join(said)}: {game.budget} calls are the limit (attribute.calls)" if said else ""


def _likelihood(values: Mapping[frozenset[Player], Value]) -> bool:
    return any(LOG_P in value for value in values.values())


def _reply_in(value: Value | None) -> str | None:
    """The reply, where a value is a vote for one."""
    said = next(iter(value or ()), None)
    return None if said == LOG_P else said


def _another(whole: Value, shown: str) -> str:
    """In words, that the whole evidence gives another answer than the one shown; "" where it gives the same."""
    said = next(iter(whole))
    return (
        ""
        if shown in whole or said == LOG_P
        else f"to the whole evidence the reader read here says {said!r}, not the answer shown"
    )


def _players(game: ReaderGame, units: Sequence[Player], scores: Scores, shown: str) -> Iterator[AttributedPlayer]:
    by_rank = {hit.rank: hit for hit in game.hits}
    column = LOG_P if LOG_P in scores.outputs else shown
    values, errors = scores.score_for(column).tolist(), scores.error_for(column).tolist()
    for unit, score, error in zip(units, values, errors, strict=True):
        hit = by_rank[unit.rank]
        start = hit.passage.start
        yield AttributedPlayer(
            unit.kind, hit.passage.passage_id, text_of(unit, hit), start + unit.start, start + unit.end, score, error
        )
