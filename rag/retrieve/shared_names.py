"""A second hop over names: from the best passages to those that say more about what they name.

"Who led the country where its composer lived?" finds the composer's passage by its words; the next one shares none of
them with the question, but a name with that passage. Links (second_hop.py) lead there only where the name is some
document's title. Here any name does: the best passages' names that the question does not have are looked up, as the
decomposed questions of MuSiQue (Trivedi et al. 2022) put the answer of one hop into the next.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import exp, log1p

from rag.index.sparse import SparseRetriever
from rag.protocols import Retriever
from rag.records import Hit, Passage
from rag.retrieve.second_hop import DEPTH, divided, edge_weight, ranked

SOURCES = 3  # passages whose names are followed
CANDIDATES = 100  # passages looked at for their names
COMMON = 50  # a name that more of them have tells nothing
SHARED = -3.0  # of an edge, beside the weights of second_hop; chosen on training questions (eval/log.md)
WORD = r"[A-ZÀ-ÖØ-ÞΑ-ΩА-Я][\w-]*\w"
NAME = re.compile(rf"{WORD}(?: (?:(?:of|of the|the|and|de|von|van) )?{WORD})*")
FUNCTION_WORDS = frozenset(
    "a an the and but for in on at by of to from with as if when while after before during since until however "
    "although he she it they we his her its their our this that these those there then who which what where how no "
    "not".split()
)
WITHIN_SENTENCE = re.compile(r"[\w,;] $")


@dataclass(frozen=True, slots=True)
class NameEdge:
    """A name that a source and a candidate share, by passage ids, and its weight."""

    source: Passage
    candidate: str
    name: str
    weight: float


class SharedNamesRetriever:
    """The `first` retriever, whose scores are second_hop's, and what shares names with its best passages.

    A candidate that no link leads to gains ln(1 + sum over its sources of exp(e)), with e of the source's best name:
    e = SHARED + NEW new + OLD old + RANK ln(1 + the source's rank, from 0) + FREQUENCY ln(1 + passages with that name),
    new and old as in LinkedRetriever; a candidate without new words gains nothing.
    """

    def __init__(self, first: Retriever, by_words: Retriever, words: SparseRetriever):
        """`by_words` looks names up; any passage that has one is looked at, whatever its score."""
        self._first = first
        self._by_words = by_words
        self._words = words

    def search(self, queries: Sequence[str], k: int, within: Sequence[int] | None = None) -> list[list[Hit]]:
        """As Retriever.search. A hit that a name leads to says so in `links`, and in `terms` what it adds."""
        rankings = self._first.search(queries, max(k, DEPTH), within)
        return [self._follow(query, hits, within)[:k] for query, hits in zip(queries, rankings, strict=True)]

    def _follow(self, query: str, hits: Sequence[Hit], within: Sequence[int] | None) -> list[Hit]:
        sources = [hit.passage for hit in hits[:SOURCES]]
        asked = _spaced(query)
        names = {passage.passage_id: names_in(passage, asked) for passage in sources}
        wanted = sorted(set().union(*names.values()))
        if not wanted:
            return list(hits)
        found = {hit.passage.passage_id: hit for hit in hits}
        for hit in self._by_words.search([" ".join(wanted)], CANDIDATES, within)[0]:
            found.setdefault(hit.passage.passage_id, Hit(0, 0.0, hit.passage, {}))
        edges = self._edges(query, sources, names, [hit.passage for hit in found.values()])
        for key, paths in edges.items():
            hit = found[key]
            if "linked" in (hit.terms or {}):
                continue
            gain = log1p(sum(exp(edge.weight) for edge in paths))
            strongest = max(paths, key=lambda edge: (edge.weight, edge.name))
            links = hit.links
            if strongest.weight > 0:
                links = (*links, f"“{strongest.source.title}” and “{hit.passage.title}” name {strongest.name}")
            terms = {**(hit.terms or {}), "linked": gain}
            found[key] = replace(hit, score=hit.score + gain, terms=terms, links=links)
        return ranked(hit for hit in found.values() if hit.rank or hit.score)

    def _edges(
        self, query: str, sources: Sequence[Passage], names: dict[str, dict[str, str]], candidates: Sequence[Passage]
    ) -> dict[str, list[NameEdge]]:
        """Of each candidate, the edges that lead to it: from each source the best."""
        texts = {passage.passage_id: _spaced(f"{passage.title} {passage.text}") for passage in candidates}
        every = set().union(*names.values())
        holders = {name: [key for key, text in texts.items() if name in text] for name in every}
        idf, own = self._words.coverage(query, candidates)
        said = dict(zip(texts, own, strict=True))
        total = sum(idf.values()) or 1.0
        best: dict[tuple[str, str], NameEdge] = {}
        for rank, source in enumerate(sources):
            for name, shown in names[source.passage_id].items():
                if not 2 <= len(holders[name]) <= COMMON:
                    continue
                for key in holders[name]:
                    new, old = (share / total for share in divided(idf, said[source.passage_id], said[key]))
                    if key == source.passage_id or not new:
                        continue
                    edge = NameEdge(source, key, shown, SHARED + edge_weight(new, old, rank, len(holders[name])))
                    known = best.setdefault((source.passage_id, key), edge)
                    if edge.weight > known.weight:
                        best[source.passage_id, key] = edge
        edges: dict[str, list[NameEdge]] = {}
        for edge in best.values():
            edges.setdefault(edge.candidate, []).append(edge)
        return edges


def names_in(passage: Passage, asked: str) -> dict[str, str]:
    """The names of a passage that the question does not have, each as it is looked up and as it is written.

    A name is capitalised words, its document's title among them. A single word that begins a sentence is none, nor
    is an abbreviation: in a field's texts all have the same ones.
    """
    found = dict[str, str]()
    for text, whole in ((passage.title, True), (passage.text, False)):
        for name in NAME.finditer(text):
            words = _without_function_words(name[0].split())
            first_of_sentence = not whole and not WITHIN_SENTENCE.search(text[: name.start()][-2:])
            if not words or (len(words) == 1 and words[0].isupper()) or (first_of_sentence and [name[0]] == words):
                continue
            shown = " ".join(words)
            if (key := _spaced(shown)) not in asked:
                found.setdefault(key, shown)
    return found


def _without_function_words(words: list[str]) -> list[str]:
    """The words without those before the name: "The", "In", "After"."""
    while words and words[0].casefold() in FUNCTION_WORDS:
        words = words[1:]
    return words


def _spaced(text: str) -> str:
    """The words in lower case with a blank around each, so that whole words can be looked for."""
    words = re.findall(r"\w+", text.casefold())
    return f" {' '.join(words)} "
