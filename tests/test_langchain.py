"""LangChain at both ends: our retriever in its chains, and its chat models behind our reader."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest
from langchain_core.documents import Document
from langchain_core.language_models import BaseChatModel
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables import RunnableLambda, RunnablePassthrough
from PIL import Image

from ingest.build import build
from rag.answer import ask
from rag.chains import LangChainRetriever
from rag.errors import ModelError, ReaderError
from rag.index.manager import Indexes
from rag.library.catalogue import Library
from rag.llm.chat import ChatModel, Usage
from rag.llm.open import open_reader
from rag.pipeline import build_pipeline
from rag.records import Answer, Hit
from rag.search import open_retriever
from rag.settings import ReaderSettings, load_settings
from tests.made import Sheet
from tests.parts import encoder, small_library
from tests.test_layout import framed_figure, rule_table

MESSAGES = [("system", "Reply in one word."), ("user", "What colour is the sky on a clear day?")]


# ---- our retriever as theirs


@pytest.mark.parametrize("name", ["bm25", "dense", "hybrid"])
def test_a_langchain_retriever_finds_what_ours_finds(name: str) -> None:
    ours = open_retriever(small_library(), name)
    theirs = LangChainRetriever(retriever=ours, k=3)
    assert isinstance(theirs, BaseRetriever)
    hits, documents = ours.search(["the bridge of the engineer"], 3)[0], theirs.invoke("the bridge of the engineer")
    assert len(hits) >= 2
    assert [document.id for document in documents] == [hit.passage.passage_id for hit in hits]
    for hit, document in zip(hits, documents, strict=True):
        assert document.page_content == hit.passage.text
        assert document.metadata == {
            "rank": hit.rank,
            "score": hit.score,
            "document_id": hit.passage.document_id,
            "title": hit.passage.title,
            "path": hit.passage.path,
            "kind": "text",
            "start": hit.passage.start,
            "end": hit.passage.end,
            "first_page": hit.passage.locator.first_page,
            "last_page": hit.passage.locator.last_page,
        }
    json.dumps(documents[0].metadata)  # nothing of numpy's


def test_a_chain_with_our_retriever() -> None:
    def cite(documents: list[Document]) -> str:
        return "; ".join(f"{d.metadata['title']}, page {d.metadata['first_page']}" for d in documents)

    retriever = LangChainRetriever(retriever=small_library().retriever("bm25"), k=1)
    chain = {"question": RunnablePassthrough(), "places": retriever | RunnableLambda(cite)} | RunnableLambda(
        lambda both: f"{both['question']} -> {both['places']}"
    )
    assert chain.invoke("Who opened the Tarn bridge?") == "Who opened the Tarn bridge? -> The Tarn Bridge, page 2"
    assert chain.batch(["carrots", "honey"]) == ["carrots -> A Garden Book, page 1", "honey -> A Garden Book, page 2"]
    assert retriever.invoke("zeppelin") == []


# ---- their chat models as our reader


def test_the_embedded_reader_is_a_chat_model_that_streams() -> None:
    reader = open_reader(small_library().settings.reader)
    assert isinstance(reader._model, BaseChatModel)
    usage = Usage()
    counting = [("user", "Write the numbers from one to twenty, in words.")]
    pieces = list(reader.stream(counting, 12, usage))
    assert len(pieces) > 3
    assert usage.generated == 12
    assert usage.prompt > 10
    again = "".join(reader.stream(counting, 12))
    assert again == "".join(pieces)  # temperature 0
    assert "blue" in "".join(reader.stream(MESSAGES, 8)).lower()
    assert "blue" in str(reader._model.invoke(MESSAGES, max_tokens=8).content).lower()  # as any chain would use it


def test_the_embedded_reader_weighs_yes_against_no() -> None:
    reader = open_reader(small_library().settings.reader)
    yes = reader.yes_probability([("user", "Reply with only the word: yes")])
    no = reader.yes_probability([("user", "Reply with only the word: no")])
    assert 0 <= no < 0.5 < yes <= 1


LETTERS = "abcdefghijklmnopqrstuvwxyz:ĠĊ"  # the last two are how byte-level tokenizers write a blank and a line break


@pytest.fixture(scope="module")
def transformers_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_reader(tmp_path_factory.mktemp("reader") / "tiny")


def save_tiny_reader(folder: Path) -> Path:
    """A tiny Qwen2 with random weights, a letter a token, and a chat template, as transformers saves one."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM

    tokenizer = Tokenizer(models.BPE({"<eos>": 0} | {letter: i for i, letter in enumerate(LETTERS, start=1)}, []))
    tokenizer.pre_tokenizer, tokenizer.decoder = pre_tokenizers.ByteLevel(), decoders.ByteLevel()
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<eos>", pad_token="<eos>")
    fast.chat_template = "{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}\n{% endfor %}"
    fast.save_pretrained(folder)
    torch.manual_seed(1)
    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = Qwen2Config(vocab_size=len(LETTERS) + 1, num_key_value_heads=2, eos_token_id=0, **sizes)
    Qwen2ForCausalLM(config).save_pretrained(folder)
    return folder


