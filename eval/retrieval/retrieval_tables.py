"""The tables of `glossator bench retrieval --data`: ways of searching, what makes them up, and what they cost."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

from eval.core.report import table
from eval.retrieval import ablation, engines, systems, throughput
from eval.retrieval.collection import Collection, beir_files, read_collection
from eval.retrieval.corpus import Corpus, open_corpus
from eval.retrieval.measures import ALL_GOLD
from rag.errors import UsageError
from rag.index.dense import DenseRetriever
from rag.index.seismic import SeismicSettings
from rag.index.sparse import SparseRetriever
from rag.models.registry import catalogue, path_of
from rag.protocols import Report, Retriever
from rag.records import Hit
from rag.retrieve.feedback import FeedbackRetriever
from rag.retrieve.fuse import HybridRetriever, alpha_fusion
from rag.retrieve.second_hop import LinkedRetriever
from rag.retrieve.shared_names import SharedNamesRetriever
from rag.settings import Settings

MULTIHOP, SINGLE = ("R@2", "R@5", ALL_GOLD), ("nDCG@10", "R@5", "R@100")
DEPTH = 100  # passages a ranking in every fusion
ALPHA = 0.1  # the toolkit's default
ENCODED = 192  # passages, for the throughput
BASELINE = "linear: BM25, sparse, dense, weighted"
SEISMIC = {
    "default": SeismicSettings(),
    "fast": SeismicSettings(query_cut=4, heap_factor=1.0),
    "with neighbours": SeismicSettings(query_cut=8, neighbours=10),
}


def collections(data: Path) -> dict[str, tuple[Collection, Sequence[str]]]:
    """The collections that are there, by name, and what each is measured by. Raises UsageError if none is."""
    files = {
        "HotpotQA dev-a": (data / "hotpotqa", "dev-a"),
        "2WikiMultihopQA dev-a": (data / "2wiki", "dev-a"),
        "SciFact test": (data / "beir" / "scifact", ""),
    }
    found: dict[str, tuple[Collection, Sequence[str]]] = {}
    for name, (folder, dev) in files.items():
        if folder.is_dir() and dev:
            names = "corpus-a.jsonl.gz", f"{dev}.jsonl.gz", f"qrels-{dev}.tsv"
            found[name] = read_collection(*(folder / file for file in names)), MULTIHOP
        elif folder.is_dir():
            found[name] = read_collection(*beir_files(folder)), SINGLE
    if not found:
        raise UsageError(f"--data {data}: holds neither hotpotqa nor 2wiki nor beir/scifact. Name a folder that does")
    return found


def run(data: Path, cache: Path, settings: Settings, synthetic: int, report: Report) -> dict[str, Any]:
    """All tables as JSON: systems and ablation by collection, engines by what they searched, throughput.

    `synthetic` is the number of made vectors that the engines search beside the real ones (0: none).
    """
    result: dict[str, Any] = {"systems": {}, "ablation": {}, "engines": {}}
    for name, (collection, measures) in collections(data).items():
        opened = {
            method: _opened(collection, cache, settings, method, report) for method in ("inference-free", "SPLADE")
        }
        corpus = opened["inference-free"]

        def report_queries(done: int, of: int, note: str, name: str = name) -> None:
            report(f"{name}, queries", done, of)

        result["systems"][name] = systems.compare_systems(
            collection, corpus, partial(_systems, opened), measures, BASELINE, report=report_queries
        )
        result["ablation"][name] = ablation.ablate(collection, corpus, measures)
        result["engines"][name] = _engines(collection, opened)
        if "throughput" not in result and {settings.sparse.model, settings.dense.model} <= catalogue().keys():
            step = max(1, len(collection.entries) // ENCODED)
            texts = [f"{entry.title}\n{entry.text}" for entry in collection.entries[::step][:ENCODED]]
            folders = path_of(settings.sparse.model), path_of(settings.dense.model)
            result["throughput"] = throughput.throughput(texts, *folders, report=report)
    if synthetic:
        report("engines, made vectors", 0, synthetic)
        made, queries = engines.synthetic(synthetic)
        result["engines"][f"{synthetic:,} made vectors"] = engines.compare_engines(made, queries, SEISMIC, repeat=3)
    return {"task": "tables", "metrics": _figures(result), **result}


def _figures(result: Mapping[str, Any]) -> dict[str, float]:
    """Every figure of the tables by a name of its own: "SciFact test, BM25, nDCG@10"."""
    found: dict[str, float] = {}
    for name, rows in result["systems"].items():
        for row in rows["rows"]:
            found |= {f"{name}, {row['system']}, {measure}": value for measure, value in row["metrics"].items()}
    for name, rows in result["ablation"].items():
        for row in rows["rows"]:
            sides = f"{row['queries']} x {row['passages']}"
            found |= {f"{name}, {sides}, {measure}": value for measure, value in row["metrics"].items()}
    for name, rows in result["engines"].items():
        exact = {row["queries"]: row["p50_us"] for row in rows if row["engine"] == "exact"}
        for row in rows:
            what = f"{name}, {row['engine']}, {row['queries']}"
            found |= {f"{what}, recall@10": row["recall"], f"{what}, of exact": row["p50_us"] / exact[row["queries"]]}
    for row in result.get("throughput", {}).get("rows", ()):
        if row["times_plain"]:
            found[f"encoding, {row['step']}, times plain"] = row["times_plain"]
    return found


def text(result: Mapping[str, Any]) -> str:
    """The result of `run` as Markdown."""
    parts = [systems.systems_text(rows, name) for name, rows in result["systems"].items()]
    parts += [ablation.ablation_text(rows, f"{name}, ablation") for name, rows in result["ablation"].items()]
    parts += [engines_text(rows, name) for name, rows in result["engines"].items()]
    if "throughput" in result:
        parts.append(throughput.throughput_text(result["throughput"]))
    return "\n".join(parts)


def engines_text(rows: Sequence[Mapping[str, Any]], title: str) -> str:
    """The rows of compare_engines as Markdown; times also as a share of exact search's."""
    exact = {row["queries"]: row["p50_us"] for row in rows if row["engine"] == "exact"}
    cells = [
        [
            row["engine"], row["queries"], f"{row['p50_us']:.0f}", f"{row['p50_us'] / exact[row['queries']]:.2f}",
            f"{row['recall']:.3f}", "" if row["scored"] is None else f"{row['scored']:.2%}", f"{row['bytes']:,}",
            f"{row['build_cpu_seconds']:.1f}",
        ]
        for row in rows
    ]  # fmt: skip
    names = ["engine", "queries", "p50 µs", "of exact", "recall@10", "scored", "bytes a passage", "build CPU s"]
    return "\n".join([f"## Engines over {title}", "", *table(names, cells)]) + "\n"


