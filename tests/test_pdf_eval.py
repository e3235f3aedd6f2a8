"""eval/pdf/pdf_questions.py: scores and results by hand, and the command on the example."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from eval.core.metrics import contains_gold
from eval.core.trials import Trial
from eval.pdf import pdf_questions as pdf
from eval.pdf.pdf_questions import PdfQuestion
from rag.errors import DataError
from rag.locator import PageSpan
from rag.records import Answer, Citation, Hit, Passage
from rag.settings import load_settings
from tests.benchmarks import Endpoint, answering
from tests.conftest import LIGHT_READER, ROOT, Run
from tests.parts import read_pdf

EXAMPLES = ROOT / "examples"
QUESTION = PdfQuestion("q1", "a.pdf", "How many?", ("162", "162 papers"), 3, "text")


def answer(text: str, hit_page: int, cited_page: int, abstained: bool = False) -> Answer:
    passage = Passage("d#0", "d", "A", "folder/a.pdf", "text", 0, 4, PageSpan(hit_page, hit_page))
    citation = Citation("[1]", "d#0", "d", "folder/a.pdf", "A", PageSpan(cited_page, cited_page), "text", 0, 4)
    seconds = {"retrieve": 0.1, "note": 0.1, "answer": 0.2, "first_token": 0.15, "attribute": 0.0}
    return Answer(
        "How many?", text, abstained, (), (citation,), (Hit(1, 1.0, passage),), 0.9, "m", "h", seconds,
        {"prompt": 100, "generated": 3},
    )  # fmt: skip


def trial(made: Answer | None, row: str = "hybrid", error: str | None = None) -> Trial:
    seconds = {"retrieve": 0.1, "reader": 0.3, "first_token": 0.15}
    return Trial(0, row, made.evidence if made else (), made.answer if made else "", made, error, seconds, 0.0)


@pytest.mark.parametrize(
    ("text", "hit_page", "cited_page", "abstained", "in_hits", "correct", "cited"),
    [
        ("162 [1]", 3, 3, False, 1.0, 1.0, 1.0),
        ("162 [1]", 3, 4, False, 1.0, 1.0, 0.0),
        ("161 [1]", 3, 3, False, 1.0, 0.0, None),
        ("162", 2, 2, True, 0.0, 0.0, None),
    ],
)
def test_scores(
    text: str, hit_page: int, cited_page: int, abstained: bool, in_hits: float, correct: float, cited: float | None
) -> None:
    made = pdf.scores(trial(answer(text, hit_page, cited_page, abstained)), QUESTION, 5)
    assert (made["page@5"], made["correct"], made["cited_page"]) == (in_hits, correct, cited)
    assert (made["abstained"], made["failed"]) == (float(abstained), 0.0)
    assert made["correct_of_shown"] == (None if abstained else correct)
    assert (made["prompt_tokens"], made["generated_tokens"]) == (100.0, 3.0)
    assert made["evidence_tokens"] == 1.0  # the one passage says "text"


def test_without_passages_no_page_is_missed() -> None:
    made = pdf.scores(trial(answer("162", 3, 3), "closed book"), QUESTION, 5)
    assert made["correct"] == 1.0
    assert made["page@5"] is made["cited_page"] is None


def test_a_failed_trial_is_wrong_and_no_abstention() -> None:
    made = pdf.scores(trial(None, error="the reader went away"), QUESTION, 5)
    assert (made["failed"], made["correct"], made["abstained"], made["prompt_tokens"]) == (1.0, 0.0, 0.0, None)


def test_result_by_hand() -> None:
    made = [
        answer("162", 3, 3), answer("162", 3, 9), answer("7", 9, 9), answer("nothing", 3, 3, abstained=True)
    ]  # fmt: skip
    outcomes = [pdf.PdfOutcome(QUESTION, trial(each), pdf.scores(trial(each), QUESTION, 5)) for each in made]
    result = pdf.result_json({"k": 5}, {"hybrid": outcomes, "bm25": outcomes[:1]}, load_settings())
    metrics = result["metrics"]
    assert metrics["correct_of_shown"] == pytest.approx(2 / 3)
    assert (metrics["page@5"], metrics["correct"], metrics["cited_page"], metrics["abstained"]) == (
        0.75,
        0.5,
        0.5,
        0.25,
    )
    assert (metrics["correct/text"], metrics["n/text"], metrics["prompt_tokens"]) == (0.5, 4, 100)
    low, high = result["intervals"]["correct"]
    assert 0 <= low < 0.5 < high <= 1
    assert result["latency_ms"] == {"p50": 400, "p95": 400}
    assert result["controls"]["bm25"]["n"] == 1 and result["controls"]["bm25"]["metrics"]["correct"] == 1


@pytest.mark.parametrize(
    ("changed", "wrong"),
    [
        ({"page": 0}, "page is 0: pages count from 1"),
        ({"page": "three"}, 'page is "three", not a whole number'),
        ({"page": True}, "page is true, not a whole number"),
        ({"where": "margin"}, "where is margin, not one of text, table, figure, scan"),
        ({"answer": None}, "answer is missing"),
        ({"answer": " "}, "answer is empty"),
        ({"aliases": "162"}, "aliases is not a list of texts"),
        ({"question": 7.5}, "question is 7.5, not text"),
        ({"id": "q1"}, "id q1 stands there twice"),
    ],
)
def test_a_record_that_is_no_question_is_named(changed: dict[str, object], wrong: str, tmp_path: Path) -> None:
    good = {"id": "q1", "file": "a.pdf", "question": "How many?", "answer": "162", "page": 3, "where": "text"}
    file = tmp_path / "questions.jsonl"
    file.write_text(f"{json.dumps(good)}\n{json.dumps({**good, 'id': 'q2', **changed})}\n")
    with pytest.raises(DataError, match=rf"questions\.jsonl, record 2: {re.escape(wrong)}"):
        pdf.read_questions(file)


def test_the_examples_questions_stand_on_their_pages() -> None:
    questions = pdf.read_questions(EXAMPLES / "questions.jsonl")
    documents = {file: read_pdf(EXAMPLES / file) for file in {question.file for question in questions}}
    for question in questions:
        page = documents[question.file].pages[question.page - 1]
        assert contains_gold(documents[question.file].text[page.start : page.end], question.golds), question.id


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the first command keeps the examples' passages, for the next."""
    return tmp_path_factory.mktemp("examples") / "library"


