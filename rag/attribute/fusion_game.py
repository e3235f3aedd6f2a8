"""The value function of an encoder-decoder that reads passages apart (FiD): a hundred coalitions in one batch.

After TextGenSHAP (arXiv 2312.01279), whose absent passages are masked in place.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

from rag.attribute.game import LOG_P, Prompt, ReaderGame, prompt_of
from rag.attribute.players import Player
from rag.attribute.shapley import Value
from rag.errors import UsageError
from rag.llm.chat import first_line
from rag.llm.decode import MAX_TOKENS
from rag.llm.fusion_in_decoder import FusionReader
from rag.protocols import Report, silent
from rag.read.match import in_form
from rag.read.prompts import answer_messages
from rag.records import Hit

ROWS = 100  # coalitions in a batch, as in the paper


class FusionGame(ReaderGame):
    """The game of an encoder-decoder that reads passages apart (FiD, arXiv 2007.01282), among its documents.

    Passages are encoded once, as all of the evidence shows them. An absent one is a mask over what the decoder attends
    to, and the model says what it says if the passage was never there. Coalitions are decoded about a hundred at a
    time. Parts of passages cannot be played so: what the encoder has read of one word is in all others. With `answer`,
    values are its log-probabilities. UsageError for parts.
    """

    def __init__(
        self,
        reader: FusionReader,
        question: str,
        hits: Sequence[Hit],
        max_tokens: int = MAX_TOKENS,
        answer: str | None = None,
        budget: int = 1000,
        stop: Callable[[], bool] = lambda: False,
        report: Report = silent,
        kept: dict[Prompt, Value] | None = None,
    ):
        super().__init__(
            hits, lambda present: self._values_of([present])[0], None, "deleted", None, budget, stop, report, kept=kept
        )
        self._reader, self._question = reader, question
        self._answer = None if answer is None else reader.spelled(answer)
        blocks = reader.blocks(answer_messages(question, self.hits)) if self.hits else []
        (alone,) = reader.blocks(answer_messages(question, []))
        self.decoder = reader.decoder(blocks, alone, max_tokens)

    def __call__(self, coalitions: Sequence[frozenset[Player]]) -> Mapping[frozenset[Player], Value]:
        """As ReaderGame's. Where it was stopped or little is left to spend, coalitions are decoded one by one."""
        evidence = {prompt_of(hits): hits for hits in map(self.evidence, coalitions)}
        new = [prompt for prompt in evidence if prompt not in self._values]
        for begin in range(0, len(new), ROWS):
            batch = new[begin : begin + ROWS]
            if self.stopped or self._stop() or self.calls + len(batch) > self.budget:
                break
            self.calls += len(batch)
            self._values.update(zip(batch, self._values_of([evidence[prompt] for prompt in batch]), strict=True))
        return super().__call__(coalitions)

    def evidence(self, present: Collection[Player]) -> list[Hit]:
        if any(player.kind != "document" for player in present):
            raise UsageError("a reader of passages apart is attributed to whole documents. Name the level document")
        return super().evidence(present)

    def _values_of(self, evidences: Sequence[Sequence[Hit]]) -> list[Value]:
        ranks = [{hit.rank for hit in hits} for hits in evidences]
        rows = [[hit.rank in present for hit in self.hits] for present in ranks]
        if self._answer is not None:
            return [{LOG_P: sum(each)} for each in self.decoder.log_probabilities(rows, self._answer)]
        said = [first_line(self._reader.text(each.tokens)) for each in self.decoder.decode(rows)]
        return [{in_form(self._question, each): 1.0} for each in said]
