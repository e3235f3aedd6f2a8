"""rag/read/compose: answers in sentences. Whatever a reader writes, what is cited is supported, verbatim and placed."""

from __future__ import annotations

import random
import re
import time
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingest.build import build
from rag.answer import Evidence, ask
from rag.errors import UsageError
from rag.index.manager import Indexes
from rag.library.catalogue import Library
from rag.locator import part_of
from rag.pipeline import Pipeline
from rag.read.cite import MARKER
from rag.read.compose.compose import OWN_WORDS, sentences_wanted, written_sentences
from rag.read.compose.decisions import decision_hits
from rag.read.compose.excerpts import choose_excerpts, read_sentences
from rag.read.compose.scope import Scopes
from rag.read.compose.sentence_prompts import WITH_NUMBERS
from rag.read.compose.sides import sides_of
from rag.read.compose.style import style_of
from rag.read.quotes import QUOTED
from rag.read.summary.telling import in_section, telling_passages, telling_sentences
from rag.records import Answer, Hit
from rag.settings import load_settings
from tests.conftest import ROOT
from tests.parts import encoder, passage
from tests.test_answer import ScriptedReader, pipeline

TARN = (
    "The Tarn bridge was opened in 1911 by Clyde Foundry. It replaced a ferry that sank in a storm. The council paid "
    "for it with a loan of 40,000 crowns. Its towers are made of red granite, which does not rot."
)
MILLS = (
    "The tide mill grinds when the sea goes out. Its wheel is made of oak. A miller and two boys work there. The mill "
    "was sold in 1932."
)
HITS = [
    Hit(1, 0.9, passage(0, TARN, "d1", title="The Tarn Bridge", start=500, page=3)),
    Hit(2, 0.5, passage(0, MILLS, "d2", title="Tide Mills", page=7)),
]
WHY = "Why was the Tarn bridge built?"


def composed(
    reply: str, question: str = WHY, style: str = "explain", hits: Sequence[Hit] = HITS, *overrides: str
) -> Answer:
    made = replace(pipeline(ScriptedReader(reply), hits, *overrides), encoder=encoder)
    *_, last = ask(question, made, 5, style=style)
    assert isinstance(last, Answer)
    return last


def sentences_of(answer: Answer) -> list[tuple[str, list[str]]]:
    """Each statement without its markers, and the quotes that these point to."""
    by_marker = {citation.marker: citation for citation in answer.citations}
    return [
        (
            MARKER.sub("", answer.answer[s.start : s.end]).strip(),
            [by_marker[f"[{n}]"].quote for n in re.findall(r"\[(\d+)\]", answer.answer[s.start : s.end])],
        )
        for s in answer.statements
    ]


def assert_cites_verbatim(answer: Answer, hits: Sequence[Hit] = HITS) -> None:
    passages = {hit.passage.passage_id: hit.passage for hit in hits}
    for citation in answer.citations:
        source = passages[citation.passage_id]
        assert source.text[citation.start - source.start : citation.end - source.start] == citation.quote
    markers = list(dict.fromkeys(re.findall(r"\[\d+\]", answer.answer)))
    assert markers == [citation.marker for citation in answer.citations] == [f"[{n + 1}]" for n in range(len(markers))]


def test_what_is_supported_is_cited_and_what_is_not_is_left_out() -> None:
    answer = composed("The bridge replaced a ferry that sank in a storm. It has 7,000 visitors a day.")
    assert (answer.abstained, answer.style) == (False, "explain")
    (first, quotes), *quoted = sentences_of(answer)
    assert first == "The bridge replaced a ferry that sank in a storm."
    assert quotes == ["It replaced a ferry that sank in a storm."]
    assert "7,000" not in answer.answer and QUOTED in answer.answer
    assert quoted and all(said in " ".join(TARN.split() + MILLS.split()) for said, _ in quoted)
    assert all(statement.supported for statement in answer.statements)
    assert_cites_verbatim(answer)


def test_the_readers_own_words_are_marked_where_that_is_wanted() -> None:
    answer = composed(
        "The bridge replaced a ferry that sank in a storm. It has 7,000 visitors a day.", WHY, "explain", HITS,
        "reader.unsupported=mark",
    )  # fmt: skip
    assert f"It has 7,000 visitors a day. {OWN_WORDS}" in answer.answer
    assert [statement.supported for statement in answer.statements[:2]] == [True, False]


