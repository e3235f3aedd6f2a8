"""TextTiling on words (Hearst, TextTiling: Segmenting Text into Multi-paragraph Subtopic Passages, CL 23, 1997).

A baseline. Tokens are lower-cased words without stop words; blocks of `size` token sequences of `width` words each are
compared by the cosine of their counts; the similarities are smoothed, and a boundary is where the depth of a valley is
at least mean - deviation / 2 of all valleys' depths (the paper's more conservative cutoff).
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence

from rag.read.match import STOPWORDS


def texttiling_cuts(sentences: Sequence[str], width: int = 20, size: int = 10) -> list[int]:
    """The numbers of the sentences, ascending and from 1 on, with which segments begin.

    A boundary goes to the sentence that begins nearest to it. At least three sequences lie between two boundaries, as
    in the paper.
    """
    words: list[str] = []
    starts = []
    for sentence in sentences:
        starts.append(len(words))
        words += re.findall(r"\w+", sentence.lower())
    sequences = [Counter(words[i : i + width]) for i in range(0, len(words), width)]
    for counts in sequences:
        for word in STOPWORDS & counts.keys():
            del counts[word]
    alike = _smoothed([_alike(sequences, gap, size) for gap in range(1, len(sequences))])
    depths = {gap: _rise(alike, gap, -1) + _rise(alike, gap, 1) for gap in range(len(alike)) if _is_valley(alike, gap)}
    if not depths:
        return []
    mean = sum(depths.values()) / len(depths)
    deviation = math.sqrt(sum((depth - mean) ** 2 for depth in depths.values()) / len(depths))
    gaps: list[int] = []
    for gap in sorted(depths, key=lambda gap: (-depths[gap], gap)):
        if depths[gap] >= mean - deviation / 2 and all(abs(gap - other) > 3 for other in gaps):
            gaps.append(gap)
    nearest = {min(range(len(starts)), key=lambda i: abs(starts[i] - (gap + 1) * width)) for gap in gaps}
    return sorted(nearest - {0})


def _alike(sequences: Sequence[Counter[str]], gap: int, size: int) -> float:
    """The cosine of the words in `size` sequences before and behind a gap, fewer at the ends."""
    size = min(size, gap, len(sequences) - gap)
    left = sum(sequences[gap - size : gap], Counter[str]())
    right = sum(sequences[gap : gap + size], Counter[str]())
    norm = math.sqrt(sum(n * n for n in left.values()) * sum(n * n for n in right.values()))
    # Rounded, or the same words over and over would have valleys, too.
    return round(sum(count * right[word] for word, count in left.items()) / norm, 9) if norm else 0.0


def _smoothed(values: Sequence[float]) -> list[float]:
    """Each with the mean of itself and its neighbours."""
    windows = (values[max(0, i - 1) : i + 2] for i in range(len(values)))
    return [round(sum(window) / len(window), 9) for window in windows]


def _is_valley(values: Sequence[float], at: int) -> bool:
    """Whether it falls to here and rises from here; of a level bottom the first place is the valley."""
    return at > 0 and values[at - 1] > values[at] and _rise(values, at, 1) > 0


def _rise(values: Sequence[float], at: int, step: int) -> float:
    """How far it rises from here to the next peak in one direction."""
    peak = at
    while 0 <= peak + step < len(values) and values[peak + step] >= values[peak]:
        peak += step
    return values[peak] - values[at]
