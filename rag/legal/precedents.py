"""Precedents: which earlier judgments bear on the facts, or on the reasoning, of a case.

After ECtHR-PCR (Santosh T.Y.S.S., Haddad and Grabmair, arXiv 2404.00596): the query is the facts of a case, the
candidates are the judgments dated before it, and they are found by one section alone: by the facts as the judge saw
them (Goodhart), or by the reasoning (Halsbury). Nothing later than the query is looked at, but for how common a word
is in the whole library, which weighs it in BM25 and in learned sparse queries.
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from rag.errors import UsageError
from rag.legal.citation_graph import best_first, citations_among, expand
from rag.legal.court_cases import CourtCase, Field, Scores, candidates
from rag.legal.pooling import Pooling, attention_pool, late_interaction, mean_pool
from rag.legal.section_index import SectionIndex
from rag.records import Hit, Passage
from rag.retrieve.feedback import rocchio
from rag.retrieve.fuse import minmax_fusion

# Of the numbered passages, a text's k nearest by their scores, best first: (number, score).
Nearest = Callable[[str, int, Sequence[int]], Sequence[tuple[int, float]]]
Vectors = Callable[[Sequence[Passage]], "NDArray[np.float32]"]  # a unit-length row a passage: (passages, d)
WORD = re.compile(r"\w+")


Scorer = Literal[
    "bm25",
    "bm25-passages",
    "sparse",
    "late",
    "mean",
    "attention",
    "trained",
    "interpolated",
    "feedback",
    "vector-feedback",
    "graph",
    "hybrid",
    "concepts",
]
SCORERS: dict[Scorer, tuple[str, ...]] = {  # scorer -> what it needs besides the index of sections
    "bm25": (),
    "bm25-passages": ("bm25",),
    "sparse": ("sparse",),
    "late": ("vectors",),
    "mean": ("vectors",),
    "attention": ("vectors",),
    "trained": ("vectors", "pooling"),
    "interpolated": ("vectors",),
    "feedback": (),
    "vector-feedback": ("vectors",),
    "graph": (),
    "hybrid": ("sparse",),
    "concepts": ("sparse", "concepts"),
}
NEEDED = {  # what a scorer that lacks it says
    "bm25": "the library's index of bm25",
    "sparse": "the library's index of sparse",
    "vectors": "the library's index of vectors",
    "pooling": "a folder of `glossator train precedents`, which the setting precedents.pooling names",
    "concepts": "a reader",
}
DEFAULT: Scorer = "hybrid"
# All of these were chosen on half of the queries of ECtHR's 221 cases (see eval/log.md).
VECTOR_WEIGHT = 0.2  # of pooled vectors beside BM25's 1
SPARSE_WEIGHT = 1.0  # of learned sparse vectors beside BM25's 1
NEAREST = 1000  # passages that each passage of the question finds, as in PARM
FEEDBACK_CASES, FEEDBACK_WEIGHT = 3, 0.3  # of what the best candidates' own text finds, beside the query's 1
EXPANDED = 60  # best candidates whose citations are followed
CITED_WEIGHT = TOGETHER_WEIGHT = 0.2  # beside 1 for each that finds by words
ALPHA, BETA = 0.4, 0.6  # Rocchio's, as in rag/retrieve/feedback.py
TEMPERATURE = 0.05  # of attention
CONCEPTS_WEIGHT = 0.2  # of what the reader's legal concepts find by BM25, beside BM25's 1. Not chosen by any figure
LINKS = 3  # that a hit says led to it


def checked(scorer: str) -> Scorer:
    """The scorer of this name. Raises UsageError for another."""
    for name in SCORERS:
        if name == scorer:
            return name
    raise UsageError(f"--scorer {scorer}: choose one of {', '.join(SCORERS)}")


class Precedents:
    """The precedents of a case among `cases`, which are numbered by their indices.

    `sections` was built of the same cases, in the same order. `vectors` gives the vectors of passages, of a query that
    is not in the library too. `nearest` searches passages, by "bm25" and "sparse"; `numbers` are their numbers in the
    catalogue, by id. A scorer whose part is missing raises UsageError.
    """

    def __init__(
        self,
        cases: Sequence[CourtCase],
        sections: SectionIndex,
        vectors: Vectors | None = None,
        nearest: Mapping[str, Nearest] | None = None,
        numbers: Callable[[Sequence[str]], dict[str, int]] | None = None,
        pooling: Pooling | None = None,
        concepts: Callable[[str], Sequence[str]] | None = None,
    ):
        self._cases = cases
        self._index_of = {case.case_id: index for index, case in enumerate(cases)}
        self._sections = sections
        self._vectors = vectors
        self._nearest = nearest or {}
        self._numbers = numbers
        self._pooling = pooling
        self._concepts = concepts
        self._matrices: dict[tuple[str, Field], NDArray[np.float32]] = {}

    def search(
        self, query: CourtCase, k: int, asked: Field = "facts", field: Field = "both", scorer: Scorer = DEFAULT
    ) -> list[Hit]:
        """At most k hits, each a case with the passage that shares most with the query; `terms` are the score's parts.

        `asked` is what of the query is the question, `field` the section by which candidates are found.
        """
        if k < 1:
            raise UsageError(f"-k {k}: must be at least 1")
        eligible = self._eligible(query)
        parts = self._parts(query, eligible, asked, field, scorer)
        ranking = list(_sum(parts).items())[:k]
        cases = {case_id: self._cases[self._index_of[case_id]] for case_id, _ in ranking}
        displayed = _best_passages(
            query.text(asked), [case.passages(field) or case.passages("both") for case in cases.values()]
        )
        cites = citations_among(eligible) if "cited" in parts else {}
        best = list(_sum({name: parts[name] for name in ("bm25", "sparse") if name in parts}))[:EXPANDED]
        return [
            Hit(
                rank,
                score,
                passage,
                {name: part[case_id] for name, part in parts.items() if part.get(case_id)},
                self._cited_by(case_id, best, cites) if cites else (),
            )
            for (rank, (case_id, score)), passage in zip(enumerate(ranking, start=1), displayed, strict=True)
        ]

    def rank(self, query: CourtCase, asked: Field = "facts", field: Field = "both", scorer: Scorer = DEFAULT) -> Scores:
        """As `search`: the scores of all candidates that have one."""
        return _sum(self._parts(query, self._eligible(query), asked, field, scorer))

    def _eligible(self, query: CourtCase) -> list[CourtCase]:
        return [case for case in candidates(query, self._cases) if case.passages("both")]

    # -- the scorers: name -> case id -> what it adds to the score ------------------------------------------------

    def _parts(
        self, query: CourtCase, eligible: Sequence[CourtCase], asked: Field, field: Field, scorer: Scorer
    ) -> dict[str, Scores]:
        self._check(scorer)
        if not eligible:
            return {}
        if scorer in ("bm25-passages", "sparse"):
            return {scorer: self._by_passages(scorer, query.passages(asked), eligible, field)}
        if scorer in ("late", "mean", "attention", "trained", "vector-feedback"):
            return {scorer: self._by_vectors(scorer, query.passages(asked), eligible, field)}
        text, ids = query.text(asked), [case.case_id for case in eligible]
        bm25 = self._sections.search(text, field, ids)
        if scorer == "bm25":
            return {"bm25": bm25}
        first = {"bm25": (bm25, 1.0)}
        if scorer == "interpolated":
            first["mean"] = (self._by_vectors("mean", query.passages(asked), eligible, field), VECTOR_WEIGHT)
        elif scorer == "feedback":
            first["feedback"] = (self._by_text_of_the_best(bm25, field, ids), FEEDBACK_WEIGHT)
        else:
            if scorer != "graph":
                first["sparse"] = (self._by_passages("sparse", query.passages(asked), eligible, field), SPARSE_WEIGHT)
            words = sum(weight for _, weight in first.values())
            cited, together = expand(_sum(_weighted(first, ids)), citations_among(eligible), EXPANDED)
            first |= {"cited": (cited, CITED_WEIGHT * words), "together": (together, TOGETHER_WEIGHT * words)}
        if scorer == "concepts" and self._concepts is not None:
            named = " ".join(self._concepts(text))
            first["concepts"] = (self._sections.search(named, field, ids), CONCEPTS_WEIGHT)
        return _weighted(first, ids)

    def _check(self, scorer: Scorer) -> None:
        have: dict[str, object] = {"vectors": self._vectors, "pooling": self._pooling, "concepts": self._concepts}
        have |= self._nearest if self._numbers else {}
        if missing := [name for name in SCORERS[checked(scorer)] if not have.get(name)]:
            raise UsageError(f"--scorer {scorer}: needs {NEEDED[missing[0]]}")

    def _by_passages(
        self, scorer: Scorer, asked: Sequence[Passage], eligible: Sequence[CourtCase], field: Field
    ) -> Scores:
        """The mean over the question's passages, each searched alone, of a case's best passage's score (min-max).

        After PARM (Althammer, Hofstätter, Sertkan, Verberne and Hanbury, arXiv 2201.01614), which sums reciprocal
        ranks. A whole section asked at once is nearest to the longest passages, whatever they say.
        """
        assert self._numbers is not None
        ids = {passage.passage_id: case.case_id for case in eligible for passage in case.passages(field)}
        case_of = {number: ids[passage_id] for passage_id, number in self._numbers(list(ids)).items()}
        nearest, within = self._nearest[SCORERS[scorer][0]], list(case_of)
        found: list[Scores] = []
        for passage in asked if within else ():
            best: Scores = {}
            for number, score in nearest(passage.text, NEAREST, within):
                best.setdefault(case_of[number], score)
            found.append(best)
        return minmax_fusion(found, [1.0] * len(found)) if found else {}

    def _by_text_of_the_best(self, first: Scores, field: Field, within: Sequence[str]) -> Scores:
        """What the best candidates' own sections find, by their normalised scores: Rocchio's feedback in words.

        No candidate finds itself. Every search's scores are taken relative to its best.
        """
        normalised = minmax_fusion([first], [1.0])
        total: dict[str, float] = defaultdict(float)
        for case_id, weight in list(normalised.items())[:FEEDBACK_CASES]:
            text = self._cases[self._index_of[case_id]].text(field)
            found = self._sections.search(text, field, [other for other in within if other != case_id])
            highest = max(found.values(), default=1.0)
            for other, score in found.items():
                total[other] += weight * score / highest
        return best_first(total)

    def _by_vectors(
        self, scorer: Scorer, asked: Sequence[Passage], eligible: Sequence[CourtCase], field: Field
    ) -> Scores:
        assert self._vectors is not None
        if not asked:
            return {}
        question = self._vectors(asked)
        matrices = {case.case_id: matrix for case in eligible if len(matrix := self._matrix(case, field))}
        if scorer == "late":
            return best_first({case_id: late_interaction(question, matrix) for case_id, matrix in matrices.items()})
        pool = self._pooling if scorer == "trained" and self._pooling else mean_pool
        query = pool(question)
        if scorer == "attention":
            pooled = {case_id: attention_pool(matrix, query, TEMPERATURE) for case_id, matrix in matrices.items()}
            return best_first({case_id: float(vector @ query) for case_id, vector in pooled.items()})
        pooled = {case_id: pool(matrix) for case_id, matrix in matrices.items()}
        scores = best_first({case_id: float(vector @ query) for case_id, vector in pooled.items()})
        if scorer in ("mean", "trained") or not scores:
            return scores

        moved = rocchio(query, np.stack([pooled[case_id] for case_id in list(scores)[:FEEDBACK_CASES]]), ALPHA, BETA)
        return best_first({case_id: float(vector @ moved) for case_id, vector in pooled.items()})

    def _matrix(self, case: CourtCase, field: Field) -> NDArray[np.float32]:
        """The vectors of a candidate's passages, (n, d), read once."""
        assert self._vectors is not None

        if field == "both":
            parts = [part for name in ("facts", "law") if len(part := self._matrix(case, name))]
            return np.concatenate(parts) if parts else np.zeros((0, 0), np.float32)
        if (case.case_id, field) not in self._matrices:
            passages = case.passages(field)
            self._matrices[case.case_id, field] = self._vectors(passages) if passages else np.zeros((0, 0), np.float32)
        return self._matrices[case.case_id, field]

    def _cited_by(self, case_id: str, best: Sequence[str], cites: Mapping[str, frozenset[str]]) -> tuple[str, ...]:
        """Which of the best candidates cite a case, a line each."""
        citing = [other for other in best if case_id in cites.get(other, ())][:LINKS]
        return tuple(f"cited by {self._title(other)}" for other in citing)

    def _title(self, case_id: str) -> str:
        passages = self._cases[self._index_of[case_id]].passages("both")
        return passages[0].title if passages and passages[0].title else case_id


