"""Question answering over PDFs: is the gold page among the first hits, is the answer right, does it cite that page?"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eval.core.bootstrap import percentile, summarise
from eval.core.cache import Replies
from eval.core.files import Record, read_records
from eval.core.metrics import contains_gold
from eval.core.report import bars, cell, table, with_interval, write_lines, write_text
from eval.core.trials import (
    BM25,
    CLOSED_BOOK,
    CONTROLS,
    ORACLE,
    RANDOM,
    Evidence,
    Running,
    Trial,
    TrialRows,
    draw,
    judge_trials,
    latency_ms,
    run_trials,
)
from eval.pdf.paperpdf import is_paperpdf, overlaps, question_of
from ingest.build import build
from ingest.text_passages import count_tokens
from rag.errors import DataError
from rag.index.manager import Indexes
from rag.library.catalogue import Library
from rag.locator import Locator
from rag.pipeline import Pipeline, reader_name
from rag.protocols import Report, silent
from rag.read.prompts import shown
from rag.records import Hit, Passage
from rag.search import open_retriever
from rag.settings import Settings

WHERE = ("text", "table", "figure", "scan")


@dataclass(frozen=True, slots=True)
class PdfQuestion:
    """A record of a questions file: the answer stands on `page` (1-based) of `file`, in text, table, figure or scan.

    With `evidence` (PaperPDF) the page is not known, and 0: the gold page is wherever one of these texts stands.
    """

    id: str
    file: str
    question: str
    golds: tuple[str, ...]
    page: int
    where: str
    evidence: tuple[str, ...] = ()

    def on_gold_page(self, path: str, locator: Locator, text: str) -> bool:
        """Whether a passage or quotation, `text` on these pages of the file, is where the answer stands."""
        if Path(path).name != self.file:
            return False
        if self.evidence:
            return any(overlaps(text, evidence) for evidence in self.evidence)
        return locator.first_page <= self.page <= locator.last_page


def read_questions(file: Path) -> list[PdfQuestion]:
    """The questions of a file, ours or PaperPDF's, which is known by its evidence.

    Raises UsageError without a file, DataError naming record and field of a broken one.
    """
    questions: list[PdfQuestion] = []
    for record in read_records(file):
        question = _of_paperpdf(record) if is_paperpdf(record) else _question(record)
        if any(question.id == other.id for other in questions):
            raise record.error(f"id {question.id} stands there twice")
        questions.append(question)
    return questions


def _question(record: Record) -> PdfQuestion:
    aliases = record.fields.get("aliases") or []
    if not isinstance(aliases, list) or not all(isinstance(alias, str) for alias in aliases):
        raise record.error("aliases is not a list of texts")
    page, where = record.get(int, "page"), record.text("where")
    if page < 1:
        raise record.error(f"page is {page}: pages count from 1")
    if where not in WHERE:
        raise record.error(f"where is {where}, not one of {', '.join(WHERE)}")
    golds = (record.text("answer"), *aliases)
    return PdfQuestion(record.text("id"), record.text("file"), record.text("question"), golds, page, where)


def _of_paperpdf(record: Record) -> PdfQuestion:
    paper = question_of(record)
    evidence = paper.texts + paper.captions
    return PdfQuestion(paper.id, paper.file, paper.query, paper.answers, 0, paper.where, evidence)


def open_library(folder: Path, library: Path, settings: Settings, report: Report = silent) -> Indexes:
    """The PDFs of a folder as a library, ingested where they are not yet."""
    indexes = Indexes(Library.open(library, create=True), settings)
    build([folder], indexes.library, indexes, settings.ingest, report=report, kind="pdf")
    return indexes


# -- the rows --------------------------------------------------------------------------------------------------


def rows_of(
    questions: Sequence[PdfQuestion],
    indexes: Indexes,
    retriever: str,
    k: int,
    seed: int = 0,
    controls: bool = True,
    without_gold: bool = False,
    report: Report = silent,
) -> TrialRows:
    """The system's row, named by its retriever, and the controls.

    `without_gold` leaves the document that holds the answer out of every search: then to abstain is right. Raises
    DataError for a question about a file that the library lacks.
    """
    passages = dict(indexes.library.passages_since(0))
    files = {Path(path).name for entry in indexes.library.documents() for path in entry.paths}
    for question in questions:
        if question.file not in files:
            raise DataError(f"question {question.id}: {question.file} is not in the folder. Add it, or leave it out")
    seen = {question.file: list(passages) for question in questions}
    if without_gold:
        seen = {file: indexes.library.numbers_outside(file) for file in seen}

    def searching(name: str, within: Callable[[PdfQuestion], list[int]]) -> Evidence:
        finder = open_retriever(indexes, name, report)
        return lambda place, query: finder.search([query], k, within(questions[place]))[0]

    def of_gold_page(question: PdfQuestion) -> list[int]:
        numbers = seen[question.file]
        return [number for number in numbers if question.on_gold_page(*_place(passages[number]))]

    def random_passages(place: int, query: str) -> list[Hit]:
        question = questions[place]
        return draw([passages[number] for number in seen[question.file]], k, question.id, seed)

    def visible(question: PdfQuestion) -> list[int]:
        return seen[question.file]

    evidence: dict[str, Evidence | None] = {retriever: searching(retriever, visible)}
    if controls:
        if retriever != BM25:
            evidence[BM25] = searching(BM25, visible)
        evidence |= {ORACLE: searching(retriever, of_gold_page), RANDOM: random_passages, CLOSED_BOOK: None}
    return TrialRows([question.question for question in questions], evidence)


def _place(passage: Passage) -> tuple[str, Locator, str]:
    return passage.path, passage.locator, passage.text


# -- scores ----------------------------------------------------------------------------------------------------


def scores(trial: Trial, question: PdfQuestion, k: int) -> dict[str, float | None]:
    """Every measure of one trial; None where it does not apply (a citation where the answer is wrong).

    `evidence_tokens` are those of the passages' texts as the reader saw them, counted as when passages are cut;
    `prompt_tokens` are the reader's own count of its longest prompt.
    """
    answer = trial.answer
    correct = answer is not None and not answer.abstained and contains_gold(answer.answer, question.golds)
    cited = answer is not None and any(
        question.on_gold_page(citation.path, citation.locator, citation.quote) for citation in answer.citations
    )
    found = trial.row != CLOSED_BOOK
    return {
        f"page@{k}": float(any(question.on_gold_page(*_place(hit.passage)) for hit in trial.hits)) if found else None,
        "correct": float(correct),
        "correct_of_shown": float(correct) if answer is not None and not answer.abstained else None,
        "cited_page": float(cited) if correct and found else None,
        "abstained": float(answer is not None and answer.abstained),
        "failed": float(trial.error is not None),
        "evidence_tokens": float(sum(count_tokens(text) for text in shown(answer.evidence))) if answer else None,
        "prompt_tokens": float(answer.tokens["prompt"]) if answer else None,
        "generated_tokens": float(answer.tokens["generated"]) if answer else None,
    }


@dataclass(frozen=True, slots=True)
class PdfOutcome:
    """A trial with its question and scores."""

    question: PdfQuestion
    trial: Trial
    scores: dict[str, float | None]


def evaluate(
    questions: Sequence[PdfQuestion],
    pipeline: Pipeline,
    rows: TrialRows,
    k: int,
    strategy: str,
    replies: Replies,
    jobs: int = 1,
    report: Running = lambda done, total, score: None,
) -> dict[str, list[PdfOutcome]]:
    """Ask every question in every row: row -> its outcomes in the order of the questions. Errors as of run_trials."""

    def judge(trial: Trial) -> PdfOutcome:
        question = questions[trial.place]
        return PdfOutcome(question, trial, scores(trial, question, k))

    def note(first: Sequence[PdfOutcome]) -> str:
        return f"{sum(bool(outcome.scores['correct']) for outcome in first)} right"

    return judge_trials(run_trials(rows, pipeline, k, strategy, replies, jobs), rows, judge, note, report)


# -- the result ------------------------------------------------------------------------------------------------


def _row_json(outcomes: Sequence[PdfOutcome]) -> dict[str, Any]:
    metrics, intervals = summarise([outcome.scores for outcome in outcomes])
    prompts = [outcome.scores["prompt_tokens"] or 0 for outcome in outcomes]
    trials = [outcome.trial for outcome in outcomes]
    for kind in sorted({outcome.question.where for outcome in outcomes}):
        subset = [outcome.scores for outcome in outcomes if outcome.question.where == kind]
        means, bounds = summarise([{name: value for name, value in s.items() if "token" not in name} for s in subset])
        metrics |= {f"{name}/{kind}": value for name, value in means.items()} | {f"n/{kind}": len(subset)}
        intervals |= {f"{name}/{kind}": value for name, value in bounds.items()}
    return {
        "n": len(outcomes),
        "metrics": metrics | {"prompt_tokens_max": max(prompts, default=0)},
        "intervals": intervals,
        "latency_ms": latency_ms(trials),
        "first_token_ms": round(percentile([t.seconds["first_token"] * 1000 for t in trials], 0.5)),
        "failed": sum(trial.error is not None for trial in trials),
    }


def result_json(
    asked: Mapping[str, Any], outcomes: Mapping[str, Sequence[PdfOutcome]], settings: Settings
) -> dict[str, Any]:
    """The command line's JSON. `asked` is what the request names: the retriever, k, seed, and the like."""
    system, *controls = outcomes
    rows = {row: _row_json(subset) for row, subset in outcomes.items()}
    return {
        "task": "pdf",
        **rows[system],
        **asked,
        "controls": {row: rows[row] for row in controls},
        "settings": settings.model_dump(mode="json"),
        "settings_hash": settings.hash,
        "models": {"reader": reader_name(asked.get("reader", ""), settings), "dense": settings.dense.model},
    }


