"""ingest/chunk.py: passages quote the document exactly, lose nothing, stay small, and know where they stand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.chunk import chunk
from ingest.text_passages import count_tokens
from rag.document import Document, Page, Region
from rag.records import Passage
from rag.sentences import sentence_spans
from tests.parts import assert_linear, paged

TEXTS = (
    st.text(max_size=200)
    | st.text("ab. \n!?\"'()中。한😀\u0301_-1", max_size=300)
    | st.lists(
        st.sampled_from(["A sentence here.", "Dr. Who?", "x" * 40, "中文句子。", "한국어 문장.", "\n\n", "3.14 %"])
    ).map(" ".join)
)
SIZES = st.integers(1, 30)
OVERLAPS = st.integers(0, 20)


def one_page(text: str) -> Document:
    return Document("d", "pdf", "A title", text, (Page(1, 0, len(text)),))


@given(text=TEXTS, size=SIZES, overlap=OVERLAPS)
def test_passages_quote_the_document_exactly_and_lose_nothing(text: str, size: int, overlap: int) -> None:
    passages = chunk(one_page(text), size, overlap)
    assert all(text[p.start : p.end] == p.text for p in passages)
    covered = {i for p in passages for i in range(p.start, p.end)}
    assert all(i in covered or character.isspace() for i, character in enumerate(text))
    assert all(p.text == p.text.strip() != "" for p in passages)


@given(text=TEXTS, size=SIZES, overlap=OVERLAPS)
def test_passages_stay_below_the_size_and_overlap_by_no_more_than_they_may(text: str, size: int, overlap: int) -> None:
    passages = chunk(one_page(text), size, overlap)
    assert all(count_tokens(p.text) <= size for p in passages)
    for before, behind in pairwise(passages):
        assert before.start < behind.start
        assert before.end < behind.end
        assert count_tokens(text[behind.start : before.end]) <= overlap


@given(text=TEXTS, size=SIZES, overlap=OVERLAPS)
def test_passages_begin_and_end_with_sentences_unless_one_is_too_long(text: str, size: int, overlap: int) -> None:
    spans = sentence_spans(text)
    long = [span for span in spans if count_tokens(text[slice(*span)]) > size]
    for passage in chunk(one_page(text), size, overlap):
        for edge, edges in ((passage.start, {s for s, _ in spans}), (passage.end, {e for _, e in spans})):
            assert edge in edges or any(start < edge < end for start, end in long)


@given(raw_pages=st.lists(TEXTS, min_size=1, max_size=5), size=SIZES, overlap=OVERLAPS)
def test_a_passage_names_the_pages_that_it_touches(raw_pages: list[str], size: int, overlap: int) -> None:
    document = paged(raw_pages)
    page_at = {i: page.number for page in document.pages for i in range(page.start, page.end)}
    for p in chunk(document, size, overlap):
        touched = [page_at[i] for i in range(p.start, p.end) if i in page_at]
        assert (p.locator.first_page, p.locator.last_page) == (touched[0], touched[-1])


@given(text=TEXTS, size=SIZES, overlap=OVERLAPS)
def test_ids_are_unique_in_order_and_the_same_every_time(text: str, size: int, overlap: int) -> None:
    passages = chunk(one_page(text), size, overlap)
    assert [p.passage_id for p in passages] == [f"d#{i}" for i in range(len(passages))]
    assert all((p.document_id, p.title, p.kind) == ("d", "A title", "text") for p in passages)
    assert chunk(one_page(text), size, overlap) == passages


def texts(passages: list[Passage]) -> list[str]:
    return [p.text for p in passages]


def test_sentences_fill_passages_by_hand() -> None:
    # Four sentences of 3, 3, 3 and 4 tokens (words of at most seven letters, and the full stop).
    text = "One two. Three four. Five six.\nSeven eight nine."
    assert texts(chunk(one_page(text), 6, 0)) == ["One two. Three four.", "Five six.", "Seven eight nine."]
    assert texts(chunk(one_page(text), 7, 3)) == [
        "One two. Three four.",
        "Three four. Five six.",
        "Five six.\nSeven eight nine.",
    ]
    assert texts(chunk(one_page(text), 7, 2)) == [
        "One two. Three four.",
        "Five six.\nSeven eight nine.",
    ]  # no sentence fits
    assert texts(chunk(one_page(text), 100, 30)) == [text]


@pytest.mark.parametrize(
    ("text", "size", "expected"),
    [
        ("", 20, []),
        (" \n\t\u00a0\u3000 ", 20, []),
        ("x", 1, ["x"]),
        ("x" * 50, 5, ["x" * 35, "x" * 15]),  # seven letters a token
        ("one two three four five", 2, ["one two", "three four", "five"]),
        ("one two " + "x" * 35, 3, ["one two", "x" * 21, "x" * 14]),  # rather shorter than cut inside a word
        ("one " + "x" * 35, 3, ["one " + "x" * 14, "x" * 21]),  # but not shorter than half
        ("漢字仮名交じり文漢字", 4, ["漢字仮名", "交じり文", "漢字"]),
        ("한국어문장", 2, ["한국", "어문", "장"]),
        ("....", 3, ["...", "."]),
    ],
)
def test_cuts_by_hand(text: str, size: int, expected: list[str]) -> None:
    assert texts(chunk(one_page(text), size, 0)) == expected


def test_a_passage_over_a_page_break_knows_both_pages_and_skips_empty_ones() -> None:
    first, second = chunk(paged(["One begins", "", "on page three. ", "New page."]), 6, 0)
    assert (first.text, first.locator.first_page, first.locator.last_page) == ("One begins\n\non page three.", 1, 3)
    assert (second.text, second.locator.first_page, second.locator.last_page) == ("New page.", 4, 4)


# ---- tables, figures, headings


def blocks(*content: tuple[str, str] | tuple[str, str, str]) -> Document:
    """A page of blocks (kind, text, label), each in its own box; a table's or figure's first line is its caption."""
    text, regions, section = "", [], ""
    for number, (kind, words, *label) in enumerate((*block[:1], block[1].strip(), *block[2:]) for block in content):
        if not words:
            continue
        text += "\n\n" if text else ""
        start, end = len(text), len(text) + len(words)
        section = words if kind == "heading" else section
        caption = start + len(words.partition("\n")[0]) if kind in ("table", "figure") else start
        box = (0.0, float(number), 1.0, number + 1.0)
        regions.append(Region(kind, start, end, 1, box, *(label or [""]), section, caption))
        text += words
    return Document("d", "pdf", "", text, (Page(1, 0, len(text)),), regions=tuple(regions))


BLOCKS = st.lists(st.tuples(st.sampled_from(["text", "heading", "footnote", "table", "figure"]), TEXTS), max_size=6)


@given(content=BLOCKS, size=SIZES, overlap=OVERLAPS)
def test_a_table_or_figure_is_never_in_one_passage_with_anything_else(
    content: list[tuple[str, str]], size: int, overlap: int
) -> None:
    document = blocks(*content)
    passages = chunk(document, size, overlap)
    covered = {i for p in passages for i in range(p.start, p.end)}
    assert all(i in covered or character.isspace() for i, character in enumerate(document.text))
    for p in passages:
        assert document.text[p.start : p.end] == p.text == p.text.strip() != ""
        assert count_tokens(p.text) <= size
        touched = [region for region in document.regions if region.start < p.end and region.end > p.start]
        assert p.boxes == tuple((region.page, region.box) for region in touched)
        assert p.kind == (touched[0].kind if touched[0].kind in ("table", "figure") else "text")
        assert len(touched) == 1 or not {region.kind for region in touched} & {"table", "figure"}


def test_a_long_table_is_cut_between_its_rows_and_says_what_it_is_part_of() -> None:
    rows = ["Table 2: Prices.", "Apples | 3", "Pears | 4", "Plums | 5"]
    said = "Prices are in Table 2. Plums cost most (see table 2)."
    document = blocks(("heading", "Fruit"), ("text", f"{said} No more."), ("table", "\n".join(rows), "Table 2"))
    parts = chunk(document, 9, 0)
    assert texts(parts[-2:]) == ["\n".join(rows[:2]), "\n".join(rows[2:])]
    for p in parts[-2:]:
        assert (p.kind, p.label, p.section, p.boxes) == ("table", "Table 2", "Fruit", ((1, (0.0, 2.0, 1.0, 3.0)),))
        assert (p.caption, p.context) == ("Table 2: Prices.", said)
        assert p.searched.count("Table 2: Prices.") == 1


def test_a_heading_begins_a_passage_once_there_is_enough_above_it() -> None:
    content: Sequence[tuple[str, str]] = [("text", "One two three."), ("heading", "Four"), ("text", "Five six.")]
    assert texts(chunk(blocks(*content), 16, 0)) == ["One two three.", "Four\n\nFive six."]
    assert texts(chunk(blocks(*content), 20, 0)) == ["One two three.\n\nFour\n\nFive six."]
    first, second = chunk(blocks(*content), 16, 0)
    assert (first.section, second.section) == ("", "Four")


def test_a_passage_is_read_as_surely_as_its_least_sure_part() -> None:
    document = blocks(("text", "One two."), ("text", "Three four."))
    sure = [replace(region, ocr_confidence=c) for region, c in zip(document.regions, (0.9, 0.7), strict=True)]
    assert [p.ocr_confidence for p in chunk(replace(document, regions=tuple(sure)), 100, 0)] == [0.7]
    assert [p.ocr_confidence for p in chunk(document, 100, 0)] == [None]


@pytest.mark.parametrize(
    "piece", ["x", "中", "한국어 ", "A sentence here. ", "word and ", "\n", ".", "A b.\n\n", "a       "]
)
def test_the_time_grows_with_the_text_and_not_with_its_square(piece: str) -> None:
    text = piece * (40_000 // len(piece))
    assert_linear(lambda text: chunk(one_page(text), 180, 30), text, text * 8)
