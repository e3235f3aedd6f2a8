"""Questions that a library can answer, to begin with: made from its chapters, tables, findings and titles."""

from __future__ import annotations

from collections.abc import Iterator

from rag.library.catalogue import Library
from rag.library.documents import DocumentEntry
from ui.wording import printable

MOST = 3
LONGEST = 70  # characters of a name in a question


def suggestions_of(library: Library) -> list[dict[str, str]]:
    """At most MOST questions, each {"question", "document"}: of different kinds of documents first."""
    entries = [entry for entry in library.documents() if entry.status == "ready" and entry.passages]
    by_kind: dict[str, list[DocumentEntry]] = {}
    for entry in sorted(entries, key=lambda entry: (-entry.tables, -entry.passages, entry.document_id)):
        by_kind.setdefault(entry.kind, []).append(entry)
    asked: list[dict[str, str]] = []
    makers = [_questions(library, kind, found) for kind, found in sorted(by_kind.items())]
    while makers and len(asked) < MOST:
        for maker in list(makers):
            question = next(maker, None)
            if question is None:
                makers.remove(maker)
            elif len(asked) < MOST:
                asked.append(question)
    return asked


def _questions(library: Library, kind: str, entries: list[DocumentEntry]) -> Iterator[dict[str, str]]:
    for entry in entries:
        name = _name(entry.title)
        if kind == "legal":
            case = library.case(entry.document_id)
            if case and case.outcome:
                article = case.outcome[0].article
                yield {"question": f"Was there a violation of {article} in {name}?", "document": entry.document_id}
        elif kind == "podcast":
            episode = library.episode(entry.document_id)
            chapters = [chapter for chapter in episode.chapters if chapter.source == "maker"] if episode else []
            longest = max(chapters, key=lambda chapter: chapter.end - chapter.start, default=None)
            about = f"What is said about {_name(longest.title)} in {name}?" if longest else f"What is {name} about?"
            yield {"question": about, "document": entry.document_id}
        else:
            yield {"question": f"Summarise {name} in three sentences.", "document": entry.document_id}


def _name(title: str) -> str:
    """A title as it is named in a question: without its subtitle, and not endless.

    >>> _name("SPECTER: Document-level Representation Learning"), _name("CASE OF ORLIĆ v. CROATIA")
    ('SPECTER', 'CASE OF ORLIĆ v. CROATIA')
    """
    shown = printable(title)
    main = shown.partition(": ")[0]
    shown = main if len(main) >= 4 else shown
    return shown if len(shown) <= LONGEST else shown[:LONGEST].rpartition(" ")[0] + " …"
