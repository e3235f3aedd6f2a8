"""Measures of text segmentation and of titles: Pk, WindowDiff, F1 of boundaries, ROUGE-L.

A segmentation of n units (here 10 s of an episode each) is the set of its boundaries, each the number of units before
it, 1..n-1.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterable, Sequence

WORD = re.compile(r"\w+")


def units_of(times: Iterable[float], first: float, last: float, unit: float = 10.0) -> tuple[int, frozenset[int]]:
    """(number of units, boundaries) of the time from `first` to `last` cut at `times`, all in seconds as is `unit`.

    A cut goes to the nearest border between units; one at the very beginning or end does not count, two at one border
    count once.

    >>> units_of([14.0, 16.0, 30.0, 60.0], 0.0, 60.0)
    (6, frozenset({1, 2, 3}))
    """
    units = max(1, math.ceil((last - first) / unit))
    borders = (math.floor((time - first) / unit + 0.5) for time in times)
    return units, frozenset(border for border in borders if 0 < border < units)


def window(units: int, reference: Collection[int]) -> int:
    """Half the mean length of the reference's segments, in units, as is usual for both measures; at least 1.

    >>> window(20, {4, 12})
    3
    """
    return max(1, math.floor(units / (len(reference) + 1) / 2 + 0.5))


def pk(units: int, reference: Collection[int], found: Collection[int], k: int | None = None) -> float:
    """Pk, by nltk: the share of windows whose two ends, k units apart, are in one segment by only one of both sides.

    0 is best; 0 without windows. Beeferman, Berger and Lafferty, Statistical Models for Text Segmentation, Machine
    Learning 34 (1999), section 5. k is window() by default; of `units` units there are units - k windows.

    >>> pk(6, {3}, {2}, k=2)
    0.5
    """
    from nltk.metrics.segmentation import pk as nltk_pk

    k = window(units, reference) if k is None else k
    return float(nltk_pk(_gaps(units, reference), _gaps(units, found), k)) if k < units else 0.0


def window_diff(units: int, reference: Collection[int], found: Collection[int], k: int | None = None) -> float:
    """WindowDiff, by nltk: the share of windows in which the two sides have different numbers of boundaries.

    0 is best; 0 without windows. Pevzner and Hearst, A Critique and Improvement of an Evaluation Metric for Text
    Segmentation, Computational Linguistics 28 (2002), section 4. Windows as in pk.

    >>> window_diff(6, {3}, {3, 4}, k=2)
    0.5
    """
    from nltk.metrics.segmentation import windowdiff

    k = window(units, reference) if k is None else k
    return float(windowdiff(_gaps(units, reference), _gaps(units, found), k)) if k < units else 0.0


def _gaps(units: int, boundaries: Collection[int]) -> str:
    """The gaps between units as nltk takes them, "1" where there is a boundary.

    >>> _gaps(5, {2})
    '0100'
    """
    return "".join("01"[unit in boundaries] for unit in range(1, units))


def boundary_f1(reference: Sequence[float], found: Sequence[float], tolerance: float = 30.0) -> float:
    """F1 of boundaries, in seconds, of which each meets one of the other side at most, within `tolerance`.

    Matched in order, which is a largest matching, as all have the same tolerance. 1 where neither side has any.

    >>> boundary_f1([60, 90, 300], [75, 320, 500])
    0.6666666666666666
    """
    ours, theirs = sorted(reference), sorted(found)
    i = j = matched = 0
    while i < len(ours) and j < len(theirs):
        if abs(ours[i] - theirs[j]) <= tolerance:
            matched, i, j = matched + 1, i + 1, j + 1
        elif ours[i] < theirs[j]:
            i += 1
        else:
            j += 1
    total = len(ours) + len(theirs)
    return 2 * matched / total if total else 1.0


def rouge_l(reference: str, found: str) -> float:
    """ROUGE-L F1 (Lin 2004, section 3.1, beta 1) over lower-cased words, nothing stemmed; 0 if one has none.

    >>> rouge_l("The Creation of BusyBox", "Creation and Impact of BusyBox")
    0.6666666666666666
    """
    ours, theirs = WORD.findall(reference.lower()), WORD.findall(found.lower())
    if not ours or not theirs:
        return 0.0
    longest = [0] * (len(theirs) + 1)  # of the words so far and the first j of theirs
    for word in ours:
        above = 0
        for j, other in enumerate(theirs, 1):
            above, longest[j] = longest[j], above + 1 if word == other else max(longest[j], longest[j - 1])
    return 2 * longest[-1] / (len(ours) + len(theirs))
