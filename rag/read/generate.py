"""The reader: any LangChain chat model, behind our Reader. The embedded one is llama.cpp through xllamacpp.

`reader.model` is a name in models.toml, a .gguf file, an endpoint (http://host:port/v1#model-name, OpenAI's protocol),
or a hub id or folder for transformers. Tokens, probabilities and streaming come the same way from all but the last.
"""

from __future__ import annotations

import logging
import math
import secrets
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rag.errors import ModelError, ReaderError
from rag.models import catalogue, path_of
from rag.settings import ReaderSettings

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

# (role, content) with role "system", "user" or "assistant"; content is text, or OpenAI's list of texts and pictures
Messages = Sequence[tuple[str, Any]]


@dataclass(slots=True)
class Usage:
    """Tokens that a question has cost so far; `prompt` is the longest prompt, not the sum over calls."""

    prompt: int = 0
    generated: int = 0

    def add(self, metadata: Any) -> None:
        if metadata:
            self.prompt = max(self.prompt, int(metadata["input_tokens"]))
            self.generated += int(metadata["output_tokens"])


class ChatReader:
    """A Reader over a LangChain chat model.

    `fresh` is what a call says besides to have the whole prompt computed anew. The embedded reader's logits depend in
    the second decimal on where the part of the prompt begins that its cache does not hold, so without that an answer
    would depend on the question before it. Only what goes on with the conversation just held uses the cache.
    """

    def __init__(
        self,
        model: BaseChatModel,
        name: str,
        gives_probabilities: bool = True,
        fresh: Mapping[str, Any] | None = None,
        sees: bool = False,
    ):
        self._model = model
        self._gives_probabilities = gives_probabilities
        self._fresh = dict(fresh or {})
        self.name = name
        self.sees = sees  # takes pictures among its messages

    def stream(self, messages: Messages, max_tokens: int, usage: Usage | None = None) -> Iterator[str]:
        """Pieces of the reply as they are generated. Raises ReaderError for no answer, or nonsense."""
        spent, finished = usage or Usage(), not self._gives_probabilities
        with _explaining(self.name):
            model = self._model.bind(**self._limit(max_tokens), **self._fresh)
            # transformers streams from another thread, whose errors turn into a minute of silence and queue.Empty
            # (langchain-huggingface 1.2, 2026-11): its replies come in one piece.
            for chunk in model.stream(list(messages)) if self._gives_probabilities else [model.invoke(list(messages))]:
                spent.add(getattr(chunk, "usage_metadata", None))
                finished = finished or bool(chunk.response_metadata.get("finish_reason"))
                if text := _text(chunk):
                    yield text
            if not finished:  # half an answer is none
                raise ConnectionError("the reply stopped in the middle")

    def yes_probability(self, messages: Messages, usage: Usage | None = None, goes_on: bool = False) -> float:
        """P(yes) / (P(yes) + P(no)) for the first token of the reply; 1, 0.5 or 0 from a model that gives no more.

        `goes_on`: the messages begin with the conversation just held, so only the last of them are computed.
        """
        with _explaining(self.name):
            wanted = {"logprobs": True, "top_logprobs": 10} if self._gives_probabilities else {}
            model = self._model.bind(**self._limit(1), **wanted, **({} if goes_on else self._fresh))
            reply = model.invoke(list(messages))
        (usage or Usage()).add(getattr(reply, "usage_metadata", None))
        alternatives = _first_alternatives(reply) or {_text(reply): 1.0}
        yes = sum(p for token, p in alternatives.items() if token.strip().lower() == "yes")
        no = sum(p for token, p in alternatives.items() if token.strip().lower() == "no")
        return yes / (yes + no) if yes + no else 0.5

    def _limit(self, max_tokens: int) -> dict[str, Any]:
        if self._gives_probabilities:
            return {"max_tokens": max_tokens}
        return {"pipeline_kwargs": {"max_new_tokens": max_tokens, "do_sample": False, "return_full_text": False}}


def _text(message: Any) -> str:
    """The text of a LangChain message, whose content is a string or a list of parts."""
    content = message.content
    return content if isinstance(content, str) else "".join(p.get("text", "") for p in content if isinstance(p, dict))


def _first_alternatives(reply: Any) -> dict[str, float]:
    content = ((reply.response_metadata or {}).get("logprobs") or {}).get("content") or []
    return {entry["token"]: math.exp(entry["logprob"]) for entry in content[0]["top_logprobs"]} if content else {}


