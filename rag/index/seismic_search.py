"""Seismic's search as machine code: what a query's lists promise, and the passages of the blocks that promise enough.

Numba compiles it in each process when it is first needed, and it is not kept on disk (see sparse.py). The functions
here are compiled one by one: `searching` hands out the search, whose arguments are the records below.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rag.index.machine_code import numba, read_only, writable
from rag.index.vectors import Vectors


class IndexArrays(NamedTuple):
    """All that an index is besides its vectors; `ARRAYS` has the types, and "terms" is that of the vectors' terms."""

    blocks: Any  # (dimensions + 1,): term t has the blocks from blocks[t] to blocks[t + 1]
    starts: Any  # (all blocks + 1,): block b has members[starts[b]:starts[b + 1]]
    members: Any  # rows
    minimum: Any  # (all blocks,): a code c in b's summary is the weight minimum[b] + c * step[b]
    step: Any
    # The summaries of one list are a sparse matrix, term by term: a query reads only the terms that it has.
    term_starts: Any  # (dimensions + 1,): term t's summaries have summary_terms[term_starts[t]:...]
    summary_terms: Any  # ascending in each list
    list_codes: Any  # (dimensions + 1,): term t's summaries have codes[list_codes[t]:...]
    code_ends: Any  # (summary terms,): where those of each end, counted from the list's first code
    code_blocks: Any  # which block, counted from the list's first
    codes: Any
    neighbours: Any  # (passages, settings.neighbours): rows, and the passage's own where there are fewer


ARRAYS = (
    *(("blocks", "int64"), ("starts", "int64"), ("members", "uint32"), ("minimum", "float32"), ("step", "float32")),
    *(("term_starts", "int64"), ("summary_terms", "terms"), ("list_codes", "int64"), ("code_ends", "uint32")),
    *(("code_blocks", "uint16"), ("codes", "uint8"), ("neighbours", "uint32")),
)


class ForwardIndex(NamedTuple):
    """The vectors, as vectors.Vectors has them."""

    starts: Any
    terms: Any
    impacts: Any
    steps: Any


def rows_of(vectors: Vectors) -> ForwardIndex:
    """The record of the vectors that the compiled functions take."""
    return ForwardIndex(*map(frozen, (vectors.starts, vectors.terms, vectors.impacts, vectors.steps)))


def frozen(array: NDArray[Any]) -> NDArray[Any]:
    """A view that cannot be written into, as what is read from a disk: so one compiled function takes both."""
    view = array.view()
    view.flags.writeable = False
    return view


class SparseQuery(NamedTuple):
    """A query: its terms and their weights, the terms whose lists are visited, and what else Seismic.search takes."""

    terms: Any
    weights: Any
    lists: Any
    heap_factor: Any
    k: Any


class Found(NamedTuple):
    """What a search writes into: see `searching`."""

    visited: Any  # a bit for each row
    rows: Any
    scores: Any
    counts: Any


@cache
def searching(terms: str) -> Callable[[IndexArrays, ForwardIndex, SparseQuery, Found], None]:
    """The search as machine code, for vectors whose terms have this type.

    It puts rows and scores of the k best and their ties first in `found.rows` and `found.scores`; in `found.counts` how
    many these are, and then the fields of Explanation. ForwardIndex whose bit is set in `found.visited` are left out.
    """
    njit = numba().njit(nogil=True)
    promises, order, best = njit(_promises), njit(_order), njit(_best)
    score_of, push, keep = njit(_score), njit(_push), njit(_keep_best)

    def score_rows(
        pool: Any, begin: Any, end: Any, vectors: Any, query: Any, heap: Any, found: Any, scored: Any
    ) -> Any:
        """Score the rows of pool[begin:end] that were not visited; returns how many are scored by now."""
        # Taken out of the records here and not in the loop, where that would take longer than a score.
        starts, terms, impacts, steps = vectors.starts, vectors.terms, vectors.impacts, vectors.steps
        visited, rows, scores = found.visited, found.rows, found.scores
        for j in range(begin, end):
            row = pool[j]
            bit = np.uint8(1 << (row & 7))
            if visited[row >> 3] & bit:
                continue
            visited[row >> 3] |= bit
            score = score_of(terms, impacts, starts[row], starts[row + 1], query) * steps[row]
            rows[scored], scores[scored] = row, score
            scored += 1
            if score > heap[0]:
                push(heap, score)
        return scored

    score_rows = njit(score_rows)

    def search(index: Any, vectors: Any, query: Any, found: Any) -> None:
        weights = np.zeros(len(index.blocks) - 1, np.float32)
        for i in range(len(query.terms)):
            weights[query.terms[i]] += query.weights[i]
        heap = np.zeros(query.k, np.float32)  # a heap already; its root grows to the k-th best score
        scored = looked = opened = 0
        for turn in range(len(query.lists)):
            term = query.lists[turn]
            promised = promises(index, query, term)
            looked += len(promised)
            ordered = order(promised, turn == 0)
            for i in range(len(ordered)):
                if promised[ordered[i]] < query.heap_factor * heap[0]:
                    continue
                opened += 1
                block = index.blocks[term] + ordered[i]
                begin, end = index.starts[block], index.starts[block + 1]
                scored = score_rows(index.members, begin, end, vectors, weights, heap, found, scored)
        by_blocks = scored
        width = len(index.neighbours) // len(vectors.steps)
        if width > 0:
            results = best(found.rows, found.scores, scored, heap[0], query.k)
            for i in range(len(results)):
                begin, end = results[i] * width, (results[i] + 1) * width
                scored = score_rows(index.neighbours, begin, end, vectors, weights, heap, found, scored)
        found.counts[0] = keep(found.rows, found.scores, scored, heap[0])
        found.counts[1], found.counts[2] = looked, opened
        found.counts[3], found.counts[4] = scored, scored - by_blocks

    compiled: Callable[[IndexArrays, ForwardIndex, SparseQuery, Found], None] = numba().njit(
        _signature(terms), nogil=True
    )(search)
    return compiled


