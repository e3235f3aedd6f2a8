"""ui/cli/extras.py: a plain installation ingests, searches, answers and serves; what needs more says so in one line."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import LIGHT_READER
from tests.pdfs import make_pdf
from ui.cli.extras import EXTRAS, what_is_missing

Plain = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def plain() -> Plain:
    """Run the program as glossator() does, in an interpreter that has none of the extras."""

    def run(*arguments: object, code: str = "from ui.cli.main import main; main()") -> subprocess.CompletedProcess[str]:
        hidden = f"import sys; sys.modules.update(dict.fromkeys({list(EXTRAS)}))\n"
        command = [sys.executable, "-c", hidden + code, *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, timeout=240)

    return run


def test_the_extras_are_those_of_pyproject() -> None:
    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    for package, extra in EXTRAS.values():
        assert any(name.startswith(f"{package}>") for name in extras[extra])
        assert not any(name.startswith(f"{package}>") for name in project["dependencies"])
    assert f"glossator[{','.join(sorted({extra for _, extra in EXTRAS.values()}))}]" in extras["dev"]


@pytest.mark.slow
def test_a_plain_installation_ingests_searches_answers_and_serves(plain: Plain, tmp_path: Path) -> None:
    make_pdf(tmp_path / "cargo.pdf", [["The frigate sailed from Amaranth.", "Its cargo was salt."]])
    library = ["--library", tmp_path / "library"]
    assert json.loads(plain("ingest", tmp_path / "cargo.pdf", *library, "--json").stdout)["added"] == 1
    question = "What was the cargo of the frigate?"
    found = plain("search", question, *library, "--retriever", "hybrid", "--json")
    assert found.returncode == 0 and "salt" in json.loads(found.stdout)["hits"][0]["text"], found.stderr
    asked = ["--set", LIGHT_READER, "ask", question, *library, "--reader", "direct", "--retriever", "sparse", "--json"]
    assert "salt" in json.loads(plain(*asked).stdout)["evidence"][0]["text"]
    assert plain(code="import ui.web.server").returncode == 0


@pytest.mark.parametrize(
    ("command", "package", "extra"),
    [
        (["eval", "retrieval", "--beir", "x"], "ir-measures", "eval"),
        (["eval", "pruning", "--beir", "x"], "ir-measures", "eval"),
        (["eval", "chapters", "--episodes", "x"], "nltk", "eval"),
        (["eval", "attribution", "--data", "x"], "scipy", "eval"),
        (["train", "quotes", "--data", "x", "--model", "x", "--out", "no/such"], "peft", "train"),
        (["train", "reader", "--data", "x", "--out", "no/such"], "onnx", "train"),
    ],
)
def test_a_command_says_what_it_needs_in_one_line(plain: Plain, command: list[str], package: str, extra: str) -> None:
    done = plain(*command)
    line = f"glossator {' '.join(command[:2])} needs {package}. Install it: pip install 'glossator[{extra}]'"
    assert (done.returncode, done.stdout, done.stderr) == (1, "", f"glossator: {line}\n")


def test_an_import_that_fails_later_is_told_alike(plain: Plain) -> None:
    code = "import ui.cli.main as cli\ncli.app = lambda: __import__('numba')\ncli.main()"
    done = plain(code=code)
    assert (done.returncode, done.stderr) == (
        1, "glossator: this needs numba. Install it: pip install 'glossator[large]'\n"
    )  # fmt: skip
    assert what_is_missing(ModuleNotFoundError("No module named 'x'", name="x")) is None
