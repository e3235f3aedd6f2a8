"""The road of one question, on one screen: retrieve -> filter -> read (draft and note) -> support -> cite, or abstain.

`ask` yields what happens as it happens (the evidence, pieces of the draft, the notes), and last the Answer.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

from rag.attribute.attribute import Level, attribute
from rag.attribute.game import LOG_P, ReaderGame
from rag.attribute.players import Player
from rag.attribute.shapley import Value
from rag.attribute.tree_reader import FusionGame, TreeReader, in_torch, playing
from rag.errors import ModelError, UsageError
from rag.index.manager import Indexes
from rag.llm.chat import ChatReader, Usage, open_reader
from rag.llm.fusion_in_decoder import FusionReader
from rag.place import place_in
from rag.protocols import DenseEncoder, Report, Retriever, silent
from rag.read.cite import MARKER, EpisodeOf, PagesOf, ParagraphsOf, cite
from rag.read.injection.mask import withhold
from rag.read.prompts import answer_messages, fitting
from rag.read.relevance_filter import sift
from rag.read.rules.court_finding import DecidedOf, decide
from rag.read.strategies import FORMS, Reading, redraft
from rag.read.support import statements, unmentioned
from rag.records import Answer, Hit, Note, Passage
from rag.settings import Settings
from rag.train.reward import open_judge

log = logging.getLogger("glossator")


@dataclass(frozen=True, slots=True)
class Evidence:
    """A ranking was found; a draft that was begun before it is void."""

    hits: tuple[Hit, ...]


@dataclass(frozen=True, slots=True)
class Token:
    text: str


@dataclass(frozen=True, slots=True)
class Road:
    """The parts that a question passes through, wired by the caller."""

    retriever: Retriever
    reader: ChatReader
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


def open_road(indexes: Indexes, retriever: str | None = None, report: Report = silent) -> Road:
    """Wire the parts as the settings say. Raises RagError for a part that is not to be had."""
    settings = indexes.settings
    entries = [entry for entry in indexes.library.documents() if entry.status == "ready"]
    count = len(entries)
    searched = f"{count} document{'s'[: count != 1]}, {sum(entry.passages for entry in entries):,} passages"
    reader = open_reader(settings.reader)
    return Road(
        indexes.retriever(retriever or settings.retrieve.retriever, report),
        reader,
        indexes.library.pages_of,
        searched,
        settings,
        indexes.library.picture if reader.sees else None,
        indexes.library.table_of,
        indexes.encoder() if settings.reader.filter_threshold else None,
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
    question: str, road: Road, k: int, within: Sequence[int] | None = None, style: str = "notes"
) -> Iterator[Evidence | Token | Note | Answer]:
    """Answer from the k best passages; `style` is "notes", "quotes", or "direct" (no note, no support).

    A reader of passages apart is always asked directly.
    """
    question = check_question(question, k, road.settings)
    if isinstance(road.reader, FusionReader) and style != "direct":
        log.warning(
            "reader %s reads passages apart and only answers: %s cannot be had of it, it is asked directly",
            road.reader.name, style,
        )  # fmt: skip
        style = "direct"
    settings = road.settings.reader
    seconds, usage, notes = _Stopwatch(), Usage(), list[Note]()

    whole: dict[str, Passage] = {}  # what is shown of passages of which the reader does not get all

    def fit(hits: Sequence[Hit]) -> list[Hit]:
        room = settings.context_tokens - settings.answer_tokens
        fitted = fitting(question, hits, room, road.picture is not None, road.reader.count)
        whole.update((hit.passage.passage_id, hit.passage) for hit in fitted)
        return withhold(question, fitted)

    def shown(hits: Sequence[Hit]) -> tuple[Hit, ...]:
        return tuple(replace(hit, passage=whole[hit.passage.passage_id]) for hit in hits)

    evidence = fit(road.retriever.search([question], k, within)[0])
    if road.encoder is not None and len(evidence) > 1:
        evidence = sift(road.reader, road.encoder, question, evidence, settings.filter_threshold, usage)
    seconds.lap("retrieve")
    yield Evidence(shown(evidence))

    reading = Reading(
        question, road.reader, settings, lambda query: road.retriever.search([query], k, within)[0], fit,
        lambda hits: _pictures(hits, road), road.table_of, tuple(evidence), usage, road.judge, road.decided,
    )  # fmt: skip
    form = "loop" if style == "notes" and settings.form == "written" else style
    doing = "note"  # until the first piece of a draft
    for event in FORMS[form](reading) if evidence else ():
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
        (_abstain(road, question, reading.evidence), ())
        if abstained
        else cite(reading.draft, reading.quotes, road.pages_of, road.episode_of, road.paragraphs_of)
    )
    said = () if abstained else statements(
        road.reader, text, reading.quotes, reading.support, settings.support_threshold, usage, road.judge
    )  # fmt: skip
    yield Answer(
        question,
        text,
        abstained,
        tuple(notes),
        citations,
        shown(reading.evidence),
        reading.support,
        road.reader.name,
        road.settings.hash,
        seconds.laps,
        {"prompt": usage.prompt, "generated": usage.generated},
        said,
        reading.copied,
    )


def explain(
    answer: Answer,
    road: Road,
    style: str,
    level: Level,
    permutations: int | None = None,
    report: Report = silent,
    stop: Callable[[], bool] = lambda: False,
    kept: dict[str, Value] | None = None,
) -> Answer:
    """The answer with its attribution: which documents, clauses and words made the reader say it.

    The reader reads parts of the evidence again, in the form that gave the answer; what the reader did not get is no
    part of it. Where tokens are masked it is asked directly, since whatever is read off in code has none. A reader of
    passages apart encodes them once, and what is absent is masked there, which is the same as deleted. An abstention is
    not attributed. `kept` is what earlier calls for this very answer have read, and grows. Raises UsageError for an
    `attribute.absence` that cannot be had.
    """
    if answer.abstained:
        return answer
    began = time.monotonic()
    settings, usage = road.settings, Usage()
    hits = withhold(answer.question, [hit for hit in answer.evidence if not hit.ignored])

    def said(hits: Sequence[Hit], by: ChatReader, form: str) -> Value:
        reading = Reading(
            answer.question, by, settings.reader, lambda query: [], list, lambda some: _pictures(some, road),
            lambda passage: [passage], tuple(hits), usage, decided=road.decided,
        )  # fmt: skip
        return {redraft(reading, form): 1.0}

    def masked(hits: Sequence[Hit], absent: Sequence[Player]) -> Value:
        assert isinstance(reader, TreeReader)
        by = reader.masking(hits, absent)
        return likely(by, hits) if by_likelihood else said(hits, by, "direct")

    def likely(by: ChatReader, hits: Sequence[Hit]) -> Value:
        return {LOG_P: by.log_probability(answer_messages(answer.question, hits), shown, usage)}

    shown = MARKER.sub("", answer.answer).strip()
    by_likelihood = settings.attribute.value == "likelihood"
    absence = settings.attribute.absence
    if isinstance(road.reader, FusionReader):
        style = "direct"
    if isinstance(road.reader, FusionReader) and level == "document" and absence in ("deleted", "masked"):
        reader: ChatReader = road.reader
        game: ReaderGame = FusionGame(
            road.reader, answer.question, hits, settings.reader.answer_tokens, shown if by_likelihood else None,
            settings.attribute.calls, stop, report, kept,
        )  # fmt: skip
    else:
        reader, whole = _player(road, shown, lambda by: said(hits, by, style), report)
        game = ReaderGame(
            hits,
            lambda hits: likely(reader, hits) if by_likelihood else said(hits, reader, style),
            None if by_likelihood else whole,
            absence,
            _unrelated(answer, road) if absence == "swapped" else None,
            settings.attribute.calls,
            stop,
            report,
            masked,
            kept,
        )
    permutations = permutations or settings.attribute.permutations or None
    attribution = replace(attribute(game, shown, level, permutations), absence=absence)
    if by_likelihood:
        baseline = None if game.stopped else next(iter(said((), reader, style)))
        attribution = replace(attribution, value="likelihood", baseline_answer=baseline)
    seconds = answer.seconds | {"attribute": round(time.monotonic() - began, 3)}
    return replace(answer, attribution=attribution, seconds=seconds)


def _player(
    road: Road, shown: str, whole: Callable[[ChatReader], Value], report: Report
) -> tuple[ChatReader, Value | None]:
    """The reader that reads parts of the evidence, and what it says of all of it if that is known.

    The reader's own weights in torch, which read faster, if they give the answer shown, too; else the reader itself.
    """
    absence = road.settings.attribute.absence
    if road.settings.attribute.runtime == "torch" and isinstance(road.reader, ChatReader):
        try:
            fast = in_torch(road.reader, report)
        except ModelError as error:
            if absence == "masked":
                raise
            log.warning("attribution takes several times as long: %s", error)
            fast = None
        if fast is not None and (absence == "masked" or shown in (value := whole(fast))):
            return fast, None if absence == "masked" else value
    reader = playing(road.reader, absence)
    return reader, None if isinstance(reader, TreeReader) else {shown: 1.0}


def _unrelated(answer: Answer, road: Road) -> Passage:
    """What to swap in: the last passage found for the question, of another document than the evidence if there is one.

    UsageError where nothing else is found.
    """
    found = road.retriever.search([answer.question], road.settings.retrieve.fusion_depth)[0]
    shown = {hit.passage.passage_id for hit in answer.evidence}
    documents = {hit.passage.document_id for hit in answer.evidence}
    others = [hit.passage for hit in found if hit.passage.passage_id not in shown and hit.passage.text.strip()]
    if not others:
        raise UsageError(
            "attribute.absence=swapped: nothing but the evidence is found for the question. Use deleted or filler"
        )
    return next((passage for passage in reversed(others) if passage.document_id not in documents), others[-1])


def _pictures(evidence: Sequence[Hit], road: Road) -> dict[int, bytes]:
    """Rank -> PNG of the tables and figures in the evidence, for a reader that sees."""
    if road.picture is None:
        return {}
    # a long table is several passages with one picture
    first = {hit.passage.picture: hit.rank for hit in reversed(evidence) if hit.passage.picture}
    return {rank: road.picture(sha256) for sha256, rank in first.items()}


def _abstain(road: Road, question: str, evidence: Sequence[Hit]) -> str:
    places = [
        f"{hit.passage.title}, {place_in(hit.passage) or f'page {hit.passage.first_page}'}" for hit in evidence[:3]
    ]
    nearest = f" The nearest passages: {'; '.join(places)}." if places else " No passage shares a word with it."
    names = " or ".join(f"\u201c{name}\u201d" for name in unmentioned(question, evidence)) if evidence else ""
    silent = f" No passage found speaks of {names}." if names else ""
    return f"Not found in these documents. Searched: {road.searched}.{silent}{nearest}"


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
