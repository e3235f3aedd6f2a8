"""measures.py: the measures by hand and as ir-measures finds them in our run file, and the whole evaluation."""

from __future__ import annotations

import json
import math
from itertools import pairwise
from pathlib import Path
from typing import Any

import ir_measures
import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from eval.core.compare import compare
from eval.retrieval.collection import Collection, Query
from eval.retrieval.corpus import Corpus, Entry, open_corpus
from eval.retrieval.measures import ALL_GOLD, DEPTH, MEASURES, check_ids, measure, run, write_run
from rag.errors import UsageError
from rag.settings import Settings
from tests.conftest import Run

SETTINGS = Settings()
NAMES = "abcdefgh"
ENTRIES = [
    Entry("doc/1", "Tea", "Tea is brewed from the leaves of a shrub."),
    Entry("doc/2", "Coffee", "Coffee is brewed from roasted beans."),
    Entry("doc/3", "Cocoa &amp; sugar", "Cocoa is made from the fermented seeds of a tree."),
    *(Entry(f"copy/{i}", "", "Beer is brewed from barley.") for i in range(3)),  # the same score for all three
    *(Entry(f"lake/{i}", f"Lake {i}", f"A lake with {i} islands and many fish.") for i in range(14)),
]
QUERIES = [
    Query("tea", "Which leaves are brewed as tea?"),
    Query("beer", "What is beer brewed from?"),
    Query("none", "Zebra xylophone?"),  # no word of it in any passage
    Query("fish", "Which lake has fish?"),
]
QRELS = {
    "tea": {"doc/1": 3, "doc/2": 1, "doc/3": 0},
    "beer": {"copy/2": 2, "copy/0": 1, "doc/2": -1},
    "none": {"doc/3": 1},
    "fish": {"doc/1": 0},  # nothing is relevant
}
COLLECTION = Collection(ENTRIES, QUERIES, QRELS, 2)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    return open_corpus(ENTRIES, tmp_path_factory.mktemp("cache"), SETTINGS, ["hybrid"])


def evaluate(corpus: Corpus, retriever: str = "bm25", **options: Any) -> dict[str, Any]:
    return run(COLLECTION, corpus, SETTINGS, retriever, **options)


def lines_of(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()]


# -- scores ----------------------------------------------------------------------------------------------------


def test_by_hand() -> None:
    ranking = [("a", 9.0), ("b", 8.0), ("c", 7.0), ("d", 6.0)]
    scores = measure({"q": ranking}, {"q": {"b": 2, "d": 1, "c": 0, "x": 1}})["q"]
    gain = 2 / math.log2(3) + 1 / math.log2(5)
    ideal = 2 / math.log2(2) + 1 / math.log2(3) + 1 / math.log2(4)
    assert scores == pytest.approx(
        {
            "nDCG@10": gain / ideal, "RR": 1 / 2, "AP": (1 / 2 + 2 / 4) / 3,
            "R@2": 1 / 3, "R@5": 2 / 3, "R@10": 2 / 3, "R@100": 2 / 3, "all_gold@5": 0,
        }
    )  # fmt: skip


@pytest.mark.parametrize(
    ("relevant", "found", "score"),
    [("ab", "xyaqb", 1), ("ab", "xyaqzb", 0), ("abcdef", "abcdef", 0), ("", "abc", 0), ("a", "", 0)],
)
def test_all_gold_needs_every_relevant_passage_among_five(relevant: str, found: str, score: float) -> None:
    qrels = {"q": {**dict.fromkeys("xyz", 0), **dict.fromkeys(relevant, 1)}}
    assert measure({"q": [(key, 1.0) for key in found]}, qrels)["q"][ALL_GOLD] == score


def test_a_query_that_is_not_in_the_rankings_scores_0() -> None:
    scores = measure({"b": [], "d": [("x", 1.0)]}, {"a": {"x": 1}, "b": {"x": 1}, "c": {"x": 0}, "d": {"x": 1}})
    assert list(scores) == ["a", "b", "c", "d"]
    assert all(not any(scores[query].values()) for query in "abc")
    assert all(scores["d"].values())


def rankings() -> st.SearchStrategy[dict[str, list[tuple[str, float]]]]:
    # neighbours that a 32-bit float tells apart, or does not; most draws have ties
    score = st.sampled_from([30.000001, 30.0000001, 30.0, 1.5, 1.0000001, 1.0, 1e-9, 0.0, -0.25]) | st.floats(-9, 99)
    one = st.tuples(st.lists(st.sampled_from(NAMES), unique=True), st.lists(score, min_size=8, max_size=8))
    return st.dictionaries(
        st.sampled_from("1234"), one.map(lambda x: list(zip(x[0], sorted(x[1])[::-1], strict=False)))
    )


