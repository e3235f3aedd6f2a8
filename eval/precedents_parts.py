"""What scorers of precedents need besides whole sections: vectors and learned sparse impacts of passages, kept."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from eval.chapter_queries import Remembered
from eval.precedents import Judgment
from rag.indexes import Indexes
from rag.interfaces import Report, Retriever, silent
from rag.library import Library
from rag.records import Document, Page, Passage
from rag.retrieve.dense import DenseRetriever
from rag.retrieve.precedents import DEFAULT, Scorer, Vectors
from rag.settings import Settings

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# What `--retriever` says of passages, said of cases: the best of its kind on ECtHR's 221 cases (eval/log.md).
SCORER_OF: Mapping[str | None, Scorer] = {
    None: DEFAULT, "bm25": "bm25", "sparse": "sparse", "dense": "late", "hybrid": "interpolated"
}  # fmt: skip
INDEX_OF: Mapping[str | None, str] = {"sparse": "sparse", "dense": "dense", "hybrid": "dense"}


@dataclass(frozen=True, slots=True)
class Parts:
    """As eval.precedents.run takes them."""

    vectors: Vectors | None = None
    retrievers: Mapping[str, Retriever] = field(default_factory=dict)
    numbers: Callable[[Sequence[str]], dict[str, int]] | None = None


def open_parts(
    judgments: Sequence[Judgment], retriever: str | None, cache: Path, settings: Settings, report: Report = silent
) -> Parts:
    """The parts that `retriever` needs, over the passages of facts and law, made below `cache` if they are not there.

    Passages have no title there: it names the parties, and a query cites by these. What was encoded before an
    interruption is kept.
    """
    index = INDEX_OF.get(retriever)
    if index is None:
        return Parts()
    indexes = Indexes(Library.open(cache / "precedents" / _digest(judgments, settings), create=True), settings)
    library = indexes.library
    there = {document.document_id for document in library.documents()}
    missing = [judgment for judgment in judgments if judgment.itemid not in there]
    with library.writing("glossator eval precedents"):
        for done, judgment in enumerate(missing, start=1):
            text = judgment.text
            document = Document(judgment.itemid, "legal", "", text, (Page(1, 0, len(text)),))
            passages = [replace(passage, title="") for passage in judgment.candidate.passages("both")]
            library.put(document, passages, f"/{judgment.itemid}", judgment.itemid, "facts and law")
            report("judgments", done, len(missing))
        with indexes.updating(report, [index]):
            pass
    searching = indexes.retriever(index, report)
    if isinstance(searching, DenseRetriever):
        return Parts(vectors=_vectors(searching, indexes))
    return Parts(retrievers={index: searching}, numbers=library.numbers_of)


def _vectors(dense: DenseRetriever, indexes: Indexes) -> Vectors:
    """Those of the index; a text that is not in it, such as a query without its citations, is encoded once."""
    numbers = {passage.searched: number for number, passage in indexes.library.passages_since(0)}
    encoder = Remembered(indexes.encoder())

    def vectors(passages: Sequence[Passage]) -> NDArray[np.float32]:
        import numpy as np

        texts = [replace(passage, title="").searched for passage in passages]
        known = [text for text in texts if text in numbers]
        fresh = [text for text in texts if text not in numbers]
        found = dict(zip(known, dense.vectors([numbers[text] for text in known]), strict=True))
        if fresh:
            found |= zip(fresh, encoder.encode(fresh), strict=True)
        rows = np.stack([found[text] for text in texts])
        unit: NDArray[np.float32] = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)  # fp16
        return unit

    return vectors


def _digest(judgments: Sequence[Judgment], settings: Settings) -> str:
    """Of all that the passages and their indexes depend on."""
    digest = hashlib.sha256(
        json.dumps([settings.ingest.model_dump(), settings.dense.model_dump(), settings.sparse.model_dump()]).encode()
    )
    for judgment in judgments:
        digest.update(f"{judgment.itemid}:{len(judgment.text)}:{judgment.text}".encode("utf-8", "surrogatepass"))
    return digest.hexdigest()[:16]
