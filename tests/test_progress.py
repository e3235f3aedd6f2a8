"""progress.py: the plain line and its time left, and the bar; shared.py: the Report that the commands get."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ui.cli import shared as command
from ui.cli.progress import Count, Progress, duration, plain_line

PACE = st.floats(0.01, 600)  # seconds a step


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Clock:
    """A clock that is set by hand."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


def steady(pace: float, steps: int, total: int) -> Count:
    """A count that was reported at 0 and then at every step."""
    count = Count()
    for done in range(steps + 1):
        count.report(done * pace, done, total)
    return count


def lines(clock: Clock, reports: list[tuple[float, str, int, int, str]]) -> None:
    with Progress(clock) as progress:
        for now, what, done, total, note in reports:
            clock.now = 1000.0 + now
            progress(what, done, total, note)


# -- the time left -----------------------------------------------------------------------------------------------------


@given(pace=PACE, steps=st.integers(1, 60), more=st.integers(1, 500))
def test_at_a_steady_pace_the_time_left_is_exact(pace: float, steps: int, more: int) -> None:
    assert steady(pace, steps, steps + more).seconds_left(steps * pace) == pytest.approx(more * pace)


@given(burst=st.integers(1, 300), pace=st.floats(0.5, 600), more=st.integers(1, 500))
def test_a_burst_is_forgotten_after_the_window(burst: int, pace: float, more: int) -> None:
    count, done, now = Count(), 0, 0.0
    for done in range(burst + 1):  # from a cache, all within a third of a second
        now = done / 1000
        count.report(now, done, 10_000)
    steps = int(61 / pace) + 1
    for _ in range(steps):
        done, now = done + 1, now + pace
        count.report(now, done, done + more)
    assert count.seconds_left(now) == pytest.approx(more * pace, rel=0.01)


@given(pace=PACE, steps=st.integers(1, 30), wait=st.floats(0, 1000))
def test_who_waits_is_told_of_a_longer_time(pace: float, steps: int, wait: float) -> None:
    count = steady(pace, steps, steps + 9)
    before, after = count.seconds_left(steps * pace), count.seconds_left(steps * pace + wait)
    assert before is not None and after is not None and after >= before


@pytest.mark.parametrize(
    "reports",
    [
        [(0.0, 0)],  # nothing is done
        [(0.0, 0), (30.0, 0)],
        [(0.0, 5), (30.0, 5)],  # nothing since the first report
        [(0.0, 5), (30.0, 4)],
        [(0.0, 5), (0.0, 6)],  # no time has passed
        [(0.0, 5), (30.0, 10)],  # there is nothing left
        [(0.0, 5), (30.0, 11)],
    ],
)
def test_where_nothing_can_be_judged_no_time_is_given(reports: list[tuple[float, int]]) -> None:
    count = Count()
    for now, done in reports:
        count.report(now, done, 10)
    assert count.seconds_left(reports[-1][0]) is None
    assert "left" not in plain_line(0.0, reports[-1][0], {"questions": count})


@given(st.floats(0, 1e6))
def test_a_duration_is_in_minutes_above_two(seconds: float) -> None:
    number, unit = duration(seconds).split()
    assert unit == ("s" if round(seconds) <= 120 else "min")
    assert abs(int(number) * (1 if unit == "s" else 60) - seconds) <= (0.5 if unit == "s" else 30)


# -- the plain line ----------------------------------------------------------------------------------------------------


def test_the_line_has_the_count_the_note_and_the_time_left() -> None:
    questions, pages = Count(), Count()
    questions.report(1000.0, 0, 114)
    questions.report(1120.0, 57, 114, "EM 0.45 F1 0.53")
    assert plain_line(1000.0, 1120.0, {"questions": questions}) == (
        "120 s: questions 57 of 114, EM 0.45 F1 0.53, 120 s left"
    )
    pages.report(1060.0, 1, 63)
    pages.report(1120.0, 2, 63)
    assert plain_line(1000.0, 1120.0, {"questions": questions, "a.pdf": pages}) == (
        "120 s: questions 57 of 114, EM 0.45 F1 0.53, 120 s left, a.pdf 2 of 63, 61 min left"
    )


def test_a_line_is_said_every_ten_seconds(capsys: pytest.CaptureFixture[str]) -> None:
    lines(Clock(), [(second, "questions", second, 40, f"EM 0.{second}") for second in range(41)])
    assert capsys.readouterr().err.splitlines() == [
        "10 s: questions 10 of 40, EM 0.10, 30 s left",
        "20 s: questions 20 of 40, EM 0.20, 20 s left",
        "30 s: questions 30 of 40, EM 0.30, 10 s left",
    ]  # and nothing at 40, where it is done


def test_what_is_reported_anew_begins_anew(capsys: pytest.CaptureFixture[str]) -> None:
    lines(Clock(), [(0, "x", 0, 2, ""), (1, "x", 2, 2, ""), (40, "x", 0, 4, ""), (50, "x", 1, 4, "")])
    assert capsys.readouterr().err.splitlines() == ["40 s: x 0 of 4", "50 s: x 1 of 4, 30 s left"]


def test_names_and_notes_say_nothing_to_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    lines(Clock(), [(10, "a\n\x1b[2J.pdf", 0, 4, "F1\x1b[0m\r0.5")])
    assert capsys.readouterr().err == "10 s: a [2J.pdf 0 of 4, F1[0m 0.5\n"


# -- the bar -----------------------------------------------------------------------------------------------------------


def test_a_label_keeps_its_task_when_the_note_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setenv("TERM", "xterm")
    with Progress() as progress:
        progress("questions", 1, 9, "EM 1.00")
        [first] = progress._bar.tasks
        progress("questions", 2, 9, "EM [/x]")
        [second] = progress._bar.tasks
        progress._bar.refresh()
        assert (first.id, second.completed, second.fields) == (second.id, 2, {"note": "EM [/x]"})
        progress("questions", 9, 9)
        assert progress._bar.tasks == []
    assert "2/9" in terminal.getvalue() and "EM [/x]" in terminal.getvalue()


# -- what the commands report to ---------------------------------------------------------------------------------------


@pytest.fixture
def interrupted() -> Iterator[None]:
    command.CommandState.interrupted = True
    yield
    command.CommandState.interrupted = False


def test_the_note_is_passed_on(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("ui.cli.progress.LINE_SECONDS", 0.0)
    with command.progress() as report:
        report("questions", 0, 9)
        report("questions", 0, 9, "EM 0.45")
    assert capsys.readouterr().err.splitlines() == ["0 s: questions 0 of 9", "0 s: questions 0 of 9, EM 0.45"]


@pytest.mark.usefixtures("interrupted")
def test_an_interruption_is_raised_until_it_is_heard() -> None:
    with command.progress() as report:
        for _ in range(2):
            with pytest.raises(KeyboardInterrupt):
                report("questions", 1, 9)
