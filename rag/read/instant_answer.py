"""The instant answer: the reading model marks it in a passage, in the sentence that is shown as its source."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from rag.read.match import holds_answer
from rag.read.quotes import Quote, choose_quotes, units
from rag.records import Citation, Hit, MarkedAnswer, Passage
from rag.span.span_model import SpanModel
from rag.span.span_reader import read_span
from rag.span.windows import PassageText

MARKED = 2.0  # score of the quote in which the answer is marked: above any other


@dataclass(frozen=True, slots=True)
class Mark:
    """What is marked: passage.text[start:end] of the quote's hit; of yes and no the span is empty.

    `text` is "" and `quote` None where no passage has an answer. `probability`, 0..1, is that of this answer;
    `likely` has all answers that are not quite unlikely, each with its probability.
    """

    text: str
    probability: float
    quote: Quote | None = None
    start: int = 0
    end: int = 0
    likely: tuple[tuple[str, float], ...] = ()

    def probability_of(self, answer: str) -> float:
        """How likely the reading model finds an answer that somebody else gave: the sum over all that say the same.

        >>> Mark("May", 0.6, likely=(("May", 0.6), ("in May 1900", 0.2), ("June", 0.1))).probability_of("May")
        0.8
        """
        return min(1.0, sum(probability for text, probability in self.likely if same_answer(text, answer)))

    def shown(self, citation_of: Callable[[Quote], Citation]) -> MarkedAnswer:
        """As what is shown, with the citation of its quote."""
        if self.quote is None:
            return MarkedAnswer("", self.probability, None)
        first = self.quote.start
        span = (self.start - first, self.end - first) if self.end else (0, 0)
        return MarkedAnswer(self.text, self.probability, citation_of(self.quote), *span)


def mark_answer(question: str, hits: Sequence[Hit], model: SpanModel) -> Mark:
    """The answer that the reading model marks in one of the hits. Raises ModelError for damaged weights.

    It reads a table row by row: it has learnt to read sentences, and takes the rows of one text for each other's.
    """
    pieces = [(hit, start, end) for hit in hits for start, end in _pieces(hit.passage)]
    read = [PassageText(hit.passage.title, hit.passage.text[start:end]) for hit, start, end in pieces]
    answer = read_span(model, question, read)
    mark = Mark("", answer.not_here, likely=answer.likely)
    if answer.passage is None:
        return mark
    hit, first, _ = pieces[answer.passage]
    if answer.kind == "span":
        start, end = first + answer.start, first + answer.end
        text = " ".join(answer.text.split())
        quote = quote_around(hit, start, end)
        return replace(mark, text=text, probability=answer.probability, quote=quote, start=start, end=end)
    quotes = choose_quotes(question, "", [hit], most=1)  # none in a passage of blanks
    quote = quotes[0] if quotes else quote_around(hit, 0, len(hit.passage.text))
    return replace(mark, text=answer.text, probability=answer.probability, quote=quote)


def _pieces(passage: Passage) -> list[tuple[int, int]]:
    """What is read apart: the rows of a table, any other passage as one."""
    rows = units(passage) if passage.kind == "table" else []
    return rows or [(0, len(passage.text))]


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
    return bool(mark.text) and same_answer(mark.text, answer)


def same_answer(one: str, other: str) -> bool:
    """Whether the words of the one answer stand in the other.

    >>> same_answer("in May 1900", "May 1900."), same_answer("May", "June")
    (True, False)
    """
    return holds_answer(one, other) or holds_answer(other, one)
