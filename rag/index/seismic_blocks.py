"""Seismic's blocks as machine code: the rows of a list cut into blocks of like passages, and a summary of each.

Numba compiles it in each process when it is first needed (see seismic_search.py).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rag.index.machine_code import numba, read_only, writable
from rag.index.seismic_search import ForwardIndex

# Sums of up to 1,000 rounded products may come out lower than they are by less than this share.
ROUNDING = 1 + 2.0**-14


class Heads(NamedTuple):
    """Of each row its largest terms and their impacts, (rows, terms kept); impacts of 0 where it has fewer."""

    terms: Any
    impacts: Any


class Scratch(NamedTuple):
    """An entry for each term, which lists leave as it was: -1, 0 and 0."""

    first: Any  # the first of a chain of centroids' entries
    peak: Any  # the largest weight in a block
    counts: Any  # codes of a list


class Blocks(NamedTuple):
    """The blocks of one list; the arrays are those of seismic_search.IndexArrays, but `lengths` for their starts."""

    lengths: Any
    members: Any
    minimum: Any
    step: Any
    summary_terms: Any
    code_ends: Any
    code_blocks: Any
    codes: Any


class _Entries(NamedTuple):
    """The summaries' weights block by block, before they are put in the order of their terms."""

    terms: Any
    blocks: Any
    codes: Any
    distinct: Any  # the terms, each once


def heads_of(vectors: ForwardIndex, wanted: int) -> Heads:
    """The `wanted` terms of each row with the largest impacts."""
    compiled = _compiled_heads(vectors.terms.dtype.name)
    return Heads(*compiled(vectors.starts, vectors.terms, vectors.impacts, wanted))


@cache
def _compiled_heads(terms: str) -> Callable[..., tuple[NDArray[Any], NDArray[Any]]]:
    types = numba().types
    taken = [read_only(kind) for kind in (types.int64, getattr(types, terms), types.uint8)]
    made = types.Tuple(_head_types(terms))
    compiled: Callable[..., Any] = numba().njit(made(*taken, types.int64), nogil=True)(_heads)
    return compiled


def _head_types(terms: str) -> list[Any]:
    types = numba().types
    return [types.Array(kind, 2, "C") for kind in (getattr(types, terms), types.uint8)]


@cache
def building(terms: str) -> Callable[..., tuple[NDArray[Any], ...]]:
    """What makes one list's blocks, for vectors whose terms have this type.

    It takes the list's rows, those that are centroids, Heads, ForwardIndex, Scratch, the size below which a block is
    dissolved, and the share of a summary's sum that is kept; and gives the fields of Blocks.
    """
    njit = numba().njit(nogil=True)
    chain, assign_with, group = njit(_chain), njit(_nearest), njit(_group)
    peaks, level_of, encode, by_term = njit(_peaks), njit(_lowest_level), njit(_encode), njit(_by_term)

    def assign(rows: Any, centroids: Any, heads: Any, steps: Any, first: Any, smallest: Any) -> Any:
        """The centroid most like each row, and how many rows each has; `len(centroids)` is that of rows like none."""
        many = len(centroids)
        following, weight = chain(centroids, heads, steps, first)
        product, living = np.zeros(many, np.float32), np.ones(many, np.bool_)
        home, sizes = np.full(len(rows), many, np.int32), np.zeros(many + 1, np.int64)
        for again in range(2):  # and again for those whose block was too small
            for i in range(len(rows)):
                if not again or (home[i] != many and not living[home[i]]):
                    home[i] = assign_with(rows[i], heads, first, following, weight, product, living)
            sizes[:] = 0
            for i in range(len(rows)):
                sizes[home[i]] += 1
            if not again:
                living = sizes[:many] >= smallest
        for c in range(many):
            for h in range(heads.terms.shape[1]):
                first[heads.terms[centroids[c], h]] = -1
        return home, sizes

    def summaries(members: Any, lengths: Any, vectors: Any, scratch: Any, energy: Any) -> Any:
        """Minimum and step of each block's codes, its entries, and how many entries and distinct terms there are."""
        room = 0
        for i in range(len(members)):
            room += vectors.starts[members[i] + 1] - vectors.starts[members[i]]
        kind = vectors.terms.dtype
        entries = _Entries(
            np.empty(room, kind), np.empty(room, np.uint16), np.empty(room, np.uint8), np.empty(len(scratch.peak), kind)
        )
        minimum, step = np.empty(len(lengths), np.float32), np.empty(len(lengths), np.float32)
        seen = np.empty(len(scratch.peak), kind)
        count = distinct = begin = 0
        for block in range(len(lengths)):
            held, largest = peaks(members[begin : begin + lengths[block]], vectors, scratch.peak, seen)
            begin += lengths[block]
            level = level_of(scratch.peak, seen[:held], largest, energy)
            minimum[block], step[block], count, distinct = encode(
                scratch, seen[:held], largest, level, block, entries, count, distinct
            )
        return minimum, step, entries, count, distinct

    assign, summaries = njit(assign), njit(summaries)

    def make(
        rows: Any, centroids: Any, heads: Any, vectors: Any, scratch: Any, smallest: Any, energy: Any
    ) -> Any:  # fmt: skip
        home, sizes = assign(rows, centroids, heads, vectors.steps, scratch.first, smallest)
        lengths, members = group(rows, home, sizes)
        minimum, step, entries, count, distinct = summaries(members, lengths, vectors, scratch, energy)
        terms, ends, blocks, codes = by_term(entries, count, distinct, scratch.counts)
        return lengths, members, minimum, step, terms, ends, blocks, codes

    compiled: Callable[..., tuple[NDArray[Any], ...]] = numba().njit(_signature(terms), nogil=True)(make)
    return compiled


