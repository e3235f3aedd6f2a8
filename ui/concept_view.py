"""The concepts of a library as JSON, for the command line and for /v1/concepts. Pure but for the titles."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rag.concepts.blind_spots import BlindSpots, Spot
    from rag.concepts.concept_index import Concepts
    from rag.library.catalogue import Library

TITLES = 3  # of the documents with most of a concept


def concept_rows(found: Concepts, library: Library, every: bool = False) -> list[dict[str, Any]]:
    """A row for each concept: those shown, or all."""
    titles = {document_id: title for document_id, title, _ in library.names()}
    owners = library.owners()
    rows, shown = [], found.shown
    for concept in dict.fromkeys([*shown, *range(len(found.labels))]) if every else shown:
        having = found.having([concept])[:, 0]
        counts = Counter(owners[n] for n in found.numbers[having].tolist() if n in owners)
        precision, recall = found.quality(concept)
        rows.append(
            {
                "concept_id": found.concept_id(concept),
                "label": found.label(concept),
                "passages": int(having.sum()),
                "precision": round(precision, 3),
                "recall": round(recall, 3),
                "documents": [
                    {"document_id": owner, "title": titles.get(owner, ""), "passages": count}
                    for owner, count in counts.most_common(TITLES)
                ],
            }
        )
    return rows


def spots_json(spots: BlindSpots, found: Concepts) -> dict[str, Any]:
    def listed(each: Spot) -> dict[str, Any]:
        return {
            "concept_id": found.concept_id(each.concept), "label": found.label(each.concept), "asked": each.asked,
            "unanswered": each.unanswered, "passages": each.held, "questions": list(each.questions),
        }  # fmt: skip

    return {
        "questions": spots.asked,
        "asked_in_vain": [listed(each) for each in spots.wanted],
        "never_found": [listed(each) for each in spots.unseen],
        "about_nothing_here": list(spots.unmatched),
    }
