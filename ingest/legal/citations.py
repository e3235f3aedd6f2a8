"""Citations of other cases in a judgment, by number and by "Name v. Country"."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice

from ingest.legal.courts import CitationStyle
from rag import bounds
from rag.bounds import shortened
from rag.document import CaseCitation
from rag.library.mentions.cited import DAY, applicant_of, iso_date, words_of

QUALIFIER = re.compile(  # "[GC]", "(dec.)", "(just satisfaction)"
    r"(?:\s{0,3},?\s{0,3}(?:\[[^\]\n]{1,12}\]|\(\(d[eé]c\.\)|\((?:d[eé]c|just sat|satisfaction|striking|friendly|merits"
    r"|revision|preliminary|fond|plenary|r[èe]glement)[^()]{0,30}\)))*\]?"
)
SERIES = re.compile(r"\s*\((?:no\.|No\.|n[°o])\s*\d{1,2}\)")  # "(no. 2)": the second case of this name
OPENS = re.compile(r"\s{0,3},?\s{0,3}\(?\s{0,3}")  # between a name and its number
ABOVE = re.compile(r"(?:\s{0,3},)?\s{1,3}(?:both\s+|all\s+)?(?:cited\s+above|above-cited|précité(?:e|s|es)?)\b")
JUDGMENT = re.compile(r"\s{1,3}judgment\s+of\s+(?=\d{1,2}\s+[A-Z])")
STOP = re.compile(r"[;)]|\s\[?[vc]\.\s|\.\s+(?=[A-Z0-9\n])|\n\s*(?=\d{1,4}\.\s)|,?\s(?:and|et)\s+(?=[A-Z])")
WINDOW = 130  # characters behind a number in which its date and paragraphs stand
LONGEST_NAME = 14  # words
AGAIN = 10  # application numbers that a citation takes over from one above it: they tell the case, and are many times
PARTICLES = frozenset(  # small words within names
    "and et others autres of the de la le les du des der den van von di da del della dos el al bint ben bin ibn og und "
    "für gegen for in on a e y c/o t/a".split()
)
NOT_NAMES = frozenset(  # words that may have a capital before a name
    "see in at under cf compare contrast citing quoting mutatis mutandis inter alia also by as while whereas "
    "unlike like since if article articles court court’s court's courts government chamber commission convention "
    "section judgment judgments case cases decision application applications applicant paragraph paragraphs "
    "reports series rule protocol echr second first third however and referring following moreover lastly voir "
    "dans affaire affaires arrêt arrêts cour comparer the".split()
)


def citations(text: str, style: CitationStyle) -> tuple[CaseCitation, ...]:
    """The citations in a text, in order, none within another: the first bounds.CITATIONS. Takes time in proportion to
    its length.

    >>> from ingest.legal.courts import read_courts
    >>> style = read_courts()["ecthr"].citations
    >>> found = citations("(see A. and Others v. Austria [GC], nos. 1/01 and 2/01, §§ 5-7, 3 May 2004)", style)
    >>> [(c.name, c.application_numbers, c.pinpoint, c.date) for c in found]
    [('A. and Others v. Austria', ('1/01', '2/01'), '§§ 5-7', '2004-05-03')]
    """
    found = list(_by_name(text, style) if style.versus else _by_number(text, style))
    found = list(_apart(found))
    if style.introduction:
        found += _introduced(text, style, style.introduction, _Spans(found))
        found.sort(key=lambda citation: citation.start)
    if style.versus:
        taken = _Spans(found)
        found = list(_with_numbers(found))
        found += [*_above(text, style, found, taken), *_dated(text, style, taken)]
        found.sort(key=lambda citation: citation.start)
    return tuple(islice(_apart(found), bounds.CITATIONS))


def application_numbers(words: str, style: CitationStyle) -> list[str]:
    """The numbers in a list of them, written with a plain hyphen: "C-1/02 P"."""
    return [" ".join(match[0].split()).replace("‑", "-") for match in style.number.finditer(words)]


# -- finding ---------------------------------------------------------------------------------------------------


def _by_name(text: str, style: CitationStyle) -> Iterator[CaseCitation]:
    """ "A. v. Country", with numbers, date and paragraphs where they follow."""
    assert style.versus
    behind = 0  # where the respondent of the name before ends: "A. v. Country and B. v. Country" are two names
    for match in style.versus.finditer(text):
        start = _name_start(text, match.start(), behind)
        behind = match.end()
        if start is None:
            continue
        series = SERIES.match(text, match.end())
        end = series.end() if series else match.end()
        name = " ".join(text[start:end].replace("[", "").split())
        numbers, last = _numbers_behind(text, end, style)
        yield _citation(text, start, last if numbers else end, numbers, name, style)


def _numbers_behind(text: str, offset: int, style: CitationStyle) -> tuple[tuple[str, ...], int]:
    """The numbers that follow a name, and where they end."""
    for _ in range(2):  # "((dec.), no. 1/01)" opens a bracket before what qualifies it
        qualified = QUALIFIER.match(text, offset)
        offset = qualified.end() if qualified else offset
        opened = OPENS.match(text, offset)
        offset = opened.end() if opened else offset
    sign = style.introduction.match(text, offset) if style.introduction else None
    numbers = style.numbers.match(text, sign.end() if sign else offset)
    return (tuple(application_numbers(numbers[0], style)), numbers.end()) if numbers else ((), offset)


def _by_number(text: str, style: CitationStyle) -> Iterator[CaseCitation]:
    """Citations by number, with the name before the number where there is one."""
    for match in style.numbers.finditer(text):
        first = max(0, match.start() - 250)
        named = style.before.search(text[first : match.start()]) if style.before else None
        start = first + named.start("name") if named else match.start()
        name = " ".join(named["name"].split()) if named else None
        found = _citation(text, start, match.end(), tuple(application_numbers(match[0], style)), name, style)
        yield replace(found, date=(iso_date(named[0]) if named else "") or found.date)


def _with_numbers(found: Iterable[CaseCitation]) -> Iterator[CaseCitation]:
    """Where a name comes again without numbers, those that it was last cited with."""
    numbers: dict[str, tuple[str, ...]] = {}
    for citation in found:
        if citation.name and citation.application_numbers:
            numbers[citation.name] = citation.application_numbers[:AGAIN]
        elif citation.name in numbers and not citation.date:
            citation = replace(citation, application_numbers=numbers[citation.name])
        yield citation


def _introduced(
    text: str, style: CitationStyle, introduction: re.Pattern[str], taken: _Spans
) -> Iterator[CaseCitation]:
    """Numbers without a name: "application no. 1/01"."""
    for match in introduction.finditer(text):
        numbers = style.numbers.match(text, match.end())
        before = text[max(0, match.start() - 80) : match.start()]
        if not numbers or taken.touch(*numbers.span()):
            continue
        if not (style.foreign and style.foreign.search(before)):
            found = tuple(application_numbers(numbers[0], style))
            yield _citation(text, numbers.start(), numbers.end(), found, None, style)


def _citation(
    text: str, start: int, end: int, numbers: tuple[str, ...], name: str | None, style: CitationStyle
) -> CaseCitation:
    """With the date and the paragraphs that stand behind it, before anything else is cited. Its words end where
    bounds.CITATION does, in the midst of its numbers if need be."""
    most = start + bounds.CITATION
    window = text[end : min(end + WINDOW, most)]
    if stop := STOP.search(window):
        window = window[: stop.start()]
    pinpoint, date = style.pinpoint.search(window), DAY.search(window)
    last = max((match.end() for match in (pinpoint, date) if match), default=0)
    paragraphs = " ".join(pinpoint[0].split()) if pinpoint else None
    iso = iso_date(date[0]) if date else ""
    end, numbers = min(end + last, most), numbers[: bounds.CITED_NUMBERS]
    return CaseCitation(text[start:end], start, end, numbers, name and shortened(name, bounds.TITLE), paragraphs, iso)


def _name_start(text: str, end: int, floor: int = 0) -> int | None:
    """Where the name that ends at text[end] begins: words with a capital, and the small words between them."""
    first = max(floor, end - 200)
    words = list(re.finditer(r"\S+", text[first:end]))
    start: int | None = None
    joined = False  # whether there is an "and" to the right: then commas may part names
    for word in reversed(words[-LONGEST_NAME:]):
        bare = word[0].lstrip("([{“‘«\"'")
        opens = bare != word[0]
        closes = bare.rstrip(")]”’»\"'") != bare and not (opens and bare.endswith(")"))
        small = bare.lower().rstrip(",.:") in NOT_NAMES
        lower = bare.lower() if bare.isupper() and len(bare) > 1 else bare
        if lower in PARTICLES and not opens:
            joined |= lower in ("and", "et")
            continue
        if not bare or not bare[0].isupper() or closes or (small and bare not in ("The",)) or bare[-1] in ";:!?—–":
            break
        if start is not None:
            if bare.endswith(",") and not joined:
                break
            if bare.endswith(".") and len(bare) > 5 and "." not in bare[:-1]:
                break  # the end of a sentence, not "S.A." or "Ltd."
        elif bare.endswith(","):
            break
        start = first + word.start() + len(word[0]) - len(bare)
        if opens and ")" not in bare:
            break
    return start


def _above(text: str, style: CitationStyle, found: Sequence[CaseCitation], taken: _Spans) -> Iterator[CaseCitation]:
    """ "A., cited above": the last citation before it of that name, else the last whose name begins so."""
    whole: dict[tuple[str, ...], CaseCitation] = {}
    begun: dict[tuple[str, ...], CaseCitation] = {}  # the beginning of a name -> the last citation of such a name
    index = 0
    for match in ABOVE.finditer(text):
        start = _name_start(text, _without_qualifier(text, match.start()))
        if start is None or taken.touch(start, match.end()):
            continue
        while index < len(found) and found[index].start < start:
            words = words_of(applicant_of(found[index].name or ""))
            if words:
                whole[tuple(words)] = found[index]
                begun |= {tuple(words[:length]): found[index] for length in range(1, min(len(words), LONGEST_NAME))}
            index += 1
        short = tuple(words_of(applicant_of(text[start : match.start()])))
        if meant := whole.get(short) or begun.get(short):
            yield _citation(text, start, match.end(), meant.application_numbers[:AGAIN], meant.name, style)


def _without_qualifier(text: str, end: int) -> int:
    """Where a name ends that "[GC]" or "(no. 2)" may follow."""
    match = re.search(
        r"\s*(?:\[GC\]|\((?:no\.\s*\d+|dec\.|just satisfaction)\)|\bjudgment)\s*$", text[max(0, end - 40) : end]
    )
    return max(0, end - 40) + match.start() if match else end


def _dated(text: str, style: CitationStyle, taken: _Spans) -> Iterator[CaseCitation]:
    """ "the A. and Others judgment of 6 September 1978", as was usual before the numbers were given."""
    for match in JUDGMENT.finditer(text):
        start, date = _name_start(text, match.start()), DAY.match(text, match.end())
        if start is not None and date and iso_date(date[0]) and not taken.touch(start, match.end()):
            name = " ".join(text[start : match.start()].split())
            found = _citation(text, start, date.end(), (), name, style)
            yield replace(found, date=iso_date(date[0]))


def _apart(found: Iterable[CaseCitation]) -> Iterator[CaseCitation]:
    end = 0
    for citation in found:
        if citation.start >= end:
            yield citation
            end = citation.end


class _Spans:
    """The characters that citations take, which come in order and none within another."""

    def __init__(self, found: Sequence[CaseCitation]) -> None:
        self._starts = [citation.start for citation in found]
        self._ends = [citation.end for citation in found]

    def touch(self, start: int, end: int) -> bool:
        """Whether any of text[start:end] is taken."""
        before = bisect_left(self._starts, end) - 1
        return before >= 0 and self._ends[before] > start
