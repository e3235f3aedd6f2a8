"""Which passages a query is trained on: its positives, hard negatives, and what each teacher thinks of them all.

A teacher scores any query with any text, which a search for the best few cannot do. Three kinds of teachers see three
kinds of likeness, and their ensemble teaches better than one (Geng et al., arXiv 2411.04403, section 3.3).
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from rag.encode.inference_free import idf
from rag.protocols import DenseEncoder, Report, SparseEncoder, SparseVector, silent
from rag.train.near_duplicates import Shingles, words_of
from rag.train.sparse.pairs import Candidates, TrainingSet

DEPTH = 50  # of each teacher's ranking, from which negatives are drawn
NEGATIVES = 15  # a query
BLOCK = 64  # queries scored at a time: 64 x 100,000 texts are 26 MB
# What asks for a document, or for a part of it that only roughly is the right one: its other passages are no negatives.
OF_WHOLE_DOCUMENTS = ("title", "link", "citation")


class Teacher(Protocol):
    def scores(self, queries: Sequence[str]) -> NDArray[np.float32]:
        """Of each query with every training text, higher is better: (queries, texts)."""
        ...


class TrainingPostings:
    """Sparse vectors by term, so that a query's inner products with all of them cost only the terms it has."""

    def __init__(self, vectors: Sequence[SparseVector]):
        self._count = len(vectors)
        sizes = [len(terms) for terms, _ in vectors]
        terms = np.concatenate([terms for terms, _ in vectors]) if vectors else np.zeros(0, np.int32)
        weights = np.concatenate([weights for _, weights in vectors]) if vectors else np.zeros(0, np.float32)
        order = np.argsort(terms, kind="stable")
        self._texts = np.repeat(np.arange(len(vectors)), sizes)[order]
        self._weights = weights[order]
        self._starts = np.searchsorted(terms[order], np.arange(terms.max(initial=-1) + 2))

    def products(self, query: SparseVector) -> NDArray[np.float32]:
        """The query's inner product with each vector: (vectors,)."""
        scores = np.zeros(self._count, dtype=np.float32)
        for term, weight in zip(*query, strict=True):
            if term + 1 < len(self._starts):
                subset = slice(self._starts[term], self._starts[term + 1])
                scores[self._texts[subset]] += weight * self._weights[subset]  # no text is twice among a term's
        return scores


class Bm25Teacher:
    """BM25 as Lucene computes it (without the factor k1 + 1), over the words of the texts without their plural's s."""

    def __init__(self, texts: Sequence[str], k1: float = 0.9, b: float = 0.4):
        counts = [Counter(terms_of(text)) for text in texts]
        self._terms = {word: i for i, word in enumerate(sorted(set().union(*counts)))}
        frequency = np.zeros(len(self._terms), dtype=np.int64)
        for count in counts:
            frequency[[self._terms[word] for word in count]] += 1
        self._idf = idf(frequency, len(texts))
        lengths = np.array([count.total() for count in counts], dtype=np.float32)
        norms = k1 * (1 - b + b * lengths / max(float(lengths.mean()) if len(texts) else 0.0, 1e-9))
        self._postings = TrainingPostings(
            [self._vector(count, norm) for count, norm in zip(counts, norms, strict=True)]
        )

    def _vector(self, count: Counter[str], norm: float) -> SparseVector:
        found = sorted((self._terms[word], times) for word, times in count.items() if word in self._terms)
        terms = np.array([term for term, _ in found], dtype=np.int32)
        times = np.array([times for _, times in found], dtype=np.float32)
        return terms, times / (times + np.float32(norm))

    def scores(self, queries: Sequence[str]) -> NDArray[np.float32]:
        """As Teacher.scores; a word that is twice in the query counts twice."""
        rows = []
        for query in queries:
            found = Counter(word for word in terms_of(query) if word in self._terms)
            terms = np.array(sorted(self._terms[word] for word in found), dtype=np.int32)
            times = np.array([found[word] for word in sorted(found)], dtype=np.float32)
            rows.append(self._postings.products((terms, times * self._idf[terms])))
        return np.stack(rows)


def terms_of(text: str) -> list[str]:
    """The words of a text, plurals as singulars by Harman's three rules ("How effective is suffixing?", 1991).

    Against the words as they are that is 0.682 for 0.664 nDCG@10 on SciFact's train part.

    >>> terms_of("Queries of glass houses: toes, does")
    ['query', 'of', 'glass', 'house', 'toe', 'doe']
    """
    return [_singular(word) for word in words_of(text)]


