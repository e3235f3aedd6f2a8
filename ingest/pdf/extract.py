"""A PDF's pages -> blocks of lines with their positions, by pdfium; its title and outline, by pypdf.

Runs in a limited child process (ingest/worker.py), which asks `serve`: all replies are plain JSON.
"""

from __future__ import annotations

import base64
import logging
import re
from collections.abc import Iterable, Iterator, Sequence
from io import BytesIO
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pypdfium2
import pypdfium2.raw as pdfium

from ingest.pdf.blocks import Block, Line, line_of, rows, union
from ingest.pdf.glyphs import PageContent, read_content
from ingest.pdf.layout import layout
from ingest.pdf.lines import Piece, pieces_of, turned
from ingest.pdf.page_store import OUTLINE, most_pages
from ingest.pdf.text_repair import is_garbled, repair_text
from rag import bounds
from rag.bounds import shortened
from rag.document import Box
from rag.errors import DocumentError

if TYPE_CHECKING:
    from ingest.pdf.ocr import OcrLine

NO_TITLE = re.compile(
    r"^(untitled.*|microsoft (word|powerpoint) - .*|.*\.(docx?|pdf|tex|dvi|indd|qxd|rtf)|\W*|\d+)$", re.I
)
OCR_DPI = 150  # of pages and figures; measured in eval/log.md
FEW_LETTERS = 10  # a page with fewer has no text layer
PICTURE_PIXELS = 1600  # the longer side of a figure's picture, at most
PICTURE_DPI = 150
DEEPEST = 12  # level of an outline's entry


def open_document(path: Path, passwords: Sequence[str]) -> tuple[pypdfium2.PdfDocument, str | None]:
    """The document, and the password that opens it. Raises DocumentError for a file that none opens, or is no PDF."""
    error: Exception | None = None
    for password in (None, *passwords):
        try:
            document = pypdfium2.PdfDocument(path, password=password)
            if not len(document):
                raise DocumentError("damaged: it has no pages. Open and save it again")
            return document, password
        except pypdfium2.PdfiumError as failed:
            error = failed
            if failed.err_code != pdfium.FPDF_ERR_PASSWORD:
                raise DocumentError(f"damaged: {_line(failed).rstrip('.')}. Open and save it again") from failed
        except OSError as failed:
            raise DocumentError(f"cannot be read: {failed.strerror}. Check its permissions") from failed
    tried = "no password that was given opens it" if passwords else "it needs a password"
    raise DocumentError(f"encrypted: {tried}. Give the right one (--password TEXT)") from error


def serve(request: dict[str, Any], numbers: Iterator[int]) -> Iterator[tuple[str, Any]]:
    """What the child process replies (ingest/worker.py): ("open", number of pages), then for each number the reply of
    read_page or, for OUTLINE, ("outline", that of read_outline).

    `request` is {"path", "passwords", "ocr"}.
    """
    logging.disable(logging.CRITICAL)  # pypdf warns of every flaw of every file
    path = Path(request["path"])
    document, password = open_document(path, request["passwords"])
    yield "open", min(len(document), most_pages(path))
    for number in numbers:
        if number == OUTLINE:
            yield "outline", read_outline(path, password)
        else:
            yield read_page(document, number, request["ocr"])


def read_page(document: pypdfium2.PdfDocument, number: int, ocr: bool) -> tuple[str, Any]:
    """("page", the page as JSON) or ("bad", why it cannot be read); `number` counts from 1."""
    # pdfium and a layout meet nearly anything on a damaged page; whatever it is, the others are still worth having.
    try:
        page = document[number - 1]
        try:
            return "page", _read_page(page, ocr)
        finally:
            page.close()
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001
        return "bad", f"{type(error).__name__}: {_line(error)}"


def _line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or ["no reason given"])[0][:200]


# -- pages -----------------------------------------------------------------------------------------------------------


