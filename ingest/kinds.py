"""The kinds of documents: how each is recognised, read and cut into passages. One record a kind, one dictionary.

A new kind is a folder with its functions and an entry in KINDS. What a kind stores beside its text are the fields of
Document (episode, case, regions), from which the catalogue fills its tables.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from ingest.audio import recording_reading
from ingest.audio.recording_kind import ENDINGS as RECORDED
from ingest.audio.recording_kind import is_recording, transcript_beside
from ingest.legal import case_reading
from ingest.legal.case_files import is_collection, is_judgment, is_legal
from ingest.legal.case_passages import case_passages
from ingest.pdf import pdf_reading
from ingest.plain_text import HEAD_BYTES
from ingest.podcast import episode_reading
from ingest.podcast.formats.transcript import is_transcript
from ingest.podcast.sidecars import BESIDE
from ingest.podcast.transcript_passages import transcript_passages
from ingest.read_context import Member, ReadContext, ReadDocument
from ingest.reflowable import formats, reflowable_reading
from ingest.reflowable.part_passages import part_passages
from ingest.text_passages import text_passages
from rag.document import Document
from rag.errors import DocumentError
from rag.library.catalogue import Library
from rag.library.documents import DocumentEntry
from rag.records import Passage

AUTO = "auto"  # in place of a kind: the one that a file is recognised as


@dataclass(frozen=True, slots=True)
class FileCollection:
    """How files of a kind that hold many documents are read: one document after the other, in one child process."""

    sniff: Callable[[bytes], bool]  # by a file's first HEAD_BYTES: whether it holds records, a document each
    open: Callable[[Path, ReadContext], case_reading.CaseReading]
    recipe: Callable[[Member, ReadContext], str]


@dataclass(frozen=True, slots=True)
class TextKind:
    """How a document that was read as a PDF is found, by its text, to be of another kind."""

    sniff: Callable[[str], bool]
    convert: Callable[[Document, ReadContext], Document]


@dataclass(frozen=True, slots=True)
class DocumentKind:
    """One kind of document. `read` and `recipe` are given the file, the document_id and the run's context.

    A document is read again when the recipe stored with it is no longer the one that `recipe` returns.
    """

    plural: str  # what its files are called in messages
    version: str  # the beginning of its recipes
    sniff: Callable[[str, bytes], bool]  # (file name, its first HEAD_BYTES) -> whether it is of this kind
    recipe: Callable[[Path, str, ReadContext], str]
    read: Callable[[Path, str, ReadContext], ReadDocument]
    passages: Callable[[Document, int, int], list[Passage]]  # (document, most tokens, tokens of overlap)
    forced: bool = True  # --kind takes any file for one, whatever it is recognised as
    endings: tuple[str, ...] = ()  # a file so called that is none is reported, with `refusal`
    refusal: str = ""
    page_pictures: bool = False  # its pages may be drawn from its file; else the page shows their text
    sidecars: re.Pattern[str] | None = None  # names of files that are read with a document of this kind beside them
    collection: FileCollection | None = None
    of_text: TextKind | None = None  # PDFs may turn out to be of this kind
    with_document: Callable[[Path], Path | None] | None = None  # the document that a file is read with, if there is one
    complete: Callable[[Document, DocumentEntry | None, ReadContext], Document] | None = None  # before it is stored
    stored: Callable[[Library, str], None] | None = None  # after it was stored: (library, document_id)


def _reflowable(kind: str, plural: str, endings: tuple[str, ...] = (), refusal: str = "") -> DocumentKind:
    """A kind of documents without pages (ingest/reflowable/)."""
    return DocumentKind(
        plural,
        reflowable_reading.VERSION,
        formats.sniffer(kind),
        reflowable_reading.recipe_of_reflowable,
        partial(reflowable_reading.read_reflowable, kind=kind),
        part_passages,
        forced=False,
        endings=endings,
        refusal=refusal,
    )


AGAIN = "whatever its name says (an older format, or one with a password?). Open it, and save it again as"
KINDS: dict[str, DocumentKind] = {  # in the order in which a file is tried
    "pdf": DocumentKind(
        "PDFs",
        pdf_reading.VERSION,
        lambda _, head: b"%PDF-" in head[:1024],
        pdf_reading.recipe_of_pdf,
        pdf_reading.read_pdf,
        text_passages,
        forced=False,
        page_pictures=True,
        endings=(".pdf",),
        refusal="is not a PDF, whatever its name says. Leave it out, or convert it to PDF",
    ),
    "legal": DocumentKind(
        "judgments",
        case_reading.VERSION,
        lambda _, head: is_legal(head),
        case_reading.recipe_of_judgment,
        case_reading.read_judgment_file,
        case_passages,
        page_pictures=True,
        collection=FileCollection(is_collection, case_reading.open_cases, case_reading.recipe_of_record),
        of_text=TextKind(is_judgment, case_reading.with_structure),
    ),
    "podcast": DocumentKind(
        "transcripts",
        episode_reading.VERSION,
        is_transcript,
        episode_reading.recipe_of_transcript,
        episode_reading.read_episode,
        transcript_passages,
        sidecars=BESIDE,
        complete=episode_reading.with_chapters,
        stored=episode_reading.stored_transcript,
    ),
    "word": _reflowable("word", "Word documents", (".docx", ".docm"), f"is no Word document, {AGAIN} .docx"),
    "slides": _reflowable("slides", "slides", (".pptx", ".pptm"), f"is no presentation, {AGAIN} .pptx"),
    "ebook": _reflowable("ebook", "e-books", (".epub",), "is no EPUB, whatever its name says. Fetch it again"),
    "sheet": _reflowable("sheet", "spreadsheets", (".xlsx", ".xlsm"), f"is no workbook, {AGAIN} .xlsx"),
    "email": _reflowable("email", "e-mails", (".eml",), "is no e-mail. Save the message again as .eml"),
    "web": _reflowable("web", "web pages"),
    "text": _reflowable("text", "texts"),
    "audio": DocumentKind(
        "recordings",
        recording_reading.VERSION,
        is_recording,
        recording_reading.recipe_of_recording,
        recording_reading.read_recording,
        transcript_passages,
        forced=False,
        endings=RECORDED,
        refusal="is no recording, whatever its name says, or a damaged one. Save it again as .mp3",
        with_document=lambda file: transcript_beside(
            file, lambda other: sniffed(other.name, head_of(other)) == "podcast"
        ),
        complete=recording_reading.with_chapters_of_recording,
        stored=recording_reading.forget_recording,
    ),
}
OLDER = {".doc": ".docx", ".ppt": ".pptx", ".xls": ".xlsx", ".rtf": ".docx", ".odt": ".docx", ".mobi": ".epub"}
PDF = "pdf"  # the kind whose documents may turn out to be of another


def head_of(file: Path) -> bytes:
    """The first HEAD_BYTES of a file. Raises OSError."""
    with file.open("rb") as stream:
        return stream.read(HEAD_BYTES)


def sniffed(name: str, head: bytes) -> str:
    """The kind of a file by its name and its first HEAD_BYTES; "" for none."""
    return next((kind for kind, how in KINDS.items() if how.sniff(name, head)), "")


def turns_into(kind: str, wanted: str) -> bool:
    """Whether a document that was read as `kind` may turn out to be of the kind `wanted`."""
    return kind == PDF and wanted in KINDS and KINDS[wanted].of_text is not None


def is_wanted(kind: str, wanted: str) -> bool:
    """Whether a file of this kind is read where the kind `wanted`, or AUTO, is asked for."""
    return wanted in (AUTO, kind) or turns_into(kind, wanted)


def listed_kind(file: Path) -> str:
    """As kind_of, but "" for a file of no kind, and for one that is read with another; one with the ending of a kind
    has it, so that its error is reported."""
    try:
        head = head_of(file) if file.is_file() else b""
    except OSError:
        head = b""
    found = sniffed(file.name, head) or _kind_by_ending(file)
    beside = KINDS[found].with_document if found else None
    return "" if beside and beside(file) else found


def _kind_by_ending(file: Path) -> str:
    ending = file.suffix.lower()
    return next((name for name, kind in KINDS.items() if ending in kind.endings), "")


def kind_of(file: Path, wanted: str = AUTO) -> str:
    """The kind that a file is read as: a name in KINDS. A judgment in a PDF is read as a PDF.

    `wanted` overrules what the file is recognised as, where the kind allows that. Raises DocumentError for a file of no
    kind, or none of the kind wanted.
    """
    try:
        if file.exists() and not file.is_file():
            raise DocumentError("is not a file (a pipe, a device or a folder). Leave it out")
        head = head_of(file)
    except OSError as error:
        raise DocumentError(f"cannot be read: {error.strerror}. Check its permissions") from error
    if not head:
        raise DocumentError("is empty (0 bytes). Fetch or copy it again")
    found = sniffed(file.name, head)
    if found and is_wanted(found, wanted):
        if (other := KINDS[found].with_document) and (transcript := other(file)):
            raise DocumentError(f"is read with the transcript beside it. Name that: {transcript.name}")
        return found
    beside = any(kind.sidecars and kind.sidecars.search(file.name) for kind in KINDS.values())
    if wanted != AUTO and KINDS[wanted].forced and not (beside and KINDS[wanted].sidecars):
        return wanted
    if beside and (wanted == AUTO or KINDS[wanted].forced):
        raise DocumentError("is no document: it is read with the transcript beside it. Name the transcript")
    claimed = _kind_by_ending(file) if wanted == AUTO else wanted
    if claimed and KINDS[claimed].refusal:
        raise DocumentError(KINDS[claimed].refusal)
    if newer := OLDER.get(file.suffix.lower()):
        raise DocumentError(f"is of a format that is not read. Open it, and save it again as {newer}")
    raise DocumentError(
        "is of no kind that is read here. Leave it out, or save it as PDF, .docx or text; "
        "of another form: --kind podcast, or legal"
    )