def _singular(word: str) -> str:
    if len(word) <= 3 or word[-1] != "s":
        return word
    if word.endswith("ies") and word[-4] not in "ae":
        return f"{word[:-3]}y"
    if word.endswith("es") and word[-3] not in "aeo":
        return word[:-1]
    return word if word[-2] in "us" else word[:-1]


class DenseTeacher:
    """The cosine of a dense encoder's vectors."""

    def __init__(self, encoder: DenseEncoder, texts: Sequence[str], report: Report = silent):
        self._encoder = encoder
        self._vectors = encoder.encode(texts, lambda done: report("dense vectors", done, len(texts)))

    def scores(self, queries: Sequence[str]) -> NDArray[np.float32]:
        """As Teacher.scores."""
        return self._encoder.encode(queries) @ self._vectors.T


class SparseTeacher:
    """The inner product of a sparse encoder's vectors; its method gives queries vectors of their own (as SPLADE's)."""

    def __init__(self, encoder: SparseEncoder, texts: Sequence[str], report: Report = silent):
        self._encoder = encoder
        vectors = encoder.encode_documents(texts, lambda done: report("sparse vectors", done, len(texts)))
        self._postings = TrainingPostings(vectors)

    def scores(self, queries: Sequence[str]) -> NDArray[np.float32]:
        """As Teacher.scores."""
        return np.stack([self._postings.products(vector) for vector in self._encoder.encode_queries(queries)])


def mine(
    data: TrainingSet,
    teachers: Mapping[str, Teacher],
    negatives: int = NEGATIVES,
    depth: int = DEPTH,
    seed: int = 0,
    report: Report = silent,
) -> list[Candidates]:
    """The candidates of each pair of `data`, in order; `teachers` are over its texts. The same for a seed.

    Negatives are drawn from each teacher's best `depth` texts of the pair's pool that it gives a score above 0. None is
    a positive, a near-duplicate of a positive, or a text that holds the query; there are fewer where these are too few.
    """
    shingles = Shingles([*data.texts, *(pair.query for pair in data.pairs)])
    documents = np.unique(data.documents, return_inverse=True)[1] if data.documents else np.zeros(0, np.int64)
    origins = np.array(data.origins, dtype=np.int64)
    whole = origins == np.arange(len(origins))
    mined = []
    for first in range(0, len(data.pairs), BLOCK):
        block = data.pairs[first : first + BLOCK]
        scores = {name: teacher.scores([pair.query for pair in block]) for name, teacher in teachers.items()}
        for row, pair in enumerate(block):
            positives = np.array(pair.positives, dtype=np.int64)
            open_to = whole.copy()  # the pair's pool, without its positives
            open_to[origins[positives]] = False
            if pair.source in OF_WHOLE_DOCUMENTS:
                open_to &= ~np.isin(documents, documents[positives])
            found = sorted(set().union(*(best(rows[row], open_to, depth) for rows in scores.values())))
            twins = np.zeros(len(found), dtype=np.bool_)
            for text in (*pair.positives, len(data.texts) + first + row):  # and the query itself
                twins |= shingles.near(text, found)
            left = [i for i, twin in zip(found, twins, strict=True) if not twin]
            drawn = random.Random(f"{seed} {pair.query}").sample(left, min(negatives, len(left)))
            passages = (*pair.positives, *drawn)
            own = {name: tuple(rows[row, list(passages)].tolist()) for name, rows in scores.items()}
            mined.append(Candidates(passages, len(pair.positives), own))
        report("negatives", first + len(block), len(data.pairs))
    return mined


def best(scores: NDArray[np.float32], open_to: NDArray[np.bool_], depth: int) -> Iterable[int]:
    """The `depth` texts with the highest scores above 0, of those that are open: (texts,) both. Ties by index."""
    indices = np.flatnonzero(open_to & (scores > 0))
    if len(indices) > depth:
        least = np.partition(scores[indices], -depth)[-depth]
        indices = indices[scores[indices] >= least]  # with all that tie with the last
    order = np.argsort(-scores[indices], kind="stable")[:depth]
    return [int(i) for i in indices[order]]