def _read_page(page: pypdfium2.PdfPage, ocr: bool) -> dict[str, Any]:
    """The page's blocks in reading order: see `_block`. `ocr` says that the page's words were read from its picture."""
    content = read_content(page)
    width, height = content.width, content.height
    visible = [g for g in content.glyphs if g.box[2] > 0 and g.box[0] < width and g.box[3] > 0 and g.box[1] < height]
    text = "".join(glyph.character for glyph in visible)
    letters, garbled = len("".join(text.split())), is_garbled(text)
    scanned = letters < FEW_LETTERS and bool(content.graphics)
    if ocr and (scanned or garbled):
        seen = _scanned_page(page, content)
        # What the file says itself is lost for nothing but more words, or for words instead of garbled ones.
        if not letters or _count(seen) > (0 if garbled else letters):
            return seen
    turns = {turn: [g for g in visible if g.turn == turn] for turn in (0, 90, 180, 270)}
    main = max(turns, key=lambda turn: len(turns[turn]))  # a page of turned text is laid out as it is read
    size = (width, height) if main in (0, 180) else (height, width)
    graphics = [type(g)(g.kind, turned(g.box, main, width, height)) for g in content.graphics]
    blocks = layout(pieces_of(turns[main], main, width, height), graphics, *size)
    result = [_block(page, block, main, content, ocr) for block in blocks]
    for turn, glyphs in turns.items():
        if turn != main and glyphs:
            pieces = pieces_of(glyphs, turn, width, height)
            if pieces:
                aside = Block("aside", [line_of([p]) for p in pieces], union(p.box for p in pieces))
                result.append(_block(page, aside, turn, content, ocr))
    return {"width": round(width, 1), "height": round(height, 1), "ocr": False, "blocks": result}


def _count(read: dict[str, Any]) -> int:
    """How many letters a page's blocks have."""
    return sum(len("".join(text.split())) for block in read["blocks"] for text, _ in block["lines"])


def _scanned_page(page: pypdfium2.PdfPage, content: PageContent) -> dict[str, Any]:
    width, height = content.width, content.height
    lines, scale = _ocr(page, (0.0, 0.0, width, height), content)
    turn = _turn_of(lines)
    size = (width, height) if turn in (0, 180) else (height, width)
    blocks = layout([_ocr_piece(line, scale, 0.0, height, turn, width, height) for line in lines], [], *size)
    return {
        "width": round(width, 1), "height": round(height, 1), "ocr": True,
        "blocks": [_block(page, block, turn, content, ocr=False) for block in blocks],
    }  # fmt: skip


def _ocr(page: pypdfium2.PdfPage, box: Box, content: PageContent) -> tuple[list[OcrLine], float]:
    """The lines of text in a part of a page, in pixels from its upper left corner; and pixels a point."""
    from ingest.pdf.ocr import read_picture  # numpy and more: most pages are read without

    scale = min(OCR_DPI / 72, 4000 / max(content.width, content.height))
    return read_picture(_crop(page, box, content, scale)), scale


def _crop(page: pypdfium2.PdfPage, box: Box, content: PageContent, scale: float) -> Any:
    crop = (box[0], box[1], content.width - box[2], content.height - box[3])
    return page.render(scale=scale, crop=tuple(max(0.0, side) for side in crop), rev_byteorder=True).to_pil()


def _turn_of(lines: Sequence[OcrLine]) -> int:
    """How far most of the text is turned anticlockwise: 0, 90, 180 or 270."""
    counts = dict.fromkeys((0, 90, 180, 270), 0)
    for line in lines:
        (x1, y1), (x2, y2) = line.corners[0], line.corners[1]
        across, down = x2 - x1, y2 - y1
        level = abs(across) >= abs(down)
        counts[(0 if across >= 0 else 180) if level else (90 if down < 0 else 270)] += len(line.text)
    return max(counts, key=lambda turn: counts[turn])