JUDGED = st.dictionaries(
    st.sampled_from("1234"), st.dictionaries(st.sampled_from(NAMES), st.integers(-2, 3), min_size=1), min_size=1
)


@hypothesis_settings(max_examples=60)
@given(found=rankings(), qrels=JUDGED)
def test_the_scores_are_those_of_ir_measures_on_the_run_file(
    tmp_path_factory: pytest.TempPathFactory,
    found: dict[str, list[tuple[str, float]]],
    qrels: dict[str, dict[str, int]],
) -> None:
    folder = tmp_path_factory.mktemp("run")
    write_run(folder / "run", found)
    # a grade of -2 makes trec_eval write outside its memory
    lines = [f"{query} 0 {key} {max(0, grade)}\n" for query, judged in qrels.items() for key, grade in judged.items()]
    (folder / "qrels").write_text("".join(lines))
    measures = [ir_measures.parse_measure(name) for name in MEASURES]
    theirs = ir_measures.calc(
        measures,
        list(ir_measures.read_trec_qrels(str(folder / "qrels"))),
        list(ir_measures.read_trec_run(str(folder / "run"))),
    )
    ours = measure(found, qrels)
    assert list(ours) == list(qrels)
    for metric in theirs.per_query:
        assert ours[metric.query_id][str(metric.measure)] == pytest.approx(metric.value, abs=1e-9)
    for name, value in zip(measures, map(theirs.aggregated.__getitem__, measures), strict=True):
        assert sum(scores[str(name)] for scores in ours.values()) / len(ours) == pytest.approx(value, abs=1e-9)
    for query, judged in qrels.items():  # the order that they took is ours
        first = next((i for i, (key, _) in enumerate(found.get(query, []), start=1) if judged.get(key, 0) > 0), None)
        assert ours[query]["RR"] == pytest.approx(1 / first if first else 0)
        assert measure({query: found.get(query, [])}, {query: judged}) == {query: ours[query]}


@given(found=rankings())
def test_the_run_file_keeps_the_order_and_all_but_the_last_digits(
    tmp_path_factory: pytest.TempPathFactory, found: dict[str, list[tuple[str, float]]]
) -> None:
    file = tmp_path_factory.mktemp("run") / "run"
    write_run(file, found)
    fields = [line.split(" ") for line in file.read_text().splitlines()]
    assert [(query, q0, key, int(rank), tag) for query, q0, key, rank, _, tag in fields] == [
        (query, "Q0", key, rank, "glossator")
        for query, ranking in found.items()
        for rank, (key, _) in enumerate(ranking, start=1)
    ]
    wanted = [score for ranking in found.values() for _, score in ranking]
    assert [float(line[4]) for line in fields] == pytest.approx(wanted, rel=1e-5, abs=1e-5)
    for one, two in pairwise(fields):
        assert one[0] != two[0] or np.float32(one[4]) > np.float32(two[4])


# -- the whole evaluation --------------------------------------------------------------------------------------


def test_the_evaluation_by_words(corpus: Corpus, tmp_path: Path) -> None:
    told: list[tuple[int, int, str]] = []
    result = evaluate(
        corpus, out=tmp_path / "out", run_file=tmp_path / "deep" / "run.txt", report=lambda *step: told.append(step)
    )
    assert (result["task"], result["n"], result["unjudged"], result["passages"]) == ("retrieval", 4, 2, 20)
    assert set(result) >= {"metrics", "intervals", "latency_ms", "settings", "models", "seconds", "seed"}
    assert result["models"] == {} and set(result["controls"]) == {"random", "oracle"}
    for row in (result, *result["controls"].values()):
        assert set(row["metrics"]) == set(row["intervals"]) == {*MEASURES, ALL_GOLD}
        assert row["latency_ms"]["p95"] >= row["latency_ms"]["p50"] >= 0
        for name, (low, high) in row["intervals"].items():
            assert 0 <= low <= row["metrics"][name] <= high <= 1
    assert result["metrics"]["R@100"] == 0.5  # of four queries two are answered, and the other two stay in the mean
    assert [step[:2] for step in told] == [(done, 12) for done in range(1, 13)]
    assert told[0][2] == "nDCG@10 0.93"  # (3 + 1 / log2(6)) / (3 + 1 / log2(3))
    assert told[3][2] == told[-1][2] == f"nDCG@10 {result['metrics']['nDCG@10']:.2f}"
    assert json.loads(json.dumps(result)) == result and "api_key" not in json.dumps(result)


