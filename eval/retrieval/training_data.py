"""Training files of benchmarks as passages and pairs: HotpotQA, 2WikiMultihopQA and MuSiQue, and BEIR's train split."""

from __future__ import annotations

import hashlib
import html
import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from eval.core.files import read_records
from eval.core.withheld import check_not_withheld, is_withheld
from eval.multihop.questions import read_questions
from eval.retrieval.collection import beir_files, read_corpus, read_qrels
from rag.errors import DataError, UsageError
from rag.records import Passage
from rag.train.sparse.pairs import Pair

log = logging.getLogger(__name__)

GIVEN = "given"  # the source of a pair whose query somebody else wrote
TRAIN = "train"  # BEIR's name of the split


@dataclass(slots=True)
class _Pool:
    """Passages so far, each once, a title's passages being one document; and pairs with indexes in them."""

    indexes: dict[tuple[str, str], int] = field(default_factory=dict)  # (title, text) -> index in passages
    passages: list[Passage] = field(default_factory=list)
    pairs: list[Pair] = field(default_factory=list)
    parts: dict[str, int] = field(default_factory=dict)  # document -> how many passages it has
    left_out: int = 0  # questions of the file at hand that we measure on

    def index(self, title: str, text: str) -> int:
        title, text = html.unescape(title).strip(), html.unescape(text).strip()
        if (title, text) not in self.indexes:
            document = hashlib.sha256((title or text).encode()).hexdigest()[:16]
            ordinal = self.parts.get(document, 0)
            self.parts[document] = ordinal + 1
            self.indexes[title, text] = len(self.passages)
            self.passages.append(Passage(f"{document}#{ordinal}", document, title, "", text, 0, len(text)))
        return self.indexes[title, text]

    def ask(self, query: str, positives: Iterable[int]) -> None:
        if is_withheld(query):
            self.left_out += 1
        else:
            self.pairs.append(Pair(" ".join(query.split()), tuple(sorted(set(positives))), GIVEN))


def read_training_data(files: Sequence[Path]) -> tuple[list[Passage], list[Pair]]:
    """The passages of all files, pooled without repetition, and their questions with the passages that answer them.

    A file of questions with paragraphs gives all its paragraphs; a folder in BEIR's layout its corpus, and of its
    queries those of qrels/train.tsv. `positives` are indexes into the passages. Passages
    without title and text are left out.
    Questions that we measure on are left out, with a warning.
    Raises UsageError for what is not there or is withheld (withheld.py), DataError naming record and field of a broken
    one, and for a query of another split.
    """
    pool = _Pool()
    for file in files:
        check_not_withheld(file)
        asked, pool.left_out = len(pool.pairs), 0
        (_read_beir if file.is_dir() else _read_questions)(file, pool)
        if pool.left_out:
            warning = f"--data {file}: encoders are measured on {pool.left_out} of its questions"
            if len(pool.pairs) == asked:
                raise UsageError(f"{warning}, and there are no others. Name a training file")
            log.warning("%s, which are left out", warning)
    return pool.passages, pool.pairs


def _read_questions(file: Path, pool: _Pool) -> None:
    """A question without a gold paragraph among its own cannot be trained on; its paragraphs still are passages."""
    for question in read_questions(file).questions:
        indexes = [pool.index(paragraph.title, paragraph.text) for paragraph in question.paragraphs]
        if question.gold:
            pool.ask(question.question, (indexes[i] for i in question.gold))


def _read_beir(folder: Path, pool: _Pool) -> None:
    files = beir_files(folder, TRAIN)
    for file in files:
        check_not_withheld(file)
    corpus, queries, judged = files
    entries = read_corpus(corpus)
    indexes = {entry.id: pool.index(entry.title, entry.text) for entry in entries if not entry.is_empty}
    qrels = read_qrels(judged, {entry.id for entry in entries})
    asked = {record.text("id", "_id"): record for record in read_records(queries)}
    for identity, grades in qrels.items():
        if identity not in asked:
            raise DataError(f"{judged}: query {identity!r:.60} is not in {queries}. Name the qrels of these queries")
        record = asked[identity]
        split = record.fields.get("split", TRAIN)
        if split != TRAIN:
            raise record.error(f"split is {split!r:.20}, but {judged} has its query {identity!r:.60}")
        positives = [indexes[passage] for passage, grade in grades.items() if grade > 0 and passage in indexes]
        if positives:
            pool.ask(record.text("text", "query", "question"), positives)
