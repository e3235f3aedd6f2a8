"""The picture of a cited page, with what is cited marked. Drawn in a limited child process: documents are untrusted."""

from __future__ import annotations

from ingest.child_process import Limits, limited_output
from ingest.read import content_id
from rag.errors import DocumentError
from rag.library.catalogue import Library


def page_picture(library: Library, document_id: str, page: int, start: int, end: int, limits: Limits) -> bytes:
    """PNG of a document's page with the part of text[start:end] on it marked, and its table or figure framed.

    Raises LibraryError for an unknown document, DocumentError if the page or the file it came from
    cannot be read.
    """
    document = library.document(document_id)
    if not 1 <= page <= len(document.pages):
        raise DocumentError(f"{document.title} has pages 1 to {len(document.pages)}, not {page}")
    for file in library.files_of(document_id):
        if file.is_file() and content_id(file) == document_id:
            boxes = [box for number, box in library.places(document_id, start, end) if number == page]
            frames = [box for number, box in library.frames(document_id, start, end) if number == page]
            request = {"path": str(file), "page": page, "boxes": boxes, "frames": frames}
            return limited_output("ingest.pdf.draw_page", request, limits)
    raise DocumentError(f"{document.title}: the file it was read from has moved or changed. Ingest it again")