def test_the_run_file_has_the_corpus_ids_and_gives_the_same_figures(corpus: Corpus, tmp_path: Path) -> None:
    result = evaluate(corpus, controls=False, run_file=tmp_path / "run.txt")
    rows = [line.split(" ") for line in (tmp_path / "run.txt").read_text().splitlines()]
    assert {row[2] for row in rows} <= {entry.id for entry in ENTRIES}
    assert {row[0] for row in rows} == {"tea", "beer", "fish"}  # a query without hits has no line
    assert {row[2] for row in rows if row[0] == "beer"} >= {"copy/0", "copy/1", "copy/2"}
    assert result["controls"] == {} and sorted(tmp_path.iterdir()) == [tmp_path / "run.txt"]
    measures = [ir_measures.parse_measure(name) for name in MEASURES]
    qrels = {query: {key: max(0, grade) for key, grade in judged.items()} for query, judged in QRELS.items()}
    theirs = ir_measures.calc_aggregate(measures, qrels, list(ir_measures.read_trec_run(str(tmp_path / "run.txt"))))
    ours = {name: value for name, value in result["metrics"].items() if name != ALL_GOLD}
    assert {str(name): value for name, value in theirs.items()} == pytest.approx(ours, abs=1e-9)


def test_what_is_written_is_the_same_again_and_can_be_compared(corpus: Corpus, tmp_path: Path) -> None:
    few = Collection(ENTRIES, QUERIES[:2], {query.id: QRELS[query.id] for query in QUERIES[:2]}, 0)
    for name in ("one", "two"):
        result = run(few, corpus, SETTINGS, "hybrid", out=tmp_path / name, run_file=tmp_path / name / "run.txt")
    assert result["models"] == {"dense": "all-minilm-l6-v2"} and list(result["controls"]) == [
        "bm25",
        "random",
        "oracle",
    ]
    one = sorted(file for file in (tmp_path / "one").rglob("*") if file.is_file())
    assert [str(file.relative_to(tmp_path / "one")) for file in one] == [
        "bm25/per_question.jsonl", "oracle/per_question.jsonl", "per_question.jsonl", "random/per_question.jsonl",
        "report.md", "run.txt",
    ]  # fmt: skip
    for file in one:
        assert file.read_bytes() == (tmp_path / "two" / file.relative_to(tmp_path / "one")).read_bytes(), file
    compared = compare(tmp_path / "one", tmp_path / "two" / "bm25")
    assert compared["n"] == 2 and set(compared["metrics"]) == {*MEASURES, ALL_GOLD}
    assert compared["metrics"]["nDCG@10"]["a"] == round(result["metrics"]["nDCG@10"], 4)
    assert compared["metrics"]["nDCG@10"]["b"] == round(result["controls"]["bm25"]["metrics"]["nDCG@10"], 4)


def test_each_query_tells_what_was_found_and_how_it_was_judged(corpus: Corpus, tmp_path: Path) -> None:
    evaluate(corpus, out=tmp_path)
    lines = lines_of(tmp_path / "per_question.jsonl")
    assert [(line["id"], line["question"]) for line in lines] == [(query.id, query.text) for query in QUERIES]
    assert lines[0]["hits"][0]["id"] == "doc/1" and lines[0]["hits"][0]["grade"] == 3
    assert lines[2]["hits"] == [] and not any(lines[2]["scores"].values())
    assert [hit["grade"] for hit in lines[3]["hits"]] == [None] * 10  # lakes, which nobody judged
    report = (tmp_path / "report.md").read_text()
    assert report.startswith("# Retrieval: bm25\n") and "4 queries over 20 passages" in report and "seed 0" in report
    assert [line.split(" | ")[0] for line in report.splitlines() if line.startswith("| ")][1:] == [
        "| bm25", "| random", "| oracle",
    ]  # fmt: skip
    below = report[report.index("## The 4 queries") :]
    assert [line.split(",")[0] for line in below.splitlines() if line.startswith("- ")][:2] == ["- none", "- fish"]
    assert "  - wanted: doc/3 (Cocoa &amp; sugar), not in 100\n  - first: nothing was found\n" in below
    assert "  - wanted: nothing: no passage is relevant\n  - first: lake/" in below
    assert "  - wanted: doc/1 (Tea), rank 1; doc/2 (Coffee), rank 5\n  - first: doc/1 (Tea)\n" in below


