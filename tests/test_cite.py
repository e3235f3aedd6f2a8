"""rag/read/cite.py: each marker points to words that stand there, and to nothing twice."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag.locator import PageSpan
from rag.read.cite import cite
from rag.read.quotes import Quote, choose_quotes
from rag.records import Hit, Passage
from tests.parts import passage

MARKERS = re.compile(r"\[(\d+)\]")


def locate(passage: Passage, start: int, end: int) -> PageSpan:
    return PageSpan(*pages_of(passage.document_id, start, end))


def pages_of(document_id: str, start: int, end: int) -> tuple[int, int]:
    """A page a hundred characters, from 1."""
    return start // 100 + 1, (end - 1) // 100 + 1


def quote(rank: int, text: str, holds: bool = True, score: float = 1.5, start: int = 0) -> Quote:
    """The whole of a passage that begins at `start` in document d<rank>."""
    hit = Hit(rank, 1 / rank, passage(0, text, f"d{rank}", title=f"Title {rank}", start=start))
    return Quote(hit, 0, len(text), holds, score)


def test_a_citation_by_hand() -> None:
    hit = Hit(2, 0.5, passage(7, "Before. It was Mr Smith. After.", "d", title="A title", start=90))
    answer, (citation,) = cite("Mr Smith", [Quote(hit, 8, 24, True, 2.0)], locate)
    assert answer == "Mr Smith [2]"
    assert (citation.marker, citation.passage_id, citation.document_id) == ("[2]", "d#7", "d")
    assert (citation.path, citation.title) == ("d.pdf", "A title")
    assert (citation.quote, citation.start, citation.end) == ("It was Mr Smith.", 98, 114)
    assert (citation.locator.first_page, citation.locator.last_page) == (
        1,
        2,
    )  # the quote's own pages, not the passage's


@pytest.mark.parametrize(
    ("written", "cited"),
    [
        ("Mr Smith", "Mr Smith [1] [3]"),
        ("Mr Smith [1]", "Mr Smith [1] [3]"),
        ("Mr Smith[3]", "Mr Smith [3] [1]"),
        ("Mr Smith [2]", "Mr Smith [1] [3]"),  # 2 is no quote
        ("Mr [9] Smith [99999999999999999999].", "Mr Smith. [1] [3]"),
        ("Mr Smith [1, 2; 3]", "Mr Smith [1] [3]"),
        ("Mr Smith [1][1]", "Mr Smith [1] [1] [3]"),
        ("Mr Smith [01]", "Mr Smith [1] [3]"),
        ("Mr Smith [0]", "Mr Smith [1] [3]"),
        ("Mr Smith [sic]", "Mr Smith [sic] [1] [3]"),  # no marker at all
    ],
)
def test_markers_that_the_reader_wrote(written: str, cited: str) -> None:
    quotes = [quote(1, "Mr Smith it was."), quote(3, "It was Mr Smith.", score=1.4)]
    assert cite(written, quotes, locate)[0] == cited


def test_a_passage_is_cited_once_by_its_best_quote() -> None:
    hit = Hit(1, 1.0, passage(0, "Mr Smith. Mr Smith again."))
    answer, citations = cite("Mr Smith", [Quote(hit, 0, 9, True, 2.0), Quote(hit, 10, 25, True, 1.9)], locate)
    assert answer == "Mr Smith [1]"
    assert [citation.quote for citation in citations] == ["Mr Smith."]


def test_what_shows_it_less_well_is_not_cited() -> None:
    quotes = [
        quote(1, "best", score=2.0),
        quote(2, "nearly", score=1.8),
        quote(3, "worse", score=1.6),
        quote(4, "not", False, 1.9),
    ]
    assert [citation.quote for citation in cite("x", quotes, locate)[1]] == ["best", "nearly"]
    assert [citation.quote for citation in cite("x", quotes[3:], locate)[1]] == ["not"]  # better than no source


def test_without_quotes_there_is_nothing_to_cite() -> None:
    assert cite("Mr Smith [1]", [], locate) == ("Mr Smith", ())


@given(
    answer=st.lists(
        st.sampled_from(
            [
                "Mr Smith",
                " [1]",
                "[2]",
                " [3]",
                "[1, 2]",
                "[4;1]",
                "[77]",
                " [007]",
                "[x]",
                " and ",
                "[",
                "]",
                "٣",
                "[٣]",
                "［2］",
                "[ 1 ]",
                "[[8]",
            ]
        )
    ).map("".join),
    texts=st.lists(st.text("ab .", min_size=1, max_size=40), max_size=5),
)
@settings(deadline=None)
def test_every_marker_has_a_citation_and_every_citation_a_marker(answer: str, texts: list[str]) -> None:
    evidence = [Hit(rank, 1.0, passage(0, text, f"d{rank}")) for rank, text in enumerate(texts, start=1)]
    cited, citations = cite(answer, choose_quotes("ab a b?", answer, evidence), locate)
    markers = [citation.marker for citation in citations]
    assert len(markers) == len(set(markers))
    assert {f"[{int(number)}]" for number in re.findall(r"[\[［]\s*(\d+)\s*[\]］]", cited)} == set(markers)
    for citation in citations:
        source = next(hit.passage for hit in evidence if f"[{hit.rank}]" == citation.marker)
        assert citation.passage_id == source.passage_id
        assert source.text[citation.start - source.start : citation.end - source.start] == citation.quote != ""
        assert (citation.locator.first_page, citation.locator.last_page) == pages_of(
            citation.document_id, citation.start, citation.end
        )
