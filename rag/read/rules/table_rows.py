"""The tables of the evidence, read back from their passages: rows with their heads, cells, and what numbers are in."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

from rag.read.match import fold
from rag.read.quotes import Quote, units
from rag.read.rules.table_words import words_in
from rag.records import Hit, Passage

MARKS = " *\u2020\u2021\u00a7\u02c6^"  # of footnotes, of bold type
COMPOUND = re.compile(r"\w+(?:-\w+)+")
BRACKETS = re.compile(r"\([^()]*\)")
SIGN = re.compile(r"([+\u2212\u2013-])\s+(?=\S)")  # "+ venue", "- abstract": the row above with or without something
NUMBER = re.compile(
    r"[-\u2212\u2013]?\d+(?:,\d{3})*(?:\.\d+)?(?=\s?%?(?:\s?(?:\(.*\)|\u00b1.*))?$)|[-\u2212\u2013]?\.\d+$"
)
TWO_NUMBERS = re.compile(r"[\d.,%]+(?:\s+[\d.,%]+)+")  # two cells that ran into one
NOTHING = frozenset({"", "n/a", "na", "x", "(x)", "none", "nil", "unknown"})
IS_NUMBER = re.compile(r"\W*\d[\d.,]*(?!\w)")
# What numbers are said to be in: "in thousands", "US$ million", "\u20acm".
SCALE = re.compile(
    r"\b(?P<word>hundred|thousand|million|billion|trillion)s?\b|[$\u20ac\u00a3]\s?(?P<sign>k|mn?|bn)\b", re.IGNORECASE
)
SCALES = {"k": "thousand", "m": "million", "mn": "million", "bn": "billion"}
# Between what a scale belongs to and the scale: "Revenue (in US$ millions)"
BEFORE_SCALE = re.compile(
    r"[\s,(\[]*(?:(?:expressed|given|shown|stated) )?(?:in )?(?:US ?|[A-Z]{3} |[$\u20ac\u00a3]\s?)*$"
)


@dataclass(frozen=True, slots=True)
class Cell:
    """What was read off: `text` stands in the quoted row, as do the heads of its row and column.

    `scale` is what the number is in ("thousands"), where its head or the caption says so.
    """

    text: str
    row: str
    column: str
    quote: Quote
    scale: str = ""

    @property
    def answer(self) -> str:
        return f"{self.text} (in {self.scale})" if self.scale else self.text


@dataclass(frozen=True)
class Head:
    """The head of a row or column as words: `words` outside of brackets first; any of `variants` may be named."""

    text: str
    variants: tuple[tuple[str, ...], ...]
    loose: frozenset[str]  # need not be named: in brackets, or of the row that a "+ venue" goes on from
    compounds: tuple[frozenset[str], ...] = ()  # named completely or not at all: "Cite" is not "Co-Cite"

    @cached_property
    def vocabulary(self) -> frozenset[str]:
        return frozenset(word for variant in self.variants for word in variant)


@dataclass(frozen=True, slots=True)
class TableRow:
    head: Head
    cells: tuple[tuple[str, str], ...]  # column's head, text
    hit: Hit
    start: int
    end: int

    def cell(self, column: str) -> str | None:
        """The text under a column; None if there is none, or there are two."""
        texts = [text for head, text in self.cells if head == column]
        return texts[0].strip(MARKS) if len(texts) == 1 and is_readable(texts[0]) else None

    def read(self, text: str, column: str) -> Cell:
        scale = self._scale(column) if IS_NUMBER.match(text) and not SCALE.search(text) and "%" not in text else ""
        return Cell(text, self.head.text, column, Quote(self.hit, self.start, self.end, True, 1.0), scale)

    def name(self, text: str, column: str) -> Cell:
        """The row's own name as the answer."""
        return Cell(text, self.head.text, column, Quote(self.hit, self.start, self.end, True, 1.0))

    def _scale(self, column: str) -> str:
        """What the numbers of a cell are in; raises Unclear where the caption says that some numbers are in something.

        They are this cell's where all that stands before it is a name of the column or the row: "Revenue (in millions)
        and staff" is not said of the staff, and "Revenue and staff (in millions)" may not be.
        """
        heads = (column, self.head.text)
        if any("percent" in words_in(head, head=True) for head in heads):
            return ""
        # "(in millions)", "($ thousand)", but not "(per thousand)", nor the film "Million Dollar Baby"
        own = [SCALE.search(unit[0]) for head in heads for unit in re.finditer(r"\([^()\d]*\)|\bin \w+", head)]
        if scales := {_scale_of(scale) for scale in own if scale and not re.search(r"\bper\b", scale.string)}:
            if len(scales) > 1:
                raise Unclear
            return scales.pop()
        caption = self.hit.passage.caption
        said = list(SCALE.finditer(caption))
        if not said:
            return ""
        before = re.split(r"[.;:]\s|[(\[]", BEFORE_SCALE.sub("", caption[: said[0].start()]))[-1]
        named = set(words_in(before))
        if len(said) > 1 or not named or re.search(r"[,&/]|\b(?:and|or)\b", before):
            raise Unclear
        if not any(named <= set(words_in(head, head=True)) for head in heads):
            raise Unclear
        return _scale_of(said[0])


