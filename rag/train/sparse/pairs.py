"""What a sparse encoder is trained on: queries with the passages that answer them, made from a library's own documents.

A title, a heading, a caption, a chapter's title or a sentence asks for the passage that it stands in or over, without
its words, which are cut out of that passage first (the inverse cloze task of Lee, Chang and Toutanova, arXiv
1906.00300): what else the passage says must do. A sentence that cites a judgment or names another document asks for
what it points to. The same passages always give the same pairs.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from rag.library.catalogue import Library
from rag.library.mentions import TITLE, pattern
from rag.records import Passage
from rag.sentences import sentence_spans
from rag.train.near_duplicates import words_of

Key = TypeVar("Key")
SHORTEST, LONGEST = 2, 40  # words of a query
SHORTEST_SENTENCE = 6  # words of one that is a query: shorter ones lean on what stands around them
TIMES = 2  # so many times as long as its query is a passage, at least, before anything is cut out
MOST = 200  # queries of one document and source, where there are several documents
# Share of the self-made queries that are learnt with their words cut out. With all of them cut an encoder learns that a
# text which has the query's own words is a wrong one: in a made-up library its nDCG@10 over whole passages was .23.
CUT = 0.5
# A library of few passages gives up to so many sentences of each, until there are so many in all; long ones too, and
# ones that are most of their passage: the fewer queries there are, the less is learnt (eval/log.md, eleven judgments)
# and the less of it can be said for certain.
EACH, ENOUGH = 6, 3000
LONGEST_OF_FEW, TIMES_OF_FEW = 80, 1.5
SELF_MADE = 6000  # queries in all: the training reads some thousands, and each costs the teachers a text
POSITIVES = 12  # passages; a heading or chapter over more is too broad to be asked for
FIRST = 2  # passages of a document that its title asks for
COMMON = 0.2  # share of the passages; a word in more of them is no content word
BOILERPLATE = 0.05  # share of the documents; a heading in more of them (and in two) says nothing of any
# Content words that a query has at least: fewer words of a title or a sentence could be anybody's.
CONTENT = {"title": 2, "heading": 1, "caption": 2, "chapter": 1, "sentence": 3, "citation": 3, "link": 3}
NUMBERING = re.compile(r"^(?:(?:[IVXLC]+|[A-Z])[.)]|[A-Z](?= )|\d[\d.]*[):]?)\s+")
PAGE = re.compile(r"\s+\d+$")  # behind a heading, of a table of contents
BRACKETS = re.compile(r"\s*\((?:[^()]|\([^()]*\))*\)")  # with brackets in them: "(see A. (no. 2), § 9)"


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
        place = {i: new for new, i in enumerate(kept)}
        left = (replace(pair, positives=tuple(place[i] for i in pair.positives if i in place)) for pair in pairs)
        return TrainingSet(
            tuple(self.texts[i] for i in kept),
            tuple(self.documents[i] for i in kept),
            tuple(place[self.origins[i]] for i in kept),
            tuple(pair for pair in left if pair.positives),
        )


@dataclass(frozen=True, slots=True)
class Reference:
    """A sentence of a document that points to passages of another, by their places among the passages."""

    query: str
    positives: tuple[int, ...]
    source: str  # citation or link


@dataclass(frozen=True, slots=True)
class _Made:
    """A query before it is chosen: whose it is, and its positives as (place of the passage, its text without it)."""

    source: str
    query: str
    document: str
    positives: tuple[tuple[int, str], ...]


def training_set(
    passages: Sequence[Passage],
    references: Sequence[Reference] = (),
    given: Sequence[Pair] = (),
    self_made: int = SELF_MADE,
    most: int = MOST,
) -> TrainingSet:
    """The passages' searched texts with the `given` pairs and at most `self_made` of those that they themselves make.

    `given` and `references` have places in `passages`. A document gives at most `most` queries of one source, so that
    one book does not drown the rest; where there is one document alone, there is nothing to drown.
    """
    texts = _Texts(passages)
    alone = len({passage.document_id for passage in passages}) < 2
    made = _at_most(_queries(passages, references) if self_made else (), EACH * len(passages) if alone else most)
    if len(made) > self_made:
        kept = sorted(range(len(made)), key=lambda i: hash_of(f"{made[i].document} {made[i].query}"))[:self_made]
        made = [made[i] for i in sorted(kept)]
    chosen = []
    for some in made:
        places = {texts.add(place, text) for place, text in some.positives}
        chosen.append(Pair(some.query, tuple(sorted(places)), some.source))
    return TrainingSet(tuple(texts.texts), tuple(texts.documents), tuple(texts.origins), _merged([*given, *chosen]))


def partly_uncut(data: TrainingSet) -> TrainingSet:
    """What is to be learnt: a share CUT of the queries as they are; the others, by a hash, ask for whole passages."""
    pairs = []
    for pair in data.pairs:
        is_cut = int(hash_of(f"cut {pair.query}")[:8], 16) < CUT * 16**8
        pairs.append(pair if is_cut else data.uncut(pair))
    return data.part({*data.whole, *(text for pair in pairs for text in pair.positives)}, pairs)


def joined(sets: Sequence[TrainingSet]) -> TrainingSet:
    """One set of several: texts that are there twice are kept once, queries that are there twice get all positives."""
    places: dict[tuple[str, bool], int] = {}  # (text, is it a whole passage) -> its place
    documents: list[str] = []
    origins: list[int] = []
    pairs: list[Pair] = []
    for some in sets:
        place: list[int] = []
        for i, (text, document, origin) in enumerate(zip(some.texts, some.documents, some.origins, strict=True)):
            key = text, origin == i
            if key not in places:
                documents.append(document)
                origins.append(len(places) if origin == i else place[origin])
            place.append(places.setdefault(key, len(places)))
        pairs += [replace(pair, positives=tuple(sorted({place[i] for i in pair.positives}))) for pair in some.pairs]
    return TrainingSet(tuple(text for text, _ in places), tuple(documents), tuple(origins), _merged(pairs))


def _merged(pairs: Iterable[Pair]) -> tuple[Pair, ...]:
    """Each query once, with the positives of all pairs that ask it, up to POSITIVES of them."""
    by_query: dict[tuple[str, ...], Pair] = {}
    for pair in pairs:
        key = tuple(words_of(pair.query))
        first = by_query.setdefault(key, pair)
        positives = tuple(sorted({*first.positives, *pair.positives}))
        if len(positives) <= max(POSITIVES, len(first.positives)):
            by_query[key] = replace(first, positives=positives)
    return tuple(by_query.values())


class _Texts:
    """The training texts as they grow: first the passages, in order."""

    def __init__(self, passages: Sequence[Passage]):
        self.texts = [passage.searched for passage in passages]
        self.documents = [passage.document_id for passage in passages]
        self.origins = list(range(len(passages)))
        self._cut: dict[tuple[int, str], int] = {}

    def add(self, place: int, text: str) -> int:
        """The index of a passage's text, which may have words cut out."""
        if text == self.texts[place]:
            return place
        if (place, text) not in self._cut:
            self._cut[place, text] = len(self.texts)
            self.texts.append(text)
            self.documents.append(self.documents[place])
            self.origins.append(place)
        return self._cut[place, text]


