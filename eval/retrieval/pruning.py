"""How far a sparse encoder's weights can be pruned or quantised before nDCG@10 drops, and whether that buys CPU time.

Pruning is one-shot, by magnitude, over all matrices of a group together, and nothing is trained afterwards. Essential
sparsity (Jaiswal, Liu, Chen and Wang, arXiv 2306.03805) is how much may go before quality drops by more than 1 %.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterable, Mapping, Sequence
from html import unescape
from typing import Any

import numpy as np

from eval.core.bootstrap import summarise
from eval.core.report import table, with_interval
from eval.retrieval.changeable_encoder import GROUPS, Changeable
from eval.retrieval.collection import Collection
from eval.retrieval.corpus import Entry
from eval.retrieval.measures import DEPTH, measure
from eval.retrieval.systems import differences, signed
from eval.retrieval.weight_changes import AS_IT_IS, Variant, bytes_of, variants
from rag.encode.dense_encoder import folder_of
from rag.encode.inference_free import InferenceFreeQuery, idf_of
from rag.errors import UsageError
from rag.protocols import Report, SparseEncoder, SparseVector, silent
from rag.settings import Settings
from rag.train.sparse.hard_negatives import TrainingPostings, best
from rag.train.sparse.pairs import hash_of

NDCG = "nDCG@10"
SHARES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7)  # of the weights of a group that become 0
ALLOWED = 0.01  # of the nDCG@10 as it is: what a row may lose, as in the paper
FASTER = 1.1  # times as fast in every round: less may be chance on a busy machine
TIMED, REPEAT = 32, 3  # passages that are timed, and rounds in which each row and the encoder as it is take turns

Scores = Mapping[str, Mapping[str, float]]  # query id -> {NDCG: value}


def pool_of(collection: Collection, limit: int | None) -> list[Entry]:
    """All passages; with a limit those with a judgement, and of the others the first by a hash, `limit` in all."""
    if limit is None:
        return list(collection.entries)
    judged = {key for judgements in collection.qrels.values() for key in judgements}
    others = sorted((entry.id for entry in collection.entries if entry.id not in judged), key=hash_of)
    kept = judged.union(others[: max(0, limit - len(judged))])
    return [entry for entry in collection.entries if entry.id in kept]


def pruning(
    collection: Collection,
    settings: Settings,
    limit: int | None = None,
    seed: int = 0,
    shares: Sequence[float] = SHARES,
    report: Report = silent,
) -> dict[str, Any]:
    """A row for each of `variants`, to be printed as JSON; the search is exact, with idf from the pool's own tokens.

    Speed is of one thread's processor time. Raises UsageError for another method than inference-free, and for a limit
    below 1; ModelError for an encoder that cannot be loaded.
    """
    import torch

    if settings.sparse.method != "inference-free":
        raise UsageError(f"settings: sparse.method {settings.sparse.method!r}: only inference-free is measured here")
    if limit is not None and limit < 1:
        raise UsageError(f"--limit {limit}: name at least 1 passage")
    pool = pool_of(collection, limit)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        rows = _rows(collection, pool, settings, shares, seed, report)
    finally:
        torch.set_num_threads(threads)
    return {
        "task": "pruning",
        "model": settings.sparse.model,
        "n": len(collection.queries),
        "passages": len(pool),
        "of": len(collection.entries),
        "timed": min(TIMED, len(pool)),
        "repeat": REPEAT,
        "seed": seed,
        "metrics": rows[0]["metrics"],
        "intervals": rows[0]["intervals"],
        "rows": rows,
        "essential_sparsity": {group: essential_sparsity(rows, group) for group in GROUPS},
        "not_certainly_lower": {group: essential_sparsity(rows, group, certainly=True) for group in GROUPS},
        "worth_it": [
            row["row"] for row in rows if row["range"][0] >= FASTER and row["within_1_percent"]
        ],
    }  # fmt: skip


def _rows(
    collection: Collection,
    pool: Sequence[Entry],
    settings: Settings,
    shares: Sequence[float],
    seed: int,
    report: Report,
) -> list[dict[str, Any]]:
    texts = ["\n".join(filter(None, (unescape(entry.title), unescape(entry.text)))) for entry in pool]
    timed = sorted(texts, key=hash_of)[:TIMED]
    base = _open(settings, "float32")
    queries = _queries(base, settings, texts, [query.text for query in collection.queries])
    rows: list[dict[str, Any]] = []
    scores_as_it_is: Scores = {}
    rows_to_do = variants(shares, seed)
    for done, variant in enumerate(rows_to_do):
        report("rows", done, len(rows_to_do))
        encoder = _open(settings, variant.dtype)
        variant.change(encoder)
        scores = _scores(encoder, collection, pool, texts, queries)
        scores_as_it_is = scores_as_it_is or scores
        rows.append(_row(variant, encoder, scores, scores_as_it_is, seed) | in_turn(base, encoder, timed))
    report("rows", len(rows_to_do), len(rows_to_do))
    return rows


def _row(variant: Variant, encoder: Changeable, scores: Scores, scores_as_it_is: Scores, seed: int) -> dict[str, Any]:
    """The nDCG@10 of the changed encoder, its difference to the encoder as it is, and its size."""
    weights = list(encoder.parameters().values())
    metrics, intervals = summarise(list(scores.values()), seed)
    difference = differences(scores, scores_as_it_is, [NDCG], seed)[NDCG]
    return {
        "row": variant.name,
        "group": variant.group,
        "share": variant.share,
        "metrics": metrics,
        "intervals": intervals,
        "difference": difference,
        "within_1_percent": -difference["mean"] <= ALLOWED * (metrics[NDCG] - difference["mean"]),
        "certainly_lower": difference["high"] < 0,
        "bytes": bytes_of(weights, variant.value),
        "zeros": round(sum(int((w == 0).sum()) for w in weights) / sum(w.numel() for w in weights), 4),
    }


def essential_sparsity(rows: Iterable[Mapping[str, Any]], group: str, certainly: bool = False) -> float:
    """The largest share pruned such that it, and every smaller one measured, is within 1 % of the nDCG@10 as it is.

    With `certainly`, such that none has a paired difference whose interval is below 0: few queries then allow more.
    0 where the smallest share measured is too much.
    """
    largest = 0.0
    for row in sorted((row for row in rows if row["group"] == group), key=lambda row: row["share"]):
        if row["certainly_lower"] if certainly else not row["within_1_percent"]:
            break
        largest = row["share"]
    return largest


def in_turn(base: SparseEncoder, other: SparseEncoder, texts: Sequence[str]) -> dict[str, Any]:
    """Passages `other` reads in a second of processor time, how many times as fast as `base` it is, and its terms.

    They take turns for REPEAT rounds: medians, and of the ratio the lowest and highest.
    """
    seconds: list[tuple[float, float]] = []
    for _ in range(REPEAT):
        began = time.process_time()
        base.encode_documents(texts)
        between = time.process_time()
        vectors = other.encode_documents(texts)
        seconds.append((between - began, time.process_time() - between))
    ratios = sorted(as_it_is / changed for as_it_is, changed in seconds)
    return {
        "terms_a_passage": round(float(np.mean([len(terms) for terms, _ in vectors])), 1),
        "passages_per_cpu_second": round(len(texts) / statistics.median(changed for _, changed in seconds), 1),
        "times_as_it_is": round(statistics.median(ratios), 2),
        "range": [round(ratios[0], 2), round(ratios[-1], 2)],
    }


def _open(settings: Settings, dtype: str) -> Changeable:
    sparse = settings.sparse
    return Changeable(sparse.method, folder_of(sparse.model), None, sparse.max_tokens, sparse.batch_size, dtype)


def _queries(
    encoder: Changeable, settings: Settings, texts: Sequence[str], queries: Sequence[str]
) -> list[SparseVector]:
    """The queries' vectors, the same for all rows: tokens with their idf in the texts."""
    weights = idf_of(encoder.token_ids(texts), encoder.dimensions)
    return InferenceFreeQuery(folder_of(settings.sparse.model), weights).encode_queries(queries)


