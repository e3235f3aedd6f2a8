"""rag/index/seismic.py finds what brute force finds where it is told to be careful, and most of it where not."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from eval.retrieval.engines import SparseCollection, synthetic
from rag.index.seismic import Seismic, SeismicSettings
from rag.index.seismic_search import ARRAYS
from rag.index.sparse_segments import Segment, best
from rag.index.vectors import Vectors, invert, starts_of

SAFE = SeismicSettings(n_postings=10**9, summary_energy=1.0, query_cut=10**9, heap_factor=1.0)
Query = tuple[NDArray[np.int64], NDArray[np.float32]]


def vectors_of(rows: list[dict[int, float]], dimensions: int) -> Vectors:
    terms = np.asarray([t for row in rows for t in sorted(row)], np.int64)
    weights = np.asarray([row[t] for row in rows for t in sorted(row)], np.float32)
    return SparseCollection.of(starts_of([len(row) for row in rows]), terms, weights, dimensions).vectors


def query_of(weights: dict[int, float]) -> Query:
    return np.asarray(sorted(weights), np.int64), np.asarray([weights[t] for t in sorted(weights)], np.float32)


def exact(vectors: Vectors, query: Query, k: int, dimensions: int, allowed: NDArray[np.bool_] | None = None) -> Any:
    """Rows and scores of the exact engine, in the order of Seismic's."""
    everything = np.ones(len(vectors.steps), np.bool_) if allowed is None else allowed
    known = (query[0] >= 0) & (query[0] < dimensions)
    query = query[0][known], query[1][known]
    rows, scores = best(Segment(vectors, everything, invert(vectors, dimensions)), *query, everything, k)
    order = np.lexsort((rows, -scores))
    return rows[order].tolist(), scores[order].tolist()


def same(found: tuple[NDArray[Any], NDArray[Any]]) -> Any:
    return found[0].tolist(), found[1].tolist()


WEIGHTS = st.floats(2**-10, 50, width=32)


@pytest.mark.slow
@given(
    rows=st.lists(st.dictionaries(st.integers(0, 9), WEIGHTS, max_size=8), max_size=60),
    query=st.dictionaries(st.integers(-2, 12), WEIGHTS, max_size=12).map(query_of),
    k=st.integers(1, 70),
    fraction=st.sampled_from([0.1, 0.5, 1.0]),
    smallest=st.integers(1, 9),
    neighbours=st.integers(0, 3),
    seed=st.integers(0, 3),
    data=st.data(),
)
@settings(max_examples=50, deadline=None)
def test_careful_settings_find_what_the_exact_engine_finds(
    rows: list[dict[int, float]], query: Query, k: int, fraction: float, smallest: int, neighbours: int, seed: int,
    data: st.DataObject,
) -> None:  # fmt: skip
    """The same rows with the same scores to the last bit, ties too, whatever the blocks."""
    vectors = vectors_of(rows, 10)
    careful = replace(
        SAFE, centroid_fraction=fraction, min_cluster_size=smallest, neighbours=neighbours, seed=seed
    )  # fmt: skip
    index = Seismic.build(vectors, 10, careful)
    assert same(index.search(*query, k)) == exact(vectors, query, k, 10)
    allowed = np.asarray(data.draw(st.lists(st.booleans(), min_size=len(rows), max_size=len(rows))), np.bool_)
    assert same(index.search(*query, k, allowed)) == exact(vectors, query, k, 10, allowed)
    assert index.explain(*query, k, allowed).scored <= allowed.sum()


def test_careful_settings_find_it_with_long_lists_too() -> None:
    collection, asked = some()
    index = built(0.2, 1.0)
    for query in [*asked["splade"][:5], *asked["free"][:5]]:
        query = query[0].astype(np.int64), query[1]
        found = same(Seismic(index, collection.vectors, SAFE).search(*query, 10))
        assert found == exact(collection.vectors, query, 10, collection.dimensions)


# ---- on a corpus of some hundreds


@cache
def some() -> tuple[SparseCollection, dict[str, list[Any]]]:
    return synthetic(800, seed=5, queries=40)


@cache
def best_of_some() -> list[list[int]]:
    """Of each "splade" query the exact engine's ten best."""
    collection, asked = some()
    postings = invert(collection.vectors, collection.dimensions)
    everything = np.ones(len(collection.vectors.steps), np.bool_)
    segment = Segment(collection.vectors, everything, postings)
    found = [best(segment, t.astype(np.int64), w, everything, 10) for t, w in asked["splade"]]
    return [rows[np.lexsort((rows, -scores))][:10].tolist() for rows, scores in found]


