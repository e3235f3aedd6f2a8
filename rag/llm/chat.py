"""The reader: any LangChain chat model, behind our Reader. The embedded one is llama.cpp through xllamacpp.

`reader.model` is a name in models.toml, a .gguf file, an endpoint (http://host:port/v1#model-name, OpenAI's protocol),
or a hub id or folder for transformers. Tokens, probabilities and streaming come the same way from all but the last,
which may also be a T5-like model (rag/llm/fusion_in_decoder.py).
Stop strings, tries after an error that may pass, and the count of a prompt's tokens come the same way from all.
"""

from __future__ import annotations

import json
import logging
import math
import random
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from rag.errors import ModelError, ReaderError, not_loaded, summary_of
from rag.models.registry import catalogue, path_of
from rag.read.prompts import PICTURE_TOKENS, prompt_tokens
from rag.settings import ReaderSettings

if TYPE_CHECKING:
    import httpx
    from langchain_core.language_models import BaseChatModel

# (role, content) with role "system", "user" or "assistant"; content is text, or OpenAI's list of texts and pictures
Messages = Sequence[tuple[str, Any]]
Texts = Sequence[tuple[str, str]]
Item = TypeVar("Item")

RETRIES = 3
PASSING = (429, 500, 502, 503, 504)  # HTTP's too many, broken, and not there at the moment
FIRST_WAIT = 0.5  # seconds before the second try, give or take a quarter; twice that before the third, and so on
LONGEST_WAIT = 30.0  # seconds, however long an endpoint says to wait
CONNECT_SECONDS = 10.0  # an endpoint may think for minutes, but a machine that is there takes a connection at once
COUNT_SECONDS = 5.0  # an endpoint that takes longer to count is not waited for


@dataclass(slots=True)
class Usage:
    """Tokens that a question has cost so far; `prompt` is the longest prompt, not the sum over calls."""

    prompt: int = 0
    generated: int = 0

    def add(self, metadata: Any) -> None:
        if metadata:
            self.prompt = max(self.prompt, int(metadata["input_tokens"]))
            self.generated += int(metadata["output_tokens"])


def first_line(reply: str) -> str:
    """A reader's answer is the first line of what it says.

    >>> first_line("\\nParis \\nBecause it is the capital.")
    'Paris'
    """
    return (reply.strip().splitlines() or [""])[0].strip()


def share_of_yes(alternatives: Mapping[str, float]) -> float:
    """P(yes) / (P(yes) + P(no)) of a reply's first tokens, 0.5 where neither is among them.

    >>> share_of_yes({"Yes": 0.25, " yes": 0.125, "no": 0.125, "Maybe": 0.5})
    0.75
    """
    yes = sum(p for token, p in alternatives.items() if token.strip().lower() == "yes")
    no = sum(p for token, p in alternatives.items() if token.strip().lower() == "no")
    return yes / (yes + no) if yes + no else 0.5


