"""The command `eval precedents`."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Annotated

import typer

from eval.core.cache import default_cache
from eval.core.report import write_text
from eval.legal import precedent_ranking as evaluation
from eval.legal import precedents_report
from eval.legal.precedents_parts import SCORER_OF, open_parts, with_concepts
from rag.errors import UsageError
from ui.cli.benchmarks.eval_checks import check_out, check_run
from ui.cli.options import (
    CacheOption,
    ControlsOption,
    JsonOption,
    OutOption,
    QrelsOption,
    RetrieverOption,
    RunOption,
    SearchedSectionOption,
    SectionName,
    SectionOption,
    SeedOption,
)
from ui.cli.shared import load_settings, print_result, progress


def eval_precedents(
    cases: Annotated[list[Path], typer.Option("--cases", help="Records with itemid, title, date, text.")],
    qrels: QrelsOption,
    more: Annotated[list[Path] | None, typer.Argument(help="More files of cases.")] = None,
    section: SectionOption = SectionName.facts,
    field: SearchedSectionOption = SectionName.both,
    retriever: RetrieverOption = None,
    questions: Annotated[
        Path | None, typer.Option("--questions", help="Yes/no questions on findings: id, question, answer.")
    ] = None,
    concepts: Annotated[
        bool, typer.Option("--concepts", help="The reader names the legal concepts of the query.")
    ] = False,
    all_rows: Annotated[
        bool, typer.Option("--all", help="The whole table: every scorer and choice of sections, half an hour or more.")
    ] = False,
    seed: SeedOption = 0,
    controls: ControlsOption = True,
    run: RunOption = None,
    out: OutOption = None,
    cache: CacheOption = None,
    as_json: JsonOption = False,
) -> None:
    """Do the earlier cases found hold those that a judgment cites: one scorer by one choice of sections, beside BM25.

    Citations are blanked out in the query. Without --retriever cases are found by BM25 over whole sections, by
    learned sparse vectors of passages, and by what the best of them cite (hybrid); dense: by the vectors of passages;
    --concepts: by what the reader names, too. BM25 by the same sections is measured with or without
    --no-controls: the differences are to it.
    """
    began = time.monotonic()
    settings = load_settings()
    check_out(out)
    check_run(run)
    name = retriever.value if retriever else None
    if concepts and name:
        raise UsageError(f"--concepts --retriever {name}: concepts go with the default. Leave one of them out")
    if all_rows and not controls:
        raise UsageError("--all --no-controls: the whole table is all controls. Leave one of them out")
    scorer = "concepts" if concepts else SCORER_OF[name]
    judgments = evaluation.read_judgments([*cases, *(more or ())], settings)
    pairs = evaluation.read_pairs(qrels, judgments)
    with progress() as report, tempfile.TemporaryDirectory(prefix="glossator-") as folder:
        kept = cache or default_cache()
        parts = open_parts(judgments, name, kept, settings, report)
        if concepts:
            parts = with_concepts(parts, kept, settings.reader)
        ranking = Path(folder) / "run"
        result = evaluation.run(
            judgments, pairs, Path(folder) / "sections", settings, scorer, section.value, field.value,
            None if all_rows else (), parts, ranking, seed,
            lambda done, total, what: report("rankings", done, total, what),
        )  # fmt: skip
        for file in filter(None, (run, out and out / precedents_report.RUN)):
            write_text(file, ranking.read_text("utf-8"))
    # as for `glossator precedents`: the section is the query's
    result |= {"section": section.value, "by": field.value, "retriever": name or scorer}
    if questions is not None:
        result["findings"] = evaluation.findings(judgments, questions, seed)
    result["seconds"] = round(time.monotonic() - began, 1)
    if out is not None:
        precedents_report.write(out, f"{qrels.name}, precedents", result, judgments, pairs)
    print_result(result, as_json, precedents_report.text)
