"""The library's judgments as the search for precedents takes them, with its index of their whole sections."""

from __future__ import annotations

import logging
import shutil
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rag.document import Case
from rag.encode.checkpoint import base_of
from rag.errors import LibraryError, UsageError
from rag.index.bm25 import Bm25Retriever
from rag.index.dense import DenseRetriever
from rag.index.manager import Indexes
from rag.index.sparse import SparseRetriever
from rag.legal.concepts import Concepts
from rag.legal.court_cases import CourtCase, Field
from rag.legal.pooling import Pooling, open_pooling
from rag.legal.precedents import SCORERS, Nearest, Precedents, Scorer, Vectors
from rag.legal.section_index import SectionIndex
from rag.library.catalogue import Library
from rag.llm.open import open_reader
from rag.locator import part_of
from rag.protocols import Report, silent
from rag.records import Hit, Passage
from rag.settings import Settings

FOLDER = "precedents"  # in the library: derived, and gone with the first judgment that leaves
log = logging.getLogger("glossator")


def court_cases(library: Library, only: Sequence[str] | None = None) -> list[CourtCase]:
    """The judgments of a library, by date; of these document_ids alone where they are given."""
    wanted = None if only is None else set(only)
    every = [case for case in library.cases() if wanted is None or case.key in wanted]
    parts: dict[str, dict[str, list[Passage]]] = defaultdict(lambda: defaultdict(list))
    within = [[]] if wanted is None else [[f"document_id={case.key}"] for case in every]
    numbers = [n for also in within for part in ("facts", "law") for n in library.select([f"part={part}", *also]) or ()]
    for _, passage in sorted(library.passages_numbered(numbers).items()):
        parts[passage.document_id][part_of(passage.locator)].append(passage)
    graph = library.citation_graph()
    return [
        CourtCase(
            case.key,
            case.date,
            case.application_numbers,
            {name: tuple(passages) for name, passages in parts[case.key].items()},
            tuple(graph.get(case.key, ())),
        )
        for case in every
    ]


def update_sections(library: Library) -> None:
    """Bring the index of whole sections up to date with the library's judgments. The caller holds the writer's lock."""
    generations = library.generations("legal")
    folder = library.folder / FOLDER
    if generations or folder.exists():
        SectionIndex(folder).update(generations, lambda ids: court_cases(library, ids))


def rebuild_sections(library: Library) -> None:
    """Build that index again from the catalogue. The caller holds the writer's lock."""
    shutil.rmtree(library.folder / FOLDER, ignore_errors=True)
    update_sections(library)


def section_problems(library: Library) -> list[str]:
    """What is wrong with that index: that it is damaged, or behind the catalogue."""
    generations, folder = library.generations("legal"), library.folder / FOLDER
    if not generations:
        return []
    sections = SectionIndex(folder)
    if not sections.holds(generations):
        return [f"{FOLDER}: the index of judgments' sections is not up to date"]
    try:
        sections.open()
    except LibraryError as error:
        return [str(error)]
    finally:
        sections.close()
    return []


def new_case(case: Case, passages: Iterable[Passage]) -> CourtCase:
    """A text that is not in the library; without any headings all of it is facts and law."""
    parts: dict[str, list[Passage]] = {"facts": [], "law": []}
    for passage in passages:
        for name in parts if part_of(passage.locator) == "text" else parts.keys() & {part_of(passage.locator)}:
            parts[name].append(passage)
    return CourtCase("", case.date, case.application_numbers, {name: tuple(subset) for name, subset in parts.items()})


@dataclass(frozen=True, slots=True)
class Parts:
    """What scorers need besides the index of sections, as Precedents takes it."""

    vectors: Vectors | None = None
    nearest: Mapping[str, Nearest] = field(default_factory=dict)
    numbers: Callable[[Sequence[str]], dict[str, int]] | None = None
    pooling: Pooling | None = None
    concepts: Callable[[str], Sequence[str]] | None = None

    def search(self, cases: Sequence[CourtCase], sections: SectionIndex) -> Precedents:
        """The search with these parts."""
        return Precedents(cases, sections, self.vectors, self.nearest, self.numbers, self.pooling, self.concepts)


NOTHING = Parts()


