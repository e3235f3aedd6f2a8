"""eval/core/cache.py: a kept reply is the reply, an unfinished question leaves nothing, a torn line harms no other."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from eval.core.cache import RecordingReader, Replies
from rag.errors import ReaderError
from rag.llm.chat import Messages, Usage
from rag.settings import ReaderSettings
from tests.test_answer import ScriptedReader

SETTINGS = ReaderSettings(model="http://127.0.0.1:9/v1#m")
HELLO = [("system", "Be brief."), ("user", "Hello")]
SURE = [*HELLO, ("assistant", "Clyde Foundry"), ("user", "Sure?")]
CLAIM = [("user", "Is it so?")]


def recording(reader: ScriptedReader, cache: Path, settings: ReaderSettings = SETTINGS) -> RecordingReader:
    """A reader for one question, that has read what is kept anew."""
    return RecordingReader(reader, Replies(cache, settings))  # type: ignore[arg-type]


def question(reader: RecordingReader, usage: Usage) -> tuple[str, float, float]:
    """What a question asks: a reply, whether it is sure of it, and a claim of its own."""
    text = "".join(reader.stream(HELLO, 20, usage))
    return text, reader.yes_probability(SURE, usage, goes_on=True), reader.yes_probability(CLAIM, usage)


def test_a_kept_reply_is_the_reply_and_costs_what_it_cost(tmp_path: Path) -> None:
    cold, warm = ScriptedReader(yes=1 / 3), ScriptedReader("another")
    first, usage_first = recording(cold, tmp_path), Usage()
    said = question(first, usage_first)
    first.keep()
    second, usage_second = recording(warm, tmp_path), Usage()
    assert question(second, usage_second) == said == ("Clyde Foundry", 1 / 3, 1 / 3)
    assert usage_second == usage_first == Usage(prompt=120, generated=7)
    assert (len(cold.asked), warm.asked) == (3, [])
    assert second.name == "scripted"
    assert second.seconds == pytest.approx(first.seconds) and second.first_seconds == first.first_seconds
    assert second.spent == 0 < first.spent


def test_within_a_question_nothing_is_kept_before_it_is_through(tmp_path: Path) -> None:
    replies, reader = Replies(tmp_path, SETTINGS), ScriptedReader()
    recorded = RecordingReader(reader, replies)  # type: ignore[arg-type]
    question(recorded, Usage())
    assert not list(tmp_path.rglob("*.jsonl"))
    question(RecordingReader(reader, replies), Usage())  # type: ignore[arg-type]
    assert len(reader.asked) == 6
    recorded.keep()
    question(RecordingReader(reader, replies), Usage())  # type: ignore[arg-type]
    assert len(reader.asked) == 6
    (file,) = tmp_path.rglob("*.jsonl")
    assert len(file.read_text().splitlines()) == 1  # all of a question or nothing
    recorded.keep()
    assert len(file.read_text().splitlines()) == 1


def test_a_question_that_failed_leaves_nothing(tmp_path: Path) -> None:
    class Tired(ScriptedReader):
        def yes_probability(self, messages: Messages, usage: Usage | None = None, goes_on: bool = False) -> float:
            raise ReaderError("tired")

    class Breaking(ScriptedReader):
        def stream(
            self, messages: Messages, max_tokens: int, usage: Usage | None = None, stop: Sequence[str] = ()
        ) -> Iterator[str]:
            yield "Cly"
            raise ReaderError("broke")

    for reader in (Tired(), Breaking()):
        with pytest.raises(ReaderError):
            question(recording(reader, tmp_path), Usage())
    after = ScriptedReader()
    question(recording(after, tmp_path), Usage())
    assert len(after.asked) == 3


def keys(cache: Path) -> set[str]:
    return {
        key for file in cache.rglob("*.jsonl") for line in file.read_text().splitlines() for key in json.loads(line)
    }


@hypothesis_settings(max_examples=30)
@given(cut=st.floats(0, 1), text=st.text(min_size=1, max_size=20))
def test_a_run_killed_at_any_byte_loses_one_question_and_harms_no_other(
    tmp_path_factory: pytest.TempPathFactory, cut: float, text: str
) -> None:
    cache = tmp_path_factory.mktemp("cache")
    replies = Replies(cache, SETTINGS)
    for i in range(3):
        replies.add({f"{i}": {"text": f"{text}{i}"}, f"{i}'": {"text": text}})
    (file,) = cache.rglob("*.jsonl")
    raw = file.read_bytes()
    last = raw.rindex(b"\n", 0, -1) + 1
    end = last + round(cut * (len(raw) - 1 - last))  # some of the third line, perhaps all but its end
    file.write_bytes(raw[:end])
    torn = Replies(cache, SETTINGS)
    third = {"text": f"{text}2"} if end == len(raw) - 1 else None
    assert [torn.get(f"{i}") for i in range(3)] == [{"text": f"{text}0"}, {"text": f"{text}1"}, third]
    torn.add({"2": {"text": f"{text}2"}, "3": {"text": text}})
    after = Replies(cache, SETTINGS)
    assert [after.get(f"{i}") for i in range(4)] == [{"text": f"{text}{i}"} for i in range(3)] + [{"text": text}]


def test_lines_of_nonsense_are_passed_over(tmp_path: Path) -> None:
    Replies(tmp_path, SETTINGS).add({"a": {"text": "x"}})
    (file,) = tmp_path.rglob("*.jsonl")
    file.write_bytes(b'\xff\xfe\n[1]\n"b"\n3\nnull\n' + file.read_bytes() + b"\n")
    assert Replies(tmp_path, SETTINGS).get("a") == {"text": "x"}


@pytest.mark.parametrize("text", ["", "caf\u00e9 \u2028 \x85 \U0001f600", "half \ud83d", "a\nb\r\n"])
def test_a_reply_may_be_any_text(tmp_path: Path, text: str) -> None:
    first = recording(ScriptedReader(text), tmp_path)
    assert "".join(first.stream(HELLO, 20)) == text
    first.keep()
    silent = ScriptedReader("another")
    assert "".join(recording(silent, tmp_path).stream(HELLO, 20)) == text
    assert silent.asked == []


def test_a_question_may_be_any_text(tmp_path: Path) -> None:
    reader = ScriptedReader()
    for _ in range(2):
        recorded = recording(reader, tmp_path)
        list(recorded.stream([("user", "half \ud83d")], 20))
        recorded.keep()
    assert len(reader.asked) == 1


@pytest.mark.parametrize(
    ("messages", "max_tokens"),
    [
        ([("system", "Be brief."), ("user", "Hello ")], 20),
        ([("system", "Be brief. Hello")], 20),
        ([("user", "Be brief."), ("system", "Hello")], 20),
        (HELLO, 21),
    ],
)
def test_other_words_or_another_length_are_another_reply(
    tmp_path: Path, messages: list[tuple[str, str]], max_tokens: int
) -> None:
    first = recording(ScriptedReader("one"), tmp_path)
    list(first.stream(HELLO, 20))
    first.keep()
    assert "".join(recording(ScriptedReader("two"), tmp_path).stream(messages, max_tokens)) == "two"
    lists: Any = [list(message) for message in HELLO]
    assert "".join(recording(ScriptedReader("two"), tmp_path).stream(lists, 20)) == "one"


def test_yes_in_a_conversation_and_yes_on_its_own_are_two_replies(tmp_path: Path) -> None:
    first = recording(ScriptedReader(yes=0.25), tmp_path)
    first.yes_probability(SURE, goes_on=True)
    first.keep()
    other = ScriptedReader(yes=0.75)
    assert recording(other, tmp_path).yes_probability(SURE) == 0.75
    assert recording(other, tmp_path).yes_probability(SURE, goes_on=True) == 0.25


def test_another_reader_or_context_is_another_file(tmp_path: Path) -> None:
    gguf = tmp_path / "weights.gguf"
    gguf.write_bytes(b"one")
    different = [
        {"model": "http://127.0.0.1:9/v1#m"},
        {"model": "http://127.0.0.1:9/v1#n"},
        {"model": "http://127.0.0.1:9/v1#m", "context_tokens": 2048},
        {"model": "qwen2.5-coder-0.5b"},
        {"model": "qwen2.5-coder-1.5b"},
        {"model": str(gguf)},
    ]
    for number, values in enumerate(different, start=1):
        replies = Replies(tmp_path / "cache", ReaderSettings(**values))
        assert replies.get("a") is None, values
        replies.add({"a": {"text": str(values)}})
        assert len(list((tmp_path / "cache").rglob("*.jsonl"))) == number
    gguf.write_bytes(b"other weights")
    assert Replies(tmp_path / "cache", ReaderSettings(model=str(gguf))).get("a") is None
    # what no reply depends on, and what its key holds already
    for values in ({"support_threshold": 0.9}, {"answer_tokens": 9}, {"api_key": "secret"}, {"timeout_seconds": 1}):
        assert Replies(tmp_path / "cache", ReaderSettings(**different[0] | values)).get("a") == {
            "text": str(different[0])
        }
    assert b"secret" not in b"".join(file.read_bytes() for file in tmp_path.rglob("*.jsonl"))


# -- going on with a conversation ------------------------------------------------------------------------------


class Remembering(ScriptedReader):
    """Its "yes" depends on the conversation that it has just held, as the embedded reader's does."""

    held: Messages = ()

    def stream(
        self, messages: Messages, max_tokens: int, usage: Usage | None = None, stop: Sequence[str] = ()
    ) -> Iterator[str]:
        yield from super().stream(messages, max_tokens, usage)
        self.held = messages

    def yes_probability(self, messages: Messages, usage: Usage | None = None, goes_on: bool = False) -> float:
        super().yes_probability(messages, usage, goes_on)
        right = goes_on and list(messages[: len(self.held)]) == list(self.held) != []
        self.held = messages
        return 0.9 if right else 0.1


