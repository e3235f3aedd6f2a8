"""The two things that a question sets side by side: documents whose titles it joins by "and" or "or"."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from rag.read.match import fold
from rag.records import Hit

# Words that make another thing of a name or noun beside them: "the sequel to A", "the film with the older director".
OTHER = (
    r"(?!(?:is|was|were|are|did|does|do|has|have|had|whose|who|which|what|that|with|without|in|on|of|by|from|for|to|as|"
    r"at|about|after|before|and|or|not|never|no|than)\b)"
)
# "Between the films A and B", "..., the band A or B"
INTRODUCED = re.compile(
    rf"(?:(?:^|[,:;]| -) ?(?:{OTHER}[\w-]+ ){{0,2}})?"
    r"(?:(?:^of|(?<=\bwhich )of|(?<=\bwho )of|(?<=\bone )of|\bout of|\bbetween|\bamong) )?(?:either |both )?"
    rf"(?:the (?:two )?(?:{OTHER}[\w-]+ ){{0,2}})?[\"'(]*$"
)
JOINED = re.compile(
    rf"[\s,\"'\u201c\u201d]*(?:and|or)\s+(?:both\s+)?(?:the\s+)?(?:{OTHER}[\w-]+\s+){{0,2}}[\"'\u201c\u201d]?",
    re.IGNORECASE,
)
IN_BRACKETS = re.compile(r"\s*\([^()]*\)$")


@dataclass(frozen=True, slots=True)
class ComparedSide:
    """One of the two things: its name as the question writes it, where it stands there, and the evidence about it."""

    name: str
    start: int
    hits: tuple[Hit, ...]

    @property
    def end(self) -> int:
        return self.start + len(self.name)

    @property
    def bare_name(self) -> str:
        """Without what stands behind it in brackets: "Mercury (planet)"."""
        return IN_BRACKETS.sub("", self.name)

    @property
    def full_name(self) -> str:
        """As the evidence introduces it, where that has all words of the name: "Louis-Hector Berlioz"."""
        lead = re.match(r"(.{2,80}?)\s*(?:[,(]|\b(?:is|was|are|were)\b)", self.hits[0].passage.text)
        words = set(re.findall(r"\w+", fold(self.name)))
        name = lead[1].strip(' "\u201c\u201d') if lead else ""
        return name if words <= set(re.findall(r"\w+", fold(name))) else self.name


Sides = tuple[ComparedSide, ComparedSide]


def sides_of(question: str, evidence: Sequence[Hit]) -> Sides | None:
    """The two documents whose titles the question joins by "and" or "or", in its order; None if it does not."""
    named: dict[tuple[int, int], list[Hit]] = {}
    of_document: dict[str, tuple[int, int] | None] = {}
    for hit in evidence:
        document = hit.passage.document_id
        if document not in of_document:
            span = _named(question, hit.passage.title)
            of_document[document] = None if span in named else span  # of namesakes the best-ranked one is meant
        if (span := of_document[document]) is not None:
            named.setdefault(span, []).append(hit)
    outer = sorted(s for s in named if not any(o != s and o[0] <= s[0] and s[1] <= o[1] for o in named))
    for first, second in pairwise(outer):
        if JOINED.fullmatch(question, first[1], second[0]):
            one, other = (ComparedSide(question[s:e], s, tuple(named[s, e])) for s, e in (first, second))
            return one, other
    return None


def _named(question: str, title: str) -> tuple[int, int] | None:
    """Where the question has the title, with or without what stands behind it in brackets."""
    bare = IN_BRACKETS.sub("", title).strip()
    for name in (title, bare, re.sub("^The ", "", bare)):
        if len(name) > 2 and (match := re.search(rf"(?<!\w){re.escape(name)}(?!\w)", question, re.IGNORECASE)):
            return match.span()
    return None


def without_names(question: str, sides: Sides) -> str:
    """The question without its sides and what introduces them: "which came first" of "Between A and B, which ..."."""
    first, second = sides
    before = INTRODUCED.sub("", fold(question[: first.start] + "|")[:-1])
    behind = re.sub(r"^\s*\([^()]*\)", "", fold(question[second.end :])).lstrip(' ,:;"')
    return " ".join(f"{before} {behind}".strip(" ?.!,:;\"'-)").split())
