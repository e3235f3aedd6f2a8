"""rag/library/mentions/references.py: openings lose no name, and a name is whole words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.library.mentions.references import Mention, Name, first_mention, names_of, opening, openings, pattern
from tests.parts import assert_linear

WORDS = st.sampled_from(["The", "Bridge", "bridge", "of", "A", "Tarn-Side", "(1997", "film)", "1911", "R.E.M.", "Ünal",
                         "다리", "책", "C++", "_x_", "ABRIDGE", "\u00a0", "\n", "v.", "12345/67"])  # fmt: skip
TEXTS = st.lists(WORDS, max_size=25).map(" ".join) | st.lists(WORDS, max_size=12).map("".join) | st.text(max_size=60)


def names(title: str, text: str = "") -> list[str]:
    return [name.words for name in names_of(title, text)]


@pytest.mark.parametrize(
    ("title", "expected"),
    [
        ("The Tarn\n Bridge ", ["The Tarn Bridge"]),
        ("Titanic (1997 film)", ["Titanic (1997 film", "Titanic"]),
        ("Annie (film)", ["Annie (film", "Annie"]),
        ("Al (film)", ["Al (film"]),  # "Al" alone is too short
        ('"Q" Is for Quarry', ['Q" Is for Quarry']),
        ("(Old Dogs) Wine", ["Old Dogs) Wine"]),
        ("R.E.M. ", ["R.E.M"]),
        ("Reading, Pennsylvania", ["Reading, Pennsylvania", "Reading"]),
        ("Reading, New South Wales (town)", ["Reading, New South Wales (town", "Reading, New South Wales", "Reading"]),
        ("Reading, the art of it", ["Reading, the art of it"]),  # no place
        ("Reading, Writing, Arithmetic", ["Reading, Writing, Arithmetic"]),
        ("Reading F.C.", ["Reading F.C", "Reading"]),
        ("Ada Moss, Jr.", ["Ada Moss, Jr", "Ada Moss"]),
        ("Cafe\u0301 Zu\u0308rich", ["Café Zürich"]),
        ("1984", []),
        ("1999 2000", []),
        ("1984 War", ["1984 War"]),
        ("iPhone Manual", []),
        ("Bees", ["Bees"]),
        ("Bee", ["Bee"]),
        ("Be", []),
        ("C++", []),
        ("Taxi !", ["Taxi"]),
        ("정원의 책", ["정원의 책"]),
        ("정원", []),
        ("紅樓夢紅樓夢", []),
        ("", []),
        (" \n", []),
        ("?!", []),
        ("Very " * 100, []),
    ],
)
def test_what_names_a_document(title: str, expected: list[str]) -> None:
    assert names(title) == expected


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        ("CASE OF A. v. B.\n(Application no. 12345/67)\nJUDGMENT", ["12345/67"]),
        ("(Applications nos. 54321/08 and 2 others – see list)", ["54321/08"]),
        ("(Applications nos. 1/02, 33/04,\n55/06 and 7/08)", ["1/02", "33/04", "55/06", "7/08"]),
        ("(Application no 12/99) ... an application (no. 12/99)", ["12/99"]),
        ("cites A. v. B., no. 12345/67", []),
        (" " * 2000 + "(Application no. 12345/67)", []),
    ],
)
def test_a_judgment_is_named_by_its_applications(head: str, expected: list[str]) -> None:
    assert names_of("", head) == [Name("citation", words) for words in expected]


@pytest.mark.parametrize(
    ("title", "text", "words"),
    [
        ("The Tarn Bridge", "See The Tarn Bridge.", "The Tarn Bridge"),
        ("The Tarn Bridge", "See The Tarn\n  Bridge's towers", "The Tarn\n  Bridge"),
        ("The Tarn Bridge", "See the Tarn Bridge.", None),
        ("The Tarn Bridge", "The Tarn Bridges", None),
        ("The Tarn Bridge", "LaThe Tarn Bridge", None),
        ("The Tarn Bridge", "The Tarn Bridge2", None),
        ("The Tarn Bridge", "The TarnBridge", None),
        ("The Tarn Bridge", "The Tarn Bridges and The Tarn Bridge", "The Tarn Bridge"),
        ("Bridge", "Bridges, aBridge, _Bridge_", "Bridge"),
        ("Who (What)*", "Who (What)* and Who (Whatt)", "Who (What"),
        ("Titanic (1997 film)", "Titanic (1997 film), Titanic", "Titanic (1997 film"),
        ("Titanic (1997 film)", "Titanic", "Titanic"),
        ("정원의 책", "이 정원의\n책 은", "정원의\n책"),
    ],
)
def test_a_name_counts_as_whole_words_case_and_all(title: str, text: str, words: str | None) -> None:
    mention = first_mention(names_of(title, ""), text)
    assert (mention and text[mention.start : mention.end]) == words


def test_a_citation_by_hand() -> None:
    text = "see A. v. B., no. 12345/67, § 41; 112345/67; 12345/678"
    assert first_mention([Name("citation", "12345/67")], text) == Mention("citation", 18, 26)
    assert first_mention([Name("citation", "12345/67")], text[27:]) is None


@given(titles=st.lists(TEXTS, max_size=6), text=TEXTS, data=st.data())
def test_openings_lose_no_name(titles: list[str], text: str, data: st.DataObject) -> None:
    if titles and data.draw(st.booleans()):  # random titles seldom occur
        text += data.draw(st.sampled_from([" ", "x", "-", "\n"])) + data.draw(st.sampled_from(titles))
    keys = openings(text)
    for title in titles:
        for name in names_of(title, title):
            if pattern(name.words).search(text):
                assert opening(name) in keys, (name, text)


@pytest.mark.parametrize(
    ("title", "piece"),
    [
        ("A A", "A "), ("A " * 90 + "B", "A "), ("A B", "A" + " " * 999), (".*(a+)+$ X", "aaaa"), ("The The", "The "),
        ("Bridge", "Bridges "), ("Section 1", "Section 1, "),
    ],
)  # fmt: skip
def test_hostile_text_costs_linear_time(title: str, piece: str) -> None:
    found = names_of(title, "")
    text = piece * (200_000 // len(piece))
    assert_linear(lambda text: (openings(text), first_mention(found, text), names_of(text, text)), text[:25_000], text)
