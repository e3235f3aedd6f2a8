"""Are our chapters where the makers put theirs, and are they called alike? Over episodes whose makers made chapters.

Boundaries are found from the transcript alone, by each method, and compared with the makers'. Titles are made for the
makers' own segments, so that each has one to be compared with, whatever the boundaries.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path

import numpy as np

from eval.core.cache import RecordingReader, Replies
from eval.core.files import Record, read_records
from eval.core.trials import seed_of
from eval.podcast.segmentation import boundary_f1, pk, rouge_l, units_of, window_diff
from eval.podcast.texttiling import texttiling_cuts
from ingest.podcast.chapters import by_reader, titles_by_reader, titles_by_words
from ingest.podcast.cohesion import SentenceVectors, cohesion_cuts
from ingest.podcast.episode import read_podcast
from ingest.podcast.podtile import Chapteriser, Room
from rag.document import Document, Utterance
from rag.errors import DataError, DocumentError
from rag.llm.chat import ChatModel
from rag.protocols import DenseEncoder, Report
from rag.settings import Settings

NONE, EQUAL, RANDOM, TILES = "none", "equal lengths, true count", "random, true count", "TextTiling on words"
COHESION, READER, COMBINED = "cohesion", "reader", "combined"
PAUSELESS, SPEAKERLESS, NEITHER = "cohesion, no pauses", "cohesion, no speakers", "cohesion, no pauses, no speakers"
KEYPHRASE, BARE, PODTILE = "keyphrases", "reader without context", "reader with PODTILE's context"
TUNED_ON = (
    "fossda/bart-decrem",
    "fossda/bruce-perens",
    "fossda/cat-allman",
)  # the numbers in ingest/podcast/cohesion.py

Running = Callable[..., None]  # progress: (what, done, total, note)


@dataclass(frozen=True, slots=True)
class ChapteredEpisode:
    """An episode with its maker's chapters: the seconds where all but the first begin, and all titles."""

    id: str
    document: Document
    reference: tuple[float, ...]
    titles: tuple[str, ...]

    @property
    def utterances(self) -> tuple[Utterance, ...]:
        assert self.document.episode
        return self.document.episode.utterances

    @property
    def span(self) -> tuple[float, float]:
        """The first second and the last."""
        return self.utterances[0].start_seconds, self.utterances[-1].end_seconds

    @property
    def hours(self) -> float:
        return (self.span[1] - self.span[0]) / 3600


@dataclass(frozen=True, slots=True)
class Cost:
    """What a method took: seconds, the reader's replies, and the tokens of their prompts and of themselves.

    A reply that was kept costs what it cost when it was made.
    """

    seconds: float
    reader_calls: int = 0
    prompt_tokens: int = 0
    generated_tokens: int = 0

    @classmethod
    def of(cls, reader: RecordingReader, before: float = 0.0) -> Cost:
        """The cost of all a reader's replies, after `before` seconds of other work."""
        return cls(before + reader.seconds, reader.calls, reader.prompt_tokens, reader.generated_tokens)


@dataclass(slots=True)
class ChapterOutcome:
    """What each method made of an episode: seconds of boundaries and titles, their scores, and what it cost.

    Costs are those of boundaries with titles for them; of rows of titles, those of titles for the maker's segments.
    """

    case: ChapteredEpisode
    cuts: dict[str, list[float]] = field(default_factory=dict)
    scores: dict[str, dict[str, float]] = field(default_factory=dict)
    titles: dict[str, list[str]] = field(default_factory=dict)  # for the maker's segments
    title_scores: dict[str, dict[str, float]] = field(default_factory=dict)
    own_titles: dict[str, list[str]] = field(default_factory=dict)  # for the method's own chapters
    costs: dict[str, Cost] = field(default_factory=dict)


def read_cases(file: Path) -> list[ChapteredEpisode]:
    """The episodes of a file that have chapters of their makers. Paths in it are relative to it.

    Raises UsageError or DataError for a file that does not hold what it should, or that names no such episode.
    """
    cases = [case for record in read_records(file) if record.fields.get("chapters") and (case := _case(record))]
    if not cases:
        raise DataError(f"{file}: no episode has chapters of its maker. Name a file with at least one")
    return cases


