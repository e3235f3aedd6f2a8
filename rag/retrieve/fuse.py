"""Fusion: several rankings of the same passages into one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from rag.protocols import Retriever
from rag.records import Hit

Fusion = Literal["linear", "rrf"]


def reciprocal_rank_fusion(
    rankings: Sequence[Sequence[str]], rank_constant: int = 60, weights: Sequence[float] | None = None
) -> dict[str, float]:
    """Passage id -> sum of weight / (rank_constant + rank), best first, ties by id; Cormack et al., SIGIR 2009.

    Without weights each is 1, as in the paper.

    >>> list(reciprocal_rank_fusion([["a", "b"], ["b", "c"]]))
    ['b', 'a', 'c']
    """
    scores: dict[str, float] = {}
    for ranking, weight in zip(rankings, weights or [1.0] * len(rankings), strict=True):
        for rank, passage_id in enumerate(ranking, start=1):
            scores[passage_id] = scores.get(passage_id, 0.0) + weight / (rank_constant + rank)
    return _best_first(scores)


def minmax_fusion(rankings: Sequence[Mapping[str, float]], weights: Sequence[float]) -> dict[str, float]:
    """Passage id -> the weighted mean of its places in the rankings, 0..1, best first, ties by id.

    A ranking (passage id -> score, of any sign) puts its best passage at 1 and its last at 0, the others between as
    their scores lie; if all its scores are equal, all are at 1. A passage that it has not is at 0, as its last one is.
    A ranking without passages keeps its weight. Weights are at least 0 and not all 0; only their proportions matter.

    >>> minmax_fusion([{"a": 30, "b": 20, "c": 10}, {"b": 0.9, "d": 0.7}], [0.5, 0.5])
    {'b': 0.75, 'a': 0.5, 'c': 0.0, 'd': 0.0}
    """
    scores: dict[str, float] = {}
    for ranking, weight in zip(rankings, weights, strict=True):
        low, high = min(ranking.values(), default=0.0), max(ranking.values(), default=0.0)
        for passage_id, score in ranking.items():
            place = (score - low) / (high - low) if high > low else 1.0
            scores[passage_id] = scores.get(passage_id, 0.0) + weight / sum(weights) * place
    return _best_first(scores)


def alpha_fusion(
    sparse: Mapping[str, float], dense: Mapping[str, float], alpha: float, normalise: bool = False
) -> dict[str, float]:
    """Passage id -> alpha * sparse + dense, best first, ties by id: the rule of pyserini's HybridSearcher.

    A passage that one side has not gets that side's lowest score. `normalise` takes (lowest + highest) / 2 from a
    side's scores and divides them by highest - lowest, so that they lie in -0.5..0.5; where these are equal (pyserini
    divides by 0) they become 0. A side without passages adds 0. Normalised, this is the order of minmax_fusion with
    weights alpha and 1, unless a side's scores are all equal: there a missing passage counts as much as the others.

    >>> alpha_fusion({"a": 12.0, "b": 8.0}, {"b": 0.75, "c": 0.5}, 0.125)
    {'a': 2.0, 'b': 1.75, 'c': 1.5}
    """
    sides = []
    for scores in (sparse, dense):
        low, high = min(scores.values(), default=0.0), max(scores.values(), default=0.0)
        middle, width = ((low + high) / 2, high - low or 1.0) if normalise else (0.0, 1.0)
        sides.append({key: (scores.get(key, low) - middle) / width for key in {*sparse, *dense}})
    return _best_first({key: alpha * sides[0][key] + sides[1][key] for key in sides[0]})


def _best_first(scores: Mapping[str, float]) -> dict[str, float]:
    return dict(sorted(scores.items(), key=lambda entry: (-entry[1], entry[0])))


def fuse(
    rankings: Mapping[str, Sequence[Hit]],
    weights: Mapping[str, float],
    k: int,
    fusion: Fusion = "linear",
    rank_constant: int = 60,
) -> list[Hit]:
    """The best k hits of one query's rankings, by minmax_fusion ("linear") or reciprocal_rank_fusion ("rrf").

    A ranking of weight 0 takes no part, not even with passages that only it has. A hit's `terms` say what each ranking,
    by its name, adds to the score.
    """
    names = [name for name in rankings if weights[name] > 0]
    passages = {hit.passage.passage_id: hit.passage for name in names for hit in rankings[name]}
    found = [{hit.passage.passage_id: hit.score for hit in rankings[name]} for name in names]
    total = 1.0 if fusion == "rrf" else sum(weights[name] for name in names)

    def fused(rankings: Sequence[Mapping[str, float]], weights: Sequence[float]) -> dict[str, float]:
        if fusion == "linear":
            return minmax_fusion(rankings, weights)
        return reciprocal_rank_fusion([list(ranking) for ranking in rankings], rank_constant, weights)

    best = list(fused(found, [weights[name] for name in names]).items())[:k]
    alone = [
        {key: score * weights[name] / total for key, score in fused([ranking], [1.0]).items()}
        for name, ranking in zip(names, found, strict=True)
    ]
    return [
        Hit(
            rank,
            score,
            passages[passage_id],
            {name: part[passage_id] for name, part in zip(names, alone, strict=True) if part.get(passage_id)},
        )
        for rank, (passage_id, score) in enumerate(best, start=1)
    ]


class HybridRetriever:
    """Several retrievers as one: each is asked for its best `depth` passages, and their rankings are fused.

    Each retriever has a name and a weight of at least 0 (None: all alike); one of weight 0 is not searched.
    `rank_constant` is reciprocal rank fusion's, and the scores that min-max sees are those of `depth` passages, so
    neither order nor scores depend on k up to `depth`; a larger k is searched as deep as it is itself.
    """

    def __init__(
        self,
        retrievers: Mapping[str, Retriever],
        depth: int,
        weights: Mapping[str, float] | None = None,
        fusion: Fusion = "linear",
        rank_constant: int = 60,
    ):
        self._weights = weights or dict.fromkeys(retrievers, 1.0)
        self._retrievers = {name: retriever for name, retriever in retrievers.items() if self._weights[name] > 0}
        self._depth = depth
        self._fusion: Fusion = fusion
        self._rank_constant = rank_constant

    def search(self, queries: Sequence[str], k: int, within: Sequence[int] | None = None) -> list[list[Hit]]:
        """As Retriever.search; the score is the fused one: 0..1, or with "rrf" about 1 / rank_constant for a first.

        A hit's `terms` say what each retriever adds to the score.
        """
        depth = max(k, self._depth)
        found = {name: retriever.search(queries, depth, within) for name, retriever in self._retrievers.items()}
        rankings = [{name: found[name][i] for name in found} for i in range(len(queries))]
        return [fuse(of_query, self._weights, k, self._fusion, self._rank_constant) for of_query in rankings]
