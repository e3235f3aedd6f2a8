"""Reranking: a slower and closer look at the best passages of a first stage."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from rag.errors import ModelError, not_loaded
from rag.protocols import Retriever
from rag.records import Hit, Passage


class Reranker(Protocol):
    def score(self, query: str, passages: Sequence[Passage]) -> list[float]:
        """One finite score a passage, in order, higher is better; comparable within one query only."""
        ...


class RerankingRetriever:
    """The `first` retriever, its best `depth` passages put in the order of the reranker's scores."""

    def __init__(self, first: Retriever, reranker: Reranker, depth: int = 20):
        self._first = first
        self._reranker = reranker
        self._depth = depth

    def search(self, queries: Sequence[str], k: int, within: Sequence[int] | None = None) -> list[list[Hit]]:
        """As Retriever.search, but passages that the reranker scores alike stay in the first stage's order.

        The best `depth` have the reranker's scores. The others follow as they were, each as far below the lowest of
        these as it was below the first stage's last reranked passage: so scores never rise on the way down.
        """
        rankings = self._first.search(queries, max(k, self._depth), within)
        return [self._reranked(query, hits)[:k] for query, hits in zip(queries, rankings, strict=True)]

    def _reranked(self, query: str, hits: Sequence[Hit]) -> list[Hit]:
        best, rest = hits[: self._depth], hits[self._depth :]
        if not best:
            return list(rest)
        scores = self._reranker.score(query, [hit.passage for hit in best])
        scored = sorted(zip(scores, best, strict=True), key=lambda entry: (-entry[0], entry[1].rank))
        lowest, edge = scored[-1][0], best[-1].score
        scored += [(lowest - (edge - hit.score), hit) for hit in rest]
        return [Hit(rank, score, hit.passage) for rank, (score, hit) in enumerate(scored, start=1)]


class CrossEncoderReranker:
    """A transformers model that reads query and passage together and gives one logit: the score, without limits.

    `model` is a hub id or a folder. What is longer than `max_tokens` is cut at the passage's end; only a query of more
    than half of them is cut too. Raises ModelError for a model that cannot be loaded, or has another number of outputs.
    """

    def __init__(self, model: Path | str, max_tokens: int = 512, batch_size: int = 16):
        import torch
        from transformers import AutoModelForSequenceClassification, AutoTokenizer
        from transformers.utils import logging

        logging.disable_progress_bar()
        self._torch = torch
        self._batch_size = batch_size
        try:
            self._tokenizer: Any = AutoTokenizer.from_pretrained(model)
            # Full precision: bf16 keeps 8 bits of a logit, too few to tell neighbours apart.
            loaded = AutoModelForSequenceClassification.from_pretrained(model, dtype=torch.float32)
            self._model: Any = loaded.eval()
        except Exception as error:  # transformers and the hub raise many kinds; all mean that it cannot be loaded
            remedy = "Name a cross-encoder with one output: a hub id or folder that transformers can load"
            raise not_loaded(f"reranker {model}", error, remedy) from error
        if self._model.config.num_labels != 1:
            raise ModelError(
                f"reranker {model} has {self._model.config.num_labels} outputs, a cross-encoder has one. "
                "Name one made for ranking: a hub id or folder that transformers can load"
            )
        longest = getattr(self._model.config, "max_position_embeddings", max_tokens)
        self._max_tokens = min(max_tokens, longest, self._tokenizer.model_max_length)

    def score(self, query: str, passages: Sequence[Passage]) -> list[float]:
        """As Reranker.score. A passage is read with its title, as the dense encoder reads it."""
        texts = [passage.searched for passage in passages]
        long_query = len(self._tokenizer(query)["input_ids"]) > self._max_tokens // 2
        scores = [0.0] * len(texts)
        # Texts of like length share a batch, so little is padded.
        order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
        for first in range(0, len(order), self._batch_size):
            batch = order[first : first + self._batch_size]
            inputs = self._tokenizer(
                [query] * len(batch),
                [texts[i] for i in batch],
                padding=True,
                truncation="longest_first" if long_query else "only_second",
                max_length=self._max_tokens,
                return_tensors="pt",
            )
            with self._torch.inference_mode():
                logits = self._model(**inputs).logits[:, 0]  # (batch, 1)
            for i, logit in zip(batch, logits.tolist(), strict=True):
                scores[i] = logit
        return scores