def sample(cases: Sequence[ChapteredEpisode], limit: int | None, seed: int) -> list[ChapteredEpisode]:
    """`limit` of the cases in their order; the same for a seed, and a smaller sample is part of a larger one."""
    taken = {case.id for case in sorted(cases, key=lambda case: seed_of(seed, case.id))[:limit]}
    return [case for case in cases if case.id in taken]


def document_of(record: Record) -> Document:
    """The transcript that a record names, read. Raises DataError for one that cannot be."""
    path = record.file.parent / record.text("transcript")
    try:
        return read_podcast(path, record.text("id"), path.name.removesuffix(path.suffix))
    except DocumentError as problem:
        raise record.error(f"{path} {problem}") from problem


def _case(record: Record) -> ChapteredEpisode | None:
    document = document_of(record)
    chapters = document.episode.chapters if document.episode else ()
    if len(chapters) < 2:
        return None  # nothing to find
    cuts = tuple(chapter.start_seconds for chapter in chapters[1:])
    return ChapteredEpisode(record.text("id"), document, cuts, tuple(chapter.title for chapter in chapters))


# -- boundaries and titles ---------------------------------------------------------------------------------------------


def evaluate(
    cases: Sequence[ChapteredEpisode],
    encoder: DenseEncoder,
    settings: Settings,
    reader: ChatModel | None = None,
    replies: Replies | None = None,
    seed: int = 0,
    report: Running = lambda what, done, total, note="": None,
) -> list[ChapterOutcome]:
    """All methods on each episode; those that need a reader where one is given, with `replies` to keep what it says.

    A reply is kept as soon as it is there, so a run that was stopped goes on where it was. Raises ReaderError.
    """
    outcomes = []
    for case in cases:
        outcome = ChapterOutcome(case)
        _by_controls(outcome, seed)
        _by_cohesion(outcome, encoder, report)
        if reader is not None:
            assert replies is not None
            _by_reader(outcome, reader, replies, settings, report)
            _combined(outcome, reader, replies, settings, report)
            _titled_by_reader(outcome, reader, replies, settings, report)
        _score(outcome, encoder)
        outcomes.append(outcome)
        report("episodes", len(outcomes), len(cases), _note(outcomes))
    return outcomes


def _by_controls(outcome: ChapterOutcome, seed: int) -> None:
    case = outcome.case
    first, last = case.span
    starts = [u.start_seconds for u in case.utterances]
    count = len(case.reference)
    length = (last - first) / (count + 1)
    chance = random.Random(seed_of(seed, case.id))
    texts = [case.document.text[u.start : u.end] for u in case.utterances]
    outcome.cuts[NONE] = []
    outcome.cuts[EQUAL] = [first + length * number for number in range(1, count + 1)]
    outcome.cuts[RANDOM] = sorted(chance.sample(starts[1:], count))
    outcome.cuts[TILES] = [starts[number] for number in texttiling_cuts(texts)]


def _by_cohesion(outcome: ChapterOutcome, encoder: DenseEncoder, report: Running) -> None:
    case = outcome.case
    began = time.monotonic()
    vectors = SentenceVectors(case.document, encoder, report)
    cuts = cohesion_cuts(vectors)
    outcome.own_titles[COHESION] = list(titles_by_words(vectors, cuts))
    outcome.costs[COHESION] = Cost(time.monotonic() - began)
    outcome.cuts[COHESION] = [case.utterances[number].start_seconds for number in cuts[1:]]
    outcome.titles[KEYPHRASE] = list(titles_by_words(vectors, _makers(case)))
    for name, pauses, speakers in ((PAUSELESS, False, True), (SPEAKERLESS, True, False), (NEITHER, False, False)):
        vectors.utterances = _less(case.utterances, pauses, speakers)
        outcome.cuts[name] = [case.utterances[number].start_seconds for number in cohesion_cuts(vectors)[1:]]


def _less(utterances: Sequence[Utterance], pauses: bool, speakers: bool) -> list[Utterance]:
    """The sentences without their pauses, each ending where the next begins, or without their speakers, or both."""
    ends = [u.end_seconds if pauses else v.start_seconds for u, v in pairwise([*utterances, utterances[-1]])]
    ends[-1] = utterances[-1].end_seconds
    names = [u.speaker if speakers else "" for u in utterances]
    return [replace(u, end_seconds=end, speaker=name) for u, end, name in zip(utterances, ends, names, strict=True)]


