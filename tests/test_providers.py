"""rag/llm/open.py and ollama.py: LangChain's provider strings, with Ollama's own client against its protocol."""

from __future__ import annotations

import json
import math
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from rag.errors import ModelError, ReaderError
from rag.llm.chat import Usage
from rag.llm.ollama import OllamaModel, running_models
from rag.llm.open import open_reader
from rag.settings import ReaderSettings
from tests.conftest import Run

ASKED = [("system", "Reply in one word."), ("user", "Who cast the bells?")]


class Ollama(ThreadingHTTPServer):
    """Speaks Ollama's protocol: /api/chat as lines of JSON, /api/tags as its list of models."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.pieces = ["Clyde", " Foundry"]
        super().__init__(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()


class Handler(BaseHTTPRequestHandler):
    server: Ollama

    def do_GET(self) -> None:
        models = [{"name": "qwen3:8b", "size": 5_200_000_000}, {"name": "llama3.2:3b", "size": 2_000_000_000}]
        self.reply([{"models": models}])

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.append(asked)
        lines: list[dict[str, Any]] = []
        for number, piece in enumerate(self.server.pieces):
            line = {"model": "m", "created_at": "2026-01-01T00:00:00Z", "done": False}
            line["message"] = {"role": "assistant", "content": piece}
            if asked.get("logprobs") and not number:
                likely = [{"token": "Yes", "logprob": math.log(0.6)}, {"token": "No", "logprob": math.log(0.2)}]
                line["logprobs"] = [{**likely[0], "top_logprobs": likely}]
            lines.append(line)
        last = {"done": True, "done_reason": "stop", "prompt_eval_count": 21, "eval_count": 2}
        lines.append({**lines[-1], "message": {"role": "assistant", "content": ""}, **last})
        self.reply(lines)

    def reply(self, lines: list[dict[str, Any]]) -> None:
        body = "".join(json.dumps(line) + "\n" for line in lines).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/x-ndjson")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        """Not on stderr."""


@pytest.fixture
def ollama(monkeypatch: pytest.MonkeyPatch) -> Iterator[Ollama]:
    with Ollama() as server:
        monkeypatch.setenv("OLLAMA_HOST", f"http://127.0.0.1:{server.server_port}")
        yield server
        server.shutdown()


def test_a_running_ollamas_models_are_found_by_the_name_that_the_settings_take(ollama: Ollama) -> None:
    assert running_models() == [
        OllamaModel("ollama:llama3.2:3b", 2_000_000_000),
        OllamaModel("ollama:qwen3:8b", 5_200_000_000),
    ]


def test_models_list_names_them(ollama: Ollama, glossator: Run) -> None:
    listed = json.loads(glossator("models", "list", "--json").stdout)["models"]
    assert {"name": "ollama:qwen3:8b", "role": "reader", "licence": "see Ollama", "bytes": 5_200_000_000,
            "path": "in Ollama"} in listed  # fmt: skip
    assert "ollama:qwen3:8b" in glossator("models", "list").stdout


@pytest.mark.parametrize("host", ["127.0.0.1:9", "not a host", "http://127.0.0.1:9/"])
def test_without_a_server_there_are_none(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OLLAMA_HOST", host)
    assert running_models() == []


def test_a_model_of_ollama_answers_with_the_whole_context_and_greedily(ollama: Ollama) -> None:
    reader, usage = open_reader(ReaderSettings(model="ollama:qwen3:8b", context_tokens=8192)), Usage()
    assert list(reader.stream(ASKED, 9, usage, stop=["\n"])) == ["Clyde", " Foundry"]
    (asked,) = ollama.asked
    assert asked["model"] == "qwen3:8b"
    assert asked["options"] == {"temperature": 0, "num_predict": 9, "num_ctx": 8192, "stop": ["\n"]}
    assert [message["role"] for message in asked["messages"]] == ["system", "user"]
    assert (usage.prompt, usage.generated) == (21, 2)


def test_ollamas_probabilities_are_used(ollama: Ollama) -> None:
    ollama.pieces = ["Yes"]
    assert open_reader(ReaderSettings(model="ollama:qwen3:8b")).yes_probability(ASKED) == pytest.approx(0.75)


@pytest.mark.parametrize("provider", ["anthropic", "mistralai"])  # not installed in any extra of ours
def test_a_missing_integration_package_is_named(provider: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, f"langchain_{provider}", None)
    with pytest.raises(ModelError, match=rf"needs langchain-{provider}\. Install it: pip install langchain-{provider}"):
        open_reader(ReaderSettings(model=f"{provider}:some-model"))


@pytest.mark.parametrize("model", ["nobody:some-model", "openai:gpt-5-mini"])
def test_an_unknown_provider_or_a_missing_key_is_one_line(model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(ModelError, match=r"reader\.model .* cannot be opened: [^\n]*Write it as provider:model[^\n]*$"):
        open_reader(ReaderSettings(model=model))


def test_a_server_that_is_not_there_is_said_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OLLAMA_HOST", "127.0.0.1:9")
    monkeypatch.setattr("rag.llm.retries.time.sleep", lambda seconds: None)
    reader = open_reader(ReaderSettings(model="ollama:qwen3:8b"))
    with pytest.raises(ReaderError, match=r"reader ollama:qwen3:8b did not answer: [^\n]*$"):
        list(reader.stream(ASKED, 9))
