"""Greedy decoding with an encoder-decoder that reads passages apart, which are encoded once (see decode.py)."""

from __future__ import annotations

import copy
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from rag.errors import ModelError
from rag.llm.decode import MAX_TOKENS, Decoded, Spent, check_answer, log_probabilities_of
from rag.llm.tries import Trie

if TYPE_CHECKING:
    from torch import Tensor


class FusionDecoder:
    """Greedy decoding with an encoder-decoder that reads passages apart (FiD, arXiv 2007.01282), for one question.

    Each passage, with the question in it as the model was trained to read, is encoded once; its keys and values for the
    decoder are computed once too. A coalition is a mask over them, and coalitions are rows of one batch. A coalition
    of no passage reads `no_passage` alone: with nothing to attend to, the model would not be defined.

    T5 takes relative positions from the offsets in the list that its decoder is given, and has no argument to say them,
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
        check_answer(answer, self._end_ids)
        seen = self._seen(coalitions)
        chosen: list[dict[int, int]] = [{} for _ in seen]  # of each row: the argmax at a node of the tree
        given: list[tuple[float, ...] | None] = [None for _ in seen]
        if answer is not None:
            scores = self._score(seen, [answer for _ in seen])
            given = [log_probabilities_of(row, answer, self._end_ids) for row in scores]
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
        return [Decoded(tuple(tokens), each) for tokens, each in zip(answers, given, strict=True)]

    def log_probabilities(self, coalitions: ArrayLike, answer: Sequence[int]) -> list[tuple[float, ...]]:
        """Of each coalition: log P of each token of the answer, and that it ends there, by one pass of its own."""
        check_answer(answer, self._end_ids)
        seen = self._seen(coalitions)
        scores = self._score(seen, [answer for _ in seen])
        return [log_probabilities_of(row, answer, self._end_ids) for row in scores]

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

        They go on from one position together, so shorter ones are padded before: only distances matter to the model.
        """
        import torch
        from transformers import DynamicCache

        rows = [row for row in rows if len(answers[row]) < self._max_tokens]
        longest = max((len(answers[row]) for row in rows), default=0)
        tokens = [[self._start] * (longest - len(answers[row]) + 1) + answers[row] for row in rows]
        mask = torch.tensor(
            [[at >= longest - len(answers[row]) for at in range(longest + 1)] for row in rows], device=seen.device
        )
        cache = DynamicCache()
        self.spent.decoded_tokens += sum(len(answers[row]) for row in rows)
        while rows:
            self.spent.decoded_tokens += len(rows)
            best = self._pass(tokens, seen[rows], mask, cache)[:, -1].argmax(1).tolist()
            going = []
            for index, (row, token) in enumerate(zip(rows, best, strict=True)):
                if token not in self._end_ids:
                    answers[row].append(token)
                    if len(answers[row]) < self._max_tokens:
                        going.append(index)
            rows = [rows[index] for index in going]
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
