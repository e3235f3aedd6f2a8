"""A causal language model whose weights are in this process, asked for many replies that are alike at few passes.

Its reply to a coalition is the reply of the same weights when they are asked plainly (speculative decoding over a tree
of answers, rag/llm/decode.py). After TextGenSHAP (arXiv 2312.01279), whose absent players are masked in place.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import cast

from rag.attribute.players import Player, absent_spans, documents
from rag.errors import UsageError
from rag.llm.chat import ChatModel, Messages, Usage, reply_errors, share_of_yes, until
from rag.llm.decode import MAX_TOKENS, Decoded
from rag.llm.gguf_weights import unpacked
from rag.llm.open import open_reader
from rag.llm.tree_decoder import TreeDecoder, unfit
from rag.models.memory import require_memory
from rag.protocols import Report, silent
from rag.records import Hit
from rag.settings import ReaderSettings

FIRST = 10  # first tokens of a reply that are looked at for a yes or no, as llama.cpp is asked for


def coalition_reader(reader: ChatModel, absence: str = "deleted") -> ChatModel:
    """The model with which to evaluate coalitions one after the other: a prefix that two prompts share is read once.

    That is a TreeReader where transformers runs the model here and it can verify trees. UsageError if tokens are to be
    masked, and this model's cannot.
    """
    why = "it is not run by transformers" if reader.weights is None else unfit(reader.weights[0])
    if not reader.judges:
        why = "it reads passages apart"
    if absence == "masked" and not why and reader.weights and not reader.weights[1].is_fast:
        why = "its tokenizer does not say where tokens stand in a text"
    if absence == "masked" and why:
        raise UsageError(
            f"experimental.absence=masked: no token of reader {reader.name} can be masked: {why}. "
            "Use deleted, filler or swapped, or a reader.model that transformers loads, with full attention"
        )
    return reader.going_on() if why else TreeReader(reader)


def as_tree(reader: ChatModel) -> TreeReader:
    """A model that masks tokens, by its type."""
    if not reader.masks:
        raise ValueError(f"{reader.name} masks no tokens")
    return cast(TreeReader, reader)


def in_torch(reader: ChatModel, report: Report = silent) -> TreeReader | None:
    """The weights of an embedded reader, run by torch: a prompt is read several times as fast. None for other readers.

    What it says is what llama.cpp says but for rounding, since that rounds what goes through the model to 8 bits and
    this to bfloat16: whoever explains an answer has to see that it gives the same one. Raises ModelError.
    """
    if reader.file is None:
        return None
    opened = _opened(unpacked(reader.file, report))
    return TreeReader(opened) if opened.weights is not None and not unfit(opened.weights[0]) else None


@cache
def _opened(folder: Path) -> ChatModel:
    """Weights that lie in a folder, loaded once in this process. Raises ModelError where they do not fit."""
    size = sum(file.stat().st_size for file in folder.glob("*.safetensors"))
    require_memory("the reader in torch", int(1.2 * size), "Close other programs, or set attribute.runtime=reader")
    return open_reader(ReaderSettings(model=str(folder)))


class TreeReader(ChatModel):
    """A reader that transformers runs here, asked for many replies that are alike: it says the same, at fewer passes.

    `decoders` has what was spent, by the most tokens of a reply.
    """

    def __init__(self, reader: ChatModel):
        assert reader.weights is not None
        self.name, self.sees, self.weights = reader.name, reader.sees, reader.weights
        self.masks = True
        self._reader = reader
        self._weights, self._tokenizer = reader.weights
        ends = self._weights.generation_config.eos_token_id
        self._end_ids: list[int] = [] if ends is None else [ends] if isinstance(ends, int) else list(ends)
        self._hits: Sequence[Hit] = ()
        self._absent: Sequence[Player] = ()
        self.decoders: dict[int, TreeDecoder] = {}

    def stream(
        self, messages: Messages, max_tokens: int, usage: Usage | None = None, stop: Sequence[str] = ()
    ) -> Iterator[str]:
        """The reply in one piece, up to the first of the `stop` strings. Raises ReaderError."""
        with reply_errors(self.name):
            decoded = self._decode(messages, max_tokens)
            (usage or Usage()).add(
                {"input_tokens": len(self._prompt(messages)[0]), "output_tokens": len(decoded.tokens)}
            )
            yield from until(iter([self._text(decoded)]), [text for text in stop if text])

    def count(self, messages: Messages) -> int:
        """Tokens of the prompt with its chat template, by the model's own tokenizer."""
        return self._reader.count(messages)

    def going_on(self) -> TreeReader:
        """Itself: shared prefixes are read once in any case."""
        return self

    def masking(self, hits: Sequence[Hit], absent: Sequence[Player]) -> TreeReader:
        """This reader, to which the tokens of these players in a prompt of `answer_messages` with `hits` are not there.

        Positions stay. A token that holds anything of who is present stays, too. `hits` are disjoint.
        """
        other = copy.copy(self)  # the trees are the same
        other._hits, other._absent = hits, absent
        return other

    def answered(self, messages: Messages, max_tokens: int, answer: str) -> tuple[str, float]:
        """The reply, and by the same pass what `log_probability` says of `answer`."""
        decoded = self._decode(messages, max_tokens, self._spelled(answer))
        return self._text(decoded), sum(decoded.log_probabilities or ())

    def log_probability(self, messages: Messages, text: str, usage: Usage | None = None) -> float:
        """Natural log of the probability that the reply is exactly this text, its end included, in one pass."""
        prompt, absent = self._prompt(messages)
        return sum(self._decoder(MAX_TOKENS).log_probabilities(prompt, self._spelled(text), absent))

    def attended(self, messages: Messages, text: str, hits: Sequence[Hit]) -> list[float]:
        """Of each hit: the share of attention on its tokens behind the prompt and while `text` is said, 0..1.

        The mean over layers, heads and tokens of the reply. `messages` are those of `answer_messages` with `hits`.
        """
        whole = self.masking(hits, [])
        prompt, _ = whole._prompt(messages)
        attention = self._decoder(MAX_TOKENS).attention(prompt, self._spelled(text))
        masks = [self.masking(hits, [player])._prompt(messages)[1] or [] for player in documents(hits)]
        return [math.fsum(share for share, own in zip(attention, mask, strict=True) if own) for mask in masks]

    def yes_probability(self, messages: Messages, usage: Usage | None = None, goes_on: bool = False) -> float:
        """As ChatModel.yes_probability, from the ten likeliest first tokens; shared beginnings are read once."""
        prompt, absent = self._prompt(messages)
        likeliest = self._decoder(MAX_TOKENS).following(prompt, FIRST, absent)
        (usage or Usage()).add({"input_tokens": len(prompt), "output_tokens": 1})
        alternatives: dict[str, float] = {}
        for token, probability in likeliest.items():
            text = str(self._tokenizer.decode([token]))
            alternatives[text] = alternatives.get(text, 0.0) + probability
        return share_of_yes(alternatives)

    def _decode(self, messages: Messages, max_tokens: int, answer: Sequence[int] | None = None) -> Decoded:
        prompt, absent = self._prompt(messages)
        return self._decoder(max_tokens).decode(prompt, absent, answer)

    def _decoder(self, max_tokens: int) -> TreeDecoder:
        if max_tokens not in self.decoders:
            self.decoders[max_tokens] = TreeDecoder(self._weights, self._end_ids, max_tokens)
        return self.decoders[max_tokens]

    def _prompt(self, messages: Messages) -> tuple[list[int], list[bool] | None]:
        """The prompt's tokens as transformers' pipeline makes them, and of each whether it is masked."""
        listed = [{"role": role, "content": content} for role, content in messages]
        text: str = self._tokenizer.apply_chat_template(listed, tokenize=False, add_generation_prompt=True)
        if not self._absent:
            return self._tokenizer(text)["input_ids"], None
        encoded = self._tokenizer(text, return_offsets_mapping=True)
        spans = absent_spans(text, self._hits, self._absent)
        return encoded["input_ids"], masked_tokens(text, encoded["offset_mapping"], spans)

    def _spelled(self, text: str) -> list[int]:
        ids: list[int] = self._tokenizer(text, add_special_tokens=False)["input_ids"]
        return ids

    def _text(self, decoded: Decoded) -> str:
        return str(self._tokenizer.decode(decoded.tokens, skip_special_tokens=True))


def masked_tokens(text: str, tokens: Sequence[tuple[int, int]], spans: Sequence[tuple[int, int]]) -> list[bool]:
    """Of each token, text[start:end], whether all of it but white space at its edges is within one of the spans.

    A token of white space alone counts as a whole, and one of no characters, as at a prompt's beginning, is never
    masked.

    >>> masked_tokens("It rained. Why?", [(0, 0), (0, 2), (2, 9), (9, 10), (10, 14), (14, 15)], [(3, 10)])
    [False, False, True, True, False, False]
    """
    masked = []
    for start, end in tokens:
        piece = text[start:end]
        if piece.strip():
            start, end = end - len(piece.lstrip()), start + len(piece.rstrip())
        masked.append(start < end and any(first <= start and end <= last for first, last in spans))
    return masked