class ChatReader:
    """A Reader over a LangChain chat model.

    `fresh` is what a call says besides to have the whole prompt computed anew. The embedded reader's logits depend in
    the second decimal on where the part of the prompt begins that its cache does not hold, so without that an answer
    would depend on the question before it. Only what goes on with the conversation just held uses the cache.

    What every question has in common, the system message, stands first in a prompt, so an endpoint that keeps prompts
    (vLLM does) computes it once. Anew for each question it is 29 tokens, 3% of a prompt of 900: that is what equal
    answers to equal questions cost here. The question of support, which goes on, saves all but its last line.

    `count` says how many tokens a prompt is, chat template and all. `weights` are the model and the tokenizer where
    transformers runs them in this process, `file` the .gguf file where llama.cpp does.
    """

    def __init__(
        self,
        model: BaseChatModel,
        name: str,
        gives_probabilities: bool = True,
        fresh: Mapping[str, Any] | None = None,
        sees: bool = False,
        count: Callable[[Texts], int] = prompt_tokens,
        weights: tuple[Any, Any] | None = None,
        file: Path | None = None,
    ):
        self.weights = weights
        self.file = file
        self._model = model
        self._count = count
        self._gives_probabilities = gives_probabilities
        self._fresh = dict(fresh or {})
        self.name = name
        self.sees = sees  # takes pictures among its messages

    def stream(
        self, messages: Messages, max_tokens: int, usage: Usage | None = None, stop: Sequence[str] = ()
    ) -> Iterator[str]:
        """Pieces of the reply as they are generated, up to the first of the `stop` strings.

        Whoever closes the generator stops an endpoint's work, too. Raises ReaderError for no answer, or nonsense.
        """
        stop = [text for text in stop if text]
        with _explaining(self.name):
            yield from _until(_persistently(lambda: self._pieces(messages, max_tokens, usage or Usage(), stop)), stop)

    def _pieces(self, messages: Messages, max_tokens: int, usage: Usage, stop: Sequence[str]) -> Iterator[str]:
        model = self._model.bind(**self._limit(max_tokens, stop), **self._fresh)
        finished = not self._gives_probabilities
        # transformers streams from another thread, whose errors turn into a minute of silence and queue.Empty
        # (langchain-huggingface 1.2, 2026-11): its replies come in one piece.
        for chunk in model.stream(list(messages)) if self._gives_probabilities else [model.invoke(list(messages))]:
            usage.add(getattr(chunk, "usage_metadata", None))
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
            reply = next(_persistently(lambda: iter([model.invoke(list(messages))])))
        (usage or Usage()).add(getattr(reply, "usage_metadata", None))
        return share_of_yes(_first_alternatives(reply) or {_text(reply): 1.0})

    def count(self, messages: Messages) -> int:
        """Tokens of the prompt with its chat template, by the model's own tokenizer; a picture is PICTURE_TOKENS.

        Where an endpoint does not lend its tokenizer, an estimate, rather too many. Raises ReaderError.
        """
        texts = [(role, _text_of(content)) for role, content in messages]
        pictures = [part for _, content in messages for part in _parts(content) if part.get("type") == "image_url"]
        with _explaining(self.name):
            return self._count(texts) + PICTURE_TOKENS * len(pictures)

    def log_probability(self, messages: Messages, text: str, usage: Usage | None = None) -> float:
        """Natural log of the probability that the reply is exactly this text, its end included.

        By the tokens that the reader itself would spell the text with. It is llama.cpp that is asked, with a grammar
        of that one text, whose probabilities are those without the grammar. ReaderError from any other endpoint.
        """
        grammar = {"grammar": f"root ::= {json.dumps(text)}"}
        extra = {**self._fresh.get("extra_body", {}), **grammar}
        with _explaining(self.name):
            limit = self._limit(len(text.encode()) + 1)
            model = self._model.bind(**limit, logprobs=True, top_logprobs=1, extra_body=extra)
            reply = next(_persistently(lambda: iter([model.invoke(list(messages))])))
        (usage or Usage()).add(getattr(reply, "usage_metadata", None))
        tokens = ((reply.response_metadata or {}).get("logprobs") or {}).get("content") or []
        if _text(reply) != text or not tokens:
            raise ReaderError(
                f"reader {self.name} cannot say how likely a given answer is. Use an embedded one (.gguf)"
            )
        return math.fsum(token["logprob"] for token in tokens)

    def going_on(self) -> ChatReader:
        """The same reader, which computes only what a prompt does not share with the one before it.

        Its answers depend on the order of its prompts in the second decimal of the logits, so whoever wants the same
        ones again keeps the order.
        """
        return ChatReader(
            self._model, self.name, self._gives_probabilities, None, self.sees, self._count, self.weights, self.file
        )

    def _limit(self, max_tokens: int, stop: Sequence[str] = ()) -> dict[str, Any]:
        if self._gives_probabilities:
            return {"max_tokens": max_tokens, **({"stop": list(stop)} if stop else {})}
        limit = {"max_new_tokens": max_tokens, "do_sample": False, "return_full_text": False}
        return {"pipeline_kwargs": {**limit, **({"stop_sequence": list(stop)} if stop else {})}}