def _opened(collection: Collection, cache: Path, settings: Settings, method: str, report: Report) -> Corpus:
    """The collection with the sparse queries of a method; both share one library, for its passages are the same."""
    sparse = settings.sparse.model_copy(update={"method": method})
    return open_corpus(collection.entries, cache, settings.model_copy(update={"sparse": sparse}), ["hybrid"], report)


def _systems(opened: Mapping[str, Corpus], keep: Callable[[Retriever], Retriever]) -> dict[str, Retriever]:
    """The rows: single retrievers, fusions, feedback, links. `keep` remembers what several of them search."""
    indexes = opened["inference-free"].indexes
    free, feeding = indexes.retriever("sparse"), indexes.retriever("dense")
    assert isinstance(free, SparseRetriever)
    assert isinstance(feeding, DenseRetriever)
    bm25, dense, sparse = keep(indexes.retriever("bm25")), keep(feeding), keep(free)
    splade = keep(opened["SPLADE"].indexes.retriever("sparse"))
    weights = indexes.settings.retrieve
    chosen = {"bm25": weights.bm25_weight, "sparse": weights.sparse_weight, "dense": weights.dense_weight}
    all_three = {"bm25": bm25, "sparse": sparse, "dense": dense}
    fused = HybridRetriever(all_three, DEPTH, chosen)
    words = HybridRetriever({"bm25": bm25, "sparse": sparse}, DEPTH, chosen)
    share = 1 - chosen["dense"] / sum(chosen.values())
    rows: dict[str, Retriever] = {
        "BM25": bm25,
        "dense": dense,
        "sparse: SPLADE": splade,
        "sparse: inference-free": sparse,
        "rrf: BM25, dense": HybridRetriever({"bm25": bm25, "dense": dense}, DEPTH, fusion="rrf"),
        "rrf: BM25, sparse, dense": HybridRetriever(all_three, DEPTH, fusion="rrf"),
        f"toolkit's rule: {ALPHA} BM25 + dense": _Alpha(bm25, dense),
        "linear: BM25, dense": HybridRetriever({"bm25": bm25, "dense": dense}, DEPTH),
        "linear: BM25, SPLADE, dense": HybridRetriever({"bm25": bm25, "splade": splade, "dense": dense}, DEPTH),
        "linear: BM25, sparse, dense": HybridRetriever(all_three, DEPTH),
        BASELINE: fused,
    }
    for method, point in [*product(["average"], ["none", "before", "after", "both"]), ("rocchio", "both")]:
        rows[f"feedback: {method}, {point}"] = FeedbackRetriever(
            feeding, words, indexes.library.numbers_of, method, interpolation=point, sparse_weight=share,  # type: ignore[arg-type]
            fusion_depth=DEPTH,
        )  # fmt: skip
    rows["links on BM25"] = LinkedRetriever(bm25, indexes.library, free)
    rows["links on linear: BM25, dense"] = LinkedRetriever(rows["linear: BM25, dense"], indexes.library, free)
    linked = LinkedRetriever(fused, indexes.library, free)
    rows["links on the weighted fusion"] = linked
    rows["links and names on the weighted fusion: the default"] = SharedNamesRetriever(linked, bm25, free)
    return rows


