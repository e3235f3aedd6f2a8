"""draw_page.py: what is marked is where the words are, whichever way the page lies, and nothing else is touched."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any

import pypdf
import pypdfium2
import pytest
from PIL import Image, ImageChops

from ingest.pdf.assemble import Assembled, assemble, geometry
from ingest.pdf.draw_page import render_page
from ingest.pdf.extract import open_document, read_page
from rag.document import Box
from rag.errors import DocumentError
from rag.library.boxes import boxes_of, raw_offset
from rag.sentences import sentence_spans
from tests.conftest import PDFS, ROOT, needs_data

HELLO = b"BT /F1 12 Tf 20 100 Td (Hello quoted words here.) Tj ET"
INNER, OUTER = (51.5, 99, 122, 108), (49.5, 94, 124, 115)  # "quoted words" of HELLO, by Helvetica's widths
SAMPLES = {  # pages, 1-based
    "specter-acl2020": (1, 3, 8),  # two columns
    "longeval-eacl2023": (2, 9),
    "faa-737max-fr2020": (1, 3, 6),  # three columns
    "free-culture-lessig2004": (31, 57, 200, 340),  # crop box that does not begin at 0
}


@cache
def _read(path: Path, page_number: int, password: str | None = None) -> tuple[Assembled, list[list[Any]]]:
    """A page as it is read, and the runs of its letters."""
    document, _ = open_document(path, [password] if password else [])
    what, page = read_page(document, page_number, ocr=False)
    document.close()
    assert what == "page", page
    read = assemble(lambda: iter([page]), [])
    (runs,) = geometry([page], read.recurring)
    return read, runs


def _boxes(path: Path, page_number: int, start: int, end: int, password: str | None = None) -> list[Box]:
    """Where text[start:end] of a page is shown: as Library.places finds it."""
    read, runs = _read(path, page_number, password)
    return boxes_of(runs, raw_offset(read.raw_offsets, start), raw_offset(read.raw_offsets, end - 1) + 1)


def _boxes_of_words(path: Path, words: str, password: str | None = None) -> list[Box]:
    start = _read(path, 1, password)[0].text.index(words)
    return _boxes(path, 1, start, start + len(words), password)


# ---- boxes and pictures of a small PDF


def _pdf(folder: Path, content: bytes = HELLO, media_box: str = "0 0 300 200", more: str = "") -> Path:
    """A PDF of one page in Helvetica, with the given content stream and additional page entries."""
    font = "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>"
    page = f"<< /Type /Page /Parent 2 0 R /MediaBox [{media_box}] {more} /Contents 4 0 R"
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        f"{page} /Resources << /Font << /F1 {font} >> >> >>".encode(),
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(content), content),
    ]
    body = b"%PDF-1.4\n" + b"".join(b"%d 0 obj\n%s\nendobj\n" % pair for pair in enumerate(objects, 1))
    starts = [body.index(b"%d 0 obj" % number) for number in range(1, 5)]
    table = b"xref\n0 5\n0000000000 65535 f \n" + b"".join(b"%010d 00000 n \n" % start for start in starts)
    path = folder / "small.pdf"
    path.write_bytes(body + table + b"trailer << /Size 5 /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % len(body))
    return path


def _picture(
    path: Path, page_number: int, boxes: Sequence[Box] = (), width: int = 1000, frames: Sequence[Box] = ()
) -> Image.Image:
    picture = Image.open(BytesIO(render_page(path, page_number, boxes, frames, width=width)))
    assert picture.format == "PNG"
    return picture.convert("RGB")


def _pixels(picture: Image.Image) -> list[tuple[int, int, int]]:
    data = iter(picture.tobytes())
    return list(zip(data, data, data, strict=True))


def _area(path: Path, page_number: int, box: Box, picture: Image.Image) -> tuple[float, float, float, float]:
    """A box of the page in pixels of its picture: left, top, right, bottom."""
    with pypdfium2.PdfDocument(path) as document:
        width, height = document[page_number - 1].get_size()
    x, y = picture.width / width, picture.height / height
    return box[0] * x, (height - box[3]) * y, box[2] * x, (height - box[1]) * y


def _assert_marked(path: Path, page_number: int, boxes: Sequence[Box]) -> None:
    """White turns yellow inside the boxes, and there is ink; nothing changes outside."""
    plain, marked = _picture(path, page_number), _picture(path, page_number, boxes)
    changed = ImageChops.difference(plain, marked)
    assert boxes
    for box in boxes:
        x1, y1, x2, y2 = _area(path, page_number, box, plain)
        inside = (round(x1) + 2, round(y1) + 2, round(x2) - 2, round(y2) - 2)
        assert _has_ink(plain.crop(inside))
        pairs = zip(_pixels(plain.crop(inside)), _pixels(marked.crop(inside)), strict=True)
        tints = [after for before, after in pairs if before == (255, 255, 255)]
        assert tints and all(red > 240 and blue < 120 for red, _, blue in tints)
        around = (max(round(x1) - 3, 0), max(round(y1) - 3, 0), round(x2) + 3, round(y2) + 3)
        changed.paste((0, 0, 0), around)
    assert changed.getbbox() is None


def _has_ink(picture: Image.Image) -> bool:
    return picture.convert("L").getextrema()[0] < 128


def _shown(box: Box, degrees: int, crop: Box) -> Box:
    """Where a box of a page's own points is shown. Rotating clockwise by 90 turns up into right and left into up."""
    x1, y1, x2, y2 = box[0] - crop[0], box[1] - crop[1], box[2] - crop[0], box[3] - crop[1]
    width, height = crop[2] - crop[0], crop[3] - crop[1]
    return {
        0: (x1, y1, x2, y2),
        90: (y1, width - x2, y2, width - x1),
        180: (width - x2, height - y2, width - x1, height - y1),
        270: (height - y2, x1, height - y1, x2),
    }[degrees]


