"""What an evaluation of chapters leaves behind: its result, a line an episode, a report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from eval.bootstrap import paired_difference, percentile, summarise
from eval.chapters import COHESION, COMBINED, EQUAL, KEYPHRASE, NONE, PODTILE, TUNED_ON, Outcome
from eval.report import cell, table, with_interval, write_lines, write_text
from rag.settings import Settings

BOUNDARIES = ("Pk", "WindowDiff", "F1@30s", "boundaries")
TITLES = ("ROUGE-L", "cosine")
AGAINST = (NONE, EQUAL)


def result_json(asked: Mapping[str, Any], outcomes: Sequence[Outcome], settings: Settings) -> dict[str, Any]:
    """The command line's JSON. Its metrics are those of combined where a reader was asked, else of cohesion.

    `methods` has those of each way to cut, `titles` those of each way to title the makers' segments, `differences` the
    first of ours against never cutting and equal lengths, paired over the episodes. `unseen` has all three for the
    episodes that nothing was tuned on.
    """
    read = all(COMBINED in outcome.cuts for outcome in outcomes)
    default, titled = (COMBINED, PODTILE) if read else (COHESION, KEYPHRASE)
    whole = _part(outcomes, default)
    seconds = [outcome.seconds[default] * 1000 for outcome in outcomes]
    hours = sum(outcome.case.span[1] - outcome.case.span[0] for outcome in outcomes) / 3600
    ours = [whole["methods"][default], whole["titles"][titled]]
    unseen = [outcome for outcome in outcomes if outcome.case.id not in TUNED_ON]
    return {
        "task": "chapters",
        "n": len(outcomes),
        "chapters": sum(len(outcome.case.titles) for outcome in outcomes),
        "hours": round(hours, 3),
        "metrics": {name: value for row in ours for name, value in row["metrics"].items()},
        "intervals": {name: value for row in ours for name, value in row["intervals"].items()},
        "latency_ms": {"p50": round(percentile(seconds, 0.5)), "p95": round(percentile(seconds, 0.95))},
        "default": {"boundaries": default, "titles": titled},
        **asked,
        **whole,
        "unseen": {"n": len(unseen), **(_part(unseen, default) if unseen else {})},
        "per_hour": {
            name: {
                "seconds": round(sum(outcome.seconds[name] for outcome in outcomes) / hours, 1),
                "reader_calls": round(sum(outcome.calls.get(name, 0) for outcome in outcomes) / hours, 1),
            }
            for name in outcomes[0].seconds
        },
        "settings": settings.model_dump(),
        "settings_hash": settings.hash,
        "models": {"dense": settings.dense.model, **({"reader": settings.reader.model} if read else {})},
    }


def _part(outcomes: Sequence[Outcome], default: str) -> dict[str, Any]:
    return {
        "methods": {name: _row([outcome.scores[name] for outcome in outcomes]) for name in outcomes[0].scores},
        "titles": {name: _row([outcome.title_scores[name] for outcome in outcomes]) for name in outcomes[0].titles},
        "differences": {other: _differences(default, other, outcomes) for other in AGAINST},
    }


def _row(scores: Sequence[Mapping[str, float]]) -> dict[str, Any]:
    metrics, intervals = summarise(scores)
    return {"metrics": metrics, "intervals": intervals}


def _differences(name: str, other: str, outcomes: Sequence[Outcome]) -> dict[str, Any]:
    found = {}
    for measure in BOUNDARIES[:3]:
        ours, theirs = ([outcome.scores[which][measure] for outcome in outcomes] for which in (name, other))
        d = paired_difference(ours, theirs)
        interval = [round(d.low, 4) + 0.0, round(d.high, 4) + 0.0]
        found[measure] = {"difference": round(d.mean, 4) + 0.0, "interval": interval, "p": round(d.p, 4)}
    return found


def text(result: Mapping[str, Any]) -> str:
    """The result as Markdown: boundaries, titles, differences; all episodes, then those that nothing was tuned on."""
    lines = [
        f"## Chapters: {result['n']} episodes, {result['hours']:.1f} hours, {result['chapters']} makers' chapters",
        "",
    ]
    parts = [("All episodes", result)]
    if 0 < result["unseen"]["n"] < result["n"]:
        parts.append((f"The {result['unseen']['n']} that nothing was tuned on", result["unseen"]))
    for name, part in parts:
        lines += [f"### {name}", "", *_rows("boundaries", BOUNDARIES, part["methods"]), ""]
        lines += [*_rows("titles of the makers' segments", TITLES, part["titles"]), ""]
        rows = [[cell(other), *map(_told, measures.values())] for other, measures in part["differences"].items()]
        head = f"{result['default']['boundaries']} against"
        lines += [*table([head, *BOUNDARIES[:3]], rows), ""]
    lines += [
        "Brackets: 95 % bootstrap interval over the episodes; differences paired, with p. Pk and WindowDiff (lower is "
        "better) over units of 10 s, window half the mean length of the makers' chapters; F1@30s: boundaries within 30 "
        "s of one of the makers', each counted once; boundaries: found for each of the makers'. ROUGE-L and cosine: of "
        "our title for each of the makers' segments and theirs.",
    ]
    return "\n".join(lines) + "\n"


def _rows(head: str, measures: Sequence[str], part: Mapping[str, Any]) -> list[str]:
    return table(
        [head, *measures],
        [
            [cell(name), *(with_interval(measure, row["metrics"], row["intervals"]) for measure in measures)]
            for name, row in part.items()
        ],
    )


def _told(d: Mapping[str, Any]) -> str:
    low, high = d["interval"]
    return f"{d['difference']:+.3f} [{low:+.2f}, {high:+.2f}], p {d['p']:.3f}"


def report(title: str, result: Mapping[str, Any]) -> str:
    """report.md: what was asked, the tables, what it cost, and what the figures do not say."""
    cost = [
        [cell(name), f"{row['seconds']:.0f}", f"{row['reader_calls']:.1f}"] for name, row in result["per_hour"].items()
    ]
    lines = [
        f"# {cell(title)}",
        "",
        text(result),
        "## What an hour of audio costs",
        "",
        *table(["method", "seconds", "reader calls"], cost),
        "",
        "## What this does not say",
        "",
        f"- The numbers in ingest/cohesion.py were chosen on {', '.join(TUNED_ON)}, if these are among them.",
        "- Another maker would cut elsewhere: an F1 of 1 is not to be had.",
        "- WindowDiff and Pk forgive who cuts little; F1@30s does not.",
    ]
    return "\n".join(lines) + "\n"


def line(outcome: Outcome) -> dict[str, Any]:
    """One episode: the makers' chapters, and what each method made of it."""
    case = outcome.case
    return {
        "id": case.id,
        "title": case.document.title,
        "tuned_on": case.id in TUNED_ON,
        "seconds_of_audio": round(case.span[1] - case.span[0], 1),
        "maker": {"boundaries": list(case.reference), "titles": list(case.titles)},
        "boundaries": {name: [round(second, 1) for second in cuts] for name, cuts in outcome.cuts.items()},
        "scores": outcome.scores,
        "titles": outcome.titles,
        "title_scores": outcome.title_scores,
        "own_titles": outcome.own_titles,
        "seconds": {name: round(seconds, 3) for name, seconds in outcome.seconds.items()},
        "reader_calls": outcome.calls,
    }


def write(out: Path, title: str, result: Mapping[str, Any], outcomes: Sequence[Outcome]) -> None:
    """per_question.jsonl, a line an episode, and report.md in `out`."""
    write_lines(out / "per_question.jsonl", map(line, outcomes))
    write_text(out / "report.md", report(title, result))
