"""Makers of PDFs with reportlab that remember what they drew and where, and reading them as ingest does."""

from __future__ import annotations

import hashlib
import json
import random
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pypdfium2
from reportlab.lib.utils import simpleSplit
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.pdfgen.canvas import Canvas

from ingest.child_process import Children, Limits
from ingest.chunk import chunk
from ingest.pdf.assemble import assemble, geometry
from ingest.pdf.extract import read_outline, read_page
from ingest.pdf.pdf_reading import PdfSource, read_document
from ingest.read import content_id
from rag.document import Box, Document
from rag.library.boxes import boxes_of, raw_offset
from rag.records import Passage

A4 = (595.0, 842.0)
CONSONANTS, VOWELS = "bdfgklmnprstz", "aeiou"
REGULAR, BOLD, ITALIC = "Times-Roman", "Times-Bold", "Times-Italic"


# -- words -------------------------------------------------------------------------------------------------------------


@dataclass
class Words:
    """Words that no language has, each only once, in the order in which they were asked for."""

    given: list[str] = field(default_factory=list)
    _known: set[str] = field(default_factory=set)

    def word(self) -> str:
        number = (len(self.given) + 1) * 7919
        letters = []
        for _ in range(2 + (number % 7 > 3) + (number % 5 == 0)):
            number, vowel = divmod(number, len(VOWELS))
            number, consonant = divmod(number, len(CONSONANTS))
            letters.append(CONSONANTS[consonant] + VOWELS[vowel])
        word = "".join(letters)
        while word in self._known:
            word += "nrs"[len(self.given) % 3]
        self._known.add(word)
        self.given.append(word)
        return word

    def words(self, count: int) -> str:
        return " ".join(self.word() for _ in range(count))

    def sentence(self, count: int = 12) -> str:
        words = self.words(count)
        return f"{words[0].upper()}{words[1:]}."

    def paragraph(self, sentences: int = 4, count: int = 12) -> str:
        return " ".join(self.sentence(count) for _ in range(sentences))


# -- drawing -----------------------------------------------------------------------------------------------------------


class Sheet:
    """A PDF that is being drawn. Lengths are points; y is that of a base line, from the bottom of the page."""

    def __init__(self, path: Path, size: tuple[float, float] = A4, title: str = ""):
        self.path, self.size = path, size
        self.canvas = Canvas(str(path), pagesize=size, invariant=1, pageCompression=1)
        if title:
            self.canvas.setTitle(title)

    def text(self, x: float, y: float, words: str, size: float = 10, font: str = REGULAR) -> None:
        self.canvas.setFont(font, size)
        self.canvas.drawString(x, y, words)

    def right(self, x: float, y: float, words: str, size: float = 10, font: str = REGULAR) -> None:
        self.canvas.setFont(font, size)
        self.canvas.drawRightString(x, y, words)

    def middle(self, x: float, y: float, words: str, size: float = 10, font: str = REGULAR) -> None:
        self.canvas.setFont(font, size)
        self.canvas.drawCentredString(x, y, words)

    def lines(self, x: float, y: float, lines: Sequence[str], size: float = 10, font: str = REGULAR) -> float:
        """Draw the lines, each below the other; y of the line that would follow."""
        for line in lines:
            self.text(x, y, line, size, font)
            y -= 1.2 * size
        return y

    def prose(
        self, x: float, y: float, width: float, words: str, size: float = 10, font: str = REGULAR, indent: float = 12
    ) -> float:
        """Draw a justified paragraph; y of the line that would follow."""
        lines = wrapped(words, width, size, font, indent)
        for number, line in enumerate(lines):
            self.justified(x, y, width, line, number == len(lines) - 1, size, font, indent if number == 0 else 0)
            y -= 1.2 * size
        return y

    def justified(
        self, x: float, y: float, width: float, line: str, last: bool, size: float, font: str, indent: float = 0
    ) -> None:
        blanks = max(1, line.count(" "))
        spare = width - indent - pdfmetrics.stringWidth(line, font, size)
        last = last or spare / blanks > 0.5 * size  # a typesetter would rather cut a word
        text = self.canvas.beginText(x + indent, y)
        text.setFont(font, size)
        text.setWordSpace(0 if last else spare / blanks)
        text.textOut(line)
        self.canvas.drawText(text)

    def rule(self, left: float, right: float, y: float, width: float = 0.7) -> None:
        self.canvas.setLineWidth(width)
        self.canvas.line(left, y, right, y)

    def next_page(self) -> None:
        self.canvas.showPage()

    def save(self) -> Path:
        self.canvas.save()
        return self.path


def wrapped(words: str, width: float, size: float = 10, font: str = REGULAR, indent: float = 0) -> list[str]:
    """The lines that the words make in this width, the first one indented."""
    first, *rest = simpleSplit(words, font, size, width - indent) if words else [""]
    return [first, *(simpleSplit(" ".join(rest), font, size, width) if rest else [])]


