"""Yes/no questions on what a court found: read by rule, and answered from the findings of the operative part. Pure.

A question in any other words is None here, and left to the reader.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from rag.document import Finding

Spans = tuple[tuple[int, int], ...]
_ARTICLE = r"Article\s+\d{1,3}(?:\s*bis)?"
_PARAGRAPH = r"\s*(?:§|paragraph|para\.)\s*\d{1,2}"
_PROTOCOL = (
    r"\s+(?:of|to)\s+(?:the\s+)?(?:Protocol\s+No\.?\s*\d{1,2}|(?:First|Fourth|Sixth|Seventh|Twelfth)\s+Protocol)"
)
_CONVENTION = r"(?:\s+(?:of|to)\s+the\s+(?:European\s+)?Convention)?"
_NAMED = rf"(?P<article>{_ARTICLE})(?P<paragraph>{_PARAGRAPH})?(?P<protocol>{_PROTOCOL})?{_CONVENTION}"
_VIOLATION = r"(?P<no>an?|any|no)\s+(?:violation|breach|infringement)\s+of"
_WHERE = r"(?:,?\s+in\s+(?:the\s+case\s+of\s+)?(?P<case>[^?\n]{1,200}?))?\s*\?"
FORMS = tuple(
    re.compile(form + _WHERE, re.I)
    for form in (
        rf"Did\s+the\s+(?:Grand\s+)?(?:Court|Chamber)\s+find\s+{_VIOLATION}\s+{_NAMED}",
        r"Did\s+the\s+(?:Grand\s+)?(?:Court|Chamber)\s+(?:find|hold|rule|conclude|decide)\s+that\s+there\s+(?:had|has)\s+"
        rf"been\s+{_VIOLATION}\s+{_NAMED}",
        rf"(?:Was\s+there|Has\s+there\s+been|Had\s+there\s+been)\s+{_VIOLATION}\s+{_NAMED}",
        rf"(?:Was|Has|Had)\s+{_NAMED}\s+(?:been\s+)?(?:violated|breached|infringed)",
    )
)
_NUMBER = re.compile(r"\s*\((?:applications?\s+)?nos?\.?\s+(?P<number>[^()]{1,80})\)\s*$", re.I)
_ORDINALS = {"first": "1", "fourth": "4", "sixth": "6", "seventh": "7", "twelfth": "12"}


@dataclass(frozen=True, slots=True)
class FindingQuestion:
    """Whether a violation of an article was found or, where `violation` is False, that there was none."""

    article: str  # as a finding's
    violation: bool
    case: str  # as the question has it, without its number; "": it names none
    application_number: str


def read_question(question: str) -> FindingQuestion | None:
    """What is asked, if it is this and nothing more.

    >>> read_question("Did the Court find a violation of Article 6 § 1 in A. v. Austria (no. 1/01)?")
    FindingQuestion(article='Article 6 § 1', violation=True, case='A. v. Austria', application_number='1/01')
    >>> read_question("Why did the Court find a violation of Article 8?")
    """
    for form in FORMS:
        if match := form.fullmatch(" ".join(question.split())):
            numbered = _NUMBER.search(match["case"] or "")
            case = (match["case"] or "")[: numbered.start() if numbered else None].strip()
            asks_for_none = match.groupdict().get("no", "a").lower() == "no"
            return FindingQuestion(
                _named(match), not asks_for_none, case, numbered["number"].strip() if numbered else ""
            )
    return None


def _named(match: re.Match[str]) -> str:
    number = re.sub(r"(?i)^article\s+", "", " ".join(match["article"].split()))
    paragraph = re.search(r"\d+", match["paragraph"] or "")
    name = f"Article {number}" + (f" § {paragraph[0]}" if paragraph else "")
    if match["protocol"]:
        digits = re.search(r"\d+", match["protocol"])
        which = digits[0] if digits else next(no for word, no in _ORDINALS.items() if word in match["protocol"].lower())
        name += f" of Protocol No. {which}"
    return name


def answer(question: FindingQuestion, findings: Iterable[Finding]) -> tuple[bool, Spans] | None:
    """(yes or no, the items that say so); None where nothing was found under the article.

    A violation of one part of an article is one of the article. That there was none is said of the whole: where one
    part was violated and another not, it is None.
    """
    found = _under(question.article, list(findings))
    if not found:
        return None
    yes = [finding for finding in found if finding.violation is not False]
    no = [finding for finding in found if finding.violation is not True]
    if not question.violation and yes and no:
        return None
    decisive = yes or no
    return bool(yes) == question.violation, tuple(span for finding in decisive for span in finding.spans)


def _under(article: str, findings: list[Finding]) -> list[Finding]:
    """Findings on the article; else on its paragraphs, or on it as a whole.

    "Article 1" alone is also the First Protocol's: nobody complains of the Convention's by itself.
    """
    number, _, protocol = article.partition(" of ")
    bare, _, paragraph = number.partition(" § ")
    exact = [finding for finding in findings if finding.article == article]
    if exact and paragraph:
        return exact
    same = [f for f in findings if f.article.partition(" of ")[2] == protocol and _bare(f) == bare]
    if paragraph:
        return [finding for finding in same if " § " not in finding.article]
    return same or [finding for finding in findings if article == _bare(finding) == "Article 1"]


def _bare(finding: Finding) -> str:
    return finding.article.partition(" of ")[0].partition(" § ")[0]
