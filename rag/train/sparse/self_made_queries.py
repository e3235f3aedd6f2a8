"""Queries with the passages that answer them, made from a library's own documents.

A title, a heading, a caption, a chapter's title or a sentence asks for the passage that it stands in or over, without
its words, which are cut out of that passage first (the inverse cloze task of Lee, Chang and Toutanova, arXiv
1906.00300): what else the passage says must do. A sentence that cites a judgment or names another document asks for
what it points to. The same passages always give the same pairs.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from rag.library.mentions.references import pattern
from rag.locator import PageSpan
from rag.records import Passage
from rag.sentences import sentence_spans
from rag.train.near_duplicates import words_of
from rag.train.sparse.pairs import POSITIVES, Pair, TrainingSet, hash_of, merged
from rag.train.sparse.referring_sentences import ReferringSentence

Key = TypeVar("Key")
SHORTEST, LONGEST = 2, 40  # words of a query
SHORTEST_SENTENCE = 6  # words of one that is a query: shorter ones depend on what stands around them
TIMES = 2  # a passage is at least this many times as long as its query, before anything is cut out
MOST = 200  # queries of one document and source, where there are several documents
# A library of few passages gives up to EACH sentences of each, until there are ENOUGH in all; long ones too, and
# ones that are most of their passage: the fewer queries there are, the less is learnt (eval/log.md, eleven judgments)
# and the less of it can be said for certain.
EACH, ENOUGH = 6, 3000
LONGEST_OF_FEW, TIMES_OF_FEW = 80, 1.5
SELF_MADE = 6000  # queries in all: the training reads some thousands, and each costs the teachers a text
FIRST = 2  # passages of a document that its title asks for
COMMON = 0.2  # share of the passages; a word in more of them is no content word
BOILERPLATE = 0.05  # share of the documents; a heading in more of them (and in two) says nothing of any
# Content words that a query has at least: fewer words of a title or a sentence could be anybody's.
CONTENT = {"title": 2, "heading": 1, "caption": 2, "chapter": 1, "sentence": 3, "citation": 3, "link": 3}
NUMBERING = re.compile(r"^(?:(?:[IVXLC]+|[A-Z])[.)]|[A-Z](?= )|\d[\d.]*[):]?)\s+")
PAGE = re.compile(r"\s+\d+$")  # behind a heading, of a table of contents


@dataclass(frozen=True, slots=True)
class _Made:
    """A query before it is chosen: whose it is, and its positives as (index of the passage, its text without it)."""

    source: str
    query: str
    document: str
    positives: tuple[tuple[int, str], ...]


def training_set(
    passages: Sequence[Passage],
    references: Sequence[ReferringSentence] = (),
    given: Sequence[Pair] = (),
    self_made: int = SELF_MADE,
    most: int = MOST,
) -> TrainingSet:
    """The passages' searched texts with the `given` pairs and at most `self_made` of those that they themselves make.

    `given` and `references` have indices into `passages`. A document gives at most `most` queries of one source, so
    that one book does not drown the rest; where there is one document alone, there is nothing to drown.
    """
    texts = _Texts(passages)
    alone = len({passage.document_id for passage in passages}) < 2
    made = _at_most(_queries(passages, references) if self_made else (), EACH * len(passages) if alone else most)
    if len(made) > self_made:
        kept = sorted(range(len(made)), key=lambda i: hash_of(f"{made[i].document} {made[i].query}"))[:self_made]
        made = [made[i] for i in sorted(kept)]
    chosen = []
    for query in made:
        positives = {texts.add(index, text) for index, text in query.positives}
        chosen.append(Pair(query.query, tuple(sorted(positives)), query.source))
    return TrainingSet(tuple(texts.texts), tuple(texts.documents), tuple(texts.origins), merged([*given, *chosen]))


class _Texts:
    """The training texts as they grow: first the passages, in order."""

    def __init__(self, passages: Sequence[Passage]):
        self.texts = [passage.searched for passage in passages]
        self.documents = [passage.document_id for passage in passages]
        self.origins = list(range(len(passages)))
        self._cut: dict[tuple[int, str], int] = {}

    def add(self, index: int, text: str) -> int:
        """The index of a passage's text, which may have words cut out."""
        if text == self.texts[index]:
            return index
        if (index, text) not in self._cut:
            self._cut[index, text] = len(self.texts)
            self.texts.append(text)
            self.documents.append(self.documents[index])
            self.origins.append(index)
        return self._cut[index, text]


