"""`eval chapters` from its files to its result: boundaries and titles, and with queries retrieval, too."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eval.core.cache import Replies
from eval.core.files import read_records
from eval.podcast import chapter_queries, chapters_report
from eval.podcast import chapter_scores as chapters
from eval.podcast.chapter_queries import CachedEncoder, EpisodeQuery, RankedRow
from eval.podcast.chapter_scores import ChapteredEpisode, ChapterOutcome, Running, document_of
from rag.attribute.tree_reader import in_torch
from rag.document import Document
from rag.encode.dense_encoder import open_encoder
from rag.errors import DataError, ModelError
from rag.llm.chat import ChatModel
from rag.llm.open import open_reader
from rag.settings import Settings

log = logging.getLogger("glossator")


@dataclass(frozen=True, slots=True)
class Asked:
    """Episodes with chapters of their makers (`of`: their number in the file), queries, and all that is searched.

    Without queries nothing is searched, and `documents` is empty.
    """

    file: Path
    of: int
    cases: Sequence[ChapteredEpisode]
    queries: Sequence[EpisodeQuery] = ()
    documents: Sequence[Document] = ()


def read(file: Path, queries: Path | None = None, limit: int | None = None, seed: int = 0) -> Asked:
    """`limit` of the episodes with chapters of their makers, drawn by `seed`. Raises UsageError or DataError for files
    that are not as they should be, or queries of which none is about these episodes."""
    present = chapters.read_cases(file)
    cases = chapters.sample(present, limit, seed)
    if queries is None:
        return Asked(file, len(present), cases)
    asked = chapter_queries.read_queries(queries, {case.id for case in cases})
    if not asked:
        raise DataError(
            f"{queries}: no query is about an episode of {file} with chapters. Name another file of queries"
        )
    return Asked(file, len(present), cases, asked, read_episodes(file))


def read_episodes(file: Path) -> list[Document]:
    """All episodes of a file, with or without chapters of their makers; paths in it are relative to it."""
    return [document_of(record) for record in read_records(file)]


def run(
    asked: Asked,
    cache: Path,
    settings: Settings,
    retriever: str,
    with_reader: bool = False,
    seed: int = 0,
    report: Running = lambda what, done, total, note="": None,
) -> tuple[dict[str, Any], list[ChapterOutcome], list[RankedRow]]:
    """The command line's JSON, and what it is made from. What the reader says and what is indexed stay in `cache`."""
    dense = settings.dense
    encoder = CachedEncoder(open_encoder(dense.model, dense.max_tokens, dense.batch_size))
    reader, name = _reader(settings, report) if with_reader else (None, "")
    replies = Replies(cache, settings.reader.model_copy(update={"model": name})) if reader else None
    outcomes = chapters.evaluate(asked.cases, encoder, settings, reader, replies, seed, report)
    request = {"episodes": str(asked.file), "of": asked.of, "seed": seed}
    result = chapters_report.result_json(request, outcomes, settings, name)
    if not asked.queries:
        return result, outcomes, []
    found = chapter_queries.evaluate(asked.documents, asked.queries, encoder, cache, settings, retriever, report)
    return chapter_queries.with_retrieval(result, asked.queries, found), outcomes, found


def _reader(settings: Settings, report: Running) -> tuple[ChatModel, str]:
    """The reader and its name: its weights in torch, where attribute.runtime says so and they can be unpacked.

    Chapters are mostly reading, which torch does several times as fast.
    """
    reader, name = open_reader(settings.reader), settings.reader.model
    if settings.attribute.runtime == "torch":
        try:
            fast = in_torch(reader, report)
        except ModelError as error:
            log.warning("the reader's rows take several times as long: %s", error)
            fast = None
        if fast is not None:  # its replies may differ from llama.cpp's by rounding, and are kept apart
            return fast, f"{name}, torch"
    return reader, name


def text(result: Mapping[str, Any]) -> str:
    """The result for people, as Markdown."""
    tables = chapters_report.text(result)
    return f"{tables}\n{chapter_queries.text(result)}" if "retrieval" in result else tables


def write(
    out: Path, result: Mapping[str, Any], asked: Asked, outcomes: Sequence[ChapterOutcome], found: Sequence[RankedRow]
) -> None:
    """per_question.jsonl and report.md in `out`; with queries queries.jsonl and retrieval.md, too."""
    chapters_report.write(out, f"{asked.file.name}, chapters", result, outcomes)
    if found:
        chapter_queries.write(out, result, asked.queries, found)
