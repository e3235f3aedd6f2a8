"""Open questions asked of a library: the answers of the system and of its controls, their scores, and the report."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from eval.core.bootstrap import percentile, summarise
from eval.core.cache import RecordingReader, Replies
from eval.core.report import cell, table, with_interval, write_lines, write_text
from eval.core.trials import CLOSED_BOOK, from_memory
from eval.open.nuggets import OpenQuestion
from eval.open.open_scores import Cited, scores
from rag.answer import ask
from rag.errors import RagError
from rag.locator import PageSpan, ParagraphSpan, TimeSpan
from rag.pipeline import Pipeline, check_question
from rag.read.cite import citation_of
from rag.read.compose.scope import Scopes
from rag.read.compose.style import style_for
from rag.read.compose.understand import PastTurn, understand
from rag.read.quotes import Quote
from rag.records import Answer, Citation
from rag.settings import Settings

SHORT, PASSAGES = "short", "passages"
CONTROLS = {
    SHORT: "every question answered with a phrase (--style short)",
    PASSAGES: "the best passages as they stand, without a reader",
    CLOSED_BOOK: "the reader without passages",
}
MEASURES = (
    "vital",
    "all",
    "cited_sentences",
    "citation_precision",
    "abstention",
    "wrong",
    "words",
    "first_seconds",
    "seconds",
)
Running = Callable[[int, int, str], None]  # progress: (questions done, of how many, the score so far)


@dataclass(frozen=True, slots=True)
class OpenOutcome:
    """One question in one row: the answer (None where it failed, with an `error`), and its scores."""

    question: OpenQuestion
    answer: Answer | None
    error: str | None
    scores: Mapping[str, float | None]


def run(
    questions: Sequence[OpenQuestion],
    pipeline: Pipeline,
    scopes: Scopes,
    k: int,
    style: str,
    controls: Sequence[str],
    replies: Replies,
    report: Running = lambda done, total, score: None,
) -> dict[str, list[OpenOutcome]]:
    """Row -> the outcomes in the order of the questions; the first row is the system, asked in `style`."""
    rows: dict[str, list[OpenOutcome]] = {row: [] for row in (style, *controls)}
    for done, question in enumerate(questions, start=1):
        for row, outcomes in rows.items():
            outcomes.append(_outcome(question, row, pipeline, scopes, k, replies))
        found = [outcome.scores["vital"] for outcome in rows[style] if outcome.scores["vital"] is not None]
        report(done, len(questions), f"vital facts {sum(found) / max(1, len(found)):.2f}")
    return rows


def _outcome(
    question: OpenQuestion, row: str, pipeline: Pipeline, scopes: Scopes, k: int, replies: Replies
) -> OpenOutcome:
    reader = RecordingReader(pipeline.reader, replies)
    answer, error = None, None
    try:
        own = replace(pipeline, reader=reader)
        if row == PASSAGES:
            answer = _as_they_stand(question.question, own, k)
        elif row == CLOSED_BOOK:
            _, answer = from_memory(question.question, reader, own)
        else:
            turns = [PastTurn(asked, said) for asked, said in question.history]
            understood = understand(question.question, turns, reader, scopes, pipeline.retriever)
            style = style_for(question.question, row, understood.question)
            *_, last = ask(
                understood.question, own, k, style=style, scope=understood.scope, searched=understood.searched
            )
            assert isinstance(last, Answer)
            answer = replace(last, seconds=last.seconds | {"answer": reader.seconds, "note": 0.0})
            if reader.first_seconds is not None:
                waited = last.seconds.get("retrieve", 0.0) + reader.first_seconds
                answer = replace(answer, seconds=answer.seconds | {"first_token": waited})
        reader.keep()
    except RagError as problem:
        error = str(problem)
    return OpenOutcome(question, answer, error, scores(question, answer))


def _as_they_stand(question: str, pipeline: Pipeline, k: int) -> Answer:
    """The k best passages, each cited behind its last sentence."""
    question = check_question(question, k, pipeline.settings)
    hits = pipeline.retriever.search([question], k)[0]
    quotes = [Quote(hit, 0, len(hit.passage.text), True, 0.0) for hit in hits]
    cited = tuple(citation_of(quote, quote.hit.rank, pipeline.locate) for quote in quotes)
    text = "\n".join(f"{' '.join(hit.passage.text.split())} [{hit.rank}]" for hit in hits)
    return Answer(question, text, False, (), cited, tuple(hits), None, "", pipeline.settings.hash)


# -- the result --------------------------------------------------------------------------------------------------------


def result_json(
    asked: Mapping[str, Any], rows: Mapping[str, Sequence[OpenOutcome]], settings: Settings
) -> dict[str, Any]:
    """The command line's JSON: the measures of the first row, each also by kind, and those of the controls."""
    first, *controls = rows
    return {
        "task": "open",
        **_row_json(rows[first]),
        **asked,
        "controls": {row: _row_json(rows[row]) for row in controls},
        "settings": settings.model_dump(mode="json"),
        "settings_hash": settings.hash,
        "models": {"reader": settings.reader.model, "dense": settings.dense.model},
    }


