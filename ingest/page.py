"""A page as a picture with the quoted words marked.

Documents are untrusted: the server runs this in a limited child process and never calls `render_page`.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

import pypdfium2
import pypdfium2.raw as pdfium
from PIL import Image, ImageChops, ImageDraw

from ingest.quote import find_quote
from rag.errors import DocumentError, RagError, UsageError

Box = tuple[float, float, float, float]  # left, bottom, right, top in PDF points, y upwards
MAX_SIDE_PIXELS = 4000  # 4000 x 4000 x 3 bytes = 48 MB, whatever the MediaBox says
YELLOW, OUTLINE = (255, 228, 60), (150, 90, 0)


@contextmanager
def _open_page(path: Path, page_number: int, password: str | None) -> Iterator[pypdfium2.PdfPage]:
    """The page, 1-based; whatever pdfium cannot do inside the block becomes a DocumentError of one line."""
    try:
        with pypdfium2.PdfDocument(path, password=password) as document:
            document.init_forms()  # what was filled into a form belongs to the picture
            if not 1 <= page_number <= len(document):
                raise DocumentError(f"{path}: there is no page {page_number}, it has {len(document)}")
            yield document[page_number - 1]
    except pypdfium2.PdfiumError as error:
        if error.err_code == pdfium.FPDF_ERR_PASSWORD:
            what = "that is not its password" if password else "it needs a password"
            raise DocumentError(f"{path}: encrypted; {what}") from error
        raise DocumentError(f"{path}: page {page_number} cannot be drawn, the file may be damaged: {error}") from error
    except OSError as error:
        raise DocumentError(f"{path}: cannot be opened; is it still there?") from error


def quote_boxes(
    path: Path, page_number: int, quote: str, password: str | None = None, near: float | None = None
) -> list[Box]:
    """One rectangle per line of text that the quote covers, in reading order: left, bottom, right, top in points.

    Points are those of the page before /Rotate, as pdfium's text functions take them; rectangles end at the crop box.
    """
    with _open_page(path, page_number, password) as page:
        return _boxes(page, quote, near)


def _boxes(page: pypdfium2.PdfPage, quote: str, near: float | None) -> list[Box]:
    text = page.get_textpage()
    # Not get_text_range: it leaves out and adds characters, so that its indexes are not those of get_charbox.
    characters = "".join(
        chr(min(pdfium.FPDFText_GetUnicode(text, i), sys.maxunicode)) for i in range(text.count_chars())
    )
    covered = [i for i in find_quote(characters, quote, near) if not characters[i].isspace()]
    angles = (pdfium.FPDFText_GetCharAngle(text, i) for i in covered)  # radians, -1 if unknown
    # Loose boxes (the font's height) keep a line's quotation marks and commas together.
    glyphs = (
        (text.get_charbox(i, loose=True), abs(math.sin(max(a, 0))) > 0.7) for i, a in zip(covered, angles, strict=True)
    )
    left, bottom, right, top = page.get_bbox()
    clipped = ((max(b[0], left), max(b[1], bottom), min(b[2], right), min(b[3], top)) for b in _merge_lines(glyphs))
    return [box for box in clipped if box[0] < box[2] and box[1] < box[3]]


def _merge_lines(glyphs: Iterable[tuple[Box, bool]]) -> list[Box]:
    """Merge the boxes of characters in reading order (True: set along the y axis) into one per line and column."""
    lines: list[tuple[Box, bool]] = []
    for box, vertical in glyphs:
        if lines and lines[-1][1] == vertical and _same_line(lines[-1][0], box, across=1 - vertical):
            old = lines[-1][0]
            box = (min(old[0], box[0]), min(old[1], box[1]), max(old[2], box[2]), max(old[3], box[3]))
            lines.pop()
        lines.append((box, vertical))
    return [box for box, _ in lines]


def _same_line(line: Box, box: Box, across: int) -> bool:
    """Whether the boxes overlap by half across the line (axis 0: x, 1: y) with less than three heights between them."""
    along = 1 - across
    height = min(line[across + 2] - line[across], box[across + 2] - box[across])
    overlap = min(line[across + 2], box[across + 2]) - max(line[across], box[across])
    gap = max(line[along], box[along]) - min(line[along + 2], box[along + 2])
    return overlap >= height / 2 and gap < 3 * max(height, 1.0)


def render_page(
    path: Path,
    page_number: int,
    quote: str | None,
    password: str | None = None,
    near: float | None = None,
    width: int = 1000,
) -> bytes:
    """The page as PNG, about `width` pixels wide and at most 4000 either way, with the lines of the quote marked."""
    with _open_page(path, page_number, password) as page:
        page_width, page_height = page.get_size()
        if page_width <= 0 or page_height <= 0:
            raise DocumentError(f"{path}: page {page_number} has an empty crop box, there is nothing to draw")
        scale = min(max(width, 1) / page_width, MAX_SIDE_PIXELS / max(page_width, page_height))
        bitmap = page.render(scale=scale, rev_byteorder=True)
        position = bitmap.get_posconv(page)  # knows the rotation and the crop box
        boxes = _boxes(page, quote, near) if quote else []
        corners = [(*position.to_bitmap(b[0], b[1]), *position.to_bitmap(b[2], b[3])) for b in boxes]
        return _mark(bitmap.to_pil(), corners)


def _mark(picture: Image.Image, corners: Iterable[tuple[int, int, int, int]]) -> bytes:
    """PNG of the picture with marked rectangles (two opposite corners each, in pixels), as with a text marker."""
    draw = ImageDraw.Draw(picture)
    for x1, y1, x2, y2 in corners:
        area = (min(x1, x2), min(y1, y2), max(x1, x2) + 1, max(y1, y2) + 1)
        words = picture.crop(area)
        picture.paste(ImageChops.multiply(words, Image.new("RGB", words.size, YELLOW)), area)  # black stays black
        draw.rectangle((area[0] - 1, area[1] - 1, area[2], area[3]), outline=OUTLINE, width=1)  # not by colour alone
    png = BytesIO()
    picture.save(png, "PNG")
    return png.getvalue()


def main() -> int:
    """One request on stdin, {"path", "page", "quote", "password", "near", "width"} as JSON; the PNG on stdout."""
    try:
        try:
            request = json.load(sys.stdin.buffer)  # UTF-8 whatever the locale
            path, page, quote = Path(request["path"]), int(request["page"]), request.get("quote")
            options = {name: request[name] for name in ("password", "near", "width") if request.get(name) is not None}
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise UsageError(f"not a request for a page: {error}") from error
        sys.stdout.buffer.write(render_page(path, page, quote, **options))
        return 0
    except RagError as error:
        print(error, file=sys.stderr)
        return 1


if __name__ == "__main__":
    raise SystemExit(main())
