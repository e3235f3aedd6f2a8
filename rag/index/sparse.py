"""Retrieval over learned sparse vectors: an inverted index of 8-bit impacts, scored term at a time.

Exact; only a segment of sparse_segments.CROSSOVER passages or more also gets a Seismic index, which answers faster
there, and that only where Numba is installed.

A vector maps terms to weights above 0, and a score is the inner product of a query's and a passage's. The vectors lie
in segments: folders of .npy files that never change once written, named by a manifest that is replaced as a whole. A
commit writes what is new with the segments that are less than MERGE_RATIO times as large, so there are few, and each
passage is written a few times. A passage that left is dead in its segment until the commit, which writes what lives
again: a removed document's words do not stay on the disk. Only of a segment of more than LARGE passages, which takes
seconds or minutes to write, the dead are kept, and not shown, until one in a hundred is dead.
"""

from __future__ import annotations

import json
import os
import shutil
import zlib
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rag.encode.inference_free import idf
from rag.errors import IndexMismatch, LibraryError, RagError
from rag.index.sparse_segments import Segment, best, living, read_segment, write_segment
from rag.index.vectors import Vectors, among, invert, join, pack
from rag.protocols import Report, SparseEncoder, SparseQueries, SparseVector
from rag.records import Hit, Passage, Removal

MANIFEST = "segments.json"
FORMAT = "glossator sparse index 1"
ENCODE_AT_ONCE = 256  # passages: their weights in full precision are some 300 kB
MERGE_RATIO = 3.0
LARGE, DEAD_SHARE = 100_000, 0.01