@cache
def built(fraction: float = 0.2, energy: float = 0.4, n_postings: int = 4_000, neighbours: int = 0) -> dict[str, Any]:
    wanted = SeismicSettings(n_postings, fraction, 2, energy, neighbours)
    collection, _ = some()
    return Seismic.build(collection.vectors, collection.dimensions, wanted).arrays()


def measured(arrays: dict[str, Any], cut: int, factor: float, neighbours: int = 0) -> tuple[float, float, list[float]]:
    """Recall@10 and share of the passages scored, means over queries; and each query's recall."""
    collection, asked = some()
    index = Seismic(
        arrays, collection.vectors, SeismicSettings(neighbours=neighbours, query_cut=cut, heap_factor=factor)
    )
    recalls, scored = [], []
    for (terms, weights), ten in zip(asked["splade"], best_of_some(), strict=True):
        found = index.search(terms, weights, 10)[0][:10].tolist()
        recalls.append(len(set(ten) & set(found)) / len(ten))
        scored.append(index.explain(terms, weights, 10).scored / len(collection.vectors.steps))
    return float(np.mean(recalls)), float(np.mean(scored)), recalls


def test_a_whole_summary_bounds_every_member() -> None:
    """Weight by weight; by how much it is more is less than a step of the block's codes."""
    collection, _ = some()
    held, arrays = collection.vectors, built(0.2, 1.0)
    rng = np.random.default_rng(3)
    for term in rng.choice(np.flatnonzero(np.diff(arrays["blocks"])), 20, replace=False):
        first, last = arrays["blocks"][term], arrays["blocks"][term + 1]
        names = arrays["summary_terms"][arrays["term_starts"][term] : arrays["term_starts"][term + 1]]
        assert (np.diff(names.astype(int)) > 0).all()
        ends = arrays["code_ends"][arrays["term_starts"][term] : arrays["term_starts"][term + 1]]
        of_list = slice(arrays["list_codes"][term], arrays["list_codes"][term + 1])
        column = names.repeat(np.diff(ends, prepend=0)).astype(int)
        block = arrays["code_blocks"][of_list].astype(int)
        bound = np.zeros((last - first, collection.dimensions))
        bound[block, column] = (
            arrays["minimum"][first + block] + arrays["codes"][of_list] * arrays["step"][first + block]
        )
        for at in range(last - first):
            largest = np.zeros(collection.dimensions)
            for row in arrays["members"][arrays["starts"][first + at] : arrays["starts"][first + at + 1]]:
                entries = slice(held.starts[row], held.starts[row + 1])
                terms, weights = held.terms[entries], held.impacts[entries] * held.steps[row]
                largest[terms] = np.maximum(largest[terms], weights)
            assert (bound[at] >= largest).all()
            assert (bound[at] - largest <= arrays["step"][first + at] + largest * 2**-13).all()
            assert ((bound[at] > 0) == (largest > 0)).all()


def test_summaries_keep_their_share_and_the_largest_weights() -> None:
    whole, part = built(0.2, 1.0), built(0.2, 0.4)
    assert (part["members"] == whole["members"]).all()
    term = int(np.argmax(np.diff(part["blocks"])))
    sums = []
    for arrays in (whole, part):
        first = arrays["blocks"][term]
        of_list = slice(arrays["list_codes"][term], arrays["list_codes"][term + 1])
        block = first + arrays["code_blocks"][of_list].astype(int)
        weights = arrays["minimum"][block] + arrays["codes"][of_list] * arrays["step"][block]
        sums.append(np.bincount(block - first, weights))
    assert (sums[1] >= 0.39 * sums[0]).all()
    assert np.mean(sums[1] / sums[0]) < 0.5


def test_more_lists_larger_summaries_and_longer_lists_find_more() -> None:
    """On average over the queries; each row of settings from what finds least to what finds most."""
    for row in (
        [measured(built(), cut, 0.9) for cut in (1, 3, 6, 12)],
        [measured(built(energy=energy), 6, 1.0) for energy in (0.2, 0.4, 1.0)],
        [measured(built(n_postings=n), 6, 0.9) for n in (10, 40, 4_000)],
    ):
        recalls = [recall for recall, _, _ in row]
        assert recalls == sorted(recalls), row
        assert recalls[-1] > recalls[0] + 0.02