def open_parts(indexes: Indexes, scorer: Scorer, report: Report = silent) -> Parts:
    """What a scorer needs, of a library. Raises as Indexes.retriever, ModelError and UsageError."""
    needed, settings = SCORERS[scorer], indexes.settings
    reader = settings.reader
    return Parts(
        pooling=trained_pooling(settings) if "pooling" in needed else None,
        vectors=vectors_of(indexes, report) if "vectors" in needed else None,
        nearest={name: nearest_of(indexes, name, report) for name in ("bm25", "sparse") if name in needed},
        numbers=indexes.library.numbers_of,
        concepts=Concepts(open_reader(reader), reader.context_tokens) if "concepts" in needed else None,
    )


def nearest_of(indexes: Indexes, name: str, report: Report = silent) -> Nearest:
    """The search of passages by bm25 or sparse. Raises as Indexes.retriever."""
    retriever = indexes.retriever(name, report)
    if isinstance(retriever, SparseRetriever):
        return retriever.nearest
    assert isinstance(retriever, Bm25Retriever)
    by_id = retriever.nearest

    def nearest(text: str, k: int, within: Sequence[int]) -> list[tuple[int, float]]:
        found = by_id(text, k, within)
        numbers = indexes.library.numbers_of([passage_id for passage_id, _ in found])
        return [(numbers[passage_id], score) for passage_id, score in found if passage_id in numbers]

    return nearest


def trained_pooling(settings: Settings) -> Pooling | None:
    """What precedents.pooling names, if it names anything. Raises ModelError."""
    folder = settings.precedents.pooling
    return open_pooling(Path(folder), base_of(settings.dense.model)) if folder else None


def vectors_of(indexes: Indexes, report: Report = silent) -> Vectors:
    """Those of the dense index; a text that is not in it, such as a new case's, is encoded once."""
    library, dense = indexes.library, indexes.retriever("dense", report)
    assert isinstance(dense, DenseRetriever)
    wanted = [number for part in ("facts", "law") for number in library.select([f"part={part}"]) or ()]
    numbers = {passage.searched: number for number, passage in library.passages_numbered(wanted).items()}
    encoded: dict[str, NDArray[np.float32]] = {}

    def vectors(passages: Sequence[Passage]) -> NDArray[np.float32]:

        texts = [passage.searched for passage in passages]
        fresh = [text for text in dict.fromkeys(texts) if text not in numbers and text not in encoded]
        if fresh:
            encoded.update(zip(fresh, indexes.encoder().encode(fresh), strict=True))
        kept = [numbers[text] for text in texts if text in numbers]
        known = iter(dense.vectors(kept) if kept else ())
        rows = np.stack([next(known) if text in numbers else encoded[text] for text in texts])
        unit: NDArray[np.float32] = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)  # fp16
        return unit

    return vectors


@contextmanager
def open_precedents(library: Library, parts: Parts = NOTHING) -> Iterator[tuple[Precedents, list[CourtCase]]]:
    """The search over a library's judgments, and these. Nothing is written: whoever writes brings the index up to date.

    Judgments that are not in the index of sections yet are found by the other scorers alone, with a warning. Raises
    LibraryError where there is no index.
    """
    cases, sections = court_cases(library), SectionIndex(library.folder / FOLDER)
    remedy = f"Build it: glossator check --library {library.folder} --repair"
    if cases:
        try:
            sections.open()
        except LibraryError as error:
            raise LibraryError(f"{error}. {remedy}") from error
        if not sections.holds(library.generations("legal")):
            log.warning("%s: the index of judgments' sections is not up to date. %s", library.folder, remedy)
    try:
        yield parts.search(cases, sections), cases
    finally:
        sections.close()


def precedents_of(indexes: Indexes, document_id: str, k: int, section: Field = "facts") -> list[Hit]:
    """The earlier judgments that bear on one of the library, by this section of it: a hit a case, its best passage.

    Raises UsageError for a document that is no judgment, and as open_parts and open_precedents.
    """
    with open_precedents(indexes.library, open_parts(indexes, "hybrid")) as (searching, cases):
        case = next((each for each in cases if each.case_id == document_id), None)
        if case is None:
            raise UsageError("this document is no judgment. Name another one")
        return searching.search(case, k, section, "both")
