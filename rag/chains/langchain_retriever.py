"""Any of our retrievers as a LangChain BaseRetriever, for whoever builds a chain of their own."""

from __future__ import annotations

from langchain_core.callbacks import CallbackManagerForRetrieverRun
from langchain_core.documents import Document
from langchain_core.retrievers import BaseRetriever
from pydantic import ConfigDict, SkipValidation

from rag.protocols import Retriever
from rag.records import Hit


class LangChainRetriever(BaseRetriever):
    """`LangChainRetriever(retriever=ours, k=5).invoke("question")` gives LangChain documents, best first.

    A document's id is the passage's; its metadata holds rank, score, document_id, title, path, pages and offsets.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)

    retriever: SkipValidation[Retriever]  # a protocol, which pydantic cannot check
    k: int = 5

    def _get_relevant_documents(self, query: str, *, run_manager: CallbackManagerForRetrieverRun) -> list[Document]:
        return [as_document(hit) for hit in self.retriever.search([query], self.k)[0]]


def as_document(hit: Hit) -> Document:
    """A passage as LangChain has it."""
    passage = hit.passage
    fields = ("document_id", "title", "path", "kind", "start", "end")
    metadata = {"rank": hit.rank, "score": hit.score} | {field: getattr(passage, field) for field in fields}
    metadata |= passage.locator.to_json()
    return Document(id=passage.passage_id, page_content=passage.text, metadata=metadata)
