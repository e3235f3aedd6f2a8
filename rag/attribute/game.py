"""The value function: what the reader says when only a part of the evidence is present. Coalitions in, values out."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Literal

from rag.attribute.players import Absence, Player, absent_spans, complement, disjoint, without
from rag.attribute.shapley import Value
from rag.errors import ReaderError
from rag.protocols import Report, silent
from rag.read.prompts import answer_messages
from rag.records import Hit, Passage

Prompt = str  # what a coalition's evidence looks like to the reader
LOG_P = "log\np"  # names a value that is a log-probability of the answer shown; no answer has two lines
MASK = "\0"  # in a prompt, for each character that a reader's tokens are masked for


class ReaderGame:
    """Values of the evidence of coalitions, each different evidence read once, at most `budget` times in all.

    `read` is the reader: hits in, the value out, {answer: 1.0} in the paper's voting form, or one log-probability. A
    ReaderError of its ends the game. Coalitions are visited in the
    alphabetical order of their prompts, a walk through the tree of their beginnings: what two prompts share at their
    beginning is then computed once by a reader that goes on from the last prompt. Everything together is not read
    if its value is given as `whole`, that of the answer shown. `kept` has what was read before in the same way, and
    gets what is read now: whoever goes deeper, or on after a stop, reads nothing twice.

    With the absence "masked" the evidence stays whole, and `masked` is the reader: the hits and who of them is absent
    in, the value out.

    `calls` counts the readings. `stopped` says why coalitions were left out: "cancelled", "the budget of n calls is
    spent", or the reader's error.
    """

    def __init__(
        self,
        hits: Sequence[Hit],
        read: Callable[[Sequence[Hit]], Value],
        whole: Value | None = None,
        absence: Absence | Literal["masked"] = "deleted",
        unrelated: Passage | None = None,
        budget: int = 1000,
        stop: Callable[[], bool] = lambda: False,
        report: Report = silent,
        masked: Callable[[Sequence[Hit], Sequence[Player]], Value] | None = None,
        kept: dict[Prompt, Value] | None = None,
    ):
        if absence == "masked" and masked is None:
            raise ValueError("masked needs a reader whose tokens can be masked")
        self.hits, self.absence = disjoint(hits), absence
        self.calls = 0
        self.stopped = ""
        self._read, self._masked, self._unrelated = read, masked, unrelated
        self.budget, self._stop, self._report = budget, stop, report
        self._values: dict[Prompt, Value] = {} if kept is None else kept
        if whole is not None:
            self._values[prompt_of(self.hits)] = whole

    def __call__(self, coalitions: Sequence[frozenset[Player]]) -> Mapping[frozenset[Player], Value]:
        """Coalition -> its value; those are left out that were not reached."""
        readings = {coalition: self._reading(coalition) for coalition in coalitions}
        left = {prompt for prompt, _ in readings.values()} - self._values.keys()
        all_calls = min(self.calls + len(left), self.budget)
        self._report("readings", self.calls, all_calls)
        values: dict[frozenset[Player], Value] = {}
        for coalition in sorted(coalitions, key=lambda coalition: readings[coalition][0]):
            value = self._value(*readings[coalition])
            if value is None:
                continue  # others may have been read before
            values[coalition] = value
            self._report("readings", self.calls, all_calls)
        return values

    def evidence(self, present: Collection[Player]) -> list[Hit]:
        """The hits as they are when only these players are there; all of them where the others are masked."""
        if self.absence == "masked":
            return list(self.hits)
        return without(self.hits, complement(self.hits, present), self.absence, self._unrelated)

    def _reading(self, present: Collection[Player]) -> tuple[Prompt, Callable[[], Value]]:
        """The prompt of a coalition, and how it is read."""
        hits = self.evidence(present)
        prompt = prompt_of(hits)
        if self._masked is None or self.absence != "masked":
            return prompt, lambda: self._read(hits)
        read, absent = self._masked, complement(self.hits, present)
        for start, end in absent_spans(prompt, hits, absent):
            prompt = prompt[:start] + MASK * (end - start) + prompt[end:]
        return prompt, lambda: read(hits, absent)

    def _value(self, prompt: Prompt, read: Callable[[], Value]) -> Value | None:
        if prompt in self._values:
            return self._values[prompt]
        if self.stopped:
            return None
        if self._stop():
            self.stopped = "cancelled"
        elif self.calls >= self.budget:
            self.stopped = f"the budget of {self.budget} calls is spent"
        else:
            return self._asked(prompt, read)
        return None

    def _asked(self, prompt: Prompt, read: Callable[[], Value]) -> Value | None:
        self.calls += 1
        try:
            self._values[prompt] = read()
        except ReaderError as error:  # what was found before it stays
            self.stopped = str(error)
            return None
        return self._values[prompt]


def prompt_of(hits: Sequence[Hit]) -> Prompt:
    return str(answer_messages("", hits)[-1][1])
