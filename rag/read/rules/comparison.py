"""Questions that set two things side by side: each is looked at by itself, and what is found is compared here.

A small reader says "yes" to nearly every "Are both ...?" and names the first of two dates far too often, also with
nothing but the right passages before it; but it does say what one thing is (eval/log.md). Dates and numbers that both
sides state in a form that leaves no doubt are read off, other dates are asked for.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from rag.llm.chat import ChatModel, Usage, first_line
from rag.read.match import EDGES, fold, normalise_answer
from rag.read.prompts import answer_messages, claim_messages, same_messages, yes_no_messages
from rag.read.quotes import Quote, choose_quotes
from rag.read.rules.base import Claim, Proposal
from rag.read.rules.compared_order import ask_each, order_of, settle
from rag.read.rules.compared_sides import IN_BRACKETS, OTHER, ComparedSide, Sides, sides_of, without_names
from rag.read.rules.facts import Value, date_in
from rag.records import Hit

YES_NO = re.compile(r"(?:are|is|was|were|did|do|does|have|has|can)\b", re.IGNORECASE)
BOTH, AND, OR = (re.compile(rf"\b{word}\b", re.IGNORECASE) for word in ("both", "and", "or"))
SAME = re.compile(r"\bsame\b", re.IGNORECASE)
_THE_SAME = rf"the same (?P<what>(?!type|kind|sort|time|way|thing|one){OTHER}\w+(?: {OTHER}\w+)?)"
SAME_WHAT = re.compile(
    rf"(?:is|are|was|were|do|does|did|have|has|had) (?:both (?:{OTHER}[\w-]+ ){{0,2}})?(?:, )?"
    r"(?:share |have |of |from |in |on |(?:located|situated|based) (?:in|on) |originate from |belong to |part of |"
    rf"members of )?{_THE_SAME}"
)
# "are the directors of both films from the same country", "do both films have the directors that share the same ..."
SAME_OF_ROLE = re.compile(
    rf"(?:are|were|do|did|have) (?:(?:both|the) )*(?:(?P<role>{OTHER}[a-z]+)s of (?:(?:both|the) )*(?:{OTHER}[a-z]+s )?"
    rf"(?:both )?|(?:{OTHER}[a-z]+s )?have (?:the )?(?P<had>[a-z]+)s (?:(?:that|who) (?:are )?)?)"
    rf"(?:from |share |of |have )?{_THE_SAME}"
)
NOTHING_SAID = re.compile(r"(?:not?|none|unknown|unclear|na|cannot|i)\b")  # instead of a name
SINGULAR = {"Are": "Is", "Were": "Was", "Do": "Does", "Have": "Has"}
SHORT = 24  # tokens of "What is the nationality of A?"


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two things that the question joins by "and" or "or", each by its own evidence.

    A yes or no for both where it asks whether both are so; what each is where it asks for the same. Which of the two it
    is decided by dates or numbers, otherwise by the probability of each side alone.
    """

    name = "comparison"

    def propose(self, question: str, evidence: Sequence[Hit], reader: ChatModel, usage: Usage) -> Proposal | None:
        """As Rule.propose."""
        sides = sides_of(question, evidence)
        if sides is None:
            return None
        asking = _Asking(question, evidence, sides, reader, usage)
        about_both = BOTH.search(question) or AND.search(question, sides[0].end, sides[1].start)
        if YES_NO.match(question) and about_both:  # not "Is A or B further west?"
            return asking.same() if SAME.search(question) else asking.both()
        asked = without_names(question, sides)
        if (settled := settle(asked, sides)) is not None:
            return settled
        if (order := order_of(asked)) is not None:
            if not order.role:
                return ask_each(order, sides, sides, asking.date)
            found = asking.with_role(order.role)
            return found and _resting_on(ask_each(order, sides, found[0], asking.date), *found[1:])
        return asking.either() if OR.search(question, sides[0].end, sides[1].start) else None


