"""What is done to a sparse encoder's weights: pruned by magnitude or at random, rounded to 8 or 16 bits."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from eval.retrieval.changeable_encoder import ALL, GROUPS, Changeable, csr_kernel, int8_kernel, scales

if TYPE_CHECKING:
    from torch import Tensor

AT_RANDOM = 0.3  # the share at which weights are pruned at random, too: a control
AS_IT_IS = "as it is"


def prune(matrices: Sequence[Tensor], share: float, seed: int | None = None) -> None:
    """Make the `share` (0..1) of smallest magnitude 0, over all matrices together, in place.

    With a seed the same number of weights is drawn at random instead.
    """
    import torch

    magnitudes = torch.cat([matrix.abs().flatten() for matrix in matrices])
    count = round(share * len(magnitudes))
    if seed is None:
        pruned = torch.topk(magnitudes, count, largest=False, sorted=False).indices
    else:
        pruned = torch.randperm(len(magnitudes), generator=torch.Generator().manual_seed(seed))[:count]
    gone = torch.zeros(len(magnitudes), dtype=torch.bool)
    gone[pruned] = True
    ends = np.cumsum([matrix.numel() for matrix in matrices])[:-1].tolist()
    for matrix, part in zip(matrices, torch.tensor_split(gone, ends), strict=True):
        matrix.masked_fill_(part.view_as(matrix), 0)


def round_to_int8(matrices: Iterable[Tensor]) -> None:
    """Each weight to the next whole number of its row's steps, in place: what 8 bits a weight would keep."""
    for matrix in matrices:
        step = scales(matrix).unsqueeze(1)
        matrix.copy_((matrix / step).round() * step)


def round_to_float16(weights: Iterable[Tensor]) -> None:
    """Each weight to the next 16-bit float, in place, as our trainer's files keep it."""
    for weight in weights:
        weight.copy_(weight.half().float())


def bytes_of(weights: Iterable[Tensor], value: int) -> int:
    """Bytes of weights stored with `value` bytes each; with 1 (int8) matrices have 4 more a row, vectors stay at 4.

    A matrix of many zeros is counted as compressed sparse rows: value and 2 bytes of column for each that is none, and
    4 bytes a row.
    """
    total = 0
    for weight in weights:
        if weight.ndim != 2:
            total += weight.numel() * (4 if value == 1 else value)
            continue
        sparse = int(weight.count_nonzero()) * (value + 2) + 4 * (len(weight) + 1)
        total += min(weight.numel() * value, sparse) + (4 * len(weight) if value == 1 else 0)
    return total


@dataclass(frozen=True, slots=True)
class Variant:
    """A row: what is done to the encoder, and bytes a weight as stored. `group` where it is pruned by magnitude."""

    name: str
    change: Callable[[Changeable], None] = lambda encoder: None
    value: int = 4
    dtype: str = "float32"
    group: str = ""
    share: float = 0.0


def variants(shares: Sequence[float], seed: int) -> list[Variant]:
    """The rows, the encoder as it is first."""

    def pruned(group: str, share: float, random_seed: int | None, encoder: Changeable) -> None:
        prune(encoder.matrices(group), share, random_seed)

    def sparse(encoder: Changeable) -> None:
        prune(encoder.matrices(ALL), shares[-1])
        encoder.compute_with(csr_kernel)

    rows = [Variant(AS_IT_IS)]
    for group in GROUPS:
        for share in shares:
            name = f"{group}, {share:.0%} pruned"
            rows.append(Variant(name, partial(pruned, group, share, None), group=group, share=share))
        rows.append(Variant(f"{group}, {AT_RANDOM:.0%} by chance", partial(pruned, group, AT_RANDOM, seed)))
    return [
        *rows,
        Variant(f"{ALL}, {shares[-1]:.0%} pruned, sparse kernels", sparse),
        # float16 arithmetic is nobody's gain here: without instructions for it a head's product takes 176 ms for 26 ms
        # (the size of splade-tiny, a passage, one thread, 2026-11-26).
        Variant("stored in float16", lambda encoder: round_to_float16(encoder.parameters().values()), value=2),
        Variant("stored in int8", lambda encoder: round_to_int8(encoder.matrices(ALL)), value=1),
        Variant("computed in bfloat16", value=2, dtype="bfloat16"),
        Variant("computed in int8", _in_int8, value=1),
    ]


def _in_int8(encoder: Changeable) -> None:
    round_to_int8(encoder.matrices(ALL))  # the embeddings, too, which are looked up
    encoder.compute_with(int8_kernel)
