"""eval/core/bench.py on the example."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import pytest

from eval.core import bench
from rag.index.manager import Indexes
from rag.library.catalogue import Library
from rag.llm.chat import Messages, Usage
from rag.pipeline import Pipeline
from rag.records import Hit
from rag.settings import load_settings
from tests.conftest import Run
from tests.parts import passage
from tests.pdfs import make_pdf
from tests.test_answer import ScriptedReader, pipeline

pytestmark = pytest.mark.slow


def test_bench_ingest_compares_with_its_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "REPEAT", 1)
    settings = load_settings()
    indexes = Indexes(Library.open(tmp_path / "library", create=True), settings)
    lines = [[f"Line {line} of page {page} is here to be read." for line in range(40)] for page in range(4)]
    result = bench.ingest(make_pdf(tmp_path / "lines.pdf", lines, "Lines"), indexes, settings)
    assert result["pages"] == 4
    expected = result["ingest_seconds"] / (result["extraction_seconds"] + result["encoding_seconds"])
    assert result["ratio"] == pytest.approx(expected, rel=0.05)


def test_bench_retrieval_times_every_retriever(glossator: Run, tmp_path: Path) -> None:
    make_pdf(tmp_path / "bridge.pdf", [["The Tarn Bridge is 84 m long."]], "The Tarn Bridge")
    question = {"id": "q", "file": "bridge.pdf", "question": "How long is the bridge?", "answer": "84 m", "page": 1}
    (tmp_path / "questions.jsonl").write_text(json.dumps(question | {"where": "text"}))
    done = glossator("bench", "retrieval", "--folder", tmp_path, "--questions", tmp_path / "questions.jsonl", "--json")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    names = {"bm25", "sparse", "dense", "hybrid"}
    assert {name for name in result if isinstance(result[name], dict)} == names
    assert all(result[name]["p95_ms"] >= result[name]["p50_ms"] >= 0 for name in names)


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
    arguments = "bench", "retrieval", "--data", tmp_path / "data", "--cache", tmp_path / "cache", "--made", 50
    done = glossator(*arguments, "--json")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    (name,) = result["systems"]
    rows = {row["system"]: row["metrics"] for row in result["systems"][name]["rows"]}
    assert {"BM25", "dense", "sparse: SPLADE", "sparse: inference-free", "feedback: average, both"} < rows.keys()
    assert all(0 <= row["R@5"] <= 1 for row in rows.values())
    assert rows["BM25"]["R@5"] == 1
    assert set(result["ablation"]) == {name}
    assert set(result["engines"]) == {name, "50 made vectors"}
    assert {row["engine"] for row in result["engines"][name]} >= {"exact", "scipy", "seismic default"}
    assert "throughput" in result
    nothing = glossator("bench", "retrieval", "--data", tmp_path / "nowhere", "--json")
    assert (nothing.returncode, nothing.stdout) == (2, "")
    assert "nowhere" in nothing.stderr


class Counting(ScriptedReader):
    """Says how many passages there are. A token of its is a character, and a turn costs nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.going = 0
        self.file = None  # nothing to unpack

    @staticmethod
    def count(messages: Messages) -> int:
        return sum(len(text) for _, text in messages)

    def going_on(self) -> Counting:
        self.going += 1
        return self

    def stream(
        self, messages: Messages, max_tokens: int, usage: Usage | None = None, stop: Sequence[str] = ()
    ) -> Iterator[str]:
        self.asked.append(("stream", messages, max_tokens))
        yield str(messages[-1][1].count(". "))


def attributed() -> tuple[dict[str, object], Counting, Pipeline]:
    texts = ["One is. ", "Two is. ", "Three is. "]
    hits = [Hit(i, 1 / i, passage(0, words, f"d{i}", title=f"T{i}")) for i, words in enumerate(texts, start=1)]
    reader = Counting()
    ours = pipeline(reader, hits)
    return bench.attribution(ours, ["How many?"], 3, permutations=50), reader, ours