def _signature(terms: str) -> Any:
    """The types of what `building` takes and gives."""
    types = numba().types
    term_type = getattr(types, terms)
    rows = types.NamedTuple(
        [read_only(kind) for kind in (types.int64, term_type, types.uint8, types.float32)], ForwardIndex
    )
    scratch = types.NamedTuple([writable(kind) for kind in (types.int32, types.float32, types.int64)], Scratch)
    heads = types.NamedTuple(_head_types(terms), Heads)
    lists = (read_only(types.uint32), read_only(types.uint32), heads, rows, scratch)
    made = (
        *(types.int64, types.uint32, types.float32, types.float32),
        *(term_type, types.uint32, types.uint16, types.uint8),
    )
    return types.Tuple([writable(kind) for kind in made])(*lists, types.int64, types.float64)


def _heads(starts: Any, terms: Any, impacts: Any, wanted: Any) -> Any:
    many = len(starts) - 1
    head, head_impacts = np.zeros((many, wanted), terms.dtype), np.zeros((many, wanted), np.uint8)
    for row in range(many):
        for entry in range(starts[row], starts[row + 1]):
            rank = wanted
            while rank > 0 and impacts[entry] > head_impacts[row, rank - 1]:
                rank -= 1
                if rank + 1 < wanted:
                    head[row, rank + 1] = head[row, rank]
                    head_impacts[row, rank + 1] = head_impacts[row, rank]
            if rank < wanted:
                head[row, rank], head_impacts[row, rank] = terms[entry], impacts[entry]
    return head, head_impacts


def _chain(centroids: Any, heads: Any, steps: Any, first: Any) -> Any:
    """The centroids' heads turned over: a chain of entries for each term, from first[term] on, and their weights."""
    many, width = len(centroids), heads.terms.shape[1]
    following, weight = np.empty(many * width, np.int32), np.empty(many * width, np.float32)
    for c in range(many):
        for h in range(width):
            entry, term = c * width + h, heads.terms[centroids[c], h]
            weight[entry] = heads.impacts[centroids[c], h] * steps[centroids[c]]
            if weight[entry] > 0:
                following[entry] = first[term]
                first[term] = entry
    return following, weight


def _nearest(row: Any, heads: Any, first: Any, following: Any, weight: Any, product: Any, living: Any) -> Any:
    """The living centroid with the largest product with a row; their number where none has one above 0."""
    width = heads.terms.shape[1]
    home, best = len(product), np.float32(0)
    for looking in range(2):  # add up the products, then compare them and leave zeros
        for h in range(width):
            entry = first[heads.terms[row, h]] if heads.impacts[row, h] > 0 else np.int32(-1)
            while entry >= 0:
                c = entry // width
                if looking == 0:
                    product[c] += weight[entry] * heads.impacts[row, h]
                else:
                    if living[c] and product[c] > best:
                        home, best = c, product[c]
                    product[c] = 0
                entry = following[entry]
    return home


