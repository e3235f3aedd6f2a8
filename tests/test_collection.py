"""eval/retrieval/collection.py: what is written comes back, and a broken file is named with its line and field."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval.retrieval.collection import Query, beir_files, read_collection, read_corpus, read_qrels, read_queries
from eval.retrieval.corpus import Entry
from rag.errors import DataError, UsageError
from tests.conftest import DATA, needs_data

CORPUS = [{"_id": "d1", "title": "Tea", "text": "A leaf."}, {"_id": "d2", "title": "", "text": "A bean."}]
QUERIES = [{"_id": "q1", "text": "Which leaf?"}, {"_id": "q2", "text": "Which bean?"}, {"_id": "q3", "text": "Who?"}]
QRELS = "query-id\tcorpus-id\tscore\nq2\td2\t2\nq1\td1\t1\nq1\td2\t0\n"
IDS = st.text("abc .-é", min_size=1, max_size=3).filter(str.strip)


def jsonl(file: Path, records: list[dict[str, Any]]) -> Path:
    return written(file, "".join(f"{json.dumps(record)}\n" for record in records))


def written(file: Path, text: str) -> Path:
    """The file, gzipped if its name says so, its folders made."""
    file.parent.mkdir(parents=True, exist_ok=True)
    data = text.encode()
    file.write_bytes(gzip.compress(data) if file.suffix == ".gz" else data)
    return file


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path, Path]:
    corpus, queries = jsonl(tmp_path / "corpus.jsonl", CORPUS), jsonl(tmp_path / "queries.jsonl", QUERIES)
    return corpus, queries, written(tmp_path / "qrels.tsv", QRELS)


# -- what is read ----------------------------------------------------------------------------------------------


def test_a_corpus_comes_with_or_without_titles(tmp_path: Path) -> None:
    records = [{"_id": 7, "title": None, "text": "a"}, {"id": "x", "text": "b"}, {"id": "y", "title": "T", "text": ""}]
    for file in (tmp_path / "corpus.jsonl", tmp_path / "corpus.jsonl.gz"):
        assert read_corpus(jsonl(file, records)) == [Entry("7", "", "a"), Entry("x", "", "b"), Entry("y", "T", "")]


def test_a_passage_without_text_stays_and_is_counted(files: tuple[Path, Path, Path]) -> None:
    """As two documents of Cranfield, one of them judged."""
    corpus, queries, qrels = files
    jsonl(corpus, [*CORPUS, {"_id": "d3", "title": "", "text": ""}, {"_id": "d4", "title": "Only a title"}, {"_id": 5}])
    qrels.write_text(f"{QRELS}q1\td3\t1\n")
    collection = read_collection(corpus, queries, qrels)
    assert collection.entries[2:] == [Entry("d3", "", ""), Entry("d4", "Only a title", ""), Entry("5", "", "")]
    assert collection.empty == 2 and collection.qrels["q1"]["d3"] == 1


@pytest.mark.parametrize("field", ["text", "query", "question"])
def test_queries_are_called_by_any_of_three_names(tmp_path: Path, field: str) -> None:
    file = written(tmp_path / "queries.json", json.dumps([{"id": "a", field: "Why?", "answer": "So."}]))
    assert read_queries(file) == [Query("a", "Why?")]


def test_queries_without_a_judgement_are_left_out_and_counted(files: tuple[Path, Path, Path]) -> None:
    collection = read_collection(*files)
    assert [query.id for query in collection.queries] == ["q1", "q2"]  # in the order of the queries, not of the qrels
    assert collection.qrels == {"q2": {"d2": 2}, "q1": {"d1": 1, "d2": 0}}
    assert (len(collection.entries), collection.unjudged) == (2, 1)


@given(qrels=st.dictionaries(IDS, st.dictionaries(IDS, st.integers(-2, 1000), min_size=1), min_size=1), data=st.data())
def test_qrels_come_back_as_they_were_written(
    tmp_path_factory: pytest.TempPathFactory, qrels: dict[str, dict[str, int]], data: st.DataObject
) -> None:
    lines = [f"{query}\t{key}\t{grade}" for query, judged in qrels.items() for key, grade in judged.items()]
    end = data.draw(st.sampled_from(["\n", "\r\n"]))
    text = "".join(f"{line}{end}" for line in ["query\tpassage\tgrade", *lines])
    name = data.draw(st.sampled_from(["qrels.tsv", "qrels.tsv.gz"]))
    file = written(tmp_path_factory.mktemp("qrels") / name, text)
    assert read_qrels(file, {key for judged in qrels.values() for key in judged}) == qrels


@pytest.mark.parametrize(
    "text",
    ["q1 0 d1 1\nq1\t0\td2\t0\n", "q1\td1\t1\nq1\td2\t0", "\ufeffa\tb\tc\n\nq1\td1\t1\nq1\td2\t0\nq1\td2\t0\n"],
)
def test_the_other_ways_of_writing_qrels(tmp_path: Path, text: str) -> None:
    assert read_qrels(written(tmp_path / "qrels", text), {"d1", "d2"}) == {"q1": {"d1": 1, "d2": 0}}


@pytest.mark.parametrize("end", ["", ".gz"])
def test_a_folder_of_beir(tmp_path: Path, end: str) -> None:
    corpus, queries = jsonl(tmp_path / f"corpus.jsonl{end}", CORPUS), jsonl(tmp_path / f"queries.jsonl{end}", QUERIES)
    test, dev = (written(tmp_path / "qrels" / f"{split}.tsv{end}", QRELS) for split in ("test", "dev"))
    assert beir_files(tmp_path) == (corpus, queries, test)
    assert beir_files(tmp_path, "dev") == (corpus, queries, dev)
    assert len(read_collection(*beir_files(tmp_path)).queries) == 2


@needs_data
def test_the_collections_at_hand_can_be_read() -> None:
    scifact = read_collection(*beir_files(DATA / "beir" / "scifact"))
    assert (len(scifact.entries), len(scifact.queries), scifact.unjudged) == (5183, 300, 809)


# -- what is refused -------------------------------------------------------------------------------------------


def refused(kind: type[Exception], call: Any, *arguments: Any) -> str:
    with pytest.raises(kind) as caught:
        call(*arguments)
    line = str(caught.value)
    assert "\n" not in line and type(caught.value) is kind
    return line


@pytest.mark.parametrize(
    ("read", "text", "where", "what"),
    [
        (read_corpus, '{"text": "a"}', "record 1", "id or _id is missing"),
        (read_corpus, '{"id": " ", "text": "a"}', "record 1", "id or _id is empty"),
        (read_corpus, '{"id": "a", "title": ["t"], "text": "a"}', "record 1", 'title is ["t"], not text'),
        (read_corpus, '{"id": "a", "text": "a"}\n{"_id": "a", "text": "b"}', "record 2", "'a' stands in record 1 too"),
        (read_corpus, r'{"id": "a", "text": "\ud800"}', "record 1", "text holds half a character"),
        (read_corpus, r'{"id": "\ud800", "text": "a"}', "record 1", "id holds half a character"),
        (read_corpus, "\n", "corpus", "holds no record"),
        (read_queries, '{"id": "a", "query": ""}', "record 1", "text or query or question is empty"),
        (read_queries, '{"id": "a", "title": "b"}', "record 1", "text or query or question is missing"),
        (read_queries, r'{"id": "a", "query": "\ud800"}', "record 1", "query holds half a character"),
        (read_queries, '[{"id": 1, "text": "a"}, {"id": "1", "text": "b"}]', "record 2", "'1' stands in record 1 too"),
    ],
)
def test_a_broken_record_is_named(tmp_path: Path, read: Any, text: str, where: str, what: str) -> None:
    line = refused(DataError, read, written(tmp_path / "corpus.jsonl", text))
    assert "corpus.jsonl" in line and where in line and what in line


@pytest.mark.parametrize(
    ("text", "where", "what"),
    [
        ("", "qrels.tsv", "holds no judgement"),
        ("a\tb\tc\n", "qrels.tsv", "holds no judgement"),
        ("a\tb\tc\n\nq1\td1\n", "line 3", "number of fields is 2, not the 3 (query, passage, grade) between tabs"),
        ("q1 d1 1\n", "line 1", "number of fields is 3, not TREC's 4"),
        ("q1 0 d1 1\nq1 0 d1\n", "line 2", "number of fields is 3, not TREC's 4"),
        ("a\tb\tc\nq1\td1\t1.0\n", "line 2", "grade '1.0' is not a whole number"),
        ("q1\td1\thigh\n", "line 1", "grade 'high' is not a whole number"),  # no header: it names a passage
        ("a\tb\tc\n\td1\t1\n", "line 2", "the query's id is empty"),
        ("a\tb\tc\nq1\td9\t1\n", "line 2", "passage 'd9' is not in the corpus"),
        ("q1 0 d1 1\nq1 0 d2 1\nq1 0 d1 2\n", "line 3", "grade 2 for query 'q1' and passage 'd1', which has grade 1"),
        ("q1\td1\t1099511627776\n", "line 1", "grade 1099511627776 is above 1,000"),  # trec_eval crashes at it
        (f"q1\td1\t{'9' * 5000}\n", "line 1", "is above 1,000"),  # Python refuses to read it
    ],
)
def test_a_broken_judgement_is_named(tmp_path: Path, text: str, where: str, what: str) -> None:
    line = refused(DataError, read_qrels, written(tmp_path / "qrels.tsv", text), {"d1", "d2"})
    assert "qrels.tsv" in line and where in line and what in line and len(line) < 400


def test_a_judged_query_that_nobody_asks_is_named(files: tuple[Path, Path, Path]) -> None:
    corpus, queries, qrels = files
    written(qrels, f"{QRELS}q8\td1\t1\nq9\td1\t1\n")
    line = refused(DataError, read_collection, corpus, queries, qrels)
    assert "qrels.tsv" in line and "'q8' (and 1 more)" in line and "queries.jsonl" in line


def test_a_file_that_is_not_there_is_named(tmp_path: Path, files: tuple[Path, Path, Path]) -> None:
    for place in range(3):
        some = [*files]
        some[place] = tmp_path / "nowhere"
        assert "nowhere" in refused(UsageError, read_collection, *some)


def test_a_folder_that_is_not_beirs_says_what_it_has(tmp_path: Path) -> None:
    assert "no such folder" in refused(UsageError, beir_files, tmp_path / "nowhere")
    assert "has no corpus.jsonl or corpus.jsonl.gz (it has nothing)" in refused(UsageError, beir_files, tmp_path)
    for name in ("corpus.jsonl", "queries.jsonl", "qrels/train.tsv"):
        written(tmp_path / name, "")
    line = refused(UsageError, beir_files, tmp_path)
    assert "has no qrels/test.tsv" in line and "corpus.jsonl, qrels, qrels/train.tsv, queries.jsonl" in line
