"""The two marks of a supportive-evidence note: *words the answer rests on* and -words that are in doubt-.

The format is that of EviNote-RAG's notes (arXiv 2509.00877, the method and its released prompt). Stars and hyphens
have other uses, so a sign is half of a mark only if no letter or digit stands outside of it and no blank inside: a
hyphen in "well-known" or "1990-1995", a dash between blanks, a bullet and "3 * 4" are text, and so are two equal signs
in a row (Markdown's bold, a typed dash) and a sign without its partner. What remains open is "-5 ... pre- and", which
reads as marked; where there is a choice, the sign before a number is taken for a minus.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

KEY, UNCERTAIN = "*", "-"
SIGN = re.compile(r"(?<!\*)\*(?!\*)|(?<!-)-(?!-)|\n")
MINUS = re.compile(r"-[^\w\s*-]?\d")  # -5, -.5, -$5
WORD = re.compile(r"\w")
Span = tuple[int, int]  # start and end, half-open, in code points


@dataclass(frozen=True, slots=True)
class Marked:
    """A text without its marks, and what was marked: spans of that text, by their start, the longer first."""

    text: str
    key: tuple[Span, ...]
    uncertain: tuple[Span, ...]

    @property
    def key_spans(self) -> tuple[str, ...]:
        """The words that the answer rests on."""
        return tuple(self.text[start:end] for start, end in self.key)

    @property
    def uncertain_spans(self) -> tuple[str, ...]:
        """The words that are in doubt."""
        return tuple(self.text[start:end] for start, end in self.uncertain)


def parse_marks(text: str) -> Marked:
    """The text without its marks, and the spans that they stood around, one inside the other or not.

    A mark does not go on over the end of a line, nor does one stand in another of its own kind: the inner one counts.
    Of two that cross, the one that ends first counts.

    >>> marked = parse_marks("*Ada -or Eda- Lind* moved to well-known Oslo at -5 °C.")
    >>> marked.text, marked.key_spans, marked.uncertain_spans
    ('Ada or Eda Lind moved to well-known Oslo at -5 °C.', ('Ada or Eda Lind',), ('or Eda',))
    """
    pairs, _ = _pairs(text)
    signs = sorted(place for _, *both in pairs for place in both)
    plain = "".join(text[a + 1 : b] for a, b in zip([-1, *signs], [*signs, len(text)], strict=True))
    before = {place: count for count, place in enumerate(signs)}
    spans = sorted(
        ((kind, start - before[start], end - before[end]) for kind, start, end in pairs), key=lambda s: (s[1], -s[2])
    )
    key, uncertain = (tuple((start, end) for kind, start, end in spans if kind == sign) for sign in (KEY, UNCERTAIN))
    return Marked(plain, key, uncertain)


def mark(text: str, key: Sequence[Span], uncertain: Sequence[Span]) -> str:
    """The text with these spans of it marked, so that `parse_marks` gives the same text and spans back.

    Words that are both get their star outside. Raises ValueError where that cannot be said with marks: a span that
    ends in a word, begins with a blank or holds the end of a line, two that cross, a text with marks of its own.

    >>> mark("Oslo, or Bergen", [(0, 4)], [(6, 15)])
    '*Oslo*, -or Bergen-'
    """
    signs = []
    for order, sign, spans in ((0, KEY, key), (1, UNCERTAIN, uncertain)):
        for start, end in spans:
            signs += [(start, 1, -end, order, sign), (end, 0, -start, -order, sign)]
    pieces, at = [], 0
    for place, *_, sign in sorted(signs):
        pieces += [text[at:place], sign]
        at = place
    marked = "".join([*pieces, text[at:]])
    if parse_marks(marked) != Marked(text, tuple(_in_order(key)), tuple(_in_order(uncertain))):
        raise ValueError(f"{list(key)} and {list(uncertain)} cannot be marked in {text!r}")
    return marked


def well_formed(text: str) -> bool:
    """Whether there is a mark, and no sign that begins or ends one lacks its partner or crosses another mark.

    The release of EviNote-RAG checks "*" and "#" so, which its own note format does not have, and no hyphen. Here the
    signs are the format's. A hyphen alone is no fault before a number (-5) or behind a word (pre- and post-war), where
    prose has it too.

    >>> well_formed("*Oslo*, -it seems-"), well_formed("*Oslo* and *Bergen"), well_formed("Oslo")
    (True, False, False)
    """
    pairs, alone = _pairs(text)
    return bool(pairs) and not alone


def _in_order(spans: Sequence[Span]) -> list[Span]:
    return sorted(spans, key=lambda span: (span[0], -span[1]))


def _pairs(text: str) -> tuple[list[tuple[str, int, int]], set[int]]:
    """(sign, place of the first, of the second) of each mark, and the places of signs that wrongly have no partner."""
    pairs: list[tuple[str, int, int]] = []
    alone: set[int] = set()
    opened: dict[str, list[int]] = {KEY: [], UNCERTAIN: [], "minus": []}
    words = [match.start() for match in WORD.finditer(text)]
    word = 0  # how many of them stand before the sign
    for match in SIGN.finditer(text):
        place, sign = match.start(), match[0]
        if sign == "\n":
            for waiting in opened.values():
                waiting.clear()
            continue
        while word < len(words) and words[word] < place:
            word += 1
        before, behind = text[place - 1 : place], text[place + 1 : place + 2]
        begins = bool(behind.strip()) and not WORD.match(before)
        ends = bool(before.strip()) and not WORD.match(behind)
        waiting = opened["minus"] if sign == UNCERTAIN and not opened[UNCERTAIN] else opened[sign]
        if ends and waiting:
            first = waiting.pop()
            alone.discard(first)
            if not word or words[word - 1] < first:  # "*...*", with nothing that could be marked
                continue
            pairs.append((sign, first, place))
            for kind, others in opened.items():
                own = kind == sign or (kind == "minus" and sign == UNCERTAIN)
                while others and (own or others[-1] > first):
                    others.pop()
        elif begins:
            minus = bool(MINUS.match(text, place))
            opened["minus" if minus else sign].append(place)
            if not minus:
                alone.add(place)
        elif ends and sign == KEY:
            alone.add(place)
    return pairs, alone
