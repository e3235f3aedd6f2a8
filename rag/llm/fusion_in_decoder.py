"""An encoder-decoder as the reader: passages are read apart, each behind the question, and joined in the decoder (FiD).

After arXiv 2007.01282, as TextGenSHAP (arXiv 2312.01279) uses it. Such a model has no chat template and no turns: it
answers a question from passages, and is asked for nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, cast

from rag.errors import ReaderError, not_loaded
from rag.llm.chat import ChatModel, Messages, Usage, until
from rag.llm.decode import MAX_TOKENS
from rag.llm.fusion_decoder import FusionDecoder, check_relative
from rag.llm.tokens import TITLE_CHARACTERS

PASSAGE_TOKENS = 256  # of a passage with its question, in the paper's FiD
PASSAGES = re.compile(r"Passages:\n(.*?)\n\nQuestion: (.*)", re.DOTALL)  # as `answer_messages` has them
LINE = re.compile(rf"\[\d+\] (?:(.{{1,{TITLE_CHARACTERS}}}?): )?(.*)")


class FusionReader(ChatModel):
    """A T5-like model that answers from the passages of a prompt of `answer_messages`; other prompts are one block.

    What stands before the first colon of a passage's line is taken for its title. Greedy, as all readers are. Raises
    ModelError for a model without relative positions; whoever asks for a yes or no gets a ReaderError.
    """

    def __init__(self, name: str, model: Any, tokenizer: Any):
        check_relative(model)
        self.name, self.judges = name, False
        self.model, self.tokenizer = model, tokenizer

    def stream(
        self, messages: Messages, max_tokens: int, usage: Usage | None = None, stop: Sequence[str] = ()
    ) -> Iterator[str]:
        """The answer in one piece, cut at the first of the `stop` strings."""
        blocks = self.blocks(messages)
        decoded = self.decoder(blocks, blocks[0], max_tokens).decode([[True] * len(blocks)])[0]
        (usage or Usage()).add({"input_tokens": sum(map(len, blocks)), "output_tokens": len(decoded.tokens)})
        yield from until(iter([self.text(decoded.tokens)]), [text for text in stop if text])

    def count(self, messages: Messages) -> int:
        """Tokens of all blocks together."""
        return sum(map(len, self.blocks(messages)))

    def blocks(self, messages: Messages) -> list[list[int]]:
        """The tokens of each passage with the question, cut at PASSAGE_TOKENS; of the question alone without any."""
        found = PASSAGES.fullmatch(str(messages[-1][1]))
        if found is None:
            return [self._ids("\n".join(str(content) for _, content in messages))]
        asked = f"question: {found[2]}"
        passages = [LINE.fullmatch(line) for line in found[1].splitlines()]
        read = [
            f"{asked} title: {passage[1]} context: {passage[2]}" if passage[1] else f"{asked} context: {passage[2]}"
            for passage in passages
            if passage
        ]
        return [self._ids(text, PASSAGE_TOKENS) for text in read or [asked]]

    def decoder(self, blocks: Sequence[Sequence[int]], nothing: Sequence[int], max_tokens: int) -> FusionDecoder:
        """These passages, encoded. `nothing` is read where none of them is there."""
        ends = self.model.generation_config.eos_token_id
        return FusionDecoder(self.model, blocks, nothing, [ends] if isinstance(ends, int) else ends, max_tokens)

    def text(self, tokens: Sequence[int]) -> str:
        return str(self.tokenizer.decode(tokens, skip_special_tokens=True))

    def spelled(self, text: str) -> list[int]:
        ids: list[int] = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        return ids

    def going_on(self) -> FusionReader:
        """Itself: a prompt does not depend on the one before."""
        return self

    def yes_probability(self, messages: Messages, usage: Usage | None = None, goes_on: bool = False) -> float:
        raise ReaderError(
            f"reader {self.name} reads passages apart and judges nothing: notes, a filter, or a re-ranking by yes and "
            "no are not supported by it. Ask it directly (--reader direct)"
        )

    def log_probability(self, messages: Messages, text: str, usage: Usage | None = None) -> float:
        """Natural log of the probability that the reply is exactly this text, its end included."""
        blocks = self.blocks(messages)
        decoder = self.decoder(blocks, blocks[0], MAX_TOKENS)
        (usage or Usage()).add({"input_tokens": sum(map(len, blocks)), "output_tokens": 0})
        return sum(decoder.log_probabilities([[True] * len(blocks)], self.spelled(text))[0])

    def _ids(self, text: str, most: int | None = None) -> list[int]:
        ids: list[int] = self.tokenizer(text, truncation=most is not None, max_length=most)["input_ids"]
        return ids


def as_fusion(reader: ChatModel) -> FusionReader:
    """A model that does not judge, by its type."""
    if reader.judges:
        raise ValueError(f"{reader.name} is no encoder-decoder")
    return cast(FusionReader, reader)


def is_encoder_decoder(model: str) -> bool:
    """Whether a folder or hub id is of an encoder-decoder. Raises whatever transformers does where there is none."""
    from transformers import AutoConfig

    return bool(AutoConfig.from_pretrained(model).is_encoder_decoder)


def open_fusion(model: str) -> FusionReader:
    """An encoder-decoder by a folder or hub id. Raises ModelError for one that cannot be loaded, or is not T5-like."""
    import torch
    from transformers import AutoModelForSeq2SeqLM, AutoTokenizer
    from transformers.utils import logging

    logging.disable_progress_bar()
    try:
        tokenizer: Any = AutoTokenizer.from_pretrained(model)
        loaded: Any = AutoModelForSeq2SeqLM.from_pretrained(model, dtype=torch.float32)
    except Exception as error:  # transformers and the hub raise many kinds; all mean that it cannot be loaded
        remedy = "Name a T5-like model: a hub id or folder that transformers can load"
        raise not_loaded(f"reader.model {model}", error, remedy) from error
    return FusionReader(model, loaded.eval(), tokenizer)
