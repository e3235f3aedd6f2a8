"""What a rule is: it proposes an answer, and the reader confirms it against the words that it quotes.

A rule is code for one kind of question. It is silent on any other: to be silent costs nothing, the reader then answers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from rag.llm.chat import ChatModel, Usage
from rag.read.entailment import Judge, hypothesis
from rag.read.prompts import quote_messages
from rag.read.quotes import Quote
from rag.records import Hit


@dataclass(frozen=True, slots=True)
class Claim:
    """That this is the answer to this question; `text` are the words that are to say so, all or some of a quote's."""

    question: str
    answer: str
    hit: Hit
    text: str


@dataclass(frozen=True, slots=True)
class Proposal:
    """An answer that a rule proposes, the claims that it rests on, and the words of its note.

    `found` are the words that decide, the key spans of the note; `names` say of what each was found, where there are
    several. `judged`, 0..1: how sure the reader was of what the rule itself asked it.
    """

    answer: str
    quotes: tuple[Quote, ...]
    found: tuple[str, ...]
    claims: tuple[Claim, ...]
    names: tuple[str, ...] = ()
    judged: float = 1.0

    def stands_in(self, hits: Sequence[Hit]) -> bool:
        """Whether each quote stands, word for word, in these passages of its document."""
        texts: dict[str, str] = {}
        for hit in sorted(hits, key=lambda hit: hit.passage.start):
            key = hit.passage.document_id
            texts[key] = f"{texts.get(key, '')} {_with_single_blanks(hit.passage.text)}"
        return all(
            _with_single_blanks(quote.text) in texts.get(quote.hit.passage.document_id, "") for quote in self.quotes
        )


class Rule(Protocol):
    """Code for one kind of question. `name` is what the setting `reader.rules` calls it."""

    @property
    def name(self) -> str: ...

    def propose(self, question: str, evidence: Sequence[Hit], reader: ChatModel, usage: Usage) -> Proposal | None:
        """An answer, or None for another kind of question and where it is not clear.

        Quotes may be of passages that are not in the evidence: they join it. Raises ReaderError where it asks the
        reader.
        """
        ...


def confirm(proposal: Proposal, reader: ChatModel, usage: Usage, judge: Judge | None = None) -> float:
    """The support of a proposal, 0..1: how sure the reader is of the least certain of its claims, by its words alone.

    By a judge of natural language inference where there is one. Raises ReaderError.
    """
    support = proposal.judged
    for claim in proposal.claims:
        passage = claim.hit.passage
        if judge is not None:
            premise = f"{passage.title}: {claim.text}"
            support = min(support, float(judge([premise], [hypothesis(claim.question, claim.answer)])[0]))
        else:
            messages = quote_messages(claim.question, claim.answer, passage, claim.text)
            support = min(support, reader.yes_probability(messages, usage))
    return support


def _with_single_blanks(text: str) -> str:
    return " ".join(text.split())
