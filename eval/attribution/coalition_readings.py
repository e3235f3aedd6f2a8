"""What a reader replies to every coalition of a question's documents, and how likely the shown answer is there."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from eval.attribution.masked_reader import MaskedReader
from eval.core.cache import RecordingReader
from rag.attribute.game import LOG_P, ReaderGame
from rag.attribute.players import Player, documents
from rag.attribute.shapley import Coalition, Value
from rag.errors import ReaderError
from rag.llm.chat import Usage
from rag.read.prompts import answer_messages
from rag.read.rules.base import Rule
from rag.read.strategies import Reading, redraft
from rag.records import Hit, Passage
from rag.settings import Settings

VOTES, LIKELIHOOD, LOGIT = "votes", "likelihood", "logit"
LEAST_ODDS = 1e-9  # below 1: a probability that rounds to 1 has no logit

Running = Callable[..., None]  # progress: (what, done, total, note)


@dataclass(frozen=True, slots=True)
class Readings:
    """What a reader replied to each coalition of a question's documents, and log p of the shown answer there.

    `log_p` is in nats. `attention`: the share of attention on each document while the shown answer is generated; None
    where the reader hides it. `tokens`: the length of the shown answer, its end included.
    """

    shown: str
    players: int
    replies: Mapping[Coalition, str]
    log_p: Mapping[Coalition, float]
    attention: tuple[float, ...] | None = None
    tokens: int = 1

    @property
    def reproduced(self) -> bool:
        """Whether the whole evidence, read in its place among the coalitions, gives the shown answer."""
        return self.replies[frozenset(range(self.players))] == self.shown

    def vote(self, coalition: Coalition) -> str:
        """The reply to a coalition; for the whole evidence, the shown answer."""
        return self.shown if len(coalition) == self.players else self.replies[coalition]

    def value_of(self, value: str, coalition: Coalition) -> float:
        """A coalition's value for the shown answer: 0 or 1 by votes, its log-probability, or that on a logit scale."""
        if value == VOTES:
            return float(self.vote(coalition) == self.shown)
        log_p = self.log_p[coalition]
        return log_p if value == LIKELIHOOD else log_p - math.log(max(LEAST_ODDS, -math.expm1(log_p)))


def coalitions(players: int) -> list[Coalition]:
    """All 2^players coalitions, the empty one first, the full one last."""
    return [frozenset(subset) for size in range(players + 1) for subset in combinations(range(players), size)]


def read_coalitions(
    question: str,
    hits: Sequence[Hit],
    shown: str,
    reader: RecordingReader,
    settings: Settings,
    strategy: str = "direct",
    report: Running = lambda what, done, total: None,
    unrelated: Passage | None = None,
    rules: Sequence[Rule] = (),
) -> Readings:
    """Every coalition of the documents, read once in prefix order, by the strategy (and rules) that gave the answer.

    Absent documents are deleted, or filled or swapped as `experimental.absence` says, these for `unrelated`; or masked,
    by a MaskedReader, which is asked directly, as rag/explain.py does.

    The log-probability is that of the answer behind the passages and the question, in the same visit. Raises
    ReaderError, also for a reader that does not support it.
    """
    usage, absence = Usage(), settings.experimental.absence
    strategy = "direct" if absence == "masked" else strategy

    def read(evidence: Sequence[Hit]) -> Value:
        reading = Reading(
            question, reader, settings.reader, lambda query: [], list, lambda hits: {}, tuple(evidence), usage,
            rules=rules,
        )  # fmt: skip
        reply = redraft(reading, strategy)
        return {reply: 1.0, LOG_P: reader.log_probability(answer_messages(question, evidence), shown, usage)}

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
    replies = {c: next(text for text in values[players[c]] if text != LOG_P) for c in every}
    attention = reader.attended(answer_messages(question, game.hits), shown, game.hits)
    log_p = {c: values[players[c]][LOG_P] for c in every}
    tokens = reader.count([("user", shown)]) - reader.count([("user", "")]) + 1
    return Readings(shown, len(roots), replies, log_p, None if attention is None else tuple(attention), max(1, tokens))
