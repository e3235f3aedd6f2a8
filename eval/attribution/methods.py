"""Do attributions tell the truth? Scores of documents by several methods, judged by what the reader does without them.

HotpotQA in its distractor setting: a reader answers from k passages, then reads every one of their 2^k coalitions once,
in an order that shares beginnings. From each it keeps what it says and how likely the shown answer is there. So all
methods are scored from one table of readings, each with the number of different coalitions that it needs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from eval.attribution.context_cite import installed, package_scores
from eval.attribution.masked_reader import MaskedReader
from eval.core.cache import RecordingReader, Replies
from eval.core.metrics import best_answer_scores
from eval.core.trials import GIVE_UP, Rows, Trial, run_trials, seed_of
from eval.multihop.hotpotqa import Pool
from eval.multihop.questions import Question
from rag.answer import Road
from rag.attribute import faithfulness
from rag.attribute.game import LOG_P, ReaderGame
from rag.attribute.players import Player, documents
from rag.attribute.shapley import (
    Coalition,
    Game,
    Scores,
    Value,
    banzhaf,
    exact_banzhaf,
    exact_shapley,
    leave_one_out,
    permutation_shapley,
)
from rag.attribute.tree_reader import playing
from rag.errors import ReaderError
from rag.llm.chat import Usage
from rag.read.cite import MARKER
from rag.read.prompts import answer_messages
from rag.read.strategies import Reading, redraft
from rag.records import Hit, Passage
from rag.settings import Settings

VOTES, LIKELIHOOD, LOGIT = "votes", "likelihood", "logit"
OURS = ("Shapley, votes", "Shapley, likelihood")  # what `ask --attribute document` shows, and the labelled alternative
RETRIEVER, RANDOM, SURROGATE = "retriever's order", "random", "linear surrogate (as ContextCite)"
PACKAGE = "context-cite (package)"  # only where it is installed
ATTENTION = "attention"
FEW = 16  # calls, between leave-one-out's and all
PENALTY = 0.01  # of the lasso, ContextCite's
LEAST_ODDS = 1e-9  # below 1: a probability that rounds to 1 has no logit

Running = Callable[..., None]  # progress: (what, done, total, note)


@dataclass(frozen=True, slots=True)
class Readings:
    """What a reader said of each coalition of a question's documents, and log p of the answer shown there.

    `attention`: the share of it that falls on each document when the answer shown is said; None: the reader hides it.
    `tokens`: the length of the answer shown, its end included.
    """

    shown: str
    players: int
    said: Mapping[Coalition, str]
    log_p: Mapping[Coalition, float]
    attention: tuple[float, ...] | None = None
    tokens: int = 1

    @property
    def reproduced(self) -> bool:
        """Whether the whole evidence, read in its place among the coalitions, gives the answer shown."""
        return self.said[frozenset(range(self.players))] == self.shown

    def vote(self, coalition: Coalition) -> str:
        """What it says; of the whole evidence, the answer shown."""
        return self.shown if len(coalition) == self.players else self.said[coalition]

    def worth(self, value: str, coalition: Coalition) -> float:
        """A coalition's value for the answer shown: 0 or 1 by votes, its log-probability, or that on a logit scale."""
        if value == VOTES:
            return float(self.vote(coalition) == self.shown)
        log_p = self.log_p[coalition]
        return log_p if value == LIKELIHOOD else log_p - math.log(max(LEAST_ODDS, -math.expm1(log_p)))


@dataclass(frozen=True, slots=True)
class Scored:
    """Scores of a method, one a document. `value` is what they divide, "" if nothing; `asked` what they are from.

    `budget` is the row's number of calls: 0 for controls, else at most so many coalitions are asked.
    """

    scores: tuple[float, ...]
    value: str
    budget: int
    asked: frozenset[Coalition]


