"""A little of what `make fuzz` does at length (tests/fuzz.py, tests/fuzz_api.py), with inputs that it has not had."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import Run
from tests.fuzz import TARGETS, fuzz, made
from tests.fuzz_api import fuzz_api
from tests.served import serving

FIRST = 1_000_000  # behind those of make fuzz


@pytest.mark.parametrize("name", TARGETS)
def test_no_damaged_file_crashes_what_reads_it(name: str) -> None:
    found = fuzz(name, range(FIRST, FIRST + 60))
    assert (found.crashes, found.hangs) == ([], [])
    assert sum(found.outcomes.values()) == 60 and found.outcomes["read"], (
        "some of the damage is such as can be read over"
    )


def test_a_finding_can_be_read_again() -> None:
    seeds = TARGETS["web"].seeds()
    assert [made("web", seeds, 0, n) for n in range(20)] == [made("web", seeds, 0, n) for n in range(20)]
    assert len({made("web", seeds, 0, n)[1] for n in range(20)}) > 15


def test_death_and_errors_of_a_reader_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The fuzzer itself: a reader that dies of one input and has a bug with another is found out, and goes on."""
    import os
    from dataclasses import replace

    def read(file: object) -> None:
        read.count += 1  # type: ignore[attr-defined]
        if read.count == 3:  # type: ignore[attr-defined]
            raise ZeroDivisionError("bug")
        if read.count == 5:  # type: ignore[attr-defined]
            os._exit(9)

    read.count = 0  # type: ignore[attr-defined]
    monkeypatch.setitem(TARGETS, "web", replace(TARGETS["web"], read=read))
    found = fuzz("web", range(7))  # the process that takes over counts from the start, and ends before its third
    assert [number for number, _ in found.crashes] == [2, 4]
    assert "ZeroDivisionError: bug" in found.crashes[0][1] and "died: 9" in found.crashes[1][1]
    assert found.outcomes["read"] == 5


@pytest.mark.slow
def test_no_request_makes_the_server_fail_or_name_its_disk(tmp_path: Path, glossator: Run) -> None:
    with serving(tmp_path, glossator) as site:
        statuses, wrong = fuzz_api(site.address, tmp_path, 250, seed=7)
    assert wrong == [] and statuses["2xx"] and statuses["4xx"]