@pytest.mark.parametrize(
    "wrong",
    [
        "The Tarn bridge was opened in 1912 by Clyde Foundry.",
        "The Tarn bridge was opened in 1911 by Robert Stephenson.",
        "The council paid for it with a loan of 50,000 crowns.",
        "Whales are the largest animals of all.",
    ],
)
def test_another_number_or_name_is_not_supported(wrong: str) -> None:
    assert composed(wrong).abstained


@pytest.mark.parametrize("reply", ["", "The passages do not say why.", "NONE", "It is not mentioned in the passages."])
def test_a_reader_that_declines_is_believed(reply: str) -> None:
    answer = composed(reply)
    assert answer.abstained and answer.citations == () and answer.answer.startswith("Not found in these documents.")


def test_markers_and_markdown_of_the_readers_own_are_not_kept() -> None:
    answer = composed("**It replaced a ferry** that sank in a storm [2]. [9]", WHY)
    assert answer.answer.startswith("It replaced a ferry that sank in a storm. [1]")
    assert answer.citations[0].passage_id == "d1#0"
    assert_cites_verbatim(answer)


def test_numbers_in_brackets_of_a_quoted_text_are_no_markers() -> None:
    hits = [Hit(1, 0.9, passage(0, TARN.replace("red granite,", "red granite [2, 9],"), "d1"))]
    answer = composed("It replaced a ferry that sank in a storm.", WHY, hits=hits)
    assert "made of red granite (2, 9), which" in answer.answer
    assert_cites_verbatim(answer, hits)
    assert any("[2, 9]" in citation.quote for citation in answer.citations)


def test_a_list_is_a_list_without_repeats() -> None:
    reply = "The workers are:\n- a miller\n- two boys work there\n- A miller\n1. whales"
    answer = composed(reply, "Which people work in the tide mill?", "list")
    lines = answer.answer.split("\n")
    assert lines[0].startswith("- ") and lines[1].startswith("- two boys work there [")
    assert answer.answer.casefold().count("- a miller [") == 1 and "whales" not in answer.answer


WORDS = ["ferry", "storm", "1911", "Clyde Foundry", "granite", "oak", "1932", "miller", "whales", "7", "[3]", "loan"]


@given(
    st.lists(
        st.lists(st.sampled_from([*WORDS, "the", "of", "was", "\n- ", "**", ". "]), min_size=1, max_size=9), max_size=5
    ),
    st.sampled_from(["explain", "list", "compare", "summary"]),
)
@settings(max_examples=20, suppress_health_check=[HealthCheck.too_slow])
def test_no_sentence_is_shown_as_cited_that_cites_nothing(said: list[list[str]], style: str) -> None:
    answer = composed(". ".join(" ".join(words).capitalize() for words in said), WHY, style)
    assert answer.abstained == (not answer.statements)
    if not answer.abstained:
        assert all(quotes for _, quotes in sentences_of(answer))
        assert_cites_verbatim(answer)
        covered = "".join(answer.answer[s.start : s.end] for s in answer.statements)
        assert set(re.findall(r"\[\d+\]", covered)) == set(re.findall(r"\[\d+\]", answer.answer))


def test_another_order_of_the_passages_cites_the_same_places() -> None:
    def places(hits: Sequence[Hit]) -> set[tuple[str, int, int]]:
        answer = composed("It replaced a ferry that sank in a storm.", WHY, "explain", hits)
        return {(citation.document_id, citation.start, citation.end) for citation in answer.citations}

    assert places(HITS) == places(HITS[::-1])


def test_excerpts_keep_to_their_words_and_to_the_passages() -> None:
    chance = random.Random(3)
    text = " ".join(f"Sentence {n} is about {chance.choice(['otters', 'mills', 'bridges'])}." for n in range(60))
    hits = [Hit(n + 1, 1.0, passage(n, text[n * 400 : (n + 1) * 400], "d", start=n * 400)) for n in range(4)]
    read = read_sentences("What about otters?", hits, encoder())
    for words in (5, 40, 150, 10_000):
        chosen = choose_excerpts("What about otters?", read, words)
        assert 0 < sum(len(quote.text.split()) for quote in chosen) <= words
        spans = [(quote.hit.passage.start + quote.start, quote.hit.passage.start + quote.end) for quote in chosen]
        assert spans == sorted(spans) and all(a[1] <= b[0] for a, b in pairwise(spans))
        assert all(text[start:end] == quote.text for (start, end), quote in zip(spans, chosen, strict=True))


