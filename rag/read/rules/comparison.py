"""Questions that set two things side by side: each is looked at by itself, and what is found is compared here.

A small reader says "yes" to nearly every "Are both ...?" and names the first of two dates far too often, also with
nothing but the right passages before it; but it does say what one thing is (eval/log.md). Dates and numbers that both
sides give are read off without it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from rag.llm.chat import ChatModel, Usage, first_line
from rag.read.match import EDGES, fold, holds_answer, normalise_answer
from rag.read.prompts import answer_messages, claim_messages, same_messages, yes_no_messages
from rag.read.quotes import Quote, choose_quotes
from rag.read.rules.facts import DATE as DATE
from rag.read.rules.facts import EVENTS, Value, count, dates, is_a, measures
from rag.records import Hit

# What a question asks of its two sides when their names are taken out of it. A form accounts for all words that are
# left, so that "Which was written before 1960?", "Which has a first-person narrator?" and "Whose last name is longer?"
# have none.
_INFINITIVES = (
    "die:died open:opened form:formed begin:began start:started premiere:premiered debut:debuted air:aired "
    "happen:happened occur:occurred come_out:came_out take_place:took_place pass_away:passed_away"
)
_DONE = {verb: verb for verbs in EVENTS.values() for verb in verbs} | dict(
    pair.replace("_", " ").split(":") for pair in _INFINITIVES.split()
)
_DO = "|".join(sorted(_DONE, reverse=True))
_ORDER = r"(?:the )?(?P<order>first|earlier|earliest|sooner|later|last|latest|(?:more|most) recently)"
_AGE = r"(?P<order>older|oldest|elder|eldest|younger|youngest)"
_SOONER = frozenset("first earlier earliest sooner older oldest elder eldest".split())
# Words that make another thing of a name or noun beside them: "the sequel to A", "the film with the older director".
_OTHER = (
    r"(?!(?:is|was|were|are|did|does|do|has|have|had|whose|who|which|what|that|with|without|in|on|of|by|from|for|to|as|"
    r"at|about|after|before|and|or|not|never|no|than)\b)"
)
_WHICH = (
    r"(?:(?P<which>which|who|what)(?: one)?(?: of (?:the|these|those)(?: two)?)?"
    rf"(?P<noun>(?: {_OTHER}[\w-]+){{0,3}}) )?"
)
# "Between the films A and B", "..., the band A or B"
INTRODUCED = re.compile(
    rf"(?:(?:^|[,:;]| -) ?(?:{_OTHER}[\w-]+ ){{0,2}})?"
    r"(?:(?:^of|(?<=\bwhich )of|(?<=\bwho )of|(?<=\bone )of|\bout of|\bbetween|\bamong) )?(?:either |both )?"
    rf"(?:the (?:two )?(?:{_OTHER}[\w-]+ ){{0,2}})?[\"'(]*$"
)
JOINED = re.compile(
    rf"[\s,\"'\u201c\u201d]*(?:and|or)\s+(?:both\s+)?(?:the\s+)?(?:{_OTHER}[\w-]+\s+){{0,2}}[\"'\u201c\u201d]?",
    re.IGNORECASE,
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
    r"(?P<size>tall|high|long|deep|wid|larg|bigg|short|low|shallow|narrow|small)(?:er|est)(?(the)(?: [\w-]+)?)"
    r"(?: (?:in|by) (?P<by>area|height|length|depth|width|elevation))?"
)
SIZES: Mapping[str, tuple[str, ...]] = {  # what an adjective may be measured by
    "tall": ("height", "elevation"), "high": ("height", "elevation"), "long": ("length",), "deep": ("depth",),
    "wid": ("width",), "larg": ("area",), "bigg": ("area",),
    "short": ("height", "length"), "low": ("height", "elevation"), "shallow": ("depth",), "narrow": ("width",),
    "small": ("area",),
}  # fmt: skip
SMALL = frozenset("short low shallow narrow small".split())
# What is large in another way than by its area.
PEOPLED = re.compile(
    r"\b(?:population|populous|inhabitants|residents|people|students|employees|members|volume|seats|capacity|tonn?e?s)\b"
)
YES_NO = re.compile(r"(?:are|is|was|were|did|do|does|have|has|can)\b", re.IGNORECASE)
BOTH, AND, OR = (re.compile(rf"\b{word}\b", re.IGNORECASE) for word in ("both", "and", "or"))
SAME = re.compile(r"\bsame\b", re.IGNORECASE)
SAME_WHAT = re.compile(
    rf"(?:is|are|was|were|do|does|did|have|has|had) (?:both (?:{_OTHER}[\w-]+ ){{0,2}})?(?:, )?"
    r"(?:share |have |of |from |in |on |(?:located|situated|based) (?:in|on) |originate from |belong to |part of |"
    rf"members of )?the same (?P<what>(?!type|kind|sort|time|way|thing|one){_OTHER}\w+(?: {_OTHER}\w+)?)"
)
NOTHING_SAID = re.compile(r"(?:not?|none|unknown|unclear|na|cannot|i)\b")  # instead of a name
SURE = 0.99  # of what a reader judged; only what is read off is certain
SINGULAR = {"Are": "Is", "Were": "Was", "Do": "Does", "Have": "Has"}
READ_OFF = 1.0  # support of what needed no judgement
SHORT = 24  # tokens of "What is the nationality of A?"


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
        return re.sub(r"\s*\([^()]*\)$", "", self.name)

    @property
    def full_name(self) -> str:
        """As the evidence introduces it, where that has all words of the name: "Louis-Hector Berlioz"."""
        lead = re.match(r"(.{2,80}?)\s*(?:[,(]|\b(?:is|was|are|were)\b)", self.hits[0].passage.text)
        words = set(re.findall(r"\w+", fold(self.name)))
        name = lead[1].strip(' "\u201c\u201d') if lead else ""
        return name if words <= set(re.findall(r"\w+", fold(name))) else self.name


@dataclass(frozen=True, slots=True)
class Compared:
    """What a comparison came to; of each side its name, what was found, and the words that show it.

    `found` is a date or number as it is written there, or such as "yes (0.97)". `support` 0..1: how sure the less sure
    side is.
    """

    answer: str
    names: tuple[str, str]
    found: tuple[str, str]
    quotes: tuple[Quote, Quote]
    support: float


def compare(reader: ChatModel, question: str, evidence: Sequence[Hit], usage: Usage) -> Compared | None:
    """Compare the two things that a question names, each by its own evidence; None for any other question.

    A yes or no for both where it asks whether both are so; what each is where it asks for the same. Which of the two it
    is by dates or numbers where both say one, else by how likely each is by itself. Raises ReaderError.
    """
    sides = sides_of(question, evidence)
    if sides is None:
        return None
    about_both = BOTH.search(question) or AND.search(question, sides[0].end, sides[1].start)
    if YES_NO.match(question) and about_both:  # not "Is A or B further west?"
        same = SAME.search(question)
        return _same(reader, question, sides, usage) if same else _both(reader, question, sides, usage)
    if compared := settle(question, sides):
        return compared
    return _either(reader, question, sides, usage) if OR.search(question, sides[0].end, sides[1].start) else None


def sides_of(question: str, evidence: Sequence[Hit]) -> tuple[ComparedSide, ComparedSide] | None:
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
            return tuple(ComparedSide(question[s:e], s, tuple(named[s, e])) for s, e in (first, second))  # type: ignore[return-value]
    return None


def _named(question: str, title: str) -> tuple[int, int] | None:
    """Where the question has the title, with or without what stands behind it in brackets."""
    bare = re.sub(r"\s*\([^()]*\)$", "", title).strip()
    for name in (title, bare, re.sub("^The ", "", bare)):
        if len(name) > 2 and (match := re.search(rf"(?<!\w){re.escape(name)}(?!\w)", question, re.IGNORECASE)):
            return match.span()
    return None


# -- yes or no -------------------------------------------------------------------------------------------------------


def _both(reader: ChatModel, question: str, sides: tuple[ComparedSide, ComparedSide], usage: Usage) -> Compared:
    """Yes where the question, asked of each side alone, is more likely answered with yes than no for both."""
    first, second = sides
    asked = (alone(question, first, second), alone(question, second, first))
    likely = [
        reader.yes_probability(yes_no_messages(text, side.hits), usage) for side, text in zip(sides, asked, strict=True)
    ]
    yes = min(likely) >= 0.5
    found = [f"{'yes' if p >= 0.5 else 'no'} ({max(p, 1 - p):.2f})" for p in likely]
    return Compared(
        "yes" if yes else "no",
        (first.name, second.name),
        (found[0], found[1]),
        (_evidence_of(asked[0], "", first), _evidence_of(asked[1], "", second)),
        min(likely) if yes else 1 - min(likely),
    )


def alone(question: str, side: ComparedSide, other: ComparedSide) -> str:
    """The question asked of one side: "Are both A and B painters?" -> "Is A painters?"."""
    first, second = sorted((side, other), key=lambda one: one.start)
    text = f"{question[: first.start]}{side.name}{question[second.end :]}"
    text = " ".join(re.sub(r"\bboth(?: of)?\b", "", text, flags=re.IGNORECASE).split())
    return re.sub(r"^(Are|Were|Do|Have)\b", lambda verb: SINGULAR[verb[1]], text)


def _same(reader: ChatModel, question: str, sides: tuple[ComparedSide, ComparedSide], usage: Usage) -> Compared | None:
    """Whether what the question wants to be the same is so: the reader says what each side has, by its own evidence.

    Certain where both are the same words and stand in the evidence. Else the reader judges whether different words name
    the same ("American", "the United States"), and whether what does not stand there is so. None for a question that
    says more ("born in the same year"), and where the reader finds nothing.
    """
    match = SAME_WHAT.fullmatch(_without_names(question, sides))
    if match is None:
        return None
    what = match["what"]
    asked = [f"What is the {what} of {side.name}?" for side in sides]
    replies = [_reply(reader, text, side, usage) for side, text in zip(sides, asked, strict=True)]
    bare = [normalise_answer(fold(text)) for text in replies]
    if not all(bare) or any(NOTHING_SAID.match(text) for text in bare):
        return None
    quotes = [_evidence_of(text, answer, side) for text, answer, side in zip(asked, replies, sides, strict=True)]
    likely = 1.0
    if bare[0] != bare[1]:
        likely = reader.yes_probability(same_messages(what, replies[0], replies[1]), usage)
    answer, sure = ("yes", likely) if likely >= 0.5 else ("no", 1 - likely)
    for text, value, side, quote in zip(asked, replies, sides, quotes, strict=True):
        if not holds_answer(quote.text, value):
            claim = claim_messages(text, value, *(hit.passage for hit in side.hits))
            sure = min(sure, reader.yes_probability(claim, usage), SURE)
    support = READ_OFF if bare[0] == bare[1] and sure == 1.0 else min(sure, SURE)
    return Compared(answer, (sides[0].name, sides[1].name), (replies[0], replies[1]), (quotes[0], quotes[1]), support)


def _evidence_of(question: str, answer: str, side: ComparedSide) -> Quote:
    """The words of a side's evidence that show what was found of it."""
    return replace(choose_quotes(question, answer, side.hits)[0], holds=True, score=1.0)


