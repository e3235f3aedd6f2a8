"""Dense retrieval in FAISS: exact inner product over fp16 vectors, our numbers as ids so that passages can leave.

Behind FAISS's own bytes, which its reader does not look past, the index file holds a 64-bit hash of what each vector
was made from, in the order of the vectors, and a CRC-32 of the whole file: in one file, so that a kill cannot leave
them beside the vectors of another time. A file of before there was a checksum is read, and gets one when it is written.
"""

from __future__ import annotations

import hashlib
import os
import re
import struct
import zlib
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rag.errors import LibraryError
from rag.protocols import CaptionEncoder, DenseEncoder, PictureEncoder, Report
from rag.records import Hit, Passage, Removal

FILE = "vectors.faiss"
FOOTER = struct.Struct("<8sQ")  # the file's last bytes: a mark, and how many hashes stand before it
CHECKED = b"checked1"  # with a checksum of all that stands before it, between the hashes and the footer
UNCHECKED = b"contents"  # as written before there was a checksum
CHECKSUM = struct.Struct("<I")
PICTURES = 64  # read at a time, each a file of some 100 kB


def _no_picture(sha256: str) -> bytes:
    raise LibraryError(f"picture {sha256[:12]} is not in the library. Ingest its document again")


class DenseIndex:
    """The FAISS index in `folder` (a DerivedIndex): id = a passage's catalogue number, vector = its embedding.

    `encoder` is called when the first vector is needed, so that opening costs no model.
    """

    def __init__(
        self,
        folder: Path,
        encoder: Callable[[], DenseEncoder],
        built_with: str,
        picture: Callable[[str], bytes] = _no_picture,
    ):
        """`picture` gives the PNG file with a sha256; it is asked where a passage has one and the encoder sees."""
        self._folder = folder
        self._encoder = encoder
        self._picture = picture
        self._index: Any = None  # None while there is no vector at all
        self._hashes: Any = None  # (count,) uint64, in the order of the vectors
        self.built_with = built_with

    def open(self) -> None:
        import faiss

        file = self._folder / FILE
        self._index = self._hashes = None
        if file.is_file():
            try:
                hashes = _read_hashes(file)  # first: FAISS believes whatever sizes it finds
                index = faiss.read_index(str(file))
                if len(hashes) != index.ntotal:
                    raise RuntimeError(f"it has {len(hashes)} hashes for {index.ntotal} vectors")
                self._index, self._hashes = index, hashes
            except (RuntimeError, MemoryError) as error:  # a damaged size asks for all the memory there is
                raise LibraryError(
                    f"{file}: FAISS cannot read this index: {_line(error)}. "
                    f"Rebuild it: glossator check --library {self._folder.parent} --repair"
                ) from error

    @property
    def count(self) -> int:
        return int(self._index.ntotal) if self._index is not None else 0

    def apply(self, removals: Sequence[Removal], passages: Iterable[tuple[int, Passage]], report: Report) -> None:
        """As DerivedIndex.apply. What has a vector already, also one that is removed here, is not encoded again."""
        import faiss

        numbered = list(passages)
        made = self.vectors_of([passage for _, passage in numbered], report) if numbered else None
        for removal in removals if self._index is not None else ():
            held = self._numbers()
            self._drop((held >= removal.first_number) & (held <= removal.last_number))
        if made is None:
            return
        vectors, hashes = made
        if self._index is None:
            self._index = faiss.IndexIDMap2(
                faiss.IndexScalarQuantizer(vectors.shape[1], faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT)
            )
            self._hashes = np.zeros(0, dtype=np.uint64)
        numbers = np.asarray([number for number, _ in numbered], dtype=np.int64)
        self._drop(np.isin(self._numbers(), numbers))
        self._index.add_with_ids(vectors, numbers)
        self._hashes = np.concatenate([self._hashes, hashes])

    def _numbers(self) -> NDArray[np.int64]:
        """Catalogue numbers in the order of the vectors."""
        import faiss

        return np.asarray(faiss.vector_to_array(self._index.id_map), dtype=np.int64)

    def _drop(self, gone: NDArray[np.bool_]) -> None:
        """Take out the vectors at these places: (count,)."""
        import faiss

        if gone.any():
            self._index.remove_ids(faiss.IDSelectorBatch(self._numbers()[gone]))
            self._hashes = self._hashes[~gone]  # FAISS, too, moves the others up and keeps their order

    def vectors_of(self, passages: Sequence[Passage], report: Report) -> tuple[NDArray[np.float32], NDArray[np.uint64]]:
        """Vectors (passages, d) and the hashes of what they are made from; the same content is encoded once."""
        encoder = self._encoder()
        contents = [_content(passage, encoder) for passage in passages]
        hashes = np.asarray([_hash(*content) for content in contents], dtype=np.uint64)
        known = self._known(hashes)
        wanted = {int(key): content for key, content in zip(hashes, contents, strict=True) if int(key) not in known}
        done = 0
        for side, encode in self._sides(encoder).items():
            keys = [key for key, content in wanted.items() if content[0] == side]
            step = PICTURES if side == "picture" else max(1, len(keys))
            for first in range(0, len(keys), step):
                subset = keys[first : first + step]
                rows = encode([wanted[key][1] for key in subset], partial(_report_from, report, done, len(wanted)))
                known.update(zip(subset, rows, strict=True))
                done += len(subset)
        return np.asarray([known[int(key)] for key in hashes], dtype=np.float32), hashes

    def _sides(self, encoder: DenseEncoder) -> dict[str, Callable[..., NDArray[np.float32]]]:
        """How each kind of content becomes vectors."""
        sides: dict[str, Callable[..., NDArray[np.float32]]] = {"text": encoder.encode}
        if isinstance(encoder, CaptionEncoder):
            sides["caption"] = encoder.encode_captions
        if isinstance(encoder, PictureEncoder):
            see = encoder.encode_pictures
            sides["picture"] = lambda names, report: see([self._picture(name) for name in names], report)
        return sides

    def _known(self, hashes: NDArray[np.uint64]) -> dict[int, NDArray[np.float32]]:
        """Hash -> the vector that is here already, of those of these that have one."""
        if self._index is None:
            return {}
        rows = np.flatnonzero(np.isin(self._hashes, hashes))
        numbers = self._numbers()[rows].tolist()
        keys = self._hashes[rows].tolist()
        return {key: self._index.reconstruct(number) for key, number in zip(keys, numbers, strict=True)}

    def commit(self) -> None:
        import faiss

        self._folder.mkdir(parents=True, exist_ok=True)
        if self._index is None:
            return
        # Written beside the old one and renamed over it, so that a kill leaves one or the other.
        fresh = self._folder / f"{FILE}.new"
        try:
            faiss.write_index(self._index, str(fresh))
            with fresh.open("ab") as file:
                file.write(self._hashes.astype("<u8").tobytes())
            footer = FOOTER.pack(CHECKED, len(self._hashes))
            checksum = _checksum(fresh, fresh.stat().st_size, footer)
            with fresh.open("ab") as file:
                file.write(CHECKSUM.pack(checksum) + footer)
        except (RuntimeError, OSError) as error:
            fresh.unlink(missing_ok=True)
            raise OSError(f"{fresh}: {_line(error)}") from error
        os.replace(fresh, self._folder / FILE)

    def close(self) -> None:
        self._index = self._hashes = None

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

    def vectors(self, numbers: Sequence[int]) -> NDArray[np.float32]:
        """The vectors of those of these catalogue numbers that it holds, in their order: (at most len(numbers), d).

        As stored: fp16 has made a unit vector up to 0.05 % longer or shorter. Who needs its length scales it again.
        """
        rows = []
        for number in numbers if self.count else ():
            with suppress(RuntimeError):  # FAISS's way to say that it has no such id
                rows.append(self._index.reconstruct(int(number)))
        return np.asarray(rows, dtype=np.float32).reshape(len(rows), self._index.d if self._index else 0)


