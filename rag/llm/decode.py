"""Greedy answers to many coalitions of one question's documents, and an answer's log-probability, at few passes.

A coalition is a question's prompt with some documents in it. What is shared between coalitions is computed once:

- causal models (`TreeDecoder`): the keys and values of the prompt's beginning, if the prompt before began alike;
- encoder-decoder models (`FusionDecoder`): the encoded passages, so that a coalition is a mask over them;
- both: the answers seen so far (rag/llm/tries.py), which are verified and not decoded again.

Each is exact: what is returned is what plain greedy decoding returns, token for token. Only rounding differs, by the
last bits of a sum: where two tokens are as likely to that many digits, either may be chosen. After TextGenSHAP
(arXiv 2312.01279), whose code decodes from the start when an answer is not in the tree; here it goes on from there.
"""

from __future__ import annotations

import copy
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from rag.errors import ModelError
from rag.llm.tries import Trie

if TYPE_CHECKING:
    from torch import Tensor

MAX_TOKENS = 20  # of an answer, in the paper
# Nodes that are verified at once, the most seen ones: what two to four of the shortest phrases are together. A tree of
# all answers grows with every new one, and is paid for in every pass, while an answer that is in it saves but its own
# length. It never saves tokens, only passes: whatever it saves to decode, it has read. So it must stay cheap.
VERIFIED = 16


@dataclass(frozen=True, slots=True)
class Decoded:
    """The greedy answer of a coalition, without its end token, and what it thinks of a given answer if there was one.

    `log_probabilities` are natural logarithms, one a token of the given answer and one that it ends there.
    """

    tokens: tuple[int, ...]
    log_probabilities: tuple[float, ...] | None = None


@dataclass(slots=True)
class Spent:
    """What was spent so far: answers, passes through the model, and the tokens in those, by what they were for."""

    accepted: int = 0  # answers that were in the tree whole
    resumed: int = 0  # answers that were decoded, from where they left the tree
    passes: int = 0  # of the decoder, whatever the size of the batch
    prompt_tokens: int = 0  # or the encoder's
    tree_tokens: int = 0
    decoded_tokens: int = 0

    @property
    def tokens(self) -> int:
        """All tokens that a model had to process."""
        return self.prompt_tokens + self.tree_tokens + self.decoded_tokens


