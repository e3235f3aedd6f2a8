"""Finding precedents: the cases that a judgment cites are searched for by its facts or its law among earlier ones."""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from eval.core.bootstrap import paired_difference, percentile, summarise
from eval.core.files import Record, read_records
from eval.legal.judgments import known_case
from eval.retrieval.collection import Qrels, read_qrels
from eval.retrieval.measures import Ranking, write_run
from ingest.chunk import chunk
from ingest.legal.courts import Court, court_of, read_courts
from ingest.legal.judgment import of_record
from rag.document import Case, Document, Page
from rag.errors import DataError, DocumentError, UsageError
from rag.legal.casebook import NOTHING, Parts
from rag.legal.court_cases import FIELDS, CourtCase, Field, Scores
from rag.legal.precedents import DEFAULT, SCORERS, Scorer
from rag.legal.section_index import SectionIndex
from rag.library.mentions.cited import KnownCase, KnownCases, edges
from rag.locator import part_of
from rag.read.rules.finding_question import answer, read_question
from rag.records import Passage
from rag.settings import Settings

DEPTH = 100  # cases a query, in every measure and in the run file
MEASURES = ("R@10", "R@50", "R@100", "AP", "RR")
PARTS = ("facts", "law")
VERSUS = re.compile(r"\s\[?[vc]\.?\s")
SHORTEST_NAME = 4  # characters of a party's name that is blanked out wherever it stands; below, words would go
Row = tuple[Scorer, Field, Field]  # scorer, what is asked, the section by which cases are found


@dataclass(frozen=True, slots=True)
class Judgment:
    """A case of the file as candidates and as a query: `query` has blanks where it names what it cites."""

    itemid: str
    text: str
    case: Case
    candidate: CourtCase
    query: CourtCase


# -- reading ---------------------------------------------------------------------------------------------------


def read_judgments(files: Sequence[Path], settings: Settings) -> list[Judgment]:
    """The cases of these files, in order of id, with sections, passages and citations as our own reading finds them.

    Raises DataError for a record that is no case, and for an itemid that is there twice.
    """
    records = [record for file in files for record in read_records(file)]
    cases = [known_case(record) for record in records]
    seen: set[str] = set()
    for record, case in zip(records, cases, strict=True):
        if case.key in seen:
            raise record.error(f"itemid {case.key!r:.60} is there twice")
        seen.add(case.key)
    known, courts = KnownCases(cases), read_courts()
    read = [_judgment(record, case, known, courts, settings) for record, case in zip(records, cases, strict=True)]
    return sorted(read, key=lambda judgment: judgment.itemid)


def _judgment(
    record: Record, known_as: KnownCase, known: KnownCases, courts: Mapping[str, Court], settings: Settings
) -> Judgment:
    try:
        text, case = of_record(record.fields, court_of(record.text("text"), courts))
    except DocumentError as error:
        raise record.error(str(error).rstrip(".")) from error
    parts = _parts(text, case, known_as.key, settings)
    cites = {key for edge in edges(case.citations, known_as, known) for key in edge.targets}
    found = CourtCase(known_as.key, known_as.date, known_as.application_numbers, parts, tuple(sorted(cites)))
    return Judgment(known_as.key, text, case, found, replace(masked(found, text, case), cites=()))


def masked(found: CourtCase, text: str, case: Case) -> CourtCase:
    """The case with blanks where its text names what it cites."""
    blank = without_citations(text, case)
    parts = {
        name: tuple(replace(p, text=blank[p.start : p.end]) for p in passages) for name, passages in found.parts.items()
    }
    return replace(found, parts=parts)


def _parts(text: str, case: Case, key: str, settings: Settings) -> dict[str, tuple[Passage, ...]]:
    """The passages of facts and law, cut as the library cuts a judgment."""
    document = Document(key, "legal", case.title, text, (Page(1, 0, len(text)),), case=case)
    passages = chunk(document, settings.ingest.passage_tokens, settings.ingest.overlap_tokens)
    return {name: tuple(passage for passage in passages if part_of(passage.locator) == name) for name in PARTS}


