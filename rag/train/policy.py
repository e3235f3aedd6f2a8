"""The causal language model that reinforcement trains: it generates rollouts and tells their tokens' probabilities."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rag.read.evinote.loop_prompts import loop_prompt
from rag.train.adapters import open_chat_model, save_chat_model, with_adapters

if TYPE_CHECKING:
    from torch import Tensor

TEMPERATURE = 1.0  # the paper's
CONTEXT_TOKENS = 16384
LORA_ABOVE = 200_000_000  # parameters, from which on an adapter is trained by default, not the whole
LORA_RANK = 16
SEARCH_END = "</search>"


@dataclass(slots=True)
class Rollout:
    """Token ids: `prompt` of them are the prompt; `generated` says which of those behind it the model wrote."""

    ids: list[int]
    prompt: int
    generated: list[bool] = field(default_factory=list)
    searches: int = 0

    def add(self, ids: Sequence[int], generated: bool) -> None:
        self.ids += ids
        self.generated += [generated] * len(ids)


class Policy:
    """A causal language model that is trained, its tokenizer, and its frozen reference.

    `model` is a hub id or folder for transformers. With `lora` (None: if it has more than LORA_ABOVE parameters) only
    an adapter is trained, whose first weights are drawn by `seed`, and the reference is the model without it; else the
    reference is a copy. All is in full precision: bf16, with 8 bits, would round most steps of 1e-6 away. Raises
    ModelError for a model that cannot be loaded, or is no chat model, since a reader must be one.
    """

    def __init__(self, model: str, lora: bool | None = None, seed: int = 0):
        loaded, self.tokenizer = open_chat_model(model)
        self.name = model
        self.lora = loaded.num_parameters() > LORA_ABOVE if lora is None else lora
        self._ends = self._end_ids(loaded)
        longest = getattr(loaded.config.get_text_config(), "max_position_embeddings", None) or CONTEXT_TOKENS
        self.context = min(longest, CONTEXT_TOKENS)
        if self.lora:
            self.model: Any = with_adapters(loaded, LORA_RANK, seed)
        else:
            self.model = loaded
            self._frozen = deepcopy(loaded).eval().requires_grad_(False)
        # No dropout, or a token's probability would differ between two passes with the same weights.
        self.model.eval()

    def _end_ids(self, loaded: Any) -> list[int]:
        named = loaded.generation_config.eos_token_id
        ends = named if isinstance(named, list) else [named, self.tokenizer.eos_token_id]
        return sorted({int(end) for end in ends if end is not None})

    def parameters(self) -> list[Any]:
        """What is trained."""
        return [parameter for parameter in self.model.parameters() if parameter.requires_grad]

    def prompt(self, question: str) -> list[int]:
        """The tokens of the prompt for a question, up to where the model's own words begin."""
        message = {"role": "user", "content": loop_prompt(question)}
        text = self.tokenizer.apply_chat_template([message], tokenize=False, add_generation_prompt=True)
        return self.encode(text)

    def encode(self, text: str) -> list[int]:
        ids: list[int] = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        return ids

    def decode(self, ids: Sequence[int]) -> str:
        text: str = self.tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        return text

    def generate(self, rows: Sequence[Sequence[int]], most: int) -> list[list[int]]:
        """What the model says next behind each row of tokens, drawn: up to </search>, its end, or `most` tokens."""
        import torch
        from transformers import GenerationConfig, StoppingCriteriaList

        width, pad = max(map(len, rows)), self._ends[0] if self._ends else 0
        ids = torch.tensor([[pad] * (width - len(row)) + list(row) for row in rows], device=self.model.device)
        mask = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in rows], device=self.model.device)
        # All that models set by themselves is set back: what is sampled must have the probabilities that the loss sees.
        sampling = GenerationConfig(
            do_sample=True, temperature=TEMPERATURE, top_k=0, top_p=1.0, repetition_penalty=1.0, max_new_tokens=most,
            eos_token_id=self._ends or None, pad_token_id=pad,
        )  # fmt: skip
        # As transformers' stop_strings, which fail with tokenizers that do not know the letters a to f.
        last = 2 * len(SEARCH_END)  # tokens; some may be empty

        def asks(ids: Tensor, scores: object, **more: object) -> Tensor:
            tails = [self.decode(row) for row in ids[:, max(width, ids.shape[1] - last) :].tolist()]
            return torch.tensor([SEARCH_END in tail for tail in tails], device=ids.device)

        with torch.no_grad():
            whole = self.model.generate(
                input_ids=ids,
                attention_mask=mask,
                generation_config=sampling,
                stopping_criteria=StoppingCriteriaList([asks]),
            )
        return [self._without_padding(row[width:]) for row in whole.tolist()]

    def _without_padding(self, ids: list[int]) -> list[int]:
        """Without the padding that a row gets which is done before others. Its end is its own, and learned."""
        ended = next((count for count, token in enumerate(ids, start=1) if token in self._ends), len(ids))
        return ids[: min(ended, self._behind_search(ids[:ended]))]

    def _behind_search(self, ids: Sequence[int]) -> int:
        """How many of the tokens it takes until </search> is there; all, if it is not."""
        return bisect_left(range(len(ids)), True, key=lambda count: SEARCH_END in self.decode(ids[:count]))

    def log_probabilities(self, rollout: Rollout, model: Any = None) -> Tensor:
        """log P of each token behind the prompt, (tokens,), by the policy, or by another model."""
        import torch

        model = model or self.model
        ids = torch.tensor([rollout.ids], device=model.device)
        logits = model(input_ids=ids, use_cache=False).logits[0, rollout.prompt - 1 : -1].float() / TEMPERATURE
        chosen: Tensor = logits.gather(1, ids[0, rollout.prompt :, None])[:, 0] - logits.logsumexp(1)
        return chosen

    @contextmanager
    def reference(self) -> Iterator[Any]:
        """The model as it was before training."""
        if self.lora:
            with self.model.disable_adapter():
                yield self.model
        else:
            yield self._frozen

    def save(self, folder: Path) -> None:
        """Weights, an adapter merged into them, and tokenizer."""
        model = self.model.merge_and_unload() if self.lora else self.model
        save_chat_model(model, self.tokenizer, self.name, folder)
