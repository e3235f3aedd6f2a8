"""Is the right part of the right episode found, and do titles of chapters help? Queries made from makers' chapters.

All episodes of the file are searched, those without queries as distractors. A hit is a passage of the query's episode
that is spoken in the query's seconds. The queries are the makers' synopses and titles, so that the makers' own titles
are no fair help: the row with them is a leak, there for the most that titles could do.

Passages never cross a chapter, so those of other chapters are other passages. What titles do is seen between rows with
the same chapters, of which one is searched without its titles.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import count, repeat
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eval.core.bootstrap import paired_difference, summarise
from eval.core.files import read_records
from eval.core.report import cell, table, with_interval, write_lines, write_text
from eval.podcast.chapter_scores import TUNED_ON, Running
from ingest.chunk import chunk
from ingest.podcast.chapters import chapters_of, titles_by_words
from ingest.podcast.cohesion import SentenceVectors
from rag.document import Chapter, Document
from rag.index.manager import NEEDS, Indexes
from rag.library.catalogue import Library
from rag.library.episodes import to_json
from rag.locator import TimeSpan
from rag.protocols import DenseEncoder
from rag.records import Hit
from rag.search import open_retriever
from rag.settings import Settings

DEPTH = 10  # passages looked at
MEASURES = ("R@1", "R@5", "RR@10")
BM25 = "bm25"


@dataclass(frozen=True, slots=True)
class EpisodeQuery:
    """A query, and where it is answered: in an episode, from one second to another."""

    id: str
    episode: str
    text: str
    start_seconds: float
    end_seconds: float  # infinite of a last chapter

    def is_in(self, hit: Hit) -> bool:
        place = hit.passage.locator
        start, end = (place.start_seconds, place.end_seconds) if isinstance(place, TimeSpan) else (None, None)
        if hit.passage.document_id != self.episode or start is None or end is None:
            return False
        return start < self.end_seconds and self.start_seconds < end


@dataclass(frozen=True, slots=True)
class SearchRow:
    """A way to search: whose chapters cut the passages, and which fields are searched besides what is said.

    `base` is the row that it differs from in one thing, for the paired difference.
    """

    name: str
    chapters: str
    description: bool
    titles: bool
    retriever: str = BM25
    base: str = ""


@dataclass(frozen=True, slots=True)
class RankedRow:
    """Of each query the rank of the first hit, 0 where there is none among the first DEPTH passages."""

    row: SearchRow
    passages: int
    ranks: tuple[int, ...]


UNCUT, OURS, BLANK, OUR_TITLES, MAKERS = "none", "ours", "ours, titles emptied", "makers', our titles", "makers'"
ROWS = (
    SearchRow("bm25, no chapters", UNCUT, False, False),
    SearchRow("bm25, our chapters", OURS, False, False, base="bm25, no chapters"),
    SearchRow("bm25, our chapters, description", OURS, True, False, base="bm25, our chapters"),
    SearchRow("bm25, our chapters, description, our titles", OURS, True, True, base="bm25, our chapters, description"),
    SearchRow("bm25, makers' chapters, description", MAKERS, True, False, base="bm25, our chapters, description"),
    SearchRow(
        "bm25, makers' chapters, description, our titles", OUR_TITLES, True, True,
        base="bm25, makers' chapters, description",
    ),
    SearchRow(
        "bm25, makers' chapters, description, makers' titles (a leak)", MAKERS, True, True,
        base="bm25, makers' chapters, description",
    ),
)  # fmt: skip


def rows_of(retriever: str) -> tuple[SearchRow, ...]:
    """ROWS, and for another retriever two of its own; its last row, or that of BM25 with our titles, is the system."""
    if retriever == BM25:
        return ROWS
    without = f"{retriever}, our chapters, description"
    return (
        *ROWS,
        SearchRow(without, BLANK, True, False, retriever),
        SearchRow(f"{without}, our titles", OURS, True, True, retriever, without),
    )


class CachedEncoder:
    """An encoder that encodes no text twice."""

    def __init__(self, encoder: DenseEncoder):
        self._encoder = encoder
        self._vectors: dict[str, NDArray[np.float32]] = {}

    def encode(self, texts: Sequence[str], report: Callable[[int], None] = lambda encoded: None) -> NDArray[np.float32]:
        fresh = [text for text in dict.fromkeys(texts) if text not in self._vectors]
        if fresh:
            self._vectors |= zip(fresh, self._encoder.encode(fresh, report), strict=True)
        return np.stack([self._vectors[text] for text in texts])


# -- what is searched, and for what --------------------------------------------------------------------------------


def read_queries(file: Path, episodes: Collection[str]) -> list[EpisodeQuery]:
    """The queries about these episodes: `id`, `query`, `episode`, `start` and `end` in seconds (null: to the end)."""
    queries = []
    for record in read_records(file):
        start, end = (record.fields.get(name) for name in ("start", "end"))
        end = math.inf if end is None else end
        if not isinstance(start, int | float) or not isinstance(end, int | float) or start >= end:
            raise record.error(f"start {start!r} and end {end!r} are not two seconds in order")
        asked = record.text("query", "text", "question")
        queries.append(EpisodeQuery(record.text("id", "_id"), record.text("episode"), asked, float(start), float(end)))
    return [query for query in queries if query.episode in episodes]


def chaptered(documents: Sequence[Document], encoder: DenseEncoder, report: Running) -> dict[str, list[Document]]:
    """The episodes with each of the kinds of chapters that rows name. Where a maker made none, "makers'" are ours."""
    ours = []
    for done, document in enumerate(documents, start=1):
        ours.append(_with(document, tuple(chapters_of(document, "cohesion", encoder, None))))
        report("chapters", done, len(documents))
    pairs = list(zip(documents, ours, strict=True))
    makers = [theirs if theirs.episode and theirs.episode.chapters else mine for theirs, mine in pairs]
    return {
        UNCUT: [_with(document, ()) for document in documents],
        OURS: ours,
        BLANK: [_titled(document, repeat("")) for document in ours],
        OUR_TITLES: [_named(document, encoder) for document in makers],
        MAKERS: makers,
    }


def _with(document: Document, chapters: Sequence[Chapter]) -> Document:
    assert document.episode
    return replace(document, episode=replace(document.episode, chapters=tuple(chapters)))


def _named(document: Document, encoder: DenseEncoder) -> Document:
    """With titles of ours for its chapters."""
    return _titled(document, titles_by_words(SentenceVectors(document, encoder), _cuts(document)))


def _titled(document: Document, titles: Iterator[str]) -> Document:
    chapters = document.episode.chapters if document.episode else ()
    return _with(document, [replace(chapter, title=title) for chapter, title in zip(chapters, titles, strict=False)])


def _cuts(document: Document) -> list[int]:
    """The sentences with which its chapters begin."""
    assert document.episode
    numbers = {utterance.start: number for number, utterance in enumerate(document.episode.utterances)}
    return [numbers[chapter.start] for chapter in document.episode.chapters]


def open_episodes(
    documents: Sequence[Document], cache: Path, settings: Settings, retriever: str, report: Running
) -> Indexes:
    """The episodes as a library below `cache`, with the indexes that the retriever needs; what is there is kept."""
    read = [
        [document.document_id, document.title, document.text, to_json(document.episode) if document.episode else None]
        for document in documents
    ]
    made_with = [part.model_dump() for part in (settings.ingest, settings.dense, settings.sparse)]
    contents = json.dumps([*read, *made_with])
    name = hashlib.sha256(contents.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    indexes = Indexes(Library.open(cache / "episodes" / name, create=True), settings)
    stored = {document.document_id for document in indexes.library.documents()}
    sizes = settings.ingest.passage_tokens, settings.ingest.overlap_tokens
    with indexes.library.writing("glossator eval"):
        for document in documents:
            if document.document_id not in stored:
                shown = document.document_id
                indexes.library.put(document, chunk(document, *sizes), f"/{shown}", shown, "an episode of eval")
        with indexes.updating(report, sorted(NEEDS[retriever])):
            pass
    return indexes


# -- searching -----------------------------------------------------------------------------------------------------


def evaluate(
    documents: Sequence[Document],
    queries: Sequence[EpisodeQuery],
    encoder: DenseEncoder,
    cache: Path,
    settings: Settings,
    retriever: str = BM25,
    report: Running = lambda what, done, total, note="": None,
) -> list[RankedRow]:
    """Every query in every row of rows_of(retriever). Weights of fields that a row searches are those of `settings`."""
    kinds = chaptered(documents, encoder, report)
    rows = rows_of(retriever)
    found = []
    searched = count(1)
    for row in rows:
        weights = {} if row.titles else {"chapter_weight": 0.0}
        weights |= {} if row.description else {"description_weight": 0.0}
        weighted = settings.model_copy(update={"bm25": settings.bm25.model_copy(update=weights)})
        indexes = open_episodes(kinds[row.chapters], cache, weighted, row.retriever, report)
        finder = open_retriever(indexes, row.retriever)
        ranks = []
        for query in queries:
            ranks.append(rank_of(query, finder.search([query.text], DEPTH)[0]))
            report("queries", next(searched), len(rows) * len(queries))
        found.append(RankedRow(row, len(indexes.library.numbers()), tuple(ranks)))
    return found


def rank_of(query: EpisodeQuery, hits: Sequence[Hit]) -> int:
    """The rank of the first hit in the query's time span, from 1; 0 for none."""
    return next((rank for rank, hit in enumerate(hits, start=1) if query.is_in(hit)), 0)


