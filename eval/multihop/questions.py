"""Questions over several paragraphs: files of HotpotQA, 2WikiMultihopQA and MuSiQue, as their makers publish them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eval.core.files import Record, read_records
from eval.retrieval.corpus import Entry
from rag.errors import DataError

Fact = tuple[str, int]  # a paragraph's title, and a sentence's index in it (from 0), as the benchmarks write it


@dataclass(frozen=True, slots=True)
class ContextParagraph:
    """One paragraph of a question's context; its text is its sentences joined."""

    title: str
    sentences: tuple[str, ...]

    @property
    def text(self) -> str:
        """HotpotQA's sentences bring their own blanks; where a file's do not, one is put in.

        >>> ContextParagraph("t", ("One.", " Two.", "Three.")).text
        'One. Two. Three.'
        """
        text = ""
        for sentence in self.sentences:
            blank = text and sentence and not text[-1].isspace() and not sentence[0].isspace()
            text += (" " if blank else "") + sentence
        return text

    @property
    def entry(self) -> Entry:
        """The paragraph as a record of a corpus; the same words under the same title are one record."""
        digest = hashlib.sha256(f"{self.title}\n{self.text}".encode()).hexdigest()
        return Entry(digest[:16], self.title, self.text)


@dataclass(frozen=True, slots=True)
class Question:
    """`answers`: the gold answer, then its aliases. `gold`: which paragraphs bear it, as places in `paragraphs`.

    `facts` are the gold sentences, None where the file tells only paragraphs. `gold_titles` names also the gold
    paragraphs that are not in the context (HotpotQA's fullwiki files). `kind` is the question's type, or "".
    """

    id: str
    question: str
    answers: tuple[str, ...]
    kind: str
    paragraphs: tuple[ContextParagraph, ...]
    gold: tuple[int, ...]
    gold_titles: tuple[str, ...]
    facts: frozenset[Fact] | None

    @property
    def stratum(self) -> str:
        """What a fair sample must keep the shares of: the type, and whether the answer is yes or no."""
        return f"{self.kind} yes/no".strip() if self.answers[0].strip().lower() in ("yes", "no") else self.kind


@dataclass(frozen=True, slots=True)
class Benchmark:
    """The questions of a file and which benchmark's they are: "hotpotqa", "2wiki" or "musique"."""

    name: str
    questions: tuple[Question, ...]


def read_questions(file: Path) -> Benchmark:
    """Every question of a file. Raises UsageError without a file, DataError naming record and field of a broken one."""
    records = read_records(file)
    name, read = _kind(records[0])
    questions = tuple(read(record) for record in records)
    seen: dict[str, int] = {}
    for record, question in zip(records, questions, strict=True):
        if question.id in seen:
            raise record.error(f"id {question.id} stands in record {seen[question.id]} too")
        seen[question.id] = record.number
    return Benchmark(name, questions)


def _kind(record: Record) -> tuple[str, Any]:
    fields = record.fields
    if "paragraphs" in fields:
        return "musique", _musique
    if "context" in fields:
        return ("2wiki" if "evidences" in fields else "hotpotqa"), _hotpotqa
    raise DataError(
        f"{record.file}, record {record.number}: has neither context nor paragraphs, so it is no question of HotpotQA, "
        f"2WikiMultihopQA or MuSiQue (its fields: {', '.join(list(fields)[:8])}). Name another file"
    )


def _hotpotqa(record: Record) -> Question:
    paragraphs = tuple(_paragraph(record, i, value) for i, value in enumerate(record.get(list, "context")))
    titles = [paragraph.title for paragraph in paragraphs]
    if record.fields.get("supporting_facts") is None and "supporting_titles" in record.fields:
        facts, gold_titles = None, tuple(dict.fromkeys(_texts(record, "supporting_titles")))
    else:
        pairs = [_fact(record, i, value) for i, value in enumerate(record.get(list, "supporting_facts"))]
        facts, gold_titles = frozenset(pairs), tuple(dict.fromkeys(title for title, _ in pairs))
    if not gold_titles:
        raise record.error("supporting_facts is empty")
    return Question(
        record.text("_id", "id"),
        record.text("question"),
        (record.text("answer"),),
        str(record.fields.get("type") or ""),
        paragraphs,
        tuple(titles.index(title) for title in gold_titles if title in titles),
        gold_titles,
        facts,
    )


def _paragraph(record: Record, place: int, value: Any) -> ContextParagraph:
    match value:
        case [str(title), list(sentences)] if all(isinstance(sentence, str) for sentence in sentences):
            return ContextParagraph(title, tuple(sentences))
    raise record.error(f"context[{place}] is not [title, [sentence, ...]]")


def _fact(record: Record, place: int, value: Any) -> Fact:
    match value:
        case [str(title), int(index)] if not isinstance(index, bool):
            return title, index
    raise record.error(f"supporting_facts[{place}] is not [title, sentence index]")


def _texts(record: Record, name: str) -> list[str]:
    values = record.get(list, name)
    if not all(isinstance(value, str) for value in values):
        raise record.error(f"{name} holds something that is not text")
    return values


def _musique(record: Record) -> Question:
    paragraphs, gold = [], []
    for i, value in enumerate(record.get(list, "paragraphs")):
        match value:
            case {"title": str(title), "paragraph_text": str(text)}:
                paragraphs.append(ContextParagraph(title, (text,)))
            case _:
                raise record.error(f"paragraphs[{i}] has no title and paragraph_text")
        if value.get("is_supporting"):
            gold.append(i)
    if not gold:
        raise record.error("no paragraph has is_supporting")
    aliases = [] if record.fields.get("answer_aliases") is None else _texts(record, "answer_aliases")
    identity = record.text("id", "_id")
    return Question(
        identity,
        record.text("question"),
        (record.text("answer"), *aliases),
        identity.split("_")[0],  # "2hop", "3hop1", ...: the shape of the chain
        tuple(paragraphs),
        tuple(gold),
        tuple(paragraphs[i].title for i in gold),
        None,
    )


def sample(questions: Sequence[Question], limit: int | None, seed: int) -> list[Question]:
    """`limit` of the questions in the file's order, each stratum with its share; the same for a seed.

    A smaller sample is part of a larger one: each stratum is shuffled by a hash of seed and id, spread evenly over
    0..1, and the smallest places are taken.
    """
    if limit is None or limit >= len(questions):
        return list(questions)
    strata: dict[str, list[Question]] = {}
    for question in questions:
        strata.setdefault(question.stratum, []).append(question)
    places: dict[str, tuple[float, str]] = {}
    for subset in strata.values():
        shuffled = sorted(subset, key=lambda question: _shuffle(question.id, seed))
        for i, question in enumerate(shuffled):
            places[question.id] = ((i + 0.5) / len(subset), _shuffle(question.id, seed))
    taken = set(sorted(places, key=places.__getitem__)[:limit])
    return [question for question in questions if question.id in taken]


def _shuffle(identity: str, seed: int) -> str:
    return hashlib.sha256(f"{seed}:{identity}".encode()).hexdigest()
