"""Approximate retrieval over learned sparse vectors: Seismic, for libraries too large to score every posting of.

Bruch, Nardini, Rulli and Venturini, SIGIR 2024 (arXiv 2404.18812), with the neighbours of SeismicWave (arXiv
2408.04443). Of each term the passages with its largest weights are cut into blocks of like passages, and each block
has a summary: about the largest weight that any of its passages gives to each term. A query opens the blocks whose
summaries promise enough, and scores their passages in full, so that what it finds has the scores of sparse.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from rag.index.vectors import Vectors, invert, starts_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

ARRAYS = (  # what `Seismic.arrays` has, with their types
    ("blocks", "int64"),  # (dimensions + 1,): term t has the blocks from blocks[t] to blocks[t + 1]
    ("starts", "int64"),  # (all blocks + 1,): block b has members[starts[b]:starts[b + 1]]
    ("members", "uint32"),  # rows
    ("minimum", "float32"),  # (all blocks,): a code c in b's summary is the weight minimum[b] + c * step[b]
    ("step", "float32"),
    # The summaries of one list are a sparse matrix, term by term: a query reads only the terms that it has.
    ("term_starts", "int64"),  # (dimensions + 1,): term t's summaries have summary_terms[term_starts[t]:...]
    ("summary_terms", "terms"),  # ascending in each list; of the vectors' type
    ("list_codes", "int64"),  # (dimensions + 1,): term t's summaries have codes[list_codes[t]:...]
    ("code_ends", "uint32"),  # (summary terms,): where those of each end, counted from the list's first code
    ("code_blocks", "uint16"),  # which block, counted from the list's first
    ("codes", "uint8"),
    ("neighbours", "uint32"),  # (passages, settings.neighbours): rows, and the passage's own where there are fewer
)
BLOCKS_MOST = 1 << 16  # of a list: code_blocks are 16 bits
HEAD = 15  # terms of a passage, its largest, by which passages are compared when they are put into blocks
# Sums of up to 1,000 rounded products may come out lower than they are by less than this share.
ROUNDING = 1 + 2.0**-14


# Passages from which a segment gets this index. It finds 0.97 of the ten best and is faster than sparse.py in numpy at
# 10,000 already, but there by a tenth of a millisecond, and by a few at 100,000 (engines.py, 2026-11): less is not
# worth 5 kB more a passage, 0.3 ms of build for each, and two seconds of Numba in each process that searches.
CROSSOVER = 300_000


@dataclass(frozen=True, slots=True)
class SeismicSettings:
    """How to build, and how to search: the last two need no new build."""

    n_postings: int = 4_000  # of each term: the passages with its largest weights
    centroid_fraction: float = 0.2  # blocks of a list, as a share of its postings
    min_cluster_size: int = 2  # a smaller block is dissolved into the others
    summary_energy: float = 0.4  # of a summary's sum, kept in its largest weights; 1 keeps all of them
    neighbours: int = 0  # of each passage, looked at where it is among the k best; 0 for none
    seed: int = 1
    query_cut: int = 10  # of a query: its largest terms, whose lists are visited; all are scored
    heap_factor: float = 0.9  # see Seismic.search

    def __post_init__(self) -> None:
        if (
            min(self.n_postings, self.min_cluster_size, self.query_cut) < 1
            or min(self.neighbours, self.seed, self.heap_factor) < 0
            or not (0 < self.centroid_fraction <= 1 and 0 < self.summary_energy <= 1)
        ):
            raise ValueError(f"{self}: a number is out of its range")


@dataclass(frozen=True, slots=True)
class Explanation:
    """What a search did."""

    terms: tuple[int, ...]  # whose lists were visited, the heaviest first
    blocks: int  # of these lists: all their summaries are scored
    opened: int  # blocks
    scored: int  # passages, neighbours among them
    neighbours: int  # passages scored only because a result has them as neighbours

    @property
    def skipped(self) -> int:
        """Blocks that were not opened."""
        return self.blocks - self.opened


class Seismic:
    """The index of `vectors`: their rows are its passages. Never changes; several threads may search it."""

    def __init__(
        self, arrays: Mapping[str, NDArray[Any]], vectors: Vectors, settings: SeismicSettings = SeismicSettings()
    ):
        """From `arrays` of an index with the same vectors and the same settings for building.

        Raises ValueError, or KeyError for an array that is missing, where they do not fit each other and a search
        would read or write beside them.
        """
        self._arrays = {name: arrays[name] for name, _ in ARRAYS}
        self._vectors = vectors
        self._settings = settings
        self._dimensions = len(self._arrays["blocks"]) - 1
        self._check()

    @classmethod
    def build(cls, vectors: Vectors, dimensions: int, settings: SeismicSettings = SeismicSettings()) -> Seismic:
        """An index of all rows; the same vectors and settings give the same one.

        Takes time in proportion to the postings that are kept (each is compared with the few centroids that share one
        of its HEAD largest terms), and for the neighbours a search for each passage.
        """
        index = cls(_build(vectors, dimensions, settings), vectors, settings)
        if settings.neighbours:
            index._arrays["neighbours"] = index._neighbours()
        return index

    def arrays(self) -> dict[str, NDArray[Any]]:
        """All that the index is besides its vectors and settings, to be saved; see ARRAYS."""
        return dict(self._arrays)

    def search(
        self, terms: NDArray[np.int64], weights: NDArray[np.float32], k: int, allowed: NDArray[np.bool_] | None = None
    ) -> tuple[NDArray[np.uint32], NDArray[np.float32]]:
        """Rows and scores of about the k best above 0, best first, and of all found that tie with the last of them.

        `terms` ascending as in a SparseVector, `weights` above 0; then the scores are those of sparse.py, to the last
        bit. `allowed` (passages,) has False for rows not to be returned; where it leaves few, sparse.py is the better
        choice. A block is skipped when its summary's score is below heap_factor * the k-th best score so far: a LARGER
        heap_factor skips MORE (the paper divides instead, and there a smaller one does). With whole summaries
        (summary_energy 1) it loses nothing up to 1. Raises ValueError for weights below 0 or not finite.
        """
        rows, scores, _ = self._search(terms, weights, k, allowed)
        return rows, scores

    def explain(
        self, terms: NDArray[np.int64], weights: NDArray[np.float32], k: int, allowed: NDArray[np.bool_] | None = None
    ) -> Explanation:
        """What `search` does for the same arguments. Raises ValueError as it does."""
        return self._search(terms, weights, k, allowed)[2]

    def _search(
        self, terms: NDArray[np.int64], weights: NDArray[np.float32], k: int, allowed: NDArray[np.bool_] | None
    ) -> tuple[NDArray[np.uint32], NDArray[np.float32], Explanation]:
        import numpy as np

        terms, weights = np.asarray(terms, dtype=np.int64), np.asarray(weights, dtype=np.float32)
        if len(terms) != len(weights) or not (weights >= 0).all() or not (weights < np.inf).all():
            raise ValueError("a query's weights must be finite numbers of at least 0, one for each term")
        many = len(self._vectors.steps)
        if allowed is not None and len(allowed) != many:
            raise ValueError(f"{len(allowed)} rows are allowed or not, of {many}")
        known = (terms >= 0) & (terms < self._dimensions) & (weights >= np.finfo(np.float32).tiny)
        terms, weights = terms[known], weights[known]
        # What no passage has would be cut for, and weighs most where a query's weights are idfs.
        known = self._arrays["blocks"][terms + 1] > self._arrays["blocks"][terms]
        terms, weights = terms[known], weights[known]
        lists = terms[np.argsort(-weights, kind="stable")[: self._settings.query_cut]]
        # A bit for each row: an array of bytes would cost more than the search where there are millions.
        visited = np.zeros(many // 8 + 1, dtype=np.uint8)
        if allowed is not None:
            visited = np.packbits(~allowed, bitorder="little")
        rows, scores = np.empty(many, dtype=np.uint32), np.empty(many, dtype=np.float32)
        counts = np.zeros(5, dtype=np.int64)
        if many and len(terms) and k > 0:
            held = self._vectors
            _searching(held.terms.dtype.name)(
                *(self._arrays[name] for name, _ in ARRAYS),
                *(held.starts, held.terms, held.impacts, held.steps),
                *(terms, weights, lists, self._settings.heap_factor, min(k, many)),
                *(visited, rows, scores, counts),
            )
        found, *did = counts.tolist()
        order = np.lexsort((rows[:found], -scores[:found]))
        return rows[order], scores[order], Explanation(tuple(lists.tolist()), *did)

    def _neighbours(self) -> NDArray[np.uint32]:
        """Of each row those that score best for it as a query, itself left out, as this index finds them."""
        import numpy as np

        held, wanted = self._vectors, self._settings.neighbours
        neighbours = np.arange(len(held.steps), dtype=np.uint32)[:, None].repeat(wanted, axis=1)
        for row, step in enumerate(held.steps):
            entries = slice(held.starts[row], held.starts[row + 1])
            found, _ = self.search(held.terms[entries].astype(np.int64), held.impacts[entries] * step, wanted + 1)
            found = found[found != row][:wanted]
            neighbours[row, : len(found)] = found
        return neighbours.reshape(-1)

    def _check(self) -> None:
        """Whether a search would stay within the arrays: they may be from a disk, where a checksum can be forged."""
        import numpy as np

        held, arrays = self._vectors, self._arrays
        many, all_blocks, all_terms = len(held.steps), len(arrays["minimum"]), len(arrays["summary_terms"])
        for name, kind in ARRAYS:
            if arrays[name].dtype != (held.terms.dtype if kind == "terms" else kind) or arrays[name].ndim != 1:
                raise ValueError(f"the array {name} has shape {arrays[name].shape} and type {arrays[name].dtype}")
        rising = (  # starts, how many there are, and where the last ends
            ("blocks", arrays["blocks"], self._dimensions, all_blocks),
            ("starts", arrays["starts"], all_blocks, len(arrays["members"])),
            ("term_starts", arrays["term_starts"], self._dimensions, all_terms),
            ("list_codes", arrays["list_codes"], self._dimensions, len(arrays["codes"])),
            ("starts of the vectors", held.starts, many, len(held.terms)),
        )
        for name, starts, count, end in rising:
            if len(starts) != count + 1 or (starts[0], starts[-1]) != (0, end) or (np.diff(starts) < 0).any():
                raise ValueError(f"{name}: not {count + 1} numbers that rise to {end}")
        if (
            (len(arrays["step"]), len(arrays["code_ends"])) != (all_blocks, all_terms)
            or len(arrays["code_blocks"]) != len(arrays["codes"])
            or len(held.impacts) != len(held.terms)
            or len(arrays["neighbours"]) != many * self._settings.neighbours
            or max(arrays["members"].max(initial=0), arrays["neighbours"].max(initial=0)) >= max(1, many)
            or held.terms.max(initial=0) >= max(1, self._dimensions)
        ):
            raise ValueError("the arrays do not fit each other, or the vectors")
        blocks, terms, codes = (np.diff(arrays[name]) for name in ("blocks", "term_starts", "list_codes"))
        full, ends = np.flatnonzero(codes), arrays["code_ends"]
        falls = np.flatnonzero(ends[1:] < ends[:-1]) + 1  # allowed from one list to the next
        if len(full) and (
            (np.maximum.reduceat(arrays["code_blocks"], arrays["list_codes"][full]) >= blocks[full]).any()
            or not np.array_equal(full, np.flatnonzero(terms))
            or (ends[arrays["term_starts"][1:][full] - 1] != codes[full]).any()
            or not np.isin(falls, arrays["term_starts"]).all()
        ):
            raise ValueError("the summaries name codes or blocks that there are not")


def _build(vectors: Vectors, dimensions: int, settings: SeismicSettings) -> dict[str, NDArray[Any]]:
    """The arrays of an index, those of each list joined; no neighbours yet."""
    import numpy as np

    postings = invert(vectors, dimensions)
    make, heads = _building(vectors.terms.dtype.name)
    head = heads(vectors.starts, vectors.terms, vectors.impacts, HEAD)
    scratch = (np.full(dimensions, -1, np.int32), np.zeros(dimensions, np.float32), np.zeros(dimensions, np.int64))
    kinds = {name: vectors.terms.dtype if kind == "terms" else np.dtype(kind) for name, kind in ARRAYS}
    made = ("starts", "members", "minimum", "step", "summary_terms", "code_ends", "code_blocks", "codes")
    lists: dict[str, list[NDArray[Any]]] = {name: [np.zeros(0, kinds[name])] for name in made}
    used = np.flatnonzero(np.diff(postings.offsets))
    for term in used.tolist():
        entries = slice(postings.offsets[term], postings.offsets[term + 1])
        rows = postings.slots[entries]
        if len(rows) > settings.n_postings:
            weights = postings.slot_impacts[entries] * vectors.steps[rows]
            rows = rows[np.sort(np.argpartition(-weights, settings.n_postings)[: settings.n_postings])]
        centroids = min(BLOCKS_MOST - 1, max(1, round(settings.centroid_fraction * len(rows))))  # and one block more
        chosen = np.random.default_rng((settings.seed, term)).permutation(rows)[:centroids]
        some = make(
            *(rows, chosen, *head, vectors.starts, vectors.terms, vectors.impacts, vectors.steps, *scratch),
            *(settings.min_cluster_size, settings.summary_energy),
        )
        for name, array in zip(made, some, strict=True):
            lists[name].append(array)
    per_list = {}
    for start, name in (("blocks", "minimum"), ("term_starts", "summary_terms"), ("list_codes", "codes")):
        lengths = np.zeros(dimensions, dtype=np.int64)
        lengths[used] = [len(array) for array in lists[name][1:]]
        per_list[start] = starts_of(lengths)
    arrays = {name: np.concatenate(lists.pop(name)) for name in made} | per_list
    arrays["starts"] = starts_of(arrays["starts"])  # lengths so far
    return arrays | {"neighbours": np.arange(len(vectors.steps), dtype=np.uint32).repeat(settings.neighbours)}


# -- machine code: compiled in each process when it is first needed, not kept on disk (see sparse.py) ------------------


def _types(terms: str) -> tuple[Callable[..., Any], Callable[..., Any], Any]:
    """Array types, one memory-mapped or not and one to be written, and the type of a term's number."""
    from numba import types

    def read(kind: Any) -> Any:
        return types.Array(kind, 1, "C", readonly=True)

    def written(kind: Any) -> Any:
        return types.Array(kind, 1, "C")

    return read, written, getattr(types, terms)


