"""What a question sets side by side: each side is searched for by itself, so that none crowds the other out."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace

from rag.records import Hit

# A side ends where the sentence goes on: at a comma, a question mark, or a word that asks or joins.
_SIDE = r"([^,;:?]{1,80}?)"
_END = (
    r"(?=\s*(?:[,;:?.]|$|\b(?:and (?:which|why|what|how|by|who)|which|why|who|what|in terms|with respect|when|where|"
    r"for)\b))"
)
_BE = r"\b(?:is|are|was|were|do|does|did)"
PATTERNS = tuple(
    re.compile(pattern + _END, re.IGNORECASE)
    for pattern in (
        rf"\b(?:difference|comparison|contrast|similarit(?:y|ie))s? between {_SIDE} and {_SIDE}",
        rf"^\W*{_SIDE} (?:vs\.?|versus|as opposed to) {_SIDE}",
        rf"{_BE} {_SIDE} (?:and {_SIDE} )?(?:differ|different|compare|contrast)\w*(?: (?:from|to|with) {_SIDE})?",
        rf"\bcompar(?:e|ing) {_SIDE} (?:and|with|to) {_SIDE}",
        rf"{_BE} {_SIDE} (?:any )?(?:\w+er|better|worse|more [\w-]+|less [\w-]+) than {_SIDE}",
        rf"\bcontrasts? {_SIDE} (?:with|and) {_SIDE}",
    )
)
LOOKED_AT = 400  # characters of a question: who compares says so in a sentence


def sides_of(question: str) -> tuple[str, ...]:
    """The two sides of a comparison, as the question has them; () where they are not told apart.

    >>> sides_of("How does SPECTER differ from SciBERT, and why does that help?")
    ('SPECTER', 'SciBERT')
    >>> sides_of("What is the difference between coarse and fine annotation?")
    ('coarse', 'fine annotation')
    """
    for pattern in PATTERNS:
        if match := pattern.search(question[:LOOKED_AT]):
            sides = tuple(side.strip(" '\"") for side in match.groups() if side and side.strip())
            if len(sides) == 2:
                return sides
    return ()


OF_A_SIDE = 2  # passages of each side that join those of the question


def with_sides(question: str, found: Sequence[Hit], k: int, search: Callable[[str, int], Sequence[Hit]]) -> list[Hit]:
    """What was found for a comparison, and behind it the best passages of each of its sides."""
    hits = list(found)
    known = {hit.passage.passage_id for hit in hits}
    for side in sides_of(question):
        new = [hit for hit in search(side, k) if hit.passage.passage_id not in known][:OF_A_SIDE]
        known |= {hit.passage.passage_id for hit in new}
        hits += new
    return [replace(hit, rank=rank) for rank, hit in enumerate(hits, start=1)]
