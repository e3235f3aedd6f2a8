"""Engines for learned sparse vectors, side by side: how fast, how much of the ten best, how much memory.

All engines take turns in one process, since microseconds move with the machine's load; builds are counted in processor
seconds for the same reason.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eval.core.bootstrap import percentile
from rag.index.seismic import Seismic, SeismicSettings
from rag.index.sparse_segments import Segment, best
from rag.index.vectors import Vectors, invert, starts_of
from rag.protocols import SparseVector

# a search for one query, which gives the row numbers of the best; bytes a passage; processor seconds of the build
Engine = tuple[Callable[[SparseVector], "Sequence[int] | NDArray[Any]"], float, float]

VOCABULARY = 30_522  # BERT's
DRAWS = 145  # of a passage's terms, some of which fall together: about 119 are left, as of SPLADE's on MS MARCO
TOPIC_TERMS = 300
AT_ONCE = 10_000  # passages, while they are made
SETTINGS = {  # by what they are for
    "fast": SeismicSettings(query_cut=4, heap_factor=1.0),
    "middle": SeismicSettings(query_cut=10, heap_factor=0.9),
    "careful": SeismicSettings(query_cut=12, heap_factor=0.8),
    "with neighbours": SeismicSettings(query_cut=8, heap_factor=0.9, neighbours=10),
}


@dataclass(frozen=True, slots=True)
class SparseCollection:
    """Vectors with 8-bit impacts, and their weights in full precision, (entries,): what recall is measured against."""

    vectors: Vectors
    weights: NDArray[np.float32]
    dimensions: int

    @classmethod
    def of(
        cls, starts: NDArray[np.int64], terms: NDArray[Any], weights: NDArray[np.float32], dimensions: int
    ) -> SparseCollection:
        """From compressed sparse rows; each term's weight above 0, terms ascending in a row."""
        many = len(starts) - 1
        largest = np.zeros(many, np.float32)
        full = np.flatnonzero(np.diff(starts))
        if len(full):
            largest[full] = np.maximum.reduceat(weights, starts[full])
        steps = np.maximum(largest / np.float32(255), np.finfo(np.float32).tiny)
        impacts = np.clip(np.rint(weights / steps.repeat(np.diff(starts))), 1, 255).astype(np.uint8)
        narrow: NDArray[np.unsignedinteger[Any]] = terms.astype(np.uint16 if dimensions <= 1 << 16 else np.uint32)
        none = np.zeros(0, narrow.dtype)
        numbers = np.arange(many, dtype=np.int64)
        return cls(
            Vectors(numbers, steps, starts, narrow, impacts, np.zeros(many + 1, np.int64), none), weights, dimensions
        )


def synthetic(count: int, seed: int = 1, queries: int = 500) -> tuple[SparseCollection, dict[str, list[SparseVector]]]:
    """Vectors like a learned sparse encoder's, and queries "splade" (40 terms) and "free" (18, without a model).

    Terms are as rare as Zipf's law has it. Passages belong to topics, which grow in number as the root of `count`: a
    query's ten best are the nearest among dozens to hundreds alike, not ten that stand out. 50 of the 119 terms of a
    passage hold three quarters of its sum, as do 10 of a query's 40 (Bruch et al., SIGIR 2024).
    """
    rng = np.random.default_rng(seed)
    share = np.cumsum(1 / np.arange(20, VOCABULARY + 20) ** 1.0)  # flat at the head: no term is in every passage
    names = rng.permutation(VOCABULARY)  # a term's number says nothing of its rarity

    def common(shape: Any) -> NDArray[np.int64]:
        drawn = np.searchsorted(share, rng.random(shape, np.float32) * share[-1]).clip(max=VOCABULARY - 1)
        terms: NDArray[np.int64] = names[drawn]
        return terms

    topics = 20 + round(2 * count**0.5)
    topic_terms = common((topics, TOPIC_TERMS))
    strength = rng.gamma(1.5, 1 / 1.5, (topics, TOPIC_TERMS)).astype(np.float32)
    falling = np.cumsum(1 / np.arange(5, TOPIC_TERMS + 5) ** 0.8)
    lengths, terms, weights, home = [], [], [], rng.integers(0, topics, count)
    for begin in range(0, count, AT_ONCE):
        own = home[begin : begin + AT_ONCE, None]
        kind = rng.random((len(own), DRAWS), np.float32)
        topic = np.where(kind < 0.5, own, rng.integers(0, topics, own.shape))  # and a second one
        place = np.searchsorted(falling, rng.random(kind.shape, np.float32) * falling[-1]).clip(max=TOPIC_TERMS - 1)
        term = np.where(kind < 0.7, topic_terms[topic, place], common(kind.shape))
        weight = np.where(kind < 0.7, strength[topic, place], np.float32(0.5))
        weight = (0.5 * weight * rng.gamma(2, 0.5, kind.shape)).clip(0.01, 3.5).astype(np.float32)
        order = np.argsort(term, axis=1)
        term, weight = np.take_along_axis(term, order, 1), np.take_along_axis(weight, order, 1)
        first = np.diff(term, axis=1, prepend=-1) > 0
        lengths.append(first.sum(1))
        terms.append(term[first].astype(np.uint16))
        weights.append(weight[first])
    made = SparseCollection.of(
        starts_of(np.concatenate(lengths)), np.concatenate(terms), np.concatenate(weights), VOCABULARY
    )
    held = made.vectors
    df = np.bincount(held.terms, minlength=VOCABULARY)
    idf = np.log1p((count - df + 0.5) / (df + 0.5)).astype(np.float32)
    asked: dict[str, list[SparseVector]] = {"splade": [], "free": []}
    for row in rng.integers(0, count, queries):
        entries = slice(held.starts[row], held.starts[row + 1])
        own, heavy = held.terms[entries].astype(np.int64), made.weights[entries].astype(np.float64)
        drawn = rng.choice(own, min(len(own), 24), replace=False, p=heavy / heavy.sum())
        chosen = np.unique(np.concatenate([drawn, rng.choice(topic_terms[home[row]], 12), common(6)]))
        weight = rng.exponential(0.2, len(chosen)) * np.where(np.isin(chosen, drawn[:12]), 4, 1) + 0.01
        asked["splade"].append((chosen.astype(np.int32), weight.astype(np.float32)))
        chosen = np.unique(np.concatenate([drawn[:9], common(9)]))
        asked["free"].append((chosen.astype(np.int32), idf[chosen]))
    return made, asked


