"""rag/train/sparse/hard_negatives.py: teachers against formulas by hand, and which texts may be a query's negatives."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import log

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from rag.protocols import SparseVector
from rag.train.near_duplicates import CONTAINMENT
from rag.train.sparse.hard_negatives import (
    Bm25Teacher,
    DenseTeacher,
    SparseTeacher,
    TrainingPostings,
    best,
    mine,
    terms_of,
)
from rag.train.sparse.pairs import Candidates, Pair, TrainingSet
from rag.train.sparse.self_made_queries import training_set
from tests.made import Words
from tests.parts import encoder, passage
from tests.test_pairs import book, contained, sentences

short = st.lists(st.sampled_from("heron herons weir mill the a river 7".split()), max_size=8).map(" ".join)


def bm25(query: str, text: str, texts: Sequence[str], k1: float, b: float) -> float:
    """The sum over the query's words of idf * tf / (tf + k1 (1 - b + b length / mean length)), word by word."""
    score, mean = 0.0, sum(len(terms_of(some)) for some in texts) / len(texts)
    for word in terms_of(query):
        frequency = terms_of(text).count(word)
        holders = sum(word in terms_of(some) for some in texts)
        weight = log(1 + (len(texts) - holders + 0.5) / (holders + 0.5))
        if frequency:
            score += weight * frequency / (frequency + k1 * (1 - b + b * len(terms_of(text)) / mean))
    return score


@given(
    st.lists(short, min_size=1, max_size=6), st.lists(short, min_size=1, max_size=3), st.floats(0.1, 2), st.floats(0, 1)
)
@settings(max_examples=100, deadline=None)
def test_bm25_agrees_with_the_formula(texts: list[str], queries: list[str], k1: float, b: float) -> None:
    scores = Bm25Teacher(texts, k1, b).scores(queries)
    expected = [[bm25(query, text, texts, k1, b) for text in texts] for query in queries]
    assert scores.shape == (len(queries), len(texts))
    np.testing.assert_allclose(scores, expected, rtol=1e-4, atol=1e-6)


def sparse_vector(weights: dict[int, float]) -> SparseVector:
    terms = sorted(weights)
    return np.array(terms, dtype=np.int32), np.array([weights[term] for term in terms], dtype=np.float32)


weighted = st.dictionaries(st.integers(0, 9), st.floats(0.125, 4, width=16), max_size=6)
vectors = st.lists(weighted.map(sparse_vector), min_size=1, max_size=6)


@given(vectors, vectors)
@settings(max_examples=60, deadline=None)
def test_postings_give_inner_products(texts: list[SparseVector], queries: list[SparseVector]) -> None:
    def full(vector: SparseVector) -> NDArray[np.float32]:
        row = np.zeros(10, dtype=np.float32)
        row[vector[0]] = vector[1]
        return row

    postings = TrainingPostings(texts)
    for query in queries:
        np.testing.assert_allclose(postings.products(query), [full(text) @ full(query) for text in texts], rtol=1e-5)


class Sparse:
    """A sparse encoder of two sides: a text's words by length, a query's by length and one more."""

    dimensions = 16

    def encode_documents(
        self, texts: Sequence[str], report: Callable[[int], None] = lambda done: None
    ) -> list[SparseVector]:
        report(len(texts))
        return [self._vector({len(word) for word in text.split()}) for text in texts]

    def encode_queries(self, texts: Sequence[str]) -> list[SparseVector]:
        return [self._vector({len(word) + 1 for word in text.split()}) for text in texts]

    def _vector(self, terms: set[int]) -> SparseVector:
        return np.array(sorted(terms), dtype=np.int32), np.full(len(terms), 2, dtype=np.float32)

    def token_ids(self, texts: Sequence[str]) -> list[list[int]]:
        raise NotImplementedError

    def term(self, term_id: int) -> str:
        raise NotImplementedError


def test_dense_and_sparse_teachers_score_every_pair() -> None:
    texts, queries = ["A heron stands in the river.", "Copyright ended in 1710.", ""], ["a bird in water", "old law"]
    said: list[tuple[str, int, int]] = []
    rows = encoder().encode(texts)
    scores = DenseTeacher(encoder(), texts, lambda *progress: said.append(progress)).scores(queries)
    np.testing.assert_allclose(scores, encoder().encode(queries) @ rows.T, atol=1e-6)
    assert scores[0, 0] > scores[0, 1] and scores[1, 1] > scores[1, 0] and said[-1] == ("dense vectors", 3, 3)
    sparse = SparseTeacher(Sparse(), ["a bb", "dddd"], lambda *progress: said.append(progress)).scores(["a", "ccc bb"])
    assert sparse.tolist() == [[4, 0], [0, 4]] and said[-1] == ("sparse vectors", 2, 2)