class SparseIndex:
    """The sparse index in `folder` (a DerivedIndex). One opened index may be searched by several threads.

    `encoder` is called when the first vector is needed, so that opening costs no model.
    """

    def __init__(self, folder: Path, encoder: Callable[[], SparseEncoder], built_with: str):
        self._folder = folder
        self._encoder = encoder
        self._segments: list[Segment] = []  # those on disk; then one for each apply since
        self._dimensions = 0  # 0 while there is no vector at all
        self._frequency: NDArray[np.int32] | None = None
        self._opened = self._changed = False
        self.built_with = built_with

    # -- writing -------------------------------------------------------------------------------------------------

    def apply(self, removals: Sequence[Removal], passages: Iterable[tuple[int, Passage]], report: Report) -> None:
        """As DerivedIndex.apply. Raises RagError for weights no index can hold, LibraryError when memory is short."""
        if not self._opened:
            self.open()  # else a commit would drop what is there
        numbered = sorted(dict(passages).items())
        encoded = self._encode(numbered, report)
        numbers = np.asarray([number for number, _ in numbered], dtype=np.int64)
        for segment in self._segments:
            held = segment.vectors.numbers
            for removal in removals:
                first, last = held.searchsorted([removal.first_number, removal.last_number + 1])
                segment.alive[first:last] = False
            segment.alive &= ~among(held, numbers)
        if encoded:
            self._segments.append(Segment(join(encoded), np.ones(len(numbers), dtype=np.bool_)))
        self._changed = self._changed or bool(removals or numbered)
        self._frequency = None

    def _encode(self, numbered: Sequence[tuple[int, Passage]], report: Report) -> list[Vectors]:
        encoded: list[Vectors] = []
        done, at_once = 0, ENCODE_AT_ONCE
        while done < len(numbered):
            subset = numbered[done : done + at_once]
            encoder = self._encoder()
            if self._segments and encoder.dimensions != self._dimensions:
                raise IndexMismatch(
                    f"{self._folder} holds vectors of {self._dimensions} terms, the settings' sparse model makes "
                    f"{encoder.dimensions}. Change sparse.model back, or rebuild: "
                    f"glossator check --library {self._folder.parent} --repair"
                )
            texts = [passage.searched for _, passage in subset]
            try:
                vectors = encoder.encode_documents(texts, partial(_report_from, report, done, len(numbered)))
                encoded.append(pack(subset, vectors, encoder.token_ids(texts), encoder.dimensions))
            except MemoryError as error:
                if at_once == 1:
                    raise LibraryError(
                        f"{self._folder}: out of memory at passage {subset[0][1].passage_id} of {len(texts[0])} "
                        "characters. Close other programs, or choose a smaller sparse.model, and run the command again"
                    ) from error
                at_once //= 2
                continue
            self._dimensions = encoder.dimensions
            done += len(subset)
        return encoded

    def commit(self) -> None:
        """As DerivedIndex.commit. Raises OSError (disk full) or LibraryError (memory); the old state is left then."""
        self._folder.mkdir(parents=True, exist_ok=True)
        if not self._changed:
            return
        kept, fresh = self._divided()
        records = [{**segment.record, "dead": segment.dead.tolist()} for segment in kept if segment.record]
        try:
            if sum(segment.count for segment in fresh):
                records.append(self._write(join([living(segment) for segment in fresh])))
        except MemoryError as error:
            raise LibraryError(
                f"{self._folder}: out of memory while {self.count} passages were indexed. "
                "Close other programs and run the command again"
            ) from error
        content = json.dumps({"format": FORMAT, "dimensions": self._dimensions, "segments": records})
        # Written beside the old one and renamed over it, so that a kill leaves one or the other. Not synced: what a
        # power failure takes from the files, their checksums show, and the catalogue can rebuild them.
        beside = self._folder / f"{MANIFEST}.new"
        beside.write_text(f"{zlib.crc32(content.encode()):08x} {content}", "utf-8")
        os.replace(beside, self._folder / MANIFEST)
        for folder in self._folder.glob("segment-*"):
            if folder.name not in [record["folder"] for record in records]:
                shutil.rmtree(folder, ignore_errors=True)  # one held open on Windows goes with the next commit
        self.open()

    def _divided(self) -> tuple[list[Segment], list[Segment]]:
        """The segments that stay as they are on the disk, and those that are written as one."""
        kept, fresh = list[Segment](), list[Segment]()
        for segment in self._segments:
            most = DEAD_SHARE * len(segment.alive) if len(segment.alive) > LARGE else 0
            (kept if segment.record and len(segment.dead) <= most else fresh).append(segment)
        kept.sort(key=lambda segment: -segment.count)
        while kept and kept[-1].count < MERGE_RATIO * sum(segment.count for segment in fresh):
            fresh.append(kept.pop())
        return kept, fresh

    def _write(self, vectors: Vectors) -> dict[str, Any]:
        """The manifest's entry for a new segment with these vectors."""
        taken = [int(folder.name.removeprefix("segment-")) for folder in self._folder.glob("segment-*")]
        folder = self._folder / f"segment-{max(taken, default=0) + 1}"
        return {"folder": folder.name, "checksums": write_segment(folder, vectors, self._dimensions)}

    def close(self) -> None:
        self._segments, self._dimensions, self._frequency = [], 0, None
        self._opened = self._changed = False

    # -- reading -------------------------------------------------------------------------------------------------

    def open(self) -> None:
        """As DerivedIndex.open. Reads all of the files once for their checksums, and keeps none of it in memory."""
        self.close()
        file = self._folder / MANIFEST
        try:
            for attempt in range(3):
                try:
                    self._load(file)
                    break
                except FileNotFoundError:  # a writer may have merged it away since the manifest was read
                    if not file.exists():
                        break
                    if attempt == 2:
                        raise
        except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
            self.close()
            raise self._damaged(
                f"{error.filename}: {error.strerror}" if isinstance(error, OSError) else error
            ) from error
        self._opened = True

    def _damaged(self, why: object) -> LibraryError:
        return LibraryError(
            f"{self._folder / MANIFEST}: this sparse index is damaged: {why}. "
            f"Rebuild it: glossator check --library {self._folder.parent} --repair"
        )

    def _load(self, file: Path) -> None:
        checksum, _, content = file.read_text("utf-8").partition(" ")
        if checksum != f"{zlib.crc32(content.encode()):08x}":
            raise ValueError("its checksum does not match")
        manifest = json.loads(content)
        if manifest["format"] != FORMAT:
            raise ValueError(f"its format is {manifest['format']!r}, not {FORMAT!r}")
        self._segments = [
            read_segment(self._folder / record["folder"], manifest["dimensions"], record)
            for record in manifest["segments"]
        ]
        self._dimensions = manifest["dimensions"]

    @property
    def count(self) -> int:
        return sum(segment.count for segment in self._segments)

    def search(self, vector: SparseVector, k: int, within: Sequence[int] | None = None) -> list[tuple[int, float]]:
        """(number, inner product) of the k best above 0, best first; and of all that tie with the last of them.

        Of a segment with a Seismic index about 96 or more of a hundred of these are found, unless `within` limits them.

        A passage's weight is off by half its step at most, and by less than a step where it is smaller than that: a
        step is 1/255 of the passage's largest weight. Raises RagError for query weights below 0 or not finite.
        """
        terms, weights = self._known(vector)
        if k < 1 or not len(terms):
            return []
        numbers, scores = [], []
        for segment in self._segments:
            if segment.postings is None:
                segment.postings = invert(segment.vectors, self._dimensions)
            held = segment.vectors.numbers
            allowed = segment.alive
            if within is not None:
                allowed = allowed & among(held, np.asarray(within, dtype=np.int64))
            try:
                if segment.seismic is not None and within is None:
                    slots, subset = segment.seismic.search(terms, weights, k, allowed)
                else:
                    slots, subset = best(segment, terms, weights, allowed, k)
            except IndexError as error:
                raise self._damaged(error) from error
            numbers.append(held[slots])
            scores.append(subset)
        if not numbers:
            return []
        number, score = np.concatenate(numbers), np.concatenate(scores)
        order = np.lexsort((number, -score))
        last = score[order[min(k, len(order)) - 1]] if len(order) else 0
        return [(int(number[i]), float(score[i])) for i in order if score[i] >= last]

    def contributions(self, number: int, vector: SparseVector) -> list[tuple[int, float, bool]]:
        """(term id, what it adds to the score, whether it is none of the passage's own words), the most first.

        [] for a number that is not in the index.
        """
        try:
            vectors, row = self._find(number)
        except KeyError:
            return []
        terms, weights = self._known(vector)
        entries = slice(vectors.starts[row], vectors.starts[row + 1])
        impact = dict(zip(vectors.terms[entries].tolist(), vectors.impacts[entries], strict=True))
        own = self.words(number)
        step = vectors.steps[row]
        shared = [(t, float(w * impact[t] * step)) for t, w in zip(terms.tolist(), weights, strict=True) if t in impact]
        return [(term, share, term not in own) for term, share in sorted(shared, key=lambda entry: -entry[1])]

    def words(self, number: int) -> set[int]:
        """The passage's own token ids; none for a number that is not in the index."""
        try:
            vectors, row = self._find(number)
        except KeyError:
            return set()
        return set(vectors.words[vectors.word_starts[row] : vectors.word_starts[row + 1]].tolist())

    def words_of(self, numbers: Sequence[int]) -> list[set[int]]:
        """As `words`, of each of these numbers."""
        return [self.words(number) for number in numbers]

    def vector(self, number: int) -> SparseVector:
        """A passage's vector as it is searched. Raises KeyError for a number that is not in the index."""
        vectors, row = self._find(number)
        entries = slice(vectors.starts[row], vectors.starts[row + 1])
        return vectors.terms[entries].astype(np.int32), vectors.impacts[entries] * vectors.steps[row]

    def vectors(self) -> Vectors | None:
        """Every passage's vector, for another index to be made of; None where there is none."""
        return join([living(segment) for segment in self._segments]) if self._segments else None

    def document_frequency(self) -> NDArray[np.int32]:
        """In how many passages each token is one of the passage's own: shape (dimensions,), int32."""
        if self._frequency is None:
            dimensions = self._dimensions or self._encoder().dimensions
            frequency = np.zeros(dimensions, dtype=np.int32)
            for segment in self._segments:
                frequency += segment.frequency(dimensions)
            self._frequency = frequency
        return self._frequency

    def _find(self, number: int) -> tuple[Vectors, int]:
        for segment in self._segments:
            row = segment.vectors.row(number)
            if row is not None and segment.alive[row]:
                return segment.vectors, row
        raise KeyError(number)

    def _known(self, vector: SparseVector) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """The query's terms that a passage can have, with weights above 0."""
        terms, weights = np.asarray(vector[0], dtype=np.int64), np.asarray(vector[1], dtype=np.float32)
        if len(terms) != len(weights) or not np.isfinite(weights).all() or (weights < 0).any():
            raise RagError(
                "sparse query: a query's weights must be finite numbers of at least 0, one for each term. "
                "Use the sparse model that the index was built with, or another sparse.model"
            )
        # Weights below the smallest normal number count as 0, as they do where the processor flushes them.
        known = (terms >= 0) & (terms < self._dimensions) & (weights >= np.finfo(np.float32).tiny)
        return terms[known], weights[known]


