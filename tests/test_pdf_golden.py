"""Real documents, read as ingest reads them, hold what is printed on their pages; and the rule for titles."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import pypdf
import pytest
from pypdf.generic import DecodedStreamObject, NameObject

from ingest.chunk import chunk
from rag.document import Document
from rag.errors import DocumentError
from rag.read.match import fold
from rag.records import Passage
from tests.conftest import PDFS, needs_data
from tests.parts import read_pdf
from tests.pdfs import make_pdf


@cache
def golden(name: str, ocr: bool = False) -> tuple[Document, list[Passage]]:
    document = read_pdf(PDFS / f"{name}.pdf", ocr=ocr)
    return document, chunk(document, 180, 30)


def words(text: str) -> str:
    return " ".join(text.split())


def page_text(document: Document, number: int) -> str:
    page = document.pages[number - 1]
    return words(document.text[page.start : page.end])


# ---- golden documents


@needs_data
@pytest.mark.parametrize(
    ("name", "title", "pages", "passages", "edges"),
    [
        (
            "free-culture-lessig2004",
            "Free Culture",
            352,
            1028,
            [
                (0, "This PDF version of Free Culture is licensed", 2, 2),
                (9, "AFTERWORD 273 Us, Now 276", 10, 11),
                (-1, "A graduate of the University of Pennsylvania", 352, 352),
            ],
        ),
        (
            "specter-acl2020",
            "SPECTER: Document-level Representation Learning using Citation-informed Transformers",
            13,
            108,
            [
                (0, "SPECTER: Document-level Representation Learning using", 1, 1),
                (9, "We then pretrain the model on a large corpus of citations", 2, 2),
                (-1, "18We used the ‘bert-base-wikipedia-sections-mean-tokens’", 13, 13),
            ],
        ),
        (
            "longeval-eacl2023",  # no title in its metadata; small capitals on its first page
            "LONGEVAL: Guidelines for Human Evaluation of Faithfulness in Long-form Summarization",
            20,
            155,
            [
                (0, "LONGEVAL: Guidelines for Human Evaluation of Faithfulness", 1, 1),
                (8, "Figure 1: Overview of research questions considered in", 2, 2),
                (-1, "Table 11: Annotation guidelines provided to annotators", 20, 20),
            ],
        ),
        (
            "faa-737max-fr2020",  # three columns
            "Proposed Rules",
            15,
            98,
            [
                (0, "Proposed Rules Federal Register Vol. 85, No. 152 Thursday, August 6, 2020", 1, 1),
                (9, "Under the Freedom of Information Act (FOIA) (5 U.S.C. 552), CBI is", 1, 1),
                (-1, "’ The FAA will treat such marked submissions as confidential", 15, 15),
            ],
        ),
    ],
)
def test_golden_document(
    name: str, title: str, pages: int, passages: int, edges: list[tuple[int, str, int, int]]
) -> None:
    document, found = golden(name)
    assert (document.title, len(document.pages)) == (title, pages)
    assert abs(len(found) - passages) <= 0.02 * passages  # another pdfium may place a letter elsewhere
    for at, start, first_page, last_page in edges:
        assert words(found[at].text).startswith(start)
        assert (found[at].locator.first_page, found[at].locator.last_page) == (first_page, last_page)


@needs_data
@pytest.mark.parametrize(
    ("name", "page", "phrase"),
    [
        ("free-culture-lessig2004", 80, "peer-to-peer"),
        ("free-culture-lessig2004", 108, "four-and-a-half-second"),  # "four-and-a-half-\nsecond"
        ("free-culture-lessig2004", 352, "Creative Commons (http://creativecommons.org)"),  # "Com-\nmons"
        ("specter-acl2020", 1, "state-of-the-art"),
        ("specter-acl2020", 12, "off-the-shelf"),
        (
            "specter-acl2020",
            2,
            "We call our model SPECTER, which learns Scientific Paper Embeddings",
        ),  # "Sci-\nentific"
        ("longeval-eacl2023", 1, "SQuALITY and PubMed"),
        ("faa-737max-fr2020", 1, "AD 2018–23–51"),  # "AD 2018–\n23–51"
        ("faa-737max-fr2020", 7, "inserting a copy of figures 1 through 9 to paragraph"),  # at its top: no head
        ("free-culture-lessig2004", 345, "copyright applicability altered by technology of, 141–44"),  # its index
        ("free-culture-lessig2004", 348, "Progress Clause, 130–31, 215, 218, 232, 236, 243–44"),
        ("korean-text-with-tables", 1, "적립 제외 대상"),
        ("timp-jss2007", 23, "the excitation laser intensity was doubled"),
    ],
)
def test_what_is_printed_on_a_page_is_read_on_it(name: str, page: int, phrase: str) -> None:
    assert phrase in page_text(golden(name)[0], page)


@needs_data
def test_the_answers_of_the_question_set_stand_on_their_pages() -> None:
    rows = [json.loads(line) for line in (PDFS / "questions.jsonl").read_text("utf-8").splitlines()]
    rows = [row for row in rows if row["where"] == "text" and row["answer_string_on_page"]]
    missing = [
        row["id"]
        for row in rows
        if fold(row["answer"]) not in fold(page_text(golden(row["file"].removesuffix(".pdf"))[0], row["page"]))
    ]
    assert len(rows) > 20
    assert missing == ["pdfq-021"]  # the page says it in other words: "was doubled during collection of Ψ1"


@needs_data
@pytest.mark.parametrize("name", ["specter-acl2020", "free-culture-lessig2004"])
def test_every_passage_of_a_real_document_lies_on_its_pages(name: str) -> None:
    document, passages = golden(name)
    for passage in passages:
        assert document.text[passage.start : passage.end] == passage.text
        assert (
            document.pages[passage.locator.first_page - 1].start
            <= passage.start
            < document.pages[passage.locator.first_page - 1].end
        )
        assert (
            document.pages[passage.locator.last_page - 1].start
            < passage.end
            <= document.pages[passage.locator.last_page - 1].end
        )


@needs_data
def test_running_heads_and_the_printers_line_numbers_are_in_no_passage() -> None:
    document, passages = golden("free-culture-lessig2004")
    heads = [
        (page.number, line)
        for page in document.pages
        for line in document.text[page.start : page.end].splitlines()
        if (line == "FREE CULTURE" and page.number not in (3, 6, 16))  # its title
        or (re.fullmatch(r"\d{1,3} [A-Z’“”:, ]{4,}|[A-Z’“”: ]{4,} \d{1,3}", line) and page.number not in (9, 10, 11))
        or (re.fullmatch(r"[SR]?\d{1,2}", line) and page.number < 339)  # where the index begins, with pages on lines
        or "PASS PAGES" in line or ".qxd" in line
    ]  # fmt: skip
    assert heads == []
    assert not [p.text for p in passages if re.search(r"\b1\s+2\s+3\s+4\s+5\b|\n\d{1,3} FREE CULTURE\n", p.text)]


@needs_data
@pytest.mark.parametrize(
    ("name", "page", "sentence"),
    [
        (
            "longeval-eacl2023",
            3,
            "20 papers report that human evaluation of long-form summarization was time-consuming, challenging, and "
            "expensive, primarily due to the long length of the summary and source document.",
        ),
        (
            "longeval-eacl2023",
            9,
            "A large body of recent work has focused on new automatic evaluation methods for summarization via "
            "NLI-based algorithms (Falke et al., 2019; Laban et al., 2022) or QA-based algorithms (Wang et al., 2020; "
            "Fabbri et al., 2022).",
        ),
        (
            "faa-737max-fr2020",
            1,
            "The most helpful comments reference a specific portion of the proposal, explain the reason for any "
            "recommended change, and include supporting data.",
        ),
        (
            "faa-737max-fr2020",
            2,
            "These effects include stall warning activation, airspeed disagree alert, and altitude disagree alert,5 "
            "and may affect the flightcrew’s ability to accomplish continued safe flight and landing.",
        ),
        (
            "faa-737max-fr2020",
            4,
            "The checklist provides additional information for the flightcrew to use if the airplane is in flight.",
        ),
        (
            "faa-737max-fr2020",
            4,
            "The FAA proposes this action to bring the airplanes into regulatory compliance.",
        ),
    ],
)
def test_a_sentence_that_runs_on_in_the_next_column_is_whole_in_one_passage(
    name: str, page: int, sentence: str
) -> None:
    _, passages = golden(name)
    assert [p for p in passages if p.locator.first_page <= page <= p.locator.last_page and sentence in words(p.text)]


@needs_data
def test_a_row_of_a_real_table_reads_with_its_column_heads() -> None:
    _, passages = golden("specter-acl2020")
    (row,) = (p for p in passages if p.locator.first_page == 7 and p.text.splitlines()[-1].startswith("SPECTER (Ours)"))
    assert (row.kind, row.label, row.locator.last_page) == ("table", "Table 1", 7)
    assert "Table 1 presents the main results" in words(row.context)
    cells = [words(cell) for cell in row.text.splitlines()[-1].split("|")]
    for head, value in (
        (("Classification", "MAG", "F1"), "82.0"), (("MeSH", "F1"), "86.4"), (("Co-View", "MAP"), "83.6"),
        (("User activity", "Co-Read", "nDCG"), "92.4"), (("Citation prediction", "Cite", "nDCG"), "94.9"),
        (("Recomm", "P@1"), "20.0"), (("Avg",), "80.0"),
    ):  # fmt: skip
        assert [cell for cell in cells if all(part in cell for part in head) and cell.endswith(f": {value}")], head


# ---- scans, and what cannot be read is said


@pytest.mark.slow
@needs_data
@pytest.mark.parametrize(
    ("name", "phrases"),
    [
        ("linnsequencer-scan", ("32 Track MIDI Sequence Recorder", "Tarzana", "DELETE BARS")),
        ("non-text-searchable", ("This is an example of a non-text-searchable PDF.",)),
    ],
)
def test_a_real_scan_is_read_from_its_picture(name: str, phrases: tuple[str, ...]) -> None:
    document, passages = golden(name, ocr=True)
    assert document.warnings == ("page 1 was read from the picture (OCR): words may be wrong",)
    assert all(phrase in page_text(document, 1) for phrase in phrases)
    assert passages and all(0.9 < (p.ocr_confidence or 0) <= 1 for p in passages)
    assert all(region.ocr_confidence for region in document.regions)


@needs_data
def test_words_of_the_file_are_not_read_from_its_picture() -> None:
    for name in ("specter-acl2020", "faa-737max-fr2020"):
        document, passages = golden(name)
        assert {p.ocr_confidence for p in passages} == {None}
        assert document.warnings == ()


@needs_data
@pytest.mark.parametrize("name", ["linnsequencer-scan", "non-text-searchable", "free-culture-lessig2004"])
def test_a_real_page_without_text_is_named(name: str) -> None:
    document, passages = golden(name)
    (warning,) = document.warnings
    assert re.match(r"pages? 1\b.* ha(s|ve) no text that could be read, so nothing there can be found", warning)
    assert all(passage.locator.first_page > 1 for passage in passages)


def test_pages_without_text_are_named_and_the_others_are_there(tmp_path: Path) -> None:
    file = make_pdf(tmp_path / "scan.pdf", [["First page."], [], [], ["Fourth page."], []])
    for ocr in (False, True):
        document = read_pdf(file, ocr=ocr)
        assert document.warnings == ("pages 2-3, 5 have no text that could be read, so nothing there can be found",)
        assert [(p.text, p.locator.first_page, p.locator.last_page) for p in chunk(document, 180, 0)] == [
            ("First page.\n\n\nFourth page.", 1, 4)
        ]


def test_a_document_without_any_words_has_its_files_name_for_a_title(tmp_path: Path) -> None:
    assert read_pdf(make_pdf(tmp_path / "my scan.pdf", [[], ["Second page."]])).title == "my scan"


@needs_data
def test_an_encrypted_document_asks_for_its_password() -> None:
    with pytest.raises(DocumentError, match="--password"):
        read_pdf(PDFS / "encrypted-aes256.pdf")
    with pytest.raises(DocumentError, match="no password that was given opens it"):
        read_pdf(PDFS / "encrypted-aes256.pdf", ["wrong", "also wrong"])


# ---- titles


def sized_pdf(path: Path, runs: Sequence[tuple[float, float, float, str]], title: str = "") -> Path:
    """A page of (size, x, y, text) runs."""
    writer = pypdf.PdfWriter(clone_from=make_pdf(path, [["x"]], title))
    content = DecodedStreamObject()
    shown = "\n".join(f"/F1 {size} Tf 1 0 0 1 {x} {y} Tm ({text}) Tj" for size, x, y, text in runs)
    content.set_data(f"BT {shown} ET".encode("latin-1"))
    writer.pages[0][NameObject("/Contents")] = writer._add_object(content)
    writer.write(path)
    return path


BODY = [(10.0, 50.0, 600.0 - 12 * i, f"This is line {i} of the body of the text.") for i in range(5)]


@pytest.mark.parametrize(
    "title", ["A Treatise of Human Nature", "Glossator", "2001: a space odyssey", "  Spaced \n out "]
)
def test_a_stated_title_is_taken(tmp_path: Path, title: str) -> None:
    file = sized_pdf(tmp_path / "a.pdf", [(20, 50, 700, "Larger words here"), *BODY], title)
    assert read_pdf(file).title == words(title)


@pytest.mark.parametrize("title", ["", " ", "untitled", "Microsoft Word - thesis.doc", "thesis.pdf", "4711", "---"])
def test_a_title_that_is_none_gives_way_to_the_largest_words(tmp_path: Path, title: str) -> None:
    file = sized_pdf(tmp_path / "a.pdf", [(20, 50, 700, "Larger words here"), *BODY], title)
    assert read_pdf(file).title == "Larger words here"


@pytest.mark.parametrize(
    ("runs", "title"),
    [
        ([(20, 50, 700, "On the Origin"), (20, 50, 676, "of Species")], "On the Origin of Species"),
        # small capitals, with and without large letters beside them
        ([(20, 50, 700, "L"), (16, 62, 700, "ONG"), (20, 100, 700, ": a longer title")], "LONG: a longer title"),
        ([(20, 50, 700, "L"), (16, 62, 700, "ONG"), (20, 110, 700, "T"), (16, 123, 700, "ITLES")], "LONG TITLES"),
        ([(20, 50, 700, "Of the Title"), (13, 160, 705, "*")], "Of the Title"),  # a footnote's mark
        ([(60, 50, 600, "I"), (20, 50, 700, "The Title Itself")], "The Title Itself"),  # an initial is no title
        ([(40, 50, 700, "12"), (20, 50, 650, "The Title Itself")], "The Title Itself"),
        (
            [(20, 50, 700, "The Title Itself"), (8, 300, 700, "a journal's name, much longer than it")],
            "The Title Itself",
        ),
    ],
)
def test_the_largest_words_of_the_first_page(
    tmp_path: Path, runs: list[tuple[float, float, float, str]], title: str
) -> None:
    assert read_pdf(sized_pdf(tmp_path / "a.pdf", [*runs, *BODY])).title == title


def test_larger_words_inside_a_line_are_no_title(tmp_path: Path) -> None:
    line = [(11, 50, 300, "Larger words"), (10, 120, 300, "in a line that is much longer than they are")]
    more = [(10.0, 50.0, 200.0 - 12 * i, f"This is line {i} of the end of the text.") for i in range(5)]
    assert read_pdf(sized_pdf(tmp_path / "a.pdf", [*BODY, *line, *more])).title == "a"  # the file's name


@pytest.mark.parametrize(
    ("entry", "title"),
    [(b"<FEFF00410000004E>", "A\ufffdN"), (b"<FEFF0041FB01004E>", "AfiN"), (b"[1 2]", "a"), (b"99 0 R", "a")],
)
def test_a_title_can_always_be_stored(tmp_path: Path, entry: bytes, title: str) -> None:
    file = make_pdf(tmp_path / "a.pdf", [["text"]], "X")
    file.write_bytes(file.read_bytes().replace(b"(X)", entry))
    assert read_pdf(file).title == title
