"""A question on one cell of a table, answered from the row and the column that it names, without the reader.

A small reader that is shown the right row ("SPECTER | MAG F1: 82.0 | MeSH F1: 86.4") often copies a neighbouring cell.
To be silent costs nothing, the reader then answers as before; to be wrong does. So every word of the question has to be
accounted for, and one row and one column have to fit it better than all others.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

from rag.read.match import STOPWORDS, fold
from rag.read.quotes import Quote, units
from rag.records import Hit, Passage

ASKS = re.compile(
    r"\b(?:what|whats|which|how (?:many|much|often|well|long|high|large|big|low|fast)|give|state|name)\b", re.IGNORECASE
)
NO_CELL = re.compile(
    r"(?:is|are|was|were|do|does|did|has|have|can|could|should|will|would|why|who|whose|where|"
    r"how (?:do|does|did|is|are|can))\b",
    re.IGNORECASE,
)
LABEL = re.compile(r"\btable\s+([\w.-]*\w)", re.IGNORECASE)
# "R@3", "recall at 3"; "82.0", "1,200"; "avg."; words; what stands for a word
TOKEN = re.compile(r"[^\W\d_]+@\d+|\d+(?:[.,]\d+)*|[^\W_]+\.?|[%#+\u2212]")
SUPERSCRIPTS = re.compile("[\u00b2\u00b3\u00b9\u2070-\u2079]")
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
# A question for a number, whatever is numbered; and one for names.
COUNTS = re.compile(
    r"\b(?:how (?:many|much)|number|no\.|count|total|amount|sum|quantity|percent(?:age)?|share|proportion|rate|average|"
    r"mean|median|value|figure|score|size|most|fewest|least|maximum|minimum)\b|[%#]"
)
NAMES = re.compile(r"\b(?:names|name of|name for|named|called)\b|'s name\b")
HOW_MANY = re.compile(r"\bhow many\b")
LISTED = 1000  # things: nobody asks for the names of that many
PLURALS = frozenset("people children men women staff crew".split())  # those without an s

ALIKE = {  # words, signs and abbreviations that say the same in a head and in a question
    "%": "percent", "percentage": "percent", "share": "percent", "fraction": "percent", "proportion": "percent",
    "#": "number", "num": "number", "avg": "average", "acc": "accuracy", "secs": "second", "sec": "second",
    "params": "parameter", "param": "parameter", "max": "maximum", "min": "minimum",
    "without": "-", "minus": "-", "\u2212": "-", "removing": "-", "removed": "-", "dropping": "-", "excluding": "-",
    "with": "+", "plus": "+", "adding": "+", "added": "+", "including": "+",
}  # fmt: skip
HIGHEST = frozenset("highest largest greatest most maximum biggest longest".split())
LOWEST = frozenset("lowest smallest least fewest minimum shortest".split())
BEST = "best"
SUPERLATIVES = HIGHEST | LOWEST | {BEST}
VALUE = re.compile(rf"\s*(?:in [^,]*, )?what(?:'s| is| was) the (?:{'|'.join(sorted(SUPERLATIVES))})\b")
KIND = re.compile(r"\s*(?:in [^,]*, )?(?:which|what) (\w+)\b")
# Nouns for what the rows of a table are; of any other ("Which task ...?") it is not certain that rows are meant.
ROW_KINDS = frozenset("model method system algorithm approach dataset corpus baseline variant configuration".split())


def _stem(word: str) -> str:
    """A word without its plural, participle or British spelling, the same for all its forms.

    >>> [_stem(word) for word in ("scores", "scored", "score", "normalised", "normalized", "class", "f1")]
    ['scor', 'scor', 'scor', 'normaliz', 'normaliz', 'class', 'f1']
    """
    if not word.isalpha():
        return word
    if len(word) > 4 and word.endswith("ies"):
        word = f"{word[:-3]}y"
    elif len(word) > 3 and word.endswith("s") and not word.endswith("ss"):
        word = word[:-1]
    if len(word) > 4 and word.endswith("ed"):
        word = word[:-1]
    elif len(word) > 5 and word.endswith("ing"):
        word = word[:-3]
    if len(word) > 4 and word.endswith("e"):
        word = word[:-1]
    return re.sub("is$", "iz", word) if len(word) > 5 else word


# Words that say nothing about which cell is meant.
GENERIC = frozenset(
    map(
        _stem,
        "value score result performance reach achieve get got obtain attain report reported show shown give given list "
        "listed state name table cell row column entry according use using there see read figure please number amount "
        "perform many much often well long high large big low fast whats".split(),
    )
) | frozenset(map(_stem, ROW_KINDS))
# Words that ask for more than to read a cell, or for one part of the data, unless they stand in a head.
RECKONING = frozenset(
    map(
        _stem,
        "difference differ change increase decrease gap gain improvement improve drop decline total sum ratio more "
        "less fewer higher lower better worse larger smaller greater than compare compared between both each every "
        "rank second third next combined together not except beside other another relative versus vs respectively "
        "times twice outperform exceed worst test dev development train training validation val -".split(),
    )
)
# Words that do so unless they stand in a head or in the caption: it says what the numbers are.
STATISTICS = frozenset(map(_stem, "average mean median margin error deviation".split()))
HIGHER_IS_BETTER = frozenset(
    map(_stem, "f1 map ndcg mrr accuracy precision recall auc bleu rouge em kappa agreement agree".split())
)
SUMMARIES = frozenset(map(_stem, "average total all overall mean sum median".split()))
# Columns that are not meant where the question does not say so: a rate is asked for, not its margin of error
SECONDARY = frozenset(map(_stem, "error deviation difference interval change".split()))


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
class _Head:
    """The head of a row or column as words: `words` outside of brackets first; any of `variants` may be named."""

    text: str
    variants: tuple[tuple[str, ...], ...]
    loose: frozenset[str]  # need not be named: in brackets, or of the row that a "+ venue" goes on from
    compounds: tuple[frozenset[str], ...] = ()  # named wholly or not at all: "Cite" is not "Co-Cite"

    @cached_property
    def vocabulary(self) -> frozenset[str]:
        return frozenset(word for variant in self.variants for word in variant)


@dataclass(frozen=True, slots=True)
class _Row:
    head: _Head
    cells: tuple[tuple[str, str], ...]  # column's head, text
    hit: Hit
    start: int
    end: int

    def cell(self, column: str) -> str | None:
        """The text under a column; None if there is none, or there are two."""
        texts = [text for head, text in self.cells if head == column]
        return texts[0].strip(MARKS) if len(texts) == 1 and _readable(texts[0]) else None

    def read(self, text: str, column: str) -> Cell:
        scale = self._scale(column) if IS_NUMBER.match(text) and not SCALE.search(text) and "%" not in text else ""
        return Cell(text, self.head.text, column, Quote(self.hit, self.start, self.end, True, 1.0), scale)

    def name(self, text: str, column: str) -> Cell:
        """The row's own name as the answer."""
        return Cell(text, self.head.text, column, Quote(self.hit, self.start, self.end, True, 1.0))

    def _scale(self, column: str) -> str:
        """What the numbers of a cell are in; raises _Unclear where the caption says that some numbers are in something.

        They are this cell's where all that stands before it is a name of the column or the row: "Revenue (in millions)
        and staff" is not said of the staff, and "Revenue and staff (in millions)" may not be.
        """
        heads = (column, self.head.text)
        if any("percent" in _words(head, head=True) for head in heads):
            return ""
        # "(in millions)", "($ thousand)", but not "(per thousand)", nor the film "Million Dollar Baby"
        own = [SCALE.search(unit[0]) for head in heads for unit in re.finditer(r"\([^()\d]*\)|\bin \w+", head)]
        if scales := {_scale_of(scale) for scale in own if scale and not re.search(r"\bper\b", scale.string)}:
            if len(scales) > 1:
                raise _Unclear
            return scales.pop()
        caption = self.hit.passage.caption
        said = list(SCALE.finditer(caption))
        if not said:
            return ""
        before = re.split(r"[.;:]\s|[(\[]", BEFORE_SCALE.sub("", caption[: said[0].start()]))[-1]
        named = set(_words(before))
        if len(said) > 1 or not named or re.search(r"[,&/]|\b(?:and|or)\b", before):
            raise _Unclear
        if not any(named <= set(_words(head, head=True)) for head in heads):
            raise _Unclear
        return _scale_of(said[0])