def test_the_oracle_is_the_ceiling_and_chance_is_the_same_for_a_seed(corpus: Corpus, tmp_path: Path) -> None:
    result = evaluate(corpus, out=tmp_path / "0", seed=0)
    for line in lines_of(tmp_path / "0" / "oracle" / "per_question.jsonl"):
        relevant = any(grade > 0 for grade in QRELS[line["id"]].values())
        assert line["scores"]["nDCG@10"] == line["scores"]["R@100"] == line["scores"][ALL_GOLD] == relevant
    for name, value in result["controls"]["oracle"]["metrics"].items():
        assert value >= result["metrics"][name] and value >= result["controls"]["random"]["metrics"][name]
    evaluate(corpus, out=tmp_path / "again", seed=0)
    evaluate(corpus, out=tmp_path / "1", seed=1)
    chance = {name: lines_of(tmp_path / name / "random" / "per_question.jsonl") for name in ("0", "again", "1")}
    assert chance["0"] == chance["again"] != chance["1"]
    assert len({hit["id"] for hit in chance["0"][0]["hits"]}) == 10


def test_a_hundred_passages_are_asked_for_and_one_query_at_a_time(corpus: Corpus, tmp_path: Path) -> None:
    class Nothing:
        def search(self, queries: list[str], k: int, within: object = None) -> list[list[Any]]:
            assert k == DEPTH == 100 and len(queries) == 1
            return [[]]

    class Indexes:
        def retriever(self, name: str, report: object = None) -> Nothing:
            return Nothing()

    held = Corpus(ENTRIES, corpus.indexes)
    held.indexes = Indexes()  # type: ignore[assignment]
    result = evaluate(held, "bm25", controls=False, run_file=tmp_path / "run.txt")
    assert not any(result["metrics"].values()) and (tmp_path / "run.txt").read_text() == ""


@pytest.mark.parametrize("identity", ["a b", " a", "a\t", "a\u2003b"])
def test_an_id_with_white_space_is_no_obstacle_but_to_a_run_file(identity: str, tmp_path: Path) -> None:
    passages = Collection([Entry(identity, "t", "x")], [Query("q", "x")], {"q": {identity: 1}}, 0)
    queries = Collection([Entry("d", "t", "x")], [Query(identity, "x")], {identity: {"d": 1}}, 0)
    for what, collection in (("passage", passages), ("query", queries)):
        with pytest.raises(UsageError) as caught:
            check_ids(collection)
        assert f"the id of {what} {identity!r} has white space" in str(caught.value)
    opened = open_corpus(passages.entries, tmp_path, SETTINGS, ["bm25"])
    assert run(passages, opened, SETTINGS, "bm25", controls=False)["metrics"]["nDCG@10"] == 1
    with pytest.raises(UsageError, match="white space"):
        run(passages, opened, SETTINGS, "bm25", run_file=tmp_path / "run.txt")


def test_a_folder_is_no_run_file(corpus: Corpus, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is a folder"):
        evaluate(corpus, run_file=tmp_path)


def test_a_file_with_empty_passages_is_measured_and_they_are_counted(tmp_path: Path, glossator: Run) -> None:
    """As BEIR's Cranfield has two; no query finds them, and one judged relevant stays in the recall."""
    beir = tmp_path / "beir"
    (beir / "qrels").mkdir(parents=True)
    passages = [{"_id": "d1", "title": "Tea", "text": "Tea is brewed."}, {"_id": "d2", "text": ""}, {"_id": "d3"}]
    (beir / "corpus.jsonl").write_text("".join(f"{json.dumps(passage)}\n" for passage in passages))
    (beir / "queries.jsonl").write_text('{"_id": "q1", "text": "How is tea brewed?"}\n')
    (beir / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\nq1\td1\t1\nq1\td2\t1\n")
    asked = ["--beir", beir, "--retriever", "bm25", "--cache", tmp_path / "cache", "--json"]
    done = glossator("eval", "retrieval", *asked)
    result = json.loads(done.stdout)
    assert (result["passages"], result["empty_passages"], result["metrics"]["R@5"]) == (3, 2, 0.5)
