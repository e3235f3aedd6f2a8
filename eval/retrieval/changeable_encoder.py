"""A sparse encoder whose weights can be changed in place and multiplied by other kernels: dense, int8, sparse."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from copy import copy
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from rag.encode.heads import Side, saturate
from rag.encode.sparse_encoder import Backbone, TransformerSparseEncoder
from rag.encode.vocabulary_slice import SLICE

if TYPE_CHECKING:
    from torch import Tensor

# The output matrix of most encoders is their token embeddings, so the second group has it, and the first has not.
LAYERS, ALL = "layers", "layers and embeddings"
GROUPS = (LAYERS, ALL)

Kernel = Callable[["Tensor"], "Tensor"]  # (..., d) -> (..., rows of the matrix)
Make = Callable[["Tensor", "Tensor | None"], Kernel]  # of a matrix (rows, d) and its bias (rows,)


class Changeable(TransformerSparseEncoder):
    """An inference-free encoder whose weights can be changed in place, and multiplied by other kernels."""

    def parameters(self) -> dict[str, Tensor]:
        """Name -> weight, each once; a change in place takes effect. A tied output matrix is the embeddings."""
        return {name: weight.detach() for name, weight in self._document.named_parameters().items()}

    def matrices(self, group: str) -> list[Tensor]:
        """The matrices of LAYERS (the transformer's and the head's own) or of ALL (those and all embeddings)."""
        return [
            weight
            for name, weight in self.parameters().items()
            if weight.ndim == 2 and (group == ALL or not ("embed" in name or len(weight) == self.dimensions))
        ]

    def compute_with(self, kernel: Make) -> None:
        """Multiply by every matrix with the kernel that `kernel` makes of the matrix and its bias."""
        self._document = Computed(self._document, kernel)

    def narrowed(self, terms: NDArray[np.int64]) -> Changeable:
        """With the weights of these terms only, which for a small model costs a fifth: a search needs no others."""
        other = copy(self)
        kernel = self._document.kernel if isinstance(self._document, Computed) else dense_kernel
        other._document = Computed(self._document, kernel, terms)
        return other


class Computed(Backbone):
    """A backbone with an MLM head, with products of linear layers by another kernel, and weights of some terms only."""

    def __init__(self, backbone: Backbone, kernel: Make, terms: NDArray[np.int64] | None = None):
        import torch

        vars(self).update(vars(backbone))
        self.kernel = kernel
        self._terms = torch.arange(self.dimensions) if terms is None else torch.from_numpy(terms)
        output = self._model.get_output_embeddings()  # passes its states on: see Backbone
        for layer in self._model.modules():
            if isinstance(layer, torch.nn.Linear) and layer is not output:
                bias = None if layer.bias is None else layer.bias.detach()
                vars(layer)["forward"] = kernel(layer.weight.detach(), bias)
        matrix, shift = (self._weight, self._bias) if terms is None else (self._weight[terms], self._bias[terms])
        parts = zip(torch.split(matrix, SLICE), torch.split(shift, SLICE), strict=True)
        self._parts = [kernel(weight, bias) for weight, bias in parts]

    def _head(self, inputs: dict[str, Tensor], own: Tensor, side: Side) -> Tensor:
        """As heads.mlm does, a text and a slice of the vocabulary at a time."""
        import torch

        keep = inputs["attention_mask"].bool() & own.any(1, keepdim=True)
        states = self._model(**inputs).logits
        pooled = torch.zeros(len(states), self.dimensions)
        for row, kept in enumerate(keep):
            if kept.any():
                pooled[row, self._terms] = torch.cat([part(states[row, kept]).amax(0) for part in self._parts]).float()
        return saturate(pooled, side)


def dense_kernel(weight: Tensor, bias: Tensor | None) -> Kernel:
    """The usual product, states @ weight.T + bias."""
    import torch

    return lambda states: torch.nn.functional.linear(states, weight, bias)


def int8_kernel(weight: Tensor, bias: Tensor | None) -> Kernel:
    """Weights in 8 bits with a scale a row, states in 8 bits with a scale a product (torch's dynamic quantisation)."""
    import torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch means to move these operators elsewhere
        rows = torch.zeros(len(weight), dtype=torch.long)
        quantised = torch.quantize_per_channel(weight, scales(weight).double(), rows, 0, torch.qint8)
    packed = torch.ops.quantized.linear_prepack(quantised, bias)
    return lambda states: torch.ops.quantized.linear_dynamic(states, packed)


def scales(matrix: Tensor) -> Tensor:
    """The step of 8 bits of each row, (rows,): its largest magnitude is 127 steps."""
    return (matrix.abs().amax(1) / 127).clamp_min(1e-12)


def csr_kernel(weight: Tensor, bias: Tensor | None) -> Kernel:
    """Only the weights that are not 0 are multiplied: compressed sparse rows."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch calls them a beta
        rows = weight.to_sparse_csr()

    def product(states: Tensor) -> Tensor:
        made = (rows @ states.reshape(-1, states.shape[-1]).T.contiguous()).T.reshape(*states.shape[:-1], -1)
        return made if bias is None else made + bias

    return product
