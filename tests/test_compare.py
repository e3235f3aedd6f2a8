"""eval/core/compare.py: two runs paired by question; every folder that cannot be compared is named in one line."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from eval.core.bootstrap import paired_difference
from eval.core.compare import compare, compare_text
from rag.errors import DataError, RagError, UsageError

GOOD = '{"id": "q1", "scores": {"em": 1}}'
SCORE = st.none() | st.floats(0, 1)
RUN = st.dictionaries(st.sampled_from("stuvwxyz"), st.fixed_dictionaries({"em": SCORE, "f1": SCORE}), min_size=5)


def write(folder: Path, *lines: str) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "per_question.jsonl").write_text("".join(f"{line}\n" for line in lines), "utf-8")
    return folder


def run(folder: Path, scores: Mapping[str, Any]) -> Path:
    return write(folder, *(json.dumps({"id": id, "answer": "x", "scores": some}) for id, some in scores.items()))


def column(name: str, values: Sequence[float]) -> dict[str, dict[str, float]]:
    return {f"q{number}": {name: value} for number, value in enumerate(values)}


def test_three_questions_by_hand(tmp_path: Path) -> None:
    a = run(
        tmp_path / "a", {"q3": {"em": 1, "f1": 0.5}, "q1": {"em": 1, "f1": None}, "q2": {"em": 0, "f1": 1}, "x": {}}
    )
    b = run(tmp_path / "b", {"q1": {"em": 0, "f1": 0.5, "extra": 1}, "q2": {"em": 0}, "q3": {"em": 1, "f1": 0.25}})
    result = compare(a, b)
    em = result["metrics"].pop("em")
    assert em.pop("p") == pytest.approx(2 * 8 / 27, abs=0.02)  # as in test_bootstrap: Binomial(3, 1/3) / 3
    assert em == {"a": 0.6667, "b": 0.3333, "difference": 0.3333, "interval": [0, 1], "n": 3}
    f1 = {"a": 0.5, "b": 0.25, "difference": 0.25, "interval": [0.25, 0.25], "p": 0.0002, "n": 1}
    assert result.pop("metrics") == {"f1": f1}, "extra, which only B has, is left out"
    assert result.pop("seconds") >= 0
    assert result == {"task": "compare", "a": str(a), "b": str(b), "n": 3, "only_a": 1, "only_b": 0}


@given(a=RUN, b=RUN)
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_b_against_a_is_the_mirror_of_a_against_b(tmp_path: Path, a: dict[str, Any], b: dict[str, Any]) -> None:
    folders = run(tmp_path / "a", a), run(tmp_path / "b", b)
    try:
        there, back = compare(*folders), compare(*reversed(folders))
    except UsageError:
        return  # nothing in common
    assert (there["n"], there["only_a"], there["only_b"]) == (back["n"], back["only_b"], back["only_a"])
    assert there["n"] + there["only_a"] == len(a) and there["n"] + there["only_b"] == len(b)
    assert there["metrics"].keys() == back["metrics"].keys()
    for name, row in there["metrics"].items():
        mirror = back["metrics"][name]
        assert (row["a"], row["b"], row["p"], row["n"]) == (mirror["b"], mirror["a"], mirror["p"], mirror["n"])
        assert row["difference"] == -mirror["difference"]
        assert row["interval"] == pytest.approx([-value for value in reversed(mirror["interval"])], abs=1.01e-4)
        assert row["difference"] == pytest.approx(row["a"] - row["b"], abs=1.01e-4)


@given(scores=RUN)
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_run_does_not_differ_from_itself_in_any_order(tmp_path: Path, scores: dict[str, Any]) -> None:
    a, b = run(tmp_path / "a", scores), run(tmp_path / "b", dict(reversed(scores.items())))
    try:
        rows = compare(a, b)["metrics"].values()
    except UsageError:
        return  # all null
    assert all((row["difference"], row["interval"], row["p"]) == (0, [0, 0], 1) for row in rows)


def test_the_figures_are_the_bootstraps_and_the_order_of_lines_does_not_matter(tmp_path: Path) -> None:
    ones, others = [1, 1, 0, 1, 0, 1, 1, 1], [0, 1, 0, 0.5, 0, 1, 0, 1]
    a, b = column("em", ones), column("em", others)
    expected = paired_difference(ones, others, seed=3)
    result = compare(run(tmp_path / "a", a), run(tmp_path / "b", dict(reversed(b.items()))), seed=3)["metrics"]["em"]
    assert result["difference"] == round(expected.mean, 4) and result["p"] == round(expected.p, 4)
    assert result["interval"] == [round(expected.low, 4), round(expected.high, 4)]


def test_what_rounds_to_0_is_written_without_a_minus(tmp_path: Path) -> None:
    a, b = run(tmp_path / "a", column("em", [0, 0])), run(tmp_path / "b", column("em", [1e-6, 1e-6]))
    result = compare(a, b)
    assert "-0" not in json.dumps(result["metrics"]) and "-0.0" not in compare_text(result)


def test_the_table_is_aligned_and_says_what_was_left_out(tmp_path: Path) -> None:
    a = run(tmp_path / "a", {**column("page@5/text", [1, 1, 0]), "only here": {"em": 1}})
    b = run(tmp_path / "b", column("page@5/text", [0, 1, 0]))
    first, left_out, head, row = compare_text(compare(a, b)).splitlines()
    assert str(a) in first and str(b) in first and "3 questions in both" in first
    assert left_out == "left out: 1 questions only in A, 0 only in B"
    assert head.split() == ["A", "B", "A", "-", "B", "95", "%", "p", "n"]
    assert row.startswith("page@5/text  0.6667  0.3333  +0.3333  [+0.0000, +1.0000]  0.") and row.endswith("  3")
    assert len(head) == len(row)
    assert len(compare_text(compare(b, b)).splitlines()) == 3, "nothing left out, no line about it"


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ([GOOD, GOOD], "record 2: id 'q1' is there twice"),
        ([GOOD, '{"id": "q2"}'], "record 2: scores is missing"),
        ([GOOD, '{"id": "q2", "scores": [1]}'], "record 2: scores is [1], not an object"),
        (['{"id": "q1", "scores": {"em": true}}'], "record 1: scores: 'em' is True, not a number or null"),
        (['{"id": "q1", "scores": {"em": "1"}}'], "record 1: scores: 'em' is '1', not a number or null"),
        (['{"id": "q1", "scores": {"em": NaN}}'], "record 1: scores: 'em' is nan, not a number or null"),
        (['{"id": "q1", "scores": {"em": 1e999}}'], "record 1: scores: 'em' is inf, not a number or null"),
        (['{"id": "q1", "scores": {"e\\nm": [%s]}}' % ("1," * 99 + "1")], "'e\\nm' is [1, 1, 1"),
        (['{"scores": {"em": 1}}'], "record 1: id is missing"),
        (['{"id": " ", "scores": {"em": 1}}'], "record 1: id is empty"),
        ([GOOD, "{"], "record 2: not JSON"),
        (["", "7"], "record 2: 7 is not an object"),
        ([], "holds no record"),
    ],
)
def test_a_bad_file_is_named_with_its_record(tmp_path: Path, lines: list[str], said: str) -> None:
    good, bad = write(tmp_path / "good", GOOD), write(tmp_path / "bad", *lines)
    for pair in [(good, bad), (bad, good)]:
        with pytest.raises(DataError) as caught:
            compare(*pair)
        assert said in str(caught.value) and str(bad / "per_question.jsonl") in str(caught.value)
        assert one_line(caught.value)


def test_folders_that_cannot_be_compared(tmp_path: Path) -> None:
    good = write(tmp_path / "good", GOOD)
    empty = tmp_path / "empty"
    empty.mkdir()
    cases = [
        (tmp_path / "none", "no such folder. Name a folder that `glossator eval ... --out` wrote"),
        (empty, "no per_question.jsonl in it. Name a folder that `glossator eval ... --out` wrote"),
        (good / "per_question.jsonl", "no such folder"),
        (run(tmp_path / "others", {"q2": {"em": 1}}), "no question in common"),
        (run(tmp_path / "nulls", {"q1": {"em": None}}), "no score in common"),
        (run(tmp_path / "metrics", {"q1": {"f1": 1}}), "no score in common"),
        (run(tmp_path / "bare", {"q1": {}}), "no score in common"),
    ]
    for bad, said in cases:
        for pair in [(good, bad), (bad, good)]:
            with pytest.raises(UsageError) as caught:
                compare(*pair)
            assert said in str(caught.value) and str(bad) in str(caught.value)
            assert one_line(caught.value)


def one_line(error: RagError) -> bool:
    return "\n" not in str(error) and len(str(error)) < 500