@dataclass(frozen=True, slots=True)
class Table:
    rows: tuple[TableRow, ...]
    columns: tuple[Head, ...]
    scope: frozenset[str]  # words of its caption, its title, and of what the document says about it
    caption: frozenset[str]
    label: str


class Unclear(Exception):
    """A table has what the question asks for more than once, or it is not clear what its number is in."""


def _scale_of(scale: re.Match[str]) -> str:
    word = (scale["word"] or SCALES[scale["sign"].lower()]).lower()
    return f"{word}s"


def tables_in(evidence: Sequence[Hit]) -> Iterator[Table]:
    """The tables of the evidence that are there without a gap, in the order of their best passage."""
    parts: dict[tuple[object, ...], dict[int, Hit]] = {}
    for hit in evidence:
        passage = hit.passage
        if passage.kind == "table":
            key = (passage.document_id, passage.label, passage.caption, passage.boxes)
            parts.setdefault(key, {}).setdefault(passage.start, hit)
    for hits in parts.values():
        table = [hits[start] for start in sorted(hits)]
        begins = table[0].passage.text.startswith(table[0].passage.caption)
        if begins and all(b.passage.start - a.passage.end <= 2 for a, b in pairwise(table)):
            yield from _table(table)


def _table(hits: Sequence[Hit]) -> Iterator[Table]:
    passage = hits[0].passage
    aliases = _aliases(f"{passage.caption}\n{passage.context}")
    rows: list[TableRow] = []
    base: tuple[str, ...] = ()
    split = [
        (hit, start, end, *_split_row(hit.passage.text[start:end])) for hit in hits for start, end in _body(hit.passage)
    ]
    heads = {head for *_, cells in split for head, _ in cells if head}
    for hit, start, end, name, cells in split:
        if not cells or any(name.startswith(f"{head}:") for head in heads):
            continue  # a line that goes on from the row above or heads those below; a row without a head
        sign = SIGN.match(name)
        if sign is None:
            base = words_in(BRACKETS.sub(" ", name), head=True)
        rows.append(TableRow(_row_head(name, base if sign else (), aliases), cells, hit, start, end))
    texts = {fold(text) for row in rows for _, text in row.cells}
    if any(fold(head) in texts for head in heads if not NUMBER.match(head)):
        return  # its first row was taken for heads
    columns = tuple(_head(head, aliases) for head in dict.fromkeys(h for row in rows for h, _ in row.cells if h))
    around = " ".join(
        re.findall(r"(?<![\w-])[a-z]+(?![\w-])", passage.context)
    )  # no names: they may be other tables' rows
    said = (passage.caption, passage.title, passage.section, around)
    short = {word for words in aliases for word in words}  # "CLS" is no column if only the caption has it
    yield Table(
        tuple(rows),
        columns,
        frozenset(word for text in said for word in words_in(text) if word not in short),
        frozenset(words_in(passage.caption)),
        fold(passage.label),
    )