def test_a_phrase_needs_no_encoder_and_sentences_say_what_they_need() -> None:
    with pytest.raises(UsageError, match="--style explain needs an encoder"):
        list(ask(WHY, pipeline(ScriptedReader()), 5, style="explain"))
    with pytest.raises(UsageError, match="--style poem: choose one of auto, short, explain"):
        list(ask(WHY, pipeline(ScriptedReader()), 5, style="poem"))


def test_each_side_of_a_comparison_is_searched_for() -> None:
    made = replace(pipeline(ScriptedReader("Its wheel is made of oak.")), encoder=encoder)
    list(ask("How does the Tarn bridge differ from the tide mill?", made, 5, style="compare"))
    assert [queries for queries, _, _ in made.retriever.asked] == [  # type: ignore[attr-defined]
        ["How does the Tarn bridge differ from the tide mill?"], ["the Tarn bridge"], ["the tide mill"],
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("question", "sides"),
    [
        ("What is the difference between alpha and beta, and why?", ("alpha", "beta")),
        ("alpha vs. beta: which is faster?", ("alpha", "beta")),
        ("Compare alpha with beta", ("alpha", "beta")),
        ("Is alpha better than beta?", ("alpha", "beta")),
        ("How do alpha and beta differ?", ("alpha", "beta")),
        ("What is alpha?", ()),
    ],
)
def test_sides(question: str, sides: tuple[str, ...]) -> None:
    assert sides_of(question) == sides


STYLES = {
    "short": [
        "Who designed the bridge?", "When did it open?", "How many seats does the hall have?",
        "Is it older than the mill?",
        "What year was the treaty signed?", "Which city hosted the games of 1908?", 
        "Did the court find a violation?", "Where was she born and when?",
        "Which loss function trains the model?",
    ],
    "explain": [
        "Why did the ferry sink?", "How does the engine work?", "What is a tide mill?", "Explain the ruling",
        "What does 'force majeure' mean here?", "Was the claim allowed, and why?", "Tell me about the siege",
    ],
    "list": [
        "List the exhibits", "Which countries signed it?", "What are the requirements for a licence?",
        "Name three reasons he gives", "What kinds of rope did they use?",
    ],
    "compare": [
        "What is the difference between a nave and an aisle?", "Method A versus method B",
        "How do the two treaties differ?",        "Compare the 2019 and 2020 budgets",
    ],
    "summary": [
        "Summarise chapter 3", "What is this book about?", "Give me an overview of the case", "tl;dr",
        "What are the main points of the episode?", "Sum it up in two sentences",
        "What are the main contributions?", "What are her key arguments?",
    ],
}  # fmt: skip


@pytest.mark.parametrize(("style", "question"), [(style, q) for style, questions in STYLES.items() for q in questions])
def test_the_style_is_what_the_question_asks_for(style: str, question: str) -> None:
    assert style_of(question) == style


def test_written_sentences_end_and_lists_are_taken_apart() -> None:
    assert written_sentences("It opened. It was then clo") == [("It opened.", False)]
    assert written_sentences("1. One mill\n2) Two mills") == [("One mill", True), ("Two mills", True)]
    assert written_sentences("Here they are:") == []


# ---- summaries


def long_document(parts: int) -> list[Hit]:
    topics = ["The harbour was dredged by hand", "The guild kept the light", "Ships paid a toll of two crowns"]
    texts = [
        " ".join(f"{topics[n % 3]} in year {n} of the {word} reign." for word in ("old", "new")) for n in range(parts)
    ]
    hits, start = [], 0
    for n, text in enumerate(texts):
        hits.append(Hit(n + 1, 1.0, passage(n, text, "d", title="Harbour", start=start, page=n + 1)))
        start += len(text) + 1
    return hits


def test_a_summary_is_in_the_documents_order_and_within_its_words() -> None:
    passages = [hit.passage for hit in long_document(40)]
    hits = telling_passages(passages, encoder().encode([each.text for each in passages]), 12)
    assert len(hits) == 12 and [hit.passage.start for hit in hits] == sorted(hit.passage.start for hit in hits)
    _, choose = telling_sentences("What is it about?", hits, encoder())
    for words in (20, 60, 200):
        chosen = choose(words)
        starts = [quote.hit.passage.start + quote.start for quote in chosen]
        assert starts == sorted(set(starts)) and 0 < sum(len(quote.text.split()) for quote in chosen) <= words
    assert not {quote.text for quote in choose(60, choose(60))} & {quote.text for quote in choose(60)}