@dataclass(frozen=True, slots=True)
class _Table:
    rows: tuple[_Row, ...]
    columns: tuple[_Head, ...]
    scope: frozenset[str]  # words of its caption, its title, and of what the document says about it
    caption: frozenset[str]
    label: str


@dataclass(frozen=True, slots=True)
class _Named:
    """How a question names a head: the places of its words there, and the words of the head that are not named."""

    head: _Head
    places: frozenset[int]
    missing: frozenset[str]
    tail: bool  # whether no word is missing behind one that is named, but in brackets


class _Unclear(Exception):
    """A table has what the question asks for more than once, or it is not clear what its number is in."""


def _scale_of(scale: re.Match[str]) -> str:
    word = (scale["word"] or SCALES[scale["sign"].lower()]).lower()
    return f"{word}s"


def read_cell(question: str, evidence: Sequence[Hit]) -> Cell | None:
    """The cell that the question asks for, or None where that is not clear.

    "What MAP does SPECTER reach on Co-View?" is answered by the cell of the row and the column, "Which model has the
    highest F1?" by the head of a row, "What is the highest F1?" by its cell. The evidence has to hold its tables whole:
    rows that are not there cannot contradict. A table that lacks its beginning or a part between is not read; that it
    lacks its end cannot be seen here.
    """
    if not ASKS.search(question) or NO_CELL.match(question.strip()):
        return None
    label = LABEL.search(question)
    rest = LABEL.sub(" ", question) if label else question
    tables = [table for table in _tables(evidence) if not label or table.label == fold(f"Table {label[1]}")]
    found: list[Cell] = []
    for table in tables:
        try:
            cell = _read(rest, table)
        except _Unclear:
            return None
        if cell is not None:
            found.append(cell)
    if not found or len({(fold(cell.text), cell.scale) for cell in found}) > 1:
        return None
    return found[0] if _is_asked_for(question, found[0]) else None


