"""The commands of `eval`, put together; compare and expected, which are about the others' results, are here."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from eval.core.compare import compare, compare_text
from eval.core.expected import checks_text, replay
from rag.errors import RagError
from ui.cli.benchmarks.eval_answers import eval_hotpotqa, eval_injections, eval_pdf
from ui.cli.benchmarks.eval_attribution import eval_attribution, eval_clauses, eval_corrections, eval_what_if
from ui.cli.benchmarks.eval_chapters import eval_chapters
from ui.cli.benchmarks.eval_concepts import eval_concepts
from ui.cli.benchmarks.eval_open import eval_open
from ui.cli.benchmarks.eval_precedents import eval_precedents
from ui.cli.benchmarks.eval_reading import eval_reading
from ui.cli.benchmarks.eval_retrieval import eval_pruning, eval_retrieval, eval_sampling
from ui.cli.options import JsonOption, SeedOption
from ui.cli.shared import print_result, progress


def eval_compare(
    a: Annotated[Path, typer.Argument(help="A folder that `eval ... --out` wrote, or a control's folder in it.")],
    b: Annotated[Path, typer.Argument(help="Another.")],
    seed: SeedOption = 0,
    as_json: JsonOption = False,
) -> None:
    """The difference between two runs over the same questions, with its interval and p."""
    print_result(compare(a, b, seed), as_json, compare_text)


def eval_expected(
    names: Annotated[list[str] | None, typer.Argument(help="Rows of eval/expected.toml (default: all).")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Only the rows of a few minutes.")] = False,
    public: Annotated[bool, typer.Option("--public", help="Only rows that need public files or examples/.")] = False,
    data: Annotated[Path | None, typer.Option("--data", help="A folder in place of ../shared/data.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Run the commands behind the figures we publish again, and say OK or by how much they drifted."""
    with progress() as report:
        checks = replay(names or (), quick, report=report, public=public, data=data)
    result = {"task": "expected", "checks": [asdict(check) for check in checks]}
    print_result(result, as_json, lambda _: checks_text(checks))
    if bad := [check for check in checks if check.status in ("drift", "failed")]:
        raise RagError(f"{len(bad)} of {len(checks)} figures were not reproduced: {', '.join(c.name for c in bad)}")


app = typer.Typer()
app.command("pdf")(eval_pdf)
app.command("open")(eval_open)
app.command("sampling")(eval_sampling)
app.command("retrieval")(eval_retrieval)
app.command("hotpotqa")(eval_hotpotqa)
app.command("injections")(eval_injections)
app.command("attribution")(eval_attribution)
app.command("what-if")(eval_what_if)
app.command("clauses")(eval_clauses)
app.command("corrections")(eval_corrections)
app.command("chapters")(eval_chapters)
app.command("concepts")(eval_concepts)
app.command("pruning")(eval_pruning)
app.command("reading")(eval_reading)
app.command("compare")(eval_compare)
app.command("expected")(eval_expected)
app.command("precedents")(eval_precedents)