def write(out: Path, result: Mapping[str, Any], outcomes: Mapping[str, Sequence[PdfOutcome]]) -> None:
    """per_question.jsonl (of a control: in a folder of its own) and report.md in `out`."""
    for i, (row, subset) in enumerate(outcomes.items()):
        folder = out if i == 0 else out / row.replace(" ", "-")
        write_lines(folder / "per_question.jsonl", map(_line, subset))
    write_text(out / "report.md", _report(result, outcomes))


def _line(outcome: PdfOutcome) -> dict[str, Any]:
    question, trial, answer = outcome.question, outcome.trial, outcome.trial.answer
    citations = answer.citations if answer else ()
    return {
        "id": question.id,
        "where": question.where,
        "question": question.question,
        "gold": list(question.golds),
        "gold_page": f"{question.file} {question.page or ''}".strip(),
        "answer": answer.answer if answer else "",
        "draft": trial.draft,
        "abstained": answer is not None and answer.abstained,
        "support": answer.support if answer else None,
        "probability": answer.probability if answer else None,
        "note": "\n".join(note.text for note in answer.notes) if answer else "",
        "evidence": [
            {"rank": hit.rank, "page": _page(hit.passage), "text": hit.passage.text} for hit in trial.hits
        ],
        "citations": [{"page": f"{Path(c.path).name} {c.locator.first_page}", "quote": c.quote} for c in citations],
        "error": trial.error,
        "scores": outcome.scores,
        "seconds": dict(trial.seconds),
    }  # fmt: skip


