"""The library and the reader that the browser tests of the room share: one server for all of them."""

from __future__ import annotations

import json
import threading
import time
import wave
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont
from reportlab.lib.utils import ImageReader
from reportlab.pdfgen.canvas import Canvas

from tests.conftest import Run
from tests.pages import HARBOUR, Endpoint, Site, prompt_of
from tests.pdfs import make_pdf
from tests.test_legal_ingest import a_judgment
from tests.test_readers import Handler, says

MARKUP = [
    [
        "<script>window.owned = 1</script> <img src=x onerror='window.owned = 1'> is a note in the margin.",
        "The ferry to Inverloch costs **nine** shillings ![x](http://example.com/x.png) [here](javascript:alert(1)).",
    ]
]
TITLE = "<b>Ferries</b> ${window.owned = 1} {{value}} <script>window.owned = 1</script>"
MILL = a_judgment("A. v. AUSTRIA", "1/01", "4 May 2001", "The applicant's mill was closed for its noise at night.",
                  "The noise of a mill at night may disturb a home beyond what must be borne.")  # fmt: skip
LONG = "\n".join(
    f"{number}. In week {number} the applicant wrote to the town once more, and had no answer."
    for number in range(3, 60)
)
FORGE = a_judgment(
    "B. v. MALTA", "2/05", "4 May 2005", f"The forge stood nine metres from the applicant's bedroom.\n{LONG}",
    "The Court recalls that noise may disturb a home (see A. v. Austria, no. 1/01, § 3).",
).replace("\n3. The Court", "\n60. The Court").replace("\n4. The Court", "\n61. The Court")  # fmt: skip
STEP = 37  # seconds of an utterance
TALK = [
    ("Ada Lind", "Welcome to the show about wind mills and the people who keep them."),
    ("Bo Aas", "The Kolm mill was built of oak in 1871, and its sails were made of linen."),
    ("Ada Lind", "How often do the sails have to be mended?"),
    ("Bo Aas", "Twice a year, in spring and in autumn, and after each storm."),
    ("Ada Lind", "And how is the flour sifted today?"),
    ("Bo Aas", "We filter it through silk, as the old miller did."),
    ("Ada Lind", "Who buys the flour?"),
    ("Bo Aas", "The bakers of Lund buy nine sacks a week, and the rest goes to the market."),
]
STORMS = "<b>Storms</b> & <script>window.owned = 1</script>"
CHAPTERS = [(0, "The mill"), (90, STORMS), (150, "Flour")]
BEES = [
    f"Bees dance to show the others where the clover is, and this is dance number {number}." for number in range(30)
]
BEES += ["The queen of the Harlow hive was called Ottilie.", *BEES]


def stamp(second: int) -> str:
    return f"{second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}.000"


def podcasts(folder: Path) -> Path:
    """An episode with chapters and its audio, and one with chapters and without."""
    folder.mkdir()
    cues = [
        f"{stamp(i * STEP)} --> {stamp((i + 1) * STEP)}\n<v {who}>{said}</v>\n" for i, (who, said) in enumerate(TALK)
    ]
    (folder / "mill.vtt").write_text("\n".join(["WEBVTT\n", *cues]))
    _chapters(folder / "mill.chapters.json", CHAPTERS)
    (folder / "mill.meta.md").write_text("---\ntitle: The Kolm mill\nshow: Old Trades\npublished: 2023-02-27\n---\n")
    with wave.open(str(folder / "mill.wav"), "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(1)
        sound.setframerate(8000)
        sound.writeframes(bytes(128 + (i // 20 % 2) for i in range(8000)) * STEP * len(TALK))
    cues = [f"{stamp(10 * i)} --> {stamp(10 * i + 10)}\n{said}\n" for i, said in enumerate(BEES)]
    (folder / "bees.vtt").write_text("\n".join(["WEBVTT\n", *cues]))
    _chapters(folder / "bees.chapters.json", [(0, "Clover"), (300, "The queen"), (500, "Goodbye")])
    return folder


def _chapters(file: Path, chapters: list[tuple[int, str]]) -> None:
    listed = [{"startTime": second, "title": title} for second, title in chapters]
    file.write_text(json.dumps({"version": "1.2.0", "chapters": listed}))


WIDTH, HEIGHT = 595.0, 842.0
YELLOW, BROWN = (255, 228, 60), (150, 90, 0)
BOATS = [("Boat", "Built", "Crew"), ("Heron", "1871", "14"), ("Gannet", "1889", "23"), ("Petrel", "1902", "9")]

FIGURE = (150.0, 420.0, 400.0, 640.0)


def harbour_tables(file: Path) -> Path:
    canvas = Canvas(str(file), pagesize=(WIDTH, HEIGHT))
    canvas.setTitle("Boats and Lamps")
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


CROWNS = "412 crowns"  # the one thing that the reader says only where a passage does
WHOLE = "Who built the lighthouse at Port Merrow?"
REPLIES = {
    "Who built it?": WHOLE, WHOLE: "two brothers", "Who stole it?": "Who stole the jewels?", "crowns": CROWNS,
    "lighthouse": "1871", "tide": "1902", "ferry": "nine shillings", "Gannet": "23", "tank": "brass oil tank",
    "night watch": "Ada Quillfeather", "queen": "Ottilie", "sacks": "nine sacks a week", "forge": "nine metres",
    "swallow": "I do not know.",
}  # fmt: skip
slowly, held = threading.Event(), threading.Event()  # the reader takes a moment; it waits until it is let go on
held.set()


def reads(handler: Handler) -> None:
    """The reply of the first word that is in the question."""
    prompt = prompt_of(handler.server.chats[-1])
    question = prompt.rpartition("Question:")[2]
    time.sleep(0.3 * slowly.is_set())
    held.wait(60)
    reply = next((reply for word, reply in REPLIES.items() if word in question), "no idea")
    says("no idea" if reply == CROWNS and CROWNS not in prompt else reply)(handler)


@contextmanager
def open_room(folder: Path, glossator: Run) -> Iterator[Site]:
    """A site over a library of PDFs, judgments and episodes."""
    files = [
        make_pdf(folder / "harbour.pdf", HARBOUR, "The Harbour Book"),
        make_pdf(folder / "markup.pdf", MARKUP, TITLE),
        harbour_tables(folder / "boats.pdf"),
        folder / "mill.txt", folder / "forge.txt", podcasts(folder / "shows"),
    ]  # fmt: skip
    files[3].write_text(MILL)
    files[4].write_text(FORGE)
    done = glossator("ingest", *files, "--library", folder / "library")
    assert done.returncode == 0, done.stderr
    with Endpoint(reads) as reader:
        site = Site(folder / "library", folder / "log", reader)
        try:
            yield site
        finally:
            site.interrupt()
