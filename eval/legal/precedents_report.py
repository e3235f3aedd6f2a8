"""What an evaluation of precedents leaves behind: its tables, a line a query, the run file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from eval.core.report import cell, table, with_interval, write_lines, write_text
from eval.legal.precedent_ranking import MEASURES, Judgment, dated, measure
from eval.retrieval.collection import Qrels

RUN = "glossator.run"  # in --out
SHOWN = 10  # cases of a ranking that a query's line has


def text(result: Mapping[str, Any]) -> str:
    """The result for people, as Markdown."""
    lines = [
        f"{result['n']} queries, {result['relevant']} cited cases among {result['cases']} (of {result['unreachable']} "
        f"the date is the query's own, or not known); {result['latency_ms']['p50']} ms a query (median)."
        + _undated(result),
        "",
        *_rows(result["rows"]),
        "",
        f"The {result['held_out']['n']} queries on which nothing was chosen:",
        "",
        *_rows(result["held_out"]["rows"]),
        "",
        *table(
            ["year", "queries", *MEASURES, "BM25's AP"],
            [
                [year, row["n"], *(f"{row['metrics'][name]:.3f}" for name in MEASURES), f"{row['bm25']['AP']:.3f}"]
                for year, row in result["by_year"].items()
            ],
        ),
    ]
    if "findings" in result:
        found = result["findings"]
        measures = list(found["metrics"])
        lines += [
            "",
            *table(
                ["questions", *measures],
                [[found["n"], *(with_interval(name, found["metrics"], found["intervals"]) for name in measures)]],
            ),
            *(["", f"Answered wrongly: {', '.join(map(cell, found['wrong']))}."] if found["wrong"] else []),
        ]
    return "\n".join(lines) + "\n"


def _undated(result: Mapping[str, Any]) -> str:
    cases, queries = result["undated"]["cases"], result["undated"]["queries"]
    return f" {cases} cases have no date, and {queries} queries without one are left out." if cases else ""


def _rows(rows: Mapping[str, Any]) -> list[str]:
    return table(
        ["what finds, asked to searched", *MEASURES, "AP more than BM25"],
        [
            [
                cell(name),
                *(with_interval(measure, row["metrics"], row["intervals"]) for measure in MEASURES),
                _format_difference(row["against_bm25"].get("AP")),
            ]
            for name, row in rows.items()
        ],
    )


def _format_difference(difference: Mapping[str, Any] | None) -> str:
    if difference is None:
        return "-"
    low, high = difference["interval"]
    return f"{difference['difference']:+.3f} [{low:+.3f}, {high:+.3f}]"


def write(out: Path, title: str, result: Mapping[str, Any], judgments: Sequence[Judgment], qrels: Qrels) -> None:
    """per_question.jsonl and report.md in `out`, beside the run file that is there already."""
    write_lines(out / "per_question.jsonl", _lines(out / RUN, judgments, qrels))
    write_text(out / "report.md", f"# {cell(title)}\n\n{text(result)}")


def _lines(run: Path, judgments: Sequence[Judgment], qrels: Qrels) -> Iterator[dict[str, Any]]:
    """A line for each query: what it cites, what was found, and the measures."""
    qrels = dated(qrels, judgments)
    rankings: dict[str, list[str]] = {query: [] for query in qrels}
    for line in run.read_text("utf-8").splitlines():
        query, _, key, *_ = line.split()
        rankings[query].append(key)
    known = {judgment.itemid: judgment for judgment in judgments}
    for query, judged in qrels.items():
        cited = {key for key, grade in judged.items() if grade > 0}
        yield {
            "id": query,
            "title": known[query].case.title,
            "date": known[query].candidate.date,
            "cited": sorted(cited),
            "found": rankings[query][:SHOWN],
            "scores": measure(rankings[query], cited),
        }
