"""A first estimate of what an answer depends on, in a second or two: leave-one-out by the reading model.

The reader takes seconds for every part that is left out; the small model that marks answers takes milliseconds, for of
five passages only the changed one is read again. It is another model, so this is a guess at what matters to the reader,
to be looked at until the reader has been asked (figures: `glossator eval clauses`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from rag.attribute.attribute import Level
from rag.attribute.players import Player, clauses, disjoint, documents, text_of, without, words
from rag.read.instant_answer import same_answer
from rag.records import AttributedPlayer, Attribution, Hit
from rag.span.span_model import SpanModel, WindowScores
from rag.span.span_reader import decode
from rag.span.windows import PassageText, Window

SAID = "an estimate by the reading model, before the reader was asked"
MOST_CLAUSES = 150
OPENED = 3  # clauses whose words are left out one by one
LEAST = 0.01  # probability of the answer from which leaving something out can tell anything
Read = tuple[PassageText, list[Window]]


def estimate(question: str, shown: str, hits: Sequence[Hit], model: SpanModel, level: Level) -> Attribution | None:
    """The drop in the probability of the answer without each document, clause and word, down to a level.

    None where the reading model does not find the answer in the evidence. Words are those of the OPENED best clauses.
    Raises ModelError for damaged weights.
    """
    kept = disjoint(hits)
    reading = _Reading(question, shown, kept, model)
    if reading.whole < LEAST:
        return None
    players = list(reading.drops(documents(kept)).items())
    if level != "document":
        parts = reading.drops([clause for hit in kept for clause in clauses(hit) if not clause.header][:MOST_CLAUSES])
        players += parts.items()
        if level == "word":
            best = sorted(parts, key=lambda clause: -parts[clause])[:OPENED]
            of_rank = {hit.rank: hit for hit in kept}
            players += reading.drops([word for clause in best for word in words(clause, of_rank[clause.rank])]).items()
    found = tuple(_attributed(player, drop, kept) for player, drop in players)
    return Attribution(level, found, shown, None, 0, 0, 0, "deleted", SAID)


def _attributed(player: Player, drop: float, hits: Sequence[Hit]) -> AttributedPlayer:
    hit = next(hit for hit in hits if hit.rank == player.rank)
    start = hit.passage.start
    return AttributedPlayer(
        player.kind, hit.passage.passage_id, text_of(player, hit), start + player.start, start + player.end,
        round(drop, 6), 0.0,
    )  # fmt: skip


class _Reading:
    """What the reading model says of the evidence with one part left out; unchanged passages are read once."""

    def __init__(self, question: str, shown: str, hits: Sequence[Hit], model: SpanModel):
        self._question, self._shown, self._model, self._hits = question, shown, model, hits
        self._base = [self._windows(i, hit) for i, hit in enumerate(hits)]
        scores = iter(model.scores([window for _, windows in self._base for window in windows]))
        self._scores = [[next(scores) for _ in windows] for _, windows in self._base]
        self.whole = self._probability(self._base, self._scores)

    def drops(self, players: Sequence[Player]) -> dict[Player, float]:
        """Player -> how much less likely the answer is without it."""
        rank = {hit.rank: i for i, hit in enumerate(self._hits)}
        changed: list[Read | None] = []
        for player in players:
            i = rank[player.rank]
            left = [] if player.kind == "document" else without([self._hits[i]], [player])
            changed.append(self._windows(i, left[0]) if left else None)
        scores = iter(self._model.scores([window for read in changed if read for window in read[1]]))
        found = {}
        for player, read in zip(players, changed, strict=True):
            i = rank[player.rank]
            texts, values = list(self._base), list(self._scores)
            texts[i] = read or (PassageText("", ""), [])
            values[i] = [next(scores) for _ in read[1]] if read else []
            found[player] = self.whole - self._probability(texts, values)
        return found

    def _windows(self, index: int, hit: Hit) -> Read:
        text = PassageText(hit.passage.title, hit.passage.text)
        found = self._model.tokenizer.windows(self._question, [text])
        return text, [replace(window, passage=index) for window in found]

    def _probability(self, read: Sequence[Read], scores: Sequence[Sequence[WindowScores]]) -> float:
        windows = [window for _, part in read for window in part]
        if not windows:
            return 0.0
        answer = decode(
            [text for text, _ in read], windows, [score for part in scores for score in part],
            self._model.tokenizer.sizes.answer,
        )  # fmt: skip
        return min(1.0, sum(share for text, share in answer.likely if same_answer(text, self._shown)))
