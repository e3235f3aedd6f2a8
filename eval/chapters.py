"""Are our chapters where the makers put theirs, and are they called alike? Over episodes whose makers made chapters.

Boundaries are found from the transcript alone, by each method, and compared with the makers'. Titles are made for the
makers' own segments, so that each has one to be compared with, whatever the boundaries.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from eval.files import Record, read_records
from eval.replies import RecordingReader, Replies
from eval.segmentation import boundary_f1, pk, rouge_l, units_of, window_diff
from eval.texttiling import texttiling_cuts
from eval.trials import seed_of
from ingest.chapters import by_reader, titles_for
from ingest.cohesion import cohesion_cuts
from ingest.podcast import read_podcast
from ingest.podtile import Chapteriser, Room
from rag.errors import DataError, DocumentError
from rag.interfaces import DenseEncoder
from rag.read.generate import ChatReader
from rag.records import Document, Utterance
from rag.settings import Settings

NONE, EQUAL, RANDOM, TILES = "none", "equal lengths, true count", "random, true count", "TextTiling on words"
COHESION, READER, COMBINED = "cohesion", "reader", "combined"
KEYPHRASE, BARE, PODTILE = "keyphrases", "reader without context", "reader with PODTILE's context"
TUNED_ON = ("fossda/bart-decrem", "fossda/bruce-perens", "fossda/cat-allman")  # the numbers in ingest/cohesion.py
REPLY = 256  # tokens of a chunk's reply

Running = Callable[..., None]  # progress: (what, done, total, note)


@dataclass(frozen=True, slots=True)
class Case:
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


@dataclass(slots=True)
class Outcome:
    """What each method made of an episode: seconds of boundaries and titles, their scores, and seconds it took.

    `calls` are the reader's: of `reader` for boundaries and titles, of `combined` for titles of its own boundaries.
    """

    case: Case
    cuts: dict[str, list[float]] = field(default_factory=dict)
    scores: dict[str, dict[str, float]] = field(default_factory=dict)
    titles: dict[str, list[str]] = field(default_factory=dict)  # for the maker's segments
    title_scores: dict[str, dict[str, float]] = field(default_factory=dict)
    own_titles: dict[str, list[str]] = field(default_factory=dict)  # for the method's own chapters
    seconds: dict[str, float] = field(default_factory=dict)
    calls: dict[str, int] = field(default_factory=dict)


def read_cases(file: Path) -> list[Case]:
    """The episodes of a file that have chapters of their makers. Paths in it are relative to it.

    Raises UsageError or DataError for a file that does not hold what it should, or that names no such episode.
    """
    cases = [case for record in read_records(file) if record.fields.get("chapters") and (case := _case(record))]
    if not cases:
        raise DataError(f"{file}: no episode has chapters of its maker. Name a file with at least one")
    return cases


def document_of(record: Record) -> Document:
    """The transcript that a record names, read. Raises DataError for one that cannot be."""
    path = record.file.parent / record.text("transcript")
    try:
        return read_podcast(path, record.text("id"), path.name.removesuffix(path.suffix))
    except DocumentError as problem:
        raise record.error(f"{path} {problem}") from problem


def _case(record: Record) -> Case | None:
    document = document_of(record)
    chapters = document.episode.chapters if document.episode else ()
    if len(chapters) < 2:
        return None  # nothing to find
    cuts = tuple(chapter.start_seconds for chapter in chapters[1:])
    return Case(record.text("id"), document, cuts, tuple(chapter.title for chapter in chapters))


# -- boundaries and titles ---------------------------------------------------------------------------------------------


def evaluate(
    cases: Sequence[Case],
    encoder: DenseEncoder,
    settings: Settings,
    reader: ChatReader | None = None,
    replies: Replies | None = None,
    seed: int = 0,
    report: Running = lambda what, done, total, note="": None,
) -> list[Outcome]:
    """All methods on each episode; those that need a reader where one is given, with `replies` to keep what it says.

    A reply is kept as soon as it is there, so a run that was stopped goes on where it was. Raises ReaderError.
    """
    outcomes = []
    for case in cases:
        outcome = Outcome(case)
        _by_controls(outcome, seed)
        _by_cohesion(outcome, encoder, report)
        if reader is not None:
            assert replies is not None
            _by_reader(outcome, RecordingReader(reader, replies), settings, report)
            _titled_by_reader(outcome, reader, replies, settings, report)
        _score(outcome, encoder)
        outcomes.append(outcome)
        report("episodes", len(outcomes), len(cases), _note(outcomes))
    return outcomes


def _by_controls(outcome: Outcome, seed: int) -> None:
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


def _by_cohesion(outcome: Outcome, encoder: DenseEncoder, report: Running) -> None:
    case = outcome.case
    began = time.monotonic()
    cuts = cohesion_cuts(case.document, encoder, report)
    outcome.own_titles[COHESION] = list(titles_for(case.document, cuts, None))
    outcome.seconds[COHESION] = time.monotonic() - began
    outcome.cuts[COHESION] = [case.utterances[number].start_seconds for number in cuts[1:]]
    outcome.titles[KEYPHRASE] = list(titles_for(case.document, _makers(case), None))


def _by_reader(outcome: Outcome, reader: RecordingReader, settings: Settings, report: Running) -> None:
    """Boundaries and titles by the reader, and titles for the boundaries of cohesion."""
    case = outcome.case
    starts = [u.start_seconds for u in case.utterances]

    def keeping(what: str, done: int, total: int) -> None:
        reader.keep()
        report(what, done, total)

    room = Room(settings.reader.context_tokens, min(REPLY, settings.reader.context_tokens // 4))
    found = list(by_reader(case.document, Chapteriser(case.document, reader, room), keeping))
    outcome.cuts[READER] = [starts[number] for number, _ in found[1:]]
    outcome.own_titles[READER] = [title for _, title in found]
    outcome.seconds[READER], outcome.calls[READER] = reader.seconds, reader.calls
    cuts = _cuts_of(outcome)
    outcome.own_titles[COMBINED] = list(titles_for(case.document, cuts, reader, room, report=keeping))
    outcome.cuts[COMBINED] = outcome.cuts[COHESION]
    outcome.seconds[COMBINED] = outcome.seconds[COHESION] + reader.seconds - outcome.seconds[READER]
    outcome.calls[COMBINED] = reader.calls - outcome.calls[READER]
    reader.keep()


def _titled_by_reader(
    outcome: Outcome, reader: ChatReader, replies: Replies, settings: Settings, report: Running
) -> None:
    case = outcome.case
    room = Room(settings.reader.context_tokens, REPLY)
    for row, context in ((BARE, False), (PODTILE, True)):
        recording = RecordingReader(reader, replies)

        def keeping(what: str, done: int, total: int, recording: RecordingReader = recording) -> None:
            recording.keep()
            report(what, done, total)

        made = titles_for(case.document, _makers(case), recording, room, report=keeping, context=context)
        outcome.titles[row] = list(made)
        outcome.seconds[row], outcome.calls[row] = recording.seconds, recording.calls
        recording.keep()


def _cuts_of(outcome: Outcome) -> list[int]:
    """The sentences with which the chapters by cohesion begin."""
    numbers = {u.start_seconds: number for number, u in reversed(list(enumerate(outcome.case.utterances)))}
    return [0, *(numbers[second] for second in outcome.cuts[COHESION])]


def _makers(case: Case) -> list[int]:
    """The sentences with which the maker's chapters begin."""
    assert case.document.episode
    numbers = {u.start: number for number, u in enumerate(case.utterances)}
    return [numbers[chapter.start] for chapter in case.document.episode.chapters]


# -- measures ----------------------------------------------------------------------------------------------------------


def _score(outcome: Outcome, encoder: DenseEncoder) -> None:
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


def _note(outcomes: Sequence[Outcome]) -> str:
    values: list[Mapping[str, float]] = [outcome.scores[COHESION] for outcome in outcomes]
    return f"Pk {sum(scores['Pk'] for scores in values) / len(values):.2f}"
