"""A map of a library: how much of each document, part of a document or year each concept has."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from rag.concepts.concept_index import Concepts
from rag.errors import UsageError
from rag.library.catalogue import Library
from rag.records import Passage

Axis = Literal["document", "part", "year"]
AXES: tuple[Axis, ...] = ("document", "part", "year")
MOST_COLUMNS = 40  # columns that a map shows: the documents or parts with the most passages


@dataclass(frozen=True, slots=True)
class Column:
    """A document, a part of one or a year: what its passages are filtered by is `key`; it has `passages`."""

    key: str
    title: str
    passages: int


@dataclass(frozen=True, slots=True)
class ConceptMap:
    """`counts[i][j]`: the passages of column j that clearly have the concept `concepts[i]`. `left_out` columns."""

    axis: Axis
    columns: tuple[Column, ...]
    concepts: tuple[int, ...]
    counts: tuple[tuple[int, ...], ...]
    left_out: int


def concept_map(concepts: Concepts, library: Library, axis: Axis = "document", document_id: str = "") -> ConceptMap:
    """The map of the shown concepts over documents, over the parts of one of them, or over years.

    Years are those of judgments and episodes. Columns stand in the order of their documents' dates, then
    titles; parts in their own. Raises UsageError for another axis, and for parts of no document.
    """
    if axis not in AXES:
        raise UsageError(f"by {axis}: choose one of {', '.join(AXES)}")
    if axis == "part" and not document_id:
        raise UsageError("a map by part is of one document. Choose one")
    titles = {each: title for each, title, _ in library.names()}
    years = {each: date[:4] for each, date in library.dates().items()}
    columns: dict[int, tuple[str, str]] = {}  # of each passage's number: the key and title of its column
    if document_id:
        numbers = library.select([f"document_id={document_id}"]) or []
        for number, passage in library.passages_numbered(numbers).items():
            columns[number] = (part_of_document(passage),) * 2 if axis == "part" else (document_id, passage.title)
    else:
        for number, owner in library.owners().items():
            columns[number] = (owner, titles.get(owner, "")) if axis == "document" else (years.get(owner, ""),) * 2
    return _counted(concepts, columns, axis, years)


def _counted(
    concepts: Concepts, columns: Mapping[int, tuple[str, str]], axis: Axis, years: Mapping[str, str]
) -> ConceptMap:
    shown = concepts.shown
    having = concepts.having(shown)
    keys = [columns.get(number, ("", ""))[0] for number in concepts.numbers.tolist()]
    totals = Counter(key for key in keys if key)
    titles = dict(columns.values())
    kept = {key for key, _ in totals.most_common(MOST_COLUMNS)}
    order = [key for key in dict.fromkeys(keys) if key in kept]
    if axis == "document":
        order.sort(key=lambda key: (years.get(key, ""), titles[key].casefold(), key))
    elif axis == "year":
        order.sort()
    rows = {key: i for i, key in enumerate(order)}
    at = np.asarray([rows.get(key, -1) for key in keys], dtype=np.int64)
    counts = np.zeros((len(order), len(shown)), dtype=np.int64)
    np.add.at(counts, at[at >= 0], having[at >= 0].astype(np.int64))
    return ConceptMap(
        axis, tuple(Column(key, titles[key], totals[key]) for key in order), tuple(shown),
        tuple(tuple(row) for row in counts.T.tolist()), len(totals) - len(order),
    )  # fmt: skip


def part_of_document(passage: Passage) -> str:
    """The part of its document that a passage is in: its outermost heading, its chapter, or its page."""
    heading = passage.section.split(" > ")[0].strip()
    return heading or passage.locator.searched or f"page {passage.locator.first_page}"


def passages_with(
    concepts: Concepts, library: Library, concept: int, within: Sequence[int] | None = None, most: int = 30
) -> list[Passage]:
    """The passages that have a concept most strongly, of those `within`, the strongest first."""
    numbers = concepts.numbers if within is None else np.intersect1d(concepts.numbers, np.asarray(within))
    strengths = concepts.strengths(numbers.tolist(), [concept])[:, 0]
    order = [int(row) for row in np.argsort(-strengths, kind="stable")[:most] if strengths[row] >= 0.5]
    chosen = [int(numbers[row]) for row in order]
    passages = library.passages_numbered(chosen)
    return [passages[number] for number in chosen if number in passages]
