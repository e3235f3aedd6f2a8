"""The picture of a page, with its size. Drawn in a limited child process: documents are untrusted."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from ingest.child_process import Limits, limited_output
from ingest.pdf.draw_page import SIZE
from ingest.read import content_id
from rag.errors import DocumentError
from rag.library.catalogue import Library

SIGNATURE = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True, slots=True)
class PagePicture:
    """A page's PNG, and the page's width and height in points as it is shown."""

    png: bytes
    width: float
    height: float


def page_picture(library: Library, document_id: str, page: int, limits: Limits) -> PagePicture:
    """A document's page as a picture.

    Raises LibraryError for an unknown document, DocumentError if the page or the file it came from cannot be read.
    """
    document = library.document(document_id)
    if not 1 <= page <= len(document.pages):
        raise DocumentError(f"{document.title} has pages 1 to {len(document.pages)}, not {page}")
    for file in library.files_of(document_id):
        library.bring(file)
        if file.is_file() and content_id(file) == document_id:
            png = limited_output("ingest.pdf.draw_page", {"path": str(file), "page": page}, limits)
            width, height = size_of(png)
            return PagePicture(png, width, height)
    raise DocumentError(f"{document.title}: the file it was read from has moved or changed. Ingest it again")


def size_of(png: bytes) -> tuple[float, float]:
    """The page's size in points, which draw_page.py writes into its picture. Raises DocumentError without one."""
    for kind, content in _chunks(png):
        name, _, value = content.partition(b"\0")
        if kind == b"tEXt" and name == SIZE.encode():
            width, height = value.decode("latin-1").split()
            return float(width), float(height)
    raise DocumentError("the picture of the page does not say how large the page is. Try again")


def _chunks(png: bytes) -> Iterator[tuple[bytes, bytes]]:
    """(type, content) of each chunk of a PNG."""
    at = len(SIGNATURE)
    while png.startswith(SIGNATURE) and at + 12 <= len(png):
        (length,) = struct.unpack(">I", png[at : at + 4])
        yield png[at + 4 : at + 8], png[at + 8 : at + 8 + length]
        at += 12 + length
