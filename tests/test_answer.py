"""rag/answer.py: one question, with a scripted reader for its invariants and the light reader for its sense."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.answer import Evidence, Token, ask
from rag.errors import ReaderError, UsageError
from rag.llm.chat import ChatModel, Messages, Usage
from rag.llm.tokens import prompt_tokens
from rag.locator import PageSpan
from rag.pipeline import Pipeline, build_pipeline, check_question
from rag.read.prompts import answer_messages, claim_messages, fitting, support_messages
from rag.read.support import support_score
from rag.records import Answer, Hit, Note, Passage
from rag.settings import load_settings
from tests.parts import passage, small_library

HITS = [
    Hit(
        1,
        0.9,
        passage(4, "It was built in 1911. The engineer was Clyde Foundry.", "d1", title="Bridges", start=120, page=2),
    ),
    Hit(2, 0.5, passage(0, "Tomatoes want sun. Carrots are sown in April.", "d2", title="Gardens", page=7)),
]
QUESTION = "Who was the engineer?"


class ScriptedRetriever:
    def __init__(self, hits: Sequence[Hit]):
        self.hits = hits
        self.asked: list[tuple[list[str], int, object]] = []

    def search(self, queries: Sequence[str], k: int, within: Sequence[int] | None = None) -> list[list[Hit]]:
        self.asked.append((list(queries), k, within))
        return [list(self.hits[:k]) for _ in queries]


class ScriptedReader(ChatModel):
    """Says what it is told to, and remembers what it was asked."""

    name = "scripted"
    count = staticmethod(prompt_tokens)

    def __init__(self, reply: str = "Clyde Foundry", yes: float = 0.9):
        self.reply, self.yes = reply, yes
        self.asked: list[tuple[str, Messages, int | None]] = []

    def stream(
        self, messages: Messages, max_tokens: int, usage: Usage | None = None, stop: Sequence[str] = ()
    ) -> Iterator[str]:
        self.asked.append(("stream", messages, max_tokens))
        for first in range(0, len(self.reply), 4):
            yield self.reply[first : first + 4]
        if usage:
            usage.add({"input_tokens": 100, "output_tokens": 5})

    def yes_probability(self, messages: Messages, usage: Usage | None = None, goes_on: bool = False) -> float:
        self.asked.append(("yes", messages, None))
        if usage:
            usage.add({"input_tokens": 120, "output_tokens": 1})
        return self.yes


def pipeline(reader: ScriptedReader, hits: Sequence[Hit] = HITS, *overrides: str) -> Pipeline:
    def locate(passage: Passage, start: int, end: int) -> PageSpan:
        return PageSpan(2, 2) if passage.document_id == "d1" else PageSpan(7, 7)

    return Pipeline(ScriptedRetriever(hits), reader, locate, "2 documents, 9 passages", load_settings(overrides))  # type: ignore[arg-type]


def answer(reader: ScriptedReader, hits: Sequence[Hit] = HITS, *overrides: str, strategy: str = "notes") -> Answer:
    *_, last = ask(QUESTION, pipeline(reader, hits, *overrides), 5, strategy=strategy)
    assert isinstance(last, Answer)
    return last


# ---- the steps


def test_the_steps_come_in_order() -> None:
    reader = ScriptedReader()
    events = list(ask(f"  {QUESTION}\n", pipeline(reader), 5, within=[3, 4]))
    kinds = [type(event) for event in events]
    assert kinds == [Evidence, Token, Token, Token, Token, Note, Answer]
    assert events[0] == Evidence(tuple(HITS))
    assert "".join(event.text for event in events if isinstance(event, Token)) == "Clyde Foundry"
    assert [(what, messages) for what, messages, _ in reader.asked] == [
        ("stream", answer_messages(QUESTION, HITS)),
        ("yes", support_messages(QUESTION, HITS, "Clyde Foundry")),
        ("yes", claim_messages(QUESTION, "Clyde Foundry", HITS[0].passage)),
    ]
    assert reader.asked[0][2] == load_settings().reader.answer_tokens


def test_the_retriever_gets_the_question_k_and_within() -> None:
    made = pipeline(ScriptedReader())
    (evidence, *_) = ask(f" {QUESTION} ", made, 1, within=[3])
    assert evidence == Evidence(tuple(HITS[:1]))
    assert isinstance(made.retriever, ScriptedRetriever)
    assert made.retriever.asked == [([QUESTION], 1, [3])]


def test_nothing_is_asked_of_the_reader_before_the_evidence_is_taken() -> None:
    reader = ScriptedReader()
    events = ask(QUESTION, pipeline(reader), 5)
    assert isinstance(next(events), Evidence)
    assert reader.asked == []


def test_an_answer_holds_all_that_led_to_it() -> None:
    found = answer(ScriptedReader())
    assert (found.question, found.answer, found.abstained) == (QUESTION, "Clyde Foundry [1]", False)
    assert (found.support, found.model) == (0.9, "scripted")
    assert found.evidence == tuple(HITS)
    (note,) = found.notes
    assert note.text.startswith("[1] The engineer was Clyde Foundry.")
    assert note.key_spans == ("Clyde Foundry",)
    (citation,) = found.citations
    assert (citation.marker, citation.quote, citation.locator.first_page) == (
        "[1]",
        "The engineer was Clyde Foundry.",
        2,
    )
    assert HITS[0].passage.text[citation.start - 120 : citation.end - 120] == citation.quote
    assert found.tokens == {"prompt": 120, "generated": 7}  # the longest prompt, all that was generated
    assert found.seconds.keys() == {"retrieve", "note", "answer", "attribute", "first_token"}
    assert all(seconds >= 0 for seconds in found.seconds.values())


def test_support_is_the_mean_of_what_all_passages_and_the_best_one_say() -> None:
    class Undecided(ScriptedReader):
        def yes_probability(self, messages: Messages, usage: Usage | None = None, goes_on: bool = False) -> float:
            super().yes_probability(messages, usage, goes_on)
            return 0.9 if messages == support_messages(QUESTION, HITS, "Clyde Foundry") else 0.6

    assert answer(Undecided()).support == pytest.approx(0.75)


def test_without_a_quote_there_is_no_support() -> None:
    assert support_score(ScriptedReader(), QUESTION, HITS, "x", [], Usage()) == 0.0  # type: ignore[arg-type]


REFUSALS = [
    "None", "N/A", "unknown.", 
    "not mentioned", "It is not mentioned in the passages.", "The answer is not given",
    "I don't know", "Not in the passages", "No relevant information", "The passages do not contain the answer",
    "The passages do not mention it.", "There is no information on that.", "cannot be answered in the text",
]  # fmt: skip
ANSWERS = [
    "no",
    "Not Without My Daughter",
    "The Unknown Soldier",
    "None of the Above",
    "Unknown Pleasures",
    "The answer is 42",
    "I am Legend",
    "No Country for Old Men",
    "Notting Hill",
    "not guilty",
    "Information theory",
    "R",
]


@pytest.mark.parametrize(("reply", "abstained"), [(r, True) for r in REFUSALS] + [(a, False) for a in ANSWERS])
def test_a_reader_that_says_it_is_not_there_abstains(reply: str, abstained: bool) -> None:
    assert answer(ScriptedReader(reply)).abstained is abstained


def test_a_question_of_stray_bytes_is_a_question() -> None:
    assert check_question("who \ud800 was it?", 5, load_settings()) == "who \N{REPLACEMENT CHARACTER} was it?"


@given(st.integers(1, 40), st.integers(600, 4000))
def test_evidence_is_cut_to_what_the_reader_can_hold(count: int, tokens: int) -> None:
    hits = [Hit(i + 1, 1.0, passage(i, "word " * 150, f"d{i}")) for i in range(count)]
    kept = fitting("who?", hits, tokens)
    assert kept == hits[: len(kept)] and kept
    size = prompt_tokens(answer_messages("who?", kept))
    assert size < tokens
    assert len(kept) == count or size + 250 + 100 > tokens  # another passage, and the question of support


def test_a_picture_that_several_passages_share_is_shown_once_and_counted() -> None:
    table = replace(HITS[0].passage, kind="table", picture="a" * 64)
    hits = [Hit(rank, 1 / rank, table) for rank in (1, 2, 3)]
    reader = ScriptedReader()
    list(ask(QUESTION, replace(pipeline(reader, hits), picture=lambda sha256: sha256.encode()), 5))
    shown = [part for part in reader.asked[0][1][-1][1] if part["type"] == "image_url"]
    assert len(shown) == 1
    other = replace(hits[0], passage=replace(table, picture="b" * 64))
    assert fitting(QUESTION, [*hits, other], 4032) == [*hits, other]
    assert fitting(QUESTION, [*hits, other], 1400, sees=True) == hits
    (alone,) = fitting(QUESTION, [other], 700, sees=True)  # the picture itself is too long
    assert (alone.passage.text, alone.passage.picture) == (table.text, None)


def test_direct_style_writes_no_note_and_asks_once() -> None:
    reader = ScriptedReader(yes=0.0)
    found = answer(reader, strategy="direct")
    assert (found.notes, found.support, found.abstained) == ((), None, False)
    assert [citation.marker for citation in found.citations] == ["[1]"]
    assert [what for what, _, _ in reader.asked] == ["stream"]


@pytest.mark.parametrize("reply", ["Clyde Foundry\n\nIt was a foundry.", "\n  Clyde Foundry  \nor somebody else"])
def test_only_the_first_line_of_a_reply_counts(reply: str) -> None:
    assert answer(ScriptedReader(reply)).answer == "Clyde Foundry [1]"


def test_a_readers_failure_is_the_callers_to_hear() -> None:
    class Broken(ScriptedReader):
        def stream(
            self, messages: Messages, max_tokens: int, usage: Usage | None = None, stop: Sequence[str] = ()
        ) -> Iterator[str]:
            raise ReaderError("reader broken did not answer")
            yield ""

    with pytest.raises(ReaderError, match="broken"):
        answer(Broken())


# ---- abstaining


def test_without_evidence_it_abstains_and_the_reader_is_not_asked() -> None:
    reader = ScriptedReader()
    found = answer(reader, [])
    assert (found.abstained, found.citations, found.notes, found.support) == (True, (), (), None)
    assert "2 documents, 9 passages" in found.answer
    assert reader.asked == []
    assert found.tokens == {"prompt": 0, "generated": 0}
    assert {"retrieve", "note", "answer", "attribute"} <= found.seconds.keys()


@pytest.mark.parametrize(
    "reply",
    [
        "",
        " \n ",
        ".",
        "None",
        "none.",
        "N/A",
        "Unknown",
        "Not mentioned",
        "Not mentioned in the passages.",
        "not stated",
        "Not available.",
        "No answer found",
        "No information is given on that.",
        "There is no mention of an engineer.",
        "The passages do not say.",
        "The passage does not mention her.",
    ],
)
def test_a_reply_that_says_it_is_not_there_is_an_abstention(reply: str) -> None:
    found = answer(ScriptedReader(reply))
    assert found.abstained
    assert found.citations == ()
    assert found.answer.startswith("Not found in these documents.")
    assert "Bridges, page 2; Gardens, page 7" in found.answer


@pytest.mark.parametrize(
    "reply", ["No", "Nonesuch Palace", "Unknown Pleasures", "Notre-Dame", "not at all", "There, in 1911"]
)
def test_other_replies_are_answers(reply: str) -> None:
    assert not answer(ScriptedReader(reply)).abstained


@pytest.mark.parametrize(
    ("threshold", "yes", "abstained"),
    [(0.5, 0.49, True), (0.5, 0.5, False), (0.0, 0.0, False), (1.0, 0.99, True), (1.0, 1.0, False)],
)
def test_support_below_the_threshold_is_an_abstention(threshold: float, yes: float, abstained: bool) -> None:
    found = answer(ScriptedReader(yes=yes), HITS, f"reader.support_threshold={threshold}")
    assert found.abstained is abstained
    assert found.support == yes
    assert (found.citations == ()) is abstained


# ---- what is asked


@pytest.mark.parametrize(("question", "k"), [("", 5), (" \n\t", 5), ("x" * 5_000, 5), ("Who?", 0), ("Who?", -1)])
def test_a_question_that_cannot_be_asked(question: str, k: int) -> None:
    reader = ScriptedReader()
    with pytest.raises(UsageError):
        list(ask(question, pipeline(reader), k))
    assert reader.asked == []


def test_the_length_of_a_question_is_a_setting() -> None:
    settings = load_settings(["retrieve.max_query_characters=10"])
    assert check_question("  0123456789  ", 1, settings) == "0123456789"
    with pytest.raises(UsageError, match="10"):
        check_question("0123456789a", 1, settings)


def test_the_settings_hash_is_that_of_the_settings() -> None:
    plain = answer(ScriptedReader()).settings_hash
    assert answer(ScriptedReader(), HITS, "reader.api_key=secret").settings_hash == plain
    assert answer(ScriptedReader(), HITS, "reader.support_threshold=0.4").settings_hash != plain
    assert answer(ScriptedReader(), HITS, "bm25.b=0.5").settings_hash != plain


# ---- a real library and the light reader


@pytest.mark.parametrize(
    ("question", "words", "title", "page", "retriever"),
    [
        ("Who opened the Tarn bridge?", "Clyde Foundry", "The Tarn Bridge", 2, "hybrid"),
        ("How long is the main span of the bridge?", "84", "The Tarn Bridge", 3, "dense"),
        ("When are carrots sown?", "April", "A Garden Book", 1, "bm25"),
    ],
)
def test_a_simple_question_is_answered_from_its_page(
    question: str, words: str, title: str, page: int, retriever: str
) -> None:
    made = build_pipeline(small_library(), retriever)
    made = replace(made, settings=load_settings(["reader.support_threshold=0"]))  # the light reader is a poor judge
    *_, found = ask(question, made, 3)
    assert isinstance(found, Answer)
    assert words in found.answer
    best = found.citations[0]
    assert (best.title, best.locator.first_page, best.locator.last_page) == (title, page, page)
    assert words in best.quote
    document = small_library().library.document(best.document_id)
    assert document.text[best.start : best.end] == best.quote
    assert found.model == "qwen2.5-coder-0.5b"
    assert found.tokens["prompt"] > 50
    assert 1 <= found.tokens["generated"] <= 65
    assert found.support is not None
    assert 0 < found.support < 1


def test_the_open_road_says_what_it_searched_and_keeps_to_the_filter() -> None:
    indexes = small_library()
    made = build_pipeline(indexes, "bm25")
    assert made.searched == "2 documents, 5 passages"
    within = indexes.library.select(["title=A Garden Book"])
    evidence = next(ask("Who opened the Tarn bridge in April?", made, 5, within))
    assert isinstance(evidence, Evidence)
    assert {hit.passage.title for hit in evidence.hits} == {"A Garden Book"}
    *_, nothing = ask("zeppelin", made, 5)
    assert isinstance(nothing, Answer)
    assert nothing.abstained
