"""LangChain at both ends: our retriever in its chains, and its chat models behind our reader."""

from __future__ import annotations

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

from rag.errors import ModelError, ReaderError
from rag.read.generate import ChatReader, Usage, open_reader
from rag.retrieve.as_langchain import LangChainRetriever
from rag.settings import ReaderSettings
from tests.parts import small_library

MESSAGES = [("system", "Reply in one word."), ("user", "What colour is the sky on a clear day?")]


# ---- our retriever as theirs


@pytest.mark.parametrize("name", ["bm25", "dense", "hybrid"])
def test_a_langchain_retriever_finds_what_ours_finds(name: str) -> None:
    ours = small_library().retriever(name)
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
            "first_page": hit.passage.first_page,
            "last_page": hit.passage.last_page,
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
    """A tiny Qwen2 with random weights, a letter a token, and a chat template, as transformers saves one."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM

    folder = tmp_path_factory.mktemp("reader") / "tiny"
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


# ---- an endpoint that speaks OpenAI's protocol


class Endpoint(BaseHTTPRequestHandler):
    """Replies "Clyde Foundry", and Yes at 0.75; remembers what it was asked."""

    asked: ClassVar[list[tuple[str, str | None, dict[str, Any]]]] = []
    status = 200

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.asked.append((self.path, self.headers["Authorization"], request))
        usage = {"prompt_tokens": 21, "completion_tokens": 3, "total_tokens": 24}
        if self.status != 200:
            self.reply("application/json", json.dumps({"error": {"message": "the model is asleep"}}))
        elif request.get("stream"):
            chunks: list[dict[str, Any]] = [
                {"choices": [{"index": 0, "delta": {"role": "assistant", "content": piece}, "finish_reason": None}]}
                for piece in ("Ada ", "Lind", "qvist")
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
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Iterator[ChatReader]:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")  # a proxy must not get in between
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    Endpoint.asked.clear()
    Endpoint.status = 200
    server = ThreadingHTTPServer(("127.0.0.1", 0), Endpoint)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}/v1#my-model"
    yield open_reader(ReaderSettings(model=address, api_key="secret", timeout_seconds=10))
    server.shutdown()
    server.server_close()


def test_an_endpoint_gets_our_messages_and_limits(endpoint: ChatReader) -> None:
    usage = Usage()
    assert list(endpoint.stream(MESSAGES, 33, usage)) == ["Ada ", "Lind", "qvist"]
    (path, key, request), *others = Endpoint.asked
    assert others == []
    assert (path, key) == ("/v1/chat/completions", "Bearer secret")
    assert request["model"] == "my-model"
    assert request["messages"] == [{"role": role, "content": content} for role, content in MESSAGES]
    assert request["temperature"] == 0
    assert request.get("max_tokens", request.get("max_completion_tokens")) == 33
    assert (usage.prompt, usage.generated) == (21, 3)


def test_an_endpoints_probabilities_are_read(endpoint: ChatReader) -> None:
    usage = Usage(prompt=5, generated=7)
    assert endpoint.yes_probability(MESSAGES, usage) == pytest.approx(0.75, abs=1e-4)  # e^-0.5 : e^-1.5986 = 3 : 1
    request = Endpoint.asked[0][2]
    assert (request["logprobs"], request["temperature"]) == (True, 0)
    assert request.get("max_tokens", request.get("max_completion_tokens")) == 1
    assert (usage.prompt, usage.generated) == (21, 10)  # the longest prompt, all that was generated


def test_an_endpoint_that_fails_says_why(endpoint: ChatReader) -> None:
    Endpoint.status = 400
    with pytest.raises(ReaderError, match="the model is asleep"):
        list(endpoint.stream(MESSAGES, 5))
    with pytest.raises(ReaderError, match="the model is asleep"):
        endpoint.yes_probability(MESSAGES)


def test_an_endpoint_that_is_not_there_says_so() -> None:
    reader = open_reader(ReaderSettings(model="http://127.0.0.1:9/v1#m"))
    with pytest.raises(ReaderError, match=r"http://127\.0\.0\.1:9/v1#m did not answer"):
        list(reader.stream(MESSAGES, 5))
