"""An encoder-decoder as the reader: passages are read apart, each behind the question, and joined in the decoder (FiD).

After arXiv 2007.01282, as TextGenSHAP (arXiv 2312.01279) uses it. Such a model has no chat template and no turns: it
answers a question from passages, and is asked for nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from rag.errors import ReaderError
from rag.llm.chat import ChatReader, Messages, Usage
from rag.llm.decode import MAX_TOKENS, FusionDecoder, check_relative
from rag.read.prompts import TITLE_CHARACTERS

PASSAGE_TOKENS = 256  # of a passage with its question, in the paper's FiD
PASSAGES = re.compile(r"Passages:\n(.*?)\n\nQuestion: (.*)", re.DOTALL)  # as `answer_messages` has them
LINE = re.compile(rf"\[\d+\] (?:(.{{1,{TITLE_CHARACTERS}}}?): )?(.*)")


class FusionReader(ChatReader):
    """A T5-like model that answers from the passages of a prompt of `answer_messages`; other prompts are one block.

    What stands before the first colon of a passage's line is taken for its title. Greedy, as all readers are. Raises
    ModelError for a model without relative positions; whoever asks for a yes or no gets a ReaderError.
    """

    def __init__(self, name: str, model: Any, tokenizer: Any):
        check_relative(model)
        nothing: Any = None  # no chat model of LangChain's
        super().__init__(nothing, name, False, count=lambda texts: sum(map(len, self.blocks(texts))))
        self.model, self.tokenizer = model, tokenizer

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
            "no cannot be had of it. Ask it directly (--reader direct)"
        )

    def log_probability(self, messages: Messages, text: str, usage: Usage | None = None) -> float:
        """Natural log of the probability that the reply is exactly this text, its end included."""
        blocks = self.blocks(messages)
        decoder = self.decoder(blocks, blocks[0], MAX_TOKENS)
        (usage or Usage()).add({"input_tokens": sum(map(len, blocks)), "output_tokens": 0})
        return sum(decoder.log_probabilities([[True] * len(blocks)], self.spelled(text))[0])

    def _pieces(self, messages: Messages, max_tokens: int, usage: Usage, stop: Sequence[str]) -> Iterator[str]:
        blocks = self.blocks(messages)
        decoded = self.decoder(blocks, blocks[0], max_tokens).decode([[True] * len(blocks)])[0]
        usage.add({"input_tokens": sum(map(len, blocks)), "output_tokens": len(decoded.tokens)})
        yield self.text(decoded.tokens)

    def _ids(self, text: str, most: int | None = None) -> list[int]:
        ids: list[int] = self.tokenizer(text, truncation=most is not None, max_length=most)["input_ids"]
        return ids
