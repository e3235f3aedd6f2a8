"""The whole road from a question to its cited answer as a LangChain Runnable.

road = GlossatorRunnable.from_library("library", retrieve_k=8)
road.invoke("Who may appeal?")["answer"]
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from langchain_core.messages import BaseMessage
from langchain_core.runnables import RunnableConfig, RunnableSerializable
from pydantic import ConfigDict, PrivateAttr, SkipValidation

from rag.answer import ask
from rag.chains.langchain_retriever import as_document
from rag.errors import UsageError
from rag.index.manager import Indexes
from rag.library.catalogue import Library
from rag.locator import locator_json
from rag.pipeline import build_pipeline, check_question
from rag.read.cite import MARKER
from rag.read.compose.scope import Scopes
from rag.read.compose.style import AUTO, style_for
from rag.read.compose.understand import PastTurn, understand
from rag.records import Answer
from rag.settings import settings_of


class GlossatorRunnable(RunnableSerializable[str | dict[str, Any], dict[str, Any]]):
    """A question in, its answer out, as LangChain's retrieval chains have it.

    In: the question, or {"input": question, "chat_history": messages}. Out: {"input", "answer", "context": the passages
    as Documents, "citations": [{"marker", "quote", "document_id", "title", "place", "start", "end", ...}], "abstained",
    "probability", "support"}. Raises UsageError for an empty question, and RagError for a part that cannot be opened.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)

    indexes: SkipValidation[Indexes]
    strategy: str = "notes"  # or quotes, direct, extract
    style: str = AUTO
    filters: Sequence[str] = ()  # FIELD=VALUE, as of the command line
    k: int | None = None
    _scopes: Scopes = PrivateAttr()

    def model_post_init(self, context: Any, /) -> None:
        self._scopes = Scopes(self.indexes.library)

    @classmethod
    def from_library(
        cls, folder: str | Path, *, strategy: str = "notes", style: str = AUTO, filters: Sequence[str] = (),
        k: int | None = None, **settings: Any,
    ) -> GlossatorRunnable:  # fmt: skip
        """Over the library in a folder, with settings as keywords: section_key=value, such as reader_model="...".

        Raises LibraryError where there is no library, UsageError for a setting that there is not.
        """
        chosen = settings_of(**settings)
        indexes = Indexes(
            Library.open(Path(folder), shared=chosen.library.catalogue, files=chosen.library.files), chosen
        )
        return cls(indexes=indexes, strategy=strategy, style=style, filters=tuple(filters), k=k)

    def invoke(
        self, input: str | dict[str, Any], config: RunnableConfig | None = None, **kwargs: Any
    ) -> dict[str, Any]:  # fmt: skip
        return self._call_with_config(self._answer, input, config, **kwargs)

    def _answer(self, given: str | dict[str, Any]) -> dict[str, Any]:
        question, turns = _asked(given)
        settings = self.indexes.settings
        k = self.k or settings.retrieve.k
        question = check_question(question, k, settings)
        within = self.indexes.library.select(self.filters)
        pipeline = build_pipeline(self.indexes, strategy=self.strategy)
        understood = understand(question, turns, pipeline.reader, self._scopes, pipeline.retriever)
        style = style_for(question, self.style, understood.question) if self.strategy != "extract" else "short"
        *_, answer = ask(
            understood.question, pipeline, k, within, self.strategy, style, understood.scope, understood.searched
        )
        assert isinstance(answer, Answer)
        return _chained(question, answer)


def _asked(given: str | dict[str, Any]) -> tuple[str, list[PastTurn]]:
    """The question, and the turns before it. Raises UsageError for what holds none."""
    if isinstance(given, str):
        return given, []
    question, history = given.get("input", given.get("question")), given.get("chat_history", ())
    if not isinstance(question, str):
        raise UsageError('the input is a question, or {"input": question, "chat_history": messages}')
    said: list[tuple[str, str]] = []
    for message in history:
        role, text = (message.type, message.text) if isinstance(message, BaseMessage) else message
        said.append((str(role), str(text)))
    turns = [
        PastTurn(text, MARKER.sub("", reply)) for (role, text), (following, reply) in pairwise(said)
        if role in ("human", "user") and following in ("ai", "assistant")
    ]  # fmt: skip
    return question, turns


def _chained(question: str, answer: Answer) -> dict[str, Any]:
    citations = [
        {
            "marker": each.marker, "quote": each.quote, "document_id": each.document_id, "title": each.title,
            "place": each.locator.label(), "start": each.start, "end": each.end, **locator_json(each.locator),
        }
        for each in answer.citations
    ]  # fmt: skip
    return {
        "input": question, "answer": answer.answer, "context": [as_document(hit) for hit in answer.evidence],
        "citations": citations, "abstained": answer.abstained, "probability": answer.probability,
        "support": answer.support,
    }  # fmt: skip
