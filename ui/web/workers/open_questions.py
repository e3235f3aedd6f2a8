"""The last question of each conversation: the one that is being answered, or whose answer is explained."""

from __future__ import annotations

import threading
from collections.abc import Callable

from rag.errors import UsageError
from ui.web.workers.answer_worker import QuestionJob


class OpenQuestions:
    """The last question of each browser session, by its hash. For any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last: dict[str, QuestionJob] = {}

    def last(self, session: str) -> QuestionJob | None:
        with self._lock:
            return self._last.get(session)

    def begin(self, session: str, start: Callable[[QuestionJob | None], QuestionJob]) -> QuestionJob:
        """Start a question after the last one, which `start` gets, and whose explanation is called off.

        Raises UsageError while the last one is being answered.
        """
        with self._lock:
            last = self._last.get(session)
            if last and not last.stop.is_set():
                raise UsageError("the question before is still being answered. Wait for it, or press Stop")
            if last:
                last.stop_all()
            question = self._last[session] = start(last)
            return question

    def stop(self, session: str) -> None:
        """Call the last question off, and what explains its answer; a summary ends with what was read until then."""
        if question := self.last(session):
            question.end_early()

    def forget(self, session: str) -> None:
        """Stop, and keep nothing of a session that has ended."""
        with self._lock:
            question = self._last.pop(session, None)
        if question:
            question.stop_all()
