"""The legal concepts that the facts of a case raise, as the reader names them: words to search earlier cases by.

As LeCoPCR has it for ECtHR-PCR: what is asked is facts, what was cited is reasoning, and a language model names what
the one has in common with the other. Here without training, in one prompt.
"""

from __future__ import annotations

import re

from rag.llm.chat import ChatModel, Usage
from rag.read.prompts import plain

MOST = 8  # concepts of a case
WORDS = 6  # of a concept at most: what is longer is a sentence
REPLY_TOKENS = 96
NAME = (
    "Name the legal concepts that the facts of this case raise, such as the rights, duties and tests that a court "
    f"would look at. Reply with at most {MOST} short noun phrases, one a line, and nothing else."
)
MARK = re.compile(r"^(?:[-*\u2022]|\d{1,2}[.)])\s+")


class Concepts:
    """A text of facts -> its concepts, by a reader whose window is `context_tokens` long. No text is asked of twice."""

    def __init__(self, reader: ChatModel, context_tokens: int):
        self._reader = reader
        self._room = context_tokens - REPLY_TOKENS
        self._kept: dict[str, tuple[str, ...]] = {}

    def __call__(self, text: str) -> tuple[str, ...]:
        """At most MOST; none for a text without words. One call of the reader. Raises ReaderError."""
        if text not in self._kept:
            self._kept[text] = self._ask(text) if text.strip() else ()
        return self._kept[text]

    def _ask(self, text: str) -> tuple[str, ...]:
        words = plain(text).split()
        while (needed := self._reader.count(concept_messages(words))) > self._room and len(words) > 1:
            # What is left is a little less than would fit if all words were of one length: so it ends soon.
            words = words[: min(len(words) - 1, int(len(words) * self._room / needed * 0.95))]
        return parse("".join(self._reader.stream(concept_messages(words), REPLY_TOKENS, Usage())))


def concept_messages(words: list[str]) -> list[tuple[str, str]]:
    """The facts, of which the beginning stands for all where they are too long, and what is asked of them."""
    return [("system", NAME), ("user", f"Facts: {' '.join(words)}\n\n{NAME}")]


def parse(reply: str) -> tuple[str, ...]:
    """A line each of at most WORDS words, without bullet or number; what is no noun phrase by its signs is dropped.

    >>> parse("1. Right to liberty\\n- right to liberty\\nThese are the concepts:\\nLength of pre-trial detention")
    ('Right to liberty', 'Length of pre-trial detention')
    """
    found: dict[str, str] = {}
    for line in reply.splitlines():
        name = MARK.sub("", line.strip()).strip(" .;,\"'")
        phrase = re.fullmatch(r"[\w'\u2019()/ -]+", name) and any(map(str.isalpha, name))
        if phrase and len(name.split()) <= WORDS:
            found.setdefault(name.casefold(), name)
    return tuple(found.values())[:MOST]
