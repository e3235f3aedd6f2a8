"""Queries without a model: a query's tokens, each with its idf from a table (inference-free learned sparse retrieval).

Geng, Wang, Ru and Yang, arXiv 2411.04403. Of the library tokenizers alone: neither torch nor transformers is imported.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from safetensors.numpy import load_file
from tokenizers import Tokenizer

from rag.errors import ModelError, not_loaded
from rag.protocols import SparseVector

CHANGES = "queries.safetensors"  # beside a trained encoder's files, where the idf was trained: ln of what each is times


def idf(document_frequency: ArrayLike, documents: int) -> NDArray[np.float32]:
    """BM25's ln(1 + (N - df + 0.5) / (df + 0.5)), in the shape of `document_frequency`; what df = 0 gets is the most.

    >>> [f"{weight:.3f}" for weight in idf([0, 1, 2], documents=2)]
    ['1.792', '0.693', '0.182']
    """
    df = np.asarray(document_frequency, dtype=np.float64)
    return np.log1p((documents - df + 0.5) / (df + 0.5)).astype(np.float32)


def idf_of(texts: Sequence[Sequence[int]], dimensions: int) -> NDArray[np.float32]:
    """(dimensions,): the idf of each term id in these texts, each given by its unique ids as `token_ids` gives them."""
    df = np.zeros(dimensions, dtype=np.int64)
    for ids in texts:
        df[ids] += 1
    return idf(df, len(texts))


class Vocabulary:
    """The terms of a tokenizer (of the library tokenizers: neither torch nor transformers is imported for it)."""

    def __init__(self, tokenizer: Any, special: Iterable[int]):
        tokenizer.no_truncation()
        tokenizer.no_padding()
        self._tokenizer = tokenizer
        self.special = frozenset(special)
        self.dimensions = int(tokenizer.get_vocab_size(with_added_tokens=True))

    def token_ids(self, texts: Sequence[str]) -> list[list[int]]:
        """Each text's own tokens, unique and ascending, without special ones: what document frequencies count.

        Whole texts, not cut.
        """
        encodings = self._tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)
        return [sorted(set(encoding.ids) - self.special) for encoding in encodings]

    def term(self, term_id: int) -> str:
        """The token as people read it; "##" marks a WordPiece that continues a word."""
        readable = self._tokenizer.decode([term_id], skip_special_tokens=False).strip()
        return readable or self._tokenizer.id_to_token(term_id) or f"[{term_id}]"


def tokenizer_of(folder: Path | str) -> tuple[Any, list[int]]:
    """The tokenizer of a folder with tokenizer.json, or of a hub id, and its special ids. Raises ModelError."""
    file = Path(folder, "tokenizer.json")
    try:
        tokenizer = Tokenizer.from_file(str(file)) if file.is_file() else Tokenizer.from_pretrained(str(folder))
    except Exception as error:  # tokenizers raises Exception itself
        raise cannot_load(folder, error) from error
    added = tokenizer.get_added_tokens_decoder().items()
    return tokenizer, [term_id for term_id, token in added if token.special]


class InferenceFreeQuery(Vocabulary):
    """A query's unique tokens, each with its idf from a fixed table: no model (Geng et al., arXiv 2411.04403)."""

    def __init__(self, folder: Path | str, idf: NDArray[np.float32]):
        """`folder` (or a hub id) holds tokenizer.json; `idf`, (terms,), has the weight of each term id. Raises
        ModelError."""
        super().__init__(*tokenizer_of(folder))
        # A model may have room for more terms than its tokenizer knows.
        if idf.ndim != 1 or len(idf) < self.dimensions or not (np.isfinite(idf) & (idf >= 0)).all():
            raise ModelError(
                f"the idf table for {folder} has {idf.size} weights for {self.dimensions} terms, or wrong ones: "
                "it belongs to another tokenizer. Count document frequencies again, by rebuilding the index"
            )
        self._table = idf * _changes(Path(folder, CHANGES), len(idf))

    def encode_queries(self, texts: Sequence[str]) -> list[SparseVector]:
        """One vector per text, in order; an empty one for an empty text."""
        vectors = []
        for ids in self.token_ids(texts):
            terms = np.asarray(ids, dtype=np.int32)
            terms = terms[self._table[terms] > 0]
            vectors.append((terms, self._table[terms]))
        return vectors


def _changes(file: Path, terms: int) -> NDArray[np.float32] | float:
    """What training made of each term's idf, as a factor (terms,); 1 where nothing was trained. Raises ModelError."""
    if not file.is_file():
        return 1.0
    try:
        change: NDArray[np.float32] = load_file(file)["change"]
        if change.shape != (terms,) or not np.isfinite(change).all():
            raise ValueError(f"it is for {change.size} terms, and there are {terms}")
    except Exception as error:  # no such tensor, no such format
        raise cannot_load(file, error) from error
    return np.exp(change)


def cannot_load(what: Path | str, error: Exception) -> ModelError:
    remedy = "Set a name from: glossator models list; or fetch it again: glossator models fetch"
    return not_loaded(f"sparse encoder {what}", error, remedy)
