"""The picture of a cited page, with the quote marked. Drawn in a limited child process: documents are untrusted."""

from __future__ import annotations

from ingest.read import content_id
from ingest.worker import Limits, limited_output
from rag.errors import DocumentError
from rag.library import Library


def page_picture(library: Library, document_id: str, page: int, start: int, end: int, limits: Limits) -> bytes:
    """PNG of a document's page with the part of text[start:end] on it marked.

    Raises LibraryError for an unknown document, DocumentError if the page or the file it came from is not to be had.
    """
    document = library.document(document_id)
    if not 1 <= page <= len(document.pages):
        raise DocumentError(f"{document.title} has pages 1 to {len(document.pages)}, not {page}")
    span = document.pages[page - 1]
    quote = document.text[max(start, 0) : max(end, 0)]
    # Where on the page the quote starts, 0..1, tells one occurrence from another; one from the page before starts at 0.
    near = max(0.0, (start - span.start) / max(1, span.end - span.start))
    for file in library.files_of(document_id):
        if file.is_file() and content_id(file) == document_id:
            request = {"path": str(file), "page": page, "quote": quote or None, "near": near}
            return limited_output("ingest.page", request, limits)
    raise DocumentError(f"{document.title}: the file it was read from has moved or changed. Ingest it again")