def _at_most(made: Iterable[_Made], most: int) -> list[_Made]:
    """At most `most` of each document and source, chosen by a hash, in their order."""
    groups = defaultdict(list)
    for i, query in enumerate(made):
        groups[query.source, query.document].append((hash_of(f"{query.document} {query.query}"), i, query))
    kept = [entry for group in groups.values() for entry in sorted(group, key=lambda entry: entry[:2])[:most]]
    return [query for _, _, query in sorted(kept, key=lambda entry: entry[1])]


def _queries(passages: Sequence[Passage], references: Sequence[ReferringSentence]) -> Iterator[_Made]:
    """Every query that says something and leaves enough of its passages."""
    content = _Content(passages)
    each = min(EACH, max(1, ENOUGH // max(1, len(passages))))
    longest, times = (LONGEST_OF_FEW, TIMES_OF_FEW) if each > 1 else (LONGEST, TIMES)
    makers = (_titles, _headings, _chapters, _captions)
    made: list[_Made] = [query for make in makers for query in make(passages)]
    for candidate in [*made, *_sentences(passages, content, each, longest), *_referring(passages, references)]:
        query = " ".join(candidate.query.split())
        words = words_of(query)
        if SHORTEST <= len(words) <= longest and content.count(words) >= CONTENT[candidate.source]:
            own = candidate.source not in ("citation", "link")  # what these point to may hold the name that they use
            positives = tuple((i, text) for i, text in candidate.positives if _leaves_enough(text, words, times, own))
            if positives:
                yield replace(candidate, query=query, positives=positives)


def _leaves_enough(text: str, query: Sequence[str], times: float, absent: bool) -> bool:
    """Whether the text is no mere echo of the query; `absent`: and does not hold it any more."""
    words = words_of(text)
    before = len(words) + (len(query) if absent else 0)
    return before >= times * len(query) and not (absent and f" {' '.join(query)} " in f" {' '.join(words)} ")


class _Content:
    """Which words say something here: of letters alone, three at least, in no more than COMMON of the passages."""

    def __init__(self, passages: Sequence[Passage]):
        self._counts = Counter(word for passage in passages for word in set(words_of(passage.text)))
        self._most = max(1, COMMON * len(passages))

    def count(self, words: Iterable[str]) -> int:
        return sum(len(w) >= 3 and w.isalpha() and self._counts[w] <= self._most for w in set(words))


def _titles(passages: Sequence[Passage]) -> Iterator[_Made]:
    for document, indices in _grouped(passages, lambda passage: passage.document_id).items():
        title = passages[indices[0]].title
        positives = tuple((i, _without(replace(passages[i], title=""), title)) for i in indices[:FIRST])
        yield _Made("title", title, document, positives)


def _headings(passages: Sequence[Passage]) -> Iterator[_Made]:
    """Each heading that stands once in its document, with the passages below it."""
    below: dict[tuple[str, str], dict[tuple[str, ...], list[int]]] = defaultdict(lambda: defaultdict(list))
    for i, passage in enumerate(passages):
        path = tuple(passage.section.split(" > ")) if passage.section else ()
        for depth in range(1, len(path) + 1):
            below[passage.document_id, _plain(path[depth - 1])][path[:depth]].append(i)
    boilerplate = _boilerplate(passages, below)
    for (document, heading), indices in below.items():
        if len(indices) == 1 and not boilerplate(heading):
            path, below_it = next(iter(indices.items()))
            yield from _over("heading", PAGE.sub("", NUMBERING.sub("", path[-1])), document, passages, below_it)


def _chapters(passages: Sequence[Passage]) -> Iterator[_Made]:
    groups = _grouped(passages, lambda passage: (passage.document_id, passage.locator.searched))
    boilerplate = _boilerplate(passages, ((document, _plain(chapter)) for document, chapter in groups))
    for (document, chapter), indices in groups.items():
        if chapter and not boilerplate(_plain(chapter)):
            yield from _over("chapter", chapter, document, passages, indices)


def _captions(passages: Sequence[Passage]) -> Iterator[_Made]:
    """The caption without its label; one that is too long for a query asks with its first sentence."""
    tables = [i for i, passage in enumerate(passages) if passage.kind != "text" and passage.caption]
    groups: dict[tuple[str, str], list[int]] = defaultdict(list)
    for i in tables:
        groups[passages[i].document_id, passages[i].caption].append(i)
    for (document, caption), indices in groups.items():
        label = passages[indices[0]].label
        query = caption.removeprefix(label).lstrip(" .:–—-\n") if label else caption
        if len(words_of(query)) > LONGEST and (spans := sentence_spans(query)):
            query = query[: spans[0][1]]
        bare = (_with_text(passages[i], passages[i].text.removeprefix(caption)) for i in indices[:POSITIVES])
        positives = (
            (i, _without(replace(passage, caption=""), query)) for i, passage in zip(indices, bare, strict=False)
        )
        yield _Made("caption", query, document, tuple(positives))


def _over(
    source: str, query: str, document: str, passages: Sequence[Passage], indices: Sequence[int]
) -> Iterator[_Made]:
    """A heading or chapter over these passages, unless they are too many."""
    if len(indices) <= POSITIVES:
        cut = (replace(passages[i], locator=PageSpan()) if source == "chapter" else passages[i] for i in indices)
        positives = ((i, _without(passage, query)) for i, passage in zip(indices, cut, strict=True))
        yield _Made(source, query, document, tuple(positives))


def _sentences(passages: Sequence[Passage], content: _Content, each: int, longest: int) -> Iterator[_Made]:
    """The first `each` sentences of each passage that say something by themselves."""
    for i, passage in enumerate(passages):
        found = 0
        for start, end in sentence_spans(passage.text) if passage.kind == "text" else ():
            words = words_of(passage.text[start:end])
            if SHORTEST_SENTENCE <= len(words) <= longest and content.count(words) >= CONTENT["sentence"]:
                rest = _with_text(passage, f"{passage.text[:start]}{passage.text[end:].lstrip()}")
                query = NUMBERING.sub("", passage.text[start:end])
                yield _Made("sentence", query, passage.document_id, ((i, rest.searched),))
                found += 1
                if found == each:
                    break


def _referring(passages: Sequence[Passage], references: Sequence[ReferringSentence]) -> Iterator[_Made]:
    for reference in references:
        if len(words_of(reference.query)) >= SHORTEST_SENTENCE:
            document = passages[reference.positives[0]].document_id
            positives = tuple((i, passages[i].searched) for i in reference.positives[:POSITIVES])
            yield _Made(reference.source, reference.query, document, positives)


def _grouped(passages: Sequence[Passage], key: Callable[[Passage], Key]) -> dict[Key, list[int]]:
    groups: dict[Key, list[int]] = defaultdict(list)
    for i, passage in enumerate(passages):
        groups[key(passage)].append(i)
    return groups


def _boilerplate(passages: Sequence[Passage], headings: Iterable[tuple[str, str]]) -> Callable[[str], bool]:
    """Whether a heading is of too many documents to say anything of one; `headings` are (document, words)."""
    counts = Counter(words for _, words in set(headings))
    most = max(1, BOILERPLATE * len({passage.document_id for passage in passages}))
    return lambda words: counts[words] > most


def _plain(heading: str) -> str:
    return " ".join(words_of(NUMBERING.sub("", heading)))


def _with_text(passage: Passage, text: str) -> Passage:
    return replace(passage, text=text, end=passage.start + len(text))


def _without(passage: Passage, words: str) -> str:
    """What is searched of a passage, these words cut out wherever they stand."""
    return pattern(words, any_case=True).sub("", passage.searched).strip() if words.strip() else passage.searched
