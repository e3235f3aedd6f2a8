"""A process that has imported the program and forks for each command: what a command does is the same, its start is not
paid again. Run as a script it serves; `WarmCommand` starts it and sends it commands.

Not for commands whose environment changes how Python itself starts (LC_ALL, PYTHON...): they need an interpreter.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

AT_START = ("LC_", "LANG", "PYTHON", "LD_", "OPENBLAS_")  # what a started interpreter has read already


class WarmCommand:
    """Commands one after the other, each in a process of its own."""

    def __init__(self) -> None:
        self._served = {name: value for name, value in os.environ.items() if name.startswith(AT_START)}
        self._lock = threading.Lock()
        self._server = subprocess.Popen(
            [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            cwd=Path(__file__).parents[1],
        )  # fmt: skip

    def takes(self, environment: Mapping[str, str]) -> bool:
        """Whether Python would start alike in this environment."""
        return {name: value for name, value in environment.items() if name.startswith(AT_START)} == self._served

    def run(
        self, arguments: Sequence[str], environment: Mapping[str, str], cwd: Path | None, timeout: float
    ) -> subprocess.CompletedProcess[str]:
        """As subprocess.run with text and captured output. Raises TimeoutExpired."""
        with self._lock, tempfile.TemporaryDirectory() as folder:
            out, err = Path(folder, "out"), Path(folder, "err")
            asked = [list(arguments), dict(environment), str(cwd or Path.cwd()), str(out), str(err)]
            self._send(asked)
            pid = self._reply()
            timer = threading.Timer(timeout, os.kill, (pid, signal.SIGKILL))
            timer.start()
            code = self._reply()
            timer.cancel()
            if timer.finished.is_set() and code == -signal.SIGKILL:
                raise subprocess.TimeoutExpired(arguments, timeout)
            read = [file.read_bytes().decode("utf-8", "surrogateescape") for file in (out, err)]
            return subprocess.CompletedProcess(arguments, code, *read)

    def close(self) -> None:
        assert self._server.stdin is not None
        self._server.stdin.close()
        self._server.wait(10)

    def _send(self, asked: Any) -> None:
        assert self._server.stdin is not None
        self._server.stdin.write(json.dumps(asked) + "\n")
        self._server.stdin.flush()

    def _reply(self) -> int:
        assert self._server.stdout is not None
        return int(self._server.stdout.readline())


def serve() -> None:
    """Fork for each line of standard input; reply the child's process id, then its exit code."""
    import tokenizers  # noqa: F401 (what commands import is imported here)

    import ui.cli.benchmarks.eval_commands
    import ui.cli.text  # noqa: F401
    from ui.cli.main import main

    replies = os.fdopen(os.dup(1), "w")
    for line in sys.stdin:
        arguments, environment, cwd, out, err = json.loads(line)
        if not (child := os.fork()):
            replies.close()
            for number, (path, flags) in enumerate(
                ((os.devnull, os.O_RDONLY), (out, os.O_WRONLY | os.O_CREAT), (err, os.O_WRONLY | os.O_CREAT))
            ):
                os.dup2(os.open(path, flags, 0o600), number)
            os.chdir(cwd)
            os.environ.clear()
            os.environ.update(environment)
            sys.argv = ["glossator", *arguments]
            code: Any = 0
            try:
                main()
            except SystemExit as end:
                code = end.code
            except BaseException:  # noqa: BLE001 (as Python itself ends)
                sys.excepthook(*sys.exc_info())  # type: ignore[arg-type]
                code = 1
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code if isinstance(code, int) else int(bool(code)))
        print(child, file=replies, flush=True)
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), file=replies, flush=True)


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))
    serve()
