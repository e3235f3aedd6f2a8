"""The one file that knows the back ends: from `reader.model` of the settings to a ChatModel.

`reader.model` is a name in models.toml or a .gguf file (llama.cpp in this process, through xllamacpp), an endpoint of
OpenAI's protocol (http://host:port/v1#model-name), one of LangChain's providers (ollama:qwen3:8b, openai:gpt-5-mini,
anthropic:claude-sonnet-4-5), or a hub id or folder for transformers, which may also be a T5-like model
(rag/llm/fusion_in_decoder.py).
"""

from __future__ import annotations

import json
import logging
import os
import re
import secrets
import threading
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rag.errors import ModelError, first_line_of, not_loaded
from rag.llm.chat import ChatModel
from rag.llm.fusion_in_decoder import is_encoder_decoder, open_fusion
from rag.llm.langchain_chat import OPENAI, BackEnd, LangChainChat
from rag.llm.lent_tokenizer import LentTokenizer
from rag.llm.tokens import Texts
from rag.models.memory import require_memory
from rag.models.registry import catalogue, opening
from rag.settings import ReaderSettings

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

CONNECT_SECONDS = 10.0  # an endpoint may think for minutes, but a machine that is there takes a connection at once
CACHE_BYTES = 30_000  # of llama.cpp's cache for a token of the context, with a model of 1.5 billion weights
LIGHT = "qwen2.5-coder-0.5b"
COUNT_SECONDS = 5.0  # an endpoint that takes longer to count is not waited for
PROVIDER = re.compile(r"([a-z][a-z0-9_]+):(?!//)(\S+)")


def open_reader(settings: ReaderSettings) -> ChatModel:
    """The chat model that `settings.model` names.

    Raises ModelError if its weights or its integration package are not here, ReaderError otherwise.
    """
    model = settings.model
    endpoint = model.startswith(("http://", "https://"))
    provider = PROVIDER.fullmatch(model) if not Path(model).exists() else None
    if settings.vision and not (endpoint or provider):
        raise ModelError(f"reader.vision: the reader {model} takes no pictures. Name an endpoint whose model sees")
    if model in catalogue():
        name = next(file.name for file in catalogue()[model].files if file.name.endswith(".gguf"))
        with opening(model) as folder:
            return _embedded(Path(folder, name), settings)
    if model.endswith(".gguf"):
        if not Path(model).is_file():
            raise ModelError(f"reader.model {model}: no such file. Name a .gguf file, or see: glossator models list")
        return _embedded(Path(model), settings)
    if endpoint:
        address, _, name = model.partition("#")
        chat, count = _endpoint(address, name or "default", _key(settings) or "none", settings)
        return LangChainChat(chat, model, sees=settings.vision, count=count)
    if provider:
        return _provided(provider[1], settings)
    return _from_hub(settings)


def _key(settings: ReaderSettings) -> str:
    """The key of an endpoint: of the settings, or of the environment, so that it need not stand in a file."""
    return settings.api_key or os.environ.get("GLOSSATOR_READER_KEY", "")


def _provided(provider: str, settings: ReaderSettings) -> LangChainChat:
    """A model of one of LangChain's providers, whose integration package the user has installed."""
    from langchain.chat_models import init_chat_model

    model = settings.model
    more: dict[str, Any] = {"api_key": settings.api_key} if settings.api_key else {}
    if provider in ("openai", "anthropic"):
        more |= {"max_retries": 0, "timeout": settings.timeout_seconds}  # rag/llm/retries.py tries again
    try:
        chat = init_chat_model(model, temperature=0, **more)
    except ImportError as error:  # langchain's message names the package: "... requires the langchain-ollama package"
        package = re.search(r"langchain-[a-z0-9-]+", str(error))
        name = package[0] if package else f"langchain-{provider}"
        raise ModelError(f"reader.model {model} needs {name}. Install it: pip install {name}") from error
    except Exception as error:  # an unknown provider, a missing key, a setting that it refuses: each library its own
        raise ModelError(
            f"reader.model {model} cannot be opened: {first_line_of(error)}. Write it as provider:model, for example "
            "ollama:qwen3:8b, and give a key that it needs as reader.api_key or in its environment variable"
        ) from error
    back_ends = {
        "ollama": BackEnd(lambda tokens, stop: _ollama_limit(tokens, stop, settings.context_tokens)),
        "openai": OPENAI,
    }
    return LangChainChat(chat, model, back_ends.get(provider, BackEnd(gives_probabilities=False)), sees=settings.vision)