def _at_most(made: Iterable[_Made], most: int) -> list[_Made]:
    """At most so many of each document and source, chosen by a hash, in their order."""
    groups = defaultdict(list)
    for i, some in enumerate(made):
        groups[some.source, some.document].append((hash_of(f"{some.document} {some.query}"), i, some))
    kept = [entry for group in groups.values() for entry in sorted(group, key=lambda entry: entry[:2])[:most]]
    return [some for _, _, some in sorted(kept, key=lambda entry: entry[1])]


def hash_of(words: str) -> str:
    """A shuffle that is the same everywhere: sort by it."""
    return hashlib.sha256(words.encode("utf-8", "surrogatepass")).hexdigest()


# -- queries ---------------------------------------------------------------------------------------------------------


def _queries(passages: Sequence[Passage], references: Sequence[Reference]) -> Iterator[_Made]:
    """Every query that says something and leaves enough of its passages."""
    content = _Content(passages)
    each = min(EACH, max(1, ENOUGH // max(1, len(passages))))
    longest, times = (LONGEST_OF_FEW, TIMES_OF_FEW) if each > 1 else (LONGEST, TIMES)
    makers = (_titles, _headings, _chapters, _captions)
    made: list[_Made] = [some for make in makers for some in make(passages)]
    for some in [*made, *_sentences(passages, content, each, longest), *_pointed(passages, references)]:
        query = " ".join(some.query.split())
        words = words_of(query)
        if SHORTEST <= len(words) <= longest and content.count(words) >= CONTENT[some.source]:
            own = some.source not in ("citation", "link")  # what these point to may hold the name that they use
            positives = tuple((i, text) for i, text in some.positives if _leaves_enough(text, words, times, own))
            if positives:
                yield replace(some, query=query, positives=positives)


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
    for document, places in _grouped(passages, lambda passage: passage.document_id).items():
        title = passages[places[0]].title
        positives = tuple((i, _without(replace(passages[i], title=""), title)) for i in places[:FIRST])
        yield _Made("title", title, document, positives)


def _headings(passages: Sequence[Passage]) -> Iterator[_Made]:
    """Each heading that names one place in its document, with the passages below it."""
    below: dict[tuple[str, str], dict[tuple[str, ...], list[int]]] = defaultdict(lambda: defaultdict(list))
    for i, passage in enumerate(passages):
        path = tuple(passage.section.split(" > ")) if passage.section else ()
        for depth in range(1, len(path) + 1):
            below[passage.document_id, _plain(path[depth - 1])][path[:depth]].append(i)
    boilerplate = _boilerplate(passages, below)
    for (document, heading), places in below.items():
        if len(places) == 1 and not boilerplate(heading):
            path, some = next(iter(places.items()))
            yield from _over("heading", PAGE.sub("", NUMBERING.sub("", path[-1])), document, passages, some)


def _chapters(passages: Sequence[Passage]) -> Iterator[_Made]:
    groups = _grouped(passages, lambda passage: (passage.document_id, passage.chapter))
    boilerplate = _boilerplate(passages, ((document, _plain(chapter)) for document, chapter in groups))
    for (document, chapter), places in groups.items():
        if chapter and not boilerplate(_plain(chapter)):
            yield from _over("chapter", chapter, document, passages, places)


def _captions(passages: Sequence[Passage]) -> Iterator[_Made]:
    """The caption without its label; one that is too long for a query asks with its first sentence."""
    tables = [i for i, passage in enumerate(passages) if passage.kind != "text" and passage.caption]
    groups: dict[tuple[str, str], list[int]] = defaultdict(list)
    for i in tables:
        groups[passages[i].document_id, passages[i].caption].append(i)
    for (document, caption), places in groups.items():
        label = passages[places[0]].label
        query = caption.removeprefix(label).lstrip(" .:–—-\n") if label else caption
        if len(words_of(query)) > LONGEST and (spans := sentence_spans(query)):
            query = query[: spans[0][1]]
        bare = (_with_text(passages[i], passages[i].text.removeprefix(caption)) for i in places[:POSITIVES])
        positives = (
            (i, _without(replace(passage, caption=""), query)) for i, passage in zip(places, bare, strict=False)
        )
        yield _Made("caption", query, document, tuple(positives))


def _over(
    source: str, query: str, document: str, passages: Sequence[Passage], places: Sequence[int]
) -> Iterator[_Made]:
    """A heading or chapter over these passages, unless they are too many."""
    if len(places) <= POSITIVES:
        cut = (replace(passages[i], chapter="") if source == "chapter" else passages[i] for i in places)
        positives = ((i, _without(passage, query)) for i, passage in zip(places, cut, strict=True))
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


def _pointed(passages: Sequence[Passage], references: Sequence[Reference]) -> Iterator[_Made]:
    for some in references:
        if len(words_of(some.query)) >= SHORTEST_SENTENCE:
            document = passages[some.positives[0]].document_id
            positives = tuple((i, passages[i].searched) for i in some.positives[:POSITIVES])
            yield _Made(some.source, some.query, document, positives)


def _grouped(passages: Sequence[Passage], key: Callable[[Passage], Key]) -> dict[Key, list[int]]:
    groups: dict[Key, list[int]] = defaultdict(list)
    for i, passage in enumerate(passages):
        groups[key(passage)].append(i)
    return groups


def _boilerplate(passages: Sequence[Passage], headings: Iterable[tuple[str, str]]) -> Callable[[str], bool]:
    """Tells a heading that so many documents have that it says nothing of any; `headings` are (document, words)."""
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


# -- references ------------------------------------------------------------------------------------------------------


def references_of(library: Library, passages: Sequence[Passage]) -> list[Reference]:
    """The sentences of these passages that name another document or cite a judgment, where both are among them.

    A name points to the first passage of its document, a citation to the passages with the paragraphs that it cites:
    one that gives none, or may mean several judgments, is left out.
    """
    places: dict[str, list[int]] = defaultdict(list)
    for i, passage in enumerate(passages):
        places[passage.document_id].append(i)
    by_id = {passage.passage_id: passage for passage in passages}
    found = []
    for passage_id, links in library.links_from(list(by_id)).items():
        for link in links:
            if link.kind == TITLE and link.document_id in places:
                sentence, _ = _sentence(by_id[passage_id], link.start, link.end)
                found.append(Reference(sentence, (places[link.document_id][0],), "link"))
    for document in dict.fromkeys(passage.document_id for passage in passages if passage.part):
        found += _citations(library, document, passages, places)
    return found


def _citations(
    library: Library, document: str, passages: Sequence[Passage], places: Mapping[str, Sequence[int]]
) -> Iterator[Reference]:
    for edge in library.citations_of(document):
        cited, numbers = edge.citation, _numbers(edge.citation.pinpoint or "")
        holder = next((i for i in places[document] if passages[i].start <= cited.start < passages[i].end), None)
        if holder is None or len(edge.targets) != 1:
            continue
        positives = [i for i in places.get(edge.targets[0], ()) if _touches(passages[i], numbers)]
        if positives:
            sentence, start = _sentence(passages[holder], cited.start, cited.end)
            words = _uncited(sentence, cited.start - start, cited.end - start)
            yield Reference(words, tuple(positives), "citation")


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
    if passage.first_paragraph is None or passage.last_paragraph is None:
        return False
    return any(passage.first_paragraph <= number <= passage.last_paragraph for number in numbers)
