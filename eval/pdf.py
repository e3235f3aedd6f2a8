"""Question answering over PDFs: is the gold page among the first hits, is the answer right, does it cite that page?"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from eval.bootstrap import bootstrap_interval, percentile
from eval.metrics import contains_gold
from ingest.build import build
from rag.answer import Road, ask
from rag.errors import UsageError
from rag.indexes import Indexes
from rag.interfaces import Report, silent
from rag.library import Library
from rag.records import Answer
from rag.settings import Settings


@dataclass(frozen=True, slots=True)
class Question:
    """One line of a questions file: the answer stands on `page` (1-based) of `file`, in text, table, figure or scan."""

    id: str
    file: str
    question: str
    golds: tuple[str, ...]
    page: int
    where: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one question. `cited_page` counts for right answers only; None where the answer is wrong."""

    id: str
    where: str
    question: str
    golds: tuple[str, ...]
    answer: str
    abstained: bool
    support: float | None
    page_in_hits: bool
    correct: bool
    cited_page: bool | None
    hit_pages: tuple[str, ...]
    citation_pages: tuple[str, ...]
    prompt_tokens: int
    seconds: dict[str, float]


def read_questions(file: Path) -> list[Question]:
    """The questions of a JSONL file. Raises UsageError for a line that is not one."""
    questions = []
    for number, line in enumerate(file.read_text("utf-8").splitlines(), start=1):
        try:
            row = json.loads(line)
            golds = (row["answer"], *row.get("aliases", []))
            questions.append(Question(row["id"], row["file"], row["question"], golds, row["page"], row["where"]))
        except (ValueError, KeyError, TypeError) as error:
            raise UsageError(
                f"{file}, line {number}: not a question with id, file, answer, page, where: {error}"
            ) from error
    return questions


def open_library(folder: Path, library: Path, settings: Settings, report: Report = silent) -> Indexes:
    """The PDFs of a folder as a library, ingested where they are not yet."""
    indexes = Indexes(Library.open(library, create=True), settings)
    build([folder], indexes.library, indexes, settings.ingest, report=report)
    return indexes


def evaluate(
    questions: Sequence[Question], road: Road, k: int, style: str = "notes", without_gold: Library | None = None
) -> Iterator[Outcome]:
    """Ask each question over the whole library, one at a time.

    `without_gold`, the library, leaves the document that holds the answer out of the search: then to abstain is right.
    """
    for question in questions:
        within = without_gold.numbers_outside(question.file) if without_gold else None
        *_, answer = ask(question.question, road, k, within, style)
        assert isinstance(answer, Answer)
        yield judge(question, answer)


def judge(question: Question, answer: Answer) -> Outcome:
    """Compare an answer with the gold page and strings."""

    def on_gold_page(path: str, first_page: int, last_page: int) -> bool:
        return Path(path).name == question.file and first_page <= question.page <= last_page

    hits = [(hit.passage.path, hit.passage.first_page, hit.passage.last_page) for hit in answer.evidence]
    citations = [(citation.path, citation.first_page, citation.last_page) for citation in answer.citations]
    correct = not answer.abstained and contains_gold(answer.answer, question.golds)
    return Outcome(
        question.id,
        question.where,
        question.question,
        question.golds,
        answer.answer,
        answer.abstained,
        answer.support,
        any(on_gold_page(*hit) for hit in hits),
        correct,
        any(on_gold_page(*citation) for citation in citations) if correct else None,
        tuple(_place(*hit) for hit in hits),
        tuple(_place(*citation) for citation in citations),
        answer.tokens["prompt"],
        dict(answer.seconds),
    )


def _place(path: str, first_page: int, last_page: int) -> str:
    return f"{Path(path).name} {first_page}-{last_page}"


def summarise(outcomes: Sequence[Outcome], k: int) -> tuple[dict[str, float], dict[str, tuple[float, float]]]:
    """(metrics, 95 % intervals) over all questions and by `where`; prompt tokens as mean and maximum."""
    metrics: dict[str, float] = {}
    intervals: dict[str, tuple[float, float]] = {}
    kinds = sorted({outcome.where for outcome in outcomes})
    for suffix, some in [("", outcomes), *((f"/{kind}", [o for o in outcomes if o.where == kind]) for kind in kinds)]:
        columns: dict[str, list[float]] = {
            f"page@{k}": [o.page_in_hits for o in some],
            "correct": [o.correct for o in some],
            "cited_page": [bool(o.cited_page) for o in some if o.correct],
            "abstained": [o.abstained for o in some],
        }
        for name, values in columns.items():
            metrics[name + suffix] = sum(values) / len(values) if values else 0.0
            intervals[name + suffix] = bootstrap_interval(values)
        metrics[f"n{suffix}"] = len(some)
    prompts = [outcome.prompt_tokens for outcome in outcomes]
    metrics["prompt_tokens"] = sum(prompts) / max(1, len(prompts))
    metrics["prompt_tokens_max"] = max(prompts, default=0)
    return metrics, intervals


def run(
    questions: Sequence[Question],
    road: Road,
    k: int,
    style: str = "notes",
    out: Path | None = None,
    without_gold: Library | None = None,
    report: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, Any]:
    """The whole evaluation as the command line's JSON; with `out`, per_question.jsonl and report.md are written too."""
    started = time.monotonic()
    outcomes = []
    for outcome in evaluate(questions, road, k, style, without_gold):
        outcomes.append(outcome)
        report(len(outcomes), len(questions))
    metrics, intervals = summarise(outcomes, k)
    latencies = [sum(outcome.seconds[part] for part in ("retrieve", "note", "answer")) * 1000 for outcome in outcomes]
    result = {
        "task": "pdf",
        "gold_document": "left out" if without_gold else "searched",
        "n": len(outcomes),
        "metrics": {name: round(value, 4) for name, value in metrics.items()},
        "intervals": {name: [round(low, 4), round(high, 4)] for name, (low, high) in intervals.items()},
        "latency_ms": {"p50": round(percentile(latencies, 0.5)), "p95": round(percentile(latencies, 0.95))},
        "first_token_ms": round(percentile([o.seconds.get("first_token", 0) * 1000 for o in outcomes], 0.5)),
        "settings": road.settings.model_dump(),
        "models": {"reader": road.reader.name, "dense": road.settings.dense.model},
        "seconds": round(time.monotonic() - started, 1),
    }
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        lines = (json.dumps(asdict(outcome), ensure_ascii=False) for outcome in outcomes)
        (out / "per_question.jsonl").write_text("".join(f"{line}\n" for line in lines), "utf-8")
        (out / "report.md").write_text(_markdown(result, outcomes), "utf-8")
    return result


def _markdown(result: dict[str, Any], outcomes: Sequence[Outcome]) -> str:
    lines = ["# Questions over PDFs", "", "| measure | value | 95 % |", "|---|---|---|"]
    for name, value in result["metrics"].items():
        low, high = result["intervals"].get(name, ("", ""))
        lines.append(f"| {name} | {value} | {f'{low} to {high}' if low != '' else ''} |")
    lines += ["", "## Wrong, abstained, or cited elsewhere", ""]
    for outcome in outcomes:
        if not outcome.correct or not outcome.cited_page:
            lines.append(f"- {outcome.id} ({outcome.where}): {outcome.question}")
            lines.append(f"  gold {outcome.golds[0]!r}, answered {outcome.answer!r}, support {outcome.support}, ")
            lines.append(f"  gold page in hits: {outcome.page_in_hits}; hits {', '.join(outcome.hit_pages)}")
    return "\n".join(lines) + "\n"