def _weighted(parts: Mapping[str, tuple[Scores, float]], case_ids: Sequence[str]) -> dict[str, Scores]:
    """Each part's scores from 0 to 1 over all these cases (min-max; without one, 0), times its share of the weights."""
    whole = sum(weight for _, weight in parts.values())
    weighted: dict[str, Scores] = {}
    for name, (scores, weight) in parts.items():
        normalised = minmax_fusion([{key: scores.get(key, 0.0) for key in case_ids}], [weight]) if scores else {}
        weighted[name] = {key: score * weight / whole for key, score in normalised.items()}
    return weighted


def _sum(parts: Mapping[str, Scores]) -> Scores:
    total: dict[str, float] = defaultdict(float)
    for scores in parts.values():
        for case_id, score in scores.items():
            total[case_id] += score
    return best_first(total)


def _best_passages(question: str, cases: Sequence[Sequence[Passage]]) -> list[Passage]:
    """Of each case the passage whose different words, of those that the question has, weigh most; ties to the first.

    A word weighs ln(n / passages that have it) over the passages of all these cases, so that a search needs no index.
    """
    wanted = set(WORD.findall(question.casefold()))
    words_said = [
        [wanted.intersection(WORD.findall(passage.text.casefold())) for passage in passages] for passages in cases
    ]
    having = Counter(word for passages in words_said for words in passages for word in words)
    count = sum(map(len, words_said))
    return [
        passages[max(range(len(passages)), key=lambda i: (sum(math.log(count / having[w]) for w in words[i]), -i))]
        for passages, words in zip(cases, words_said, strict=True)
    ]
