"""Greedy answers to many coalitions of one question's documents, and an answer's log-probability, at few passes.

A coalition is a question's prompt with some documents in it. What is shared between coalitions is computed once:

- causal models (tree_decoder.py): the keys and values of the prompt's beginning, if the prompt before began alike;
- encoder-decoder models (fusion_decoder.py): the encoded passages, so that a coalition is a mask over them;
- both: the answers seen so far (tries.py), which are verified and not decoded again: speculative decoding.

Each is exact: what is returned is what plain greedy decoding returns, token for token. Only rounding differs, by the
last bits of a sum: where two tokens are as likely to that many digits, either may be chosen. After TextGenSHAP
(arXiv 2312.01279), whose code decodes from the start when an answer is not in the tree; here it goes on from there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

MAX_TOKENS = 20  # of an answer, in the paper


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


def check_answer(answer: Sequence[int] | None, end_ids: Sequence[int]) -> None:
    """Raises ValueError if an end token is in the answer."""
    if answer is not None and not set(end_ids).isdisjoint(answer):
        raise ValueError(f"the answer {list(answer)} holds an end token")


def log_probabilities_of(scores: Tensor, answer: Sequence[int], end_ids: Sequence[int]) -> tuple[float, ...]:
    """log P of each token of the answer, and of any end token behind it. `scores`: (tokens + 1, vocabulary)."""
    logs = scores.log_softmax(1)
    of_tokens = [float(logs[step, token]) for step, token in enumerate(answer)]
    return (*of_tokens, float(logs[len(answer), list(end_ids)].logsumexp(0)))
