"""How well a text is cut, and how close a title is to another: Pk, WindowDiff, F1 of boundaries, ROUGE-L.

A segmentation of n units (here 10 s of an episode each) is the set of its boundaries: how many units stand before each,
1..n-1.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection, Iterable, Sequence
from itertools import accumulate

WORD = re.compile(r"\w+")


def units_of(times: Iterable[float], first: float, last: float, unit: float = 10.0) -> tuple[int, frozenset[int]]:
    """(number of units, boundaries) of the time from `first` to `last` cut at `times`, all in seconds as is `unit`.

    A cut goes to the nearest border between units; one at the very beginning or end is none, two in one place are one.

    >>> units_of([14.0, 16.0, 30.0, 60.0], 0.0, 60.0)
    (6, frozenset({1, 2, 3}))
    """
    units = max(1, math.ceil((last - first) / unit))
    places = (math.floor((time - first) / unit + 0.5) for time in times)
    return units, frozenset(place for place in places if 0 < place < units)


def window(units: int, reference: Collection[int]) -> int:
    """Half the mean length of the reference's segments, in units, as is usual for both measures; at least 1.

    >>> window(20, {4, 12})
    3
    """
    return max(1, math.floor(units / (len(reference) + 1) / 2 + 0.5))


def pk(units: int, reference: Collection[int], found: Collection[int], k: int | None = None) -> float:
    """Pk: how often two units that are k apart are in one segment by only one of both. 0 is best; 0 if none are.

    Beeferman, Berger and Lafferty, Statistical Models for Text Segmentation, Machine Learning 34 (1999), section 5.
    k is window() by default. Every window of k gaps counts that fits, so there are units - k.

    >>> pk(6, {3}, {2}, k=2)
    0.5
    """
    return _share(units, reference, found, k, lambda ours, theirs: (ours > 0) != (theirs > 0))


def window_diff(units: int, reference: Collection[int], found: Collection[int], k: int | None = None) -> float:
    """WindowDiff: in how many windows the two have different numbers of boundaries. 0 is best; 0 without windows.

    Pevzner and Hearst, A Critique and Improvement of an Evaluation Metric for Text Segmentation, Computational
    Linguistics 28 (2002), section 4. Windows as of pk.

    >>> window_diff(6, {3}, {3, 4}, k=2)
    0.5
    """
    return _share(units, reference, found, k, lambda ours, theirs: ours != theirs)


def _share(
    units: int, reference: Collection[int], found: Collection[int], k: int | None, wrong: Callable[[int, int], bool]
) -> float:
    k = window(units, reference) if k is None else k
    windows = range(units - k)
    if not windows:
        return 0.0
    # before[i]: boundaries up to unit i, so that between i and i + k there are before[i + k] - before[i]
    ours, theirs = (
        list(accumulate((unit in cuts for unit in range(1, units)), initial=0)) for cuts in (set(reference), set(found))
    )
    return sum(wrong(ours[i + k] - ours[i], theirs[i + k] - theirs[i]) for i in windows) / len(windows)


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
