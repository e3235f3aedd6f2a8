"""Do attributions tell the truth? Scores of documents by several methods, judged by what the reader does without them.

HotpotQA in its distractor setting: a reader answers from k passages, then reads every one of their 2^k coalitions once,
in an order that shares beginnings. From each it keeps its reply and how likely the shown answer is there. So all
methods are scored from one table of readings.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from eval.attribution import faithfulness
from eval.attribution.coalition_readings import VOTES, Readings, Running, coalitions, read_coalitions
from eval.attribution.masked_reader import MaskedReader
from eval.attribution.methods import OURS, Scored, scored_by_all
from eval.core.cache import RecordingReader, Replies
from eval.core.metrics import best_answer_scores
from eval.core.trials import GIVE_UP, Trial, TrialRows, run_trials, seed_of
from eval.multihop.hotpotqa import Pool
from eval.multihop.questions import Question
from rag.attribute.shapley import Coalition
from rag.attribute.tree_reader import coalition_reader
from rag.errors import ReaderError
from rag.pipeline import Pipeline
from rag.read.cite import MARKER
from rag.records import Hit, Passage

FEW = 16  # calls, between leave-one-out's and all


@dataclass(frozen=True, slots=True)
class AttributionOutcome:
    """A question with its readings, each method's scores, and their measures: method -> measure -> value.

    No readings, and nothing else, where the reader abstained or failed (`error`). `gold` are the players that are gold
    passages. `seconds`: the reader's for all readings, when they were made.
    """

    question: Question
    shown: str
    hits: tuple[Hit, ...]
    gold: frozenset[int]
    readings: Readings | None = None
    methods: Mapping[str, Scored] | None = None
    scores: Mapping[str, Mapping[str, float | None]] | None = None
    seconds: float = 0.0
    error: str | None = None


def measured(
    readings: Readings, scored: Scored, exact: Scored, gold: Collection[int], missed: int, answers: Sequence[str]
) -> dict[str, float | None]:
    """The measures of one method on one question, by log p of the shown answer; None where one does not apply.

    `gap` is in the method's own value, `kendall` is to exact Shapley values: `exact`, of its value or the likelihood.
    LDS is over all coalitions, which of k documents are all subsets there are; `LDS_unseen` over those that the
    method did not ask for. `missed`: gold passages that the retriever did not find. `f1@n` and `em@n`: of the answer
    that the reader gives when it is left with the n best passages.
    """
    scores, every = scored.scores, coalitions(readings.players)

    def log_p(coalition: Coalition) -> float:
        return readings.log_p[coalition]

    def in_its_value(coalition: Coalition) -> float:
        return readings.value_of(scored.value, coalition)

    def correctness(measure: int) -> Callable[[Coalition], float]:
        return lambda coalition: best_answer_scores(readings.vote(coalition), answers)[measure]

    support = faithfulness.support_recall(scores, gold, 2, missed)
    em, f1 = correctness(0), correctness(1)
    return {
        "R@2": support,
        "R@2_right": support if em(frozenset(range(readings.players))) else None,
        **{f"em@{k}": faithfulness.top_alone(em, scores, k) for k in (2, 3)},
        **{f"f1@{k}": faithfulness.top_alone(f1, scores, k) for k in (2, 3)},
        "recall_area": faithfulness.recall_area(scores, gold, missed),
        **{f"drop@{k}": faithfulness.top_drop(log_p, scores, k) for k in (1, 3, 5)},
        "deletion_auc": faithfulness.deletion_auc(log_p, scores),
        "insertion_auc": faithfulness.insertion_auc(log_p, scores),
        "deletion_gain": faithfulness.deletion_gain(log_p, scores),
        "insertion_gain": faithfulness.insertion_gain(log_p, scores),
        "LDS": faithfulness.lds(log_p, scores, every),
        "LDS_unseen": faithfulness.lds(log_p, scores, [c for c in every if c not in scored.asked]),
        "kendall": faithfulness.kendall_tau(scores, exact.scores),
        "gap": faithfulness.efficiency_gap(in_its_value, scores) if scored.value else None,
        "calls": float(len(scored.asked)),
    }


def judge(outcome: AttributionOutcome, missed: int, permutations: int, seed: int, k: int) -> AttributionOutcome:
    """The outcome with all methods' scores and measures."""
    readings = outcome.readings
    assert readings is not None
    methods = scored_by_all(readings, permutations, seed_of(seed, outcome.question.id), budgets(k))
    votes, likelihood = (methods[name] for name in OURS)
    scores = {
        name: measured(
            readings, scored, votes if scored.value == VOTES else likelihood, outcome.gold, missed,
            outcome.question.answers,
        )
        for name, scored in methods.items()
    }  # fmt: skip
    return replace(outcome, methods=methods, scores=scores)


