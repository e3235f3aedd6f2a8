"""Documents without pages (ingest/reflowable/): what is read of each format, in which order, and where it is cited."""

from __future__ import annotations

import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.child_process import Children, Limits
from ingest.kinds import KINDS, kind_of, sniffed
from ingest.read_context import ReadContext
from ingest.reflowable.content import Piece, assembled, table_lines
from ingest.reflowable.formats import ENDINGS, FORMATS
from ingest.reflowable.markup import parsed_xml, pieces_of_html, root_of
from ingest.reflowable.office import sheets
from ingest.reflowable.part_passages import part_passages
from ingest.reflowable.reflowable_reading import checked_document, read_reflowable
from rag.document import Document, Page, counted
from rag.errors import DocumentError
from rag.locator import UNIT_OF
from tests import reflowable_files as files
from tests.reflowable_files import packed, paragraph, word_file


def context() -> ReadContext:
    children = Children(threading.Semaphore(), 1, threading.Event())
    library = SimpleNamespace(keep_picture=lambda png: f"{len(png):064d}")
    limits = Limits(30, 1024)
    return cast(ReadContext, SimpleNamespace(children=children, library=library, limits=limits))


def read(file: Path) -> Document:
    """The document as the child process reads it."""
    return read_reflowable(file, "d", context(), kind_of(file)).document


@pytest.fixture(scope="module")
def documents(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Document]:
    return {kind: read(file) for kind, file in files.write_all(tmp_path_factory.mktemp("formats")).items()}


TEXTS = {
    "word": [
        "Lease of the mill", "1. Subject", "1.1 The lessor lets the water mill at Kolm to the lessee.",
        "1.2 The sluice stays with the lessor.", "2 As in the survey of 1908.", "2. Rent",
        "2.1 The rent is 4,800 crowns a year.", "(a) payable in March;", "(b) payable in kind.", "2.2 Keys",
        "• two keys to the gate", "Never sublet", "Table 1. Payments\nYear | Crowns\n1911 | Crowns: 4,800",
        "Figure 1. The sluice",
    ],
    "slides": [
        "Turbines", "The turbine gives 40 kilowatts", "It was built in Graz", "Notes: Say why Graz.", "", "Costs",
        "Part | Euro\nShaft | Euro: 700",
    ],
    "ebook": ["The flood", "The dam broke in April.", "Nobody was hurt.", "The harvest came late, in October."],
    "web": [
        "History", "The mill was bought by the café owner Józef Tarn\nin 1934.", "3. He mended the wheel.",
        "4. He sold flour.", "Table 2. Flour\nYear | Tons\n1935 | Tons: 12",
    ],
    "email": [
        "From: Ada Brook <ada@example.org>\nTo: Ben Field <ben@example.org>\nDate: Tue, 02 May 2023 10:00:00 +0000\n"
        "Subject: The wheel", "Dear Ben,", "the wheel was repaired by the smith on 3 April.", "Ada",
    ],
    "sheet": [
        "Prices of flour", "Sort | Crowns | Share\nRye | Crowns: 31.5 | Share: 12.5%\nWheat | Crowns: 40 | Share: 0.5",
        "\n\n\n\nseven sacks of oats",
    ],
    "csv": ["Mill | Wheels | Built\nKolm | Wheels: 3 | Built: 1911", "Tarn | Wheels: 5 | Built: 1920; again"],
    "text": ["The old road", "The toll at the bridge was two\ncoins for a cart.", "It was ended in 1870."],
    "notes": ["Water", "The mill race is 412 metres long.", "• It freezes in January."],
}  # fmt: skip
TITLES = {
    "word": "Lease of the mill", "slides": "Turbines", "ebook": "The Miller", "web": "The mill at Kolm",
    "email": "The wheel", "sheet": "prices", "csv": "mills", "text": "road", "notes": "Notes on the race",
}  # fmt: skip
# words -> where they are cited
PLACES = {
    "word": {"rent": "2. Rent, ¶ 7", "survey": "1. Subject, ¶ 5", "1911": "2.2 Keys, ¶ 13"},
    "slides": {"40": "slide 1, Turbines", "Shaft": "slide 3, Costs"},
    "ebook": {"April": "The flood, ¶ 2", "October": "The harvest, ¶ 1"},
    "web": {"1934": "History, ¶ 2", "1935": "History, ¶ 5"},
    "email": {"smith": "¶ 3"},
    "sheet": {"31": "Prices, row 4", "oats": "Stock, row 5"},
    "csv": {"1911": "row 2", "1920": "row 4"},
    "text": {"two": "¶ 2", "1870": "¶ 3"},
    "notes": {"412": "Water, ¶ 2"},
}