def test_a_transformers_folder_is_a_reader(transformers_folder: Path) -> None:
    reader = open_reader(ReaderSettings(model=str(transformers_folder)))
    assert isinstance(reader._model, BaseChatModel)
    assert reader.name == str(transformers_folder)
    messages = [("system", "be brief"), ("user", "who"), ("assistant", "ada"), ("user", "yes or no")]
    replies = {n: "".join(reader.stream(messages, n)) for n in (1, 3, 9)}
    for n, reply in replies.items():
        assert len(reply) == n  # max_tokens is kept, and nothing of the prompt comes back
        assert replies[9].startswith(reply)  # greedy: a longer reply only goes on
    assert reader.yes_probability(messages) == 0.5  # it says neither


def test_a_transformers_model_that_fails_says_why_at_once(transformers_folder: Path) -> None:
    reader = open_reader(ReaderSettings(model=str(transformers_folder)))
    with pytest.raises(ReaderError, match=r"HumanMessage|user"):
        list(reader.stream([("assistant", "the last message must be the user's")], 3))
    with pytest.raises(ReaderError, match="max_new_tokens"):
        list(reader.stream([("user", "who")], -1))


def test_a_folder_without_a_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"reader\.model .*empty"):
        open_reader(ReaderSettings(model=str(tmp_path / "empty")))
    with pytest.raises(ModelError, match="no such file"):
        open_reader(ReaderSettings(model=str(tmp_path / "nowhere.gguf")))


def test_a_reader_that_cannot_see_is_not_asked_to() -> None:
    with pytest.raises(ModelError, match=r"reader\.vision: .*takes no pictures"):
        open_reader(ReaderSettings(vision=True))


# ---- an endpoint that speaks OpenAI's protocol


