"""`glossator eval what-if`: of right answers, how many change with what decides them, and with a random edit."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from eval.core.bootstrap import bootstrap_interval
from eval.core.metrics import contains_gold
from eval.multihop.questions import Question
from rag.explain import what_if
from rag.index.manager import NothingIndexed
from rag.llm.chat import ChatModel, Usage
from rag.locator import FIRST_PAGE
from rag.pipeline import Pipeline
from rag.protocols import Report, silent
from rag.read.quotes import choose_quotes
from rag.read.strategies import Reading, redraft
from rag.records import Answer, Citation, Hit, Passage
from rag.settings import Settings

OTHERS = 1  # paragraphs beside the gold ones
Json = dict[str, Any]


def hits_of(question: Question) -> list[Hit]:
    """The gold paragraphs of a question and OTHERS of the others, as they stand in the file."""
    rest = [i for i in range(len(question.paragraphs)) if i not in question.gold][:OTHERS]
    hits = []
    for rank, i in enumerate(sorted({*question.gold, *rest}), start=1):
        paragraph = question.paragraphs[i]
        key = f"p{i}"
        hits.append(
            Hit(rank, 1.0, Passage(f"{key}#0", key, paragraph.title, "", paragraph.text, 0, len(paragraph.text)))
        )
    return hits


def answered(question: Question, reader: ChatModel, settings: Settings) -> Answer:
    """The reader's answer from these passages, with its quotes as citations."""
    hits = hits_of(question)
    reading = Reading(
        question.question, reader, settings.reader, lambda query: [], list, lambda shown: {}, tuple(hits), Usage()
    )
    draft = redraft(reading, "direct")
    citations = tuple(
        Citation("[1]", quote.hit.passage.passage_id, quote.hit.passage.document_id, "", quote.hit.passage.title,
                 FIRST_PAGE, quote.text, quote.start, quote.end)
        for quote in choose_quotes(question.question, draft, hits, most=2)
    )  # fmt: skip
    return Answer(question.question, draft, False, (), citations, tuple(hits), None, reader.name, settings.hash)


def run(
    questions: Sequence[Question], reader: ChatModel, settings: Settings, wanted: int, seed: int = 0,
    report: Report = silent,
) -> Json:  # fmt: skip
    """Of the first `wanted` right answers that hold something to change; others are counted and left out."""
    began = time.monotonic()
    pipeline = Pipeline(NothingIndexed(), reader, lambda passage, start, end: FIRST_PAGE, "", settings)
    decisive, controls, stays, rows = list[float](), list[float](), 0, list[Json]()
    asked = right = nothing = readings = 0
    for question in questions:
        if len(decisive) == wanted:
            break
        asked += 1
        report("right answers", len(decisive), wanted)
        answer = answered(question, reader, settings)
        if not contains_gold(answer.answer, question.answers):
            continue
        right += 1
        found = what_if(answer, pipeline, "direct").what_if
        if found is None or not found.changes:
            nothing += 1
            continue
        readings += found.readings
        flipped = any(change.flipped for change in found.changes if change.decisive)
        decisive.append(float(flipped))
        controls += [float(change.flipped) for change in found.changes if not change.decisive]
        stays += not flipped and found.from_memory == found.baseline
        rows.append({
            "question": question.question, "answer": found.baseline, "from_memory": found.from_memory,
            "changes": [{"old": c.old, "new": c.new, "answer": c.answer, "flipped": c.flipped, "decisive": c.decisive}
                        for c in found.changes],
        })  # fmt: skip
    return {
        "task": "what-if", "asked": asked, "right": right, "nothing_to_change": nothing, "n": len(decisive),
        "controls": len(controls), "from_memory": stays, "readings": round(readings / max(len(decisive), 1), 2),
        "metrics": {"decisive": _mean(decisive), "random": _mean(controls)},
        "intervals": {"decisive": _interval(decisive, seed), "random": _interval(controls, seed)},
        "questions": rows, "seconds": round(time.monotonic() - began, 1),
    }  # fmt: skip


def _mean(values: Sequence[float]) -> float:
    return round(sum(values) / max(len(values), 1), 4)


def _interval(values: Sequence[float], seed: int) -> list[float]:
    return [round(value, 4) for value in bootstrap_interval(values, seed)]


def what_if_text(result: Json) -> str:
    metrics, intervals = result["metrics"], result["intervals"]
    return "\n".join([
        f"{result['n']} of {result['right']} right answers ({result['asked']} questions) hold something to change",
        f"changed with what decides: {metrics['decisive']:.2f} {intervals['decisive']}",
        f"changed with a random edit of the same kind: {metrics['random']:.2f} {intervals['random']} "
        f"(n = {result['controls']})",
        f"from memory: {result['from_memory']}; {result['readings']} readings each",
    ])  # fmt: skip
