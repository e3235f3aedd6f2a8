"""A little of `make faults` (tests/faults.py): a kill of each work, an error at a write, a flipped bit."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests import faults

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]


def test_a_kill_in_the_middle_of_each_work_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ingest", "remove", "rebuild"):  # which test_bad_input.py and test_resume.py kill
        monkeypatch.delitem(faults.KILLED, name)
    monkeypatch.setattr(faults, "_training_kills", lambda *_: None)  # as test_train_reader.py
    result = faults.kills(3, 1, tmp_path)
    assert result.wrong == [] and sum(result.faults.values()) == 3


def may_trace() -> bool:
    strace = shutil.which("strace")
    return (
        strace is not None and not subprocess.run([strace, "-o", "/dev/null", "true"], capture_output=True).returncode
    )


@pytest.mark.skipif(not may_trace(), reason="strace is not installed, or may not trace here")
def test_an_error_at_a_write_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(faults, "ERRORS", ("ENOSPC",))
    result = faults.writes(1, 1, tmp_path)
    assert result.wrong == [] and sum(result.faults.values()) == 1


def test_a_difference_is_found(tmp_path: Path) -> None:
    """The suite itself: a library whose text was changed is another state, and a flipped bit of its text is found."""
    made = faults.template(tmp_path / "made")
    wanted = faults.state(made / "library")
    assert wanted["problems"] == [] and wanted["hits"]["bm25 otter"][0][0] == "otter"
    data = (made / "library" / "catalogue.sqlite").read_bytes()
    (made / "library" / "catalogue.sqlite").write_bytes(
        data.replace(b"The otter of paragraph 3", b"The otter of paragraph 4", 1)
    )
    assert faults.state(made / "library") != wanted
    assert faults._of_flipped(made / "library", wanted) == "found by check"
