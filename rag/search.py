"""Which retriever the settings ask for: one index alone, or all of them fused and refined (hybrid)."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from rag.attribute.rerankers import AttributionReranker, ReaderReranker
from rag.concepts.concept_index import open_concepts
from rag.concepts.explained_meaning import ConceptRetriever
from rag.concepts.steering import SteeredRetriever, Steering, steered
from rag.errors import UsageError
from rag.index.dense import DenseRetriever
from rag.index.manager import Indexes, NothingIndexed
from rag.llm.open import open_reader
from rag.protocols import PictureEncoder, Report, Retriever, silent
from rag.retrieve.feedback import FeedbackRetriever
from rag.retrieve.fuse import HybridRetriever
from rag.retrieve.rerank import CrossEncoderReranker, Reranker, RerankingRetriever
from rag.retrieve.sampler import SamplingRetriever
from rag.retrieve.second_hop import LinkedRetriever
from rag.retrieve.shared_names import SharedNamesRetriever
from rag.retrieve.term_scores import ExplainedRetriever
from rag.settings import ReaderSettings

UNSTEERED = Steering()


def open_retriever(indexes: Indexes, name: str, report: Report = silent, steering: Steering = UNSTEERED) -> Retriever:
    """The retriever bm25, sparse, dense or hybrid over the newest state of the indexes that it needs.

    A stale or damaged index is brought up to date first, unless another process is writing. Hits say which concepts
    their meaning comes from, where the library has them; `steering` mutes and boosts some. Raises UsageError for
    another name, or concepts that there are not, IndexMismatch, and LibraryError for an index that cannot be repaired.
    """
    if not steering and name not in ("dense", "hybrid"):
        return indexes.retriever(name, report)
    if not indexes.prepare(name, report):
        return NothingIndexed()
    concepts = open_concepts(indexes)
    mute, boost = steering.found_in(concepts) if steering else ([], [])

    def change(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        return steered(vectors, concepts, mute, boost) if concepts else vectors

    numbers_of = indexes.library.numbers_of
    dense = indexes.dense(change if steering else None) if name in ("dense", "hybrid") else None
    first: Retriever
    if dense is None:
        first = indexes.retriever(name, report)
    elif name == "dense":
        first = dense
    else:
        first = _hybrid(indexes, dense)
    if concepts is not None and steering:
        first = SteeredRetriever(first, concepts, mute, boost, numbers_of)
    if concepts is not None and dense is not None:
        first = ConceptRetriever(first, concepts, dense.encode, dense.vectors, numbers_of)
    return first


def _hybrid(indexes: Indexes, dense: DenseRetriever) -> Retriever:
    """All retrievers fused, with what the settings put before and behind that."""
    library, settings, experimental = indexes.library, indexes.settings.retrieve, indexes.settings.experimental
    weights = {"bm25": settings.bm25_weight, "sparse": settings.sparse_weight, "dense": settings.dense_weight}
    if not sum(weights.values()):
        raise UsageError("settings: retrieve.bm25_weight, sparse_weight and dense_weight are all 0: raise one")
    bm25, sparse = indexes.bm25(explain=False), indexes.sparse(explain=False)
    parts: dict[str, Retriever] = {"bm25": bm25, "sparse": sparse, "dense": dense}
    fusion = settings.fusion_depth, weights, experimental.fusion, experimental.rank_constant
    first: Retriever = HybridRetriever(parts, *fusion)
    if experimental.feedback != "none":
        words = HybridRetriever({"bm25": bm25, "sparse": sparse}, *fusion)
        first = FeedbackRetriever(
            dense,
            words,
            library.numbers_of,
            experimental.feedback,
            interpolation=experimental.feedback_interpolation,
            sparse_weight=1 - weights["dense"] / sum(weights.values()),
            fusion_depth=settings.fusion_depth,
        )
    if settings.links:
        first = SharedNamesRetriever(LinkedRetriever(first, library, sparse), bm25, sparse)
    if experimental.rerank_model:
        reranker = _open_reranker(experimental.rerank_model, indexes.settings.reader)
        first = RerankingRetriever(first, reranker, experimental.rerank_depth)
    first = SamplingRetriever(
        first,
        settings.fusion_depth,
        library.labelled,
        library.numbers_of,
        lambda: isinstance(indexes.encoder(), PictureEncoder),
    )
    return ExplainedRetriever(first, {"bm25": bm25, "sparse": sparse})


@cache
def _open_reranker(model: str, reader: ReaderSettings) -> Reranker:
    """The reranker of `experimental.rerank_model`, loaded once in this process."""
    if model == "reader":
        return ReaderReranker(open_reader(reader))
    if model == "attribution":
        return AttributionReranker(open_reader(reader), reader)
    return CrossEncoderReranker(model)