def _page(passage: Passage) -> str:
    return f"{Path(passage.path).name} {passage.locator.first_page}-{passage.locator.last_page}"


def _report(result: Mapping[str, Any], outcomes: Mapping[str, Sequence[PdfOutcome]]) -> str:
    system = next(iter(outcomes))
    rows = {system: result, **result["controls"]}
    names = [f"page@{result['k']}", "correct", "cited_page", "abstained"]
    lines = [
        "# Questions over PDFs", "",
        f"{result['n']} questions, reader {cell(result['models']['reader'])} by the strategy {result['reader']}, "
        f"k = {result['k']}, settings {result['settings_hash']}, gold document {result['gold_document']}.", "",
    ]  # fmt: skip
    lines += table(
        ["row", "n", *names, "evidence tokens", "prompt tokens", "p50 ms", "p95 ms"],
        [
            [
                f"**{cell(name)}**" if name == system else cell(name),
                row["n"],
                *(with_interval(measure, row["metrics"], row["intervals"]) for measure in names),
                *(f"{row['metrics'].get(measure, 0):.0f}" for measure in ("evidence_tokens", "prompt_tokens")),
                *row["latency_ms"].values(),
            ]
            for name, row in rows.items()
        ],
    )
    lines += ["", "Brackets: 95 % bootstrap interval. cited_page: among the right answers.", ""]
    lines += [f"- {cell(name)}: {CONTROLS[name]}" for name in result["controls"]]
    kinds = [kind for kind in WHERE if f"n/{kind}" in result["metrics"]]
    lines += ["", "## Right answers by where they stand", ""]
    lines += bars(
        [(kind, result["metrics"][f"correct/{kind}"], f"n {result['metrics'][f'n/{kind}']}") for kind in kinds], 1.0
    )
    lines += ["", "## Wrong, abstained, or cited elsewhere", ""]
    for outcome in outcomes[system]:
        if not outcome.scores["correct"] or not outcome.scores["cited_page"]:
            lines += _failure(outcome, result["k"])
    return "\n".join(lines) + "\n"


def _failure(outcome: PdfOutcome, k: int) -> list[str]:
    question, trial, answer = outcome.question, outcome.trial, outcome.trial.answer
    reply = f"abstained; its draft: {cell(trial.draft)}" if answer and answer.abstained else cell(trial.draft)
    gold_page = f"on page {question.page} of" if question.page else "in"
    lines = [
        f"- **{cell(question.question)}** ({cell(question.id)}, {question.where})",
        f"  - gold: {cell(question.golds[0])}, {gold_page} {cell(question.file)}",
        f"  - said: {reply}" + (f", support {answer.support:.2f}" if answer and answer.support is not None else ""),
        f"  - passages: {', '.join(cell(_page(hit.passage)) for hit in trial.hits) or 'none'}",
    ]
    return [*lines, f"  - error: {cell(trial.error)}"] if trial.error else lines
