"""The tasks of four new users -> the table of docs/page.md, and its screenshots. `make tasks`.

A server of its own over a fresh library of examples/, with the reader of the settings; a real Chromium.
"""

from __future__ import annotations

import argparse
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from eval.page.hand import Hand
from eval.page.other_tasks import OTHERS
from eval.page.page_figures import figures
from eval.page.researcher_tasks import RESEARCHER
from eval.page.task import NotPossible, Task
from rag.children import glossator

if TYPE_CHECKING:
    from playwright.sync_api import Browser

TASKS = dict(enumerate([*RESEARCHER, *OTHERS], start=1))
ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Done:
    """What came of a task: None clicks where it could not be done."""

    number: int
    task: Task
    clicks: int | None
    seconds: float
    outcome: str


class Server:
    """`glossator serve` over a library, which can be killed and started again at the same address."""

    def __init__(self, library: Path, port: int, log: Path):
        self._library, self._port, self._log = library, port, log
        self.address = f"http://127.0.0.1:{port}"
        self.start()

    def start(self) -> None:
        with self._log.open("w") as out:
            self._process = subprocess.Popen(
                glossator("serve", "--library", str(self._library), "--port", str(self._port)),
                stdout=out, stderr=out, cwd=ROOT,
            )  # fmt: skip
        until = time.monotonic() + 120
        while "glossator: open" not in self._log.read_text():
            if self._process.poll() is not None or time.monotonic() > until:
                raise SystemExit(f"the server did not start: {self._log.read_text()}")
            time.sleep(0.1)

    @property
    def process_id(self) -> int:
        return self._process.pid

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def end(self) -> None:
        self._process.send_signal(signal.SIGINT)
        self._process.wait(20)


def run(browser: Browser, server: Server, tasks: Mapping[int, Task], files: Path, made: Path) -> list[Done]:
    """Do the tasks in their order, all in one page, and say what came of each on stderr as it comes."""
    hand, found = Hand(browser, server.address, files, made), []
    for number, task in tasks.items():
        hand.begin()
        try:
            outcome = task.do(hand, server)
            done = Done(number, task, hand.clicks, hand.seconds, outcome)
        except NotPossible as why:
            done = Done(number, task, None, hand.seconds, str(why))
        except Exception as error:  # noqa: BLE001  # a browser's errors are many: the table says which
            done = Done(number, task, None, hand.seconds, f"not done: {repr(error).splitlines()[0][:120]}")
            hand = Hand(browser, server.address, files, made)
        found.append(done)
        print(
            f"{number:2} {task.what[:60]:60} {done.clicks} {done.seconds:6.1f} {done.outcome[:90]}",
            file=sys.stderr,
        )
    return found


def table(found: Sequence[Done]) -> str:
    """Before and after, a row a task."""
    lines = [
        "| # | who | task | clicks, before | after | seconds, before | after | before | now |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for done in found:
        task = done.task
        clicks = "-" if done.clicks is None else str(done.clicks)
        seconds = "<1" if done.seconds < 1 else f"{done.seconds:.0f}"
        before = task.before
        cells = [str(done.number), task.who, task.what, before[0], clicks, before[1], seconds, before[2], done.outcome]
        lines.append("| " + " | ".join(re.sub(r"\s+", " ", cell).replace("|", "/") for cell in cells) + " |")
    possible = sum(done.clicks is not None for done in found)
    return "\n".join([f"{possible} of {len(found)} can be done.", "", *lines])


def write(page: Path, name: str, text: str) -> None:
    """Put a table between its marks. Raises SystemExit where they are missing."""
    begin, end = f"<!-- {name}: written by make tasks -->", f"<!-- end of {name} -->"
    before, found, rest = page.read_text("utf-8").partition(begin)
    _, ended, after = rest.partition(end)
    if not (found and ended):
        raise SystemExit(f"{page} has no place for its {name}: put {begin} and {end} there")
    page.write_text(f"{before}{begin}\n\n{text}\n\n{end}{after}", "utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description="Do the tasks of docs/page.md in a browser, and write its table.")
    parser.add_argument("--files", type=Path, default=ROOT.parent / "shared" / "data" / "pdf", help="PDFs to add")
    parser.add_argument("--only", type=int, nargs="*", help="numbers of tasks; the table is then printed")
    parser.add_argument("--port", type=int, default=7979)
    given = parser.parse_args()
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory(prefix="glossator-tasks-") as folder, sync_playwright() as play:
        library, made = Path(folder) / "library", Path(folder) / "made"
        made.mkdir()
        subprocess.run(glossator("ingest", str(ROOT / "examples"), "--library", str(library)), check=True, cwd=ROOT)
        server = Server(library, given.port, Path(folder) / "log")
        chromium = next((name for name in ("chromium", "chromium-browser", "google-chrome") if shutil.which(name)), "")
        browser = play.chromium.launch(executable_path=shutil.which(chromium), args=["--no-sandbox"])
        try:
            tasks = {number: task for number, task in TASKS.items() if not given.only or number in given.only}
            measured = figures(browser, server.address, library, server.process_id) if not given.only else ""
            text = table(run(browser, server, tasks, given.files, made))
        finally:
            server.end()
        if given.only:
            print(text)
        else:
            write(ROOT / "docs" / "page.md", "figures", measured)
            write(ROOT / "docs" / "page.md", "tasks", text)


if __name__ == "__main__":
    main()
