"""The sparse encoder we ship: small, there without a fetch, what its card says, and better than its base."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import numpy as np
import pytest

from eval.core.files import read_records
from eval.retrieval.collection import beir_files, read_corpus, read_qrels
from eval.retrieval.sparse_gain import ndcg_of
from rag.encode.checkpoint import TRAINED
from rag.errors import ModelError
from rag.models.registry import SHIPPED, catalogue, fetch, path_of
from rag.settings import Settings
from rag.train.sparse.hard_negatives import TrainingPostings
from rag.train.sparse.pairs import Pair, TrainingSet
from rag.train.sparse.student import Student
from tests.conftest import DATA, ROOT, needs_data

NAME = "glossator-sparse"
FOLDER = SHIPPED / NAME


def test_it_is_the_default_small_and_there_without_a_fetch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GLOSSATOR_MODELS", str(tmp_path / "nothing"))
    assert Settings().sparse.model == NAME
    assert path_of(NAME) == fetch(NAME) == FOLDER
    assert not (tmp_path / "nothing").exists()
    assert sum(file.stat().st_size for file in FOLDER.iterdir()) < 12_000_000
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    packaged = project["tool"]["setuptools"]["package-data"]["rag.models"]
    assert {path for pattern in packaged for path in (ROOT / "rag/models").glob(pattern)} >= set(FOLDER.iterdir())


def test_a_damaged_package_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / NAME).mkdir()
    for file in FOLDER.iterdir():
        (tmp_path / NAME / file.name).write_bytes(file.read_bytes())
    weights = tmp_path / NAME / "model.safetensors"
    monkeypatch.setattr("rag.models.registry.SHIPPED", tmp_path)
    weights.write_bytes(weights.read_bytes()[:-1] + b"?")  # of the same size: only a hash tells
    with pytest.raises(ModelError, match=r"is damaged\. Install Glossator again$"):
        fetch(NAME)
    weights.write_bytes(b"")
    with pytest.raises(ModelError, match=r"is damaged\. Install Glossator again$"):
        path_of(NAME)


def test_it_learnt_from_train_parts_alone_and_its_card_says_how() -> None:
    record, card = json.loads((FOLDER / TRAINED).read_text("utf-8")), (FOLDER / "README.md").read_text("utf-8")
    assert record["base"] == "splade-tiny"
    assert record["data"]["files"] == ["train-small.jsonl.gz", "train-500.jsonl.gz", "train-100.jsonl.gz", "scifact"]
    recipe = (ROOT / "Makefile").read_text("utf-8").partition("\nencoder:")[2].partition("\n\n")[0]
    assert all(file in recipe and file in card for file in record["data"]["files"])
    assert f"seed {record['recipe']['seed']}" in card and "make encoder" in card and catalogue()[NAME].licence in card


@pytest.mark.slow
@needs_data
def test_it_finds_the_abstracts_of_unseen_claims_better_than_its_base() -> None:
    """100 of SciFact's test claims, among the abstracts that they ask for and 300 others."""
    corpus, queries, judged = beir_files(DATA / "beir/scifact", "test")
    entries = list(read_corpus(corpus))
    qrels = read_qrels(judged, {entry.id: i for i, entry in enumerate(entries)})
    asked = sorted(qrels)[:100]
    gold = {passage for query in asked for passage, grade in qrels[query].items() if grade > 0}
    others = [entry for entry in entries if entry.id not in gold][::16][:300]
    pool = [entry for entry in entries if entry.id in gold] + others
    place = {entry.id: i for i, entry in enumerate(pool)}
    words = {record.text("id", "_id"): record.text("text") for record in read_records(queries)}
    pairs = tuple(
        Pair(words[query], tuple(sorted(place[p] for p, grade in qrels[query].items() if grade > 0)), "given")
        for query in asked
    )
    texts = tuple(f"{entry.title}\n{entry.text}" for entry in pool)
    data = TrainingSet(texts, tuple(place), tuple(range(len(texts))), pairs)

    def ndcg(name: str) -> float:
        some = Student("inference-free", name, 128, 32, texts)
        postings = TrainingPostings(some.encode_documents(texts))
        return float(np.mean(ndcg_of(lambda q: np.stack([postings.products(v) for v in some.encode_queries(q)]), data)))

    assert ndcg(NAME) > ndcg("splade-tiny") + 0.01