def _ocr_piece(line: OcrLine, scale: float, left: float, top: float, turn: int, width: float, height: float) -> Piece:
    """A line that was read from a picture whose upper left corner is (left, top), as a piece of the upright page."""
    xs = [left + x / scale for x, _ in line.corners]
    ys = [top - y / scale for _, y in line.corners]
    box = turned((min(xs), min(ys), max(xs), max(ys)), turn, width, height)
    step = (box[2] - box[0]) / max(1, len(line.text))
    edges = tuple(round(box[0] + i * step, 1) for i in range(len(line.text) + 1))
    return Piece(line.text, edges, box, confidence=line.confidence)


# -- blocks ----------------------------------------------------------------------------------------------------------


def _block(page: pypdfium2.PdfPage, block: Block, turn: int, content: PageContent, ocr: bool) -> dict[str, Any]:
    """A block as JSON: kind, box, label, level, size, caption (lines of it), lines, and a figure's picture as PNG.

    A line is [text, runs]; a run is [where in the text it begins, axis along which it is read (0: x, 1: y), the low and
    high side across it, the edges of its letters], all in tenths of points of the page as it is shown.
    """
    box = turned(block.box, -turn % 360, *_sides(content, turn))
    lines = list(block.lines)
    picture, confidences = None, [p.confidence for line in lines for p in line.pieces if p.confidence is not None]
    if block.kind in ("figure", "table") and block.graphics:
        picture = base64.b64encode(_png(page, box, content)).decode()
        if ocr and block.kind == "figure" and _says_little(block):
            inside = _inside(page, box, turn, content, lines)
            confidences += [piece.confidence for row in inside for piece in row if piece.confidence is not None]
            lines += [line_of(row, " | ") for row in inside]
    return {
        "kind": block.kind, "box": [round(side, 1) for side in box],
        "label": shortened(block.label, bounds.NAME), "level": block.level,
        "size": round(block.size, 1), "caption": block.caption_lines, "picture": picture,
        "confidence": round(sum(confidences) / len(confidences), 3) if confidences else None,
        "lines": [[line.text, [_run(line, i, turn, content) for i in range(len(line.pieces))]] for line in lines],
    }  # fmt: skip


def _says_little(block: Block) -> bool:
    """Whether a figure has no letters of its own: they may be in its picture."""
    return sum(len(line.text) for line in block.lines[block.caption_lines :]) < FEW_LETTERS


def _inside(
    page: pypdfium2.PdfPage, box: Box, turn: int, content: PageContent, lines: Iterable[Line]
) -> list[list[Piece]]:
    """Rows of the words read from a figure's picture, without those of its caption."""
    found, scale = _ocr(page, box, content)
    caption = " ".join(line.text for line in lines)
    pieces = [
        _ocr_piece(line, scale, box[0], box[3], turn, content.width, content.height)
        for line in found
        if line.text not in caption
    ]
    return rows(pieces)


def _sides(content: PageContent, turn: int) -> tuple[float, float]:
    """Width and height of the page once it is turned upright."""
    return (content.width, content.height) if turn in (0, 180) else (content.height, content.width)


def _run(line: Line, i: int, turn: int, content: PageContent) -> list[Any]:
    piece = line.pieces[i]
    behind = line.places[i + 1] if i + 1 < len(line.places) else len(line.text)
    count = min(len(piece.text), behind - line.places[i])
    low, high, edges = piece.box[1], piece.box[3], piece.edges[: count + 1]
    if turn == 90:
        low, high = content.width - high, content.width - low
    elif turn == 180:
        low, high, edges = content.height - high, content.height - low, tuple(content.width - e for e in edges)
    elif turn == 270:
        edges = tuple(content.height - e for e in edges)
    sides = [round(10 * low), round(10 * high), [round(10 * edge) for edge in edges]]
    return [line.places[i], 1 if turn in (90, 270) else 0, *sides]


def _png(page: pypdfium2.PdfPage, box: Box, content: PageContent) -> bytes:
    """The picture of a part of the page, with a little air around it."""
    box = (box[0] - 4, box[1] - 4, box[2] + 4, box[3] + 4)
    scale = min(PICTURE_DPI / 72, PICTURE_PIXELS / max(box[2] - box[0], box[3] - box[1], 1))
    png = BytesIO()
    _crop(page, box, content, scale).save(png, "PNG", optimize=False)
    return png.getvalue()


