"""The pipeline of one question, on one screen: retrieve -> filter -> read (draft, note) -> support -> cite, or abstain.

`ask` yields what happens as it happens (the evidence, pieces of the draft, the notes), and last the Answer.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

from rag.errors import UsageError
from rag.index.manager import Indexes
from rag.llm.chat import ChatModel, Usage
from rag.llm.open import open_reader
from rag.protocols import DenseEncoder, Report, Retriever, silent
from rag.read.cite import EpisodeOf, PagesOf, ParagraphsOf, cite
from rag.read.entailment import open_judge
from rag.read.injection.mask import mask_injections
from rag.read.prompts import fitting
from rag.read.relevance_filter import filter_passages
from rag.read.rules.court_finding import DecidedOf, decide
from rag.read.strategies import STRATEGIES, Reading
from rag.read.support import statements, unmentioned
from rag.records import Answer, Hit, Note, Passage
from rag.search import open_retriever
from rag.settings import Settings

log = logging.getLogger("glossator")


@dataclass(frozen=True, slots=True)
class Evidence:
    """A ranking was found; a draft that was begun before it is void."""

    hits: tuple[Hit, ...]


@dataclass(frozen=True, slots=True)
class Token:
    text: str


@dataclass(frozen=True, slots=True)
class Pipeline:
    """The parts that a question passes through, wired by `build_pipeline`."""

    retriever: Retriever
    reader: ChatModel
    pages_of: PagesOf
    searched: str  # what an abstaining answer says was searched: "12 documents, 1,571 passages"
    settings: Settings
    picture: Callable[[str], bytes] | None = None  # a picture's PNG by its sha256; None: the reader sees none
    table_of: Callable[[Passage], Sequence[Passage]] = lambda passage: [passage]  # all of its table, if it is of one
    encoder: DenseEncoder | None = None  # for the filter; None: no filter
    judge: Callable[[Sequence[str], Sequence[str]], Sequence[float]] | None = None  # None: the reader judges itself
    episode_of: EpisodeOf = lambda document_id: None  # for the second at which a quote is said
    paragraphs_of: ParagraphsOf = lambda document_id, start, end: None  # for the paragraph in which a quote stands
    decided: DecidedOf = lambda question, hits: None  # what a court found, read off its judgment


def build_pipeline(indexes: Indexes, retriever: str | None = None, report: Report = silent) -> Pipeline:
    """Wire the parts as the settings say. Raises RagError for a part that cannot be opened."""
    settings = indexes.settings
    documents, passages = indexes.library.size()
    searched = f"{documents} document{'s'[: documents != 1]}, {passages:,} passages"
    reader = open_reader(settings.reader)
    return Pipeline(
        open_retriever(indexes, retriever or settings.retrieve.retriever, report),
        reader,
        indexes.library.pages_of,
        searched,
        settings,
        indexes.library.picture if reader.sees else None,
        indexes.library.table_of,
        indexes.encoder() if settings.experimental.filter_threshold else None,
        open_judge(settings.reader.judge) if settings.reader.judge else None,
        indexes.library.episode,
        indexes.library.paragraphs_of,
        partial(decide, indexes.library),
    )


def check_question(question: str, k: int, settings: Settings) -> str:
    """The question, stripped; UsageError for an empty or endless one, or k below 1."""
    # an argument may hold bytes that are no text (a terminal in another encoding)
    question = re.sub("[\ud800-\udfff]", "\N{REPLACEMENT CHARACTER}", question).strip()
    longest = settings.retrieve.max_query_characters
    if not question:
        raise UsageError("the question is empty. Write what you want to know")
    if len(question) > longest:
        raise UsageError(
            f"the question has {len(question):,} characters, at most {longest:,} are read. "
            "Shorten it, or ingest the long text as a document and ask about it"
        )
    if k < 1:
        raise UsageError(f"-k {k}: ask for at least 1 passage")
    return question


def ask(
    question: str, pipeline: Pipeline, k: int, within: Sequence[int] | None = None, strategy: str = "notes"
) -> Iterator[Evidence | Token | Note | Answer]:
    """Answer from the k best passages; `strategy` is "notes", "quotes", or "direct" (no note, no support).

    A model that cannot judge is always asked directly. Raises UsageError for an unknown strategy.
    """
    question = check_question(question, k, pipeline.settings)
    if strategy not in STRATEGIES:
        raise UsageError(f"--reader {strategy}: choose one of {', '.join(STRATEGIES)}")
    if not pipeline.reader.judges and strategy != "direct":
        log.warning(
            "reader %s reads passages apart and only answers: it does not support %s and is asked directly",
            pipeline.reader.name, strategy,
        )  # fmt: skip
        strategy = "direct"
    settings, experimental = pipeline.settings.reader, pipeline.settings.experimental
    seconds, usage, notes = _Stopwatch(), Usage(), list[Note]()

    whole: dict[str, Passage] = {}  # what is shown of passages of which the reader does not get all

    def fit(hits: Sequence[Hit]) -> list[Hit]:
        tokens = settings.context_tokens - settings.answer_tokens
        fitted = fitting(question, hits, tokens, pipeline.picture is not None, pipeline.reader.count)
        whole.update((hit.passage.passage_id, hit.passage) for hit in fitted)
        return mask_injections(fitted)

    def shown(hits: Sequence[Hit]) -> tuple[Hit, ...]:
        return tuple(replace(hit, passage=whole[hit.passage.passage_id]) for hit in hits)

    evidence = fit(pipeline.retriever.search([question], k, within)[0])
    if pipeline.encoder is not None and len(evidence) > 1:
        evidence = filter_passages(
            pipeline.reader, pipeline.encoder, question, evidence, experimental.filter_threshold, usage
        )
    seconds.lap("retrieve")
    yield Evidence(shown(evidence))

    reading = Reading(
        question, pipeline.reader, settings, lambda query: pipeline.retriever.search([query], k, within)[0], fit,
        lambda hits: pictures_of(hits, pipeline), pipeline.table_of, tuple(evidence), usage, pipeline.judge,
        pipeline.decided, experimental.rounds,
    )  # fmt: skip
    if strategy == "notes" and experimental.notes == "written":
        strategy = "loop"
    doing = "note"  # until the first piece of a draft
    for event in STRATEGIES[strategy](reading) if evidence else ():
        if isinstance(event, str):
            seconds.first("first_token")
            doing = "answer"
            yield Token(event)
        elif isinstance(event, Note):
            seconds.lap(doing)
            doing = "note"
            notes.append(event)
            yield event
        else:
            yield Evidence(shown(event))
    seconds.lap(doing)

    abstained = not reading.found
    text, citations = (
        (_abstain(pipeline, question, reading.evidence), ())
        if abstained
        else cite(reading.draft, reading.quotes, pipeline.pages_of, pipeline.episode_of, pipeline.paragraphs_of)
    )
    said = () if abstained else statements(
        pipeline.reader, text, reading.quotes, reading.support, settings.support_threshold, usage, pipeline.judge
    )  # fmt: skip
    yield Answer(
        question,
        text,
        abstained,
        tuple(notes),
        citations,
        shown(reading.evidence),
        reading.support,
        pipeline.reader.name,
        pipeline.settings.hash,
        seconds.laps,
        {"prompt": usage.prompt, "generated": usage.generated},
        said,
        reading.copied,
    )


def pictures_of(evidence: Sequence[Hit], pipeline: Pipeline) -> dict[int, bytes]:
    """Rank -> PNG of the tables and figures in the evidence, for a reader that sees."""
    if pipeline.picture is None:
        return {}
    # a long table is several passages with one picture
    first = {hit.passage.picture: hit.rank for hit in reversed(evidence) if hit.passage.picture}
    return {rank: pipeline.picture(sha256) for sha256, rank in first.items()}


def _abstain(pipeline: Pipeline, question: str, evidence: Sequence[Hit]) -> str:
    places = [f"{hit.passage.title}, {hit.passage.locator.label()}" for hit in evidence[:3]]
    nearest = f" The nearest passages: {'; '.join(places)}." if places else " No passage shares a word with it."
    names = " or ".join(f"\u201c{name}\u201d" for name in unmentioned(question, evidence)) if evidence else ""
    silent = f" No passage found speaks of {names}." if names else ""
    return f"Not found in these documents. Searched: {pipeline.searched}.{silent}{nearest}"


class _Stopwatch:
    """Seconds since the last lap, by name."""

    def __init__(self) -> None:
        self._started = self._lap = time.monotonic()
        self.laps: dict[str, float] = {"retrieve": 0.0, "note": 0.0, "answer": 0.0, "attribute": 0.0}

    def lap(self, name: str) -> None:
        now = time.monotonic()
        self.laps[name] = round(self.laps[name] + now - self._lap, 3)
        self._lap = now

    def first(self, name: str) -> None:
        self.laps.setdefault(name, round(time.monotonic() - self._started, 3))
