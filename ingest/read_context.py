"""What the reader of each kind of document is given, and what it returns."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ingest.child_process import Children, Limits

if TYPE_CHECKING:
    from ingest.pdf.page_store import PageFile
    from rag.document import Document
    from rag.index.manager import Indexes
    from rag.library.catalogue import Library
    from rag.protocols import Report
    from rag.settings import Ingest


@dataclass(frozen=True, slots=True)
class ReadContext:
    """One run of ingestion: where documents go, the settings and limits, and the kind that the user asked for."""

    library: Library
    indexes: Indexes
    settings: Ingest
    passwords: tuple[str, ...]
    limits: Limits
    children: Children
    report: Report
    wanted: str  # a name in kinds.KINDS, or kinds.AUTO


@dataclass(frozen=True, slots=True)
class Member:
    """One document in a file of many: its key there, its document_id, and a hash of its metadata.

    `metadata_hash` changes with what its record has beside the text. `error`: why it cannot be read, or "". All are ""
    for a document that is alone in its file.
    """

    key: str = ""
    document_id: str = ""
    metadata_hash: str = ""
    error: str = ""


@dataclass(frozen=True, slots=True)
class Part:
    """What may become a document: a whole file or, with `member`, one of many documents in it, of kind `kind`."""

    file: Path
    member: Member | None = None
    kind: str = ""
    number: int = 0  # of the member, from 0
    last: bool = False  # of the members

    def at(self, path: Path) -> str:
        """The name of the document under a path of its file: "cases.jsonl#001-1"."""
        return f"{path}#{self.member.key}" if self.member else str(path)

    @property
    def shown(self) -> str:
        return self.at(self.file)

    @property
    def path(self) -> str:
        return self.at(self.file.absolute())


@dataclass(frozen=True, slots=True)
class ReadDocument:
    """A document as it was read. `pages`: what is kept on disk of a PDF until the document is stored."""

    document: Document
    pages: PageFile | None = None
