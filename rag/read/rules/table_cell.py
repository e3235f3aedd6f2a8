"""A question on one cell of a table, answered from the row and the column that it names, without the reader.

A small reader that is shown the right row ("SPECTER | MAG F1: 82.0 | MeSH F1: 86.4") often copies a neighbouring cell.
To be silent costs nothing, the reader then answers as before; to be wrong does. So every word of the question has to be
accounted for, and one row and one column have to fit it better than all others.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rag.llm.chat import ChatModel, Usage
from rag.read.match import fold
from rag.read.rules.base import Claim, Proposal
from rag.read.rules.table_rows import (
    BRACKETS,
    IS_NUMBER,
    MARKS,
    NUMBER,
    Cell,
    Head,
    Table,
    TableRow,
    Unclear,
    is_readable,
    tables_in,
)
from rag.read.rules.table_words import means_same, stem, words_in
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
# A question for a number, whatever is numbered; and one for names.
COUNTS = re.compile(
    r"\b(?:how (?:many|much)|number|no\.|count|total|amount|sum|quantity|percent(?:age)?|share|proportion|rate|average|"
    r"mean|median|value|figure|score|size|most|fewest|least|maximum|minimum)\b|[%#]"
)
NAMES = re.compile(r"\b(?:names|name of|name for|named|called)\b|'s name\b")
HOW_MANY = re.compile(r"\bhow many\b")
LISTED = 1000  # things: nobody asks for the names of that many
_WORDS = tomllib.loads(Path(__file__).with_suffix(".toml").read_text("utf-8"))
PLURALS = frozenset(_WORDS["plurals"])
HIGHEST = frozenset(_WORDS["highest"])
LOWEST = frozenset(_WORDS["lowest"])
BEST = "best"
SUPERLATIVES = HIGHEST | LOWEST | {BEST}
VALUE = re.compile(rf"\s*(?:in [^,]*, )?what(?:'s| is| was) the (?:{'|'.join(sorted(SUPERLATIVES))})\b")
KIND = re.compile(r"\s*(?:in [^,]*, )?(?:which|what) (\w+)\b")


def _stems(name: str) -> frozenset[str]:
    return frozenset(map(stem, _WORDS[name]))


ROW_KINDS = _stems("row_kinds")
GENERIC = _stems("generic") | ROW_KINDS
RECKONING = _stems("reckoning")
STATISTICS = _stems("statistics")
HIGHER_IS_BETTER = _stems("higher_is_better")
SUMMARIES = _stems("summaries")
SECONDARY = _stems("secondary")


@dataclass(frozen=True, slots=True)
class _Naming:
    """How a question names a head: the indices of its words there, and the words of the head that are not named."""

    head: Head
    indices: frozenset[int]
    missing: frozenset[str]
    tail: bool  # whether no word is missing behind one that is named, but in brackets


@dataclass(frozen=True, slots=True)
class TableCell:
    """The cell that a question names. `table_of` gives all passages of the table that a passage is part of."""

    table_of: Callable[[Passage], Sequence[Passage]]
    name = "table_cell"

    def propose(self, question: str, evidence: Sequence[Hit], reader: ChatModel, usage: Usage) -> Proposal | None:
        """As Rule.propose; the reader is not asked. The row may be of a passage that is not in the evidence."""
        cell = read_cell(question, self._whole_tables(evidence))
        if cell is None:
            return None
        # Of a long row the reader takes another cell for the answer as readily: it is shown this one and its heads.
        named = f"{cell.row} | {cell.column}: {cell.text}"
        claim = Claim(question, cell.answer, cell.quote.hit, named)
        return Proposal(cell.answer, (cell.quote,), (cell.text,), (claim,))

    def _whole_tables(self, hits: Sequence[Hit]) -> list[Hit]:
        """The evidence, with the rest of the tables in it behind."""
        known = {hit.passage.passage_id for hit in hits}
        rest = [p for hit in hits if hit.passage.kind == "table" for p in self.table_of(hit.passage)]
        new = {passage.passage_id: passage for passage in rest if passage.passage_id not in known}
        return [*hits, *(Hit(len(hits) + i, 0.0, passage) for i, passage in enumerate(new.values(), start=1))]


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
    tables = [table for table in tables_in(evidence) if not label or table.label == fold(f"Table {label[1]}")]
    found: list[Cell] = []
    for table in tables:
        try:
            cell = _read(rest, table)
        except Unclear:
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
    things = {stem(fold(word)) for word in words if word.islower()}  # a row may have a name that ends in s, Mars
    return not (_plurals(cell.column) & {stem(fold(word)) for word in words} or _plurals(cell.row) & things)


def _plurals(head: str) -> set[str]:
    """The stems of a head's nouns in the plural.

    >>> _plurals("Natural moons (confirmed)"), _plurals("Radius")
    ({'moon'}, set())
    """
    words = re.findall(r"[^\W\d_]+", fold(BRACKETS.sub(" ", head)))
    return {stem(word) for word in words if word in PLURALS or re.search(r"(?<![siu])s$", word)}


def _naming(head: Head, asked: Sequence[str]) -> _Naming:
    """How the question names a head, by the variant of which the least is missing."""
    return min(
        (_covered(head, variant, asked) for variant in head.variants),
        key=lambda named: (len(named.missing - head.loose), -len(named.indices), len(named.missing)),
    )


def _covered(head: Head, words: Sequence[str], asked: Sequence[str]) -> _Naming:
    """Words meet one by one, or a few as one: "Co-View" and "coview", "SciBERT" and "Sci-BERT"."""
    indices: set[int] = set()
    met: set[int] = set()
    for i, word in enumerate(words):
        for j, other in enumerate(asked):
            if means_same(word, other):
                indices.add(j)
                met.add(i)
    for few, one, of_head in ((words, asked, True), (asked, words, False)):
        joined = {stem("".join(few[i : i + n])): range(i, i + n) for n in (2, 3) for i in range(len(few) - n + 1)}
        for at, word in enumerate(one):
            if (run := joined.get(word)) is not None:
                (met if of_head else indices).update(run)
                (indices if of_head else met).add(at)
    missing = [i for i in range(len(words)) if i not in met]
    tail = all(words[i] in head.loose or i < min(met, default=0) for i in missing)
    return _Naming(head, frozenset(indices), frozenset(words[i] for i in missing), tail)


def _read(question: str, table: Table) -> Cell | None:
    """The cell of one table; None if it has none that is asked for, Unclear if it has several."""
    asked = words_in(question)
    heads = [row.head for row in table.rows] + list(table.columns)
    in_heads = {
        i for i, word in enumerate(asked) if word != "+" and any(_is_among(word, head.vocabulary) for head in heads)
    }
    if any(word in SUPERLATIVES and i not in in_heads for i, word in enumerate(asked)):
        return _read_extreme(question, asked, table, in_heads)
    rows = [_naming(row.head, asked) for row in table.rows]
    columns = _columns_named(asked, table)
    fits: list[tuple[TableRow, _Naming, _Naming]] = []
    for row, by in zip(table.rows, rows, strict=True):
        if by.missing - row.head.loose or not by.indices - _generic_indices(asked):
            continue
        for column in columns:
            own = by.indices - column.indices and column.indices - by.indices
            if own and _is_accounted_for(
                asked, by.indices | column.indices, in_heads, table, row.cell(column.head.text) or ""
            ):
                fits.append((row, by, column))
    if not fits:
        return None
    best = min(fits, key=lambda fit: len(fit[1].missing) + len(fit[2].missing))
    for fit in fits:
        if fit is not best and not (
            fit[1:] != best[1:] and _misses_less(best[1], fit[1]) and _misses_less(best[2], fit[2])
        ):
            raise Unclear
    if not _is_enough(best[2], table):
        return None
    text = best[0].cell(best[2].head.text)
    if text is None:
        raise Unclear
    return best[0].read(text, best[2].head.text)


def _misses_less(one: _Naming, other: _Naming) -> bool:
    """Whether of the one head nothing is missing that is not missing of the other; and of two heads, less."""
    if one.head.text == other.head.text:
        return True
    return one.tail and one.missing < other.missing and one.indices >= other.indices


def _is_among(word: str, vocabulary: Iterable[str]) -> bool:
    return any(means_same(other, word) for other in vocabulary)


def _generic_indices(asked: Sequence[str]) -> set[int]:
    return {i for i, word in enumerate(asked) if word in GENERIC}


def _columns_named(asked: Sequence[str], table: Table) -> list[_Naming]:
    """The columns that the question may mean, also by a part of their heads."""
    columns = [_naming(head, asked) for head in table.columns]
    return [named for named in columns if named.indices and not named.missing & SECONDARY]


def _is_enough(column: _Naming, table: Table) -> bool:
    """Whether what is named of a column is enough: all but the heads of groups, which it shares with others."""
    head, missing = column.head, column.missing
    if any(compound & missing and compound - missing for compound in head.compounds):
        return False
    others = [other.vocabulary for other in table.columns if other is not head]
    return all(any(word in other for other in others) for word in missing - head.loose)


def _is_accounted_for(
    asked: Sequence[str], indices: frozenset[int], in_heads: set[int], table: Table, text: str
) -> bool:
    """Whether each word of the question is one of the two heads', or says nothing, or what the table is about."""
    for i, word in enumerate(asked):
        if i in indices:
            continue
        if word == "+" or (word == "percent" and "%" in text) or (word in STATISTICS and word in table.caption):
            continue
        if i in in_heads or word in RECKONING or word in STATISTICS:
            return False
        if word not in GENERIC and (word not in table.scope or any(c.isdigit() for c in word)):
            return False
    return True


