"""Names for concepts: the words, headings and titles that tell which passages have one, and how well they tell it.

A concept's words are chosen on one part of the passages and judged on another (RecSAE, arXiv 2411.06112, and
sae-auto-interp, arXiv 2410.13928, call it detection): precision is how many of the passages with the words have the
concept, recall how many with the concept have the words. What is not told well has no name. A passage clearly has a
concept where its weight is at least half of what is a great weight of that concept.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rag.records import Passage

CLEAR = 0.5  # of a concept's 90th percentile: the weight from which a passage clearly has it
MOST_SHOWN = 32  # named concepts that a library shows at once: Ramaswamy et al., arXiv 2207.09615
PRECISION, RECALL = 0.65, 0.35  # with one miss more than there were: what tells less well is no name
LONGEST = 60  # characters of a heading that can be a name
LEAST = 3  # passages that a word must stand in, and that must have a concept, to be considered
CANDIDATES, MOST_WORDS = 40, 3
GAIN = 0.1  # by which another word must make a label better
STRICTNESS = 0.1  # the square of F's beta: precision counts three times as much as recall
BLOCK = 10  # passages that are held out together, since neighbours overlap
WORD = re.compile(r"[^\W\d_]{3,}")
HEADING, TITLE = "\x01", "\x02"  # before a name that is a heading's or a title's: no word begins so
# Words of the languages that we know documents in; others are held back by how many passages they stand in.
STOPWORDS = frozenset(
    "a an and are as at be been but by can did do does for from had has have he her his how i if in into is it its may "
    "more no nor not of on one or our out she so some such than that the their them then there these they this those "
    "to under up was we were what when where which who will with would you your also any all about after before "
    "der die das den dem des ein eine einer und oder nicht von mit auf für ist sind war als auch sich wird werden "
    "le la les de du des un une et ou dans par pour que qui sur est sont au aux avec ce cette el los las una y en con "
    "por para como".split()
)


@dataclass(frozen=True, slots=True)
class Label:
    """A passage counts as told to have the concept where at least `needed` of the `words` stand in it.

    `words` are words of its text, or a heading or title whole. Of the passages that judge it, `told` have the words,
    `having` the concept, and `right` both. Passages of `documents` documents have it.
    """

    words: tuple[str, ...]
    needed: int
    right: int
    told: int
    having: int
    documents: int = 1

    @property
    def text(self) -> str:
        """For people.

        >>> Label(("eviction", "\x01THE LAW"), 1, 4, 4, 5).text
        'eviction, THE LAW'
        """
        return ", ".join(word.lstrip(HEADING + TITLE) for word in self.words)

    @property
    def precision(self) -> float:
        return self.right / max(self.told, 1)

    @property
    def recall(self) -> float:
        return self.right / max(self.having, 1)

    @property
    def score(self) -> float:
        """F with precision before recall, as `f_score`."""
        return (1 + STRICTNESS) * self.right / (self.told + 1 + STRICTNESS * self.having)

    @property
    def holds(self) -> bool:
        """Whether it tells the concept well enough to be its name, with one miss more than there were."""
        right = self.right
        return right >= LEAST and right / (self.told + 1) >= PRECISION and right / (self.having + 1) >= RECALL


NAMELESS = Label((), 1, 0, 0, 0)


def best_labels(labels: Sequence[Label]) -> list[int]:
    """The concepts whose labels hold, best first, each word in one name only, MOST_SHOWN at most.

    What many documents have in common stands before what is of one, and that before the mere titles of documents, which
    are listed anyway.
    """

    def key(i: int) -> tuple[bool, float, int]:
        label = labels[i]
        return all(word.startswith(TITLE) for word in label.words), -label.score * np.log2(1 + label.documents), i

    order = sorted((i for i, label in enumerate(labels) if label.holds), key=key)
    shown, said = list[int](), set[str]()
    for i in order:
        if not said & set(labels[i].words):
            shown.append(i)
            said |= set(labels[i].words)
    return shown[:MOST_SHOWN]


class Vocabulary:
    """Which words, headings and titles stand in which passages."""

    def __init__(self, passages: Sequence[Passage]):
        self.passages = len(passages)
        sets = [features(passage) for passage in passages]
        _, self._document_of = np.unique([passage.document_id for passage in passages], return_inverse=True)
        counts = Counter(word for words in sets for word in words)
        most = max(LEAST, self.passages // 2)
        self.words = sorted(word for word, count in counts.items() if LEAST <= count <= most)
        self.is_title = np.asarray([word.startswith(TITLE) for word in self.words], dtype=np.bool_)
        self._ids = ids = {word: i for i, word in enumerate(self.words)}
        entries = [(ids[word], row) for row, words in enumerate(sets) for word in words if word in ids]
        pairs = np.asarray(sorted(entries), dtype=np.int64).reshape(-1, 2)
        self._word_of, self._rows = pairs[:, 0], pairs[:, 1]  # one word behind the other
        self._starts = np.searchsorted(self._word_of, np.arange(len(self.words) + 1))

    def documents_of(self, chosen: NDArray[np.bool_]) -> int:
        """How many documents the chosen passages, (passages,), are of."""
        return len(np.unique(self._document_of[chosen]))

    def counts(self, chosen: NDArray[np.bool_]) -> NDArray[np.int64]:
        """In how many of the chosen passages, (passages,), each word stands: (words,)."""
        return np.bincount(self._word_of[chosen[self._rows]], minlength=len(self.words))

    def told(self, label: Label) -> NDArray[np.bool_]:
        """Which passages (passages,) the label tells to have its concept."""
        columns = [self._ids[word] for word in label.words if word in self._ids]
        told: NDArray[np.bool_] = self.present(columns).sum(axis=1) >= label.needed
        return told if columns else np.zeros(self.passages, dtype=np.bool_)

    def present(self, words: Sequence[int] | NDArray[np.int64]) -> NDArray[np.bool_]:
        """Whether each of these words stands in each passage: (passages, words)."""
        present = np.zeros((self.passages, len(words)), dtype=np.bool_)
        for column, word in enumerate(words):
            present[self._rows[self._starts[word] : self._starts[word + 1]], column] = True
        return present


def features(passage: Passage) -> set[str]:
    """The words of what is searched of a passage but those of its title; its innermost heading, and its title whole."""
    found, titles = (set(WORD.findall(text.casefold())) for text in (passage.searched, passage.title))
    words = found - titles - STOPWORDS
    heading = passage.section.split(" > ")[-1].strip()
    if 0 < len(heading) <= LONGEST and heading != "Header":  # which we call so, not the document
        words.add(HEADING + heading)
    if passage.title.strip():
        words.add(TITLE + passage.title.strip())
    return words


def label_all(
    vocabulary: Vocabulary, has: NDArray[np.bool_], chosen_on: NDArray[np.bool_], judged_on: NDArray[np.bool_]
) -> list[Label]:
    """A label for each concept; NAMELESS for one that no words tell.

    `has` (passages, concepts): see `clear_concepts`; `chosen_on` and `judged_on` (passages,): the parts that choose the
    words and that judge them.
    """
    everywhere = vocabulary.counts(chosen_on)
    return [_label(vocabulary, has[:, i], chosen_on, everywhere, judged_on) for i in range(has.shape[1])]


def _label(
    vocabulary: Vocabulary, has: NDArray[np.bool_], chosen_on: NDArray[np.bool_], everywhere: NDArray[np.int64],
    judged_on: NDArray[np.bool_],
) -> Label:  # fmt: skip
    having = int((has & chosen_on).sum())
    if having < LEAST:
        return NAMELESS
    hits = vocabulary.counts(has & chosen_on)
    scores = np.where(hits >= 2, f_score(hits, everywhere, having), -1)
    documents = vocabulary.documents_of(has)
    best = NAMELESS
    for allowed in (~vocabulary.is_title, vocabulary.is_title):  # a document's name is the last resort
        candidates = np.argsort(-np.where(allowed, scores, -1), kind="stable")[:CANDIDATES]
        candidates = candidates[(scores[candidates] > 0) & allowed[candidates]]
        if len(candidates):
            present = vocabulary.present(candidates)
            rows = chosen_on & (has | present.any(axis=1))  # the others neither have it nor can be told to
            words, needed = _detector(present[rows], has[rows])
            told = present[:, words].sum(axis=1) >= needed
            names = tuple(vocabulary.words[candidates[word]] for word in words)
            label = Label(names, needed, *judged(told[judged_on], has[judged_on]), documents)
            best = label if label.holds or not best.words else best
        if best.holds:
            break
    return best


def _detector(present: NDArray[np.bool_], has: NDArray[np.bool_]) -> tuple[list[int], int]:
    """The words, of those in the columns of `present`, that together tell `has` best, and how many of them it takes."""
    best: tuple[float, list[int], int] = (-1.0, [0], 1)
    for needed in (1, 2):
        chosen: list[int] = []
        score = -1.0
        while len(chosen) < MOST_WORDS:
            found = present[:, chosen].sum(axis=1) if chosen else np.zeros(len(has), dtype=np.int64)
            told = found[:, None] + present >= max(1, min(needed, len(chosen) + 1))
            scores = f_score((told & has[:, None]).sum(axis=0), told.sum(axis=0), int(has.sum()))
            scores[chosen] = -1
            word = int(scores.argmax())
            if len(chosen) >= needed and scores[word] <= score + GAIN:
                break
            score = float(scores[word])
            chosen.append(word)
            if len(chosen) >= needed and score > best[0] + GAIN:
                best = (score, list(chosen), needed)
    return best[1], best[2]


def f_score(hits: NDArray[np.int64], told: NDArray[np.int64], having: int) -> NDArray[np.float64]:
    """F with precision before recall, of detectors that are right `hits` times of `told`; one more is taken as wrong.

    That one keeps a word that stood in two passages, both with the concept, from looking as sure as one of fifty.
    """
    scores: NDArray[np.float64] = (1 + STRICTNESS) * hits / (told + 1 + STRICTNESS * having)
    return scores


def judged(told: NDArray[np.bool_], has: NDArray[np.bool_]) -> tuple[int, int, int]:
    """How many passages are told and have it, are told, and have it.

    >>> judged(np.array([True, True, False]), np.array([True, False, False]))
    (1, 2, 1)
    """
    return int((told & has).sum()), int(told.sum()), int(has.sum())


def clear_weights(ids: NDArray[np.int32], weights: NDArray[np.float32], size: int) -> NDArray[np.float32]:
    """The weight (size,) from which each concept is clear: CLEAR of the 90th percentile of its weights above 0.

    Infinite for one that no passage has.
    """
    least = np.full(size, np.inf, dtype=np.float32)
    present = weights > 0
    order = np.argsort(ids[present], kind="stable")
    sorted_ids, sorted_weights = ids[present][order], weights[present][order]
    for concept, first in zip(*np.unique(sorted_ids, return_index=True), strict=True):
        last = np.searchsorted(sorted_ids, concept, side="right")
        least[concept] = CLEAR * np.quantile(sorted_weights[first:last], 0.9)
    return least


def is_clear(ids: NDArray[np.int32], weights: NDArray[np.float32], least: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Which of the codes, (n, active), are clear by `clear_weights`."""
    clear: NDArray[np.bool_] = (weights > 0) & (weights >= least[ids])
    return clear


def clear_concepts(
    ids: NDArray[np.int32], weights: NDArray[np.float32], least: NDArray[np.float32]
) -> NDArray[np.bool_]:
    """Which concepts each passage clearly has, (n, concepts), from its codes and `clear_weights`."""
    has = np.zeros((len(ids), len(least)), dtype=np.bool_)
    rows, columns = np.nonzero(is_clear(ids, weights, least))
    has[rows, ids[rows, columns]] = True
    return has


def held_out(numbers: Sequence[int], share: float, seed: int = 0) -> NDArray[np.bool_]:
    """About this share of the passages, as whole blocks of neighbours."""
    blocks = np.asarray(numbers, dtype=np.int64) // BLOCK
    order = np.random.default_rng(seed).permutation(np.unique(blocks))
    return np.isin(blocks, order[: round(len(order) * share)])
