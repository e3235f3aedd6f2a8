"""The taxonomy of sparse encoders: kinds of heads, the methods as pairs of them, and the heads' arithmetic.

Names and pairs are those of Nguyen, MacAvaney and Yates, "A Unified Framework for Learned Sparse Retrieval" (ECIR 2023,
arXiv 2303.13416; code: thongnt99/learned-sparse-retrieval), and with them echo input for decoders (Mistral-SPLADE,
arXiv 2408.11119) and inference-free queries (arXiv 2411.04403). Tensors go in, (batch, vocabulary) weights come out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from rag.encode.vocabulary_slice import SLICE

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, slots=True)
class Side:
    """How queries, or documents, become vectors. Special tokens and padding weigh nothing, as terms, in every head."""

    head: Literal["BINARY", "IDF", "MLP", "expMLP", "MLM", "CLS-MLM", "EPIC"]
    activation: Literal["relu", "softplus", "none"] = "relu"
    saturation: Literal["log1p", "none"] = "log1p"
    # One rule joins the weights of a repeated token (BINARY, MLP), or of a term at all positions (MLM). The code of the
    # framework takes the maximum for documents, and the sum for queries: a word said twice counts twice there.
    merge: Literal["max", "sum"] = "max"
    # Pool at [CLS] and [SEP] too. naver/splade, sentence-transformers (so splade-tiny) and opensearch's models are
    # trained so; the framework's own code leaves these positions out.
    marks: bool = False
    echo: bool = False  # a decoder reads the text twice, and the second copy is pooled: its tokens know the whole text


@dataclass(frozen=True, slots=True)
class Method:
    query: Side
    document: Side
    tied: bool = False  # one model for both sides


_SPLADE = Side("MLM", marks=True)
_COUNTS = Side("BINARY", "none", "none", "sum")
METHODS = {
    "uniCOIL": Method(Side("MLP", "relu", "none", "sum"), Side("MLP", "relu", "none"), tied=True),
    "uniCOIL+TILDE": Method(Side("MLP", "relu", "none", "sum"), Side("expMLP", "relu", "none"), tied=True),
    "DeepImpact": Method(_COUNTS, Side("expMLP", "relu", "none")),
    "TILDEv2": Method(_COUNTS, Side("expMLP", "relu", "none")),
    "TILDE": Method(_COUNTS, Side("CLS-MLM")),
    "SPARTA": Method(_COUNTS, Side("MLM")),
    "EPIC": Method(Side("MLP", "softplus", "log1p", "sum"), Side("EPIC", "softplus", "log1p")),
    "SPLADE": Method(_SPLADE, _SPLADE, tied=True),
    "SPLADE-sep": Method(_SPLADE, _SPLADE),
    # The framework's config trains one tied regression of term recall; as a retriever its queries are plain counts.
    "DeepCT": Method(_COUNTS, Side("MLP", "none", "none")),
    "inference-free": Method(Side("IDF", "none", "none"), _SPLADE),
    "Mistral-SPLADE": Method(Side("MLM", echo=True), Side("MLM", echo=True), tied=True),
}


def saturate(logits: Tensor, side: Side) -> Tensor:
    """Activation, then saturation; both rise with their argument. Any shape, and the same shape comes back."""
    import torch

    if side.activation != "none":
        logits = logits.relu() if side.activation == "relu" else torch.nn.functional.softplus(logits)
    return logits.log1p() if side.saturation == "log1p" else logits


def scatter(weights: Tensor, ids: Tensor, keep: Tensor, vocabulary: int, merge: str) -> Tensor:
    """Token weights, ids and mask, each (batch, tokens), to (batch, vocabulary).

    A maximum is at least 0: DeepCT's own script, too, makes a regression that missed 0 from below 0.
    """
    zeros = weights.new_zeros(len(weights), vocabulary)
    return zeros.scatter_reduce(1, ids, weights.masked_fill(~keep, 0), "amax" if merge == "max" else "sum")


def binary(ids: Tensor, keep: Tensor, vocabulary: int, merge: str = "max", scale: float = 1.0) -> Tensor:
    """BINARY: `scale` for each token there is. The learned scale of the framework orders no ranking differently."""
    import torch

    return scatter(torch.full(ids.shape, scale, device=ids.device), ids, keep, vocabulary, merge)


def mlp(hidden: Tensor, ids: Tensor, keep: Tensor, weight: Tensor, bias: Tensor, vocabulary: int, side: Side) -> Tensor:
    """MLP and expMLP: one linear unit, (1, d) and (1,), on hidden states (batch, tokens, d); only tokens there are."""
    import torch

    logits = torch.nn.functional.linear(hidden, weight, bias).squeeze(-1)  # (batch, tokens)
    return scatter(saturate(logits, side), ids, keep, vocabulary, side.merge)


def mlm(
    states: Tensor, keep: Tensor, weight: Tensor, bias: Tensor, side: Side, importance: Tensor | None = None
) -> Tensor:
    """MLM: vocabulary logits = states (batch, tokens, d) times the output matrix (vocabulary, d), pooled where `keep`.

    CLS-MLM is the same with only the first position kept. `importance` (batch, tokens), >= 0, multiplies the logits.
    The logits of a batch never exist together (8 texts of 256 tokens: 250 MB). One text and a slice of the vocabulary
    at a time stay in the processor's cache and waste nothing on padding: 49 passages a CPU-second, where a text's whole
    logits make 28; in bf16 96 and 58 (the size of splade-tiny, one thread, 2026-11-24). Activation and saturation rise,
    so the maximum comes before them: (vocabulary,) values and not (tokens, vocabulary) go through the logarithm.
    """
    import torch

    if weight.requires_grad and importance is None and (side.merge, side.activation) == ("max", "relu"):
        from rag.encode.max_logits import MaxLogits

        half = torch.is_autocast_enabled(states.device.type)
        return saturate(MaxLogits.apply(states.float(), keep, weight, bias, half), side)  # type: ignore[no-untyped-call]
    weights = torch.zeros(len(states), len(weight), device=states.device)
    for row, kept in enumerate(keep):
        text = states[row, kept]  # (positions, d)
        if not len(text):
            continue  # softplus would make something of nothing
        parts = []
        for matrix, shift in zip(torch.split(weight, SLICE), torch.split(bias, SLICE), strict=True):
            logits = torch.nn.functional.linear(text, matrix, shift)  # (positions, slice)
            if importance is not None:
                logits = logits * importance[row, kept].unsqueeze(-1)
            parts.append(logits.amax(0) if side.merge == "max" else saturate(logits.float(), side).sum(0))
        pooled = torch.cat(parts).float()
        weights[row] = saturate(pooled, side) if side.merge == "max" else pooled
    return weights


def epic_importance(hidden: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """How much each token counts, (batch, tokens): log(1 + softplus(linear)); EPIC (arXiv 2004.14245)."""
    import torch

    return torch.nn.functional.softplus(torch.nn.functional.linear(hidden, weight, bias).squeeze(-1)).log1p()


def epic_quality(hidden: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """How good each document is, (batch, 1), 0..1: sigmoid(linear) at [CLS]; EPIC (arXiv 2004.14245)."""
    import torch

    return torch.nn.functional.linear(hidden[:, 0], weight, bias).sigmoid()


def echo(tokens: Sequence[int], before: Sequence[int] = ()) -> tuple[list[int], list[bool]]:
    """The ids that a decoder reads, and which of them are pooled: the second copy (arXiv 2408.11119).

    >>> echo([7, 8], before=[1])
    ([1, 7, 8, 7, 8], [False, False, False, True, True])
    """
    return [*before, *tokens, *tokens], [False] * (len(before) + len(tokens)) + [True] * len(tokens)
