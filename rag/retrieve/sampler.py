"""The sampler: the few passages, of text, tables and figures together, that the reader gets to see.

After PDF-WuKong (arXiv 2410.05970), section 3: one ranking over text blocks and pictures, by how well each fits the
question, and its top k. The paper calls choosing few blocks "sparse sampling"; we say sampling, for "sparse" means
vectors over a vocabulary here. Ours adds two things to the ranking that it gets: what the question calls by its label
comes first, and no evidence comes twice.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

from rag.protocols import Retriever
from rag.records import Hit, Passage

Id = TypeVar("Id", str, int)

# A named table or figure gets this much of what the best passage of its document is above the last candidate. With 1 it
# would stand beside that passage at least; with 1.5, in the document that the candidates favour, before all others, and
# so in any document that has a candidate in the upper third of the scores.
LABEL = 1.5
SEEN = "found by its picture"
READ = "found by its caption, the text inside it and what refers to it"

WORDS = {"table": ("Table", "Tab."), "figure": ("Figure", "Fig.", "Fig")}  # as a document may write them
NUMBER = r"(?:(?:[A-Z]{1,2}[.\-‐‑–]?)?\d+(?:[.\-‐‑–]\d+)*[a-z]?|[IVXLC]+)(?!\w)"
LABELLED = re.compile(
    rf"\b(?i:(?P<table>tables?|tabs?\.)|(?P<figure>figures?|figs?\.?))\s*(?P<first>{NUMBER})"
    rf"(?P<more>(?:\s*(?:,|&|and|or)\s*(?:and\s+|or\s+)?{NUMBER})*)"
)
DASHES = re.compile("[‐‑–]")


def joint_top_k(scores_by_kind: Mapping[str, Mapping[Id, float]], k: int) -> list[tuple[Id, float]]:
    """(id, score) of the best k of all kinds together, best first, ties by id; all of them if they are fewer.

    PDF-WuKong, section 3.2: the scores of text blocks and of pictures come from one space, so they share one ranking.

    >>> joint_top_k({"text": {"a": 0.5, "c": 0.9}, "figure": {"b": 0.5}}, 2)
    [('c', 0.9), ('a', 0.5)]
    """
    entries = [entry for scores in scores_by_kind.values() for entry in scores.items()]
    return sorted(entries, key=lambda entry: (-entry[1], entry[0]))[:k]


def labels_in(text: str) -> list[str]:
    """The tables and figures that a text names, each once, in one spelling; a numeral stays as written.

    >>> labels_in("Do Figs. 3 and 4a agree with Tab. IV, or with figure 7–26?")
    ['Figure 3', 'Figure 4a', 'Figure 4', 'Table IV', 'Figure 7-26']
    """
    found: dict[str, None] = {}
    for match in LABELLED.finditer(text):
        word = "Table" if match["table"] else "Figure"
        for number in [match["first"], *re.findall(NUMBER, match["more"])]:
            plain = DASHES.sub("-", number)
            found[f"{word} {plain}"] = None
            if plain[-1].islower():
                found[f"{word} {plain[:-1]}"] = None  # a part, of a figure that has one label
    return list(found)


def spellings(label: str) -> list[str]:
    """How documents write a label of `labels_in`.

    >>> spellings("Table 3")
    ['Table 3', 'Tab. 3']
    """
    word, number = label.split(" ", 1)
    numbers = dict.fromkeys([number, number.replace("-", "–")])
    return [f"{written} {numeral}" for written in WORDS[word.lower()] for numeral in numbers]


class SamplingRetriever:
    """The `first` retriever's best `depth` passages, sampled: the best k, what the question names by its label ahead.

    score(c) = s(c) + LABEL (best of c's document - lowest) if the question names c's label, else s(c), where s is the
    first retriever's score and best and lowest are of its candidates; if these are one, lowest is 0. So of
    several documents with a "Table 3" those go first whose passages the first retriever favours. A labelled passage
    that is no candidate has the lowest score for s, and comes in if its document has a candidate, or if there is none
    at all. A passage whose text lies completely inside that of a better one of the same document is passed over.

    `labelled` gives all passages that have one of these labels, in any case; `numbers_of` catalogue numbers by passage
    id; `sees` whether the dense encoder sees pictures.
    """

    def __init__(
        self,
        first: Retriever,
        depth: int,
        labelled: Callable[[Sequence[str]], list[Passage]],
        numbers_of: Callable[[Sequence[str]], dict[str, int]],
        sees: Callable[[], bool],
    ):
        self._first = first
        self._depth = depth
        self._labelled = labelled
        self._numbers_of = numbers_of
        self._sees = sees

    def search(self, queries: Sequence[str], k: int, within: Sequence[int] | None = None) -> list[list[Hit]]:
        """As Retriever.search, but ties stay in the first retriever's order.

        `terms` say under "label" what the label adds; a figure's `links` say how it was found.
        """
        rankings = self._first.search(queries, max(k, self._depth), within)
        allowed = None if within is None else frozenset(within)
        return [self._sampled(query, hits, k, allowed) for query, hits in zip(queries, rankings, strict=True)]

    def _sampled(self, query: str, hits: Sequence[Hit], k: int, allowed: frozenset[int] | None) -> list[Hit]:
        candidates = self._with_labelled(query, hits, allowed)
        scores: dict[str, dict[int, float]] = {}
        for place, hit in enumerate(candidates):
            scores.setdefault(hit.passage.kind, {})[place] = hit.score
        chosen: list[Hit] = []
        for place, _ in joint_top_k(scores, len(candidates)):
            hit = candidates[place]
            if len(chosen) < k and not any(_inside(hit.passage, other.passage) for other in chosen):
                chosen.append(self._with_reason(replace(hit, rank=len(chosen) + 1)))
        return chosen

    def _with_labelled(self, query: str, hits: Sequence[Hit], allowed: frozenset[int] | None) -> list[Hit]:
        """The candidates in the first retriever's order, then the labelled ones that it has not; scores by the rule."""
        labels = labels_in(query)
        if not labels:
            return list(hits)
        wanted = {label.casefold() for label in labels}
        known = {hit.passage.passage_id for hit in hits}
        more = self._labelled([spelling for label in labels for spelling in spellings(label)])
        more = sorted((p for p in more if p.passage_id not in known), key=lambda passage: passage.passage_id)
        if allowed is not None:
            numbers = self._numbers_of([passage.passage_id for passage in more])
            more = [passage for passage in more if numbers.get(passage.passage_id) in allowed]
        lift, lowest = _lifts(hits)
        scored = [_lifted(hit, lift[hit.passage.document_id]) if _has(hit, wanted) else hit for hit in hits]
        if not hits:
            lift = {passage.document_id: LABEL for passage in more}
        return scored + [
            _lifted(Hit(0, lowest, passage, {"label": lowest}), lift[passage.document_id])
            for passage in more
            if passage.document_id in lift
        ]

    def _with_reason(self, hit: Hit) -> Hit:
        if hit.passage.kind != "figure":
            return hit
        # Its picture is in the dense index, so it was not the picture that found what dense search did not find.
        by_picture = hit.passage.picture and (hit.terms is None or "dense" in hit.terms) and self._sees()
        return replace(hit, links=(*hit.links, SEEN if by_picture else READ))


def _lifts(hits: Sequence[Hit]) -> tuple[dict[str, float], float]:
    """Document -> what a label adds to its passages, and the lowest candidate's score."""
    if not hits:
        return {}, 0.0
    scores = [hit.score for hit in hits]
    lowest = min(scores)
    floor = lowest if max(scores) > lowest else lowest - (abs(lowest) or 1.0)
    best: dict[str, float] = {}
    for hit in hits:
        document = hit.passage.document_id
        best[document] = max(hit.score, best.get(document, hit.score))
    return {document: LABEL * (score - floor) for document, score in best.items()}, lowest


def _has(hit: Hit, wanted: set[str]) -> bool:
    return any(label.casefold() in wanted for label in labels_in(hit.passage.label))


def _lifted(hit: Hit, lift: float) -> Hit:
    terms = None if hit.terms is None else {**hit.terms, "label": hit.terms.get("label", 0.0) + lift}
    return replace(hit, score=hit.score + lift, terms=terms)


def _inside(passage: Passage, other: Passage) -> bool:
    """Whether all its text is in the other's too; a passage without text says nothing twice."""
    same = passage.document_id == other.document_id and passage.start < passage.end
    return same and other.start <= passage.start and passage.end <= other.end
