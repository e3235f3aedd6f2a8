"""The parts that a question passes through, wired as the settings say."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from rag.concepts.steering import Steering
from rag.errors import MissingWeights, UsageError
from rag.index.dense import DenseRetriever
from rag.index.manager import Indexes
from rag.library.catalogue import Library
from rag.library.kept.corrections import Corrections
from rag.llm.chat import ChatModel, NoReader
from rag.llm.open import open_reader
from rag.protocols import DenseEncoder, Report, Retriever, silent
from rag.read.cite import Locate
from rag.read.corrected.near_corrections import Near, nearest
from rag.read.entailment import open_judge
from rag.read.rules.base import Rule
from rag.read.rules.open_rules import open_rules
from rag.records import Passage
from rag.search import UNSTEERED, open_retriever
from rag.settings import Settings
from rag.span.span_model import SpanModel, shared_span_model

EXTRACT = "extract"  # the answering strategy of the reading model alone


@dataclass(frozen=True, slots=True)
class Pipeline:
    """The parts that a question passes through, wired by `build_pipeline`."""

    retriever: Retriever
    reader: ChatModel
    locate: Locate  # where a quote stands
    searched: str  # what an abstaining answer says was searched: "12 documents, 1,571 passages"
    settings: Settings
    picture: Callable[[str], bytes] | None = None  # a picture's PNG by its sha256; None: the reader sees none
    encoder: Callable[[], DenseEncoder] | None = None  # opened when sentences are compared by meaning
    judge: Callable[[Sequence[str], Sequence[str]], Sequence[float]] | None = None  # None: the reader judges itself
    rules: Sequence[Rule] = ()  # those that propose answers, in their order
    library: Library | None = None  # for summaries of whole documents
    vectors_of: Callable[[Sequence[int], Sequence[Passage]], NDArray[np.float32]] | None = None  # unit vectors (n, d)
    span_model: Callable[[], SpanModel] | None = None  # the reading model, opened when it is asked; None: there is none
    corrections: Callable[[str], Sequence[Near]] | None = None  # those near a question; None: nobody's
    markers: bool = False  # the reader is asked to write [n] behind its sentences: large ones can


def build_pipeline(
    indexes: Indexes, retriever: str | None = None, report: Report = silent, strategy: str = "",
    steering: Steering = UNSTEERED, owner: str | None = None,
) -> Pipeline:  # fmt: skip
    """Wire the parts as the settings say; for the strategy "extract" no language model is opened.

    With `steering` passages are found with less of some concepts and more of others. The corrections of `owner` ("" is
    who has no name) are used; None: nobody's, as benchmarks want it.

    Raises RagError for a part that cannot be opened.
    """
    settings = indexes.settings
    documents, passages = indexes.library.size()
    searched = f"{documents} document{'s'[: documents != 1]}, {passages:,} passages"
    span_model = settings.extract.model
    reader = NoReader(span_model) if strategy == EXTRACT else _reader(settings)
    return Pipeline(
        open_retriever(indexes, retriever or settings.retrieve.retriever, report, steering),
        reader,
        indexes.library.locate,
        searched,
        settings,
        indexes.library.picture if reader.sees else None,
        indexes.encoder,
        open_judge(settings.reader.judge) if settings.reader.judge else None,
        open_rules(settings.reader.rules, indexes.library),
        indexes.library,
        partial(passage_vectors, indexes),
        partial(shared_span_model, span_model) if span_model else None,
        None if owner is None else partial(_near_corrections, indexes, owner),
        reader.file is None and reader.weights is None,
    )


def _reader(settings: Settings) -> ChatModel:
    try:
        return open_reader(settings.reader)
    except MissingWeights as error:
        alone = (
            "; or ask without it: --reader extract (on the page: Answer style, Mark only)"
            if settings.extract.model
            else ""
        )
        raise MissingWeights(f"{error}{alone}") from error


def _near_corrections(indexes: Indexes, owner: str, question: str) -> Sequence[Near]:
    kept = Corrections(indexes.library.folder).listed(owner)
    return nearest(question, kept, indexes.encode) if kept else ()


def reader_name(strategy: str, settings: Settings) -> str:
    """The model that answers by a strategy."""
    return settings.extract.model if strategy == EXTRACT else settings.reader.model


def passage_vectors(indexes: Indexes, numbers: Sequence[int], passages: Sequence[Passage]) -> NDArray[np.float32]:
    """The unit vectors (n, d) of passages by their catalogue numbers, as the dense index has them; or made now."""
    dense = indexes.retriever("dense")
    assert isinstance(dense, DenseRetriever)
    rows = dense.unit_vectors(numbers)
    return indexes.encode([passage.searched for passage in passages]) if rows is None else rows


def check_question(question: str, k: int, settings: Settings) -> str:
    """The question, stripped; UsageError for an empty or endless one, or k below 1."""
    # an argument may hold bytes that are no text (a terminal in another encoding)
    question = re.sub("[\ud800-\udfff]", "\N{REPLACEMENT CHARACTER}", question).strip()
    longest = settings.retrieve.max_query_characters
    if not question:
        raise UsageError("the question is empty. Write what you want to know")
    if len(question) > longest:
        raise UsageError(
            f"the question has {len(question):,} characters, at most {longest:,} are read. "
            "Shorten it, or ingest the long text as a document and ask about it"
        )
    if k < 1:
        raise UsageError(f"-k {k}: ask for at least 1 passage")
    return question