def _read_extreme(question: str, asked: Sequence[str], table: Table, in_heads: set[int]) -> Cell | None:
    """The row with the highest or lowest number of the column that is named, or that number."""
    says = [i for i, word in enumerate(asked) if word in SUPERLATIVES]
    of_rows = ROW_KINDS & set(asked)
    value = VALUE.match(fold(question)) and not of_rows
    kind = KIND.match(fold(question))
    if len(says) != 1 or not (value or (kind and stem(kind[1]) in of_rows)):
        return None
    fits = [
        column
        for column in _columns_named(asked, table)
        if column.indices - _generic_indices(asked)
        and _is_accounted_for(asked, column.indices | set(says), in_heads, table, "%")
    ]
    if not fits:
        return None
    best = min(fits, key=lambda fit: len(fit.missing))
    if any(fit is not best and not _misses_less(best, fit) for fit in fits):
        raise Unclear
    if not _is_enough(best, table):
        return None
    most = _wants_highest(asked[says[0]], best.head)
    rows = [row for row in table.rows if not set(row.head.variants[0]) <= SUMMARIES]
    numbers = [_number(row.cell(best.head.text)) for row in rows]
    if most is None or len(rows) < 2 or any(number is None for number in numbers):
        raise Unclear
    ranked = sorted(zip((n for n in numbers if n is not None), rows, strict=True), key=lambda p: p[0], reverse=most)
    row = ranked[0][1]
    if value:
        return row.read(row.cell(best.head.text) or "", best.head.text)
    name = re.sub(r"\s*\([^()]*\)$", "", row.head.text.strip(MARKS)).strip(MARKS)
    return row.name(name, best.head.text) if ranked[0][0] != ranked[1][0] and is_readable(name) else None


def _wants_highest(word: str, column: Head) -> bool | None:
    """Whether the highest number is asked for; None where it is not known which one is the best."""
    if word != BEST:
        return word in HIGHEST
    if "\u2193" in column.text or "\u2191" in column.text:
        return "\u2191" in column.text
    return True if {w.rstrip(".").split("@")[0] for w in column.vocabulary} & HIGHER_IS_BETTER else None


def _number(text: str | None) -> float | None:
    match = NUMBER.match(text or "")
    return float(re.sub("[\u2212\u2013]", "-", match[0]).replace(",", "")) if match else None
