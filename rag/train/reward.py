"""The reward of EviNote-RAG (arXiv 2509.00877, the method, and code Da1yuqin/EviNoteRAG): answer, form, evidence.

The evidence quality reward (EQR) asks a judge of natural language inference whether the last note entails a gold
answer, so it is for training. Where a question is answered there is no gold: its sibling there, with the reader's own
answer, is called support (rag/read/support.py), and never EQR.

Only `open_judge` loads a model. Everything else is arithmetic on texts, for any trainer to use.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rag.errors import ModelError, not_loaded
from rag.read.marks import well_formed
from rag.read.match import best_answer_scores, normalise_answer

EXACT = 1.0
FORMAT = 0.1
JUDGE_TOKENS = 512  # premise and hypothesis together: the most that DeBERTa-v2, the paper's judge, was trained on

TAG = re.compile(r"<(/?)(search|information|summary|answer)>")
SAYS_SOMETHING = re.compile(r"\w")

Judge = Callable[[Sequence[str], Sequence[str]], Sequence[float]]  # premises, hypotheses -> P(entailment), 0..1 each


# -- the trajectory ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Trajectory:
    """What a model said on its way to an answer, in order, and what the searches brought."""

    searches: tuple[str, ...]
    informations: tuple[str, ...]
    notes: tuple[str, ...]
    answer: str | None


def parse_trajectory(text: str) -> Trajectory:
    """The parts of what stands behind the prompt: <search>, <information>, <summary> (a note) and <answer>.

    The answer is the one given most often, however it is written; of several given as often, the first. A part counts
    only if it is closed before the next begins, and if a letter or digit is in it: prompts show empty pairs of tags and
    dots between them, which models echo. Tags inside a closed <information> are what a document says, and do not count.

    >>> parse_trajectory("<search>Ada</search><summary>*Oslo*</summary><answer></answer><answer>Oslo</answer>")
    Trajectory(searches=('Ada',), informations=(), notes=('*Oslo*',), answer='Oslo')
    """
    parts: dict[str, list[str]] = {"search": [], "information": [], "summary": [], "answer": []}
    last_information = text.rfind("</information>")
    name, start = "", 0
    for tag in TAG.finditer(text):
        closes, this = bool(tag[1]), tag[2]
        if name == "information" and not (closes and this == name):
            continue
        if closes:
            if this == name and SAYS_SOMETHING.search(text, start, tag.start()):
                parts[name].append(text[start : tag.start()].strip())
            name = ""
        else:
            closed = this != "information" or tag.start() < last_information
            name, start = (this if closed else ""), tag.end()
    given = [normalise_answer(answer) for answer in parts["answer"]]
    most = Counter(given).most_common(1)  # the first of those as often
    answer = parts["answer"][given.index(most[0][0])] if most else None
    return Trajectory(tuple(parts["search"]), tuple(parts["information"]), tuple(parts["summary"]), answer)


# -- the reward --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Reward:
    """A trajectory's reward, 0..2: the sum of an answer's (0..1), its form's (0..0.1) and the evidence's (0..1)."""

    total: float
    answer: float
    format: float
    evidence_quality: float


def hypothesis(question: str, answer: str) -> str:
    """What the note is to entail, in the paper's words and punctuation; the question mark stands there once.

    >>> hypothesis("Where was Ada born?", "Oslo")
    'Oslo is the answer to the question:"Where was Ada born?"'
    """
    return f'{answer} is the answer to the question:"{question.strip().rstrip("?").rstrip()}?"'


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


# -- the judge ---------------------------------------------------------------------------------------------------------


def open_judge(model: Path | str, max_tokens: int = JUDGE_TOKENS, batch_size: int = 16) -> Judge:
    """A judge by transformers: a sequence classifier of natural language inference, by hub id or folder.

    The paper's is DeBERTa-v2-xlarge trained on MNLI (microsoft/deberta-v2-xlarge-mnli). Which output means entailment
    is read from the model's config. A pair of more than `max_tokens` is cut at the premise's end, and at the
    hypothesis's only if that alone takes up more than half. (The release has an empty text in place of any of more than
    512 characters, so that a longer note earns nothing.)

    Raises ModelError for a model that is not to be had, or has no output called entailment.
    """
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer
    from transformers.utils import logging

    logging.disable_progress_bar()
    logging.set_verbosity_error()  # what cannot be used is said below, in one line
    try:
        tokenizer: Any = AutoTokenizer.from_pretrained(model)
        classifier: Any = AutoModelForSequenceClassification.from_pretrained(model, dtype=torch.float32).eval()
    except Exception as error:  # transformers and the hub raise many kinds, and all mean: not to be had
        remedy = "Name a classifier of natural language inference: a hub id or folder that transformers can load"
        raise not_loaded(f"judge {model}", error, remedy) from error
    labels = {int(place): str(label) for place, label in classifier.config.id2label.items()}
    entailing = [place for place, label in labels.items() if label.casefold() == "entailment"]
    if len(entailing) != 1:
        raise ModelError(
            f"judge {model} has no output called entailment, but {', '.join(labels.values())}. "
            "Name a classifier of natural language inference, such as one trained on MNLI"
        )
    classifier.to("cuda" if torch.cuda.is_available() else "cpu")
    longest = getattr(classifier.config, "max_position_embeddings", max_tokens)
    room = min(max_tokens, longest, tokenizer.model_max_length)

    def judge(premises: Sequence[str], hypotheses: Sequence[str]) -> list[float]:
        """P(entailment) by softmax over the outputs, a pair at each place."""
        if len(premises) != len(hypotheses):
            raise ValueError(f"{len(premises)} premises, but {len(hypotheses)} hypotheses")
        entailments = [0.0] * len(premises)
        long = [len(tokenizer(claim)["input_ids"]) > room // 2 for claim in hypotheses]
        # Pairs that are cut alike and of like length share a batch, so little is padded.
        order = sorted(range(len(premises)), key=lambda i: (long[i], len(premises[i])))
        for cut_both in (False, True):
            some = [i for i in order if long[i] is cut_both]
            for first in range(0, len(some), batch_size):
                batch = some[first : first + batch_size]
                inputs = tokenizer(
                    [premises[i] for i in batch],
                    [hypotheses[i] for i in batch],
                    padding=True,
                    truncation="longest_first" if cut_both else "only_first",
                    max_length=room,
                    return_tensors="pt",
                ).to(classifier.device)
                with torch.inference_mode():
                    probabilities = classifier(**inputs).logits.softmax(1)[:, entailing[0]]  # (batch, labels) before
                for i, probability in zip(batch, probabilities.tolist(), strict=True):
                    entailments[i] = probability
        return entailments

    return judge
