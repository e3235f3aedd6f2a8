"""Questions that set two things side by side: each is looked at by itself, and what is found is compared here.

A small reader says "yes" to nearly every "Are both ...?" and names the first of two dates far too often, also with
nothing but the right passages before it; but it does say what one thing is (eval/log.md). Dates and numbers that both
sides give are read off without it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from rag.read.generate import ChatReader, Usage, first_line
from rag.read.match import EDGES, content_words, fold, holds_answer
from rag.read.prompts import answer_messages, claim_messages, yes_no_messages
from rag.read.quotes import Quote, choose_quotes
from rag.records import Hit
from rag.sentences import sentence_spans

MONTHS = "january february march april may june july august september october november december".split()
_MONTH = "(?P<{}>" + "|".join(f"{name[:3]}(?:{name[3:]})?" if name != "may" else "may" for name in MONTHS) + r")\.?"
# "July 31, 1963", "31 July 1963", "July 1963", "1963"; not a year inside a longer number ("11,963", "1963.5")
DATE = re.compile(
    rf"(?:{_MONTH.format('month')}\s(?P<day>\d\d?),?\s|(?P<day_before>\d\d?)\s{_MONTH.format('month_after')},?\s"
    rf"|{_MONTH.format('month_alone')},?\s)?(?<![\d.,])(?P<year>1\d\d\d|20\d\d)(?!\d|[.,]\d)",
    re.IGNORECASE,
)
NUMBER_WORDS = {
    word: value
    for value, word in enumerate(
        "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
        "seventeen eighteen nineteen twenty".split()
    )
} | {
    "thirty": 30,
    "forty": 40,
    "fifty": 50,
    "hundred": 100,
    "single": 1,
    "double": 2,
    "duo": 2,
    "trio": 3,
    "quartet": 4,
}
QUANTITY = re.compile(
    r"(?<![\w.,])(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?!\w|[.,]\d)|\b(?:" + "|".join(NUMBER_WORDS) + r")\b",
    re.IGNORECASE,
)
LENGTHS = r"(?:m|metres?|meters?|ft|feet|foot|km|kilometres?|kilometers?|miles?|acres?|hectares?|ha)\b"

EARLIER = re.compile(r"\b(?:first|earlier|earliest|older|oldest|before)\b")
LATER = re.compile(r"\b(?:later|latest|younger|youngest|newer|newest|(?:more|most) recent(?:ly)?|last)\b")
LONGER_LIFE = re.compile(r"\b(?:live[ds]? (?:a )?longer|longer (?:life|lifespan|life span)|(?:to an )?older age)\b")
MORE = re.compile(r"\b(?P<more>more|most)\s+(?P<noun>[\w' -]+?)\s*(?:,|\?|\bthan\b|$)")
FEWER = re.compile(r"\b(?P<fewer>fewer|fewest|less|least)\s+(?P<noun>[\w' -]+?)\s*(?:,|\?|\bthan\b|$)")
TALLER = re.compile(r"\b(?:high|tall|long|deep|larg|bigg)(?:er|est)\b")
BEGINNING = re.compile(
    r"\b(?:founded|formed|established|started|began|created|launched|incorporated|introduced|opened|built|"
    r"constructed|completed|published|released|premiered|issued|debuted|aired|fought|argued|decided|happened|"
    r"took place|first|since|from|between|in|on)\b"
)
YES_NO = re.compile(r"(?:are|is|was|were|did|do|does|have|has|can)\b", re.IGNORECASE)
BOTH, AND, OR = (re.compile(rf"\b{word}\b", re.IGNORECASE) for word in ("both", "and", "or"))
SAME_WHAT = re.compile(r"\bsame (\w+)", re.IGNORECASE)
JOINED = re.compile(
    r"[\s,\"'\u201c\u201d]*(?:and|or)\s+(?:both\s+)?(?:the\s+)?(?:[\w-]+\s+){0,2}[\"'\u201c\u201d]?", re.IGNORECASE
)
SINGULAR = {"Are": "Is", "Were": "Was", "Do": "Does", "Have": "Has"}
READ_OFF = 1.0  # support of what needed no judgement
SHORT = 24  # tokens of "What is the nationality of A?"


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two things: its name as the question writes it, where it stands there, and the evidence about it."""

    name: str
    start: int
    hits: tuple[Hit, ...]

    @property
    def end(self) -> int:
        return self.start + len(self.name)

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


