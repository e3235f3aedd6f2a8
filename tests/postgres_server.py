"""A PostgreSQL server of a test's own: Debian's, in a folder of its own, at a free port of this machine."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from pathlib import Path

from rag.errors import LibraryError
from rag.library.shared.postgres import PostgresCatalogue
from tests.processes import free_port

FOLDERS = sorted(Path("/usr/lib/postgresql").glob("*/bin"))  # Debian's place: no PATH has it
SERVER = next((str(folder / "pg_ctl") for folder in reversed(FOLDERS)), None) or shutil.which("pg_ctl")


class PostgresServer:
    """Started, stopped, and started again with what it had."""

    def __init__(self) -> None:
        assert SERVER is not None
        self._bin, self._folder = Path(SERVER).parent, Path(tempfile.mkdtemp(prefix="glossator-postgres-"))
        self._user = "postgres" if os.getuid() == 0 else None  # it refuses to run as root
        if self._user:
            os.chown(self._folder, pwd.getpwnam(self._user).pw_uid, -1)
        self.port = free_port()
        self._run("initdb", "-D", self._folder / "data", "-U", "glossator", "-A", "trust", "--no-sync")
        self.start()

    @property
    def address(self) -> str:
        return f"postgresql://glossator@127.0.0.1:{self.port}/postgres"

    def start(self) -> None:
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={self._folder}"
        log = self._folder / "log"
        self._run("pg_ctl", "-D", self._folder / "data", "-o", options, "-l", log, "-w", "start")

    def stop(self) -> None:
        self._run("pg_ctl", "-D", self._folder / "data", "-m", "immediate", "-w", "stop")

    def close(self) -> None:
        self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    def rows(self, statement: str) -> list[list[object]]:
        """What a statement of psql's finds."""
        with PostgresCatalogue(self.address, "")._running() as run:
            return run(statement)

    def _run(self, program: str, *arguments: object) -> None:
        command = [str(self._bin / program), *map(str, arguments)]
        done = subprocess.run(
            command, user=self._user, cwd=self._folder, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE, timeout=60, check=False,
        )  # fmt: skip
        if done.returncode:
            raise LibraryError(f"{program}: {done.stderr.decode()}")