def _is_asked_for(question: str, cell: Cell) -> bool:
    """Whether the question is for such an answer as the cell is: a number or not.

    "How many moons has Mars?" is for a number only, "What are the names of its moons?" never. "What are the moons of
    Mars?" is not for the 2 below "Moons": that counts what the question wants to know.
    """
    number, asked = NUMBER.match(cell.text), fold(question)
    if HOW_MANY.search(asked) and not IS_NUMBER.match(cell.text):
        return False
    if number is None or cell.text == cell.row or COUNTS.search(LABEL.sub(" ", asked)):
        return True
    if NAMES.search(asked):
        return False
    if not number[0].isdigit() or int(number[0]) >= LISTED:
        return True
    words = re.findall(r"[^\W\d_]+", question)
    things = {_stem(fold(word)) for word in words if word.islower()}  # a row may have a name that ends in s, Mars
    return not (_plurals(cell.column) & {_stem(fold(word)) for word in words} or _plurals(cell.row) & things)


def _plurals(head: str) -> set[str]:
    """The stems of a head's nouns in the plural.

    >>> _plurals("Natural moons (confirmed)"), _plurals("Radius")
    ({'moon'}, set())
    """
    words = re.findall(r"[^\W\d_]+", fold(BRACKETS.sub(" ", head)))
    return {_stem(word) for word in words if word in PLURALS or re.search(r"(?<![siu])s$", word)}


# -- tables ----------------------------------------------------------------------------------------------------------


def _tables(evidence: Sequence[Hit]) -> Iterator[_Table]:
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


def _table(hits: Sequence[Hit]) -> Iterator[_Table]:
    passage = hits[0].passage
    aliases = _aliases(f"{passage.caption}\n{passage.context}")
    rows: list[_Row] = []
    base: tuple[str, ...] = ()
    split = [
        (hit, start, end, *_split(hit.passage.text[start:end])) for hit in hits for start, end in _body(hit.passage)
    ]
    heads = {head for *_, cells in split for head, _ in cells if head}
    for hit, start, end, name, cells in split:
        if not cells or any(name.startswith(f"{head}:") for head in heads):
            continue  # a line that goes on from the row above or heads those below; a row without a head
        sign = SIGN.match(name)
        if sign is None:
            base = _words(BRACKETS.sub(" ", name), head=True)
        rows.append(_Row(_row_head(name, base if sign else (), aliases), cells, hit, start, end))
    texts = {fold(text) for row in rows for _, text in row.cells}
    if any(fold(head) in texts for head in heads if not NUMBER.match(head)):
        return  # its first row was taken for heads
    columns = tuple(_head(head, aliases) for head in dict.fromkeys(h for row in rows for h, _ in row.cells if h))
    around = " ".join(
        re.findall(r"(?<![\w-])[a-z]+(?![\w-])", passage.context)
    )  # no names: they may be other tables' rows
    said = (passage.caption, passage.title, passage.section, around)
    short = {word for words in aliases for word in words}  # "CLS" is no column if only the caption has it
    yield _Table(
        tuple(rows),
        columns,
        frozenset(word for text in said for word in _words(text) if word not in short),
        frozenset(_words(passage.caption)),
        fold(passage.label),
    )


