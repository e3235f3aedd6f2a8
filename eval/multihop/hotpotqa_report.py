"""What an evaluation of HotpotQA leaves behind: its result, the predictions to hand in, a line a question, a report."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from eval.core.bootstrap import paired_difference, summarise
from eval.core.calibration_scores import calibration
from eval.core.report import bars, cell, histogram, table, with_interval, write_lines, write_text
from eval.core.trials import CONTROLS, ORACLE, latency_ms
from eval.multihop.hotpotqa import MultihopOutcome, predicted
from rag.pipeline import reader_name
from rag.settings import Settings

FAILURES = 10
# The report's two tables: measure -> its head.
ANSWERS = {"em": "EM", "f1": "F1", "draft_em": "draft EM", "draft_f1": "draft F1", "abstained": "abstained"}
EVIDENCE = {
    "R@2": "R@2", "R@5": "R@5", "all_gold@5": "all gold@5", "sp_em": "sp EM", "sp_f1": "sp F1", "joint_em": "joint EM",
    "joint_f1": "joint F1", "note_recall": "gold sentences in the note",
}  # fmt: skip
# Why an answer is wrong, in words for the report; in this order they are looked for.
CAUSES = {
    "failed": "the reader failed",
    "kept back": "it had the right answer and abstained",
    "missing": "a gold paragraph was not among the passages",
    "form": "it means much the same as the gold answer, in other words",
    "distracted": "right with the gold paragraphs alone, wrong with the others beside them",
    "hard": "wrong with the gold paragraphs alone, too",
    "misread": "all gold paragraphs were there",
}


def row_json(outcomes: Sequence[MultihopOutcome]) -> dict[str, Any]:
    """One row of the table: n, means, 95 % intervals, latency, failures."""
    metrics, intervals = summarise([outcome.scores for outcome in outcomes])
    return {
        "n": len(outcomes),
        "metrics": metrics,
        "intervals": intervals,
        "latency_ms": latency_ms([outcome.trial for outcome in outcomes]),
        "failed": sum(outcome.trial.error is not None for outcome in outcomes),
    }


def calibration_of(outcomes: Sequence[MultihopOutcome]) -> dict[str, Any]:
    """Of the drafts with a probability, shown or not: whether it can be believed. Right is an F1 of .5."""
    known = [
        ((outcome.scores["draft_f1"] or 0.0) >= 0.5, answer.probability)
        for outcome in outcomes
        if (answer := outcome.trial.answer) is not None and answer.probability is not None
    ]
    return calibration([right for right, _ in known], [probability for _, probability in known])


def by_type(outcomes: Sequence[MultihopOutcome]) -> dict[str, dict[str, float]]:
    """Exact match and F1 for each type of question, yes/no answers apart; {} where the file names no type."""
    strata = sorted({outcome.question.stratum for outcome in outcomes})
    result = {}
    for stratum in strata if len(strata) > 1 else ():
        subset = [outcome.scores for outcome in outcomes if outcome.question.stratum == stratum]
        means = {name: round(sum(scores[name] or 0.0 for scores in subset) / len(subset), 4) for name in ("em", "f1")}
        result[stratum or "other"] = {"n": len(subset), **means}
    return result


def predictions(benchmark: str, outcomes: Sequence[MultihopOutcome]) -> str:
    """The file to hand in, in the benchmark's own format.

    HotpotQA: {"answer": {id: text}, "sp": {id: [[title, index]]}}; 2WikiMultihopQA: the same with "evidence", which we
    do not predict; MuSiQue: a JSON line a question with predicted_answer, predicted_support_idxs, predicted_answerable.
    """
    if benchmark == "musique":
        return "".join(json.dumps(_musique(outcome), ensure_ascii=False) + "\n" for outcome in outcomes)
    handed_in: dict[str, dict[str, Any]] = {
        "answer": {outcome.question.id: predicted(outcome.trial) for outcome in outcomes},
        "sp": {outcome.question.id: [list(fact) for fact in outcome.facts] for outcome in outcomes},
    }
    if benchmark == "2wiki":
        handed_in["evidence"] = {outcome.question.id: [] for outcome in outcomes}
    return json.dumps(handed_in, ensure_ascii=False) + "\n"


def _musique(outcome: MultihopOutcome) -> dict[str, Any]:
    answer = outcome.trial.answer
    return {
        "id": outcome.question.id,
        "predicted_answer": predicted(outcome.trial),
        "predicted_support_idxs": sorted({place for place in outcome.facts.values() if place is not None}),
        "predicted_answerable": answer is not None and not answer.abstained,
    }


def line(outcome: MultihopOutcome, gold: frozenset[str]) -> dict[str, Any]:
    """One question, with all that led to its scores."""
    question, trial, answer = outcome.question, outcome.trial, outcome.trial.answer
    return {
        "id": question.id,
        "type": question.kind,
        "question": question.question,
        "gold": list(question.answers),
        "gold_facts": sorted(question.facts) if question.facts is not None else None,
        "answer": predicted(trial),
        "draft": trial.draft,
        "abstained": answer is not None and answer.abstained,
        "support": answer.support if answer else None,
        "probability": answer.probability if answer else None,
        "note": "\n".join(note.text for note in answer.notes) if answer else "",
        "facts": [list(fact) for fact in outcome.facts],
        "citations": [{"title": c.title, "quote": c.quote} for c in answer.citations] if answer else [],
        "evidence": [
            {
                "rank": hit.rank,
                "title": hit.passage.title,
                "gold": hit.passage.passage_id in gold,
                "text": hit.passage.text,
            }
            for hit in (answer.evidence if answer else trial.hits)
        ],
        "error": trial.error,
        "scores": outcome.scores,
        "seconds": dict(trial.seconds),
    }


# -- the report ------------------------------------------------------------------------------------------------


def cause(outcome: MultihopOutcome, gold: frozenset[str], alone: MultihopOutcome | None) -> str | None:
    """Why an answer is wrong: a key of CAUSES, None for a right one. `alone`: the same question with gold only."""
    scores, answer = outcome.scores, outcome.trial.answer
    if scores["em"]:
        return None
    if answer is None:
        return "failed"
    if answer.abstained and scores["draft_em"]:
        return "kept back"
    if not gold <= {hit.passage.passage_id for hit in answer.evidence}:
        return "missing"
    if (scores["draft_f1"] or 0.0) >= 0.5:
        return "form"
    if alone is None or alone.trial.error:
        return "misread"
    return "distracted" if alone.scores["draft_em"] else "hard"


def instructive(
    outcomes: Sequence[MultihopOutcome], gold: Mapping[str, frozenset[str]], alone: Sequence[MultihopOutcome] | None
) -> list[tuple[str, MultihopOutcome]]:
    """(cause, outcome) of ten failures: the causes take turns, and of each the one it was surest of comes first."""
    found: dict[str, list[MultihopOutcome]] = {name: [] for name in CAUSES}
    for i, outcome in enumerate(outcomes):
        if name := cause(outcome, gold[outcome.question.id], alone[i] if alone else None):
            found[name].append(outcome)
    for subset in found.values():
        subset.sort(key=lambda outcome: -((outcome.trial.answer and outcome.trial.answer.support) or 0.0))
    turns = [(i, name, outcome) for name, subset in found.items() for i, outcome in enumerate(subset)]
    turns.sort(key=lambda turn: turn[0])
    return [(name, outcome) for _, name, outcome in turns[:FAILURES]]


def report(
    title: str,
    result: Mapping[str, Any],
    outcomes: Mapping[str, Sequence[MultihopOutcome]],
    gold: Mapping[str, frozenset[str]],
) -> str:
    """report.md: what was asked, the table with its controls, charts, and the failures to learn from."""
    system, *controls = outcomes
    first, alone = outcomes[system], outcomes.get(ORACLE)
    rows = {system: result, **result["controls"]}
    lines = [f"# {cell(title)}", "", *_asked(result), ""]
    lines += ["## Answers", "", *_measured(rows, ANSWERS, system), ""]
    lines += ["Brackets: 95 % bootstrap interval over the questions. Draft: the answer as if it never abstained.", ""]
    lines += [f"- **{cell(system)}**: the system, with {cell(system)} retrieval"]
    lines += [f"- {cell(name)}: {CONTROLS[name]}" for name in controls]
    lines += ["", "## Evidence", "", *_measured(rows, EVIDENCE, system), ""]
    lines += [
        "R@k: share of the gold paragraphs among the first k; sp: the sentences that the citations quote, against the "
        "gold supporting facts; joint: answer and supporting facts together." + _copied(first)
    ]
    if controls:
        lines += [
            "",
            "## The system against its controls",
            "",
            "Paired over the questions: difference, 95 % interval, p.",
            "",
        ]
        lines += table(["against", "EM", "F1"], [_against(first, name, outcomes[name]) for name in controls])
    lines += ["", "## Cost of a question", ""]
    lines += table(
        ["row", "p50 ms", "p95 ms", "longest prompt", "generated tokens", "calls of the reader"],
        [[cell(name), *row["latency_ms"].values(), *_tokens(row)] for name, row in rows.items()],
    )
    latencies = [t.seconds["retrieve"] + t.seconds["reader"] for o in first if (t := o.trial).error is None]
    lines += [
        "",
        f"Retrieval and reader together, {cell(system)}, share of the questions:",
        "",
        *histogram(latencies, "s"),
    ]
    if types := result["by_type"]:
        lines += ["", "## Exact match by type of question", ""]
        lines += bars([(name, row["em"], f"n {row['n']}, F1 {row['f1']:.2f}") for name, row in types.items()], 1.0)
    lines += ["", "## Failures to learn from", ""]
    causes = [cause(o, gold[o.question.id], alone[i] if alone else None) for i, o in enumerate(first)]
    counted = {name: causes.count(name) for name in CAUSES if name in causes}
    lines += table(["questions", "why"], [[count, CAUSES[name]] for name, count in counted.items()])
    for number, (name, outcome) in enumerate(instructive(first, gold, alone), start=1):
        lines += ["", *_failure(number, name, outcome, gold[outcome.question.id], alone)]
    return "\n".join(lines) + "\n"


def _asked(result: Mapping[str, Any]) -> list[str]:
    where = {"distractor": "each over its own paragraphs", "open": f"over one pool of {result['passages']:,} passages"}
    return [
        f"{result['n']} of {result['of']} questions (seed {result['seed']}, every type with its share), "
        f"{where[result['setting']]}; reader {cell(result['models']['reader'])} by the strategy {result['reader']}, "
        f"k = {result['k']}, settings {result['settings_hash']}.",
        *([f"**{result['failed']} questions failed** and count as wrong."] if result["failed"] else []),
    ]


def _measured(rows: Mapping[str, Any], measures: Mapping[str, str], system: str) -> list[str]:
    """A table of these measures, a line for each row that has one of them, the system's in bold."""
    cells = [
        [
            f"**{cell(name)}**" if name == system else cell(name),
            row["n"],
            *(with_interval(measure, row["metrics"], row["intervals"]) for measure in measures),
        ]
        for name, row in rows.items()
    ]
    return table(["row", "n", *measures.values()], cells)