def without_citations(text: str, case: Case) -> str:
    """The text with blanks for its citations, and for the applicants it cites by their bare names.

    Otherwise a query by its reasoning would contain the answer: the names of the cases it cites. Offsets stay.
    """
    names = {VERSUS.split(citation.name)[0].strip() for citation in case.citations if citation.name}
    names = {name for name in names if len(name) > SHORTEST_NAME}
    signs = list(text)
    spans = [(citation.start, citation.end) for citation in case.citations]
    if names:
        bare = re.compile(rf"\b(?:{'|'.join(map(re.escape, sorted(names, key=len, reverse=True)))})\b")
        spans += [match.span() for match in bare.finditer(text)]
    for start, end in spans:
        signs[start:end] = (sign if sign.isspace() else " " for sign in signs[start:end])
    return "".join(signs)


def read_pairs(file: Path, judgments: Sequence[Judgment]) -> Qrels:
    """Citing case -> cases cited. Raises DataError for a case that is not in the files."""
    known = {judgment.itemid for judgment in judgments}
    qrels = read_qrels(file, known)
    if unknown := sorted(set(qrels) - known):
        raise DataError(f"{file}: query {unknown[0]!r:.60} is not among the cases. Name the qrels of these cases")
    return qrels


def dated(qrels: Qrels, judgments: Sequence[Judgment]) -> Qrels:
    """The queries whose date is known. Without it nobody can say which cases are earlier, so nothing can be measured.

    Raises DataError where there is none.
    """
    dates = {judgment.itemid: judgment.candidate.date for judgment in judgments}
    kept = {query: cited for query, cited in qrels.items() if dates[query]}
    if not kept:
        raise DataError("no query of these qrels is a case with a date. Name qrels of cases with dates")
    return kept


# -- measures --------------------------------------------------------------------------------------------------


def measure(ranking: Sequence[str], relevant: set[str] | frozenset[str]) -> dict[str, float]:
    """Recall, average precision and reciprocal rank of a query's first 100, as trec_eval has them; 0 without relevant.

    >>> round(measure(["a", "b", "c"], {"b", "c", "z"})["AP"], 4)  # (1/2 + 2/3) / 3
    0.3889
    """
    ranks = [rank for rank, key in enumerate(ranking[:DEPTH], start=1) if key in relevant]
    if not ranks:
        return dict.fromkeys(MEASURES, 0.0)
    values = {f"R@{k}": sum(rank <= k for rank in ranks) / len(relevant) for k in (10, 50, 100)}
    values["AP"] = sum(found / rank for found, rank in enumerate(ranks, start=1)) / len(relevant)
    return values | {"RR": 1 / ranks[0]}


def tuned_on(query_ids: Iterable[str]) -> frozenset[str]:
    """The half of the queries that the weights were chosen on: every second one by id, from the first."""
    return frozenset(sorted(query_ids)[::2])


# -- the whole evaluation --------------------------------------------------------------------------------------


class Remembering(SectionIndex):
    """A section index that keeps what it found: scorers ask the same of it."""

    def __init__(self, folder: Path):
        super().__init__(folder)
        self._found: dict[tuple[str, Field, tuple[str, ...]], Scores] = {}

    def search(self, text: str, field: Field, within: Sequence[str]) -> Scores:
        key = (hashlib.sha1(text.encode("utf-8", "surrogatepass")).hexdigest(), field, tuple(within))
        if key not in self._found:
            self._found[key] = super().search(text, field, within)
        return self._found[key]


