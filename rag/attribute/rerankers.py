"""Rerankers that ask the reader: whether a passage helps, or what its Shapley value for the answers is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rag.attribute.game import ReaderGame
from rag.attribute.players import documents
from rag.attribute.shapley import MOST_EXACT, Coalition, Value, exact_shapley
from rag.attribute.tree_reader import coalition_reader
from rag.errors import ReaderError
from rag.llm.chat import ChatModel, first_line
from rag.read.injection.mask import mask_injections
from rag.read.prompts import answer_messages, fitting, helps_messages
from rag.records import Hit, Passage
from rag.settings import ReaderSettings


class ReaderReranker:
    """The reader itself, asked of each passage alone whether it helps: the score is its probability of yes, 0..1.

    A prompt a passage, none of it taken from the cache (ChatModel says why). A reader that gives no probabilities
    says 1, 0.5 or 0, and the first stage's order decides among equals.
    """

    def __init__(self, reader: ChatModel):
        self._reader = reader

    def score(self, query: str, passages: Sequence[Passage]) -> list[float]:
        """As Reranker.score. Raises ReaderError."""
        return [self._reader.yes_probability(helps_messages(query, passage)) for passage in passages]


class AttributionReranker:
    """What a passage does to the reader's answers: its exact Shapley value among the best eight, 0..1.

    After TextGenSHAP (arXiv 2312.01279), whose documents are ranked by the most that one gains for any answer, and the
    few best are read again ("distillation"): here by whoever asks for few, as `ask -k 3` does.

    Of n passages the reader answers from all 2^n selections, so from 256 of eight, from 32 with
    experimental.rerank_depth = 5. They come in an order in which prompts share beginnings. Passages after the eighth,
    and those that the reader's window cannot hold, weigh 0, as one does that changes no answer: the first stage's order
    decides among these.
    """

    def __init__(self, reader: ChatModel, settings: ReaderSettings):
        self._reader, self._settings = reader, settings

    def score(self, query: str, passages: Sequence[Passage]) -> list[float]:
        """As Reranker.score. Raises ReaderError."""
        best = [Hit(rank, 0.0, passage) for rank, passage in enumerate(passages[:MOST_EXACT], start=1)]
        tokens = self._settings.context_tokens - self._settings.answer_tokens
        hits = mask_injections(fitting(query, best, tokens, count=self._reader.count))
        # All together come first, computed afresh: so what the others go on from is the same whatever was asked before.
        whole = self._answer(self._reader, query, hits)
        other = coalition_reader(self._reader)
        game = ReaderGame(hits, lambda present: self._answer(other, query, present), whole, budget=2**MOST_EXACT)
        players = documents(game.hits)

        def numbered(coalitions: Sequence[Coalition]) -> Mapping[Coalition, Value]:
            named = {coalition: frozenset(players[i] for i in coalition) for coalition in coalitions}
            values = game(list(named.values()))
            if game.stopped:
                raise ReaderError(game.stopped)
            return {coalition: values[names] for coalition, names in named.items()}

        scores: list[float] = exact_shapley(len(players), numbered).score.tolist() if players else []
        return scores + [0.0] * (len(passages) - len(scores))

    def _answer(self, reader: ChatModel, query: str, hits: Sequence[Hit]) -> Value:
        pieces = reader.stream(answer_messages(query, hits), self._settings.answer_tokens)
        return {first_line("".join(pieces)): 1.0}
