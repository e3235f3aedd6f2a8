"""ALR²'s training: a causal language model learns to copy the sentences that a question needs, and to answer from them.

After Li et al., arXiv 2410.03227: one model, one loss of two parts. The paper tunes a model of 35 billion weights; here
low-rank adapters (LoRA, Hu et al., arXiv 2106.09685) are trained and merged, so that what is saved is a plain folder
that reader.model can name. Such a reader is asked as it was trained (rag/read/strategies.py, `quotes`): copy_messages,
then quotes_messages with the evidence.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rag.errors import DataError
from rag.protocols import Report, silent
from rag.read.prompts import bullets, copy_messages, quotes_messages
from rag.read.quotes import Quote
from rag.train.common import RANK, RATE, TunedChatModel, adapted

if TYPE_CHECKING:
    from torch import Tensor

# Of the adapters, on every linear layer but the head; common values, the paper has no adapters.
BATCH = 8  # examples a step
MAX_TOKENS = 32_768  # the longest that the paper trains with; longer examples are left out
MASKED = -100  # a label that is not learnt: torch's cross-entropy knows it


@dataclass(frozen=True, slots=True)
class QuoteRecord:
    """A question q, the sentences of its context c, those of them that are needed (z), and the answer y."""

    question: str
    context: tuple[Quote, ...]
    evidence: tuple[Quote, ...]
    answer: str


Row = tuple[list[int], int]  # token ids of a prompt and its target, and where the target begins


def alignment_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """The mean over n examples of -log p(z | q, c) - log p(y | z, q, c), in nats.

    Two rows an example, one that ends in z and one that ends in y: logits (2n, t, v), labels (2n, t), MASKED where a
    token is not of z or y. Row i of the logits predicts label i + 1. Each term is the log-probability of the whole
    sequence, the sum over its tokens, as the paper's formula has it: so z, the longer one, weighs more than y.
    """
    import torch

    learnt = labels[:, 1:] != MASKED
    summed = torch.nn.functional.cross_entropy(
        logits[:, :-1][learnt].float(), labels[:, 1:][learnt], reduction="sum"
    )  # only where something is learnt: a context's logits over a vocabulary are gigabytes
    return summed * 2 / len(labels)


def encode(record: QuoteRecord, tokenizer: Any) -> tuple[Row, Row]:
    """The two rows of an example: prompts as the reader gets them through its chat template, targets to their end."""
    hits = list({quote.hit.passage.passage_id: quote.hit for quote in record.context}.values())
    asked = copy_messages(record.question, record.context)
    then = quotes_messages(record.question, record.evidence, hits)
    return _row(asked, bullets(record.evidence), tokenizer), _row(then, record.answer, tokenizer)


def _row(messages: Sequence[tuple[str, str]], target: str, tokenizer: Any) -> Row:
    turns = [{"role": role, "content": content} for role, content in messages]
    prompt = tokenizer.apply_chat_template(turns, add_generation_prompt=True, return_dict=True)["input_ids"]
    ids = tokenizer(target, add_special_tokens=False)["input_ids"]
    return [*prompt, *ids, tokenizer.eos_token_id], len(prompt)


def padded(rows: Sequence[Row], length: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """Token ids, attention mask and labels of some rows, each (rows, t); t is at least `length`.

    Padding is to the right, not attended to and not learnt, so any id does for it.
    """
    import torch

    length = max(length, *(len(ids) for ids, _ in rows))
    ids, attended = torch.zeros(len(rows), length, dtype=torch.long), torch.zeros(len(rows), length, dtype=torch.long)
    labels = torch.full((len(rows), length), MASKED)
    for i, (row, begin) in enumerate(rows):
        ids[i, : len(row)] = torch.tensor(row)
        attended[i, : len(row)] = 1
        labels[i, begin : len(row)] = ids[i, begin : len(row)]
    return ids, attended, labels


def train(
    records: Sequence[QuoteRecord], model: Any, tokenizer: Any, epochs: int = 1, seed: int = 0, report: Report = silent
) -> TunedChatModel:
    """Train adapters with the alignment loss and merge them into the model, which is changed.

    The same seed gives the same weights on the same machine. There is no dropout. Raises DataError without an example.
    """
    if not records:
        raise DataError("there is no question with gold sentences to train from. Name other data")
    longest = min(MAX_TOKENS, getattr(model.config, "max_position_embeddings", None) or MAX_TOKENS)
    encoded = [encode(record, tokenizer) for record in records]
    examples = [rows for rows in encoded if max(len(ids) for ids, _ in rows) <= longest]
    if not examples:
        raise DataError(
            f"none of {len(records)} questions with their paragraphs is short enough for {longest:,} tokens. "
            "Name other data, or a model with a longer context"
        )

    def loss_of(tuned: Any, rows: tuple[Row, Row]) -> Tensor:
        ids, attended, labels = (tensor.to(tuned.device) for tensor in padded(rows))
        return alignment_loss(tuned(input_ids=ids, attention_mask=attended, use_cache=False).logits, labels)

    merged, losses = adapted(model, examples, loss_of, RANK, RATE, BATCH, epochs, seed, report)
    return TunedChatModel(merged, tokenizer, len(examples), len(records) - len(examples), epochs, seed, losses)


def save(trained: TunedChatModel, base: str, out: Path, data: str) -> None:
    """As TunedChatModel.save."""
    trained.save(out, "quotes", base, data)