def scores_of(rank: int) -> dict[str, float]:
    """R@k: is there a hit among the first k? One is enough to play from; a chapter has many.

    >>> scores_of(2), scores_of(0)
    ({'R@1': 0.0, 'R@5': 1.0, 'RR@10': 0.5}, {'R@1': 0.0, 'R@5': 0.0, 'RR@10': 0.0})
    """
    return {"R@1": float(rank == 1), "R@5": float(0 < rank <= 5), "RR@10": 1 / rank if rank else 0.0}


# -- the result ----------------------------------------------------------------------------------------------------


def with_retrieval(
    result: dict[str, Any], queries: Sequence[EpisodeQuery], found: Sequence[RankedRow]
) -> dict[str, Any]:
    """The result of eval chapters, and under "retrieval" each row, its difference to its base, and both for episodes
    that nothing was tuned on. The measures of the system's row come to the others."""
    system = next((f for f in reversed(found) if f.row.retriever != BM25), found[3])
    whole = _part(found, range(len(queries)))
    unseen = [place for place, query in enumerate(queries) if query.episode not in TUNED_ON]
    ours = whole["rows"][system.row.name]
    return result | {
        "metrics": result["metrics"] | ours["metrics"],
        "intervals": result["intervals"] | ours["intervals"],
        "retrieval": {
            "n": len(queries),
            "passages": {f.row.name: f.passages for f in found},
            "system": system.row.name,
            **whole,
            "unseen": {"n": len(unseen), **(_part(found, unseen) if unseen else {})},
        },
    }