def test_a_larger_heap_factor_skips_more() -> None:
    row = [measured(built(), 8, factor) for factor in (0.0, 0.7, 0.9, 1.1, 1.5)]
    scored = [share for _, share, _ in row]
    assert scored == sorted(scored, reverse=True)
    assert scored[0] > 3 * scored[-1]
    assert row[0][0] >= row[2][0] > row[-1][0]


def test_neighbours_never_find_less() -> None:
    plain, more = built(), built(neighbours=8)
    assert all((more[name] == plain[name]).all() for name, _ in ARRAYS if name != "neighbours")
    for cut, factor in ((6, 1.0), (2, 1.3)):
        without, _, alone = measured(plain, cut, factor)
        recall, _, refined = measured(more, cut, factor, neighbours=8)
        assert all(a <= b for a, b in zip(alone, refined, strict=True))
    assert recall > without
    collection, asked = some()
    graph = more["neighbours"].reshape(-1, 8)
    assert (graph != np.arange(len(graph))[:, None]).mean() > 0.99
    did = Seismic(more, collection.vectors, SeismicSettings(neighbours=8, query_cut=2)).explain(*asked["free"][0], 10)
    assert 0 < did.neighbours <= min(80, did.scored)


def test_recall_is_high_where_few_are_scored() -> None:
    recall, scored, _ = measured(built(neighbours=8), 6, 1.0, neighbours=8)
    assert recall >= 0.95
    assert scored < 0.35  # of 800; of 100,000 it is 0.02


def test_what_is_not_allowed_is_not_found() -> None:
    collection, asked = some()
    index = Seismic(built(neighbours=8), collection.vectors, SeismicSettings(neighbours=8))
    rng = np.random.default_rng(1)
    for share in (0.9, 0.3, 0.0):
        allowed = rng.random(len(collection.vectors.steps)) < share
        for query in asked["splade"][:10]:
            found, _ = index.search(*query, 10, allowed)
            assert allowed[found].all()
            assert len(found) >= min(10, allowed.sum()) * (share > 0.5)
    with pytest.raises(ValueError, match="allowed"):
        index.search(*asked["free"][0], 10, np.ones(3, np.bool_))


def test_explain_counts_what_was_done() -> None:
    collection, asked = some()
    held = np.isin(asked["splade"][0][0], collection.vectors.terms)
    terms, weights = (part[held] for part in asked["splade"][0])
    index = Seismic(built(), collection.vectors, SeismicSettings(query_cut=5))
    did = index.explain(terms, weights, 10)
    assert list(did.terms) == terms[np.argsort(-weights, kind="stable")][:5].tolist()
    assert did.blocks == np.diff(built()["blocks"])[list(did.terms)].sum() == did.opened + did.skipped
    assert did.scored >= 10
    assert did.opened > 0 < did.skipped
    assert did.neighbours == 0
    everything = Seismic(built(), collection.vectors, SeismicSettings(query_cut=5, heap_factor=0)).explain(
        terms, weights, 10
    )
    assert everything.skipped == 0
    members = [built()["members"][slice(*built()["starts"][built()["blocks"][[t, t + 1]]])] for t in did.terms]
    assert everything.scored == len(np.unique(np.concatenate(members)))


# ---- few and none


def test_few_and_none() -> None:
    nothing = (np.zeros(0, np.int64), np.zeros(0, np.float32))
    for rows in ([], [{}], [{}, {}, {}]):
        for neighbours in (0, 2):
            index = Seismic.build(vectors_of(rows, 5), 5, SeismicSettings(neighbours=neighbours))
            assert same(index.search(*query_of({1: 1.0}), 3)) == ([], [])
            assert same(index.search(*nothing, 3)) == ([], [])
    one = Seismic.build(vectors_of([{3: 2.0}], 5), 5, SeismicSettings(neighbours=2))
    assert same(one.search(*query_of({3: 0.5}), 10**12)) == ([0], [1.0])
    assert same(one.search(*query_of({3: 0.5}), 0)) == ([], [])
    assert same(one.search(*query_of({4: 1.0}), 3)) == ([], [])
    assert same(one.search(*query_of({-1: 1.0, 99: 1.0}), 3)) == ([], [])
    assert same(one.search(*query_of({3: 1e-44}), 3)) == ([], [])
    for weight in (-1.0, np.nan, np.inf):
        with pytest.raises(ValueError, match="finite"):
            one.search(*query_of({3: weight}), 3)
    wide = Seismic.build(vectors_of([{249_000: 1.0, 3: 2.0}], 250_002), 250_002)
    assert same(wide.search(*query_of({249_000: 3.0}), 3))[0] == [0]


