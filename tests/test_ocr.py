"""ingest/pdf/ocr.py: the words of a picture come out whichever way up it is, at the place where they stand."""

from __future__ import annotations

import json
import math
import random
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

import pypdfium2
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageFont
from rapidfuzz.distance import Levenshtein
from reportlab.lib.utils import ImageReader

from ingest.pdf.ocr import OcrLine, read_picture
from ingest.pdf.text_repair import is_garbled
from tests.conftest import PDFS, ROOT, needs_data
from tests.made import Sheet, read_made

DPI = 150
WORDS = ["Annual report of the harbour", "Ships entered: 1,204", "Goods landed by weight", "Page 17"]
PLACES = [(60, 40), (90, 130), (60, 220), (430, 330)]


def draw(
    words: Sequence[str] = WORDS, places: Iterable[tuple[int, int]] = PLACES, size: tuple[int, int] = (640, 400)
) -> Image.Image:
    picture = Image.new("RGB", size, "white")
    font = ImageFont.load_default(size=32)
    for line, place in zip(words, places, strict=True):
        ImageDraw.Draw(picture).text(place, line, fill="black", font=font)
    return picture


def skewed(picture: Image.Image, angle: float) -> Image.Image:
    return picture.rotate(angle, Image.Resampling.BICUBIC, expand=True, fillcolor="white")


def texts(lines: Iterable[OcrLine]) -> set[str]:
    return {line.text for line in lines}


def accuracy(lines: Sequence[OcrLine], expected: Sequence[str]) -> float:
    """1 - edits per character, each expected line against the line that is nearest to it."""
    signs = str.maketrans("‘’“”″", '\'\'"""')
    read = [line.text.translate(signs) for line in lines]
    edits = sum(min(Levenshtein.distance(line, other) for other in read) for line in expected)
    return 1 - edits / sum(map(len, expected))


def middle(points: Iterable[tuple[float, float]]) -> tuple[float, float]:
    xs, ys = zip(*points, strict=True)
    return sum(xs) / len(xs), sum(ys) / len(ys)


def turned(point: tuple[float, float], angle: float, size: tuple[int, int]) -> tuple[float, float]:
    """Where a point of draw() comes to lie in skewed(draw(), angle), which has the size given."""
    x, y = point[0] - 640 / 2, point[1] - 400 / 2
    cos, sin = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    return cos * x + sin * y + size[0] / 2, cos * y - sin * x + size[1] / 2


@pytest.fixture(scope="module")
def upright() -> list[OcrLine]:
    return read_picture(draw())


def assert_on_the_words(lines: Sequence[OcrLine], angle: float, size: tuple[int, int]) -> None:
    font = ImageFont.load_default(size=32)
    for line in lines:
        x, y = PLACES[WORDS.index(line.text)]
        left, top, right, bottom = font.getbbox(line.text)
        true = [(left, top), (right, top), (right, bottom), (left, bottom)]
        for corner, (dx, dy) in zip(line.corners, true, strict=True):
            assert corner == pytest.approx(turned((x + dx, y + dy), angle, size), abs=16)  # half a letter's height


def test_the_words_and_where_they_stand(upright: list[OcrLine]) -> None:
    assert [line.text for line in upright] == WORDS
    assert_on_the_words(upright, 0, (640, 400))
    assert all(0.9 < line.confidence <= 1 for line in upright)


def test_the_same_picture_gives_the_same_lines(upright: list[OcrLine]) -> None:
    assert read_picture(draw()) == upright


@pytest.mark.parametrize("angle", [90, 180, 270, 3, -7, 10])
def test_turned_and_skewed_pages_give_the_same_words_with_corners_on_them(angle: float) -> None:
    picture = skewed(draw(), angle)
    lines = read_picture(picture)
    assert sorted(line.text for line in lines) == sorted(WORDS)
    assert_on_the_words(lines, angle, picture.size)