def _scores(
    encoder: Changeable,
    collection: Collection,
    pool: Sequence[Entry],
    texts: Sequence[str],
    queries: Sequence[SparseVector],
) -> Scores:
    asked = np.unique(np.concatenate([terms for terms, _ in queries])).astype(np.int64)
    postings = TrainingPostings(encoder.narrowed(asked).encode_documents(texts))
    everywhere = np.ones(len(pool), dtype=np.bool_)
    rankings = {}
    for query, vector in zip(collection.queries, queries, strict=True):
        products = postings.products(vector)
        rankings[query.id] = [(pool[i].id, float(products[i])) for i in best(products, everywhere, DEPTH)]
    return {query: {NDCG: values[NDCG]} for query, values in measure(rankings, collection.qrels).items()}


# -- report ----------------------------------------------------------------------------------------------------


def pruning_text(result: Mapping[str, Any]) -> str:
    """The result of pruning as Markdown."""
    rows = [
        [
            row["row"],
            with_interval(NDCG, row["metrics"], row["intervals"]),
            "-" if row["row"] == AS_IT_IS else signed(row["difference"]),
            f"{row['bytes'] / 1e6:.1f}",
            f"{row['zeros']:.0%}",
            f"{row['terms_a_passage']:.0f}",
            f"{row['passages_per_cpu_second']:.1f}",
            f"{row['times_as_it_is']:.2f} ({row['range'][0]:.2f} to {row['range'][1]:.2f})",
        ]
        for row in result["rows"]
    ]
    smaller = ""
    if result["passages"] < result["of"]:
        smaller = (
            f" Of {result['of']:,} passages those with a judgement are searched, and others drawn by a hash: an easier "
            "search, so compare rows with each other only."
        )
    essential = "; ".join(
        f"{group}: {result['essential_sparsity'][group]:.0%} (not certainly lower up to "
        f"{result['not_certainly_lower'][group]:.0%})"
        for group in GROUPS
    )
    lines = [
        f"## Pruning and quantising {result['model']}: {result['n']:,} queries, {result['passages']:,} passages",
        "",
        f"95 % bootstrap intervals, differences paired to the encoder as it is. Terms and speed of {result['timed']} "
        f"passages, one thread, medians of {result['repeat']} rounds (range) in turn with the encoder as it is, whose "
        f"own row shows what chance does. MB as they would be stored.{smaller}",
        "",
        *table(["", NDCG, "difference", "MB", "zeros", "terms a passage", "a CPU-second", "times as it is"], rows),
        "",
        f"Essential sparsity (the most pruned without a drop of over 1 %): {essential}.",
        f"At least {FASTER} times as fast in every round and within 1 %: {'; '.join(result['worth_it']) or 'none'}.",
    ]
    return "\n".join(lines) + "\n"