def compare(reader: ChatReader, question: str, evidence: Sequence[Hit], usage: Usage) -> Compared | None:
    """Compare the two things that a question names, each by its own evidence; None for any other question.

    A yes or no for both where it asks whether both are so; what each is where it asks for the same. Which of the two it
    is by dates or numbers where both say one, else by how likely each is by itself. Raises ReaderError.
    """
    sides = sides_of(question, evidence)
    if sides is None:
        return None
    about_both = BOTH.search(question) or AND.search(question, sides[0].end, sides[1].start)
    if YES_NO.match(question) and about_both:  # not "Is A or B further west?"
        same = SAME_WHAT.search(question)
        return _same(reader, same[1], sides, usage) if same else _both(reader, question, sides, usage)
    if compared := settle(question, sides):
        return compared
    return _either(reader, question, sides, usage) if OR.search(question, sides[0].end, sides[1].start) else None


def sides_of(question: str, evidence: Sequence[Hit]) -> tuple[Side, Side] | None:
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
            return tuple(Side(question[s:e], s, tuple(named[s, e])) for s, e in (first, second))  # type: ignore[return-value]
    return None


def _named(question: str, title: str) -> tuple[int, int] | None:
    """Where the question has the title, with or without what stands behind it in brackets."""
    bare = re.sub(r"\s*\([^()]*\)$", "", title).strip()
    for name in (title, bare, re.sub("^The ", "", bare)):
        if len(name) > 2 and (match := re.search(rf"(?<!\w){re.escape(name)}(?!\w)", question, re.IGNORECASE)):
            return match.span()
    return None


# -- yes or no -------------------------------------------------------------------------------------------------------


def _both(reader: ChatReader, question: str, sides: tuple[Side, Side], usage: Usage) -> Compared:
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
        (_shown(asked[0], "", first), _shown(asked[1], "", second)),
        min(likely) if yes else 1 - min(likely),
    )


def alone(question: str, side: Side, other: Side) -> str:
    """The question asked of one side: "Are both A and B painters?" -> "Is A painters?"."""
    first, second = sorted((side, other), key=lambda one: one.start)
    text = f"{question[: first.start]}{side.name}{question[second.end :]}"
    text = " ".join(re.sub(r"\bboth(?: of)?\b", "", text, flags=re.IGNORECASE).split())
    return re.sub(r"^(Are|Were|Do|Have)\b", lambda verb: SINGULAR[verb[1]], text)


def _same(reader: ChatReader, what: str, sides: tuple[Side, Side], usage: Usage) -> Compared | None:
    """Yes where what the question wants to be the same has a word in common: "What is the nationality of A?"."""
    asked = [f"What is the {what} of {side.name}?" for side in sides]
    said = [_say(reader, text, side, usage) for side, text in zip(sides, asked, strict=True)]
    words = [content_words(text) for text in said]
    if not all(words):
        return None
    first, second = sides
    quotes = (_shown(asked[0], said[0], first), _shown(asked[1], said[1], second))
    stated = all(holds_answer(quote.text, text) for quote, text in zip(quotes, said, strict=True))
    return Compared(
        "yes" if words[0] & words[1] else "no",
        (first.name, second.name),
        (said[0], said[1]),
        quotes,
        1.0 if stated else 0.5,
    )


def _shown(question: str, answer: str, side: Side) -> Quote:
    """The words of a side's evidence that show what was found of it."""
    return replace(choose_quotes(question, answer, side.hits)[0], holds=True, score=1.0)


def _say(reader: ChatReader, question: str, side: Side, usage: Usage) -> str:
    return first_line("".join(reader.stream(answer_messages(question, side.hits), SHORT, usage))).strip(EDGES)


# -- which of the two ------------------------------------------------------------------------------------------------


def _either(reader: ChatReader, question: str, sides: tuple[Side, Side], usage: Usage) -> Compared:
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
        (_shown(question, "", first), _shown(question, "", second)),
        likely[wins],
    )


# -- dates and numbers -----------------------------------------------------------------------------------------------


def settle(question: str, sides: tuple[Side, Side]) -> Compared | None:
    """The side that is earlier, more, longer ... as the question asks; None where one says no date or number."""
    asked = fold(question)
    if LONGER_LIFE.search(asked):
        return _by(sides, [_life(side) for side in sides], most=True)
    if (match := MORE.search(asked) or FEWER.search(asked)) and (noun := _noun(match["noun"])):
        return _by(sides, [_count(side, noun) for side in sides], most="more" in match.groupdict())
    if EARLIER.search(asked) or LATER.search(asked):
        birth, death = re.search(r"\b(?:born|birth)\b", asked), re.search(r"\b(?:die|died|death)\b", asked)
        event = "birth" if birth else "death" if death else "beginning"
        return _by(sides, [_date(side, event) for side in sides], most=not EARLIER.search(asked))
    if TALLER.search(asked):
        return _by(sides, [_length(side) for side in sides], most=True)
    return None


