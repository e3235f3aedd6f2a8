"""Files of reading questions: JSON lines with question, context, label and answers. An error names file and record.

Each passage of `context` has a title and a text; an answer has its text, the number of its passage and its first
character there. `gold` are the strings to compare with, where they are other than the answers; `supporting` the
passages that serve the question, each [passage, sentence or null].
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from eval.core.files import Record, read_records
from eval.core.withheld import check_not_withheld, is_withheld
from eval.reading.claim_records import claim_of, is_claim
from rag.span.windows import PassageText
from rag.train.reading.claims import LabelledClaim
from rag.train.reading.reading_questions import GoldSpan, Label, ReadingQuestion

LABELS = get_args(Label)


@dataclass(frozen=True, slots=True)
class Records:
    """What a file of reading data holds: questions and claims."""

    questions: list[ReadingQuestion]
    claims: list[LabelledClaim]


def read_file(file: Path) -> Records:
    """The records of a file, but the questions whose answer is several spans together (`multi`).

    Raises DataError for a record with a wrong offset or without a field, UsageError for a file that is not there.
    """
    claims, questions = list[LabelledClaim](), list[ReadingQuestion]()
    for record in read_records(file):
        if is_claim(record):
            claims.append(claim_of(record))
        elif not record.fields.get("multi"):
            questions.append(question_of(record))
    return Records(questions, claims)


def read_for_training(files: Sequence[Path]) -> Records:
    """The questions and the claims of all files, but those that we measure on.

    Raises UsageError for a file that holds such a benchmark, and as read_file.
    """
    found = Records([], [])
    for file in files:
        check_not_withheld(file)
        records = read_file(file)
        found.questions.extend(question for question in records.questions if not is_withheld(question.question))
        found.claims.extend(claim for claim in records.claims if not is_withheld(claim.claim))
    return found


def question_of(record: Record) -> ReadingQuestion:
    """A record as a question. Passages without any title are pieces of one text, and are read as one."""
    label: Any = record.text("label")
    if label not in LABELS:
        raise record.error(f"label is {label}, not one of {', '.join(LABELS)}")
    passages = tuple(_passage(record, value) for value in record.get(list, "context"))
    if not passages:
        raise record.error("context has no passage")
    answers = [(value, _span(record, value, passages)) for value in record.fields.get("answers") or []]
    if (label == "span") != bool(answers):
        raise record.error(f"label is {label}, and there are {len(answers)} answers")
    spans = tuple(span for _, span in answers)
    relevant = _relevant(record, label, spans, len(passages))
    if not spans and len(passages) > 1 and not any(passage.title for passage in passages):
        passages, relevant = (PassageText("", " ".join(passage.text for passage in passages)),), frozenset({0})
    golds = tuple(record.fields.get("gold") or [value["text"] for value, _ in answers])
    return ReadingQuestion(
        id=record.text("id"),
        source=record.text("source"),
        question=record.text("question"),
        passages=passages,
        label=label,
        spans=spans,
        golds=tuple(dict.fromkeys(golds)) if label == "span" else ("",) if label == "unanswerable" else (label,),
        relevant=None if label == "unanswerable" else relevant,
    )


def _passage(record: Record, value: Any) -> PassageText:
    if not isinstance(value, dict) or not all(isinstance(value.get(name, ""), str) for name in ("title", "text")):
        raise record.error("a passage of context is no object with a title and a text")
    if not value.get("text"):
        raise record.error("a passage of context has no text")
    return PassageText(value.get("title") or "", value["text"])


def _span(record: Record, value: Any, passages: Sequence[PassageText]) -> GoldSpan:
    try:
        passage, start, text = value["context"], value["start"], value["text"]
        right = text and passage >= 0 and start >= 0 and passages[passage].text[start : start + len(text)] == text
    except (KeyError, IndexError, TypeError):
        right = False
    if not right:
        raise record.error(f"answer {value} does not stand at its offset in its passage")
    return GoldSpan(passage, start, start + len(text))


def _relevant(record: Record, label: str, spans: Sequence[GoldSpan], passages: int) -> frozenset[int]:
    """The supporting passages and those of the answers; all of them where neither is known."""
    try:
        named = {int(passage) for passage, _ in record.fields.get("supporting") or []}
    except (TypeError, ValueError) as error:
        raise record.error("supporting is no list of [passage, sentence]") from error
    if not named <= set(range(passages)):
        raise record.error(f"supporting names passages {sorted(named)} of {passages}")
    return frozenset(named | {span.passage for span in spans}) or frozenset(range(passages))
