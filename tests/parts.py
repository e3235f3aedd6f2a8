"""What several test files build or measure."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from ingest.build import build
from ingest.child_process import Children, Limits
from ingest.pdf.assemble import assemble
from ingest.pdf.pdf_reading import PdfSource, read_document
from ingest.read import content_id
from rag.document import Document
from rag.encode.dense_encoder import BertEncoder
from rag.index.manager import Indexes
from rag.library.catalogue import Library
from rag.locator import PageSpan
from rag.models.registry import path_of
from rag.records import Passage
from rag.settings import load_settings
from tests.conftest import LIGHT_READER
from tests.pdfs import make_pdf


def assert_linear(work: Callable[[str], object], text: str, eight_times: str) -> None:
    """Eight times the text may take 24 times as long, give or take a tick; a quadratic way takes 64 times."""

    def seconds(raw: str) -> float:
        def once() -> float:
            started = time.process_time()
            work(raw)
            return time.process_time() - started

        return min(once() for _ in range(2))

    assert seconds(eight_times) < 24 * seconds(text) + 0.02


def passage(number: int, text: str, document_id: str = "d", title: str = "", start: int = 0, page: int = 1) -> Passage:
    """A passage "<document_id>#<number>" on one page, at `start` in its document."""
    passage_id = f"{document_id}#{number}"
    return Passage(
        passage_id, document_id, title, f"{document_id}.pdf", text, start, start + len(text), PageSpan(page, page)
    )


def paged(raw_pages: Sequence[str]) -> Document:
    """A document of pages of one paragraph each, as it comes out of assemble."""
    pages = [[_paragraph(raw)] if raw else [] for raw in raw_pages]
    read = assemble(lambda: ({"width": 600.0, "height": 800.0, "ocr": False, "blocks": blocks} for blocks in pages), [])
    return Document("d", "pdf", "", read.text, read.pages, (), read.raw_offsets, read.regions)


def _paragraph(raw: str) -> dict[str, object]:
    return {
        "kind": "text", "box": [0.0, 0.0, 1.0, 1.0], "label": "", "level": 0, "size": 10.0, "caption": 0,
        "picture": None, "confidence": None, "lines": [[line, []] for line in raw.split("\n")],
    }  # fmt: skip


def read_pdf(file: Path, passwords: Sequence[str] = (), ocr: bool = False) -> Document:
    """A PDF as ingest reads it, in child processes. OCR takes seconds a page: only where it is the point."""
    source = PdfSource(file, content_id(file), tuple(passwords), Limits(60, 2048), ocr)
    children = Children(threading.Semaphore(2), 2, threading.Event())
    with TemporaryDirectory() as folder:
        document, pages = read_document(
            source, Path(folder), lambda png: hashlib.sha256(png).hexdigest(), children, lambda read, count: None
        )
        pages.remove()
    return document


@cache
def encoder() -> BertEncoder:
    """The default encoder, loaded once in this process."""
    return BertEncoder(path_of("all-minilm-l6-v2"), 256, 32)


BRIDGE = [
    ["This report is about the old bridge in the valley.", "It was written for the town council in 1920."],
    ["The Tarn bridge was opened in 1911 by Clyde Foundry.", "It was the largest ironworks of the north."],
    ["Its main span is 84 metres long.", "The towers are made of red granite."],
]
GARDEN = [
    ["Tomatoes want sun and much water.", "Carrots are sown in April, in loose soil."],
    ["The beehives of the monastery stood at the south wall.", "Their honey was sold on Saturdays."],
]
_folders: list[TemporaryDirectory[str]] = []  # removed when the process ends


@cache
def small_library() -> Indexes:
    """Two documents (a bridge, a garden) of three pages and two, ingested once in this process."""
    _folders.append(TemporaryDirectory())
    folder = Path(_folders[-1].name)
    files = [
        make_pdf(folder / "bridge.pdf", BRIDGE, "The Tarn Bridge"),
        make_pdf(folder / "garden.pdf", GARDEN, "A Garden Book"),
    ]
    settings = load_settings([LIGHT_READER, "ingest.passage_tokens=30", "ingest.overlap_tokens=0", "retrieve.k=3"])
    indexes = Indexes(Library.open(folder / "library", create=True), settings)
    indexes.encoders._dense = encoder()
    summary = build(files, indexes.library, indexes, settings.ingest)
    assert summary.count("added") == 2
    return indexes
