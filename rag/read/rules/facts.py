"""What passages state of the thing that they are about: its dates, how many it has, how high, long or large it is.

A date or a number counts only where the grammar says what it is of: the thing is the clause's subject, and the clause
has one of a few forms ("was opened on 3 May 1821", "is a 1990 film", "has seven gates", "is 300 m tall"). Anything else
is left out: a fact that is not found costs nothing, since the reader then answers.
"""

from __future__ import annotations

import re
import tomllib
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

from rag.read.match import fold
from rag.read.quotes import Quote
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
_WORDS = tomllib.loads(Path(__file__).with_suffix(".toml").read_text("utf-8"))
EVENTS: Mapping[str, tuple[str, ...]] = {kind: tuple(verbs) for kind, verbs in _WORDS["events"].items()}
ACTIVE: Sequence[str] = _WORDS["active"]
LENGTHS: Mapping[str, float] = _WORDS["lengths"]
AREAS: Mapping[str, float] = _WORDS["areas"] | {  # in square metres
    form: factor**2
    for name, factor in LENGTHS.items()
    for form in (f"square {name}", f"sq {name}", f"{name}2", f"{name}\u00b2")
}
DIMENSIONS: Mapping[str, str] = {word: kind for kind, words in _WORDS["dimensions"].items() for word in words}
NUMBER_WORDS: Sequence[str] = _WORDS["numbers"]
ROUGHLY: Mapping[str, tuple[float, float]] = {word: (low, high) for word, (low, high) in _WORDS["roughly"].items()}


@dataclass(frozen=True, slots=True)
class Value:
    """A date or a number: from `low` up to, but not including, `high`; `text` as the quoted sentence writes it.

    Dates are days, of twelve months of 31 a year. Where a text says less, the span is wider: a year without its month,
    "more than 300", a number to its last digit.
    """

    low: float
    high: float
    text: str
    quote: Quote


@dataclass(frozen=True, slots=True)
class _Clause:
    """What is said of the thing, from the verb on; `brackets` stand behind its name at the beginning of a passage.

    `joined`: the clause begins with a participle behind "and", whose "was" stands before.
    """

    text: str
    quote: Quote
    brackets: str = ""
    joined: bool = False


# -- forms of clauses ------------------------------------------------------------------------------------------------


def _any_of(words: Iterable[str]) -> str:
    return "(?:" + "|".join(re.escape(word) for word in sorted(words, key=len, reverse=True)) + ")"


