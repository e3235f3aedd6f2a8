"""What pdfium knows of a page: its letters with their places, and the boxes of its pictures and drawings.

All geometry is in points of the page as it is shown: after /Rotate, from the lower left corner of its crop box, y
upwards. Nothing is interpreted here.
"""

from __future__ import annotations

import ctypes
import math
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pypdfium2
import pypdfium2.raw as pdfium

from rag.document import Box
from rag.errors import DocumentError

HYPHEN = "\x02"  # what pdfium makes of a hyphen at a line's end
MOST_GLYPHS = 200_000  # of a page; a full newspaper page has about 30,000
MOST_GRAPHICS = 20_000
LARGEST_FORM = 0.4  # of a page; a larger one is what the page was made from, not a drawing on it
FORCE_BOLD = 1 << 18  # of a font's flags (ISO 32000-1, table 123)
BOLD = re.compile(rb"bold|black|heavy|-bd\b|demi|medi(?!um)|cmbx", re.I)
KINDS = {
    pdfium.FPDF_PAGEOBJ_IMAGE: "image", pdfium.FPDF_PAGEOBJ_FORM: "form", pdfium.FPDF_PAGEOBJ_PATH: "path",
    pdfium.FPDF_PAGEOBJ_SHADING: "path",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Glyph:
    """A letter where it is shown. `turn` (0, 90, 180, 270) is how far it is turned anticlockwise from upright."""

    character: str
    box: Box
    turn: int
    bold: bool


@dataclass(frozen=True, slots=True)
class Graphic:
    """A picture ("image"), a drawing of its own ("form") or a stroke or area ("path")."""

    kind: str
    box: Box


@dataclass(frozen=True, slots=True)
class PageContent:
    width: float
    height: float
    glyphs: list[Glyph]  # in the order of the file; " " also where pdfium sees a gap between words
    graphics: list[Graphic]


@contextmanager
def open_pdf(path: Path, password: str | None) -> Iterator[pypdfium2.PdfDocument]:
    """The document; whatever pdfium cannot do inside the block becomes a DocumentError of one line."""
    try:
        with pypdfium2.PdfDocument(path, password=password) as document:
            yield document
    except pypdfium2.PdfiumError as error:
        if error.err_code == pdfium.FPDF_ERR_PASSWORD:
            what = "that is not its password" if password else "it needs a password"
            raise DocumentError(f"{path}: encrypted; {what}") from error
        raise DocumentError(f"{path}: cannot be drawn, the file may be damaged: {error}") from error
    except OSError as error:
        raise DocumentError(f"{path}: cannot be opened; is it still there?") from error


def read_content(page: pypdfium2.PdfPage) -> PageContent:
    """Raises pypdfium2.PdfiumError for a page that pdfium cannot load, DocumentError for one of absurd size."""
    width, height = page.get_size()
    frame = _Frame(page)
    text = page.get_textpage()
    count = text.count_chars()
    if count > MOST_GLYPHS:
        raise DocumentError(f"it has {count:,} letters, more than {MOST_GLYPHS:,}")
    return PageContent(width, height, list(_glyphs(text, count, frame)), list(_graphics(page, frame)))


def _glyphs(text: pypdfium2.PdfTextPage, count: int, frame: _Frame) -> Iterator[Glyph]:
    box, name, flags = pdfium.FS_RECTF(), ctypes.create_string_buffer(100), ctypes.c_int()
    bold, fresh = False, True
    for i in range(count):
        character = chr(min(pdfium.FPDFText_GetUnicode(text, i), sys.maxunicode))
        if character in "\r\n":
            fresh = True
            continue
        pdfium.FPDFText_GetLooseCharBox(text, i, ctypes.byref(box))
        if fresh and character != " ":  # a style changes between words, and asking costs
            pdfium.FPDFText_GetFontInfo(text, i, name, 100, ctypes.byref(flags))
            bold = bool(flags.value & FORCE_BOLD or BOLD.search(name.value))
        fresh = character == " "
        angle = pdfium.FPDFText_GetCharAngle(text, i)
        clockwise = round(math.degrees(angle) / 90) * 90 if angle > 0 else 0
        place = frame.shown((box.left, box.bottom, box.right, box.top))
        yield Glyph(character, place, -(clockwise + frame.turn) % 360, bold)


def _graphics(page: pypdfium2.PdfPage, frame: _Frame) -> Iterator[Graphic]:
    """Pictures and strokes; a drawing of its own as a whole, unless it holds most of the page."""
    area = max(1.0, page.get_width() * page.get_height())
    whole: set[int] = set()  # ids of the forms that are one graphic
    for number, thing in enumerate(page.get_objects(max_depth=6)):
        if number >= MOST_GRAPHICS:
            return
        if thing.type not in KINDS:
            continue
        holders = _holders(thing)
        if any(id(holder) in whole for holder in holders):
            whole.add(id(thing))
            continue
        try:
            box = frame.shown(_placed(thing.get_bounds(), holders))
        except pypdfium2.PdfiumError:
            continue  # an object without a place is nowhere on the page
        if KINDS[thing.type] == "form":
            if (box[2] - box[0]) * (box[3] - box[1]) > LARGEST_FORM * area:
                continue
            whole.add(id(thing))
        yield Graphic(KINDS[thing.type], box)


def _holders(thing: pypdfium2.PdfObject) -> list[pypdfium2.PdfObject]:
    """The forms that an object stands in, from the inmost out."""
    found: list[pypdfium2.PdfObject] = []
    while (thing := thing.container) is not None:
        found.append(thing)
    return found


def _placed(box: Box, holders: list[pypdfium2.PdfObject]) -> Box:
    """A box in the points of the page, from those of the forms that it stands in."""
    for holder in holders:
        matrix = holder.get_matrix()
        corners = [matrix.on_point(x, y) for x in box[::2] for y in box[1::2]]
        box = (
            min(x for x, _ in corners),
            min(y for _, y in corners),
            max(x for x, _ in corners),
            max(y for _, y in corners),
        )
    return box


class _Frame:
    """From a page's own points to those of the page as it is shown."""

    def __init__(self, page: pypdfium2.PdfPage):
        self.turn = page.get_rotation()  # clockwise
        self.left, self.bottom, self.right, self.top = page.get_bbox()

    def shown(self, box: Box) -> Box:
        left, bottom, right, top = box
        if self.turn == 90:
            return bottom - self.bottom, self.right - right, top - self.bottom, self.right - left
        if self.turn == 180:
            return self.right - right, self.top - top, self.right - left, self.top - bottom
        if self.turn == 270:
            return self.top - top, left - self.left, self.top - bottom, right - self.left
        return left - self.left, bottom - self.bottom, right - self.left, top - self.bottom
