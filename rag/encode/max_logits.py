"""The highest vocabulary logit of each term, with gradients, for training: what a batch needs and no more.

All logits of 256 texts of 128 tokens would be 4 GB, and as much again for their gradients. But only the position where
a term's logit is highest gets a gradient, and a term whose highest logit is not above 0 gets none at all (the
activation is ReLU): of some 30,000 terms a hundred or two are left, and their positions are found again on the way
back.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from rag.encode.vocabulary_slice import SLICE

TEXTS = 8  # of a batch at a time: 8 x 128 positions x 2,048 logits are 4 MB in bfloat16, and stay in the cache


class MaxLogits(torch.autograd.Function):
    """max(0, highest logit) of each term: states (batch, tokens, d), keep (batch, tokens), weight (terms, d), bias.

    Gives (batch, terms). The logits are made in bfloat16 where `half`; gradients always in full precision.
    """

    @staticmethod
    def forward(ctx: Any, states: Tensor, keep: Tensor, weight: Tensor, bias: Tensor, half: bool) -> Tensor:
        kind = torch.bfloat16 if half else weight.dtype
        matrix, shift = weight.to(kind), bias.to(kind)
        inputs = _filled(states, keep).to(kind)
        pooled = weight.new_zeros(len(states), len(weight))
        for first in range(0, len(states), TEXTS):
            batch = slice(first, first + TEXTS)
            parts = zip(torch.split(matrix, SLICE), torch.split(shift, SLICE), strict=True)
            highest = [torch.nn.functional.linear(inputs[batch], part, by).amax(1) for part, by in parts]
            pooled[batch] = torch.cat(highest, 1).to(weight.dtype).relu()
        pooled[~keep.any(1)] = 0
        ctx.save_for_backward(states, keep, weight, bias, pooled)
        return pooled

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        states, keep, weight, bias, pooled = ctx.saved_tensors
        of_states, of_weight, of_bias = torch.zeros_like(states), torch.zeros_like(weight), torch.zeros_like(bias)
        for row, kept in enumerate(keep):
            terms = (gradients[0][row].ne(0) & pooled[row].gt(0)).nonzero().squeeze(1)
            positions = kept.nonzero().squeeze(1)
            if not len(terms) or not len(positions):
                continue
            text, matrix = states[row, positions], weight[terms]
            best = torch.addmm(bias[terms].unsqueeze(1), matrix, text.T).argmax(1)  # of each term its position
            by = gradients[0][row, terms].unsqueeze(1)
            of_states[row].index_add_(0, positions[best], by * matrix)
            of_weight.index_add_(0, terms, by * text[best])
            of_bias.index_add_(0, terms, by.squeeze(1))
        return of_states, None, of_weight, of_bias, None


def _filled(states: Tensor, keep: Tensor) -> Tensor:
    """Where a text is not, what stands at its first position: a maximum over all positions is then the text's."""
    first = keep.int().argmax(1)
    rows = torch.arange(len(states), device=states.device)
    return torch.where(keep.unsqueeze(-1), states, states[rows, first].unsqueeze(1))
