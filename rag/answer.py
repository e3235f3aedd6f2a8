"""The pipeline of one question, on one screen: retrieve -> filter -> read (draft, note) -> support -> cite, or abstain.

`ask` yields what happens as it happens (the evidence, pieces of the draft, the notes), and last the Answer.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain

from rag.errors import UsageError
from rag.llm.chat import Usage
from rag.pipeline import EXTRACT, Pipeline, check_question
from rag.read.calibration import probability_right
from rag.read.cite import MARKER, citation_of, cite
from rag.read.compose.cite_sentences import cite_sentences
from rag.read.compose.compose import compose, excerpts_of
from rag.read.compose.decisions import decision_hits
from rag.read.compose.scope import Scope
from rag.read.compose.sides import with_sides
from rag.read.compose.style import AUTO, STYLES, Style, style_for
from rag.read.corrected.near_corrections import answer_by, clean
from rag.read.injection.mask import mask_injections
from rag.read.instant_answer import Mark, agrees, mark_answer
from rag.read.prompts import fitting
from rag.read.quotes import Quote
from rag.read.relevance_filter import filter_passages
from rag.read.strategies import STRATEGIES, Event, PartProgress, Reading
from rag.read.summary.summarizer import Summarizer
from rag.read.summary.whole_documents import summarised, whole_documents
from rag.read.support import statements, unmentioned
from rag.records import Answer, Citation, Correction, Hit, MarkedAnswer, Note, Passage, Statement
from rag.sentences import sentence_spans

MARKING: tuple[Style, ...] = ("short", "explain")  # styles of questions to which a span can be an answer
WIDER = 2.4  # times as many passages as a phrase is read from: excerpts are chosen among them, not all are read
log = logging.getLogger("glossator")


@dataclass(frozen=True, slots=True)
class Evidence:
    """A ranking was found; a draft that was begun before it is void."""

    hits: tuple[Hit, ...]


@dataclass(frozen=True, slots=True)
class Token:
    text: str


Step = Evidence | MarkedAnswer | Token | Note | PartProgress | Answer


def ask(
    question: str,
    pipeline: Pipeline,
    k: int,
    within: Sequence[int] | None = None,
    strategy: str = "notes",
    style: str = "short",
    scope: Scope | None = None,
    searched: str = "",
    stop: Callable[[], bool] = lambda: False,
) -> Iterator[Step]:
    """Answer from the k best passages, of those `within`, and in the documents of a `scope`.

    `searched` is searched for in place of the question, of a follow-up that makes sense only after the turn before.

    `style` is one of STYLES, or "auto": the one that the question asks for. "short" is a phrase, by the `strategy`
    "notes", "quotes", "direct" (no note, no support), or "extract" (what the reading model marks, alone); any other is
    sentences, each with the words that support it. A model that cannot judge is asked directly, for a phrase. `stop`
    ends a summary with what has been read.
    Raises UsageError for an unknown strategy or style.
    """
    question = check_question(question, k, pipeline.settings)
    if strategy not in STRATEGIES:
        raise UsageError(f"--reader {strategy}: choose one of {', '.join(STRATEGIES)}")
    if style not in (AUTO, *STYLES):
        raise UsageError(f"--style {style}: choose one of {', '.join((AUTO, *STYLES))}")
    wanted = style_for(question, style) if strategy != EXTRACT else "short"
    if strategy == EXTRACT:
        if style not in (AUTO, "short"):
            raise UsageError(f"--reader extract marks a phrase. Leave out --style {style}, or --reader extract")
        if pipeline.span_model is None:
            raise UsageError("--reader extract needs the reading model. Set extract.model=glossator-reader")
    elif not pipeline.reader.judges and (strategy != "direct" or wanted != "short"):
        log.warning(
            "reader %s reads passages apart and only answers: it does not support %s and is asked directly, for a "
            "phrase",
            pipeline.reader.name, strategy if wanted == "short" else wanted,
        )  # fmt: skip
        strategy, wanted = "direct", "short"
    asked = _Asked(question, pipeline, k, within, scope, searched, stop)
    in_sentences = wanted != "short" and not asked.repeats
    yield from asked.in_sentences(wanted) if in_sentences else asked.in_a_phrase(strategy)


class _Asked:
    """One question on its way through the pipeline."""

    def __init__(
        self, question: str, pipeline: Pipeline, k: int, within: Sequence[int] | None, scope: Scope | None,
        searched: str, stop: Callable[[], bool],
    ):  # fmt: skip
        if scope is not None:
            within = sorted(set(scope.numbers) & set(scope.numbers if within is None else within))
            pipeline = replace(pipeline, searched=f"{'; '.join(scope.titles)} ({len(within):,} passages)")
        self._question, self._pipeline, self._k, self._within = question, pipeline, k, within
        self._scope, self._style, self._searched = scope, "short", searched or question
        self._stop = stop
        self._near = tuple(pipeline.corrections(question)) if pipeline.corrections else ()
        self._seconds, self._usage, self._notes = _Stopwatch(), Usage(), list[Note]()
        self._whole: dict[str, Passage] = {}  # what is shown of passages of which the reader does not get all

    def in_a_phrase(self, strategy: str) -> Iterator[Step]:
        """By a strategy of STRATEGIES."""
        pipeline, experimental = self._pipeline, self._pipeline.settings.experimental
        evidence = self._fit(self._search(self._searched))
        if experimental.filter_threshold and pipeline.encoder is not None and len(evidence) > 1:
            evidence = filter_passages(
                pipeline.reader, pipeline.encoder(), self._question, evidence, experimental.filter_threshold,
                self._usage,
            )  # fmt: skip
        yield self._found(evidence)
        reading = self._reading(evidence)
        yield from self._mark(reading)
        if self.repeats and evidence:
            yield from self._corrected(reading, self._near[0].correction)
            return
        reading.corrections = tuple(filter(None, (clean(near.correction) for near in self._near)))
        if strategy == EXTRACT:
            threshold = {"support_threshold": pipeline.settings.extract.threshold}
            reading.settings = reading.settings.model_copy(update=threshold)
        if strategy == "notes" and experimental.notes == "written":
            strategy = "loop"
        yield from self._read(STRATEGIES[strategy](reading) if evidence else ())
        if strategy != EXTRACT and pipeline.judge is None:
            reading.probability = _probability(reading)
        abstained = not reading.found
        text, citations = (
            (_abstain(pipeline, self._question, reading.evidence), ())
            if abstained
            else cite(reading.draft, reading.quotes, pipeline.locate)
        )
        # an answer shown for its probability is supported, however sure the reader was
        supported_from = min(reading.settings.support_threshold, reading.support or 1.0)
        told = () if abstained else statements(
            pipeline.reader, text, reading.quotes, reading.support, supported_from, self._usage, pipeline.judge
        )  # fmt: skip
        yield self._answer(reading, text, abstained, citations, told, reading.support)

    @property
    def repeats(self) -> bool:
        """Whether this very question was answered, and the answer corrected."""
        return bool(self._near) and self._near[0].same

    def _corrected(self, reading: Reading, correction: Correction) -> Iterator[Step]:
        """The same question again, whose answer was corrected."""
        parts = self._pipeline
        found = parts.library.passages([correction.passage_id]) if parts.library and correction.passage_id else {}
        cited = next(iter(self._masked([Hit(1, 0.0, passage) for passage in found.values()])), None)
        yield from self._read(answer_by(correction, reading, cited))
        text, citations = cite(reading.draft, reading.quotes, parts.locate)
        yield self._answer(reading, text, False, citations, (), None)

    def in_sentences(self, style: Style) -> Iterator[Step]:
        """Composed: what a reader writes from excerpts, and these; or the summary of whole documents."""
        pipeline, question = self._pipeline, self._question
        if pipeline.encoder is None:
            raise UsageError(f"--style {style} needs an encoder. Ask with --style short")
        self._style, encoder = style, pipeline.encoder()
        summary = self._summary() if style == "summary" else None
        if summary is not None:
            yield from summary
            return
        found = decision_hits(
            self._searched, 2 * self._k, self._within if self._scope else None, pipeline.library,
            lambda query, k, within: pipeline.retriever.search([query], k, within)[0],
        )  # fmt: skip
        if not found:
            found = self._search(self._searched, int(WIDER * self._k))
            found = with_sides(question, found, self._k, self._search) if style == "compare" else found
        evidence = self._fit(found)
        chosen = excerpts_of(question, evidence, encoder)
        yield self._found(evidence)
        reading = self._reading(evidence)
        if style in MARKING:
            yield from self._mark(reading)
        composed = compose(reading, style, encoder, pipeline.markers, *chosen) if evidence else iter(())
        yield from self._in_cited_sentences(reading, composed)

    def _in_cited_sentences(self, reading: Reading, events: Iterable[Event]) -> Iterator[Step]:
        """What happens while a reading is done, and the answer that its sentences make."""
        pipeline = self._pipeline
        yield from self._read(events)
        text, citations, told = cite_sentences(reading.answer_sentences, self._cited)
        abstained = not told
        yield self._answer(
            reading, _abstain(pipeline, self._question, reading.evidence) if abstained else text, abstained, citations,
            told, reading.support,
        )  # fmt: skip

    def _summary(self) -> Iterator[Step] | None:
        """The summary of the documents that the question is about; None where it is about none as a whole."""
        pipeline, question, library = self._pipeline, self._question, self._pipeline.library
        if library is None or pipeline.vectors_of is None or pipeline.encoder is None:
            return None
        chosen = summarised(question, library, self._scope, self._within, lambda: self._search(self._searched))
        documents = whole_documents(question, chosen, library, pipeline.vectors_of, self._within)
        first = next(documents, None)
        if first is None:
            return None
        self._seconds.lap("retrieve")
        reading = self._reading([])
        summarizer = Summarizer(
            reading, len(chosen), pipeline.encoder(), library, self._masked, pipeline.settings.hash, self._stop
        )
        return self._in_cited_sentences(reading, summarizer.summarise(chain([first], documents)))

    def _search(self, query: str, k: int | None = None) -> list[Hit]:
        return self._pipeline.retriever.search([query], k or self._k, self._within)[0]

    def _fit(self, hits: Sequence[Hit]) -> list[Hit]:
        """The hits that the reader can hold, without what speaks to it."""
        settings, pipeline = self._pipeline.settings.reader, self._pipeline
        tokens = settings.context_tokens - settings.answer_tokens
        return self._masked(fitting(self._question, hits, tokens, pipeline.picture is not None, pipeline.reader.count))

    def _masked(self, hits: Sequence[Hit]) -> list[Hit]:
        """The hits without what speaks to the reader; what is shown of them is their whole text."""
        self._whole.update((hit.passage.passage_id, hit.passage) for hit in hits)
        return mask_injections(hits)

    def _shown(self, hits: Sequence[Hit]) -> tuple[Hit, ...]:
        return tuple(replace(hit, passage=self._whole[hit.passage.passage_id]) for hit in hits)

    def _found(self, evidence: Sequence[Hit]) -> Evidence:
        self._seconds.lap("retrieve")
        return Evidence(self._shown(evidence))

    def _reading(self, evidence: Sequence[Hit]) -> Reading:
        pipeline = self._pipeline
        return Reading(
            self._question, pipeline.reader, pipeline.settings.reader, self._search, self._fit,
            lambda hits: pictures_of(hits, pipeline), tuple(evidence), self._usage, pipeline.judge,
            pipeline.rules, pipeline.settings.experimental.rounds,
        )  # fmt: skip

    def _mark(self, reading: Reading) -> Iterator[Step]:
        """What the reading model marks in the evidence, before the reader begins."""
        if self._pipeline.span_model is None or not reading.evidence:
            return
        reading.mark = mark_answer(self._question, reading.read, self._pipeline.span_model())
        self._seconds.lap("mark")
        yield self._marked(reading.mark)

    def _marked(self, mark: Mark, answer: str = "") -> MarkedAnswer:
        shown = mark.shown(lambda quote: self._cited(quote, quote.hit.rank))
        return replace(shown, agrees=agrees(mark, answer))

    def _cited(self, quote: Quote, number: int) -> Citation:
        parts = self._pipeline
        return citation_of(quote, number, parts.locate)

    def _read(self, events: Iterable[Event]) -> Iterator[Step]:
        """What a strategy does, with the time that it takes."""
        doing = "note"  # until the first piece of a draft
        for event in events:
            if isinstance(event, str):
                self._seconds.first("first_token")
                doing = "answer"
                yield Token(event)
            elif isinstance(event, Note):
                self._seconds.lap(doing)
                doing = "note"
                self._notes.append(event)
                yield event
            elif isinstance(event, PartProgress):
                yield event
            else:
                yield Evidence(self._shown(event))
        self._seconds.lap(doing)

    def _answer(
        self,
        reading: Reading,
        text: str,
        abstained: bool,
        citations: tuple[Citation, ...],
        told: tuple[Statement, ...],
        support: float | None,
    ) -> Answer:
        return Answer(
            self._question,
            text,
            abstained,
            tuple(self._notes),
            citations,
            self._shown(reading.evidence),
            support,
            self._pipeline.reader.name,
            self._pipeline.settings.hash,
            self._seconds.laps,
            {"prompt": self._usage.prompt, "generated": self._usage.generated},
            told,
            reading.copied,
            style=self._style,
            scope=self._scope.titles if self._scope else (),
            marked=self._marked(reading.mark, "" if abstained else MARKER.sub("", text)) if reading.mark else None,
            probability=reading.probability,
            corrections=tuple(near.correction for near in self._near if reading.corrections or near.same),
        )


def pictures_of(evidence: Sequence[Hit], pipeline: Pipeline) -> dict[int, bytes]:
    """Rank -> PNG of the tables and figures in the evidence, for a reader that sees."""
    if pipeline.picture is None:
        return {}
    # a long table is several passages with one picture
    first = {hit.passage.picture: hit.rank for hit in reversed(evidence) if hit.passage.picture}
    return {rank: pipeline.picture(sha256) for sha256, rank in first.items()}


def _probability(reading: Reading) -> float | None:
    """That the answer is right; None where that is not known: of what a rule proposed, and of several sentences."""
    if reading.mark is None or reading.support is None or reading.proposed or len(sentence_spans(reading.draft)) > 1:
        return None
    return probability_right(reading.support, reading.mark, reading.draft)


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
        self.laps[name] = round(self.laps.get(name, 0.0) + now - self._lap, 3)
        self._lap = now

    def first(self, name: str) -> None:
        self.laps.setdefault(name, round(time.monotonic() - self._started, 3))
