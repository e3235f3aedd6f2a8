"""Bibliographic data of documents (ingest/references/): from lists beside them, and from their first page."""

from __future__ import annotations

import json
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.build import build
from ingest.references.bibliography import bibtex_entries, csl_entries, ris_entries
from ingest.references.nearby import STAMP, with_references
from rag.document import Document
from rag.index.manager import Indexes
from rag.library.catalogue import Library
from tests.pdfs import make_pdf
from tests.reflowable_files import CONTRACT
from tests.test_podcasts_ingest import NoIndexes

BIB = r"""
@comment{nothing}
@article{brook_mill_2023,
  title = {The {Water} Mill at {Kolm}: {A} History},
  author = {Brook, Ada and F{\"i}eld, Ben},
  date = {2023-02-27}, doi = {10.1000/mill.1},
  file = {Full Text:files/12/brook 2023.pdf:application/pdf;Notes:files/12/notes.txt:text/plain},
}
"""
RIS = "TY  - JOUR\r\nTI  - Bees and their Keepers in Lund\r\nAU  - Lind, Ada\r\nPY  - 2021\r\nER  - \r\n"
CSL = [{
    "id": "c", "type": "book", "title": "Flour", "DOI": "https://doi.org/10.1000/FLOUR",
    "author": [{"literal": "The Guild"}], "issued": {"date-parts": [[1911, 5]]},
}]  # fmt: skip


def said(document: Document) -> dict[str, str]:
    """What is known of a document, but for the mark of the reference that says so."""
    return {name: value for name, value in document.facts.items() if name != STAMP}


def document(title: str = "", **facts: str) -> Document:
    return Document("d", "text", title, "x", (), facts=facts)


@pytest.fixture
def shelf(tmp_path: Path) -> Path:
    (tmp_path / "shelf" / "files" / "12").mkdir(parents=True)
    (tmp_path / "shelf" / "all.bib").write_text(BIB)
    (tmp_path / "shelf" / "more.ris").write_text(RIS)
    (tmp_path / "shelf" / "csl.json").write_text(json.dumps(CSL))
    return tmp_path / "shelf"


def test_a_document_is_known_by_its_file_its_doi_or_its_title(shelf: Path) -> None:
    by_file = with_references(document("scan0001"), shelf / "files" / "12" / "brook 2023.pdf")
    assert by_file.title == "The Water Mill at Kolm: A History"
    assert said(by_file) == {"author": "Ada Brook; Ben Field", "date": "2023-02-27", "doi": "10.1000/mill.1"}
    by_doi = with_references(document("f.docx", doi="10.1000/flour", language="en"), shelf / "f.docx")
    assert by_doi.title == "Flour"
    assert said(by_doi) == {"author": "The Guild", "date": "1911-05", "doi": "10.1000/FLOUR", "language": "en"}
    by_title = with_references(document("Bees and their keepers in Lund."), shelf / "b.pdf")
    assert said(by_title) == {"author": "Ada Lind", "date": "2021"}
    other = document("Something else")
    assert with_references(other, shelf / "c.pdf") is other
    assert with_references(other, shelf.parent / "c.pdf") is other, "a list below says nothing of what lies above"


def test_what_is_ingested_has_it_and_a_pdf_its_own_doi(shelf: Path, tmp_path: Path) -> None:
    make_pdf(shelf / "files" / "12" / "brook 2023.pdf", [["The mill was built of oak."]], "untitled scan")
    make_pdf(shelf / "own.pdf", [["A paper. https://doi.org/10.5555/own.2. arXiv:2004.07180v2"]], "A Paper")
    indexes = cast(Indexes, NoIndexes(Library.open(tmp_path / "library", create=True)))
    made = build([shelf], indexes.library, indexes, indexes.settings.ingest, kind="pdf")
    ids = {outcome.title: cast(str, outcome.document_id) for outcome in made.documents}
    assert set(ids) == {"The Water Mill at Kolm: A History", "A Paper"}
    assert indexes.library.facts(ids["A Paper"]) == {"arxiv": "2004.07180", "date": "2020", "doi": "10.5555/own.2"}
    assert indexes.library.facts(ids["The Water Mill at Kolm: A History"])["author"] == "Ada Brook; Ben Field"


def test_a_list_that_changes_describes_its_documents_anew_and_what_they_were_renamed_to_stays(
    shelf: Path, tmp_path: Path
) -> None:
    (shelf / "lease.docx").write_bytes(CONTRACT)
    indexes = cast(Indexes, NoIndexes(Library.open(tmp_path / "library", create=True)))

    def ingested() -> tuple[str, dict[str, str]]:
        made = build([shelf / "lease.docx"], indexes.library, indexes, indexes.settings.ingest)
        document = indexes.library.document(cast(str, made.documents[0].document_id))
        return document.title, said(document)

    title, before = ingested()
    entry = "@book{l, title = {The Lease}, author = {Tarn, Eva}, year = 1911, file = {lease.docx}}"
    (shelf / "lease.bib").write_text(entry)
    assert ingested() == ("The Lease", {**before, "author": "Eva Tarn", "date": "1911"}) and title != "The Lease"
    (document_id,) = (document.document_id for document in indexes.library.documents())
    places = [indexes.library.headings(document_id), indexes.library.problems()]
    with indexes.library.writing("a test"):
        indexes.library.rename(document_id, "My lease")
    assert ingested()[0] == "My lease", "nothing new is said of it"
    assert [indexes.library.headings(document_id), indexes.library.problems()] == places and places[0]
    (shelf / "lease.bib").write_text(entry.replace("1911", "1912"))
    assert ingested() == ("The Lease", {**before, "author": "Eva Tarn", "date": "1912"})


