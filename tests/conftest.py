"""What the tests share: where the data and the weights are, and the program as a user runs it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from rag.errors import ModelError
from rag.models import path_of

ROOT = Path(__file__).parents[1]
DATA = Path(os.environ.get("GLOSSATOR_DATA") or ROOT.parent / "shared" / "data")
PDFS = DATA / "pdf"
LIGHT_READER = "reader.model=qwen2.5-coder-0.5b"
Run = Callable[..., "subprocess.CompletedProcess[str]"]

needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="the shared data sets are not beside this checkout")


def command(*arguments: object) -> list[str]:
    """The program's command line, in this interpreter."""
    return [sys.executable, "-c", "from ui.cli import main; main()", *map(str, arguments)]


@pytest.fixture(scope="session")
def glossator() -> Run:
    """Run the program as a user does: glossator("search", "words", "--library", folder).returncode and so on."""

    def run(
        *arguments: object, env: Mapping[str, str] | None = None, timeout: float = 240, cwd: Path | None = None
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command(*arguments),
            env={**os.environ, **(env or {})},
            timeout=timeout,
            cwd=cwd,
            text=True,
            capture_output=True,
        )

    return run


@pytest.fixture(scope="session", autouse=True)
def weights() -> None:
    """The suite needs the encoder and the light reader; `make test` fetches them."""
    try:
        for name in ("all-minilm-l6-v2", "qwen2.5-coder-0.5b"):
            path_of(name)
    except ModelError as error:
        pytest.exit(f"{error}. `make test` fetches them", returncode=1)
