"""docs/results.md, written from expected.toml; and the README's table of results, which holds the headline figures.

python -m eval.core.results_page docs/results.md README.md
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path

from eval.core.expected import SHARED, Expected, read_expected
from eval.core.report import cell, table, write_text
from rag.errors import DataError, RagError, UsageError

BEGIN = "<!-- results: written by python -m eval.core.results_page -->"
END = "<!-- end of results -->"
TOP_OF_PAGE = f"""# Results

For whoever wants to know how well Glossator works, or whether a change made it better or worse. Do not edit this page:
`python -m eval.core.results_page docs/results.md README.md` writes it from [eval/expected.toml](../eval/expected.toml).
[Benchmarks](benchmarks.md) says what each command measures and beside which controls; [experiments](experiments.md) has
the ablations, and what was tried and dropped.

`glossator eval expected NAME...` runs the commands of these rows again and says OK, or by how much a figure drifted;
`--quick` runs the rows marked *quick*, a few minutes each. Commands run from the top of a checkout. Those that name
`{SHARED}` need the data sets that [benchmarks](benchmarks.md) lists, and are left out where these are missing. All
figures were measured on CPUs, most on two cores. Brackets are 95 % bootstrap intervals over the n questions; ± is how
far a figure may move before the check fails.

## At a glance
"""
TITLES = {  # subcommand of glossator -> section of the page
    "eval retrieval": "Passages found in one pool",
    "eval hotpotqa": "Answers to multi-hop questions",
    "eval injections": "Prompt injections",
    "eval pdf": "Questions over PDFs",
    "eval open": "Questions as people ask them",
    "eval sampling": "Kinds of passages, and how many (PDFs)",
    "bench extraction": "Reading PDFs",
    "bench ingest": "Ingesting",
    "eval chapters": "Chapters of podcasts",
    "eval precedents": "Precedents",
    "eval attribution": "Attribution",
    "eval what-if": "What would change an answer",
    "eval clauses": "Clauses and words that an answer hangs on",
    "eval concepts": "Concepts of a library",
    "eval corrections": "Corrections",
    "train sparse": "Sparse encoders fitted to one library",
    "eval pruning": "Pruning the sparse encoder",
    "bench retrieval": "Ways of searching, side by side",
}


@dataclass(frozen=True, slots=True)
class Headline:
    """One row of the README's table: a row of expected.toml beside its baselines.

    A baseline is the name of another row, after what it is called; or a figure that docs/experiments.md holds.
    """

    work: str
    measure: str
    row: str
    baselines: tuple[tuple[str, str], ...]


HEADLINES = (
    Headline(
        "Find the passages of two-hop questions among 10,048 paragraphs (HotpotQA)", "R@5", "hotpotqa-hybrid-r5",
        (("BM25", "hotpotqa-bm25-r5"),),
    ),
    Headline(
        "Find the abstracts that bear on a claim among 5,183 abstracts (SciFact)", "nDCG@10", "scifact-hybrid",
        (("BM25", "scifact-bm25"),),
    ),
    Headline(
        "Answer a two-hop question from ten paragraphs (HotpotQA)", "F1", "hotpotqa-hybrid-f1",
        (("no note, no support (direct)", "hotpotqa-direct-f1"), ("no passage at all", "hotpotqa-closed-book-f1")),
    ),
    Headline(
        "Refuse where the passages do not hold the answer (HotpotQA)", "share refused", "hotpotqa-without-gold",
        (("the same questions with their passages", "hotpotqa-with-gold"),),
    ),
    Headline(
        "Ignore instructions planted in documents", "share followed", "injections-followed",
        (("without masking", "5 of 40"),),
    ),
    Headline(
        "Find the page of an answer in twelve PDFs, 455 pages", "page among five passages", "pdf-page",
        (("random passages", "0.02 [0.00, 0.07]"), ("text only, no tables or figures", "sampling-text-only")),
    ),
    Headline(
        "Answer from these PDFs", "right answers", "pdf-correct",
        (("none measured", ""),),
    ),
    Headline(
        "Be right where an answer from these PDFs is shown", "right of those shown", "pdf-correct-of-shown",
        (("where the reader's support alone decides", "0.78 [0.65, 0.92]"),),
    ),
    Headline(
        "Answer questions as people ask them: explain, list, compare, summarise", "facts that matter", "open-vital",
        (("phrases alone, on all 71 questions", "0.25 [0.17, 0.34]"),),
    ),
    Headline(
        "Cut a podcast into chapters", "Pk, lower is better", "chapters-pk",
        (("no boundary", "0.46"), ("TextTiling", "0.48")),
    ),
    Headline(
        "Find the earlier judgments that a judgment cites (ECtHR)", "AP", "precedents-ap",
        (("BM25", "0.41 [0.36, 0.46]"),),
    ),
    Headline(
        "Name the passage that an answer hangs on", "nats lost without it", "attribution-drop",
        (("leave-one-out by likelihood", "6.10"), ("random", "1.32")),
    ),
    Headline(
        "Fit the sparse encoder to the library of the examples", "gain in nDCG@10", "train-examples",
        (("before", "0.60"),),
    ),
)  # fmt: skip


def results_page(rows: Sequence[Expected]) -> str:
    """The whole page as Markdown: the headline table, then a section for each kind of command with all of its rows."""
    lines = [TOP_OF_PAGE, *headline_table(rows)]
    sections: dict[str, list[Expected]] = {}
    for row in rows:
        sections.setdefault(subcommand(row.command), []).append(row)
    order = [*(name for name in TITLES if name in sections), *(name for name in sections if name not in TITLES)]
    for name in order:
        lines += _section(name, sections[name])
    return "\n".join(lines) + "\n"


def headline_table(rows: Sequence[Expected]) -> list[str]:
    """The lines of the README's table: a row a kind of work, with n and interval, beside its baselines.

    Below it stands which figures were measured with other settings than the defaults. Raises DataError where
    expected.toml lacks a row that the table names.
    """
    known = {row.name: row for row in rows}
    if missing := [line.row for line in HEADLINES if line.row not in known]:
        raise DataError(f"expected.toml has no row {missing[0]!r}, which the table of results shows. Change HEADLINES")
    lines = table(
        ("kind of work", "measure", "n", "Glossator", "baseline"),
        (
            (line.work, line.measure, _n(known[line.row]), f"**{_rounded(known[line.row])}**",
             "; ".join(_baseline(known, line, name, figure) for name, figure in line.baselines))
            for line in HEADLINES
        ),
    )  # fmt: skip
    others: dict[str, list[str]] = {}
    for line in HEADLINES:
        for value in overrides(known[line.row].command):
            others.setdefault(value, []).append(f"`{line.row}`")
    marks = [f"Measured with `{value}`, not with the default: {', '.join(names)}." for value, names in others.items()]
    return [*lines, "", *marks] if marks else lines


def with_table(text: str, rows: Sequence[Expected]) -> str:
    """A README with the headline table between its two marks; DataError where the marks are missing."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise DataError(f"the README lacks the lines {BEGIN!r} and {END!r}. Put them where its table of results stands")
    return "\n".join((before + begin, "", *headline_table(rows), "", end + after))