@pytest.mark.parametrize("angle", [90, 270])
def test_a_label_along_the_side_of_a_diagram(angle: int) -> None:
    picture = draw()
    label = draw(["Tonnes a year"], [(4, 2)], (230, 44)).rotate(angle, expand=True)
    picture.paste(label, (590, 90))
    lines = read_picture(picture)
    assert texts(lines) == {*WORDS, "Tonnes a year"}
    corners = next(line.corners for line in lines if line.text == "Tonnes a year")
    assert (corners[0][1] > corners[1][1]) == (angle == 90)  # upwards after a turn to the left


def test_columns_of_one_line_stay_apart() -> None:
    lines = read_picture(draw(["January", "12,450", "(3.7 %)"], [(40, 40), (400, 40), (760, 40)], (960, 200)))
    assert [line.text for line in lines] == ["January", "12,450", "(3.7 %)"]


@pytest.mark.parametrize("mode", ["1", "L", "P", "CMYK", "RGBA", "LA", "I;16"])
def test_any_kind_of_picture(mode: str) -> None:
    picture = draw(["Colour or not"], [(30, 20)], (300, 80))
    assert texts(read_picture(picture.convert("L").convert(mode) if mode == "I;16" else picture.convert(mode))) == {
        "Colour or not"
    }


def test_black_on_nothing_is_black_on_white() -> None:
    picture = Image.new("RGBA", (300, 80), (0, 0, 0, 0))
    ImageDraw.Draw(picture).text((30, 20), "Colour or not", fill="black", font=ImageFont.load_default(size=32))
    assert texts(read_picture(picture)) == {"Colour or not"}


@pytest.mark.parametrize("height", [8, 10, 12, 16])
def test_small_letters_beside_large_ones_are_read(height: int) -> None:
    words = ["The bridge over the Tarn is 2,460 metres long.", "It was opened on 16 December 2004."]
    picture = draw(["MILLAU VIADUCT"], [(80, 80)], (1100, 1500))
    for place, line in enumerate(words):
        font = ImageFont.load_default(size=height)
        ImageDraw.Draw(picture).text((80, 300 + 60 * place), line, fill="black", font=font)
    lines = read_picture(picture)
    assert len(lines) == 3 and accuracy(lines, words) > 0.9


@pytest.mark.parametrize("size", [(1, 1), (15, 400), (400, 15), (640, 400)])
def test_nothing_in_nothing(size: tuple[int, int]) -> None:
    assert read_picture(Image.new("RGB", size, "white")) == []


def test_a_drawing_has_no_letters() -> None:
    picture = Image.new("RGB", (210, 137), "white")
    ImageDraw.Draw(picture).ellipse((10, 10, 200, 127), outline="black", width=9)
    assert read_picture(picture) == []


@pytest.mark.parametrize("size", [(16, 9000), (4000, 3000)])
def test_a_large_picture_costs_no_more_than_a_page(size: tuple[int, int]) -> None:
    assert read_picture(Image.new("L", size, 255)) == []


def test_corners_are_in_the_pixels_of_the_picture_that_was_given(upright: list[OcrLine]) -> None:
    lines = read_picture(draw().resize((640 * 3, 400 * 3)))
    assert [line.text for line in lines] == WORDS
    for line, other in zip(lines, upright, strict=True):
        x, y = middle(line.corners)
        assert (x / 3, y / 3) == pytest.approx(middle(other.corners), abs=6)


CHILD = """
import json, socket, sys
from ingest.worker import allow_processor_time, limit_process
limit_process(2048)
allow_processor_time(30)
def refuse(*arguments): raise AssertionError("the network was asked")
socket.socket.connect = socket.getaddrinfo = refuse
import pypdfium2
from ingest.pdf.ocr import read_picture
with pypdfium2.PdfDocument(sys.argv[1]) as document:
    page = document[0].render(scale=150 / 72).to_pil()
page.paste('white', (0, 810, *page.size))  # half of the text is enough
print(json.dumps([line.text for line in read_picture(page)]))
"""

