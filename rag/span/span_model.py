"""The reading model: a cross-encoder with heads for the answer's span, yes, no, "not here", relevance, and support.

The span head gives each token a score as the answer's first and as its last token (Devlin et al. 2019, section 4.3);
the passage head makes four scores of the state of [CLS], and the support head three, of a claim in place of a question.
It runs on onnxruntime; a trainer brings torch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rag.errors import ModelError, not_loaded
from rag.models.registry import opening
from rag.span.windows import PairTokenizer, Window, WindowSizes

SPAN_HEAD, PASSAGE_HEAD, SUPPORT_HEAD = "heads.span", "heads.passage", "heads.support"
# start, end; yes, no, not here, relevance; supports, refutes, unknown
OUTPUTS = {SPAN_HEAD: 2, PASSAGE_HEAD: 4, SUPPORT_HEAD: 3}
INPUTS = ("ids", "types", "real")
WEIGHTS = "model.onnx"
BATCH_TOKENS = 1024  # of a batch: its widest states, 6 MB, stay near the processor
# Of token ids, token types and what is no padding, each (windows, tokens): by the heads in the order of OUTPUTS,
# (windows, tokens, 2), (windows, 4) and (windows, 3).
Outputs = Callable[[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]], tuple[NDArray[np.float32], ...]]


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

    def __init__(self, outputs: Outputs, tokenizer: PairTokenizer):
        self.outputs, self.tokenizer = outputs, tokenizer

    def scores(self, windows: Sequence[Window]) -> list[WindowScores]:
        """The scores of each window, in order. Windows of like length share a batch.

        Raises ModelError for weights that are no numbers.
        """
        found: dict[int, WindowScores] = {}
        for batch, real, (spans, passages, _) in self._in_batches(windows):
            _check_numbers(spans[real], passages)
            for row, index in enumerate(batch):
                length = len(windows[index].ids)
                head = [float(value) for value in passages[row]]
                found[index] = WindowScores(spans[row, :length, 0], spans[row, :length, 1], *head)
        return [found[index] for index in range(len(windows))]

    def support_scores(self, windows: Sequence[Window]) -> list[NDArray[np.float32]]:
        """The support head's scores of each window of a claim and a text, in order: (3,) each. Raises as `scores`."""
        found: dict[int, NDArray[np.float32]] = {}
        for batch, _, (_, _, supports) in self._in_batches(windows):
            _check_numbers(supports)
            found |= dict(zip(batch, supports, strict=True))
        return [found[index] for index in range(len(windows))]

    def _in_batches(
        self, windows: Sequence[Window]
    ) -> Iterator[tuple[list[int], NDArray[np.bool_], tuple[NDArray[np.float32], ...]]]:
        """Of each batch: the indices of its windows, what is no padding, and the outputs."""
        for batch in batches_by_length(windows, BATCH_TOKENS):
            ids, types, real = padded([windows[i] for i in batch])
            yield batch, real, self.outputs(ids, types, real)


def _check_numbers(*scores: NDArray[np.float32]) -> None:
    if not all(np.isfinite(one).all() for one in scores):
        raise ModelError("reading model: its scores are no numbers. Train it again: glossator train reader")


def open_span_model(folder: Path | str, sizes: WindowSizes | None = None) -> SpanModel:
    """The reading model that `glossator train reader` wrote into a folder, read by onnxruntime.

    Raises ModelError for a folder that is missing, damaged, or of a model without these heads.
    """
    import onnxruntime  # 0.2 seconds, which only questions need

    options = onnxruntime.SessionOptions()
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # threads that wait leave the processor
    options.log_severity_level = 3  # errors: they are raised, too
    try:
        tokenizer = PairTokenizer(folder, sizes or WindowSizes())
        session = onnxruntime.InferenceSession(Path(folder, WEIGHTS), options, providers=["CPUExecutionProvider"])
        counts = {output.name: output.shape[-1] for output in session.get_outputs()}
        if counts != OUTPUTS or [each.name for each in session.get_inputs()] != list(INPUTS):
            raise ModelError(f"its heads are {counts}, not {OUTPUTS}")
    except Exception as error:  # onnxruntime and tokenizers raise kinds of their own
        raise not_loaded(f"reading model {folder}", error, "Train it again: glossator train reader") from error

    def outputs(*arrays: NDArray[Any]) -> tuple[NDArray[np.float32], ...]:
        made: list[Any] = session.run(list(OUTPUTS), dict(zip(INPUTS, arrays, strict=True)))
        return tuple(made)

    return SpanModel(outputs, tokenizer)


@cache
def shared_span_model(model: str) -> SpanModel:
    """The reading model of a name in models.toml or of a folder, opened once. Raises ModelError as open_span_model."""
    with opening(model) as folder:
        return open_span_model(folder)


def batches_by_length(windows: Sequence[Window], tokens: int) -> Iterator[list[int]]:
    """Batches of windows of similar length, by index: of at most `tokens` tokens after padding, or of one window."""
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
