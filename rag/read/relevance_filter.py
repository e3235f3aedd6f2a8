"""The evidence filter: passages that have little to do with the question, or with each other, are looked at again.

After I³C (identify and ignore irrelevant conditions; arXiv 2403.12744): a condition is a candidate if its mean cosine
to the other conditions, or its cosine to the question, is below a threshold; then the model is asked about the
candidates, here about all of them at once. What is ignored stays in the evidence and is shown with the reason; only the
reader that answers does not get it. The paper's threshold is for SimCSE's vectors of sentences, ours for MiniLM's of
passages.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from rag.llm.chat import ChatModel, Usage
from rag.protocols import DenseEncoder
from rag.read.prompts import needed_messages
from rag.records import Hit

REPLY_TOKENS = 24


def candidates(question: NDArray[np.float32], passages: NDArray[np.float32], threshold: float) -> dict[int, str]:
    """Which passages are weakly related, and to what: place -> "to the question (0.21)".

    Unit vectors in: of the question (dimensions,), of the passages (n, dimensions). A single passage has no others.
    """
    to_question = passages @ question
    weak = {i: f"to the question ({value:.2f})" for i, value in enumerate(to_question.tolist()) if value < threshold}
    count = len(passages)
    if count > 1:
        to_others = (passages @ passages.T).sum(axis=1) - 1.0
        for i, value in enumerate((to_others / (count - 1)).tolist()):
            if value < threshold and i not in weak:
                weak[i] = f"to the other passages ({value:.2f})"
    return weak


def filter_passages(
    reader: ChatModel, encoder: DenseEncoder, question: str, evidence: Sequence[Hit], threshold: float, usage: Usage
) -> list[Hit]:
    """The evidence in its order, what is to be ignored with its reason in `ignored`; never all of it.

    One call of the reader, and none where nothing is weakly related. Raises ReaderError.
    """
    vectors = encoder.encode([question, *(hit.passage.searched for hit in evidence)])
    weak = candidates(vectors[0], vectors[1:], threshold)
    if not weak:
        return list(evidence)
    asked = [evidence[i] for i in sorted(weak)]
    reply = "".join(reader.stream(needed_messages(question, asked), REPLY_TOKENS, usage))
    needed = {int(number) for number in re.findall(r"\d+", reply)}
    sifted = [
        replace(hit, ignored=f"weakly related {weak[i]}, and the reader does not need it")
        if i in weak and hit.rank not in needed
        else hit
        for i, hit in enumerate(evidence)
    ]
    return sifted if any(not hit.ignored for hit in sifted) else list(evidence)