def run(
    judgments: Sequence[Judgment],
    qrels: Qrels,
    folder: Path,
    settings: Settings,
    scorer: Scorer = DEFAULT,
    asked: Field = "facts",
    field: Field = "both",
    rows: Iterable[Row] | None = None,
    parts: Parts = NOTHING,
    run_file: Path | None = None,
    seed: int = 0,
    report: Callable[[int, int, str], None] = lambda done, total, what: None,
) -> dict[str, Any]:
    """The evaluation as the command line's JSON; indexes of sections are made below `folder`.

    The system is `scorer` by `asked` and `field`; `rows` are all that is compared with it (by default every scorer
    whose parts are given, every choice of sections). Each row has its paired difference to BM25 by the same sections.
    `held_out` has all of that for the half of the queries that nothing was chosen on. `undated` counts the cases
    without a date, which no query finds, and the queries without one, which are left out.
    """
    started = time.monotonic()
    given_queries, qrels = len(qrels), dated(qrels, judgments)
    for given in (asked, field):
        if given not in FIELDS:
            raise UsageError(f"--section {given}: choose one of {', '.join(FIELDS)}")
    system: Row = (scorer, asked, field)
    found, milliseconds = _ranked(judgments, qrels, folder, system, _compared(system, rows, parts), parts, report)
    if run_file is not None:
        write_run(run_file, found[system])
    scores_of = {row: _scores(rankings, qrels) for row, rankings in found.items()}
    held_out = sorted(set(qrels) - tuned_on(qrels))
    whole = _table(scores_of, sorted(qrels), seed)
    years = {judgment.itemid: judgment.candidate.date[:4] for judgment in judgments if judgment.itemid in qrels}
    return {
        "task": "precedents",
        "scorer": scorer,
        "asked": asked,
        "section": field,
        "n": len(qrels),
        "cases": len(judgments),
        "relevant": sum(len(cited) for cited in qrels.values()),
        "unreachable": _unreachable(judgments, qrels),
        "undated": {
            "cases": sum(not judgment.candidate.date for judgment in judgments),
            "queries": given_queries - len(qrels),
        },
        "seed": seed,
        **{name: whole[_name(system)][name] for name in ("metrics", "intervals")},
        "rows": whole,
        "held_out": {"n": len(held_out), "rows": _table(scores_of, held_out, seed)},
        "by_year": _by_year(scores_of[system], scores_of["bm25", asked, field], years),
        "latency_ms": {"p50": round(percentile(milliseconds, 0.5), 1), "p95": round(percentile(milliseconds, 0.95), 1)},
        "settings": settings.model_dump(mode="json"),
        "models": {
            **({"dense": settings.dense.model} if parts.vectors is not None else {}),
            **({"reader": settings.reader.model} if parts.concepts is not None else {}),
        },
        "seconds": round(time.monotonic() - started, 1),
    }


def _compared(system: Row, rows: Iterable[Row] | None, parts: Parts) -> list[Row]:
    """The system, BM25 by each choice of sections that occurs, and the other rows, each once."""
    if rows is None:
        have = {name for name in ("vectors", "pooling", "concepts") if getattr(parts, name) is not None}
        have.update(parts.nearest)
        rows = [(name, a, f) for a in FIELDS for f in FIELDS for name in SCORERS if have.issuperset(SCORERS[name])]
    rows = [system, *rows]
    return list(dict.fromkeys([system, *(("bm25", a, f) for _, a, f in rows), *rows]))


def _ranked(
    judgments: Sequence[Judgment],
    qrels: Qrels,
    folder: Path,
    system: Row,
    rows: Sequence[Row],
    parts: Parts,
    report: Callable[[int, int, str], None],
) -> tuple[dict[Row, dict[str, Ranking]], list[float]]:
    """Row -> query -> its first DEPTH cases; and the milliseconds of each of the system's queries."""
    queries = [judgment.query for judgment in judgments if judgment.itemid in qrels]
    found: dict[Row, dict[str, Ranking]] = {}
    milliseconds: list[float] = []
    sections = Remembering(folder)
    sections.build([judgment.candidate for judgment in judgments])
    sections.open()
    try:
        precedents = parts.search([j.candidate for j in judgments], sections)
        for done, row in enumerate(rows):
            report(done, len(rows), " ".join(row))
            found[row] = {}
            for query in queries:
                began = time.perf_counter()
                scores = precedents.rank(query, row[1], row[2], row[0])
                if row == system:
                    milliseconds.append((time.perf_counter() - began) * 1000)
                found[row][query.case_id] = list(scores.items())[:DEPTH]
    finally:
        sections.close()
    return found, milliseconds


