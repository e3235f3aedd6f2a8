"""eval/retrieval/training_data.py: each layout on made files, pooling, the real train parts, and what is refused."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from eval.retrieval.training_data import read_training_data
from rag.errors import DataError, UsageError
from rag.records import Passage
from rag.train.sparse.pairs import Pair
from rag.train.sparse.self_made_queries import training_set
from tests.benchmarks import GARDENS, PEOPLE, hotpot, musique, written
from tests.conftest import DATA, needs_data


def answers(passages: Sequence[Passage], pair: Pair) -> list[str]:
    return [passages[i].searched for i in pair.positives]


def beir(folder: Path, queries: Sequence[dict[str, str]], qrels: str) -> Path:
    corpus = [
        {"_id": "d1", "title": "Herons", "text": "They wait at weirs."},
        {"_id": "d2", "title": "", "text": "Mills grind."},
        {"_id": "d3", "title": "Weirs", "text": "They hold water back."},
    ]
    written(folder / "corpus.jsonl.gz", corpus)
    written(folder / "queries.jsonl", list(queries))
    written(folder / "qrels/train.tsv", f"query-id\tcorpus-id\tscore\n{qrels}")
    return folder


QUERIES = [
    {"_id": "q1", "text": "Who waits?", "split": "train"},
    {"_id": "q2", "text": "What grinds?"},
    {"_id": "q3", "text": "A test's claim.", "split": "test"},
]


def test_hotpotqa(tmp_path: Path) -> None:
    passages, pairs = read_training_data([written(tmp_path / "train.jsonl.gz", hotpot(4))])
    assert len(passages) == 12 and len(pairs) == 4
    garden, person = f"{GARDENS[0]} Garden & Park", PEOPLE[0]
    assert pairs[0].query == hotpot()[0]["question"] and pairs[0].source == "given"
    assert answers(passages, pairs[0]) == [
        f"{garden}\n{garden} is a park in the north. It was laid out by {person} in 1900.",
        f"{person}\n{person} was a gardener. {person} was born in Aalborg and died in 1960.",
    ]
    assert training_set(passages, given=pairs).texts[:12] == tuple(passage.searched for passage in passages)


def test_a_question_without_a_gold_paragraph_of_its_own_gives_passages_alone(tmp_path: Path) -> None:
    records = hotpot(2)
    records[1]["supporting_facts"] = [["Elsewhere", 0]]
    passages, pairs = read_training_data([written(tmp_path / "train.json", records)])
    assert len(passages) == 6 and [pair.query for pair in pairs] == [records[0]["question"]]


def test_musique(tmp_path: Path) -> None:
    passages, pairs = read_training_data([written(tmp_path / "train.jsonl", musique())])
    assert [answers(passages, pair) for pair in pairs] == [
        [f"Lakes\nLake {i} feeds the Orm.", f"Lakes\nThe Orm of {i} ends in Ys."] for i in range(2)
    ]
    lakes = [passage for passage in passages if passage.title == "Lakes"]
    assert len(lakes) == 4 and len({passage.document_id for passage in lakes}) == 1  # one page, so never split
    assert len({passage.passage_id for passage in passages}) == len(passages)


def test_beir_takes_the_train_part_alone(tmp_path: Path) -> None:
    folder = beir(tmp_path / "set", QUERIES, "q1\td1\t1\nq1\td3\t2\nq2\td2\t1\nq2\td1\t0\n")
    passages, pairs = read_training_data([folder])
    assert [passage.searched for passage in passages] == [
        "Herons\nThey wait at weirs.", "Mills grind.", "Weirs\nThey hold water back.",
    ]  # fmt: skip
    assert pairs == [Pair("Who waits?", (0, 2), "given"), Pair("What grinds?", (1,), "given")]


def test_beir_of_another_split_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"queries\.jsonl, record 3: split is 'test', but .*train\.tsv has its query 'q3'"
    ):
        read_training_data([beir(tmp_path / "a", QUERIES, "q1\td1\t1\nq3\td1\t1\n")])
    with pytest.raises(DataError, match=r"query 'q9' is not in"):
        read_training_data([beir(tmp_path / "b", QUERIES, "q9\td1\t1\n")])
    (tmp_path / "b/qrels/train.tsv").rename(tmp_path / "b/qrels/test.tsv")
    with pytest.raises(UsageError, match=r"has no qrels/train\.tsv"):
        read_training_data([tmp_path / "b"])


def test_several_files_are_pooled_without_repetition(tmp_path: Path) -> None:
    files = [written(tmp_path / f"{i}.jsonl", records) for i, records in enumerate((hotpot(3), musique(), hotpot(5)))]
    passages, pairs = read_training_data(files)
    alone = {p.searched for file in files for p in read_training_data([file])[0]}
    assert len(passages) == len(alone) == 15 + 6 and {p.searched for p in passages} == alone
    assert len(pairs) == 3 + 2 + 5
    assert len(training_set(passages, given=pairs, self_made=0).pairs) == 5 + 2  # each query once


def test_files_of_something_else(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such file"):
        read_training_data([tmp_path / "none.jsonl"])
    with pytest.raises(DataError, match="neither context nor paragraphs"):
        read_training_data([written(tmp_path / "odd.jsonl", [{"a": 1}])])


@needs_data
def test_the_real_train_parts() -> None:
    names = ["hotpotqa/train-small.jsonl.gz", "2wiki/train-500.jsonl.gz", "musique/train-100.jsonl.gz", "beir/scifact"]
    passages, pairs = read_training_data([DATA / name for name in names])
    assert len(pairs) == 200 + 500 + 100 + 809 - 2  # two train claims of SciFact are among its test claims, too
    assert len({passage.searched for passage in passages}) == len(passages) > 12_000
    assert all(pair.positives[-1] < len(passages) for pair in pairs)
