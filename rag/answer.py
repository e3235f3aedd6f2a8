"""The road of one question, on one screen: retrieve -> answer -> note -> support -> cite, or abstain.

`ask` yields what happens as it happens (the evidence, pieces of the draft, the note), and last the Answer.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from rag.errors import UsageError
from rag.indexes import Indexes
from rag.interfaces import Report, Retriever, silent
from rag.read.cite import PagesOf, cite
from rag.read.comparison import compare
from rag.read.generate import ChatReader, Usage, open_reader
from rag.read.notes import compared_note, write_note
from rag.read.prompts import answer_messages, fitting
from rag.read.quotes import choose_quotes
from rag.read.support import declines, support_score
from rag.records import Answer, Hit, Note
from rag.settings import Settings


@dataclass(frozen=True, slots=True)
class Evidence:
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
    """Answer from the k best passages; `style` is "notes", or "direct" (no note, no support check)."""
    question = check_question(question, k, road.settings)
    seconds, usage, notes = _Stopwatch(), Usage(), []
    hits = road.retriever.search([question], k, within)[0]
    room = road.settings.reader.context_tokens - road.settings.reader.answer_tokens
    evidence = tuple(fitting(question, hits, room, sees=road.picture is not None))
    seconds.lap("retrieve")
    yield Evidence(evidence)

    draft, quotes, support = "", [], None
    compared = compare(road.reader, question, evidence, usage) if style == "notes" else None
    if compared is not None:
        draft, quotes, support = compared.answer, list(compared.quotes), compared.support
        seconds.first("first_token")
        yield Token(draft)
        seconds.lap("answer")
        notes.append(compared_note(question, compared))
        yield notes[-1]
        seconds.lap("note")
    elif evidence:
        pictures = _pictures(evidence, road)
        messages = answer_messages(question, evidence, pictures)
        for piece in road.reader.stream(messages, road.settings.reader.answer_tokens, usage):
            seconds.first("first_token")
            draft += piece
            yield Token(piece)
        draft = first_line(draft)
        seconds.lap("answer")
        quotes = choose_quotes(question, draft, evidence)
        if style == "notes":
            notes.append(write_note(question, draft, quotes))
            yield notes[-1]
            support = support_score(road.reader, question, evidence, draft, quotes, usage, pictures)
        seconds.lap("note")

    abstained = (
        not evidence or declines(draft) or (support is not None and support < road.settings.reader.support_threshold)
    )
    text, citations = (_abstain(road, evidence), ()) if abstained else cite(draft, quotes, road.pages_of)
    yield Answer(
        question,
        text,
        abstained,
        tuple(notes),
        citations,
        evidence,
        support,
        road.reader.name,
        road.settings.hash,
        seconds.laps,
        {"prompt": usage.prompt, "generated": usage.generated},
    )


def _pictures(evidence: Sequence[Hit], road: Road) -> dict[int, bytes]:
    """Rank -> PNG of the tables and figures in the evidence, for a reader that sees."""
    if road.picture is None:
        return {}
    # a long table is several passages with one picture
    first = {hit.passage.picture: hit.rank for hit in reversed(evidence) if hit.passage.picture}
    return {rank: road.picture(sha256) for sha256, rank in first.items()}


def first_line(reply: str) -> str:
    """A reader's answer is the first line of what it says.

    >>> first_line("\\nParis \\nBecause it is the capital.")
    'Paris'
    """
    return (reply.strip().splitlines() or [""])[0].strip()


def _abstain(road: Road, evidence: Sequence[Hit]) -> str:
    places = [f"{hit.passage.title}, page {hit.passage.first_page}" for hit in evidence[:3]]
    nearest = f" The nearest passages: {'; '.join(places)}." if places else " No passage shares a word with it."
    return f"Not found in these documents. Searched: {road.searched}.{nearest}"


class _Stopwatch:
    """Seconds since the last lap, by name."""

    def __init__(self) -> None:
        self._started = self._lap = time.monotonic()
        self.laps: dict[str, float] = {"retrieve": 0.0, "note": 0.0, "answer": 0.0, "attribute": 0.0}

    def lap(self, name: str) -> None:
        now = time.monotonic()
        self.laps[name] = round(now - self._lap, 3)
        self._lap = now

    def first(self, name: str) -> None:
        self.laps.setdefault(name, round(time.monotonic() - self._started, 3))