def compare_engines(
    collection: SparseCollection,
    queries: Mapping[str, Sequence[SparseVector]],
    settings: Mapping[str, SeismicSettings] = SETTINGS,
    k: int = 10,
    repeat: int = 5,
    package: bool = True,
) -> list[dict[str, Any]]:
    """A row for each engine and kind of query, all measured in turns on one thread.

    engine, queries, p50_us, p95_us (over the queries, of each the best of `repeat` rounds: on a machine with other
    work the rest is waiting), recall (of the k best by the weights in full precision; a query that has fewer counts
    those), scored (share of the passages that get a score), bytes a passage (what a search reads),
    build_cpu_seconds (None where nothing is built). "exact" is rag/index/sparse.py, "seismic <name>" one of
    `settings`, which share a build where only the search differs. The rows of "pyseismic-lsr" are left out where
    that package is not importable or `package` is False.
    """
    held, many = collection.vectors, max(1, len(collection.vectors.steps))
    by_scipy, matrix_bytes, scipy_seconds = _scipy(collection)
    engines: dict[str, Engine] = {}
    began = time.process_time()
    segment = Segment(held, np.ones(len(held.steps), dtype=np.bool_), invert(held, collection.dimensions))
    postings = segment.postings
    assert postings is not None
    seconds = time.process_time() - began
    exact_bytes = postings.slots.nbytes + postings.slot_impacts.nbytes + postings.offsets.nbytes + held.steps.nbytes
    engines["exact"] = (lambda query: _exact(segment, query, k), exact_bytes / many, seconds)
    engines["scipy"] = (lambda query: _top(by_scipy(query), k), matrix_bytes / many, scipy_seconds)
    ours = _ours(collection, settings)
    for name, (index, size, seconds) in ours.items():
        engines[f"seismic {name}"] = (partial(_by_seismic, index, k), size / many, seconds)
    spec = find_spec("seismic")
    if package and spec and spec.origin:  # a folder of that name is none
        engines |= _package(collection, settings, k)
    rows = []
    for kind, queries_of_kind in queries.items():
        best, matched = [], []
        for query in queries_of_kind:
            scores = by_scipy(query)
            best.append(set(_top(scores, k).tolist()))
            matched.append(np.count_nonzero(scores) / many)
        times: dict[str, list[list[float]]] = {name: [] for name in engines}
        found: dict[str, list[float]] = {}
        for _ in range(repeat + 1):  # the first round warms up
            for name, (search, _, _) in engines.items():
                answers, spent = _timed(search, queries_of_kind)
                times[name].append(spent)
                found[name] = [len(b & set(a)) / len(b) for a, b in zip(answers, best, strict=True) if b]
        for name, (_, bytes_of_one, seconds) in engines.items():
            scored: float | None = float(np.mean(matched))
            if name.startswith("seismic "):
                index = ours[name.removeprefix("seismic ")][0]
                scored = float(
                    np.mean([index.explain(terms.astype(np.int64), w, k).scored / many for terms, w in queries_of_kind])
                )
            best_of = np.min(times[name][1:], axis=0).tolist()
            rows.append(
                {
                    "engine": name,
                    "queries": kind,
                    "p50_us": round(percentile(best_of, 0.5), 1),
                    "p95_us": round(percentile(best_of, 0.95), 1),
                    "recall": round(float(np.mean(found[name])), 4),
                    "scored": None if name.startswith("pyseismic") else scored,
                    "bytes": round(bytes_of_one),
                    "build_cpu_seconds": round(seconds, 2),
                }
            )
    return rows


