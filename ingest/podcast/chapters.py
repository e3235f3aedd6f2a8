"""Chapters for an episode whose maker gave none: where they begin, and what they are called."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain, islice
from typing import Literal, get_args

from ingest.podcast.cohesion import SentenceVectors, cohesion_cuts
from ingest.podcast.keyphrases import Keyphrases
from ingest.podcast.podtile import Chapteriser, Room
from rag import bounds
from rag.document import Chapter, Document, Utterance
from rag.errors import UsageError
from rag.llm.chat import ChatModel
from rag.protocols import DenseEncoder, Report, silent

Method = Literal["cohesion", "reader", "combined"]
CONTEXT = 4096  # tokens


def chapters_of(
    document: Document,
    method: str,
    encoder: DenseEncoder | None,
    reader: ChatModel | None,
    report: Report = silent,
    done: Sequence[Chapter] = (),
    context_tokens: int = CONTEXT,
) -> Iterator[Chapter]:
    """The chapters, each as soon as its end is known: in order, without gaps, titles all different. There are at most
    bounds.CHAPTERS; the last of them extends to the end.

    "cohesion" cuts by the vectors of sentences and by turns, and takes titles from the words of a chapter; it needs the
    encoder. "reader" has the reader do both, chunk by chunk (PODTILE). "combined" cuts by cohesion, and has the reader
    find the titles, of each chapter's text alone: PODTILE's context confuses a small reader (eval/log.md). `done` are
    the chapters that an earlier call gave before it was stopped: what follows them is given, as that call would have.
    Offsets and seconds are those of sentences, from the first to the last; without any there is no chapter. Raises
    UsageError for another method, or one whose model is None; ReaderError.
    """
    if method not in get_args(Method):
        raise UsageError(f"chapters: no method {method!r}. Choose one of {', '.join(get_args(Method))}")
    if encoder is None and method != "reader":
        raise UsageError(f"chapters: {method} needs an encoder. Give one, or choose reader")
    if reader is None and method != "cohesion":
        raise UsageError(f"chapters: {method} needs a reader. Give one, or choose cohesion")
    utterances = document.episode.utterances if document.episode else ()
    if not utterances:
        return
    room = Room.of(context_tokens)
    if method == "reader":
        assert reader is not None
        begun = by_reader(document, Chapteriser(document, reader, room), report, done)
    else:
        assert encoder is not None
        vectors = SentenceVectors(document, encoder, report)
        cuts = cohesion_cuts(vectors)
        if method == "cohesion":
            titles = titles_by_words(vectors, cuts, done)
        else:
            assert reader is not None
            titles = titles_by_reader(document, cuts, reader, room, done, report, context=False)
        begun = zip(cuts, titles, strict=True)
    yield from _closed(document, begun, done)


def by_reader(
    document: Document, chapteriser: Chapteriser, report: Report = silent, done: Sequence[Chapter] = ()
) -> Iterator[tuple[int, str]]:
    """(first sentence, title) of each chapter, those of `done` first, chunk by chunk.

    The chunk in which the last of `done` ends is read again: its reply named what follows, too.
    """
    assert document.episode
    utterances = document.episode.utterances
    found = [(_number_at(utterances, chapter.start), chapter.title) for chapter in done]
    resumed = _number_at(utterances, done[-1].end) if done else 0
    if resumed == len(utterances):
        return iter(found)
    return _by_chunks(utterances, chapteriser, report, found, resumed)


def _by_chunks(
    utterances: Sequence[Utterance],
    chapteriser: Chapteriser,
    report: Report,
    done: Sequence[tuple[int, str]],
    resumed: int,
) -> Iterator[tuple[int, str]]:
    known: list[tuple[int, str]] = []
    for start, end in chapteriser.chunks():
        if end <= resumed:
            continue
        if not known:
            known = [chapter for chapter in done if chapter[0] < start]
            yield from known
        last = utterances[known[-1][0]].start_seconds if known else None
        chapters = chapteriser.chapters(start, end, [title for _, title in known], last)
        known += chapters
        yield from chapters
        report("sentences", end, len(utterances))


def titles_by_words(vectors: SentenceVectors, cuts: Sequence[int], done: Sequence[Chapter] = ()) -> Iterator[str]:
    """A title in its own words for each chapter that begins at a sentence of `cuts`, those of `done` as they are; all
    different."""
    keyphrases = Keyphrases(vectors.document.text)
    utterances = vectors.utterances

    def title(start: int, end: int, titles: Sequence[str]) -> str:
        likeness = vectors.likeness(start, end)
        return keyphrases.title(utterances[start].start, utterances[end - 1].end, titles, likeness)

    return _titled(title, cuts, len(utterances), done)


def titles_by_reader(
    document: Document,
    cuts: Sequence[int],
    reader: ChatModel,
    room: Room = Room.of(CONTEXT),  # noqa: B008  (frozen)
    done: Sequence[Chapter] = (),
    report: Report = silent,
    *,
    context: bool,
) -> Iterator[str]:
    """The same by the reader, who sees the episode's title, description and the titles so far if `context`."""
    assert document.episode
    chapteriser = Chapteriser(document, reader, room, context)

    def title(start: int, end: int, titles: Sequence[str]) -> str:
        given = chapteriser.title(start, end, titles)
        report("titles", len(titles) + 1, len(cuts))
        return given

    return _titled(title, cuts, len(document.episode.utterances), done)


def _titled(
    title: Callable[[int, int, Sequence[str]], str], cuts: Sequence[int], sentences: int, done: Sequence[Chapter]
) -> Iterator[str]:
    """Titles of chapters in order; `title` gets the first sentence of a chapter, its end, and the titles before it."""
    titles: list[str] = []
    for number, start in enumerate(cuts):
        end = cuts[number + 1] if number + 1 < len(cuts) else sentences
        titles.append(done[number].title if number < len(done) else title(start, end, titles))
        yield titles[-1]


def _closed(document: Document, begun: Iterable[tuple[int, str]], done: Sequence[Chapter]) -> Iterator[Chapter]:
    """The chapters after those done, each when the next one has begun."""
    assert document.episode
    utterances = document.episode.utterances
    behind = done[-1].end if done else utterances[0].start
    opened: tuple[int, str] | None = None
    for following in chain(islice(begun, bounds.CHAPTERS), [None]):
        if opened is not None and utterances[opened[0]].start >= behind:
            first, last = utterances[opened[0]], utterances[-1]
            ends = (last.end, last.end_seconds)
            if following is not None:
                ends = (utterances[following[0]].start, utterances[following[0]].start_seconds)
            yield Chapter(opened[1], first.start, ends[0], first.start_seconds, ends[1])
        opened = following


def _number_at(utterances: Sequence[Utterance], offset: int) -> int:
    """The number of the first sentence that begins at an offset or after it."""
    return bisect_left(utterances, offset, key=lambda utterance: utterance.start)
