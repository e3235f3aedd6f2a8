"""Pairs of a query and the passages that answer it, and the sets of them that a sparse encoder is trained on."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from rag.train.near_duplicates import words_of

POSITIVES = 12  # passages; a heading or chapter over more is too broad to be asked for
# Share of the self-made queries that are learnt with their words cut out. With all of them cut an encoder learns that a
# text which has the query's own words is a wrong one: in a made-up library its nDCG@10 over whole passages was .23.
CUT = 0.5


@dataclass(frozen=True, slots=True)
class Pair:
    """A query and the passages that answer it: indexes into the training passages, ascending, at least one."""

    query: str
    positives: tuple[int, ...]
    source: str  # where the query is from: title, heading, caption, sentence, chapter, citation, link, reader, or given


@dataclass(frozen=True, slots=True)
class Candidates:
    """What a query is trained on: passage indexes (the positives first), and each teacher's score of each of them."""

    passages: tuple[int, ...]
    positives: int  # how many of them, at the front, are positives
    scores: Mapping[
        str, tuple[float, ...]
    ]  # teacher ("bm25", "dense", "sparse") -> a score per passage, higher is better


@dataclass(frozen=True, slots=True)
class TrainingSet:
    """The texts that pairs point into, with the document of each: the passages, then passages with words cut out.

    `origins[i]` is the passage that text i was cut from, i itself for a whole one. A query whose words were cut out of
    its positives is searched for among `pool(pair)`, where these stand in place of their passages.
    """

    texts: tuple[str, ...]
    documents: tuple[str, ...]
    origins: tuple[int, ...]
    pairs: tuple[Pair, ...]

    @property
    def whole(self) -> tuple[int, ...]:
        """The passages, without those that have words cut out."""
        return tuple(i for i, origin in enumerate(self.origins) if i == origin)

    def pool(self, pair: Pair) -> list[int]:
        """The texts among which the pair's query is searched for, ascending."""
        stand_ins = {self.origins[i]: i for i in pair.positives}
        return sorted(stand_ins.get(i, i) for i in self.whole)

    def uncut(self, pair: Pair) -> Pair:
        """The pair with the whole passages of its positives."""
        return replace(pair, positives=tuple(sorted({self.origins[i] for i in pair.positives})))

    def sources(self) -> dict[str, int]:
        """Source -> how many queries are from there."""
        return dict(sorted(Counter(pair.source for pair in self.pairs).items()))

    def part(self, texts: Iterable[int], pairs: Iterable[Pair]) -> TrainingSet:
        """These texts, and of these pairs what is left of them: positives elsewhere are dropped, pairs without any too.

        A text that was cut from a passage that is not kept is not kept either.
        """
        wanted = set(texts)
        kept = sorted(i for i in wanted if self.origins[i] in wanted)
        index = {i: new for new, i in enumerate(kept)}
        left = (replace(pair, positives=tuple(index[i] for i in pair.positives if i in index)) for pair in pairs)
        return TrainingSet(
            tuple(self.texts[i] for i in kept),
            tuple(self.documents[i] for i in kept),
            tuple(index[self.origins[i]] for i in kept),
            tuple(pair for pair in left if pair.positives),
        )


def partly_uncut(data: TrainingSet) -> TrainingSet:
    """What is to be learnt: a share CUT of the queries as they are; the others, by a hash, ask for whole passages."""
    pairs = []
    for pair in data.pairs:
        is_cut = int(hash_of(f"cut {pair.query}")[:8], 16) < CUT * 16**8
        pairs.append(pair if is_cut else data.uncut(pair))
    return data.part({*data.whole, *(text for pair in pairs for text in pair.positives)}, pairs)


def joined(sets: Sequence[TrainingSet]) -> TrainingSet:
    """One set of several: texts that are there twice are kept once, queries that are there twice get all positives."""
    indices: dict[tuple[str, bool], int] = {}  # (text, is it a whole passage) -> its index
    documents: list[str] = []
    origins: list[int] = []
    pairs: list[Pair] = []
    for part in sets:
        index: list[int] = []
        for i, (text, document, origin) in enumerate(zip(part.texts, part.documents, part.origins, strict=True)):
            key = text, origin == i
            if key not in indices:
                documents.append(document)
                origins.append(len(indices) if origin == i else index[origin])
            index.append(indices.setdefault(key, len(indices)))
        pairs += [replace(pair, positives=tuple(sorted({index[i] for i in pair.positives}))) for pair in part.pairs]
    return TrainingSet(tuple(text for text, _ in indices), tuple(documents), tuple(origins), merged(pairs))


def merged(pairs: Iterable[Pair]) -> tuple[Pair, ...]:
    """Each query once, with the positives of all pairs that ask it, up to POSITIVES of them."""
    by_query: dict[tuple[str, ...], Pair] = {}
    for pair in pairs:
        key = tuple(words_of(pair.query))
        first = by_query.setdefault(key, pair)
        positives = tuple(sorted({*first.positives, *pair.positives}))
        if len(positives) <= max(POSITIVES, len(first.positives)):
            by_query[key] = replace(first, positives=positives)
    return tuple(by_query.values())


def hash_of(words: str) -> str:
    """A shuffle that is the same everywhere: sort by it."""
    return hashlib.sha256(words.encode("utf-8", "surrogatepass")).hexdigest()
