"""quote_selection.py: what a reader writes only points at sentences; any document goes through its window."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.chunk import chunk
from rag.document import Document, Page
from rag.errors import UsageError
from rag.llm.chat import ChatModel, Usage
from rag.llm.tokens import prompt_tokens, tokens_of
from rag.read.prompts import ANSWER, CHOOSE, COPY, answer_messages, fitting, number_messages, quotes_messages
from rag.read.quote_selection import REPLY_TOKENS, How, join, select, sentences
from rag.read.quotes import Quote, choose_quotes
from rag.records import Hit
from tests.parts import passage
from tests.test_prompts import evidence

WIDE = 10_000


def hits(*texts: str) -> list[Hit]:
    """A hit a text, each from a document of its own: d1, d2, ..."""
    return [Hit(rank, 1 / rank, passage(0, text, f"d{rank}", f"T{rank}")) for rank, text in enumerate(texts, start=1)]


def texts(quotes: Sequence[Quote]) -> list[str]:
    return [quote.text for quote in quotes]


@dataclass
class Scripted(ChatModel):
    """Replies as it is told, word by word; remembers what it was asked."""

    reply: Callable[[list[tuple[str, str]]], str]
    asked: list[list[tuple[str, str]]] = field(default_factory=list)
    limits: set[int] = field(default_factory=set)

    def stream(
        self, messages: Any, max_tokens: int, usage: Usage | None = None, stop: Sequence[str] = ()
    ) -> Iterator[str]:
        self.asked.append(list(messages))
        self.limits.add(max_tokens)
        if usage:
            usage.add({"input_tokens": prompt_tokens(messages), "output_tokens": 1})
        yield from re.findall(r"\s*\S+|\s+", self.reply(list(messages)))


def chosen(reply: str, evidence: Sequence[Hit], how: How) -> tuple[list[str], int, int]:
    """The chosen sentences, and how many were generated and dropped."""
    selection = select(Scripted(lambda messages: reply), "Who?", evidence, how, WIDE, Usage())  # type: ignore[arg-type]
    return texts(selection.quotes), selection.generated, selection.dropped


# ---- by number

STORY = hits(
    "The mill burnt down in 1920. Nobody was hurt.", "The mayor’s “new” mill\nstood for 7–9 years. It was sold."
)
MILL, HURT, MAYOR, SOLD = (
    "The mill burnt down in 1920.",
    "Nobody was hurt.",
    "The mayor’s “new” mill\nstood for 7–9 years.",
    "It was sold.",
)


@pytest.mark.parametrize(
    ("reply", "expected", "generated", "dropped"),
    [
        ("1, 3", [MILL, MAYOR], 2, 0),
        ("[3]\n[1]", [MILL, MAYOR], 2, 0),  # in the order of the evidence
        ("Sentences 2 and 4.", [HURT, SOLD], 2, 0),
        ("2, 2, 2", [HURT], 1, 0),  # a number said again is not another one
        ("0, 4, 5, 17", [SOLD], 4, 3),  # out of range
        ("99999999999999999999999999", [], 1, 1),
        ("9" * 5_000, [], 1, 1),  # longer than int() takes
        ("NONE", [], 0, 0),
        ("", [], 0, 0),
        ("I do not know.", [], 0, 0),
    ],
)
def test_sentences_by_number(reply: str, expected: list[str], generated: int, dropped: int) -> None:
    assert chosen(reply, STORY, "numbers") == (expected, generated, dropped)


# ---- by copying


@pytest.mark.parametrize(
    ("reply", "expected", "generated", "dropped"),
    [
        ("- The mill burnt down in 1920.", [MILL], 1, 0),
        ("* The mill  burnt\tdown in 1920", [MILL], 1, 0),  # white space, the full stop
        ("• the MILL burned down in 1920.", [MILL], 1, 0),  # give or take a letter or two
        ("- The mill burnt down in 1921.", [], 1, 1),  # but not a digit
        ('- The mayor\'s "new" mill stood for 7-9 years.', [MAYOR], 1, 0),  # other quotation marks and dashes
        ("- “Nobody was hurt.”", [HURT], 1, 0),
        ("1. It was sold.\n2) Nobody was hurt.", [HURT, SOLD], 2, 0),
        ("Nobody was hurt.\nIt was sold.", [HURT, SOLD], 2, 0),  # no bullets at all
        ("The sentences needed are:\n- It was sold.", [SOLD], 1, 0),  # what introduces the list is none of it
        ("- The mill was built by a baker.", [], 1, 1),  # invented
        ("- The mill burnt down, it was sold.", [], 1, 1),  # stitched from two
        ("- The mill burnt down in 1920. Nobody was hurt.", [], 1, 1),  # two in one line
        ("- The mill burnt", [], 1, 1),  # where the reply ended
        ("- It was sold.\n- It was sold\n- IT WAS SOLD.", [SOLD], 1, 0),  # one copy, however often
        ("- Nobody was hurt.\n- Nobody was hurtt.", [HURT], 2, 0),
        ("- Nobody was hurt.\n- The moon is blue.", [HURT], 2, 1),
        ("NONE", [], 0, 0),
        ("- None.", [], 0, 0),
        ("-\n- \n", [], 0, 0),
        ("", [], 0, 0),
    ],
)
def test_sentences_by_copying(reply: str, expected: list[str], generated: int, dropped: int) -> None:
    assert chosen(reply, STORY, "words") == (expected, generated, dropped)


def test_a_copy_is_aligned_to_the_most_similar_sentence() -> None:
    alike = hits("The mill of the baker was sold. The mill of the bakers was sold.")
    assert chosen("- The mill of the bakers was sold.", alike, "words")[0] == ["The mill of the bakers was sold."]
    listed = hits("1. Peel the carrots well.\n\n2. Boil the carrots well.")
    assert len(sentences("", listed)) >= 2
    for quote in sentences("", listed):
        assert chosen(f"- {quote.text}", listed, "words") == ([quote.text], 1, 0)


def test_the_hallucination_rate_is_the_dropped_share() -> None:
    def rate(reply: str, how: How) -> float | None:
        return select(Scripted(lambda _: reply), "Who?", STORY, how, WIDE, Usage()).hallucination_rate  # type: ignore[arg-type]

    assert rate("1, 9, 8, 7", "numbers") == 0.75
    assert rate("- Nobody was hurt.\n- The moon is blue.", "words") == 0.5
    assert rate("- Nobody was hurt.", "words") == 0
    assert rate("NONE", "words") is None


@given(
    reply=st.text(max_size=200) | st.text("-*1234, .\nThemilburndow", max_size=200),
    how=st.sampled_from(["numbers", "words"]),
)
@settings(deadline=None)
def test_whatever_a_reader_writes_the_quotes_are_slices_of_the_evidence(reply: str, how: How) -> None:
    selection = select(Scripted(lambda _: reply), "Who?", STORY, how, WIDE, Usage())  # type: ignore[arg-type]
    assert set(texts(selection.quotes)) <= {MILL, HURT, MAYOR, SOLD}
    assert len(set(selection.quotes)) == len(selection.quotes) <= selection.generated - selection.dropped
    assert 0 <= selection.dropped <= selection.generated


# ---- what may be chosen


@given(evidence())
@settings(deadline=None)
def test_every_word_of_the_evidence_may_be_chosen_once(hits: list[Hit]) -> None:
    words = [word for quote in sentences("Who?", hits) for word in quote.text.split()]
    assert len(words) == len(set(words))
    assert set(words) == {word for hit in hits for word in hit.passage.text.split()}


def test_overlapping_passages_in_any_order() -> None:
    # A better-ranked passage inside another: what stands before and behind it remains.
    inner, outer = passage(1, "Three four.", start=9), passage(0, "One two. Three four. Five six.", start=0)
    both = [Hit(1, 1, inner), Hit(2, 1, outer)]
    assert texts(sentences("", both)) == ["Three four.", "One two.", "Five six."]
    assert texts(sentences("", both[::-1])) == ["One two.", "Three four.", "Five six."]
    cut = [Hit(1, 1, passage(0, "One two. Thr", start=0)), Hit(2, 1, passage(1, "two. Three four.", start=4))]
    assert texts(sentences("", cut)) == ["One two.", "Thr", "ee four."]


def test_of_a_table_the_rows_are_chosen_and_questions_score_sentences() -> None:
    table = replace(passage(0, "Table 1: Weights. a | 7\nb | 9", title="T"), kind="table", caption="Table 1: Weights.")
    found = sentences("Which weights?", [Hit(2, 1, table)])
    assert texts(found) == ["Table 1: Weights.", "a | 7", "b | 9"]
    assert [quote.score for quote in found] == pytest.approx([1.05, 0.05, 0.05])
    assert not any(quote.holds for quote in found)


# ---- windows

WORDY = st.lists(st.text("ab .!?1\n\u4e00", max_size=400), max_size=4)


@given(
    WORDY,
    st.integers(150, 500),
    st.text("ab ?", max_size=80),
    st.sampled_from(["numbers", "words"]),
    st.sampled_from([tokens_of, len, lambda text: len(text.split())]),
)
@settings(max_examples=120, deadline=None)
def test_no_prompt_exceeds_the_window_and_no_word_is_lost(
    passages: list[str], window: int, question: str, how: How, count: Callable[[str], int]
) -> None:
    def everything(messages: list[tuple[str, str]]) -> str:
        lines = [line for line in messages[1][1].splitlines() if line.startswith(("- ", "["))]
        return "\n".join(line.split("]")[0] + "]" if how == "numbers" else line for line in lines)

    evidence, reader = hits(*passages), Scripted(everything)
    try:
        selection = select(reader, question, evidence, how, window, Usage(), count)  # type: ignore[arg-type]
    except UsageError:
        least = f"Sentences:\n# T1\n[1] x\n\nQuestion: {question}"
        assert prompt_tokens([("system", COPY if how == "words" else CHOOSE), ("user", least)], count) > window - 5
        return
    assert all(prompt_tokens(messages, count) <= window for messages in reader.asked)
    assert selection.dropped == 0
    if how == "numbers":
        cut = "".join("".join(quote.text.split()) for quote in selection.quotes)
        assert cut == "".join("".join(text.split()) for text in passages)


def test_windows_are_asked_one_by_one_and_joined_in_order() -> None:
    text = " ".join(f"Sentence number {word} is here." for word in "one two three four five six seven eight".split())

    def second(messages: list[tuple[str, str]]) -> str:
        return "2, 3, 99"

    reader, usage = Scripted(second), Usage()
    selection = select(reader, "Who?", hits(text), "numbers", 130, usage)  # type: ignore[arg-type]
    counts = [messages[1][1].count("\n[") for messages in reader.asked]
    assert sum(counts) == 8 and len(counts) > 1 and all(counts)
    assert all(messages[1][1].splitlines()[1:3][0] == "# T1" for messages in reader.asked)  # each has its title
    firsts = [sum(counts[:i]) for i in range(len(counts))]
    wanted = [first + i for first, count in zip(firsts, counts, strict=True) for i in (1, 2) if i < count]
    whole = sentences("Who?", hits(text))
    assert texts(selection.quotes) == [whole[i].text for i in wanted]
    assert selection.generated == 3 * len(counts) and selection.dropped == selection.generated - len(wanted)
    assert usage.prompt == max(map(prompt_tokens, reader.asked)) <= 130
    assert usage.generated == len(counts)
    assert reader.limits == {REPLY_TOKENS["numbers"]}


def test_a_prompt_may_fill_its_window_to_the_last_token() -> None:
    whole = prompt_tokens(number_messages("Who?", sentences("Who?", STORY)))
    for window, prompts in ((whole, 1), (whole - 1, 2)):
        reader = Scripted(lambda _: "1")
        select(reader, "Who?", STORY, "numbers", window, Usage())  # type: ignore[arg-type]
        assert len(reader.asked) == prompts


def test_a_sentence_longer_than_a_window_is_cut_by_words() -> None:
    text = " ".join(f"word{i}" for i in range(400))
    reader = Scripted(lambda messages: "1")
    selection = select(reader, "Who?", hits(text), "numbers", 300, Usage())  # type: ignore[arg-type]
    assert len(reader.asked) > 3
    assert " ".join(texts(selection.quotes)) == text
    endless = select(Scripted(lambda messages: "1"), "Who?", hits("x" * 3_000), "numbers", 300, Usage())  # type: ignore[arg-type]
    assert "".join(texts(endless.quotes)) == "x" * 3_000


def test_a_window_too_small_for_the_question_says_so() -> None:
    with pytest.raises(UsageError, match=r"raise reader\.context_tokens"):
        select(Scripted(lambda _: "1"), "Who? " * 500, STORY, "words", 300, Usage())  # type: ignore[arg-type]


def test_without_evidence_nothing_is_asked() -> None:
    reader = Scripted(lambda _: "1")
    assert select(reader, "Who?", [], "numbers", 300, Usage()).quotes == ()  # type: ignore[arg-type]
    assert reader.asked == []


# ---- with the retrievers' sentences


def test_the_readers_sentences_and_the_retrievers_in_document_order() -> None:
    every = sentences("Who?", STORY)
    mill, hurt, mayor, sold = every
    assert join([sold], [mill, hurt, mayor], 3) == [mill, hurt, sold]  # the reader's first, then the best of the others
    assert join([sold, mill], [mill, sold], 5) == [mill, sold]
    assert join([], [sold, hurt], 1) == [sold]
    assert join([mayor, mill], [hurt], 1) == [mayor]
    assert join([], [], 3) == []
    part = replace(mayor, end=mayor.end - 5)
    assert join([mayor], [part, sold], 5) == [mayor, sold]  # no word twice


def test_the_retrievers_find_the_second_hop() -> None:
    question = "When was the company founded that built the Tarn Bridge?"
    found = hits("The Tarn Bridge was built by Clyde Foundry.", "Clyde Foundry was founded in 1851. It made bells.")
    own = select(Scripted(lambda _: "1"), question, found, "numbers", WIDE, Usage())  # type: ignore[arg-type]
    assert texts(join(own.quotes, choose_quotes(question, "", found), 2)) == [
        "The Tarn Bridge was built by Clyde Foundry.",
        "Clyde Foundry was founded in 1851.",
    ]


@given(evidence(), st.randoms(use_true_random=False), st.integers(0, 6))
@settings(deadline=None)
def test_joining_repeats_nothing_and_keeps_what_the_reader_chose(
    hits: list[Hit], draw: random.Random, most: int
) -> None:
    every = sentences("Who?", hits)
    selected = draw.sample(every, draw.randint(0, len(every)))
    joined = join(selected, choose_quotes("a1 b2?", "", hits), most)
    assert len(joined) <= most
    words = [word for quote in joined for word in quote.text.split()]
    assert len(words) == len(set(words))
    assert set(selected[:most]) <= set(joined)
    for one, other in pairwise(joined):
        if one.hit.passage.document_id == other.hit.passage.document_id:
            assert one.hit.passage.start + one.end <= other.hit.passage.start + other.start


# ---- passkeys over lengths

LENGTHS = (512, 2_048, 8_192, 32_768)  # characters
WINDOW = 1_000  # tokens
ADDS = 24  # sentences
COLOURS = "red blue green white black amber violet silver".split()
FILLER = [
    "The grass is green and the sky is wide.",
    "A cart went along the road to the market.",
    "Rain fell in the hills for most of the week.",
    "The clerk wrote a long letter and went home.",
    "Nobody knew how old the bridge really was.",
]


class PatternReader(ChatModel):
    """No language model: regular expressions, with the limits of a small reader built in.

    It sees the last WINDOW tokens of a prompt, three characters each, and adds numbers up only where at most ADDS
    sentences stand before it, as the paper finds that reasoning fails over a length at which finding does not. Within
    these limits it errs in nothing but its selection: it picks all lines about coins or passkeys, whatever their
    colour, and writes one sentence, or number, that is not there. So the sweep below says nothing of what a language
    model can do; it shows that windows, numbers, alignment and joining lose nothing on the way from a document to a
    prompt.
    """

    def stream(
        self, messages: Any, max_tokens: int, usage: Usage | None = None, stop: Sequence[str] = ()
    ) -> Iterator[str]:
        system, asked = messages[0][1], messages[1][1][-3 * WINDOW :]
        lines = asked.splitlines()
        colours = re.findall(r"the (\w+) (?:door|box)", lines[-1])
        if system in (CHOOSE, COPY):
            about = [line for line in lines if re.match(r"- |\[", line) and re.search("passkey|coins", line)]
            if system == COPY:
                yield "\n".join([*about, "- The passkey of the pink door is 00000."]) if about else "NONE"
            else:
                yield ", ".join([*(line.split("]")[0] + "]" for line in about), "9999"]) if about else "NONE"
            return
        stated = dict(re.findall(r"(?:passkey of )?[Tt]he (\w+) (?:door is|box holds) (\d+)", "\n".join(lines[:-1])))
        values = [stated.get(colour) for colour in colours]
        if None in values:
            yield "not stated"
        elif len(values) == 1:
            yield str(values[0])
        else:
            many = len(re.findall(r"\.(?:\s|$)", "\n".join(lines[:-1]))) > ADDS
            yield str(values[0]) if many else str(sum(int(value or 0) for value in values))


def passkey(task: str, length: int, seed: int) -> tuple[str, str, list[str], list[Hit]]:
    """(question, answer, its sentences, the whole document in passages), with decoys, at drawn places."""
    draw = random.Random(f"{task} {length} {seed}")
    colours = draw.sample(COLOURS, 4)
    if task == "find":
        told = [f"The passkey of the {colour} door is {draw.randint(10_000, 99_999)}." for colour in colours]
        question, answer, gold = f"What is the passkey of the {colours[0]} door?", told[0][-6:-1], told[:1]
    else:
        coins = [draw.randint(10, 99) for _ in colours]
        told = [f"The {colour} box holds {some} coins." for colour, some in zip(colours, coins, strict=True)]
        question = f"How many coins are in the {colours[0]} box and the {colours[1]} box together?"
        answer, gold = str(coins[0] + coins[1]), told[:2]
    lines = [draw.choice(FILLER) for _ in range((length - sum(map(len, told))) // 43)]
    for sentence in told:
        lines.insert(draw.randint(0, len(lines)), sentence)
    text = " ".join(lines)
    document = Document("d", "pdf", "Passkeys", text, (Page(1, 0, len(text)),))
    return question, answer, gold, [Hit(rank, 1 / rank, p) for rank, p in enumerate(chunk(document, 120, 20), start=1)]


@pytest.mark.parametrize("how", ["numbers", "words"])
@pytest.mark.parametrize("task", ["find", "find and compute"])
def test_two_steps_are_not_worse_than_one_at_any_length(task: str, how: How) -> None:
    """Exact match and evidence recall of 8 questions a length; the reader is PatternReader, which see."""
    reader: Any = PatternReader()
    one_step, two_steps = [], []
    for length in LENGTHS:
        right = [0, 0]
        for seed in range(8):
            question, answer, gold, evidence = passkey(task, length, seed)
            assert 0.75 * length < sum(len(hit.passage.text) for hit in evidence) < 1.6 * length  # passages overlap
            direct = answer_messages(question, fitting(question, evidence, WINDOW))
            right[0] += "".join(reader.stream(direct, 24)) == answer
            selection = select(reader, question, evidence, how, WINDOW, Usage())
            assert set(gold) <= set(texts(selection.quotes))  # recall 1
            assert not set(texts(selection.quotes)) & set(FILLER)
            assert selection.dropped >= 1 and selection.hallucination_rate  # what it invented is counted, and gone
            quotes = join(selection.quotes, choose_quotes(question, "", evidence), 10)
            right[1] += "".join(reader.stream(quotes_messages(question, quotes), 24)) == answer
        one_step.append(right[0] / 8)
        two_steps.append(right[1] / 8)
    assert all(two >= one for one, two in zip(one_step, two_steps, strict=True)), (one_step, two_steps)
    assert two_steps == [1.0] * len(LENGTHS)
    assert one_step[-1] < 0.5  # there is something to lose
    assert direct[0] == ("system", ANSWER)
