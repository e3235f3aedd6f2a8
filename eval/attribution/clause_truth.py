"""`glossator eval clauses`: is what an attribution calls decisive what the answer hangs on? In nats, against controls.

Of each question the reader's log-probability of its own answer is looked at with the one and the three best clauses
left out, as each method ranks them: leave-one-out by the reader itself, the hierarchical Shapley values of the product
with as many readings as leave-one-out needs, the reading model's estimate with none, and chance. Then the words of the
best clause alike. What the opening thresholds lose is the share of the nats in clauses of documents left unopened.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from eval.attribution.what_if_trials import answered
from eval.core.bootstrap import bootstrap_interval
from eval.multihop.questions import Question
from rag.attribute.attribute import attribute
from rag.attribute.estimate import estimate
from rag.attribute.game import LOG_P, ReaderGame
from rag.attribute.players import Player, clauses, disjoint, words
from rag.attribute.players import without as left_out
from rag.llm.chat import ChatModel, Usage
from rag.protocols import Report, silent
from rag.read.prompts import answer_messages
from rag.records import Attribution, Hit
from rag.settings import Settings
from rag.span.span_model import SpanModel

MOST = (1, 3)
Json = dict[str, Any]
Ranking = list[Player]


class _Question:
    """One question, its answer, and what the reader gives it without some parts; each reading is kept."""

    def __init__(self, question: str, shown: str, hits: Sequence[Hit], reader: ChatModel):
        self.question, self.shown, self.hits = question, shown, disjoint(hits)
        self._reader = reader
        self._kept: dict[str, float] = {}
        self.whole = self.log_p([])

    def log_p(self, absent: Sequence[Player]) -> float:
        messages = answer_messages(self.question, left_out(self.hits, absent))
        key = str(messages)
        if key not in self._kept:
            self._kept[key] = self._reader.log_probability(messages, self.shown, Usage())
        return self._kept[key]

    def lost(self, absent: Sequence[Player]) -> float:
        """Nats that the answer loses without these parts."""
        return self.whole - self.log_p(absent)

    def by_leaving_out(self, players: Sequence[Player]) -> Ranking:
        return sorted(players, key=lambda player: -self.lost([player]))

    def shapley(self, budget: int) -> Attribution:
        def read(hits: Sequence[Hit]) -> dict[str, float]:
            return {LOG_P: self._reader.log_probability(answer_messages(self.question, hits), self.shown, Usage())}

        game = ReaderGame(self.hits, read, budget=max(budget, 4))
        return replace(attribute(game, self.shown, "clause"), value="likelihood")


def _ranked(attribution: Attribution | None, players: Sequence[Player], hits: Sequence[Hit]) -> Ranking:
    """The players as an attribution scores them; those that it does not score come last, in their order."""
    ids = {hit.rank: (hit.passage.passage_id, hit.passage.start) for hit in hits}
    known = {}
    for part in attribution.players if attribution else ():
        known[part.passage_id, part.start, part.end, part.kind] = part.score

    def score(player: Player) -> float:
        passage_id, start = ids[player.rank]
        return known.get((passage_id, start + player.start, start + player.end, player.kind), -np.inf)

    return sorted(players, key=lambda player: -score(player))


def run(
    questions: Sequence[Question], drafter: ChatModel, reader: ChatModel, model: SpanModel, settings: Settings,
    wanted: int, seed: int = 0, report: Report = silent,
) -> Json:  # fmt: skip
    """The table of `wanted` questions; `drafter` answers, `reader` gives log-probabilities."""
    began = time.monotonic()
    rng = np.random.default_rng(seed)
    nats: dict[str, list[float]] = {}
    unopened, readings, done = list[float](), list[int](), 0
    for question in questions:
        if done == wanted:
            break
        report("questions", done, wanted)
        answer = answered(question, drafter, settings)
        if not answer.answer:
            continue
        one = _Question(question.question, answer.answer, answer.evidence, reader)
        players = [clause for hit in one.hits for clause in clauses(hit) if not clause.header]
        if len(players) < max(MOST) + 1:
            continue
        done += 1
        shapley = one.shapley(len(players))
        guess = estimate(one.question, one.shown, one.hits, model, "word")
        timed = {
            "leave-one-out": one.by_leaving_out(players),
            "shapley": _ranked(shapley, players, one.hits),
            "estimate": _ranked(guess, players, one.hits),
            "random": [players[i] for i in rng.permutation(len(players))],
        }
        _measure(nats, "clause", one, timed)
        readings.append(len(players))
        unopened.append(_unopened(one, players, shapley))
        best = timed["leave-one-out"][0]
        inside = words(best, next(hit for hit in one.hits if hit.rank == best.rank))
        if len(inside) > max(MOST):
            _measure(nats, "word", one, {
                "leave-one-out": one.by_leaving_out(inside), "estimate": _ranked(guess, inside, one.hits),
                "random": [inside[i] for i in rng.permutation(len(inside))],
            })  # fmt: skip
    metrics = {name: round(float(np.mean(values)), 4) for name, values in nats.items()}
    intervals = {name: [round(v, 4) for v in bootstrap_interval(values, seed)] for name, values in nats.items()}
    return {
        "task": "clauses", "n": done, "readings": round(float(np.mean(readings or [0])), 1), "metrics": metrics,
        "intervals": intervals, "unopened_share": round(float(np.mean(unopened or [0])), 4),
        "seconds": round(time.monotonic() - began, 1),
    }  # fmt: skip


def _measure(nats: dict[str, list[float]], level: str, one: _Question, rankings: dict[str, Ranking]) -> None:
    for method, ranking in rankings.items():
        for most in MOST:
            nats.setdefault(f"{level}/{method}@{most}", []).append(one.lost(ranking[:most]))


def _unopened(one: _Question, players: Sequence[Player], found: Attribution) -> float:
    """The share of what single clauses are worth that lies in documents which were not opened."""
    opened = {part.passage_id for part in found.players if part.kind == "clause"}
    ids = {hit.rank: hit.passage.passage_id for hit in one.hits}
    worth = {player: max(0.0, one.lost([player])) for player in players}
    lost = sum(value for player, value in worth.items() if ids[player.rank] not in opened)
    return lost / max(sum(worth.values()), 1e-9)


def clauses_text(result: Json) -> str:
    lines = [f"{result['n']} questions, {result['readings']} clauses each; nats that the answer loses, mean and 95 %"]
    for name, value in result["metrics"].items():
        low, high = result["intervals"][name]
        lines.append(f"{name:26}{value:8.2f}  [{low:.2f}, {high:.2f}]")
    lines.append(f"in documents that were not opened: {result['unopened_share']:.2f} of what single clauses are worth")
    return "\n".join(lines)