@pytest.mark.parametrize(
    "wrong",
    [{"n_postings": 0}, {"centroid_fraction": 0.0}, {"summary_energy": 1.1}, {"query_cut": 0}, {"heap_factor": -1.0}],
)
def test_settings_out_of_range_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="range"):
        replace(SAFE, **wrong)


# ---- arrays


def test_the_same_seed_gives_the_same_index() -> None:
    collection, _ = synthetic(400, seed=2, queries=1)

    def arrays(seed: int) -> dict[str, Any]:
        return Seismic.build(
            collection.vectors, collection.dimensions, SeismicSettings(seed=seed, neighbours=3)
        ).arrays()

    one, two, other = arrays(1), arrays(1), arrays(2)
    assert all(one[name].tobytes() == two[name].tobytes() for name, _ in ARRAYS)
    assert one["members"].tobytes() != other["members"].tobytes()


def test_arrays_from_the_disk_find_the_same(tmp_path: Any) -> None:
    """Memory-mapped, so they cannot be written to."""
    collection, asked = some()
    arrays, wanted = built(neighbours=8), SeismicSettings(neighbours=8)
    for name, array in arrays.items():
        np.save(tmp_path / f"{name}.npy", array)
    mapped = {name: np.load(tmp_path / f"{name}.npy", mmap_mode="r").view(np.ndarray) for name in arrays}
    for query in asked["splade"][:5]:
        found = same(Seismic(arrays, collection.vectors, wanted).search(*query, 10))
        assert same(Seismic(mapped, collection.vectors, wanted).search(*query, 10)) == found


def raised(array: NDArray[Any], by: int) -> NDArray[Any]:
    changed = array.copy()
    changed[len(changed) // 2] ^= by
    return changed


@pytest.mark.parametrize("name", [name for name, _ in ARRAYS])
@pytest.mark.parametrize(
    "change",
    [
        lambda array: array[:-1],
        lambda array: np.concatenate([array, array[-1:]]),
        lambda array: array.astype(np.float64),
        lambda array: array[None],
        lambda array: raised(array, 60_000) if array.dtype.itemsize > 1 and array.dtype.kind in "iu" else array[:0],
    ],
)
def test_forged_arrays_are_refused_or_do_no_harm(name: str, change: Callable[[Any], Any]) -> None:
    collection, asked = some()
    arrays, wanted = built(neighbours=8), SeismicSettings(neighbours=8, query_cut=30)
    forged = arrays | {name: change(arrays[name])}
    same_kind = forged[name].dtype == arrays[name].dtype and forged[name].shape == arrays[name].shape
    if name == "summary_terms" and same_kind:  # they are compared only, and are never places in an array
        Seismic(forged, collection.vectors, wanted).search(*asked["splade"][0], 10)
        return
    with pytest.raises(ValueError, match=r"array|numbers|summaries"):
        Seismic(forged, collection.vectors, wanted)


@pytest.mark.parametrize("value", [np.nan, np.inf, -1.0, 3e38])
@pytest.mark.parametrize("name", ["minimum", "step"])
def test_forged_weights_of_summaries_do_no_harm(name: str, value: float) -> None:
    collection, asked = some()
    arrays, wanted = built(neighbours=8), SeismicSettings(neighbours=8)
    forged = arrays | {name: np.where(np.arange(len(arrays[name])) % 3 == 0, np.float32(value), arrays[name])}
    for query in asked["splade"][:5]:
        assert len(Seismic(forged, collection.vectors, wanted).search(*query, 10)[0]) <= len(collection.vectors.steps)


def test_large_and_small_weights() -> None:
    vectors = vectors_of([{1: 3e38, 2: 1e-38}, {1: 1e38, 3: 1.0}, {2: 1e-38}], 5)
    index = Seismic.build(vectors, 5, replace(SAFE, neighbours=1))
    assert same(index.search(*query_of({1: 1.0, 2: 1.0}), 3)) == exact(vectors, query_of({1: 1.0, 2: 1.0}), 3, 5)
    index.search(*query_of({1: 3e38}), 3)


def test_threads_find_what_one_finds() -> None:
    collection, asked = some()
    index = Seismic(built(neighbours=8), collection.vectors, SeismicSettings(neighbours=8))
    alone = [same(index.search(*query, 5)) for query in asked["splade"]]
    with ThreadPoolExecutor(8) as pool:
        for _ in range(5):
            assert list(pool.map(lambda query: same(index.search(*query, 5)), asked["splade"])) == alone
