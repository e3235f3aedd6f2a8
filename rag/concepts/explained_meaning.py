"""Why the meaning of a passage is near a question's: the dense part of its score, split into concepts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from rag.concepts.concept_index import Concepts
from rag.encode.functional import one_thread
from rag.protocols import Retriever
from rag.records import ConceptShare, Hit

DENSE = "dense"  # as a hybrid's hits name the dense part of their score
LEAST = 0.01  # of inner product apart from the mean: below, there is nothing to split
SMALLEST = 1e-4  # of a share of the dense part: what is smaller goes to the remainder


class ConceptRetriever:
    """The `first` retriever with hits that say which concepts their dense part comes from.

    A dense part that a hybrid has made of inner products by a straight line splits in the proportion of these, apart
    from the mean passage: what all passages have in common moves none of them. Of a dense ranking alone, whose scores
    are the inner products themselves, the mean is part of the remainder.
    """

    def __init__(
        self,
        first: Retriever,
        concepts: Concepts,
        encode: Callable[[Sequence[str]], NDArray[np.float32]],
        vectors: Callable[[Sequence[int]], NDArray[np.float32]],
        numbers_of: Callable[[Sequence[str]], dict[str, int]],
    ):
        self._first, self._concepts = first, concepts
        self._encode, self._vectors, self._numbers_of = encode, vectors, numbers_of

    def search(self, queries: Sequence[str], k: int, within: Sequence[int] | None = None) -> list[list[Hit]]:
        """As Retriever.search; only the hits that are returned are explained."""
        rankings = self._first.search(queries, k, within)
        encoded = self._encode(queries) if any(rankings) else ()
        return [self._explained(vector, hits) for vector, hits in zip(encoded, rankings, strict=True)] or rankings

    def _explained(self, query: NDArray[np.float32], hits: Sequence[Hit]) -> list[Hit]:
        dense = [hit for hit in hits if hit.terms is None or DENSE in hit.terms]
        known = self._numbers_of([hit.passage.passage_id for hit in dense])
        dense = [hit for hit in dense if hit.passage.passage_id in known]
        rows = self._vectors([known[hit.passage.passage_id] for hit in dense])
        if not dense or len(rows) != len(dense):  # the index is behind the catalogue
            return list(hits)
        with one_thread():  # of products so small two threads only wait for each other
            parts, rest = self._concepts.dictionary.contributions(query, rows)
        split = {
            hit.passage.passage_id: self._shares(hit, part, float(left))
            for hit, part, left in zip(dense, parts, rest, strict=True)
        }
        return [replace(hit, concepts=split.get(hit.passage.passage_id, ())) for hit in hits]

    def _shares(self, hit: Hit, part: NDArray[np.float32], rest: float) -> tuple[ConceptShare, ...]:
        """The concepts' shares, largest first, and the remainder last: together the dense part of the hit's score."""
        whole = float(part.sum()) + rest
        score = hit.score if hit.terms is None else hit.terms[DENSE]
        factor = 1.0 if hit.terms is None else score / whole if whole > LEAST else 0.0
        chosen = [int(i) for i in np.argsort(-np.abs(part), kind="stable") if abs(part[i]) * factor > SMALLEST]
        shares = [
            ConceptShare(self._concepts.concept_id(i), self._concepts.label(i), float(part[i]) * factor) for i in chosen
        ]
        return (*shares, ConceptShare("", "", score - sum(share.share for share in shares)))