def zotero(folder: Path) -> Path:
    """Zotero's folder with two files of one name, one of them in its bin, and one that is linked."""
    (folder / "storage" / "ABCD1234").mkdir(parents=True)
    with closing(sqlite3.connect(folder / "zotero.sqlite")) as made:
        made.executescript("""
            CREATE TABLE items (itemID INTEGER PRIMARY KEY, key TEXT); CREATE TABLE deletedItems (itemID INTEGER);
            CREATE TABLE fields (fieldID INTEGER PRIMARY KEY, fieldName TEXT);
            CREATE TABLE itemData (itemID INT, fieldID INT, valueID INT);
            CREATE TABLE itemDataValues (valueID INTEGER PRIMARY KEY, value);
            CREATE TABLE creators (creatorID INTEGER PRIMARY KEY, firstName TEXT, lastName TEXT);
            CREATE TABLE creatorTypes (creatorTypeID INTEGER PRIMARY KEY, creatorType TEXT);
            CREATE TABLE itemCreators (itemID INT, creatorID INT, creatorTypeID INT, orderIndex INT);
            CREATE TABLE itemAttachments (itemID INTEGER PRIMARY KEY, parentItemID INT, path TEXT);
            INSERT INTO items VALUES
                (1, 'PAPER001'), (2, 'ABCD1234'), (3, 'BOOK0001'), (4, 'WXYZ5678'), (5, 'LINK0001');
            INSERT INTO deletedItems VALUES (3);
            INSERT INTO fields VALUES (1, 'title'), (2, 'date'), (3, 'DOI'), (4, 'pages');
            INSERT INTO itemDataValues VALUES
                (1, 'The Mill at Kolm'), (2, '2023-05-00 5/2023'), (3, '10.1000/m'), (4, '1-9'), (5, 'A Book');
            INSERT INTO itemData VALUES (1, 1, 1), (1, 2, 2), (1, 3, 3), (1, 4, 4), (3, 1, 5);
            INSERT INTO creators VALUES (1, 'Ada', 'Brook'), (2, 'Ben', 'Field'), (3, '', 'The Guild');
            INSERT INTO creatorTypes VALUES (1, 'author'), (2, 'editor');
            INSERT INTO itemCreators VALUES (1, 3, 1, 2), (1, 1, 1, 0), (1, 2, 2, 1);
            INSERT INTO itemAttachments VALUES (2, 1, 'storage:Full Text.pdf'), (4, 3, 'storage:Full Text.pdf'),
                (5, 1, '/elsewhere/x.pdf');
        """)
    return folder


def test_what_zotero_knows_of_its_files_is_read_where_it_lies(tmp_path: Path) -> None:
    storage = zotero(tmp_path / "Zotero") / "storage"
    found = with_references(document("untitled"), storage / "ABCD1234" / "Full Text.pdf")
    assert found.title == "The Mill at Kolm"
    assert said(found) == {"author": "Ada Brook; The Guild", "date": "2023-05", "doi": "10.1000/m"}
    binned = document("untitled")
    assert with_references(binned, storage / "WXYZ5678" / "Full Text.pdf") is binned
    for junk in (b"", b"SQLite format 3\0" + bytes(100), sqlite3.sqlite_version.encode()):
        (tmp_path / "Zotero" / "zotero.sqlite").write_bytes(junk)
        assert with_references(binned, storage / "ABCD1234" / "Full Text.pdf") is binned


def test_time_grows_with_the_documents_and_the_list_and_not_with_their_product(tmp_path: Path) -> None:
    def seconds(count: int) -> float:
        folder = tmp_path / str(count)
        folder.mkdir()
        for i in range(count):
            (folder / f"{i}.txt").touch()
        entries = (f"@book{{b{i}, title = {{The Annals of the Mill, {i}}}, year = 1911}}" for i in range(count))
        (folder / "all.bib").write_text("\n".join(entries))
        began = time.process_time()
        for i in range(count):
            known = with_references(document(f"The annals of the mill {i}"), folder / f"{i}.txt")
            assert known.facts["date"] == "1911"
        return time.process_time() - began

    small = seconds(200)
    assert seconds(2_000) < 25 * small + 0.2


@given(st.text('@{}"=,\\ \nabtitle', max_size=200))
def test_any_text_is_read_without_a_fault(text: str) -> None:
    for reader in (bibtex_entries, ris_entries, csl_entries):
        assert all(name and isinstance(value, str) for entry in reader(text) for name, value in entry)


@pytest.mark.attack
def test_a_list_of_nothing_but_braces_takes_time_in_proportion_to_it() -> None:
    took = []
    for size in (2_000, 8_000):
        text = "@a{b, title = {" * size
        began = time.process_time()
        list(bibtex_entries(text))
        took.append(time.process_time() - began)
    assert took[1] < 20 * max(took[0], 0.01)
