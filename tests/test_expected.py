"""eval/core/expected.py: the published figures run again, by a scripted `run` and, once, by a real command."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from eval.core.expected import DATA, SHARED, Check, checks_text, execute, read_expected, replay
from rag.errors import DataError, RagError, UsageError

ROW = 'command = "{}"\nmetric = "{}"\nvalue = {}\ntolerance = 0.05\nsource = "by hand"\n'
RESULT = {
    "task": "pdf",
    "n": 3,
    "metrics": {"page@5": 0.9, "page@5/text": 0.8, "ndcg.cut": 0.7, "em": None, "flag": True, "n": 21},
    "hybrid": {"p50_ms": 38, "by.kind": {"x": 1}},
    "controls": {"bm25": {"metrics": {"em": 0.3, "f1/text": 0.4}, "n": 5}, "odd": 7},
    "first_token_ms": 12,
}


def rows(tmp_path: Path, **some: tuple[str, str, float]) -> Path:
    file = tmp_path / "expected.toml"
    file.write_text("".join(f"[{name}]\n{ROW.format(*row)}" for name, row in some.items()))
    return file


def test_the_published_file_can_be_read() -> None:
    figures = read_expected()
    assert len({row.name for row in figures}) == len(figures) > 5
    assert {"ingest-ratio", "retrieval-hybrid"} <= {row.name for row in figures if row.quick}
    for row in figures:
        assert row.tolerance >= 0 and row.source and "--json" in row.command, row.name
        assert row.interval is None or row.interval[0] <= row.value <= row.interval[1], row.name


def test_a_command_runs_once_for_all_its_rows_and_the_others_go_on_after_a_failure(tmp_path: Path) -> None:
    file = rows(
        tmp_path,
        page=("glossator eval pdf --json", "page@5", 0.9048),
        broken=("glossator bench ingest --json", "ratio", 1),
        drifted=("glossator eval pdf --json", "page@5/text", 0.9048),
        broken_too=("glossator bench ingest --json", "seconds", 1),
        nowhere=("glossator eval pdf --json", "page@9", 1),
    )
    ran: list[str] = []
    told: list[tuple[str, int, int]] = []

    def run(command: str) -> dict[str, Any]:
        ran.append(command)
        if "ingest" in command:
            raise DataError("no such model. Fetch it")
        return RESULT

    checks = replay([], False, run, lambda *step: told.append(step), file)
    assert ran == ["glossator eval pdf --json", "glossator bench ingest --json"]
    assert told == [("commands", 0, 2), ("commands", 1, 2), ("commands", 2, 2)]
    assert checks[:4] == [
        Check("page", 0.9048, 0.05, 0.9, "ok"),
        Check("broken", 1, 0.05, None, "failed", "no such model. Fetch it"),
        Check("drifted", 0.9048, 0.05, 0.8, "drift"),
        Check("broken_too", 1, 0.05, None, "failed", "no such model. Fetch it"),
    ]
    assert checks[4].status == "failed" and "page@9" in checks[4].why
    assert [check.ok for check in checks] == [True, False, False, False, False]
    assert checks_text(checks).splitlines()[:4] == [
        "OK    page       0.9 (expected 0.9048 +- 0.05)",
        "FAILED broken: no such model. Fetch it",
        "DRIFT drifted    0.8 (expected 0.9048 +- 0.05)",
        "FAILED broken_too: no such model. Fetch it",
    ]


def test_what_a_command_needs_is_made_first_in_a_folder_of_their_own(tmp_path: Path) -> None:
    made = "glossator ingest examples --library {scratch}/library"
    command = "glossator train sparse --library {scratch}/library --json"
    file = rows(tmp_path, a=(command, "n", 21), b=(command, "page@5", 0.9), c=("glossator eval pdf --json", "n", 21))
    file.write_text(file.read_text().replace(f'"{command}"', f'"{command}"\nfirst = "{made}"'))
    ran: list[str] = []

    def run(command: str) -> dict[str, Any]:
        ran.append(command)
        assert all(Path(word).parent.is_dir() for word in command.split() if word.endswith("/library"))
        return RESULT

    assert all(check.ok for check in replay([], False, run, file=file))
    first, second, last = ran
    folder = Path(first.rpartition(" ")[2])
    assert (first, last) == (made.format(scratch=folder.parent), "glossator eval pdf --json")
    assert second == command.format(scratch=folder.parent) and not folder.parent.exists()

    def fails(command: str) -> dict[str, Any]:
        raise DataError(f"{command.split()[1]} failed. Mend it")

    assert {check.why for check in replay(["a", "b"], False, fails, file=file)} == {"ingest failed. Mend it"}
    file.write_text(file.read_text().replace(f'first = "{made}"', 'first = "rm -r x"'))
    with pytest.raises(DataError, match=r"the first is not one of glossator's"):
        replay([], False, run, file=file)


def test_names_and_quick_choose_the_rows(tmp_path: Path) -> None:
    file = rows(tmp_path, a=("glossator a", "n", 21), b=("glossator b", "n", 21), c=("glossator c", "n", 21))
    file.write_text(file.read_text().replace('"glossator b"', '"glossator b"\nquick = true'))

    def chosen(names: list[str], quick: bool) -> list[str]:
        return [check.name for check in replay(names, quick, lambda command: RESULT, file=file)]

    assert chosen([], False) == ["a", "b", "c"]
    assert chosen(["c", "a"], False) == ["a", "c"]
    assert chosen([], True) == chosen(["b", "a"], True) == ["b"]
    with pytest.raises(UsageError, match=r"none of these rows is quick"):
        chosen(["a"], True)
    with pytest.raises(UsageError, match=r"^expected\.toml has no 'd'\. Name one of a, b, c$"):
        chosen(["a", "d"], False)


@pytest.mark.parametrize("option", ["--questions ../shared/no/such.jsonl", "--questions=../shared/no/such.jsonl"])
def test_data_that_is_not_on_this_machine_is_no_failure(tmp_path: Path, option: str) -> None:
    file = rows(tmp_path, far=(f"glossator eval pdf {option} --json", "page@5", 1), here=("glossator x", "n", 21))
    ran: list[str] = []

    def run(command: str) -> dict[str, Any]:
        ran.append(command)
        return RESULT

    far, here = replay([], False, run, file=file)
    assert ran == ["glossator x"] and here.ok
    assert (far.status, far.seen, far.ok) == ("not run", None, False)
    assert checks_text([far]) == "not run far: ../shared/no/such.jsonl is not on this machine"


@pytest.mark.parametrize(
    ("metric", "value"),
    [
        ("page@5", 0.9),
        ("page@5/text", 0.8),
        ("ndcg.cut", 0.7),
        ("n", 21),  # the metrics come first
        ("first_token_ms", 12),
        ("hybrid.p50_ms", 38),
        ("hybrid.by.kind.x", 1),
        ("metrics.page@5", 0.9),
        ("controls/bm25/em", 0.3),
        ("controls/bm25/f1/text", 0.4),
        ("controls/bm25/n", 5),
        *[
            (metric, None)
            for metric in ("em", "flag", "task", "hybrid", "hybrid.", ".", "controls/bm25", "controls/odd/x")
        ],
        *[(metric, None) for metric in ("controls/none/em", "controls/bm25/none", "page@5.x", "metrics.em")],
    ],
)
def test_where_a_metric_is_looked_for(tmp_path: Path, metric: str, value: float | None) -> None:
    (check,) = replay([], False, lambda command: RESULT, file=rows(tmp_path, a=("glossator a", metric, 0.5)))
    assert check.seen == value
    assert (check.status == "failed") is (value is None)


@pytest.mark.parametrize(("value", "ok"), [(0.8548, True), (0.9548, True), (0.8547, False), (0.9549, False)])
def test_the_tolerance_is_inclusive_in_decimals(tmp_path: Path, value: float, ok: bool) -> None:
    file = rows(tmp_path, a=("glossator a", "x", 0.9048))
    assert replay([], False, lambda command: {"metrics": {"x": value}}, file=file)[0].ok is ok


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[a", "cannot be read"),
        ("a = 1", "[a]: not a table"),
        ("[a]\n" + ROW.format("glossator a", "x", '"1"'), "[a]: value is '1', which is of the wrong kind"),
        ("[a]\n" + ROW.format("glossator a", "x", "true"), "[a]: value is True, which is of the wrong kind"),
        ("[a]\n" + ROW.format("rm -r x", "x", 1), "[a]: the command is not one of glossator's"),
        ("[a]\n" + ROW.format("", "x", 1), "[a]: the command is not one of glossator's"),
        ("[a]\n" + ROW.format("glossator 'a", "x", 1), "[a]: command: No closing quotation"),
        ("[a]\n" + ROW.format("glossator a", "x", 1) + "quik = true\n", "[a]: quik is unknown"),
        ("[a]\n" + ROW.format("glossator a", "x", 1) + "quick = 1\n", "[a]: quick is 1, which is of the wrong kind"),
        ('[a]\ncommand = "glossator a"\nmetric = "x"\nvalue = 1\nsource = "s"\n', "[a]: tolerance is missing"),
    ],
)
def test_a_row_that_cannot_be_replayed_is_named(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "expected.toml"
    file.write_text(text)
    with pytest.raises(DataError) as caught:
        read_expected(file)
    assert said in str(caught.value) and str(file) in str(caught.value) and "\n" not in str(caught.value)


def test_a_real_command_gives_its_json_or_its_last_line() -> None:
    assert "models" in execute("glossator models list --json")
    with pytest.raises(DataError, match=r"^no/such holds no library") as caught:
        execute("glossator documents --library no/such --json")
    assert "\n" not in str(caught.value)
    with pytest.raises(DataError, match=r"^glossator --help: printed no JSON object"):
        execute("glossator --help")


def test_the_installed_command_is_run_and_missed_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not by an import of ui, which eval may not know: the command beside the interpreter."""
    monkeypatch.setattr("sys.executable", str(tmp_path / "python"))
    with pytest.raises(RagError, match=r"holds no command glossator. Install the project there: \S+ -m pip") as caught:
        execute("glossator models list --json")
    assert "\n" not in str(caught.value)
    command = tmp_path / "glossator"
    command.write_text('#!/bin/sh\necho "{\\"asked\\": \\"$*\\"}"\n')
    command.chmod(0o755)
    assert execute("glossator models list --json") == {"asked": "models list --json"}


# ---- what anybody can run


def test_rows_without_shared_data_are_marked_and_no_others_but_those_of_public_collections() -> None:
    for row in read_expected():
        needs = f"{row.first} {row.command}"
        assert (row.public == "examples") == (SHARED not in needs), row.name
        if row.public == "BEIR":
            assert needs.count(SHARED) == needs.count(f"{DATA}/beir/"), row.name
    assert {row.public for row in read_expected()} == {"", "examples", "BEIR"}


def test_public_rows_run_on_another_folder_of_data(tmp_path: Path) -> None:
    (tmp_path / "beir" / "scifact").mkdir(parents=True)
    asked: list[str] = []

    def run(command: str) -> dict[str, Any]:
        asked.append(command)
        return {"metrics": {}}

    beir = [row.name for row in read_expected() if row.public == "BEIR"]
    replay(beir, False, run, public=True, data=tmp_path)
    assert asked and all(f"{tmp_path}/beir/scifact" in command and SHARED not in command for command in asked)
    closed = next(row.name for row in read_expected() if not row.public)
    with pytest.raises(UsageError, match="none of these rows is public"):
        replay([closed], False, run, public=True)
