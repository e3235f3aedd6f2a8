"""Fusion: several rankings of the same passages into one."""

from __future__ import annotations

from collections.abc import Sequence

from rag.interfaces import Retriever
from rag.records import Hit


def reciprocal_rank_fusion(rankings: Sequence[Sequence[str]], rank_constant: int = 60) -> dict[str, float]:
    """Passage id -> sum of 1 / (rank_constant + rank), best first, ties by id; Cormack et al., SIGIR 2009.

    >>> list(reciprocal_rank_fusion([["a", "b"], ["b", "c"]]))
    ['b', 'a', 'c']
    """
    scores: dict[str, float] = {}
    for ranking in rankings:
        for rank, passage_id in enumerate(ranking, start=1):
            scores[passage_id] = scores.get(passage_id, 0.0) + 1 / (rank_constant + rank)
    return dict(sorted(scores.items(), key=lambda entry: (-entry[1], entry[0])))


class HybridRetriever:
    """Reciprocal rank fusion of several retrievers, each asked for its best `depth` passages."""

    def __init__(self, retrievers: Sequence[Retriever], rank_constant: int, depth: int):
        self._retrievers = retrievers
        self._rank_constant = rank_constant
        self._depth = depth

    def search(self, queries: Sequence[str], k: int, within: Sequence[int] | None = None) -> list[list[Hit]]:
        """As Retriever.search; the score is the fused one (about 1 / rank_constant for a first place)."""
        by_retriever = [retriever.search(queries, max(k, self._depth), within) for retriever in self._retrievers]
        return [self._fuse([rankings[i] for rankings in by_retriever], k) for i in range(len(queries))]

    def _fuse(self, rankings: Sequence[Sequence[Hit]], k: int) -> list[Hit]:
        passages = {hit.passage.passage_id: hit.passage for ranking in rankings for hit in ranking}
        ids = [[hit.passage.passage_id for hit in ranking] for ranking in rankings]
        fused = list(reciprocal_rank_fusion(ids, self._rank_constant).items())[:k]
        return [Hit(rank, score, passages[passage_id]) for rank, (passage_id, score) in enumerate(fused, start=1)]