def _holds(outer: Box, inner: Box) -> bool:
    return outer[0] <= inner[0] and outer[1] <= inner[1] and outer[2] >= inner[2] and outer[3] >= inner[3]


@pytest.mark.parametrize("crop_box", [None, (10, 20, 250, 180)])
@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
def test_the_mark_sits_on_the_words_of_a_rotated_and_cropped_page(
    tmp_path: Path, degrees: int, crop_box: Box | None
) -> None:
    page = pypdf.PdfWriter(clone_from=_pdf(tmp_path)).pages[0]
    page.rotate(degrees)
    if crop_box:
        page.cropbox = pypdf.generic.RectangleObject(crop_box)
    writer = pypdf.PdfWriter()
    writer.add_page(page)
    path = tmp_path / "rotated.pdf"
    writer.write(path)
    (box,) = _boxes_of_words(path, "quoted words")
    crop = crop_box or (0, 0, 300, 200)
    assert _holds(box, _shown(INNER, degrees, crop)) and _holds(_shown(OUTER, degrees, crop), box)
    _assert_marked(path, 1, [box])
    plain = _picture(path, 1)
    for first, last, ink in ((49, 50.5, False), (50.7, 53, True), (120, 122.5, True), (123, 124.5, False)):
        strip = plain.crop(tuple(map(round, _area(path, 1, _shown((first, 97, last, 110), degrees, crop), plain))))
        assert _has_ink(strip) is ink  # the words begin and end where the box does


def test_one_box_per_line_also_for_text_that_runs_upwards(tmp_path: Path) -> None:
    two_lines = b"BT /F1 12 Tf 14 TL 20 100 Td (Two lines of) Tj T* (quoted words here.) Tj ET"
    path = _pdf(tmp_path, two_lines)
    boxes = _boxes_of_words(path, "lines of\nquoted words")
    assert len(boxes) == 2 and boxes[0][1] > boxes[1][1]
    _assert_marked(path, 1, boxes)
    (tmp_path / "upwards").mkdir()
    upwards = _pdf(tmp_path / "upwards", b"BT /F1 12 Tf 0 1 -1 0 100 20 Tm (Hello quoted words here.) Tj ET")
    ((left, bottom, right, top),) = boxes = _boxes_of_words(upwards, "quoted words")
    assert right - left < 16 and top - bottom > 60
    assert 49.5 < bottom < 51.5 and 122 < top < 124
    _assert_marked(upwards, 1, boxes)


def test_what_lies_outside_the_crop_box_is_not_marked(tmp_path: Path) -> None:
    path = _pdf(tmp_path, more="/CropBox [0 0 300 90]")
    assert _read(path, 1)[0].text == ""
    plain = render_page(path, 1)
    for box in ((50, 95, 120, 110), (-50, -20, -1, -1), (400, 10, 500, 20), (20, 20, 20, 30), (30, 30, 20, 20)):
        assert render_page(path, 1, [box]) == plain


def test_a_frame_is_drawn_around_and_leaves_the_words_as_they_are(tmp_path: Path) -> None:
    path = _pdf(tmp_path)
    plain, framed = _picture(path, 1), _picture(path, 1, frames=[OUTER])
    x1, y1, x2, y2 = map(round, _area(path, 1, OUTER, plain))
    changed = ImageChops.difference(plain, framed)
    assert changed.crop((x1 - 1, y1 - 1, x2 + 1, y2 + 1)).getbbox() is None
    assert changed.getbbox() == pytest.approx((x1 - 5, y1 - 5, x2 + 6, y2 + 6), abs=2)
    both = _picture(path, 1, [OUTER], frames=[OUTER])
    assert _pixels(both.crop((x1 + 2, y1 + 2, x1 + 3, y1 + 3))) == [(255, 228, 60)]


@pytest.mark.parametrize("media_box", ["0 0 1e9 1e9", "0 0 1 1000000", "0 0 1000000 1", "0 0 0 0", "a b c d"])
def test_no_media_box_makes_a_large_picture(tmp_path: Path, media_box: str) -> None:
    path = _pdf(tmp_path, media_box=media_box)
    picture = _picture(path, 1, [OUTER], width=100_000, frames=[OUTER])
    assert max(picture.size) <= 4000
    with pypdfium2.PdfDocument(path) as document:
        assert read_page(document, 1, ocr=False)[0] == "page"


