"""rag/retrieve/feedback.py: the formulas by hand, and four ways to bring the sparse side in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from rag.index.dense import DenseIndex, DenseRetriever
from rag.protocols import silent
from rag.records import Hit
from rag.retrieve.feedback import FeedbackRetriever, Interpolation, average, rocchio
from tests.parts import passage

Vector = NDArray[np.float32]
FP16 = 2e-3


def vector(*numbers: float) -> Vector:
    return np.asarray(numbers, dtype=np.float32)


# ---- the formulas


def test_average_by_hand() -> None:
    found = average(vector(1, 0), np.asarray([vector(0, 1), vector(0, 1)]))  # mean (1, 2) / 3
    assert found == pytest.approx(vector(1, 2) / np.sqrt(5))
    assert found.dtype == np.float32
    assert average(vector(1, 0), np.asarray([vector(0.6, 0.8)])) == pytest.approx(vector(1.6, 0.8) / np.sqrt(3.2))


def test_rocchio_by_hand() -> None:
    vectors = np.asarray([vector(0, 1), vector(1, 0)])
    found = rocchio(vector(1, 0), vectors, 0.4, 0.6)  # 0.4 (1, 0) + 0.6 (0.5, 0.5) = (0.7, 0.3)
    assert found == pytest.approx(vector(0.7, 0.3) / np.sqrt(0.58))
    assert found.dtype == np.float32
    assert rocchio(vector(1, 0), vectors, 0, 1) == pytest.approx(vector(1, 1) / np.sqrt(2))
    assert rocchio(vector(1, 0), vectors, 1, 0) == pytest.approx(vector(1, 0))


ROWS = arrays(np.float32, (4, 3), elements=st.floats(-1, 1, width=16))


@given(rows=ROWS, alpha=st.sampled_from([0.0, 0.4, 1.0]), beta=st.sampled_from([0.0, 0.6, 1.0]))
def test_a_query_keeps_unit_length_and_needs_nothing(rows: Vector, alpha: float, beta: float) -> None:
    query, vectors = vector(0.6, 0, 0.8), rows[: len(rows) - int(alpha * 3)]
    for bent in (average(query, vectors), rocchio(query, vectors, alpha, beta)):
        assert np.linalg.norm(bent) == pytest.approx(1, abs=1e-5)
    assert rocchio(query, vectors, 1, 0) == pytest.approx(query)
    nothing = np.zeros((0, 3), dtype=np.float32)
    assert (average(query, nothing) == query).all()
    assert (rocchio(query, nothing, 0, 1) == query).all()


def test_feedback_that_cancels_the_query_leaves_it() -> None:
    query = vector(0.6, 0.8)
    assert (average(query, np.asarray([-query])) == query).all()
    assert (rocchio(query, np.asarray([-query]), 0.5, 0.5) == query).all()
    assert (rocchio(query, np.asarray([query]), 0, 0) == query).all()


# ---- the retriever
#
# On a half circle: the question at 0 degrees, three passages near it on one side ("near..."), three far off on the
# other ("lost..."), which no word of the question's meaning finds, but its very words do.

ANGLES = {"near1": 10, "near2": 12, "near3": 14, "between": -30, "lost1": -50, "lost2": -55, "lost3": -75}


class Circle:
    """A text's vector is where its name stands on the circle; a question's at 0 degrees."""

    def encode(self, texts: Sequence[str], report: Callable[[int], None] = lambda done: None) -> Vector:
        degrees = np.radians([ANGLES.get(text.strip(), 0) for text in texts])
        return np.stack([np.cos(degrees), np.sin(degrees)], axis=1).astype(np.float32)


class Words:
    """A sparse retriever that finds these names, with these scores."""

    def __init__(self, **scores: float):
        self.scores = scores
        self.asked: list[tuple[list[str], int, object]] = []

    def search(self, queries: Sequence[str], k: int, within: Sequence[int] | None = None) -> list[list[Hit]]:
        self.asked.append((list(queries), k, within))
        found = list(self.scores.items())[:k]
        numbers = {name: number for number, name in enumerate(ANGLES)}
        return [
            [Hit(rank, score, passage(numbers[name], name)) for rank, (name, score) in enumerate(found, start=1)]
            for _ in queries
        ]


LOST = {"lost1": 9.0, "lost2": 8.0, "near1": 1.0}


def dense(folder: Path, names: Sequence[str] = tuple(ANGLES)) -> DenseRetriever:
    held = {100 + number: passage(number, name) for number, name in enumerate(ANGLES)}
    index = DenseIndex(folder, Circle, "circle")
    index.apply([], [(number, held[number]) for number in held if held[number].text in names], silent)
    return DenseRetriever(index, Circle, lambda numbers: {n: held[n] for n in numbers})


def numbers(ids: Sequence[str]) -> dict[str, int]:
    return {passage_id: 100 + int(passage_id.removeprefix("d#")) for passage_id in ids}


def names(hits: Sequence[Hit]) -> list[str]:
    assert [hit.rank for hit in hits] == list(range(1, len(hits) + 1))
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
    return [hit.passage.text for hit in hits]


def test_feedback_turns_the_query_towards_the_first_rounds_best(tmp_path: Path) -> None:
    words = Words(**LOST)
    retriever = FeedbackRetriever(dense(tmp_path), words, numbers, "average", 1)
    hits = retriever.search(["question"], 3)[0]
    assert names(hits) == ["near1", "near2", "near3"]  # the query now stands at 5 degrees
    assert [hit.score for hit in hits] == pytest.approx(np.cos(np.radians([5, 7, 9])), abs=FP16)
    assert words.asked == []  # "none" needs no sparse side
    retriever = FeedbackRetriever(dense(tmp_path), words, numbers, "rocchio", 3, 0.4, 0.6)
    best = Circle().encode(["near1", "near2", "near3"])
    expected = 0.4 * vector(1, 0) + 0.6 * best.mean(axis=0)
    hits = retriever.search(["question"], 3)[0]
    assert names(hits) == ["near1", "near2", "near3"]
    assert [hit.score for hit in hits] == pytest.approx(best @ expected / np.linalg.norm(expected), abs=FP16)


def test_the_papers_depths_of_feedback(tmp_path: Path) -> None:
    searcher = dense(tmp_path)
    for feedback, depth in (("average", 3), ("rocchio", 5)):
        silent_choice = FeedbackRetriever(searcher, Words(), numbers, feedback)  # type: ignore[arg-type]
        said, other = (FeedbackRetriever(searcher, Words(), numbers, feedback, d) for d in (depth, 4))  # type: ignore[arg-type]
        assert silent_choice.search(["question"], 3) == said.search(["question"], 3) != other.search(["question"], 3)


def test_each_interpolation_is_its_own_and_rescues_what_dense_misses(tmp_path: Path) -> None:
    orders, scores = {}, {}
    for interpolation in ("none", "before", "after", "both"):
        retriever = FeedbackRetriever(
            dense(tmp_path), Words(**LOST), numbers, "average", 2, interpolation=interpolation, sparse_weight=0.6
        )
        hits = retriever.search(["question"], 7)[0]
        orders[interpolation] = names(hits)
        scores[interpolation] = {hit.passage.text: hit.score for hit in hits}
    # none: the query goes to 7 degrees, and what the words know stays last.
    assert orders["none"] == ["near1", "near2", "near3", "between", "lost1", "lost2", "lost3"]
    # before: lost1 and lost2 are the best of the fused list, and the query goes to -35 degrees.
    assert orders["before"][:3] == ["between", "lost1", "lost2"]
    # after: the query goes to 7 degrees as in "none", but the words have a say in the end.
    assert orders["after"][:3] == ["lost1", "lost2", "near1"]
    assert orders["both"][:3] == ["lost1", "lost2", "between"]
    assert len({tuple(order) for order in orders.values()}) == 4
    assert scores["both"]["between"] == pytest.approx(0.4)  # first of the second dense round, unknown to the words
    assert scores["after"]["lost1"] > 0.6 and scores["none"]["lost1"] < np.cos(np.radians(56))


def ranking(retriever: FeedbackRetriever) -> list[tuple[str, float]]:
    return [(hit.passage.passage_id, pytest.approx(hit.score, abs=1e-6)) for hit in retriever.search(["q"], 7)[0]]


def test_what_changes_nothing(tmp_path: Path) -> None:
    searcher = dense(tmp_path)
    plain = [(hit.passage.passage_id, hit.score) for hit in searcher.search(["q"], 7)[0]]
    for interpolation in INTERPOLATIONS:
        words = Words(**LOST)
        no_depth = FeedbackRetriever(searcher, words, numbers, "average", 0, interpolation=interpolation)
        only_query = FeedbackRetriever(searcher, words, numbers, "rocchio", 5, 1, 0, interpolation=interpolation)
        assert ranking(no_depth) == ranking(only_query)
        if interpolation in ("none", "before"):  # nothing is fused after the second round
            assert plain == ranking(no_depth)
        fed = FeedbackRetriever(searcher, words, numbers, interpolation=interpolation, sparse_weight=0)
        assert [key for key, _ in ranking(fed)] == [
            key for key, _ in ranking(FeedbackRetriever(searcher, words, numbers))
        ]
    only_words = FeedbackRetriever(searcher, Words(**LOST), numbers, interpolation="after", sparse_weight=1)
    assert names(only_words.search(["q"], 7)[0]) == ["lost1", "lost2", "near1"]


INTERPOLATIONS: list[Interpolation] = ["none", "before", "after", "both"]


@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
def test_the_promises_of_a_retriever(tmp_path: Path, interpolation: Interpolation) -> None:
    words = Words(**LOST)
    retriever = FeedbackRetriever(dense(tmp_path), words, numbers, interpolation=interpolation, fusion_depth=7)
    assert retriever.search([], 5) == []
    one, other = retriever.search(["q", "q"], 7)
    assert one == other
    assert all(retriever.search(["q"], k)[0] == one[:k] for k in range(1, 8))
    words.asked.clear()
    inside = retriever.search(["q"], 9, within=[101, 103])[0]
    assert {"near2", "between"} <= set(names(inside)) <= {"near2", "between", *LOST}  # Words knows no limits
    assert [(queries, k, within) for queries, k, within in words.asked] == (
        [] if interpolation == "none" else [(["q"], 9, [101, 103])]  # the question as asked, once for both rounds
    )


@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
def test_few_hits_and_none(tmp_path: Path, interpolation: Interpolation) -> None:
    few = dense(tmp_path, ["near1", "lost1"])  # fewer than feed back; lost2 has no vector
    found = FeedbackRetriever(few, Words(**LOST), numbers, "rocchio", interpolation=interpolation).search(["q"], 5)[0]
    assert set(names(found)) == {"near1", "lost1"} | ({"lost2"} if interpolation in ("after", "both") else set())
    no_vectors = FeedbackRetriever(dense(tmp_path, []), Words(**LOST), numbers, interpolation=interpolation)
    by_words = ["lost1", "lost2", "near1"] if interpolation in ("after", "both") else []
    assert names(no_vectors.search(["q"], 5)[0]) == by_words
    assert FeedbackRetriever(dense(tmp_path, []), Words(), numbers, interpolation=interpolation).search(["q"], 5) == [
        []
    ]
    flat = Words(lost1=2.0, lost2=2.0)  # a range of 0: both stand at 1
    found = FeedbackRetriever(dense(tmp_path), flat, numbers, interpolation=interpolation).search(["q"], 7)[0]
    assert len(found) == 7 and np.isfinite([hit.score for hit in found]).all()
    unknown = FeedbackRetriever(dense(tmp_path), Words(**LOST), lambda ids: {}, interpolation=interpolation)
    unbent = FeedbackRetriever(dense(tmp_path), Words(**LOST), numbers, "average", 0, interpolation=interpolation)
    assert unknown.search(["q"], 7) == unbent.search(["q"], 7)  # passages that have left the catalogue