class _Alpha:
    """The toolkit's rule with its own weight, over scores as they are."""

    def __init__(self, sparse: Retriever, dense: Retriever):
        self._sides = sparse, dense

    def search(self, queries: Sequence[str], k: int, within: Sequence[int] | None = None) -> list[list[Hit]]:
        rankings = []
        for one, other in zip(*(side.search(queries, max(k, DEPTH), within) for side in self._sides), strict=True):
            passages = {hit.passage.passage_id: hit.passage for hit in (*one, *other)}
            words, meaning = ({hit.passage.passage_id: hit.score for hit in hits} for hits in (one, other))
            best = list(alpha_fusion(words, meaning, ALPHA).items())[:k]
            rankings.append([Hit(rank, score, passages[key]) for rank, (key, score) in enumerate(best, start=1)])
        return rankings


def _engines(collection: Collection, opened: Mapping[str, Corpus]) -> list[dict[str, Any]]:
    """Engines over the collection's own vectors, with both kinds of its own queries."""
    queries = {}
    vectors, dimensions = None, 0
    for method, corpus in opened.items():
        retriever = corpus.indexes.retriever("sparse")
        assert isinstance(retriever, SparseRetriever)
        queries[method] = retriever.encode_queries([query.text for query in collection.queries])
        vectors, dimensions = retriever.index.vectors(), len(retriever.index.document_frequency())
    assert vectors is not None
    weights = vectors.impacts * vectors.steps.repeat(vectors.starts[1:] - vectors.starts[:-1])
    held = engines.SparseCollection(vectors, weights, dimensions)
    return engines.compare_engines(held, queries, SEISMIC, repeat=3)
