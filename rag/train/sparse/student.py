"""The sparse encoder that is trained: one with gradients, whose idf may be trained too."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rag.encode.checkpoint import base_of
from rag.encode.dense_encoder import folder_of
from rag.encode.heads import METHODS
from rag.encode.inference_free import CHANGES, idf_of
from rag.encode.sparse_encoder import TransformerSparseEncoder
from rag.errors import UsageError
from rag.protocols import SparseVector

if TYPE_CHECKING:
    from torch import Tensor


class Student(TransformerSparseEncoder):
    """A sparse encoder with gradients: of a masked language model, of an encoder without its head, or of a decoder.

    Inference-free queries weigh each token by its idf in `texts`, and where that is trained by e^change of it.
    """

    def __init__(
        self,
        method: str,
        folder: Path | str,
        max_tokens: int,
        batch_size: int,
        texts: Sequence[str],
        device: str = "cpu",
    ):
        """`folder` may be a name in models.toml, or a hub id; `device` is one of torch's. `max_tokens` of a text are
        encoded; of those a step may learn fewer.

        Raises ModelError, and UsageError for a method whose two sides are two models.
        """
        import torch

        if method not in METHODS or METHODS[method].document.head != "MLM" or method in ("SPLADE-sep", "SPARTA"):
            raise UsageError(
                f"settings: sparse.method {method!r} cannot be trained. Choose inference-free, SPLADE or Mistral-SPLADE"
            )
        super().__init__(method, folder_of(str(folder)), None, max_tokens, batch_size, training=True, device=device)
        self.name, self.max_tokens = method, max_tokens
        self.base = base_of(str(folder))
        self._idf = torch.from_numpy(idf_of(self.token_ids(texts), self.dimensions)).to(device)
        # Of the logarithm of each term's idf.
        self.change = torch.zeros(self.dimensions, device=device, requires_grad=True)

    @property
    def device(self) -> str:
        return self._document.device

    @property
    def inference_free(self) -> bool:
        return self.method.query.head == "IDF"

    @property
    def idf(self) -> Tensor:
        """What a term of a query weighs, (vocabulary,)."""
        return self._idf * self.change.exp()

    def encode_queries(self, texts: Sequence[str]) -> list[SparseVector]:
        """As TransformerSparseEncoder.encode_queries, for inference-free queries, too."""
        if not self.inference_free:
            return super().encode_queries(texts)
        weights = self.idf.detach().cpu().numpy()
        return [(np.asarray(ids, dtype=np.int32), weights[ids]) for ids in self.token_ids(texts)]

    def query_features(self, queries: Sequence[str]) -> Tensor:
        """(queries, vocabulary), with gradients."""
        import torch

        if not self.inference_free:
            return self._document.features(queries, self.method.query)
        present = torch.zeros(len(queries), self.dimensions)
        for row, ids in enumerate(self.token_ids(queries)):
            present[row, ids] = 1
        return present.to(self.device) * self.idf

    def text_features(self, texts: Sequence[str], max_tokens: int, half: bool = False) -> Tensor:
        """(texts, vocabulary), with gradients, of at most `max_tokens` of each text; in bfloat16 as far as that is safe
        where `half`. The same text twice is read once."""
        import torch

        # Of like length in a batch: little is padded. A set's own order is another in every process.
        order = sorted(set(texts), key=lambda text: (len(text), text))
        rows = []
        with torch.autocast(self.device, torch.bfloat16, enabled=half):
            for first in range(0, len(order), self._batch_size):
                batch = order[first : first + self._batch_size]
                rows.append(self._document.features(batch, self.method.document, max_tokens))
        row_of = {text: row for row, text in enumerate(order)}
        return torch.cat(rows)[torch.tensor([row_of[text] for text in texts]).to(self.device)]

    def named_parameters(self) -> dict[str, Any]:
        """What a trainer may change, by name."""
        return {**self._document.named_parameters(), "idf change": self.change}

    def save(self, folder: Path) -> None:
        """Write all that sparse.model needs of the folder."""
        from safetensors.torch import save_file

        self._document.save(folder)
        if self.inference_free and self.change.any():
            save_file({"change": self.change.detach().cpu()}, folder / CHANGES)
