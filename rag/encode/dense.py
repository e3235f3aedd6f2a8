"""Dense encoder: any BERT-like transformers model, mean pooling (the recipe of all-MiniLM-L6-v2)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rag.errors import ModelError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class TransformerEncoder:
    """Mean of the last hidden states over the real tokens, scaled to unit length; texts are cut at `max_tokens`."""

    def __init__(self, folder: Path | str, max_tokens: int, batch_size: int):
        import torch
        from transformers import AutoModel, AutoTokenizer
        from transformers.utils import logging

        logging.disable_progress_bar()  # for six layers

        self._torch = torch
        self._batch_size = batch_size
        # bf16 halves the time where the processor has it (cosine to fp32 >= 0.9999) and is slow where it has not.
        self._dtype = torch.bfloat16 if torch.cpu.get_capabilities().get("avx512_bf16") else torch.float32
        try:
            self._tokenizer: Any = AutoTokenizer.from_pretrained(folder)
            self._model: Any = AutoModel.from_pretrained(folder, dtype=self._dtype).eval()
        except Exception as error:  # transformers raises many kinds, and all mean: not to be had
            why = (str(error).strip().splitlines() or [""])[0][:200].rstrip(".")
            raise ModelError(
                f"dense encoder {folder} cannot be loaded: {type(error).__name__}: {why}. "
                "Set dense.model to a name from: glossator models list; or fetch it again: glossator models fetch"
            ) from error
        # No model reads on behind its last position, whatever the settings say.
        longest = getattr(self._model.config, "max_position_embeddings", max_tokens)
        self._max_tokens = min(max_tokens, longest, self._tokenizer.model_max_length)
        self.dimensions = int(self._model.config.hidden_size)

    def encode(self, texts: Sequence[str], report: Callable[[int], None] = lambda encoded: None) -> NDArray[np.float32]:
        """One unit-length row per text, in order: shape (len(texts), dimensions). `report` gets the count so far."""
        import numpy as np

        vectors = np.zeros((len(texts), self.dimensions), dtype=np.float32)
        # Texts of like length share a batch, so little is padded.
        order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
        for first in range(0, len(order), self._batch_size):
            batch = order[first : first + self._batch_size]
            vectors[batch] = self._encode_batch([texts[i] for i in batch])
            report(first + len(batch))
        return vectors

    def _encode_batch(self, texts: list[str]) -> NDArray[np.float32]:
        torch = self._torch
        inputs = self._tokenizer(texts, padding=True, truncation=True, max_length=self._max_tokens, return_tensors="pt")
        with torch.inference_mode():
            hidden = self._model(**inputs).last_hidden_state.float()  # (batch, tokens, dimensions)
        mask = inputs["attention_mask"].unsqueeze(-1).float()
        mean = (hidden * mask).sum(1) / mask.sum(1).clamp(min=1e-9)
        vectors: NDArray[np.float32] = torch.nn.functional.normalize(mean, dim=1).numpy()
        return vectors