@dataclass
class Flow:
    """Paragraphs that run through columns: (x, y of the top, y of the bottom, width), page after page.

    A column None is a page's end.
    """

    sheet: Sheet
    columns: Sequence[tuple[float, float, float, float] | None]
    size: float = 10
    at: int = -1
    y: float = 0.0

    def pour(self, paragraphs: Sequence[str], indent: float = 12, gap: float = 0) -> None:
        for words in paragraphs:
            if self.at < 0:
                self._next()
            lines = wrapped(words, self._column()[3], self.size, indent=indent)
            for number, line in enumerate(lines):
                if self.y < self._column()[2]:
                    self._next()
                x, _, _, width = self._column()
                shift = indent if number == 0 else 0
                self.sheet.justified(x, self.y, width, line, number == len(lines) - 1, self.size, REGULAR, shift)
                self.y -= 1.2 * self.size
            self.y -= gap

    def _column(self) -> tuple[float, float, float, float]:
        column = self.columns[self.at]
        assert column is not None
        return column

    def _next(self) -> None:
        self.at += 1
        while self.columns[self.at] is None:
            self.sheet.next_page()
            self.at += 1
        self.y = self._column()[1]


def strips(
    count: int, top: float, bottom: float, left: float = 60, right: float = 535, gutter: float = 18
) -> list[Any]:
    """So many columns side by side, for a Flow."""
    width = (right - left - gutter * (count - 1)) / count
    return [(left + i * (width + gutter), top, bottom, width) for i in range(count)]


@dataclass(frozen=True)
class Grid:
    """How a table is drawn: rules ("all", "three" as booktabs has them, "none"), and its columns' left sides."""

    left: float
    widths: Sequence[float]
    rules: str = "three"
    size: float = 9

    @property
    def right(self) -> float:
        return self.left + sum(self.widths)

    def draw(self, sheet: Sheet, y: float, head: Sequence[Sequence[str]], rows: Sequence[Sequence[str]]) -> float:
        """Draw it below y; where it ends. A head's cell "name>" stands over two columns."""
        step, top = 1.5 * self.size, y
        lefts = [self.left + sum(self.widths[:i]) for i in range(len(self.widths) + 1)]
        if self.rules != "none":
            sheet.rule(self.left, self.right, y)
        for number, row in enumerate([*head, *rows]):
            y -= step
            for i, cell in enumerate(row):
                if cell.endswith(">"):
                    sheet.middle((lefts[i] + lefts[i + 2]) / 2, y + 3, cell[:-1], self.size)
                    if self.rules == "three":
                        sheet.rule(lefts[i] + 6, lefts[i + 2] - 6, y, 0.3)
                elif i == 0:
                    sheet.text(lefts[i] + 3, y + 3, cell, self.size)
                elif cell:
                    sheet.middle((lefts[i] + lefts[i + 1]) / 2, y + 3, cell, self.size)
            if self.rules == "all" or (self.rules == "three" and number in (len(head) - 1, len(head) + len(rows) - 1)):
                sheet.rule(self.left, self.right, y)
        if self.rules == "all":
            for x in lefts:
                sheet.canvas.line(x, y, x, top)
        return y


# -- reading -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Made:
    """A PDF as it was read in this process: the document, the runs of each page, and its pictures by their hash."""

    file: Path
    document: Document
    runs: list[list[list[Any]]]
    pictures: dict[str, bytes]
    pages: list[dict[str, Any]]

    @property
    def text(self) -> str:
        return self.document.text

    def passages(self, size: int = 180, overlap: int = 0) -> list[Passage]:
        return chunk(self.document, size, overlap)

    def of_kind(self, kind: str) -> list[Any]:
        return [region for region in self.document.regions if region.kind == kind]

    def words_of(self, region: Any) -> str:
        return " ".join(self.text[region.start : region.end].split())

    def prose(self) -> str:
        """The text without its tables and figures."""
        kinds = ("table", "figure")
        return "\n".join(self.text[r.start : r.end] for r in self.document.regions if r.kind not in kinds)

    def places(self, start: int, end: int) -> list[tuple[int, Box]]:
        """(page, rectangle) of the letters of text[start:end], which lie on one page, as the library finds them."""
        offsets = self.document.raw_offsets
        page = next(p for p in self.document.pages if p.start <= start < p.end)
        first = raw_offset(offsets, page.start)
        low, high = raw_offset(offsets, start) - first, raw_offset(offsets, end - 1) + 1 - first
        return [(page.number, box) for box in boxes_of(self.runs[page.number - 1], low, high)]


def read_made(file: Path, ocr: bool = False) -> Made:
    """Read a PDF in this process, without a child: quick, and with the traceback of whatever goes wrong."""
    import base64

    pages, pictures = [], {}
    with pypdfium2.PdfDocument(file) as pdf:
        for number in range(1, len(pdf) + 1):
            what, page = read_page(pdf, number, ocr)
            assert what == "page", page
            for block in page["blocks"]:
                if block["picture"]:
                    png = base64.b64decode(block["picture"])
                    block["picture"] = hashlib.sha256(png).hexdigest()
                    pictures[block["picture"]] = png
            pages.append(json.loads(json.dumps(page)))
    outline = read_outline(file, None)
    read = assemble(lambda: iter(pages), outline["outline"])
    document = Document(
        content_id(file), "pdf", outline["title"], read.text, read.pages, (), read.raw_offsets, read.regions
    )
    return Made(file, document, list(geometry(pages, read.recurring)), pictures, pages)


