"""A file of dense vectors: FAISS's exact inner product over fp16, under our numbers, so that passages can leave.

Behind FAISS's own bytes, which its reader does not look past, the file holds a 64-bit hash of what each vector was made
from, in the order of the vectors, and a CRC-32 of the whole file: in one file, so that a kill cannot leave them beside
the vectors of another time. A file of before there was a checksum is read, and gets one when it is written. A file that
is only read stays on the disk, mapped into memory.
"""

from __future__ import annotations

import os
import re
import struct
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rag.index.stored.verified import is_verified, remember

FOOTER = struct.Struct("<8sQ")  # the file's last bytes: a mark, and how many hashes stand before it
CHECKED = b"checked1"  # with a checksum of all that stands before it, between the hashes and the footer
UNCHECKED = b"contents"  # as written before there was a checksum
CHECKSUM = struct.Struct("<I")


class DenseFile:
    """Vectors, their numbers, and the hashes of what they were made from, all in the same order.

    `hashes` are (count,) uint64; `is_changed` says whether it differs from what is on the disk.
    """

    def __init__(self, dimensions: int):
        import faiss

        quantizer = faiss.ScalarQuantizer.QT_fp16
        self._index: Any = faiss.IndexIDMap2(
            faiss.IndexScalarQuantizer(dimensions, quantizer, faiss.METRIC_INNER_PRODUCT)
        )
        self._mapped: Path | None = None  # the file that it is read from
        self.hashes = np.zeros(0, dtype=np.uint64)
        self.is_changed = True

    @classmethod
    def read(cls, file: Path) -> DenseFile:
        """The file as it was written. Raises RuntimeError, MemoryError for damage, FileNotFoundError."""
        import faiss

        made = cls.__new__(cls)
        made.hashes = _read_hashes(file)  # first: FAISS believes whatever sizes it finds
        made._index = faiss.read_index(str(file), faiss.IO_FLAG_MMAP_IFC)
        made._mapped, made.is_changed = file, False
        if len(made.hashes) != made._index.ntotal:
            raise RuntimeError(f"it has {len(made.hashes)} hashes for {made._index.ntotal} vectors")
        return made

    @property
    def count(self) -> int:
        return int(self._index.ntotal)

    @property
    def dimensions(self) -> int:
        return int(self._index.d)

    def numbers(self) -> NDArray[np.int64]:
        """Our numbers in the order of the vectors."""
        import faiss

        return np.asarray(faiss.vector_to_array(self._index.id_map), dtype=np.int64)

    def vector(self, number: int) -> NDArray[np.float32] | None:
        """The vector of a number, (dimensions,); None where it has none."""
        try:
            found: NDArray[np.float32] = self._index.reconstruct(int(number))
        except RuntimeError:  # FAISS's way to say that it has no such number
            return None
        return found

    def search(
        self, vector: NDArray[np.float32], k: int, within: Sequence[int] | None = None
    ) -> list[tuple[int, float]]:
        """(number, inner product) of the k nearest, best first; and of all that tie with the last of them."""
        import faiss

        if not self.count or (within is not None and not len(within)):
            return []
        parameters = None
        if within is not None:
            parameters = faiss.SearchParameters(sel=faiss.IDSelectorBatch(np.asarray(within, dtype=np.int64)))  # type: ignore[call-arg]
        depth = k + 8
        while True:
            depth = min(depth, self.count)
            scores, numbers = self._index.search(vector[None, :], depth, params=parameters)
            found = [(int(n), float(s)) for n, s in zip(numbers[0], scores[0], strict=True) if n >= 0]
            if depth == self.count or len(found) < depth or found[-1][1] < found[k - 1][1]:
                return [entry for entry in found if entry[1] >= found[min(k, len(found)) - 1][1]]
            depth *= 4

    # -- changing ------------------------------------------------------------------------------------------------

    def add(self, numbers: NDArray[np.int64], vectors: NDArray[np.float32], hashes: NDArray[np.uint64]) -> None:
        """Put vectors, (n, dimensions), behind the others."""
        self._own().add_with_ids(vectors, numbers)
        self.hashes = np.concatenate([self.hashes, hashes])
        self.is_changed = True

    def drop(self, gone: NDArray[np.bool_]) -> None:
        """Take out the vectors at these places: (count,)."""
        import faiss

        if gone.any():
            self._own().remove_ids(faiss.IDSelectorBatch(self.numbers()[gone]))
            self.hashes = self.hashes[~gone]  # FAISS, too, moves the others up and keeps their order
            self.is_changed = True

    def add_all(self, other: DenseFile) -> None:
        """Put the vectors of another file behind the others, as they are."""
        vectors = other._index.index.reconstruct_n(0, other.count)  # fp16 to float32 and back changes no bit
        self.add(other.numbers(), vectors, other.hashes)

    def write(self, file: Path) -> None:
        """Write it beside the file and rename it over that, so that a kill leaves one or the other. Raises OSError."""
        import faiss

        fresh = file.with_name(f"{file.name}.new")
        try:
            faiss.write_index(self._index, str(fresh))
            with fresh.open("ab") as opened:
                opened.write(self.hashes.astype("<u8").tobytes())
            footer = FOOTER.pack(CHECKED, len(self.hashes))
            checksum = _checksum(fresh, fresh.stat().st_size, footer)
            with fresh.open("ab") as opened:
                opened.write(CHECKSUM.pack(checksum) + footer)
        except (RuntimeError, OSError) as error:
            fresh.unlink(missing_ok=True)
            raise OSError(f"{fresh}: {line_of(error)}") from error
        os.replace(fresh, file)
        self.is_changed = False

    def _own(self) -> Any:
        """The index in memory, where it can be changed; who changes it holds the writer's lock, so the file is ours."""
        import faiss

        if self._mapped is not None:
            self._index, self._mapped = faiss.read_index(str(self._mapped)), None
        return self._index


def _read_hashes(file: Path) -> NDArray[np.uint64]:
    """The hashes behind the vectors, (count,). RuntimeError for bytes that have changed since they were written."""
    with file.open("rb") as data:
        end = data.seek(0, os.SEEK_END) - FOOTER.size
        data.seek(max(0, end))
        footer = data.read()
        mark, count = FOOTER.unpack(footer) if end > 0 else (b"", 0)
        if mark == CHECKED:
            end -= CHECKSUM.size
            data.seek(max(0, end))
            wanted = CHECKSUM.unpack(data.read(CHECKSUM.size))[0] if end >= 0 else 0
            if end < 0 or not (is_verified(file, wanted) or _checksum(file, end, footer) == wanted):
                raise RuntimeError("its bytes have changed since it was written")
            remember(file, wanted)
        elif mark != UNCHECKED:
            raise RuntimeError("its end is damaged")
        if end < 8 * count:
            raise RuntimeError(f"it is too short for {count} vectors")
        data.seek(end - 8 * count)
        return np.frombuffer(data.read(8 * count), dtype="<u8").astype(np.uint64)


def _checksum(file: Path, end: int, footer: bytes) -> int:
    """CRC-32 of the file's first `end` bytes and of its footer."""
    value = 0
    with file.open("rb") as data:
        while end > 0 and (piece := data.read(min(end, 1 << 22))):
            value = zlib.crc32(piece, value)
            end -= len(piece)
    return zlib.crc32(footer, value)


def line_of(error: BaseException) -> str:
    """FAISS's words without its C++: "Error in void faiss::f() at f.cpp:264: Error: read error" -> "read error"."""
    return re.sub(r"^Error in .* at \S+:\d+: (Error: )?", "", str(error).split("\n")[0])