def _content(passage: Passage, encoder: DenseEncoder) -> tuple[str, str]:
    """("picture", its sha256) of a passage that the encoder sees; else ("caption" or "text", what is searched)."""
    if isinstance(encoder, PictureEncoder):
        return ("picture", passage.picture) if passage.picture else ("text", passage.searched)
    caption = isinstance(encoder, CaptionEncoder) and passage.kind != "text"
    return "caption" if caption else "text", passage.searched


def _hash(side: str, content: str) -> int:
    """The first 64 bits of the content's sha256."""
    # No file's text holds half a character, but a passage that somebody made may.
    digest = hashlib.sha256(f"{side}\0{content}".encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:8], "little")


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
            if end < 0 or _checksum(file, end, footer) != CHECKSUM.unpack(data.read(CHECKSUM.size))[0]:
                raise RuntimeError("its bytes have changed since it was written")
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


def _report_from(report: Report, before: int, total: int, done: int) -> None:
    report("vectors", before + done, total)


def _line(error: BaseException) -> str:
    """FAISS's words without its C++: "Error in void faiss::f() at f.cpp:264: Error: read error" -> "read error"."""
    return re.sub(r"^Error in .* at \S+:\d+: (Error: )?", "", str(error).split("\n")[0])


class DenseRetriever:
    """A Retriever over an opened index; `passages` looks passages up in the catalogue by number."""

    def __init__(
        self,
        index: DenseIndex,
        encoder: Callable[[], DenseEncoder],
        passages: Callable[[Sequence[int]], dict[int, Passage]],
        change: Callable[[NDArray[np.float32]], NDArray[np.float32]] | None = None,
    ):
        """`change` makes of the unit vectors (n, d) of queries those that are searched with."""
        self._change = change
        self._encoded: tuple[tuple[str, ...], NDArray[np.float32]] | None = None  # the last queries: asked for twice
        self._index = index
        self._encoder = encoder
        self._passages = passages

    def search(self, queries: Sequence[str], k: int, within: Sequence[int] | None = None) -> list[list[Hit]]:
        """As Retriever.search; the score is the cosine of query and passage."""
        return self.search_vectors(self.encode(queries), k, within)

    def encode(self, queries: Sequence[str]) -> NDArray[np.float32]:
        """The unit-length vectors that `search` searches with: (len(queries), d)."""
        known = self._encoded
        if known is None or known[0] != tuple(queries):
            vectors = self._encoder().encode(queries)
            known = tuple(queries), vectors if self._change is None else self._change(vectors)
            self._encoded = known
        return known[1]

    def vectors(self, numbers: Sequence[int]) -> NDArray[np.float32]:
        """As DenseIndex.vectors: of the passages with these catalogue numbers, as far as they are indexed."""
        return self._index.vectors(numbers)

    def unit_vectors(self, numbers: Sequence[int]) -> NDArray[np.float32] | None:
        """As `vectors`, at unit length, which fp16 has changed a little; None where not all of them are indexed."""
        rows = self.vectors(numbers)
        if len(rows) != len(numbers):
            return None
        unit: NDArray[np.float32] = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)
        return unit

    def search_vectors(
        self, vectors: NDArray[np.float32], k: int, within: Sequence[int] | None = None
    ) -> list[list[Hit]]:
        """As `search`, a ranking for each row of `vectors`: (queries, d), unit length."""
        rankings = []
        for vector in vectors:
            found = self._index.search(vector, k, within)
            passages = self._passages([number for number, _ in found])
            # A passage removed since the index was written is in the index but not in the catalogue any more.
            present = [(score, passages[number]) for number, score in found if number in passages]
            present.sort(key=lambda entry: (-entry[0], entry[1].passage_id))
            rankings.append([Hit(rank, score, passage) for rank, (score, passage) in enumerate(present[:k], start=1)])
        return rankings
