"""Blind spots: what is asked for often and held little, and what is held and never found."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rag.concepts.concept_index import Concepts
from rag.library.kept.conversations import AskedQuestion

ASKED_LEAST = 2  # questions on a concept from which it counts as asked for
OF_A_QUESTION = 2  # concepts that a question is said to be about: its heaviest
HELD_LEAST = 5  # passages with a concept from which it counts as held
QUESTIONS_LEAST = 10  # before so many were asked, nothing is called never found


@dataclass(frozen=True, slots=True)
class Spot:
    """A concept: how many questions were about it, how many of these had no answer, its passages, how many were found.

    `questions` are some of those without an answer.
    """

    concept: int
    asked: int
    unanswered: int
    held: int
    found: int
    questions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class BlindSpots:
    """`wanted`: asked for and held little, the worst first. `unseen`: held and never found, the most held first.

    `unmatched` are questions without an answer that are about no concept of the library at all.
    """

    asked: int
    wanted: tuple[Spot, ...]
    unseen: tuple[Spot, ...]
    unmatched: tuple[str, ...]


def blind_spots(
    asked: Sequence[AskedQuestion],
    concepts: Concepts,
    encode: Callable[[Sequence[str]], NDArray[np.float32]],
    numbers_of: Callable[[Sequence[str]], dict[str, int]],
) -> BlindSpots:
    """Of the questions that were asked so far, against the concepts of all passages.

    A concept is wanted where it was asked for at least ASKED_LEAST times and most of these questions had no answer, and
    unseen where none of its passages was ever evidence.
    """
    held = concepts.counts()
    about: list[list[int]] = []
    if asked:
        ids, weights = concepts.dictionary.main_codes(encode([each.question for each in asked]))
        for i, w in zip(ids[:, :OF_A_QUESTION], weights[:, :OF_A_QUESTION], strict=True):
            about.append([int(c) for c, x in zip(i, w, strict=True) if x > 0 and x >= concepts.least[c] / 2])
    evidence = sorted({passage_id for each in asked for passage_id in each.evidence})
    numbers = np.asarray(sorted(numbers_of(evidence).values()), dtype=np.int64)
    found = concepts.counts(np.isin(concepts.numbers, numbers))

    def spot(concept: int) -> Spot:
        mine = [each for each, on in zip(asked, about, strict=True) if concept in on]
        without = [each.question for each in mine if not each.answered]
        return Spot(
            concept, len(mine), len(without), int(held[concept]), int(found[concept]),
            tuple(dict.fromkeys(without))[:5],
        )  # fmt: skip

    spots = [spot(concept) for concept in range(len(held))]
    wanted = [each for each in spots if each.asked >= ASKED_LEAST and 2 * each.unanswered >= each.asked]
    wanted.sort(key=lambda each: (-each.unanswered, each.held, each.concept))
    unseen = [
        each
        for each in spots
        if each.held >= HELD_LEAST and not each.found and concepts.label(each.concept) and len(asked) >= QUESTIONS_LEAST
    ]
    unseen.sort(key=lambda each: (-each.held, each.concept))
    unmatched = [each.question for each, on in zip(asked, about, strict=True) if not on and not each.answered]
    return BlindSpots(len(asked), tuple(wanted[:12]), tuple(unseen[:12]), tuple(dict.fromkeys(unmatched))[:12])
