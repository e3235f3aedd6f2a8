"""A trial: one question asked with one kind of evidence. Every table has its controls, asked in the same run."""

from __future__ import annotations

import hashlib
import random
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TypeVar

from eval.core.bootstrap import percentile
from eval.core.cache import RecordingReader, Replies
from rag.answer import Evidence as Found
from rag.answer import Token, ask
from rag.errors import RagError, ReaderError
from rag.llm.chat import ChatModel, Usage, first_line
from rag.pipeline import Pipeline
from rag.read.prompts import memory_messages
from rag.read.support import declines
from rag.records import Answer, Hit, Passage

# The controls: only their evidence is another.
BM25, ORACLE, RANDOM, CLOSED_BOOK = "bm25", "oracle", "random", "closed book"
CONTROLS = {
    BM25: "the same, with passages found by words alone",
    ORACLE: "the reader gets the gold evidence and nothing else: the most that retrieval could give it",
    RANDOM: "the reader gets random passages of the same pool",
    CLOSED_BOOK: "no passage at all: what the reader knows by heart",
}

Running = Callable[[int, int, str], None]  # progress: (questions done, of how many, the score so far)
Outcome = TypeVar("Outcome")  # what a benchmark makes of a trial
GIVE_UP = 5  # questions: where the first GIVE_UP all failed, the run is given up

Evidence = Callable[[int, str], list[Hit]]  # a question's place, and what is searched for -> the ranking, best first


@dataclass(frozen=True, slots=True)
class Trial:
    """What came of one question in one row. `hits` is the whole ranking, `answer.evidence` what the reader saw of it.

    `draft` is the reader's reply, also where the answer is an abstention. `seconds`: retrieve, reader (when the reply
    was made, be it in an earlier run), first_token. `busy_seconds`: how long retriever and reader took
    now, nothing for a kept reply. `calls`: how often the reader was asked. A trial that failed has an `error` and no
    answer.
    """

    place: int
    row: str
    hits: tuple[Hit, ...]
    draft: str
    answer: Answer | None
    error: str | None
    seconds: Mapping[str, float]
    busy_seconds: float
    calls: int = 0


class RowRetriever:
    """A row's evidence as the Retriever of one question, whose own ranking is there already."""

    def __init__(self, evidence: Evidence, place: int, question: str, hits: Sequence[Hit]):
        self._evidence, self._place, self._question, self._hits = evidence, place, question, list(hits)

    def search(self, queries: Sequence[str], k: int, within: Sequence[int] | None = None) -> list[list[Hit]]:
        return [self._search(query)[:k] for query in queries]

    def _search(self, query: str) -> list[Hit]:
        return self._hits if query == self._question else self._evidence(self._place, query)


@dataclass(frozen=True, slots=True)
class TrialRows:
    """What is asked: the questions, and the rows by name with the evidence of each (None: no evidence)."""

    questions: Sequence[str]
    evidence: Mapping[str, Evidence | None]


def run_trials(
    rows: TrialRows, pipeline: Pipeline, k: int, strategy: str, replies: Replies, jobs: int = 1, style: str = "short"
) -> Iterator[list[Trial]]:
    """The trials of each question, in the order of the questions and rows, whatever `jobs` says.

    Question by question through all rows, so that what an interrupted run has is comparable. A single failure is a
    trial; ReaderError where the first row, the system, failed on all of the first questions: the reader is not there.
    """

    def trials(place: int) -> list[Trial]:
        return [
            _trial(rows.questions[place], place, row, evidence, pipeline, k, (strategy, style), replies)
            for row, evidence in rows.evidence.items()
        ]

    places, failed = range(len(rows.questions)), 0
    pool = ThreadPoolExecutor(jobs) if jobs > 1 else None
    try:
        for place, subset in enumerate(pool.map(trials, places) if pool else map(trials, places)):
            failed += subset[0].error is not None
            if failed == min(len(places), GIVE_UP) == place + 1:
                raise ReaderError(f"every question failed, the first {failed} so: {subset[0].error}")
            yield subset
    finally:
        if pool:
            pool.shutdown(wait=False, cancel_futures=True)


