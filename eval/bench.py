"""How long things take on this machine: ratios within one run, since absolute seconds move with the machine's load."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from eval.bootstrap import percentile
from eval.extraction import read_alone
from ingest.chunk import chunk
from rag.answer import Road, ask
from rag.indexes import NEEDS, Indexes
from rag.records import Answer
from rag.settings import Settings

REPEAT = 3


def _ingest_once(file: Path) -> tuple[float, int]:
    """Wall seconds of the whole command into a new library, and its own figure of its peak memory in MB."""
    with tempfile.TemporaryDirectory() as folder:
        program = [sys.executable, "-c", "from ui.cli import main; main()"]
        began = time.perf_counter()
        done = subprocess.run(
            [*program, "ingest", str(file), "--library", f"{folder}/library", "--json"], check=True, capture_output=True
        )
        return time.perf_counter() - began, json.loads(done.stdout)["peak_memory_mb"]


def ingest(file: Path, indexes: Indexes, settings: Settings) -> dict[str, Any]:
    """Wall time of `glossator ingest` of one PDF, over its reading alone plus the encoders' passes alone.

    Each of the three is repeated in turn, and the medians are compared. The whole command is counted: its start, its
    imports, the models' load, all indexes, the links and the catalogue.
    """
    walls, extractions, encodings, memory = [], [], [], 0
    dense, sparse = indexes.encoder(), indexes.sparse_encoder()
    for _ in range(REPEAT):
        began = time.perf_counter()
        document = read_alone(file, settings.ingest.ocr)
        extractions.append(time.perf_counter() - began)
        passages = chunk(document, settings.ingest.passage_tokens, settings.ingest.overlap_tokens)
        texts = [passage.searched for passage in passages]
        began = time.perf_counter()
        dense.encode(texts)
        sparse.encode_documents(texts)
        encodings.append(time.perf_counter() - began)
        wall, memory = _ingest_once(file)
        walls.append(wall)
    wall, extraction, encoding = (statistics.median(values) for values in (walls, extractions, encodings))
    return {
        "file": file.name,
        "pages": len(document.pages),
        "passages": len(passages),
        "ingest_seconds": round(wall, 2),
        "extraction_seconds": round(extraction, 2),
        "encoding_seconds": round(encoding, 2),
        "peak_memory_mb": memory,
        "ratio": round(wall / (extraction + encoding), 3),
    }


def retrieval(indexes: Indexes, queries: Sequence[str], k: int) -> dict[str, Any]:
    """Milliseconds a query, one at a time, of each retriever over an opened library; warm-up not counted."""
    result: dict[str, Any] = {"queries": len(queries)}
    for name in NEEDS:
        retriever = indexes.retriever(name)
        times = []
        for query in [*queries[:3], *queries]:
            began = time.perf_counter()
            retriever.search([query], k)
            times.append((time.perf_counter() - began) * 1000)
        times = times[3:]
        result[name] = {"p50_ms": round(percentile(times, 0.5), 2), "p95_ms": round(percentile(times, 0.95), 2)}
    return result


def answer(road: Road, questions: Sequence[str], k: int) -> dict[str, Any]:
    """Seconds to the first token and to the end of an answer, and its prompt tokens: medians over the questions."""
    answers = []
    for question in questions:
        *_, last = ask(question, road, k)
        assert isinstance(last, Answer)
        answers.append(last)
    parts = ("retrieve", "first_token", "answer", "note")
    seconds = {part: round(statistics.median(a.seconds.get(part, 0.0) for a in answers), 2) for part in parts}
    totals = [a.seconds["retrieve"] + a.seconds["answer"] + a.seconds["note"] for a in answers]
    return {
        "questions": len(answers),
        "reader": road.reader.name,
        "seconds": seconds | {"total": round(statistics.median(totals), 2)},
        "prompt_tokens": round(statistics.mean(a.tokens["prompt"] for a in answers)),
        "prompt_tokens_max": max(a.tokens["prompt"] for a in answers),
    }
