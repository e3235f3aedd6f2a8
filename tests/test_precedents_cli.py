"""`glossator eval precedents` on a small made court, with the parts that its scorers need."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from eval.legal.precedent_ranking import MEASURES, read_judgments
from eval.legal.precedents_parts import SCORER_OF, open_parts
from rag.index.manager import Indexes
from rag.legal.casebook import nearest_of, open_precedents
from rag.legal.casebook import open_parts as parts_of_library
from rag.legal.precedents import SCORERS
from rag.library.catalogue import Library
from rag.search import open_retriever
from rag.settings import load_settings
from tests.conftest import Run
from tests.test_precedents_eval import COURT, written


@pytest.fixture
def court(tmp_path: Path) -> list[str]:
    """The options that name it: two files of cases, what they cite, questions."""
    first, second = written(tmp_path, COURT[:2], "a.jsonl"), written(tmp_path, COURT[2:], "b.jsonl")
    pairs = tmp_path / "qrels.tsv"
    pairs.write_text("query-id\tcorpus-id\tscore\nj3\tj1\t1\nj4\tj1\t1\nj4\tj3\t1\n")
    return ["--cases", str(first), str(second), "--qrels", str(pairs), "--cache", str(tmp_path / "cache")]


def test_the_table_the_run_and_what_stays(court: list[str], tmp_path: Path, glossator: Run) -> None:
    questions = written(
        tmp_path,
        [
            {
                "id": "q1",
                "question": "Did the Court find a violation of Article 8 in Applicanta v. Austria (no. 100/01)?",
                "answer": "yes",
            }
        ],
        "questions.jsonl",
    )
    out, run = tmp_path / "out", tmp_path / "x.run"
    more = ["--by", "facts", "--questions", str(questions), "--out", str(out), "--run", str(run), "--all", "--json"]
    done = glossator("eval", "precedents", *court, *more)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert (result["task"], result["n"], result["section"], result["by"]) == ("precedents", 2, "facts", "facts")
    assert set(result["metrics"]) == set(result["intervals"]) == set(MEASURES)
    assert result["metrics"]["AP"] == 1.0 and set(result["latency_ms"]) == {"p50", "p95"}
    assert {"settings", "models", "seconds"} <= set(result) and result["findings"]["metrics"]["accuracy"] == 1.0
    assert {"bm25, law to law", "graph, facts to both", "feedback, both to facts"} <= set(result["rows"])
    lines = [line.split() for line in run.read_text().splitlines()]
    assert {line[0] for line in lines} == {"j3", "j4"} and {line[5] for line in lines} == {"glossator"}
    assert (out / "glossator.run").read_text() == run.read_text()
    kept = [json.loads(line) for line in (out / "per_question.jsonl").read_text().splitlines()]
    assert [line["id"] for line in kept] == ["j3", "j4"] and kept[1]["cited"] == ["j1", "j3"]
    assert set(kept[1]["found"][:2]) == {"j1", "j3"} and kept[1]["scores"]["AP"] == 1.0
    report = (out / "report.md").read_text()
    assert report.startswith("# qrels.tsv, precedents\n") and "| graph, facts to facts | 1.000 [1.00, 1.00] |" in report


@pytest.mark.parametrize("controls", [[], ["--no-controls"]])
def test_only_the_scorer_and_sections_asked_for_are_run_beside_bm25(
    court: list[str], glossator: Run, controls: list[str]
) -> None:
    done = glossator("eval", "precedents", *court, "--section", "law", "--by", "law", *controls)
    assert done.returncode == 0 and done.stdout.startswith("2 queries, 3 cited cases among 4")
    assert "| hybrid, law to law |" in done.stdout and "| bm25, law to law |" in done.stdout
    assert "facts to facts" not in done.stdout and "graph" not in done.stdout


def test_what_is_not_there_is_said(court: list[str], tmp_path: Path, glossator: Run) -> None:
    for options, code, why in (
        ([*court, "--run", str(tmp_path)], 2, "is a folder. Name a file in it"),
        ([*court, "--all", "--no-controls"], 2, "Leave one of them out"),
        ([*court[:2], *court[3:]], 1, "qrels.tsv"),  # without the second file of cases
    ):
        done = glossator("eval", "precedents", *options)
        assert done.returncode == code and why in done.stderr and "Traceback" not in done.stderr, done.stderr


@pytest.mark.parametrize("retriever", ["sparse", "dense"])
def test_parts_are_made_once_and_serve_their_scorer(court: list[str], tmp_path: Path, retriever: str) -> None:
    settings = load_settings()
    judgments = read_judgments([tmp_path / "a.jsonl", tmp_path / "b.jsonl"], settings)
    parts = open_parts(judgments, retriever, tmp_path / "cache", settings)
    passages = judgments[2].candidate.passages("both")
    if retriever == "sparse":
        assert parts.numbers is not None and len(parts.numbers([p.passage_id for p in passages])) == len(passages)
        garden = parts.numbers([p.passage_id for p in judgments[1].candidate.passages("both")])
        best, *_ = parts.nearest["sparse"]("a garden was flooded", 9, range(1, 99))
        assert best[0] in garden.values() and best[1] > 0
        return
    assert parts.vectors is not None and SCORER_OF["dense"] == "late"
    kept, masked = parts.vectors(passages), parts.vectors(judgments[2].query.passages("both"))
    np.testing.assert_allclose(np.linalg.norm(kept, axis=1), 1, atol=1e-5)
    assert kept.shape == masked.shape and np.allclose(kept[0], masked[0]) and not np.allclose(kept[-1], masked[-1])
    again = open_parts(judgments, retriever, tmp_path / "cache", settings)
    assert again.vectors is not None
    np.testing.assert_array_equal(again.vectors(passages), kept)


@pytest.mark.slow
def test_a_pooling_is_trained_on_a_library_and_finds_there(tmp_path: Path, glossator: Run) -> None:
    written(tmp_path, COURT, "court.jsonl")

    def run(*arguments: str, code: int = 0) -> str:
        done = glossator(*arguments, "--library", "L", cwd=tmp_path)
        assert done.returncode == code and "Traceback" not in done.stderr, done.stderr
        return done.stdout if code == 0 else done.stderr

    run("ingest", "court.jsonl")
    made = json.loads(run("train", "precedents", "--out", "P", "--field", "law", "--epochs", "2", "--json"))
    assert (made["task"], made["field"], made["examples"], made["held_out"]["n"]) == ("train precedents", "law", 1, 1)
    assert made["negatives"] == ["random", "bm25", "mined", "batch"] and len(made["losses"]) == 2
    assert set(made["held_out"]["rows"]) == {"bm25", "mean", "trained"}
    assert set(made["held_out"]["more_than_mean"]) == set(MEASURES)
    query = ("precedents", "court.jsonl#j4", "-k", "2", "--scorer")
    found = json.loads(run("--set", "precedents.pooling=P", *query, "trained", "--json"))
    assert len(found["hits"]) == 2
    assert "choose one of bm25, bm25-passages, sparse, late" in run(*query, "hard", code=2)
    assert "needs a folder of `glossator train precedents`" in run(*query, "trained", code=2)
    assert "precedents.pooling nowhere cannot be used" in run(
        "--set", "precedents.pooling=nowhere", *query, "trained", code=1
    )
    assert "--negatives hard: choose some of" in run("train", "precedents", "--out", "Q", "--negatives", "hard", code=2)
    indexes = Indexes(Library.open(tmp_path / "L"), load_settings([f"precedents.pooling={tmp_path / 'P'}"]))
    within, text = indexes.library.select(["part=facts"]), "A father had no custody, and a garden was flooded."
    for name in ("bm25", "sparse"):  # the nearest passages are those that a search finds
        (hits,) = open_retriever(indexes, name).search([text], 3, within)
        numbers = indexes.library.numbers_of([hit.passage.passage_id for hit in hits])
        expected = [(numbers[hit.passage.passage_id], hit.score) for hit in hits]
        assert nearest_of(indexes, name)(text, 3, within or ())[:3] == expected and len(expected) == 3
    for scorer in SCORERS.keys() - {"concepts"}:
        with open_precedents(indexes.library, parts_of_library(indexes, scorer)) as (searching, cases):
            latest = cases[-1]
            hits = searching.search(latest, 2, scorer=scorer)
            assert latest.date == "2005-05-01" and len(hits) == 2, scorer