# -- title and outline -----------------------------------------------------------------------------------------------


def read_outline(path: Path, password: str | None) -> dict[str, Any]:
    """{"title": text, "author": text, "outline": [[level from 1, title, page from 1], ...]}; empty if it says nothing.

    Of the outline the first bounds.OUTLINE entries. A damaged outline does not cost the title.
    """
    from pypdf import PdfReader  # slow to import, and asked for once a document

    try:
        reader = PdfReader(path)
        if reader.is_encrypted:
            reader.decrypt(password or "")
        found = {"title": _title(reader), "outline": [], "author": _author(reader)}
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001  # a damaged title or outline is no reason to lose the document
        return {"title": "", "outline": [], "author": ""}
    try:
        return found | {"outline": list(islice(_outline(reader, reader.outline, 1), bounds.OUTLINE))}
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001
        return found


def _outline(reader: Any, entries: Any, level: int) -> Iterator[tuple[int, str, int]]:
    for entry in entries:
        if isinstance(entry, list):
            yield from _outline(reader, entry, level + 1) if level < DEEPEST else ()
        else:
            page = reader.get_destination_page_number(entry)
            if page is not None and entry.title:
                yield level, _one_line(str(entry.title)), page + 1


def _title(reader: Any) -> str:
    """The title in the metadata if it reads like one, else the largest words of the first page, else ""."""
    title = _stated(reader, "title")
    if not title or NO_TITLE.match(title):
        title = _one_line(_largest_words(reader.pages[0])) if len(reader.pages) else ""
    return title


def _author(reader: Any) -> str:
    """Who the metadata says wrote it; "" for a single word, which is a login."""
    author = _stated(reader, "author")
    return author if " " in author else ""


def _stated(reader: Any, name: str) -> str:
    """An entry of the metadata on one line; "" for none."""
    try:
        stated = getattr(reader.metadata, name) if reader.metadata else None
    except Exception:  # noqa: BLE001  # as in read_page: a damaged metadata entry is no reason to lose the document
        stated = None
    return _one_line(stated) if isinstance(stated, str) else ""


def _one_line(title: str) -> str:
    """A repaired title on one line within bounds.TITLE. Of a very long one the rest is not looked at: one string may be
    the title of every entry."""
    return shortened(" ".join(repair_text(title[: 10 * bounds.TITLE])[0].split()), bounds.TITLE)


def _largest_words(page: Any) -> str:
    """The words of the first page in the largest letters that make words, line by line.

    Small capitals, at about 4/5 of the letters' size, belong to them; the marks of footnotes, at about 2/3, do not.
    """
    lines: list[list[tuple[float, str]]] = [[]]

    def visit(text: str, user_matrix: Any, text_matrix: Any, font: Any, size: float) -> None:
        scale = abs(text_matrix[0] * user_matrix[0] + text_matrix[1] * user_matrix[2]) or abs(text_matrix[1])
        for number, piece in enumerate(text.split("\n")):
            if number:
                lines.append([])
            lines[-1].append((round(size * scale, 1), piece))

    try:
        page.extract_text(visitor_text=visit)
    except Exception:  # noqa: BLE001  # as in read_page
        return ""
    for size in sorted({size for line in lines for size, _ in line}, reverse=True):
        words = " ".join(" ".join(_words_of_size(line, size) for line in lines).split())
        if 8 <= len(words) <= 250 and len(words.split()) >= 2 and sum(map(str.isalpha, words)) > len(words) / 2:
            return words
    return ""


def _words_of_size(line: Sequence[tuple[float, str]], size: float) -> str:
    """The line's letters of about this size or larger; "" if most of them are not of just this size."""
    large = [(piece_size, piece) for piece_size, piece in line if piece_size >= 0.75 * size]
    letters = sum(len(piece.strip()) for _, piece in large)
    exact = sum(len(piece.strip()) for piece_size, piece in large if piece_size == size)
    return "".join(piece for _, piece in large) if 2 * exact > letters else ""
