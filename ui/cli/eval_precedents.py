"""The command `eval precedents`, beside those of evaluation.py."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Annotated

import typer

from rag.errors import UsageError
from ui.cli.eval_commands import ControlsOption, OutOption, SeedOption, check_out, eval_app
from ui.cli.shared import (
    CacheOption,
    JsonOption,
    RetrieverOption,
    SectionName,
    default_cache,
    load_settings,
    print_result,
    progress,
)


@eval_app.command("precedents")
def eval_precedents(
    cases: Annotated[list[Path], typer.Option("--cases", help="Records with itemid, title, date, text.")],
    qrels: Annotated[Path, typer.Option("--qrels", help="TSV: citing case, cited case, grade.")],
    more: Annotated[list[Path] | None, typer.Argument(help="More files of cases.")] = None,
    section: Annotated[
        SectionName, typer.Option("--section", help="What of a case is the question.")
    ] = SectionName.facts,
    field: Annotated[
        SectionName, typer.Option("--by", help="The section of earlier cases that is searched.")
    ] = SectionName.both,
    retriever: RetrieverOption = None,
    questions: Annotated[
        Path | None, typer.Option("--questions", help="Yes/no questions on findings: id, question, answer.")
    ] = None,
    concepts: Annotated[
        bool, typer.Option("--concepts", help="The reader names the legal concepts of what is asked.")
    ] = False,
    seed: SeedOption = 0,
    controls: ControlsOption = True,
    run: Annotated[Path | None, typer.Option("--run", help="Write the ranking there, in TREC's format.")] = None,
    out: OutOption = None,
    cache: CacheOption = None,
    as_json: JsonOption = False,
) -> None:
    """Do the earlier cases found hold those that a judgment cites: each scorer, each choice of sections, beside BM25.

    Citations are blanked out in what is asked. Without --retriever cases are found by BM25 over whole sections, by
    learned sparse vectors of passages, and by what the best of them cite (hybrid); dense: by the vectors of passages;
    --concepts: by what the reader names, too. --no-controls leaves only the system and BM25 by the same sections.
    """
    from eval.core.report import write_text
    from eval.legal import precedent_ranking as evaluation
    from eval.legal import precedents_report as written
    from eval.legal.precedents_parts import SCORER_OF, open_parts, with_concepts

    began = time.monotonic()
    settings = load_settings()
    check_out(out)
    if run is not None and run.is_dir():
        raise UsageError(f"--run {run}: is a folder. Name a file in it")
    name = retriever.value if retriever else None
    if concepts and name:
        raise UsageError(f"--concepts --retriever {name}: concepts go with the default. Leave one of them out")
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
            None if controls else (), parts, ranking, seed,
            lambda done, total, what: report("rankings", done, total, what),
        )  # fmt: skip
        for file in filter(None, (run, out and out / written.RUN)):
            write_text(file, ranking.read_text("utf-8"))
    # as for `glossator precedents`: the section is what is asked
    result |= {"section": section.value, "by": field.value, "retriever": name or scorer}
    if questions is not None:
        result["findings"] = evaluation.findings(judgments, questions, seed)
    result["seconds"] = round(time.monotonic() - began, 1)
    if out is not None:
        written.write(out, f"{qrels.name}, precedents", result, judgments, pairs)
    print_result(result, as_json, written.text)
