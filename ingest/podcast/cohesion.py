"""Where the subject of a transcript changes: at questions that get long answers, and where its vectors part.

Local evidence for a chapter at each sentence is weighed against how long chapters are: the best of all ways to cut, by
dynamic programming (a semi-Markov chain, as Utiyama and Isahara 2001 cut texts). The evidence is the depth of the
valley between the vectors of the sentences before and after (TextTiling, Hearst 1997), the turns of speakers, and the
pauses before them (before any sentence, where no speakers are known, as in a recording).

The weights are round numbers chosen on three episodes (bart-decrem, bruce-perens, cat-allman) and on stitched ones;
eval/log.md has what else was tried.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from ingest.podcast.keyphrases import Likeness
from rag.document import Document, Utterance
from rag.protocols import DenseEncoder, Report, silent

TURN = 1.0  # what a new speaker is worth, in nats
QUESTION = 3.0  # a short turn with a question at its end, which gets a long answer
DEPTH = 1.0  # a valley of one standard deviation
PAUSE = 1.0  # a pause of one standard deviation, of log(1 + seconds)
LONGEST_PAUSE = 10.0  # seconds: a longer one counts no more
BOUNDARY = 2.0  # what each boundary costs
SPAN = 60.0  # seconds before and behind a sentence whose vectors are compared
AROUND = 600.0  # seconds before and behind, whose mean similarity a valley is measured against
SHORT_TURN, LONG_ANSWER = 80, 60  # words: a question's turn at most, its answer's at least
# An episode of T seconds has about sqrt(T) / USUAL chapters: who makes a list writes some twenty lines, of one hour or
# of three. The lengths are log-normal about USUAL sqrt(T) seconds with the deviation SPREAD.
USUAL = 3.0
SPREAD = 0.7
LONGEST = 4.0  # of a chapter, times the usual
MOST_SENTENCES = 2_000  # of a chapter, twice the longest of ten hours: time would be quadratic if all had one second
SHORTEST = 20.0  # seconds, of a chapter if it can be helped
FULL = 40  # words: a longer sentence counts no more in its window than one so long
WHOLE = 0.5  # of a phrase's likeness to the episode that does not count for it as a chapter's title
BATCH = 512  # sentences encoded at a time


class SentenceVectors:
    """The vectors of an episode's sentences, as running sums, so that any stretch of it has one, too.

    `words` (n,) are the sentences' lengths; `sums` (n + 1, d) has the sum of the first i vectors, each weighted by its
    words up to FULL. `report` counts the sentences encoded.
    """

    def __init__(self, document: Document, encoder: DenseEncoder, report: Report = silent):
        self.document = document
        self.utterances: Sequence[Utterance] = document.episode.utterances if document.episode else ()
        self.words = np.array([len(document.text[u.start : u.end].split()) for u in self.utterances], dtype=np.int_)
        self.sums = self._running_sums(encoder, report)
        self._encoder = encoder

    def likeness(self, first: int, behind: int) -> Likeness:
        """A function of texts that returns (count,): the cosine of each with sentences `first` to `behind`, less WHOLE
        times its cosine with the episode: what only this chapter is about."""
        about, all_of_it = _unit(np.stack([self.sums[behind] - self.sums[first], self.sums[-1]]))
        towards = about - WHOLE * all_of_it
        return lambda texts: self._encoder.encode(texts) @ towards

    def _running_sums(self, encoder: DenseEncoder, report: Report) -> NDArray[np.float32]:
        """(n + 1, d), encoded in batches of BATCH sentences."""
        sums: NDArray[np.float32] = np.zeros((1, 0), dtype=np.float32)
        total: NDArray[np.float64] | float = 0.0
        n = len(self.utterances)
        for first in range(0, n, BATCH):
            batch = self.utterances[first : first + BATCH]
            vectors = encoder.encode([self.document.text[u.start : u.end] for u in batch])
            if not first:
                sums = np.zeros((n + 1, vectors.shape[1]), dtype=np.float32)
            weights = np.minimum(self.words[first : first + len(batch)], FULL)
            added = total + np.cumsum(vectors.astype(np.float64) * weights[:, None], axis=0)
            sums[first + 1 : first + len(batch) + 1] = added
            total = added[-1]
            report("sentences", first + len(batch), n)
        return sums


def cohesion_cuts(vectors: SentenceVectors) -> list[int]:
    """The numbers of the sentences with which chapters begin, ascending, the first is 0; [] without sentences.

    Time grows with the sentences times those of the longest possible chapter, MOST_SENTENCES at most; memory is their
    vectors.
    """
    utterances = vectors.utterances
    if not utterances:
        return []
    seconds = np.array([u.start_seconds for u in utterances])
    turns = _turns(vectors.document.text, utterances, vectors.words)
    evidence = DEPTH * _depths(vectors.sums, seconds) + turns + PAUSE * _pauses(utterances)
    return best_cuts(seconds, utterances[-1].end_seconds, evidence - BOUNDARY)


def best_cuts(seconds: NDArray[np.float64], end: float, evidence: NDArray[np.float64]) -> list[int]:
    """The cuts with the largest sum of evidence (n,) of boundaries and log-likelihoods of lengths; exact, of chapters
    of up to MOST_SENTENCES.

    `seconds` (n,) are those of the sentences, ascending, `end` is that of the last one's end.

    >>> best_cuts(np.arange(0.0, 300, 10), 300.0, np.where(np.arange(30) == 20, 3.0, -3.0))
    [0, 20]
    """
    n = len(seconds)
    borders = np.append(seconds, max(end, seconds[-1]))
    usual = USUAL * np.sqrt(max(1.0, borders[-1] - borders[0]))
    worth = np.append(evidence, 0.0)
    best = np.zeros(n + 1)
    before = np.zeros(n + 1, dtype=np.intp)
    here = np.arange(n + 1)
    earliest = np.searchsorted(borders, borders - LONGEST * usual)
    earliest = np.minimum(np.maximum(earliest, here - MOST_SENTENCES), here - 1).clip(min=0)
    for j in range(1, n + 1):
        i = earliest[j]
        lengths = borders[j] - borders[i:j]
        likely = -0.5 * (np.log(np.maximum(lengths, 1.0) / usual) / SPREAD) ** 2
        likely[lengths < SHORTEST] -= 50.0  # only where nothing else is possible
        totals = best[i:j] + likely
        chosen = int(totals.argmax())
        best[j], before[j] = totals[chosen] + worth[j], i + chosen
    cuts = []
    j = n
    while j:
        j = int(before[j])
        cuts.append(j)
    return cuts[::-1]


def _depths(sums: NDArray[np.float32], seconds: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n,) in standard deviations: how much less similar SPAN seconds before and after are than the mean around."""
    n = len(seconds)
    here = np.arange(n)
    left = _unit(sums[here] - sums[np.searchsorted(seconds, seconds - SPAN)])
    right = _unit(sums[np.searchsorted(seconds, seconds + SPAN)] - sums[here])
    alike = np.einsum("ij,ij->i", left, right).astype(np.float64)
    alike[0] = 1.0  # nothing is before it
    running = np.append(0.0, np.cumsum(alike))
    first = np.searchsorted(seconds, seconds - AROUND, side="right").clip(max=here)
    last = np.searchsorted(seconds, seconds + AROUND).clip(min=here + 1)
    usual = (running[last] - running[first]) / (last - first)
    depths: NDArray[np.float64] = (usual - alike) / (alike.std() + 1e-9)
    return depths