def _by_reader(
    outcome: ChapterOutcome, reader: ChatModel, replies: Replies, settings: Settings, report: Running
) -> None:
    case, asked = outcome.case, RecordingReader(reader, replies)
    starts = [u.start_seconds for u in case.utterances]
    chapteriser = Chapteriser(case.document, asked, Room.of(settings.reader.context_tokens))
    found = list(by_reader(case.document, chapteriser, _keeping(asked, report)))
    asked.keep()
    outcome.cuts[READER] = [starts[number] for number, _ in found[1:]]
    outcome.own_titles[READER] = [title for _, title in found]
    outcome.costs[READER] = Cost.of(asked)


def _combined(
    outcome: ChapterOutcome, reader: ChatModel, replies: Replies, settings: Settings, report: Running
) -> None:
    """The boundaries of cohesion, which are there, with the reader's titles."""
    asked = RecordingReader(reader, replies)
    outcome.cuts[COMBINED] = outcome.cuts[COHESION]
    outcome.own_titles[COMBINED] = _titles(outcome.case, _cuts_of(outcome), asked, settings, report, context=False)
    outcome.costs[COMBINED] = Cost.of(asked, outcome.costs[COHESION].seconds)


def _titled_by_reader(
    outcome: ChapterOutcome, reader: ChatModel, replies: Replies, settings: Settings, report: Running
) -> None:
    for row, context in ((BARE, False), (PODTILE, True)):
        asked = RecordingReader(reader, replies)
        outcome.titles[row] = _titles(outcome.case, _makers(outcome.case), asked, settings, report, context=context)
        outcome.costs[row] = Cost.of(asked)


def _titles(
    case: ChapteredEpisode,
    cuts: Sequence[int],
    reader: RecordingReader,
    settings: Settings,
    report: Running,
    *,
    context: bool,
) -> list[str]:
    keeping = _keeping(reader, report)
    titles = list(
        titles_by_reader(
            case.document, cuts, reader, Room.of(settings.reader.context_tokens), report=keeping, context=context
        )
    )
    reader.keep()
    return titles


def _keeping(reader: RecordingReader, report: Running) -> Report:
    """Report progress, and keep the reader's replies so far."""

    def keeping(what: str, done: int, total: int) -> None:
        reader.keep()
        report(what, done, total)

    return keeping


def _cuts_of(outcome: ChapterOutcome) -> list[int]:
    """The sentences with which the chapters by cohesion begin."""
    numbers = {u.start_seconds: number for number, u in reversed(list(enumerate(outcome.case.utterances)))}
    return [0, *(numbers[second] for second in outcome.cuts[COHESION])]


def _makers(case: ChapteredEpisode) -> list[int]:
    """The sentences with which the maker's chapters begin."""
    assert case.document.episode
    numbers = {u.start: number for number, u in enumerate(case.utterances)}
    return [numbers[chapter.start] for chapter in case.document.episode.chapters]


# -- measures ----------------------------------------------------------------------------------------------------------


def _score(outcome: ChapterOutcome, encoder: DenseEncoder) -> None:
    case = outcome.case
    for method, cuts in outcome.cuts.items():
        outcome.scores[method] = boundary_scores(case.reference, cuts, *case.span)
    makers = encoder.encode(case.titles)
    for method, titles in outcome.titles.items():
        alike = np.einsum("ij,ij->i", makers, encoder.encode(titles))
        pairs = list(zip(case.titles, titles, strict=True))
        outcome.title_scores[method] = {
            "ROUGE-L": sum(rouge_l(theirs, ours) for theirs, ours in pairs) / len(pairs),
            "cosine": float(alike.mean()),
        }


def boundary_scores(reference: Sequence[float], cuts: Sequence[float], first: float, last: float) -> dict[str, float]:
    """Pk and WindowDiff over units of 10 s, F1 within 30 s, and boundaries found for each of the maker's."""
    units, ours = units_of(reference, first, last)
    _, theirs = units_of(cuts, first, last)
    return {
        "Pk": pk(units, ours, theirs),
        "WindowDiff": window_diff(units, ours, theirs),
        "F1@30s": boundary_f1(reference, cuts),
        "boundaries": len(cuts) / len(reference),
    }


def _note(outcomes: Sequence[ChapterOutcome]) -> str:
    values: list[Mapping[str, float]] = [outcome.scores[COHESION] for outcome in outcomes]
    return f"Pk {sum(scores['Pk'] for scores in values) / len(values):.2f}"
