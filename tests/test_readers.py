"""The readers behind one interface: stop strings, tries after an error, tokens counted, the context never exceeded."""

from __future__ import annotations

import json
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from eval.core.cache import RecordingReader, Replies
from rag.errors import ReaderError, UsageError
from rag.llm import retries
from rag.llm.chat import ChatModel, Messages, Usage, until
from rag.llm.open import CONNECT_SECONDS, open_reader
from rag.llm.tokens import PICTURE_TOKENS, SPARE_TOKENS, prompt_tokens
from rag.read.prompts import ANSWER, answer_messages, fitting, support_messages
from rag.records import Hit
from rag.settings import ReaderSettings
from tests.parts import passage
from tests.test_answer import ScriptedReader
from tests.test_langchain import save_tiny_reader

ASKED = [("system", "Reply in one word."), ("user", "What colour is the sky on a clear day?")]
COUNTING = [("user", "Write the numbers from one to two thousand, in words, one a line.")]
LIGHT = "qwen2.5-coder-0.5b"


@cache
def embedded(context_tokens: int = 4096) -> ChatModel:
    return open_reader(ReaderSettings(model=LIGHT, context_tokens=context_tokens))


@pytest.fixture(scope="module")
def transformed(tmp_path_factory: pytest.TempPathFactory) -> ChatModel:
    return open_reader(ReaderSettings(model=str(save_tiny_reader(tmp_path_factory.mktemp("reader") / "tiny"))))


# ---- an endpoint that does as it is told


Act = Callable[["Handler"], None]


class Served(ThreadingHTTPServer):
    """Does the next of its acts for each request to the chat, the last one again and again; remembers all requests."""

    def __init__(self, *acts: Act, lends: dict[str, Callable[[dict[str, Any]], Any]] | None = None):
        self.acts, self.lends = list(acts), lends or {}
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.given_up = threading.Event()  # a reply was no longer wanted
        super().__init__(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def chats(self) -> list[dict[str, Any]]:
        return [request for path, request in self.asked if path == "/v1/chat/completions"]

    def reader(self, **more: Any) -> ChatModel:
        address = f"http://127.0.0.1:{self.server_port}/v1#m"
        return open_reader(ReaderSettings(model=address, **{"timeout_seconds": 10, **more}))

    def __exit__(self, *error: object) -> None:
        self.shutdown()
        super().__exit__(*error)


class Handler(BaseHTTPRequestHandler):
    server: Served

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.append((self.path, request))
        if self.path != "/v1/chat/completions":
            lent = self.server.lends.get(self.path)
            reply = lent(request) if lent else 404
            self.whole(reply, reply if isinstance(reply, int) else 200)
            return
        acts = self.server.acts
        try:
            (acts.pop(0) if len(acts) > 1 else acts[0])(self)
        except ConnectionError:
            self.server.given_up.set()

    def whole(self, reply: Any, status: int = 200, **headers: str) -> None:
        body = json.dumps(reply).encode()
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", "Content-Length": str(len(body)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def begin(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()

    def piece(self, text: str, finish: str | None = None) -> None:
        choice = {"index": 0, "delta": {"role": "assistant", "content": text}, "finish_reason": finish}
        chunk = {"id": "x", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}
        self.wfile.write(f"data: {json.dumps(chunk)}\n\n".encode())

    def log_message(self, *arguments: object) -> None:
        """Not on stderr."""


def fails(status: int, **headers: str) -> Act:
    return lambda handler: handler.whole({"error": {"message": "the model is asleep"}}, status, **headers)


def says(*pieces: str) -> Act:
    def act(handler: Handler) -> None:
        if not handler.server.chats[-1].get("stream"):
            choice = {"index": 0, "message": {"role": "assistant", "content": "yes"}, "finish_reason": "stop"}
            handler.whole({"id": "x", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice]})
            return
        handler.begin()
        for piece in pieces:
            handler.piece(piece)
        handler.piece("", "stop")
        handler.wfile.write(b"data: [DONE]\n\n")

    return act


def goes_on_and_on(handler: Handler) -> None:
    """Until nobody listens, or for half a minute."""
    handler.begin()
    for number in range(3000):
        handler.piece(f"{number} ")
        time.sleep(0.01)


def resets(handler: Handler) -> None:
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    handler.connection.close()
    handler.close_connection = True


def begins_and_is_silent(handler: Handler) -> None:
    handler.begin()
    time.sleep(1)