def _signature(terms: str) -> Any:
    """The types of what `searching` takes."""
    types = numba().types
    term_type = getattr(types, terms)
    kinds = [term_type if kind == "terms" else getattr(types, kind) for _, kind in ARRAYS]
    index = types.NamedTuple([read_only(kind) for kind in kinds], IndexArrays)
    rows = types.NamedTuple(
        [read_only(kind) for kind in (types.int64, term_type, types.uint8, types.float32)], ForwardIndex
    )
    asked = (*map(writable, (types.int64, types.float32, types.int64)), types.float64, types.int64)
    written = [writable(kind) for kind in (types.uint8, types.uint32, types.float32, types.int64)]
    return types.void(index, rows, types.NamedTuple(asked, SparseQuery), types.NamedTuple(written, Found))


def _promises(index: Any, query: Any, term: Any) -> Any:
    """The query's score with the summary of each block of a term's list."""
    first = index.blocks[term]
    promised = np.zeros(index.blocks[term + 1] - first, np.float32)
    minimum, step, codes, code_blocks = index.minimum, index.step, index.codes, index.code_blocks
    summary_terms, terms = index.summary_terms, query.terms
    low, high = index.term_starts[term], index.term_starts[term + 1]
    at = low
    for i in range(len(terms)):
        end = high
        while at < end:  # the first that is not smaller
            middle = (at + end) // 2
            if summary_terms[middle] < terms[i]:
                at = middle + 1
            else:
                end = middle
        if at < high and summary_terms[at] == terms[i]:
            base = index.list_codes[term]
            begin = base + index.code_ends[at - 1] if at > low else base
            asked = query.weights[i]
            for j in range(begin, base + index.code_ends[at]):
                block = first + code_blocks[j]
                promised[code_blocks[j]] += asked * (minimum[block] + codes[j] * step[block])
    return promised


def _order(promised: Any, best_first: Any) -> Any:
    """In which order blocks are looked at: as they come, or `best_first` by steps of 1/255 of the best.

    The first list's blocks go from the best on, so that the heap has good scores early.
    """
    many = len(promised)
    order = np.empty(many, np.int64)
    best = np.float32(0)
    for i in range(many):
        order[i] = i
        best = max(best, promised[i])
    if best_first and best > 0:
        levels = np.zeros(257, np.int64)
        for i in range(many):  # clipped: of sums beyond float32 the quotient is no number
            levels[256 - max(0, min(255, int(promised[i] / best * 255)))] += 1
        for level in range(256):
            levels[level + 1] += levels[level]
        for i in range(many):
            level = 255 - max(0, min(255, int(promised[i] / best * 255)))
            order[levels[level]] = i
            levels[level] += 1
    return order


def _score(terms: Any, impacts: Any, begin: Any, end: Any, query: Any) -> Any:
    """The inner product of the entries begin to end and a query (dimensions,); by ascending terms, as in sparse.py."""
    score = np.float32(0)
    for entry in range(begin, end):
        score = np.float32(score + query[terms[entry]] * impacts[entry])
    return score


def _push(heap: Any, score: Any) -> None:
    """Put a score in place of the heap's root, the smallest."""
    node, child = 0, 1
    while child < len(heap):
        if child + 1 < len(heap) and heap[child + 1] < heap[child]:
            child += 1
        if heap[child] >= score:
            break
        heap[node] = heap[child]
        node, child = child, 2 * child + 1
    heap[node] = score


def _best(rows: Any, scores: Any, scored: Any, least: Any, most: Any) -> Any:
    """The first rows with a score of at least `least`, above 0; at most that many."""
    best, many = np.empty(most, np.int64), 0
    for i in range(scored):
        if scores[i] >= least and scores[i] > 0 and many < most:
            best[many] = rows[i]
            many += 1
    return best[:many]


def _keep_best(rows: Any, scores: Any, scored: Any, least: Any) -> Any:
    """Move the rows with a score of at least `least`, above 0, to the front; returns how many they are."""
    kept = 0
    for i in range(scored):
        if scores[i] >= least and scores[i] > 0:
            rows[kept], scores[kept] = rows[i], scores[i]
            kept += 1
    return kept
