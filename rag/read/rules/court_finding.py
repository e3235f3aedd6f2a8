"""Yes/no questions on a finding, answered from the operative part of the one judgment in the library that is meant.

To be silent costs nothing, the reader then answers; to be wrong does. So it is silent unless the evidence holds the
judgment, no other one in the library can be meant, and something was found under the very article.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rag.library.catalogue import Library
from rag.library.mentions.cited import VERSUS, KnownCase, applicant_of, words_of
from rag.library.mentions.references import APPLICATION
from rag.llm.chat import ChatModel, Usage
from rag.read.quotes import Quote
from rag.read.rules.base import Claim, Proposal
from rag.read.rules.finding_question import FindingQuestion, answer, read_question
from rag.records import Hit, Passage

NONE = re.compile(r"\b(?:no|not)\b[^.;]{0,60}?\b(?:violat|breach|infring)|\bn['\u2019]y\s", re.I)
VERDICT = re.compile(
    r"\b(?:not\s+(?:\w+\s+)?been\s+)?(?:an?|any|no)\s+(?:\w+\s+)?(?:violation|breach|infringement)\b", re.I
)


@dataclass(frozen=True, slots=True)
class CourtFinding:
    """Read off the operative part of the one judgment of the library that is meant."""

    library: Library
    name = "court_finding"

    def propose(self, question: str, evidence: Sequence[Hit], reader: ChatModel, usage: Usage) -> Proposal | None:
        """As Rule.propose; the reader is not asked. The quotes are of the library's passages, without a rank."""
        asked = read_question(question)
        document_id = meant(asked, _candidates(self.library, asked)) if asked else None
        if asked is None or document_id is None or all(hit.passage.document_id != document_id for hit in evidence):
            return None
        case = self.library.case(document_id)
        found = answer(asked, case.outcome) if case else None
        if found is None:
            return None
        yes, spans = found
        numbers = self.library.select([f"document_id={document_id}", "part=operative"]) or ()
        passages = list(self.library.passages_numbered(numbers).values())
        quotes = [quote for span in spans if (quote := _quote(span, passages))]
        if len(quotes) < len(spans):
            return None
        violated = yes == asked.violation
        quotes.sort(key=lambda quote: bool(NONE.search(quote.text)) == violated)  # those first that decide
        verdict = VERDICT.search(quotes[0].text)
        said = "Yes" if yes else "No"
        return Proposal(
            said,
            tuple(quotes),
            (verdict[0] if verdict else quotes[0].text,),
            (Claim(question, said, quotes[0].hit, quotes[0].text),),
        )


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
