"""rag/read/notes.py: quotes are copied and never written, and an answer is held only by what really says it."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.chunk import chunk
from rag.document import Document, Page
from rag.read.match import content_words, fold, holds_answer
from rag.read.notes import write_note
from rag.read.quotes import QUOTE_CHARACTERS, Quote, choose_quotes
from rag.records import Hit
from tests.parts import passage

ANY = st.text(max_size=80) | st.text("ab 12.,-–'\"\n", max_size=80)


def hits(*texts: str) -> list[Hit]:
    """A hit a text, each from a document of its own: d1, d2, ..."""
    return [Hit(rank, 1 / rank, passage(0, text, f"d{rank}")) for rank, text in enumerate(texts, start=1)]


def texts(quotes: list[Quote]) -> list[str]:
    return [quote.text for quote in quotes]


# ---- comparing


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("AD 2018–23–51", "ad 2018-23-51"),
        ("the “Big” one", 'the "big" one'),
        ("Psi’s", "psi's"),
        ("ﬁrst\n  step", "first step"),
        ("Straße", "STRASSE"),
        ("ＡＢＣ　１", "abc 1"),
        ("a − b", "a - b"),
    ],
)
def test_what_is_the_same_when_folded(one: str, other: str) -> None:
    assert fold(one) == fold(other)


@given(ANY)
def test_folding_twice_is_folding_once_and_needs_no_case_or_space(text: str) -> None:
    assert fold(fold(text)) == fold(text)
    assert fold(f"\n {text}\t") == fold(text)


def test_content_words_of_one_word_meet() -> None:
    assert content_words("How many papers were surveyed?") & content_words("We survey 162 papers.") == {
        "survey",
        "papers",
    }
    assert content_words("What is it of the?") == set()


@pytest.mark.parametrize(
    ("sentence", "answer", "held"),
    [
        ("The party was over.", "art", False),
        ("The art of war.", "Art", True),
        ("(art)", "art.", True),
        ("We surveyed 162 papers.", "162", True),
        ("We surveyed 1,162 papers.", "162", False),
        ("We surveyed 1,162 papers.", "1,162", True),
        ("We surveyed 1,162 papers.", "1", False),
        ("It was 18.5 points.", "18", False),
        ("It was 18.5 points.", "5", False),
        ("It was 18.5.", "18.5", True),
        ("In 2018, 23 came.", "2018", True),
        ("In 2018, 23 came.", "23", True),
        ("62% did not.", "62%", True),
        ("It cost $12,000 at least.", "$12,000", True),
        ("It cost $12,000 at least.", "12", False),
        ("AD 2018–\n23–51 applies.", "2018-23-51", True),
        ("He was called ‘Jack’.", "'Jack'", True),
        ("He was called “Jack”.", "Jack", True),
        ("They were THOMAS LEE  and Tinie\nCausby.", "Thomas Lee and Tinie Causby", True),
        ("The Rensselaer Polytechnical Institute.", "Rensselaer Polytechnic Institute", True),  # a letter or two
        ("The Massachusetts Institute of Technology.", "Rensselaer Polytechnic Institute", False),
        ("It ended on September 21, 2020.", "September 22, 2020", False),  # but not a digit
        ("It ended on September 21, 2020.", "september 21 2020", True),
        ("Number 12,345,678 of them.", "12,345,679", False),
        ("with R, a language", "R", True),
        ("검색을 했다", "검색", True),  # a particle follows without a space
        ("日本語の検索。", "検索", True),
        ("anything", "", False),
        ("anything", " . ", False),
        ("", "word", False),
        ("short", "longer than the sentence", False),
    ],
)
def test_whether_a_sentence_holds_an_answer(sentence: str, answer: str, held: bool) -> None:
    assert holds_answer(sentence, answer) is held


@given(ANY, ANY, ANY)
def test_a_sentence_holds_whatever_stands_in_it_as_words(before: str, answer: str, behind: str) -> None:
    if fold(answer).strip(" .,;:\"'"):
        assert holds_answer(f"{before} ; {answer} ; {behind}", answer)


# ---- choosing


def test_the_sentence_that_holds_the_answer_comes_first() -> None:
    evidence = hits(
        "How many papers were surveyed? Many papers were surveyed. Nobody knows.",
        "Of all 162 papers, 101 had none. Other words.",
    )
    quotes = choose_quotes("How many papers were surveyed?", "162", evidence)
    assert [(quote.text, quote.holds, quote.hit.rank) for quote in quotes[:2]] == [
        ("Of all 162 papers, 101 had none.", True, 2),
        ("How many papers were surveyed?", False, 1),
    ]


def test_of_two_that_hold_it_the_one_nearer_to_the_question_comes_first() -> None:
    evidence = hits("Mr Smith was there.", "The mayor of the town was Mr Smith.")
    assert (
        texts(choose_quotes("Who was mayor of the town?", "Mr Smith", evidence))[0]
        == "The mayor of the town was Mr Smith."
    )


def test_without_an_answer_the_questions_words_and_the_rank_decide() -> None:
    assert texts(choose_quotes("Who was mayor?", "", hits("No.", "The mayor.", "A mayor!"), most=2)) == [
        "The mayor.",
        "A mayor!",
    ]


def test_overlapping_passages_are_not_quoted_twice() -> None:
    text = "One sentence here. The mayor was Mr Smith. Another sentence there."
    document = Document("d", "pdf", "", text, (Page(1, 0, len(text)),))
    evidence = [Hit(rank, 1.0, p) for rank, p in enumerate(chunk(document, 11, 6), start=1)]
    assert sum("Mr Smith" in hit.passage.text for hit in evidence) == 2
    quotes = choose_quotes("Who was the mayor?", "Mr Smith", evidence)
    assert texts(quotes).count("The mayor was Mr Smith.") == 1


@given(
    passages=st.lists(st.text(max_size=60) | st.text("ab \n.!?1", max_size=900), max_size=4),
    question=ANY,
    answer=ANY,
    most=st.integers(1, 4),
)
@settings(max_examples=60, deadline=None)
def test_quotes_are_slices_of_their_passages(passages: list[str], question: str, answer: str, most: int) -> None:
    evidence = hits(*passages)
    quotes = choose_quotes(question, answer, evidence, most)
    assert len(quotes) <= most
    assert [q.score for q in quotes] == sorted((q.score for q in quotes), reverse=True)
    for quote in quotes:
        assert quote.hit in evidence
        assert quote.text == quote.hit.passage.text[quote.start : quote.end]
        assert quote.text == quote.text.strip() != ""
        assert len(quote.text) <= QUOTE_CHARACTERS
    spans = [(q.hit.rank, i) for q in quotes for i in range(q.start, q.end)]
    assert len(spans) == len(set(spans))  # no word twice


@pytest.mark.parametrize("at", [0, 3, 50, 150, 199])
@pytest.mark.parametrize("answer", ["the very answer", "42", "in"])
def test_a_long_sentence_is_cut_around_the_answer(at: int, answer: str) -> None:
    words = ["very" if i % 7 == 0 else f"word{i}x" for i in range(200)]  # one of the answer's words stands everywhere
    words[at] = answer
    (quote,) = choose_quotes("Which?", answer, hits(" ".join(words)))
    assert quote.holds
    assert holds_answer(quote.text, answer)
    assert QUOTE_CHARACTERS / 2 < len(quote.text) <= QUOTE_CHARACTERS


def test_a_word_longer_than_a_quote_is_cut() -> None:
    (quote,) = choose_quotes("Which?", "", hits("x" * 5_000))
    assert quote.text == "x" * QUOTE_CHARACTERS


# ---- the note


def test_the_note_copies_its_quotes_and_marks_the_answer_as_the_text_writes_it() -> None:
    evidence = hits("It uses\nSciBERT, as said.", "SciBERT is good.")
    note = write_note("What is used?", "scibert", choose_quotes("What is used?", "scibert", evidence))
    assert note.text == "[1] It uses SciBERT, as said.\n[2] SciBERT is good."
    assert (note.round, note.query, note.key_spans, note.uncertain_spans) == (1, "What is used?", ("SciBERT",), ())


def test_an_answer_that_stands_nowhere_is_uncertain() -> None:
    note = write_note("What?", "a whale", choose_quotes("What?", "a whale", hits("It was a fish.")), round=2)
    assert (note.round, note.key_spans, note.uncertain_spans) == (2, (), ("a whale",))
    assert write_note("What?", "", []).uncertain_spans == ()


@given(before=st.text("abc ,", max_size=30), answer=st.from_regex(r"[xyz]{3}( [XYZ]{2,4}){0,3}", fullmatch=True))
@settings(deadline=None)
def test_key_spans_stand_in_the_note(before: str, answer: str) -> None:
    note = write_note("q", answer, choose_quotes("q", answer, hits(f"{before} ({answer.upper()}), {before}")))
    assert note.key_spans == (answer.upper(),)
    assert note.key_spans[0] in note.text
