"""What a reader takes of a machine: its memory, said before it is loaded, and its threads."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from rag.errors import ModelError
from rag.llm import open
from rag.models import memory
from rag.models.memory import free_memory, require_memory
from rag.settings import ReaderSettings
from tests.conftest import ROOT

GB = 1 << 30


def test_what_does_not_fit_is_said_with_both_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "free_memory", lambda: 2 * GB)
    require_memory("a model", 2 * GB, "")
    with pytest.raises(ModelError, match=r"a model needs about 3\.0 GB of memory, and 2\.0 GB are free\. Close it"):
        require_memory("a model", 3 * GB, "Close it")


def test_a_containers_limit_counts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    machine = free_memory()
    assert 0 < machine < 1 << 50
    monkeypatch.setattr(memory, "CGROUP", tmp_path)
    (tmp_path / "memory.current").write_text("100000000\n")
    for limit, free in (("300000000\n", 200_000_000), ("50000000\n", 0)):
        (tmp_path / "memory.max").write_text(limit)
        assert free_memory() == free
    for anything in ("max\n", "much"):
        (tmp_path / "memory.max").write_text(anything)
        assert free_memory() > 300_000_000


def test_a_reader_that_does_not_fit_is_not_loaded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "large.gguf"
    file.write_bytes(b"GGUF")
    monkeypatch.setattr(memory, "free_memory", lambda: GB // 16)
    with pytest.raises(ModelError, match=r"reader large needs about 0\.1 GB.*qwen2\.5-coder-0\.5b.* or an endpoint"):
        open.open_reader(ReaderSettings(model=str(file)))


@pytest.mark.parametrize(("cores", "threads"), [(1, (1, 1)), (2, (2, 1)), (8, (8, 7))])
def test_a_core_is_left_to_others_while_a_reply_is_written(
    monkeypatch: pytest.MonkeyPatch, cores: int, threads: tuple[int, int]
) -> None:
    monkeypatch.setattr(open.os, "sched_getaffinity", lambda _: set(range(cores)), raising=False)
    assert open.threads() == threads


ALONE = "import time; held = bytearray(150 << 20); time.sleep(1)"
SHARED = "import os, time; held = bytearray(150 << 20); child = os.fork(); time.sleep(1); child and os.wait()"


CHILDREN = """
from rag.models.memory import MemoryWatch
MemoryWatch.SECONDS = 0.02
with MemoryWatch() as memory:
    children = [subprocess.Popen([sys.executable, "-c", {!r}]) for _ in range(2)]
    for child in children:
        child.wait()
print(memory.most)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="no proportional set size here")
def test_memory_is_that_of_all_processes_at_one_time_and_what_they_share_counts_once() -> None:
    taken = {}
    for what in (ALONE, SHARED):
        script = f"import sys; sys.path.insert(0, {str(ROOT)!r})\nimport subprocess\n" + CHILDREN.format(what)
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
        taken[what] = int(done.stdout) >> 20
    assert 300 < taken[ALONE] < 480  # two children; the program itself takes some 50 MB
    assert 300 < taken[SHARED] < 480  # four processes, each pair with one copy