def _tokens(row: Mapping[str, Any]) -> list[object]:
    tokens = (row["metrics"].get(f"{name}_tokens") for name in ("prompt", "generated"))
    calls = row["metrics"].get("reader_calls", 0.0)
    return [*("-" if count is None else f"{count:.0f}" for count in tokens), f"{calls:.1f}"]


def _copied(first: Sequence[MultihopOutcome]) -> str:
    """How many of the sentences that the reader chose or copied are not in the evidence; "" if it copied none."""
    copied, invented = (sum(o.scores.get(name) or 0.0 for o in first) for name in ("copied", "invented"))
    if not copied:
        return ""
    return f" Of {copied:.0f} sentences that the reader chose, {invented:.0f} were not there and were dropped."


def _against(first: Sequence[MultihopOutcome], name: str, other: Sequence[MultihopOutcome]) -> list[str]:
    cells = [cell(name)]
    for measure in ("em", "f1"):
        ours, theirs = ([o.scores[measure] or 0.0 for o in subset] for subset in (first, other))
        d = paired_difference(ours, theirs)
        cells.append(f"{d.mean:+.3f} [{d.low:+.2f}, {d.high:+.2f}], p {d.p:.3f}")
    return cells


def _failure(
    number: int, name: str, outcome: MultihopOutcome, gold: frozenset[str], alone: Sequence[MultihopOutcome] | None
) -> list[str]:
    question, trial = outcome.question, outcome.trial
    answer = trial.answer
    reply = f"abstained; its draft: {cell(trial.draft)}" if answer and answer.abstained else cell(trial.draft)
    lines = [
        f"### {number}. {cell(question.question)}",
        "",
        f"{CAUSES[name].capitalize()}. ({cell(question.kind or 'no type')}, {cell(question.id)})",
        "",
        f"- gold: **{cell(question.answers[0])}**, in {cell('; '.join(question.gold_titles))}",
        f"- said: **{reply}**" + (f", support {answer.support:.2f}" if answer and answer.support is not None else ""),
    ]
    if trial.error:
        lines.append(f"- error: {cell(trial.error)}")
    if alone:
        lines.append(f"- with the gold paragraphs alone: {cell(_of(alone, question.id).trial.draft)}")
    places = [
        f"{hit.rank}. {cell(hit.passage.title)}{' (gold)' if hit.passage.passage_id in gold else ''}"
        for hit in trial.hits
    ]
    lines.append(f"- passages: {', '.join(places) or 'none'}")
    for note in answer.notes if answer else ():
        lines += [f"- note: {cell(text)}" for text in note.text.split("\n")]
    return lines


