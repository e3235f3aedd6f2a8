"""A composed answer's text with its markers, its citations, and the support of each of its sentences."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from rag.read.cite import MARKER
from rag.read.compose.compose import OWN_WORDS
from rag.read.quotes import BY_PART, QUOTED, AnswerSentence, Quote
from rag.records import Citation, Statement


def cite_sentences(
    told: Sequence[AnswerSentence], citation_of: Callable[[Quote, int], Citation]
) -> tuple[str, tuple[Citation, ...], tuple[Statement, ...]]:
    """The text, with a marker behind each sentence for each of its quotes; they are numbered as they first appear.

    Items stand on lines of their own, and so do headings. A document's own numbers in brackets ("[9]") become "(9)":
    they are no markers of ours. What nothing supports is marked as the reader's own.
    """
    numbers: dict[tuple[str, int, int], int] = {}
    citations: list[Citation] = []
    text, statements = "", list[Statement]()
    for i, each in enumerate(told):
        headed = bool(each.heading) and (i == 0 or told[i - 1].heading != each.heading)
        if headed:
            text += ("\n\n" if text else "") + MARKER.sub(_in_parentheses, each.heading)
        if each.item:
            text += "\n- " if text else "- "
        elif text:
            text += "\n" if headed else " "
        start = len(text)
        text += MARKER.sub(_in_parentheses, each.text)
        for quote in each.quotes:
            key = quote.hit.passage.passage_id, quote.start, quote.end
            if key not in numbers:
                numbers[key] = len(numbers) + 1
                citations.append(citation_of(quote, numbers[key]))
            text += f" [{numbers[key]}]"
        if not each.quotes:
            text += f" {OWN_WORDS}"
        statements.append(Statement(start, len(text), each.support, bool(each.quotes)))
    return text, tuple(citations), tuple(statements)


def own_words(answer: str) -> str:
    """What the reader wrote of an answer: without markers, and without the quotes and parts that stand below it.

    >>> own_words("It is a mill. [1]\\n\\nIn the documents’ words:\\n- A mill stood there. [2]")
    'It is a mill.'
    """
    text = MARKER.sub("", answer.replace(f" {OWN_WORDS}", ""))
    for heading in (QUOTED, BY_PART):
        text = text.partition(f"\n\n{heading}\n")[0]
    return text.strip()


def _in_parentheses(marker: re.Match[str]) -> str:
    blank = " " if marker[0][0].isspace() else ""
    return f"{blank}({marker[1]})"