def judge_trials(
    trials: Iterable[Sequence[Trial]],
    rows: TrialRows,
    judge: Callable[[Trial], Outcome],
    note: Callable[[Sequence[Outcome]], str],
    report: Running,
) -> dict[str, list[Outcome]]:
    """Row -> its outcomes in the order of the questions; `note` says the score so far of the first row, the system."""
    outcomes: dict[str, list[Outcome]] = {row: [] for row in rows.evidence}
    first = next(iter(outcomes.values()))
    for subset in trials:
        for trial in subset:
            outcomes[trial.row].append(judge(trial))
        report(len(first), len(rows.questions), note(first))
    return outcomes


def _trial(
    question: str,
    place: int,
    row: str,
    evidence: Evidence | None,
    pipeline: Pipeline,
    k: int,
    way: tuple[str, str],
    replies: Replies,
) -> Trial:
    strategy, style = way  # as of rag.answer.ask
    reader, began = RecordingReader(pipeline.reader, replies), time.monotonic()
    hits, pieces, answer, error = list[Hit](), list[str](), None, None
    retrieved = began
    try:
        if evidence is None:
            pieces, answer = from_memory(question, reader, pipeline)
        else:
            hits = evidence(place, question)
            retrieved = time.monotonic()
            finder = RowRetriever(evidence, place, question, hits)
            parts = replace(pipeline, retriever=finder, reader=reader)
            for step in ask(question, parts, k, strategy=strategy, style=style):
                if isinstance(step, Found):
                    pieces.clear()
                if isinstance(step, Token):
                    pieces.append(step.text)
                if isinstance(step, Answer):
                    answer = step
        reader.keep()
    except RagError as problem:
        error = str(problem)
    seconds = {
        "retrieve": round(retrieved - began, 4),
        "reader": round(reader.seconds, 3),
        "first_token": round(retrieved - began + (reader.first_seconds or 0.0), 3),
    }
    draft = first_line("".join(pieces)) if style == "short" else "".join(pieces)
    busy = retrieved - began + reader.spent
    return Trial(place, row, tuple(hits), draft, answer, error, seconds, busy, reader.calls)


def from_memory(question: str, reader: ChatModel, pipeline: Pipeline) -> tuple[list[str], Answer]:
    """What a reader says without passages: the pieces of its reply, and its answer."""
    usage = Usage()
    pieces = list(reader.stream(memory_messages(question), pipeline.settings.reader.answer_tokens, usage))
    draft = first_line("".join(pieces))
    tokens = {"prompt": usage.prompt, "generated": usage.generated}
    answer = Answer(
        question, draft, declines(draft), (), (), (), None, reader.name, pipeline.settings.hash, {}, tokens
    )  # fmt: skip
    return pieces, answer


def as_hits(passages: Sequence[Passage]) -> list[Hit]:
    """Passages in a given order as a ranking."""
    return [Hit(rank, 1 / rank, passage) for rank, passage in enumerate(passages, start=1)]


def seed_of(seed: int, question_id: str) -> int:
    """One for each question: one order for all of them would favour a rank."""
    return int.from_bytes(hashlib.sha256(f"{seed}:{question_id}".encode()).digest()[:8])


def draw(passages: Sequence[Passage], count: int, question_id: str, seed: int) -> list[Hit]:
    """`count` random passages, the same ones for a question and a seed."""
    return as_hits(random.Random(seed_of(seed, question_id)).sample(list(passages), min(count, len(passages))))


def latency_ms(trials: Sequence[Trial]) -> dict[str, int]:
    """p50 and p95 of retrieval and reader together, over the trials that did not fail."""
    values = [(t.seconds["retrieve"] + t.seconds["reader"]) * 1000 for t in trials if t.error is None]
    return {"p50": round(percentile(values, 0.5)), "p95": round(percentile(values, 0.95))}