def test_where_only_the_beginning_is_kept_it_is_said_again_first(tmp_path: Path) -> None:
    direct = recording(Remembering(), tmp_path)
    list(direct.stream(HELLO, 20))
    direct.keep()
    reader = Remembering()
    list(reader.stream(CLAIM, 20))  # the question before it
    usage, goes_on = Usage(), recording(reader, tmp_path)
    assert question(goes_on, usage) == ("Clyde Foundry", 0.9, 0.1)
    asked = [(what, messages) for what, messages, _ in reader.asked[1:]]
    assert asked == [("stream", HELLO), ("yes", SURE), ("yes", CLAIM)]
    assert reader.asked[1][2] == 20
    assert usage == Usage(prompt=120, generated=7)  # the beginning counts once
    kept = recording(reader, tmp_path)
    list(kept.stream(HELLO, 20))
    kept.yes_probability(SURE, goes_on=True)
    kept.yes_probability([*SURE, ("user", "Really?")], goes_on=True)  # nor is it said again before the next
    assert [what for what, _, _ in reader.asked[4:]] == ["stream", "yes", "yes"]


def test_where_the_beginning_was_just_said_it_is_not_said_again(tmp_path: Path) -> None:
    reader = Remembering()
    assert question(recording(reader, tmp_path), Usage()) == ("Clyde Foundry", 0.9, 0.1)
    assert [what for what, _, _ in reader.asked] == ["stream", "yes", "yes"]


def test_several_threads_lose_nothing(tmp_path: Path) -> None:
    replies = Replies(tmp_path, SETTINGS)

    def add(thread: int) -> None:
        for i in range(20):
            replies.add({f"{thread} {i}": {"text": "x" * 3000}})

    threads = [Thread(target=add, args=(thread,)) for thread in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert keys(tmp_path) == {f"{thread} {i}" for thread in range(4) for i in range(20)}
