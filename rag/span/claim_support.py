"""Whether a text supports a claim, by the reading model's support head. An estimate, not a proof.

The claim is read where a question stands, the text where a passage does, as in natural language inference with BERT
(Devlin et al. 2019, section 4.1). A text of several windows supports a claim as far as its best window does.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np

from rag.span.span_model import SpanModel
from rag.span.windows import PassageText

Verdict = Literal["supports", "refutes", "unknown"]
VERDICTS: tuple[Verdict, ...] = get_args(Verdict)  # the outputs of the head, in order


def verdicts(model: SpanModel, claims: Sequence[str], texts: Sequence[str]) -> list[dict[Verdict, float]]:
    """The probability of each verdict on each claim by the text at its place; they sum to 1.

    Of several windows the one with the highest P(supports) counts. Raises ModelError for weights that are no numbers.
    """
    windows = [
        (pair, window)
        for pair, (claim, text) in enumerate(zip(claims, texts, strict=True))
        for window in model.tokenizer.windows(claim, [PassageText("", text)])
    ]
    found: dict[int, dict[Verdict, float]] = {}
    for (pair, _), logits in zip(windows, model.support_scores([window for _, window in windows]), strict=True):
        shares = np.exp(logits - logits.max())
        shares /= shares.sum()
        said = dict(zip(VERDICTS, map(float, shares), strict=True))
        if pair not in found or said["supports"] > found[pair]["supports"]:
            found[pair] = said
    return [found[pair] for pair in range(len(claims))]