def begins_and_breaks_off(handler: Handler) -> None:
    handler.begin()
    handler.piece("Clyde ")
    handler.wfile.flush()
    handler.connection.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that a reader would have waited between its tries."""
    waited: list[float] = []
    monkeypatch.setattr(retries, "time", SimpleNamespace(sleep=waited.append))
    return waited


# ---- stop strings


def before_the_first(text: str, stop: Sequence[str]) -> str:
    for end in range(len(text) + 1):
        if ended := [some for some in stop if text[:end].endswith(some)]:
            return text[: end - max(map(len, ended))]
    return text


@given(
    st.lists(st.text("ab\n", max_size=5), max_size=8),
    st.lists(st.text("ab\n", min_size=1, max_size=4), max_size=3),
)
def test_a_reply_ends_before_the_first_stop_string_however_it_is_cut(pieces: list[str], stop: list[str]) -> None:
    whole = "".join(pieces)
    found = list(until(iter(pieces), stop))
    assert "".join(found) == before_the_first(whole, stop) == "".join(until(iter(whole), stop))
    assert all(found)


def test_text_that_begins_no_stop_string_is_not_held_back() -> None:
    pieces = iter(["Par", "is", ".", "\n", "It"])
    found = until(pieces, ["\n\n", "###"])
    assert [next(found) for _ in range(3)] == ["Par", "is", "."]
    assert next(pieces) == "\n"  # no further piece was asked for


def test_an_endpoint_that_knows_of_no_stop_strings_is_stopped() -> None:
    with Served(goes_on_and_on) as served:
        reply = "".join(served.reader().stream(ASKED, 9, stop=["5 6", "", "never"]))
        assert reply == "0 1 2 3 4 "
        assert served.given_up.wait(5)  # it works no more
        assert served.chats[0]["stop"] == ["5 6", "never"]


def test_no_stop_strings_are_sent_where_there_are_none() -> None:
    with Served(says("Clyde ", "Foundry")) as served:
        assert list(served.reader().stream(ASKED, 9)) == ["Clyde ", "Foundry"]
        assert "stop" not in served.chats[0]


def test_who_stops_listening_stops_the_endpoint() -> None:
    with Served(goes_on_and_on) as served:
        pieces = served.reader().stream(ASKED, 9)
        assert next(pieces) == "0 "
        pieces.close()  # type: ignore[attr-defined]
        assert served.given_up.wait(5)


def test_the_embedded_reader_ends_before_a_stop_string() -> None:
    usage, stopped = Usage(), Usage()
    whole = "".join(embedded().stream(COUNTING, 10, usage))
    stop = whole[len(whole) // 2 :][:3]
    assert "".join(embedded().stream(COUNTING, 10, stopped, stop=[stop])) == whole[: whole.index(stop)]
    assert 0 < stopped.generated < usage.generated == 10


def test_the_embedded_reader_works_no_more_when_nobody_listens() -> None:
    began = time.monotonic()
    pieces = embedded().stream(COUNTING, 3000)
    next(pieces)
    pieces.close()  # type: ignore[attr-defined]
    closed = time.monotonic()
    assert "".join(embedded().stream(ASKED, 1))
    # it does one thing at a time, and three thousand tokens would take it far longer
    assert time.monotonic() - closed < 5 + 10 * (closed - began)


def test_a_transformers_reader_ends_before_a_stop_string(transformed: ChatModel) -> None:
    messages = [("user", "who")]
    whole = "".join(transformed.stream(messages, 9))
    stop = whole[4:6]
    assert "".join(transformed.stream(messages, 9, stop=[stop])) == whole[: whole.index(stop)]
    said = transformed._model.bind(**transformed._back_end.limit(9, [stop])).invoke(messages).content
    assert said == whole[: whole.index(stop) + 2]  # it was not generated only to be thrown away


def test_a_kept_reply_is_that_to_the_same_stop_strings(tmp_path: Path) -> None:
    class Stopping(ScriptedReader):
        def stream(
            self, messages: Messages, max_tokens: int, usage: Usage | None = None, stop: Sequence[str] = ()
        ) -> Iterator[str]:
            yield from until(super().stream(messages, max_tokens, usage), stop)

        def count(self, messages: Messages) -> int:
            return 77

    replies = Replies(tmp_path, ReaderSettings(model="http://127.0.0.1:9/v1#m"))
    reader = Stopping()
    for _ in range(2):
        recording = RecordingReader(reader, replies)  # type: ignore[arg-type]
        for stop, reply in (((), "Clyde Foundry"), ((" ",), "Clyde"), (("F", "x"), "Clyde ")):
            assert "".join(recording.stream(ASKED, 9, stop=stop)) == reply
        recording.keep()
    assert len(reader.asked) == 3
    assert recording.count(ASKED) == 77
    assert RecordingReader(ScriptedReader(), replies).count(ASKED) == prompt_tokens(ASKED)  # type: ignore[arg-type]


# ---- another try


@pytest.mark.parametrize("status", retries.PASSING)
def test_an_error_that_passes_is_waited_out(status: int, waits: list[float]) -> None:
    with Served(fails(status), fails(status), says("Clyde ", "Foundry")) as served:
        assert list(served.reader().stream(ASKED, 9)) == ["Clyde ", "Foundry"]
        assert len(served.chats) == 3
    first, second = waits
    assert 0.75 * retries.FIRST_WAIT <= first <= 1.25 * retries.FIRST_WAIT
    assert 1.5 * retries.FIRST_WAIT <= second <= 2.5 * retries.FIRST_WAIT


@pytest.mark.parametrize("act", [fails(503), resets])
def test_a_probability_is_asked_for_again(act: Act, waits: list[float]) -> None:
    with Served(act, act, says()) as served:
        assert served.reader().yes_probability(ASKED) == 1
        assert (len(served.chats), len(waits)) == (3, 2)


@pytest.mark.parametrize("act", [resets, begins_and_is_silent])
def test_a_connection_that_breaks_or_is_silent_before_the_first_token_is_made_again(
    act: Act, waits: list[float]
) -> None:
    with Served(act, says("Clyde ", "Foundry")) as served:
        assert list(served.reader(timeout_seconds=0.4).stream(ASKED, 9)) == ["Clyde ", "Foundry"]
        assert (len(served.chats), len(waits)) == (2, 1)


def test_after_the_first_token_there_is_no_other_try(waits: list[float]) -> None:
    with Served(begins_and_breaks_off, says("Foundry")) as served:
        pieces = served.reader().stream(ASKED, 9)
        assert next(pieces) == "Clyde "
        with pytest.raises(ReaderError, match="did not answer"):
            list(pieces)
        assert (len(served.chats), waits) == (1, [])


@pytest.mark.parametrize("status", [400, 401, 403, 404, 408, 409, 422, 501])
def test_an_error_that_stays_is_said_at_once(status: int, waits: list[float]) -> None:
    with Served(fails(status), says("Foundry")) as served:
        with pytest.raises(ReaderError, match="the model is asleep"):
            list(served.reader().stream(ASKED, 9))
        assert (len(served.chats), waits) == (1, [])


def test_there_is_an_end_to_trying(waits: list[float]) -> None:
    with Served(fails(503)) as served:
        for ask in (lambda: list(served.reader().stream(ASKED, 9)), lambda: served.reader().yes_probability(ASKED)):
            served.asked.clear()
            waits.clear()
            with pytest.raises(ReaderError, match=r"did not answer: .*503.* asleep.*Check that it is running") as error:
                ask()
            assert "\n" not in str(error.value)
            assert (len(served.chats), len(waits)) == (retries.RETRIES + 1, retries.RETRIES)
    waits.clear()
    nobody = open_reader(ReaderSettings(model=f"http://127.0.0.1:{served.server_port}/v1#m"))
    with pytest.raises(ReaderError, match="did not answer"):
        list(nobody.stream(ASKED, 9))
    assert len(waits) == retries.RETRIES


@pytest.mark.parametrize(
    ("asked", "waited"), [("7", 7), ("0", 0), ("99999", retries.LONGEST_WAIT), ("soon", None), ("-1", None)]
)
def test_an_endpoint_may_say_how_long_to_wait(asked: str, waited: float | None, waits: list[float]) -> None:
    with Served(fails(429, Retry_After=asked), says("Foundry")) as served:
        assert list(served.reader().stream(ASKED, 9)) == ["Foundry"]
    assert waits == ([waited] if waited is not None else [pytest.approx(retries.FIRST_WAIT, rel=0.26)])


def test_a_machine_that_is_not_there_is_not_waited_for_as_long_as_a_reply() -> None:
    for seconds, connect in ((120, CONNECT_SECONDS), (2, 2)):
        model: Any = open_reader(ReaderSettings(model="http://127.0.0.1:9/v1#m", timeout_seconds=seconds))._model
        assert (model.request_timeout.connect, model.request_timeout.read) == (connect, seconds)


# ---- whose fault it is


def test_a_bug_of_this_program_is_not_reported_as_a_reader_that_did_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    with Served(says("Clyde ", "Foundry")) as served:
        monkeypatch.setattr("rag.llm.langchain_chat._text", lambda: "")  # called with one argument too many
        with pytest.raises(TypeError):
            list(served.reader().stream(ASKED, 9))


def test_what_an_endpoint_gets_wrong_is_reported_as_the_readers(waits: list[float]) -> None:
    nonsense: list[Any] = [{"choices": None}, {}, [], "yes", {"choices": [{"message": {}}]}]
    for reply in nonsense:
        acts: list[Any] = [lambda handler, reply=reply: handler.whole(reply)]
        with Served(*acts) as served, pytest.raises(ReaderError, match=r"did not answer: [^\n]*$"):
            served.reader().yes_probability(ASKED)


# ---- how many tokens a prompt has

TEXTS = ["The Tarn Bridge, of 1911.", "年" * 9, "🦦👩‍🚀🏴‍☠️" * 4, "x" * 99, "a\n\n  b\t c", "<|im_end|> </s>"]


def test_the_embedded_reader_counts_what_it_reads() -> None:
    for messages in ([("user", " ".join(TEXTS))], [*ASKED, ("assistant", ""), ("user", "Sure?")]):
        usage = Usage()
        list(embedded().stream(messages, 1, usage))
        assert embedded().count(messages) == usage.prompt


def test_a_transformers_reader_counts_what_it_reads(transformed: ChatModel) -> None:
    model: Any = transformed._model
    for messages in (
        [("user", "who")],
        [("system", "be brief"), ("user", "who"), ("assistant", "ada"), ("user", "no")],
    ):
        template = "".join(f"{role}: {text}\n" for role, text in messages)
        assert transformed.count(messages) == len(model.llm.pipeline.tokenizer(template)["input_ids"]) > 5


def words(request: dict[str, Any]) -> str:
    return "".join(f"<{message['role']}> {message['content']} " for message in request["messages"])


LLAMA_CPP: dict[str, Callable[[dict[str, Any]], Any]] = {
    "/apply-template": lambda request: {"prompt": words(request)},
    "/tokenize": lambda request: {"tokens": list(range(len(request.get("content", "").split())))},
}
VLLM: dict[str, Callable[[dict[str, Any]], Any]] = {
    "/tokenize": lambda request: {"count": len(words(request).split()), "max_model_len": 4096, "tokens": []},
}


@pytest.mark.parametrize("lends", [LLAMA_CPP, VLLM], ids=["llama.cpp", "vLLM"])
def test_an_endpoint_counts_with_the_tokenizer_that_it_lends(lends: dict[str, Any]) -> None:
    with Served(says("Foundry"), lends=lends) as served:
        reader = served.reader()
        assert [reader.count(ASKED) for _ in range(3)] == [15] * 3  # four and nine words, and two roles
        seen = [("user", [{"type": "text", "text": "a b"}, {"type": "image_url", "image_url": {"url": "data:"}}])]
        assert reader.count(seen) == 3 + PICTURE_TOKENS


@pytest.mark.parametrize(
    "lends",
    [
        {},
        {"/tokenize": lambda request: {"tokens": [], "count": "many"}},
        {"/tokenize": lambda request: []},
        {"/apply-template": lambda request: {"prompt": None}, "/tokenize": lambda request: 400},
    ],
)
def test_an_endpoint_that_lends_none_is_asked_once(lends: dict[str, Any]) -> None:
    with Served(says("Foundry"), lends=lends) as served:
        reader = served.reader()
        assert [reader.count(ASKED) for _ in range(3)] == [prompt_tokens(ASKED)] * 3
        assert len(served.asked) <= 3


def test_an_endpoint_that_is_busy_is_asked_again() -> None:
    busy = [503, 429]
    lends = VLLM | {"/tokenize": lambda request: busy.pop() if busy else VLLM["/tokenize"](request)}
    with Served(says("Foundry"), lends=lends) as served:
        reader = served.reader()
        assert [reader.count(ASKED) for _ in range(4)] == [prompt_tokens(ASKED)] * 2 + [15] * 2
    assert reader.count(ASKED) == prompt_tokens(ASKED)  # nobody is there


# ---- the context is never exceeded

PARTS = st.one_of(
    st.text(st.sampled_from("abcdefgh     .,"), min_size=1, max_size=60),
    st.text(st.characters(min_codepoint=0x4E00, max_codepoint=0x9FFF), min_size=1, max_size=40),
    st.text(st.sampled_from("🦦👩‍🚀🏴‍☠️𒀀𝔘"), min_size=1, max_size=20),
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30),
    st.text("0123456789", min_size=1, max_size=60),
)
PASSAGES = st.builds(lambda parts, times, between: between.join(parts * times), st.lists(PARTS, min_size=1, max_size=6),
                     st.integers(1, 12), st.sampled_from(["", " ", "\n"]))  # fmt: skip
QUESTIONS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=60)
ROOM = 448  # 512 without the answer's 64


def numbered(texts: Sequence[str], title: str = "Otters") -> list[Hit]:
    return [Hit(i, 1 / i, passage(i, text, f"d{i}", title=title)) for i, text in enumerate(texts, start=1)]


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(PASSAGES, min_size=1, max_size=6), QUESTIONS, st.integers(ROOM, 3 * ROOM))
def test_a_prompt_never_exceeds_the_context(texts: list[str], question: str, room: int) -> None:
    hits, counted = numbered(texts), []

    def count(messages: Messages) -> int:
        counted.append(messages)
        return embedded().count(messages)

    kept = fitting(question, hits, room, count=count)
    assert len(counted) <= 16
    assert embedded().count(answer_messages(question, kept)) < room
    assert embedded().count(support_messages(question, kept, "")) + 1 <= room
    best, whole = hits[0].passage.text, kept[0].passage.text
    assert kept[1:] == hits[1 : len(kept)]
    if whole != best:  # cut, and no letter of its first word, or word, more would fit
        ends = [match.end() for match in re.finditer(r"\S+", best)]
        end = next(end for end in [*range(1, ends[0]), *ends] if end > len(whole))
        assert len(kept) == 1 and best.startswith(whole) and (len(whole) < ends[0] or len(whole) in ends)
        more = numbered([best[:end]])
    else:
        more = hits[: len(kept) + 1]
    assert more == kept or embedded().count(support_messages(question, more, "")) > room - SPARE_TOKENS


@pytest.mark.slow
def test_a_conversation_at_the_limit_is_answered_to_its_end() -> None:
    reader = embedded(512)
    question, text = "Repeat the passages.", "The otter 獺は川で泳ぐ。🦦 swims in x1x1x1. " * 200
    kept = fitting(question, numbered([text]), ROOM, count=reader.count)
    answered, supported = Usage(), Usage()
    reply = "".join(reader.stream(answer_messages(question, kept), 64, answered))
    assert answered.generated >= 60
    assert 0 <= reader.yes_probability(support_messages(question, kept, reply), supported, goes_on=True) <= 1
    assert 480 < supported.prompt + supported.generated <= 512


def test_a_first_passage_that_is_too_long_alone_is_cut_behind_a_word() -> None:
    (hit,) = fitting("Who?", numbered(["word " * 900, "short"]), 300)
    assert hit.passage.text.endswith("word") and 300 < len(hit.passage.text) < 900
    assert hit.passage.end == hit.passage.start + len(hit.passage.text)
    (hit,) = fitting("Who?", numbered(["w" * 4000 + " word"]), 300)
    assert set(hit.passage.text) == {"w"} and 300 < len(hit.passage.text) < 900
    with pytest.raises(UsageError, match=r"raise reader\.context_tokens"):
        fitting("Who? " * 400, numbered(["word"]), 448)
    assert fitting("Who? " * 400, [], 448) == []


def test_what_surely_fits_is_not_counted() -> None:
    def count(messages: Messages) -> int:
        raise AssertionError("not needed")

    hits = numbered(["The otter swims in the river."] * 5)
    assert fitting("Where?", hits, 4032, count=count) == hits


@pytest.mark.parametrize("many", [1, 5, 100])
def test_few_counts_are_needed(many: int) -> None:
    counts = []

    def count(messages: Messages) -> int:
        counts.append(prompt_tokens(messages, lambda text: len(text.split())))
        return counts[-1]

    hits = numbered(["word " * 150] * many)
    for tokens in range(100, 1200, 37):
        counts.clear()
        kept = fitting("Who?", hits, tokens, count=count)
        assert len(counts) <= (many.bit_length() + 1 if len(kept) > 1 or len(kept[0].passage.text) > 700 else 18)


# ---- what every question has in common stands first


def test_the_fixed_part_of_a_prompt_stands_first() -> None:
    one = answer_messages("Who?", numbered(["The otter swims."]))
    other = answer_messages("Where?", numbered(["Carrots are sown in April."], "A Garden Book"))
    assert one[0] == other[0] == ("system", ANSWER)
    assert support_messages("Who?", numbered(["The otter swims."]), "Ada")[: len(one)] == one