_WHEN = f"(?i:{re.sub(r'[?]P<[a-z_]+>', '?:', DATE.pattern)})"
_VERB = _any_of({verb for verbs in EVENTS.values() for verb in verbs})
_BE = r"(?:is|was|are|were|has been|have been|had been)"
_HAVE = r"(?:has|have|had|contains?|contained|comprises?|comprised|consists of|consisted of)"
_STAND = r"(?:stands|stood|measures|measured|rises|rose|reaches|reached|runs|stretches|extends)"
_COVER = r"(?:covers|covered|occupies|occupied|spans|encompasses)"
_STOPS = (
    r"(?!(?:of|from|in|on|at|for|to|with|by|about|that|which|who|whose|where|when|near|between|under|as|featuring|"
    r"including|starring)\b)"
)
# "is an American rock band ", up to a participle: it has no other noun that the participle could belong to.
_IS_A = rf"{_BE} (?:an?|the|one of the) (?:{_STOPS}[\w'\"/&-]+,? )*?"
_NOUNS = re.compile(rf"{_BE} (?:an?|the|one of the) ((?:{_STOPS}[\w'\"/&-]+,? ?)+)")
# The maker of a work: what is said to be published is the work.
_BY = rf"(?:(?:by|starring) (?:{_STOPS}[^\s;:()]+ )*?)*"
_ADVERB = r"(?:(?:also|first|originally|officially|formally|initially|theatrically|posthumously) )*"
# Between a verb and its date: by whom, where, as what. Other words in small letters may bring a verb of their own.
_WITHIN = (
    r"(?: (?:by|in|at|on|and|of|the|&|to the public|worldwide|theatrically|as an? (?:[\w-]+ )?\w+|"
    r"[^\W\d_a-z][\w.&'-]*),?)*?"
)
_ON_DATE = (
    rf"(?:{_WITHIN},?(?: (?:in|on|since|during)(?: early| mid| late)?)| ?,?) (?P<date>{_WHEN})(?![\w'/-]| BCE?\b)"
    rf"|{_WITHIN} (?:from|between) (?P<begin>{_WHEN}),? (?:to|until|and|-) (?P<end>{_WHEN})"
)
_ON_DATE = f"(?:{_ON_DATE})"
_EVENT_FORMS = [
    re.compile(form)
    for form in (
        rf"{_BE} {_ADVERB}(?P<verb>{_VERB}){_ON_DATE}",
        rf"(?:first )?(?P<verb>{_any_of(ACTIVE)}){_ON_DATE}(?! (?:an?|the|its|his|her|their)\b)",
        rf"{_IS_A}(?:(?:that|which) (?:was|were) )?{_ADVERB}(?P<verb>{_VERB}){_ON_DATE}",
        rf"{_IS_A}{_BY}(?:and )?{_ADVERB}(?P<verb>{_any_of(EVENTS['publication'])}){_ON_DATE}",
        rf"{_IS_A}from (?:[^\W\d_a-z][\w.'-]*,? )+(?P<verb>{_any_of(EVENTS['founding'])}){_ON_DATE}",
    )
]
_JOINED_EVENT = re.compile(rf"{_ADVERB}(?P<verb>{_VERB}){_ON_DATE}")
_DATED = re.compile(rf"(?:is|was) an? (?P<date>1\d\d\d|20\d\d) (?P<what>(?:{_STOPS}[\w'\"/&-]+ ?)+)")
_UNDONE = re.compile(
    r"\b(?:un(?:released|finished|published|completed)|cancell?ed|planned|proposed|abandoned|upcoming)\b"
)
_DIGITS = r"\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?"
_NUMBER = rf"(?:(?P<rough>{_any_of(ROUGHLY)}) )?(?P<number>{_DIGITS}|{_any_of(NUMBER_WORDS)}\b)"
_MEASURE = rf"{_NUMBER}[ -]?(?P<unit>{_any_of({**LENGTHS, **AREAS})})s?(?!\w)(?: \([^()]*\))?"
_TALL = _any_of(word for word in DIMENSIONS)
_OF = rf"an? (?:total |overall |maximum |surface )*(?P<what>{_TALL})(?: of)? {_MEASURE}"
_ENDS = r"(?=[.,;)]|$| and\b)"  # "12 gates in the north" are not all
_MEASURE_FORMS = [
    re.compile(form)
    for form in (
        rf"(?:{_BE}|{_STAND}) {_MEASURE} (?:in )?(?P<what>{_TALL}){_ENDS}",
        rf"(?:{_HAVE}|{_STAND}(?: to| at)?|{_BE} at|{_IS_A}with) {_OF}{_ENDS}",
        rf"(?:{_COVER}|{_BE}) (?:an (?P<what>area) of |a total area of )?{_MEASURE}{_ENDS}",
        rf"{_BE} an? {_MEASURE}(?:[ -](?P<what>{_TALL}))? ",
    )
]

# -- facts -----------------------------------------------------------------------------------------------------------


def dates(name: str, hits: Sequence[Hit], what: str | None = None) -> dict[str, Value]:
    """The dates of a thing's events by their kind (EVENTS): all that are given of one kind, as one span.

    "Is a 1990 film" dates a publication or a happening where `what` is "film", or "" for anything.

    >>> from rag.records import Passage
    >>> text = "Ann Tide was born on 3 May 1950. She died in Ys in 1999."
    >>> found = dates("Ann Tide", [Hit(1, 1.0, Passage("d#0", "d", "", "d.txt", text, 0, len(text)))])
    >>> {kind: value.text for kind, value in found.items()}
    {'birth': '3 May 1950', 'death': '1999'}
    """
    found: dict[str, Value] = {}
    for clause in _clauses(name, hits):
        for kind, first, last in [*_life(clause.brackets), *_events(clause), *_dated(clause, what)]:
            text = first if first == last else f"{first} to {last}"
            _add(found, kind, Value(_days(first)[0], _days(last)[1], " ".join(text.split()), clause.quote))
    return found