def _ollama_limit(max_tokens: int, stop: Sequence[str], context_tokens: int) -> dict[str, Any]:
    """Ollama's own options: without num_ctx it reads 2,048 to 4,096 tokens of a prompt and drops the rest."""
    options = {"temperature": 0, "num_predict": max_tokens, "num_ctx": context_tokens}
    return {"options": {**options, **({"stop": list(stop)} if stop else {})}, "reasoning": False}


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
        max_retries=0,  # rag/llm/retries.py does it
        stream_usage=True,
        http_client=client,
    )
    return chat, LentTokenizer(client, address, name, api_key, min(COUNT_SECONDS, settings.timeout_seconds))


FRESH = {"extra_body": {"cache_prompt": False}}  # llama.cpp's word for it
_starting = threading.Lock()


def _embedded(file: Path, settings: ReaderSettings) -> LangChainChat:
    with _starting:
        address, key = _serve(file, settings.context_tokens)
    chat, count = _endpoint(f"{address}/v1", file.stem, key, settings)
    return LangChainChat(chat, settings.model, fresh=FRESH, count=count, file=file)


@cache
def _serve(file: Path, context_tokens: int) -> tuple[str, str]:
    """Load a .gguf file once in this process; (address, key) of its endpoint on loopback, closed to other programs."""
    try:
        import xllamacpp
    except ImportError as error:  # its wheel leaves libgomp to the system, and slim images have none
        install = "Debian: apt-get install libgomp1" if "libgomp" in str(error) else "pip install xllamacpp"
        remedy = f"Install what is missing ({install}), or set reader.model to an endpoint"
        raise not_loaded("the embedded reader", error, remedy) from error

    require_memory(
        f"the reader {file.stem}", int(file.stat().st_size * 1.1) + CACHE_BYTES * context_tokens,
        f"Close other programs, or name a smaller reader (--set reader.model={LIGHT}) or an endpoint "
        "(http://host:port/v1#name)",
    )  # fmt: skip
    parameters = xllamacpp.CommonParams()
    parameters.model.path = str(file)
    parameters.n_ctx = context_tokens
    parameters.n_parallel = 1
    parameters.n_gpu_layers = 0
    parameters.use_jinja = True
    parameters.cpuparams_batch.n_threads, parameters.cpuparams.n_threads = threads()
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


def threads() -> tuple[int, int]:
    """With how many threads a prompt is read, and a reply written.

    Only the cores that this process may use: threads that share a core wait for each other at every layer. Of these one
    fewer for writing, whose threads wait for each other at each token: on two cores beside a busy program two write 8
    tokens/s and one 15, alone 23 and 17; reading does not mind (eval/log.md).
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return cores, max(1, cores - 1)


_running: list[Any] = []  # a server stops when nobody holds it


def _pipeline_limit(max_tokens: int, stop: Sequence[str]) -> dict[str, Any]:
    limit = {"max_new_tokens": max_tokens, "do_sample": False, "return_full_text": False}
    return {"pipeline_kwargs": {**limit, **({"stop_sequence": list(stop)} if stop else {})}}


# transformers streams from another thread, whose errors turn into a minute of silence and queue.Empty
# (langchain-huggingface 1.2, 2026-11): its replies come in one piece.
TRANSFORMERS = BackEnd(_pipeline_limit, streams=False, gives_probabilities=False)


def _from_hub(settings: ReaderSettings) -> ChatModel:
    from langchain_huggingface import ChatHuggingFace, HuggingFacePipeline

    model = settings.model
    logging.getLogger("transformers").setLevel(logging.ERROR)
    try:
        if is_encoder_decoder(model):
            return open_fusion(model)
        pipeline = HuggingFacePipeline.from_model_id(model_id=model, task="text-generation")
        copies = _copies(model)
    except ModelError:
        raise
    except Exception as error:  # transformers and the hub raise many kinds; all mean that it cannot be loaded
        known = ", ".join(name for name, entry in catalogue().items() if entry.role.startswith("reader"))
        remedy = (
            f"Use one of {known}, a .gguf file, an endpoint http://host:port/v1#name, provider:model, "
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
    return LangChainChat(chat, model, TRANSFORMERS, count=count, weights=(model_of, tokenizer), copies=copies)


def _copies(model: str) -> bool:
    """Whether a folder's record says that `train quotes` wrote it."""
    record = Path(model, "trained.json")
    return record.is_file() and json.loads(record.read_bytes()).get("task") == "quotes"
