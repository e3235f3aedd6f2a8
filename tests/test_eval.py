"""eval/: matching, judging, and the commands on the example."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval import bench, pdf
from eval.metrics import contains_gold, normalise
from eval.pdf import Question
from rag.errors import UsageError
from rag.records import Answer, Citation, Hit, Passage
from tests.conftest import LIGHT_READER, ROOT, Run

EXAMPLES = ROOT / "examples"
QUESTION = Question("q1", "a.pdf", "How many?", ("162", "162 papers"), 3, "text")


def answer(text: str, hit_page: int, cited_page: int, abstained: bool = False) -> Answer:
    passage = Passage("d#0", "d", "A", "folder/a.pdf", "text", 0, 4, hit_page, hit_page)
    citation = Citation("[1]", "d#0", "d", "folder/a.pdf", "A", cited_page, cited_page, "text", 0, 4)
    seconds = {"retrieve": 0.1, "note": 0.1, "answer": 0.2, "first_token": 0.15, "attribute": 0.0}
    return Answer(
        "How many?", text, abstained, (), (citation,), (Hit(1, 1.0, passage),), 0.9, "m", "h", seconds,
        {"prompt": 100, "generated": 3},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("given_answer", "golds", "right"),
    [
        ("162 [1]", ("162",), True),
        ("1620", ("162",), False),
        ("The $12,000 [5]", ("$12,000",), True),
        ("AD 2018–23–51", ("2018-23-51",), True),
        ("SciBERT", ("scibert",), True),
        ("not SQuALITY", ("SQuALITY and PubMed",), False),
        ("anything", ("",), False),
    ],
)
def test_an_answer_contains_a_gold_string_as_whole_words(
    given_answer: str, golds: tuple[str, ...], right: bool
) -> None:
    assert contains_gold(given_answer, golds) is right


@given(st.text())
def test_normalising_twice_is_normalising_once(text: str) -> None:
    assert normalise(normalise(text)) == normalise(text)


@pytest.mark.parametrize(
    ("text", "hit_page", "cited_page", "abstained", "in_hits", "correct", "cited"),
    [
        ("162 [1]", 3, 3, False, True, True, True),
        ("162 [1]", 3, 4, False, True, True, False),
        ("161 [1]", 3, 3, False, True, False, None),
        ("162", 2, 2, True, False, False, None),
    ],
)
def test_judging(
    text: str, hit_page: int, cited_page: int, abstained: bool, in_hits: bool, correct: bool, cited: bool | None
) -> None:
    outcome = pdf.judge(QUESTION, answer(text, hit_page, cited_page, abstained))
    assert (outcome.page_in_hits, outcome.correct, outcome.cited_page) == (in_hits, correct, cited)


def test_summary_by_hand() -> None:
    outcomes = [
        pdf.judge(QUESTION, answer("162", 3, 3)),
        pdf.judge(QUESTION, answer("162", 3, 9)),
        pdf.judge(QUESTION, answer("7", 9, 9)),
        pdf.judge(QUESTION, answer("nothing", 3, 3, abstained=True)),
    ]
    metrics, intervals = pdf.summarise(outcomes, 5)
    assert metrics["page@5"] == 0.75
    assert metrics["correct"] == 0.5
    assert metrics["cited_page"] == 0.5
    assert metrics["abstained"] == 0.25
    assert metrics["n/text"] == 4
    assert metrics["prompt_tokens"] == 100
    low, high = intervals["correct"]
    assert 0 <= low < 0.5 < high <= 1


def test_a_line_that_is_no_question_is_named(tmp_path: Path) -> None:
    file = tmp_path / "questions.jsonl"
    file.write_text('{"id": "1"}\n')
    with pytest.raises(UsageError, match=r"questions\.jsonl, line 1"):
        pdf.read_questions(file)


def test_the_examples_questions_stand_on_their_pages() -> None:
    from ingest.mend import join_pages
    from ingest.pdf import read_pdf

    for question in pdf.read_questions(EXAMPLES / "questions.jsonl"):
        pages = [value[1] for what, value in read_pdf(EXAMPLES / question.file, ()) if what == "page"]
        text, spans, _ = join_pages(pages)
        page = spans[question.page - 1]
        assert contains_gold(text[page.start : page.end], question.golds), question.id


def test_eval_pdf_over_the_example(glossator: Run, tmp_path: Path) -> None:
    done = glossator(
        "--set", LIGHT_READER, "eval", "pdf", "--questions", EXAMPLES / "questions.jsonl", "--folder", EXAMPLES,
        "--limit", 2, "--out", tmp_path / "out", "--json",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["task"] == "pdf" and result["n"] == 2
    assert all(0 <= result["metrics"][name] <= 1 for name in ("page@5", "correct", "abstained"))
    assert result["metrics"]["page@5"] == 1
    assert set(result) >= {"task", "n", "metrics", "intervals", "latency_ms", "settings", "models", "seconds"}
    assert len((tmp_path / "out" / "per_question.jsonl").read_text().splitlines()) == 2
    assert "page@5" in (tmp_path / "out" / "report.md").read_text()
    assert "api_key" not in done.stdout


def test_bench_ingest_compares_with_its_parts(glossator: Run) -> None:
    done = glossator("bench", "ingest", "--json")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["pages"] == 13
    expected = result["ingest_seconds"] / (result["extraction_seconds"] + result["encoding_seconds"])
    assert result["ratio"] == pytest.approx(expected, rel=0.05)


def test_bench_retrieval_times_every_retriever(glossator: Run) -> None:
    done = glossator("bench", "retrieval", "--json")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert {name for name in result if isinstance(result[name], dict)} == {"bm25", "dense", "hybrid"}
    assert all(result[name]["p95_ms"] >= result[name]["p50_ms"] > 0 for name in ("bm25", "dense", "hybrid"))


def test_expected_figures_name_a_command_and_a_tolerance() -> None:
    with (ROOT / "eval" / "expected.toml").open("rb") as file:
        figures = tomllib.load(file)
    assert figures
    for name, figure in figures.items():
        assert {"command", "value", "source"} <= set(figure), name
        assert figure["command"].startswith("glossator "), name
    assert bench.REPEAT >= 3
