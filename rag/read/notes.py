"""The evidence note: the sentences of the evidence that bear on an answer, copied, with the decisive words marked.

A small reader that writes its note freely rewrites the question as a statement and fills the hole (9 % of its sentences
are copies), so the note is built from the evidence after the answer, by string match.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from rag.read.match import EDGES, holds_answer
from rag.read.quotes import Quote
from rag.read.rules.base import Proposal
from rag.records import Note

NOTE_QUOTES = 3
# What the name of something looks like: words with capitals in a row, "of" and the like between them.
NAME = re.compile(r"[A-Z][\w'.-]*(?:\s+(?:(?:of|the|de|von|van|and)\s+)*[A-Z0-9][\w'.-]*)*")
NOTHING = re.compile(
    r"no (?:useful|relevant|helpful|such)? ?(?:evidence|information|passage|mention)|"
    r"(?:nothing|none of|not?) .{0,40}(?:useful|helps?|relevant|found|mentioned)",
    re.IGNORECASE,
)


def write_note(query: str, answer: str, quotes: Sequence[Quote], round: int = 1) -> Note:
    """The note of one round: a line for each of the best quotes. Key spans: the answer as the first of them has it."""
    text = "\n".join(_lines(quotes[:NOTE_QUOTES]))
    keys = tuple(_words_of(quote.text, answer) for quote in quotes[:1] if quote.holds)
    uncertain = () if not answer or any(quote.holds for quote in quotes) else (answer,)
    return Note(round, query, text, keys, uncertain)


def _lines(quotes: Sequence[Quote]) -> list[str]:
    return [f"[{quote.hit.rank}] {' '.join(quote.text.split())}" for quote in quotes]


def _words_of(text: str, answer: str) -> str:
    """The fewest words of the text that hold the answer, as the text writes them."""
    words = text.split()
    for length in range(1, len(words) + 1):
        for first in range(len(words) - length + 1):
            window = " ".join(words[first : first + length])
            if holds_answer(window, answer):
                return window.strip(EDGES + "()[]\u2018\u2019\u201c\u201d")
    return answer


def proposal_note(query: str, proposal: Proposal, quotes: Sequence[Quote]) -> Note:
    """The note of a rule's answer: its quotes, as the evidence has them, and of what each word that decides was found.

    The key spans are the words that decide.
    """
    lines = _lines(quotes)
    if proposal.names:
        lines.append("; ".join(f"{name}: {word}" for name, word in zip(proposal.names, proposal.found, strict=True)))
    return Note(1, query, "\n".join(lines), proposal.found)


def selection_note(query: str, quotes: Sequence[Quote]) -> Note:
    """The note of an answer that is read from chosen sentences: these, in their order."""
    return Note(1, query, "\n".join(_lines(quotes)))


def next_query(question: str, draft: str, quotes: Sequence[Quote]) -> str:
    """What to search for when the first evidence was not enough: the question, with the names that its note found.

    The names are those in the two best quotes and the draft that the question does not have itself: of a question with
    two facts they say what the second is about.
    """
    named = [match[0].strip(".") for match in NAME.finditer(draft)]
    for quote in quotes[:2]:  # a capital alone at a sentence's beginning makes no name
        named += [match[0].strip(".") for match in NAME.finditer(quote.text) if match.start() or " " in match[0]]
    known = question.casefold()
    new = [name for name in dict.fromkeys(named) if len(name) > 3 and name.casefold() not in known]
    return " ".join([question, *new[:4]])


def says_nothing(note: str) -> bool:
    """Whether a note says that nothing useful was found.

    >>> says_nothing("No useful evidence."), says_nothing("The bridge was opened in 1911.")
    (True, False)
    """
    return bool(NOTHING.search(note))
