"""How many tokens a text or a prompt has where no tokenizer is at hand, and what a chat template adds."""

from __future__ import annotations

from collections.abc import Callable, Sequence

Texts = Sequence[tuple[str, str]]  # (role, text)

TURN_TOKENS = 8  # what a chat template puts around a message: three to six with ChatML, Llama 3 and Gemma
SPARE_TOKENS = 8  # the yes or no, and where an answer that is read back is more tokens than it was when written
TITLE_CHARACTERS = 200  # of a title above sentences, which stands again in every window
PICTURE_TOKENS = 1000  # a page's width at 150 dpi: 765 to 1,300 with the models that are common now


def tokens_of(text: str) -> int:
    """Tokens of a text where its tokenizer is not at hand: three bytes each.

    That is less than English needs (about four), and about what an ideograph is; digits and emoji may be more tokens.

    >>> tokens_of("seven b"), tokens_of("")
    (3, 0)
    """
    return -(-len(text.encode()) // 3)


def prompt_tokens(messages: Sequence[tuple[str, str]], count: Callable[[str], int] = tokens_of) -> int:
    """Tokens of a whole prompt, with what a chat template puts around its messages and before the reply."""
    return sum(count(content) + TURN_TOKENS for _, content in messages) + TURN_TOKENS
