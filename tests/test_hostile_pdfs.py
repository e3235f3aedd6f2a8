"""PDFs that mean harm, or are damaged: read in real children with small limits, as ingest reads them.

Whatever a page holds, the reading ends in time, the page is named with its reason, and the other pages are there.
`python -m tests.test_hostile_pdfs 2000` feeds that many damaged files and prints what became of them.
"""

from __future__ import annotations

import gc
import io
import random
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from ingest.child_process import Children, Limits
from ingest.pdf.pdf_reading import PageReader
from rag.document import Document
from rag.errors import DocumentError
from tests.conftest import ROOT
from tests.made import Sheet, Words, dejavu, mutated, raw_pdf, read_by_children

GOLDEN = ROOT / "tests" / "golden"
PAGE_SECONDS, MEMORY_MB = 3.0, 500
PLAIN_FONT = b"<< /Font << /F1 3 0 R >> >>"


def stream(content: bytes, more: bytes = b"") -> bytes:
    return b"<< /Length %d %s>>\nstream\n%s\nendstream" % (len(content), more, content)


def deflated(pieces: Iterable[bytes], more: bytes = b"") -> bytes:
    packer = zlib.compressobj(1)
    packed = b"".join([*(packer.compress(piece) for piece in pieces), packer.flush()])
    return stream(packed, b"/Filter /FlateDecode " + more)


def three_pages(
    content: bytes,
    resources: bytes = PLAIN_FONT,
    extra: Sequence[bytes] = (),
    in_page: bytes = b"",
    catalog: bytes = b"",
) -> bytes:
    """A PDF whose second page has this content (an object), with further objects from number 10 on."""

    def page(number: int, resources: bytes, more: bytes = b"") -> bytes:
        return b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents %d 0 R /Resources %s %s>>" % (
            number,
            resources,
            more,
        )

    def line(words: bytes) -> bytes:
        return stream(b"BT /F1 11 Tf 50 700 Td (%s) Tj ET" % words)

    return raw_pdf(
        [
            b"<< /Type /Catalog /Pages 2 0 R %s >>" % catalog,
            b"<< /Type /Pages /Count 3 /Kids [4 0 R 6 0 R 8 0 R] >>",
            b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
            page(5, PLAIN_FONT),
            line(b"The lynx sits on the first page."),
            page(7, resources, in_page),
            content,
            page(9, PLAIN_FONT),
            line(b"The vole sits on the third page."),
            *extra,
        ]
    )


@dataclass(frozen=True)
class Told:
    """What became of a file: the document or why it was refused, and how long it took."""

    document: Document | None
    refused: str
    seconds: float


def read(content: bytes, folder: Path, passwords: Sequence[str] = (), ocr: bool = False) -> Told:
    file = folder / "hostile.pdf"
    file.write_bytes(content)
    started = time.monotonic()
    try:
        found = read_by_children(file, folder / "reading", 1, passwords, PAGE_SECONDS, MEMORY_MB, ocr)
    except DocumentError as error:
        return Told(None, str(error), time.monotonic() - started)
    return Told(found.document, "", time.monotonic() - started)


def page_text(document: Document, number: int) -> str:
    page = document.pages[number - 1]
    return document.text[page.start : page.end]


def assert_others_are_there(document: Document | None) -> None:
    assert document is not None
    assert len(document.pages) == 3
    assert "The lynx sits on the first page." in page_text(document, 1)
    assert "The vole sits on the third page." in page_text(document, 3)
    assert not [warning for warning in document.warnings if re.match(r"pages? [13]\b", warning)]
    assert not [warning for warning in document.warnings if "exit code 1)" in warning]  # a traceback in the child


# -- what does not open ------------------------------------------------------------------------------------------------


