"""eval/pdf/extraction.py: every contestant has a row, memory is the reader's own, and growth is fitted right."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.util import find_spec
from inspect import signature
from pathlib import Path

import pytest

from eval.pdf import extraction as bench
from ingest.build import build
from rag.settings import Settings
from tests.pdfs import make_pdf

LINES = [f"Line {i} says what line {i + 1} will repeat." for i in range(30)]


@pytest.fixture(scope="module")
def pdf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_pdf(tmp_path_factory.mktemp("pdf") / "three.pdf", [LINES] * 3)


def test_every_contestant_has_a_row(pdf: Path) -> None:
    result = bench.extraction([pdf], repeat=1)
    (file,) = result["files"]
    rows = {row["contestant"]: row for row in file["rows"]}
    assert list(rows) == list(bench.CONTESTANTS)
    ours = rows[bench.OURS]
    for name, row in rows.items():
        if name not in (bench.OURS, bench.WITHOUT_OCR) and find_spec(name) is None:
            assert row == {"contestant": name, "note": "not installed"}
            continue
        assert row["pages"] == 3
        assert row["characters"] > 3 * 30 * 20
        assert row["pages_per_second"] == pytest.approx(3 / row["seconds"], rel=0.1)
        assert 5 < row["peak_memory_mb"] < 2 * bench.MEMORY_MB
        for ratio, of in bench.RATIOS.items():
            assert row[ratio] == pytest.approx(ours[of] / row[of], abs=0.01)
    assert all(ours[ratio] == 1 for ratio in bench.RATIOS)
    assert json.loads(json.dumps(result)) == result
    text = bench.extraction_text(result)
    assert text.count("\n| ") == 1 + len(rows) and f"| {bench.OURS} | 3 |" in text


def test_a_peer_that_is_not_installed_is_said(pdf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "find_spec", lambda name: None)
    assert bench.take_turn("pdfplumber", pdf) == "not installed"
    row = bench.summarise_turns(["not installed"])
    assert row == {"note": "not installed"}
    text = bench.extraction_text(
        {"repeat": 1, "files": [{"file": "a.pdf", "rows": [{"contestant": "pdfplumber", **row}]}]}
    )
    assert "| pdfplumber | not installed |" in text


def test_a_file_that_cannot_be_read_is_said(tmp_path: Path) -> None:
    broken = tmp_path / "broken.pdf"
    broken.write_bytes(b"%PDF-1.4\nnothing more")
    note = bench.take_turn(bench.OURS, broken)
    assert isinstance(note, str) and "DocumentError" in note and "\n" not in note


def test_memory_is_not_that_of_whoever_started_the_reader(pdf: Path) -> None:
    large = bytearray(b"x") * (400 << 20)
    turn = bench.take_turn("pypdfium2", pdf)
    assert isinstance(turn, bench.Turn) and turn.peak_memory_mb < 200 < len(large) >> 20


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="only Linux tells of children's memory")
def test_memory_is_that_of_all_children_together() -> None:
    hold = "x = bytearray(b'x') * (60 << 20); print(flush=True); input()"
    start = "Popen([sys.executable, '-c', sys.argv[1]], stdin=PIPE, stdout=PIPE)"
    both = f"import sys; from subprocess import *; a, b = {start}, {start}; a.stdout.readline(); b.stdout.readline()"
    command = [sys.executable, "-c", f"{both}; print(flush=True); input()", hold]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as parent:
        assert parent.stdin is not None and parent.stdout is not None
        parent.stdout.readline()
        assert 120 < bench.family_mb(parent.pid) < 240
        parent.stdin.write(b"\n")
    assert bench.family_mb(parent.pid) == 0


def test_a_reading_without_end_is_said(pdf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "TURN_SECONDS", 0.0)
    assert bench.take_turn("pypdf", pdf) == "took longer than 0 s"


def test_a_turn_that_failed_leaves_no_figures() -> None:
    turns = [bench.Turn(10, 100, seconds, 2 * seconds, 50 + seconds) for seconds in (1.0, 4.0, 2.0)]
    row = bench.summarise_turns(turns)
    assert (row["seconds"], row["cpu_seconds"], row["pages_per_second"], row["peak_memory_mb"]) == (2, 4, 5, 54)
    assert bench.summarise_turns([*turns, "took longer than 600 s"]) == {"note": "took longer than 600 s"}


@pytest.mark.parametrize("power", [0.0, 0.5, 1.0, 2.0])
def test_the_exponent_of_made_up_times(power: float) -> None:
    sizes = [50, 100, 200, 400]
    assert bench.exponent(sizes, [0.03 * size**power for size in sizes]) == pytest.approx(power, abs=1e-9)


def test_scaling_reads_longer_and_longer_documents(pdf: Path) -> None:
    result = bench.scaling(pdf, [2, 7])
    assert [row["pages"] for row in result["rows"]] == [2, 7]
    assert result["rows"][1]["characters"] > 3 * result["rows"][0]["characters"]
    assert result["seconds_exponent"] < 2  # of two short readings: mostly the children's start
    assert "| 7 |" in bench.scaling_text(result)


def test_a_document_that_is_not_read_has_no_scaling(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "take_turn", lambda name, file: "crashed")
    pdf = make_pdf(tmp_path / "one.pdf", [LINES])
    with pytest.raises(ValueError, match=r"2 pages of one\.pdf: crashed"):
        bench.scaling(pdf, [2])


def test_ours_reads_as_ingest_does() -> None:
    settings = Settings().ingest
    assert signature(build).parameters["jobs"].default == bench.JOBS
    assert (settings.page_seconds, settings.memory_mb) == (bench.PAGE_SECONDS, bench.MEMORY_MB)