@dataclass(frozen=True, slots=True)
class Outcome:
    """A question with its readings, each method's scores, and how true these are: method -> measure -> value.

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


def coalitions(players: int) -> list[Coalition]:
    """All of them, nobody first, everyone last."""
    return [frozenset(some) for size in range(players + 1) for some in combinations(range(players), size)]


# -- readings --------------------------------------------------------------------------------------------------


def read_coalitions(
    question: str,
    hits: Sequence[Hit],
    shown: str,
    reader: RecordingReader,
    settings: Settings,
    style: str = "direct",
    report: Running = lambda what, done, total: None,
    unrelated: Passage | None = None,
) -> Readings:
    """Every coalition of the documents, read once in prefix order, in the form that gave the answer.

    Absent documents are deleted, or filled or swapped as `attribute.absence` says, these for `unrelated`; or masked, by
    a MaskedReader, which is asked directly, as `explain` (rag/answer.py) does.

    The log-probability is that of the answer behind the passages and the question, in the same visit. Raises
    ReaderError, also for a reader that cannot say it.
    """
    usage, absence = Usage(), settings.attribute.absence
    form = "direct" if absence == "masked" else style

    def read(evidence: Sequence[Hit]) -> Value:
        reading = Reading(
            question, reader, settings.reader, lambda query: [], list, lambda some: {}, lambda passage: [passage],
            tuple(evidence), usage,
        )  # fmt: skip
        said = redraft(reading, form)
        return {said: 1.0, LOG_P: reader.log_probability(answer_messages(question, evidence), shown, usage)}

    def masked(evidence: Sequence[Hit], absent: Sequence[Player]) -> Value:
        assert isinstance(reader, MaskedReader)
        reader.hide(evidence, absent)
        return read(evidence)

    game = ReaderGame(
        hits, read, absence=absence, unrelated=unrelated, budget=2 ** len(hits), report=report, masked=masked
    )
    roots = documents(game.hits)
    every = coalitions(len(roots))
    players = {coalition: frozenset(roots[i] for i in coalition) for coalition in every}
    values = game(list(players.values()))
    if game.stopped:
        raise ReaderError(game.stopped)
    said = {c: next(text for text in values[players[c]] if text != LOG_P) for c in every}
    attention = reader.attended(answer_messages(question, game.hits), shown, game.hits)
    log_p = {c: values[players[c]][LOG_P] for c in every}
    tokens = reader.count([("user", shown)]) - reader.count([("user", "")]) + 1
    return Readings(shown, len(roots), said, log_p, None if attention is None else tuple(attention), max(1, tokens))


# -- methods ---------------------------------------------------------------------------------------------------


class _Table:
    """Readings as a game, votes and log-probability in columns of their own, that counts what it is asked."""

    def __init__(self, readings: Readings):
        self._readings = readings
        self.asked: set[Coalition] = set()

    def __call__(self, some: Sequence[Coalition]) -> dict[Coalition, Value]:
        self.asked |= set(some)
        return {c: {self._readings.vote(c): 1.0, LOG_P: self._readings.log_p[c]} for c in some}


def scored_by_all(readings: Readings, permutations: int, seed: int, budgets: Sequence[int]) -> dict[str, Scored]:
    """The name of each row, and its scores. `budgets` are the numbers of calls that samples are cut down to."""
    players = readings.players
    sampled: dict[str, Callable[[Game, int], Scores]] = {
        "permutation Shapley": lambda game, samples: permutation_shapley(players, game, seed, samples),
        "Banzhaf 0.5": lambda game, samples: banzhaf(players, game, seed, samples, 0.5),
        "Banzhaf 0.1": lambda game, samples: banzhaf(players, game, seed, samples, 0.1),
    }
    whole: dict[str, Callable[[Game], Scores]] = {
        "Shapley": lambda game: exact_shapley(players, game),
        "permutation Shapley": lambda game: sampled["permutation Shapley"](game, permutations),
        "Banzhaf 0.5": lambda game: exact_banzhaf(players, game, 0.5),
        "Banzhaf 0.1": lambda game: exact_banzhaf(players, game, 0.1),
    }
    rows: dict[str, Scored] = {}
    for name, estimate in whole.items():
        game = _Table(readings)
        rows |= _both(name, readings, estimate(game), 2**players, game.asked)
    rows[SURROGATE] = _surrogate(readings, seed, 2**players)
    if installed():
        rows[PACKAGE] = _by_package(readings, 2**players)
    for budget in sorted(budgets, reverse=True):
        for name, sample in sampled.items():
            scores, asked = _within(budget, readings, sample, permutations)
            rows |= _both(name, readings, scores, budget, asked, f", {budget} calls")
        rows[f"{SURROGATE}, {budget} calls"] = _surrogate(readings, seed, budget)
        if installed():
            rows[f"{PACKAGE}, {budget} calls"] = _by_package(readings, budget)
    game = _Table(readings)
    rows |= _both("leave-one-out", readings, leave_one_out(players, game), players + 1, game.asked)
    chance = np.random.default_rng(seed).random(players)
    rows[RANDOM] = Scored(tuple(chance.tolist()), "", 0, frozenset())
    rows[RETRIEVER] = Scored(tuple(1 / rank for rank in range(1, players + 1)), "", 0, frozenset())
    if readings.attention is not None:
        rows[ATTENTION] = Scored(readings.attention, "", 0, frozenset())
    return rows


def _both(
    name: str, readings: Readings, scores: Scores, budget: int, asked: Collection[Coalition], suffix: str = ""
) -> dict[str, Scored]:
    """A row by votes and one by the likelihood."""
    columns = {VOTES: readings.shown, LIKELIHOOD: LOG_P}
    return {
        f"{name}, {value}{suffix}": Scored(tuple(scores.score_for(column).tolist()), value, budget, frozenset(asked))
        for value, column in columns.items()
    }


def _within(
    budget: int, readings: Readings, sample: Callable[[Game, int], Scores], most: int
) -> tuple[Scores, set[Coalition]]:
    """The estimate from as many samples as ask for at most `budget` coalitions, from one at least."""
    game = _Table(readings)
    best = sample(game, 1), game.asked
    for samples in range(2, most + 1):
        game = _Table(readings)
        scores = sample(game, samples)
        if len(game.asked) > budget:
            break
        best = scores, game.asked
    return best


def _surrogate(readings: Readings, seed: int, budget: int) -> Scored:
    """The weights of a linear model of the answer's logit, from different ablations drawn by chance."""
    every = coalitions(readings.players)
    drawn = np.random.default_rng(seed).permutation(len(every))[:budget].tolist()
    some = [every[i] for i in drawn]
    design = np.array([[float(player in c) for player in range(readings.players)] for c in some])
    weights = lasso(design, np.array([readings.worth(LOGIT, c) for c in some]))
    return Scored(tuple(weights.tolist()), LOGIT, budget, frozenset(some))


