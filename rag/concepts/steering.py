"""Less of one concept, more of another: the question's vector is changed, and the ranking with it.

The vector loses its part along what is muted and gets the direction of what is boosted. Words still find a passage
whose meaning is muted, so the ranking is changed, too: a passage falls towards the last one that was found as far as it
has a muted concept, and rises towards the first as far as it has a boosted one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from rag.concepts.concept_dictionary import without
from rag.concepts.concept_index import Concepts
from rag.errors import UsageError
from rag.protocols import Retriever
from rag.records import Hit
from rag.retrieve.second_hop import ranked

DEPTH = 100  # passages that are ranked anew
BOOST = 0.5  # of a boosted direction, beside a question of length 1; and how far up a passage with it comes
MUTED, BOOSTED = "muted", "boosted"  # as a hit's terms name what was taken from its score and added to it
MOST = 8  # concepts that are muted, and as many boosted


@dataclass(frozen=True, slots=True)
class Steering:
    """Concepts to mute and to boost, by id or name (Concepts.find)."""

    mute: tuple[str, ...] = ()
    boost: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.mute or self.boost)

    def found_in(self, concepts: Concepts | None) -> tuple[list[int], list[int]]:
        """The concepts to mute and to boost. Raises UsageError for what is none, and for one that is to be both."""
        if concepts is None:
            raise UsageError(
                "this library has no concepts: they come with the end of an ingestion, of 50 passages or more. Leave "
                "out --mute and --boost"
            )
        muted, boosted = ([concepts.find(name) for name in names] for names in (self.mute, self.boost))
        if max(len(muted), len(boosted)) > MOST:
            raise UsageError(f"mute at most {MOST} concepts, and boost at most {MOST}")
        if both := set(muted) & set(boosted):
            name = concepts.label(min(both)) or concepts.concept_id(min(both))
            raise UsageError(f"{name!r} is to be muted and boosted. Choose one")
        return muted, boosted


def steered(
    vectors: NDArray[np.float32], concepts: Concepts, mute: Sequence[int], boost: Sequence[int]
) -> NDArray[np.float32]:
    """Unit vectors (n, d) of questions without what is muted, with what is boosted, at unit length again.

    Raises UsageError where nothing is left of one.
    """
    atoms, changed = concepts.dictionary.atoms, np.empty_like(vectors)
    for row, vector in enumerate(vectors):
        left = without(vector, atoms[list(mute)]) + np.float32(BOOST) * atoms[list(boost)].sum(axis=0)
        length = float(np.linalg.norm(left))
        if length < 1e-3:
            raise UsageError("nothing is left of the question's meaning when all of these are muted. Mute fewer")
        changed[row] = left / length
    return changed


class SteeredRetriever:
    """The `first` retriever's ranking with what is muted below and what is boosted above.

    score' = score - m (score - last) + b (first - score) BOOST, with m and b, 0..1, how strongly the passage has a
    muted and a boosted concept (the strongest of several). `terms` say how much that was: they still add up.
    """

    def __init__(
        self, first: Retriever, concepts: Concepts, mute: Sequence[int], boost: Sequence[int],
        numbers_of: Callable[[Sequence[str]], dict[str, int]],
    ):  # fmt: skip
        self._first, self._concepts, self._numbers_of = first, concepts, numbers_of
        self._mute, self._boost = mute, boost

    def search(self, queries: Sequence[str], k: int, within: Sequence[int] | None = None) -> list[list[Hit]]:
        """As Retriever.search."""
        rankings = self._first.search(queries, max(k, DEPTH), within)
        return [self._reranked(hits)[:k] for hits in rankings]

    def _reranked(self, hits: Sequence[Hit]) -> list[Hit]:
        if not hits:
            return []
        known = self._numbers_of([hit.passage.passage_id for hit in hits])
        numbers = [known.get(hit.passage.passage_id, -1) for hit in hits]
        muted = self._concepts.strengths(numbers, self._mute).max(axis=1, initial=0)
        boosted = self._concepts.strengths(numbers, self._boost).max(axis=1, initial=0)
        best, last = max(hit.score for hit in hits), min(hit.score for hit in hits)
        changed = []
        for hit, down, up in zip(hits, muted.tolist(), boosted.tolist(), strict=True):
            lost, won = -down * (hit.score - last), up * BOOST * (best - hit.score)
            terms = hit.terms
            if terms is not None:
                terms = terms | ({MUTED: lost} if lost else {}) | ({BOOSTED: won} if won else {})
            changed.append(replace(hit, score=hit.score + lost + won, terms=terms))
        return ranked(changed)


def ranks_before(
    hits: Sequence[Hit], unsteered: Retriever, query: str, within: Sequence[int] | None = None
) -> dict[str, int]:
    """Passage id -> the rank that it had without steering, of those hits that were among the first DEPTH."""
    found = unsteered.search([query], DEPTH, within)[0]
    ranks = {hit.passage.passage_id: hit.rank for hit in found}
    return {hit.passage.passage_id: ranks[hit.passage.passage_id] for hit in hits if hit.passage.passage_id in ranks}
