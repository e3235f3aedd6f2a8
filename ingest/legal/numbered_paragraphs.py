"""The numbered paragraphs of a judgment: which of its numbered lines make its series. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from ingest.legal.courts import Court
from ingest.legal.judgment_sections import LONGEST_HEADING
from rag.document import Paragraph, Section

DEEPEST = 6  # subheadings behind one another
SUBHEADING = re.compile(r"[ \t\xa0]*(?:(?:[IVXLC]+|[A-Z]|\d{1,2})\.|\([a-z]{1,4}\)|[α-ω]\))[ \t\xa0]+\S.{0,200}")
FAR = 6  # numbers missing, from where on a gap costs no more
MISSING, START = 0.25, 1.5  # what a missing number costs, and at most what is missing before the first
QUOTED = 0.375  # what a line inside a quotation costs
ASIDE = 0.0625  # what a leap over numbered lines costs, twice at the start, and a line that goes on a list begun at 1


def numbered_paragraphs(text: str, body: Sequence[Section], court: Court) -> tuple[Paragraph, ...]:
    """The numbered lines that form the series of the judgment: increasing, nearly without gaps.

    There are many more numbered lines (quoted statutes, lists). The series is the chain of increasing numbers with the
    highest score: 1 for a paragraph, less the costs of a gap, a quotation and a leap over other numbered lines. The
    best chain through a line comes from the six numbers below it or, further back, a prefix maximum (Fenwick 1994).
    `body` has the sections that share the series.
    """
    lines = list(_numbered_lines(text, body, court))
    scores, before = [0.0] * len(lines), [-1] * len(lines)
    best: dict[int, int] = {}  # number -> the line of that number whose chain scores best
    prefix = _PrefixMaximum(max((number for number, _, _ in lines), default=0))
    listed = False
    for i, (number, _, quoted) in enumerate(lines):
        options = [(best[smaller], number - smaller) for smaller in range(number - FAR, number) if smaller in best]
        if (far := prefix.best(number - 1)) is not None:
            options.append((far, FAR + 1))
        if i and lines[i - 1][0] < number:
            options.append((i - 1, number - lines[i - 1][0]))
        score, source = -min(START, MISSING * abs(number - 1)) - (2 * ASIDE if i else 0.0), -1
        for other, step in options:
            reached = scores[other] - MISSING * (min(step, FAR + 1) - 1) - (ASIDE if other != i - 1 else 0.0)
            if reached > score:
                score, source = reached, other
        listed = i > 0 and (number == 1 or (listed and number == lines[i - 1][0] + 1))
        scores[i], before[i] = score + 1 - (QUOTED if quoted else 0.0) - (ASIDE if listed else 0.0), source
        if number not in best or scores[i] > scores[best[number]]:
            best[number] = i
            prefix.add(number, i, scores[i])
    last = max(range(len(lines)), key=scores.__getitem__, default=-1)
    chain: list[tuple[int, int]] = []
    while last >= 0 and (chain or scores[last] > 0):
        chain.append(lines[last][:2])
        last = before[last]
    return tuple(_ended(text, chain[::-1], body))


class _PrefixMaximum:
    """The line with the highest score among the numbers from 1 to a given one, in logarithmic time (Fenwick tree)."""

    def __init__(self, most: int) -> None:
        self._tree: list[tuple[float, int] | None] = [None] * (most + 1)

    def add(self, number: int, line: int, score: float) -> None:
        while 0 < number < len(self._tree):
            held = self._tree[number]
            if held is None or held[0] < score:
                self._tree[number] = (score, line)
            number += number & -number

    def best(self, number: int) -> int | None:
        """The line with the highest score among the numbers up to this one."""
        found: tuple[float, int] | None = None
        while number > 0:
            held = self._tree[number]
            if held and (found is None or held[0] > found[0]):
                found = held
            number -= number & -number
        return found[1] if found else None


def _numbered_lines(text: str, body: Sequence[Section], court: Court) -> Iterator[tuple[int, int, bool]]:
    """(number, offset, whether it is in a quotation that an earlier line opened) of each numbered line."""
    for section in body:
        quoted, offset = False, section.start
        for match in court.paragraph.finditer(text, section.start, section.end):
            for end in re.finditer("[“”]", text[offset : match.start()]):
                quoted = end[0] == "“"
            offset = match.start()
            if int(match[1]):
                yield int(match[1]), match.start(1), quoted


def _ended(text: str, chain: Sequence[tuple[int, int]], body: Sequence[Section]) -> Iterator[Paragraph]:
    """Each paragraph extends to the next one or the end of its section, without the subheadings after it."""
    section = 0
    for i, (number, start) in enumerate(chain):
        while body[section].end <= start:
            section += 1
        end = min(chain[i + 1][1] if i + 1 < len(chain) else body[section].end, body[section].end)
        yield Paragraph(number, start, _without_subheadings(text, start, end))


def _without_subheadings(text: str, start: int, end: int) -> int:
    for _ in range(DEEPEST + 1):
        while end > start and text[end - 1].isspace():
            end -= 1
        line = text.rfind("\n", start, end) + 1
        last = text[line:end] if line > start and end - line <= LONGEST_HEADING else ""
        capitals = last.upper() == last and re.search(r"[^\W\d_]{4}", last)
        if not (capitals or SUBHEADING.fullmatch(last)) or last.endswith((".", ";", ":", ",", "”", ")")):
            break
        end = line
    return end
