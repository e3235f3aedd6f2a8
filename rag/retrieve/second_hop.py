"""The second hop: from the best passages along links to what they name, and to what names them.

A question with two facts in it ("the director of the film that ...") finds the first by its words; the second shares
few of them, and is found because one passage names the other. The idea of retrieving along paths, telling them in one
readable line and pruning them by what they have to do with the question is G-Refer's (arXiv 2502.12586); what keeps the
paths few is our own measure of a pair: the one passage has words of the question that the other lacks, and the other
has words that the first lacks. An edge to a passage that adds nothing adds nothing to its score.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import exp, log1p

from rag.index.sparse import SparseRetriever
from rag.library.catalogue import Library
from rag.protocols import Retriever
from rag.records import Hit, Link, Passage

DEPTH = 100  # passages of the first hop that may come up
SOURCES = 10  # of them whose links are followed
# Fitted listwise (gold passages against all others of a question) on 260 dev questions of HotpotQA that are reported
# nowhere, and on training questions of HotpotQA, 2WikiMultihopQA, MuSiQue and SciFact; eval/log.md has the ablations.
FIRST_HOP, NAMED = 8.7, 4.8
FORWARD, NEW, OLD, NAMED_TOO, RANK, FREQUENCY = 2.2, 16.3, 14.0, -4.0, -1.1, -1.5
# Who has the whole question needs no second passage, and what only lacks words never outdoes the best source. The fit
# could not know that, for its questions all have two facts; on them it changes nothing.
OLD_MOST = 0.5
# A name that more passages have is a common word; one that more documents bear means none of them.
COMMON_SHARE, COMMON_LEAST, NAMESAKES = 0.01, 5, 3
SHOWN = 2  # links shown with a hit


@dataclass(frozen=True, slots=True)
class LinkEdge:
    """A link between a source and a candidate, by passage ids. `forward`: the source names the candidate."""

    source: str
    candidate: str
    link: Link
    forward: bool
    frequency: int  # passages with the name


class LinkedRetriever:
    """The `first` retriever, and what its best passages are linked with.

    score(c) = FIRST_HOP f(c) + NAMED [the question names c's document] + ln(1 + sum over c's edges of exp(e)), with f
    the first retriever's score over its best one (so scores of at least 0 are asked of it), and for an edge from p
    e = FORWARD [p names c] + NEW new + OLD old + NAMED_TOO [the question names it] + RANK ln(1 + p's rank, from 0)
    + FREQUENCY ln(1 + passages with that name), where new is the share of the question's words (by idf) that c has and
    p lacks, and old the share that p has and c lacks, but not more than OLD_MOST, nor than twice what p lacks of all.
    Without links and names the order is the first retriever's.
    """

    def __init__(self, first: Retriever, library: Library, words: SparseRetriever):
        self._first = first
        self._library = library
        self._words = words

    def search(self, queries: Sequence[str], k: int, within: Sequence[int] | None = None) -> list[list[Hit]]:
        """As Retriever.search. A hit that a link leads to says so in `links`, and in `terms` what it adds."""
        rankings = self._first.search(queries, max(k, DEPTH), within)
        allowed = None if within is None else frozenset(within)
        return [self._follow(query, hits, allowed)[:k] for query, hits in zip(queries, rankings, strict=True)]

    def _follow(self, query: str, hits: Sequence[Hit], allowed: frozenset[int] | None) -> list[Hit]:
        if not hits:
            return []
        best = hits[0].score or 1.0
        found = {hit.passage.passage_id: hit for hit in hits}
        named = self._library.named_in(query, NAMESAKES)
        for passage in self._stand_ins(named, found, allowed):
            found[passage.passage_id] = Hit(0, 0.0, passage, {})
        base = {
            key: FIRST_HOP * hit.score / best + NAMED * (hit.passage.document_id in named) for key, hit in found.items()
        }
        sources = [found[key].passage for key in sorted(found, key=lambda key: (-base[key], key))[:SOURCES]]
        edges = self._edges(sources, found, allowed)
        rank = {passage.passage_id: i for i, passage in enumerate(sources)}
        ids = list(found)
        idf, own = self._words.coverage(query, [found[key].passage for key in ids])
        said = dict(zip(ids, own, strict=True))
        total = sum(idf.values()) or 1.0
        paths: dict[str, list[tuple[float, LinkEdge]]] = {}
        for edge in edges:
            new, old = (share / total for share in divided(idf, said[edge.source], said[edge.candidate]))
            weight = FORWARD * edge.forward + edge_weight(new, old, rank[edge.source], edge.frequency)
            weight += NAMED_TOO * (found[edge.candidate].passage.document_id in named)
            paths.setdefault(edge.candidate, []).append((weight, edge))
        scored = [
            self._scored(hit, best, hit.passage.document_id in named, paths.get(key, []), found)
            for key, hit in found.items()
        ]
        return ranked(scored)

    def _scored(
        self, hit: Hit, best: float, named: bool, paths: Sequence[tuple[float, LinkEdge]], found: dict[str, Hit]
    ) -> Hit:
        terms = {name: share * FIRST_HOP / best for name, share in (hit.terms or {"first hop": hit.score}).items()}
        if named:
            terms["named"] = NAMED
        if paths:
            terms["linked"] = log1p(sum(exp(weight) for weight, _ in paths))
        strongest = sorted(paths, key=lambda path: -path[0])[:SHOWN]
        links = tuple(_format_edge(edge, found) for weight, edge in strongest if weight > 0)
        return Hit(0, sum(terms.values()), hit.passage, terms, links)

    # -- the graph -----------------------------------------------------------------------------------------------

    def _edges(
        self, sources: Sequence[Passage], found: dict[str, Hit], allowed: frozenset[int] | None
    ) -> list[LinkEdge]:
        """The edges from the sources, one for each pair; passages that they lead to are added to `found`."""
        ids, documents = {p.passage_id: p for p in sources}, {p.document_id for p in sources}
        out = [link for links in self._library.links_from(list(ids)).values() for link in links]
        counts = self._library.mention_counts(list(documents | {link.document_id for link in out}))
        common = max(COMMON_LEAST, COMMON_SHARE * self._library.passage_count)
        into = self._library.links_to([document for document in documents if counts[document] <= common])
        links = [*out, *(link for targets in into.values() for link in targets)]
        shared = self._library.namesakes({link.words for link in links if link.target_passage_id is None})
        links = [
            link for link in links if counts[link.document_id] <= common and shared.get(link.words, 1) <= NAMESAKES
        ]
        targets = {link.document_id for link in links if link.passage_id in ids and link.target_passage_id is None}
        singles = [link.target_passage_id for link in links if link.target_passage_id]
        singles += [link.passage_id for link in links]
        for passage in self._stand_ins(targets, found, allowed):
            found[passage.passage_id] = Hit(0, 0.0, passage, {})
        for passage in self._allowed(self._library.passages([key for key in singles if key not in found]), allowed):
            found[passage.passage_id] = Hit(0, 0.0, passage, {})
        of_document: dict[str, list[str]] = {}
        for key, hit in found.items():
            of_document.setdefault(hit.passage.document_id, []).append(key)
        edges: dict[tuple[str, str], LinkEdge] = {}
        for link in links:
            heads = [link.target_passage_id] if link.target_passage_id else of_document.get(link.document_id, [])
            frequency = 1 if link.target_passage_id else counts[link.document_id] + 1
            for head in heads:
                for source, candidate, forward in ((link.passage_id, head, True), (head, link.passage_id, False)):
                    known = edges.get((source, candidate))
                    if source in ids and candidate in found and source != candidate and (known is None or forward):
                        edges[source, candidate] = LinkEdge(source, candidate, link, forward, frequency)
        return list(edges.values())

    def _stand_ins(
        self, documents: Iterable[str], found: dict[str, Hit], allowed: frozenset[int] | None
    ) -> list[Passage]:
        """The first passage of each document that has none among the found."""
        present = {hit.passage.document_id for hit in found.values()}
        return self._allowed(self._library.first_passages([d for d in documents if d not in present]), allowed)

    def _allowed(self, passages: dict[str, Passage], allowed: frozenset[int] | None) -> list[Passage]:
        if allowed is None:
            return list(passages.values())
        numbers = self._library.numbers_of([passage.passage_id for passage in passages.values()])
        return [passage for passage in passages.values() if numbers.get(passage.passage_id) in allowed]


def divided(idf: Mapping[int, float], source: set[int], candidate: set[int]) -> tuple[float, float]:
    """How much of a question's words, by idf, the candidate has and the source lacks, and the other way round."""
    return sum(idf[word] for word in candidate - source), sum(idf[word] for word in source - candidate)


def edge_weight(new: float, old: float, rank: int, frequency: int) -> float:
    """What any edge weighs, from the shares of `divided`, its source's rank from 0, and how many have its name."""
    return NEW * new + OLD * min(old, OLD_MOST, 2 * (1 - old)) + RANK * log1p(rank) + FREQUENCY * log1p(frequency)


def ranked(hits: Iterable[Hit]) -> list[Hit]:
    """The hits by score, best first, those of one score by their passage's id; ranks from 1."""
    ordered = sorted(hits, key=lambda hit: (-hit.score, hit.passage.passage_id))
    return [replace(hit, rank=rank) for rank, hit in enumerate(ordered, start=1)]


def _format_edge(edge: LinkEdge, found: dict[str, Hit]) -> str:
    """The path in one line for people, such as: "Kiss and Tell" mentions "Shirley Temple"."""
    link = edge.link
    if link.kind == "section":
        return f"page {found[link.passage_id].passage.locator.first_page} says “{' '.join(link.words.split())}”"
    named = edge.candidate if edge.forward else edge.source
    titles = [found[key].passage.title for key in (link.passage_id, named)]
    verb = "cites" if link.kind == "citation" else "mentions"
    return f"“{titles[0]}” {verb} “{titles[1]}”"
