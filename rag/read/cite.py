"""Citations: every marker in the answer points to a passage and to words that stand there; any other is removed."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from rag.locator import Locator
from rag.read.quotes import Quote
from rag.records import Citation, Passage

MARKER = re.compile(r"\s*[\[\uff3b]\s*(\d+(?:\s*[,;]\s*\d+)*)\s*[\]\uff3d]")  # [2], [1, 3]; also wide brackets
NEARLY_AS_GOOD = 0.3  # of a score where 1 is all of the question's words
Locate = Callable[[Passage, int, int], Locator]  # where document.text[start:end], words of the passage, stands


def cite(answer: str, quotes: Sequence[Quote], locate: Locate) -> tuple[str, tuple[Citation, ...]]:
    """The answer with a marker for each passage that shows it, and a citation for each.

    Only the best quote of a passage, and only passages that show it about as well as the best one. Markers that the
    reader wrote are kept where one of the quotes supports them, and removed where none does.
    """
    showing: list[Quote] = []
    for quote in quotes:
        new = all(quote.hit.rank != other.hit.rank for other in showing)
        if new and quote.holds == quotes[0].holds and quote.score > quotes[0].score - NEARLY_AS_GOOD:
            showing.append(quote)
    ranks = [str(quote.hit.rank) for quote in showing]
    written: list[str] = []

    def kept(match: re.Match[str]) -> str:
        supported = [rank for rank in map(str, map(int, re.findall(r"\d+", match.group(1)))) if rank in ranks]
        written.extend(supported)
        return "".join(f" [{rank}]" for rank in supported)

    cited, before = answer, ""
    while cited != before:  # what stood around a marker may be one when it is gone: "[[8]7]"
        cited, before = MARKER.sub(kept, cited), cited
    cited += "".join(f" [{rank}]" for rank in ranks if rank not in written)
    return cited.strip(), tuple(citation_of(quote, quote.hit.rank, locate) for quote in showing)


def citation_of(quote: Quote, number: int, locate: Locate) -> Citation:
    """A quote as the citation that the marker [number] points to."""
    passage = quote.hit.passage
    start, end = passage.start + quote.start, passage.start + quote.end
    return Citation(
        f"[{number}]",
        passage.passage_id,
        passage.document_id,
        passage.path,
        passage.title,
        locate(passage, start, end),
        quote.text,
        start,
        end,
        passage.kind,
        passage.label,
        passage.section,
        passage.ocr_confidence,
    )