@cache
def _searching(terms: str) -> Callable[..., None]:
    """The search as machine code, for vectors whose terms have this type."""
    import numpy as np
    from numba import njit, types

    read, written, term_type = _types(terms)

    def search(
        blocks: Any, starts: Any, members: Any, minimum: Any, step: Any,
        term_starts: Any, summary_terms: Any, list_codes: Any, code_ends: Any, code_blocks: Any, codes: Any,
        neighbours: Any,
        row_starts: Any, row_terms: Any, impacts: Any, row_steps: Any,
        terms: Any, weights: Any, lists: Any, heap_factor: Any, k: Any,
        visited: Any, rows: Any, scores: Any, counts: Any,
    ) -> None:  # fmt: skip
        """Put rows and scores of the k best and their ties first in `rows` and `scores`; in `counts` how many these
        are, and then the fields of Explanation.

        `visited` has a bit for each row. The last turn opens, as blocks, the neighbours of the k best.
        """
        query = np.zeros(len(blocks) - 1, np.float32)
        for i in range(len(terms)):
            query[terms[i]] += weights[i]
        heap = np.zeros(k, np.float32)  # a heap already; its root grows to the k-th best score
        kappa = len(neighbours) // len(row_steps)
        scored = looked = opened = 0
        for turn in range(len(lists) + 1):
            last = turn == len(lists)
            if last:
                counts[3] = scored
                first, many = 0, 0
                order, promised = np.empty(k if kappa else 0, np.int64), np.empty(0, np.float32)
                for i in range(scored):
                    if scores[i] >= heap[0] and scores[i] > 0 and many < len(order):
                        order[many] = rows[i]
                        many += 1
            else:
                first = blocks[lists[turn]]
                many = blocks[lists[turn] + 1] - first
                order, promised = np.empty(many, np.int64), np.zeros(many, np.float32)
                low, high = term_starts[lists[turn]], term_starts[lists[turn] + 1]
                place = low
                for i in range(len(terms)):
                    end = high
                    while place < end:  # the first that is not smaller
                        middle = (place + end) // 2
                        if summary_terms[middle] < terms[i]:
                            place = middle + 1
                        else:
                            end = middle
                    if place < high and summary_terms[place] == terms[i]:
                        base = list_codes[lists[turn]]
                        begin = base + code_ends[place - 1] if place > low else base
                        for j in range(begin, base + code_ends[place]):
                            block = first + code_blocks[j]
                            promised[code_blocks[j]] += weights[i] * (minimum[block] + codes[j] * step[block])
                looked += many
                # The first list's blocks from the best on, by steps of 1/255 of the best, so that the heap has good
                # scores early; the others as they come.
                best = np.float32(0)
                for i in range(many):
                    order[i] = i
                    best = max(best, promised[i])
                if turn == 0 and best > 0:
                    levels = np.zeros(257, np.int64)
                    for i in range(many):  # clipped: of sums beyond float32 the quotient is no number
                        levels[256 - max(0, min(255, int(promised[i] / best * 255)))] += 1
                    for level in range(256):
                        levels[level + 1] += levels[level]
                    for i in range(many):
                        level = 255 - max(0, min(255, int(promised[i] / best * 255)))
                        order[levels[level]] = i
                        levels[level] += 1
            for i in range(many):
                place = order[i]
                if not last and promised[place] < heap_factor * heap[0]:
                    continue
                begin, end = (
                    (place * kappa, (place + 1) * kappa) if last else (starts[first + place], starts[first + place + 1])
                )
                opened += not last
                pool = neighbours if last else members
                for j in range(begin, end):
                    row = pool[j]
                    bit = np.uint8(1 << (row & 7))
                    if visited[row >> 3] & bit:
                        continue
                    visited[row >> 3] |= bit
                    score = np.float32(0)
                    for entry in range(row_starts[row], row_starts[row + 1]):  # by ascending terms, as in sparse.py
                        score = np.float32(score + query[row_terms[entry]] * impacts[entry])
                    score *= row_steps[row]
                    rows[scored], scores[scored] = row, score
                    scored += 1
                    if score > heap[0]:
                        node, child = 0, 1
                        while child < k:
                            if child + 1 < k and heap[child + 1] < heap[child]:
                                child += 1
                            if heap[child] >= score:
                                break
                            heap[node] = heap[child]
                            node, child = child, 2 * child + 1
                        heap[node] = score
        found = 0
        for i in range(scored):
            if scores[i] >= heap[0] and scores[i] > 0:
                rows[found], scores[found] = rows[i], scores[i]
                found += 1
        counts[0], counts[1], counts[2], counts[3], counts[4] = found, looked, opened, scored, scored - counts[3]

    index = (
        *(read(types.int64), read(types.int64), read(types.uint32), read(types.float32), read(types.float32)),
        *(read(types.int64), read(term_type), read(types.int64), read(types.uint32), read(types.uint16)),
        read(types.uint8),
        read(types.uint32),
    )
    vectors = (read(types.int64), read(term_type), read(types.uint8), read(types.float32))
    query = (read(types.int64), read(types.float32), read(types.int64), types.float64, types.int64)
    work = (written(types.uint8), written(types.uint32), written(types.float32), written(types.int64))
    compiled: Callable[..., None] = njit(types.void(*index, *vectors, *query, *work), nogil=True)(search)
    return compiled