def _timed(search: Callable[[SparseVector], Any], queries: Sequence[SparseVector]) -> tuple[list[Any], list[float]]:
    """What each query finds, and its microseconds."""
    answers, spent = [], []
    for query in queries:
        began = time.perf_counter()
        answer = search(query)
        spent.append((time.perf_counter() - began) * 1e6)
        answers.append(np.asarray(answer).tolist())
    return answers, spent


def _by_seismic(index: Seismic, k: int, query: SparseVector) -> NDArray[np.uint32]:
    return index.search(query[0].astype(np.int64), query[1], k)[0]


def _exact(segment: Segment, query: SparseVector, k: int) -> NDArray[np.uint32]:
    slots, scores = best(segment, query[0].astype(np.int64), query[1], segment.alive, k)
    return slots[np.argsort(-scores, kind="stable")[:k]]


def _top(scores: NDArray[np.float32], k: int) -> NDArray[np.int64]:
    """The indexes of the k best scores above 0, best first."""
    best_k = np.argpartition(-scores, k)[:k] if k < len(scores) else np.arange(len(scores))
    best_k = best_k[scores[best_k] > 0]
    return best_k[np.argsort(-scores[best_k], kind="stable")]


def _scipy(collection: SparseCollection) -> tuple[Callable[[SparseVector], NDArray[np.float32]], int, float]:
    """All scores of a query by scipy's sparse product with the transposed matrix; its bytes, processor seconds."""
    from scipy.sparse import csr_matrix

    held, began = collection.vectors, time.process_time()
    shape = (len(held.steps), collection.dimensions)
    by_term = csr_matrix((collection.weights, held.terms.astype(np.int32), held.starts), shape=shape).T.tocsr()
    seconds = time.process_time() - began

    def scores(query: SparseVector) -> NDArray[np.float32]:
        row = csr_matrix((query[1], query[0], [0, len(query[0])]), shape=(1, collection.dimensions))
        products: NDArray[np.float32] = (row @ by_term).toarray()[0]
        return products

    return scores, by_term.data.nbytes + by_term.indices.nbytes + by_term.indptr.nbytes, seconds


def _ours(
    collection: SparseCollection, settings: Mapping[str, SeismicSettings]
) -> dict[str, tuple[Seismic, int, float]]:
    """By name an index, its bytes with the vectors', and processor seconds of the build."""
    held = collection.vectors
    forward = held.starts.nbytes + held.terms.nbytes + held.impacts.nbytes + held.steps.nbytes
    made: dict[str, tuple[Seismic, int, float]] = {}
    built: dict[tuple[Any, ...], tuple[dict[str, NDArray[Any]], float]] = {}
    for name, wanted in settings.items():
        key = (
            *(wanted.n_postings, wanted.centroid_fraction, wanted.min_cluster_size, wanted.summary_energy),
            *(wanted.neighbours, wanted.seed),
        )
        if key not in built:
            began = time.process_time()
            arrays = Seismic.build(held, collection.dimensions, wanted).arrays()
            built[key] = (arrays, time.process_time() - began)
        arrays, seconds = built[key]
        size = sum(array.nbytes for array in arrays.values())
        made[name] = (Seismic(arrays, held, wanted), size + forward, seconds)
    return made


@contextmanager
def _printing_to_stderr() -> Iterator[None]:
    """What native code prints to standard output goes to standard error: the former is one JSON document."""
    sys.stdout.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)


def _package(collection: SparseCollection, settings: Mapping[str, SeismicSettings], k: int) -> dict[str, Engine]:
    """The authors' own engine, with each of the settings; its bytes are 0, as it does not report them."""
    import seismic

    held = collection.vectors
    ids = [str(row) for row in range(len(held.steps))]
    text = seismic.get_seismic_string()
    engines: dict[str, Engine] = {}
    built: dict[tuple[Any, ...], tuple[Any, float]] = {}

    def search(index: Any, wanted: SeismicSettings, query: SparseVector) -> list[int]:
        terms = query[0].astype(text)
        found = index.search("q", terms, query[1], k, wanted.query_cut, wanted.heap_factor, wanted.neighbours, True)
        return [int(document) for _, _, document in found]

    for name, wanted in settings.items():
        key = (wanted.n_postings, wanted.centroid_fraction, wanted.summary_energy, wanted.neighbours)
        if key not in built:
            dataset = seismic.SeismicDataset(collection.dimensions)
            dataset.add_documents_by_id(ids, held.terms.astype(np.int64), collection.weights, held.starts)
            began = time.process_time()
            with _printing_to_stderr():
                index = seismic.SeismicIndex.build_from_dataset(
                    dataset, n_postings=wanted.n_postings, centroid_fraction=wanted.centroid_fraction,
                    min_cluster_size=wanted.min_cluster_size, summary_energy=wanted.summary_energy,
                    nknn=wanted.neighbours, num_threads=1,
                )  # fmt: skip
            built[key] = (index, time.process_time() - began)
        index, seconds = built[key]
        engines[f"pyseismic-lsr {name}"] = (partial(search, index, wanted), 0.0, seconds)
    return engines