SCAN = [
    "The LinnSequencer",
    "32 Track MIDI Sequence Recorder",
    "The LinnSequencer is a state-of-the-art composition and performance tool for the professional musician. It is",
    "extremely powerful, yet amazingly simple to learn and use. It's many remarkable features include:",
    "• Operation is similar to multi-track tape recorder with PLAY, STOP, RECORD, FAST",
    "FORWARD, REWIND, and LOCATE controls.",
    "• Each of the 100 sequences contains 32 simultaneous, polyphonic tracks. Each track may",
    "be assigned to one of 16 MIDI channels. Simultaneously plays up to 16 polyphonic",
    "synthesizers!",
    '• Ultra-fast 3½" disk drive stores complex songs in seconds and holds over 110,000 notes',
    "• TIMING CORRECTION works during playback and operates without 'chopping' notes.",
    "Recording a Sequence",
    "To record a sequence, simply press RECORD and PLAY,",
    "you'll hear what you played—only all timing errors will be",
]
PLAIN_SCAN = [
    "IDRH",
    "Non-text-searchable PDF",
    "This is an example of a non-text-searchable PDF. Because it was created from",
    "an image rather than a text document, it cannot be rendered as plain text by the",
    "PDF reader. Thus, attempting to select the text on the page as though it were a",
    "text document or website will not work, regardless of how neatly it is organized.",
]