def _body(passage: Passage) -> list[tuple[int, int]]:
    below = len(passage.caption) if passage.text.startswith(passage.caption) else 0
    return [span for span in units(passage) if span[0] >= below]


def _split(row: str) -> tuple[str, tuple[tuple[str, str], ...]]:
    """A row's head, and its cells with their columns' heads; what has no head, or two, cannot be named.

    >>> _split("BERT (2019) | MAG F1: 82.0 | note: see: b | Avg.: ")
    ('BERT (2019)', (('MAG F1', '82.0'), ('note', ''), ('Avg.', '')))
    """
    name, *parts = row.split(" | ")
    cells = []
    for part in parts:
        head, colon, text = f"{part} ".partition(": ")
        cells.append((head.strip() if colon else "", text.strip() if colon and ": " not in text.strip() else ""))
    return name.strip(), tuple(cells)


def _readable(text: str) -> bool:
    bare = text.strip(MARKS)
    return any(c.isalnum() for c in bare) and fold(bare) not in NOTHING and not TWO_NUMBERS.fullmatch(bare)


def _row_head(name: str, base: tuple[str, ...], aliases: dict[tuple[str, ...], tuple[str, ...]]) -> _Head:
    sign = SIGN.match(name)
    if sign is None:
        return _head(name, aliases)
    rest = _head(name[sign.end() :], aliases)
    said = "+" if sign[1] == "+" else "-"
    variants = tuple((*base, said, *variant) for variant in rest.variants)
    return _Head(name, variants, rest.loose | (frozenset(base) - frozenset(rest.variants[0])))


def _head(text: str, aliases: dict[tuple[str, ...], tuple[str, ...]]) -> _Head:
    text = text.strip()
    bare = _words(BRACKETS.sub(" ", text), head=True)
    words = _words(text, head=True)
    variants = [words]
    for short, long in aliases.items():
        for at in range(len(words) - len(short) + 1):
            if words[at : at + len(short)] == short and long != short:
                variants.append((*words[:at], *long, *words[at + len(short) :]))
    compounds = tuple(frozenset(_words(match[0], head=True)) for match in COMPOUND.finditer(fold(text)))
    return _Head(text, tuple(variants), frozenset(words) - frozenset(bare), compounds)


def _aliases(text: str) -> dict[tuple[str, ...], tuple[str, ...]]:
    """Abbreviations that a text explains: "CLS: classification, ...", "Fleiss kappa (F-kappa)".

    >>> _aliases("Fleiss kappa (F-\u03ba) of CLS: classification, USR:\\nUser activity")
    {('cls',): ('classification',), ('usr',): ('user', 'activity'), ('f', 'kappa'): ('fleiss', 'kappa')}
    """
    found: dict[tuple[str, ...], tuple[str, ...]] = {}
    for match in re.finditer(r"\b([A-Z][\w-]*)\s?[:=]\s+(\w[\w-]*(?:\s[\w-]+){0,3})(?=[,;.)\n]|$)", text):
        found[_words(match[1], head=True)] = _words(match[2])
    for match in re.finditer(r"((?:\w+[\s-]){1,4})\(([^\W\d_][\w-]{0,7})\)", text):
        short, before = _words(match[2], head=True), _words(match[1])
        letters = [word[0] for word in short] if len(short) > 1 else list(fold(match[2]))
        long = before[-len(letters) :]
        if len(letters) > 1 and [word[0] for word in long] == letters:
            found[short] = long
    return {short: long for short, long in found.items() if short and long}


# -- words -----------------------------------------------------------------------------------------------------------


