"""Questions on their way to an answer, and answers to an explanation, each in a thread; the reader serves one.

What becomes of a question is kept in the catalogue here, whether or not a browser still watches.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any

from rag.answer import Evidence, Token
from rag.answer import ask as answer_question
from rag.attribute.attribute import LEVELS, Level
from rag.attribute.shapley import Value
from rag.errors import RagError, UsageError
from rag.explain import estimated, what_if
from rag.explain import explain as explain_answer
from rag.index.manager import Indexes
from rag.library.kept.conversations import Conversations, State, Turn
from rag.llm.chat import ChatModel
from rag.pipeline import EXTRACT, Pipeline, build_pipeline, check_question
from rag.protocols import Report, Retriever
from rag.read.compose.scope import Scope, Scopes
from rag.read.compose.style import style_for
from rag.read.compose.understand import PastTurn, understand
from rag.read.follow_up import clarification
from rag.read.strategies import PartProgress
from rag.records import Answer, Hit, MarkedAnswer, Note
from ui.web.api.answer_view import answer_view, hit_view, marked_view, note_view, what_if_view
from ui.web.panels.heat_map import attribution_html
from ui.web.workers.estimates import typical_seconds
from ui.web.workers.jobs import CALLED_OFF, Job, ServerBusy, Worker, message_of
from ui.web.workers.question_job import AskOptions, ExplanationJob, QuestionJob, WhatIfJob
from ui.web.workers.reader_queue import QueuedReader, ReaderQueue
from ui.web.workers.turn_log import LoggedJob
from ui.wording import many, printable

AT_ONCE = 4  # questions that are searched for and checked at once; the reader answers one of them at a time
MOST_OPEN = 32  # questions and explanations that are under way, or wait: more are refused
KEPT_SECONDS = 900.0  # for which the log of a question that has ended can be read


class AnswerWorker(Worker):
    """Answers questions, each from the newest state of the library, and explains answers.

    Those of turns are kept in the `conversations`; without these there are none.
    """

    def __init__(self, indexes: Indexes, conversations: Conversations | None, queue: ReaderQueue):
        super().__init__(AT_ONCE)
        self._indexes = indexes
        self._conversations = conversations
        self._scopes = Scopes(indexes.library)
        self._queue = queue
        self._questions: dict[str, QuestionJob] = {}  # by turn
        self._explanations: dict[str, ExplanationJob] = {}
        self._what_ifs: dict[str, WhatIfJob] = {}
        self._values: dict[str, dict[str, Value]] = {}  # of explained answers, by turn
        self._jobs_lock = threading.Lock()
        self.load()

    def load(self) -> None:
        """Begin to load the models before they are needed."""
        self._begin(Job(), self._load)

    # -- what the page's requests call -----------------------------------------------------------------------------

    def start(self, turn: Turn, before: Answer | None, owner: str = "") -> QuestionJob:
        """Begin to answer a turn that `owner` added to a conversation, after the answer `before` it."""
        turns = [PastTurn.of(before)] if before else []
        job = QuestionJob(turn.question, AskOptions.of(turn.options), turns, turn.turn_id, owner)
        with self._jobs_lock:
            self._forget_old()
            self._questions[turn.turn_id] = job
        return self._start(job)

    def ask(
        self, question: str, options: AskOptions, turns: Sequence[PastTurn] = (), owner: str = ""
    ) -> QuestionJob:  # fmt: skip
        """Begin to answer a question that is of no conversation here, after `turns`. Raises ServerBusy."""
        self.check_room()
        return self._start(QuestionJob(question, options, turns, owner=owner))

    def _start(self, job: QuestionJob) -> QuestionJob:
        job.now("searching")
        self._begin(job, self._answer)
        return job

    def check_room(self) -> None:
        """Raises ServerBusy where so much is under way that one more question would only wait."""
        if self.under_way >= MOST_OPEN:
            raise ServerBusy(f"{MOST_OPEN} questions wait already. Ask again in a while")

    def question(self, turn_id: str) -> QuestionJob | None:
        """The job of a turn: one that is under way, or ended less than KEPT_SECONDS ago."""
        with self._jobs_lock:
            return self._questions.get(turn_id)

    def explain(self, turn: Turn, answer: Answer, level: Level) -> ExplanationJob:
        """Begin to explain the answer of a turn; the explanation under way where there is one."""
        with self._jobs_lock:
            job = self._explanations.get(turn.turn_id)
            if job is None or job.result.done():
                values = self._values.setdefault(turn.turn_id, {})
                job = ExplanationJob(answer, AskOptions.of(turn.options).strategy, level, values, turn.turn_id)
                self._explanations[turn.turn_id] = job
                self._begin(job, self._explain)
            return job

    def explain_answer(self, answer: Answer, strategy: str, level: Level) -> ExplanationJob:
        """Begin to explain an answer that is of no conversation here. Raises ServerBusy."""
        self.check_room()
        job = ExplanationJob(answer, strategy, level, {})
        self._begin(job, self._explain)
        return job

    def explanation(self, turn_id: str) -> ExplanationJob | None:
        with self._jobs_lock:
            return self._explanations.get(turn_id)

    def what_if(self, turn: Turn, answer: Answer) -> WhatIfJob:
        """Begin to find out what would change the answer of a turn; what is under way where that is begun."""
        with self._jobs_lock:
            job = self._what_ifs.get(turn.turn_id)
            if job is None or job.result.done():
                job = WhatIfJob(answer, AskOptions.of(turn.options).strategy, turn.turn_id)
                self._what_ifs[turn.turn_id] = job
                self._begin(job, self._change)
            return job

    def changing(self, turn_id: str) -> WhatIfJob | None:
        with self._jobs_lock:
            return self._what_ifs.get(turn_id)

    def checked(self, question: str, filters: Sequence[str]) -> str:
        """The question, stripped, where it can be asked now. Raises UsageError for what is wrong, and ServerBusy."""
        text = check_question(question, 1, self._indexes.settings)
        self._indexes.library.select(filters)  # what is wrong with them is said now
        self.check_room()
        if not self._has_passages():
            raise UsageError("there are no documents to search yet. Add PDFs, judgments or transcripts first")
        return text

    def _has_passages(self) -> bool:
        """Whether there is anything to search."""
        return self._indexes.library.passage_count > 0

    def _forget_old(self) -> None:
        ended = [job for job in self._questions.values() if job.result.done() and job.log.seconds > KEPT_SECONDS]
        for job in ended:
            del self._questions[job.turn_id]
            self._explanations.pop(job.turn_id, None)
            self._values.pop(job.turn_id, None)
            self._what_ifs.pop(job.turn_id, None)

    # -- in the worker's threads -----------------------------------------------------------------------------------

    def _load(self, job: Job) -> None:
        """Load them. What is wrong with them, the first question reports."""
        with suppress(RagError):
            if self._has_passages():
                build_pipeline(self._indexes, report=job.report)

    def _answer(self, job: QuestionJob) -> None:
        began, answer, error, state = time.monotonic(), None, "", "stopped"
        place = self._queue.place(urgent=True, called_off=job.stop.is_set)
        try:
            if not job.stop.is_set():
                if self._conversations and job.turn_id:
                    self._conversations.begin_turn(job.turn_id, job.understood)
                answer = self._ask(job, lambda: place.wait(job.queued))
                state = "done" if answer else "stopped"
        except CALLED_OFF:
            pass
        except Exception as problem:  # noqa: BLE001  # message_of logs what is a bug
            error, state, job.problem = message_of(problem), "failed", problem
        finally:
            place.leave()
            self._end(job, state, answer, error, time.monotonic() - began)  # type: ignore[arg-type]

    def _end(self, job: QuestionJob, state: State, answer: Answer | None, error: str, seconds: float) -> None:
        job.answer = answer
        try:
            if self._conversations and job.turn_id:
                self._conversations.end_turn(job.turn_id, state, job.understood, answer, error, round(seconds, 2))
        except RagError as problem:  # the disk is full: the page has the answer all the same
            job.log.add("unsaved", error=str(problem))
        if answer is not None:
            view = answer_view(answer, job.options.strategy != EXTRACT)
            job.log.add("answer", answer=view, understood=job.understood, within=job.within)
        elif state == "failed":
            job.log.add("failed", error=error, unclear=job.unclear)
        else:
            job.log.add("stopped")
        job.stop.set()

    def _ask(self, job: QuestionJob, wait: Callable[[], None]) -> Answer | None:
        searched = self._indexes.library.select(job.filters)
        if searched == []:
            raise UsageError(f"nothing in this library is within: {job.within}. Change the filters, or clear them")
        options = job.options
        pipeline = build_pipeline(
            self._indexes, options.retriever or None, job.report, options.strategy, options.steering, job.owner
        )  # fmt: skip
        pipeline = replace(pipeline, reader=QueuedReader(pipeline.reader, wait))
        if searched is not None:
            pipeline = replace(pipeline, searched=f"{many(len(searched), 'passage')} ({job.within})")
        scope = self._chosen(job, searched)
        if not options.standalone:
            scopes = self._scopes if searched is None and not options.everywhere else None
            scope = understand_question(job, pipeline.reader, scopes, scope, pipeline.retriever)
        job.now("searching")
        k = options.k or self._indexes.settings.retrieve.k
        way = style_for(job.question, options.way, job.standalone) if options.strategy != EXTRACT else "short"
        past = self._conversations.past_seconds() if self._conversations else []
        about = typical_seconds(past, options.strategy)
        for step in answer_question(
            job.standalone, pipeline, k, searched, options.strategy, way, scope, job.searched, job.finish.is_set
        ):  # fmt: skip
            if job.stop.is_set():
                return None
            if isinstance(step, Answer):
                return step
            if isinstance(step, Evidence):
                job.log.add("redraft")
                job.log.add("evidence", sources=[hit_view(hit) for hit in step.hits if not hit.ignored])
                job.now("reading", places=places_of(step.hits), about=about)
            elif isinstance(step, MarkedAnswer):
                job.log.add("marked", marked=marked_view(step))
            elif isinstance(step, Token):
                job.log.add("draft", text=step.text)
            elif isinstance(step, PartProgress):
                job.summarising = True
                job.now("part", done=step.done, total=step.total, part=printable(step.part)[:80])
            elif isinstance(step, Note):
                job.log.add("note", note=note_view(step))
                if not job.summarising:
                    job.now("checking")
        return None

    def _chosen(self, job: QuestionJob, searched: Sequence[int] | None) -> Scope | None:
        """The documents that the user chose; None without. Raises UsageError where there is nothing in them to ask."""
        documents = job.options.documents
        scope = self._scopes.of_documents(documents)
        if documents and scope is None:
            raise UsageError("the chosen document is no longer in this library. Choose another one")
        if scope and searched is not None and not set(scope.numbers) & set(searched):
            raise UsageError(f"nothing in {'; '.join(scope.titles)} is within: {job.within}. Change the filters")
        return scope

    @contextmanager
    def _asking_again(self, job: LoggedJob, what: str) -> Iterator[tuple[Pipeline, Report, Callable[[], None]]]:
        """The pipeline that asks of an answer again, a Report of it, and what waits for the reader; questions go first.

        What goes wrong, or a stop, stands in the job's log.
        """
        place = self._queue.place(urgent=False, called_off=job.stop.is_set)

        def report(_: str, done: int, total: int) -> None:
            place.give_way()
            job.log.add("doing", what=what, done=done, total=total)

        def wait() -> None:
            place.wait(lambda ahead: job.log.add("doing", what="waiting", ahead=ahead))

        try:
            job.log.add("doing", what="waiting", ahead=0)
            yield build_pipeline(self._indexes), report, wait
        except CALLED_OFF:
            job.log.add("stopped")
        except Exception as problem:  # noqa: BLE001  # message_of logs what is a bug
            job.log.add("failed", error=message_of(problem))
        finally:
            place.leave()

    def _explain(self, job: ExplanationJob) -> None:
        with self._asking_again(job, "testing") as (pipeline, report, wait):
            if (guess := estimated(job.answer, pipeline, job.level)) is not None:
                html = str(attribution_html(guess))
                job.log.add("explained", level=job.level, html=html, complete=False, estimate=True)
            wait()
            for level in LEVELS[: LEVELS.index(job.level) + 1]:
                explained = explain_answer(
                    job.answer, pipeline, job.strategy, level, report=report, stop=job.stop.is_set, kept=job.values
                )
                if explained.attribution is None:
                    break
                complete = not job.stop.is_set()
                job.log.add("explained", level=level, html=str(attribution_html(explained)), complete=complete)
                job.answer = explained
                if not complete:
                    break
                self._keep(job.turn_id, explained)
            job.log.add("stopped" if job.stop.is_set() else "explanation ended")

    def _change(self, job: WhatIfJob) -> None:
        with self._asking_again(job, "changing") as (pipeline, report, wait):
            wait()
            job.answer = what_if(job.answer, pipeline, job.strategy, report, job.stop.is_set)
            if job.answer.what_if is not None:
                job.log.add("changed", what_if=what_if_view(job.answer.what_if))
                if not job.stop.is_set():
                    self._keep(job.turn_id, job.answer)

    def _keep(self, turn_id: str, answer: Answer) -> None:
        """Keep what is known now of the answer of a turn, where it is of one."""
        if self._conversations and turn_id:
            self._conversations.keep_answer(turn_id, answer)


def understand_question(
    job: QuestionJob, reader: ChatModel, scopes: Scopes | None = None, chosen: Scope | None = None,
    retriever: Retriever | None = None,
) -> Scope | None:  # fmt: skip
    """Set job.standalone to what it asks after the turns before it; the documents `chosen`, or that it is about.

    Raises UsageError for a follow-up whose answer would be a guess.
    """
    if job.turns:
        job.now("understanding")
    understood = understand(job.question, job.turns, reader, scopes, retriever)
    if understood.guess and job.turns and chosen is None:
        job.unclear = True
        raise UsageError(clarification(job.question, job.turns[-1].question))
    job.standalone, job.searched = understood.question, understood.searched
    if scopes and understood.scope and chosen is None:
        job.narrowed = "named" if scopes.of_question(job.question) else "cited before"
    job.log.add("understood", **job.understood)
    return chosen or understood.scope


def places_of(hits: Sequence[Hit]) -> list[dict[str, Any]]:
    """Which places of which documents are read, in the order of their ranks.

    >>> places_of([])
    []
    """
    found: dict[str, dict[str, None]] = {}
    for hit in hits:
        if not hit.ignored:
            found.setdefault(printable(hit.passage.title) or "untitled", {})[hit.passage.locator.short()] = None
    return [{"title": title, "places": list(places)} for title, places in found.items()]
