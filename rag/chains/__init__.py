"""What LangChain gets: a retriever, and the whole road from a question to its cited answer."""

from rag.chains.langchain_retriever import LangChainRetriever
from rag.chains.langchain_runnable import GlossatorRunnable

__all__ = ["GlossatorRunnable", "LangChainRetriever"]
