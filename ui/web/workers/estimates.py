"""How long an answer takes on this machine, by the answers before it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

FEWEST = 2  # answers of a kind, before anything is said
LAPS = ("retrieve", "mark", "note", "answer")  # of rag.records.Answer.seconds: together, the whole time


def typical_seconds(
    past: Sequence[tuple[Mapping[str, Any], Mapping[str, float], Mapping[str, int]]], strategy: str
) -> float | None:
    """The median time of earlier answers of the same kind (as Conversations.past_seconds gives them); None of too few.

    An answer for which the reader wrote nothing is of no kind: it was read off.

    >>> past = [({"strategy": "notes"}, {"retrieve": 0.5, "answer": n}, {"generated": 9}) for n in (8, 9, 30)]
    >>> typical_seconds(past, "notes")
    9.5
    """
    alike = [
        sum(seconds.get(lap, 0.0) for lap in LAPS)
        for options, seconds, tokens in past
        if tokens.get("generated") and options.get("strategy", "notes") == strategy
    ]
    return round(median(alike), 1) if len(alike) >= FEWEST else None
