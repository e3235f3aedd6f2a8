"""What the tests share: where the data and the weights are, and the program as a user runs it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from pathlib import Path

import hypothesis
import pytest

from rag.errors import ModelError
from rag.models.registry import path_of
from tests import postgres_server
from tests.postgres_server import PostgresServer
from tests.warm_command import WarmCommand

ROOT = Path(__file__).parents[1]
DATA = Path(os.environ.get("GLOSSATOR_DATA") or ROOT.parent / "shared" / "data")
PDFS = DATA / "pdf"
LIGHT_READER = "reader.model=qwen2.5-coder-0.5b"
Run = Callable[..., "subprocess.CompletedProcess[str]"]

hypothesis.settings.register_profile("suite", deadline=None)  # a busy machine takes ten times as long
hypothesis.settings.load_profile("suite")

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)
CHROMIUM_FLAGS = [
    "--no-sandbox", "--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run",
    "--disable-gpu",
]  # fmt: skip

needs_browser = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
needs_postgres = pytest.mark.skipif(postgres_server.SERVER is None, reason="no PostgreSQL on this machine")
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="the shared data sets are not beside this checkout")


def command(*arguments: object) -> list[str]:
    """The program's command line, in this interpreter."""
    return [sys.executable, "-c", "from ui.cli.main import main; main()", *map(str, arguments)]


@pytest.fixture(scope="module")
def postgres() -> Iterator[PostgresServer]:
    with closing(PostgresServer()) as server:
        yield server


@pytest.fixture(scope="session")
def glossator() -> Iterator[Run]:
    """Run the program as a user does: glossator("search", "words", "--library", folder).returncode and so on.

    In a process of its own, forked from one that has imported the program (tests/warm_command.py).
    """
    warm = WarmCommand()

    def run(
        *arguments: object, env: Mapping[str, str] | None = None, timeout: float = 240, cwd: Path | None = None
    ) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, **(env or {})}
        if warm.takes(environment):
            return warm.run(list(map(str, arguments)), environment, cwd, timeout)
        return subprocess.run(
            command(*arguments), env=environment, timeout=timeout, cwd=cwd, text=True, capture_output=True
        )

    yield run
    warm.close()


@pytest.fixture(scope="session", autouse=True)
def weights() -> None:
    """The suite needs the encoders and the light reader; `make test` fetches them."""
    try:
        for name in ("all-minilm-l6-v2", "splade-tiny", "qwen2.5-coder-0.5b"):
            path_of(name)
    except ModelError as error:
        pytest.exit(f"{error}. `make test` fetches them", returncode=1)


@pytest.fixture(scope="session")
def browser() -> Iterator[object]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as running:
        chromium = running.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture(scope="session")
def served_site(tmp_path_factory: pytest.TempPathFactory, glossator: Run) -> Iterator[object]:
    """One server for all tests of its protocols, which leave its documents as they are, or add some."""
    from tests.served import serving

    with serving(tmp_path_factory.mktemp("served"), glossator) as site:
        yield site


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Two threads that wait for each other on a busy machine are many times slower than one with a tiny model."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--regenerate", action="store_true", help="write tests/golden/*.txt anew, for review")


def pytest_configure(config: pytest.Config) -> None:
    """Each of xdist's workers, and what it starts, keeps to its own cores: readers that share one are far slower."""
    config.option.loadscopereorder = False  # else xdist hands out the files with the most tests first, see SLOWEST
    worker = os.environ.get("PYTEST_XDIST_WORKER", "")
    if worker and hasattr(os, "sched_setaffinity"):
        workers, cores = int(os.environ["PYTEST_XDIST_WORKER_COUNT"]), sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, cores[int(worker[2:]) :: workers] or [cores[int(worker[2:]) % len(cores)]])


# Slowest first. Seconds go to browsers, readers and kills, not to the number of tests, by which xdist would sort. It
# hands out whole files, the next one already while two tests are left, so that a slow one late leaves a worker idle.
SLOWEST = [
    "test_room.py", "test_bad_input.py", "test_make_run.py", "test_upload_queue.py", "test_room_sources.py",
    "test_ocr.py", "test_faults.py", "test_audio.py", "test_room_concepts.py", "test_milvus.py", "test_readers.py",
    "test_languages.py", "test_attack_server.py", "test_fuzz.py", "test_hostile_pdfs.py", "test_rest_api.py",
    "test_bench.py", "test_hotpotqa.py", "test_injections.py", "test_pdf_golden.py", "test_legal_ingest.py",
    "test_weights.py", "test_seismic.py", "test_golden.py", "test_models.py", "test_pdf_eval.py", "test_login.py",
    "test_room_menu.py", "test_room_formats.py", "test_mcp.py", "test_access.py", "test_resume.py", "test_backup.py",
]  # fmt: skip


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The slowest files first, the others as they were collected."""
    place = {name: number for number, name in enumerate(SLOWEST)}
    items.sort(key=lambda item: place.get(item.path.name, len(place)))


_not_run: Counter[str] = Counter()


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.skipped and isinstance(report.longrepr, tuple):
        _not_run[f"{report.location[0]}: {report.longrepr[2].removeprefix('Skipped: ')}"] += 1


def pytest_unconfigure(config: pytest.Config) -> None:
    """The very last line says which tests did not run, and why."""
    if _not_run:
        print("not run: " + "; ".join(f"{number} in {why}" for why, number in sorted(_not_run.items())))
