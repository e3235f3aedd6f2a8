"""What scorers of precedents need besides whole sections: vectors and learned sparse impacts of passages, kept."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from eval.core.cache import RecordingReader, Replies
from eval.legal.precedent_ranking import Judgment
from rag.document import Document, Page
from rag.index.manager import Indexes
from rag.legal.casebook import NOTHING, Parts, nearest_of, trained_pooling, vectors_of
from rag.legal.concepts import Concepts
from rag.legal.precedents import DEFAULT, Scorer, Vectors
from rag.library.catalogue import Library
from rag.llm.open import open_reader
from rag.protocols import Report, silent
from rag.settings import ReaderSettings, Settings

# `--retriever` names a way to find passages; for cases, the best scorer of its kind on ECtHR's 221 cases (eval/log.md).
SCORER_OF: Mapping[str | None, Scorer] = {
    None: DEFAULT, "bm25": "bm25", "sparse": "sparse", "dense": "late", "hybrid": "hybrid"
}  # fmt: skip
INDEX_OF: Mapping[str | None, str] = {None: "sparse", "sparse": "sparse", "dense": "dense", "hybrid": "sparse"}


def open_parts(
    judgments: Sequence[Judgment], retriever: str | None, cache: Path, settings: Settings, report: Report = silent
) -> Parts:
    """The parts that `retriever` needs, over the passages of facts and law, made below `cache` if they are not there.

    Passages have no title there: it names the parties, and a query cites by these. What was encoded before an
    interruption is kept.
    """
    index = INDEX_OF.get(retriever)
    if index is None:
        return NOTHING
    indexes = Indexes(Library.open(cache / "precedents" / _digest(judgments, settings), create=True), settings)
    library = indexes.library
    present = {document.document_id for document in library.documents()}
    missing = [judgment for judgment in judgments if judgment.itemid not in present]
    with library.writing("glossator eval precedents"):
        for done, judgment in enumerate(missing, start=1):
            text = judgment.text
            document = Document(judgment.itemid, "legal", "", text, (Page(1, 0, len(text)),))
            passages = [replace(passage, title="") for passage in judgment.candidate.passages("both")]
            library.put(document, passages, f"/{judgment.itemid}", judgment.itemid, "facts and law")
            report("judgments", done, len(missing))
        with indexes.updating(report, [index]):
            pass
    if index == "dense":
        return Parts(vectors=_untitled(vectors_of(indexes, report)), pooling=trained_pooling(settings))
    return Parts(nearest={index: nearest_of(indexes, index, report)}, numbers=library.numbers_of)


def with_concepts(parts: Parts, cache: Path, reader: ReaderSettings) -> Parts:
    """The parts, and the reader's legal concepts, whose replies are kept below `cache`."""
    replies, opened = Replies(cache, reader), open_reader(reader)

    def concepts(text: str) -> tuple[str, ...]:
        recording = RecordingReader(opened, replies)
        found = Concepts(recording, reader.context_tokens)(text)
        recording.keep()
        return found

    return replace(parts, concepts=concepts)


def _untitled(vectors: Vectors) -> Vectors:
    return lambda passages: vectors([replace(passage, title="") for passage in passages])


def _digest(judgments: Sequence[Judgment], settings: Settings) -> str:
    """Of all that the passages and their indexes depend on."""
    digest = hashlib.sha256(
        json.dumps([settings.ingest.model_dump(), settings.dense.model_dump(), settings.sparse.model_dump()]).encode()
    )
    for judgment in judgments:
        digest.update(f"{judgment.itemid}:{len(judgment.text)}:{judgment.text}".encode("utf-8", "surrogatepass"))
    return digest.hexdigest()[:16]
