"""The losses of the reading model: its answers over all windows of a question, and the relevance of each window."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rag.span.span_model import batches_by_length, padded
from rag.span.windows import Window
from rag.train.reading.reading_examples import Example
from rag.train.reading.reading_student import ReadingStudent

if TYPE_CHECKING:
    from torch import Tensor

BATCH_TOKENS = 512  # padded, that are read together


def answer_loss(examples: Sequence[Example], spans: Tensor, heads: Tensor, longest: int) -> Tensor:
    """The mean over questions of -log P(gold), by the softmax of rag/span/span_reader.py over all their windows.

    `spans` (windows, tokens, 2) and `heads` (windows, 4) are the outputs for the windows of all examples, in order.
    Several gold spans are alternatives, whose probabilities are summed. A gold yes or no may come from any window that
    serves the question. Shared normalisation as in Clark and Gardner 2018, section 3.2.
    """
    import torch

    windows = [window for example in examples for window in example.windows]
    allowed = _allowed(windows, spans.shape[1], longest)
    null = heads[:, 2, None, None]
    pairs = (spans[:, :, None, 0] + spans[:, None, :, 1] - null).masked_fill(~allowed, -torch.inf)
    verdicts = heads[:, :2] - heads[:, 2:3]  # yes, no
    whole = torch.cat([pairs.flatten(1), verdicts], 1).logsumexp(1)
    zero = spans.new_zeros(1)
    losses, first = [], 0
    for example in examples:
        rows = range(first, first + len(example.windows))
        first += len(example.windows)
        if example.label == "unanswerable":
            gold = [zero]
        elif example.label == "span":
            gold = [
                pairs[row, torch.from_numpy(a), torch.from_numpy(b)]
                for row, a, b in zip(rows, example.first_tokens, example.last_tokens, strict=True)
            ]
        else:
            column = ("yes", "no").index(example.label)
            serving = [row for row, relevance in zip(rows, example.relevance, strict=True) if relevance == 1]
            gold = [verdicts[serving, column]]
        everything = torch.cat([zero, whole[rows.start : rows.stop]]).logsumexp(0)
        losses.append(everything - torch.cat(gold).logsumexp(0))
    return torch.stack(losses).mean()


def relevance_loss(examples: Sequence[Example], heads: Tensor) -> Tensor:
    """The mean cross-entropy of the relevance of the windows of which it is known; 0 if of none."""
    import torch

    wanted = torch.tensor([value for example in examples for value in example.relevance])
    known = wanted >= 0
    if not known.any():
        return heads.new_zeros(())
    return torch.nn.functional.binary_cross_entropy_with_logits(heads[known, 3], wanted[known])


def outputs_of(examples: Sequence[Example], student: ReadingStudent) -> tuple[Tensor, Tensor]:
    """The outputs for the windows of all examples, in order: (windows, tokens, 2) and (windows, 4), with gradients.

    Windows of like length are read together, so that little is padded.
    """
    import torch

    windows = [window for example in examples for window in example.windows]
    longest = max(len(window.ids) for window in windows)
    spans, heads, order = [], [], []
    for batch in batches_by_length(windows, BATCH_TOKENS):
        span, head, _ = student.outputs(*map(torch.from_numpy, padded([windows[i] for i in batch])))
        spans.append(torch.nn.functional.pad(span.float(), (0, 0, 0, longest - span.shape[1])))
        heads.append(head.float())
        order += batch
    rows = torch.tensor(order).argsort()
    return torch.cat(spans)[rows], torch.cat(heads)[rows]


def _allowed(windows: Sequence[Window], tokens: int, longest: int) -> Tensor:
    """Which spans are candidates: (windows, first tokens, last tokens)."""
    import torch

    begins = torch.zeros(len(windows), tokens, dtype=torch.bool)
    ends = torch.zeros(len(windows), tokens, dtype=torch.bool)
    for row, window in enumerate(windows):
        begins[row, : len(window.ids)] = torch.from_numpy(window.begins)
        ends[row, : len(window.ids)] = torch.from_numpy(window.ends)
    places = torch.arange(tokens)
    apart = places[None, :] - places[:, None]
    return begins[:, :, None] & ends[:, None, :] & ((apart >= 0) & (apart < longest))