@dataclass(frozen=True, slots=True)
class _Asking:
    """One question, and whom to ask about its sides."""

    question: str
    evidence: Sequence[Hit]
    sides: Sides
    reader: ChatModel
    usage: Usage

    def both(self) -> Proposal:
        """Yes where the question, asked of each side alone, is more likely answered with yes than no for both."""
        first, second = self.sides
        asked = (alone(self.question, first, second), alone(self.question, second, first))
        likely = [
            self.reader.yes_probability(yes_no_messages(text, side.hits), self.usage)
            for side, text in zip(self.sides, asked, strict=True)
        ]
        yes = min(likely) >= 0.5
        return Proposal(
            "yes" if yes else "no",
            tuple(_evidence_of(text, "", side) for side, text in zip(self.sides, asked, strict=True)),
            tuple(f"{'yes' if p >= 0.5 else 'no'} ({max(p, 1 - p):.2f})" for p in likely),
            (),
            (first.name, second.name),
            min(likely) if yes else 1 - min(likely),
        )

    def same(self) -> Proposal | None:
        """Whether what is to be the same is so: the reader says what each side has, by its own evidence.

        Whether different words name the same ("American", "the United States") is the reader's judgement. None for a
        question that says more ("born in the same year"), and where the reader finds nothing.
        """
        asked = without_names(self.question, self.sides)
        if match := SAME_WHAT.fullmatch(asked):
            return self._same(match["what"], self.sides)
        match = SAME_OF_ROLE.fullmatch(asked)
        found = match and self.with_role(match["role"] or match["had"])
        return _resting_on(self._same(match["what"], found[0]), *found[1:]) if match and found else None

    def _same(self, what: str, of_whom: Sides) -> Proposal | None:
        """As `same`, of the sides or of who has a role in them."""
        claims, quotes = zip(
            *(self._claim(f"What is the {what} of {side.name}?", side) for side in of_whom), strict=True
        )
        found = tuple(claim.answer for claim in claims)
        bare = [normalise_answer(fold(text)) for text in found]
        if not all(bare) or any(NOTHING_SAID.match(text) for text in bare):
            return None
        likely = 1.0
        if bare[0] != bare[1]:
            likely = self.reader.yes_probability(same_messages(what, *found), self.usage)
        names = tuple(side.name for side in of_whom)
        return Proposal("yes" if likely >= 0.5 else "no", quotes, found, claims, names, max(likely, 1 - likely))

    def with_role(self, role: str) -> tuple[Sides, list[Claim], list[Quote]] | None:
        """Who has this part in each side, as the reader says, with the evidence about them, and what is to confirm it.

        None where there is no evidence about one of them.
        """
        people, claims, quotes = list[ComparedSide](), list[Claim](), list[Quote]()
        for side in self.sides:
            claim, quote = self._claim(f"Who is the {role} of {side.name}?", side)
            name = fold(claim.answer)
            about = [hit for hit in self.evidence if fold(IN_BRACKETS.sub("", hit.passage.title)) == name]
            if not about:
                return None
            people.append(ComparedSide(claim.answer, side.start, tuple(about)))
            claims.append(claim)
            quotes.append(quote)
        return (people[0], people[1]), claims, quotes

    def date(self, question: str, side: ComparedSide) -> Value | None:
        """The date that the reader says, where its evidence states it."""
        answer = self._reply(question, side)
        return date_in(answer, _evidence_of(question, answer, side))

    def either(self) -> Proposal:
        """The side of which its own evidence makes it likelier that it is the answer.

        Asked for one of two, a small reader takes the one that stands first among the passages (eval/log.md).
        """
        likely = [
            self.reader.yes_probability(
                claim_messages(self.question, side.name, *(hit.passage for hit in side.hits)), self.usage
            )
            for side in self.sides
        ]
        first, second = self.sides
        return Proposal(
            self.sides[0 if likely[0] >= likely[1] else 1].full_name,
            (_evidence_of(self.question, "", first), _evidence_of(self.question, "", second)),
            tuple(f"{p:.2f} likely" for p in likely),
            (),
            (first.name, second.name),
            max(likely),
        )

    def _claim(self, question: str, side: ComparedSide) -> tuple[Claim, Quote]:
        """What the reader says of a side, and the words that show it."""
        answer = self._reply(question, side)
        quote = _evidence_of(question, answer, side)
        return Claim(question, answer, quote.hit, quote.text), quote

    def _reply(self, question: str, side: ComparedSide) -> str:
        messages = answer_messages(question, side.hits)
        return first_line("".join(self.reader.stream(messages, SHORT, self.usage))).strip(EDGES)


def alone(question: str, side: ComparedSide, other: ComparedSide) -> str:
    """The question asked of one side: "Are both A and B painters?" -> "Is A painters?"."""
    first, second = sorted((side, other), key=lambda one: one.start)
    text = f"{question[: first.start]}{side.name}{question[second.end :]}"
    text = " ".join(re.sub(r"\bboth(?: of)?\b", "", text, flags=re.IGNORECASE).split())
    return re.sub(r"^(Are|Were|Do|Have)\b", lambda verb: SINGULAR[verb[1]], text)


def _resting_on(proposal: Proposal | None, claims: Sequence[Claim], quotes: Sequence[Quote]) -> Proposal | None:
    """The proposal with what else it rests on."""
    if proposal is None:
        return None
    return replace(proposal, claims=(*proposal.claims, *claims), quotes=(*proposal.quotes, *quotes))


def _evidence_of(question: str, answer: str, side: ComparedSide) -> Quote:
    """The words of a side's evidence that show what was found of it."""
    return replace(choose_quotes(question, answer, side.hits)[0], holds=True, score=1.0)
