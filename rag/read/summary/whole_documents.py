"""Which documents a summary is of: those of the scope, all of them where everything is asked for, or the main one."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from rag.library.catalogue import Library
from rag.read.compose.scope import Scope, main_document
from rag.read.summary.summarizer import WholeDocument
from rag.read.summary.telling import in_section
from rag.records import Hit, Passage

OF_ONE = 0.8  # of what a question finds: from there on it is about this one document
_ALL = r"(?:all|each|every(?: one)?)(?: of)?(?: (?:the|my|our|these|those))?"
_TEXTS = (
    r"(?:documents?|papers?|files?|pdfs?|cases?|judg(?:e)?ments?|episodes?|podcasts?|books?|articles?|reports?|texts?|"
    r"sources?|contracts?|transcripts?)"
)
EVERYTHING = re.compile(
    rf"\beverything\b|\b{_ALL} {_TEXTS}\b|\b(?:whole|entire) (?:library|collection|folder)\b", re.IGNORECASE
)
VectorsOf = Callable[[Sequence[int], Sequence[Passage]], NDArray[np.float32]]


def summarised(
    question: str,
    library: Library,
    scope: Scope | None,
    within: Sequence[int] | None,
    search: Callable[[], Sequence[Hit]],
) -> list[str]:
    """The ids of the documents that are to be summarised, best known first; [] where the question is about none.

    `within` are the catalogue numbers that may be read, None for all; `search` finds passages for the question.
    """
    if scope is not None:
        return [document.document_id for document in scope.documents]
    if EVERYTHING.search(question):
        names = [document_id for document_id, _, _ in library.names()]
        if within is None:
            return names
        held = {passage.document_id for passage in library.passages_numbered(within).values()}
        return [document_id for document_id in names if document_id in held]
    document, share = main_document(search())
    return [document] if share >= OF_ONE else []


def whole_documents(
    question: str,
    document_ids: Sequence[str],
    library: Library,
    vectors_of: VectorsOf,
    within: Sequence[int] | None = None,
) -> Iterator[WholeDocument]:
    """These documents, one after the other as they are needed: what a question asks of each, where it has text."""
    allowed = None if within is None else set(within)
    for document_id in document_ids:
        numbers = library.select([f"document_id={document_id}"]) or []
        kept = library.passages_numbered([n for n in numbers if allowed is None or n in allowed])
        passages = in_section(question, list(kept.values()))
        if passages:
            number_of = {passage.passage_id: number for number, passage in kept.items()}
            vectors = vectors_of([number_of[passage.passage_id] for passage in passages], passages)
            yield WholeDocument(passages[0].title, tuple(passages), vectors)