def _row_json(outcomes: Sequence[OpenOutcome]) -> dict[str, Any]:
    metrics, intervals = summarise([outcome.scores for outcome in outcomes])
    for kind in dict.fromkeys(outcome.question.row for outcome in outcomes):
        means, bounds = summarise([outcome.scores for outcome in outcomes if outcome.question.row == kind])
        metrics |= {f"{name}/{kind}": value for name, value in means.items()}
        intervals |= {f"{name}/{kind}": value for name, value in bounds.items()}
    taken = [1000 * (outcome.scores.get("seconds") or 0.0) for outcome in outcomes]
    return {
        "n": len(outcomes),
        "metrics": metrics,
        "intervals": intervals,
        "latency_ms": {"p50": round(percentile(taken, 0.5)), "p95": round(percentile(taken, 0.95))},
        "failed": sum(outcome.error is not None for outcome in outcomes),
    }


def write(out: Path, result: Mapping[str, Any], rows: Mapping[str, Sequence[OpenOutcome]]) -> None:
    """answers.jsonl (for the scorer of the questions), per_question.jsonl and report.md; a control's in its folder."""
    for i, (row, outcomes) in enumerate(rows.items()):
        folder = out if i == 0 else out / row.replace(" ", "-")
        write_lines(folder / "answers.jsonl", map(_answer_line, outcomes))
        write_lines(folder / "per_question.jsonl", map(_line, outcomes))
    write_text(out / "report.md", "\n".join(_report(result, rows)) + "\n")


def _answer_line(outcome: OpenOutcome) -> dict[str, Any]:
    answer = outcome.answer
    return {
        "id": outcome.question.id,
        "text": answer.answer if answer else "",
        "abstained": answer is not None and answer.abstained,
        "citations": [_citation_line(citation) for citation in answer.citations] if answer else [],
        "seconds": outcome.scores.get("seconds"),
    }


def _citation_line(citation: Citation) -> dict[str, Any]:
    cited, locator = Cited.of(citation), citation.locator
    place: dict[str, Any] = {}
    if isinstance(locator, PageSpan):
        place = {"page": cited.place.page}
    elif isinstance(locator, TimeSpan):
        place = {"second": cited.place.second}
    elif isinstance(locator, ParagraphSpan):
        place = {"section": cited.place.section, "para": cited.place.paragraph}
    return {"document": cited.names[0], "title": cited.names[1], "quote": cited.quote, **place}


def _line(outcome: OpenOutcome) -> dict[str, Any]:
    question = outcome.question
    text = outcome.answer.answer if outcome.answer else ""
    return {
        "id": question.id,
        "kind": question.row,
        "question": question.question,
        "answer": text,
        "support": outcome.answer.support if outcome.answer else None,
        "error": outcome.error,
        "scores": dict(outcome.scores),
    }


def _report(result: Mapping[str, Any], rows: Mapping[str, Sequence[OpenOutcome]]) -> Iterator[str]:
    first = next(iter(rows))
    found = {first: result, **result["controls"]}
    yield "# Questions as people ask them"
    yield ""
    yield f"{result['n']} questions, reader {cell(result['models']['reader'])}, settings {result['settings_hash']}."
    yield ""
    yield from table(["row", *MEASURES], ([cell(row), *_measures(each)] for row, each in found.items()))
    yield ""
    kinds = dict.fromkeys(outcome.question.row for outcome in rows[first])
    facts = ([cell(row), *(_figure(each, f"vital/{kind}") for kind in kinds)] for row, each in found.items())
    yield from table(["vital facts", *kinds], facts)
    yield ""
    yield from (f"- {cell(row)}: {CONTROLS.get(row, row)}" for row in result["controls"])
    yield ""
    for outcome in rows[first]:
        yield f"## {cell(outcome.question.question)} ({outcome.question.id}, {outcome.question.row})"
        yield ""
        yield cell(outcome.answer.answer if outcome.answer else f"error: {outcome.error}")
        yield ""


def _measures(row: Mapping[str, Any]) -> list[str]:
    return [with_interval(measure, row["metrics"], row["intervals"]) for measure in MEASURES]


def _figure(row: Mapping[str, Any], name: str) -> str:
    return f"{row['metrics'][name]:.2f}" if name in row["metrics"] else "-"
