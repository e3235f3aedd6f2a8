"""precedent_ranking.py: measures by hand and as trec_eval has them, queries without their citations, the whole run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eval.legal.precedent_ranking import (
    DEPTH,
    MEASURES,
    findings,
    measure,
    read_judgments,
    read_pairs,
    run,
    tuned_on,
    without_citations,
)
from eval.legal.precedents_report import RUN, text, write
from eval.retrieval import measures as retrieval
from ingest.legal.courts import read_courts
from ingest.legal.judgment import read_judgment
from rag.errors import DataError, UsageError
from rag.legal.casebook import Parts
from rag.settings import Settings
from tests.test_precedents import POOLING, vectors

# ---- measures


def test_measures_by_hand() -> None:
    ranking = [f"d{i}" for i in range(1, 121)]
    several = measure(ranking, {"d1", "d10", "d11", "d60", "elsewhere"})
    assert several["R@10"] == 2 / 5 and several["R@50"] == 3 / 5 and several["R@100"] == 4 / 5
    assert several["AP"] == pytest.approx((1 / 1 + 2 / 10 + 3 / 11 + 4 / 60) / 5)
    assert several["RR"] == 1
    assert measure(ranking, {"d4"}) == {"R@10": 1, "R@50": 1, "R@100": 1, "AP": 1 / 4, "RR": 1 / 4}
    nothing = dict.fromkeys(MEASURES, 0.0)
    assert measure(ranking, set()) == measure([], {"d1"}) == measure(ranking, {"d101"}) == nothing


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.integers(0, 150), unique=True, max_size=150),
    st.frozensets(st.integers(0, 150), min_size=1, max_size=20),
)
def test_measures_are_those_of_trec_eval(order: list[int], relevant: frozenset[int]) -> None:
    """Ties among them: every score is the same, and the order returned is what counts."""
    keys = [f"d{i:03}" for i in order]
    ours = measure(keys, {f"d{i:03}" for i in relevant})
    ranking = [(key, 1.0) for key in keys[:DEPTH]]
    theirs = retrieval.measure({"q": ranking}, {"q": {f"d{i:03}": 1 for i in relevant}})["q"]
    for name in set(MEASURES) & set(theirs):
        assert ours[name] == pytest.approx(theirs[name]), name
    assert ours["R@10"] <= ours["R@50"] <= ours["R@100"]


def test_every_second_query_is_for_tuning() -> None:
    assert tuned_on(["c", "a", "b", "d", "e"]) == {"a", "c", "e"}


# ---- reading


def judgment(i: int, year: int, facts: str, law: str, holds: str, title: str = "") -> dict[str, Any]:
    title = title or f"APPLICANT{chr(64 + i)} v. AUSTRIA"
    text = (
        f"FIRST SECTION\nCASE OF {title}\n(Application no. {i}00/01)\nJUDGMENT\nSTRASBOURG\n1 May {year}\n"
        f"PROCEDURE\n1. The case originated in an application.\nTHE FACTS\n2. {facts}\nTHE LAW\n3. {law}\n"
        f"FOR THESE REASONS, THE COURT UNANIMOUSLY\n1. {holds}\n"
    )
    return {
        "itemid": f"j{i}",
        "title": title,
        "application_numbers": [f"{i}00/01"],
        "date": f"1 May {year}",
        "text": text,
    }


YES, NO = "Holds that there has been a violation of Article ", "Holds that there has been no violation of Article "
FATHERS = (
    "Custody is a matter of family life.",
    "Custody, as in Applicanta v. Austria, no. 100/01, § 3, is family life. Applicanta decides it.",
    "Custody (see Applicanta v. Austria, no. 100/01, and Applicantc v. Austria, no. 300/01).",
)
COURT = [
    judgment(1, 1990, "A father saw his child.", FATHERS[0], f"{YES}8;"),
    judgment(2, 1995, "A garden was flooded.", "Possessions must be protected.", f"{NO}13;"),
    judgment(3, 2000, "Another father saw a child.", FATHERS[1], f"{YES}6 § 1;"),
    judgment(4, 2005, "A third father and his child.", FATHERS[2], f"{NO}8;"),
]


def written(folder: Path, records: list[dict[str, Any]], name: str = "cases.jsonl") -> Path:
    file = folder / name
    file.write_text("".join(json.dumps(record) + "\n" for record in records), "utf-8")
    return file


def test_a_query_names_nothing_that_it_cites() -> None:
    text = COURT[2]["text"]
    blank = without_citations(text, read_judgment(text, read_courts()["ecthr"]))
    assert "100/01" in text and "100/01" not in blank and "Applicanta" not in blank
    assert len(blank) == len(text) and "Custody, as in" in blank and "is family life" in blank


def test_judgments_are_read_with_sections_and_edges(tmp_path: Path) -> None:
    judgments = read_judgments([written(tmp_path, COURT[::-1])], Settings())
    assert [one.itemid for one in judgments] == ["j1", "j2", "j3", "j4"]
    third = judgments[2]
    assert third.candidate.date == "2000-05-01" and third.candidate.cites == ("j1",) and third.query.cites == ()
    assert "Another father" in third.candidate.text("facts") and "Custody" not in third.candidate.text("facts")
    assert "no. 100/01" in third.candidate.text("law") and "100/01" not in third.query.text("law")
    for one in judgments:
        for passage in one.candidate.passages("both"):
            assert one.text[passage.start : passage.end] == passage.text


def test_files_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="itemid 'j1' is there twice"):
        read_judgments([written(tmp_path, [COURT[0], COURT[0]])], Settings())
    judgments = read_judgments([written(tmp_path, COURT)], Settings())
    pairs = tmp_path / "qrels.tsv"
    pairs.write_text("query-id\tcorpus-id\tscore\nj9\tj1\t1\n")
    with pytest.raises(DataError, match="query 'j9' is not among the cases"):
        read_pairs(pairs, judgments)


# ---- the whole run


def test_the_whole_evaluation(tmp_path: Path) -> None:
    judgments = read_judgments([written(tmp_path, COURT)], Settings())
    pairs = tmp_path / "qrels.tsv"
    pairs.write_text("query-id\tcorpus-id\tscore\nj3\tj1\t1\nj4\tj1\t1\nj4\tj3\t1\nj1\tj4\t1\n")  # the last is later
    file = tmp_path / "out.run"
    qrels = read_pairs(pairs, judgments)
    result = run(judgments, qrels, tmp_path / "sections", Settings(), "graph", field="facts", run_file=file)
    assert (result["task"], result["n"], result["cases"], result["relevant"], result["unreachable"]) == (
        "precedents", 3, 4, 4, 1
    )  # fmt: skip
    assert set(result["metrics"]) == set(MEASURES) == set(result["intervals"])
    assert result["metrics"]["AP"] == pytest.approx(
        (1 + 1 + 0) / 3
    )  # both fathers first; nothing before the first case
    assert result["held_out"]["n"] == 1 and result["by_year"]["1990"]["metrics"]["AP"] == 0
    assert {year: row["n"] for year, row in result["by_year"].items()} == {"1990": 1, "2000": 1, "2005": 1}
    assert set(result["rows"]["graph, facts to facts"]["against_bm25"]) == set(MEASURES)
    assert result["rows"]["bm25, facts to facts"]["against_bm25"] == {}
    assert not any("mean" in name or "sparse" in name for name in result["rows"])  # no encoder was given
    lines = [line.split() for line in file.read_text().splitlines()]
    assert {line[0] for line in lines} == {"j3", "j4"} and all(line[5] == "glossator" for line in lines)
    assert next(line[2] for line in lines if line[0] == "j3") == "j1"
    json.dumps(result)
    parts = Parts(vectors, pooling=POOLING)
    more = run(judgments, qrels, tmp_path / "sections", Settings(), "trained", parts=parts)
    assert more["scorer"] == "trained" and {"trained, facts to law", "mean, law to both"} <= set(more["rows"])
    with pytest.raises(UsageError, match="--section reasons"):
        run(judgments, qrels, tmp_path / "sections", Settings(), field="reasons")  # type: ignore[arg-type]


def test_cases_without_a_date_are_kept_and_counted(tmp_path: Path) -> None:
    """Nobody finds them, as they may be later; as queries they are left out, as nobody knows what is earlier."""
    first, second, third, fourth = COURT
    undated = [first, second | {"date": None}, {name: third[name] for name in third if name != "date"}, fourth]
    judgments = read_judgments([written(tmp_path, [*undated])], Settings())
    assert [one.candidate.date[:4] for one in judgments] == ["1990", "", "", "2005"]
    pairs = tmp_path / "qrels.tsv"
    pairs.write_text("j3\tj1\t1\nj4\tj1\t1\nj4\tj3\t1\n")
    qrels = read_pairs(pairs, judgments)
    result = run(judgments, qrels, tmp_path / "sections", Settings(), "bm25", rows=(), run_file=tmp_path / RUN)
    assert (result["n"], result["cases"], result["undated"]) == (1, 4, {"cases": 2, "queries": 1})
    assert result["metrics"]["R@10"] == 0.5 and "2 cases have no date, and 1 queries" in text(result)
    write(tmp_path, "x", result, judgments, qrels)
    with pytest.raises(DataError, match="no query of these qrels is a case with a date"):
        run(judgments, {"j3": {"j1": 1}}, tmp_path / "sections", Settings(), "bm25", rows=())


def test_questions_are_answered_from_the_operative_part(tmp_path: Path) -> None:
    judgments = read_judgments([written(tmp_path, COURT)], Settings())
    asked = [
        ("Did the Court find a violation of Article 8 in Applicanta v. Austria (no. 100/01)?", "yes"),
        ("Did the Court find a violation of Article 13 in Applicantb v. Austria (no. 200/01)?", "no"),
        ("Did the Court find a violation of Article 6 in Applicantc v. Austria (no. 300/01)?", "no"),  # it did
        ("Did the Court find a violation of Article 8 in Nobody v. Austria (no. 900/01)?", "yes"),
        ("What did the Court find under Article 8?", "yes"),
    ]
    file = written(
        tmp_path,
        [{"id": f"q{i}", "question": question, "answer": gold} for i, (question, gold) in enumerate(asked)],
        "questions.jsonl",
    )
    result = findings(judgments, file)
    assert result["n"] == 5 and result["wrong"] == ["q2", "q3", "q4"]
    assert result["metrics"] == {"read": 4 / 5, "accuracy": 2 / 5, "cited": 3 / 5}