def _until(pieces: Iterator[str], stop: Sequence[str]) -> Iterator[str]:
    """The pieces up to the stop string that is whole first, however they are cut.

    What may be the beginning of one is held back until more has come. The backend was told of them, too, but
    transformers gives the stop string along, and some endpoints know of none.

    >>> list(_until(iter(["Par", "is#", "# It", " is"]), ["##"]))
    ['Par', 'is']
    """
    held = ""
    for piece in pieces:
        held += piece
        ends = [(at + len(text), at) for text in stop if (at := held.find(text)) >= 0]
        if ends:
            if text := held[: min(ends)[1]]:
                yield text
            return
        begun = (n for text in stop for n in range(1, len(text)) if held.endswith(text[:n]))
        safe = len(held) - max(begun, default=0)
        if safe:
            yield held[:safe]
        held = held[safe:]
    if held:
        yield held


def _persistently(attempt: Callable[[], Iterator[Item]]) -> Iterator[Item]:
    """What an attempt yields; up to RETRIES times another one after an error that may pass, before anything came.

    openai's own retries are off: they end where the headers of a reply arrive, before a reader has begun to think.
    """
    for tries in range(RETRIES + 1):
        begun = False
        try:
            for item in attempt():
                begun = True
                yield item
            return
        except Exception as error:
            wait = _seconds_to_wait(error, tries)
            if begun or wait is None or tries == RETRIES:
                raise
        time.sleep(wait)


def _seconds_to_wait(error: Exception, tries: int) -> float | None:
    """Until the next try: what the endpoint asks for, else twice as long each time. None: the error will stay.

    Retry-After is read where it gives seconds, not where it gives a date.
    """
    from openai import APIConnectionError, APIStatusError

    wait = FIRST_WAIT * 2**tries * random.uniform(0.75, 1.25)  # else all that failed together come back together
    if isinstance(error, APIStatusError):
        asked = error.response.headers.get("retry-after", "")
        passes = error.status_code in PASSING
        return min(float(asked) if asked.isdecimal() else wait, LONGEST_WAIT) if passes else None
    return wait if isinstance(error, APIConnectionError) else None  # timeouts among them


def _text(message: Any) -> str:
    return _text_of(message.content)


def _text_of(content: Any) -> str:
    """The text of a message, whose content is a string or a list of parts."""
    return content if isinstance(content, str) else "".join(part.get("text", "") for part in _parts(content))


