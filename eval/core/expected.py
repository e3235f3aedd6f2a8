"""The figures that we publish, run again: expected.toml names the command, the metric and how far it may move."""

from __future__ import annotations

import json
import shlex
import subprocess
import tempfile
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rag.children import glossator
from rag.errors import DataError, RagError, UsageError
from rag.protocols import Report, silent

TOP = Path(__file__).parents[2]  # the paths in the commands start there
FILE = Path(__file__).parents[1] / "expected.toml"
SHARED = "../shared"  # data sets that stand beside a checkout, and not on every machine
DATA = f"{SHARED}/data"  # what `eval expected --data FOLDER` puts another folder in place of
NUMBER = (int, float)
KEYS: dict[str, Any] = {"command": str, "metric": str, "value": NUMBER, "tolerance": NUMBER, "source": str}
OPTIONAL_KEYS: dict[str, Any] = {"first": str, "quick": bool, "n": int, "interval": list, "public": str}
SCRATCH = "{scratch}"  # in a row's commands: an empty folder that both of them share, removed afterwards


@dataclass(frozen=True, slots=True)
class Expected:
    """One row: `command`, run from the top of a checkout, gives `metric` as `value`, `tolerance` more or less; `first`
    is another command, run before it, that prepares what it needs.

    `n` questions and the 95 % `interval` say how much the figure can carry. `quick`: takes a few minutes at most.
    `public`: all that it needs is public: "examples", which lie in the repository, or the collections of "BEIR".
    """

    name: str
    command: str
    metric: str
    value: float
    tolerance: float
    source: str
    first: str = ""
    quick: bool = False
    n: int | None = None
    interval: tuple[float, float] | None = None
    public: str = ""


@dataclass(frozen=True, slots=True)
class Check:
    """The result of a row. `status`: "ok", "drift", "failed", or "not run" where its data set is not on this machine.

    `seen` is None, and `why` says why, for the last two.
    """

    name: str
    expected: float
    tolerance: float
    seen: float | None
    status: str
    why: str = ""

    @property
    def ok(self) -> bool:
        return self.status == "ok"


def read_expected(file: Path = FILE) -> list[Expected]:
    """The rows in the file's order. DataError, naming the row and its key, for one that cannot be replayed."""
    try:
        rows = tomllib.loads(file.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{file}: cannot be read: {error}. Fix it") from error
    return [_row(f"{file}, [{name}]", name, keys) for name, keys in rows.items()]


def _row(where: str, name: str, keys: Any) -> Expected:
    if not isinstance(keys, dict):
        raise DataError(f"{where}: not a table. Write [{name}] and its keys below it")
    kinds = KEYS | OPTIONAL_KEYS
    if wrong := [key for key in KEYS if key not in keys] + [key for key in keys if key not in kinds]:
        raise DataError(f"{where}: {wrong[0]} is {'unknown' if wrong[0] in keys else 'missing'}. Fix the row")
    for key, value in keys.items():
        if not isinstance(value, kinds[key]) or (isinstance(value, bool) and kinds[key] is not bool):
            raise DataError(f"{where}: {key} is {value!r:.60}, which is of the wrong kind. Fix the row")
    for key in (key for key in ("first", "command") if key in keys):
        try:
            program, *_ = shlex.split(keys[key]) or [""]
        except ValueError as error:
            raise DataError(f"{where}: {key}: {error}. Fix the row") from error
        if program != "glossator":
            raise DataError(f"{where}: the {key} is not one of glossator's. Fix the row")
    return Expected(name, **keys | ({"interval": tuple(keys["interval"])} if "interval" in keys else {}))


def execute(command: str) -> dict[str, Any]:
    """The JSON that a `glossator ...` command prints, run from the top of the checkout by the installed command.

    DataError, with the last line on standard error, where it ends with an error or prints something else. RagError
    where the command is not installed beside this interpreter.
    """
    done = subprocess.run(
        glossator(*shlex.split(command)[1:]), cwd=TOP, capture_output=True, encoding="utf-8", errors="replace"
    )
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}, and no line on standard error"]
        raise DataError(lines[-1].removeprefix("glossator: "))
    try:
        result = json.loads(done.stdout)
    except ValueError:
        result = None
    if not isinstance(result, dict):
        raise DataError(f"{command}: printed no JSON object. Give it --json")
    return result


