"""The reward of EviNote-RAG (arXiv 2509.00877, the method, and code Da1yuqin/EviNoteRAG): answer, form, evidence.

The evidence quality reward (EQR) asks a judge of natural language inference (rag/read/entailment.py) whether the last
note entails a gold answer, so it is for training. A question of a user has no gold answer: its counterpart there, with
the reader's own answer, is called support (rag/read/support.py), and never EQR. All is arithmetic on texts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rag.read.entailment import Judge, hypothesis
from rag.read.evinote.marks import well_formed
from rag.read.evinote.trajectory import Trajectory
from rag.read.match import best_answer_scores

EXACT = 1.0
FORMAT = 0.1


@dataclass(frozen=True, slots=True)
class Reward:
    """A trajectory's reward, 0..2: the sum of an answer's (0..1), its form's (0..0.1) and the evidence's (0..1)."""

    total: float
    answer: float
    format: float
    evidence_quality: float


def evidence_quality(question: str, gold_answers: Sequence[str], notes: Sequence[str], judge: Judge) -> list[float]:
    """The EQR of each note, 0..1: the probability that it entails the gold answer; of an empty note 0.

    Of a gold answer's aliases the best counts (the release asks for the first only). All is asked of the judge at once.
    """
    asked = [
        (place, hypothesis(question, gold)) for place, note in enumerate(notes) if note.strip() for gold in gold_answers
    ]
    entailments = judge([notes[place] for place, _ in asked], [claim for _, claim in asked]) if asked else []
    best = [0.0] * len(notes)
    for (place, _), entailment in zip(asked, entailments, strict=True):
        best[place] = max(best[place], float(entailment))
    return best


def last_note(trajectory: Trajectory) -> str:
    """The note that is scored: those before it are working memory. "" where there is none."""
    return trajectory.notes[-1] if trajectory.notes else ""


def reward(trajectory: Trajectory, gold_answers: Sequence[str], entailment: float, by_f1: bool = False) -> Reward:
    """The reward of one trajectory; `entailment` is the evidence quality of its last note.

    ======================================  =====================
    no answer, or no note                   0 + EQR
    the answer matches a gold one exactly   1 + EQR
    it does not; the marks are well formed  0.1 + EQR
    it does not; and there are no marks     0 + EQR
    ======================================  =====================

    Without a note nothing can be entailed, and EQR is 0. A match is HotpotQA's exact match with any alias. `by_f1`, the
    paper's variant, gives the F1 over words in place of 0 or 1; well-formed marks then make it 0.1 at least.
    """
    note = last_note(trajectory)
    quality = entailment if note else 0.0
    if trajectory.answer is None or not note:
        return Reward(quality, 0.0, 0.0, quality)
    exact, f1, *_ = best_answer_scores(trajectory.answer, gold_answers)
    answer = EXACT * (f1 if by_f1 and not exact else exact)
    form = max(0.0, FORMAT - answer) if well_formed(note) else 0.0
    return Reward(answer + form + quality, answer, form, quality)
