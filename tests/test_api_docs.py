"""docs/api.md: its examples are run as they stand there, against a server, and print what it says they print."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.pages import Site
from tests.pdfs import make_pdf
from tests.served import PAPER

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]
TEXT = (ROOT / "docs" / "api.md").read_text("utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", TEXT, re.M | re.S)
PYTHON = [code for language, code in BLOCKS if language == "python"]
CURL = [code for language, code in BLOCKS if language == "sh" and "curl" in code]


@pytest.fixture(scope="module")
def site(served_site: Site) -> Site:
    return served_site


@pytest.fixture(scope="module")
def folder(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the examples run: the library, a paper to add, and settings with the scripted reader."""
    place = tmp_path_factory.mktemp("here")
    (place / "library").symlink_to(site.library)
    make_pdf(place / "paper.pdf", [["A paper about tides."], *PAPER], "Tides")
    (place / "settings.toml").write_text(
        f'[reader]\nmodel = "http://127.0.0.1:{site.reader.server_port}/v1#scripted"\n'
    )
    return place


def run(words: list[str], site: Site, folder: Path) -> str:
    environment = {**os.environ, "GLOSSATOR_SETTINGS": str(folder / "settings.toml")}
    done = subprocess.run(words, cwd=folder, env=environment, text=True, capture_output=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_each_way_in_has_an_example() -> None:
    assert len(PYTHON) >= 5 and len(CURL) >= 4
    for word in ("from openai import", "ChatOpenAI(", "from mcp import", "GlossatorRunnable", "LangChainRetriever"):
        assert any(word in code for code in PYTHON), word
    for language, code in BLOCKS:
        if language == "json":
            assert json.loads(code)["mcpServers"]["glossator"]["args"][0] == "mcp"


@pytest.mark.parametrize("code", PYTHON, ids=range(len(PYTHON)))
def test_an_example_in_python_prints_what_stands_beside_it(code: str, site: Site, folder: Path) -> None:
    expected = re.findall(r"print\(.*\)  # (.+)$", code, re.M)
    assert expected
    here = code.replace("http://127.0.0.1:7860", site.address)
    assert run([sys.executable, "-c", here], site, folder).splitlines() == expected


@pytest.mark.parametrize("code", CURL, ids=range(len(CURL)))
def test_an_example_with_curl_is_answered(code: str, site: Site, folder: Path) -> None:
    if shutil.which("curl") is None:
        pytest.skip("no curl on this machine")
    told = run(["bash", "-euc", code.replace("http://127.0.0.1:7860", site.address)], site, folder)
    assert '"status":4' not in told and '"status": 4' not in told
    if "stream" in code:
        assert "event: evidence" in told and "event: answer" in told
    elif "/v1/ask" in code:
        assert json.loads(told)["answer"] == "Triplet margin loss function [1]"
    elif "/v1/search" in code:
        assert len(json.loads(told)["hits"]) == 3
    else:
        assert '"job"' in told and '"documents"' in told