def _part(found: Sequence[RankedRow], places: Sequence[int]) -> dict[str, Any]:
    scores = {f.row.name: [scores_of(f.ranks[place]) for place in places] for f in found}
    summaries = {name: summarise(subset) for name, subset in scores.items()}
    return {
        "rows": {name: {"metrics": means, "intervals": bounds} for name, (means, bounds) in summaries.items()},
        "differences": {
            f.row.name: {"base": f.row.base, **_differences(scores[f.row.name], scores[f.row.base])}
            for f in found
            if f.row.base
        },
    }


def _differences(ours: Sequence[Mapping[str, float]], theirs: Sequence[Mapping[str, float]]) -> dict[str, Any]:
    return {
        name: paired_difference([scores[name] for scores in ours], [scores[name] for scores in theirs]).to_json()
        for name in MEASURES
    }


def text(result: Mapping[str, Any]) -> str:
    """The tables as Markdown: all queries, then those about episodes that nothing was tuned on."""
    found = result["retrieval"]
    lines = ["## Retrieval", ""]
    parts = [(f"All {found['n']} queries", found)]
    if 0 < found["unseen"]["n"] < found["n"]:
        parts.append((f"The {found['unseen']['n']} about episodes that nothing was tuned on", found["unseen"]))
    for head, part in parts:
        rows = [
            [cell(name), found["passages"][name], *map(partial(with_interval, **row), MEASURES)]
            for name, row in part["rows"].items()
        ]
        differences = [
            [cell(name), cell(row["base"]), *(_format_difference(row[measure]) for measure in MEASURES)]
            for name, row in part["differences"].items()
        ]
        lines += [f"### {head}", "", *table(["row", "passages", *MEASURES], rows), ""]
        lines += [*table(["row", "against", *MEASURES], differences), ""]
    lines += [
        "Brackets: 95 % bootstrap interval over the queries, differences paired, with p. R@k: queries with a hit among "
        "the first k, a passage of their episode spoken in their seconds; RR@10: 1 over the rank of the first hit. The "
        "episode's title is searched in every row. The queries are the makers' synopses and titles: the row with the "
        "makers' titles is a leak. Passages never cross a chapter: rows with other chapters have other passages.",
    ]
    return "\n".join(lines) + "\n"


def _format_difference(d: Mapping[str, Any]) -> str:
    low, high = d["interval"]
    return f"{d['difference']:+.3f} [{low:+.2f}, {high:+.2f}], p {d['p']:.3f}"


def write(out: Path, result: Mapping[str, Any], queries: Sequence[EpisodeQuery], found: Sequence[RankedRow]) -> None:
    """queries.jsonl, a line a query with the rank of its first hit in each row, and retrieval.md in `out`."""
    lines = (
        {
            "id": query.id,
            "episode": query.episode,
            "query": query.text,
            "ranks": {f.row.name: f.ranks[place] for f in found},
        }
        for place, query in enumerate(queries)
    )
    write_lines(out / "queries.jsonl", lines)
    write_text(out / "retrieval.md", text(result))