def date_in(reply: str, quote: Quote) -> Value | None:
    """The one date that a reply has and the quote states, too."""
    found = [match[0] for match in DATE.finditer(reply)]
    if len(found) != 1 or found[0] not in _plain(quote.text):
        return None
    return Value(*_days(found[0]), found[0], quote)


def count(name: str, hits: Sequence[Hit], noun: str) -> Value | None:
    """How many the thing has of what a noun in the plural says ("gates"); None where that is not stated."""
    others = rf"(?:(?:an?|{_DIGITS}|{_any_of(NUMBER_WORDS)}) (?:[\w-]+ ){{0,3}}[\w-]+(?:,|,? and) )*"
    pattern = re.compile(rf"(?:{_HAVE}|{_IS_A}with) {others}{_NUMBER} {re.escape(noun)}{_ENDS}", re.IGNORECASE)
    found: dict[str, Value] = {}
    for clause in _clauses(name, hits):
        if match := pattern.match(clause.text):
            _add(found, noun, Value(*_span(match), match["number"], clause.quote))
    return found.get(noun)


def measures(name: str, hits: Sequence[Hit]) -> dict[str, Value]:
    """Heights, lengths, areas ... of the thing by dimension, in metres or square metres."""
    found: dict[str, Value] = {}
    for clause in _clauses(name, hits):
        for match in filter(None, (form.match(clause.text) for form in _MEASURE_FORMS)):
            unit, is_area = match["unit"], match["unit"] in AREAS
            dimension = DIMENSIONS[match["what"]] if match["what"] else "area" if is_area else ""
            if dimension and (dimension == "area") == is_area:
                low, high = _span(match)
                factor = {**AREAS, **LENGTHS}[unit]
                _add(found, dimension, Value(low * factor, high * factor, f"{match['number']} {unit}", clause.quote))
    return found


def is_a(name: str, hits: Sequence[Hit], noun: str) -> bool:
    """Whether the thing is said to be what the noun says ("film"), by its name or by a clause."""
    introduced = (_NOUNS.match(clause.text) for clause in _clauses(name, hits))
    return any(_is_word(noun, text) for text in (name, *(match[1] for match in introduced if match)))


def _add(found: dict[str, Value], kind: str, value: Value) -> None:
    """Two values of one kind are one span: it is not known which of them is meant."""
    known = found.setdefault(kind, value)
    found[kind] = replace(known, low=min(known.low, value.low), high=max(known.high, value.high))


def _days(date: str) -> tuple[int, int]:
    """The days of a date, from the first up to, but not including, the last.

    >>> _days("1821"), _days("2 January 1821")
    ((677412, 677784), (677413, 677414))
    """
    match = DATE.match(date)
    assert match is not None
    year = int(match["year"]) * 372
    named = (match["month"] or match["month_after"] or match["month_alone"] or "").lower()[:3]
    if not named:
        return year, year + 372
    month = year + 31 * next(i for i, name in enumerate(MONTHS) if name.startswith(named))
    day = int(match["day"] or match["day_before"] or 0)
    return (month + day - 1, month + day) if day else (month, month + 31)


def _span(match: re.Match[str]) -> tuple[float, float]:
    """A number's bounds: to its last digit, or as far as what stands before it says."""
    text = match["number"].replace(",", "").lower()
    number = float(NUMBER_WORDS.index(text)) if text in NUMBER_WORDS else float(text)
    half = 0.5 * 10.0 ** -len(text.partition(".")[2]) if text[0].isdigit() else 0.5
    low, high = ROUGHLY[match["rough"].lower()] if match["rough"] else (1, 1)
    return (number * low - half if low else 0.0), number * high + half