class TreeDecoder:
    """Greedy decoding with a causal model of transformers, for the prompts of one question.

    A prompt and the tree of answers go through the model at once: a node of the tree attends to the prompt, to itself
    and to its ancestors, and has the position that its depth gives it. What is verified stays in the cache.

    The prompt before is what a prompt can share its beginning with, so prompts in sorted order share most: each token
    of the tree that they form is then read once. `end_ids` are the tokens that end an answer. `share_prefix` and
    `speculate` exist to measure what each is worth; without either this is plain decoding. `verified`: of the tree only
    so many nodes go through the model, those that most answers pass; whatever leaves them is decoded plainly.

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
        _check_answer(answer, self._end_ids)
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
        thought = None
        if answer is not None:
            if end is None:
                thought = self.log_probabilities(prompt, answer, absent)
            else:
                path = [0, *(1 + nodes.index(step) for step in tree.path(end))]
                thought = _log_probabilities(scores[path], answer, self._end_ids)
        if self._speculate:
            tree.insert(tokens)
        return Decoded(tuple(tokens), thought)

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

        said = [prompt[-1], *answer[:-1]]
        kept = self._model.config._attn_implementation
        self._verify(_present(prompt, None), Trie(), [])
        self._keep(slice(len(prompt) - 1))
        self._read = self._read[:-1]
        try:
            self._model.set_attn_implementation("eager")  # the only one that tells
            with torch.inference_mode():
                output = self._model(
                    input_ids=torch.tensor([said], device=self._model.device),
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
        _check_answer(answer, self._end_ids)
        alone = Trie()
        alone.insert(answer)
        scores = self._verify(present, alone, range(1, len(alone)))
        self._keep(slice(len(present)))
        return _log_probabilities(scores, answer, self._end_ids)

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

    def _keep(self, places: slice | list[int]) -> None:
        """Have only these places of the cache stay."""
        for layer in self._cache.layers:
            if layer.is_initialized:
                layer.keys = layer.keys[:, :, places]  # (1, heads, places, size)
                layer.values = layer.values[:, :, places]


class FusionDecoder:
    """Greedy decoding with an encoder-decoder that reads passages apart (FiD, arXiv 2007.01282), for one question.

    Each passage, with the question in it as the model was trained to read, is encoded once; its keys and values for the
    decoder are computed once too. A coalition is a mask over them, and coalitions are rows of one batch. A coalition
    of no passage reads `no_passage` alone: with nothing to attend to, the model would not be defined.

    T5 takes relative positions from the places in the list that its decoder is given, and has no argument to say them,
    so a tree cannot go through it as such. Each row verifies one path instead: the one most often seen, and where it
    leaves that for another that is in the tree, that one in the next pass. All are plain batches without padding
    before them, and a pass is of as many tokens as an answer, not as a tree, for each row.

    `end_ids` and `speculate` are as in `TreeDecoder`. Raises ModelError for a model without relative positions, as rows
    of different length go on together, and ValueError for a passage without tokens.
    """

    def __init__(
        self,
        model: Any,
        passages: Sequence[Sequence[int]],
        no_passage: Sequence[int],
        end_ids: Collection[int],
        max_tokens: int = MAX_TOKENS,
        speculate: bool = True,
    ) -> None:
        import torch
        from transformers import DynamicCache, EncoderDecoderCache

        check_relative(model)
        blocks = [*passages, no_passage]
        if not all(blocks):
            raise ValueError("a passage has no tokens")
        self.trie = Trie()
        self.spent = Spent(prompt_tokens=sum(map(len, blocks)))
        self._model = model.eval()
        self._end_ids = sorted(end_ids)
        self._max_tokens = max_tokens
        self._speculate = speculate
        self._start: int = model.generation_config.decoder_start_token_id
        self._owner = np.repeat(np.arange(len(blocks)), list(map(len, blocks)))  # the block of each encoded token
        cache = EncoderDecoderCache(DynamicCache(), DynamicCache())
        with torch.inference_mode():
            encoder = model.get_encoder()
            # One at a time: no padding, and on a processor a batch gains little.
            states = [encoder(input_ids=torch.tensor([block], device=model.device)) for block in blocks]
            self._states: Tensor = torch.cat([state.last_hidden_state for state in states], 1)  # (1, tokens, hidden)
            model(
                encoder_outputs=(self._states,),
                decoder_input_ids=torch.tensor([[self._start]], device=model.device),
                past_key_values=cache,
                use_cache=True,
            )
        self._cross: Any = cache.cross_attention_cache

    def decode(self, coalitions: ArrayLike, answer: Sequence[int] | None = None) -> list[Decoded]:
        """The greedy answer of each coalition; with `answer`, its log-probabilities too, in the same passes.

        `coalitions` are (rows, passages), true where a passage is present; about 100 rows make a good batch. Raises
        ValueError if an end token is in `answer`.
        """
        _check_answer(answer, self._end_ids)
        seen = self._seen(coalitions)
        chosen: list[dict[int, int]] = [{} for _ in seen]  # of each row: the argmax at a node of the tree
        thought: list[tuple[float, ...] | None] = [None for _ in seen]
        if answer is not None:
            scores = self._score(seen, [answer for _ in seen])
            thought = [_log_probabilities(row, answer, self._end_ids) for row in scores]
            if self._speculate:
                if self.trie.find(answer) is None:
                    self.trie.insert(answer)
                path = [0, *self.trie.path(self.trie.find(answer) or 0)]
                chosen = [dict(zip(path, best, strict=True)) for best in scores.argmax(2).tolist()]
        if len(self.trie) == 1:  # nothing to verify
            answers: list[list[int]] = [[] for _ in seen]
            unfinished = list(range(len(seen)))
            self.spent.resumed += len(seen)
        else:
            answers, unfinished = self._verify(seen, chosen)
        self._resume(seen, answers, unfinished)
        if self._speculate:
            for tokens in answers:
                self.trie.insert(tokens)
        return [Decoded(tuple(tokens), each) for tokens, each in zip(answers, thought, strict=True)]

    def log_probabilities(self, coalitions: ArrayLike, answer: Sequence[int]) -> list[tuple[float, ...]]:
        """Of each coalition: log P of each token of the answer, and that it ends there, by one pass of its own."""
        _check_answer(answer, self._end_ids)
        seen = self._seen(coalitions)
        scores = self._score(seen, [answer for _ in seen])
        return [_log_probabilities(row, answer, self._end_ids) for row in scores]

    def _seen(self, coalitions: ArrayLike) -> Tensor:
        """(rows, encoded tokens): what each coalition attends to. The last block is that of no passage."""
        import torch

        present = np.asarray(coalitions, dtype=bool)
        if present.ndim != 2 or present.shape[1] != self._owner[-1]:
            raise ValueError(f"coalitions of shape {present.shape}, but there are {self._owner[-1]} passages")
        blocks = np.column_stack([present, ~present.any(axis=1)])
        return torch.from_numpy(blocks[:, self._owner]).to(self._model.device)

    def _verify(self, seen: Tensor, chosen: list[dict[int, int]]) -> tuple[list[list[int]], list[int]]:
        """Of each row its answer as far as the tree has it, and the token behind; and which rows are to go on."""
        trie = self.trie
        nodes = [trie.walk(best, self._max_tokens) for best in chosen]
        while True:
            asked = [
                row
                for row, node in enumerate(nodes)
                if node not in chosen[row] and trie.depths[node] < self._max_tokens
            ]
            if not asked:
                break
            paths = [[0, *trie.path(trie.likeliest(nodes[row]))] for row in asked]
            scores = self._score(seen[asked], [[trie.tokens[node] for node in path[1:]] for path in paths])
            for row, path, best in zip(asked, paths, scores.argmax(2).tolist(), strict=True):
                chosen[row].update(zip(path, best, strict=False))  # a shorter path is padded
                nodes[row] = trie.walk(chosen[row], self._max_tokens)
        answers, unfinished = [trie.sequence(node) for node in nodes], []
        for row, node in enumerate(nodes):
            if len(answers[row]) == self._max_tokens or chosen[row][node] in self._end_ids:
                self.spent.accepted += 1
            else:
                self.spent.resumed += 1
                answers[row].append(chosen[row][node])
                unfinished.append(row)
        return answers, unfinished

    def _score(self, seen: Tensor, paths: Sequence[Sequence[int]]) -> Tensor:
        """(rows, tokens of the longest path + 1, vocabulary): the scores of what follows each beginning of a path."""
        longest = max(map(len, paths), default=0)
        padded = [[self._start, *path, *[self._start] * (longest - len(path))] for path in paths]
        self.spent.tree_tokens += sum(map(len, paths)) + len(paths)
        return self._pass(padded, seen)

    def _resume(self, seen: Tensor, answers: list[list[int]], rows: list[int]) -> None:
        """Decode these rows plainly from what there is of their answers, and add to it.

        Together they go on from the same place, so shorter ones are padded before: only distances matter to the model.
        """
        import torch
        from transformers import DynamicCache

        rows = [row for row in rows if len(answers[row]) < self._max_tokens]
        longest = max((len(answers[row]) for row in rows), default=0)
        tokens = [[self._start] * (longest - len(answers[row]) + 1) + answers[row] for row in rows]
        mask = torch.tensor(
            [[place >= longest - len(answers[row]) for place in range(longest + 1)] for row in rows], device=seen.device
        )
        cache = DynamicCache()
        self.spent.decoded_tokens += sum(len(answers[row]) for row in rows)
        while rows:
            self.spent.decoded_tokens += len(rows)
            best = self._pass(tokens, seen[rows], mask, cache)[:, -1].argmax(1).tolist()
            going = []
            for place, (row, token) in enumerate(zip(rows, best, strict=True)):
                if token not in self._end_ids:
                    answers[row].append(token)
                    if len(answers[row]) < self._max_tokens:
                        going.append(place)
            rows = [rows[place] for place in going]
            tokens = [[answers[row][-1]] for row in rows]
            mask = torch.cat([mask[going], mask.new_ones(len(going), 1)], 1)
            cache.batch_select_indices(torch.tensor(going, dtype=torch.long, device=seen.device))

    def _pass(self, tokens: list[list[int]], seen: Tensor, mask: Tensor | None = None, before: Any = None) -> Tensor:
        """(rows, tokens, vocabulary), float32: the scores behind each token, by one pass. Cache `before` grows by them.

        `seen` are (rows, encoded tokens), `mask` (rows, tokens with those before): what is attended to.
        """
        import torch
        from transformers import DynamicCache, EncoderDecoderCache

        rows = len(tokens)
        cross = copy.copy(self._cross)
        cross.layers = [copy.copy(layer) for layer in cross.layers]
        for layer in cross.layers:  # a view: no row has a copy of its own
            layer.keys = layer.keys.expand(rows, -1, -1, -1)  # (rows, heads, encoded tokens, size)
            layer.values = layer.values.expand(rows, -1, -1, -1)
        self.spent.passes += 1
        with torch.inference_mode():
            output = self._model(
                encoder_outputs=(self._states.expand(rows, -1, -1),),
                attention_mask=seen,
                decoder_input_ids=torch.tensor(tokens, device=seen.device),
                decoder_attention_mask=mask,
                past_key_values=EncoderDecoderCache(DynamicCache() if before is None else before, cross),
                use_cache=True,
            )
        scores: Tensor = output.logits.float()
        return scores


def check_relative(model: Any) -> None:
    """Raises ModelError for an encoder-decoder without relative positions."""
    if not hasattr(model.config, "relative_attention_num_buckets"):
        raise ModelError(f"{type(model).__name__} has no relative positions. Name a T5-like model")


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
    """So many nodes besides the root, the most often passed first; a parent stands before its children."""
    return sorted(range(1, len(tree)), key=lambda node: (-tree.seen[node], node))[:number]


def _present(prompt: Sequence[int], absent: Sequence[bool] | None) -> list[tuple[int, int]]:
    """The tokens that are attended to, with their positions. One that nothing attends to need not be computed."""
    if not prompt or (absent is not None and (len(absent) != len(prompt) or absent[-1])):
        raise ValueError("the answer goes on from the prompt's last token, which must be there and not absent")
    return [(token, place) for place, token in enumerate(prompt) if absent is None or not absent[place]]


def _shared(first: list[tuple[int, int]], second: list[tuple[int, int]]) -> int:
    """How many tokens both begin with."""
    both = zip(first, second, strict=False)
    return next((place for place, (a, b) in enumerate(both) if a != b), min(len(first), len(second)))


def _check_answer(answer: Sequence[int] | None, end_ids: Sequence[int]) -> None:
    if answer is not None and not set(end_ids).isdisjoint(answer):
        raise ValueError(f"the answer {list(answer)} holds an end token")


def _log_probabilities(scores: Tensor, answer: Sequence[int], end_ids: Sequence[int]) -> tuple[float, ...]:
    """log P of each token of the answer, and of any end token behind it. `scores`: (tokens + 1, vocabulary)."""
    logs = scores.log_softmax(1)
    said = [float(logs[place, token]) for place, token in enumerate(answer)]
    return (*said, float(logs[len(answer), list(end_ids)].logsumexp(0)))