@pytest.mark.parametrize("kind", TEXTS)
def test_the_text_is_all_there_in_order(documents: dict[str, Document], kind: str) -> None:
    assert documents[kind].text == "\n\n".join(TEXTS[kind])
    assert documents[kind].title == TITLES[kind]


@pytest.mark.parametrize("kind", PLACES)
def test_words_are_cited_where_they_stand(documents: dict[str, Document], kind: str) -> None:
    document = documents[kind]
    for words, place in PLACES[kind].items():
        passages = part_passages(document, 2, 0)  # so small that no two paragraphs share one
        holding = [passage for passage in passages if words in passage.text]
        assert [passage.locator.label() for passage in holding] == [place], words


def test_pictures_stand_with_their_captions(documents: dict[str, Document]) -> None:
    figures = [region for region in documents["word"].regions if region.kind == "figure"]
    assert [(region.label, bool(region.picture)) for region in figures] == [("Figure 1", True)]
    tables = [region for region in documents["word"].regions if region.kind == "table"]
    assert [documents["word"].text[table.start : table.caption_end] for table in tables] == ["Table 1. Payments"]


def test_what_documents_say_of_themselves(documents: dict[str, Document]) -> None:
    assert documents["email"].facts == {"author": "Ada Brook <ada@example.org>", "date": "2023-05-02"}
    assert documents["word"].facts["author"] == "R. Notary"
    assert documents["ebook"].facts["author"] == "M. Author"
    assert documents["notes"].facts["author"] == "A. Walker"


def test_every_ending_leads_to_a_kind_that_is_cited_by_its_unit() -> None:
    assert {each.kind for each in FORMATS} == set(UNIT_OF)
    assert set(UNIT_OF) < set(KINDS)
    assert len(ENDINGS) == len(set(ENDINGS))


def test_a_list_that_starts_anew_and_one_in_another() -> None:
    def numbers(*levels: tuple[int, int]) -> list[str]:
        body = "".join(paragraph("x", numbered=level) for level in levels)
        from ingest.reflowable.office.word import read_word

        return [piece.text.removesuffix("x").strip() for piece in read_word(word_file(body)).pieces]

    assert numbers((1, 0), (1, 1), (1, 1), (1, 0), (1, 1)) == ["1.", "1.1", "1.2", "2.", "2.1"]
    assert numbers((1, 0), (3, 0), (1, 0), (3, 0)) == ["1.", "5.", "2.", "6."]
    assert numbers((1, 1), (1, 2), (1, 2)) == ["1.1", "(a)", "(b)"]  # a level above that was never counted


WORDS = st.text("abcdé .", min_size=1, max_size=30).map(str.strip).filter(bool)
PIECES = st.lists(
    st.one_of(
        st.builds(Piece, st.sampled_from(["text", "footnote", "aside", "caption", "code"]), WORDS),
        st.builds(Piece, st.just("heading"), WORDS, st.integers(1, 6)),
        st.builds(Piece, st.just("part"), WORDS),
        st.builds(
            lambda rows: Piece("table", rows=tuple(map(tuple, rows))),
            st.lists(st.lists(WORDS, min_size=2, max_size=3), min_size=2, max_size=3),
        ),
    ),
    max_size=12,
)


