"""Which retriever the settings ask for: one index alone, or all of them fused and refined (hybrid)."""

from __future__ import annotations

from functools import cache

from rag.attribute.rerankers import AttributionReranker, ReaderReranker
from rag.errors import UsageError
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


def open_retriever(indexes: Indexes, name: str, report: Report = silent) -> Retriever:
    """The retriever bm25, sparse, dense or hybrid over the newest state of the indexes that it needs.

    A stale or damaged index is brought up to date first, unless another process is writing. Raises UsageError for
    another name, IndexMismatch, and LibraryError for an index that cannot be repaired.
    """
    if name != "hybrid":
        return indexes.retriever(name, report)
    return _hybrid(indexes) if indexes.prepare(name, report) else NothingIndexed()


def _hybrid(indexes: Indexes) -> Retriever:
    """All retrievers fused, with what the settings put before and behind that."""
    library, settings, experimental = indexes.library, indexes.settings.retrieve, indexes.settings.experimental
    weights = {"bm25": settings.bm25_weight, "sparse": settings.sparse_weight, "dense": settings.dense_weight}
    if not sum(weights.values()):
        raise UsageError("settings: retrieve.bm25_weight, sparse_weight and dense_weight are all 0: raise one")
    bm25, sparse, dense = indexes.bm25(explain=False), indexes.sparse(explain=False), indexes.dense()
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
