"""The instant answer: the reading model marks it in a passage, in the sentence that is shown as its source."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rag.read.match import holds_answer
from rag.read.quotes import Quote, choose_quotes, units
from rag.records import Citation, Hit, MarkedAnswer
from rag.span.span_model import SpanModel
from rag.span.span_reader import read_span
from rag.span.windows import PassageText

MARKED = 2.0  # score of the quote in which the answer is marked: above any other


@dataclass(frozen=True, slots=True)
class Mark:
    """What is marked: passage.text[start:end] of the quote's hit; of yes and no the span is empty.

    `text` is "" and `quote` None where no passage has an answer. `probability`, 0..1, is that of this answer.
    """

    text: str
    probability: float
    quote: Quote | None = None
    start: int = 0
    end: int = 0

    def shown(self, citation_of: Callable[[Quote], Citation]) -> MarkedAnswer:
        """As what is shown, with the citation of its quote."""
        if self.quote is None:
            return MarkedAnswer("", self.probability, None)
        first = self.quote.start
        span = (self.start - first, self.end - first) if self.end else (0, 0)
        return MarkedAnswer(self.text, self.probability, citation_of(self.quote), *span)


def mark_answer(question: str, hits: Sequence[Hit], model: SpanModel) -> Mark:
    """The answer that the reading model marks in one of the hits. Raises ModelError for damaged weights."""
    answer = read_span(model, question, [PassageText(hit.passage.title, hit.passage.text) for hit in hits])
    if answer.passage is None:
        return Mark("", answer.not_here)
    hit = hits[answer.passage]
    if answer.kind == "span":
        quote = quote_around(hit, answer.start, answer.end)
        return Mark(" ".join(answer.text.split()), answer.probability, quote, answer.start, answer.end)
    quotes = choose_quotes(question, "", [hit], most=1)  # none in a passage of blanks
    return Mark(answer.text, answer.probability, quotes[0] if quotes else quote_around(hit, 0, len(hit.passage.text)))


def quote_around(hit: Hit, start: int, end: int) -> Quote:
    """The sentences of a hit, or rows of its table, in which passage.text[start:end] stands."""
    inside = [unit for unit in units(hit.passage) if unit[0] < end and start < unit[1]]
    first, last = (min(inside[0][0], start), max(inside[-1][1], end)) if inside else (start, end)
    return Quote(hit, first, last, holds=True, score=MARKED)


def agrees(mark: Mark, answer: str) -> bool:
    """Whether an answer says what is marked: its words stand in the answer, or the answer's in it.

    >>> agrees(Mark("in May 1900", 0.7), "May 1900."), agrees(Mark("May", 0.7), "June")
    (True, False)
    """
    return bool(mark.text) and (holds_answer(answer, mark.text) or holds_answer(mark.text, answer))
