"""What a chat model is to the rest of the program: its calls, what it can do, and what it costs.

Back ends are opened in rag/llm/open.py; everything else takes a ChatModel.
"""

from __future__ import annotations

import traceback
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from rag.errors import RagError, ReaderError, summary_of

# (role, content) with role "system", "user" or "assistant"; content is text, or OpenAI's list of texts and pictures
Messages = Sequence[tuple[str, Any]]
PACKAGE = str(Path(__file__).parents[1])


@dataclass(slots=True)
class Usage:
    """Tokens that a question has cost so far; `prompt` is the longest prompt, not the sum over calls."""

    prompt: int = 0
    generated: int = 0

    def add(self, metadata: Any) -> None:
        """Add one call's `usage_metadata` (LangChain's `input_tokens` and `output_tokens`), or nothing for None."""
        if metadata:
            self.prompt = max(self.prompt, int(metadata["input_tokens"]))
            self.generated += int(metadata["output_tokens"])


class ChatModel(Protocol):
    """A language model that continues a conversation, greedily.

    `judges`: it answers yes/no questions and follows instructions (an encoder-decoder that only answers does not).
    `masks`: single tokens of its prompt can be hidden from it (rag/attribute/tree_reader.py). `sees`: it takes
    pictures among its messages. `copies`: it was trained to copy sentences and to answer from them (`train quotes`).
    `weights` are (model, tokenizer) where transformers runs them in this process, `file` is the .gguf file where
    llama.cpp does. Every call raises ReaderError where the model does not answer.
    """

    name: str
    judges: bool = True
    masks: bool = False
    sees: bool = False
    copies: bool = False
    weights: tuple[Any, Any] | None = None
    file: Path | None = None

    def stream(
        self, messages: Messages, max_tokens: int, usage: Usage | None = None, stop: Sequence[str] = ()
    ) -> Iterator[str]:
        """Pieces of the reply as they are generated, up to the first of the `stop` strings."""
        ...

    def yes_probability(self, messages: Messages, usage: Usage | None = None, goes_on: bool = False) -> float:
        """P(yes) / (P(yes) + P(no)) for the first token of the reply, 0..1.

        `goes_on`: the messages begin with the conversation just held, so only the last of them are computed.
        """
        ...

    def count(self, messages: Messages) -> int:
        """Tokens of the prompt with its chat template."""
        ...

    def log_probability(self, messages: Messages, text: str, usage: Usage | None = None) -> float:
        """Natural log of the probability that the reply is exactly this text, its end included."""
        ...

    def going_on(self) -> ChatModel:
        """The same model with a prefix cache: of a prompt it computes only what the one before did not share."""
        ...


class NoReader(ChatModel):
    """Says nothing and reads without limit. `name` is the model that answers in its place."""

    judges = False

    def __init__(self, name: str):
        self.name = name

    def stream(
        self, messages: Messages, max_tokens: int, usage: Usage | None = None, stop: Sequence[str] = ()
    ) -> Iterator[str]:
        return iter(())

    def yes_probability(self, messages: Messages, usage: Usage | None = None, goes_on: bool = False) -> float:
        raise ReaderError("there is no language model to judge this. Ask without --reader extract")

    def log_probability(self, messages: Messages, text: str, usage: Usage | None = None) -> float:
        raise ReaderError("there is no language model to judge this. Ask without --reader extract")

    def count(self, messages: Messages) -> int:
        return 0

    def going_on(self) -> ChatModel:
        return self


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


def until(pieces: Iterator[str], stop: Sequence[str]) -> Iterator[str]:
    """The pieces up to the stop string that is complete first, however they are cut.

    What may begin a stop string is held back until more has come. The back end gets the stop strings, too, but
    transformers returns the stop string with the text, and some endpoints ignore them.

    >>> list(until(iter(["Par", "is#", "# It", " is"]), ["##"]))
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


class reply_errors:
    """Turn what a back end raises into one line. Our own errors, errors of the program and an interruption pass."""

    def __init__(self, name: str):
        self._name = name

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if not isinstance(error, Exception) or isinstance(error, RagError) or _is_ours(error):
            return
        raise ReaderError(
            f"reader {self._name} did not answer: {summary_of(error)}. "
            "Check that it is running and that reader.model and reader.api_key name it"
        ) from error


def _is_ours(error: Exception) -> bool:
    """Whether an error is a bug of this program: raised by a line of ours, and not about the connection."""
    frames = traceback.extract_tb(error.__traceback__)
    return bool(frames) and frames[-1].filename.startswith(PACKAGE) and not isinstance(error, OSError)
