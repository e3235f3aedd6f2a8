"""Several ways of searching one collection, side by side: measures, paired differences to one of them, milliseconds."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from eval.core.bootstrap import paired_difference, percentile
from eval.core.report import cell, table, with_interval
from eval.core.trials import Running
from eval.retrieval.collection import Collection, Query
from eval.retrieval.corpus import Corpus
from eval.retrieval.measures import ALL_GOLD, DEPTH, WARM, MeasureRow, search_all, summarise_row
from rag.errors import UsageError
from rag.protocols import Retriever
from rag.records import Hit

TIMED = 20  # queries that are asked for the clock
TIMED_K = 10  # passages, as `bench retrieval` asks for

Systems = Mapping[str, Retriever]
Build = Callable[[Callable[[Retriever], Retriever]], Systems]


class Remembered:
    """A Retriever that searches once for the same query, k and `within`: fusions of it do not search it again."""

    def __init__(self, retriever: Retriever):
        self._retriever = retriever
        self._found: dict[tuple[str, int, tuple[int, ...] | None], list[Hit]] = {}

    def search(self, queries: Sequence[str], k: int, within: Sequence[int] | None = None) -> list[list[Hit]]:
        """As the retriever's own."""
        among = None if within is None else tuple(within)
        missing = [query for query in dict.fromkeys(queries) if (query, k, among) not in self._found]
        if missing:
            for query, hits in zip(missing, self._retriever.search(missing, k, within), strict=True):
                self._found[query, k, among] = hits
        return [list(self._found[query, k, among]) for query in queries]


def compare_systems(
    collection: Collection,
    corpus: Corpus,
    build: Build,
    measures: Sequence[str] = ("R@2", "R@5", ALL_GOLD),
    baseline: str | None = None,
    seed: int = 0,
    report: Running = lambda done, total, note: None,
) -> dict[str, Any]:
    """A row for each system, to be printed as JSON; differences are to the system `baseline`, or to the first.

    `corpus` holds the collection's entries, `measures` are named as in measures.py. `build` makes the systems by
    name and puts every retriever that several of them search through the function that it gets:

        def build(keep):
            bm25, dense = keep(indexes.retriever("bm25")), keep(indexes.retriever("dense"))
            return {"bm25": bm25, "dense": dense, "bm25 + dense": HybridRetriever({"bm25": bm25, "dense": dense}, 100)}

    It is called twice. Once the function is Remembered, and the systems rank all queries. Then it does nothing, and
    TIMED of the queries are asked again of systems that remember nothing: the milliseconds are what a user waits.
    Raises UsageError, before any search, for a baseline that is none of the systems.
    """
    systems = build(Remembered)
    baseline = baseline or next(iter(systems))
    if baseline not in systems:
        raise UsageError(f"baseline {baseline!r}: choose one of {', '.join(systems)}")
    rows: dict[str, MeasureRow] = {}
    for name, system in systems.items():

        def search(query: Query, system: Retriever = system) -> list[Hit]:
            return system.search([query.text], DEPTH)[0]

        def report_ndcg(done: int, ndcg: float, name: str = name) -> None:
            before = len(rows) * len(collection.queries)
            report(before + done, len(systems) * len(collection.queries), f"{name} nDCG@10 {ndcg:.2f}")

        rows[name] = search_all(collection, corpus, search, report_ndcg)
    step = max(1, len(collection.queries) // TIMED)
    times = _milliseconds(collection.queries[::step][:TIMED], build(lambda retriever: retriever))
    found = []
    for name, row in rows.items():
        summary = summarise_row(row, seed)
        found.append(
            {
                "system": name,
                "metrics": summary["metrics"],
                "intervals": summary["intervals"],
                "differences": differences(row.scores, rows[baseline].scores, measures, seed),
                "p50_ms": round(percentile(times[name], 0.5), 1),
            }
        )
    return {
        "task": "systems",
        "n": len(collection.queries),
        "passages": len(collection.entries),
        "measures": list(measures),
        "baseline": baseline,
        "seed": seed,
        "timed": min(TIMED, len(collection.queries)),
        "rows": found,
    }


def _milliseconds(queries: Sequence[Query], systems: Systems) -> dict[str, list[float]]:
    """Of each system its time for each query. They take turns, so that a busy minute slows all of them."""
    times: dict[str, list[float]] = {name: [] for name in systems}
    for query in [*queries[:WARM], *queries]:
        for name, system in systems.items():
            began = time.perf_counter()
            system.search([query.text], TIMED_K)
            times[name].append((time.perf_counter() - began) * 1000)
    return {name: subset[-len(queries) :] for name, subset in times.items()}


def differences(
    a: Mapping[str, Mapping[str, float]], b: Mapping[str, Mapping[str, float]], measures: Sequence[str], seed: int = 0
) -> dict[str, dict[str, float]]:
    """Measure -> the paired difference a - b (see bootstrap.Difference) of two systems' scores by query."""
    return {
        name: asdict(paired_difference([a[query][name] for query in a], [b[query][name] for query in a], seed))
        for name in measures
    }


def signed(difference: Mapping[str, float]) -> str:
    """A difference as it stands in a table.

    >>> signed({"mean": 0.0312, "low": 0.01, "high": 0.052, "p": 0.0124})
    '+0.031 [+0.01, +0.05], p 0.012'
    """
    p = f"p {difference['p']:.3f}" if difference["p"] >= 0.001 else "p < 0.001"
    return f"{difference['mean']:+.3f} [{difference['low']:+.2f}, {difference['high']:+.2f}], {p}"


def systems_text(result: Mapping[str, Any], title: str) -> str:
    """The result of compare_systems as Markdown: the systems, then their differences to the baseline."""
    measures, baseline = result["measures"], result["baseline"]
    found, other = [], []
    for row in result["rows"]:
        name = cell(row["system"])
        values = [with_interval(measure, row["metrics"], row["intervals"]) for measure in measures]
        found.append([name, *values, f"{row['p50_ms']:.1f}"])
        if row["system"] != baseline:
            other.append([name, *(signed(row["differences"][measure]) for measure in measures)])
    lines = [
        f"## {cell(title)}: {result['n']:,} queries, {result['passages']:,} passages",
        "",
        f"95 % bootstrap intervals over queries; milliseconds of a search for {TIMED_K} passages, median of "
        f"{result['timed']} queries.",
        "",
        *table(["", *measures, "p50 ms"], found),
        "",
        f"Less {cell(baseline)}, paired; p two-sided, each by itself:",
        "",
        *table(["", *measures], other),
    ]
    return "\n".join(lines) + "\n"
