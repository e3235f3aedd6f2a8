"""Claims, each with a text that supports it, refutes it, or leaves it open: what the support head learns from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rag.span.claim_support import VERDICTS, Verdict
from rag.span.span_model import padded
from rag.span.windows import PairTokenizer, PassageText, Window
from rag.train.reading.reading_questions import is_drawn

if TYPE_CHECKING:
    from torch import Tensor

    from rag.train.reading.reading_student import ReadingStudent


@dataclass(frozen=True, slots=True)
class LabelledClaim:
    """A claim and what a text says of it. `binary`: "unknown" stands for all that is not supported."""

    id: str
    source: str
    claim: str
    text: str
    verdict: Verdict
    binary: bool = False


def split_claims(claims: Sequence[LabelledClaim]) -> tuple[list[LabelledClaim], list[LabelledClaim]]:
    """Those to learn from, and those held out: of one text of ten, by its hash, the same in all files."""
    learnt, held = list[LabelledClaim](), list[LabelledClaim]()
    for claim in claims:
        (held if is_held_out_claim(claim) else learnt).append(claim)
    return learnt, held


def is_held_out_claim(claim: LabelledClaim) -> bool:
    """Whether its text is one of those that no training learns from."""
    return is_drawn(claim.text)


def fitting_claims(claims: Sequence[LabelledClaim], tokenizer: PairTokenizer) -> list[LabelledClaim]:
    """The claims whose text is read in one window: of a longer one no window alone decides."""
    return [claim for claim in claims if len(_windows(claim, tokenizer)) == 1]


def claim_loss(claims: Sequence[LabelledClaim], student: ReadingStudent, half: bool) -> Tensor:
    """The mean of -log P(verdict); of a binary claim that is not supported, -log(1 - P(supports)).

    Only the first window of a text is read (see fitting_claims).
    """
    import torch

    windows = [_windows(claim, student.tokenizer)[0] for claim in claims]
    with torch.autocast("cpu", torch.bfloat16, enabled=half):
        *_, outputs = student.outputs(*map(torch.from_numpy, padded(windows)))
    logs = outputs.float().log_softmax(1)
    supported = VERDICTS.index("supports")
    others = torch.tensor([i for i in range(len(VERDICTS)) if i != supported])
    unsupported = logs[:, others].logsumexp(1)
    losses = [
        unsupported[row] if claim.binary and claim.verdict != "supports" else logs[row, VERDICTS.index(claim.verdict)]
        for row, claim in enumerate(claims)
    ]
    return -torch.stack(losses).mean()


def _windows(claim: LabelledClaim, tokenizer: PairTokenizer) -> list[Window]:
    return tokenizer.windows(claim.claim, [PassageText("", claim.text)])
