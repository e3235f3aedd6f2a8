"""Questions that their passage no longer answers: a name or number is replaced by another that the passage lacks.

As the rule-based unanswerable questions of Rajpurkar et al. 2018 (SQuAD 2.0), section 4.3, without its word lists.
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence

from rag.read.match import fold
from rag.span.windows import PassageText

NAME = r"[A-Z][\w-]+(?: (?:of |the |de |von )?[A-Z][\w-]+)*"
NUMBER = r"\d[\d.,]*\d|\d"
IN_QUESTION = re.compile(rf"(?<=[\w,] )(?:(?P<name>{NAME})|(?P<number>{NUMBER}))\b")
IN_TEXT = re.compile(rf"(?<=[a-z,] )(?:(?P<name>{NAME})|(?P<number>{NUMBER}))\b")


def changed_question(
    question: str, passage: PassageText, others: Sequence[PassageText], draw: random.Random
) -> str | None:
    """The question with one name or number replaced by one of `others` that its own passage and title lack.

    A name is replaced by one of as many words, a number by one of as many digits. None where the question has neither,
    or nothing takes its place.

    >>> other = PassageText("Nice", "He met Bob Dylan in Nice")
    >>> own = PassageText("", "Ann Lee lived in Rome.")
    >>> changed_question("Where did Ann Lee live?", own, [other], random.Random(0))
    'Where did Bob Dylan live?'
    """
    held = fold(f"{passage.title} {passage.text} {question}")
    places = list(IN_QUESTION.finditer(question))
    draw.shuffle(places)
    for place in places:
        fitting = sorted(
            {
                found[0]
                for other in others
                for found in IN_TEXT.finditer(other.text)
                if _kind(found) == _kind(place) and fold(found[0]) not in held
            }
        )
        if fitting:
            return question[: place.start()] + draw.choice(fitting) + question[place.end() :]
    return None


def _kind(found: re.Match[str]) -> tuple[str | None, int]:
    """What may stand for it: a name for a name of as many words, a number for one of as many digits."""
    named = found.lastgroup == "name"
    return found.lastgroup, len(found[0].split()) if named else sum(letter.isdigit() for letter in found[0])
