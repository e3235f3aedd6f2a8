"""Yes/no questions on a finding, answered from the operative part of the one judgment in the library that is meant.

To be silent costs nothing, the reader then answers; to be wrong does. So it is silent unless the evidence holds the
judgment, no other one in the library can be meant, and something was found under the very article.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from rag.library.catalogue import Library
from rag.library.mentions.cited import VERSUS, KnownCase, applicant_of, words_of
from rag.library.mentions.references import APPLICATION
from rag.read.quotes import Quote
from rag.read.rules.finding_question import FindingQuestion, answer, read_question
from rag.records import Hit, Passage

NONE = re.compile(r"\b(?:no|not)\b[^.;]{0,60}?\b(?:violat|breach|infring)|\bn['\u2019]y\s", re.I)
VERDICT = re.compile(
    r"\b(?:not\s+(?:\w+\s+)?been\s+)?(?:an?|any|no)\s+(?:\w+\s+)?(?:violation|breach|infringement)\b", re.I
)


@dataclass(frozen=True, slots=True)
class Decided:
    """Yes or no, and a quote for each item that says so; of a mixed finding those first that decide.

    The quotes' hits have no rank yet: they are the library's passages.
    """

    yes: bool
    quotes: tuple[Quote, ...]

    @property
    def answer(self) -> str:
        return "Yes" if self.yes else "No"

    @property
    def verdict(self) -> str:
        """The words of the first item that say whether there was a violation; all of it where they are other words."""
        found = VERDICT.search(self.quotes[0].text)
        return found[0] if found else self.quotes[0].text

    def stands_in(self, hits: Sequence[Hit]) -> bool:
        """Whether these hold all of its items, word for word, in passages of the judgment."""
        of_case = [hit.passage for hit in hits if hit.passage.document_id == self.quotes[0].hit.passage.document_id]
        text = _with_single_spaces(
            " ".join(passage.text for passage in sorted(of_case, key=lambda passage: passage.start))
        )
        return all(_with_single_spaces(quote.text) in text for quote in self.quotes)


DecidedOf = Callable[[str, Sequence[Hit]], Decided | None]  # (question, evidence) -> what was found, where certain


def decide(library: Library, question: str, evidence: Sequence[Hit]) -> Decided | None:
    """The answer to a question on a finding; None where the question is another one, or it is not certain."""
    asked = read_question(question)
    document_id = meant(asked, _candidates(library, asked)) if asked else None
    if asked is None or document_id is None or all(hit.passage.document_id != document_id for hit in evidence):
        return None
    case = library.case(document_id)
    found = answer(asked, case.outcome) if case else None
    if found is None:
        return None
    yes, spans = found
    numbers = library.select([f"document_id={document_id}", "part=operative"]) or ()
    passages = list(library.passages_numbered(numbers).values())
    quotes = [quote for span in spans if (quote := _quote(span, passages))]
    if len(quotes) < len(spans):
        return None
    violated = yes == asked.violation
    return Decided(yes, tuple(sorted(quotes, key=lambda quote: bool(NONE.search(quote.text)) == violated)))


def _candidates(library: Library, asked: FindingQuestion) -> list[KnownCase]:
    """All judgments of the library that have a number of the question; without one, two at most that have its name."""
    numbers, name = _named(asked)
    return library.cases_numbered(sorted(numbers)) if numbers else library.cases_named(name, 2)


def _named(asked: FindingQuestion) -> tuple[set[str], str]:
    """The application numbers and the name of the case that a question asks for; "(no. 2)" belongs to a name."""
    number, numbers = asked.application_number, set(re.findall(APPLICATION, asked.application_number))
    return numbers, asked.case if numbers or not number else f"{asked.case} no {number}"


def meant(asked: FindingQuestion, cases: Iterable[KnownCase]) -> str | None:
    """The key of the one case that has the number and the name of the question; None if none has, or several have.

    Beside a number it is enough that the applicants share a word: states change their names.
    """
    numbers, name = _named(asked)
    words = words_of(name)

    def fits(case: KnownCase) -> bool:
        if numbers:
            applicant = set(words_of(applicant_of(case.title)))
            shares = not words or not applicant.isdisjoint(words_of(applicant_of(name)))
            return shares and not numbers.isdisjoint(case.application_numbers)
        return bool(words) and words == words_of(case.title if VERSUS.search(name) else applicant_of(case.title))

    found = [case.key for case in cases if fits(case)]
    return found[0] if len(found) == 1 else None


def _quote(span: tuple[int, int], passages: Iterable[Passage]) -> Quote | None:
    """The item in the passage that holds most of it; None where none holds any."""

    def shared(passage: Passage) -> tuple[int, int]:
        return max(span[0], passage.start), min(span[1], passage.end)

    best = max(passages, key=lambda passage: shared(passage)[1] - shared(passage)[0], default=None)
    if best is None or (span_in := shared(best))[0] >= span_in[1]:
        return None
    return Quote(Hit(0, 0.0, best), span_in[0] - best.start, span_in[1] - best.start, True, 1.0)


def _with_single_spaces(text: str) -> str:
    return " ".join(text.split())
