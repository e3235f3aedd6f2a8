"""rag/read/evinote/marks.py: what is a mark and what is not, and that marking and parsing undo each other."""

from __future__ import annotations

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from rag.read.evinote.marks import Marked, mark, parse_marks, well_formed
from tests.parts import assert_linear

NO_MARKS = [
    "a well-known mother-in-law",
    "-5",
    "from -5 to -3.5 or -$7",
    "1990-1995 and pp. 3 - 5",
    "he - so they say - left",
    "he -- so they say -- left",
    "* one item\n* another item",
    "- one item\n- another item",
    "-one item\n-another item",
    "3 * 4 = 12, 3*4 = 12 and 2 * (3 + 4) * 5",
    "**bold** and ***bold***",
    "*unclosed, and -so is this",
    "closed* only, and this- too",
    "pre- and post-war",
    "snake_*case*_name",
    "* * * and *...* and -...- and *-* and -",
    "*over the\nend of a line*",
    "",
]


@pytest.mark.parametrize("text", NO_MARKS)
def test_what_is_no_mark_stays_text(text: str) -> None:
    assert parse_marks(text) == Marked(text, (), ())
    assert not well_formed(text)


@pytest.mark.parametrize(
    ("text", "plain", "key", "uncertain"),
    [
        ("Born in *1815*.", "Born in 1815.", ["1815"], []),
        ("-He- left (*Oslo*), -it seems-!", "He left (Oslo), it seems!", ["Oslo"], ["He", "it seems"]),
        ("*Ada -or Eda- Lind*", "Ada or Eda Lind", ["Ada or Eda Lind"], ["or Eda"]),
        ("-perhaps *Oslo* in 1990-1995-", "perhaps Oslo in 1990-1995", ["Oslo"], ["perhaps Oslo in 1990-1995"]),
        ("-*Oslo*- and *-Bergen-*", "Oslo and Bergen", ["Oslo", "Bergen"], ["Oslo", "Bergen"]),
        ("*a -b -c- d- e*", "a -b c d- e", ["a -b c d- e"], ["c"]),  # the inner of one kind
        ("*the well-known -5 °C*", "the well-known -5 °C", ["the well-known -5 °C"], []),
        ("at -5 °C, -it seems-", "at -5 °C, it seems", [], ["it seems"]),
        ("-about -5 degrees-", "about -5 degrees", [], ["about -5 degrees"]),
        ("in -1990 or 1991-", "in 1990 or 1991", [], ["1990 or 1991"]),
        ("*a -b* c-", "a -b c-", ["a -b"], []),  # of two that cross, the one that ends first
        ("* *Oslo* is it\n- -Bergen- is not", "* Oslo is it\n- Bergen is not", ["Oslo"], ["Bergen"]),
        ("*1* of *Ü* and *東京*", "1 of Ü and 東京", ["1", "Ü", "東京"], []),
        ('*Oslo.* "-Maybe.-" -(he)-(she)-', 'Oslo. "Maybe." (he)(she)-', ["Oslo."], ["Maybe.", "(he)"]),
    ],
)
def test_marks_are_found_and_taken_out(text: str, plain: str, key: list[str], uncertain: list[str]) -> None:
    marked = parse_marks(text)
    assert marked.text == plain
    assert (list(marked.key_spans), list(marked.uncertain_spans)) == (key, uncertain)
    for (start, end), words in zip(marked.key, key, strict=True):
        assert plain[start:end] == words


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("*Oslo*", True),
        ("-Oslo-", True),
        ("*Oslo -or Bergen-*", True),
        ("*Oslo* at -5 °C, in the pre- and post-war years, 3 * 4", True),
        ("Oslo", False),
        ("*Oslo* and *Bergen", False),
        ("*Oslo* and Bergen*", False),
        ("*Oslo* and -Bergen", False),
        ("*Oslo -or* Bergen-", False),
        ("**Oslo**", False),
        ("", False),
    ],
)
def test_well_formed_notes_have_marks_that_balance(text: str, right: bool) -> None:
    assert well_formed(text) is right


@pytest.mark.parametrize(
    ("key", "uncertain"),
    [
        ([(0, 2)], []),  # in a word
        ([(0, 5)], []),  # a blank at its end
        ([(0, 7)], [(5, 11)]),  # crossing
        ([(5, 16)], []),  # the end of a line
        ([(3, 3)], []),
        ([(0, 99)], []),
        ([(-4, 4)], []),
    ],
)
def test_what_cannot_be_marked_is_refused(key: list[tuple[int, int]], uncertain: list[tuple[int, int]]) -> None:
    with pytest.raises(ValueError, match="cannot be marked"):
        mark("Oslo or Bergen\nor", key, uncertain)
    with pytest.raises(ValueError, match="cannot be marked"):
        mark("*Oslo* has marks", [], [])


words = st.sampled_from(
    ["Oslo", "well-known", "-5", "-3.5", "1990-1995", "-", "*", "--", "3 * 4", "e.g.", "(x)", "\n* item", "\n- item"]
)


@given(st.lists(words, max_size=12))
def test_prose_without_marks_has_none(some: list[str]) -> None:
    text = " ".join(some)
    assert parse_marks(text) == Marked(text, (), ())


plain_words = st.sampled_from(["Oslo", "well-known", "1990-1995", "Ü", "(x)", "e.g.", "3", "it's"])


@given(st.lists(plain_words, min_size=1, max_size=8), st.data())
def test_marking_and_parsing_give_the_spans_back(some: list[str], data: st.DataObject) -> None:
    """Nested spans over whole words, of both kinds."""
    text = " ".join(some)
    starts = [sum(len(word) + 1 for word in some[:i]) for i in range(len(some))]

    def span(first: int, last: int) -> tuple[int, int]:
        return starts[first], starts[last] + len(some[last])

    first = data.draw(st.integers(0, len(some) - 1))
    last = data.draw(st.integers(first, len(some) - 1))
    inner = data.draw(st.integers(first, last))
    outer_span, inner_span = [span(first, last)], [span(inner, data.draw(st.integers(inner, last)))]
    for key, uncertain in ((outer_span, inner_span), (inner_span, outer_span), (outer_span, [])):
        marked = parse_marks(mark(text, key, uncertain))
        assert (marked.text, list(marked.key), list(marked.uncertain)) == (text, key, uncertain)
        assert well_formed(mark(text, key, uncertain))


@given(st.text(st.sampled_from("ab5*- .(\n"), max_size=24))
@example("-*a*-*")
def test_parsing_and_marking_give_the_text_back(text: str) -> None:
    marked = parse_marks(text)
    assume(not set(marked.key) & set(marked.uncertain))  # which of the two signs stood outside is not remembered
    assert mark(marked.text, marked.key, marked.uncertain) == text


def test_marks_are_found_in_linear_time() -> None:
    for piece in ("*a ", "-a ", "a* ", "-1 ", "*-", "*a -b* c- "):
        assert_linear(parse_marks, piece * 4_000, piece * 32_000)
