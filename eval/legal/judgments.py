"""How well judgments are read: section boundaries, citations and findings against those given with the cases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from eval.core.bootstrap import summarise
from eval.core.files import Record
from ingest.legal.courts import Court
from ingest.legal.judgment import of_record
from rag.document import Case
from rag.errors import DocumentError
from rag.library.mentions.cited import KnownCase, KnownCases, edges, iso_date

NEAR = 200  # characters
KINDS = ("procedure", "facts", "law", "operative", "annex")  # sections that are given by where they start


@dataclass(frozen=True, slots=True)
class Given:
    """What a record says of its case.

    Kind of section -> offset, numbers cited, the itemids of cases of the file that are cited, article -> violation.
    """

    starts: Mapping[str, int]
    cited: frozenset[str]
    cases: frozenset[str]
    outcome: Mapping[str, bool]


@dataclass(frozen=True, slots=True)
class JudgmentReading:
    """A case as it was read, beside what is given, and its scores (None where a measure does not apply)."""

    itemid: str
    text: str
    case: Case
    given: Given
    scores: Mapping[str, float | None]


def given_of(record: Record) -> Given:
    """Raises DataError naming the field that is not as in the layout of cases-a."""
    starts: dict[str, int] = {}
    for section in record.get(list, "sections"):
        if not isinstance(section, dict) or not isinstance(section.get("start"), int):
            raise record.error("sections holds something without a start")
        if section.get("section") in KINDS:
            starts.setdefault(section["section"], section["start"])
    outcome: dict[str, bool] = {}
    for finding in record.get(list, "outcome"):
        if not isinstance(finding, dict) or not isinstance(finding.get("violation"), bool):
            raise record.error("outcome holds something without a violation")
        article = finding.get("article")
        if not isinstance(article, str) or len(article.split()) < 2:
            raise record.error("outcome holds a finding without an article")
        outcome[article] = finding["violation"]
    cited = frozenset(record.get(dict, "cited_application_numbers"))
    return Given(starts, cited, frozenset(map(str, record.get(list, "cites_in_corpus"))), outcome)


def known_case(record: Record) -> KnownCase:
    """A record as a case that others may cite; its date is "" where there is none, or none that can be read."""
    numbers = tuple(map(str, record.get(list, "application_numbers")))
    date = "" if record.fields.get("date") is None else iso_date(record.get(str, "date"))
    return KnownCase(record.text("itemid"), record.text("title"), numbers, date)


def read(record: Record, court: Court, known: KnownCases) -> JudgmentReading:
    """Read one record's text and score it; `known` are the cases of the whole file. Raises DataError."""
    given = given_of(record)
    try:
        text, case = of_record(record.fields, court)
    except DocumentError as error:
        raise record.error(str(error).rstrip(".")) from error
    scores = boundary_scores(starts_of(case), given.starts)
    scores |= set_scores("cited", cited_by(case), given.cited)
    itemid = record.text("itemid")
    targets = {key for edge in edges(case.citations, known.cases[itemid], known) for key in edge.targets}
    scores |= set_scores("edges", targets, given.cases)
    scores |= set_scores("outcome", set(decided(case).items()), set(given.outcome.items()))
    scores["outcome_agreement"] = agreement(decided(case), given.outcome)
    return JudgmentReading(itemid, text, case, given, scores)


def starts_of(case: Case) -> dict[str, int]:
    """Where each kind of section first starts; an annex is whatever stands behind the operative part."""
    starts: dict[str, int] = {}
    for section in case.sections:
        starts.setdefault("annex" if section.kind == "opinion" else section.kind, section.start)
    return starts


def cited_by(case: Case) -> set[str]:
    """The numbers of other cases that are cited."""
    numbers = {number for citation in case.citations for number in citation.application_numbers}
    return numbers - set(case.application_numbers)


def decided(case: Case) -> dict[str, bool]:
    """Article -> violation, without the mixed ones, which are not given."""
    return {found.article: found.violation for found in case.outcome if found.violation is not None}


def boundary_scores(found: Mapping[str, int], given: Mapping[str, int]) -> dict[str, float | None]:
    """The share of the given starts found exactly, or within 200 characters; the share of found ones that are given."""
    off = {kind: abs(found[kind] - start) if kind in found else None for kind, start in given.items()}
    scores: dict[str, float | None] = {}
    for name, reach in (("exact", 0), (f"within_{NEAR}", NEAR)):
        hits = {kind: float(distance is not None and distance <= reach) for kind, distance in off.items()}
        scores[f"boundary_{name}"] = sum(hits.values()) / len(hits) if hits else None
        scores |= {f"boundary_{name}/{kind}": hits.get(kind) for kind in KINDS}
    ours = [kind for kind in found if kind in KINDS]
    near = [kind for kind in ours if kind in given and abs(found[kind] - given[kind]) <= NEAR]
    scores["boundary_precision"] = len(near) / len(ours) if ours else None
    return scores


def set_scores(name: str, found: set[Any], given: set[Any] | frozenset[Any]) -> dict[str, float | None]:
    """Precision where anything was found, recall where anything is given.

    >>> set_scores("cited", {"1/01", "2/01"}, {"1/01"})
    {'cited_precision': 0.5, 'cited_recall': 1.0}
    """
    right = len(found & given)
    return {
        f"{name}_precision": right / len(found) if found else None,
        f"{name}_recall": right / len(given) if given else None,
    }


def agreement(found: Mapping[str, bool], given: Mapping[str, bool]) -> float | None:
    """The share of the findings given that were found under an article of the same number.

    The given ones leave off protocols and old forms of paragraphs: "Article 1" may be Article 1 of Protocol No. 1.

    >>> agreement({"Article 1 of Protocol No. 1": True, "Article 8": True}, {"Article 1": True, "Article 8": False})
    0.5
    """
    ours = {(article.split()[1], violation) for article, violation in found.items()}
    right = sum((article.split()[1], violation) in ours for article, violation in given.items())
    return right / len(given) if given else None


def result_json(readings: Sequence[JudgmentReading]) -> dict[str, Any]:
    """Means over cases with 95 % bootstrap intervals; `pooled` counts citations and findings over all cases."""
    metrics, intervals = summarise([reading.scores for reading in readings])
    pairs: dict[str, list[tuple[set[Any], set[Any]]]] = {
        "cited": [(cited_by(reading.case), set(reading.given.cited)) for reading in readings],
        "outcome": [(set(decided(r.case).items()), set(r.given.outcome.items())) for r in readings],
    }
    pooled = {
        name: {
            "found": sum(len(found) for found, _ in of_cases),
            "given": sum(len(given) for _, given in of_cases),
            "right": sum(len(found & given) for found, given in of_cases),
        }
        for name, of_cases in pairs.items()
    }
    return {"n": len(readings), "metrics": metrics, "intervals": intervals, "pooled": pooled}


def halves(records: Sequence[Record], court: Court) -> dict[str, Any]:
    """The patterns were tuned on the first half of the file, by order: the second half is the test."""
    middle = len(records) // 2
    known = KnownCases(map(known_case, records))
    parts = {"tuned on": records[:middle], "test": records[middle:]}
    return {name: result_json([read(record, court, known) for record in part]) for name, part in parts.items()}