def subcommand(command: str) -> str:
    """The two words that say what a command does, without global options.

    >>> subcommand("glossator --set sparse.model=splade-tiny eval pdf --folder pdf --json")
    'eval pdf'
    """
    return " ".join(_words(command)[1][:2])


def overrides(command: str) -> list[str]:
    """The settings that a command overrides.

    >>> overrides("glossator --set experimental.rounds=2 --set retrieve.links=false eval hotpotqa --json")
    ['experimental.rounds=2', 'retrieve.links=false']
    """
    return _words(command)[0]


def _words(command: str) -> tuple[list[str], list[str]]:
    """The values of --set before the subcommand, and the words from the subcommand on."""
    words, found = shlex.split(command)[1:], list[str]()
    while len(words) > 1 and words[0] == "--set":
        found.append(words[1])
        words = words[2:]
    return found, words


def _section(name: str, rows: Sequence[Expected]) -> list[str]:
    commands = list(dict.fromkeys((row.first, row.command) for row in rows))
    header = ("row", "metric", "value", "n", "±", "command", "measured")
    return [
        "",
        f"## {TITLES.get(name, name)}",
        "",
        *table(
            header,
            (
                (
                    f"`{row.name}`{' *quick*' if row.quick else ''}", cell(row.metric), _value(row), _n(row),
                    f"{row.tolerance:g}", commands.index((row.first, row.command)) + 1, cell(row.source),
                )
                for row in rows
            ),
        ),
        "",
        "```sh",
        *(
            f"{' && '.join(filter(None, pair))}  # {number}"
            for number, pair in enumerate(commands, 1)
        ),
        "```",
    ]  # fmt: skip


def _baseline(known: dict[str, Expected], line: Headline, name: str, figure: str) -> str:
    """ "BM25 0.726 [0.70, 0.75]"; with its n where that is not the row's."""
    if figure not in known:
        return f"{name} {figure}".strip()
    row = known[figure]
    n = f", n {row.n}" if row.n != known[line.row].n else ""
    return f"{name} {_rounded(row)}{n}"


def _value(row: Expected) -> str:
    """The figure and its interval as expected.toml has them."""
    return f"{row.value:g}" if row.interval is None else f"{row.value:g} [{row.interval[0]:g}, {row.interval[1]:g}]"


def _rounded(row: Expected) -> str:
    """The same for a table that is read at a glance: two decimals, three of what is below a tenth."""
    numbers = [_round(number, 0 < abs(row.value) < 0.1) for number in (row.value, *(row.interval or ()))]
    return numbers[0] if row.interval is None else f"{numbers[0]} [{numbers[1]}, {numbers[2]}]"


def _round(number: float, small: bool) -> str:
    """Halves are rounded up as they stand in decimals: 0.475 is 0.48.

    >>> _round(0.475, small=False), _round(0.0466, small=True)
    ('0.48', '0.047')
    """
    return str(Decimal(str(number)).quantize(Decimal("0.001" if small else "0.01"), ROUND_HALF_UP))


def _n(row: Expected) -> str:
    return "" if row.n is None else str(row.n)


def main(files: Sequence[str]) -> None:
    """Write the page to the first file, and the table into the second one if it is named."""
    if not 1 <= len(files) <= 2:
        raise UsageError("name the page, and the README if its table is to be written, too")
    rows = read_expected()
    write_text(Path(files[0]), results_page(rows))
    for readme in map(Path, files[1:]):
        write_text(readme, with_table(readme.read_text("utf-8"), rows))


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except RagError as error:
        sys.exit(f"results_page: {error}")
