"""Why a passage came up: what each retriever adds to a score, split into what each term adds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Protocol

from rag.protocols import Retriever
from rag.records import Hit, Passage


class Explaining(Protocol):
    def terms(self, query: str, passages: Sequence[Passage]) -> list[dict[str, float]]:
        """Term -> contribution for each passage, in order; {} where nothing matches."""
        ...


class ExplainedRetriever:
    """The `first` retriever with its hits' terms made finer.

    Where a hit's `terms` hold a name of `parts` (what HybridRetriever does), that share of the score is divided among
    the part's own terms, in proportion to what they contribute there; so the terms still add up to the score.
    """

    def __init__(self, first: Retriever, parts: Mapping[str, Explaining]):
        self._first = first
        self._parts = parts

    def search(self, queries: Sequence[str], k: int, within: Sequence[int] | None = None) -> list[list[Hit]]:
        """As Retriever.search; only the hits that are returned are explained."""
        rankings = self._first.search(queries, k, within)
        return [self._explained(query, hits) for query, hits in zip(queries, rankings, strict=True)]

    def _explained(self, query: str, hits: Sequence[Hit]) -> list[Hit]:
        finer = {name: part.terms(query, [hit.passage for hit in hits]) for name, part in self._parts.items()}
        return [replace(hit, terms=_split(hit, {name: finer[name][i] for name in finer})) for i, hit in enumerate(hits)]


def _split(hit: Hit, finer: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    terms: dict[str, float] = {}
    for name, share in (hit.terms or {}).items():
        contributions = finer.get(name) or {name: 1.0}
        whole = sum(contributions.values())
        for term, contribution in contributions.items():
            terms[term] = terms.get(term, 0.0) + share * contribution / whole
    return dict(sorted(terms.items(), key=lambda entry: -entry[1]))
