"""A question of a conversation on its way to an answer, and an answer on its way to an explanation."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rag.attribute.attribute import Level
from rag.attribute.shapley import Value
from rag.concepts.steering import Steering
from rag.read.compose.style import AUTO
from rag.read.compose.understand import PastTurn
from rag.records import Answer
from ui.web.panels.filter_choices import FIELDS, filters_of, words_of
from ui.web.workers.turn_log import LoggedJob


@dataclass(frozen=True, slots=True)
class AskOptions:
    """How a question is asked. `standalone`: what a follow-up is taken for, where the user has said so.

    `filters` maps names of FIELDS to values, `conditions` are FIELD=VALUE as of Library.select: all must hold.
    `documents` are the ids of those that are asked; (): all, or those that the question is about. `retriever` and `k`
    are those of the settings where they are "" and 0. `mute` and `boost` are concepts, by id or name.
    """

    way: str = AUTO  # the style of the answer
    strategy: str = "notes"
    documents: tuple[str, ...] = ()
    filters: Mapping[str, str] = field(default_factory=dict)
    standalone: str = ""
    everywhere: bool = False  # also where it is about some documents only
    conditions: tuple[str, ...] = ()
    retriever: str = ""
    k: int = 0
    mute: tuple[str, ...] = ()
    boost: tuple[str, ...] = ()

    @classmethod
    def of(cls, stored: Mapping[str, Any]) -> AskOptions:
        """Those that `to_json` wrote."""
        known: dict[str, Any] = {name: stored[name] for name in cls.__slots__ if name in stored}
        lists = {name: tuple(value) for name, value in known.items() if isinstance(value, list)}
        return cls(**known | lists)

    def to_json(self) -> dict[str, Any]:
        values = {name: getattr(self, name) for name in self.__slots__}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}

    @property
    def steering(self) -> Steering:
        return Steering(self.mute, self.boost)

    @property
    def chosen(self) -> Sequence[str]:
        """The filters as filter_choices.py takes them."""
        return [self.filters.get(each.name, "") for each in FIELDS]


class QuestionJob(LoggedJob):
    """A question after the `turns` before it, oldest first. What happens to it stands in its log.

    What became of it stands in `answer` or `problem`, once it has ended, and in the catalogue where it is of a turn
    (`turn_id`) of a conversation.
    """

    def __init__(
        self, question: str, options: AskOptions, turns: Sequence[PastTurn] = (), turn_id: str = "", owner: str = ""
    ):  # fmt: skip
        super().__init__()
        self.question, self.options, self.turns, self.turn_id = question, options, tuple(turns), turn_id
        self.owner = owner  # whose corrections are used
        self.filters = (*filters_of(options.chosen), *options.conditions)  # as Library.select takes them
        self.within = ", ".join(filter(None, (words_of(options.chosen), *options.conditions)))  # the same, in words
        self.answer: Answer | None = None
        self.problem: Exception | None = None
        self.standalone = options.standalone or question
        self.searched = ""  # what is searched for in place of `standalone`: as of rag.answer.ask
        self.narrowed = ""  # why it is asked in some documents only, where the user did not choose them
        self.unclear = False  # a follow-up that was not understood
        self.summarising = False  # the parts of something long are read
        self.finish = threading.Event()  # ends a summary with what was read until then
        self._doing: dict[str, Any] = {}

    def report(self, what: str, done: int, total: int) -> None:
        """A progress Report of what is loaded before the search. Raises Stopped."""
        super().report(what, done, total)
        self.now("loading", part=what, done=done, total=total)

    def now(self, what: str, **values: Any) -> None:
        """What is under way."""
        self._doing = {"what": what, **values}
        self.log.add("doing", **self._doing)

    def queued(self, ahead: int) -> None:
        """It waits for the reader, behind so many others; 0: it waits no more."""
        if ahead:
            self.log.add("doing", what="waiting", ahead=ahead)
        else:
            self.log.add("doing", **self._doing)

    @property
    def understood(self) -> dict[str, Any]:
        """What it was taken for, as it is kept with its turn."""
        known = {"standalone": self.standalone, "narrowed": self.narrowed, "unclear": self.unclear}
        return {name: value for name, value in known.items() if value and value != self.question}

    def end_early(self) -> None:
        """End a summary with what was read until then; a second time, or anything else, stop it altogether."""
        if self.summarising and not (self.finish.is_set() or self.stop.is_set()):
            self.finish.set()
            self.now("ending")
        else:
            self.stop.set()


class ExplanationJob(LoggedJob):
    """The attribution of an answer, level by level down to `level`; what was found before a stop is kept.

    `answer` has it, as far as it is known. `turn_id` as of QuestionJob.
    """

    def __init__(self, answer: Answer, strategy: str, level: Level, values: dict[str, Value], turn_id: str = ""):
        super().__init__()
        self.answer, self.strategy, self.level, self.turn_id = answer, strategy, level, turn_id
        self.values = values  # the cache of the reader's replies; its thread's alone


class WhatIfJob(LoggedJob):
    """What would change an answer; `answer` has it when it has ended. `turn_id` as of QuestionJob."""

    def __init__(self, answer: Answer, strategy: str, turn_id: str = ""):
        super().__init__()
        self.answer, self.strategy, self.turn_id = answer, strategy, turn_id
