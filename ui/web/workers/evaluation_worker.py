"""Evaluations that the page asks for: a file of questions with their answers, asked in one way or in two.

The measures are EM and F1 of the answer (rag/read/match.py), whether a quoted passage holds it, and how often there was
an answer. Means have bootstrap intervals, two ways are compared in pairs.
"""

from __future__ import annotations

import csv
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from io import StringIO
from pathlib import Path
from statistics import median
from typing import Any

from eval.core.bootstrap import paired_difference, summarise
from eval.core.cache import default_cache
from eval.core.files import read_records, read_text
from eval.core.metrics import best_answer_scores, contains_gold
from eval.multihop.hotpotqa import open_pool
from eval.multihop.questions import read_questions, sample
from ingest.child_process import Stopped
from rag.answer import ask
from rag.errors import DataError, RagError
from rag.index.manager import Indexes
from rag.pipeline import Pipeline, build_pipeline
from rag.read.cite import MARKER
from rag.records import Answer
from ui.web.api.answer_view import citation_view
from ui.web.workers.jobs import CALLED_OFF, Worker, message_of
from ui.web.workers.reader_queue import QueuedReader, ReaderQueue
from ui.web.workers.turn_log import LoggedJob
from ui.wording import printable

MEASURES = ("em", "f1", "cited", "answered")


@dataclass(frozen=True, slots=True)
class Way:
    """How the questions are asked: which retriever finds the passages, which strategy makes the answer."""

    retriever: str
    strategy: str


@dataclass(frozen=True, slots=True)
class TestQuestion:
    """`answers`: those that count as right; none where the documents do not hold one. `within`: passages asked."""

    question: str
    answers: tuple[str, ...]
    within: Sequence[int] | None = None


class EvaluationJob(LoggedJob):
    """A file of questions on its way to a table."""

    def __init__(self, file: Path, ways: Sequence[Way], limit: int):
        super().__init__()
        self.file, self.ways, self.limit = file, tuple(ways), limit

    def report(self, what: str, done: int, total: int) -> None:
        """A progress Report of what is made before the first question is asked. Raises Stopped."""
        super().report(what, done, total)
        self.log.add("doing", what="loading", part=what, done=done, total=total)


class EvaluationWorker(Worker):
    """Runs evaluations, one at a time. At the reader they give way to questions."""

    def __init__(self, indexes: Indexes, queue: ReaderQueue):
        super().__init__()
        self._indexes, self._queue = indexes, queue
        self.last: EvaluationJob | None = None

    def start(self, file: Path, ways: Sequence[Way], limit: int) -> EvaluationJob:
        """Begin; the evaluation before is called off."""
        if self.last:
            self.last.stop.set()
        job = EvaluationJob(file, ways, limit)
        self._begin(job, self._evaluate)
        self.last = job
        return job

    def _evaluate(self, job: EvaluationJob) -> None:
        place = self._queue.place(urgent=False, called_off=job.stop.is_set)
        scores: dict[Way, list[dict[str, float | None]]] = {way: [] for way in job.ways}
        seconds: dict[Way, list[float]] = {way: [] for way in job.ways}
        try:
            questions, indexes = self._opened(job)
            pipelines = {way: self._pipeline(way, indexes, job, place.wait) for way in job.ways}
            for number, question in enumerate(questions, start=1):
                told = []
                for way, pipeline in pipelines.items():
                    place.give_way()
                    began = time.monotonic()
                    answer = _answer(question, pipeline, way)
                    seconds[way].append(time.monotonic() - began)
                    scores[way].append(scores_of(answer, question.answers))
                    told.append(_told(answer, scores[way][-1], own=indexes is self._indexes))
                    if job.stop.is_set():
                        raise Stopped
                job.log.add(
                    "question", number=number, total=len(questions), question=printable(question.question),
                    expected=[printable(each) for each in question.answers], answers=told,
                )  # fmt: skip
            job.log.add("result", complete=True, **result_of(scores, seconds))
        except CALLED_OFF:
            done = min(len(each) for each in scores.values())
            kept = {way: each[:done] for way, each in scores.items()}
            job.log.add("result", complete=False, **result_of(kept, seconds))
        except Exception as problem:  # noqa: BLE001  # message_of logs what is a bug
            job.log.add("failed", error=message_of(problem).replace(str(job.file), job.file.name))
        finally:
            place.leave()
            job.file.unlink(missing_ok=True)

    def _opened(self, job: EvaluationJob) -> tuple[list[TestQuestion], Indexes]:
        """The questions, and what they are asked of: this library, or a benchmark's own paragraphs."""
        own = own_questions(job.file)
        if own is not None:
            return own[: job.limit], self._indexes
        benchmark = read_questions(job.file)
        settings, retrievers = self._indexes.settings, [way.retriever for way in job.ways]
        pool = open_pool(benchmark, "distractor", default_cache(), settings, retrievers, report=job.report)
        assert pool.within is not None
        asked = sample(benchmark.questions, job.limit, 0)
        return [TestQuestion(q.question, q.answers, pool.within[q.id]) for q in asked], pool.corpus.indexes

    def _pipeline(self, way: Way, indexes: Indexes, job: EvaluationJob, wait: Callable[[], None]) -> Pipeline:
        pipeline = build_pipeline(indexes, way.retriever, job.report, way.strategy)
        return replace(pipeline, reader=QueuedReader(pipeline.reader, wait))