def _of(outcomes: Sequence[MultihopOutcome], identity: str) -> MultihopOutcome:
    return next(outcome for outcome in outcomes if outcome.question.id == identity)


def result_json(
    benchmark: str, asked: Mapping[str, Any], outcomes: Mapping[str, Sequence[MultihopOutcome]], settings: Settings
) -> dict[str, Any]:
    """The command line's JSON. `asked` is what the request names: setting, k, seed, and the like."""
    system, *controls = outcomes
    rows = {row: row_json(subset) for row, subset in outcomes.items()}
    return {
        "task": benchmark,
        **rows[system],
        **asked,
        "calibration": calibration_of(outcomes[system]),
        "by_type": by_type(outcomes[system]),
        "controls": {row: rows[row] for row in controls},
        "settings": settings.model_dump(mode="json"),
        "settings_hash": settings.hash,
        "models": {"reader": reader_name(asked.get("reader", ""), settings), "dense": settings.dense.model},
    }


def write(
    out: Path,
    title: str,
    benchmark: str,
    result: Mapping[str, Any],
    outcomes: Mapping[str, Sequence[MultihopOutcome]],
    gold: Mapping[str, frozenset[str]],
) -> None:
    """predictions.json, per_question.jsonl and report.md in `out`; each control's first two in a folder of its own."""
    for i, (row, subset) in enumerate(outcomes.items()):
        folder = out if i == 0 else out / row.replace(" ", "-")
        write_text(folder / "predictions.json", predictions(benchmark, subset))
        write_lines(folder / "per_question.jsonl", (line(outcome, gold[outcome.question.id]) for outcome in subset))
    write_text(out / "report.md", report(title, result, outcomes, gold))
