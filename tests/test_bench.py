"""eval/bench.py on the example."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from eval import bench
from rag.indexes import Indexes
from rag.library import Library
from rag.settings import load_settings
from tests.conftest import ROOT, Run


def test_bench_ingest_compares_with_its_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "REPEAT", 1)
    settings = load_settings()
    indexes = Indexes(Library.open(tmp_path / "library", create=True), settings)
    result = bench.ingest(ROOT / "examples" / "specter-acl2020.pdf", indexes, settings)
    assert result["pages"] == 13
    expected = result["ingest_seconds"] / (result["extraction_seconds"] + result["encoding_seconds"])
    assert result["ratio"] == pytest.approx(expected, rel=0.05)


def test_bench_retrieval_times_every_retriever(glossator: Run) -> None:
    done = glossator("bench", "retrieval", "--json")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    names = {"bm25", "sparse", "dense", "hybrid"}
    assert {name for name in result if isinstance(result[name], dict)} == names
    assert all(result[name]["p95_ms"] >= result[name]["p50_ms"] > 0 for name in names)


def test_bench_retrieval_prints_the_tables_of_what_is_there(glossator: Run, tmp_path: Path) -> None:
    """A collection of six passages in 2WikiMultihopQA's files: every table, and none of what is not there."""
    folder = tmp_path / "data" / "2wiki"
    folder.mkdir(parents=True)
    titles = ["Ada Moss", "Tarn Bridge", "Garden Book", "Old Mill", "Red Barn", "Lake House"]
    texts = [f"It was made by {titles[i - 1]} in {1900 + i}." for i in range(6)]
    passages = [{"id": f"p{i}", "title": titles[i], "text": texts[i]} for i in range(6)]
    questions = [{"_id": f"q{i}", "question": f"Who made {titles[i]} in {1900 + i}?"} for i in range(3)]
    judged = ["query-id\tcorpus-id\tscore", *(f"q{i}\tp{i}\t1" for i in range(3))]
    for name, records in (("corpus-a", passages), ("dev-a", questions)):
        with gzip.open(folder / f"{name}.jsonl.gz", "wt") as file:
            file.write("\n".join(map(json.dumps, records)))
    (folder / "qrels-dev-a.tsv").write_text("\n".join(judged))
    arguments = "bench", "retrieval", "--data", tmp_path / "data", "--cache", tmp_path / "cache", "--made", 200
    done = glossator(*arguments, "--json")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    (name,) = result["systems"]
    rows = {row["system"]: row["metrics"] for row in result["systems"][name]["rows"]}
    assert {"BM25", "dense", "sparse: SPLADE", "sparse: inference-free", "feedback: average, both"} < rows.keys()
    assert all(0 <= row["R@5"] <= 1 for row in rows.values())
    assert rows["BM25"]["R@5"] == 1
    assert set(result["ablation"]) == {name}
    assert set(result["engines"]) == {name, "200 made vectors"}
    assert {row["engine"] for row in result["engines"][name]} >= {"exact", "scipy", "seismic default"}
    assert "throughput" in result
    nothing = glossator("bench", "retrieval", "--data", tmp_path / "nowhere", "--json")
    assert (nothing.returncode, nothing.stdout) == (2, "")
    assert "nowhere" in nothing.stderr