def test_references_are_no_part_of_a_summary() -> None:
    body = [hit.passage for hit in long_document(6)]
    list_of_works = replace(passage(9, "Smith, J. The harbour. 1990.", "d", start=9_000), section="References")
    vectors = encoder().encode([each.text for each in [*body, list_of_works]])
    hits = telling_passages([*body, list_of_works], vectors, 7)
    assert list_of_works not in [hit.passage for hit in hits] and len(hits) == 6


def test_a_chapter_is_summarised_alone() -> None:
    passages = [
        replace(hit.passage, section=section)
        for hit, section in zip(
            long_document(4), ["1 Tolls", "2 Light", "2 Light > 2.1 Lamps", "12 Ships"], strict=True
        )
    ]
    assert [each.section for each in in_section("Summarise chapter 2", passages)] == ["2 Light", "2 Light > 2.1 Lamps"]
    assert [each.section for each in in_section("Summarise the section Tolls", passages)] == [
        each.section for each in passages
    ]  # a title this short may be any word
    assert in_section("Summarise chapter 7", passages) == passages


@pytest.mark.parametrize(
    ("question", "number"),
    [("in five sentences", 5), ("in 3 short sentences", 3), ("a few lines", None), ("in two lines", 2), ("", None)],
)
def test_the_number_of_sentences_asked_for(question: str, number: int | None) -> None:
    assert sentences_wanted(question) == number


def test_a_summary_of_two_sentences_has_two() -> None:
    answer = composed("It replaced a ferry that sank in a storm.", "Sum it up in two sentences", "summary")
    assert len(answer.statements) == 2 and QUOTED not in answer.answer
    assert_cites_verbatim(answer)


def test_evidence_comes_first_and_nothing_is_asked_before() -> None:
    made: Pipeline = replace(pipeline(reader := ScriptedReader("It replaced a ferry.")), encoder=encoder)
    events = ask(WHY, made, 5, style="explain")
    assert isinstance(next(events), Evidence) and reader.asked == []
    assert np.isfinite(encoder().encode([WHY])).all()


# ---- what a court decided


def test_what_a_court_decided_is_read_in_its_own_findings(tmp_path: Path) -> None:
    """Not in the facts, which tell what other courts decided."""
    library = Library.open(tmp_path / "library", create=True)
    indexes = Indexes(library, load_settings())
    indexes.encoders._dense = encoder()
    build([ROOT / "examples" / "judgments" / "dees-v-hungary-2010.txt"], library, indexes, indexes.settings.ingest)
    scope = Scopes(library).of_question("What did the court decide in Deés v. Hungary?")
    assert scope is not None
    finder = indexes.retriever("bm25")

    def search(query: str, k: int, within: Sequence[int] | None) -> Sequence[Hit]:
        return finder.search([query], k, within)[0]

    hits = decision_hits("What did the court decide?", 5, scope.numbers, library, search)
    assert part_of(hits[0].passage.locator) == "operative"
    assert {part_of(hit.passage.locator) for hit in hits} == {"operative", "law"}
    assert [hit.rank for hit in hits] == list(range(1, len(hits) + 1))
    assert decision_hits("Who is the applicant?", 5, scope.numbers, library, search) == []
    assert decision_hits("What did the court decide?", 5, None, library, search) == []


@pytest.mark.parametrize(
    "words", ["is x and ", "compare ", "a vs ", "what are the ", "difference between a and ", "- "]
)
def test_whatever_is_asked_is_understood_at_once(words: str) -> None:
    """4,000 characters, of which rules with several open ends would make seconds."""
    question = (words * 4_000)[:4_000]
    began = time.thread_time()
    assert len(sides_of(question)) in (0, 2)
    style_of(question)
    decision_hits(question, 5, None, None, lambda query, k, within: [])
    written_sentences(question)
    assert time.thread_time() - began < 1.5


@pytest.mark.parametrize("markers", [True, False])
def test_large_readers_are_asked_for_markers_and_checked_all_the_same(markers: bool) -> None:
    reader = ScriptedReader("It replaced a ferry that sank in a storm [7]. Whales are large [1].")
    made = replace(pipeline(reader, HITS), encoder=encoder, markers=markers)
    *_, answer = ask(WHY, made, 5, style="explain")
    assert isinstance(answer, Answer) and "Whales" not in answer.answer
    assert answer.answer.startswith("It replaced a ferry that sank in a storm. [1]")
    (system, _), *_ = reader.asked[0][1]
    prompt = " ".join(str(content) for _, content in reader.asked[0][1])
    assert system == "system" and (WITH_NUMBERS in prompt) == markers
