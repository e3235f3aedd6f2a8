"""A document whose reading was killed goes on behind its last page, and comes out as if nothing had happened."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sqlite3
import threading
import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from ingest.build import build
from ingest.child_process import Children, Limits, Stopped
from ingest.chunk import chunk
from ingest.pdf.assemble import geometry
from ingest.pdf.page_store import PageFile
from ingest.pdf.pdf_reading import PdfSource, pdf_recipe, read_document
from ingest.read import content_id
from rag.document import Document
from rag.index.manager import Indexes
from rag.library.catalogue import Library
from rag.settings import load_settings
from tests.conftest import Run
from tests.made import Sheet
from tests.test_bad_input import assert_ended, one_thread, problems, start, wait_for
from tests.test_layout import framed_figure, raster

__all__ = ["one_thread"]
PAGES = 400
SETTINGS = "--set", "ingest.ocr=false"
MARK = "Zzzz"  # put for a word in a page that is kept, to see that it is not read again


def book(file: Path, pages: int) -> Path:
    """Pages of a few words; every fiftieth has a drawing, every hundredth a picture too."""
    sheet = Sheet(file, (400, 400), "The book of pages")
    for page in range(1, pages + 1):
        sheet.text(40, 300, f"Page{page} holds word{page * 7} and word{page * 11}.")
        if page % 50 == 0:
            framed_figure(sheet, 100, 300, 280, page)
        if page % 100 == 0:
            sheet.canvas.drawImage(raster(), 100, 60, 90, 70)
        sheet.next_page()
    return sheet.save()


def lines(file: Path) -> int:
    try:
        return file.read_bytes().count(b"\n")
    except FileNotFoundError:
        return 0


def stored(library: Path) -> dict[str, Any]:
    """All that a library holds of its documents, and the names of its pictures."""
    with sqlite3.connect(f"{(library / 'catalogue.sqlite').as_uri()}?mode=ro", uri=True) as connection:
        tables = {
            "documents": "document_id, kind, title, status, error, warnings, recipe, text, pages, raw_offsets",
            "passages": 'passage_id, kind, start, "end", first_page, last_page, text, label, boxes, context, picture, '
            "(SELECT words FROM titles WHERE title = section_title)",
            "geometry": "page, runs",
        }
        found: dict[str, Any] = {
            table: [tuple(row) for row in connection.execute(f"SELECT {columns} FROM {table} ORDER BY 1, 2")]
            for table, columns in tables.items()
        }
    connection.close()
    found["pictures"] = sorted(path.name for path in (library / "pictures").glob("*"))
    return found


def at_once_in(folder: Path, file: Path) -> Path:
    """A library, without indexes, that holds the document as one undisturbed reading gives it."""
    library, settings = Library.open(folder, create=True), load_settings([SETTINGS[1]]).ingest
    source = PdfSource(file, content_id(file), (), Limits(settings.page_seconds, settings.memory_mb), settings.ocr)
    children = Children(threading.Semaphore(1), 1, threading.Event())
    document, pages = read_document(
        source, folder / "reading", library.keep_picture, children, lambda read, count: None
    )
    passages = chunk(document, settings.passage_tokens, settings.overlap_tokens)
    library.put(document, passages, str(file), str(file), pdf_recipe(settings), geometry(pages, pages.recurring))
    pages.remove()
    return folder


@pytest.mark.slow
def test_a_reading_that_was_killed_goes_on_behind_its_last_page(tmp_path: Path, glossator: Run) -> None:
    file, library, mark = book(tmp_path / "book.pdf", PAGES), tmp_path / "library", uuid.uuid4().hex
    process = start(mark, *SETTINGS, "ingest", file, "--library", library)
    kept = library / "reading" / f"{content_id(file)}.pages"
    try:
        wait_for(lambda: lines(kept) > PAGES // 2)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
    assert_ended(mark, 10)
    before = lines(kept)
    assert PAGES // 2 < before < PAGES
    content = kept.read_bytes()
    assert content.count(b"Page3 ") == 1
    kept.write_bytes(content.replace(b"Page3 ", b"%s3 " % MARK.encode()))
    again = glossator(*SETTINGS, "ingest", file, "--library", library, "--json")
    assert again.returncode == 0, again.stderr
    outcome = json.loads(again.stdout)["documents"][0]
    assert (outcome["status"], outcome["pages"], outcome["warnings"]) == ("added", PAGES, [])
    assert list((library / "reading").iterdir()) == []
    assert problems(library) == []
    resumed, at_once = stored(library), stored(at_once_in(tmp_path / "whole", file))
    assert MARK in resumed["documents"][0][7]
    assert json.loads(json.dumps(resumed, default=repr).replace(MARK, "Page")) == json.loads(
        json.dumps(at_once, default=repr)
    )
    assert resumed["pictures"] == sorted({f"{row[10]}.png" for row in resumed["passages"] if row[10]})
    assert len(resumed["geometry"]) == PAGES


# -- what lies in the folder -------------------------------------------------------------------------------------------


class Reader:
    """Reads one document again and again, and counts the pages that are asked for."""

    def __init__(self, folder: Path, pages: int = 8):
        self.file, self.folder = book(folder / "a.pdf", pages), folder / "reading"
        self.kept = self.folder / f"{content_id(self.file)}.pages"
        self.asked: list[int] = []

    def read(
        self, ocr: bool = False, remove: bool = True, stop: threading.Event | None = None, after: int = 0
    ) -> Document:
        stop = stop or threading.Event()
        self.asked = []

        def on_page(read: int, count: int) -> None:
            self.asked.append(read)
            if after and len(self.asked) == after:
                stop.set()

        source = PdfSource(self.file, content_id(self.file), (), Limits(5, 500), ocr)
        children = Children(threading.Semaphore(1), 1, stop)
        document, pages = read_document(source, self.folder, lambda png: "0" * 64, children, on_page)
        if remove:
            pages.remove()
        else:
            pages.close()
        return document


@pytest.fixture
def reader(tmp_path: Path) -> Reader:
    return Reader(tmp_path)


def spoil(reader: Reader, change: Callable[[bytes], bytes]) -> Document:
    """A whole reading, whose pages are then changed in their file."""
    document = reader.read(remove=False)
    reader.kept.write_bytes(change(reader.kept.read_bytes()))
    return document


def first(number: int) -> Callable[[bytes], bytes]:
    return lambda content: b"".join(content.splitlines(keepends=True)[:number])


def test_a_whole_file_of_pages_is_not_read_again(reader: Reader) -> None:
    spoil(reader, lambda content: content.replace(b"Page3 ", b"Zzzz3 "))
    assert "Zzzz3" in reader.read().text
    assert reader.asked == []
    assert not reader.kept.exists()


@pytest.mark.parametrize("cut", [1, 2, 40])
def test_a_last_line_that_is_torn_is_read_again(reader: Reader, cut: int) -> None:
    document = spoil(reader, lambda content: first(5)(content)[:-cut])
    assert reader.read() == document
    assert reader.asked == [4, 5, 6, 7, 8]


@pytest.mark.parametrize("left", [0, 3, 30])
def test_a_first_line_that_is_torn_begins_anew(reader: Reader, left: int) -> None:
    document = spoil(reader, lambda content: content[:left])
    assert reader.read() == document
    assert reader.asked == list(range(1, 9))


def test_pages_that_were_read_otherwise_are_read_anew(reader: Reader) -> None:
    spoil(reader, lambda content: content.replace(b"Page3 ", b"Zzzz3 "))
    assert "Zzzz3" not in reader.read(ocr=True).text
    assert reader.asked == list(range(1, 9))


GARBAGE = {
    "bytes": b"\x00\xff\xfe garbage \x80\n" * 50, "no line": b"\xff" * 5000, "a number": b"17\n18\n",
    "a list": b"[]\n[]\n",
    "null": b"null\n", "a record of nothing": b"{}\n{}\n", "blank lines": b"\n\n\n", "deep": b"[" * 200_000 + b"\n",
}  # fmt: skip


@pytest.mark.parametrize("what", GARBAGE)
def test_garbage_is_not_taken_for_pages(tmp_path: Path, what: str) -> None:
    file = tmp_path / "a.pages"
    for behind in (0, 3):
        file.unlink(missing_ok=True)
        some_pages(file, [1, 2])
        file.write_bytes(first(behind)(file.read_bytes()) + GARBAGE[what])
        again = PageFile(file, "x", lambda png: "0" * 64)
        assert (again.count, file.read_bytes().count(b"\n")) == ((4, 3) if behind else (0, 0))
        again.close()


def some_pages(file: Path, numbers: Sequence[int]) -> None:
    """A file of a document with four pages, some of which are read; the fourth cannot be."""
    pages = PageFile(file, "x", lambda png: "0" * 64)
    pages.begin("x", 4, {"title": "", "outline": []})
    for number in numbers:
        pages.keep(number, *(("bad", "no") if number == 4 else ("page", {"blocks": [], "mark": number})))
    pages.close()


@pytest.mark.parametrize(
    "record",
    [
        {"number": 99, "page": {"width": 1, "height": 1, "ocr": False, "blocks": []}},
        {"number": "3", "page": {"width": 1, "height": 1, "ocr": False, "blocks": []}},
        {"number": 3},
        {"number": 3, "page": None},
        {"page": {}},
    ],
)
def test_a_record_that_is_no_page_is_not_taken_for_one(tmp_path: Path, record: dict[str, Any]) -> None:
    some_pages(tmp_path / "a.pages", [1, 2])
    with (tmp_path / "a.pages").open("a") as file:
        file.write(json.dumps(record) + "\n")
    again = PageFile(tmp_path / "a.pages", "x", lambda png: "0" * 64)
    assert again.missing() == [3, 4]
    again.close()


def test_what_is_called_off_goes_on_later(reader: Reader) -> None:
    document = reader.read()
    with pytest.raises(Stopped):
        reader.read(after=3)
    there = lines(reader.kept) - 1
    assert 3 <= there < 8
    assert reader.read() == document
    assert reader.asked == list(range(there + 1, 9))


def test_pages_may_come_in_any_order(tmp_path: Path) -> None:
    some_pages(tmp_path / "a.pages", [3, 1, 4])
    again = PageFile(tmp_path / "a.pages", "x", lambda png: "0" * 64)
    assert (again.missing(), again.bad) == ([2], {4: "no"})
    again.keep(2, "page", {"blocks": [], "mark": 2})
    assert [page.get("mark") for page in again] == [1, 2, 3, None]
    again.remove()
    assert list(tmp_path.iterdir()) == []


# -- two of a kind -----------------------------------------------------------------------------------------------------


class NoIndexes:
    """In place of the indexes, where only the catalogue matters: no encoder is loaded."""

    library = SimpleNamespace(numbers=list, folder=Path("/nowhere"))  # too small for concepts

    @contextlib.contextmanager
    def updating(self, report: object) -> Iterator[Callable[[], None]]:
        yield lambda: None

    def encoder(self) -> None:
        pass


def test_copies_in_one_run_do_not_read_into_each_other(tmp_path: Path) -> None:
    docs = tmp_path / "docs"
    docs.mkdir()
    content = book(tmp_path / "book.pdf", 150).read_bytes()
    for name in ("one.pdf", "two.pdf", "three.pdf"):
        (docs / name).write_bytes(content)
    library, no_indexes = Library.open(tmp_path / "library", create=True), cast(Indexes, NoIndexes())
    summary = build([docs], library, no_indexes, load_settings([SETTINGS[1]]).ingest)
    assert (summary.count("added"), summary.count("unchanged")) == (1, 2)
    assert library.problems() == []
    found = library.documents()
    assert [(entry.pages, len(entry.paths), entry.warnings) for entry in found] == [(150, 3, ())]