def budgets(k: int) -> list[int]:
    """Numbers of calls that the methods are compared at besides all 2^k: leave-one-out's, and FEW."""
    return sorted({number for number in (k + 1, FEW) if k < number < 2**k})


def evaluate(
    questions: Sequence[Question],
    pool: Pool,
    pipeline: Pipeline,
    rows: TrialRows,
    k: int,
    strategy: str,
    replies: Replies,
    permutations: int = 100,
    seed: int = 0,
    report: Running = lambda what, done, total, note="": None,
) -> list[AttributionOutcome]:
    """Ask, read and judge each question. A single failure is an outcome; errors otherwise as of run_trials.

    Replies are kept question by question, so a killed run reads only its last question again. UsageError where
    passages are to be masked and the reader does not support masking.
    """
    if pipeline.settings.experimental.absence == "masked":
        coalition_reader(pipeline.reader, "masked")
    outcomes: list[AttributionOutcome] = []
    for trial, *_ in run_trials(rows, pipeline, k, strategy, replies):
        outcome = _read(trial, questions[trial.place], pool, pipeline, strategy, replies, report)
        if outcome.readings is not None:
            missed = len(pool.gold[outcome.question.id]) - len(outcome.gold)
            outcome = judge(outcome, missed, permutations, seed, k)
        outcomes.append(outcome)
        errors = [outcome.error for outcome in outcomes if outcome.error]
        if len(errors) == min(len(questions), GIVE_UP) == len(outcomes):
            raise ReaderError(f"every question failed, the first {len(errors)} so: {errors[-1]}")
        report("questions", len(outcomes), len(questions), _note(outcomes))
    return outcomes


def _read(
    trial: Trial,
    question: Question,
    pool: Pool,
    pipeline: Pipeline,
    strategy: str,
    replies: Replies,
    report: Running,
) -> AttributionOutcome:
    answer = trial.answer
    if answer is None:
        return AttributionOutcome(question, "", trial.hits, frozenset(), error=trial.error)
    hits = tuple(hit for hit in answer.evidence if not hit.ignored)
    players = frozenset(i for i, hit in enumerate(hits) if hit.passage.passage_id in pool.gold[question.id])
    shown = MARKER.sub("", answer.answer).strip()
    if answer.abstained or not hits or not shown:
        return AttributionOutcome(question, "", hits, players)
    absence = pipeline.settings.experimental.absence
    reader = (
        MaskedReader(pipeline.reader, replies)
        if absence == "masked"
        else RecordingReader(pipeline.reader, replies).going_on()
    )
    try:
        unrelated = _unrelated(question, pool) if absence == "swapped" else None
        readings = read_coalitions(
            question.question, hits, shown, reader, pipeline.settings, strategy, report, unrelated, pipeline.rules
        )
        reader.keep()
    except ReaderError as problem:
        return AttributionOutcome(question, shown, hits, players, error=str(problem))
    return AttributionOutcome(question, shown, hits, players, readings, seconds=round(reader.seconds, 3))


def _unrelated(question: Question, pool: Pool) -> Passage | None:
    """A passage of another question's paragraphs, the same one each time."""
    related = set(pool.passage_ids(question))
    return next((passage for id, passage in pool.corpus.passages.items() if id not in related), None)


def _note(outcomes: Sequence[AttributionOutcome]) -> str:
    values = [outcome.scores[OURS[0]]["R@2"] or 0.0 for outcome in outcomes if outcome.scores]
    return f"R@2 {sum(values) / len(values):.2f}" if values else ""
