"""Hierarchical attribution, from documents to clauses to words: only what matters on one level is expanded.

After TextGenSHAP (arXiv 2312.01279): Owen values, for players in unions. In a permutation the parts of an expanded
unit stand together in its place, in an order of their own; a unit that is not expanded moves as one block.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic

import numpy as np

from rag.attribute.shapley import BATCH, GameOver, Scores, Tally, Unit, Value, ask
from rag.protocols import Report, silent

FEWEST = 3  # permutations of a unit's parts that must fit into the remaining budget, or it is not expanded


@dataclass(frozen=True, slots=True, eq=False)
class Level(Generic[Unit]):
    """The scores of one level's units, a row each, in order; on each level below the first, `nodes` were expanded.

    `node_scores` are the nodes' own, a row each, as blocks in this level's permutations. So for each output a node's
    parts add up to the node, signed, in every permutation. They do not add up to the node's row on the level above,
    which is the same quantity estimated from other permutations: the two agree within their errors.
    """

    units: tuple[Unit, ...]
    scores: Scores
    nodes: Mapping[Unit, tuple[Unit, ...]]  # expanded unit -> its parts, which are this level's units
    node_scores: Scores


@dataclass(frozen=True, slots=True, eq=False)
class Hierarchy(Generic[Unit]):
    """The levels from the roots down. A unit of no level, its parent not expanded, counts as zero.

    `complete` is False if it was stopped: the last level may then have fewer permutations, and levels may be missing.
    `unexpanded` counts the units that reached a threshold and were not expanded, since the budget was spent.
    """

    levels: tuple[Level[Unit], ...]
    complete: bool
    unexpanded: int = 0


def never() -> bool:
    return False


def unlimited() -> int:
    return sys.maxsize


def expand_hierarchy(
    roots: Sequence[Unit],
    children: Callable[[Unit], Sequence[Unit]],
    game: GameOver[Unit],
    seed: int,
    permutations: int = 100,
    thresholds: Sequence[float] = (0.3, 0.1),
    *,
    batch: int = BATCH,
    early_stop: bool = False,
    remaining_budget: Callable[[], int] = unlimited,
    report: Report = silent,
    stop: Callable[[], bool] = never,
) -> Hierarchy[Unit]:
    """Score the roots, expand those whose score reaches thresholds[0], score their children, and so on.

    Units are distinct on all levels. Each level has as many permutations, and one pass scores the children of all that
    is expanded; below the last threshold nothing is expanded, so () scores the roots alone. The paper tries (0.3, 0.3),
    (0.3, 0.1) and (0.1, 0.1). Efficiency axiom, signed, for each output and in every permutation: the roots add up to
    v(all) - v(empty), the children of a node to the node (see `Level`).

    The value function gets units of mixed levels, always the largest that are completely present: a node, never all its
    children, so the values of one level serve the next. Of an unexpanded unit's coalitions only those beside an
    expanded one are needed. With `early_stop` a level that will be expanded ends when its gains are settled, looked at
    after each `batch` permutations; then `report` and `stop` are called, too. A game that cannot go on may leave
    coalitions out. Its batch is not counted, for what it finished first is no random sample, and the result is not
    complete. ValueError unless permutations > 0 and batch > 0.

    `remaining_budget` gives the number of coalitions that may still be evaluated. Each level takes at most its share of
    it, equal to those of the levels below, by fewer permutations (one at least); and of the units that reach a
    threshold the highest are expanded, as many as FEWEST permutations fit for, or the highest alone if one permutation
    fits.
    """
    if permutations < 1 or batch < 1:
        raise ValueError(f"{permutations} permutations, {batch} a batch: at least one is needed")
    generator = np.random.default_rng(seed)
    known: dict[frozenset[Unit], Value] = {}
    expanded: dict[Unit, tuple[Unit, ...]] = {}
    nodes: dict[Unit, tuple[Unit, ...]] = {}
    units = tuple(roots)
    levels: list[Level[Unit]] = []
    unexpanded = 0
    for depth in range(len(thresholds) + 1):
        threshold = thresholds[depth] if depth < len(thresholds) else None
        row_of = {unit: row for row, unit in enumerate([*units, *nodes])}
        rows, node_rows = slice(len(units)), slice(len(units), None)
        tally, before = Tally(len(row_of)), len(known)
        budget = remaining_budget()
        reserved = budget - budget // (len(thresholds) + 1 - depth)  # for the levels below
        stopped = False
        while tally.samples < permutations and not (stopped := stop()):
            fitting = (remaining_budget() - reserved) // (len(row_of) + 1)
            if tally.samples and fitting < 1:
                break
            runs = [
                [
                    step
                    for step in _steps(roots, frozenset(), frozenset(roots), expanded, generator)
                    if step[0] in row_of
                ]
                for _ in range(min(batch, permutations - tally.samples, max(1, fitting)))
            ]
            if stopped := bool(ask(game, [c for run in runs for _, *both in run for c in both], known)):
                break
            for run in runs:
                tally.add((row_of[unit], known[absent], known[present]) for unit, absent, present in run)
            report(f"attributing, level {depth + 1}", tally.samples, permutations)
            if early_stop and threshold is not None and tally.scores(0).of(rows).settled(threshold):
                break
        if tally.samples:
            scores = tally.scores(len(known) - before)
            levels.append(Level(units, scores.of(rows), nodes, scores.of(node_rows)))
        if stopped:
            return Hierarchy(tuple(levels), False, unexpanded)
        if threshold is None:
            break
        score_of = dict(zip(units, levels[-1].scores.score.tolist(), strict=True))
        reached = [unit for unit, score in score_of.items() if score >= threshold]
        wanted = {unit: parts for unit in reached if (parts := tuple(children(unit)))}
        nodes = _fitting(wanted, score_of, remaining_budget() // (len(thresholds) - depth))
        unexpanded += len(wanted) - len(nodes)
        if not nodes:
            break
        expanded |= nodes
        units = tuple(part for parts in nodes.values() for part in parts)
    return Hierarchy(tuple(levels), True, unexpanded)


def _fitting(
    nodes: Mapping[Unit, tuple[Unit, ...]], score_of: Mapping[Unit, float], share: int
) -> dict[Unit, tuple[Unit, ...]]:
    """The highest nodes, in their order, as many as FEWEST permutations of their parts cost `share` calls at most."""
    chosen: set[Unit] = set()
    size = 1  # coalitions of a permutation, at most: each part's, each node's, and one to begin with
    for node in sorted(nodes, key=lambda unit: -score_of[unit]):
        size += len(nodes[node]) + 1
        if size * (FEWEST if chosen else 1) > share:
            break
        chosen.add(node)
    return {node: parts for node, parts in nodes.items() if node in chosen}


def _steps(
    units: Sequence[Unit],
    before: frozenset[Unit],
    after: frozenset[Unit],
    expanded: Mapping[Unit, Sequence[Unit]],
    generator: np.random.Generator,
) -> Iterator[tuple[Unit, frozenset[Unit], frozenset[Unit]]]:
    """(unit, coalition before it, coalition after) in a random order of the units, and within each expanded one.

    `before` and `after` are the coalitions around all of them: the last unit completes what is named in `after`.
    """
    order: list[int] = generator.permutation(len(units)).tolist()
    for i, chosen in enumerate(order, start=1):
        unit = units[chosen]
        present = after if i == len(order) else before | {unit}
        yield unit, before, present
        if unit in expanded:
            yield from _steps(expanded[unit], before, present, expanded, generator)
        before = present