class Endpoint(BaseHTTPRequestHandler):
    """Replies "Clyde Foundry", and Yes at 0.75; remembers what it was asked."""

    asked: ClassVar[list[tuple[str, str | None, dict[str, Any]]]] = []
    status = 200

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path != "/v1/chat/completions":  # it lends its tokenizer to nobody
            self.send_error(404)
            return
        self.asked.append((self.path, self.headers["Authorization"], request))
        usage = {"prompt_tokens": 21, "completion_tokens": 3, "total_tokens": 24}
        if self.status != 200:
            self.reply("application/json", json.dumps({"error": {"message": "the model is asleep"}}))
        elif request.get("stream"):
            chunks: list[dict[str, Any]] = [
                {"choices": [{"index": 0, "delta": {"role": "assistant", "content": piece}, "finish_reason": None}]}
                for piece in ("Clyde ", "Found", "ry")
            ]
            chunks += [
                {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
                {"choices": [], "usage": usage},
            ]
            whole = {"id": "x", "object": "chat.completion.chunk", "created": 1, "model": "m"}
            lines = [f"data: {json.dumps(whole | chunk)}\n\n" for chunk in chunks]
            self.reply("text/event-stream", "".join(lines) + "data: [DONE]\n\n")
        else:
            tokens = [
                {"token": " Yes", "logprob": -0.5, "bytes": None},
                {"token": "no", "logprob": -1.5986, "bytes": None},
            ]
            message = {"role": "assistant", "content": "Yes"}
            logprobs = {"content": [{**tokens[0], "top_logprobs": tokens}]}
            choice = {"index": 0, "message": message, "finish_reason": "length", "logprobs": logprobs}
            whole = {
                "id": "x",
                "object": "chat.completion",
                "created": 1,
                "model": "m",
                "choices": [choice],
                "usage": usage,
            }
            self.reply("application/json", json.dumps(whole))

    def reply(self, kind: str, body: str) -> None:
        self.send_response(self.status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *arguments: object) -> None:
        """Not on stderr."""


@pytest.fixture
def address(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")  # a proxy must not get in between
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    Endpoint.asked.clear()
    Endpoint.status = 200
    server = ThreadingHTTPServer(("127.0.0.1", 0), Endpoint)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/v1#my-model"
    server.shutdown()
    server.server_close()


@pytest.fixture
def endpoint(address: str) -> ChatModel:
    return open_reader(ReaderSettings(model=address, api_key="secret", timeout_seconds=10))


def test_an_endpoint_gets_our_messages_and_limits(endpoint: ChatModel) -> None:
    usage = Usage()
    assert list(endpoint.stream(MESSAGES, 33, usage)) == ["Clyde ", "Found", "ry"]
    (path, key, request), *others = Endpoint.asked
    assert others == []
    assert (path, key) == ("/v1/chat/completions", "Bearer secret")
    assert request["model"] == "my-model"
    assert request["messages"] == [{"role": role, "content": content} for role, content in MESSAGES]
    assert request["temperature"] == 0
    assert request.get("max_tokens", request.get("max_completion_tokens")) == 33
    assert (usage.prompt, usage.generated) == (21, 3)


def test_an_endpoints_probabilities_are_read(endpoint: ChatModel) -> None:
    usage = Usage(prompt=5, generated=7)
    assert endpoint.yes_probability(MESSAGES, usage) == pytest.approx(0.75, abs=1e-4)  # e^-0.5 : e^-1.5986 = 3 : 1
    request = Endpoint.asked[0][2]
    assert (request["logprobs"], request["temperature"]) == (True, 0)
    assert request.get("max_tokens", request.get("max_completion_tokens")) == 1
    assert (usage.prompt, usage.generated) == (21, 10)  # the longest prompt, all that was generated


def test_an_endpoint_that_fails_says_why(endpoint: ChatModel) -> None:
    Endpoint.status = 400
    with pytest.raises(ReaderError, match="the model is asleep"):
        list(endpoint.stream(MESSAGES, 5))
    with pytest.raises(ReaderError, match="the model is asleep"):
        endpoint.yes_probability(MESSAGES)


def test_an_endpoint_that_is_not_there_says_so() -> None:
    reader = open_reader(ReaderSettings(model="http://127.0.0.1:9/v1#m"))
    with pytest.raises(ReaderError, match=r"http://127\.0\.0\.1:9/v1#m did not answer"):
        list(reader.stream(MESSAGES, 5))


# ---- an endpoint whose model sees


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Library:
    """A document of three pages: a boiler in words, its drawing, and its table; and one of words alone."""
    folder = tmp_path_factory.mktemp("drawn")
    sheet = Sheet(folder / "boiler.pdf", title="The Boiler")
    sheet.text(60, 700, "The boiler was lit on a Monday, and nobody looked after its fire.")
    sheet.next_page()
    framed_figure(sheet, 100, 400, 700, 1)
    sheet.text(60, 500, "The boiler burst on a Friday.")
    sheet.next_page()
    rule_table(sheet, 100, 400, 700, 1)
    garden = Sheet(folder / "garden.pdf", title="The Garden")
    garden.text(60, 700, "Tomatoes want sun and much water.")
    library = Library.open(folder / "library", create=True)
    indexes = seeing(library, "http://127.0.0.1:9/v1#nobody", False)
    summary = build([sheet.save(), garden.save()], library, indexes, indexes.settings.ingest)
    assert [(outcome.status, outcome.figures, outcome.tables) for outcome in summary.documents] == [
        ("added", 1, 1),
        ("added", 0, 0),
    ]
    return library


def seeing(library: Library, address: str, vision: bool) -> Indexes:
    settings = load_settings([f"reader.model={address}", f"reader.vision={vision}"])
    indexes = Indexes(library, settings)
    indexes.encoders._dense = encoder()
    return indexes


def asked_of(
    library: Library, address: str, vision: bool, question: str, k: int = 9
) -> tuple[tuple[Hit, ...], list[list[dict[str, Any]]]]:
    """The evidence for a question, and the messages of each request to the endpoint."""
    *_, answer = ask(question, build_pipeline(seeing(library, address, vision)), k)
    assert isinstance(answer, Answer)
    return answer.evidence, [request["messages"] for _, _, request in Endpoint.asked]


BURST = "Which curve of the parts, which weights of iron and brass, and on which day did the boiler burst?"


def test_a_reader_that_sees_is_given_the_pictures_of_the_figures_and_tables_found(drawn: Library, address: str) -> None:
    evidence, (messages, *_) = asked_of(drawn, address, True, BURST)
    assert {hit.passage.kind for hit in evidence} == {"text", "figure", "table"}
    with_pictures = [hit for hit in evidence if hit.passage.picture]
    assert {hit.passage.kind for hit in with_pictures} == {"figure", "table"}
    words, *parts = messages[-1]["content"]
    assert words["type"] == "text"
    for hit in evidence:
        assert f"[{hit.rank}] " in words["text"]
        assert " ".join(hit.passage.text.split()) in words["text"]
    assert [part["type"] for part in parts] == ["text", "image_url"] * len(with_pictures)
    for hit, said, shown in zip(with_pictures, parts[::2], parts[1::2], strict=True):
        assert said["text"] == f"Picture of [{hit.rank}]:"
        kind, _, encoded = shown["image_url"]["url"].partition(",")
        png = base64.b64decode(encoded, validate=True)
        assert kind == "data:image/png;base64"
        assert hashlib.sha256(png).hexdigest() == hit.passage.picture
        assert png == (drawn.folder / "pictures" / f"{hit.passage.picture}.png").read_bytes()
        with Image.open(io.BytesIO(png)) as picture:
            assert picture.format == "PNG" and min(picture.size) > 100


def test_whether_the_answer_is_borne_out_is_asked_with_the_same_pictures(drawn: Library, address: str) -> None:
    _, (messages, in_all, in_best) = asked_of(drawn, address, True, BURST)
    assert in_all[: len(messages)] == messages
    assert any(part["type"] == "image_url" for part in messages[-1]["content"])
    assert [message["role"] for message in in_all[len(messages) :]] == ["assistant", "user"]
    assert all(isinstance(message["content"], str) for message in [*in_all[len(messages) :], *in_best])


def test_a_reader_that_sees_is_given_words_alone_where_no_picture_was_found(drawn: Library, address: str) -> None:
    (hit,), requests = asked_of(drawn, address, True, "What do tomatoes want?", 1)
    assert (hit.passage.title, hit.passage.picture) == ("The Garden", None)
    assert all(isinstance(message["content"], str) for messages in requests for message in messages)


def test_a_reader_that_does_not_see_is_given_the_words_in_a_figure_and_a_table(drawn: Library, address: str) -> None:
    evidence, requests = asked_of(drawn, address, False, BURST)
    assert {hit.passage.kind for hit in evidence} == {"text", "figure", "table"}
    assert all(isinstance(message["content"], str) for messages in requests for message in messages)
    words = requests[0][-1]["content"]
    assert "Figure 1: The curve of the parts. pressure" in words
    assert "Table 1: Weights of the parts. part1 | Iron: 1.5 | Brass: 1.6 | Oak: 1.7" in words
    assert "data:image" not in json.dumps(requests)
