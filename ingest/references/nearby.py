"""What the lists of references near a file say of its document: beside it, or in the folders above."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

from ingest.references.bibliography import LISTS, Reference, ReferenceList, read_list
from ingest.references.zotero import DATABASE, read_database
from rag.document import Document
from rag.library.catalogue import Library
from rag.library.documents import DocumentEntry

LEVELS = 3  # folders from the document's own upwards: Zotero puts files two below its list
MOST_FILES, MOST_BYTES = 5, 16 << 20  # lists of a folder, and bytes of one, that are read
MOST_DATABASE_BYTES = 2 << 30
STAMP = "reference"  # the fact that says which reference a document was described by


def with_references(document: Document, file: Path) -> Document:
    """The document with what a list near its file says of it, if one does: its title, authors, date, DOI."""
    reference = _reference_near(document.title, document.facts.get("doi", ""), file)
    if reference is None:
        return document
    facts = {**document.facts, **_facts_of(reference)}
    return replace(document, title=reference.facts.get("title") or document.title, facts=facts)


def refresh_references(library: Library, entry: DocumentEntry, file: Path) -> DocumentEntry:
    """Describe a stored document, whose file did not change, by a reference that is new or did: its entry then.

    What its reader called it since stays as long as the reference does. Raises LibraryError.
    """
    facts = library.facts(entry.document_id)
    reference = _reference_near(entry.title, facts.get("doi", ""), file)
    if reference is None or facts.get(STAMP) == _stamp_of(reference):
        return entry
    title = reference.facts.get("title") or entry.title
    library.describe(entry.document_id, title, {**facts, **_facts_of(reference)})
    return library.documents([entry.document_id])[0]


def _facts_of(reference: Reference) -> dict[str, str]:
    facts = {key: value for key, value in reference.facts.items() if key != "title"}
    return {**facts, STAMP: _stamp_of(reference)}


def _stamp_of(reference: Reference) -> str:
    return hashlib.sha256(json.dumps(sorted(reference.facts.items())).encode()).hexdigest()[:16]


def _reference_near(title: str, doi: str, file: Path) -> Reference | None:
    for folder in [file.absolute().parent, *file.absolute().parents][1 : LEVELS + 1]:
        try:
            for each in _lists_in(folder, folder.stat().st_mtime_ns):
                status = each.stat()
                if status.st_size <= (MOST_DATABASE_BYTES if each.name == DATABASE else MOST_BYTES):
                    found = _read(each, status.st_mtime_ns, status.st_size).find(title, doi, file)
                    if found is not None:
                        return found
        except OSError:
            pass  # a folder that may not be looked at has no list for us
    return None


@lru_cache(maxsize=64)
def _lists_in(folder: Path, changed: int) -> tuple[Path, ...]:
    """The lists in a folder, whose time of change is `changed`: it is looked through once."""
    lists = sorted(each for each in folder.iterdir() if each.suffix.lower() in LISTS or each.name == DATABASE)
    return tuple([each for each in lists if each.is_file()][:MOST_FILES])


@lru_cache(maxsize=16)
def _read(file: Path, changed: int, size: int) -> ReferenceList:
    return read_database(file) if file.name == DATABASE else read_list(file)
