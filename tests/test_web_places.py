"""A click on a citation to a table, a figure or a scanned page shows the page with the right place marked."""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont
from reportlab.lib.utils import ImageReader
from reportlab.pdfgen.canvas import Canvas

from tests.conftest import Run, needs_browser
from tests.pages import Endpoint, Site, replies, visit

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

WIDTH, HEIGHT = 595.0, 842.0
YELLOW, BROWN = (255, 228, 60), (150, 90, 0)
REPLIES = {"Gannet": "23", "tank": "brass oil tank", "night": "Ada Quillfeather"}
BOATS = [("Boat", "Built", "Crew"), ("Heron", "1871", "14"), ("Gannet", "1889", "23"), ("Petrel", "1902", "9")]

FIGURE = (150.0, 420.0, 400.0, 640.0)


def harbour_book(file: Path) -> Path:
    canvas = Canvas(str(file), pagesize=(WIDTH, HEIGHT))
    canvas.setTitle("The Harbour Book")
    _prose(
        canvas,
        780,
        "The harbour kept three rescue boats. Their crews are listed in Table 1, and the lamp room in Figure 1.",
    )
    canvas.showPage()
    canvas.setFont("Helvetica", 11)
    canvas.drawString(80, 700, "Table 1: The rescue boats of the harbour and their crews.")
    for y in (685, 662, 580):
        canvas.line(80, y, 400, y)
    for i, row in enumerate(BOATS):
        for x, cell in zip((84, 230, 340), row, strict=True):
            canvas.drawString(x, 668 - 25 * i, cell)
    _prose(canvas, 520, "The boats were painted white every spring by the crews and their families.")
    canvas.showPage()
    canvas.rect(FIGURE[0], FIGURE[1], FIGURE[2] - FIGURE[0], FIGURE[3] - FIGURE[1])
    canvas.circle(275, 540, 60)
    canvas.setFont("Helvetica", 10)
    canvas.drawString(240, 440, "brass oil tank")
    canvas.drawString(240, 612, "Fresnel lens")
    canvas.setFont("Helvetica", 11)
    canvas.drawString(150, 400, "Figure 1. Parts of the lamp room.")
    canvas.showPage()
    scan = Image.new("L", (1190, 1684), 255)
    font = ImageFont.load_default(size=34)
    ImageDraw.Draw(scan).text((200, 450), "The night watch was kept by Ada Quillfeather alone.", font=font, fill=0)
    png = BytesIO()
    scan.save(png, "PNG")
    png.seek(0)
    canvas.drawImage(ImageReader(png), 0, 0, WIDTH, HEIGHT)
    canvas.save()
    return file


def _prose(canvas: Canvas, y: float, text: str) -> None:
    canvas.setFont("Helvetica", 11)
    canvas.drawString(80, y, text)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, glossator: Run) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("places")
    done = glossator("ingest", harbour_book(folder / "harbour.pdf"), "--library", folder / "library")
    assert done.returncode == 0, done.stderr
    with Endpoint(replies(REPLIES)) as reader:
        site = Site(folder / "library", folder / "log", reader)
        yield site
        site.interrupt()


def where(picture: Image.Image, colour: tuple[int, int, int]) -> tuple[float, float, float, float]:
    """Left, bottom, right, top in points of what has this colour on a page's picture."""
    pixels = np.asarray(picture).astype(int)
    ys, xs = np.nonzero(np.abs(pixels - colour).sum(axis=2) < 40)
    assert len(xs), f"nothing is marked in {colour}"
    scale = picture.width / WIDTH
    return xs.min() / scale, HEIGHT - ys.max() / scale, xs.max() / scale, HEIGHT - ys.min() / scale


def near(box: tuple[float, ...], wanted: tuple[float, ...], points: float) -> bool:
    return all(abs(a - b) <= points for a, b in zip(box, wanted, strict=True))


@needs_browser
def test_a_citation_opens_its_page_with_the_table_figure_or_scanned_words_marked(browser, site: Site) -> None:
    with visit(browser, site) as visited:
        visited.ask("According to Table 1, how many people were the crew of the boat Gannet?")
        label = visited.page.locator("#sources label").first.inner_text()
        assert "page 2, Table 1" in label and "Crew: " in label  # which row, is the light reader's choice
        picture = visited.picture()
        assert near(where(picture, BROWN), (80, 585, 400, 712), 12)  # around caption and rows
        left, bottom, right, top = where(picture, YELLOW)
        assert left >= 78 and right <= 402 and bottom >= 585 and top <= 700
        assert "Table 1 framed" in visited.page.locator("figure.page figcaption").inner_text()

        visited.ask("In Figure 1, which tank is drawn in the lamp room?")
        assert "page 3, Figure 1" in visited.page.locator("#sources label").first.inner_text()
        assert near(where(visited.picture(), BROWN), FIGURE, 12)

        visited.ask("Who kept the night watch alone?")
        label = visited.page.locator("#sources label").first.inner_text()
        assert "page 4 (read by OCR" in label and "Quillfeather" in label
        left, bottom, right, top = where(visited.picture(), YELLOW)
        assert near((left, top), (100, HEIGHT - 225), 8) and top - bottom < 30  # 450 of 1684 pixels from the top
        assert "read by OCR" in visited.page.locator("figure.page figcaption").inner_text()

        visited.page.locator("#chat .bot a").first.click()  # the first answer's marker, from the conversation
        visited.page.wait_for_function(
            "() => document.querySelector('figure.page figcaption')?.innerText.includes('page 2 of 4')"
        )
        assert visited.errors == []
        visited.page.screenshot(path=str(site.log.parent / "places.png"))
