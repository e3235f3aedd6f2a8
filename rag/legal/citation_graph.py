"""The citation graph among judgments: who cites whom, and what the best of a ranking lead to."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

from rag.legal.court_cases import CourtCase, Scores
from rag.retrieve.fuse import minmax_fusion

DAMPING = 2  # citing cases that every case is taken to have besides


def citations_among(cases: Sequence[CourtCase]) -> dict[str, frozenset[str]]:
    """Case id -> those of `cases` that it cites, and no others; none that is dated later, or the same day.

    Given the candidates of a query, this has no edge of the query's own case, in any version, nor any later one.
    """
    dates = {case.case_id: case.date for case in cases}
    return {
        case.case_id: frozenset(
            cited
            for cited in case.cites
            if cited in dates and cited != case.case_id and not (case.date and "" < case.date <= dates[cited])
        )
        for case in cases
    }


def expand(first: Mapping[str, float], cites: Mapping[str, frozenset[str]], best: int) -> tuple[Scores, Scores]:
    """(how much the best of a ranking cite each case, how much it is cited together with them).

    The best count as the squares of their min-max normalised scores, 0..1. Citations of what is cited often say less:
    they count 1 / sqrt(2 + how many cite it). Co-citation (Small 1973) is the cosine of the sets of cases that cite
    either.

    >>> expand({"a": 2.0, "b": 1.0}, {"a": frozenset({"c"}), "b": frozenset(), "c": frozenset()}, best=1)
    ({'c': 0.5773502691896258}, {})
    """
    citing: dict[str, set[str]] = defaultdict(set)
    for case_id, targets in cites.items():
        for target in targets:
            citing[target].add(case_id)
    cited: dict[str, float] = defaultdict(float)
    together: dict[str, float] = defaultdict(float)
    for case_id, score_norm in list(minmax_fusion([first], [1.0]).items())[:best]:
        if score_norm <= 0:
            continue
        for target in cites.get(case_id, ()):
            cited[target] += score_norm**2 / math.sqrt(DAMPING + len(citing[target]))
        shared = Counter(target for other in citing.get(case_id, ()) for target in cites[other] if target != case_id)
        for target, count in shared.items():
            together[target] += score_norm**2 * count / math.sqrt(len(citing[case_id]) * len(citing[target]))
    return best_first(cited), best_first(together)


def best_first(scores: Mapping[str, float]) -> Scores:
    """The scores by descending score, ties by id."""
    return dict(sorted(scores.items(), key=lambda entry: (-entry[1], entry[0])))
