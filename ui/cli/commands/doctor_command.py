"""The command `doctor`: whether all is here that an installation and a library need, and what to do where it is not."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from rag.errors import RagError
from ui.cli.options import JsonOption
from ui.cli.shared import load_settings, print_json
from ui.wording import printable


def doctor(
    library: Annotated[
        Path | None, typer.Option("--library", envvar="GLOSSATOR_LIBRARY", help="A library to look at, too.")
    ] = None,
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="The port that is to be served on.")] = 7860,
    as_json: JsonOption = False,
) -> None:
    """Look whether all is well: Java, weights, disk, memory, a library's indexes, the port; and say what to do."""
    from ui.doctor import examine

    checks = []
    for check in examine(load_settings(), library, port):
        checks.append(check)
        if not as_json:
            print(f"{'ok  ' if check.ok else 'FAIL'}  {check.name}: {printable(check.seen)}", flush=True)
            if not check.ok:
                print(f"      {printable(check.cure)}", flush=True)
    failed = [check for check in checks if not check.ok]
    if as_json:
        print_json({"ok": not failed, "checks": [asdict(check) for check in checks]})
    if failed:
        raise RagError(f"{len(failed)} of {len(checks)} checks failed: {failed[0].name}. {failed[0].cure}")