def _reply(reader: ChatModel, question: str, side: ComparedSide, usage: Usage) -> str:
    return first_line("".join(reader.stream(answer_messages(question, side.hits), SHORT, usage))).strip(EDGES)


# -- which of the two ------------------------------------------------------------------------------------------------


def _either(reader: ChatModel, question: str, sides: tuple[ComparedSide, ComparedSide], usage: Usage) -> Compared:
    """The side of which its own evidence makes it likelier that it is the answer.

    Asked for one of two, a small reader takes the one that stands first among the passages (eval/log.md).
    """
    likely = [
        reader.yes_probability(claim_messages(question, side.name, *(hit.passage for hit in side.hits)), usage)
        for side in sides
    ]
    wins = 0 if likely[0] >= likely[1] else 1
    first, second = sides
    return Compared(
        sides[wins].full_name,
        (first.name, second.name),
        (f"{likely[0]:.2f} likely", f"{likely[1]:.2f} likely"),
        (_evidence_of(question, "", first), _evidence_of(question, "", second)),
        likely[wins],
    )


# -- dates and numbers -----------------------------------------------------------------------------------------------


def settle(question: str, sides: tuple[ComparedSide, ComparedSide]) -> Compared | None:
    """The side that is earlier, more, longer ... where that is all the question asks, and the evidence leaves no doubt.

    Both sides have to state the same kind of thing: a birth and a birth, a length and a length. None otherwise.
    """
    asked = _without_names(question, sides)
    if LONGER_LIFE.fullmatch(asked):
        return _by(sides, [_life(dates(side.bare_name, side.hits)) for side in sides], most=True)
    if match := MORE.fullmatch(asked):
        counts = [count(side.bare_name, side.hits, match["counted"]) for side in sides]
        return _by(sides, counts, most=match["more"] in ("more", "most"))
    if match := SIZE.fullmatch(asked):
        kinds = (match["by"],) if match["by"] else SIZES[match["size"]]
        peopled = any(PEOPLED.search(hit.passage.text) for side in sides for hit in side.hits)
        if kinds == ("area",) and not match["by"] and peopled:
            return None
        sizes = [measures(side.bare_name, side.hits) for side in sides]
        return _agreed(sides, sizes, kinds, match["size"] not in SMALL)
    if match := HAPPENED.fullmatch(asked) or FIRST_DONE.fullmatch(asked):
        kinds = tuple(kind for kind in EVENTS if _DONE[match["verb"]] in EVENTS[kind])
        found = [dates(side.bare_name, side.hits, "") for side in sides]
        return _agreed(sides, found, kinds, match["order"] not in _SOONER)
    if match := OLDER.fullmatch(asked) or CAME.fullmatch(asked):
        return _older(match, sides)
    return None