def own_questions(file: Path) -> list[TestQuestion] | None:
    """Questions with their answers; None where each has paragraphs of its own, as a benchmark's have.

    A .csv file has the columns question and answer; .json and .jsonl files have records with `question`, and `answer`
    or `answers`. No answer: the documents do not hold one, and it is right to say so. Raises DataError.
    """
    if file.suffix.lower() == ".csv":
        rows = csv.DictReader(StringIO(read_text(file)))
        if not {"question", "answer"} <= set(rows.fieldnames or ()):
            raise DataError(f"{file.name}: its first line names no columns question and answer. Add them")
        asked = [(str(row["question"] or ""), [row["answer"] or ""]) for row in rows]
    else:
        records = read_records(file)
        if any(name in records[0].fields for name in ("context", "paragraphs")):
            return None
        asked = []
        for record in records:
            given = record.fields.get("answers", record.fields.get("answer"))
            asked.append((record.text("question"), given if isinstance(given, list) else [given or ""]))
    if empty := [number for number, (question, _) in enumerate(asked, start=1) if not question.strip()]:
        raise DataError(f"{file.name}, record {empty[0]}: question is empty. Mend the file, or choose another")
    if not asked:
        raise DataError(f"{file.name}: holds no question. Choose another file")
    return [TestQuestion(question, tuple(str(a) for a in answers if str(a).strip())) for question, answers in asked]


def _answer(question: TestQuestion, pipeline: Pipeline, way: Way) -> Answer | str:
    """The answer, or why there is none."""
    k = pipeline.settings.retrieve.k
    try:
        steps = list(ask(question.question, pipeline, k, question.within, way.strategy))
    except RagError as error:
        return str(error)
    assert isinstance(steps[-1], Answer)
    return steps[-1]


def scores_of(answer: Answer | str, answers: Sequence[str]) -> dict[str, float | None]:
    """Each of MEASURES, 0..1; None where it does not apply. What failed scores 0.

    Where the documents hold no answer it is right to give none.
    """
    gave_one = isinstance(answer, Answer) and not answer.abstained
    if not answers:
        right = float(isinstance(answer, Answer) and answer.abstained)
        return {"em": right, "f1": right, "cited": None, "answered": float(gave_one)}
    if not isinstance(answer, Answer) or answer.abstained:
        return {"em": 0.0, "f1": 0.0, "cited": None, "answered": 0.0}
    em, f1, *_ = best_answer_scores(MARKER.sub("", answer.answer), answers)
    cited = any(contains_gold(citation.quote, answers) for citation in answer.citations)
    return {"em": em, "f1": f1, "cited": float(cited), "answered": 1.0}


def _told(answer: Answer | str, scores: dict[str, float | None], own: bool) -> dict[str, Any]:
    """What the page shows of an answer; its source opens where it lies in this library (`own`)."""
    if not isinstance(answer, Answer):
        return {"text": "", "error": printable(answer), "f1": 0.0, "source": None, "quote": ""}
    source = citation_view(answer.citations[0], 1) if answer.citations and own else None
    quote = printable(answer.citations[0].quote) if answer.citations else ""
    text = "" if answer.abstained else printable(MARKER.sub("", answer.answer))
    return {"text": text, "error": "", "f1": scores["f1"], "source": source, "quote": quote}


def result_of(scores: dict[Way, list[dict[str, float | None]]], seconds: dict[Way, list[float]]) -> dict[str, Any]:
    """A row for each way: means with their 95 % intervals; and of two ways the paired difference in F1."""
    rows = []
    for way, each in scores.items():
        means, intervals = summarise(each)
        rows.append({
            "retriever": way.retriever, "strategy": way.strategy, "n": len(each),
            "measures": {name: [means[name], *intervals[name]] for name in MEASURES if name in means},
            "seconds": round(median(seconds[way]), 2) if seconds[way] else None,
        })  # fmt: skip
    difference = None
    if len(scores) == 2:
        first, second = ([float(one["f1"] or 0) for one in each] for each in scores.values())
        difference = paired_difference(second, first).to_json()
    return {"rows": rows, "difference": difference}
