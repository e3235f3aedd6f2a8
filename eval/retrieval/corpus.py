"""A benchmark's passages as a library: each record is one document of one passage, kept for the next run."""

from __future__ import annotations

import hashlib
import html
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rag.document import Document, Page
from rag.errors import IndexMismatch
from rag.index.manager import NEEDS, Indexes
from rag.library.catalogue import Library
from rag.models.registry import catalogue, fingerprint
from rag.protocols import Report, silent
from rag.records import Passage
from rag.settings import Settings


@dataclass(frozen=True, slots=True)
class Entry:
    """A record of a corpus as its makers wrote it."""

    id: str
    title: str
    text: str

    @property
    def is_empty(self) -> bool:
        """Whether neither title nor text holds a word."""
        return not (self.title.strip() or self.text.strip())

    @property
    def document_id(self) -> str:
        return _digest(self.id, self.title, self.text)


class Corpus:
    """The entries, indexed. `numbers` maps an entry's id to its catalogue number, `passages` to its passage."""

    def __init__(self, entries: Sequence[Entry], indexes: Indexes):
        self.indexes = indexes
        self.ids = {f"{entry.document_id}#0": entry.id for entry in entries}  # passage_id -> the entry's id
        self.numbers: dict[str, int] = {}
        self.passages: dict[str, Passage] = {}
        for number, passage in indexes.library.passages_since(0):
            self.numbers[self.ids[passage.passage_id]] = number
            self.passages[self.ids[passage.passage_id]] = passage


def open_corpus(
    entries: Sequence[Entry], cache: Path, settings: Settings, retrievers: Sequence[str], report: Report = silent
) -> Corpus:
    """The entries as a library below `cache`, with the indexes that these retrievers need.

    What was done before is kept, also by a run that was interrupted. Titles and texts are stored without HTML entities.
    """
    dense = settings.dense
    encoder = fingerprint(dense.model) if dense.model in catalogue() else dense.model
    name = _digest(*(entry.document_id for entry in entries), encoder, str(dense.max_tokens))
    library = Library.open(cache / "corpora" / name, create=True)
    indexes = Indexes(library, settings)
    present = {document.document_id for document in library.documents()}
    missing = [entry for entry in entries if entry.document_id not in present]
    needs = sorted({index for retriever in retrievers for index in NEEDS[retriever]})
    for index in needs:
        try:
            indexes.check_settings([index])
        except IndexMismatch:  # made by a run with other settings
            shutil.rmtree(library.folder / index)
    if missing or not all((library.folder / index / "built.json").is_file() for index in needs):
        with library.writing("glossator eval"):
            for done, entry in enumerate(missing, start=1):
                library.put(*_document(entry), f"/{entry.id}", entry.id, "one passage a record")
                report("records", done, len(missing))
            with indexes.updating(report, needs):
                pass
    return Corpus(entries, indexes)


def _document(entry: Entry) -> tuple[Document, list[Passage]]:
    title, text = html.unescape(entry.title), html.unescape(entry.text)
    document = Document(entry.document_id, "text", title, text, (Page(1, 0, len(text)),))
    return document, [Passage(f"{entry.document_id}#0", entry.document_id, title, "", text, 0, len(text))]


def _digest(*parts: str) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(f"{len(part)}:{part}".encode("utf-8", "surrogatepass"))
    return digest.hexdigest()[:16]
