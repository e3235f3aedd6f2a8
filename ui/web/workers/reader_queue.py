"""Whose turn it is at the reader: one job at a time, questions before explanations, each in the order it came."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence

from ingest.child_process import Stopped
from rag.llm.chat import ChatModel, Messages, Usage

LOOK_SECONDS = 0.2  # between two looks at whether a waiting job was called off


class ReaderQueue:
    """The jobs that want the reader. For any thread."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._jobs: list[ReaderPlace] = []  # waiting, or at the reader
        self._holder: ReaderPlace | None = None

    def place(self, urgent: bool, called_off: Callable[[], bool]) -> ReaderPlace:
        """A place for a job that does not wait yet. `urgent` ones go before the others."""
        return ReaderPlace(self, urgent, called_off)

    def ahead(self, place: ReaderPlace) -> int:
        """How many jobs have the reader before this one, the one at the reader included."""
        with self._changed:
            return sum(
                other is self._holder or self._before(other, place) for other in self._jobs if other is not place
            )

    def wait(self, place: ReaderPlace, report: Callable[[int], None]) -> None:
        """Until the reader is this place's. `report` gets how many are ahead, when that changes. Raises Stopped."""
        said = -1
        while True:
            with self._changed:
                if place not in self._jobs:
                    self._jobs.append(place)
                if self._holder is place:
                    return
                if self._holder is None and not any(self._before(o, place) for o in self._jobs if o is not place):
                    self._holder = place
                    return
                self._changed.wait(LOOK_SECONDS)
            if place.called_off():
                self.leave(place)
                raise Stopped
            if (ahead := self.ahead(place)) and ahead != said:
                report(ahead)
                said = ahead

    def leave(self, place: ReaderPlace) -> None:
        """The job needs the reader no more."""
        with self._changed:
            if place in self._jobs:
                self._jobs.remove(place)
            if self._holder is place:
                self._holder = None
            self._changed.notify_all()

    def is_wanted(self, place: ReaderPlace) -> bool:
        """Whether a job waits that goes before this one, which is at the reader."""
        with self._changed:
            return any(self._before(other, place) for other in self._jobs if other is not place)

    def _before(self, one: ReaderPlace, other: ReaderPlace) -> bool:
        """Whether `one` goes first: more urgent, or as urgent and here before."""
        if one.urgent != other.urgent:
            return one.urgent
        if other not in self._jobs:
            return one in self._jobs
        return one in self._jobs and self._jobs.index(one) < self._jobs.index(other)


class ReaderPlace:
    """A job's place in the queue, which it takes when it first needs the reader."""

    def __init__(self, queue: ReaderQueue, urgent: bool, called_off: Callable[[], bool]):
        self.urgent = urgent
        self.called_off = called_off
        self._queue = queue

    def wait(self, report: Callable[[int], None] = lambda ahead: None) -> None:
        """As ReaderQueue.wait."""
        self._queue.wait(self, report)

    def give_way(self) -> None:
        """Let those go first that are more urgent, and wait for the next turn. Raises Stopped."""
        if self._queue.is_wanted(self):
            self._queue.leave(self)
            self.wait()

    def leave(self) -> None:
        self._queue.leave(self)


class QueuedReader(ChatModel):
    """A reader that is asked once it is the job's turn, which `wait` waits for; counting tokens waits for nobody."""

    def __init__(self, reader: ChatModel, wait: Callable[[], None]):
        self._reader, self._wait = reader, wait
        self.name, self.judges, self.masks, self.sees = reader.name, reader.judges, reader.masks, reader.sees
        self.copies, self.weights, self.file = reader.copies, reader.weights, reader.file

    def stream(
        self, messages: Messages, max_tokens: int, usage: Usage | None = None, stop: Sequence[str] = ()
    ) -> Iterator[str]:
        self._wait()
        yield from self._reader.stream(messages, max_tokens, usage, stop)

    def yes_probability(self, messages: Messages, usage: Usage | None = None, goes_on: bool = False) -> float:
        self._wait()
        return self._reader.yes_probability(messages, usage, goes_on)

    def log_probability(self, messages: Messages, text: str, usage: Usage | None = None) -> float:
        self._wait()
        return self._reader.log_probability(messages, text, usage)

    def count(self, messages: Messages) -> int:
        return self._reader.count(messages)

    def going_on(self) -> ChatModel:
        return QueuedReader(self._reader.going_on(), self._wait)