def _words(text: str, head: bool = False) -> tuple[str, ...]:
    """The words that tell one cell from another, as stems; of a head, an abbreviation keeps its point ("acc.").

    A stopword in capitals is a name ("Group A"), but not at the beginning of a sentence.

    >>> _words("What MAP does SPECTER's base reach on Co-View, and at P@1?")
    ('map', 'specter', 'base', 'reach', 'co', 'view', 'p@1')
    """
    text = re.sub(r"['\u2019]s\b", "", SUPERSCRIPTS.sub("", unicodedata.normalize("NFC", text)))
    text = re.sub(r"([^\W\d_])\s?(?:@|\bat\b)\s?(?=\d)", r"\1@", text)
    text = re.sub(r"\bhow many\b", "number", re.sub(r"\bper cent\b", "percent", text, flags=re.I), flags=re.I)
    words = []
    for match in TOKEN.finditer(text):
        written = match[0].rstrip(".")
        word = "\u2212" if written == "\u2212" else fold(written)
        if len(word) == 1 and "GREEK" in unicodedata.name(word, ""):
            word = unicodedata.name(word).split()[-1].lower()
        named = written.isupper() and (head or match.start() > 0)
        if word == "with" or word not in STOPWORDS or named:
            short = head and match[0].endswith(".") and written.isalpha() and len(word) > 2 and word not in ALIKE
            words.append(f"{_stem(word)}." if short else _stem(ALIKE.get(word, word)))
    return tuple(w for w in words if w != "+") if head else tuple(words)


def _same(named: str, asked: str) -> bool:
    """Whether a head's word is the question's: itself, cut short ("acc."), or one letter of a measure ("r@3")."""
    if named == asked:
        return True
    if named.endswith("."):
        return asked.startswith(named[:-1])
    if "@" in named and "@" in asked:
        (one, at), (other, there) = named.split("@"), asked.split("@")
        return at == there and (one.startswith(other) or other.startswith(one))
    return False


def _name(head: _Head, asked: Sequence[str]) -> _Named:
    """How the question names a head, by the variant of which the least is missing."""
    return min(
        (_covered(head, variant, asked) for variant in head.variants),
        key=lambda named: (len(named.missing - head.loose), -len(named.places), len(named.missing)),
    )


def _covered(head: _Head, words: Sequence[str], asked: Sequence[str]) -> _Named:
    """Words meet one by one, or a few as one: "Co-View" and "coview", "SciBERT" and "Sci-BERT"."""
    places: set[int] = set()
    met: set[int] = set()
    for i, word in enumerate(words):
        for j, other in enumerate(asked):
            if _same(word, other):
                places.add(j)
                met.add(i)
    for few, one, mine in ((words, asked, True), (asked, words, False)):
        joined = {_stem("".join(few[i : i + n])): range(i, i + n) for n in (2, 3) for i in range(len(few) - n + 1)}
        for at, word in enumerate(one):
            if (run := joined.get(word)) is not None:
                (met if mine else places).update(run)
                (places if mine else met).add(at)
    missing = [i for i in range(len(words)) if i not in met]
    tail = all(words[i] in head.loose or i < min(met, default=0) for i in missing)
    return _Named(head, frozenset(places), frozenset(words[i] for i in missing), tail)


# -- which cell ------------------------------------------------------------------------------------------------------


def _read(question: str, table: _Table) -> Cell | None:
    """The cell of one table; None if it has none that is asked for, _Unclear if it has several."""
    asked = _words(question)
    heads = [row.head for row in table.rows] + list(table.columns)
    mine = {i for i, word in enumerate(asked) if word != "+" and any(_in(word, head.vocabulary) for head in heads)}
    if any(word in SUPERLATIVES and i not in mine for i, word in enumerate(asked)):
        return _extreme(question, asked, table, mine)
    rows = [_name(row.head, asked) for row in table.rows]
    columns = _columns(asked, table)
    fits: list[tuple[_Row, _Named, _Named]] = []
    for row, by in zip(table.rows, rows, strict=True):
        if by.missing - row.head.loose or not by.places - _generic(asked):
            continue
        for column in columns:
            own = by.places - column.places and column.places - by.places
            if own and _accounted(asked, by.places | column.places, mine, table, row.cell(column.head.text) or ""):
                fits.append((row, by, column))
    if not fits:
        return None
    best = min(fits, key=lambda fit: len(fit[1].missing) + len(fit[2].missing))
    for fit in fits:
        if fit is not best and not (fit[1:] != best[1:] and _less(best[1], fit[1]) and _less(best[2], fit[2])):
            raise _Unclear
    if not _tells(best[2], table):
        return None
    text = best[0].cell(best[2].head.text)
    if text is None:
        raise _Unclear
    return best[0].read(text, best[2].head.text)


