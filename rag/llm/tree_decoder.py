"""Greedy decoding with a causal model: prompts share beginnings, answers are verified as a tree (see decode.py)."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from rag.errors import ModelError
from rag.llm.decode import MAX_TOKENS, Decoded, Spent, check_answer, log_probabilities_of
from rag.llm.tries import Trie

if TYPE_CHECKING:
    from torch import Tensor

# Nodes that are verified at once, the most seen ones: what two to four of the shortest phrases are together. A tree of
# all answers grows with every new one, and is paid for in every pass, while an answer that is in it saves but its own
# length. It never saves tokens, only passes: whatever it saves to decode, it has read. So it must stay cheap.
VERIFIED = 16


class TreeDecoder:
    """Greedy decoding with a causal model of transformers, for the prompts of one question.

    A prompt and the tree of answers go through the model at once: a node of the tree attends to the prompt, to itself
    and to its ancestors, and has the position that its depth gives it. What is verified stays in the cache.

    The prompt before is what a prompt can share its beginning with, so prompts in sorted order share most: each token
    of the tree that they form is then read once. `end_ids` are the tokens that end an answer. `share_prefix` and
    `speculate` exist to measure what each is worth; without either this is plain decoding. Up to
    `verified` nodes of the tree go through the model, those that most answers pass; whatever leaves them is decoded
    plainly.

    Raises ModelError for a model that cannot take a mask over a tree, see `unfit`.
    """

    def __init__(
        self,
        model: Any,
        end_ids: Collection[int],
        max_tokens: int = MAX_TOKENS,
        share_prefix: bool = True,
        speculate: bool = True,
        verified: int = VERIFIED,
    ) -> None:
        from transformers import DynamicCache

        if why := unfit(model):
            raise ModelError(
                f"{type(model).__name__} cannot verify a tree of answers, as it has {why}. "
                'Name a model with full attention in all layers, and load it with attn_implementation="sdpa"'
            )
        self.trie = Trie()
        self.spent = Spent()
        self._model = model.eval()
        self._end_ids = sorted(end_ids)
        self._max_tokens = max_tokens
        self._share_prefix = share_prefix
        self._speculate = speculate
        self._verified = verified
        self._cache: Any = DynamicCache(config=model.config)
        self._read: list[tuple[int, int]] = []  # token and position of what the cache begins with

    def decode(
        self, prompt: Sequence[int], absent: Sequence[bool] | None = None, answer: Sequence[int] | None = None
    ) -> Decoded:
        """The greedy answer to the prompt; with `answer`, its log-probabilities too, in the same pass.

        `absent` says of each token of the prompt whether it is masked in place: nothing attends to it, and the others
        stay where they are. Raises ValueError if the last one is absent, from which the answer goes on, or if an end
        token is in `answer`.
        """
        present = _present(prompt, absent)
        check_answer(answer, self._end_ids)
        tree = self.trie  # if not speculating, it stays empty
        if self._speculate and answer is not None and tree.find(answer) is None:
            tree.insert(answer)
        end = None if answer is None else tree.find(answer)
        nodes = sorted({*_most_seen(tree, self._verified), *tree.path(end or 0)})
        scores = self._verify(present, tree, nodes)
        chosen = dict(zip([0, *nodes], scores.argmax(1).tolist(), strict=True))
        node = tree.walk(chosen, self._max_tokens)
        if node not in chosen:  # it was chosen, but is none of those that went through the model
            node = tree.parents[node]
        tokens = tree.sequence(node)
        if len(tokens) == self._max_tokens or chosen[node] in self._end_ids:
            self.spent.accepted += 1
        else:
            self.spent.resumed += 1
            self._keep([*range(len(present)), *(len(present) + nodes.index(step) for step in tree.path(node))])
            self._resume(tokens, chosen[node], present[-1][1] + 1)
        self._keep(slice(len(present)))
        given = None
        if answer is not None:
            if end is None:
                given = self.log_probabilities(prompt, answer, absent)
            else:
                path = [0, *(1 + nodes.index(step) for step in tree.path(end))]
                given = log_probabilities_of(scores[path], answer, self._end_ids)
        if self._speculate:
            tree.insert(tokens)
        return Decoded(tuple(tokens), given)

    def following(self, prompt: Sequence[int], most: int, absent: Sequence[bool] | None = None) -> dict[int, float]:
        """The likeliest tokens behind the prompt, best first, with their probabilities."""
        present = _present(prompt, absent)
        scores = self._verify(present, Trie(), [])[0]
        probabilities, tokens = scores.softmax(0).topk(min(most, len(scores)))
        return dict(zip(tokens.tolist(), probabilities.tolist(), strict=True))

    def attention(self, prompt: Sequence[int], answer: Sequence[int]) -> list[float]:
        """How much of the attention falls on each token of the prompt, on average over layers, heads and steps.

        The steps are the prompt's last token and those of the answer but its last, from which the answer is chosen.
        """
        import torch

        steps = [prompt[-1], *answer[:-1]]
        kept = self._model.config._attn_implementation
        self._verify(_present(prompt, None), Trie(), [])
        self._keep(slice(len(prompt) - 1))
        self._read = self._read[:-1]
        try:
            self._model.set_attn_implementation("eager")  # the only one that gives its weights
            with torch.inference_mode():
                output = self._model(
                    input_ids=torch.tensor([steps], device=self._model.device),
                    past_key_values=self._cache,
                    use_cache=True,
                    output_attentions=True,
                )
        finally:
            self._model.set_attn_implementation(kept)
        self._keep(slice(len(prompt) - 1))
        layers = torch.stack([layer[0].float().mean((0, 1)) for layer in output.attentions])  # (layers, tokens)
        shares: list[float] = layers.mean(0)[: len(prompt)].tolist()
        return shares

    def log_probabilities(
        self, prompt: Sequence[int], answer: Sequence[int], absent: Sequence[bool] | None = None
    ) -> tuple[float, ...]:
        """log P of each token of the answer behind the prompt, and that it ends there, by one pass of its own."""
        present = _present(prompt, absent)
        check_answer(answer, self._end_ids)
        alone = Trie()
        alone.insert(answer)
        scores = self._verify(present, alone, range(1, len(alone)))
        self._keep(slice(len(present)))
        return log_probabilities_of(scores, answer, self._end_ids)

    def _verify(self, present: list[tuple[int, int]], tree: Trie, nodes: Sequence[int]) -> Tensor:
        """(1 + nodes, vocabulary): the scores of what follows the prompt, and each of these nodes behind it.

        With a node of the tree there are all that stand above it.
        """
        import torch

        kept = _shared(self._read, present[:-1]) if self._share_prefix else 0
        self._read = present[:kept]  # so it stands if the pass fails
        self._keep(slice(kept))
        new = present[kept:]
        tokens = [token for token, _ in new] + [tree.tokens[node] for node in nodes]
        positions = [position for _, position in new] + [present[-1][1] + tree.depths[node] for node in nodes]
        attends = np.tri(len(tokens), kept + len(tokens), kept, dtype=bool)
        attends[len(new) :, kept + len(new) :] = tree.ancestors()[np.ix_(nodes, nodes)]
        dtype = self._model.dtype
        mask = torch.zeros(attends.shape, dtype=dtype).masked_fill(
            torch.from_numpy(~attends), float(torch.finfo(dtype).min)
        )
        scores = self._pass(tokens, positions, mask[None, None], 1 + len(nodes))
        self.spent.prompt_tokens += len(new)
        self.spent.tree_tokens += len(nodes)
        self._read = present
        return scores

    def _resume(self, tokens: list[int], following: int, position: int) -> None:
        """Decode plainly from `tokens`, which the cache holds; add what follows, the first of which is known."""
        while True:
            tokens.append(following)
            if len(tokens) == self._max_tokens:
                return
            scores = self._pass([following], [position + len(tokens) - 1], None, 1)
            self.spent.decoded_tokens += 1
            following = int(scores[0].argmax())
            if following in self._end_ids:
                return

    def _pass(self, tokens: list[int], positions: list[int], mask: Tensor | None, scored: int) -> Tensor:
        """(scored, vocabulary), float32: the scores behind the last tokens, by one pass that adds all to the cache."""
        import torch

        device = self._model.device
        self.spent.passes += 1
        with torch.inference_mode():
            output = self._model(
                input_ids=torch.tensor([tokens], device=device),
                position_ids=torch.tensor([positions], device=device),
                attention_mask=None if mask is None else mask.to(device),
                past_key_values=self._cache,
                use_cache=True,
                logits_to_keep=scored,
            )
        scores: Tensor = output.logits[0].float()
        return scores

    def _keep(self, positions: slice | list[int]) -> None:
        """Keep only these positions of the cache."""
        for layer in self._cache.layers:
            if layer.is_initialized:
                layer.keys = layer.keys[:, :, positions]  # (1, heads, positions, size)
                layer.values = layer.values[:, :, positions]


def unfit(model: Any) -> str:
    """What keeps a causal model from verifying a tree of answers; "" if nothing does.

    That is another attention than sdpa or eager, and layers that do not keep all keys (sliding windows, recurrent
    states).
    """
    from transformers import DynamicCache
    from transformers.cache_utils import DynamicLayer

    layers = DynamicCache(config=model.config).layers
    why = {type(layer).__name__ for layer in layers if type(layer) is not DynamicLayer}
    if model.config._attn_implementation not in ("sdpa", "eager"):
        why.add(f"{model.config._attn_implementation} attention")
    return ", ".join(sorted(why))


def _most_seen(tree: Trie, number: int) -> list[int]:
    """Up to `number` nodes besides the root, the most often passed first; a parent stands before its children."""
    return sorted(range(1, len(tree)), key=lambda node: (-tree.seen[node], node))[:number]


def _present(prompt: Sequence[int], absent: Sequence[bool] | None) -> list[tuple[int, int]]:
    """The tokens that are attended to, with their positions. One that nothing attends to need not be computed."""
    if not prompt or (absent is not None and (len(absent) != len(prompt) or absent[-1])):
        raise ValueError("the answer goes on from the prompt's last token, which must be there and not absent")
    return [(token, at) for at, token in enumerate(prompt) if absent is None or not absent[at]]


def _shared(first: list[tuple[int, int]], second: list[tuple[int, int]]) -> int:
    """How many tokens both begin with."""
    both = zip(first, second, strict=False)
    return next((count for count, (a, b) in enumerate(both) if a != b), min(len(first), len(second)))
