"""A correction as it is made: with what its passage has to say about it; and as data for `eval open` and training."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Literal, get_args

from rag.errors import UsageError
from rag.index.manager import Indexes
from rag.library.kept.corrections import Corrections
from rag.read.corrected.near_corrections import contradicts
from rag.records import Correction, Passage
from rag.span.span_model import shared_span_model

Format = Literal["open", "sparse", "reader"]
FORMATS: tuple[Format, ...] = get_args(Format)
Json = dict[str, Any]


def correct(
    indexes: Indexes, owner: str, question: str, answer: str, reason: str = "", wrong: str = "", passage_id: str = "",
    quote: str = "",
) -> Correction:  # fmt: skip
    """Keep a correction, after its passage was asked whether it says otherwise. Raises UsageError, LibraryError."""
    passage = indexes.library.passages([passage_id]).get(passage_id) if passage_id else None
    if passage_id and passage is None:
        raise UsageError(f"passage {passage_id[:60]!r} is not in this library. Leave it out, or name another")
    says_otherwise = None
    if passage is not None and answer.strip():
        name = indexes.settings.extract.model
        model = shared_span_model(name) if name else None
        says_otherwise = contradicts(question, answer.strip(), wrong.strip(), passage.text, model)
    kept = Corrections(indexes.library.folder)
    return kept.add(owner, question, answer, reason, wrong, passage_id, quote, says_otherwise)


def exported(corrections: Iterable[Correction], passages: Mapping[str, Passage], kind: str) -> list[Json]:
    """Records, one a correction, oldest first: questions of `eval open`, `train sparse` or `train reader`.

    The latter two need the passage: a correction without one, or whose passage is gone, is left out; of `reader` also
    one whose passage does not have the answer's words. Raises UsageError for another format.
    """
    if kind not in FORMATS:
        raise UsageError(f"export {kind}: choose one of {', '.join(FORMATS)}")
    make = {"open": _open, "sparse": _sparse, "reader": _reader}[kind]
    ordered = sorted(corrections, key=lambda each: (each.created, each.correction_id))
    made = (make(each, passages.get(each.passage_id)) for each in ordered)
    return [record for record in made if record is not None]


def _open(correction: Correction, passage: Passage | None) -> Json:
    words = r"\s+".join(map(re.escape, correction.answer.split()))
    nugget: Json = {"text": correction.answer, "any_of": [words], "vital": True}
    return {
        "id": correction.correction_id, "kind": "fact", "question": correction.question, "scope": [],
        "nuggets": [nugget],
    }  # fmt: skip


def _sparse(correction: Correction, passage: Passage | None) -> Json | None:
    """As HotpotQA's records: one paragraph, which is the evidence."""
    if passage is None:
        return None
    return {
        "_id": correction.correction_id, "question": correction.question, "answer": correction.answer,
        "type": "correction", "level": "", "supporting_facts": [[passage.title, 0]],
        "context": [[passage.title, [passage.text]]],
    }  # fmt: skip


def _reader(correction: Correction, passage: Passage | None) -> Json | None:
    at = passage.text.casefold().find(correction.answer.casefold()) if passage is not None else -1
    if passage is None or at < 0:
        return None
    text = passage.text[at : at + len(correction.answer)]
    return {
        "id": correction.correction_id, "source": "correction", "licence": "the user's own",
        "question": correction.question, "label": "span",
        "context": [{"title": passage.title, "text": passage.text}],
        "answers": [{"text": text, "context": 0, "start": at}],
    }  # fmt: skip
