"""A library's embedded indexes into Milvus: vectors are copied, nothing is encoded again; what was cut off goes on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rag.errors import LibraryError
from rag.index.manager import MILVUS, Built, Indexes
from rag.index.milvus import BATCH, MilvusIndex
from rag.protocols import Report, silent
from rag.settings import LibrarySettings

SAMPLE = 200  # passages whose vectors are compared at the end


@dataclass(frozen=True, slots=True)
class Moved:
    """What was copied: passages in all, and those that were there already."""

    passages: int
    before: int


def copy_to_milvus(indexes: Indexes, uri: str, report: Report = silent) -> Moved:
    """Copy all passages of a library, by the embedded indexes of `indexes`, to Milvus at `uri`, and compare.

    The embedded indexes stay. From then on `library.engine = "milvus"` and this `library.uri` search there. Raises
    LibraryError where Milvus does not answer, or has other vectors in the end; UsageError as Indexes.prepare.
    """
    settings = indexes.settings.model_copy(update={"library": LibrarySettings(engine="milvus", uri=uri)})
    target, library = Indexes(indexes.library, settings), indexes.library
    indexes.prepare("hybrid", report)
    dense, sparse = indexes.dense(), indexes.sparse()
    with library.writing("glossator move"):
        index = target.index(MILVUS)
        assert isinstance(index, MilvusIndex)
        index.open()
        try:
            numbers, before = library.numbers(), 0
            for first in range(0, len(numbers), BATCH):
                batch = numbers[first : first + BATCH]
                present = set(index.rows(batch, ["passage_id"]))
                wanted = [number for number in batch if number not in present]
                before += len(present)
                if wanted:
                    passages = library.passages_numbered(wanted)
                    vectors = [sparse.index.vector(number) for number in wanted]
                    tokens = [sorted(sparse.index.words(number)) for number in wanted]
                    unit = dense.unit_vectors(wanted)
                    if unit is None:
                        raise LibraryError(f"{library.folder}: passages are not indexed. Run: glossator check --repair")
                    index.put([(number, passages[number]) for number in wanted], unit, vectors, tokens)
                    index.commit()
                report("passages", first + len(batch), len(numbers))
            _compare(indexes, index, numbers)
            target.record(MILVUS, Built(library.generation, index.built_with, index.count))
        finally:
            index.close()
    return Moved(len(numbers), before)


def _compare(indexes: Indexes, index: MilvusIndex, numbers: list[int]) -> None:
    """LibraryError unless Milvus has as many rows, and the vectors of a sample of them."""
    if index.count != len(numbers):
        raise LibraryError(f"Milvus has {index.count:,} rows for {len(numbers):,} passages. Run the command again")
    sample = numbers[:: max(1, len(numbers) // SAMPLE)]
    ours, theirs = indexes.dense().unit_vectors(sample), index.dense.vectors(sample)
    if ours is None or ours.shape != theirs.shape or (np.abs(ours - theirs) > 1e-3).any():
        raise LibraryError("Milvus has other vectors than the library. Empty its collection, and run the command again")