class _explaining:
    """Turn whatever a chat model raises into one line; our own errors and an interruption pass."""

    def __init__(self, name: str):
        self._name = name

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if error is None or isinstance(error, ReaderError | GeneratorExit | KeyboardInterrupt | SystemExit):
            return
        why = (str(error).strip().splitlines() or [""])[0][:200]
        raise ReaderError(
            f"reader {self._name} did not answer: {type(error).__name__}: {why.rstrip('.')}. "
            "Check that it is running and that reader.model and reader.api_key name it"
        ) from error


def open_reader(settings: ReaderSettings) -> ChatReader:
    """The reader that `settings.model` names. Raises ModelError if its weights are not here, ReaderError otherwise."""
    model = settings.model
    endpoint = model.startswith(("http://", "https://"))
    if settings.vision and not endpoint:
        raise ModelError(f"reader.vision: the reader {model} takes no pictures. Name an endpoint whose model sees")
    if model in catalogue():
        folder = path_of(model)
        file = next(folder / entry.name for entry in catalogue()[model].files if entry.name.endswith(".gguf"))
        return ChatReader(_embedded(file, settings), model, fresh=FRESH)
    if model.endswith(".gguf"):
        if not Path(model).is_file():
            raise ModelError(f"reader.model {model}: no such file. Name a .gguf file, or see: glossator models list")
        return ChatReader(_embedded(Path(model), settings), model, fresh=FRESH)
    if endpoint:
        address, _, name = model.partition("#")
        return ChatReader(
            _endpoint(address, name or "default", settings.api_key or "none", settings), model, sees=settings.vision
        )
    return ChatReader(_from_hub(model, settings), model, gives_probabilities=False)


def _endpoint(address: str, name: str, api_key: str, settings: ReaderSettings) -> BaseChatModel:
    import httpx
    from langchain_openai import ChatOpenAI
    from pydantic import SecretStr

    # A proxy in the environment must not get in between us and this machine.
    local = httpx.URL(address).host in ("127.0.0.1", "localhost", "::1")
    return ChatOpenAI(
        model=name,
        base_url=address,
        api_key=SecretStr(api_key),
        temperature=0,
        timeout=settings.timeout_seconds,
        max_retries=1,
        stream_usage=True,
        http_client=httpx.Client(trust_env=not local, timeout=settings.timeout_seconds),
    )


FRESH = {"extra_body": {"cache_prompt": False}}  # llama.cpp's word for it
_starting = threading.Lock()


def _embedded(file: Path, settings: ReaderSettings) -> BaseChatModel:
    with _starting:
        address, key = _serve(file, settings.context_tokens)
    return _endpoint(f"{address}/v1", file.stem, key, settings)


@cache
def _serve(file: Path, context_tokens: int) -> tuple[str, str]:
    """Load a .gguf file once in this process; (address, key) of its endpoint on loopback, closed to other programs."""
    import os

    import xllamacpp

    parameters = xllamacpp.CommonParams()
    parameters.model.path = str(file)
    parameters.n_ctx = context_tokens
    parameters.n_parallel = 1
    parameters.n_gpu_layers = 0
    parameters.use_jinja = True
    # Only the cores that this process may use: threads that share a core wait for each other at every layer.
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = cores
    parameters.cache_ram_mib = 0  # else it goes on from any earlier conversation that began alike
    parameters.verbosity = -1
    parameters.ui = parameters.endpoint_slots = False
    key = secrets.token_urlsafe(16)
    parameters.api_keys = [key]
    try:
        server = xllamacpp.Server(parameters)
    except RuntimeError as error:
        raise ModelError(
            f"{file}: llama.cpp cannot load it: {error}. Fetch it again: glossator models fetch"
        ) from error
    _running.append(server)
    return server.listening_address, key


_running: list[Any] = []  # a server stops when nobody holds it


def _from_hub(model: str, settings: ReaderSettings) -> BaseChatModel:
    from langchain_huggingface import ChatHuggingFace, HuggingFacePipeline

    logging.getLogger("transformers").setLevel(logging.ERROR)
    try:
        pipeline = HuggingFacePipeline.from_model_id(model_id=model, task="text-generation")
    except Exception as error:  # transformers and the hub raise many kinds, and all mean: not to be had
        why = (str(error).strip().splitlines() or [""])[0][:200]
        known = ", ".join(name for name, entry in catalogue().items() if entry.role.startswith("reader"))
        raise ModelError(
            f"reader.model {model} cannot be loaded: {type(error).__name__}: {why}. Use one of {known}, a .gguf file, "
            "an endpoint http://host:port/v1#name, or a hub id or folder that transformers can load"
        ) from error
    chat: BaseChatModel = ChatHuggingFace(llm=pipeline)
    return chat
