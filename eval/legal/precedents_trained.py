"""A trained encoder of cases (rag/train/precedent_training.py): what it is trained from, and what it is worth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from eval.core.bootstrap import paired_difference, summarise
from eval.core.report import table, with_interval
from eval.legal.precedent_ranking import MEASURES, masked, measure
from rag.legal.court_cases import CourtCase, Field
from rag.legal.precedents import Precedents, Scorer
from rag.library.catalogue import Library

ROWS: tuple[Scorer, ...] = ("bm25", "mean", "trained")  # the mean is what training begins from


@dataclass(frozen=True, slots=True)
class Halves:
    """The citing cases, with blanks for what they cite: those to train from, and those held out."""

    trained_on: tuple[CourtCase, ...]
    held_out: tuple[CourtCase, ...]


def halves(queries: Sequence[CourtCase]) -> Halves:
    """The later half of those with a date is held out, as in the paper: what is cited later tells nothing earlier.

    A case dated like the first of that half, or a version of a case in it, which cites alike, is in neither.
    """
    order = sorted((query for query in queries if query.date), key=lambda query: (query.date, query.case_id))
    held_out = tuple(order[len(order) // 2 :])
    numbers = {number for query in held_out for number in query.application_numbers}
    trained_on = tuple(
        query
        for query in order[: len(order) // 2]
        if query.date < held_out[0].date and numbers.isdisjoint(query.application_numbers)
    )
    return Halves(trained_on, held_out)


def citing_cases(library: Library, cases: Sequence[CourtCase]) -> list[CourtCase]:
    """The cases that cite others here, with blanks where they name them."""
    found = []
    for case in cases:
        if case.cites:
            document = library.document(case.case_id)
            assert document.case is not None
            found.append(masked(case, document.text, document.case))
    return found


def before_and_after(
    precedents: Precedents, queries: Sequence[CourtCase], asked: Field, field: Field, seed: int = 0
) -> dict[str, Any]:
    """The measures of ROWS for these queries, and what the trained pooling has more than the mean, in pairs.

    What a query cites is relevant; the search itself does not see it.
    """
    scores: dict[Scorer, list[dict[str, float]]] = {}
    for row in ROWS:
        rankings = [precedents.rank(replace(query, cites=()), asked, field, row) for query in queries]
        pairs = zip(rankings, queries, strict=True)
        scores[row] = [measure(list(ranking), set(query.cites)) for ranking, query in pairs]
    rows = {}
    for row, of_queries in scores.items():
        metrics, intervals = summarise(of_queries, seed)
        rows[row] = {"metrics": metrics, "intervals": intervals}
    more = {}
    for name in MEASURES:
        trained, mean = ([of_query[name] for of_query in scores[row]] for row in ("trained", "mean"))
        more[name] = paired_difference(trained, mean, seed).to_json()
    return {"n": len(queries), "rows": rows, "more_than_mean": more}


def text(result: Mapping[str, Any]) -> str:
    """What `before_and_after` found, for people, as Markdown."""
    if not result["n"]:
        return "No citing judgment is held out: there are too few."
    rows = [
        [name, *(with_interval(measure, row["metrics"], row["intervals"]) for measure in MEASURES)]
        for name, row in result["rows"].items()
    ]
    more = result["more_than_mean"]["AP"]
    low, high = more["interval"]
    difference = f"AP more than the mean's: {more['difference']:+.3f} [{low:+.3f}, {high:+.3f}], p {more['p']:.3f}"
    heading = f"The {result['n']} citing judgments held out"
    return "\n".join([*table([heading, *MEASURES], rows), "", difference])
