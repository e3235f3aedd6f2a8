"""Questions as people ask them, each with the facts that a good answer holds: read, and what an answer is worth.

A record has id, kind (explain, list, summary, compare, define, fact, followup, unanswerable), question, and nuggets: a
fact is text, any_of (regular expressions, one of which an answer that has it matches), vital, doc, and where it stands
(page, second, or section and para). A followup has a history of {q, a}.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eval.core.files import Record, read_records

KINDS = ("explain", "list", "summary", "compare", "define", "fact", "followup", "unanswerable")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a fact stands: on a page, at a second, or in a section of a judgment (perhaps with its paragraph)."""

    page: int | None = None
    second: float | None = None
    section: str | None = None
    paragraph: int | None = None


@dataclass(frozen=True, slots=True)
class Nugget:
    """A fact. `patterns` are tried on an answer's text; `places` are all that are known to hold it."""

    text: str
    patterns: tuple[re.Pattern[str], ...]
    vital: bool
    document: str
    places: tuple[Place, ...]
    evidence: str = ""

    def stands_in(self, text: str) -> bool:
        """Whether a text, cleaned as open_scores.plain_text does, says it."""
        return any(pattern.search(text) for pattern in self.patterns)


@dataclass(frozen=True, slots=True)
class OpenQuestion:
    """`history` are the turns before (question, answer); `depends`: the question is not understood without them."""

    id: str
    kind: str
    question: str
    history: tuple[tuple[str, str], ...]
    depends: bool
    nuggets: tuple[Nugget, ...]
    names: Mapping[str, tuple[str, ...]]  # document -> other names of it that a citation may use
    wrong: tuple[re.Pattern[str], ...]  # what a typical wrong answer says

    @property
    def answerable(self) -> bool:
        return self.kind != "unanswerable"

    @property
    def row(self) -> str:
        """Its kind in reports: a followup that stands by itself is a kind of its own."""
        return "followup-indep" if self.kind == "followup" and not self.depends else self.kind


def read_open_questions(file: Path) -> list[OpenQuestion]:
    """The questions of a file. Raises UsageError where there is none, DataError naming the record that is wrong."""
    found: dict[str, OpenQuestion] = {}
    for record in read_records(file):
        question = _question(record)
        if question.id in found:
            raise record.error(f"id {question.id} stands there twice")
        found[question.id] = question
    return list(found.values())


def _question(record: Record) -> OpenQuestion:
    kind = record.text("kind")
    if kind not in KINDS:
        raise record.error(f"kind is {kind}, not one of {', '.join(KINDS)}")
    nuggets = tuple(_nugget(record, fields) for fields in record.get(list, "nuggets"))
    if bool(nuggets) == (kind == "unanswerable"):
        raise record.error("an unanswerable question has no nuggets, any other has some")
    history = record.fields.get("history") or ()
    if not all(isinstance(turn, Mapping) and isinstance(turn.get("q"), str) for turn in history):
        raise record.error("history is not a list of {q, a}")
    names = record.fields.get("titles") or {}
    return OpenQuestion(
        record.text("id"),
        kind,
        record.text("question"),
        tuple((turn["q"], str(turn.get("a") or "")) for turn in history),
        bool(record.fields.get("depends", True)),
        nuggets,
        {document: tuple(map(str, others)) for document, others in names.items()},
        _patterns(record, record.fields.get("must_not") or ()),
    )


def _nugget(record: Record, fields: Any) -> Nugget:
    if not isinstance(fields, Mapping) or not fields.get("any_of"):
        raise record.error("a nugget is not an object with any_of")
    return Nugget(
        str(fields.get("text", "")),
        _patterns(record, fields["any_of"]),
        bool(fields.get("vital", True)),
        str(fields.get("doc", "")),
        tuple(
            Place(place.get("page"), place.get("second"), place.get("section"), place.get("para"))
            for place in (fields, *fields.get("also", ()))
        ),
        str(fields.get("evidence", "")),
    )


def _patterns(record: Record, patterns: Sequence[str]) -> tuple[re.Pattern[str], ...]:
    try:
        return tuple(re.compile(pattern, re.IGNORECASE | re.DOTALL) for pattern in patterns)
    except (re.error, TypeError) as error:
        raise record.error(f"a pattern cannot be used: {error}") from error