@given(PIECES)
def test_whatever_the_pieces_nothing_is_lost_and_the_parent_believes_it(pieces: list[Piece]) -> None:
    made = assembled(pieces)
    for piece in pieces:
        for words in [piece.text] if piece.kind != "part" else []:
            assert " ".join(words.split()) in " ".join(made.text.split())
        for cell in (cell for row in piece.rows for cell in row):
            assert " ".join(cell.split()) in " ".join(made.text.split())
    assert len(made.pages) == max(1, sum(piece.kind == "part" for piece in pieces) + (
        bool(pieces) and pieces[0].kind != "part" and any(piece.kind == "part" for piece in pieces)
    ))  # fmt: skip
    if made.text.strip():
        reply = {
            "title": "",
            "text": made.text,
            "warnings": [],
            "pages": made.pages,
            "regions": made.regions,
            "facts": {},
        }
        checked_document(reply)
        document = Document("d", "ebook", "", made.text, tuple(Page(i, *page) for i, page in enumerate(made.pages, 1)))
        for passage in part_passages(document, 10, 0):
            page = document.pages[passage.locator.first_page - 1]
            assert page.start <= passage.start < passage.end <= page.end, "no passage crosses the end of a part"
            span = (passage.start - page.start, passage.end - page.start)
            assert counted(document.text[page.start : page.end], *span) == (
                cast(Any, passage.locator).first_paragraph, cast(Any, passage.locator).last_paragraph,
            )  # fmt: skip


@given(st.recursive(
    WORDS.map(lambda text: text),
    lambda inner: st.builds(
        lambda tag, parts: f"<{tag}>{''.join(parts)}</{tag}>",
        st.sampled_from(["p", "div", "b", "span", "li", "ul", "h2", "section", "td"]), st.lists(inner, max_size=4),
    ), max_leaves=12,
))  # fmt: skip
def test_no_markup_loses_a_letter(page: str) -> None:
    root = root_of(f"<div>{page}</div>")
    said = "".join(piece.text.lstrip("•") for piece in pieces_of_html(root))
    assert "".join(said.split()) == "".join(root.text_content().split())


def test_rows_of_tables() -> None:
    assert table_lines([["A", "B"], ["1", "2"]]) == ["A | B", "1 | B: 2"]
    assert table_lines([["one", "two"], ["three", "four"]], head=False) == ["one | two", "three | four"]
    assert table_lines([["x", "7"], ["y", "8"]]) == ["x | 7", "y | 8"], "numbers are no names of columns"
    assert table_lines([["A", "B"]]) == ["A | B"]


# -- what may mean harm, or is damaged ---------------------------------------------------------------------------------

