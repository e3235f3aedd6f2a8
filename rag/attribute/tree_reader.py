"""Coalitions played with a model whose weights are in this process: causal ones, and FiD's encoder-decoders.

What these readers say of a coalition is what the same weights say when they are asked plainly, at fewer passes
(rag/llm/decode.py). After TextGenSHAP (arXiv 2312.01279), whose absent players are masked in place.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from rag.attribute.game import LOG_P, Prompt, ReaderGame, prompt_of
from rag.attribute.players import Player, absent_spans, documents
from rag.attribute.shapley import Value
from rag.errors import UsageError, not_loaded
from rag.llm.chat import ChatReader, Messages, Usage, first_line, open_reader, share_of_yes
from rag.llm.decode import MAX_TOKENS, Decoded, TreeDecoder, unfit
from rag.llm.fusion_in_decoder import FusionReader
from rag.llm.gguf_weights import unpacked
from rag.protocols import Report, silent
from rag.read.prompts import answer_messages
from rag.read.strategies import in_form
from rag.records import Hit
from rag.settings import ReaderSettings

ROWS = 100  # coalitions in a batch, as in the paper
FIRST = 10  # first tokens of a reply that are looked at for a yes or no, as llama.cpp is asked for


def playing(reader: ChatReader, absence: str = "deleted") -> ChatReader:
    """The reader with which to play coalitions one after the other: what two prompts share is computed once.

    That is a TreeReader where transformers runs the model here and it can verify trees. UsageError if tokens are to be
    masked, and they cannot.
    """
    weights: Any = getattr(reader, "weights", None)  # a reader of kept replies has none
    why = "it is not run by transformers" if weights is None else unfit(weights[0])
    why = "it reads passages apart" if isinstance(reader, FusionReader) else why
    if absence == "masked" and not why and not weights[1].is_fast:
        why = "its tokenizer does not say where tokens stand in a text"
    if absence == "masked" and why:
        raise UsageError(
            f"attribute.absence=masked: no token of reader {reader.name} can be masked: {why}. "
            "Use deleted, filler or swapped, or a reader.model that transformers loads, with full attention"
        )
    return reader.going_on() if why else TreeReader(reader)


def in_torch(reader: ChatReader, report: Report = silent) -> TreeReader | None:
    """The weights of an embedded reader, run by torch: a prompt is read several times as fast. None for other readers.

    What it says is what llama.cpp says but for rounding, since that rounds what goes through the model to 8 bits and
    this to bfloat16: whoever explains an answer has to see that it gives the same one. Raises ModelError.
    """
    if reader.file is None:
        return None
    opened = _opened(unpacked(reader.file, report))
    return TreeReader(opened) if opened.weights is not None and not unfit(opened.weights[0]) else None


@cache
def _opened(folder: Path) -> ChatReader:
    """Weights that lie in a folder, loaded once in this process."""
    return open_reader(ReaderSettings(model=str(folder)))


class TreeReader(ChatReader):
    """A reader that transformers runs here, asked for many replies that are alike: it says the same, at fewer passes.

    `decoders` has what was spent, by the most tokens of a reply.
    """

    def __init__(self, reader: ChatReader):
        super().__init__(
            reader._model, reader.name, reader._gives_probabilities, None, reader.sees, reader._count, reader.weights
        )
        assert reader.weights is not None
        self._weights, self._tokenizer = reader.weights
        ends = self._weights.generation_config.eos_token_id
        self._end_ids: list[int] = [] if ends is None else [ends] if isinstance(ends, int) else list(ends)
        self._hits: Sequence[Hit] = ()
        self._absent: Sequence[Player] = ()
        self.decoders: dict[int, TreeDecoder] = {}

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
        """As ChatReader.yes_probability, from the ten likeliest first tokens; shared beginnings are read once."""
        prompt, absent = self._prompt(messages)
        likeliest = self._decoder(MAX_TOKENS).following(prompt, FIRST, absent)
        (usage or Usage()).add({"input_tokens": len(prompt), "output_tokens": 1})
        alternatives: dict[str, float] = {}
        for token, probability in likeliest.items():
            text = str(self._tokenizer.decode([token]))
            alternatives[text] = alternatives.get(text, 0.0) + probability
        return share_of_yes(alternatives)

    def _pieces(self, messages: Messages, max_tokens: int, usage: Usage, stop: Sequence[str]) -> Iterator[str]:
        decoded = self._decode(messages, max_tokens)
        usage.add({"input_tokens": len(self._prompt(messages)[0]), "output_tokens": len(decoded.tokens)})
        yield self._text(decoded)

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


class FusionGame(ReaderGame):
    """The game of an encoder-decoder that reads passages apart (FiD, arXiv 2007.01282), among its documents.

    Passages are encoded once, as all of the evidence shows them. An absent one is a mask over what the decoder attends
    to, and the model says what it says if the passage was never there. Coalitions are decoded about a hundred at a
    time. Parts of passages cannot be played so: what the encoder has read of one word is in all others. With `answer`,
    values are its log-probabilities. UsageError for parts.
    """

    def __init__(
        self,
        reader: FusionReader,
        question: str,
        hits: Sequence[Hit],
        max_tokens: int = MAX_TOKENS,
        answer: str | None = None,
        budget: int = 1000,
        stop: Callable[[], bool] = lambda: False,
        report: Report = silent,
        kept: dict[Prompt, Value] | None = None,
    ):
        super().__init__(
            hits, lambda some: self._values_of([some])[0], None, "deleted", None, budget, stop, report, kept=kept
        )
        self._reader, self._question = reader, question
        self._answer = None if answer is None else reader.spelled(answer)
        blocks = reader.blocks(answer_messages(question, self.hits)) if self.hits else []
        (alone,) = reader.blocks(answer_messages(question, []))
        self.decoder = reader.decoder(blocks, alone, max_tokens)

    def __call__(self, coalitions: Sequence[frozenset[Player]]) -> Mapping[frozenset[Player], Value]:
        """As ReaderGame's. Where it was stopped or little is left to spend, coalitions are decoded one by one."""
        evidence = {prompt_of(hits): hits for hits in map(self.evidence, coalitions)}
        new = [prompt for prompt in evidence if prompt not in self._values]
        for begin in range(0, len(new), ROWS):
            batch = new[begin : begin + ROWS]
            if self.stopped or self._stop() or self.calls + len(batch) > self.budget:
                break
            self.calls += len(batch)
            self._values.update(zip(batch, self._values_of([evidence[prompt] for prompt in batch]), strict=True))
        return super().__call__(coalitions)

    def evidence(self, present: Collection[Player]) -> list[Hit]:
        if any(player.kind != "document" for player in present):
            raise UsageError("a reader of passages apart is attributed to whole documents. Name the level document")
        return super().evidence(present)

    def _values_of(self, evidences: Sequence[Sequence[Hit]]) -> list[Value]:
        ranks = [{hit.rank for hit in hits} for hits in evidences]
        rows = [[hit.rank in some for hit in self.hits] for some in ranks]
        if self._answer is not None:
            return [{LOG_P: sum(each)} for each in self.decoder.log_probabilities(rows, self._answer)]
        said = [first_line(self._reader.text(each.tokens)) for each in self.decoder.decode(rows)]
        return [{in_form(self._question, each): 1.0} for each in said]


def reads_apart(model: str) -> bool:
    """Whether a folder or hub id is of an encoder-decoder. Raises whatever transformers does where there is none."""
    from transformers import AutoConfig

    return bool(AutoConfig.from_pretrained(model).is_encoder_decoder)


def open_fusion(model: str) -> FusionReader:
    """An encoder-decoder by a folder or hub id. Raises ModelError for one that is not to be had, or not T5-like."""
    import torch
    from transformers import AutoModelForSeq2SeqLM, AutoTokenizer
    from transformers.utils import logging

    logging.disable_progress_bar()
    try:
        tokenizer: Any = AutoTokenizer.from_pretrained(model)
        loaded: Any = AutoModelForSeq2SeqLM.from_pretrained(model, dtype=torch.float32)
    except Exception as error:  # transformers and the hub raise many kinds, and all mean: not to be had
        remedy = "Name a T5-like model: a hub id or folder that transformers can load"
        raise not_loaded(f"reader.model {model}", error, remedy) from error
    return FusionReader(model, loaded.eval(), tokenizer)
