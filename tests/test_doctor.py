"""`glossator doctor`: green where all is well, and of each thing that is wrong it says what and what to do."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest

from rag.settings import load_settings
from tests.conftest import LIGHT_READER, Run
from tests.pages import HARBOUR, Endpoint, Site, replies
from tests.pdfs import make_pdf
from tests.processes import free_port
from ui import doctor
from ui.doctor import Check, examine

LIGHT = ("--set", LIGHT_READER)


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory, glossator: Run) -> Path:
    folder = tmp_path_factory.mktemp("doctor")
    book = make_pdf(folder / "harbour.pdf", HARBOUR, "The Harbour Book")
    assert glossator("ingest", book, "--library", folder / "library").returncode == 0
    return folder / "library"


@pytest.fixture
def port() -> int:
    return free_port()


def checks(library: Path | None, port: int, *settings: str) -> dict[str, Check]:
    return {check.name: check for check in examine(load_settings([LIGHT_READER, *settings]), library, port)}


def test_it_is_green_where_all_is_well(library: Path, glossator: Run, port: int) -> None:
    done = glossator(*LIGHT, "doctor", "--library", library, "--port", port, "--json")
    told = json.loads(done.stdout)
    assert done.returncode == 0 and told["ok"], told
    names = {check["name"] for check in told["checks"]}
    assert {"Python", "Java (search by words)", "reader's library", "reader", "memory", "library", "indexes"} <= names
    people = glossator(*LIGHT, "doctor", "--library", library, "--port", port)
    assert people.returncode == 0 and people.stdout.count("ok  ") == len(told["checks"])


def test_what_is_wrong_is_named_with_its_cure(
    library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, glossator: Run
) -> None:
    monkeypatch.setattr(doctor, "ENOUGH_DISK", 1 << 60)
    monkeypatch.setattr(doctor, "ENOUGH_MEMORY", 1 << 60)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        found = checks(tmp_path / "nowhere", taken.getsockname()[1], "extract.model=no-such-model", "dense.model=x")
    bad = {name: check for name, check in found.items() if not check.ok}
    assert set(bad) >= {"disk for weights", "memory", "library", "reading model", "dense encoder"}
    assert any(name.startswith("port ") for name in bad)
    assert all(check.cure and check.seen for check in bad.values())
    done = glossator(*LIGHT, "doctor", "--library", tmp_path / "nowhere", "--port", 0)
    assert done.returncode == 1 and "FAIL  library" in done.stdout
    assert done.stderr.startswith("glossator: 1 of ") and done.stderr.count("\n") == 1


def test_damage_weights_that_are_missing_and_endpoints_that_are_away(
    library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, port: int
) -> None:
    built = library / "dense" / "built.json"
    before = built.read_text()
    built.write_text(before.replace('"generation": 1', '"generation": 0'))
    assert not checks(library, port)["indexes"].ok
    built.write_text(before)
    away = checks(None, port, "reader.model=http://127.0.0.1:1/v1#nobody")["reader"]
    assert not away.ok and "127.0.0.1:1" in away.seen
    with Endpoint(replies({})) as reader:
        assert checks(None, port, f"reader.model=http://127.0.0.1:{reader.server_port}/v1#x")["reader"].ok
    monkeypatch.setenv("GLOSSATOR_MODELS", str(tmp_path))
    missing = checks(None, port)["reader"]
    assert not missing.ok and f"glossator models fetch {LIGHT_READER.partition('=')[2]}" in missing.cure


def test_our_own_server_on_the_port_is_no_fault(library: Path, tmp_path: Path) -> None:
    with Endpoint(replies({})) as reader:
        site = Site(library, tmp_path / "log", reader)
        try:
            check = checks(None, site.port)[f"port {site.port}"]
        finally:
            site.interrupt()
    assert check.ok and "Glossator server" in check.seen


def test_a_part_that_crashes_or_hangs_ends_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    assert doctor._runs("x", "import os; os.abort()", "cure").ok is False
    assert doctor._runs("x", "raise SystemExit('no libgomp')", "cure") == Check("x", False, "no libgomp", "cure")
    monkeypatch.setattr(doctor, "CHILD_SECONDS", 0.5)
    hung = doctor._runs("x", "import time; time.sleep(9)", "cure")
    assert not hung.ok and "no answer" in hung.seen
