"""Questions on their way to an answer, and answers on their way to an explanation: one thread asks the reader."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

from rag.answer import Evidence, Token
from rag.answer import ask as answer_question
from rag.attribute.attribute import Level
from rag.attribute.shapley import Value
from rag.errors import RagError, UsageError
from rag.explain import explain as explain_answer
from rag.index.manager import Indexes
from rag.llm.chat import ChatModel
from rag.pipeline import EXTRACT, build_pipeline
from rag.read.compose.scope import Scope, Scopes
from rag.read.compose.style import AUTO, style_for
from rag.read.compose.understand import PastTurn, understand
from rag.read.follow_up import clarification
from rag.read.strategies import PartProgress
from rag.records import Answer, MarkedAnswer
from ui.web.panels.filter_choices import Choice, filters_of, words_of
from ui.web.workers.jobs import Job, Worker
from ui.wording import evidence_text, many, printable


class ReaderJob(Job):
    """Work for the reader; `status` says what is happening to it."""

    def __init__(self, status: str = "Waiting until the reader is free …") -> None:
        super().__init__()
        self._status = status

    @property
    def status(self) -> str:
        with self._lock:
            return self._status

    @status.setter
    def status(self, status: str) -> None:
        with self._lock:
            self._status = status

    def report(self, what: str, done: int, total: int) -> None:
        super().report(what, done, total)
        self.status = f"Bringing the index up to date: {done:,} of {total:,} {what} …"


class QuestionJob(ReaderJob):
    """A question, the draft of its answer so far, and afterwards the explanations of its answer.

    `style` is the strategy and `way` the style of rag.answer.ask; `chosen` are the filters that limit what is
    searched, `documents` the ids of those that alone are asked, if any. `before` is the answer before it in the
    conversation. `standalone` is what is asked: the text, or its rewriting if it is a follow-up. Where that is given,
    nothing is understood: the question is neither rewritten nor narrowed to documents that are not chosen.
    """

    def __init__(
        self, text: str, style: str, chosen: Choice, before: Answer | None = None, status: str | None = None,
        way: str = AUTO, documents: Sequence[str] = (), standalone: str = "",
    ) -> None:  # fmt: skip
        super().__init__(*filter(None, [status]))
        self.text = text
        self.before = before
        self.style, self.way = style, way
        self.documents, self.understood = tuple(documents), bool(standalone)
        self.filters, self.within = filters_of(chosen), words_of(chosen)  # for Library.select, and for people
        self.values: dict[str, Value] = {}  # the explanations' cache of the reader's replies; their thread's alone
        self.searched = ""  # what is searched for in place of `standalone`: as of rag.answer.ask
        self.narrowed = ""  # why it is asked in some documents only, where the user did not choose them
        self.unclear = False  # a follow-up that was not understood
        self.marked: MarkedAnswer | None = None  # by the reading model, before the reader begins
        self.summarising = False  # the parts of something long are read
        self.finish = threading.Event()  # ends a summary with what was read until then
        self._standalone = standalone or text
        self._draft = ""
        self._explanation: ExplanationJob | None = None
        self._explained: dict[Level, Answer] = {}

    @property
    def standalone(self) -> str:
        with self._lock:
            return self._standalone

    @standalone.setter
    def standalone(self, text: str) -> None:
        with self._lock:
            self._standalone = text

    @property
    def shown(self) -> tuple[str, str]:
        """The status and the draft, as of one moment."""
        with self._lock:
            return self._status, self._draft

    def begin_draft(self, status: str) -> None:
        """The draft begins again, with another status."""
        with self._lock:
            self._status, self._draft = status, ""

    def add_to_draft(self, text: str) -> None:
        with self._lock:
            self._draft += text

    @property
    def answer(self) -> Answer | None:
        """The last answer of the conversation: its own, or while it has none the one before it."""
        finished = self.result.done() and not self.result.cancelled() and not self.result.exception()
        return (self.result.result() if finished else None) or self.before

    def explained(self, level: Level) -> Answer | None:
        """The answer with its attribution, where a complete one was kept."""
        with self._lock:
            return self._explained.get(level)

    def keep_explained(self, level: Level, answer: Answer) -> None:
        with self._lock:
            self._explained[level] = answer

    def begin_explanation(self, level: Level) -> ExplanationJob | None:
        """A new explanation, or None while another one is under way."""
        with self._lock:
            if self._explanation and not self._explanation.stop.is_set():
                return None
            self._explanation = ExplanationJob(self, level)
            return self._explanation

    def end_early(self) -> None:
        """End a summary with what was read until then; a second time, or anything else, stop it altogether."""
        if self.summarising and not (self.finish.is_set() or self.stop.is_set()):
            self.finish.set()
            self.status = "Ending with what was read …"
        else:
            self.stop_all()

    def stop_all(self) -> None:
        """Call the question off, and what explains its answer."""
        self.stop.set()
        with self._lock:
            if self._explanation:
                self._explanation.stop.set()


class ExplanationJob(ReaderJob):
    """The attribution of an answered question's answer, down to a level."""

    def __init__(self, question: QuestionJob, level: Level):
        super().__init__()
        self.question = question
        self.level = level

    def report_reading(self, what: str, done: int, total: int) -> None:
        """A progress Report that does not call the job off: what was found before a stop is kept."""
        self.status = f"Reading parts of the evidence again: {what} {done:,} of {total:,} …"

    def ended(self, seconds: float) -> bool:
        """As of Job, but one that is called off ends behind the reading under way."""
        done = super().ended(seconds)
        return self.result.done() or (done and not self.result.running())


