"""What would change an answer: a copy of the evidence in which one date, number or name is another one.

After LLM-guided causal counterfactuals (Bhattacharjee et al., arXiv 2309.13340): name what the answer rests on, find
where it stands, change it as little as possible, and ask again. Here without a second model: what the answer rests on
is found by the answer's own words in its quotes, or by attribution, and what is put in its place is of its kind.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Literal

from rag.read.instant_answer import same_answer
from rag.read.match import YEAR, fold
from rag.read.rules import facts
from rag.records import Attribution, Citation, Hit

Kind = Literal["date", "number", "name"]
MONTHS = tuple(name.capitalize() for name in facts.MONTHS)
_MONTH = "|".join(MONTHS)
_DAY = rf"(?:\d{{1,2}} (?:{_MONTH})|(?:{_MONTH}) \d{{1,2}})(?:,? \d{{4}})?"
DATE = re.compile(rf"{_DAY}|(?:{_MONTH}),? \d{{4}}|(?<![\d.,])[12]\d{{3}}(?![\d.,]?\d)")
NUMBER = re.compile(r"(?<![\w.,])\d+(?:[.,]\d+)*(?:[KkMm]\b|(?![\w]|[.,]\d))")  # "684K" too
_WORD = r"[^\W\d_a-z][\w'’-]*"
NAME = re.compile(rf"{_WORD}(?: (?:(?:of|de|von|van|la|the|du|di|and|&) )?{_WORD})*")
BEGINS = re.compile(r"(?:The|A|An|In|On|At|By|From|When|After|Before|This|That|He|She|It|They) ")  # of a sentence
# For names: where the evidence has no other of as many words. Nobody in particular.
NAMES = ("Marlow", "Alder Finch", "Rowan Vale Quill", "Hazel Brook Thorn Lane")


@dataclass(frozen=True, slots=True)
class Span:
    """passage.text[start:end] of a hit, and what kind of thing it is."""

    kind: Kind
    hit: Hit
    start: int
    end: int

    @property
    def text(self) -> str:
        return self.hit.passage.text[self.start : self.end]


def spans(hit: Hit, start: int = 0, end: int | None = None) -> list[Span]:
    """The dates, numbers and names in a passage's text[start:end], in order.

    A capitalised word that only begins a sentence is no name.
    """
    text = hit.passage.text
    last = len(text) if end is None else end
    found: list[Span] = []
    for kind, pattern in (("date", DATE), ("number", NUMBER), ("name", NAME)):
        for match in pattern.finditer(text, start, last):
            first = match.start() + (len(began[0]) if kind == "name" and (began := BEGINS.match(match[0])) else 0)
            taken = any(span.start < match.end() and first < span.end for span in found)
            if not taken and (kind != "name" or _is_name(text[first : match.end()], text, first)):
                found.append(Span(kind, hit, first, match.end()))  # type: ignore[arg-type]
    return sorted(found, key=lambda span: span.start)


def _is_name(words: str, text: str, at: int) -> bool:
    if " " in words.strip():
        return True
    begins = at == 0 or re.search(r"[.!?:\n\u201c\"(]\s*$", text[:at]) is not None
    return len(words) > 2 and not begins


def decisive(
    answer: str, citations: Sequence[Citation], hits: Sequence[Hit], attribution: Attribution | None
) -> list[Span]:
    """The spans that the answer may rest on, the likeliest first.

    Those that the answer says, or that say the answer, in the words that it cites; then, for yes and no and answers in
    other words, what the attribution found to matter most; then the others in the cited words.
    """
    by_id = {hit.passage.passage_id: hit for hit in hits}
    cited = [
        span
        for citation in citations
        if (hit := by_id.get(citation.passage_id)) is not None
        for span in spans(hit, citation.start - hit.passage.start, citation.end - hit.passage.start)
    ]
    saying = [span for span in cited if same_answer(answer, span.text)]
    weighed = list(_by_attribution(attribution, by_id)) if attribution else []
    return _distinct([*sorted(saying, key=lambda span: -_overlap(span.text, answer)), *weighed, *cited])


def _by_attribution(attribution: Attribution, by_id: dict[str, Hit]) -> Iterator[Span]:
    """The spans in the clauses and words that raise the answer most, best first."""
    for player in sorted(attribution.players, key=lambda player: -player.score):
        hit = by_id.get(player.passage_id)
        if player.kind != "document" and player.score > 0 and hit is not None and player.end > player.start:
            yield from spans(hit, player.start - hit.passage.start, player.end - hit.passage.start)


def _overlap(text: str, answer: str) -> float:
    one, other = set(fold(text).split()), set(fold(answer).split())
    return len(one & other) / max(len(one | other), 1)


def _distinct(found: Sequence[Span]) -> list[Span]:
    """One of each text."""
    first: dict[str, Span] = {}
    for span in found:
        first.setdefault(fold(span.text), span)
    return list(first.values())


def random_span(of: Span, hits: Sequence[Hit], question: str) -> Span | None:
    """Another span of the kind in the evidence, which neither the decisive span nor the question has; the control.

    Drawn by the hash of the question, so that the same question has the same control.
    """
    found = [
        span
        for hit in hits
        for span in spans(hit)
        if span.kind == of.kind and not _share(span.text, of.text) and fold(span.text) not in fold(question)
    ]
    distinct = _distinct(found)
    return distinct[_drawn(question, len(distinct))] if distinct else None


def _share(one: str, other: str) -> bool:
    return bool(set(re.findall(r"\w+", fold(one))) & set(re.findall(r"\w+", fold(other))))


def _drawn(seed: str, count: int) -> int:
    return int.from_bytes(sha256(seed.encode("utf-8", "surrogatepass")).digest()[:8], "big") % count


def replacement(span: Span, hits: Sequence[Hit]) -> str:
    """Another of its kind, which the evidence does not have: of a date the year or the day, of a number its digits.

    A name is another name of the evidence with as many words, else one that nobody bears.

    >>> from rag.records import Passage
    >>> hit = Hit(1, 1.0, Passage("d#0", "d", "", "", "Built in 1911 by 40 men.", 0, 24))
    >>> [replacement(span, [hit]) for span in spans(hit)]
    ['1934', '58']
    """
    everything = " ".join(hit.passage.text for hit in hits)
    if span.kind == "date":
        for step in (23, 31, 47, 59, 67):
            changed = _other_date(span.text, step)
            if changed not in everything:
                return changed
        return _other_date(span.text, 71)
    if span.kind == "number":
        for step in range(1, 20):
            changed = _other_number(span.text, step)
            if not re.search(rf"(?<![\d.,]){re.escape(changed)}(?![\d.,]?\d)", everything):
                return changed
        return _other_number(span.text, 20)
    words = len(span.text.split())
    others = [
        other.text
        for hit in hits
        for other in spans(hit)
        if other.kind == "name"
        and len(other.text.split()) == words
        and not _share(other.text, span.text)
        and hit.passage.document_id != span.hit.passage.document_id
    ]
    return others[0] if others else NAMES[min(words, len(NAMES)) - 1]


def _other_date(text: str, step: int) -> str:
    year = YEAR.search(text)
    if year:
        number = int(year[0])
        other = number + step if number + step < 2000 or number > 2000 + step else number - step
        return text[: year.start()] + str(other) + text[year.end() :]
    day = re.search(r"\d{1,2}", text)
    month = next(name for name in MONTHS if name in text)
    text = text.replace(month, MONTHS[(MONTHS.index(month) + 1 + step) % 12])
    return text.replace(day[0], str((int(day[0]) + step) % 28 + 1), 1) if day else text


def _other_number(text: str, step: int) -> str:
    """Another number written like it: the same commas and points, as many digits."""
    digits = re.sub(r"\D", "", text)
    low = 10 ** (len(digits) - 1) if len(digits) > 1 else 0
    span = 10 ** len(digits) - low
    other = str(low + (int(digits) - low + max(1, span // 5) * step - (step - 1)) % span).zfill(len(digits))
    fresh = iter(other)
    return "".join(next(fresh) if character.isdigit() else character for character in text)


def edited(hits: Sequence[Hit], span: Span, new: str) -> list[Hit]:
    """Copies of the hits with another text wherever the span's words stand, in titles and captions, too.

    Of a date with a year the year changes everywhere; of a name of several words its last, too ("Shirley Temple",
    "Temple").
    """
    swaps = [(span.text, new)]
    old_year, new_year = YEAR.search(span.text), YEAR.search(new)
    if span.kind == "date" and old_year and new_year and old_year[0] != span.text:
        swaps.append((old_year[0], new_year[0]))
    if span.kind == "name" and " " in span.text and len(span.text.split()[-1]) > 3:
        swaps.append((span.text.split()[-1], new.split()[-1]))
    return [_swapped(hit, swaps) for hit in hits]


def _swapped(hit: Hit, swaps: Sequence[tuple[str, str]]) -> Hit:
    passage = hit.passage
    text, title, caption, context = (
        _with(field, swaps) for field in (passage.text, passage.title, passage.caption, passage.context)
    )
    changed = replace(passage, text=text, end=passage.start + len(text), title=title, caption=caption, context=context)
    return replace(hit, passage=changed)


def _with(text: str, swaps: Sequence[tuple[str, str]]) -> str:
    for old, new in swaps:
        text = new.join(re.split(rf"(?<![\w]){re.escape(old)}(?![\w])", text))
    return text


def sentence_around(text: str, words: str, most: int = 240) -> str:
    """The stretch of a text around some words, for people: at most so many characters of it."""
    at = text.find(words)
    if at < 0:
        return " ".join(text[:most].split())
    start = max(text.rfind(". ", 0, at) + 2 if ". " in text[:at] else 0, at - most // 2)
    end = text.find(". ", at + len(words))
    end = min(len(text) if end < 0 else end + 1, start + most)
    return " ".join(text[start:end].split())
