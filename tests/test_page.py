"""ingest/page.py: a quote is found where it stands, its boxes lie on its words, and the picture marks just them."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import pypdf
import pypdfium2
import pytest
import sentencex
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageChops

from ingest.page import Box, quote_boxes, render_page
from ingest.quote import find_quote
from rag.errors import DocumentError
from tests.conftest import PDFS, ROOT, needs_data

HELLO = b"BT /F1 12 Tf 20 100 Td (Hello quoted words here.) Tj ET"
SAMPLES = {  # pages, 1-based
    "specter-acl2020": (1, 3, 8),  # two columns
    "longeval-eacl2023": (2, 9),
    "faa-737max-fr2020": (1, 3, 6),  # three columns
    "free-culture-lessig2004": (31, 57, 200, 340),  # crop box that does not begin at 0
}


# ---- finding


@st.composite
def printed(draw: st.DrawFn) -> tuple[str, str, list[int]]:
    """A text as we keep it, the same as pdfium may give it, and for each character of the first its index in the other.

    Every word ends in its own number, so that a slice of whole words occurs once.
    """
    words = draw(st.lists(st.text("abéfilſßж中", min_size=1, max_size=8), min_size=1, max_size=40))
    kept, given_characters, places = "", "", []
    for number, word in enumerate(words):
        for i, character in enumerate(word):
            if i and draw(st.integers(0, 5)) == 0:
                given_characters += draw(st.sampled_from(["-\r\n", "\x02\r\n", "\u00ad", " "]))
            kept += character
            if word[i - 1 : i + 1] == "fi" and given_characters.endswith("f"):
                given_characters = given_characters[:-1] + "ﬁ"
                places.append(len(given_characters) - 1)
                continue
            places.append(len(given_characters))
            given_characters += {"é": "e\u0301"}.get(character, character)
        for piece in str(number) + " ":
            kept += piece
            places.append(len(given_characters))
            given_characters += piece if piece != " " else draw(st.sampled_from([" ", "\r\n", "  ", ", "]))
    return kept, given_characters, places


@given(page=printed(), data=st.data())
def test_a_slice_is_found_at_its_place_whatever_the_spaces_hyphens_and_ligatures(
    page: tuple[str, str, list[int]], data: st.DataObject
) -> None:
    kept, characters, places = page
    ends = [i for i, character in enumerate(kept) if character == " "]
    first = data.draw(st.integers(0, len(ends) - 1))
    last = data.draw(st.integers(first, len(ends) - 1))
    start, end = (ends[first - 1] + 1 if first else 0), ends[last]
    near = data.draw(st.none() | st.floats(0, 1))
    found = find_quote(characters, kept[start:end].upper(), near)
    assert found == list(range(places[start], places[end - 1] + 1))


@given(st.text("abcdefghijklm .-\n", max_size=300), st.text("nopqrstuvwxyz .-\n", max_size=60))
def test_what_is_not_there_is_not_found(characters: str, quote: str) -> None:
    assert find_quote(characters, quote) == []


@given(characters=st.text(max_size=80), quote=st.text(max_size=40), near=st.none() | st.floats(0, 1))
def test_indexes_ascend_and_lie_in_the_page(characters: str, quote: str, near: float | None) -> None:
    found = find_quote(characters, quote, near)
    assert found == sorted(set(found)) and all(0 <= i < len(characters) for i in found)


@given(copies=st.integers(1, 9), data=st.data())
def test_of_several_occurrences_the_nearest(copies: int, data: st.DataObject) -> None:
    text = "The airplane shall be inspected. Then it may fly. "
    wished = data.draw(st.integers(0, copies - 1))
    found = find_quote(text * copies, "shall be inspected.", near=wished / copies)
    assert found[0] == wished * len(text) + text.index("shall")


def _quoted(characters: str, quote: str, near: float | None = None) -> str:
    return "".join(characters[i] for i in find_quote(characters, quote, near))


def test_whole_words_before_parts_of_words() -> None:
    assert find_quote("A party is no art.", "art")[0] == 14
    assert _quoted("A party", "art") == "art"


def test_the_quotes_own_punctuation_is_covered() -> None:
    assert _quoted("See (§ 39.13(a)). Then", "(§ 39.13(a)).") == "(§ 39.13(a))."


def test_of_a_quote_over_the_page_break_each_page_marks_its_share() -> None:
    head, tail = "The agency must publish every rule that it pro-", "poses to make, with the reasons for it."
    quote = (head + tail).replace("pro-p", "prop")
    assert _quoted(f"Another sentence. {head}\r\n\r\nPage 7", quote) == head[:-1]
    assert _quoted(f"Rules 8\r\n{tail} More of it follows.", quote) == tail
    assert _quoted("Page 8\r\nfor it now. More of it follows.", "Is it too late for it now.") == "for it now."


def test_a_quote_around_a_figure_is_marked_on_both_sides_of_it() -> None:
    head, tail = "The agency must publish every rule that", "it proposes to make, with the reasons for it."
    caption = "\r\nFigure 1: Rules of all agencies that were published in the last forty years, by year.\r\n"
    assert _quoted(head + caption + tail, f"{head} {tail}") == head + tail


def test_a_differing_formula_inside_does_not_hide_the_quote() -> None:
    page = "Before. Let x1 = y be the rate, then k2 of the samples decay within t0 seconds of the pulse. After."
    quote = "Let x = y be the rate, then k of the samples decay within t seconds of the pulse."
    assert "samples decay within" in _quoted(page, quote)
    assert "Before" not in _quoted(page, quote)


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


def _picture(path: Path, page_number: int, quote: str | None, width: int = 1000) -> Image.Image:
    picture = Image.open(BytesIO(render_page(path, page_number, quote, width=width)))
    assert picture.format == "PNG"
    return picture.convert("RGB")


def _pixels(picture: Image.Image) -> list[tuple[int, int, int]]:
    data = iter(picture.tobytes())
    return list(zip(data, data, data, strict=True))


def _assert_marked(path: Path, page_number: int, quote: str, areas: list[Box]) -> None:
    """White turns yellow inside the areas (left, top, right, bottom, as shares), nothing changes outside."""
    plain, marked = _picture(path, page_number, None), _picture(path, page_number, quote)
    changed = ImageChops.difference(plain, marked)
    assert areas
    for left, top, right, bottom in areas:
        x1, y1, x2, y2 = left * plain.width, top * plain.height, right * plain.width, bottom * plain.height
        inside = (round(x1) + 2, round(y1) + 2, round(x2) - 2, round(y2) - 2)
        pairs = zip(_pixels(plain.crop(inside)), _pixels(marked.crop(inside)), strict=True)
        tints = [after for before, after in pairs if before == (255, 255, 255)]
        assert tints and all(red > 240 and blue < 120 for red, _, blue in tints)
        around = (max(round(x1) - 3, 0), max(round(y1) - 3, 0), round(x2) + 3, round(y2) + 3)
        changed.paste((0, 0, 0), around)
    assert changed.getbbox() is None


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
    ((left, bottom, right, top),) = quote_boxes(path, 1, "quoted words")
    assert 45 < left < 55 and 118 < right < 128 and 92 < bottom < 98 and 108 < top < 114  # 12 pt letters at 20, 100

    x0, y0, x9, y9 = crop_box or (0, 0, 300, 200)
    x1, x2, y1, y2 = (
        (left - x0) / (x9 - x0),
        (right - x0) / (x9 - x0),
        (bottom - y0) / (y9 - y0),
        (top - y0) / (y9 - y0),
    )
    areas = {  # rotating clockwise by 90 turns up into right and left into up
        0: (x1, 1 - y2, x2, 1 - y1),
        90: (y1, x1, y2, x2),
        180: (1 - x2, y1, 1 - x1, y2),
        270: (1 - y2, 1 - x2, 1 - y1, 1 - x1),
    }
    _assert_marked(path, 1, "quoted words", [areas[degrees]])


def test_one_box_per_line_also_for_text_that_runs_upwards(tmp_path: Path) -> None:
    two_lines = b"BT /F1 12 Tf 14 TL 20 100 Td (Two lines of) Tj T* (quoted words here.) Tj ET"
    boxes = quote_boxes(_pdf(tmp_path, two_lines), 1, "lines of quoted words")
    assert len(boxes) == 2 and boxes[0][1] > boxes[1][1]
    upwards = b"BT /F1 12 Tf 0 1 -1 0 100 20 Tm (Hello quoted words here.) Tj ET"
    ((left, bottom, right, top),) = quote_boxes(_pdf(tmp_path, upwards), 1, "quoted words")
    assert right - left < 16 and top - bottom > 60


def test_what_lies_outside_the_crop_box_is_not_marked(tmp_path: Path) -> None:
    assert quote_boxes(_pdf(tmp_path, more="/CropBox [0 0 300 90]"), 1, "quoted words") == []


@pytest.mark.parametrize("media_box", ["0 0 1e9 1e9", "0 0 1 1000000", "0 0 1000000 1", "0 0 0 0", "a b c d"])
def test_no_media_box_makes_a_large_picture(tmp_path: Path, media_box: str) -> None:
    picture = _picture(_pdf(tmp_path, media_box=media_box), 1, "quoted words", width=100_000)
    assert max(picture.size) <= 4000


@pytest.mark.parametrize("width", [1, 300, 1000])
def test_width_is_kept(tmp_path: Path, width: int) -> None:
    assert abs(_picture(_pdf(tmp_path), 1, None, width).width - width) <= 1


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
            render_page(file, page_number, "quoted words", password)
        assert str(file) in str(caught.value) and "\n" not in str(caught.value)
    assert quote_boxes(locked, 1, "quoted words", "secret")


def test_the_child_process_writes_the_picture_or_one_line(tmp_path: Path) -> None:
    def call(request: str) -> tuple[int, bytes, bytes]:
        command = [sys.executable, "-m", "ingest.page"]
        done = subprocess.run(command, check=False, input=request.encode(), capture_output=True, cwd=ROOT, timeout=60)
        return done.returncode, done.stdout, done.stderr

    path = _pdf(tmp_path)
    request = {"path": str(path), "page": 1, "quote": "quoted words", "password": None, "near": 0.5, "width": 300}
    assert call(json.dumps(request)) == (0, render_page(path, 1, "quoted words", near=0.5, width=300), b"")
    for bad in (json.dumps(request | {"page": 9}), "no JSON", "[]", "{}"):
        code, out, error = call(bad)
        assert code == 1 and out == b"" and error.count(b"\n") == 1 and b"Traceback" not in error


# ---- real documents


def _sentences(name: str, page_number: int) -> Iterator[tuple[str, float]]:
    """The page's sentences as pypdf reads them, hyphens mended and ligatures split, and where each begins (0..1)."""
    text = pypdf.PdfReader(PDFS / f"{name}.pdf").pages[page_number - 1].extract_text()
    text = text.split("\n1\n2\n3\n")[0]  # what follows in free-culture is the printer's, outside the crop box
    text = re.sub(r"(\w)-\n(?=[a-z])", r"\1", text).replace("ﬁ", "fi").replace("ﬂ", "fl")
    for boundary in sentencex.get_sentence_boundaries("en", text):
        sentence = text[boundary["start_index"] : boundary["end_index"]].strip()
        if re.search(r"\w", sentence):
            yield sentence, boundary["start_index"] / len(text)