class AnswerWorker(Worker):
    """Answers questions, each from the newest state of the library, and explains answers."""

    def __init__(self, indexes: Indexes):
        super().__init__()
        self._indexes = indexes
        self._scopes = Scopes(indexes.library)
        self._loading = Job()
        self._begin(self._loading, self._load)

    def start(
        self, text: str, style: str, chosen: Choice = (), before: Answer | None = None, way: str = AUTO,
        documents: Sequence[str] = (), standalone: str = "",
    ) -> QuestionJob:  # fmt: skip
        """Begin to answer; the job's result is an Answer, or None of a question that was called off."""
        status = None if self._loading.result.done() else "Loading the models …"
        question = QuestionJob(text, style, chosen, before, status, way, documents, standalone)
        self._begin(question, self._answer)
        return question

    def explain(self, question: QuestionJob, level: Level) -> ExplanationJob | None:
        """Begin to explain the question's answer, which it has; None while another explanation is under way.

        The job's result is the Answer with its attribution. Of one that is called off it is as much as was found, or
        None.
        """
        explanation = question.begin_explanation(level)
        if explanation:
            self._begin(explanation, self._explain)
        return explanation

    def has_passages(self) -> bool:
        """Whether there is anything to search."""
        return self._indexes.library.passage_count > 0

    def _load(self, job: Job) -> None:
        """Load the models before they are needed. What is wrong with them, the first question reports."""
        with suppress(RagError):
            if self.has_passages():
                build_pipeline(self._indexes, report=job.report)

    def _answer(self, question: QuestionJob) -> Answer | None:
        if question.stop.is_set():
            return None
        question.status = "Searching …"
        searched = self._indexes.library.select(question.filters)
        if searched == []:
            raise UsageError(f"nothing in this library is within: {question.within}. Change the filters, or clear them")
        pipeline = build_pipeline(self._indexes, report=question.report, strategy=question.style)
        if searched is not None:
            pipeline = replace(pipeline, searched=f"{many(len(searched), 'passage')} ({question.within})")
        scope = self._chosen(question, searched)
        if not question.understood:
            scopes = self._scopes if searched is None else None
            scope = understand_question(question, pipeline.reader, scopes, scope)
        k = self._indexes.settings.retrieve.k
        way = style_for(question.text, question.way) if question.style != EXTRACT else "short"
        for step in answer_question(
            question.standalone, pipeline, k, searched, question.style, way, scope, question.searched,
            question.finish.is_set,
        ):  # fmt: skip
            if question.stop.is_set():
                return None
            if isinstance(step, Answer):
                return step
            if isinstance(step, Evidence):
                question.begin_draft(f"Reading {evidence_text([hit for hit in step.hits if not hit.ignored])} …")
            elif isinstance(step, MarkedAnswer):
                question.marked = step
            elif isinstance(step, Token):
                question.add_to_draft(step.text)
            elif isinstance(step, PartProgress):
                question.summarising = True
                question.status = f"Reading part {step.done + 1} of {step.total}: {printable(step.part)[:80]} …"
            elif not question.summarising:
                question.status = "Checking the draft against the passages …"
        return None

    def _chosen(self, question: QuestionJob, searched: Sequence[int] | None) -> Scope | None:
        """The documents that the user chose; None without. Raises UsageError where there is nothing in them to ask."""
        scope = self._scopes.of_documents(question.documents)
        if question.documents and scope is None:
            raise UsageError("the chosen document is no longer in this library. Choose another one")
        if scope and searched is not None and not set(scope.numbers) & set(searched):
            raise UsageError(f"nothing in {'; '.join(scope.titles)} is within: {question.within}. Change the filters")
        return scope

    def _explain(self, explanation: ExplanationJob) -> Answer | None:
        if explanation.stop.is_set():
            return None
        question = explanation.question
        pipeline = build_pipeline(self._indexes, report=explanation.report)
        explanation.status = "Reading parts of the evidence again …"
        return explain_answer(
            question.result.result(), pipeline, question.style, explanation.level,
            report=explanation.report_reading, stop=explanation.stop.is_set, kept=question.values,
        )  # fmt: skip


def understand_question(
    question: QuestionJob, reader: ChatModel, scopes: Scopes | None = None, chosen: Scope | None = None
) -> Scope | None:
    """Set question.standalone to what it asks after the answer before it; the documents `chosen`, or that it is about.

    Raises UsageError for a follow-up whose answer would be a guess.
    """
    turns = [PastTurn.of(question.before)] if question.before else []
    if turns:
        question.status = "Reading it after the question before …"
    understood = understand(question.text, turns, reader, scopes)
    question.status = "Searching …"
    if understood.guess and question.before and chosen is None:
        question.unclear = True
        raise UsageError(clarification(question.text, question.before))
    question.standalone, question.searched = understood.question, understood.searched
    if scopes and understood.scope and chosen is None:
        question.narrowed = "named in the question" if scopes.of_question(question.text) else "cited before"
    return chosen or understood.scope