def test_the_best_are_those_that_are_open_with_ties_by_place() -> None:
    scores = np.array([0.5, 0.9, 0.5, 0.0, 0.7, 0.5, -1.0], dtype=np.float32)
    some = np.array([True, True, True, True, False, True, True])
    assert list(best(scores, some, 2)) == [1, 0]
    assert list(best(scores, some, 9)) == [1, 0, 2, 5]  # a score of 0 says that nothing is alike


# ---- negatives


class Table:
    """A teacher with given scores."""

    def __init__(self, rows: Mapping[str, Sequence[float]]):
        self.rows = rows

    def scores(self, queries: Sequence[str]) -> NDArray[np.float32]:
        return np.array([self.rows[query] for query in queries], dtype=np.float32)


def drawn(data: TrainingSet, some: Candidates) -> list[str]:
    return [data.texts[i] for i in some.passages[some.positives :]]


def test_negatives_come_from_the_best_of_each_teacher() -> None:
    data = training_set(book("a", 12, Words()), given=[Pair("who", (3,), "given")], self_made=0)
    one, two = [i / 12 + 0.01 for i in range(12)], [1 - i / 12 for i in range(12)]
    teachers = {"one": Table({"who": one}), "two": Table({"who": two})}
    [mined] = mine(data, teachers, negatives=4, depth=2)
    assert mined.passages[0] == 3 and mined.positives == 1
    assert sorted(mined.passages[1:]) == [0, 1, 10, 11]
    assert mined.scores["one"] == pytest.approx([one[i] for i in mined.passages])
    assert mined.scores["two"] == pytest.approx([two[i] for i in mined.passages])
    [fewer] = mine(data, teachers, negatives=2, depth=2)
    assert len(fewer.passages) == 3 and set(fewer.passages[1:]) < {0, 1, 10, 11}
    orders = {mine(data, teachers, negatives=2, depth=2, seed=seed)[0].passages for seed in range(9)}
    assert len(orders) > 1


def test_what_asks_for_a_document_has_no_negatives_in_it() -> None:
    words = Words()
    passages = book("a", 4, words, "Herons of the Upper Weir") + book("b", 4, words)
    data = training_set(passages, given=[Pair("who knows", (0,), "given")])
    rows = {pair.query: [1.0] * len(data.texts) for pair in data.pairs}
    mined = dict(zip(data.pairs, mine(data, {"all": Table(rows)}), strict=True))
    for pair, some in mined.items():
        others = {data.documents[i] for i in some.passages[some.positives :]}
        assert others == ({"b"} if pair.source == "title" else {"a", "b"})


@given(st.lists(st.tuples(sentences, st.sampled_from("abc")), min_size=1, max_size=10), st.integers(0, 3))
@settings(max_examples=60, deadline=None)
def test_no_positive_and_nothing_like_one_is_a_negative(rows: list[tuple[str, str]], seed: int) -> None:
    passages = [passage(i, text, document) for i, (text, document) in enumerate(rows)]
    data = training_set(passages, given=[Pair("the heron of the old weir", (0,), "given")])
    mined = mine(data, {"bm25": Bm25Teacher(data.texts)}, negatives=6, depth=8, seed=seed)
    assert mined == mine(data, {"bm25": Bm25Teacher(data.texts)}, negatives=6, depth=8, seed=seed)
    assert len(mined) == len(data.pairs)
    for pair, some in zip(data.pairs, mined, strict=True):
        assert some.passages[: some.positives] == pair.positives
        assert len(set(some.passages)) == len(some.passages) == len(some.scores["bm25"]) <= len(pair.positives) + 6
        assert set(some.passages) <= set(data.pool(pair))  # so no text from which a positive was cut, and no cut one
        for text in drawn(data, some):
            assert not any(contained(text, data.texts[i]) > CONTAINMENT for i in pair.positives)
            assert contained(text, pair.query) <= CONTAINMENT


def test_a_passage_that_holds_the_query_is_no_negative() -> None:
    """The sentence that cites stands in the citing document, too."""
    said = "Owners of sluices must let migrating fish pass upstream in every season of the year."
    words = Words()
    passages = [passage(0, f"{words.paragraph()} {said}", "a"), *book("b", 3, words)]
    data = training_set(passages, given=[Pair(said, (1,), "citation")], self_made=0)
    [mined] = mine(data, {"all": Table({said: [1.0] * 4})})
    assert mined.passages == (1,)  # nor are the others of the document that is asked for
    data = training_set(passages, given=[Pair(said, (1,), "given")], self_made=0)
    [mined] = mine(data, {"all": Table({said: [1.0] * 4})})
    assert sorted(mined.passages) == [1, 2, 3]