def _parts(content: Any) -> list[dict[str, Any]]:
    return [] if isinstance(content, str) else [part for part in content if isinstance(part, dict)]


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
        raise ReaderError(
            f"reader {self._name} did not answer: {summary_of(error)}. "
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
        return _embedded(next(folder / e.name for e in catalogue()[model].files if e.name.endswith(".gguf")), settings)
    if model.endswith(".gguf"):
        if not Path(model).is_file():
            raise ModelError(f"reader.model {model}: no such file. Name a .gguf file, or see: glossator models list")
        return _embedded(Path(model), settings)
    if endpoint:
        address, _, name = model.partition("#")
        chat, count = _endpoint(address, name or "default", settings.api_key or "none", settings)
        return ChatReader(chat, model, sees=settings.vision, count=count)
    return _from_hub(settings)


def _endpoint(
    address: str, name: str, api_key: str, settings: ReaderSettings
) -> tuple[BaseChatModel, Callable[[Texts], int]]:
    """A model behind OpenAI's protocol, and how many tokens it makes of a prompt."""
    import httpx
    from langchain_openai import ChatOpenAI
    from pydantic import SecretStr

    # A proxy in the environment must not get in between us and this machine.
    local = httpx.URL(address).host in ("127.0.0.1", "localhost", "::1")
    timeout = httpx.Timeout(settings.timeout_seconds, connect=min(CONNECT_SECONDS, settings.timeout_seconds))
    client = httpx.Client(trust_env=not local, timeout=timeout)
    chat = ChatOpenAI(
        model=name,
        base_url=address,
        api_key=SecretStr(api_key),
        temperature=0,
        timeout=timeout,
        max_retries=0,  # _persistently does it
        stream_usage=True,
        http_client=client,
    )
    return chat, _LentTokenizer(client, address, name, api_key, min(COUNT_SECONDS, settings.timeout_seconds))


class _LentTokenizer:
    """Counts a prompt with the tokenizer behind an endpoint, as llama.cpp or vLLM lends it; estimates where none does.

    What an endpoint once has not got is not asked for again.
    """

    def __init__(self, client: httpx.Client, address: str, name: str, api_key: str, seconds: float):
        self._client, self._name, self._seconds = client, name, seconds
        self._root = address.rstrip("/").removesuffix("/v1")
        self._headers = {"Authorization": f"Bearer {api_key}"}
        self._ways: list[Callable[[list[dict[str, str]]], int]] = [self._llama_cpp, self._vllm]

    def __call__(self, texts: Texts) -> int:
        import httpx

        messages = [{"role": role, "content": content} for role, content in texts]
        for way in self._ways:
            try:
                return way(messages)
            except httpx.TransportError:
                break  # it may be there for the next question
            except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
                if isinstance(error, httpx.HTTPStatusError) and error.response.status_code in PASSING:
                    break
                self._ways = [other for other in self._ways if other != way]
        return prompt_tokens(texts)

    def _llama_cpp(self, messages: list[dict[str, str]]) -> int:
        prompt = self._said("/apply-template", {"messages": messages})["prompt"]
        asked = {"content": prompt, "add_special": True, "parse_special": True}
        return len(self._said("/tokenize", asked)["tokens"])

    def _vllm(self, messages: list[dict[str, str]]) -> int:
        return int(self._said("/tokenize", {"model": self._name, "messages": messages})["count"])

    def _said(self, path: str, asked: dict[str, Any]) -> Any:
        reply = self._client.post(self._root + path, json=asked, headers=self._headers, timeout=self._seconds)
        return reply.raise_for_status().json()


FRESH = {"extra_body": {"cache_prompt": False}}  # llama.cpp's word for it
_starting = threading.Lock()


def _embedded(file: Path, settings: ReaderSettings) -> ChatReader:
    with _starting:
        address, key = _serve(file, settings.context_tokens)
    chat, count = _endpoint(f"{address}/v1", file.stem, key, settings)
    return ChatReader(chat, settings.model, fresh=FRESH, count=count, file=file)


@cache
def _serve(file: Path, context_tokens: int) -> tuple[str, str]:
    """Load a .gguf file once in this process; (address, key) of its endpoint on loopback, closed to other programs."""
    import os

    try:
        import xllamacpp
    except ImportError as error:  # its wheel leaves libgomp to the system, and slim images have none
        install = "Debian: apt-get install libgomp1" if "libgomp" in str(error) else "pip install xllamacpp"
        remedy = f"Install what is missing ({install}), or set reader.model to an endpoint"
        raise not_loaded("the embedded reader", error, remedy) from error

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


def _from_hub(settings: ReaderSettings) -> ChatReader:
    from langchain_huggingface import ChatHuggingFace, HuggingFacePipeline

    from rag.attribute.tree_reader import open_fusion, reads_apart  # here, since it builds on this module

    model = settings.model
    logging.getLogger("transformers").setLevel(logging.ERROR)
    try:
        if reads_apart(model):
            return open_fusion(model)
        pipeline = HuggingFacePipeline.from_model_id(model_id=model, task="text-generation")
    except ModelError:
        raise
    except Exception as error:  # transformers and the hub raise many kinds, and all mean: not to be had
        known = ", ".join(name for name, entry in catalogue().items() if entry.role.startswith("reader"))
        remedy = (
            f"Use one of {known}, a .gguf file, an endpoint http://host:port/v1#name, "
            "or a hub id or folder that transformers can load"
        )
        raise not_loaded(f"reader.model {model}", error, remedy) from error
    model_of, tokenizer = pipeline.pipeline.model, pipeline.pipeline.tokenizer
    # Greedy means greedy, as with llama.cpp at temperature 0. Many chat models come with a penalty for repeating words,
    # by which a reader would rather not say what stands in the passages.
    config = model_of.generation_config
    model_of.generation_config = type(config)(
        bos_token_id=config.bos_token_id, eos_token_id=config.eos_token_id, pad_token_id=config.pad_token_id
    )

    def count(texts: Texts) -> int:
        messages = [{"role": role, "content": content} for role, content in texts]
        ids: list[int] = tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_dict=False)
        return len(ids)

    chat = ChatHuggingFace(llm=pipeline)
    return ChatReader(chat, model, gives_probabilities=False, count=count, weights=(model_of, tokenizer))
