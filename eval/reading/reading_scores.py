"""What a reading model's answers are worth: EM, F1, yes or no, "not here", and whether its probability can be believed.

EM and F1 are SQuAD 2.0's (Rajpurkar et al. 2018, the official script): the best over the gold answers after its
normalisation, and 1 or 0 where there is no answer. `f1_no_answer` is the F1 of the unanswerable questions alone,
`accuracy` that of the questions of yes or no, where any other answer is wrong, and of claims, of which a text supports,
refutes or leaves open each. `auc` is the chance that a right answer (EM 1) has a higher probability than a wrong one.
R@2 and R@5, of questions with more passages than that: the share of the passages that serve a question among the first
by relevance.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from eval.core.bootstrap import summarise
from eval.core.calibration_scores import auc, bootstrap_interval
from eval.reading.reading_records import Records
from rag.errors import ModelError
from rag.span.claim_support import Verdict, verdicts
from rag.span.span_model import SpanModel
from rag.span.span_reader import SpanAnswer, read_spans
from rag.train.reading.claims import LabelledClaim, is_held_out_claim
from rag.train.reading.reading_questions import ReadingQuestion, answer_scores, is_held_out

Scores = dict[str, float | None]
AT_ONCE = 32  # questions whose windows share batches


@dataclass(frozen=True, slots=True)
class Scored:
    """What one answer or verdict is worth: its measures, whether it is right, and the probability that it was given."""

    source: str
    scores: Scores
    right: bool
    probability: float


def learnt_files(model: Path) -> list[str]:
    """Names of the files that a model was trained from; none without a record. ModelError for a damaged one."""
    record = model / "trained.json"
    try:
        files = json.loads(record.read_text("utf-8"))["data"]["files"] if record.is_file() else []
        return [str(file) for file in files]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(f"{record}: not the record of a training: {error}. Train it again") from error


def not_learnt(records: Records, file: Path, model: Path) -> Records:
    """The questions and claims of a file that a model may be measured on: where it was trained from a file of this
    name, those that its training held out."""
    if file.name not in learnt_files(model):
        return records
    return Records(
        [question for question in records.questions if is_held_out(question)],
        [claim for claim in records.claims if is_held_out_claim(claim)],
    )


def run(records: Records, model: SpanModel, seed: int, report: Callable[[int, int, str], None]) -> dict[str, Any]:
    """The command line's JSON: metrics and intervals over all questions and claims and by source, passages a second."""
    questions, claims = records.questions, records.claims
    scored: list[Scored] = []
    began = time.monotonic()
    for first in range(0, len(questions), AT_ONCE):
        subset = questions[first : first + AT_ONCE]
        answers = read_spans(model, [(question.question, question.passages) for question in subset])
        for question, answer in zip(subset, answers, strict=True):
            scores = scores_of(question, answer)
            scored.append(Scored(question.source, scores, scores["em"] == 1, answer.probability))
        report(len(scored), len(questions) + len(claims), "")
    for first in range(0, len(claims), AT_ONCE):
        some = claims[first : first + AT_ONCE]
        said = verdicts(model, [claim.claim for claim in some], [claim.text for claim in some])
        scored += [scored_claim(claim, each) for claim, each in zip(some, said, strict=True)]
        report(len(scored), len(questions) + len(claims), "")
    seconds = time.monotonic() - began
    read = sum(len(question.passages) for question in questions) + len(claims)
    by_source = {
        source: [each for each in scored if each.source == source] for source in sorted({s.source for s in scored})
    }
    return {
        "task": "reading",
        **_summary(scored, seed),
        "sources": {source: _summary(subset, seed) for source, subset in by_source.items()},
        "passages_per_second": round(read / max(seconds, 1e-9), 1),
    }


def scored_claim(claim: LabelledClaim, said: Mapping[Verdict, float]) -> Scored:
    """A claim's verdict: of a binary claim, whether it is supported or not is all that is asked."""
    if claim.binary:
        supported = said["supports"] >= 0.5
        right = supported == (claim.verdict == "supports")
        return Scored(claim.source, {"accuracy": float(right)}, right, max(said["supports"], 1 - said["supports"]))
    verdict = max(said, key=lambda each: said[each])
    return Scored(claim.source, {"accuracy": float(verdict == claim.verdict)}, verdict == claim.verdict, said[verdict])


def scores_of(question: ReadingQuestion, answer: SpanAnswer) -> Scores:
    """The measures of one answer, None where one does not apply."""
    em, f1 = answer_scores(answer, question)
    relevant = question.relevant or frozenset()
    ranked = sorted(range(len(question.passages)), key=lambda i: -answer.relevance[i])
    return {
        "em": em,
        "f1": f1,
        "f1_no_answer": f1 if question.label == "unanswerable" else None,
        "accuracy": float(answer.kind == question.label) if question.label in ("yes", "no") else None,
        **{
            f"R@{k}": len(relevant & set(ranked[:k])) / len(relevant) if relevant and len(ranked) > k else None
            for k in (2, 5)
        },
    }


def _summary(scored: Sequence[Scored], seed: int) -> dict[str, Any]:
    """n, metrics and intervals."""
    names = dict.fromkeys(name for each in scored for name in each.scores)
    metrics, intervals = summarise([{name: each.scores.get(name) for name in names} for each in scored], seed)
    right = np.asarray([each.right for each in scored])
    probabilities = np.asarray([each.probability for each in scored])
    if right.any() and not right.all():
        metrics["auc"] = auc(right, probabilities)
        intervals["auc"] = bootstrap_interval(auc, right, probabilities, seed)
    return {"n": len(scored), "metrics": metrics, "intervals": intervals}


def reading_text(result: dict[str, Any]) -> str:
    """A line a source and measure."""
    lines = []
    for name, part in [("all", result), *(result["sources"].items() if len(result["sources"]) > 1 else [])]:
        lines.append(f"{name}, {part['n']} records")
        for measure, value in part["metrics"].items():
            low, high = part["intervals"][measure]
            lines.append(f"  {measure:14} {value:.3f} [{low:.3f}, {high:.3f}]")
    return "\n".join([*lines, f"{result['passages_per_second']} passages a second, {result['seconds']} s in all"])