def _name(row: Row) -> str:
    scorer, asked, field = row
    return f"{scorer}, {asked} to {field}"


def _scores(rankings: Mapping[str, Ranking], qrels: Qrels) -> dict[str, dict[str, float]]:
    relevant = {query: {key for key, grade in judged.items() if grade > 0} for query, judged in qrels.items()}
    return {query: measure([key for key, _ in rankings[query]], relevant[query]) for query in rankings}


def _table(
    scores_of: Mapping[Row, Mapping[str, dict[str, float]]], queries: Sequence[str], seed: int
) -> dict[str, Any]:
    """Row -> means, intervals, and what it has more than BM25 by the same sections, over these queries."""
    table: dict[str, Any] = {}
    for row, scores in scores_of.items():
        metrics, intervals = summarise([scores[query] for query in queries], seed)
        base = scores_of["bm25", row[1], row[2]]
        against = {}
        for name in MEASURES if row[0] != "bm25" else ():
            ours, theirs = ([row[q][name] for q in queries] for row in (scores, base))
            against[name] = paired_difference(ours, theirs, seed).to_json()
        table[_name(row)] = {"metrics": metrics, "intervals": intervals, "against_bm25": against}
    return table


def _unreachable(judgments: Sequence[Judgment], qrels: Qrels) -> int:
    """Relevant cases that no search with the date cut can find: of the same day, or without a date."""
    dates = {judgment.itemid: judgment.candidate.date for judgment in judgments}
    return sum(not "" < dates[key] < dates[query] for query, judged in qrels.items() for key in judged)


def _by_year(
    ours: Mapping[str, Mapping[str, float]], bm25: Mapping[str, Mapping[str, float]], years: Mapping[str, str]
) -> dict[str, Any]:
    """Year of the query -> n, our means, and BM25's."""
    found = {}
    for year in sorted(set(years.values())):
        queries = [query for query, of in years.items() if of == year]
        means = [{n: round(sum(s[q][n] for q in queries) / len(queries), 4) for n in MEASURES} for s in (ours, bm25)]
        found[year] = {"n": len(queries), "metrics": means[0], "bm25": means[1]}
    return found


# -- questions on findings -------------------------------------------------------------------------------------


def findings(judgments: Sequence[Judgment], questions: Path, seed: int = 0) -> dict[str, Any]:
    """Yes/no questions answered from the operative part of the case whose number, or whose name, they give.

    `accuracy` counts a question that is not read, or not answered, as wrong; `cited` is the share of all whose answer
    rests on items inside the operative part.
    """
    by_number: dict[str, set[str]] = {}
    for judgment in judgments:
        for number in judgment.candidate.application_numbers:
            by_number.setdefault(number, set()).add(judgment.itemid)
    cases = {judgment.itemid: judgment.case for judgment in judgments}
    scores: list[dict[str, float]] = []
    wrong = []
    for record in read_records(questions):
        text, gold = record.text("question"), record.text("answer")
        asked = read_question(text)
        meant = by_number.get(asked.application_number, set()) if asked else set()
        case = cases[min(meant)] if len(meant) == 1 else None
        found = answer(asked, case.outcome) if asked and case else None
        right = found is not None and found[0] == (gold == "yes")
        spans = found[1] if found else ()
        inside = bool(spans and case and all(case.section_at(start).kind == "operative" for start, _ in spans))
        scores.append({"read": float(asked is not None), "accuracy": float(right), "cited": float(inside)})
        if not right:
            wrong.append(record.text("id"))
    metrics, intervals = summarise(scores, seed)
    return {"task": "findings", "n": len(scores), "metrics": metrics, "intervals": intervals, "wrong": wrong}