def _life(brackets: str) -> Iterator[tuple[str, str, str]]:
    """(kind, date, date) of what stands behind a name: "(born 3 May 1950)", "(1800 - 1850)", "(founded 1900)".

    Nothing where another word stands there: "(reigned 1800 - 1850)", "(c. 1800 - 1850)".
    """
    if match := re.fullmatch(rf"{_ADVERB}(?P<verb>{_VERB})(?: in| on)? (?P<date>{_WHEN})", brackets):
        yield from ((kind, match["date"], match["date"]) for kind in EVENTS if match["verb"] in EVENTS[kind])
        return
    dated = ";".join(part for part in brackets.split(";") if re.search(r"\d", part))
    found = [match[0] for match in DATE.finditer(dated)]
    between = DATE.sub("|", dated)
    words = set(re.findall(r"[a-z]+\b\.?", re.sub(r"\b[A-Z]\w*", "", between)))
    if re.search(r"[\d?]", between) or words - {"born", "died", "in", "at", "near", "b.", "d."}:
        return
    is_born = "b." in words or re.search(r"\bborn\b", brackets, re.IGNORECASE)
    if len(found) == 2 and re.search(r"\|[^|]*(?:-|\bdied\b|\bd\.)[^|]*\|", between):
        yield "birth", found[0], found[0]
        yield "death", found[1], found[1]
    elif len(found) == 1 and is_born and not words & {"died", "d."}:
        yield "birth", found[0], found[0]


def _events(clause: _Clause) -> Iterator[tuple[str, str, str]]:
    for form in [_JOINED_EVENT] if clause.joined else _EVENT_FORMS:
        match = form.match(clause.text)
        if match is None or (" since " in match[0] and not re.match(r"(?:is|was) an? |ha\w+ been", match[0])):
            continue  # "the first film released since 1990"
        first, last = match["date"] or match["begin"], match["date"] or match["end"]
        yield from ((kind, first, last) for kind in EVENTS if match["verb"] in EVENTS[kind])


def _dated(clause: _Clause, what: str | None) -> Iterator[tuple[str, str, str]]:
    match = _DATED.match(clause.text)
    if match and what is not None and _is_word(what, match["what"]) and not _UNDONE.search(match["what"]):
        yield from ((kind, match["date"], match["date"]) for kind in ("publication", "happening"))


# -- clauses ---------------------------------------------------------------------------------------------------------

CLAUSE = 400  # characters of a clause that are read
_BRACKETS = re.compile(r"(?:\s*\((?:[^()]|\([^()]*\))*\))+")
_RELATIVE = re.compile(r"\b(?:which|that|who|whom|whose|where|when|while|because|but|after|before|although|if)\b")
_AND_VERB = re.compile(rf"[\s,]and (?:also |now |later |today |currently )?(?=(?:{_BE}|{_HAVE}|{_STAND}|{_COVER})\b)")
_AND_PARTICIPLE = re.compile(rf"[\s,]and (?={_ADVERB}{_VERB}\b)")
_PARTICLES = frozenset("of the de la le du des van von der den di da del della al bin ibn y e el zu af av".split())
# "Antonin", "J.", "al-Din", "Dvorak", and "of" or "von" between them
_NAME_WORD = rf"(?:[\"']?(?:(?:al|el|d|l|o)['-])?(?:[^\W_a-z]|\d)[\w.'\"&/-]*|{_any_of(_PARTICLES)}(?!\w))"
_SUFFIXES = frozenset(("jr", "sr"))
_NOT_SUBJECTS = frozenset(
    "after before unlike like in by near at when while with from to for besides since under both although as if on "
    "between during despite along over against among".split()
)


def _clauses(name: str, hits: Sequence[Hit]) -> Iterator[_Clause]:
    """The clauses of which the thing is the subject: a sentence's first, and those joined to it by "and"."""
    for hit in hits:
        for behind, quote, begins in _sentences_about(name, hit):
            brackets = _BRACKETS.match(behind)
            end = brackets.end() if brackets else 0
            text = re.sub(r"^,[^,;:]{1,80},", "", behind[end:]).strip()
            yield _Clause(text[:CLAUSE], quote, behind[:end].strip(" ()") if begins else "")
            relative = _RELATIVE.search(text)
            for link in (_AND_VERB, _AND_PARTICIPLE) if re.match(_BE, text) else (_AND_VERB,):
                for match in link.finditer(text):
                    if relative is None or match.start() < relative.start():
                        yield _Clause(text[match.end() :][:CLAUSE], quote, joined=link is _AND_PARTICIPLE)


