"""Queries that the reader writes for passages, kept only if a search with them finds the passage again.

The round trip of Promptagator (Dai et al., arXiv 2209.11755), with the teachers in place of a retriever trained for it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np

from rag.protocols import Reader, Report, silent
from rag.read.prompts import QUERY, plain
from rag.train.near_duplicates import words_of
from rag.train.sparse.hard_negatives import Teacher, best
from rag.train.sparse.pairs import Pair, TrainingSet, hash_of
from rag.train.sparse.self_made_queries import LONGEST, SHORTEST, TIMES

WITHIN = 5  # of a teacher's ranking that the passage must be among
TOKENS = 48  # of a reply
CHARACTERS = 2000  # of a passage that the reader sees
BLOCK = 64  # queries scored at a time
LEAD = re.compile(r"^\W*(?:question\s*\d*\s*:|\d+[.):]\s)?\W*", re.IGNORECASE)


def written(
    data: TrainingSet,
    reader: Reader,
    teachers: Mapping[str, Teacher],
    count: int,
    seed: int = 0,
    report: Report = silent,
) -> list[Pair]:
    """Queries for `count` passages, drawn by a hash, as far as one of the teachers finds the passage with them.

    `teachers` are over the texts of `data`, and rank its whole passages. Raises ReaderError.
    """
    drawn = sorted(data.whole, key=lambda i: hash_of(f"{seed} {data.texts[i]}"))[:count]
    asked = []
    for done, index in enumerate(drawn, start=1):
        query = _query("".join(reader.stream(_messages(data.texts[index]), TOKENS)))
        words = words_of(query)
        if SHORTEST <= len(words) <= LONGEST and len(words_of(data.texts[index])) >= TIMES * len(words):
            asked.append(Pair(query, (index,), "reader"))
        report("questions", done, len(drawn))
    whole = np.zeros(len(data.texts), dtype=np.bool_)
    whole[list(data.whole)] = True
    kept: dict[str, Pair] = {}
    for first in range(0, len(asked), BLOCK):
        block = asked[first : first + BLOCK]
        rankings = [teacher.scores([pair.query for pair in block]) for teacher in teachers.values()]
        for row, pair in enumerate(block):
            if any(pair.positives[0] in best(scores[row], whole, WITHIN) for scores in rankings):
                kept.setdefault(pair.query.casefold(), pair)
    return list(kept.values())


def _messages(text: str) -> list[tuple[str, str]]:
    """The passage first, without the marks that begin and end a turn, and what is wanted of it last."""
    return [("user", f"Text: {plain(' '.join(text[:CHARACTERS].split()))}\n\n{QUERY}")]


def _query(reply: str) -> str:
    """The question in a reply: its first line, without a number or quotes around it.

    >>> _query('Question: "When was the mill built?"\\nIt asks for a date.')
    'When was the mill built?'
    """
    line = next((line for line in reply.splitlines() if line.strip()), "")
    return LEAD.sub("", line).strip().rstrip("\"'”’*")
