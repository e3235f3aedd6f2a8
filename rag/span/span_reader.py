"""From the scores of windows to one answer over all passages, its probability, and that of "not here".

A candidate is a span of some passage, yes, or no. Its score is that of its heads less the null score of its window, so
that "not here" scores 0 in every window and is one candidate for all passages together. The probabilities are a softmax
over all candidates of all passages (the shared normalisation of Clark and Gardner 2018, section 3.2), the null score as
in Devlin et al. 2019, section 4.3. A passage that says nothing about the question thus changes next to nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from rag.span.span_model import SpanModel, WindowScores
from rag.span.windows import PassageText, Window

Kind = Literal["span", "yes", "no", "not here"]
LEAST = 0.001  # least probability of a candidate in `likely`
MOST = 50  # spans of one window in `likely`
ABSTAIN = 0.5  # probability of "not here" from which there is no answer


@dataclass(frozen=True, slots=True)
class SpanAnswer:
    """The answer to a question: `text` is "" for "not here".

    `passage` is the index of the passage that it comes from, None for "not here"; a span is text[start:end] there, and
    of any other kind both are 0. `probability`: of this answer. `not_here`: that no passage has any. `relevance`: of
    each passage, that it serves the question. `likely`: the texts of all candidates of at least LEAST, each with its
    probability. All of these are 0..1.
    """

    kind: Kind
    text: str
    passage: int | None
    start: int
    end: int
    probability: float
    not_here: float
    relevance: tuple[float, ...]
    likely: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, slots=True)
class _Candidate:
    score: float
    passage: int
    start: int = 0
    end: int = 0


def read_span(model: SpanModel, question: str, passages: Sequence[PassageText]) -> SpanAnswer:
    """The best answer to a question over all passages. The order of the passages makes no difference.

    An empty question, empty passages and no passages have an answer, too: without a candidate it is "not here".
    """
    return read_spans(model, [(question, passages)])[0]


def read_spans(model: SpanModel, asked: Sequence[tuple[str, Sequence[PassageText]]]) -> list[SpanAnswer]:
    """As read_span for several questions with their passages, whose windows share batches."""
    windows = [model.tokenizer.windows(question, passages) for question, passages in asked]
    scores = iter(model.scores([window for subset in windows for window in subset]))
    return [
        decode(passages, subset, [next(scores) for _ in subset], model.tokenizer.sizes.answer)
        for (_, passages), subset in zip(asked, windows, strict=True)
    ]


def decode(
    passages: Sequence[PassageText], windows: Sequence[Window], scores: Sequence[WindowScores], longest: int
) -> SpanAnswer:
    """The best answer over the windows of a question's passages; spans have at most `longest` tokens.

    There is none where "not here" has a probability of ABSTAIN or more. Else the likeliest answer wins: a span, or yes
    or no, which are each one answer for all windows. (All spans together against yes and no: F1 .018 [.004, .035] less
    on 260 questions of HotpotQA's dev-extra, which are reported nowhere.)
    """
    best: dict[Kind, _Candidate] = {}
    masses: dict[Kind, list[float]] = {"span": [], "yes": [], "no": []}
    relevance = [-np.inf] * len(passages)
    spans: list[_Candidate] = []
    for window, score in zip(windows, scores, strict=True):
        relevance[window.passage] = max(relevance[window.passage], score.relevance)
        yes, no = score.yes - score.not_here, score.no - score.not_here
        _add(best, masses, "yes", _Candidate(yes, window.passage), yes)
        _add(best, masses, "no", _Candidate(no, window.passage), no)
        pairs = span_scores(window, score, longest) - score.not_here
        if np.isfinite(top := pairs.max(initial=-np.inf)):
            first, last = np.unravel_index(int(pairs.argmax()), pairs.shape)
            start, end = int(window.offsets[first, 0]), int(window.offsets[last, 1])
            mass = float(top + np.log(np.exp(pairs - top).sum()))
            _add(best, masses, "span", _Candidate(float(top), window.passage, start, end), mass)
            spans += _highest(window, pairs)
    totals = {kind: _log_sum(values) for kind, values in masses.items()}
    whole = _log_sum([0.0, *totals.values()])
    not_here = float(np.exp(-whole))
    likely = tuple(
        (text, probability)
        for text, score in [
            *((passages[span.passage].text[span.start : span.end], span.score) for span in spans),
            *((kind, totals[kind]) for kind in ("yes", "no")),
        ]
        if (probability := float(np.exp(score - whole))) >= LEAST
    )
    relevant = tuple(float(1 / (1 + np.exp(-np.clip(value, -50, 50)))) for value in relevance)
    if not_here >= ABSTAIN:
        return SpanAnswer("not here", "", None, 0, 0, not_here, not_here, relevant, likely)
    likelihood = {kind: best[kind].score if kind == "span" else totals[kind] for kind in best}
    kind = max(likelihood, key=lambda name: likelihood[name])
    chosen = best[kind]
    text = passages[chosen.passage].text[chosen.start : chosen.end] if kind == "span" else kind
    probability = float(np.exp(likelihood[kind] - whole))
    return SpanAnswer(
        kind, text, chosen.passage, chosen.start, chosen.end, probability, not_here, relevant, likely
    )  # fmt: skip


def span_scores(window: Window, score: WindowScores, longest: int) -> NDArray[np.float64]:
    """Start plus end score of each span (first token, last token): (tokens, tokens), -inf where there is none."""
    tokens = np.arange(len(window.ids))
    apart = tokens[None, :] - tokens[:, None]
    allowed = window.begins[:, None] & window.ends[None, :] & (apart >= 0) & (apart < longest)
    summed = score.starts[:, None].astype(np.float64) + score.ends[None, :]
    return np.where(allowed, summed, -np.inf)


def _highest(window: Window, pairs: NDArray[np.float64]) -> list[_Candidate]:
    """The MOST spans of a window with the highest scores."""
    flat = pairs.ravel()
    kept = np.argpartition(-flat, MOST)[:MOST] if len(flat) > MOST else np.arange(len(flat))
    return [
        _Candidate(
            float(flat[place]),
            window.passage,
            int(window.offsets[place // len(window.ids), 0]),
            int(window.offsets[place % len(window.ids), 1]),
        )
        for place in kept
        if np.isfinite(flat[place])
    ]


def _add(
    best: dict[Kind, _Candidate], masses: dict[Kind, list[float]], kind: Kind, candidate: _Candidate, mass: float
) -> None:
    masses[kind].append(mass)
    if kind not in best or candidate.score > best[kind].score:
        best[kind] = candidate


def _log_sum(values: Sequence[float]) -> float:
    """log(sum(exp(values))), the same in any order of the values; -inf of none."""
    ordered = np.sort(np.asarray(values, dtype=np.float64))
    if not len(ordered) or not np.isfinite(ordered[-1]):
        return -np.inf
    return float(ordered[-1] + np.log(np.exp(ordered - ordered[-1]).sum()))
