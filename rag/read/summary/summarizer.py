"""Summaries of whole documents by map and reduce: a reader sums up each part, then the document from its parts.

The best sentences of the document stand first, in seconds; the written summary follows. What was written of a part is
kept in the library, so that it is made once. Every written sentence is matched to the words that support it, as in
rag/read/compose/compose.py, and what stands in the answer is in the document's order.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from rag.library.catalogue import Library
from rag.library.summaries import StoredSentence
from rag.protocols import DenseEncoder
from rag.read.compose.compose import matched_sentences, sentences_wanted, without_repeats
from rag.read.compose.excerpts import Sentences
from rag.read.compose.sentence_prompts import part_messages, whole_messages
from rag.read.quotes import BY_PART, AnswerSentence, Quote
from rag.read.strategies import Event, PartProgress, Reading
from rag.read.summary.document_parts import DocumentPart, parts_of
from rag.read.summary.telling import telling_passages, telling_sentences
from rag.records import Hit, Note, Passage

MOST_PARTS = 6  # of one document
PARTS_TOGETHER = 18  # of several documents; each has one at least
PART_PASSAGES, PART_WORDS, PART_TOKENS = 3, 160, 100  # looked at for a part, read of it, and written
WHOLE_TOKENS = 160
FIRST_WORDS = 120  # of the document's own sentences that stand there before anything is written
VERSION = 2  # of how a part is summed up: what was kept of another one is not used


@dataclass(frozen=True, slots=True)
class WholeDocument:
    """What is to be summarised: all passages of a document, or of the chapter that is asked about, in its order."""

    title: str
    passages: tuple[Passage, ...]
    vectors: NDArray[np.float32]  # of the passages: unit rows (n, d)


@dataclass(frozen=True, slots=True)
class _ReadPart:
    """A part with the passages that say most of it, and what was written of it."""

    part: DocumentPart
    hits: tuple[Hit, ...]
    sentences: tuple[AnswerSentence, ...] = ()

    @property
    def document_id(self) -> str:
        return self.part.passages[0].document_id


class Summarizer:
    """Writes the summary of `count` documents for one question. `mask` gives passages as a reader may get them.

    `settings_hash` is what kept parts were made with. `stop` is asked before each part; the summary then ends with what
    there is.
    """

    def __init__(
        self,
        reading: Reading,
        count: int,
        encoder: DenseEncoder,
        library: Library,
        mask: Callable[[Sequence[Hit]], list[Hit]],
        settings_hash: str,
        stop: Callable[[], bool],
    ):
        self._reading, self._count, self._encoder, self._library = reading, count, encoder, library
        self._mask, self._stop = mask, stop
        self._key = f"{settings_hash} {VERSION}"
        self._made_at = library.generation
        self._parts_each = max(1, min(MOST_PARTS, PARTS_TOGETHER // count))
        self._wanted = sentences_wanted(reading.question)

    def summarise(self, documents: Iterable[WholeDocument]) -> Iterator[Event]:
        """The events of reading them; the sentences of the summary stand in reading.answer_sentences."""
        reading, told = self._reading, list[AnswerSentence]()
        for number, document in enumerate(documents):
            if self._stop():
                break
            parts = self._parts(document, len(reading.evidence))
            hits = [hit for part in parts for hit in part.hits]
            reading.evidence = (*reading.evidence, *hits)
            yield reading.evidence
            read, choose = telling_sentences(reading.question, hits, self._encoder)
            if self._count == 1:
                yield " ".join(" ".join(quote.text.split()) for quote in choose(FIRST_WORDS))
            written = yield from self._map(document, parts, number)
            told += yield from self._reduce(document, written, read)
        if self._stop():
            read_of = {hit.passage.document_id for hit in reading.evidence}
            yield Note(1, reading.question, f"Stopped. Read so far: {len(read_of)} of {self._count} documents.")
        reading.answer_in(told)

    def _parts(self, document: WholeDocument, before: int) -> list[_ReadPart]:
        """The document's parts, each with its most telling passages, which are ranked behind `before` others."""
        row = {passage.passage_id: i for i, passage in enumerate(document.passages)}
        found = []
        for part in parts_of(document.passages, self._parts_each):
            vectors = document.vectors[[row[passage.passage_id] for passage in part.passages]]
            hits = telling_passages(part.passages, vectors, PART_PASSAGES)
            hits = [replace(hit, rank=before + i) for i, hit in enumerate(hits, start=1)]
            before += len(hits)
            found.append(_ReadPart(part, tuple(self._mask(hits))))
        return found

    # -- map ---------------------------------------------------------------------------------------------------------

    def _map(
        self, document: WholeDocument, parts: Sequence[_ReadPart], number: int
    ) -> Generator[Event, None, list[_ReadPart]]:
        """The parts with what is written of them, or was before; without those of which nothing is."""
        found = []
        for i, read in enumerate(parts):
            if self._stop():
                break
            name = read.part.heading or document.title
            yield PartProgress(number * len(parts) + i, self._count * len(parts), name)
            sentences = self._kept(read)
            if sentences is None:
                sentences = self._write(read)
            if sentences:
                yield Note(1, name, " ".join(each.text for each in sentences))
                found.append(replace(read, sentences=tuple(sentences)))
        return found

    def _kept(self, read: _ReadPart) -> list[AnswerSentence] | None:
        """What the library keeps of a part; None where that is nothing, or not of these passages."""
        stored = self._library.summary_of(read.document_id, *read.part.span, self._key)
        if stored is None:
            return None
        sentences = []
        for each in stored:
            quotes = [_quote_at(read.hits, start, end) for start, end in each.spans]
            if None in quotes:
                return None
            sentences.append(AnswerSentence(each.text, tuple(filter(None, quotes)), each.support))
        return sentences

    def _write(self, read: _ReadPart) -> list[AnswerSentence]:
        """What the reader writes of a part, which is kept as far as the part supports it."""
        sentences, choose = telling_sentences("", read.hits, self._encoder)
        draft = "".join(
            self._reading.reader.stream(part_messages(choose(PART_WORDS)), PART_TOKENS, self._reading.usage)
        )
        told = [each for each in self._matched(draft, sentences) if each.quotes]
        stored = [
            StoredSentence(each.text, each.support, tuple(_span(quote) for quote in each.quotes)) for each in told
        ]
        self._library.keep_summary(read.document_id, *read.part.span, self._key, stored, self._made_at)
        return told

    # -- reduce ------------------------------------------------------------------------------------------------------

    def _reduce(
        self, document: WholeDocument, parts: Sequence[_ReadPart], read: Sentences
    ) -> Generator[Event, None, list[AnswerSentence]]:
        """The summary of a document from those of its parts, and behind it these."""
        of_parts = [each for part in parts for each in part.sentences]
        overview: list[AnswerSentence] = []
        if len(parts) > 1 and not self._stop():
            draft = ""
            for piece in self._reading.reader.stream(
                whole_messages(self._reading.question, document.title, [(p.part.heading, p.sentences) for p in parts]),
                WHOLE_TOKENS,
                self._reading.usage,
            ):
                if not draft:
                    yield self._reading.evidence  # the first words are void
                draft += piece
                yield piece
            self._reading.draft = draft.strip()
            mark = self._reading.settings.unsupported == "mark"
            overview = [each for each in self._matched(draft, read) if each.quotes or mark]
        if self._wanted is not None:
            return _in_order(without_repeats([*overview, *of_parts])[: self._wanted])
        overview = _in_order(without_repeats(overview))
        if self._count > 1:
            return [replace(each, heading=f"{document.title}:") for each in overview or of_parts]
        behind = [
            replace(each, text=f"{part.part.heading}: {each.text}" if i == 0 and part.part.heading else each.text,
                    item=i == 0, heading=BY_PART)
            for part in parts
            for i, each in enumerate(part.sentences)
        ]  # fmt: skip
        return without_repeats([*overview, *behind])

    def _matched(self, draft: str, read: Sentences) -> list[AnswerSentence]:
        """The sentences of a draft, each with the words that support it."""
        matched = matched_sentences(draft, self._reading.question, read, self._encoder)
        return without_repeats([replace(each, item=False) for each in matched])


def _quote_at(hits: Sequence[Hit], start: int, end: int) -> Quote | None:
    """The quote of a document's text[start:end] in the first of these passages that holds it."""
    for hit in hits:
        if hit.passage.start <= start and end <= hit.passage.end:
            return Quote(hit, start - hit.passage.start, end - hit.passage.start, True, 0.0)
    return None


def _span(quote: Quote) -> tuple[int, int]:
    start = quote.hit.passage.start
    return start + quote.start, start + quote.end


def _in_order(told: Sequence[AnswerSentence]) -> list[AnswerSentence]:
    """In the order of what supports them; what nothing supports stays behind the sentence before it."""
    at, keyed = 0, list[tuple[int, AnswerSentence]]()
    for each in told:
        at = min((_span(quote)[0] for quote in each.quotes), default=at)
        keyed.append((at, each))
    return [each for _, each in sorted(keyed, key=lambda pair: pair[0])]
