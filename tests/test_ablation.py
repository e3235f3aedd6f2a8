"""ablation.py: two of its rows are the project's own retrievers, and all agree with brute force and by hand."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from eval.retrieval.ablation import (
    BINARY,
    EXPANDED,
    IDF,
    INFERENCE_FREE,
    OWN,
    ROWS,
    SPLADE,
    ablate,
    ablation_text,
    passage_sides,
    query_sides,
    rankings_of,
    search,
)  # fmt: skip
from eval.retrieval.corpus import Corpus, open_corpus
from eval.retrieval.measures import ALL_GOLD, DEPTH, Ranking, search_all
from rag.errors import UsageError
from rag.index.vectors import pack
from rag.protocols import SparseVector
from rag.settings import load_settings
from tests.parts import passage
from tests.test_retrieval_eval import COLLECTION, ENTRIES, QUERIES


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


def opened(cache: Path, method: str) -> Corpus:
    return open_corpus(ENTRIES, cache, load_settings([f"sparse.method={method}"]), ["sparse"])


@pytest.mark.parametrize(("method", "pair"), [("SPLADE", SPLADE), ("inference-free", INFERENCE_FREE)])
def test_a_row_is_the_retriever_of_its_name(cache: Path, method: str, pair: tuple[str, str]) -> None:
    corpus = opened(cache, method)
    finder = corpus.indexes.retriever("sparse")
    theirs = search_all(COLLECTION, corpus, lambda query: finder.search([query.text], DEPTH)[0]).rankings
    ours: dict[str, Ranking] = rankings_of(QUERIES, corpus)[pair]
    for query in QUERIES:
        assert [key for key, _ in ours[query.id]] == [key for key, _ in theirs[query.id]]
        scores = [score for _, score in theirs[query.id]]  # of a query that was encoded alone, and not in a batch
        assert [score for _, score in ours[query.id]] == pytest.approx(scores, rel=1e-4, abs=1e-5)
    assert len(theirs["beer"]) > 3


def test_the_whole_is_a_row_for_each_pair(cache: Path) -> None:
    result = ablate(COLLECTION, opened(cache, "SPLADE"), ("R@5", ALL_GOLD))
    assert [(row["queries"], row["passages"]) for row in result["rows"]] == list(ROWS)
    assert json.loads(json.dumps(result)) == result and (result["n"], result["passages"]) == (4, 20)
    means = {(row["queries"], row["passages"]): row["metrics"]["R@5"] for row in result["rows"]}
    third = result["findings"][2]
    assert third["finding"].startswith("3.")
    assert third["differences"]["R@5"]["mean"] == pytest.approx(means[SPLADE] - means[OWN, EXPANDED])
    text = ablation_text(result, "Tea")
    assert text.count("\n| ") == 2 + len(ROWS) + len(result["findings"]) and "| expanded (SPLADE) |" in text


def test_a_method_without_expansion_is_refused(cache: Path, tmp_path: Path) -> None:
    corpus = opened(cache, "SPLADE")
    corpus.indexes.settings = load_settings(["sparse.method=DeepCT"])
    with pytest.raises(UsageError, match="DeepCT"):
        rankings_of(QUERIES, corpus)
    with pytest.raises(UsageError, match="no sparse index"):
        rankings_of(QUERIES, open_corpus(ENTRIES, tmp_path, load_settings(["sparse.method=SPLADE"]), ["bm25"]))


# -- by hand: a vocabulary of six terms. Passage 0 says 1 and 2, and 3 was added; passage 1 says 2 and 4; 2 is empty.

PASSAGES = [{1: 2.0, 3: 1.0}, {2: 0.5, 4: 1.0}, {}]  # 2 is said by passage 0, and the model gives it no weight
WORDS = [[1, 2], [2, 4], []]


def vector_of(weights: dict[int, float]) -> SparseVector:
    return np.asarray(list(weights), np.int32), np.asarray(list(weights.values()), np.float32)


class Fake:
    """A SparseEncoder of one query: it says 2 and 5, and the model weighs 2 and adds 3."""

    dimensions = 6

    def encode_documents(self, texts: list[str]) -> list[SparseVector]:
        return [vector_of({2: 2.0, 3: 4.0})]

    def token_ids(self, texts: list[str]) -> list[list[int]]:
        return [[2, 5]]


@pytest.mark.parametrize(
    ("pair", "wanted"),
    [
        ((BINARY, BINARY), [(1, 1.0), (0, 1.0)]),  # a tie, and passage 1 goes first
        ((BINARY, OWN), [(1, 0.5)]),
        ((BINARY, EXPANDED), [(1, 0.5)]),
        ((OWN, OWN), [(1, 1.0)]),
        ((OWN, EXPANDED), [(1, 1.0)]),
        ((EXPANDED, OWN), [(1, 1.0)]),
        ((EXPANDED, EXPANDED), [(0, 4.0), (1, 1.0)]),
        ((IDF, EXPANDED), [(1, 5.0)]),
        ((IDF, BINARY), [(1, 10.0), (0, 10.0)]),
    ],
)
def test_by_hand(pair: tuple[str, str], wanted: list[tuple[int, float]]) -> None:
    vectors = pack([(n, passage(n, "x")) for n in range(3)], [vector_of(p) for p in PASSAGES], WORDS, 6)
    asked = query_sides(["q"], Fake(), np.asarray([0, 0, 10, 0, 0, 20], np.float32))[pair[0]]  # type: ignore[arg-type]
    (found,) = search(asked, passage_sides(vectors)[pair[1]], 6, np.asarray([2, 1, 0]))
    assert [row for row, _ in found] == [row for row, _ in wanted]
    assert [score for _, score in found] == pytest.approx([score for _, score in wanted], rel=0.01)
