"""The numbers that Word writes before headings, clauses and items of lists: they are counted, not stored.

ECMA-376, part 1, section 17.9: a list (num) has levels of an abstract list, each with a format, a first number and a
text such as "%1.%2". A level begins anew behind each item of a higher one.
"""

from __future__ import annotations

import re

from ingest.reflowable.markup import Element, attribute, child, descendants, first

LEVELS = 9
ROMAN = ((1000, "m"), (900, "cm"), (500, "d"), (400, "cd"), (100, "c"), (90, "xc"), (50, "l"), (40, "xl"), (10, "x"),
         (9, "ix"), (5, "v"), (4, "iv"), (1, "i"))  # fmt: skip


def formatted(number: int, style: str) -> str:
    """A number as a list's level writes it.

    >>> [formatted(28, style) for style in ("decimal", "lowerLetter", "upperRoman", "decimalZero")]
    ['28', 'bb', 'XXVIII', '28']
    """
    if style in ("lowerLetter", "upperLetter") and number > 0:
        letters = chr(ord("a") + (number - 1) % 26) * ((number - 1) // 26 + 1)
        return letters if style == "lowerLetter" else letters.upper()
    if style in ("lowerRoman", "upperRoman") and 0 < number < 4000:
        roman, rest = "", number
        for value, sign in ROMAN:
            roman += sign * (rest // value)
            rest %= value
        return roman if style == "lowerRoman" else roman.upper()
    return f"{number:02}" if style == "decimalZero" else str(number)


class ClauseNumbers:
    """The lists of one document; `next` counts on."""

    def __init__(self, root: Element | None):
        abstract = {}
        for each in descendants(root, "abstractNum") if root is not None else ():
            abstract[attribute(each, "abstractNumId")] = {
                int(level): element
                for element in descendants(each, "lvl")
                if (level := attribute(element, "ilvl")).isdigit()
            }
        self._levels: dict[str, dict[int, Element]] = {}
        self._starts: dict[tuple[str, int], int] = {}
        self._owner: dict[str, str] = {}  # a list counts with all lists of its abstract one, unless it starts anew
        for each in descendants(root, "num") if root is not None else ():
            number = attribute(each, "numId")
            of = _value(each, "abstractNumId")
            self._levels[number], self._owner[number] = dict(abstract.get(of, {})), f"abstract {of}"
            for change in descendants(each, "lvlOverride"):
                level = attribute(change, "ilvl")
                start = first(change, "startOverride")
                if level.isdigit() and start is not None and attribute(start, "val").isdigit():
                    self._starts[number, int(level)] = int(attribute(start, "val"))
                    self._owner[number] = f"list {number}"
        self._counts: dict[str, list[int | None]] = {}

    def next(self, number: str, level: int) -> str:
        """What stands before the next item of a list at a level, with a space behind it: "4.2 ", "• "; "" for none."""
        levels = self._levels.get(number, {})
        definition = levels.get(level)
        if definition is None or not 0 <= level < LEVELS:
            return ""
        counts = self._counts.setdefault(self._owner[number], [None] * LEVELS)
        before = counts[level]
        counts[level] = self._start(number, level) if before is None else before + 1
        counts[level + 1 :] = [None] * (LEVELS - level - 1)
        style = _value(definition, "numFmt")
        if style == "bullet":
            return "• "
        if style == "none":
            return ""

        def written(match: re.Match[str]) -> str:
            at = int(match[1]) - 1
            count = counts[at]
            value = self._start(number, at) if count is None else count
            return formatted(value, _value(levels[at], "numFmt") if at in levels else "decimal")

        text = re.sub(r"%([1-9])", written, _value(definition, "lvlText")).strip()
        return f"{text} " if text else ""

    def _start(self, number: str, level: int) -> int:
        start = _value(self._levels[number].get(level), "start")
        return self._starts.get((number, level), int(start) if start.isdigit() else 1)


def _value(definition: Element | None, name: str) -> str:
    found = child(definition, name)
    return attribute(found, "val") if found is not None else ""
