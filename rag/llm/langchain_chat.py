"""A chat model over LangChain: streaming, stop strings, retries and token counts come alike from all back ends."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rag.errors import ReaderError
from rag.llm.chat import ChatModel, Messages, Usage, reply_errors, share_of_yes, until
from rag.llm.retries import with_retries
from rag.llm.tokens import PICTURE_TOKENS, Texts, prompt_tokens

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

Limit = Callable[[int, Sequence[str]], dict[str, Any]]  # tokens and stop strings -> the arguments of one call
FINISHED = ("finish_reason", "done_reason", "stop_reason")  # OpenAI's, Ollama's and Anthropic's word in the last chunk


def openai_limit(max_tokens: int, stop: Sequence[str]) -> dict[str, Any]:
    """As OpenAI's protocol names them."""
    return {"max_tokens": max_tokens, **({"stop": list(stop)} if stop else {})}


@dataclass(frozen=True, slots=True)
class BackEnd:
    """How a LangChain class is called: the names of its limits, whether it streams, whether it gives probabilities."""

    limit: Limit = openai_limit
    streams: bool = True
    gives_probabilities: bool = True


OPENAI = BackEnd()


class LangChainChat(ChatModel):
    """A ChatModel over any LangChain chat model.

    `fresh` holds the arguments of a call that switch the prefix cache off. The embedded reader's logits depend in
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
        back_end: BackEnd = OPENAI,
        fresh: Mapping[str, Any] | None = None,
        sees: bool = False,
        count: Callable[[Texts], int] = prompt_tokens,
        weights: tuple[Any, Any] | None = None,
        file: Path | None = None,
        copies: bool = False,
    ):
        self.name = name
        self.sees = sees
        self.copies = copies
        self.weights = weights
        self.file = file
        self._model = model
        self._back_end = back_end
        self._fresh = dict(fresh or {})
        self._count = count

    def stream(
        self, messages: Messages, max_tokens: int, usage: Usage | None = None, stop: Sequence[str] = ()
    ) -> Iterator[str]:
        """Pieces of the reply as they are generated, up to the first of the `stop` strings.

        Whoever closes the generator stops an endpoint's work, too. Raises ReaderError for no answer, or nonsense.
        """
        stop = [text for text in stop if text]
        with reply_errors(self.name):
            yield from until(with_retries(lambda: self._pieces(messages, max_tokens, usage or Usage(), stop)), stop)

    def _pieces(self, messages: Messages, max_tokens: int, usage: Usage, stop: Sequence[str]) -> Iterator[str]:
        model = self._model.bind(**self._back_end.limit(max_tokens, stop), **self._fresh)
        finished = not self._back_end.streams
        for chunk in model.stream(list(messages)) if self._back_end.streams else [model.invoke(list(messages))]:
            usage.add(getattr(chunk, "usage_metadata", None))
            finished = finished or any(chunk.response_metadata.get(name) for name in FINISHED)
            if text := _text(chunk):
                yield text
        if not finished:  # half an answer is none
            raise ConnectionError("the reply stopped in the middle")

    def yes_probability(self, messages: Messages, usage: Usage | None = None, goes_on: bool = False) -> float:
        """P(yes) / (P(yes) + P(no)) for the first token of the reply; 1, 0.5 or 0 from a model that gives no more.

        `goes_on`: the messages begin with the conversation just held, so only the last of them are computed.
        """
        with reply_errors(self.name):
            wanted = {"logprobs": True, "top_logprobs": 10} if self._back_end.gives_probabilities else {}
            model = self._model.bind(**self._back_end.limit(1, ()), **wanted, **({} if goes_on else self._fresh))
            reply = next(with_retries(lambda: iter([model.invoke(list(messages))])))
        (usage or Usage()).add(getattr(reply, "usage_metadata", None))
        return share_of_yes(_first_alternatives(reply) or {_text(reply): 1.0})

    def count(self, messages: Messages) -> int:
        """Tokens of the prompt with its chat template, by the model's own tokenizer; a picture is PICTURE_TOKENS.

        Where an endpoint does not lend its tokenizer, an estimate, rather too many. Raises ReaderError.
        """
        texts = [(role, _text_of(content)) for role, content in messages]
        pictures = [part for _, content in messages for part in _parts(content) if part.get("type") == "image_url"]
        with reply_errors(self.name):
            return self._count(texts) + PICTURE_TOKENS * len(pictures)

    def log_probability(self, messages: Messages, text: str, usage: Usage | None = None) -> float:
        """Natural log of the probability that the reply is exactly this text, its end included.

        By the tokens that the reader itself would spell the text with. It is llama.cpp that is asked, with a grammar
        of that one text, whose probabilities are those without the grammar. ReaderError from any other endpoint.
        """
        grammar = {"grammar": f"root ::= {json.dumps(text)}"}
        extra = {**self._fresh.get("extra_body", {}), **grammar}
        with reply_errors(self.name):
            limit = self._back_end.limit(len(text.encode()) + 1, ())
            model = self._model.bind(**limit, logprobs=True, top_logprobs=1, extra_body=extra)
            reply = next(with_retries(lambda: iter([model.invoke(list(messages))])))
        (usage or Usage()).add(getattr(reply, "usage_metadata", None))
        tokens = ((reply.response_metadata or {}).get("logprobs") or {}).get("content") or []
        if _text(reply) != text or not tokens:
            raise ReaderError(
                f"reader {self.name} cannot say how likely a given answer is. Use an embedded one (.gguf)"
            )
        return math.fsum(token["logprob"] for token in tokens)

    def going_on(self) -> LangChainChat:
        """The same model, which computes only what a prompt does not share with the one before it.

        Its answers depend on the order of its prompts in the second decimal of the logits, so whoever wants the same
        ones again keeps the order.
        """
        return LangChainChat(
            self._model, self.name, self._back_end, None, self.sees, self._count, self.weights, self.file
        )


def _text(message: Any) -> str:
    return _text_of(message.content)


def _text_of(content: Any) -> str:
    """The text of a message, whose content is a string or a list of parts."""
    return content if isinstance(content, str) else "".join(part.get("text", "") for part in _parts(content))


def _parts(content: Any) -> list[dict[str, Any]]:
    return [] if isinstance(content, str) else [part for part in content if isinstance(part, dict)]


def _first_alternatives(reply: Any) -> dict[str, float]:
    """The likeliest first tokens of a reply with their probabilities; empty where the back end gives none."""
    entries = (reply.response_metadata or {}).get("logprobs") or []
    content = entries.get("content") or [] if isinstance(entries, dict) else entries  # OpenAI's or Ollama's
    alternatives = content[0].get("top_logprobs") or [] if content else []
    return {entry["token"]: math.exp(entry["logprob"]) for entry in alternatives}
