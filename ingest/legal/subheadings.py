"""The headings within the sections of a judgment, and the path of headings above each paragraph."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Sequence

from ingest.legal.numbered_paragraphs import SUBHEADING
from rag import bounds
from rag.bounds import shortened
from rag.document import Case, Section

LONGEST_LEAD = 2_000  # characters between a section's heading and its first paragraph that may all be headings
NAMES = {"header": "Header", "operative": "Operative part", "annex": "Annex", "text": ""}
LABEL = re.compile(r"(?:([IVXLC]+|[A-Z])\.|(\d{1,2})\.|\(([a-z]{1,4})\)|([α-ω])\))\s")
ROMAN = re.compile(r"[IVXLCivxlc]+")
UPPER_ROMAN, LETTER, NUMBER, LOWER, LOWER_ROMAN, GREEK = range(1, 7)  # how deep, as the Court numbers its headings


def blocks(case: Case, text: str) -> list[tuple[int, str]]:
    """(offset, path) of every start of a passage, in order: each section, and each paragraph with its headings.

    The path is the section's heading and the headings in force within the section, "THE LAW > I. ALLEGED VIOLATION OF
    ARTICLE 8 > A. Admissibility".
    """
    found: list[tuple[int, str]] = []
    for section in case.sections:
        root = heading_of(section, text)
        first = bisect_right(case.paragraphs, section.start - 1, key=lambda paragraph: paragraph.start)
        last = bisect_right(case.paragraphs, section.end - 1, key=lambda paragraph: paragraph.start)
        above: list[tuple[int, str]] = []
        end = section.start
        for number, paragraph in enumerate(case.paragraphs[first:last]):
            between = [" ".join(line.split()) for line in text[end : paragraph.start].split("\n")]
            if number == 0:
                found.append((section.start, root))
                between[0] = ""  # the section's own heading
            if number or paragraph.start - end <= LONGEST_LEAD:
                for line in between:
                    above = _under(above, shortened(line, bounds.HEADING)) if _is_heading(line) else above
            path = shortened(" > ".join(filter(None, [root, *(words for _, words in above)])), bounds.SECTION)
            if number == 0 and all(not line or _is_heading(line) for line in between):
                found[-1] = (section.start, path)
            else:
                found.append((paragraph.start if number == 0 else end, path))
            end = paragraph.end
        if first == last:
            found.append((section.start, root))
    return found


def heading_of(section: Section, text: str) -> str:
    """The name of a section in paths and labels: its own heading where that is a name."""
    line = " ".join(text[section.start : section.end].lstrip().partition("\n")[0].split())
    if section.kind == "opinion":
        return f"Separate opinion of {section.author}" if section.author else "Separate opinion"
    if section.kind in ("procedure", "facts", "law") or (section.kind == "annex" and len(line) <= bounds.HEADING):
        return shortened(line, bounds.HEADING)
    return NAMES[section.kind]


def _is_heading(line: str) -> bool:
    capitals = line.upper() == line and re.search(r"[^\W\d_]{4}", line)
    return bool(capitals or SUBHEADING.fullmatch(line)) and len(line) <= 300


def _under(above: Sequence[tuple[int, str]], line: str) -> list[tuple[int, str]]:
    """The headings in force after `line`: (depth, words), outermost first.

    >>> _under([(1, "I. FACTS"), (2, "B. Law")], "C. Practice"), _under([(1, "II. FACTS"), (2, "A. Law")], "III. X")
    ([(1, 'I. FACTS'), (2, 'C. Practice')], [(1, 'III. X')])
    """
    depth = _depth(line, above)
    return [*(heading for heading in above if heading[0] < depth), (depth, line)]


def _depth(line: str, above: Sequence[tuple[int, str]]) -> int:
    label = LABEL.match(line)
    if label is None:
        return UPPER_ROMAN
    upper, number, lower, _ = label.groups()
    if number:
        return NUMBER
    if upper:
        return UPPER_ROMAN if ROMAN.fullmatch(upper) and not _follows(upper, LETTER, above) else LETTER
    if lower:
        return LOWER_ROMAN if ROMAN.fullmatch(lower) and not _follows(lower, LOWER, above) else LOWER
    return GREEK


def _follows(letter: str, depth: int, above: Sequence[tuple[int, str]]) -> bool:
    """Whether a letter that may be a Roman number continues a list of letters: "D." after "C."."""
    before = next((words for deep, words in above if deep == depth), "").lstrip("(")
    return len(letter) == 1 and before[:1] == chr(ord(letter) - 1)