def _group(rows: Any, home: Any, sizes: Any) -> Any:
    """The lengths of the blocks that are not empty, and the rows in the order of their blocks."""
    lengths, begins = np.empty(np.count_nonzero(sizes), np.int64), np.empty(len(sizes), np.int64)
    block, begin = 0, 0
    for c in range(len(sizes)):
        begins[c] = begin
        begin += sizes[c]
        if sizes[c]:
            lengths[block] = sizes[c]
            block += 1
    members = np.empty(len(rows), np.uint32)
    for i in range(len(rows)):
        members[begins[home[i]]] = rows[i]
        begins[home[i]] += 1
    return lengths, members


def _peaks(members: Any, vectors: Any, peak: Any, seen: Any) -> Any:
    """Put the largest weight that rows give to each term into `peak`, and these terms into `seen`.

    Returns how many terms these are, and the largest weight of all.
    """
    held, largest = 0, np.float32(0)
    for i in range(len(members)):
        row = members[i]
        for entry in range(vectors.starts[row], vectors.starts[row + 1]):
            value, term = vectors.impacts[entry] * vectors.steps[row], vectors.terms[entry]
            if value > peak[term]:
                if peak[term] == 0:
                    seen[held] = term
                    held += 1
                peak[term] = value
                largest = max(largest, value)
    return held, largest


def _lowest_level(peak: Any, seen: Any, largest: Any, energy: Any) -> Any:
    """From which step of 1/255 of the largest weight on a summary keeps its weights, to have `energy` of their sum.

    They are not sorted: a step is kept or left as a whole.
    """
    mass = np.zeros(256, np.float64)
    for i in range(len(seen)):
        mass[int(peak[seen[i]] / largest * 255)] += peak[seen[i]]
    left, level = mass.sum() * energy, 256
    while level > 0 and (level == 256 or left > 0):
        level -= 1
        left -= mass[level]
    return 0 if energy == 1 else level


def _encode(
    scratch: Any, seen: Any, largest: Any, level: Any, block: Any, entries: Any, count: Any, distinct: Any
) -> Any:  # fmt: skip
    """Add a block's weights from `level` on to the entries, and leave zeros in scratch.peak.

    Returns minimum and step of its codes, and how many entries and distinct terms there are by now.
    """
    peak, counts = scratch.peak, scratch.counts
    lowest = largest
    for i in range(len(seen)):
        if int(peak[seen[i]] / largest * 255) >= level:
            lowest = min(lowest, peak[seen[i]])
    unit = (largest - lowest) / 255
    for i in range(len(seen)):
        term = seen[i]
        if int(peak[term] / largest * 255) >= level:
            code = np.ceil((peak[term] - lowest) / unit) if unit > 0 else 0.0
            entries.terms[count], entries.blocks[count] = term, block
            entries.codes[count] = min(255, int(code))
            count += 1
            if counts[term] == 0:
                entries.distinct[distinct] = term
                distinct += 1
            counts[term] += 1
        peak[term] = 0
    return lowest * ROUNDING, unit * ROUNDING, count, distinct


def _by_term(entries: Any, count: Any, distinct: Any, counts: Any) -> Any:
    """The entries term by term: the terms, where the codes of each end, and the codes with their blocks."""
    terms = np.sort(entries.distinct[:distinct])
    ends = np.empty(distinct, np.uint32)
    begin = 0
    for i in range(distinct):
        length = counts[terms[i]]
        counts[terms[i]] = begin  # from now on: where its next code goes
        begin += length
        ends[i] = begin
    blocks, codes = np.empty(count, np.uint16), np.empty(count, np.uint8)
    for i in range(count):
        at = counts[entries.terms[i]]
        blocks[at], codes[at] = entries.blocks[i], entries.codes[i]
        counts[entries.terms[i]] += 1
    for i in range(distinct):
        counts[terms[i]] = 0
    return terms, ends, blocks, codes
