"""Which of two things is earlier, more, longer ...: what a question asks of each, and the order of what is found.

A form accounts for all words that are left of a question when its sides' names are taken out of it, so that "Which was
written before 1960?", "Which has a first-person narrator?" and "Whose last name is longer?" have none.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rag.read.rules.base import Claim, Proposal
from rag.read.rules.compared_sides import OTHER, ComparedSide, Sides
from rag.read.rules.facts import ACTIVE, EVENTS, Value, count, dates, is_a, measures

_WORDS = tomllib.loads(Path(__file__).with_suffix(".toml").read_text("utf-8"))
_DONE: Mapping[str, str] = {verb: verb for verbs in EVENTS.values() for verb in verbs} | _WORDS["infinitives"]
_ASKED: Mapping[str, str] = _WORDS["asked"]  # kind of value -> the question for it of one thing
_SIZES: Mapping[str, Sequence[str]] = _WORDS["sizes"]
_DO = "|".join(sorted(_DONE, reverse=True))
_ORDER = r"(?:the )?(?P<order>first|earlier|earliest|sooner|later|last|latest|(?:more|most) recently)"
_AGE = r"(?P<order>older|oldest|elder|eldest|younger|youngest)"
_WHICH = (
    r"(?:(?P<which>which|who|what)(?: one)?(?: of (?:the|these|those)(?: two)?)?"
    rf"(?P<noun>(?: {OTHER}[\w-]+){{0,3}}) )?"
)
OLDER = re.compile(rf"{_WHICH}(?:is|was) (?P<the>the )?{_AGE}(?: one| of the two)?(?(the)(?: (?P<kind>[\w-]+))?)")
HAPPENED = re.compile(rf"{_WHICH}(?:(?:is|was|were|did|got) )?(?:first )?(?P<verb>{_DO}) {_ORDER}")
FIRST_DONE = re.compile(rf"{_WHICH}(?:is|was|were) (?:the )?(?P<order>first)(?: one)?(?: to be| to)? (?P<verb>{_DO})")
CAME = re.compile(
    rf"{_WHICH}(?:(?:(?:did )?(?:came|come|comes)|was) {_ORDER}|(?:is|was) (?P<the>the )?"
    r"(?P<age>newer|newest|(?:more|most) recent|earlier|earliest)(?: one)?(?(the)(?: (?P<kind>[\w-]+))?))"
)
LONGER_LIFE = re.compile(
    rf"{_WHICH}(?:did )?(?:lived? (?:a )?longer(?: life)?|(?:had|have) (?:a|the) longer (?:life|lifespan|life span)"
    r"|lived? to (?:an|the) older age)"
)
MORE = re.compile(
    rf"{_WHICH}(?:(?:does|do|did) )?(?:has|have|had|contains?) (?:the )?(?P<more>more|most|fewer|fewest|less|least) "
    r"(?P<counted>(?:(?!than\b)[a-z-]+ ){0,2}[a-z-]+s)"
)
SIZE = re.compile(
    rf"{_WHICH}(?:is|was|stands) (?P<the>the )?"
    rf"(?P<size>{'|'.join(_SIZES)})(?:er|est)(?(the)(?: [\w-]+)?)"
    r"(?: (?:in|by) (?P<by>area|height|length|depth|width|elevation))?"
)
# "which film has the director who was born earlier", "whose author is younger"
OF_ROLE = re.compile(
    rf"{_WHICH}(?:(?:has|have|had) (?:the|an?) |whose )(?P<role>[a-z]+)(?:,? (?:who|that))? "
    r"(?P<rest>.+?)(?: than the other(?: one)?)?"
)
# What is large in another way than by its area.
PEOPLED = re.compile(
    r"\b(?:population|populous|inhabitants|residents|people|students|employees|members|volume|seats|capacity|tonn?e?s)\b"
)


@dataclass(frozen=True, slots=True)
class Order:
    """What a question asks of each side, and which end of the order is its answer.

    `kind` is one of EVENTS, `question` asks for its date, with {} for the side. `most`: the later, not the earlier.
    `role`: not of the thing itself but of who has this part in it, its "director". `noun`: what both have to be, or "".
    """

    kind: str
    question: str
    most: bool
    role: str = ""
    noun: str = ""


AskReader = Callable[[str, ComparedSide], Value | None]  # (question for a date, of which side) -> what the reader says


def order_of(asked: str) -> Order | None:
    """What is asked of the two, where it is an order of dates and nothing more; the names are taken out already.

    >>> order_of("who died later")
    Order(kind='death', question='When did {} die?', most=True, role='', noun='')
    >>> order_of("which film has the director born first")
    Order(kind='birth', question='When was {} born?', most=False, role='director', noun='')
    """
    if match := HAPPENED.fullmatch(asked) or FIRST_DONE.fullmatch(asked):
        verb = _DONE[match["verb"]]
        kind = next(kind for kind in EVENTS if verb in EVENTS[kind])
        question = _ASKED[kind] if verb in ACTIVE else f"When was {{}} {verb}?"
        return Order(kind, question, match["order"] not in _WORDS["sooner"])
    if match := OLDER.fullmatch(asked):
        kind = "birth" if match["which"] == "who" else "founding"
        return Order(kind, _ASKED[kind], match["order"] not in _WORDS["sooner"], noun=_noun(match))
    if match := CAME.fullmatch(asked):
        most = (match["order"] or match["age"]) not in _WORDS["sooner"]
        return Order("publication", _ASKED["publication"], most, noun=_noun(match))
    if match := OF_ROLE.fullmatch(asked):
        rest = match["rest"] if re.match(r"(?:is|was|died)\b", match["rest"]) else f"was {match['rest']}"
        if (found := order_of(f"who {rest}")) and found.kind in ("birth", "death"):
            return replace(found, role=match["role"])
    return None


def ask_each(order: Order, sides: Sides, of_whom: Sides, ask: AskReader) -> Proposal | None:
    """The order of two dates that the reader says, each by its own evidence. `of_whom`: the sides, or who has the role.

    A date that stands in the evidence in a form that leaves no doubt is not asked for.
    """
    if order.noun and not all(is_a(side.bare_name, side.hits, order.noun) for side in sides):
        return None  # "Which director is older?" of two films
    values, claims = list[Value](), list[Claim]()
    for side in of_whom:
        question = order.question.format(side.bare_name)
        value = dates(side.bare_name, side.hits).get(order.kind) or ask(question, side)
        if value is None:
            return None
        values.append(value)
        claims.append(Claim(question, value.text, value.quote.hit, value.quote.text))
    return _by(sides, values, order.most, claims)


def settle(asked: str, sides: Sides) -> Proposal | None:
    """The side that is earlier, more, longer ... where that is all that is asked, and the evidence leaves no doubt.

    Both sides have to state the same kind of thing: a birth and a birth, a length and a length. None otherwise.
    """
    if LONGER_LIFE.fullmatch(asked):
        lives = [_life(dates(side.bare_name, side.hits)) for side in sides]
        return _by(sides, lives, True, [_claim("life", *pair) for pair in zip(sides, lives, strict=True)])
    if match := MORE.fullmatch(asked):
        counts = [count(side.bare_name, side.hits, match["counted"]) for side in sides]
        claims = [_claim("count", *pair, match["counted"]) for pair in zip(sides, counts, strict=True)]
        return _by(sides, counts, match["more"] in ("more", "most"), claims)
    if match := SIZE.fullmatch(asked):
        kinds = (match["by"],) if match["by"] else tuple(_SIZES[match["size"]])
        peopled = any(PEOPLED.search(hit.passage.text) for side in sides for hit in side.hits)
        if kinds == ("area",) and not match["by"] and peopled:
            return None
        sizes = [measures(side.bare_name, side.hits) for side in sides]
        return _agreed(sides, sizes, kinds, match["size"] not in _WORDS["small"])
    if match := HAPPENED.fullmatch(asked) or FIRST_DONE.fullmatch(asked):
        kinds = tuple(kind for kind in EVENTS if _DONE[match["verb"]] in EVENTS[kind])
        found = [dates(side.bare_name, side.hits, "") for side in sides]
        return _agreed(sides, found, kinds, match["order"] not in _WORDS["sooner"])
    if match := OLDER.fullmatch(asked) or CAME.fullmatch(asked):
        return _older(match, sides)
    return None


def _older(match: re.Match[str], sides: Sides) -> Proposal | None:
    """By births if it is people that are older, else by whatever else both sides began with."""
    kind = _noun(match)
    found = [dates(side.bare_name, side.hits, kind or None) for side in sides]
    most = (match["order"] if match.re is OLDER else match["order"] or match["age"]) not in _WORDS["sooner"]
    if match.re is OLDER and (match["which"] == "who" or all("birth" in one for one in found)):
        return _agreed(sides, found, ("birth",), most)
    if match["which"] == "who" or (kind and not all(is_a(side.bare_name, side.hits, kind) for side in sides)):
        return None  # "Which director is older?" of two films
    kinds = ("founding", "building", "publication") if match.re is OLDER else tuple(EVENTS)[2:]
    return _agreed(sides, found, kinds, most)


def _noun(match: re.Match[str]) -> str:
    """What the question calls both: "film" of "which old film", "which is the newer film"."""
    return (match["noun"] or match["kind"] or "").split(" ")[-1].removesuffix("s")


def _agreed(sides: Sides, found: Sequence[Mapping[str, Value]], kinds: Sequence[str], most: bool) -> Proposal | None:
    """What all kinds of values that both sides have come to; None where they have none, or one of them is in doubt."""
    compared = []
    for kind in kinds:
        if all(kind in one for one in found):
            claims = [_claim(kind, side, one[kind]) for side, one in zip(sides, found, strict=True)]
            compared.append(_by(sides, [one[kind] for one in found], most, claims))
    if not compared or compared[0] is None or len({one and one.answer for one in compared}) > 1:
        return None
    return compared[0]


def _by(sides: Sides, values: Sequence[Value | None], most: bool, claims: Sequence[Claim | None]) -> Proposal | None:
    first, second = values
    if first is None or second is None or max(first.low, second.low) < min(first.high, second.high):
        return None
    wins = 0 if (first.low > second.low) == most else 1
    return Proposal(
        sides[wins].full_name,
        (first.quote, second.quote),
        (first.text, second.text),
        tuple(claim for claim in claims if claim),
        (sides[0].name, sides[1].name),
    )


def _claim(kind: str, side: ComparedSide, value: Value | None, counted: str = "") -> Claim | None:
    """That a value is the side's, as the reader is to confirm it."""
    if value is None:
        return None
    question = _ASKED[kind].format(side.name, counted=counted)
    return Claim(question, value.text, value.quote.hit, value.quote.text)


def _life(found: Mapping[str, Value]) -> Value | None:
    """The days between a birth and a death."""
    if "birth" not in found or "death" not in found:
        return None
    birth, death = found["birth"], found["death"]
    return Value(death.low - birth.high, death.high - birth.low, f"{birth.text} to {death.text}", birth.quote)
