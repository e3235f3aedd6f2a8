"""eval/legal/judgments.py: scores worked by hand, on records of our own in the layout of cases-a."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from eval.core.files import Record, read_records
from eval.legal.judgments import boundary_scores, given_of, halves, known_case, read, result_json, set_scores
from ingest.legal.courts import read_courts
from rag.errors import DataError
from rag.library.mentions.cited import KnownCases
from tests.test_judgment import OPINIONS, WHOLE

ECTHR = read_courts()["ecthr"]


def record_of(itemid: str = "001-1", cites: str = "", **fields: Any) -> dict[str, Any]:
    text = WHOLE.replace("6. The Court declares", f"6. The Court ({cites}) declares")
    heads = {
        "procedure": "PROCEDURE",
        "facts": "THE FACTS",
        "law": "THE LAW",
        "operative": "FOR THESE",
        "annex": OPINIONS[:20],
    }
    return {
        "itemid": itemid,
        "title": f"{itemid} v. AUSTRIA",
        "application_numbers": ["12/03", "13/03"],
        "date": "4 May 2010",
        "importance": 3,
        "text": text,
        "sections": [{"section": "header", "start": 0}]
        + [{"section": kind, "start": text.index(head)} for kind, head in heads.items()],
        "cited_application_numbers": {},
        "cites_in_corpus": [],
        "outcome": [{"article": "Article 8", "violation": True}],
        **fields,
    }


def records(tmp_path: Path, *fields: dict[str, Any]) -> list[Record]:
    file = tmp_path / "cases.jsonl"
    file.write_text("".join(json.dumps(some) + "\n" for some in fields), "utf-8")
    return read_records(file)


def test_boundaries_by_hand() -> None:
    given = {"procedure": 100, "facts": 500, "law": 900, "annex": 5_000}
    scores = boundary_scores({"header": 0, "procedure": 100, "facts": 700, "law": 1_101, "operative": 4_000}, given)
    assert scores["boundary_exact"] == 1 / 4
    assert scores["boundary_within_200"] == 2 / 4
    assert scores["boundary_precision"] == 2 / 4
    assert (scores["boundary_exact/facts"], scores["boundary_within_200/facts"]) == (0.0, 1.0)
    assert scores["boundary_within_200/annex"] == 0.0
    assert scores["boundary_exact/operative"] is None  # not given: no measure applies


def test_sets_by_hand() -> None:
    assert set_scores("x", {1, 2, 3}, {2, 3, 4, 5}) == {"x_precision": 2 / 3, "x_recall": 2 / 4}
    assert set_scores("x", set(), {1}) == {"x_precision": None, "x_recall": 0.0}
    assert set_scores("x", {1}, set()) == {"x_precision": 0.0, "x_recall": None}


def test_a_case_read_right_scores_one(tmp_path: Path) -> None:
    cites = "A. v. Austria, no. 5/01, 3 May 2004, and B. v. Malta, no. 6/01"
    given = {"cited_application_numbers": {"5/01": 1, "6/01": 1}, "cites_in_corpus": ["001-0"]}
    earlier = record_of("001-0", date="3 May 2004", application_numbers=["5/01"])
    some = records(tmp_path, earlier, record_of("001-1", cites, **given))
    reading = read(some[1], ECTHR, KnownCases(map(known_case, some)))
    assert {value for value in reading.scores.values() if value is not None} == {1.0}
    assert reading.scores["edges_recall"] == reading.scores["cited_precision"] == 1.0


def test_a_case_read_wrong_scores_less(tmp_path: Path) -> None:
    wrong = record_of(
        cites="A. v. Austria, no. 5/01",
        cited_application_numbers={"7/01": 1},
        outcome=[{"article": "Article 8", "violation": False}],
    )
    (record,) = records(tmp_path, wrong)
    scores = read(record, ECTHR, KnownCases([known_case(record)])).scores
    assert (scores["cited_precision"], scores["cited_recall"]) == (0.0, 0.0)
    assert (scores["outcome_precision"], scores["outcome_recall"]) == (0.0, 0.0)
    assert (scores["edges_precision"], scores["edges_recall"]) == (None, None)


def test_halves_by_order_with_intervals_and_counts(tmp_path: Path) -> None:
    good, bad = record_of("001-1"), record_of("001-2", outcome=[{"article": "Article 3", "violation": True}])
    result = halves(records(tmp_path, good, bad, bad), ECTHR)
    assert list(result) == ["tuned on", "test"]
    assert [result[half]["n"] for half in result] == [1, 2]
    assert [result[half]["metrics"]["outcome_recall"] for half in result] == [1.0, 0.0]
    assert result["test"]["pooled"]["outcome"] == {"found": 2, "given": 2, "right": 0}
    assert result["test"]["intervals"]["boundary_exact"] == [1.0, 1.0]
    assert result_json([])["metrics"] == {}


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("sections", [{"section": "law"}], "sections holds something without a start"),
        ("sections", {}, "sections is"),
        ("outcome", [{"article": "Article 8"}], "outcome holds something without a violation"),
        ("outcome", [{"violation": True}], "outcome holds a finding without an article"),
        ("cited_application_numbers", None, "cited_application_numbers is missing"),
        ("text", "", "no text"),
    ],
)
def test_a_broken_record_is_named(tmp_path: Path, field: str, value: object, message: str) -> None:
    (record,) = records(tmp_path, record_of(**{field: value}))
    with pytest.raises(DataError, match=message):
        read(record, ECTHR, KnownCases([known_case(record)]))


def test_the_first_of_a_kind_is_where_it_starts(tmp_path: Path) -> None:
    (record,) = records(tmp_path, record_of(sections=[{"section": "law", "start": 5}, {"section": "law", "start": 9}]))
    assert given_of(record).starts == {"law": 5}