def test_bench_attribution_counts_what_each_way_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "TURN_TOKENS", 0)
    result, reader, _ = attributed()
    naive, cache, ordered = (result[way] for way in bench.WAYS if way != bench.TORCH)
    assert (naive["calls"], cache["calls"], ordered["calls"]) == (50 * 4, 8, 8)  # type: ignore[index]
    assert result["same_answers"] == {"cache, prefix order": 1} and reader.going == 1 and len(reader.asked) == 1 + 8 + 8
    prompts = [messages[-1][1] for _, messages, _ in reader.asked[9:]]
    assert prompts == sorted(prompts) and len(set(prompts)) == 8
    system = len(reader.asked[0][1][0][1])
    assert cache["prompt_tokens"] == sum(system + len(prompt) for prompt in prompts)  # type: ignore[index]
    shared = [max(n for n in range(len(a) + 1) if b.startswith(a[:n])) for a, b in pairwise(prompts)]
    assert ordered["prompt_tokens"] == cache["prompt_tokens"] - 7 * system - sum(shared)  # type: ignore[index]
    # in each permutation nobody, everybody, and one coalition of either size between
    sizes = [system + len(prompt) for prompt in prompts]
    assert 50 * (4 * min(sizes)) < naive["prompt_tokens"] < 50 * (4 * max(sizes))  # type: ignore[index]


def test_bench_attribution_says_what_it_is_compared_with() -> None:
    result, _, _ = attributed()
    told = bench.attribution_text(result)
    assert result["ratios"]["cache"]["calls"] == 25 and "8 (25.0 x)" in told  # type: ignore[index]
    assert [line.split("  ")[0] for line in told.splitlines()[2:5]] == list(bench.WAYS)[:3]
    assert "same answers as with the cache alone: 100.0%" in told


class Yes(Counting):
    """Says whether the second passage's word is there."""

    def stream(
        self, messages: Messages, max_tokens: int, usage: Usage | None = None, stop: Sequence[str] = ()
    ) -> Iterator[str]:
        self.asked.append(("stream", messages, max_tokens))
        yield "yes" if "Two" in messages[-1][1] else "no"


def attributed_to_words(*overrides: str) -> tuple[dict[str, object], Yes]:
    texts = ["One is far away. ", "Two is here, near. ", "Three is old. "]
    hits = [Hit(i, 1 / i, passage(0, words, f"d{i}", title=f"T{i}")) for i, words in enumerate(texts, start=1)]
    reader = Yes()
    ours = pipeline(reader, hits, *overrides)
    return bench.word_attribution(ours, ["Is it?"], 3), reader


def test_bench_attribution_to_words_counts_all_words_naively(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "TURN_TOKENS", 0)
    result, reader = attributed_to_words("attribute.permutations=4")
    naive, opened, ours = (result[way] for way in bench.WORD_WAYS)
    assert (result["words"], result["scored"], result["stopped"]) == (4 + 4 + 3, 3, [])
    assert naive["calls"] == 4 * (11 + 1)  # type: ignore[index]
    # three documents and nobody; then the three clauses of the second, itself and nobody; then three words likewise
    assert opened["calls"] == 4 * (3 + 1 + 3 + 1 + 1 + 3 + 1 + 1)  # type: ignore[index]
    prompts = [messages[-1][1] for _, messages, _ in reader.asked[1:]]
    assert ours["calls"] == len(prompts) == len(set(prompts))  # type: ignore[index]
    system = len(reader.asked[0][1][0][1])
    mean = sum(system + len(prompt) for prompt in prompts) / len(prompts)
    assert naive["prompt_tokens"] == round(48 * mean)  # type: ignore[index]
    shared = [max(n for n in range(len(a) + 1) if b.startswith(a[:n])) for a, b in pairwise(prompts)]
    assert ours["prompt_tokens"] == system + sum(map(len, prompts)) - sum(shared)  # type: ignore[index]
    ratio = result["ratios"]["hierarchy"]["prompt_tokens"]  # type: ignore[index]
    assert ratio == round(naive["prompt_tokens"] / ours["prompt_tokens"], 2)  # type: ignore[index]
    told = bench.attribution_text(result)
    assert "values out: of 3 of 11 words" in told and "ended early" not in told and "naive, opened alone" in told


def test_bench_attribution_to_words_says_when_the_budget_ended_it() -> None:
    result, reader = attributed_to_words("attribute.permutations=4", "attribute.calls=9")
    why = "1 of 4 permutations, 1 more that matter not opened: 9 calls are the limit (attribute.calls)"
    assert result["stopped"] == [why] and result["scored"] == 0
    assert 1 <= result["hierarchy"]["calls"] == len(reader.asked) - 1 <= 9  # type: ignore[index]
    assert f"ended early, 1 x: {why}" in bench.attribution_text(result)
