"""Where a judgment says what its court decided: in its law and operative part, not where it tells of other courts."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace

from rag.library.catalogue import Library
from rag.records import Hit

DECIDED = re.compile(
    r"\b(?:court|judges?|chamber|it)\b.{0,60}\b(?:decid\w*|hold|held|rul(?:e|ed|ing)|f[io]nd|found|conclude\w*)\b"
    r"|\b(?:decision|ruling|outcome|holding|verdict|finding)\b|\bhow did it end\b",
    re.IGNORECASE,
)
OPERATIVE = 2  # passages of the operative part that come first
Search = Callable[[str, int, Sequence[int] | None], Sequence[Hit]]


def decision_hits(
    question: str, k: int, within: Sequence[int] | None, library: Library | None, search: Search
) -> list[Hit]:
    """What a judgment says of its own decision, its operative part first, best first.

    `within` are the catalogue numbers of the passages asked about, None for all. [] where the question does not ask for
    a decision, or is about no document in particular.
    """
    if within is None or library is None or not DECIDED.search(question):
        return []
    asked = set(within)
    operative = sorted(asked & set(library.select(["part=operative"]) or ()))
    law = sorted(asked & set(library.select(["part=law"]) or ()))
    if not operative or not law:
        return []
    hits = [*search(question, OPERATIVE, operative), *search(question, k, law)]
    return [replace(hit, rank=rank) for rank, hit in enumerate(hits, start=1)]
