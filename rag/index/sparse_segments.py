"""A segment of the sparse index: vectors with their postings on the disk, and the search of one segment.

A segment is a folder of .npy files that never change once written; the manifest (sparse.py) has their checksums.
"""

from __future__ import annotations

import shutil
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rag.index import machine_code
from rag.index.seismic import Seismic
from rag.index.stored.verified import is_verified, remember
from rag.index.vectors import Postings, Vectors, invert, take

FITS = -1  # remembered of files, in place of a checksum, that fit each other
SEISMIC = "seismic-"  # before the names of its arrays
FREQUENCY = "frequency"  # of each token, in how many passages it is one of their own; older segments have none
# Passages from which a segment gets a Seismic index. That finds 0.97 of the ten best and is faster than `best` in numpy
# at 10,000 already, but there by a tenth of a millisecond, and by a few at 100,000 (engines.py, 2026-11): less is not
# worth 5 kB more a passage, 0.3 ms of build for each, and three seconds of Numba in each process that searches.
CROSSOVER = 300_000


@dataclass(slots=True)
class Segment:
    """Vectors, the rows of them that are still in the library, and their postings once somebody needs them."""

    vectors: Vectors
    alive: NDArray[np.bool_]
    postings: Postings | None = None
    seismic: Seismic | None = None  # of a large one
    record: dict[str, Any] | None = None  # its entry in the manifest, once it is on disk
    words: NDArray[np.int32] | None = None  # (dimensions,) its array FREQUENCY

    @property
    def count(self) -> int:
        return int(self.alive.sum())

    @property
    def dead(self) -> NDArray[np.int64]:
        """The rows that have left the library."""
        return np.flatnonzero(~self.alive)

    def frequency(self, dimensions: int) -> NDArray[np.int32]:
        """In how many passages each token is one of the passage's own: (dimensions,)."""
        if self.words is None:
            self.words = _frequency(self.vectors, dimensions)
        gone = self.dead
        if not len(gone):
            return self.words
        _, entries = take(self.vectors.word_starts, gone)
        of_dead: NDArray[np.int32] = np.bincount(self.vectors.words[entries], minlength=dimensions).astype(np.int32)
        return self.words - of_dead


def write_segment(folder: Path, vectors: Vectors, dimensions: int) -> dict[str, int]:
    """Write vectors and postings to a new folder; the names of the arrays with their checksums.

    A large segment also gets a Seismic index, if Numba is installed. Raises OSError (disk full); nothing is left then.
    """
    parts = (vectors, invert(vectors, dimensions))
    arrays = {field.name: getattr(part, field.name) for part in parts for field in fields(part)}
    arrays[FREQUENCY] = _frequency(vectors, dimensions)
    if len(vectors.numbers) >= CROSSOVER and machine_code.is_installed():
        built = Seismic.build(vectors, dimensions).arrays()
        arrays |= {f"{SEISMIC}{name}": array for name, array in built.items()}
    checksums = {}
    try:
        folder.mkdir()
        for name, array in arrays.items():
            file = folder / f"{name}.npy"
            np.save(file, array, allow_pickle=False)
            checksums[name] = checksum(file)
    except OSError as error:
        shutil.rmtree(folder, ignore_errors=True)
        raise OSError(f"{folder}: {error.strerror or error}") from error
    return checksums


def read_segment(folder: Path, dimensions: int, record: dict[str, Any]) -> Segment:
    """The segment of a manifest's entry, memory-mapped; its files are read for their checksums, once a process.

    A Seismic index is left aside where Numba is not installed. Raises FileNotFoundError and, for damage, ValueError or
    KeyError.
    """
    files = {folder / f"{name}.npy": wanted for name, wanted in record["checksums"].items()}
    is_checked = all(is_verified(file, FITS) and is_verified(file, wanted) for file, wanted in files.items())
    arrays = _read_arrays(folder, record["checksums"])
    vectors = Vectors(**{field.name: arrays[field.name] for field in fields(Vectors)})
    postings = Postings(**{field.name: arrays[field.name] for field in fields(Postings)})
    ends = (int(postings.offsets[0]), int(postings.offsets[-1]), len(postings.offsets), len(vectors.steps))
    count = len(postings.slots)
    if not is_checked and (
        ends != (0, count, dimensions + 1, len(vectors.numbers))
        or len(postings.slot_impacts) != count
        or len(arrays.get(FREQUENCY, postings.offsets[1:])) != dimensions
        or (np.diff(postings.offsets) < 0).any()
    ):
        raise ValueError(f"the arrays of {folder.name} do not fit each other")
    large = {name.removeprefix(SEISMIC): array for name, array in arrays.items() if name.startswith(SEISMIC)}
    seismic = Seismic(large, vectors, is_checked=is_checked) if large and machine_code.is_installed() else None
    for file in files:
        remember(file, FITS)
    alive = np.ones(len(vectors.numbers), dtype=np.bool_)
    alive[np.asarray(record.get("dead", []), dtype=np.int64)] = False
    return Segment(vectors, alive, postings, seismic, record, arrays.get(FREQUENCY))


def _frequency(vectors: Vectors, dimensions: int) -> NDArray[np.int32]:
    return np.bincount(vectors.words, minlength=dimensions).astype(np.int32)


def _read_arrays(folder: Path, checksums: Mapping[str, int]) -> dict[str, NDArray[Any]]:
    arrays = {}
    for name, wanted in checksums.items():
        file = folder / f"{name}.npy"
        if not is_verified(file, wanted):
            if checksum(file) != wanted:
                raise ValueError(f"the checksum of {folder.name}/{file.name} does not match")
            remember(file, wanted)
        arrays[name] = np.load(file, mmap_mode="r", allow_pickle=False).view(np.ndarray)
    return arrays


def checksum(file: Path) -> int:
    """CRC-32 of a file, read in pieces: through the memory map it would all stay in memory."""
    checksum = 0
    with file.open("rb") as opened:
        while piece := opened.read(1 << 20):
            checksum = zlib.crc32(piece, checksum)
    return checksum


def living(segment: Segment) -> Vectors:
    """The segment's vectors without the dead."""
    return segment.vectors if segment.alive.all() else segment.vectors.take(np.flatnonzero(segment.alive))


def best(
    segment: Segment, terms: NDArray[np.int64], weights: NDArray[np.float32], allowed: NDArray[np.bool_], k: int
) -> tuple[NDArray[np.uint32], NDArray[np.float32]]:
    """The slots and scores of the k best, in no order, and of all that tie with the last of them.

    Terms are added in the query's order, so a score is the same in whatever slot. Machine code (Numba) takes a fifth of
    the time, 0.24 ms less for 10,000 passages, and two seconds to be made in each process. Raises IndexError for
    postings that name passages which the segment does not hold, or weigh nothing.
    """
    assert segment.postings is not None
    offsets, slots, impacts = segment.postings.offsets, segment.postings.slots, segment.postings.slot_impacts
    scores = np.zeros(len(allowed), dtype=np.float32)
    for term, weight in zip(terms.tolist(), weights, strict=True):
        entries = slice(offsets[term], offsets[term + 1])
        if not impacts[entries].all():
            raise IndexError(f"a posting of term {term} weighs nothing")  # a checksum can be forged
        np.add.at(scores, slots[entries], weight * impacts[entries])  # 2.6 times as fast as scores[...] += ...
    scores *= segment.vectors.steps
    scores[~allowed] = 0
    found = np.flatnonzero(scores).astype(np.uint32)
    if len(found) > k:
        last = np.partition(scores[found], len(found) - k)[len(found) - k]
        found = found[scores[found] >= last]
    return found, scores[found]
