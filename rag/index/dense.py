"""Dense retrieval: exact inner product over fp16 vectors in two files, a main one and a fresh one (dense_file.py).

What is added goes to the fresh file, which is written in the time that its few vectors take; when it has grown it is
merged into the main one. A passage that leaves is taken out of the file that has it, which is written again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rag.errors import LibraryError
from rag.index.stored.dense_file import DenseFile, line_of
from rag.protocols import CaptionEncoder, DenseEncoder, PictureEncoder, Report
from rag.records import Hit, Passage, Removal

MAIN, FRESH = "vectors.faiss", "fresh.faiss"
MERGE_SHARE, MERGE_MOST = 0.1, 20_000  # of the fresh file: of all vectors, and in vectors
PICTURES = 64  # read at a time, each a file of some 100 kB


def _no_picture(sha256: str) -> bytes:
    raise LibraryError(f"picture {sha256[:12]} is not in the library. Ingest its document again")


class DenseIndex:
    """The dense index in `folder` (a DerivedIndex): a passage's catalogue number and its vector.

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
        self._files: dict[str, DenseFile] = {}  # MAIN, FRESH; without those that have no vectors
        self.built_with = built_with

    def open(self) -> None:
        self._files = {}
        for name in (MAIN, FRESH):
            file = self._folder / name
            try:
                self._files[name] = DenseFile.read(file)
            except FileNotFoundError:
                continue
            except (RuntimeError, MemoryError) as error:  # a damaged size asks for all the memory there is
                self._files = {}
                raise LibraryError(
                    f"{file}: FAISS cannot read this index: {line_of(error)}. "
                    f"Rebuild it: glossator check --library {self._folder.parent} --repair"
                ) from error
        if len(self._files) == 2:  # killed between a merge and the end of the fresh file, both have the same vectors
            main, fresh = self._files[MAIN], self._files[FRESH]
            fresh.drop(np.isin(fresh.numbers(), main.numbers()))

    @property
    def count(self) -> int:
        return sum(file.count for file in self._files.values())

    def apply(self, removals: Sequence[Removal], passages: Iterable[tuple[int, Passage]], report: Report) -> None:
        """As DerivedIndex.apply. What has a vector already, also one that is removed here, is not encoded again."""
        numbered = list(passages)
        made = self.vectors_of([passage for _, passage in numbered], report) if numbered else None
        numbers = np.asarray([number for number, _ in numbered], dtype=np.int64)
        for file in self._files.values():
            held = file.numbers()
            gone = np.isin(held, numbers)
            for removal in removals:
                gone |= (held >= removal.first_number) & (held <= removal.last_number)
            file.drop(gone)
        if made is not None:
            vectors, hashes = made
            self._files.setdefault(FRESH, DenseFile(vectors.shape[1])).add(numbers, vectors, hashes)

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
        known = dict[int, NDArray[np.float32]]()
        for file in self._files.values():
            rows = np.flatnonzero(np.isin(file.hashes, hashes))
            for key, number in zip(file.hashes[rows].tolist(), file.numbers()[rows].tolist(), strict=True):
                if (vector := file.vector(number)) is not None:
                    known[key] = vector
        return known

    def commit(self) -> None:
        """As DerivedIndex.commit. Raises OSError (disk full)."""
        self._folder.mkdir(parents=True, exist_ok=True)
        fresh = self._files.get(FRESH)
        if fresh and fresh.count > min(MERGE_SHARE * self.count, MERGE_MOST):
            main = self._files.get(MAIN) or DenseFile(fresh.dimensions)
            main.add_all(fresh)
            self._files = {MAIN: main}
        for name, file in self._files.items():
            if file.is_changed:
                file.write(self._folder / name)
        if FRESH not in self._files:
            (self._folder / FRESH).unlink(missing_ok=True)

    def close(self) -> None:
        self._files = {}

    def search(
        self, vector: NDArray[np.float32], k: int, within: Sequence[int] | None = None
    ) -> list[tuple[int, float]]:
        """(number, inner product) of the k nearest, best first; and of all that tie with the last of them."""
        found = [entry for file in self._files.values() for entry in file.search(vector, k, within)]
        if len(self._files) > 1:
            found.sort(key=lambda entry: -entry[1])
        return [entry for entry in found if entry[1] >= found[min(k, len(found)) - 1][1]]

    def vectors(self, numbers: Sequence[int]) -> NDArray[np.float32]:
        """The vectors of those of these catalogue numbers that it holds, in their order: (at most len(numbers), d).

        As stored: fp16 has made a unit vector up to 0.05 % longer or shorter. Who needs its length scales it again.
        """
        rows = [row for number in numbers if (row := self._vector(number)) is not None]
        dimensions = next((file.dimensions for file in self._files.values()), 0)
        return np.asarray(rows, dtype=np.float32).reshape(len(rows), dimensions)

    def _vector(self, number: int) -> NDArray[np.float32] | None:
        found = (file.vector(number) for file in self._files.values())
        return next((vector for vector in found if vector is not None), None)


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


def _report_from(report: Report, before: int, total: int, done: int) -> None:
    report("vectors", before + done, total)


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
