"""What a reading model's answers are worth: EM, F1, yes or no, "not here", and whether its probability can be believed.

EM and F1 are SQuAD 2.0's (Rajpurkar et al. 2018, the official script): the best over the gold answers after its
normalisation, and 1 or 0 where there is no answer. `f1_no_answer` is the F1 of the unanswerable questions alone,
`accuracy` that of the questions of yes or no, where any other answer is wrong. `auc` is the chance that a right answer
(EM 1) has a higher probability than a wrong one. R@2 and R@5, of questions with more passages than that: the share of
the passages that serve a question among the first by relevance.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eval.core.bootstrap import summarise
from rag.errors import ModelError
from rag.span.span_model import SpanModel
from rag.span.span_reader import SpanAnswer, read_spans
from rag.train.reading.reading_questions import ReadingQuestion, answer_scores, is_held_out

Scores = dict[str, float | None]
AT_ONCE = 32  # questions whose windows share batches
DRAWS = 1000  # of the bootstrap of the AUC


def not_learnt(questions: Sequence[ReadingQuestion], file: Path, model: Path) -> list[ReadingQuestion]:
    """The questions of a file that a model may be measured on: where it was trained from a file of this name, those
    that its training held out. Raises ModelError for a damaged record."""
    record = model / "trained.json"
    try:
        files = json.loads(record.read_text("utf-8"))["data"]["files"] if record.is_file() else []
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(f"{record}: not the record of a training: {error}. Train it again") from error
    return [question for question in questions if file.name not in files or is_held_out(question)]


def run(
    questions: Sequence[ReadingQuestion], model: SpanModel, seed: int, report: Callable[[int, int, str], None]
) -> dict[str, Any]:
    """The command line's JSON: metrics and intervals over all questions and by source, passages a second."""
    answers: list[SpanAnswer] = []
    began = time.monotonic()
    for first in range(0, len(questions), AT_ONCE):
        subset = questions[first : first + AT_ONCE]
        answers += read_spans(model, [(question.question, question.passages) for question in subset])
        report(len(answers), len(questions), "")
    seconds = time.monotonic() - began
    scores = [scores_of(question, answer) for question, answer in zip(questions, answers, strict=True)]
    sources = dict.fromkeys(question.source for question in questions)
    of_source = {
        name: [i for i, question in enumerate(questions) if question.source == name] for name in sorted(sources)
    }
    return {
        "task": "reading",
        **_summary(answers, scores, range(len(questions)), seed),
        "sources": {name: _summary(answers, scores, subset, seed) for name, subset in of_source.items()},
        "passages_per_second": round(sum(len(q.passages) for q in questions) / max(seconds, 1e-9), 1),
    }


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


def auc(right: NDArray[np.bool_], probabilities: NDArray[np.float64]) -> float:
    """The chance that a right answer has a higher probability than a wrong one, ties half (Mann and Whitney 1947).

    0.5 where all are right or all wrong.

    >>> auc(np.asarray([True, False, True]), np.asarray([0.9, 0.5, 0.5]))
    0.75
    """
    positives, negatives = probabilities[right], np.sort(probabilities[~right])
    if not len(positives) or not len(negatives):
        return 0.5
    below = np.searchsorted(negatives, positives, "left") + np.searchsorted(negatives, positives, "right")
    return float(below.mean() / 2 / len(negatives))


def _summary(
    answers: Sequence[SpanAnswer], scores: Sequence[Scores], subset: Sequence[int], seed: int
) -> dict[str, Any]:
    """n, metrics and intervals of some of the questions."""
    metrics, intervals = summarise([scores[i] for i in subset], seed)
    right = np.asarray([scores[i]["em"] == 1 for i in subset])
    probabilities = np.asarray([answers[i].probability for i in subset])
    if right.any() and not right.all():
        draw = np.random.default_rng(seed)
        drawn = [draw.integers(0, len(subset), len(subset)) for _ in range(DRAWS)]
        low, high = np.percentile([auc(right[rows], probabilities[rows]) for rows in drawn], [2.5, 97.5])
        metrics["auc"], intervals["auc"] = auc(right, probabilities), [round(float(low), 4), round(float(high), 4)]
    return {"n": len(subset), "metrics": metrics, "intervals": intervals}


def reading_text(result: dict[str, Any]) -> str:
    """A line a source and measure."""
    lines = []
    for name, part in [("all", result), *(result["sources"].items() if len(result["sources"]) > 1 else [])]:
        lines.append(f"{name}, {part['n']} questions")
        for measure, value in part["metrics"].items():
            low, high = part["intervals"][measure]
            lines.append(f"  {measure:14} {value:.3f} [{low:.3f}, {high:.3f}]")
    return "\n".join([*lines, f"{result['passages_per_second']} passages a second, {result['seconds']} s in all"])
