"""What an evaluation of attribution leaves behind: its result, a line a question, a report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from eval.attribution.faithfulness import LEAST
from eval.attribution.faithfulness_trials import AttributionOutcome
from eval.attribution.methods import OURS, PACKAGE
from eval.core.bootstrap import paired_difference, percentile, summarise
from eval.core.report import cell, table, with_interval, write_lines, write_text
from rag.settings import Settings


def result_json(asked: Mapping[str, Any], outcomes: Sequence[AttributionOutcome], settings: Settings) -> dict[str, Any]:
    """The command line's JSON. Its metrics are those of the scores that `ask --attribute document` shows.

    `methods` has those of each method, `differences` each of ours against each other method, paired over the questions.
    """
    attributed = [outcome for outcome in outcomes if outcome.scores]
    methods = {name: _row(name, attributed) for name in (attributed[0].scores or ())} if attributed else {}
    seconds = [outcome.seconds * 1000 for outcome in attributed]
    ours = methods.get(OURS[0], {"metrics": {}, "intervals": {}})
    return {
        "task": "attribution",
        "n": len(outcomes),
        "attributed": len(attributed),
        "metrics": ours["metrics"],
        "intervals": ours["intervals"],
        "latency_ms": {"p50": round(percentile(seconds, 0.5)), "p95": round(percentile(seconds, 0.95))},
        "failed": sum(outcome.error is not None for outcome in outcomes),
        "abstained": len(outcomes) - len(attributed) - sum(outcome.error is not None for outcome in outcomes),
        "reproduced": sum(bool(outcome.readings and outcome.readings.reproduced) for outcome in attributed),
        **asked,
        "methods": methods,
        "differences": {
            name: {other: _differences(name, other, attributed) for other in methods if other != name}
            for name in OURS
            if methods
        },
        "settings": settings.model_dump(mode="json"),
        "settings_hash": settings.hash,
        "models": {"reader": settings.reader.model, "dense": settings.dense.model},
    }


def _row(name: str, attributed: Sequence[AttributionOutcome]) -> dict[str, Any]:
    rows = [_scores_of(outcome, name) for outcome in attributed]
    metrics, intervals = summarise(rows)
    counts = {measure: sum(scores.get(measure) is not None for scores in rows) for measure in metrics}
    budget = max(outcome.methods[name].budget for outcome in attributed if outcome.methods)
    return {"budget": budget, "n": counts, "metrics": metrics, "intervals": intervals}


def _scores_of(outcome: AttributionOutcome, name: str) -> Mapping[str, float | None]:
    assert outcome.scores is not None
    return outcome.scores[name]


def _differences(name: str, other: str, attributed: Sequence[AttributionOutcome]) -> dict[str, Any]:
    found = {}
    for measure in ("R@2", "recall_area"):
        ours, theirs = (
            [_scores_of(outcome, which)[measure] or 0.0 for outcome in attributed] for which in (name, other)
        )
        found[measure] = paired_difference(ours, theirs).to_json()
    return found


MEASURES = {
    "R@2": "R@2", "recall_area": "recall area", "drop@1": "drop@1", "drop@3": "drop@3", "deletion_gain": "deletion",
    "insertion_gain": "insertion", "f1@2": "F1@2", "f1@3": "F1@3",
    "LDS": "LDS", "LDS_unseen": "LDS unseen", "kendall": "Kendall", "gap": "gap",
}  # fmt: skip


def text(result: Mapping[str, Any]) -> str:
    """The result as Markdown: a table for each number of calls."""
    lines = [f"## Attribution of answers, reader {cell(result['models']['reader'])}", ""]
    lines += [
        f"Questions: {result['n']}, {result['attributed']} attributed ({result['abstained']} abstained, "
        f"{result['failed']} failed); read again, the whole evidence gave the answer shown for {result['reproduced']}.",
        "",
    ]
    for budget in sorted({row["budget"] for row in result["methods"].values()}, reverse=True):
        rows = {name: row for name, row in result["methods"].items() if row["budget"] == budget}
        lines += [f"### {f'At most {budget} calls' if budget else 'Controls, no call'}", ""]
        lines += table(
            ["method", "calls", *MEASURES.values()],
            [
                [
                    cell(name.removesuffix(f", {budget} calls")),
                    f"{row['metrics']['calls']:.1f}",
                    *(with_interval(measure, row["metrics"], row["intervals"]) for measure in MEASURES),
                ]
                for name, row in rows.items()
            ],
        )
        lines.append("")
    lines += [
        "Brackets: 95 % bootstrap interval over the questions. R@2: share of the gold passages among the two "
        "best-scored, ties shared out; recall area: the mean of R@1 to R@k, before re-ranking in the retriever's row. "
        "drop@n: nats that the shown answer loses without the n best. deletion, insertion: how much smaller or larger "
        "the area under the answer's log-probability is than in a random order, of 1 from nobody to everybody. F1@n: "
        "of the answer from the n best passages alone. LDS: "
        "Spearman of the scores' sums and the log-probability over all coalitions, unseen: over those not asked "
        "for. Kendall: tau to exact Shapley values. gap: between the scores' sum and what all documents change of "
        "the scores' own value.",
    ]
    return "\n".join(lines) + "\n"


def report(title: str, result: Mapping[str, Any]) -> str:
    """report.md: what was asked, the tables, the differences, and what the figures do not say."""
    lines = [
        f"# {cell(title)}",
        "",
        f"{result['n']} of {result['of']} questions (seed {result['seed']}, every type with its share), each over its "
        f"own paragraphs; {cell(result['retriever'])} retrieval, k = {result['k']}, reader "
        f"{cell(result['models']['reader'])}, strategy {result['reader']}, {result['permutations']} permutations, "
        f"settings {result['settings_hash']}. Absent passages are {result['settings']['experimental']['absence']}, the "
        "others' ranks stay.",
        "",
        text(result),
    ]
    for name, others in result["differences"].items():
        lines += [f"## {cell(name)} against the others", "", "Paired over the questions: difference, 95 %, p.", ""]
        rows = [[cell(other), *map(_format_difference, measures.values())] for other, measures in others.items()]
        lines += [*table(["against", "R@2", "recall area"], rows), ""]
    lines += [
        "## What this does not say",
        "",
        f"- {2 ** result['k']} coalitions are all there are of {result['k']} passages: exact methods have seen what "
        "LDS asks of them, and nothing is left unseen.",
        "- drop@5 of at most five passages is the same for all methods, so it stands only in the JSON.",
        f"- deletion and insertion are of answers that the evidence makes at least {LEAST:g} nat likelier "
        "(n in the JSON).",
        "- attention: the share that falls on a passage, a mean over layers, heads and the answer's tokens.",
        "- The linear surrogate is ContextCite's solver (a test compares them) over these readings: its sources are "
        "passages here, and ablations are drawn without one coming twice.",
        f"- {PACKAGE}: "
        + (
            "its own ablations, drawn with repeats and each counted as a call, and its own solver, over the same "
            "readings; not its prompt."
            if PACKAGE in result["methods"]
            else "not installed, so it has no row. pip install 'glossator[compare]' brings it."
        ),
        "- A gold passage is not always what a reader used, least of all for a wrong answer: R@2_right in the JSON is "
        "of the right ones.",
    ]
    return "\n".join(lines) + "\n"


def _format_difference(d: Mapping[str, Any]) -> str:
    low, high = d["interval"]
    return f"{d['difference']:+.3f} [{low:+.2f}, {high:+.2f}], p {d['p']:.3f}"


def line(outcome: AttributionOutcome) -> dict[str, Any]:
    """One question, with every reading and every method's scores; `scores` are those of the first method."""
    readings, question = outcome.readings, outcome.question
    methods, scores = outcome.methods or {}, outcome.scores or {}
    return {
        "id": question.id,
        "type": question.kind,
        "question": question.question,
        "gold": list(question.answers),
        "answer": outcome.shown,
        "abstained": readings is None and outcome.error is None,
        "reproduced": readings.reproduced if readings else None,
        "passages": [
            {"rank": hit.rank, "title": hit.passage.title, "gold": i in outcome.gold}
            for i, hit in enumerate(outcome.hits)
        ],
        "readings": [
            {"present": sorted(i + 1 for i in c), "said": reply, "log_probability": round(readings.log_p[c], 4)}
            for c, reply in readings.replies.items()
        ]
        if readings
        else [],
        "methods": {
            name: {
                "scores": [round(score, 4) + 0.0 for score in scored.scores],
                "calls": len(scored.asked),
                "measures": dict(scores[name]),
            }
            for name, scored in methods.items()
        },
        "error": outcome.error,
        "scores": dict(scores.get(OURS[0], {})),
        "seconds": outcome.seconds,
    }


def write(out: Path, title: str, result: Mapping[str, Any], outcomes: Sequence[AttributionOutcome]) -> None:
    """per_question.jsonl and report.md in `out`."""
    write_lines(out / "per_question.jsonl", map(line, outcomes))
    write_text(out / "report.md", report(title, result))
