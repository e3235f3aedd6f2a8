"""Dense retrieval in FAISS: exact inner product over fp16 vectors, our numbers as ids so that passages can leave."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rag.errors import LibraryError
from rag.interfaces import DenseEncoder, Report
from rag.records import Hit, Passage, Removal

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

FILE = "vectors.faiss"


class DenseIndex:
    """The FAISS index in `folder` (a DerivedIndex): id = a passage's catalogue number, vector = its embedding.

    `encoder` is called when the first vector is needed, so that opening costs no model.
    """

    def __init__(self, folder: Path, encoder: Callable[[], DenseEncoder], built_with: str):
        self._folder = folder
        self._encoder = encoder
        self._index: Any = None  # None while there is no vector at all
        self.built_with = built_with

    def open(self) -> None:
        import faiss

        file = self._folder / FILE
        self._index = None
        if file.is_file():
            try:
                self._index = faiss.read_index(str(file))
            except (RuntimeError, MemoryError) as error:  # a damaged size asks for all the memory there is
                raise LibraryError(
                    f"{file}: FAISS cannot read this index: {_line(error)}. "
                    f"Make it anew: glossator check --library {self._folder.parent} --repair"
                ) from error

    @property
    def count(self) -> int:
        return int(self._index.ntotal) if self._index is not None else 0

    def apply(self, removals: Sequence[Removal], passages: Iterable[tuple[int, Passage]], report: Report) -> None:
        import faiss
        import numpy as np

        if self._index is not None:
            for removal in removals:
                self._index.remove_ids(faiss.IDSelectorRange(removal.first_number, removal.last_number + 1))
        numbered = list(passages)
        if not numbered:
            return
        texts = [f"{passage.title}\n{passage.text}" for _, passage in numbered]
        vectors = self._encoder().encode(texts, lambda done: report("vectors", done, len(texts)))
        if self._index is None:
            self._index = faiss.IndexIDMap2(
                faiss.IndexScalarQuantizer(vectors.shape[1], faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT)
            )
        numbers = np.asarray([number for number, _ in numbered], dtype=np.int64)
        self._index.remove_ids(faiss.IDSelectorBatch(numbers))
        self._index.add_with_ids(vectors, numbers)

    def commit(self) -> None:
        import faiss

        self._folder.mkdir(parents=True, exist_ok=True)
        if self._index is None:
            return
        # Written beside the old one and renamed over it, so that a kill leaves one or the other.
        fresh = self._folder / f"{FILE}.new"
        try:
            faiss.write_index(self._index, str(fresh))
        except RuntimeError as error:
            fresh.unlink(missing_ok=True)
            raise OSError(f"{fresh}: {_line(error)}") from error
        os.replace(fresh, self._folder / FILE)

    def close(self) -> None:
        self._index = None

    def search(
        self, vector: NDArray[np.float32], k: int, within: Sequence[int] | None = None
    ) -> list[tuple[int, float]]:
        """(number, inner product) of the k nearest, best first; and of all that tie with the last of them."""
        import faiss
        import numpy as np

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
        import numpy as np

        rows = []
        for number in numbers if self.count else ():
            with suppress(RuntimeError):  # FAISS's way to say that it has no such id
                rows.append(self._index.reconstruct(int(number)))
        return np.asarray(rows, dtype=np.float32).reshape(len(rows), self._index.d if self._index else 0)


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
    ):
        self._index = index
        self._encoder = encoder
        self._passages = passages

    def search(self, queries: Sequence[str], k: int, within: Sequence[int] | None = None) -> list[list[Hit]]:
        """As Retriever.search; the score is the cosine of query and passage."""
        return self.search_vectors(self.encode(queries), k, within)

    def encode(self, queries: Sequence[str]) -> NDArray[np.float32]:
        """The unit-length vectors that `search` searches with: (len(queries), d)."""
        return self._encoder().encode(queries)

    def vectors(self, numbers: Sequence[int]) -> NDArray[np.float32]:
        """As DenseIndex.vectors: of the passages with these catalogue numbers, as far as they are indexed."""
        return self._index.vectors(numbers)

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
