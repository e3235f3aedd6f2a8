"""What an evaluation of chapters leaves behind: its result, a line an episode, a report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from eval.core.bootstrap import paired_difference, percentile, summarise
from eval.core.report import cell, table, with_interval, write_lines, write_text
from eval.podcast.chapter_scores import (
    BARE,
    COHESION,
    COMBINED,
    EQUAL,
    KEYPHRASE,
    NONE,
    READER,
    TUNED_ON,
    ChapterOutcome,
)
from rag.settings import Settings

BOUNDARIES = ("Pk", "WindowDiff", "F1@30s", "boundaries")
TITLES = ("ROUGE-L", "cosine")
AGAINST = (NONE, EQUAL)
COSTS = ("seconds", "reader_calls", "prompt_tokens", "generated_tokens")


def result_json(
    asked: Mapping[str, Any], outcomes: Sequence[ChapterOutcome], settings: Settings, reader: str = ""
) -> dict[str, Any]:
    """The command line's JSON. Its metrics are those of combined where a reader was asked, else of cohesion.

    `methods` has those of each way to cut, `titles` those of each way to title the makers' segments, `differences` the
    first of ours against never cutting and equal lengths, paired over the episodes. `unseen` has all three for the
    episodes that nothing was tuned on. `per_hour` is what an hour of audio costs, the mean over the episodes. `reader`
    names the reader that was asked, if it is not as the settings call it.
    """
    read = all(COMBINED in outcome.cuts for outcome in outcomes)
    default, titled = (COMBINED, BARE) if read else (COHESION, KEYPHRASE)
    whole = _part(outcomes, default)
    seconds = [outcome.costs[default].seconds * 1000 for outcome in outcomes]
    hours = sum(outcome.case.hours for outcome in outcomes)
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
        "per_hour": {name: _row([_per_hour(outcome, name) for outcome in outcomes]) for name in outcomes[0].costs},
        "settings": settings.model_dump(mode="json"),
        "settings_hash": settings.hash,
        "models": {"dense": settings.dense.model, **({"reader": reader or settings.reader.model} if read else {})},
    }


def _part(outcomes: Sequence[ChapterOutcome], default: str) -> dict[str, Any]:
    return {
        "methods": {name: _row([outcome.scores[name] for outcome in outcomes]) for name in outcomes[0].scores},
        "titles": {name: _row([outcome.title_scores[name] for outcome in outcomes]) for name in outcomes[0].titles},
        "differences": {other: _differences(default, other, outcomes) for other in AGAINST},
    }


def _per_hour(outcome: ChapterOutcome, name: str) -> dict[str, float]:
    return {what: value / outcome.case.hours for what, value in asdict(outcome.costs[name]).items()}


def _row(scores: Sequence[Mapping[str, float]]) -> dict[str, Any]:
    metrics, intervals = summarise(scores)
    return {"metrics": metrics, "intervals": intervals}


def _differences(name: str, other: str, outcomes: Sequence[ChapterOutcome]) -> dict[str, Any]:
    found = {}
    for measure in BOUNDARIES[:3]:
        ours, theirs = ([outcome.scores[which][measure] for outcome in outcomes] for which in (name, other))
        found[measure] = paired_difference(ours, theirs).to_json()
    return found


def text(result: Mapping[str, Any]) -> str:
    """The result as Markdown: boundaries, titles, differences; all episodes, then those that nothing was tuned on.

    Then what an hour costs. First of all stands over how many of the file's episodes, and by which reader.
    """
    counted = f"{result['n']} of {result.get('of', result['n'])} episodes"
    head = f"## Chapters: {counted}, {result['hours']:.1f} hours, {result['chapters']} makers' chapters"
    lines = [head, ""]
    if READER in result["methods"]:
        lines += [f"The reader's rows: over {counted}, read by {cell(result['models']['reader'])}.", ""]
    parts = [("All episodes", result)]
    if 0 < result["unseen"]["n"] < result["n"]:
        parts.append((f"The {result['unseen']['n']} that nothing was tuned on", result["unseen"]))
    for name, part in parts:
        lines += [f"### {name}", "", *_rows("boundaries", BOUNDARIES, part["methods"]), ""]
        lines += [*_rows("titles of the makers' segments", TITLES, part["titles"]), ""]
        rows = [
            [cell(other), *map(_format_difference, measures.values())]
            for other, measures in part["differences"].items()
        ]
        head = f"{result['default']['boundaries']} against"
        lines += [*table([head, *BOUNDARIES[:3]], rows), ""]
    lines += [
        "Brackets: 95 % bootstrap interval over the episodes; differences paired, with p. Pk and WindowDiff (lower is "
        "better) over units of 10 s, window half the mean length of the makers' chapters; F1@30s: boundaries within 30 "
        "s of one of the makers', each counted once; boundaries: found for each of the makers'. ROUGE-L and cosine: of "
        "our title for each of the makers' segments and theirs.",
        "",
        "### What an hour of audio costs",
        "",
        *table(["method", "seconds", "reader calls", "prompt tokens", "generated tokens"], _cost_rows(result)),
        "",
        "The mean over the episodes of what each cost, over its hours. A reply that was kept has the seconds that it "
        f"took when it was made. {COHESION}, {READER} and {COMBINED}: boundaries, and titles for them; the other rows: "
        "titles alone, for the makers' segments.",
    ]
    return "\n".join(lines) + "\n"


def _cost_rows(result: Mapping[str, Any]) -> list[list[str]]:
    return [
        [cell(name), *(_amount(row["metrics"][what], *row["intervals"][what]) for what in COSTS)]
        for name, row in result["per_hour"].items()
    ]


def _amount(mean: float, low: float, high: float) -> str:
    """
    >>> _amount(0.0, 0.0, 0.0), _amount(12.34, 5.0, 99.96), _amount(31234.5, 200.0, 41000.4)
    ('0', '12.3 [5.0, 100.0]', '31,234 [200, 41,000]')
    """
    if not high:
        return "0"
    digits = 1 if mean < 100 else 0
    return f"{mean:,.{digits}f} [{low:,.{digits}f}, {high:,.{digits}f}]"


def _rows(head: str, measures: Sequence[str], part: Mapping[str, Any]) -> list[str]:
    return table(
        [head, *measures],
        [
            [cell(name), *(with_interval(measure, row["metrics"], row["intervals"]) for measure in measures)]
            for name, row in part.items()
        ],
    )


def _format_difference(d: Mapping[str, Any]) -> str:
    low, high = d["interval"]
    return f"{d['difference']:+.3f} [{low:+.2f}, {high:+.2f}], p {d['p']:.3f}"


def report(title: str, result: Mapping[str, Any]) -> str:
    """report.md: what was asked, the tables, and what the figures do not say."""
    lines = [
        f"# {cell(title)}",
        "",
        text(result),
        "## What this does not say",
        "",
        f"- The numbers in ingest/podcast/cohesion.py were chosen on {', '.join(TUNED_ON)}, if these are among them.",
        "- Another maker would cut elsewhere: an F1 of 1 cannot be reached.",
        "- WindowDiff and Pk forgive who cuts little; F1@30s does not.",
    ]
    return "\n".join(lines) + "\n"


def line(outcome: ChapterOutcome) -> dict[str, Any]:
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
        "costs": {name: asdict(cost) for name, cost in outcome.costs.items()},
    }


def write(out: Path, title: str, result: Mapping[str, Any], outcomes: Sequence[ChapterOutcome]) -> None:
    """per_question.jsonl, a line an episode, and report.md in `out`."""
    write_lines(out / "per_question.jsonl", map(line, outcomes))
    write_text(out / "report.md", report(title, result))
