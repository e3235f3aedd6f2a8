"""A whole document cut into parts to be read one after the other: neighbouring passages under the same heading."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rag.locator import TimeSpan, heading_of
from rag.read.summary.telling import apparatus
from rag.records import Passage

SHORTEST, LONGEST = 0.5, 1.5  # of the length that a part would have if all were equally long


@dataclass(frozen=True, slots=True)
class DocumentPart:
    """Passages that follow each other, and the heading or chapter that the first stands under, "" without one."""

    heading: str
    passages: tuple[Passage, ...]

    @property
    def span(self) -> tuple[int, int]:
        """Where it stands in its document's text; half-open."""
        return min(passage.start for passage in self.passages), max(passage.end for passage in self.passages)


def parts_of(passages: Sequence[Passage], most: int) -> list[DocumentPart]:
    """The text of one document in about `most` parts, which begin at headings where that leaves none too short.

    References, contents and the like are left out, and so are tables and figures, unless there is nothing else.
    """
    text = [passage for passage in passages if passage.kind == "text" and not apparatus(passage)] or list(passages)
    wanted = sum(len(passage.text) for passage in text) / max(1, most)
    groups: list[list[Passage]] = []
    length = 0
    for passage in text:
        begins = not groups
        if groups and length >= SHORTEST * wanted:
            begins = heading(passage) != heading(groups[-1][-1]) or length >= LONGEST * wanted
        if begins:
            groups.append([])
            length = 0
        groups[-1].append(passage)
        length += len(passage.text)
    return [DocumentPart(heading(group[0]), tuple(group)) for group in groups]


def heading(passage: Passage) -> str:
    """The chapter of an episode, elsewhere the outermost heading that a passage stands under."""
    return passage.locator.chapter if isinstance(passage.locator, TimeSpan) else heading_of(passage.section)