def _by_package(readings: Readings, budget: int) -> Scored:
    """The same by the package itself, whose ablations are drawn without a look at those before, each being a call."""
    scores, asked = package_scores(readings.players, lambda c: readings.worth(LOGIT, c), readings.tokens, budget)
    return Scored(scores, LOGIT, budget, asked)


def lasso(
    design: NDArray[np.float64], target: NDArray[np.float64], penalty: float = PENALTY, sweeps: int = 1000
) -> NDArray[np.float64]:
    """(columns,): the w of least |target - design w - b|² / (2 rows) + penalty |w|₁, by coordinate descent.

    As in ContextCite (arXiv 2409.00729, section 3) the columns are brought to mean 0 and deviation 1 first, and w is
    given in the columns' own unit. A column that is the same in all rows has no weight. Unlike its package this does
    not divide the target by the answer's number of tokens, which is few here.
    """
    spread = design.std(axis=0)
    columns = (design - design.mean(axis=0)) / np.where(spread, spread, 1.0)
    left = target - target.mean()
    weights = np.zeros(design.shape[1])
    for _ in range(sweeps):
        before = weights.copy()
        for j in np.flatnonzero(spread):
            left = left + columns[:, j] * weights[j]
            slope = float(columns[:, j] @ left) / len(left)
            weights[j] = math.copysign(max(0.0, abs(slope) - penalty), slope)
            left = left - columns[:, j] * weights[j]
        if np.abs(weights - before).max(initial=0.0) <= 1e-10 * max(1.0, np.abs(weights).max(initial=0.0)):
            break
    scaled: NDArray[np.float64] = weights / np.where(spread, spread, 1.0)
    return scaled


