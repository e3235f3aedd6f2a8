"""Retrieval over a test collection, with trec_eval's measures through ir-measures, and a run file for other tools."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from eval.core.bootstrap import percentile, summarise
from eval.core.report import cell, table, with_interval, write_lines, write_text
from eval.core.trials import BM25, ORACLE, RANDOM, Running, as_hits, draw
from eval.retrieval.collection import Collection, Qrels, Query
from eval.retrieval.corpus import Corpus
from rag.errors import UsageError
from rag.records import Hit
from rag.search import open_retriever
from rag.settings import Settings

DEPTH = 100  # passages a query in every row and in the run file: AP and RR see no further either
MEASURES = ("nDCG@10", "R@2", "R@5", "R@10", "R@100", "AP", "RR")  # as ir-measures names them
ALL_GOLD = "all_gold@5"  # ours: is every relevant passage among the first five?
TAG = "glossator"
WARM = 3  # searches before the timed ones: the first ones load the encoder and fill the caches
WORST = 10  # queries that the report shows, and hits of each that per_question.jsonl keeps

Ranking = Sequence[tuple[str, float]]  # (the corpus's own passage id, score), best first
Search = Callable[[Query], list[Hit]]


@dataclass(frozen=True, slots=True)
class MeasureRow:
    """What one way of searching found: for each query its ranking, its scores, and the milliseconds it took."""

    rankings: Mapping[str, Ranking]
    scores: Mapping[str, Mapping[str, float]]
    milliseconds: Sequence[float]


# -- scores ----------------------------------------------------------------------------------------------------


def measure(rankings: Mapping[str, Ranking], qrels: Qrels) -> dict[str, dict[str, float]]:
    """Query id -> measure -> value in 0..1, for every query of `qrels`.

    nDCG takes the grades as gains (trec_eval's, linear); recall, AP and RR count what has a grade above 0. A query
    without hits scores 0 and so, as in trec_eval, does one without a relevant passage: neither leaves the mean.
    """
    import ir_measures

    measures = [ir_measures.parse_measure(name) for name in MEASURES]
    # Below 0 is as good as unjudged for all of these, and from -2 down trec_eval writes outside its memory, which ends
    # the process sooner or later (pytrec_eval-terrier 0.5.11).
    grades = {query: {key: max(grade, 0) for key, grade in judged.items()} for query, judged in qrels.items()}
    run = {query: dict(_falling(ranking)) for query, ranking in rankings.items() if ranking}
    values = {query: dict.fromkeys((*MEASURES, ALL_GOLD), 0.0) for query in qrels}
    for metric in ir_measures.pytrec_eval.evaluator(measures, grades).iter_calc(run):
        values[metric.query_id][str(metric.measure)] = float(metric.value)
    for query, judged in qrels.items():
        relevant = {key for key, grade in judged.items() if grade > 0}
        first = {key for key, _ in rankings.get(query, ())[:5]}
        values[query][ALL_GOLD] = float(bool(relevant) and relevant <= first)
    return values


def _falling(ranking: Ranking) -> Iterable[tuple[str, float]]:
    """The ranking with scores that fall from each to the next, also as 32-bit floats.

    trec_eval does not take our order: it sorts by score, kept in 32 bits, and ties by falling id. A score that is not
    below the one before becomes the next float32 below that, so that every tool finds the order that we returned.
    """
    before = np.float32(np.inf)
    for key, score in ranking:
        before = min(np.float32(score), np.nextafter(before, np.float32(-np.inf)))
        yield key, float(before)


# -- the run file ----------------------------------------------------------------------------------------------


def check_ids(collection: Collection) -> None:
    """UsageError if an id has white space, which separates the fields of a run file."""
    for what, subset in (("passage", collection.entries), ("query", collection.queries)):
        for item in subset:
            if item.id.split() != [item.id]:
                raise UsageError(
                    f"--run: the id of {what} {item.id!r:.60} has white space, which a run file cannot hold. "
                    "Leave --run out, or give the file other ids"
                )


def write_run(file: Path, rankings: Mapping[str, Ranking]) -> None:
    """TREC's run format: `query Q0 passage rank score tag`, ranks from 1. The file is written whole or not at all."""
    lines = [
        f"{query} Q0 {key} {rank} {score:.9g} {TAG}\n"  # 9 digits tell any two float32 apart
        for query, ranking in rankings.items()
        for rank, (key, score) in enumerate(_falling(ranking), start=1)
    ]
    write_text(file, "".join(lines))


# -- the whole evaluation --------------------------------------------------------------------------------------


def run(
    collection: Collection,
    corpus: Corpus,
    settings: Settings,
    retriever: str,
    controls: bool = True,
    out: Path | None = None,
    run_file: Path | None = None,
    seed: int = 0,
    report: Running = lambda done, total, score: None,
) -> dict[str, Any]:
    """The whole evaluation as the command line's JSON. `corpus` holds the collection's entries.

    With `out`, per_question.jsonl (of a control: in a folder of its name) and report.md are written, with `run_file`
    the ranking. Controls are BM25, random passages, and the relevant passages by falling grade (the ceiling);
    no retrieval at all would be a row of zeros. Raises UsageError, before any search, for a run file that cannot be.
    """
    started = time.monotonic()
    if run_file is not None:
        check_ids(collection)
        if run_file.is_dir():
            raise UsageError(f"--run {run_file}: is a folder. Name a file")
    for folder in filter(None, (out, run_file and run_file.parent)):
        folder.mkdir(parents=True, exist_ok=True)  # now, not after an hour's searching
    searches = _searches(collection, corpus, retriever, controls, seed)
    total = len(searches) * len(collection.queries)
    rows: dict[str, MeasureRow] = {}
    note = ""

    def report_ndcg(done: int, ndcg: float) -> None:
        nonlocal note
        if not rows:  # the controls leave the system's score standing
            note = f"nDCG@10 {ndcg:.2f}"
        report(len(rows) * len(collection.queries) + done, total, note)

    for name, search in searches.items():
        rows[name] = search_all(collection, corpus, search, report_ndcg)
    summaries = {name: summarise_row(row, seed) for name, row in rows.items()}
    if run_file is not None:
        write_run(run_file, rows[retriever].rankings)
    if out is not None:
        for name, row in rows.items():
            folder = out if name == retriever else out / name
            write_lines(folder / "per_question.jsonl", (_line(collection, row, query) for query in collection.queries))
        write_text(out / "report.md", _markdown(collection, corpus, retriever, rows[retriever], summaries, seed))
    return {
        "task": "retrieval",
        "retriever": retriever,
        "n": len(collection.queries),
        "unjudged": collection.unjudged,
        "passages": len(collection.entries),
        "empty_passages": collection.empty,
        "seed": seed,
        **summaries.pop(retriever),
        "controls": summaries,
        "settings": settings.model_dump(mode="json"),
        "models": {} if retriever == BM25 else {"dense": settings.dense.model},
        "seconds": round(time.monotonic() - started, 1),
    }


def _searches(collection: Collection, corpus: Corpus, retriever: str, controls: bool, seed: int) -> dict[str, Search]:
    """The rows by name, the system's first."""

    def searching(name: str) -> Search:
        finder = open_retriever(corpus.indexes, name)
        return lambda query: finder.search([query.text], DEPTH)[0]

    passages = [corpus.passages[entry.id] for entry in collection.entries]

    def random_passages(query: Query) -> list[Hit]:
        return draw(passages, DEPTH, query.id, seed)

    def oracle(query: Query) -> list[Hit]:
        return as_hits([corpus.passages[key] for key, _ in _wanted(collection, query)][:DEPTH])

    searches = {retriever: searching(retriever)}
    if controls:
        if retriever != BM25:
            searches[BM25] = searching(BM25)
        searches |= {RANDOM: random_passages, ORACLE: oracle}
    return searches


def _wanted(collection: Collection, query: Query) -> list[tuple[str, int]]:
    """The relevant passages with their grades, the highest first, ties in the order of the qrels."""
    judged = collection.qrels[query.id].items()
    return sorted(((key, grade) for key, grade in judged if grade > 0), key=lambda entry: -entry[1])


def search_all(
    collection: Collection,
    corpus: Corpus,
    search: Search,
    report: Callable[[int, float], None] = lambda done, ndcg: None,
) -> MeasureRow:
    """Search for each query by itself, as a user does: that is what is timed. `report` gets the count so far and the
    mean nDCG@10."""
    rankings: dict[str, Ranking] = {}
    scores: dict[str, Mapping[str, float]] = {}
    milliseconds: list[float] = []
    ndcg = 0.0
    for query in collection.queries[:WARM]:
        search(query)
    for done, query in enumerate(collection.queries, start=1):
        began = time.perf_counter()
        hits = search(query)
        milliseconds.append((time.perf_counter() - began) * 1000)
        rankings[query.id] = [(corpus.ids[hit.passage.passage_id], hit.score) for hit in hits]
        scores |= measure({query.id: rankings[query.id]}, {query.id: collection.qrels[query.id]})
        ndcg += scores[query.id]["nDCG@10"]
        report(done, ndcg / done)
    return MeasureRow(rankings, scores, milliseconds)


def summarise_row(row: MeasureRow, seed: int = 0) -> dict[str, Any]:
    """Means and 95 % intervals of all measures, and milliseconds a query; to be printed as JSON."""
    shares = {"p50": 0.5, "p95": 0.95}
    metrics, intervals = summarise(list(row.scores.values()), seed)
    return {
        "metrics": metrics,
        "intervals": intervals,
        "latency_ms": {name: round(percentile(row.milliseconds, share), 1) for name, share in shares.items()},
    }


# -- what is written -------------------------------------------------------------------------------------------


def _line(collection: Collection, row: MeasureRow, query: Query) -> dict[str, Any]:
    """A line of per_question.jsonl. A hit's grade is null where nobody judged it."""
    judged = collection.qrels[query.id]
    hits = [{"id": key, "score": score, "grade": judged.get(key)} for key, score in row.rankings[query.id][:WORST]]
    return {"id": query.id, "question": query.text, "scores": row.scores[query.id], "hits": hits}


def _markdown(
    collection: Collection,
    corpus: Corpus,
    retriever: str,
    row: MeasureRow,
    summaries: Mapping[str, Mapping[str, Any]],
    seed: int,
) -> str:
    names = (*MEASURES, ALL_GOLD)
    lines = [f"# Retrieval: {retriever}", ""]
    lines.append(
        f"{len(collection.queries):,} queries over {len(collection.entries):,} passages, {DEPTH} hits a query, seed "
        f"{seed}; {collection.unjudged:,} queries without a judgement are left out; {collection.empty:,} passages are "
        "empty. 95 % bootstrap intervals."
    )
    cells = [
        [name, *(with_interval(measured, summary["metrics"], summary["intervals"]) for measured in names)]
        for name, summary in summaries.items()
    ]
    lines += ["", *table(["", *names], cells)]

    def named(key: str) -> str:
        """Id and title; without a title, how the text begins."""
        passage = corpus.passages[key]
        return f"{cell(key)} ({_short(passage.title.strip() or passage.text)})"

    worst = sorted(collection.queries, key=lambda query: row.scores[query.id]["nDCG@10"])[:WORST]
    lines += ["", f"## The {len(worst)} queries with the lowest nDCG@10", ""]
    for query in worst:
        lines.append(f"- {cell(query.id)}, nDCG@10 {row.scores[query.id]['nDCG@10']:.3f}: {_short(query.text)}")
        ranking = [key for key, _ in row.rankings[query.id]]
        wanted = [
            f"{named(key)}, {f'rank {ranking.index(key) + 1}' if key in ranking else f'not in {DEPTH}'}"
            for key, _ in _wanted(collection, query)
        ]
        more = f"; and {len(wanted) - WORST} more" if len(wanted) > WORST else ""
        lines.append(f"  - wanted: {'; '.join(wanted[:WORST]) or 'nothing: no passage is relevant'}{more}")
        lines.append(f"  - first: {named(ranking[0]) if ranking else 'nothing was found'}")
    return "\n".join(lines) + "\n"


def _short(text: str) -> str:
    return cell(text if len(text) <= 200 else f"{text[:197]}...")
