"""eval/reading: records and what is wrong with one, measures by hand, and both commands on a tiny model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from eval.core.calibration_scores import auc
from eval.reading.reading_records import Records, read_file, read_for_training
from eval.reading.reading_scores import not_learnt, scored_claim, scores_of
from rag.errors import DataError, ModelError, RagError, UsageError
from rag.span.claim_support import Verdict
from rag.span.span_reader import SpanAnswer
from rag.train.reading.claims import is_held_out_claim
from rag.train.reading.reading_questions import is_held_out
from tests.benchmarks import written
from tests.conftest import DATA, needs_data
from tests.test_span import tiny
from tests.test_train_reader import PIECES, asked, claimed
from ui.cli.main import app

pytestmark = pytest.mark.usefixtures("one_thread")


def record(number: int = 0, **changes: Any) -> dict[str, Any]:
    """asked(number) as a record."""
    one = asked(number)
    context = [{"title": passage.title, "text": passage.text} for passage in one.passages]
    answers = [{"context": 1, "start": one.spans[0].start, "text": one.golds[0]}]
    fields = {"id": one.id, "source": one.source, "question": one.question, "context": context, "answers": answers}
    return {**fields, "label": "span", "supporting": [[1, None]], **changes}


def test_a_record_is_its_question(tmp_path: Path) -> None:
    file = written(tmp_path / "a.jsonl.gz", [record(0), record(1, multi=True), record(2)])
    assert read_file(file).questions == [asked(0), asked(2)]


def test_other_labels(tmp_path: Path) -> None:
    untitled = [{"title": "", "text": "A fact."}, {"title": "", "text": "Another."}]
    none: dict[str, Any] = {"answers": [], "supporting": []}
    file = written(
        tmp_path / "a.jsonl",
        [
            record(0, label="unanswerable", **none),
            record(0, label="yes", **none),
            record(0, label="no", answers=[], context=untitled),
            record(0, gold=["a", "b", "a"]),
        ],
    )
    unanswerable, yes, no, span = read_file(file).questions
    assert (unanswerable.golds, unanswerable.relevant) == (("",), None)
    assert (yes.golds, yes.relevant) == (("yes",), frozenset({0, 1, 2}))
    assert [passage.text for passage in no.passages] == ["A fact. Another."] and no.relevant == frozenset({0})
    assert span.golds == ("a", "b")


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"answers": [{"context": 1, "start": 3, "text": "x"}]}, "does not stand at its offset"),
        ({"answers": [{"context": 7, "start": 0, "text": "x"}]}, "does not stand at its offset"),
        ({"answers": [{"context": 1, "start": -1, "text": "."}]}, "does not stand at its offset"),
        ({"answers": [{"context": 1, "start": "0", "text": ""}]}, "does not stand at its offset"),
        ({"answers": ["x"]}, "does not stand at its offset"),
        ({"answers": []}, "label is span, and there are 0 answers"),
        ({"label": "maybe"}, "label is maybe"),
        ({"context": []}, "has no passage"),
        ({"context": [{"title": "a"}]}, "has no text"),
        ({"context": ["a"]}, "is no object"),
        ({"question": " "}, "question is empty"),
        ({"supporting": [[9, 0]]}, "supporting names passages"),
        ({"supporting": [3]}, "supporting is no list"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, changes: dict[str, Any], what: str) -> None:
    file = written(tmp_path / "data.jsonl", [record(0), record(1, **changes)])
    with pytest.raises(DataError, match=rf"data\.jsonl, record 2: .*{what}"):
        read_file(file)


def claim_record(number: int, **changes: Any) -> dict[str, Any]:
    made = claimed(number)
    label = {"label": made.verdict, "licence": "CC0"}
    return {"id": made.id, "source": made.source, "claim": made.claim, "text": made.text, **label, **changes}


def test_a_claim_is_read_and_judged_by_hand(tmp_path: Path) -> None:
    file = written(tmp_path / "claims.jsonl", [claim_record(0), claim_record(1, binary=True, label="unknown")])
    first, second = read_file(file).claims
    assert first == claimed(0) and (second.verdict, second.binary) == ("unknown", True)
    said: dict[Verdict, float] = {"supports": 0.4, "refutes": 0.5, "unknown": 0.1}
    assert scored_claim(first, said).scores == {"accuracy": 0} and scored_claim(first, said).probability == 0.5
    assert scored_claim(second, said).right and scored_claim(second, said).probability == 0.6
    with pytest.raises(DataError, match=r"claims\.jsonl, record 2: label is maybe"):
        read_file(written(file, [claim_record(0), claim_record(1, label="maybe")]))


@needs_data
def test_nothing_withheld_is_trained_on() -> None:
    with pytest.raises(UsageError, match="on which encoders are measured"):
        read_for_training([DATA / "hotpotqa" / "dev-a.jsonl.gz"])


def test_scores_by_hand() -> None:
    def answer(kind: Any, text: str, *relevance: float) -> SpanAnswer:
        return SpanAnswer(kind, text, 0, 0, 0, 0.5, 0.1, relevance)

    place = asked(0).golds[0]
    found = scores_of(asked(0), answer("span", place, 0.1, 0.9, 0.2))
    assert found == {"em": 1, "f1": 1, "f1_no_answer": None, "accuracy": None, "R@2": 1, "R@5": None}
    assert scores_of(asked(0), answer("span", place, 0.3, 0.1, 0.2))["R@2"] == 0
    assert scores_of(asked(0, "yes"), answer("span", "yes", 0, 0, 0))["accuracy"] == 0
    assert scores_of(asked(0, "yes"), answer("yes", "yes", 0, 0, 0))["accuracy"] == 1
    assert scores_of(asked(0, "unanswerable"), answer("not here", "", 0, 0, 0))["f1_no_answer"] == 1


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 5)), min_size=1, max_size=30))
def test_auc_counts_pairs(answers: list[tuple[bool, int]]) -> None:
    ours = [value for right, value in answers if right]
    theirs = [value for right, value in answers if not right]
    pairs = [(a > b) + 0.5 * (a == b) for a in ours for b in theirs]
    expected = sum(pairs) / len(pairs) if pairs else 0.5
    found = auc(np.asarray([right for right, _ in answers]), np.asarray([float(value) for _, value in answers]))
    assert found == pytest.approx(expected)


def test_train_and_measure(tmp_path: Path) -> None:
    base = tiny(tmp_path / "base", heads=0, pieces=PIECES)
    data = written(tmp_path / "data.jsonl", [record(i) for i in range(60)])
    other = written(tmp_path / "other.jsonl", [record(i, source="other") for i in range(60, 70)])

    def run(*arguments: object) -> dict[str, Any]:
        outcome = CliRunner().invoke(app, [*map(str, arguments), "--json"], catch_exceptions=False)
        assert outcome.exit_code == 0
        found: dict[str, Any] = json.loads(outcome.stdout)
        return found

    out = tmp_path / "out"
    trained = run("train", "reader", "--data", data, "--out", out, "--model", base, "--epochs", 1, "--limit", 40)
    assert trained["learnt"] <= 40 and trained["held_out"] and trained["steps"] and 0 <= trained["f1"] <= 1
    assert not (tmp_path / "out.partial").exists()
    held = [question for question in read_file(data).questions if is_held_out(question)]
    assert not_learnt(read_file(data), data, out).questions == held
    result = run("eval", "reading", "--data", data, "--data", other, "--model", out)
    assert result["n"] == len(held) + 10 and set(result["sources"]) == {"made-up", "other"}
    assert result["sources"]["other"]["n"] == 10 and set(result["metrics"]) >= {"em", "f1", "R@2"}
    assert result == {**run("eval", "reading", "--data", data, "--data", other, "--model", out), **{
        name: result[name] for name in ("seconds", "passages_per_second")
    }}  # fmt: skip
    claims = written(tmp_path / "claims.jsonl", [claim_record(i) for i in range(30)])
    judged = run("eval", "reading", "--data", claims, "--model", out)
    assert judged["n"] == 30 and set(judged["metrics"]) >= {"accuracy"} and "em" not in judged["metrics"]
    both = run("train", "reader", "--data", data, "--data", claims, "--out", tmp_path / "both", "--model", base)
    kept = [claim for claim in read_file(claims).claims if not is_held_out_claim(claim)]
    assert both["claims"] == len(kept) and 0 < len(kept) < 30
    (out / "trained.json").write_text("{}")
    with pytest.raises(ModelError, match="not the record"):
        not_learnt(Records([], []), data, out)
    with pytest.raises(RagError, match="is there already"):
        run("train", "reader", "--data", data, "--out", out, "--model", base)