def _older(match: re.Match[str], sides: tuple[ComparedSide, ComparedSide]) -> Compared | None:
    """By births if it is people that are older, else by whatever else both sides began with."""
    kind = (match["noun"] or match["kind"] or "").split(" ")[-1].removesuffix("s")
    found = [dates(side.bare_name, side.hits, kind or None) for side in sides]
    order = match["order"] if match.re is OLDER else match["order"] or match["age"]
    if match.re is OLDER and (match["which"] == "who" or all("birth" in one for one in found)):
        return _agreed(sides, found, ("birth",), order not in _SOONER)
    if match["which"] == "who" or (kind and not all(is_a(side.bare_name, side.hits, kind) for side in sides)):
        return None  # "Which director is older?" of two films
    kinds = ("founding", "building", "publication") if match.re is OLDER else tuple(EVENTS)[2:]
    return _agreed(sides, found, kinds, order not in _SOONER)


def _without_names(question: str, sides: tuple[ComparedSide, ComparedSide]) -> str:
    """The question without its sides and what introduces them: "which came first" of "Between A and B, which ..."."""
    first, second = sides
    before = INTRODUCED.sub("", fold(question[: first.start] + "|")[:-1])
    behind = re.sub(r"^\s*\([^()]*\)", "", fold(question[second.end :])).lstrip(' ,:;"')
    return " ".join(f"{before} {behind}".strip(" ?.!,:;\"'-)").split())


def _agreed(
    sides: tuple[ComparedSide, ComparedSide], found: Sequence[Mapping[str, Value]], kinds: Sequence[str], most: bool
) -> Compared | None:
    """What all kinds of values that both sides have come to; None where they have none, or one of them is in doubt."""
    compared = [_by(sides, [one[kind] for one in found], most) for kind in kinds if all(kind in one for one in found)]
    if not compared or compared[0] is None or len({one and one.answer for one in compared}) > 1:
        return None
    return compared[0]


def _by(sides: tuple[ComparedSide, ComparedSide], values: Sequence[Value | None], most: bool) -> Compared | None:
    first, second = values
    if first is None or second is None or max(first.low, second.low) < min(first.high, second.high):
        return None
    wins = 0 if (first.low > second.low) == most else 1
    names = (sides[0].name, sides[1].name)
    return Compared(sides[wins].full_name, names, (first.text, second.text), (first.quote, second.quote), READ_OFF)


def _life(found: Mapping[str, Value]) -> Value | None:
    """The days between a birth and a death."""
    if "birth" not in found or "death" not in found:
        return None
    birth, death = found["birth"], found["death"]
    return Value(death.low - birth.high, death.high - birth.low, f"{birth.text} to {death.text}", birth.quote)