@dataclass(frozen=True)
class ReadByChildren:
    document: Document
    geometry: list[Any]
    pictures: dict[str, bytes]


def read_by_children(
    file: Path,
    folder: Path,
    jobs: int = 1,
    passwords: Sequence[str] = (),
    page_seconds: float = 5,
    memory_mb: int = 500,
    ocr: bool = False,
) -> ReadByChildren:
    """Read a PDF as ingest does, in limited children. Raises DocumentError."""
    pictures: dict[str, bytes] = {}

    def keep(png: bytes) -> str:
        name = hashlib.sha256(png).hexdigest()
        pictures[name] = png
        return name

    source = PdfSource(file, content_id(file), tuple(passwords), Limits(page_seconds, memory_mb), ocr)
    children = Children(threading.Semaphore(jobs), jobs, threading.Event())
    document, pages = read_document(source, folder, keep, children, lambda read, count: None)
    try:
        return ReadByChildren(document, list(geometry(pages, pages.recurring)), pictures)
    finally:
        pages.remove()


# -- fonts -------------------------------------------------------------------------------------------------------------


def dejavu() -> str:
    """A font with Hebrew, Arabic and ligatures, which matplotlib brings along."""
    if "DejaVu" not in pdfmetrics.getRegisteredFontNames():
        import matplotlib

        pdfmetrics.registerFont(TTFont("DejaVu", f"{matplotlib.get_data_path()}/fonts/ttf/DejaVuSans.ttf"))
    return "DejaVu"


# -- letters, seen independently ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Letter:
    character: str
    x: float  # of its middle, on the page as it is shown
    y: float


def letters_of(page: pypdfium2.PdfPage) -> Iterator[Letter]:
    """The letters of a page and their middles on the page as it is shown, by pdfium alone."""
    import ctypes

    import pypdfium2.raw as pdfium

    text = page.get_textpage()
    width, height = (round(10 * side) for side in page.get_size())
    x, y = ctypes.c_int(), ctypes.c_int()
    for i in range(text.count_chars()):
        character = chr(pdfium.FPDFText_GetUnicode(text, i))
        if character.isspace() or character == "\ufffe":
            continue
        left, bottom, right, top = text.get_charbox(i, loose=True)
        if right - left <= 0 and top - bottom <= 0:
            continue
        # pdfium's own way from a page to a picture of it, in which y runs down
        middle = (left + right) / 2, (bottom + top) / 2
        pdfium.FPDF_PageToDevice(page, 0, 0, width, height, 0, *middle, ctypes.byref(x), ctypes.byref(y))
        yield Letter(character, x.value / 10, (height - y.value) / 10)


# -- bytes -------------------------------------------------------------------------------------------------------------


def raw_pdf(objects: Sequence[bytes], root: int = 1, trailer: bytes = b"") -> bytes:
    """A PDF of these objects, numbered from 1, with a table of where they are."""
    body, at = b"%PDF-1.7\n", []
    for number, content in enumerate(objects, start=1):
        at.append(len(body))
        body += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    start, table = len(body), b"".join(b"%010d 00000 n \n" % offset for offset in at)
    size = len(objects) + 1
    body += b"xref\n0 %d\n0000000000 65535 f \n%s" % (size, table)
    return body + b"trailer\n<< /Size %d /Root %d 0 R %s >>\nstartxref\n%d\n%%%%EOF\n" % (size, root, trailer, start)


def mutated(content: bytes, chance: random.Random) -> bytes:
    """The bytes with a few of them flipped, cut away, doubled or exchanged."""
    changed = bytearray(content)
    for _ in range(chance.randint(1, 4)):
        size = len(changed)
        if size < 64:
            break
        start = chance.randrange(size - 32)
        length = chance.choice((1, 4, 16, 64, 512, 4096))
        end = min(size, start + length)
        how = chance.randrange(6)
        if how == 0:
            for _ in range(chance.choice((1, 8, 64))):
                changed[chance.randrange(size)] ^= 1 << chance.randrange(8)
        elif how == 1:
            del changed[start:end]
        elif how == 2:
            changed[start:start] = changed[start:end]
        elif how == 3:
            other = chance.randrange(size - 32)
            block = bytes(changed[start:end])
            changed[start:end] = changed[other : other + len(block)]
            changed[other : other + len(block)] = block
        elif how == 4:
            changed[start:end] = chance.randbytes(end - start)
        else:  # a number somewhere becomes another one
            digits = [i for i in range(start, min(size, start + 4096)) if 0x30 <= changed[i] <= 0x39]
            for i in chance.sample(digits, min(len(digits), 4)):
                changed[i] = chance.choice(b"0123456789")
    if chance.random() < 0.1 and changed:
        del changed[chance.randrange(len(changed)) :]
    return bytes(changed)