def test_a_wrong_password_is_said(tmp_path: Path) -> None:
    content = (GOLDEN / "encrypted-aes256.pdf").read_bytes()
    assert "it needs a password" in read(content, tmp_path).refused
    assert "no password that was given opens it" in read(content, tmp_path, ["wrong", "", "b" * 5000]).refused
    opened = read(content, tmp_path, ["wrong", "baz"]).document
    assert opened is not None and len(opened.pages) == 1 and opened.text.strip()


@pytest.mark.parametrize("damage", ["no table", "half", "nothing but a head", "wrong root", "garbage"])
def test_a_damaged_structure_is_read_or_refused_in_one_line(tmp_path: Path, damage: str) -> None:
    whole = three_pages(stream(b"BT /F1 11 Tf 50 700 Td (The newt.) Tj ET"))
    content = {
        "no table": whole.replace(b"xref\n0", b"fxre\n0"),
        "half": whole[: len(whole) // 2],
        "nothing but a head": b"%PDF-1.7\n",
        "wrong root": whole.replace(b"/Root 1 0 R", b"/Root 7 0 R"),
        "garbage": b"%PDF-1.7\n" + random.Random(5).randbytes(50_000),
    }[damage]
    told = read(content, tmp_path)
    if damage == "no table":  # pdfium finds the objects without it
        assert_others_are_there(told.document)
    elif told.document is None:
        assert "damaged" in told.refused and "\n" not in told.refused
        assert not (tmp_path / "reading" / "x").exists() and not list((tmp_path / "reading").iterdir())
    else:
        assert told.document.warnings


# -- trees without an end ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kids", [b"4 0 R 2 0 R 8 0 R", b"2 0 R", b"4 0 R 10 0 R", b"4 0 R 4 0 R 4 0 R 4 0 R"])
def test_a_page_tree_that_leads_back_ends(tmp_path: Path, kids: bytes) -> None:
    inner = b"<< /Type /Pages /Parent 2 0 R /Count 3 /Kids [2 0 R 10 0 R 8 0 R] >>"
    content = three_pages(stream(b""), extra=[inner]).replace(b"4 0 R 6 0 R 8 0 R", kids)
    told = read(content, tmp_path)
    if told.document is None:
        assert re.search("damaged|none of its pages can be read", told.refused)
    elif kids.startswith(b"4 0 R"):
        assert "The lynx sits" in page_text(told.document, 1)
        assert len(told.document.pages) <= 10
    else:
        assert told.document.warnings


@pytest.mark.parametrize("count", [10**9, 1_000_000, 2**31 - 1, -5])
def test_a_document_has_the_pages_that_are_there_and_not_those_that_it_claims(tmp_path: Path, count: int) -> None:
    content = three_pages(stream(b"")).replace(b"/Count 3", b"/Count %d" % count)
    told = read(content, tmp_path)
    assert told.document is not None
    assert "The lynx sits" in page_text(told.document, 1) and "The vole sits" in page_text(told.document, 3)
    assert len(told.document.pages) <= 1000
    assert len(told.document.warnings) < 5


def test_pages_that_are_left_out_one_after_the_other_are_one_warning(tmp_path: Path) -> None:
    pages = 40
    kids = b" ".join(b"%d 0 R" % (4 + i) for i in range(pages))
    content = raw_pdf(
        [
            b"<< /Type /Catalog /Pages 2 0 R >>",
            b"<< /Type /Pages /Count %d /Kids [%s] >>" % (pages, kids),
            b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents %d 0 R /Resources %s >>"
            % (4 + pages, PLAIN_FONT),
            *[b"null" for _ in range(pages - 1)],
            stream(b"BT /F1 11 Tf 50 700 Td (The lynx sits on the first page.) Tj ET"),
        ]
    )
    document = read(content, tmp_path).document
    assert document is not None
    assert "The lynx sits" in page_text(document, 1)
    assert len(document.pages) == pages and len(document.warnings) == 1
    assert document.warnings[0].startswith("pages 2-40: could not be read: ")


# -- pages that take too much ------------------------------------------------------------------------------------------


def many(piece: bytes, count: int) -> Iterator[bytes]:
    block = piece * 1000
    for _ in range(count // 1000):
        yield block


def loops() -> bytes:
    """A page whose content is in forms that call each other, and themselves."""
    forms = [
        stream(
            b"/A Do /B Do /C Do BT /F1 11 Tf 50 600 Td (The newt.) Tj ET",
            b"/Type /XObject /Subtype /Form /BBox [0 0 595 842] "
            b"/Resources << /Font << /F1 3 0 R >> /XObject << /A 10 0 R /B 11 0 R /C 12 0 R >> >> ",
        )
        for _ in range(3)
    ]
    resources = b"<< /Font << /F1 3 0 R >> /XObject << /A 10 0 R /B 11 0 R /C 12 0 R >> >>"
    return three_pages(stream(b"/A Do /B Do"), resources, forms)


def large_picture() -> bytes:
    """60,000 x 60,000 pixels in two levels of compression."""
    row = b"\x55" * (60_000 // 8)
    once = zlib.compressobj(1)
    block = row * 1000
    packed = b"".join([*(once.compress(block) for _ in range(60)), once.flush()])
    picture = deflated(
        [packed],
        b"/Type /XObject /Subtype /Image /Width 60000 /Height 60000 /BitsPerComponent 1 /ColorSpace /DeviceGray ",
    ).replace(b"/Filter /FlateDecode", b"/Filter [/FlateDecode /FlateDecode]")
    resources = b"<< /Font << /F1 3 0 R >> /XObject << /I 10 0 R >> >>"
    content = b"q 300 0 0 300 100 300 cm /I Do Q BT /F1 11 Tf 100 280 Td (Figure 1: A picture.) Tj ET"
    return three_pages(stream(content), resources, [picture])


def random_font() -> bytes:
    """A page whose font's file is noise."""
    noise = random.Random(9).randbytes(60_000)
    extra = [
        b"<< /Type /Font /Subtype /TrueType /BaseFont /Noise /FirstChar 32 /LastChar 34 /Widths [500 500 500] "
        b"/FontDescriptor 11 0 R >>",
        b"<< /Type /FontDescriptor /FontName /Noise /Flags 4 /FontBBox [0 0 1000 1000] /ItalicAngle 0 /Ascent 800 "
        b"/Descent -200 /CapHeight 700 /StemV 80 /FontFile2 12 0 R >>",
        stream(noise, b"/Length1 60000 "),
    ]
    return three_pages(stream(b"BT /F2 11 Tf 50 600 Td (The newt.) Tj ET"), b"<< /Font << /F2 10 0 R >> >>", extra)


def letters(count: int) -> bytes:
    line = b"(" + b"newt " * 20 + b") Tj T*\n"
    return three_pages(deflated([b"BT /F1 4 Tf 5 TL 20 830 Td\n", *[line] * (count // 80), b"ET"]))


HOSTILE = {  # what, and what is said of the second page: a reason, or None where it may well be read
    "100 MB of blanks": (lambda: three_pages(deflated(many(b" ", 100 << 20))), None),
    "100 MB of operators": (lambda: three_pages(deflated(many(b"1 0 0 1 0 0 cm\n", 7_000_000))), None),
    "100 MB of letters": (lambda: three_pages(deflated([b"BT /F1 9 Tf (", *many(b"a", 100 << 20), b") Tj ET"])), None),
    "a picture of 60,000 x 60,000 pixels": (large_picture, None),
    "forms that call each other": (loops, None),
    "a million saved states": (lambda: three_pages(deflated([b"q " * 1_000_000, b"Q " * 1_000_000])), None),
    "a million arrays in arrays": (lambda: three_pages(deflated([b"[" * 1_000_000, b"]" * 1_000_000, b" TJ"])), None),
    "dictionaries in dictionaries": (
        lambda: three_pages(stream(b""), in_page=b"/X " + b"<< /X " * 100_000 + b"1" + b" >>" * 100_000),
        None,
    ),
    "a font of noise": (random_font, None),
    "300,000 letters": (lambda: letters(300_000), "letters, more than 200,000"),
    "50,000 paths": (
        lambda: three_pages(deflated([b"%d %d 3 3 re f\n" % (i % 590, i // 590) for i in range(50_000)])),
        None,
    ),
    "20,000 rules": (
        lambda: three_pages(
            deflated([b"%d %d m %d %d l S\n" % (i % 300, i // 25, i % 300 + 250, i // 25) for i in range(20_000)])
        ),
        None,
    ),
    "a page of no size": (
        lambda: three_pages(stream(b"BT /F1 11 Tf (a) Tj ET"), in_page=b"/MediaBox [0 0 0 0] "),
        None,
    ),
    "a page of a million miles": (
        lambda: three_pages(
            stream(b"BT /F1 11 Tf 50 50 Td (The newt.) Tj ET"),
            in_page=b"/CropBox [-1e30 -1e30 1e30 1e30] /UserUnit 1e9 ",
        ),
        None,
    ),
    "letters larger than the world": (
        lambda: three_pages(stream(b"BT /F1 1e38 Tf 1e30 0 0 1e30 1e37 -1e38 Tm (The newt.) Tj ET")),
        None,
    ),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_a_hostile_page_keeps_no_other_out(tmp_path: Path, what: str, capfd: pytest.CaptureFixture[str]) -> None:
    make, reason = HOSTILE[what]
    content = make()
    assert len(content) < 4 << 20
    told = read(content, tmp_path)
    assert_others_are_there(told.document)
    assert told.document is not None
    of_page = [warning for warning in told.document.warnings if warning.startswith("page 2")]
    if reason is not None:
        assert of_page and re.search(reason, of_page[0]) and "could not be read" in of_page[0]
    assert of_page or page_text(told.document, 2).strip() or any(r.page == 2 for r in told.document.regions)
    assert told.seconds < PAGE_SECONDS + 12
    assert capfd.readouterr() == ("", "")


# -- odd names, and what a document would like to do -------------------------------------------------------------------


def test_control_characters_reach_no_text(tmp_path: Path) -> None:
    odd = b"The \\033[31mnewt\\007 sits\\000 on\\010 it\\177."
    content = three_pages(
        stream(b"BT /F1 11 Tf 50 600 Td (%s) Tj ET" % odd), catalog=b"/Na#00me#1b (\\033]0;x\\007) /Lang (\\033[2J)"
    )
    content = content.replace(b"/Root 1 0 R", b"/Root 1 0 R /Info << /Title (A \\033[2Jtitle\\007 of it) >>")
    told = read(content, tmp_path)
    assert_others_are_there(told.document)
    assert told.document is not None
    assert "newt" in page_text(told.document, 2)
    assert "title" in told.document.title
    text = told.document.text
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\ud800-\udfff]", text), ascii(text)


def test_nothing_that_a_document_asks_for_is_done(tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        listening.settimeout(0.2)
        address = b"http://127.0.0.1:%d/" % listening.getsockname()[1]
        touch = str(marker).encode()
        script = b'app.launchURL("%s"); this.exportDataObject({cName: "%s", nLaunch: 2}); this.submitForm("%s");' % (
            address, touch, address,
        )  # fmt: skip
        actions = [
            b"<< /Type /Action /S /JavaScript /JS (%s) /Next [11 0 R 12 0 R 13 0 R] >>"
            % script.replace(b"(", b"\\(").replace(b")", b"\\)"),
            b"<< /Type /Action /S /Launch /F (/usr/bin/touch) /Win << /F (touch) /P (%s) >> "
            b"/Unix << /F (touch %s) >> >>" % (touch, touch),
            b"<< /Type /Action /S /URI /URI (%s) >>" % address,
            b"<< /Type /Action /S /SubmitForm /F (%s) /Flags 4 >>" % address,
            b"<< /Type /Annot /Subtype /Link /Rect [0 0 595 842] /A 11 0 R /AA << /PO 10 0 R /PV 12 0 R >> >>",
            stream(b"inside", b"/Type /EmbeddedFile /Params << /Size 6 >> "),
            b"<< /Type /Filespec /F (%s) /UF (%s) /EF << /F 15 0 R >> >>" % (touch, touch),
        ]
        content = three_pages(
            stream(b"BT /F1 11 Tf 50 600 Td (The newt.) Tj ET"),
            extra=actions,
            in_page=b"/Annots [14 0 R] /AA << /O 10 0 R /C 11 0 R >> ",
            catalog=b"/OpenAction 10 0 R /AA << /WC 11 0 R >> /Names << /EmbeddedFiles << /Names [(%s) 16 0 R] >> "
            b"/JavaScript << /Names [(a) 10 0 R] >> >>" % touch,
        )
        told = read(content, tmp_path, ocr=True)
        assert_others_are_there(told.document)
        assert told.document is not None and "The newt." in page_text(told.document, 2)
        with pytest.raises(TimeoutError):
            listening.accept()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["hostile.pdf", "reading"]
    assert list((tmp_path / "reading").iterdir()) == []


def test_a_child_can_write_no_file_and_take_no_more_memory_than_it_may(tmp_path: Path) -> None:
    script = (
        "import signal, sys\n"
        "from ingest.worker import limit_process\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "limit_process(300)\n"
        "for number, path in enumerate(sys.argv[1:]):\n"
        "    try:\n"
        "        with open(path, 'ab', buffering=0) as file: print(file.write(b'words'))\n"
        "    except OSError as error: print(error.errno)\n"
        "try: print(len(bytearray(400 << 20)))\n"
        "except MemoryError: print('memory')\n"
    )
    old = tmp_path / "old"
    old.write_bytes(b"before")
    result = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "new"), str(old)], cwd=ROOT, text=True, capture_output=True
    )
    assert result.stdout.split() == ["27", "27", "memory"], result.stderr  # EFBIG
    assert old.read_bytes() == b"before"
    assert not (tmp_path / "new").exists() or (tmp_path / "new").read_bytes() == b""


def test_no_more_children_run_than_may(tmp_path: Path) -> None:
    """Each of four readings of one document waits for its turn; a child that dies gives its place back."""
    file = tmp_path / "a.pdf"
    file.write_bytes(three_pages(deflated([b"BT /F1 9 Tf ", *many(b"(a) Tj\n", 3_000_000), b" ET"])))
    slots = threading.Semaphore(1)
    told: list[tuple[int, str]] = []
    for _ in range(2):
        reading = PageReader(file, (), False, Limits(1, MEMORY_MB), Children(slots, 1, threading.Event()))
        assert reading.outline()[0] == 3
        reading.pages([1, 2, 3], lambda number, what, value: told.append((number, what)))
    assert told == [(1, "page"), (2, "bad"), (3, "page")] * 2
    assert slots.acquire(blocking=False)


# -- damaged by chance -------------------------------------------------------------------------------------------------


def seeds() -> list[tuple[bytes, tuple[str, ...]]]:
    """Five files that are damaged by chance: (bytes, passwords)."""
    from pypdf import PdfWriter

    excerpt = io.BytesIO()
    writer = PdfWriter()
    writer.append(ROOT / "examples" / "specter-acl2020.pdf", pages=(6, 8), import_outline=False)
    writer.write(excerpt)
    with tempfile.TemporaryDirectory() as folder:
        words = Words()
        sheet = Sheet(Path(folder) / "a.pdf", title="The weights of parts")
        sheet.canvas._pageCompression = 0
        for page in (1, 2, 3):
            sheet.canvas.bookmarkPage(str(page))
            sheet.canvas.addOutlineEntry(f"Part {page}", str(page), min(page - 1, 1))
            sheet.text(60, 800, f"Part {page}", 16)
            sheet.prose(60, 770, 220, words.paragraph(12))
            sheet.prose(300, 770, 220, words.paragraph(12), font=dejavu())
            sheet.canvas.rect(100, 200, 200, 150)
            sheet.text(100, 186, f"Figure {page}: What is drawn.", 9)
            sheet.text(100, 150, f"Table {page}: What is counted.", 9)
            for row in range(4):
                for column in range(4):
                    sheet.text(100 + 60 * column, 130 - 12 * row, f"{row}.{column}" if row else f"Head{column}", 8)
            sheet.next_page()
        made = sheet.save().read_bytes()
    return [
        ((GOLDEN / "encrypted-aes256.pdf").read_bytes(), ("baz",)),
        ((GOLDEN / "malformed-pdfjsbad1586.pdf").read_bytes(), ()),
        ((GOLDEN / "non-text-searchable.pdf").read_bytes(), ()),
        (excerpt.getvalue(), ()),
        (made, ()),
    ]


@dataclass
class Tally:
    """What became of damaged files."""

    files: int = 0
    pages: int = 0
    bad: int = 0  # files with a page that could not be read
    refused: int = 0
    lost: Counter[str] = field(default_factory=Counter)  # why children ended
    wrong: list[str] = field(default_factory=list)  # what must not be
    longest: float = 0.0
    seconds: float = 0.0
    growth_mb: float = 0.0  # of this process


def resident_mb() -> float:
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / (1 << 20)
    except OSError:
        return 0.0


def feed(count: int, folder: Path, seed: int, threads: int = 2) -> Tally:
    """Read so many damaged files, one child after the other, in so many threads."""
    sources, tally, lock = seeds(), Tally(), threading.Lock()
    started = time.monotonic()

    def one(number: int) -> None:
        content, passwords = sources[number % len(sources)]
        content = mutated(content, random.Random(f"{seed} {number}"))
        there = folder / f"{number}"
        there.mkdir()
        try:
            told = read(content, there, passwords)
        except Exception as error:  # noqa: BLE001  # whatever it is, it is what this looks for
            with lock:
                tally.wrong.append(f"file {number}: {type(error).__name__}: {error}")
            return
        finally:
            left = [path.name for path in (there / "reading").glob("*")] if (there / "reading").is_dir() else []
            shutil.rmtree(there)
        with lock:
            tally.files += 1
            tally.longest = max(tally.longest, told.seconds)
            said = [told.refused, *(told.document.warnings if told.document else ())]
            for text in said:
                for why in re.findall(r"crashed the parser \(exit code -?\d+\)|took longer|needed more than", text):
                    tally.lost[why] += 1
                if "exit code 1)" in text or "Traceback" in text or "\n" in text:
                    tally.wrong.append(f"file {number}: {text}")
            if left:
                tally.wrong.append(f"file {number} left {left}")
            if told.document is None:
                tally.refused += 1
            else:
                tally.pages += len(told.document.pages)
                tally.bad += any("could not be read" in warning for warning in told.document.warnings)

    one_first = min(count, 10)
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(one, range(one_first)))
        gc.collect()
        before = resident_mb()
        list(pool.map(one, range(one_first, count)))
    gc.collect()
    tally.growth_mb, tally.seconds = resident_mb() - before, time.monotonic() - started
    return tally


@pytest.mark.slow
def test_damaged_files_are_read_or_refused(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    tally = feed(20, tmp_path, 1)
    assert tally.wrong == []
    assert tally.files == 20
    assert tally.pages > 10
    assert tally.longest < 3 * PAGE_SECONDS + 15
    assert tally.growth_mb < 50
    assert capfd.readouterr() == ("", "")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        print(feed(int(sys.argv[1]) if len(sys.argv) > 1 else 2000, Path(scratch), 2))