# -- measures --------------------------------------------------------------------------------------------------


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

    def worth(measure: int) -> Callable[[Coalition], float]:
        return lambda coalition: best_answer_scores(readings.vote(coalition), answers)[measure]

    support = faithfulness.support_recall(scores, gold, 2, missed)
    em, f1 = worth(0), worth(1)
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
        "gap": faithfulness.efficiency_gap(lambda c: readings.worth(scored.value, c), scores) if scored.value else None,
        "calls": float(len(scored.asked)),
    }


def judge(outcome: Outcome, missed: int, permutations: int, seed: int, k: int) -> Outcome:
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


# -- the whole evaluation --------------------------------------------------------------------------------------


def evaluate(
    questions: Sequence[Question],
    pool: Pool,
    road: Road,
    rows: Rows,
    k: int,
    style: str,
    replies: Replies,
    permutations: int = 100,
    seed: int = 0,
    report: Running = lambda what, done, total, note="": None,
) -> list[Outcome]:
    """Ask, read and judge each question. A single failure is an outcome; errors otherwise as of run_trials.

    What is kept is kept question by question, so a killed run reads only its last question again. UsageError where
    passages are to be masked and no token of the reader can be.
    """
    if road.settings.attribute.absence == "masked":
        playing(road.reader, "masked")
    outcomes: list[Outcome] = []
    for trial, *_ in run_trials(rows, road, k, style, replies):
        outcome = _read(trial, questions[trial.place], pool, road, style, replies, report)
        if outcome.readings is not None:
            missed = len(pool.gold[outcome.question.id]) - len(outcome.gold)
            outcome = judge(outcome, missed, permutations, seed, k)
        outcomes.append(outcome)
        errors = [some.error for some in outcomes if some.error]
        if len(errors) == min(len(questions), GIVE_UP) == len(outcomes):
            raise ReaderError(f"every question failed, the first {len(errors)} so: {errors[-1]}")
        report("questions", len(outcomes), len(questions), _note(outcomes))
    return outcomes


def _read(
    trial: Trial,
    question: Question,
    pool: Pool,
    road: Road,
    style: str,
    replies: Replies,
    report: Running,
) -> Outcome:
    answer = trial.answer
    if answer is None:
        return Outcome(question, "", trial.hits, frozenset(), error=trial.error)
    hits = tuple(hit for hit in answer.evidence if not hit.ignored)
    players = frozenset(i for i, hit in enumerate(hits) if hit.passage.passage_id in pool.gold[question.id])
    shown = MARKER.sub("", answer.answer).strip()
    if answer.abstained or not hits or not shown:
        return Outcome(question, "", hits, players)
    absence = road.settings.attribute.absence
    reader = (
        MaskedReader(road.reader, replies) if absence == "masked" else RecordingReader(road.reader, replies).going_on()
    )
    try:
        unrelated = _unrelated(question, pool) if absence == "swapped" else None
        readings = read_coalitions(question.question, hits, shown, reader, road.settings, style, report, unrelated)
        reader.keep()
    except ReaderError as problem:
        return Outcome(question, shown, hits, players, error=str(problem))
    return Outcome(question, shown, hits, players, readings, seconds=round(reader.seconds, 3))


def _unrelated(question: Question, pool: Pool) -> Passage | None:
    """A passage of another question's paragraphs, the same one each time."""
    own = set(pool.passage_ids(question))
    return next((passage for id, passage in pool.corpus.passages.items() if id not in own), None)


def _note(outcomes: Sequence[Outcome]) -> str:
    values = [outcome.scores[OURS[0]]["R@2"] or 0.0 for outcome in outcomes if outcome.scores]
    return f"R@2 {sum(values) / len(values):.2f}" if values else ""
