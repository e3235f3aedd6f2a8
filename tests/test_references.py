"""Bibliographic data of documents (ingest/references/): from lists beside them, and from their first page."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.build import build
from ingest.references.bibliography import bibtex_entries, csl_entries, ris_entries, with_references
from rag.document import Document
from rag.index.manager import Indexes
from rag.library.catalogue import Library
from tests.pdfs import make_pdf
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
    assert by_file.facts == {"author": "Ada Brook; Ben Field", "date": "2023-02-27", "doi": "10.1000/mill.1"}
    by_doi = with_references(document("f.docx", doi="10.1000/flour", language="en"), shelf / "f.docx")
    assert by_doi.title == "Flour"
    assert by_doi.facts == {"author": "The Guild", "date": "1911-05", "doi": "10.1000/FLOUR", "language": "en"}
    by_title = with_references(document("Bees and their keepers in Lund."), shelf / "b.pdf")
    assert by_title.facts == {"author": "Ada Lind", "date": "2021"}
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