BOMB = packed({"word/document.xml": b"<a>" + b"0" * (8 << 20) + b"</a>", "_rels/.rels": b"<a/>"})
LAUGHS = b'<!DOCTYPE a [<!ENTITY b "ha"><!ENTITY c "&b;&b;">]><a>&c;</a>'
BAD = {
    "old.docx": (bytes.fromhex("d0cf11e0a1b11ae1") + b"\0" * 600, "is no Word document, whatever its name says"),
    "cut.docx": (files.CONTRACT[:900], "is damaged: it cannot be unpacked"),
    "empty.docx": (packed({"a": b""}), "is no Word document"),
    "bomb.docx": (BOMB, "would unpack to far more than it holds"),
    "laughs.docx": (
        packed({
            "_rels/.rels": b'<R><Relationship Id="a" Type="x/officeDocument" Target="d.xml"/></R>', "d.xml": LAUGHS,
        }), "defines entities of its own",
    ),
    "laughs.pptx": (packed({"ppt/presentation.xml": LAUGHS}), "defines entities of its own"),
    "laughs.xlsx": (packed({"xl/workbook.xml": LAUGHS}), "defines entities of its own"),
    "none.xlsx": (packed({"a.xml": b"<a/>"}), "is damaged, or no workbook"),
    "none.pptx": (packed({"a.xml": b"<a/>"}), "is damaged, or no presentation"),
    "drm.epub": (
        packed({
            "META-INF/encryption.xml": b'<e><EncryptionMethod Algorithm="http://www.w3.org/2001/04/xmlenc#aes256-cbc"/></e>'
        }), "is protected against copying (DRM)",
    ),
    "bare.epub": (packed({"mimetype": b"application/epub+zip"}), "no list of its chapters"),
    "blank.html": (b"<html><body><script>x()</script></body></html>", "holds no words"),
    "long.csv": (b"a;b\n" * (sheets.MOST_ROWS + 1), "has more than 200,000 rows"),
    "quotes.csv": (b'a;b\n"' + b"x" * 200_000 + b'";1\n', "is no table that can be read, from row 2 on"),
    "no.eml": (b"X-Nothing: here\n\n", "is no e-mail: it has no sender"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_one_line_says_what_is_wrong_with_a_file(tmp_path: Path, name: str) -> None:
    data, line = BAD[name]
    (tmp_path / name).write_bytes(data)
    with pytest.raises(DocumentError) as error:
        read(tmp_path / name)
    assert line in str(error.value)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 200


def test_nothing_that_a_document_names_is_fetched_or_run(documents: dict[str, Document]) -> None:
    """The suite runs without a network (tests/unplugged.py); what is linked is no part of the text either."""
    for document in documents.values():
        assert not any(words in document.text for words in ("stolen", "hidden words", "10.0.0.1", "Imprint", "resold"))


def test_bytes_count_for_more_than_what_a_page_says_of_its_letters() -> None:
    from ingest.reflowable.web_page import read_web_page

    for encoding, said in (
        ("utf-8", "iso-8859-1"),
        ("shift_jis", "shift_jis"),
        ("utf-16", "utf-8"),
        ("cp1252", "nonsense"),
    ):
        words = "水車" if encoding in ("shift_jis", "utf-16") else "café"
        data = f'<html><meta charset="{said}"><body><p>{words}</p></body></html>'.encode(encoding)
        assert [piece.text for piece in read_web_page(data).pieces] == [words], encoding


def test_a_page_nested_deeply_and_a_table_that_spans_widely() -> None:
    deep = "<div>" * 5_000 + "deep" + "</div>" * 5_000
    assert [piece.text for piece in pieces_of_html(root_of(deep))] in (["deep"], [])
    wide = '<table><tr><td colspan="9999" rowspan="9999">a</td></tr><tr><td>b</td></tr></table>'
    (table,) = pieces_of_html(root_of(wide))
    assert [len(row) for row in table.rows] == [100, 101]


def test_xml_is_parsed_without_entities_or_a_network() -> None:
    with pytest.raises(DocumentError, match="entities"):
        parsed_xml(b'<!DOCTYPE a SYSTEM "http://10.0.0.1/a.dtd" [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>')
    with pytest.raises(DocumentError, match="entities"):
        parsed_xml('<?xml version="1.0" encoding="utf-16"?><!DOCTYPE a [<!ENTITY x "ha">]><a>&x;</a>'.encode("utf-16"))
    assert parsed_xml(b'<!DOCTYPE a SYSTEM "http://10.0.0.1/a.dtd"><a>b</a>').text == "b"


def test_a_file_is_of_the_kind_of_its_bytes_and_its_name() -> None:
    assert sniffed("a.txt", b"WEBVTT\n\n00:01.000 --> 00:02.000\nHello") == "podcast"
    assert sniffed("a.html", b"<html><p>A mill") == "web"
    assert sniffed("a.docx", b"%PDF-1.7") == "pdf"
    assert sniffed("a.txt", b"\x00\x01\x02") == ""
    assert sniffed("talk.shownotes.md", b"# Notes") == ""