@pytest.mark.slow
def test_eval_pdf_over_the_example(glossator: Run, tmp_path: Path, library: Path) -> None:
    def run(endpoint: Endpoint) -> tuple[dict[str, Any], str]:
        done = glossator(
            "--set", f"reader.model={endpoint.address}", "eval", "pdf", "--questions", EXAMPLES / "questions.jsonl",
            "--folder", EXAMPLES, "--limit", 2, "-k", 2, "--library", library, "--cache",
            tmp_path / "cache", "--out", tmp_path / "out", "--json",
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout), (tmp_path / "out" / "per_question.jsonl").read_text()

    first = pdf.read_questions(EXAMPLES / "questions.jsonl")[0]
    with answering({first.question: (first.golds[0], 0.9)}, prompt_tokens=1234) as endpoint:
        result, lines = run(endpoint)
        asked = len(endpoint.asked)
        again, _ = run(endpoint)
        assert len(endpoint.asked) == asked > 0  # every reply was kept
    assert result["task"] == "pdf" and result["n"] == 2
    assert all(0 <= result["metrics"][name] <= 1 for name in ("page@2", "correct", "abstained"))
    assert result["metrics"]["page@2"] == result["controls"]["oracle"]["metrics"]["page@2"] == 1
    assert set(result["controls"]) == {"bm25", "oracle", "random", "closed book"}
    assert set(result) >= {"task", "n", "metrics", "intervals", "latency_ms", "settings", "models", "seconds"}
    assert 0 < result["metrics"]["evidence_tokens"] < result["metrics"]["prompt_tokens"] == 1234
    assert (result["metrics"]["correct"], result["controls"]["oracle"]["metrics"]["correct"]) == (0.5, 0.5)
    assert [json.loads(line)["id"] for line in lines.splitlines()] == ["specter-1", "specter-2"]
    report = (tmp_path / "out" / "report.md").read_text()
    assert "page@2" in report and "closed book" in report
    assert (again["metrics"], again["intervals"]) == (result["metrics"], result["intervals"])


@pytest.mark.slow
def test_bad_requests_are_one_line(glossator: Run, tmp_path: Path, library: Path) -> None:
    questions, gone = EXAMPLES / "questions.jsonl", tmp_path / "gone.jsonl"
    other = tmp_path / "other.jsonl"
    other.write_text(questions.read_text().replace("specter-acl2020.pdf", "else.pdf"))
    cases: list[tuple[list[object], int, str]] = [
        (["--questions", gone], 2, "gone.jsonl: no such file"),
        (["--questions", questions, "-k", 0], 2, "-k 0: ask for at least 1 passage"),
        (["--questions", questions, "--where", "margin"], 2, "--where margin: choose one of text, table, figure, scan"),
        (["--questions", questions, "--where", "scan"], 2, "has no such question"),
        (["--questions", questions, "--jobs", 2], 2, "answers one at a time"),
        (["--questions", other], 1, "question specter-1: else.pdf is not in the folder"),
    ]
    for arguments, code, words in cases:
        done = glossator("--set", LIGHT_READER, "eval", "pdf", "--folder", EXAMPLES, "--library", library, *arguments)
        assert (done.returncode, done.stdout) == (code, ""), (arguments, done.stderr)
        lines = [line for line in done.stderr.splitlines() if words in line]
        assert len(lines) == 1 and lines[0].startswith("glossator: "), (arguments, done.stderr)
