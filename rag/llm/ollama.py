"""The models of an Ollama server that runs on this machine, for `glossator models list`."""

from __future__ import annotations

import os
from dataclasses import dataclass

SECONDS = 0.5  # a server on this machine answers at once; nobody waits for one that is not there


@dataclass(frozen=True, slots=True)
class OllamaModel:
    """A model by the name under which `reader.model` takes it ("ollama:qwen3:8b"), and its size in bytes."""

    name: str
    bytes: int


def running_models() -> list[OllamaModel]:
    """What the server at $OLLAMA_HOST (default 127.0.0.1:11434) has, by name; empty where none answers."""
    import httpx

    host = os.environ.get("OLLAMA_HOST") or "127.0.0.1:11434"
    address = host if "://" in host else f"http://{host}"
    try:
        with httpx.Client(trust_env=False, timeout=SECONDS) as client:
            models = client.get(f"{address.rstrip('/')}/api/tags").raise_for_status().json()["models"]
        return sorted((OllamaModel(f"ollama:{m['name']}", int(m["size"])) for m in models), key=lambda m: m.name)
    except (httpx.HTTPError, httpx.InvalidURL, ValueError, KeyError, TypeError):
        return []  # no server, or another program at its port