def _report_from(report: Report, before: int, total: int, done: int) -> None:
    report("sparse vectors", before + done, total)


class SparseRetriever:
    """A Retriever over an opened index; `passages` looks passages up in the catalogue, `numbers` their numbers."""

    def __init__(
        self,
        index: SparseIndex,
        queries: Callable[[], SparseQueries],
        passages: Callable[[Sequence[int]], dict[int, Passage]],
        numbers: Callable[[Sequence[str]], dict[str, int]],
        explain: bool = True,
    ):
        self.index = index
        self._queries = queries
        self._passages = passages
        self._numbers = numbers
        self._explain = explain

    def search(self, queries: Sequence[str], k: int, within: Sequence[int] | None = None) -> list[list[Hit]]:
        """As Retriever.search; each hit says (if it is to `explain`) which terms matched and what each contributed.

        "+term" is a term that the model added: the passage has a weight for it and not the word. Raises RagError for
        query weights below 0 or not finite.
        """
        rankings: list[list[Hit]] = []
        if not self.index.count:
            return [[] for _ in queries]
        for vector in self.encode_queries(queries):
            found = self.index.search(vector, k, within)
            passages = self._passages([number for number, _ in found])
            # A passage removed since the index was written is in the index but not in the catalogue any more.
            present = [(score, passages[number], number) for number, score in found if number in passages]
            present.sort(key=lambda entry: (-entry[0], entry[1].passage_id))
            rankings.append([
                Hit(rank, score, passage, self._terms(number, vector) if self._explain else None)
                for rank, (score, passage, number) in enumerate(present[:k], start=1)
            ])  # fmt: skip
        return rankings

    def nearest(self, query: str, k: int, within: Sequence[int] | None = None) -> list[tuple[int, float]]:
        """(catalogue number, score) of what `search` finds, and of all that tie with the last; no passage is read."""
        return self.index.search(self.encode_queries([query])[0], k, within) if self.index.count else []

    def encode_queries(self, queries: Sequence[str]) -> list[SparseVector]:
        """One vector per query, in order."""
        return self._queries().encode_queries(queries)

    def terms(self, query: str, passages: Sequence[Passage]) -> list[dict[str, float]]:
        """Term -> contribution for each passage, as in `search`; {} for one that the index has not."""
        if not self.index.count:
            return [{} for _ in passages]
        vector = self._queries().encode_queries([query])[0]
        numbers = self._numbers([passage.passage_id for passage in passages])
        return [self._terms(numbers.get(passage.passage_id, -1), vector) for passage in passages]

    def coverage(self, query: str, passages: Sequence[Passage]) -> tuple[dict[int, float], list[set[int]]]:
        """The query's own words (token ids, without punctuation) with their idf, and those that each passage says."""
        if not self.index.count:
            return {}, [set() for _ in passages]
        asked = [i for i in self._queries().token_ids([query])[0] if any(map(str.isalnum, self._queries().term(i)))]
        weights = idf(self.index.document_frequency()[asked], self.index.count)
        numbers = self._numbers([passage.passage_id for passage in passages])
        said = self.index.words_of([numbers.get(passage.passage_id, -1) for passage in passages])
        return dict(zip(asked, weights.tolist(), strict=True)), [words.intersection(asked) for words in said]

    def _terms(self, number: int, vector: SparseVector) -> dict[str, float]:
        terms: dict[str, float] = {}
        for term, share, added in self.index.contributions(number, vector):
            name = f"+{self._queries().term(term)}" if added else self._queries().term(term)
            terms[name] = terms.get(name, 0.0) + share
        return terms
