"""eval/bench.py on the example."""

from __future__ import annotations

import json

import pytest

from tests.conftest import Run


def test_bench_ingest_compares_with_its_parts(glossator: Run) -> None:
    done = glossator("bench", "ingest", "--json")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["pages"] == 13
    expected = result["ingest_seconds"] / (result["extraction_seconds"] + result["encoding_seconds"])
    assert result["ratio"] == pytest.approx(expected, rel=0.05)


def test_bench_retrieval_times_every_retriever(glossator: Run) -> None:
    done = glossator("bench", "retrieval", "--json")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert {name for name in result if isinstance(result[name], dict)} == {"bm25", "dense", "hybrid"}
    assert all(result[name]["p95_ms"] >= result[name]["p50_ms"] > 0 for name in ("bm25", "dense", "hybrid"))