def _body(passage: Passage) -> list[tuple[int, int]]:
    below = len(passage.caption) if passage.text.startswith(passage.caption) else 0
    return [span for span in units(passage) if span[0] >= below]


def _split_row(row: str) -> tuple[str, tuple[tuple[str, str], ...]]:
    """A row's head, and its cells with their columns' heads; what has no head, or two, cannot be named.

    >>> _split_row("BERT (2019) | MAG F1: 82.0 | note: see: b | Avg.: ")
    ('BERT (2019)', (('MAG F1', '82.0'), ('note', ''), ('Avg.', '')))
    """
    name, *parts = row.split(" | ")
    cells = []
    for part in parts:
        head, colon, text = f"{part} ".partition(": ")
        cells.append((head.strip() if colon else "", text.strip() if colon and ": " not in text.strip() else ""))
    return name.strip(), tuple(cells)


def is_readable(text: str) -> bool:
    bare = text.strip(MARKS)
    return any(c.isalnum() for c in bare) and fold(bare) not in NOTHING and not TWO_NUMBERS.fullmatch(bare)


def _row_head(name: str, base: tuple[str, ...], aliases: dict[tuple[str, ...], tuple[str, ...]]) -> Head:
    sign = SIGN.match(name)
    if sign is None:
        return _head(name, aliases)
    rest = _head(name[sign.end() :], aliases)
    said = "+" if sign[1] == "+" else "-"
    variants = tuple((*base, said, *variant) for variant in rest.variants)
    return Head(name, variants, rest.loose | (frozenset(base) - frozenset(rest.variants[0])))


def _head(text: str, aliases: dict[tuple[str, ...], tuple[str, ...]]) -> Head:
    text = text.strip()
    bare = words_in(BRACKETS.sub(" ", text), head=True)
    words = words_in(text, head=True)
    variants = [words]
    for short, long in aliases.items():
        for at in range(len(words) - len(short) + 1):
            if words[at : at + len(short)] == short and long != short:
                variants.append((*words[:at], *long, *words[at + len(short) :]))
    compounds = tuple(frozenset(words_in(match[0], head=True)) for match in COMPOUND.finditer(fold(text)))
    return Head(text, tuple(variants), frozenset(words) - frozenset(bare), compounds)


def _aliases(text: str) -> dict[tuple[str, ...], tuple[str, ...]]:
    """Abbreviations that a text explains: "CLS: classification, ...", "Fleiss kappa (F-kappa)".

    >>> _aliases("Fleiss kappa (F-\u03ba) of CLS: classification, USR:\\nUser activity")
    {('cls',): ('classification',), ('usr',): ('user', 'activity'), ('f', 'kappa'): ('fleiss', 'kappa')}
    """
    found: dict[tuple[str, ...], tuple[str, ...]] = {}
    for match in re.finditer(r"\b([A-Z][\w-]*)\s?[:=]\s+(\w[\w-]*(?:\s[\w-]+){0,3})(?=[,;.)\n]|$)", text):
        found[words_in(match[1], head=True)] = words_in(match[2])
    for match in re.finditer(r"((?:\w+[\s-]){1,4})\(([^\W\d_][\w-]{0,7})\)", text):
        short, before = words_in(match[2], head=True), words_in(match[1])
        letters = [word[0] for word in short] if len(short) > 1 else list(fold(match[2]))
        long = before[-len(letters) :]
        if len(letters) > 1 and [word[0] for word in long] == letters:
            found[short] = long
    return {short: long for short, long in found.items() if short and long}
