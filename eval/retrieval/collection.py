"""A test collection: a corpus of passages, queries, and the judgements (qrels) of which passage answers which query."""

from __future__ import annotations

import re
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from eval.core.files import Record, read_records, read_text
from eval.retrieval.corpus import Entry
from rag.errors import DataError, UsageError

Item = TypeVar("Item", Entry, "Query")
Qrels = Mapping[str, Mapping[str, int]]  # query id -> passage id -> grade; above 0 is relevant
WHOLE = re.compile(r"[+-]?[0-9]+")
HIGHEST = 1000  # trec_eval keeps a count for every grade up to the largest: 2**40 ends the process (terrier 0.5.11)


@dataclass(frozen=True, slots=True)
class Query:
    """What is searched for, under its maker's id."""

    id: str
    text: str


@dataclass(frozen=True, slots=True)
class Collection:
    """Passages, the queries that have a judgement in the order of their file, and the judgements.

    `unjudged` counts the queries that were left out: without a judgement, nothing says what they should find.
    """

    entries: Sequence[Entry]
    queries: Sequence[Query]
    qrels: Qrels
    unjudged: int

    @property
    def empty(self) -> int:
        """How many passages have neither title nor text. They stay in the corpus, where no query should find them."""
        return sum(entry.is_empty for entry in self.entries)


def read_collection(corpus: Path, queries: Path, qrels: Path) -> Collection:
    """The collection of three files. UsageError for a file that is not there.

    Raises DataError for a file that holds something else, and for qrels of passages or queries that are not there.
    """
    entries, asked = read_corpus(corpus), read_queries(queries)
    judged = read_qrels(qrels, {entry.id for entry in entries})
    known = {query.id for query in asked}
    unknown = [identity for identity in judged if identity not in known]
    if unknown:
        more = f" (and {len(unknown) - 1} more)" if len(unknown) > 1 else ""
        raise DataError(f"{qrels}: query {unknown[0]!r:.60}{more} is not in {queries}. Name the qrels of these queries")
    kept = [query for query in asked if query.id in judged]
    return Collection(entries, kept, judged, len(asked) - len(kept))


def read_corpus(file: Path) -> list[Entry]:
    """The records of a corpus: `id` or `_id`, and a `title` and `text` that may be missing or empty.

    Raises UsageError without a file, DataError naming record and field of a broken one or of an id that is there twice.
    """
    return _unique([(record, _entry(record)) for record in read_records(file)])


def _entry(record: Record) -> Entry:
    title, text = ("" if record.fields.get(name) is None else record.get(str, name) for name in ("title", "text"))
    return Entry(_id(record), title, text)


def read_queries(file: Path) -> list[Query]:
    """The queries of a file: `id` or `_id`, and `text`, `query` or `question`, so that question files serve too.

    Raises UsageError without a file, DataError naming record and field of a broken one or of an id that is there twice.
    """
    return _unique([(record, _query(record)) for record in read_records(file)])


def _query(record: Record) -> Query:
    return Query(_id(record), record.text("text", "query", "question"))


def _id(record: Record) -> str:
    return record.text("id", "_id")


def _unique(items: Sequence[tuple[Record, Item]]) -> list[Item]:
    seen: dict[str, int] = {}
    for record, item in items:
        if item.id in seen:
            raise record.error(f"id {item.id!r:.60} stands in record {seen[item.id]} too")
        seen[item.id] = record.number
    return [item for _, item in items]


def read_qrels(file: Path, passage_ids: Container[str]) -> dict[str, dict[str, int]]:
    """Query id -> passage id -> grade, in the order of the file.

    The file has lines of query, passage and grade between tabs, the first of them a header as in BEIR's files (or
    none), or TREC's lines of query, 0, passage and grade between white space. It may be gzipped.
    Raises UsageError without a file; DataError naming line and field for a line of another shape, a passage that is not
    among `passage_ids`, and a pair with two grades; and DataError for a file without a judgement.
    """
    lines = [(i, line) for i, line in enumerate(read_text(file).split("\n"), start=1) if line.strip()]
    tabs = bool(lines) and lines[0][1].count("\t") == 2
    qrels: dict[str, dict[str, int]] = {}
    for index, (number, line) in enumerate(lines):
        where = f"{file}, line {number}"
        query, passage, grade = _fields(where, line, tabs)
        if not WHOLE.fullmatch(grade):
            if index == 0 and passage not in passage_ids:
                continue  # a header
            raise DataError(f"{where}: grade {grade!r:.60} is not a whole number. Mend the line, or name another file")
        if not query.strip():
            raise DataError(f"{where}: the query's id is empty. Mend the line, or name another file")
        if passage not in passage_ids:
            raise DataError(f"{where}: passage {passage!r:.60} is not in the corpus. Name the qrels of this corpus")
        if len(grade) > 20 or int(grade) > HIGHEST:
            raise DataError(f"{where}: grade {grade:.20} is above {HIGHEST:,}. Number the grades from 0 up")
        if qrels.setdefault(query, {}).setdefault(passage, int(grade)) != int(grade):
            raise DataError(
                f"{where}: grade {int(grade)} for query {query!r:.60} and passage {passage!r:.60}, "
                f"which has grade {qrels[query][passage]} above. Take one of the lines out"
            )
    if not qrels:
        raise DataError(f"{file}: holds no judgement. Name a file with at least one")
    return qrels


def _fields(where: str, line: str, tabs: bool) -> tuple[str, str, str]:
    """Query, passage and grade of a line."""
    fields = line.removesuffix("\r").split("\t" if tabs else None)
    if tabs and len(fields) == 3:
        return fields[0], fields[1], fields[2].strip()
    if not tabs and len(fields) == 4:
        return fields[0], fields[2], fields[3]
    shape = "the 3 (query, passage, grade) between tabs" if tabs else "TREC's 4 (query, 0, passage, grade)"
    other = "" if tabs else ", nor 3 (query, passage, grade) between tabs"
    raise DataError(
        f"{where}: the number of fields is {len(fields)}, not {shape}{other}. Mend the line, or name another file"
    )


def beir_files(folder: Path, split: str = "test") -> tuple[Path, Path, Path]:
    """Corpus, queries and qrels of a folder in BEIR's layout (Thakur et al. 2021), each gzipped or not.

    Raises UsageError for a folder that is not there or lacks one of them, and says what it has.
    """
    if not folder.is_dir():
        raise UsageError(f"{folder}: no such folder. Name one with corpus.jsonl, queries.jsonl and qrels/{split}.tsv")

    def one(name: str) -> Path:
        for file in (folder / name, folder / f"{name}.gz"):
            if file.is_file():
                return file
        present = sorted(str(file.relative_to(folder)) for file in (*folder.iterdir(), *folder.glob("qrels/*")))
        raise UsageError(
            f"{folder}: has no {name} or {name}.gz (it has {', '.join(present[:12]) or 'nothing'}). "
            "Name a folder in BEIR's layout, or name the files one by one"
        )

    return one("corpus.jsonl"), one("queries.jsonl"), one(f"qrels/{split}.tsv")
