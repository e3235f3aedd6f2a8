"""Questions with gold sentences as examples for ALR²'s training (rag/train/quote_training.py)."""

from __future__ import annotations

import html
from collections.abc import Iterable, Iterator

from eval.multihop.questions import ContextParagraph, Fact, Question
from rag.read.match import holds_answer
from rag.read.quotes import Quote
from rag.records import Hit, Passage
from rag.train.quote_training import QuoteRecord


def records_of(questions: Iterable[Question]) -> list[QuoteRecord]:
    """(question, context, evidence, answer) of each question whose gold sentences all stand in its paragraphs.

    Context and evidence are the data's own sentences, in the file's order, with HTML's entities resolved (as eval has
    them in all texts). Questions without gold sentences (MuSiQue),
    or with one that is missing (HotpotQA's fullwiki files), are left out.
    """
    return [record for question in questions if (record := _record(question))]


def _record(question: Question) -> QuoteRecord | None:
    answer = html.unescape(question.answers[0])
    context: list[Quote] = []
    places: dict[Fact, int] = {}  # where a sentence stands in the context
    for rank, paragraph in enumerate(question.paragraphs, start=1):
        for i, quote in _sentences(rank, paragraph, answer):
            places.setdefault((paragraph.title, i), len(context))
            context.append(quote)
    facts = question.facts
    if not facts or not facts <= places.keys():
        return None
    evidence = tuple(context[place] for place in sorted(places[fact] for fact in facts))
    return QuoteRecord(question.question, tuple(context), evidence, answer)


def _sentences(rank: int, paragraph: ContextParagraph, answer: str) -> Iterator[tuple[int, Quote]]:
    """The index and the span of each sentence that says something."""
    shown = ContextParagraph(html.unescape(paragraph.title), tuple(html.unescape(each) for each in paragraph.sentences))
    entry, text = shown.entry, shown.text
    passage = Passage(f"{entry.id}#0", entry.id, shown.title, "", text, 0, len(text))
    hit = Hit(rank, 0.0, passage)
    end = 0
    for i, sentence in enumerate(shown.sentences):
        if words := sentence.strip():
            start = text.index(words, end)
            end = start + len(words)
            yield i, Quote(hit, start, end, holds_answer(words, answer), 0.0)