def _unit(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    unit: NDArray[np.float32] = rows / np.linalg.norm(rows, axis=1, keepdims=True).clip(min=1e-9)
    return unit


def _turns(text: str, utterances: Sequence[Utterance], words: NDArray[np.int_]) -> NDArray[np.float64]:
    """(n,): the evidence for a chapter at each sentence that begins a turn; 0 elsewhere.

    A question may be the turn's last sentence or the last but one ("What was it like? I mean the work.").
    """
    n = len(utterances)
    begins = [0, *(i for i in range(1, n) if utterances[i].speaker != utterances[i - 1].speaker), n]
    lengths = [int(words[a:b].sum()) for a, b in pairwise(begins)]
    worth = np.zeros(n)
    for turn in range(1, len(lengths)):
        first, behind = begins[turn], begins[turn + 1]
        asks = any(
            sign in text[utterances[max(first, behind - 2)].start : utterances[behind - 1].end] for sign in "?？؟"
        )
        answered = turn + 1 < len(lengths) and lengths[turn + 1] >= LONG_ANSWER
        worth[first] = TURN + QUESTION * (asks and answered and lengths[turn] <= SHORT_TURN)
    return worth


def _pauses(utterances: Sequence[Utterance]) -> NDArray[np.float64]:
    """(n,) in standard deviations: how long nothing is said before each sentence that begins a turn; 0 elsewhere. Where
    no turns are known, any sentence may begin one."""
    begins = np.array([a.speaker != b.speaker for a, b in pairwise([utterances[0], *utterances])])
    gaps = [b.start_seconds - a.end_seconds for a, b in pairwise(utterances)]
    lengths = np.log1p(np.clip([0.0, *gaps], 0.0, LONGEST_PAUSE))
    pauses: NDArray[np.float64] = (lengths - lengths.mean()) / (lengths.std() + 1e-9)
    return np.where(begins, pauses, 0.0) if begins.any() else pauses
