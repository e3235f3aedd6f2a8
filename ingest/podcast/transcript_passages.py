"""The passages of a transcript: whole utterances of one chapter. Pure."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import count, groupby

from ingest.text_passages import packed, passage_of, text_passages
from rag.document import Document, Episode, Utterance
from rag.library.episodes import seconds_of, speakers_in, utterances_in
from rag.locator import TimeSpan
from rag.records import Passage


def transcript_passages(document: Document, max_tokens: int, overlap_tokens: int) -> list[Passage]:
    """The passages of a transcript: see ingest/chunk.py."""
    if document.episode is None or not document.episode.utterances:
        return text_passages(document, max_tokens, overlap_tokens)
    return list(_passages(document, document.episode, max_tokens, overlap_tokens))


def _passages(document: Document, episode: Episode, max_tokens: int, overlap_tokens: int) -> Iterator[Passage]:
    spoken, ordinal = episode.utterances, count()

    def chapter_at(utterance: Utterance) -> int:
        return bisect_right(episode.chapters, utterance.start, key=lambda chapter: chapter.start)

    for number, utterances in groupby(spoken, key=chapter_at):
        title = episode.chapters[number - 1].title if number else ""
        spans = [(utterance.start, utterance.end) for utterance in utterances]
        for start, end in packed(document.text, spans, max_tokens, overlap_tokens):
            begins, ends = seconds_of(spoken, start, end) or (None, None)
            yield replace(
                passage_of(document, next(ordinal), start, end, None, {}),
                locator=TimeSpan(begins, ends, speakers_in(spoken, start, end)[0], title),
                ocr_confidence=_certainty(utterances_in(spoken, start, end)),
            )


def _certainty(utterances: Sequence[Utterance]) -> float | None:
    """The mean certainty of sentences that a model heard, by their length; None for those that people wrote down."""
    heard = [(each.certainty, each.end - each.start) for each in utterances if each.certainty is not None]
    return (
        round(sum(share * length for share, length in heard) / sum(length for _, length in heard), 3) if heard else None
    )
