"""What is learnt from and what is held out: never a document in both parts, nor nearly the same text."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from rag.errors import DataError
from rag.train.near_duplicates import Shingles
from rag.train.sparse.pairs import Pair, TrainingSet, hash_of

HELD_OUT, MOST_HELD_OUT = 0.2, 0.3  # shares of the passages: what is aimed at, and what whole documents may come to
FEWEST = 30  # passages: of fewer, six would be held out, and any figure on those is chance
BLOCKS = 10  # of a single document, of which two are held out
ONE_GROUP = 0.65  # a group of documents with a larger share of the passages leaves too little to hold out


def split(data: TrainingSet, seed: int = 0) -> tuple[TrainingSet, TrainingSet]:
    """(to learn from, held out), the same for a seed: whole documents, or of a single one every passage of two blocks.

    Documents that one query asks for together stay together, as far as that can be. What is learnt from loses texts
    that are nearly one of the held-out ones, and either part the queries that stand in a text of the other.
    Raises DataError for fewer than FEWEST passages, and where either part is left without a query.
    """
    if len(data.whole) < FEWEST:
        raise DataError(
            f"training: {len(data.whole)} passages are too few to learn from and to be measured on, which takes "
            f"{FEWEST}. Ingest more documents, or name more data with --data"
        )
    held = _held_out(data, seed)
    rest = [i for i in range(len(data.texts)) if i not in held]
    apart = [pair for pair in data.pairs if not held.intersection(pair.positives)]
    asked = [pair for pair in data.pairs if held.issuperset(pair.positives)]
    shingles = Shingles([*data.texts, *(pair.query for pair in (*apart, *asked))])
    near = shingles.with_near(rest, sorted(held))
    rest = [i for i, twin in zip(rest, near, strict=True) if not twin]

    def unread(pairs: Sequence[Pair], first: int, texts: Sequence[int]) -> list[Pair]:
        queries = range(len(data.texts) + first, len(data.texts) + first + len(pairs))
        return [p for p, read in zip(pairs, shingles.with_near(queries, texts), strict=True) if not read]

    learnt = data.part(rest, unread(apart, 0, sorted(held)))
    measured = data.part(held, unread(asked, len(apart), rest))
    for part, what in ((learnt, "to learn from"), (measured, "to be measured on")):
        if not part.pairs:
            raise DataError(
                f"training: {len(data.whole)} passages of {len(set(data.documents))} documents leave no query {what}, "
                "once near-duplicates are apart. Ingest documents that differ, or name more data with --data"
            )
    return learnt, measured


def _held_out(data: TrainingSet, seed: int) -> set[int]:
    """The texts of the held-out part."""
    groups, whole = _groups(data), data.whole
    sizes = dict.fromkeys(groups.values(), 0)
    for i in whole:
        sizes[groups[data.documents[i]]] += 1
    if max(sizes.values()) > ONE_GROUP * len(whole):
        groups = {document: document for document in groups}
    if len(groups) > 1:
        unit = [groups[document] for document in data.documents]
    else:
        block = {i: f"block {rank * BLOCKS // len(whole)}" for rank, i in enumerate(whole)}
        unit = [block[origin] for origin in data.origins]
    chosen = _chosen([unit[i] for i in whole], seed)
    return {i for i, key in enumerate(unit) if key in chosen}


def _groups(data: TrainingSet) -> dict[str, str]:
    """Document -> the one that stands for all that queries connect it with."""
    leader = {document: document for document in data.documents}

    def find(document: str) -> str:
        while leader[document] != document:
            leader[document] = document = leader[leader[document]]
        return document

    for pair in data.pairs:
        first, *others = sorted({find(data.documents[i]) for i in pair.positives})
        for other in others:
            leader[other] = first
    return {document: find(document) for document in leader}


def _chosen(units: Sequence[str], seed: int) -> set[str]:
    """Units, given once for each passage, with about HELD_OUT of all passages: in an order by hash, while they fit.

    The smallest one where none fits.
    """
    sizes = {key: len(list(group)) for key, group in groupby(sorted(units))}
    chosen: set[str] = set()
    held = 0
    for key in sorted(sizes, key=lambda key: hash_of(f"{seed} {key}")):
        if held < HELD_OUT * len(units) and held + sizes[key] <= MOST_HELD_OUT * len(units):
            chosen.add(key)
            held += sizes[key]
    return chosen or {min(sizes, key=lambda key: (sizes[key], key))}
