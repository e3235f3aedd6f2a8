"""A page as a picture with rectangles marked.

Documents are untrusted: the server runs this in a limited child process and never calls `render_page`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from io import BytesIO
from pathlib import Path

import pypdfium2
from PIL import Image, ImageChops, ImageDraw, PngImagePlugin

from ingest.pdf.glyphs import open_pdf
from rag.document import Box
from rag.errors import DocumentError, RagError, UsageError

MAX_SIDE_PIXELS = 4000  # 4000 x 4000 x 3 bytes = 48 MB, whatever the MediaBox says
YELLOW, OUTLINE = (255, 228, 60), (150, 90, 0)
SIZE = "Points"  # the name of the text in the picture that says how wide and high the page is


def render_page(
    path: Path,
    page_number: int,
    boxes: Sequence[Box] = (),
    frames: Sequence[Box] = (),
    password: str | None = None,
    width: int = 1000,
) -> bytes:
    """The page as PNG, about `width` pixels wide and at most 4000 either way; boxes marked, frames drawn around.

    Boxes and frames are in points of the page as it is shown. Raises DocumentError for a page that is not there, or
    cannot be drawn.
    """
    with open_pdf(path, password) as document:
        document.init_forms()  # what was filled into a form belongs to the picture
        if not 1 <= page_number <= len(document):
            raise DocumentError(f"{path}: there is no page {page_number}, it has {len(document)}")
        return _render(path, document[page_number - 1], page_number, boxes, frames, width)


def _render(
    path: Path,
    page: pypdfium2.PdfPage,
    page_number: int,
    boxes: Sequence[Box],
    frames: Sequence[Box],
    width: int,
) -> bytes:
    page_width, page_height = page.get_size()
    if page_width <= 0 or page_height <= 0:
        raise DocumentError(f"{path}: page {page_number} has an empty crop box, there is nothing to draw")
    scale = min(max(width, 1) / page_width, MAX_SIDE_PIXELS / max(page_width, page_height))
    picture = page.render(scale=scale, rev_byteorder=True).to_pil()
    draw = ImageDraw.Draw(picture)
    for x1, y1, x2, y2 in _pixels(boxes, scale, page_height, picture):
        area = (x1, y1, x2 + 1, y2 + 1)
        words = picture.crop(area)
        picture.paste(ImageChops.multiply(words, Image.new("RGB", words.size, YELLOW)), area)  # black stays black
        draw.rectangle((x1 - 1, y1 - 1, x2 + 1, y2 + 1), outline=OUTLINE, width=1)  # not by colour alone
    for x1, y1, x2, y2 in _pixels(frames, scale, page_height, picture):
        draw.rectangle((x1 - 5, y1 - 5, x2 + 5, y2 + 5), outline=OUTLINE, width=3)
    png, size = BytesIO(), PngImagePlugin.PngInfo()
    size.add_text(SIZE, f"{page_width} {page_height}")
    picture.save(png, "PNG", pnginfo=size)
    return png.getvalue()


def _pixels(
    boxes: Sequence[Box], scale: float, page_height: float, picture: Image.Image
) -> Iterator[tuple[int, int, int, int]]:
    """Left, top, right, bottom of each box in the picture, without what lies outside it."""
    for left, bottom, right, top in boxes:
        x1, y1 = max(round(left * scale), 0), max(round((page_height - top) * scale), 0)
        x2, y2 = min(round(right * scale), picture.width), min(round((page_height - bottom) * scale), picture.height)
        if x1 < x2 and y1 < y2:
            yield x1, y1, x2, y2


def main() -> int:
    """One request on stdin, {"path", "page", "boxes", "frames", "password", "width"} as JSON; the PNG on stdout."""
    try:
        try:
            request = json.load(sys.stdin.buffer)  # UTF-8 whatever the locale
            path, page = Path(request["path"]), int(request["page"])
            boxes, frames = (
                [(float(b[0]), float(b[1]), float(b[2]), float(b[3])) for b in request.get(name) or ()]
                for name in ("boxes", "frames")
            )
            options = {name: request[name] for name in ("password", "width") if request.get(name) is not None}
        except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
            raise UsageError(f"not a request for a page: {error}") from error
        sys.stdout.buffer.write(render_page(path, page, boxes, frames, **options))
        return 0
    except RagError as error:
        print(error, file=sys.stderr)
        return 1


if __name__ == "__main__":
    raise SystemExit(main())