Value = tuple[float, str, Quote]  # to compare by; as it is written; where


def _by(sides: tuple[Side, Side], values: Sequence[Value | None], most: bool) -> Compared | None:
    first, second = values
    if first is None or second is None or first[0] == second[0]:
        return None
    wins = 0 if (first[0] > second[0]) == most else 1
    names = (sides[0].name, sides[1].name)
    return Compared(sides[wins].full_name, names, (first[1], second[1]), (first[2], second[2]), READ_OFF)


def _sentences(side: Side) -> Iterable[tuple[Hit, int, int, str]]:
    for hit in side.hits:
        for start, end in sentence_spans(hit.passage.text):
            yield hit, start, end, hit.passage.text[start:end]


def _value(hit: Hit, start: int, end: int, number: float, text: str) -> Value:
    return number, " ".join(text.split()), Quote(hit, start, end, True, 1.0)


def _when(match: re.Match[str]) -> float:
    """A date as a number that sorts: year, and the share of it that has gone."""
    month = match["month"] or match["month_after"] or match["month_alone"]
    day = int(match["day"] or match["day_before"] or 0)
    number = next((i for i, name in enumerate(MONTHS) if month and name.startswith(month.lower()[:3])), 0)
    return int(match["year"]) + number / 12 + day / 372


def _date(side: Side, event: str) -> Value | None:
    """The date of a birth, a death or a beginning: the first one in the first sentence that tells it.

    Of a person that is what stands behind the name in brackets; a death is the second date there.
    """
    for hit, start, end, sentence in _sentences(side):
        dates = list(DATE.finditer(sentence))
        which = 1 if event == "death" else 0
        tells = BEGINNING if event == "beginning" else re.compile(r"\([^()]*\d{4}[^()]*\)|\bborn\b")
        if len(dates) > which and tells.search(fold(sentence)):
            return _value(hit, start, end, _when(dates[which]), dates[which][0])
    return None


def _life(side: Side) -> Value | None:
    """Years between the two dates behind a name: "(January 22, 1875 - July 23, 1948)"."""
    for hit, start, end, sentence in _sentences(side):
        for brackets in re.finditer(r"\([^()]*\)", sentence):
            dates = list(DATE.finditer(brackets[0]))
            if len(dates) >= 2:
                return _value(hit, start, end, _when(dates[-1]) - _when(dates[0]), f"{dates[0][0]} to {dates[-1][0]}")
    return None


def _noun(words: str) -> str:
    """The noun that is counted: the last word of what stands behind "more", cut to its stem; "" for an adjective."""
    words = re.split(r"\b(?:does|did|do|has|have|had|in|of|on|is|was|for|to)\b", words)[0].strip()
    last = words.split()[-1] if words else ""
    return last[:-1] if last.endswith("s") and len(last) > 3 else ""


def _count(side: Side, noun: str) -> Value | None:
    """The number that stands at most four words before what is counted."""
    for hit, start, end, sentence in _sentences(side):
        for counted in re.finditer(rf"\b{re.escape(noun)}", sentence, re.IGNORECASE):
            numbers = [
                m
                for m in QUANTITY.finditer(sentence, 0, counted.start())
                if len(sentence[m.end() : counted.start()].split()) <= 4
            ]
            if numbers:
                text = numbers[-1][0]
                number = NUMBER_WORDS.get(text.lower())
                return _value(hit, start, end, float(text.replace(",", "")) if number is None else number, text)
    return None


def _length(side: Side) -> Value | None:
    """The first length or area, in metres or square metres."""
    factors = {"m": 1.0, "f": 0.3048, "k": 1000.0, "mi": 1609.0, "a": 4047.0, "h": 10000.0}
    for hit, start, end, sentence in _sentences(side):
        for number in QUANTITY.finditer(sentence):
            unit = re.match(rf"\s?-?({LENGTHS})", sentence[number.end() :], re.IGNORECASE)
            if unit and number[0][0].isdigit():
                name = unit[1].lower()
                factor = factors["mi"] if name.startswith("mi") else factors[name[0]]
                return _value(hit, start, end, float(number[0].replace(",", "")) * factor, f"{number[0]} {unit[1]}")
    return None
