"""ingest/pdf/text_repair.py: nothing but breaks, ligatures and bad characters changes, and the way back is exact."""

from __future__ import annotations

import json
import sqlite3
from bisect import bisect_right
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.pdf.text_repair import LIGATURES, repair_text, words_in
from tests.parts import assert_linear, paged

BAD = {*map(chr, [*range(10), *range(11, 32), *range(127, 160), *range(0xD800, 0xE000)])}
# Small alphabets, so that breaks, digits and ligatures meet often; and any text at all.
RAW = st.text("abZ09ﬁﬄ- \n\u00ad\u2010\u2013\x00\t\r\ud800é中", max_size=60) | st.text(max_size=40)


def to_raw(offset: int, offsets: Sequence[tuple[int, int]]) -> int:
    """Where a mended character stood, by the map alone."""
    mended, raw = offsets[bisect_right(offsets, offset, key=lambda entry: entry[0]) - 1]
    return raw + offset - mended


def changed(text: str, raw: str, offsets: Sequence[tuple[int, int]]) -> set[int]:
    """Mended offsets that came out of a change: a ligature's letters, or a hyphen that was kept before a break."""
    new: set[int] = set()
    for end, raw_end in offsets[1:]:
        if raw_end and raw[raw_end - 1] in LIGATURES:
            new |= set(range(end - len(LIGATURES[raw[raw_end - 1]]), end))
        elif end and text[end - 1] == "-":
            new.add(end - 1)
    return new


def assert_maps_back(text: str, raw: str, offsets: Sequence[tuple[int, int]]) -> None:
    new = changed(text, raw, offsets)
    for i, character in enumerate(text):
        if i not in new:
            origin = raw[to_raw(i, offsets)]
            assert character == origin or (origin in BAD and character in " \ufffd")
    assert to_raw(len(text), offsets) == len(raw)  # the lengths add up


def letters(text: str) -> str:
    return "".join(LIGATURES.get(c, c) for c in text if c.isalnum())


@given(RAW)
def test_every_character_maps_back_to_the_one_it_was(raw: str) -> None:
    text, offsets = repair_text(raw, words_in([raw]))
    assert offsets == sorted(offsets)
    assert offsets[0] == (0, 0)
    assert_maps_back(text, raw, offsets)


@given(RAW)
def test_no_letter_or_digit_is_lost_or_added(raw: str) -> None:
    assert letters(repair_text(raw, words_in([raw]))[0]) == letters(raw)


@given(st.text("ab Z09-.\n\u2010\u2013\tﬁ", max_size=60))
def test_what_is_mended_stays_as_it_is(raw: str) -> None:
    known = words_in([raw])
    text, _ = repair_text(raw, known)
    assert repair_text(text, known)[0] == text


@given(
    st.text(
        st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"], exclude_characters="-\u00ad\u2010\u2013ﬀﬁﬂﬃﬄﬅﬆ")
    )
)
def test_text_without_flaws_is_not_touched(raw: str) -> None:
    assert repair_text(raw) == (raw, [(0, 0)])


@pytest.mark.parametrize(
    ("raw", "mended"),
    [
        ("an evalu-\nation", "an evaluation"),
        ("an evalu- \n  ation", "an evaluation"),
        ("an evalu-\r\nation", "an evaluation"),
        ("an evalu\u2010\nation", "an evaluation"),
        ("an evalu\u00ad\nation", "an evaluation"),
        ("evalu\u00adation", "evaluation"),
        ("Anglo-\nSaxon", "Anglo-Saxon"),
        ("a well-\nknown and well-known", "a well-known and well-known"),
        ("Well-known, well-\nknown", "Well-known, well-known"),
        ("a \ufb01rst-class, a first-\nclass", "a first-class, a first-class"),  # the same word by either spelling
        ("peer-to-\npeer", "peer-to-peer"),  # tied already, and nobody writes "topeer"
        ("state-\nof-the-art", "state-of-the-art"),
        ("a document. multi-docu-\nment", "a document. multi-document"),
        ("state-of-the-art, the-\nart", "state-of-the-art, the-art"),
        ("evalu-\nation-\nal", "evaluational"),
        ("AD 2018–\n23–51", "AD 2018–23–51"),
        ("2018-\n23-51", "2018-23-51"),
        ("page 3-\n5", "page 3-5"),
        ("COVID-\n19", "COVID-\n19"),  # more often a page number than a name: "nobil-\n10 FREE CULTURE"
        ("a -\nb", "a -\nb"),
        ("a\nb", "a\nb"),
        ("ﬁ ﬂ ﬀ ﬃ ﬄ ﬅ ﬆ", "fi fl ff ffi ffl st st"),
        ("a\x00b\tc\rd", "a\ufffdb c d"),
        ("a\ud83d b\udc00", "a\ufffd b\ufffd"),
        ("\ud83d\ude00", "\ufffd\ufffd"),  # two halves side by side are still no character
        ("😀 naïve 日本-\n語", "😀 naïve 日本語"),
        ("", ""),
    ],
)
def test_by_hand(raw: str, mended: str) -> None:
    text, offsets = repair_text(raw, words_in([raw]))
    assert text == mended
    assert_maps_back(text, raw, offsets)


def test_the_map_by_hand() -> None:
    text, offsets = repair_text("ﬁx the evalu-\nation of well-\nknown", frozenset({"well-known"}))
    assert text == "fix the evaluation of well-known"
    assert offsets == [(0, 0), (2, 1), (13, 14), (27, 29)]


@given(st.lists(RAW, max_size=6))
def test_pages_tile_the_text_and_map_back_into_the_joined_pages(raw_pages: list[str]) -> None:
    document = paged(raw_pages)
    text, pages, offsets = document.text, document.pages, document.raw_offsets
    assert [page.number for page in pages] == list(range(1, len(raw_pages) + 1))
    assert "\n".join(text[page.start : page.end] for page in pages) == text
    assert all(pages[i].end + 1 == pages[i + 1].start for i in range(len(pages) - 1))
    if pages:
        assert (pages[0].start, pages[-1].end) == (0, len(text))
        assert list(offsets) == sorted(offsets)
        assert_maps_back(text, "\n".join(raw_pages), offsets)


def test_a_compound_on_one_page_keeps_its_hyphen_on_another() -> None:
    document = paged(["a well-\nknown fact", "it is well-known"])
    texts = [document.text[page.start : page.end] for page in document.pages]
    assert texts == ["a well-known fact", "it is well-known"]


@given(RAW)
def test_whatever_comes_out_can_be_stored(raw: str) -> None:
    text = repair_text(raw)[0]
    assert text.encode("utf-8").decode("utf-8") == text
    assert json.loads(json.dumps(text, ensure_ascii=False)) == text
    assert sqlite3.connect(":memory:").execute("SELECT ?", (text,)).fetchone() == (text,)


@pytest.mark.parametrize(
    "piece",
    ["a", "a-\n", "a- ", "a-" + " " * 50, "1-" + " " * 50, "ﬁ", "\u00ad", "a-b", "中", "word evalu-\nation ", "\x00"],
)
def test_the_time_grows_with_the_text_and_not_with_its_square(piece: str) -> None:
    text = piece * (30_000 // len(piece))
    assert_linear(lambda raw: repair_text(raw, words_in([raw])), text, text * 8)
