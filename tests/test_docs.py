"""README, CONTRIBUTING, SECURITY and docs/: what they name exists: files, links, commands, options, settings."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from rag.records import Hit, Passage
from rag.settings import Settings
from tests.conftest import ROOT
from ui.cli.json_layouts import hit_json
from ui.cli.main import app

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md", *sorted((ROOT / "docs").glob("*.md"))]
FENCE = re.compile(r"^```.*?\n(.*?)^```", re.M | re.S)
SPAN = re.compile(r"`([^`\n]+)`")
LINK = re.compile(r"\]\(([^)\s]+)\)")
FILE = re.compile(r"(?<![\w./~-])((?:rag|ingest|eval|ui|tests|docs|examples|\.github|\.ci)/[\w./-]*\w)")
MODULE = re.compile(r"python -m ((?:rag|ingest|eval|ui|tests)[\w.]*)")
TARGET = re.compile(r"(?:^|`)make ([a-z-]+)", re.M)
SETTING = re.compile(rf"(?<![\w/.])({'|'.join(Settings.model_fields)})\.([a-z_0-9]+)\b")

each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


def code(text: str) -> str:
    """What stands in code blocks and between backticks, a line each."""
    blocks = FENCE.findall(text)
    return "\n".join([*blocks, *SPAN.findall(FENCE.sub("", text))])


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as they are made of them: lower case, spaces to hyphens, no other signs."""
    headings = re.findall(r"^#+ (.+)$", FENCE.sub("", page.read_text("utf-8")), re.M)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def commands(text: str) -> Iterator[list[str]]:
    """The words of each `glossator ...` in code; of brackets for what may be left out, the content."""
    joined = re.sub(r"\n +(?=\[--)", " ", code(text))
    for line in re.split(r"\n| && ", joined):
        found = re.match(r"(?:\$ )?(?:[A-Z_]+=\S+ )*(?:\.venv/bin/)?glossator (.+)", line)
        if found:
            yield shlex.split(re.sub(r"[\[\]]|\.\.\.", " ", found[1]), comments=True)


def wrong(words: list[str]) -> str:
    """What a command line names that the program does not have; "" where it has all of it."""
    command: Any = get_command(app)
    rest = iter(words)
    for word in rest:
        if word.startswith("-"):
            options = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
            if word.partition("=")[0] not in options | {"--help"}:
                return f"{command.name} has no {word}"
            if word == "--set":
                next(rest, None)  # its value
        elif under := subcommands(command):
            if word not in under:
                return f"{command.name} has no {word}"
            command = under[word]
    return ""


def subcommands(command: Any) -> dict[str, Any]:
    """Those of a group by name; {} for a command."""
    if not hasattr(command, "commands"):
        return {}
    command.list_commands(None)  # a group may be filled by this only
    return dict(command.commands)


@each_page
def test_links_lead_somewhere(page: Path) -> None:
    for link in LINK.findall(FENCE.sub("", page.read_text("utf-8"))):
        target, _, anchor = link.partition("#")
        file = (page.parent / target).resolve() if target else page
        assert "://" not in link, f"{page.name}: {link} leads out of the repository"
        assert file.exists(), f"{page.name}: {link}"
        assert not anchor or anchor in anchors(file), f"{page.name}: {link}"


@each_page
def test_files_modules_and_targets_exist(page: Path) -> None:
    text = page.read_text("utf-8")
    for name in FILE.findall(code(text)):
        assert (ROOT / name).exists(), f"{page.name}: {name}"
    for name in MODULE.findall(text):
        path = ROOT / name.rstrip(".").replace(".", "/")
        assert path.with_suffix(".py").exists(), f"{page.name}: python -m {name}"
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.M)
    for name in TARGET.findall(code(text)):
        assert name in targets, f"{page.name}: make {name}"


@each_page
def test_commands_and_their_options_exist(page: Path) -> None:
    for words in commands(page.read_text("utf-8")):
        assert not (problem := wrong(words)), f"{page.name}: glossator {shlex.join(words)}: {problem}"


@each_page
def test_settings_exist(page: Path) -> None:
    known = {(stage, key) for stage, field in Settings() for key in type(field).model_fields}
    for stage, key in SETTING.findall(code(page.read_text("utf-8"))):
        assert (stage, key) in known, f"{page.name}: {stage}.{key}"


def test_every_command_stands_in_the_docs() -> None:
    named = {" ".join(words[:2]) for page in PAGES for words in commands(page.read_text("utf-8"))}
    for name, command in subcommands(get_command(app)).items():
        for full in [f"{name} {sub}" for sub in subcommands(command)] or [name]:
            assert any(f"{one} ".startswith(f"{full} ") for one in named), full


def test_a_command_line_that_is_wrong_is_seen() -> None:
    text = "```\n$ glossator ask Q --library L [--attribute none|word]\n    [--jsn]\n```\nor `glossator sing` and `ask`"
    first, second = commands(text)
    assert wrong(first) == "ask has no --jsn" and wrong(first[:-1]) == ""
    assert wrong(second).endswith("has no sing")
    assert wrong(["--set", "a.b=c", "eval", "pdf", "--no-controls", "-k", "5"]) == ""


def test_every_setting_stands_in_the_docs() -> None:
    text = (ROOT / "docs/settings.md").read_text("utf-8")
    for _, field in Settings():
        for key in type(field).model_fields:
            assert re.search(rf"`(?:\w+\.)?{key}`", text), key


def test_the_layout_of_a_hit_is_documented() -> None:
    passage = Passage("d#0", "d", "T", "p", "text", 0, 4)
    masked = Hit(1, 1.0, passage, terms={"text": 1.0}, links=("a",), ignored="why", withheld=((0, 4),))
    (layout,) = re.findall(r'^\{"rank", .*?\}$', (ROOT / "docs/command-line.md").read_text("utf-8"), re.M | re.S)
    assert set(re.findall(r'"(\w+)"', layout)) == set(hit_json(masked))


def test_the_readme_stays_a_page() -> None:
    assert len((ROOT / "README.md").read_text("utf-8").splitlines()) <= 160
