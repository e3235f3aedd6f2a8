"""The reading model that is trained: an encoder with heads, fresh ones if it has none, in torch with gradients."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rag.encode.bert import FILES, Bert, is_plain_bert
from rag.encode.checkpoint import base_of
from rag.encode.dense_encoder import folder_of
from rag.errors import ModelError, not_loaded
from rag.span.span_model import OUTPUTS, PASSAGE_HEAD, SPAN_HEAD, SUPPORT_HEAD, WEIGHTS, SpanModel
from rag.span.windows import PairTokenizer, WindowSizes
from rag.train.reading.onnx_export import write_onnx
from rag.train.torch_functional import TrainingFunctional

if TYPE_CHECKING:
    from torch import Tensor

FROZEN = "embeddings.word_embeddings.weight"  # half of all weights; most words are not in the training
UNUSED = ("pooler.", "cls.")  # of other uses of the base
DEVIATION = 0.02  # of the fresh heads, as BERT begins


class ReadingStudent:
    """A reading model whose weights a trainer changes in place."""

    def __init__(self, model: str, seed: int, sizes: WindowSizes | None = None):
        """`model`: a name in models.toml or a folder, of a plain BERT, or of a reading model, whose heads are kept.

        Raises ModelError for any other.
        """
        import torch

        sizes = sizes or WindowSizes()
        self.folder, self.base = Path(folder_of(model)), base_of(model)
        if not is_plain_bert(self.folder):
            raise ModelError(f"--model {model} is no plain BERT with its tokenizer. Name one, as all-minilm-l6-v2")
        try:
            bert = Bert(self.folder, sizes.window)
            tokenizer = PairTokenizer(self.folder, sizes)
        except Exception as error:  # safetensors and tokenizers raise kinds of their own
            raise not_loaded(f"--model {model}", error, "Fetch it again: glossator models fetch") from error
        draw = np.random.default_rng(seed)
        for name, outputs in OUTPUTS.items():
            heads = draw.normal(0, DEVIATION, (outputs, bert.dimensions)).astype(np.float32)
            bert.weights.setdefault(f"{name}.weight", heads)
            bert.weights.setdefault(f"{name}.bias", np.zeros(outputs, dtype=np.float32))
        tensors = {name: torch.from_numpy(np.array(weight)) for name, weight in bert.weights.items()}
        self._tensors = {name: tensor for name, tensor in tensors.items() if not name.startswith(UNUSED)}
        self.named: dict[str, Any] = {name: t.requires_grad_() for name, t in self._tensors.items() if name != FROZEN}
        self._bert = bert.of_tensors(self._tensors, TrainingFunctional())
        self.tokenizer = tokenizer
        self.model = SpanModel(self._in_numpy, tokenizer)

    def outputs(self, ids: Tensor, types: Tensor, real: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """What the heads say, in the order and shapes of rag.span.span_model.Outputs, with gradients."""
        states = self._bert.hidden(ids, real, types)
        spans = self._bert.linear(SPAN_HEAD, states)
        passages, supports = (self._bert.linear(name, states[:, 0]) for name in (PASSAGE_HEAD, SUPPORT_HEAD))
        return spans, passages, supports

    def _in_numpy(self, *arrays: NDArray[Any]) -> tuple[NDArray[np.float32], ...]:
        import torch

        with torch.inference_mode():
            return tuple(each.float().numpy() for each in self.outputs(*map(torch.from_numpy, arrays)))

    def save(self, folder: Path) -> None:
        """Write what rag.span.span_model.open_span_model needs, and the weights in half precision to go on with."""
        from safetensors.torch import save_file

        config = json.loads((self.folder / FILES[0]).read_text("utf-8"))
        config = {name: value for name, value in config.items() if not name.startswith("_")}
        (folder / FILES[0]).write_text(json.dumps({**config, "dtype": "float16"}, indent=1) + "\n", "utf-8")
        shutil.copyfile(self.folder / FILES[2], folder / FILES[2])
        halves: dict[str, Tensor] = {name: tensor.detach().half() for name, tensor in self._tensors.items()}
        save_file(halves, folder / FILES[1])
        write_onnx({name: half.float().numpy() for name, half in halves.items()}, config, folder / WEIGHTS, int8=True)
