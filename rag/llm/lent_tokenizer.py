"""How many tokens a prompt has, as the endpoint that runs the model counts them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from rag.llm.retries import PASSING
from rag.llm.tokens import Texts, prompt_tokens

if TYPE_CHECKING:
    import httpx


class LentTokenizer:
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