@cache
def _building(terms: str) -> tuple[Callable[..., tuple[NDArray[Any], ...]], Callable[..., tuple[NDArray[Any], ...]]]:
    """What makes one list's blocks, and what takes the heads of vectors, as machine code."""
    import numpy as np
    from numba import njit, types

    read, written, term_type = _types(terms)

    def heads(starts: Any, terms: Any, impacts: Any, wanted: Any) -> Any:
        """Of each row its `wanted` terms with the largest impacts, and these; impacts of 0 where it has fewer."""
        many = len(starts) - 1
        head, head_impacts = np.zeros((many, wanted), terms.dtype), np.zeros((many, wanted), np.uint8)
        for row in range(many):
            for entry in range(starts[row], starts[row + 1]):
                place = wanted
                while place > 0 and impacts[entry] > head_impacts[row, place - 1]:
                    place -= 1
                    if place + 1 < wanted:
                        head[row, place + 1] = head[row, place]
                        head_impacts[row, place + 1] = head_impacts[row, place]
                if place < wanted:
                    head[row, place], head_impacts[row, place] = terms[entry], impacts[entry]
        return head, head_impacts

    def make(
        rows: Any, centroids: Any, head: Any, head_impacts: Any,
        row_starts: Any, row_terms: Any, impacts: Any, steps: Any,
        first: Any, peak: Any, places: Any, smallest: Any, energy: Any,
    ) -> Any:  # fmt: skip
        """The blocks of the list with these rows, and their summaries.

        `first`, `peak` and `places` have a place for each term, and are left as they were: -1, 0 and 0.
        """
        many, width = len(centroids), head.shape[1]
        # The centroids' heads turned over: a chain of entries for each term, from first[term] on.
        following = np.empty(many * width, np.int32)
        weight = np.empty(many * width, np.float32)
        for c in range(many):
            for h in range(width):
                entry, term = c * width + h, head[centroids[c], h]
                weight[entry] = head_impacts[centroids[c], h] * steps[centroids[c]]
                if weight[entry] > 0:
                    following[entry] = first[term]
                    first[term] = entry
        product, living = np.zeros(many, np.float32), np.ones(many, np.bool_)
        home = np.full(len(rows), many, np.int32)  # of each row; `many` is the block of those like no centroid
        sizes = np.zeros(many + 1, np.int64)
        for again in range(2):  # and again for those whose block was too small
            for i in range(len(rows)):
                if again and (home[i] == many or living[home[i]]):
                    continue
                home[i], best = many, np.float32(0)
                for looking in range(2):
                    for h in range(width):
                        entry = first[head[rows[i], h]] if head_impacts[rows[i], h] > 0 else np.int32(-1)
                        while entry >= 0:
                            c = entry // width
                            if looking == 0:
                                product[c] += weight[entry] * head_impacts[rows[i], h]
                            else:
                                if living[c] and product[c] > best:
                                    home[i], best = c, product[c]
                                product[c] = 0
                            entry = following[entry]
            sizes[:] = 0
            for i in range(len(rows)):
                sizes[home[i]] += 1
            if not again:
                living = sizes[:many] >= smallest
        for c in range(many):
            for h in range(width):
                first[head[centroids[c], h]] = -1
        # The rows in the order of their blocks, without the empty ones.
        blocks = np.count_nonzero(sizes)
        lengths, begins = np.empty(blocks, np.int64), np.empty(many + 1, np.int64)
        block, begin = 0, 0
        for c in range(many + 1):
            begins[c] = begin
            begin += sizes[c]
            if sizes[c]:
                lengths[block] = sizes[c]
                block += 1
        members = np.empty(len(rows), np.uint32)
        for i in range(len(rows)):
            members[begins[home[i]]] = rows[i]
            begins[home[i]] += 1
        # Summaries, block by block.
        room = 0
        for i in range(len(rows)):
            room += row_starts[rows[i] + 1] - row_starts[rows[i]]
        entry_terms, entry_blocks = np.empty(room, row_terms.dtype), np.empty(room, np.uint16)
        entry_codes = np.empty(room, np.uint8)
        minimum, step = np.empty(blocks, np.float32), np.empty(blocks, np.float32)
        seen, distinct = np.empty(len(first), row_terms.dtype), np.empty(len(first), row_terms.dtype)
        mass = np.empty(256, np.float64)
        entries = kinds = begin = 0
        for block in range(blocks):
            held, largest = 0, np.float32(0)
            for i in range(begin, begin + lengths[block]):
                row = members[i]
                for entry in range(row_starts[row], row_starts[row + 1]):
                    value, term = impacts[entry] * steps[row], row_terms[entry]
                    if value > peak[term]:
                        if peak[term] == 0:
                            seen[held] = term
                            held += 1
                        peak[term] = value
                        largest = max(largest, value)
            begin += lengths[block]
            # The largest weights, in steps of 1/255 of the largest one, not sorted: a step is kept or left as a whole.
            mass[:] = 0
            for i in range(held):
                mass[int(peak[seen[i]] / largest * 255)] += peak[seen[i]]
            left, level = mass.sum() * energy, 256
            while level > 0 and (level == 256 or left > 0):
                level -= 1
                left -= mass[level]
            if energy == 1:
                level = 0
            lowest = largest
            for i in range(held):
                if int(peak[seen[i]] / largest * 255) >= level:
                    lowest = min(lowest, peak[seen[i]])
            unit = (largest - lowest) / 255
            minimum[block], step[block] = lowest * ROUNDING, unit * ROUNDING
            for i in range(held):
                term = seen[i]
                if int(peak[term] / largest * 255) >= level:
                    code = np.ceil((peak[term] - lowest) / unit) if unit > 0 else 0.0
                    entry_terms[entries], entry_blocks[entries] = term, block
                    entry_codes[entries] = min(255, int(code))
                    entries += 1
                    if places[term] == 0:
                        distinct[kinds] = term
                        kinds += 1
                    places[term] += 1
                peak[term] = 0
        # The same, term by term.
        summary_terms = np.sort(distinct[:kinds])
        code_ends = np.empty(kinds, np.uint32)
        begin = 0
        for i in range(kinds):
            length = places[summary_terms[i]]
            places[summary_terms[i]] = begin
            begin += length
            code_ends[i] = begin
        code_blocks, codes = np.empty(entries, np.uint16), np.empty(entries, np.uint8)
        for i in range(entries):
            place = places[entry_terms[i]]
            code_blocks[place], codes[place] = entry_blocks[i], entry_codes[i]
            places[entry_terms[i]] += 1
        for i in range(kinds):
            places[summary_terms[i]] = 0
        return lengths, members, minimum, step, summary_terms, code_ends, code_blocks, codes

    vectors = (read(types.int64), read(term_type), read(types.uint8), read(types.float32))
    head_types = (types.Array(term_type, 2, "C"), types.Array(types.uint8, 2, "C"))
    scratch = (written(types.int32), written(types.float32), written(types.int64))
    lists = (read(types.uint32), read(types.uint32), *head_types, *vectors, *scratch, types.int64, types.float64)
    made = (
        *(written(types.int64), written(types.uint32), written(types.float32), written(types.float32)),
        *(written(term_type), written(types.uint32), written(types.uint16), written(types.uint8)),
    )
    return (
        njit(types.Tuple(made)(*lists), nogil=True)(make),
        njit(types.Tuple(head_types)(*vectors[:3], types.int64), nogil=True)(heads),
    )