@pytest.mark.slow
@needs_data
def test_a_scan_within_the_limits_of_the_child_and_without_a_network() -> None:
    child = subprocess.run(
        [sys.executable, "-c", CHILD, PDFS / "linnsequencer-scan.pdf"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (child.returncode, child.stderr) == (0, "")
    lines = [OcrLine(text, ((0, 0),) * 4, 1) for text in json.loads(child.stdout)]
    assert len(lines) == 34
    assert accuracy(lines, SCAN) > 0.99


@needs_data
@pytest.mark.parametrize("angle", [90, 187])
def test_a_scan(angle: float) -> None:
    with pypdfium2.PdfDocument(PDFS / "non-text-searchable.pdf") as document:
        page = document[0].render(scale=DPI / 72).to_pil().crop((0, 60, 1275, 400))
    lines = read_picture(skewed(page, angle))
    assert len(lines) == len(PLAIN_SCAN)
    assert accuracy(lines, PLAIN_SCAN) > 0.99


# -- text layer or picture? ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("layer", "words", "stays"),
    [
        ("Secret!", [], True),  # nothing is recognised: the layer is all there is
        ("Secret!", ["Ships"], True),
        ("12", WORDS, False),  # a scan with its page's number
        ("", WORDS, False),
        ("shifted", [], True),
        ("shifted", WORDS, False),  # however much longer the garbled layer is
    ],
)
def test_the_text_layer_stays_unless_the_picture_says_more(
    tmp_path: Path, layer: str, words: Sequence[str], stays: bool
) -> None:
    layer = exchanged(ENGLISH, AZ[3:] + AZ[:3]) if layer == "shifted" else layer
    sheet = Sheet(tmp_path / "a.pdf")
    sheet.canvas.drawImage(ImageReader(draw(words, PLACES[: len(words)])), 60, 300, 460, 288)
    sheet.canvas.setFillColorRGB(1, 1, 1)  # not to be recognised
    sheet.lines(60, 780, layer.split("\n"), 8)
    made = read_made(sheet.save(), ocr=True)
    assert made.pages[0]["ocr"] is not stays
    for line in layer.split("\n"):
        assert (line in made.text) is stays or not line
    assert all(word in made.text for word in words)  # where the layer stays, as those of a figure
    assert all((region.ocr_confidence is None) is stays for region in made.document.regions if region.kind == "text")


# -- is_garbled ------------------------------------------------------------------------------------------------

ENGLISH = """The harbour was closed for three weeks in the spring of 1904, when the ice did not break up before the
middle of April. Ships waited outside, and the price of coal rose to nearly twice what it had been in the autumn."""
GERMAN = """Die Straße führt über die Brücke zum alten Schloss. Größere Städte prüfen die Übergänge jährlich, und für
die Bürger ändert sich nur wenig. Das Gebäude wurde im Jahr 1895 für zwölf Familien errichtet und später umgebaut."""
GENUINE = {
    "English": ENGLISH,
    "German": GERMAN,
    "French": """L'été dernier, la ville a décidé de fermer le marché du dimanche à cause des travaux près de l'église.
        Les commerçants ont protesté, mais le maire leur a répondu que la sécurité des élèves passait avant tout.""",
    "Spanish": """La biblioteca abrirá sus puertas todos los días de la semana, excepto los lunes, y los niños podrán
        llevarse hasta tres libros cada vez. El año pasado se prestaron más de doce mil volúmenes.""",
    "Polish": """Wszyscy ludzie rodzą się wolni i równi pod względem swej godności i swych praw. Są oni obdarzeni
        rozumem i sumieniem i powinni postępować wobec innych w duchu braterstwa.""",
    "Czech": """Všichni lidé rodí se svobodní a sobě rovní co do důstojnosti a práv. Jsou nadáni rozumem a svědomím a
        mají spolu jednat v duchu bratrství.""",
    "Finnish": """Kaikki ihmiset syntyvät vapaina ja tasavertaisina arvoltaan ja oikeuksiltaan. Heille on annettu järki
        ja omatunto, ja heidän on toimittava toisiaan kohtaan veljeyden hengessä.""",
    "Hungarian": """Minden emberi lény szabadon születik és egyenlő méltósága és joga van. Az emberek, ésszel és
        lelkiismerettel bírván, egymással szemben testvéri szellemben kell hogy viseltessenek.""",
    "Turkish": """Bütün insanlar hür, haysiyet ve haklar bakımından eşit doğarlar. Akıl ve vicdana sahiptirler ve
        birbirlerine karşı kardeşlik zihniyeti ile hareket etmelidirler.""",
    "Vietnamese": """Tất cả mọi người sinh ra đều được tự do và bình đẳng về nhân phẩm và quyền lợi. Mọi con người đều
        được tạo hóa ban cho lý trí và lương tâm và cần phải đối xử với nhau trong tình bằng hữu.""",
    "Russian": """Все люди рождаются свободными и равными в своем достоинстве и правах. Они наделены разумом и совестью
        и должны поступать в отношении друг друга в духе братства.""",
    "Ukrainian": """Всі люди народжуються вільними і рівними у своїй гідності та правах. Вони наділені розумом і
        совістю і повинні діяти у відношенні один до одного в дусі братерства.""",
    "Greek": """Όλοι οι άνθρωποι γεννιούνται ελεύθεροι και ίσοι στην αξιοπρέπεια και τα δικαιώματα. Είναι προικισμένοι
        με λογική και συνείδηση, και οφείλουν να συμπεριφέρονται μεταξύ τους με πνεύμα αδελφοσύνης.""",
    "Korean": """모든 인간은 태어날 때부터 자유로우며 그 존엄과 권리에 있어 동등하다. 인간은 천부적으로 이성과 양심을
        부여받았으며 서로 형제애의 정신으로 행동하여야 한다.""",
    "Chinese": "人人生而自由，在尊严和权利上一律平等。他们赋有理性和良心，并应以兄弟关系的精神相对待。",
    "Japanese": "すべての人間は、生まれながらにして自由であり、かつ、尊厳と権利とについて平等である。",
    "Arabic": "يولد جميع الناس أحرارا متساوين في الكرامة والحقوق وقد وهبوا عقلا وضميرا وعليهم",
    "Hebrew": "כל בני אדם נולדו בני חורין ושווים בערכם ובזכויותיהם. כולם חוננו בתבונה ובמצפון.",
    "Hindi": "सभी मनुष्यों को गौरव और अधिकारों के मामले में जन्मजात स्वतन्त्रता और समानता प्राप्त है।",
    "a table": "\n".join(f"{y}  {y * 7 % 1000},{y * 13 % 1000:03}  ({y % 9}.{y % 7} %)" for y in range(1990, 2020)),
    "a table of contents": "\n".join(f"{n}.1 Methods and results {'. ' * 40}{n * 9}" for n in range(1, 20)),
    "C": """static int cmp(const void *a, const void *b) { return *(int *)a - *(int *)b; }
        for (i = 0; i < n; ++i) { buf[i] ^= key[i % len]; if (!buf[i]) break; } fprintf(stderr, "%d\\n", errno);""",
    "Python": ENGLISH.join(("def f(xs):\n    return {k: v for k, v in xs if v is not None}\n\n# ", "\n")),
    "formulas": "∑_{i=1}^{n} x_i² ≤ (∫_0^∞ f(t) dt)·‖A‖₂,  ∀ε > 0 ∃δ: |x − y| < δ ⇒ |f(x) − f(y)| < ε;  α + β ≠ γ ⊂ Ω",
    "hyphens of pdfium": ENGLISH.replace("e", "\ufffe", 12),
    "quotation marks": ENGLISH.replace("the", "“the”") + " It cost 5 € – or 6 £ – a ton… Ça va?",
}  # fmt: skip
AZ = "abcdefghijklmnopqrstuvwxyz"


def exchanged(text: str, letters: str) -> str:
    return text.translate(str.maketrans(AZ + AZ.upper(), letters + letters.upper()))


def mapped(text: str, offset: int) -> str:
    return "".join(c if c.isspace() else chr(ord(c) + offset) for c in text)


@pytest.mark.parametrize("text", GENUINE.values(), ids=GENUINE.keys())
def test_genuine_text_is_not_garbled(text: str) -> None:
    assert not is_garbled(text)


@pytest.mark.parametrize("offset", [*range(-25, 0), *range(1, 26)])
def test_shifted_letters(offset: int) -> None:
    for text in (ENGLISH, GERMAN):
        assert is_garbled(exchanged(text, AZ[offset:] + AZ[:offset]))


@pytest.mark.parametrize("offset", [-31, -29, -1, 1, 3, 29, 31, 64, 100, 200, 500, 0xE000])
def test_shifted_codes(offset: int) -> None:
    assert is_garbled(mapped(ENGLISH, offset))


def test_nearly_every_exchange_of_letters_is_noticed() -> None:
    drawn = random.Random(5)
    flagged = [is_garbled(exchanged(ENGLISH, "".join(drawn.sample(AZ, 26)))) for _ in range(300)]
    assert sum(flagged) >= 290


@pytest.mark.parametrize(
    "text",
    [
        "".join(c if c.isspace() else "\ufffd" for c in ENGLISH),
        "".join(c if c.isspace() else f"(cid:{ord(c)})" for c in ENGLISH),
        "".join(c if c.isspace() else chr(ord(c) % 32) for c in ENGLISH),
        ENGLISH.replace("e", "\ufffd"),
        GERMAN.encode().decode("cp1252", "replace"),
        GERMAN.encode().decode("latin-1"),
        GENUINE["Russian"].encode().decode("latin-1"),
        GENUINE["Greek"].encode().decode("cp1252", "replace"),
        "!\"#$%&'()*+ ,-./:;<=>?@ [\\]^_`{|}~ #%!'(&/ *+)$",
    ],
)
def test_garbled(text: str) -> None:
    assert is_garbled(text)


@given(st.text(max_size=19))
def test_a_short_text_is_not_garbled(text: str) -> None:
    assert not is_garbled(text)


@given(st.text())
def test_any_text_is_judged_and_white_space_does_not_matter(text: str) -> None:
    assert is_garbled(text) == is_garbled(f"\n  {text}\r\n ")


@needs_data
def test_no_page_of_the_shared_documents_is_garbled() -> None:
    for path in sorted(PDFS.glob("*.pdf")):
        if path.name.startswith("encrypted"):
            continue
        with pypdfium2.PdfDocument(path) as document:
            flagged = [i + 1 for i in range(len(document)) if is_garbled(document[i].get_textpage().get_text_range())]
        assert (path.name, flagged) == (path.name, [])