def _less(one: _Named, other: _Named) -> bool:
    """Whether of the one head nothing is missing that is not missing of the other; and of two heads, less."""
    if one.head.text == other.head.text:
        return True
    return one.tail and one.missing < other.missing and one.places >= other.places


def _in(word: str, vocabulary: Iterable[str]) -> bool:
    return any(_same(other, word) for other in vocabulary)


def _generic(asked: Sequence[str]) -> set[int]:
    return {i for i, word in enumerate(asked) if word in GENERIC}


def _columns(asked: Sequence[str], table: _Table) -> list[_Named]:
    """The columns that the question may mean, also by a part of their heads."""
    columns = [_name(head, asked) for head in table.columns]
    return [named for named in columns if named.places and not named.missing & SECONDARY]


def _tells(column: _Named, table: _Table) -> bool:
    """Whether what is named of a column is enough: all but the heads of groups, which it shares with others."""
    head, missing = column.head, column.missing
    if any(compound & missing and compound - missing for compound in head.compounds):
        return False
    others = [other.vocabulary for other in table.columns if other is not head]
    return all(any(word in other for other in others) for word in missing - head.loose)


def _accounted(asked: Sequence[str], places: frozenset[int], mine: set[int], table: _Table, text: str) -> bool:
    """Whether each word of the question is one of the two heads', or says nothing, or what the table is about."""
    for i, word in enumerate(asked):
        if i in places:
            continue
        if word == "+" or (word == "percent" and "%" in text) or (word in STATISTICS and word in table.caption):
            continue
        if i in mine or word in RECKONING or word in STATISTICS:
            return False
        if word not in GENERIC and (word not in table.scope or any(c.isdigit() for c in word)):
            return False
    return True


# -- the highest and the lowest --------------------------------------------------------------------------------------


def _extreme(question: str, asked: Sequence[str], table: _Table, mine: set[int]) -> Cell | None:
    """The row with the highest or lowest number of the column that is named, or that number."""
    says = [i for i, word in enumerate(asked) if word in SUPERLATIVES]
    of_rows = {_stem(word) for word in ROW_KINDS} & set(asked)
    value = VALUE.match(fold(question)) and not of_rows
    kind = KIND.match(fold(question))
    if len(says) != 1 or not (value or (kind and _stem(kind[1]) in of_rows)):
        return None
    fits = [
        column
        for column in _columns(asked, table)
        if column.places - _generic(asked) and _accounted(asked, column.places | set(says), mine, table, "%")
    ]
    if not fits:
        return None
    best = min(fits, key=lambda fit: len(fit.missing))
    if any(fit is not best and not _less(best, fit) for fit in fits):
        raise _Unclear
    if not _tells(best, table):
        return None
    most = _upwards(asked[says[0]], best.head)
    rows = [row for row in table.rows if not set(row.head.variants[0]) <= SUMMARIES]
    numbers = [_number(row.cell(best.head.text)) for row in rows]
    if most is None or len(rows) < 2 or any(number is None for number in numbers):
        raise _Unclear
    ranked = sorted(zip((n for n in numbers if n is not None), rows, strict=True), key=lambda p: p[0], reverse=most)
    row = ranked[0][1]
    if value:
        return row.read(row.cell(best.head.text) or "", best.head.text)
    name = re.sub(r"\s*\([^()]*\)$", "", row.head.text.strip(MARKS)).strip(MARKS)
    return row.name(name, best.head.text) if ranked[0][0] != ranked[1][0] and _readable(name) else None


def _upwards(word: str, column: _Head) -> bool | None:
    """Whether the highest number is asked for; None where it is not known which one is the best."""
    if word != BEST:
        return word in HIGHEST
    if "\u2193" in column.text or "\u2191" in column.text:
        return "\u2191" in column.text
    return True if {w.rstrip(".").split("@")[0] for w in column.vocabulary} & HIGHER_IS_BETTER else None


def _number(text: str | None) -> float | None:
    match = NUMBER.match(text or "")
    return float(re.sub("[\u2212\u2013]", "-", match[0]).replace(",", "")) if match else None
