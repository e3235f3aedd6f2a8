"""Sentences of a library that name another document or cite a judgment: they ask for what they point to."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from rag.library.catalogue import Library
from rag.library.mentions.references import TITLE
from rag.locator import ParagraphSpan, part_of
from rag.records import Passage
from rag.sentences import sentence_spans
from rag.train.sparse.pairs import POSITIVES

BRACKETS = re.compile(r"\s*\((?:[^()]|\([^()]*\))*\)")  # with brackets in them: "(see A. (no. 2), § 9)"


@dataclass(frozen=True, slots=True)
class ReferringSentence:
    """A sentence of a document that points to passages of another, by their indices among the passages."""

    query: str
    positives: tuple[int, ...]
    source: str  # citation or link


def references_of(library: Library, passages: Sequence[Passage]) -> list[ReferringSentence]:
    """The sentences of these passages that name another document or cite a judgment, where both are among them.

    A name points to the first passage of its document, a citation to the passages with the paragraphs that it cites:
    one that gives none, or may mean several judgments, is left out.
    """
    indices: dict[str, list[int]] = defaultdict(list)
    for i, passage in enumerate(passages):
        indices[passage.document_id].append(i)
    by_id = {passage.passage_id: passage for passage in passages}
    found = []
    for passage_id, links in library.links_from(list(by_id)).items():
        for link in links:
            if link.kind == TITLE and link.document_id in indices:
                sentence, _ = _sentence(by_id[passage_id], link.start, link.end)
                found.append(ReferringSentence(sentence, (indices[link.document_id][0],), "link"))
    for document in dict.fromkeys(passage.document_id for passage in passages if part_of(passage.locator)):
        found += _citations(library, document, passages, indices)
    return found


def _citations(
    library: Library, document: str, passages: Sequence[Passage], indices: Mapping[str, Sequence[int]]
) -> Iterator[ReferringSentence]:
    for edge in library.citations_of(document):
        cited, numbers = edge.citation, _numbers(edge.citation.pinpoint or "")
        holder = next((i for i in indices[document] if passages[i].start <= cited.start < passages[i].end), None)
        if holder is None or len(edge.targets) != 1:
            continue
        positives = [i for i in indices.get(edge.targets[0], ()) if _touches(passages[i], numbers)]
        if positives:
            sentence, start = _sentence(passages[holder], cited.start, cited.end)
            words = _uncited(sentence, cited.start - start, cited.end - start)
            yield ReferringSentence(words, tuple(positives), "citation")


def _uncited(sentence: str, start: int, end: int) -> str:
    """The sentence without the citation sentence[start:end], and without the brackets that it stands in.

    >>> _uncited("It must be so (see A. v. B. (no. 2), § 45; and others).", 19, 41)
    'It must be so.'
    """
    around = next((m.span() for m in BRACKETS.finditer(sentence) if m.start() < start < m.end()), (start, end))
    return f"{sentence[: around[0]]}{sentence[max(end, around[1]) :]}"


def _sentence(passage: Passage, start: int, end: int) -> tuple[str, int]:
    """The sentence of a passage that holds text[start:end] of its document, and where in the document it begins."""
    for first, last in sentence_spans(passage.text):
        if first <= start - passage.start < last:
            return passage.text[first : max(last, end - passage.start)], passage.start + first
    return passage.text[start - passage.start : end - passage.start], start


def _numbers(pinpoint: str) -> set[int]:
    """The paragraphs that a citation gives.

    >>> sorted(_numbers("§§ 45-47 and 50"))
    [45, 46, 47, 50]
    """
    found: set[int] = set()
    for first, last in re.findall(r"(\d+)(?:\s*[-–]\s*(\d+))?", pinpoint):
        found.update(range(int(first), min(int(last or first), int(first) + POSITIVES) + 1))
    return found


def _touches(passage: Passage, numbers: set[int]) -> bool:
    place = passage.locator
    if not isinstance(place, ParagraphSpan) or place.first_paragraph is None or place.last_paragraph is None:
        return False
    return any(place.first_paragraph <= number <= place.last_paragraph for number in numbers)
