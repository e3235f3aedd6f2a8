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
from rag.train.adapters import RATE, AdapterRecipe, Row, Rows, TunedChatModel, reply_loss, row_of, tune

if TYPE_CHECKING:
    from torch import Tensor

BATCH = 8  # examples a step; the paper has no adapters


@dataclass(frozen=True, slots=True)
class QuoteRecord:
    """A question q, the sentences of its context c, those of them that are needed (z), and the answer y."""

    question: str
    context: tuple[Quote, ...]
    evidence: tuple[Quote, ...]
    answer: str


def alignment_loss(model: Any, rows: Rows) -> Tensor:
    """-log p(z | q, c) - log p(y | z, q, c) of an example, in nats. A scalar.

    Each term is the log-probability of the whole sequence, the sum over its tokens, as the paper's formula has it: so
    z, the longer one, weighs more than y.
    """
    of_evidence, of_answer = rows
    return reply_loss(model, of_evidence) + reply_loss(model, of_answer)


def encode(record: QuoteRecord, tokenizer: Any) -> tuple[Row, Row]:
    """The two rows of an example: prompts as the reader gets them through its chat template, replies to their end."""
    hits = list({quote.hit.passage.passage_id: quote.hit for quote in record.context}.values())
    asked = copy_messages(record.question, record.context)
    then = quotes_messages(record.question, record.evidence, hits)
    return row_of(asked, bullets(record.evidence), tokenizer), row_of(then, record.answer, tokenizer)


def train(
    records: Sequence[QuoteRecord],
    model: Any,
    tokenizer: Any,
    epochs: int = 1,
    seed: int = 0,
    report: Report = silent,
    checkpoint: Path | None = None,
) -> TunedChatModel:
    """Train adapters with the alignment loss and merge them into the model, which is changed, as `tune`.

    Raises DataError without an example.
    """
    if not records:
        raise DataError("there is no question with gold sentences to train from. Name other data")
    return tune(
        model, tokenizer, [encode(record, tokenizer) for record in records], alignment_loss,
        AdapterRecipe(BATCH, epochs, seed, RATE), "questions with their paragraphs",
        "Name other data, or a model with a longer context", checkpoint, report,
    )  # fmt: skip


def save(trained: TunedChatModel, base: str, out: Path, data: str) -> None:
    """As TunedChatModel.save."""
    trained.save(out, "quotes", base, data)