def replay(
    names: Sequence[str],
    quick: bool,
    run: Callable[[str], dict[str, Any]] = execute,
    report: Report = silent,
    file: Path = FILE,
    public: bool = False,
    data: Path | None = None,
) -> list[Check]:
    """Run the rows of these names (none: all of them), of them only the quick ones if `quick`, in the file's order.

    A command that several rows share runs once; where one fails, its rows say so and the others go on. Raises
    UsageError for a name that no row has, or where no row is left.
    """
    rows = read_expected(file)
    known = [row.name for row in rows]
    if unknown := [name for name in names if name not in known]:
        raise UsageError(f"{file.name} has no {unknown[0]!r}. Name one of {', '.join(known)}")
    rows = [row for row in rows if (not names or row.name in names) and (row.quick or not quick)]
    rows = [row for row in rows if row.public or not public]
    if not rows:
        which = " and ".join(word for word, asked in (("quick", quick), ("public", public)) if asked)
        raise UsageError(f"{file.name}: none of these rows is {which}. Name others, or leave out --{which.split()[-1]}")
    commands = list(dict.fromkeys((row.first, row.command) for row in rows))
    checks = {}
    for done, pair in enumerate(commands):
        report("commands", done, len(commands))
        sharing = [row for row in rows if (row.first, row.command) == pair]
        commands_of_pair = [_with_data(one, data) for one in pair if one]
        checks.update({check.name: check for check in _checks(commands_of_pair, sharing, run)})
    report("commands", len(commands), len(commands))
    return [checks[row.name] for row in rows]


def _checks(commands: Sequence[str], rows: Sequence[Expected], run: Callable[[str], dict[str, Any]]) -> Iterator[Check]:
    """Run the commands and check the rows, whose figures the last command prints."""
    status, why, result = "failed", "", {}
    if missing := _missing(" ".join(commands)):
        status, why = "not run", f"{missing} is not on this machine"
    else:
        with tempfile.TemporaryDirectory(prefix="glossator-") as scratch:
            try:
                for command in commands:
                    result = run(command.replace(SCRATCH, scratch))
            except RagError as error:
                why = str(error)
    for row in rows:
        seen = None if why else _look_up(result, row.metric)
        if seen is not None:
            # Figures have four decimals: 0.9048 - 0.8548 is 0.05, but not in binary.
            inside = round(abs(seen - row.value), 9) <= row.tolerance
            yield Check(row.name, row.value, row.tolerance, seen, "ok" if inside else "drift")
        else:
            text = why or f"no number {row.metric} in the result. Fix the row's metric, or its command"
            yield Check(row.name, row.value, row.tolerance, None, status, text)


def _with_data(command: str, data: Path | None) -> str:
    """The command with another folder in place of ../shared/data.

    >>> _with_data("glossator eval retrieval --beir ../shared/data/beir/scifact", Path("/data"))
    'glossator eval retrieval --beir /data/beir/scifact'
    """
    return command if data is None else command.replace(DATA, shlex.quote(str(data.absolute())))


def _missing(command: str) -> str | None:
    """The first path to shared data in a command, such as --folder=../shared/data/pdf, at which there is nothing."""
    paths = (word.rpartition("=")[2] for word in shlex.split(command))
    return next((path for path in paths if path.startswith((SHARED, "/")) and not (TOP / path).exists()), None)


def _look_up(result: Mapping[str, Any], metric: str) -> float | None:
    """The number of a metric: in the result's metrics, else in the result, else that of a control.

    >>> _look_up({"metrics": {"page@5": 0.9}, "hybrid": {"p50_ms": 38}}, "hybrid.p50_ms")
    38
    >>> _look_up({"controls": {"bm25": {"metrics": {"em": 0.3}}}}, "controls/bm25/em")
    0.3
    """
    for level in (result.get("metrics"), result):
        if (value := _at(level, metric)) is not None:
            return value
    if metric.startswith("controls/") and metric.count("/") > 1:
        _, control, rest = metric.split("/", 2)
        found = (result.get("controls") or {}).get(control)
        return _look_up(found, rest) if isinstance(found, dict) else None
    return None


def _at(level: Any, name: str) -> float | None:
    """The number under the key `name`, else under nested keys separated by dots."""
    if not isinstance(level, dict):
        return None
    value = level.get(name)
    if isinstance(value, NUMBER) and not isinstance(value, bool):
        return value
    for dot in (i for i, character in enumerate(name) if character == "."):
        if (value := _at(level.get(name[:dot]), name[dot + 1 :])) is not None:
            return value
    return None


def checks_text(checks: Sequence[Check]) -> str:
    """A line a row."""
    width = max((len(check.name) for check in checks), default=0)
    lines = []
    for check in checks:
        if check.seen is None:
            lines.append(f"{'FAILED' if check.status == 'failed' else 'not run'} {check.name}: {check.why}")
        else:
            figures = f"{round(check.seen, 4)} (expected {check.expected} +- {check.tolerance})"
            lines.append(f"{check.status.upper():5} {check.name:{width}} {figures}")
    return "\n".join(lines)