def _sentences_about(name: str, hit: Hit) -> Iterator[tuple[str, Quote, bool]]:
    """The sentences that have the thing as their subject: what stands behind it, and whether it begins the passage.

    The subject is its name or, where that was the subject of the sentence before, "it" or what it is ("the film").
    "She" is nobody but who was said to be born: a novel's author may have been named last.
    """
    is_topic, is_person, kinds = False, False, set[str]()
    for number, (start, end) in enumerate(sentence_spans(hit.passage.text)):
        sentence = _plain(hit.passage.text[start:end])
        behind = _behind_name(sentence, name, number == 0)
        if behind is None and is_topic:
            pronoun = re.match(rf"(?:It|{'He|She|' * is_person}(?:The|This) ([\w-]+))(?= [a-z])", sentence)
            behind = sentence[pronoun.end() :] if pronoun and (pronoun[1] or "") in {"", *kinds} else None
        is_topic = behind is not None
        if behind is not None:
            text = _BRACKETS.sub("", behind, count=1).strip()
            kinds |= _kinds(text)
            is_person |= text.startswith("was born") or (number == 0 and bool(re.match(r" ?\([^()]*\bborn\b", behind)))
            yield behind, Quote(hit, start, end, True, 1.0), number == 0


def _plain(text: str) -> str:
    """Single blanks, straight quotation marks, and one kind of dash."""
    text = re.sub("[\u2010-\u2015\u2212]", "-", re.sub("[\u2018\u2019]", "'", re.sub("[\u201c\u201d]", '"', text)))
    return " ".join(text.split())


def _behind_name(sentence: str, name: str, is_first: bool) -> str | None:
    """What stands behind the thing's name, where the sentence begins with it.

    A passage may begin with a longer form of it: "Antonin Leopold Dvorak (born 1841)" is Antonin Dvorak, but "Old Lock
    Pipeline was opened" is not about Old Lock.
    """
    called = re.escape(_plain(name))
    literal = re.match(rf"[\"']?(?:The )?(?i:{called})[\"']?(?=,| ?\(| [a-z])(?!,? (?:and|or|of|in|at)\b)", sentence)
    if literal or not is_first:
        return sentence[literal.end() :] if literal else None
    begin = re.match(rf"(?:{_NAME_WORD}(?:\s+|(?=[(,])))+", sentence)
    words, behind = _letters(begin[0] if begin else ""), sentence[begin.end() if begin else 0 :]
    if words and re.match(rf"(?:\s*\([^()]*\))*, (?:\w+ )?(?:known as|called) (?i:{called})(?!\w)", behind):
        return behind
    wanted = _letters(name)
    if not set(wanted) & set(words) or words[0] in _NOT_SUBJECTS - set(wanted) or re.match(r"(?:and|or)\b", behind):
        return None
    met = [any(w == word or (len(w) == 1 and word.startswith(w)) for word in words) for w in wanted]
    last = max((i for i, word in enumerate(words) if word == wanted[-1]), default=len(words))
    next_words = set(words[last + 1 : last + 2])
    return behind if all(met) and last < len(words) and next_words <= _PARTICLES | _SUFFIXES else None


def _letters(text: str) -> list[str]:
    """The words of a name in small letters without accents."""
    return re.findall(r"\w+", re.sub("[\u0300-\u036f]", "", unicodedata.normalize("NFKD", fold(text))))


def _is_word(word: str, text: str) -> bool:
    return bool(re.search(rf"\b{re.escape(word)}", text, re.IGNORECASE))


def _kinds(text: str) -> set[str]:
    """The nouns that a clause says the thing is; each may stand for it behind "the".

    >>> _kinds("is an American rock band formed in 1990"), _kinds("is a canal lock."), _kinds("has a lock")
    ({'band'}, {'lock'}, set())
    """
    match = _NOUNS.match(text)
    words = re.findall(r"[\w'-]+,?", match[1]) if match else []
    participle = re.compile(rf"ed$|^{_VERB}$")
    return {
        word.strip(",")
        for word, behind in pairwise([*words, "ed"])
        if word.islower() and not participle.search(word) and (word.endswith(",") or participle.search(behind))
    }