@pytest.mark.parametrize("width", [1, 300, 1000])
def test_width_is_kept(tmp_path: Path, width: int) -> None:
    assert abs(_picture(_pdf(tmp_path), 1, width=width).width - width) <= 1


def test_one_clear_line_when_it_cannot_be_drawn(tmp_path: Path) -> None:
    path = _pdf(tmp_path)
    writer = pypdf.PdfWriter(clone_from=path)
    writer.encrypt("secret", algorithm="RC4-128")
    locked = tmp_path / "locked.pdf"
    writer.write(locked)
    broken = tmp_path / "broken.pdf"
    broken.write_bytes(b"%PDF-1.4 and no more")
    empty = tmp_path / "empty"
    empty.mkdir()
    cases: list[tuple[Path, int, str | None, str]] = [
        (path, 0, None, "no page 0, it has 1"),
        (path, 2, None, "no page 2, it has 1"),
        (locked, 1, None, "needs a password"),
        (locked, 1, "wrong", "not its password"),
        (broken, 1, None, "damaged"),
        (tmp_path / "absent.pdf", 1, None, "still there"),
        (_pdf(empty, more="/CropBox [400 400 500 500]"), 1, None, "empty crop box"),
    ]
    for file, page_number, password, words in cases:
        with pytest.raises(DocumentError, match=words) as caught:
            render_page(file, page_number, [OUTER], [], password)
        assert str(file) in str(caught.value) and "\n" not in str(caught.value)
    assert _boxes_of_words(locked, "quoted words", "secret") == _boxes_of_words(path, "quoted words")
    assert render_page(locked, 1, [OUTER], [], "secret") == render_page(path, 1, [OUTER])


def test_the_child_process_writes_the_picture_or_one_line(tmp_path: Path) -> None:
    def call(request: str) -> tuple[int, bytes, bytes]:
        command = [sys.executable, "-m", "ingest.pdf.draw_page"]
        done = subprocess.run(command, check=False, input=request.encode(), capture_output=True, cwd=ROOT, timeout=60)
        return done.returncode, done.stdout, done.stderr

    path = _pdf(tmp_path)
    request = {"path": str(path), "page": 1, "boxes": [OUTER], "frames": [INNER], "password": None, "width": 300}
    assert call(json.dumps(request)) == (0, render_page(path, 1, [OUTER], [INNER], width=300), b"")
    bad_boxes = json.dumps(request | {"boxes": [[1, 2]]})
    for bad in (json.dumps(request | {"page": 9}), bad_boxes, "no JSON", "[]", "{}"):
        code, out, error = call(bad)
        assert code == 1 and out == b"" and error.count(b"\n") == 1 and b"Traceback" not in error


# ---- real documents


def _sentences(name: str, page_number: int) -> Iterator[tuple[str, int, int]]:
    """The sentences of each block of a page, and where they stand in its text."""
    read, _ = _read(PDFS / f"{name}.pdf", page_number)
    for region in read.regions:
        for start, end in sentence_spans(read.text[region.start : region.end]):
            sentence = read.text[region.start + start : region.start + end]
            if re.search(r"\w", sentence):
                yield sentence, region.start + start, region.start + end


def _letters(text: str) -> str:
    text = text.replace("ﬁ", "fi").replace("ﬂ", "fl").replace("ﬀ", "ff")
    return "".join(character for character in text.casefold() if character.isalnum())


@needs_data
@pytest.mark.parametrize("name", SAMPLES)
def test_boxes_of_real_sentences_hold_their_words_and_no_others(name: str) -> None:
    path, sentences, good = PDFS / f"{name}.pdf", 0, 0
    for page_number in SAMPLES[name]:
        page = pypdfium2.PdfDocument(path)[page_number - 1]
        x, y, right, top = page.get_bbox()
        text = page.get_textpage()
        for sentence, start, end in _sentences(name, page_number):
            boxes = _boxes(path, page_number, start, end)
            assert all(0 <= b[0] < b[2] <= right - x and 0 <= b[1] < b[3] <= top - y for b in boxes)
            middles = (
                (x + b[0], y + b[1] + 0.3 * (b[3] - b[1]), x + b[2], y + b[3] - 0.3 * (b[3] - b[1])) for b in boxes
            )
            under = _letters("".join(text.get_text_bounded(*middle) for middle in middles))
            words = re.findall(r"\w+", sentence)
            sentences += 1
            all_there = sum(_letters(word) in under for word in words) >= 0.9 * len(words)  # raised and lowered letters
            good += all_there and len(under) <= 1.05 * len(_letters(sentence)) + 4
    assert good > 0.95 * sentences > 20, f"{good} of {sentences}"


@needs_data
@pytest.mark.parametrize("name", SAMPLES)
def test_the_picture_of_a_real_page_is_marked_on_the_lines_of_the_quote_only(name: str) -> None:
    page_number = SAMPLES[name][1]
    _, start, end = max(_sentences(name, page_number), key=lambda found: 150 < len(found[0]) < 400)
    boxes = _boxes(PDFS / f"{name}.pdf", page_number, start, end)
    assert len(boxes) > 2
    _assert_marked(PDFS / f"{name}.pdf", page_number, boxes)
