"""Support: how sure the reader itself is that the evidence bears an answer out. An estimate, not a proof."""

from __future__ import annotations

from collections.abc import Sequence

from rag.read.generate import ChatReader, Usage
from rag.read.notes import Quote
from rag.read.prompts import claim_messages, support_messages
from rag.records import Hit


def support_score(
    reader: ChatReader, question: str, evidence: Sequence[Hit], answer: str, quotes: Sequence[Quote], usage: Usage
) -> float:
    """The mean of two probabilities of "yes", 0..1; 0 without a quote.

    One is asked in the conversation that gave the answer (all passages before it), one of the best quote's passage
    alone. Together they tell right answers from answers without gold evidence with an AUC of 0.94, where the first
    alone has 0.91 and the second 0.87 (HotpotQA train, 1.5B, 11 against 16; eval/log.md).
    """
    if not quotes:
        return 0.0
    in_all = reader.yes_probability(support_messages(question, evidence, answer), usage)
    in_best = reader.yes_probability(claim_messages(question, answer, quotes[0].hit.passage), usage)
    return (in_all + in_best) / 2
