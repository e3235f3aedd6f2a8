"""eval/retrieval/engines.py: the vectors are like a learned encoder's, and the table's rows make sense."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from eval.retrieval.engines import SETTINGS, SparseCollection, compare_engines, synthetic


def test_vectors_are_like_a_learned_encoders() -> None:
    """Against Bruch et al. 2024 (119 terms, 50 of them hold 75 %) and HotpotQA under a small SPLADE (2026-11)."""
    collection, queries = synthetic(2_000, seed=3, queries=50)
    held = collection.vectors
    lengths = np.diff(held.starts)
    assert 110 < lengths.mean() < 130
    assert (np.diff(held.terms.astype(int))[np.diff(np.arange(2_000).repeat(lengths)) == 0] > 0).all()
    assert (np.abs(held.impacts * held.steps.repeat(lengths) - collection.weights) <= held.steps.repeat(lengths)).all()
    shares = [np.sort(row)[::-1][:50].sum() / row.sum() for row in np.split(collection.weights, held.starts[1:-1])]
    assert 0.7 < np.mean(shares) < 0.85
    frequency = np.bincount(held.terms, minlength=collection.dimensions) / 2_000
    assert 0.3 < frequency.max() < 0.9
    for kind, terms, matching in (("splade", 41, 4), ("free", 18, 1.8)):
        assert np.mean([len(query[0]) for query in queries[kind]]) == pytest.approx(terms, rel=0.1)
        assert np.mean([frequency[query[0]].sum() for query in queries[kind]]) == pytest.approx(matching, rel=0.4)
        assert all((np.diff(query[0]) > 0).all() and (query[1] > 0).all() for query in queries[kind])


def test_the_ten_best_do_not_stand_out() -> None:
    """The fifteenth scores nearly as much as the tenth: what a coarse summary says does not settle it."""
    collection, queries = synthetic(2_000, seed=3, queries=50)
    full = np.zeros((2_000, collection.dimensions), np.float32)
    full[np.arange(2_000).repeat(np.diff(collection.vectors.starts)), collection.vectors.terms] = collection.weights
    for asked in queries.values():
        scores = [np.sort(full[:, terms] @ weights)[::-1] for terms, weights in asked]
        assert np.mean([some[14] / some[9] for some in scores]) > 0.8


def test_the_same_seed_gives_the_same_vectors() -> None:
    (one, asked), (two, again), (other, _) = (synthetic(50, seed, 3) for seed in (1, 1, 2))
    assert one.weights.tobytes() == two.weights.tobytes() != other.weights.tobytes()
    assert asked["free"][2][1].tobytes() == again["free"][2][1].tobytes()


@pytest.mark.slow
def test_rows_make_sense() -> None:
    collection, queries = synthetic(800, seed=1, queries=12)
    wanted = {"little": replace(SETTINGS["fast"], query_cut=1), "much": replace(SETTINGS["careful"], query_cut=20)}
    rows = compare_engines(collection, queries, wanted, repeat=1, package=False)
    names = ["exact", "scipy", "seismic little", "seismic much"]
    assert [(row["queries"], row["engine"]) for row in rows] == [
        (k, name) for k in ("splade", "free") for name in names
    ]
    for first in (0, 4):
        exact, scipy, little, much = rows[first : first + 4]
        assert scipy["recall"] == 1.0
        assert exact["recall"] > 0.97
        assert little["recall"] < much["recall"] > 0.95
        assert little["scored"] < much["scored"] <= exact["scored"] == scipy["scored"] <= 1
        assert little["bytes"] == much["bytes"] > exact["bytes"] > 500  # five bytes for each of 119
        assert little["build_cpu_seconds"] == much["build_cpu_seconds"] > exact["build_cpu_seconds"]
        assert all(0 < row["p50_us"] <= row["p95_us"] for row in (exact, scipy, little, much))


def test_queries_that_match_nothing_do_not_count() -> None:
    starts, terms, weights = np.asarray([0, 2, 2]), np.asarray([1, 4]), np.asarray([0.5, 2.0], np.float32)
    collection = SparseCollection.of(starts, terms, weights, 6)
    assert collection.vectors.impacts.tolist() == [64, 255]
    asked = [(np.asarray([4], np.int32), np.ones(1, np.float32)), (np.asarray([5], np.int32), np.ones(1, np.float32))]
    rows = compare_engines(collection, {"all": asked}, {"only": SETTINGS["fast"]}, repeat=1, package=False)
    assert [row["recall"] for row in rows] == [1.0, 1.0, 1.0]
    assert [row["scored"] for row in rows] == [0.25, 0.25, 0.25]