def _letters(text: str) -> str:
    return "".join(character for character in text.casefold() if character.isalnum())


@needs_data
@pytest.mark.parametrize("name", SAMPLES)
def test_boxes_of_real_sentences_hold_their_words(name: str) -> None:
    path, sentences, good = PDFS / f"{name}.pdf", 0, 0
    for page_number in SAMPLES[name]:
        page = pypdfium2.PdfDocument(path)[page_number - 1]
        left, bottom, right, top = page.get_bbox()
        text = page.get_textpage()
        for sentence, near in _sentences(name, page_number):
            boxes = quote_boxes(path, page_number, sentence, near=near)
            assert all(left <= b[0] < b[2] <= right and bottom <= b[1] < b[3] <= top for b in boxes)
            middles = ((b[0], b[1] + 0.3 * (b[3] - b[1]), b[2], b[3] - 0.3 * (b[3] - b[1])) for b in boxes)
            under = _letters("".join(text.get_text_bounded(*middle).replace("ﬁ", "fi") for middle in middles))
            words = sentence.split()
            sentences += 1
            good += sum(_letters(word) in under for word in words) >= 0.9 * len(words)  # raised and lowered letters
    assert good > 0.95 * sentences > 20, f"{good} of {sentences}"


@needs_data
@pytest.mark.parametrize("name", SAMPLES)
def test_the_picture_of_a_real_page_is_marked_on_the_lines_of_the_quote_only(name: str) -> None:
    path, page_number = PDFS / f"{name}.pdf", SAMPLES[name][1]
    sentence, near = max(_sentences(name, page_number), key=lambda pair: 150 < len(pair[0]) < 400)
    left, bottom, right, top = pypdfium2.PdfDocument(path)[page_number - 1].get_bbox()
    width, height = right - left, top - bottom
    boxes = quote_boxes(path, page_number, sentence, near=near)
    assert len(boxes) > 2
    shares = [
        ((b[0] - left) / width, (top - b[3]) / height, (b[2] - left) / width, (top - b[1]) / height) for b in boxes
    ]
    _assert_marked(path, page_number, sentence, shares)
