"""The reading model: a cross-encoder with heads for the answer's span, yes, no, "not here", relevance, and support.

The span head gives each token a score as the answer's first and as its last token (Devlin et al. 2019, section 4.3);
the passage head makes four scores of the state of [CLS], and the support head three, of a claim in place of a question.
It runs on rag.encode.bert, in numpy or in torch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from copy import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rag.encode.bert import Bert
from rag.encode.functional import one_thread
from rag.errors import ModelError, not_loaded
from rag.span.windows import PairTokenizer, Window, WindowSizes

SPAN_HEAD, PASSAGE_HEAD, SUPPORT_HEAD = "heads.span", "heads.passage", "heads.support"
# start, end; yes, no, not here, relevance; supports, refutes, unknown
OUTPUTS = {SPAN_HEAD: 2, PASSAGE_HEAD: 4, SUPPORT_HEAD: 3}
BATCH_TOKENS = 1024  # of a batch in numpy: its widest states, 6 MB, stay near the processor
TORCH_BATCH_TOKENS = 4096


@dataclass(frozen=True, slots=True)
class WindowScores:
    """What the heads say of one window: starts and ends (tokens,), the others as numbers; no unit, as logits have."""

    starts: NDArray[np.float32]
    ends: NDArray[np.float32]
    yes: float
    no: float
    not_here: float
    relevance: float


class SpanModel:
    """Windows to the scores of its heads."""

    def __init__(self, bert: Bert, tokenizer: PairTokenizer):
        """`bert.weights` hold the heads, too."""
        self.bert, self.tokenizer = bert, tokenizer
        self._torch = False

    def in_torch(self, dtype: str) -> SpanModel:
        """The same in torch, in its numbers of that name: for many windows."""
        return self.with_bert(self.bert.in_torch(dtype))

    def with_bert(self, bert: Bert) -> SpanModel:
        """The same with another encoder, one in torch."""
        other = copy(self)
        other.bert, other._torch = bert, True
        return other

    def outputs(self, ids: Any, types: Any, real: Any) -> tuple[Any, Any]:
        """Of token ids, token types and what is no padding, each (windows, tokens): the span head's (windows, tokens,
        2) and the passage head's (windows, 4)."""
        states = self.bert.hidden(ids, real, types)
        return self.bert.linear(SPAN_HEAD, states), self.bert.linear(PASSAGE_HEAD, states[:, 0])

    def support_outputs(self, ids: Any, types: Any, real: Any) -> Any:
        """Of windows of a claim and a text, shaped as in `outputs`: the support head's (windows, 3)."""
        return self.bert.linear(SUPPORT_HEAD, self.bert.hidden(ids, real, types)[:, 0])

    def scores(self, windows: Sequence[Window]) -> list[WindowScores]:
        """The scores of each window, in order. Windows of like length share a batch.

        Raises ModelError for weights that are no numbers.
        """
        found: dict[int, WindowScores] = {}
        for batch, real, (spans, passages) in self._in_batches(self.outputs, windows):
            _check_numbers(spans[real], passages)
            for row, index in enumerate(batch):
                length = len(windows[index].ids)
                head = [float(value) for value in passages[row]]
                found[index] = WindowScores(spans[row, :length, 0], spans[row, :length, 1], *head)
        return [found[index] for index in range(len(windows))]

    def support_scores(self, windows: Sequence[Window]) -> list[NDArray[np.float32]]:
        """The support head's scores of each window of a claim and a text, in order: (3,) each. Raises as `scores`."""
        found: dict[int, NDArray[np.float32]] = {}
        for batch, _, (supports,) in self._in_batches(lambda *arrays: (self.support_outputs(*arrays),), windows):
            _check_numbers(supports)
            found |= dict(zip(batch, supports, strict=True))
        return [found[index] for index in range(len(windows))]

    def _in_batches(
        self, outputs: Callable[..., tuple[Any, ...]], windows: Sequence[Window]
    ) -> Iterator[tuple[list[int], NDArray[np.bool_], tuple[Any, ...]]]:
        """Of each batch: the indices of its windows, what is no padding, and the outputs as arrays of numpy."""
        for batch in batches_by_length(windows, TORCH_BATCH_TOKENS if self._torch else BATCH_TOKENS):
            arrays = padded([windows[i] for i in batch])
            if self._torch:
                import torch

                with torch.inference_mode():
                    made = tuple(one.float().numpy() for one in outputs(*map(torch.from_numpy, arrays)))
            else:
                with one_thread():
                    made = outputs(*arrays)
            yield batch, arrays[2], made


def _check_numbers(*scores: NDArray[np.float32]) -> None:
    if not all(np.isfinite(one).all() for one in scores):
        raise ModelError("reading model: its scores are no numbers. Train it again: glossator train reader")


def open_span_model(folder: Path | str, sizes: WindowSizes | None = None) -> SpanModel:
    """The reading model that `glossator train reader` wrote into a folder.

    Raises ModelError for a folder that is missing, damaged, or of a model without these heads.
    """
    sizes = sizes or WindowSizes()
    try:
        bert = Bert(folder, sizes.window)
        tokenizer = PairTokenizer(folder, sizes)
        for name, outputs in OUTPUTS.items():
            shapes = bert.weights[f"{name}.weight"].shape, bert.weights[f"{name}.bias"].shape
            if shapes != ((outputs, bert.dimensions), (outputs,)):
                raise ModelError(f"{name} has shapes {shapes}, not ({outputs}, {bert.dimensions}) and ({outputs},)")
    except Exception as error:  # safetensors and tokenizers raise kinds of their own
        raise not_loaded(f"reading model {folder}", error, "Train it again: glossator train reader") from error
    return SpanModel(bert, tokenizer)


def batches_by_length(windows: Sequence[Window], tokens: int) -> Iterator[list[int]]:
    """Indices of windows of like length, so many that a batch, padded, has at most `tokens` tokens; at least one."""
    batch: list[int] = []
    for index in sorted(range(len(windows)), key=lambda i: len(windows[i].ids)):
        if batch and (len(batch) + 1) * len(windows[index].ids) > tokens:
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch


def padded(windows: Sequence[Window]) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]:
    """Token ids, token types, and what is no padding: each (windows, tokens of the longest)."""
    shape = len(windows), max(len(window.ids) for window in windows)
    ids, types = np.zeros(shape, dtype=np.int64), np.zeros(shape, dtype=np.int64)
    real = np.zeros(shape, dtype=np.bool_)
    for row, window in enumerate(windows):
        length = len(window.ids)
        ids[row, :length], types[row, :length], real[row, :length] = window.ids, window.types, True
    return ids, types, real
