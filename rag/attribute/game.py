"""The reader's game: what it says when only some of the evidence is there. Coalitions in, values out."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

from rag.attribute.players import Absence, Player, complement, disjoint, without
from rag.attribute.shapley import Value
from rag.errors import ReaderError
from rag.interfaces import Report, silent
from rag.read.prompts import answer_messages
from rag.records import Hit, Passage

Prompt = str  # what a coalition's evidence looks like to the reader


class ReaderGame:
    """Values of the evidence of coalitions, each different evidence read once, at most `budget` times in all.

    `read` is the reader: hits in, the value out, {answer: 1.0} in the paper's voting form, or one log-probability. A
    ReaderError of its ends the game. Coalitions are visited in the
    alphabetical order of their prompts, a walk through the tree of their beginnings: what two prompts share at their
    beginning is then computed once by a reader that goes on from the last prompt. Everything together is not read
    again: its answer is the one shown.

    `calls` counts the readings. `stopped` says why coalitions were left out: "cancelled", "the budget of n calls is
    spent", or the reader's error.
    """

    def __init__(
        self,
        hits: Sequence[Hit],
        read: Callable[[Sequence[Hit]], Value],
        whole: Value | None = None,
        absence: Absence = "deleted",
        unrelated: Passage | None = None,
        budget: int = 1000,
        stop: Callable[[], bool] = lambda: False,
        report: Report = silent,
    ):
        self.hits, self.absence = disjoint(hits), absence
        self.calls = 0
        self.stopped = ""
        self._read, self._unrelated = read, unrelated
        self.budget, self._stop, self._report = budget, stop, report
        self._values: dict[Prompt, Value] = {} if whole is None else {_prompt(self.hits): whole}

    def __call__(self, coalitions: Sequence[frozenset[Player]]) -> Mapping[frozenset[Player], Value]:
        """Coalition -> its value; those are left out that were not reached."""
        evidence = {coalition: self.evidence(coalition) for coalition in coalitions}
        prompts = {coalition: _prompt(hits) for coalition, hits in evidence.items()}
        values: dict[frozenset[Player], Value] = {}
        for done, coalition in enumerate(sorted(coalitions, key=prompts.__getitem__), start=1):
            value = self._value(prompts[coalition], evidence[coalition])
            if value is None:
                break
            values[coalition] = value
            self._report("readings", done, len(coalitions))
        return values

    def evidence(self, present: Collection[Player]) -> list[Hit]:
        """The hits as they are when only these players are there."""
        return without(self.hits, complement(self.hits, present), self.absence, self._unrelated)

    def _value(self, prompt: Prompt, hits: Sequence[Hit]) -> Value | None:
        if prompt in self._values:
            return self._values[prompt]
        if self.stopped:
            return None
        if self._stop():
            self.stopped = "cancelled"
        elif self.calls >= self.budget:
            self.stopped = f"the budget of {self.budget} calls is spent"
        else:
            return self._asked(prompt, hits)
        return None

    def _asked(self, prompt: Prompt, hits: Sequence[Hit]) -> Value | None:
        self.calls += 1
        try:
            self._values[prompt] = self._read(hits)
        except ReaderError as error:  # what was found before it stays
            self.stopped = str(error)
            return None
        return self._values[prompt]


def _prompt(hits: Sequence[Hit]) -> Prompt:
    return str(answer_messages("", hits)[-1][1])
