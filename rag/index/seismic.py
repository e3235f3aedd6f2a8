"""Approximate retrieval over learned sparse vectors: Seismic, for libraries too large to score every posting of.

Bruch, Nardini, Rulli and Venturini, SIGIR 2024 (arXiv 2404.18812), with the neighbours of SeismicWave (arXiv
2408.04443). Of each term the passages with its largest weights are cut into blocks of like passages, and each block
has a summary: about the largest weight that any of its passages gives to each term. A query opens the blocks whose
summaries promise enough, and scores their passages in full, so that what it finds has the scores of sparse.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rag.index.seismic_blocks import Blocks, Scratch, building, heads_of
from rag.index.seismic_search import ARRAYS, Found, IndexArrays, SparseQuery, frozen, rows_of, searching
from rag.index.vectors import Vectors, invert, starts_of

BLOCKS_MOST = 1 << 16  # of a list: code_blocks are 16 bits
HEAD = 15  # terms of a passage, its largest, by which passages are compared when they are put into blocks


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
        self,
        arrays: Mapping[str, NDArray[Any]],
        vectors: Vectors,
        settings: SeismicSettings = SeismicSettings(),
        is_checked: bool = False,
    ):
        """From `arrays` of an index with the same vectors and the same settings for building.

        Raises ValueError, or KeyError for an array that is missing, where they do not fit each other and a search
        would read or write beside them, unless they are known to fit (`is_checked`).
        """
        self._arrays = {name: arrays[name] for name, _ in ARRAYS}
        self._vectors = vectors
        self._settings = settings
        self._dimensions = len(self._arrays["blocks"]) - 1
        if not is_checked:
            self._check()
        self._index = IndexArrays(**{name: frozen(array) for name, array in self._arrays.items()})
        self._rows = rows_of(vectors)

    @classmethod
    def build(cls, vectors: Vectors, dimensions: int, settings: SeismicSettings = SeismicSettings()) -> Seismic:
        """An index of all rows; the same vectors and settings give the same one.

        Takes time in proportion to the postings that are kept (each is compared with the few centroids that share one
        of its HEAD largest terms), and for the neighbours a search for each passage.
        """
        arrays = _build(vectors, dimensions, settings)
        index = cls(arrays, vectors, settings)
        return cls(arrays | {"neighbours": index._neighbours()}, vectors, settings) if settings.neighbours else index

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
            searching(self._vectors.terms.dtype.name)(
                self._index,
                self._rows,
                SparseQuery(terms, weights, lists, float(self._settings.heap_factor), min(k, many)),
                Found(visited, rows, scores, counts),
            )
        found, *did = counts.tolist()
        order = np.lexsort((rows[:found], -scores[:found]))
        return rows[order], scores[order], Explanation(tuple(lists.tolist()), *did)

    def _neighbours(self) -> NDArray[np.uint32]:
        """Of each row those that score best for it as a query, itself left out, as this index finds them."""
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
    postings = invert(vectors, dimensions)
    make, held = building(vectors.terms.dtype.name), rows_of(vectors)
    heads = heads_of(held, HEAD)
    first, peak, counts = (np.zeros(dimensions, kind) for kind in (np.int32, np.float32, np.int64))
    scratch = Scratch(first - 1, peak, counts)
    kinds = {"lengths": np.dtype(np.int64)} | {
        name: vectors.terms.dtype if kind == "terms" else np.dtype(kind) for name, kind in ARRAYS
    }
    lists: dict[str, list[NDArray[Any]]] = {name: [np.zeros(0, kinds[name])] for name in Blocks._fields}
    used = np.flatnonzero(np.diff(postings.offsets))
    for term in used.tolist():
        entries = slice(postings.offsets[term], postings.offsets[term + 1])
        rows = postings.slots[entries]
        if len(rows) > settings.n_postings:
            weights = postings.slot_impacts[entries] * vectors.steps[rows]
            rows = rows[np.sort(np.argpartition(-weights, settings.n_postings)[: settings.n_postings])]
        centroids = min(BLOCKS_MOST - 1, max(1, round(settings.centroid_fraction * len(rows))))  # and one block more
        chosen = np.random.default_rng((settings.seed, term)).permutation(rows)[:centroids]
        blocks = make(rows, chosen, heads, held, scratch, settings.min_cluster_size, settings.summary_energy)
        for name, array in zip(Blocks._fields, blocks, strict=True):
            lists[name].append(array)
    per_list = {}
    for start, name in (("blocks", "minimum"), ("term_starts", "summary_terms"), ("list_codes", "codes")):
        lengths = np.zeros(dimensions, dtype=np.int64)
        lengths[used] = [len(array) for array in lists[name][1:]]
        per_list[start] = starts_of(lengths)
    arrays = {name: np.concatenate(lists.pop(name)) for name in Blocks._fields} | per_list
    arrays["starts"] = starts_of(arrays.pop("lengths"))
    return arrays | {"neighbours": np.arange(len(vectors.steps), dtype=np.uint32).repeat(settings.neighbours)}
