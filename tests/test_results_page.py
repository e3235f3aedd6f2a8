"""eval/core/results_page.py: docs/results.md and the README's table say what eval/expected.toml says today."""

from __future__ import annotations

from pathlib import Path

import pytest

from eval.core.expected import Expected, read_expected
from eval.core.results_page import BEGIN, END, HEADLINES, headline_table, main, results_page, with_table
from rag.errors import DataError, UsageError
from tests.conftest import ROOT

WRITE = "python -m eval.core.results_page docs/results.md README.md"


def row(name: str, value: float = 0.4725, command: str = "glossator eval x --json", **more: object) -> Expected:
    return Expected(name, command, "f1", value, 0.01, "own run", **more)  # type: ignore[arg-type]


def headlines(**more: object) -> list[Expected]:
    names = [name for line in HEADLINES for name in (line.row, *(figure for _, figure in line.baselines))]
    return [row(name, **more) for name in dict.fromkeys(names) if "-" in name and "[" not in name]


def test_the_page_is_what_the_command_writes_today() -> None:
    assert (ROOT / "docs/results.md").read_text("utf-8") == results_page(read_expected()), WRITE


def test_the_table_of_the_readme_is_what_the_command_writes_today() -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    assert readme == with_table(readme, read_expected()), WRITE


def test_every_row_is_on_the_page_once_with_its_command() -> None:
    rows = read_expected()
    sections = results_page(rows).split("\n## ")[2:]  # before them: what the page is for, and the headlines
    for one in rows:
        (section,) = [text for text in sections if f"| `{one.name}`" in text]
        assert section.count(f"| `{one.name}`") == 1
        assert f"{one.command}  #" in section


def test_a_row_has_its_figures_as_they_were_written() -> None:
    page = results_page([*headlines(), row("mine", 12643, n=41, interval=(655, 719), quick=True), row("bare", 1.0)])
    assert "| `mine` *quick* | f1 | 12643 [655, 719] | 41 | 0.01 | 1 | own run |" in page
    assert "| `bare` | f1 | 1 |  | 0.01 | 1 | own run |" in page
    assert page.count("glossator eval x --json  # 1\n") == 1  # one command, of all rows


def test_what_a_command_needs_stands_before_it() -> None:
    page = results_page([*headlines(), row("b", command="glossator new thing", first="glossator first")])
    assert "## new thing\n" in page and "glossator first && glossator new thing  # 1" in page


def test_headlines_are_rounded_and_have_their_baselines() -> None:
    lines = headline_table(headlines(n=40, interval=(0.375, 0.5583)))
    assert len(lines) == 2 + len(HEADLINES)  # all by the default settings: no line below
    assert "| 40 | **0.47 [0.38, 0.56]** | BM25 0.47 [0.38, 0.56] |" in lines[2]
    small = headline_table(headlines(value=0.0466, interval=(0.0306, 0.0626)))
    assert "**0.047 [0.031, 0.063]**" in small[2]


def test_a_baseline_over_other_questions_says_how_many() -> None:
    rows = [row(one.name, n=60 if "closed" in one.name else 120) for one in headlines()]
    (line,) = [line for line in headline_table(rows) if "no passage at all" in line]
    assert "no passage at all 0.47, n 60" in line and "(direct) 0.47;" in line


def test_other_settings_than_the_defaults_are_named() -> None:
    *_, last = headline_table(headlines(command="glossator --set sparse.model=other eval x --json"))
    assert last.startswith("Measured with `sparse.model=other`, not with the default: `hotpotqa-hybrid-r5`, ")


def test_a_missing_row_is_named() -> None:
    with pytest.raises(DataError, match=f"no row '{HEADLINES[0].row}'"):
        headline_table([])


def test_the_table_goes_between_its_marks(tmp_path: Path) -> None:
    page, readme = tmp_path / "docs/results.md", tmp_path / "README.md"
    readme.write_text(f"before\n{BEGIN}\nstale row\n{END}\nafter\n", "utf-8")
    main([str(page), str(readme)])
    text = readme.read_text("utf-8")
    assert text.startswith(f"before\n{BEGIN}\n\n| kind of work |") and text.endswith(f"\n\n{END}\nafter\n")
    assert "stale row" not in text and text == with_table(text, read_expected())
    assert page.read_text("utf-8") == results_page(read_expected())
    readme.write_text(f"before\n{END}\n", "utf-8")
    with pytest.raises(DataError, match="lacks the lines"):
        main([str(page), str(readme)])
    with pytest.raises(UsageError, match="name the page"):
        main([])
