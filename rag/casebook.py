"""The library's judgments as the search for precedents takes them, with its index of their whole sections."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from rag.library import Library
from rag.records import Case, Passage
from rag.retrieve.precedents import CourtCase, Precedents, SectionIndex

FOLDER = "precedents"  # in the library: derived, and gone with the first judgment that leaves


def court_cases(library: Library) -> list[CourtCase]:
    """All judgments of a library, by date."""
    numbers = [number for part in ("facts", "law") for number in library.select([f"part={part}"]) or ()]
    parts: dict[str, dict[str, list[Passage]]] = defaultdict(lambda: defaultdict(list))
    for _, passage in sorted(library.passages_numbered(numbers).items()):
        parts[passage.document_id][passage.part].append(passage)
    graph = library.citation_graph()
    return [
        CourtCase(
            case.key,
            case.date,
            case.application_numbers,
            {name: tuple(some) for name, some in parts[case.key].items()},
            tuple(graph.get(case.key, ())),
        )
        for case in library.cases()
    ]


def new_case(case: Case, passages: Iterable[Passage]) -> CourtCase:
    """A text that is not in the library; without any headings all of it is facts and law."""
    parts: dict[str, list[Passage]] = {"facts": [], "law": []}
    for passage in passages:
        for name in parts if passage.part == "text" else parts.keys() & {passage.part}:
            parts[name].append(passage)
    return CourtCase("", case.date, case.application_numbers, {name: tuple(some) for name, some in parts.items()})


@contextmanager
def open_precedents(library: Library) -> Iterator[tuple[Precedents, list[CourtCase]]]:
    """The search over a library's judgments, and these. The index of their sections is made anew after each change.

    Raises LibraryError where it would have to be, and another process writes.
    """
    cases = court_cases(library)
    sections, stamp = SectionIndex(library.folder / FOLDER), library.folder / FOLDER / "generation"
    if not stamp.is_file() or stamp.read_text() != str(library.generation):
        with library.writing("glossator precedents"):
            generation = library.generation
            cases = court_cases(library)
            sections.build(cases)
            stamp.write_text(str(generation))
    sections.open()
    try:
        yield Precedents(cases, sections), cases
    finally:
        sections.close()
